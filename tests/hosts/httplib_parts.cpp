// tests/hosts/httplib_parts.cpp - cpp-httplib's pool without memory, its idle connections, and a stream in pieces.
// SPDX-License-Identifier: MIT
#include <regrant/host/httplib.hpp>

#include <httplib.h>

#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace regrant;
using namespace std::chrono_literals;

/// Whether this thread gets no memory.
thread_local bool is_starved = false;
std::atomic<int> polls = 0;

int passed = 0, failed = 0;

void check(bool holds, const std::string& what) {
    std::printf("%s %s\n", holds ? "ok    " : "FAILED", what.c_str());
    ++(holds ? passed : failed);
}

/// Waits for an event. After five minutes it did not finish.
bool eventually(const std::function<bool()>& is_so) {
    for (const auto until = std::chrono::steady_clock::now() + 5min; std::chrono::steady_clock::now() < until;) {
        if (is_so()) return true;
        std::this_thread::sleep_for(1ms);
    }
    std::puts("it did not finish in five minutes");
    return false;
}

/// A server with few threads, whose idle connections stay open for an hour.
class server {
public:
    server() : server_({.request = 1h, .ready_threads = 1, .most_threads = 4}) {
        server_.set_keep_alive_timeout(3600);
        host::mount(server_, "/token", [this](const http_request&) {
            ++answered;
            return http_reply{http_status::ok};
        });
        port_ = host::bind(server_, "127.0.0.1", 0).value_or(0);
        thread_ = std::thread([this] { server_.listen_after_bind(); });
        eventually([&] { return server_.is_running(); });
    }
    ~server() { stop(); }
    void stop() {
        server_.stop();
        if (thread_.joinable()) thread_.join();
    }
    std::uint16_t port() const { return port_; }
    std::atomic<int> answered = 0;

private:
    host::httplib_server server_;
    std::uint16_t port_ = 0;
    std::thread thread_{};
};

class client {
public:
    explicit client(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        at.sin_port = htons(port);
        if (::connect(socket_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) std::perror("connect");
    }
    client(const client&) = delete;
    client& operator=(const client&) = delete;
    ~client() { ::close(socket_); }

    /// Sends a request. \return whether it is answered with 200
    bool asks() {
        constexpr std::string_view text = "GET /token HTTP/1.1\r\nHost: a\r\n\r\n";
        if (::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) return false;
        std::string answer;
        return eventually([&] {
            std::array<char, 4096> room;
            const ssize_t got = ::recv(socket_, room.data(), room.size(), MSG_DONTWAIT);
            if (got > 0) answer.append(room.data(), static_cast<std::size_t>(got));
            return got == 0 || answer.find("\r\n\r\n") != answer.npos;
        }) && answer.starts_with("HTTP/1.1 200 ");
    }
    bool is_closed() const {
        char one = 0;
        return ::recv(socket_, &one, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
    }

private:
    int socket_;
};

void check_memory() {
    host::httplib_pool pool(1, 1);
    std::atomic<int> served = 0;
    std::atomic<bool> may_go = false;
    pool.enqueue([&] { eventually([&] { return may_go.load(); }); });
    bool has_thrown = false;
    is_starved = true;
    try {
        for (int i = 0; i != 500; ++i) pool.enqueue([&served] { ++served; });
    } catch (...) {
        has_thrown = true;
    }
    is_starved = false;
    may_go = true;
    check(!has_thrown, "without memory a connection waits for a thread, and nothing is thrown");
    check(eventually([&] { return served == 500; }), "and each is served");
    pool.enqueue([] { throw std::bad_alloc(); });
    pool.enqueue([&served] { ++served; });
    check(eventually([&] { return served == 501; }), "a connection that throws costs its thread nothing");
    pool.shutdown();
}

/// Earlier versions of httplib cannot be told that there is no room.
template <class Pool> void check_room() {
    if constexpr (!std::is_void_v<typename Pool::enqueued>) {
        Pool pool(1, 1);
        std::atomic<bool> may_go = false;
        std::size_t taken = 0;
        while (taken < 5000 && static_cast<bool>(pool.enqueue([&] { eventually([&] { return may_go.load(); }); }))) ++taken;
        may_go = true;
        check(taken < 5000, "more connections than may wait are refused");
        pool.shutdown();
    }
}

void check_idle() {
    server over;
    std::vector<std::optional<client>> idle(4);
    for (auto& each : idle) {
        each.emplace(over.port());
        check(each->asks(), "a connection that stays open is answered");
    }
    client fifth(over.port());
    check(fifth.asks(), "when all threads are taken by idle connections, one more is answered");
    check(eventually([&] { return idle[0]->is_closed(); }), "the longest idle connection was closed for it");
    check(!idle[2]->is_closed() && !idle[3]->is_closed() && idle[3]->asks(), "those that were not so long idle stay open");

    // Silent ones have asked nothing yet.
    std::vector<std::optional<client>> silent(20);
    for (auto& each : silent) each.emplace(over.port());
    client last(over.port());
    check(last.asks(), "silent connections give way, too");

    const int before = polls;
    std::this_thread::sleep_for(500ms);
    check(polls - before < 3, "idle connections are not polled: " + std::to_string(polls - before) + " times");
    over.stop();
    check(eventually([&] { return last.is_closed(); }), "when the server stops its idle connections are closed");
}

/// An empty line in front of a request that comes in pieces (RFC 9112 2.2).
void check_pieces() {
    for (const auto& pieces : {std::vector<std::string>{"\r\n", "GET"}, {"\r", "\nGET"}, {"\r", "\n", "GET"}, {"\r\nG", "ET"},
                               {"\r", "\n\r", "\nGET"}}) {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) std::abort();
        const std::atomic<socket_t> listening = 0;
        host::httplib_pool pool(0);
        std::string head;
        {
            host::httplib_stream stream(ends[0], listening, {.request = 1h}, &pool);
            std::thread reads([&] {
                if (stream.read_head(1h) == host::httplib_stream::next::request) head = stream.head();
            });
            std::string shown;
            for (const std::string& piece : pieces) {
                shown += std::to_string(piece.size()) + " ";
                if (::send(ends[1], piece.data(), piece.size(), MSG_NOSIGNAL) < 0) std::abort();
                eventually([&] {
                    int unread = 0;
                    return ::ioctl(ends[0], FIONREAD, &unread) == 0 && unread == 0;
                });
            }
            constexpr std::string_view rest = " /token HTTP/1.1\r\nHost: a\r\n\r\n";
            if (::send(ends[1], rest.data(), rest.size(), MSG_NOSIGNAL) < 0) std::abort();
            reads.join();
            check(head == "GET /token HTTP/1.1\r\nHost: a\r\n\r\n", "an empty line in pieces of " + shown + "is left out");
        }
        ::close(ends[0]);
        ::close(ends[1]);
        pool.shutdown();
    }
}

} // namespace

void* operator new(std::size_t size) {
    if (is_starved) throw std::bad_alloc();
    void* const found = std::malloc(size);
    if (found == nullptr) throw std::bad_alloc();
    return found;
}
void operator delete(void* what) noexcept { std::free(what); }
void operator delete(void* what, std::size_t) noexcept { std::free(what); }

/// In place of the C library's, to be counted.
extern "C" int poll(::pollfd* all, ::nfds_t count, int milliseconds) {
    ++polls;
    const std::timespec time{milliseconds / 1000, milliseconds % 1000 * 1'000'000L};
    return ::ppoll(all, count, milliseconds < 0 ? nullptr : &time, nullptr);
}

int main() {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    check_memory();
    check_room<host::httplib_pool>();
    check_pieces();
    check_idle();
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
