// regrant/host/httplib_stream.hpp - one connection of cpp-httplib, whose requests are read strictly.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../detail/ascii.hpp"
#include "../request_framing.hpp"
#include "../secret.hpp"
#include "httplib_pool.hpp"

#include <httplib.h>

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>

namespace regrant::inline v0::host {

/// How long a connection may take.
struct httplib_limits {
    /// From the first byte of a head to its last, and again for a body. A client that is slower is cut off.
    std::chrono::milliseconds request = std::chrono::seconds(15);
    /// For the client to take some bytes of an answer.
    std::chrono::milliseconds write = std::chrono::seconds(5);
    /// For a client to close its side after our last answer. Without the wait its late bytes could reset the connection
    /// before it has read the answer.
    std::chrono::milliseconds farewell = std::chrono::seconds(2);
    /// Threads, one for each open connection: as many are started at once, and as many there are at most. When all are
    /// taken, idle connections are closed for those that wait.
    std::size_t ready_threads = 8, most_threads = 512;
};

/// A connection whose requests are judged by their bytes before httplib sees them.
///
/// httplib drops fields without a value or a colon and unfolds nothing, so the headers it kept do not tell where a
/// request ends. This stream gives it one request at a time, and nothing behind it.
class httplib_stream final : public httplib::Stream {
    using clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds longest_poll = std::chrono::hours(1); // an int holds it

public:
    /// \param listening  the server's socket: -1 once it stops
    /// \param pool       ends what rests when it stops, or others wait; without one the server is looked at now and then
    httplib_stream(socket_t connected, const std::atomic<socket_t>& listening, const httplib_limits& limits,
                   httplib_pool* pool = nullptr)
        : socket_(connected), listening_(listening), pool_(pool), limits_(limits) {
        coded_.reserve(2 * sizeof room_); // never moved, so that the destructor wipes all that was in it
        name_of(&::getpeername, remote_ip, remote_port);
        name_of(&::getsockname, local_ip, local_port);
    }
    httplib_stream(const httplib_stream&) = delete;
    ~httplib_stream() {
        wipe(room_, sizeof room_);
        wipe(coded_.data(), coded_.size());
    }

    enum class next : std::uint8_t { request, refused, none };

    /// Waits for the next request's head.
    /// \return `refused` if it is broken; `none` if the client has closed, was too slow, or the server stops
    next read_head(std::chrono::milliseconds idle) {
        framing_.begin_next();
        head_ = secret();
        coded_.clear();
        at_ = coded_at_ = 0;
        has_answered_ = false;
        last_ = clock::now() + idle;
        bool is_begun = false;
        while (!framing_.has_head() && !framing_.is_broken()) {
            if (begin_ == end_ && !fill(is_begun ? wait::head : wait::idle)) return next::none;
            if (!std::exchange(is_begun, true)) last_ = clock::now() + limits_.request;
            const std::string_view text(room_ + begin_, end_ - begin_);
            const std::size_t taken = framing_.take(text);
            begin_ += taken;
            if (framing_.is_idle()) head_ = secret(); // an empty line, of which a piece may have come before
            else head_.append(text.substr(0, taken));
        }
        if (framing_.is_broken()) return next::refused;
        last_ = clock::now() + limits_.request; // for the body
        return next::request;
    }

    /// The head of the request, as it came.
    std::string_view head() const noexcept {
        std::string_view text = head_.reveal();
        while (text.starts_with("\r\n")) text.remove_prefix(2); // RFC 9112 2.2
        return text;
    }
    /// Whether another request may follow: the last one was read to its end, and the answer announces no close.
    bool goes_on() const noexcept { return framing_.is_over() && has_answered_ && !announces_close_; }

    /// Answers what is no request.
    void refuse() {
        static constexpr std::string_view refused =
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json;charset=UTF-8\r\n"
            "Cache-Control: no-store\r\nPragma: no-cache\r\nContent-Length: 27\r\n\r\n"
            R"({"error":"invalid_request"})";
        write(refused.data(), refused.size());
    }

    /// RFC 9112 9.6: "the server SHOULD ... half-close ... continue to read from the connection".
    void close() {
        constexpr std::size_t most_drained_bytes = std::size_t{1024} * 1024;
        ::shutdown(socket_, SHUT_WR);
        last_ = clock::now() + limits_.farewell;
        for (std::size_t drained = 0; drained < most_drained_bytes && fill(wait::idle); drained += end_) {}
        ::close(socket_);
    }

    // --- what httplib calls; which of these are virtual depends on its version, so none says `override` ---

    bool is_readable() const { return begin_ != end_ || at_ < head().size() || awaits(POLLIN, last_); }
    bool is_writable() const { return wait_writable(); }
    // Newer versions of httplib ask these.
    bool wait_readable() const { return is_readable(); }
    bool wait_writable() const { return awaits(POLLOUT, clock::now() + limits_.write); }
    time_t duration() const { return 0; }

    ssize_t read(char* to, std::size_t size) {
        std::string_view from = head().substr(at_);
        if (!from.empty()) return give(from, to, size, at_);
        while (coded_at_ == coded_.size()) {
            if (framing_.is_over()) return 0;
            if (begin_ == end_ && !fill(wait::body)) return -1;
            coded_.clear();
            coded_at_ = 0;
            begin_ += framing_.take({room_ + begin_, end_ - begin_}, [&](std::string_view piece) { keep(piece); });
            if (framing_.is_broken()) return -1;
            // httplib 0.11 knows no trailer.
            if (framing_.is_over() && framing_.is_chunked()) coded_ += "0\r\n\r\n";
        }
        from = std::string_view(coded_).substr(coded_at_);
        return give(from, to, size, coded_at_);
    }

    ssize_t write(const char* from, std::size_t size) {
        if (const std::string_view text(from, size); !has_answered_) {
            // Newer versions of httplib write the two lines of `100 Continue` one by one.
            has_answered_ = !text.starts_with("HTTP/1.1 1") && text != "\r\n";
            // RFC 9110 15.2: "A server MUST NOT send a 1xx response to an HTTP/1.0 client."
            if (!has_answered_ && framing_.is_http_1_0()) return static_cast<ssize_t>(size);
            each_field(text.substr(0, text.find("\r\n\r\n")), [&](std::string_view name, std::string_view value) {
                if (detail::equal_but_case(name, "connection") && detail::lists(value, "close"))
                    announces_close_ = true;
            });
        }
        if (!wait_writable()) return -1;
        return ::send(socket_, from, size, MSG_NOSIGNAL);
    }

    void get_remote_ip_and_port(std::string& ip, int& port) const {
        ip = remote_ip;
        port = remote_port;
    }
    void get_local_ip_and_port(std::string& ip, int& port) const {
        ip = local_ip;
        port = local_port;
    }
    socket_t socket() const { return socket_; }

    std::string remote_ip{}, local_ip{};
    int remote_port = 0, local_port = 0;

private:
    /// What the client is waited for. A wait for a head ends when the server stops, an idle one also when others wait.
    enum class wait : std::uint8_t { idle, head, body };

    template <class Ask> void name_of(Ask ask, std::string& ip, int& port) const {
        ::sockaddr_storage address{};
        ::socklen_t size = sizeof address;
        char host[NI_MAXHOST] = "", service[NI_MAXSERV] = "";
        auto* const generic = reinterpret_cast<::sockaddr*>(&address);
        if (ask(socket_, generic, &size) != 0 || ::getnameinfo(generic, size, host, sizeof host, service, sizeof service,
                                                               NI_NUMERICHOST | NI_NUMERICSERV) != 0)
            return;
        ip = host;
        std::from_chars(service, service + std::strlen(service), port);
    }

    static ssize_t give(std::string_view from, char* to, std::size_t size, std::size_t& at) {
        const std::size_t given = from.copy(to, size);
        at += given;
        return static_cast<ssize_t>(given);
    }

    /// A piece of a body as httplib wants it: a chunk of a chunked one.
    void keep(std::string_view piece) {
        if (!framing_.is_chunked()) {
            coded_ += piece;
            return;
        }
        char size[20];
        coded_.append(size, std::to_chars(size, size + sizeof size, piece.size(), 16).ptr);
        coded_.append("\r\n").append(piece).append("\r\n");
    }

    bool awaits(short what, clock::time_point last) const {
        ::pollfd one{socket_, what, 0};
        while (true) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(last - clock::now());
            if (left.count() <= 0) return false;
            const int ready = ::poll(&one, 1, static_cast<int>((std::min)(left, longest_poll).count()));
            if (ready > 0) return true;
            if (ready < 0 && errno != EINTR) return false;
        }
    }

    /// Waits for bytes, or for an end of the connection.
    bool awaits_bytes(wait what) {
        if (what == wait::body) return awaits(POLLIN, last_);
        if (pool_ == nullptr) {
            constexpr std::chrono::milliseconds look(50);
            while (listening_ != INVALID_SOCKET && clock::now() < last_)
                if (awaits(POLLIN, (std::min)(last_, clock::now() + look))) return true;
            return false;
        }
        using enum httplib_pool::gives_way;
        const httplib_pool::rest here(pool_, socket_, what == wait::idle ? to_others : to_shutdown);
        return !here.is_ended() && awaits(POLLIN, last_) && !here.is_ended();
    }

    /// Reads more; false when the client has closed or the time is over.
    bool fill(wait what) {
        if ((what != wait::body && listening_ == INVALID_SOCKET) || !awaits_bytes(what)) return false;
        const ssize_t got = ::recv(socket_, room_, sizeof room_, 0);
        begin_ = 0;
        end_ = got > 0 ? static_cast<std::size_t>(got) : 0;
        return got > 0;
    }

    socket_t socket_;
    const std::atomic<socket_t>& listening_;
    httplib_pool* pool_;
    httplib_limits limits_;
    clock::time_point last_{};
    request_framing framing_{};
    secret head_{};
    std::string coded_{};
    std::size_t at_ = 0, coded_at_ = 0, begin_ = 0, end_ = 0;
    bool has_answered_ = false, announces_close_ = false;
    char room_[4096];
};

} // namespace regrant::inline v0::host
