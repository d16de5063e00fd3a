// tests/hosts/never_blocks.cpp - one thread serves many, whatever store and signatures wait for. Events decide, no times.
// SPDX-License-Identifier: MIT
#include <regrant/host/asio.hpp>
#include <regrant/host/beast.hpp>

#include <regrant/regrant.hpp>

#include <boost/asio.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
using namespace regrant;
using namespace std::chrono_literals;

/// What takes longer did not finish.
constexpr std::chrono::milliseconds limit = 5min;

int passed = 0, failed = 0;

void check(bool holds, const std::string& what) {
    std::printf("%s %s\n", holds ? "ok    " : "FAILED", what.c_str());
    ++(holds ? passed : failed);
}

/// A store that answers nobody until so many wait for it. It is used by one thread.
struct gathering_store {
    memory_store& rows;
    std::size_t wanted;
    std::vector<asio::steady_timer*> waiting{};
    template <class T> using answer = asio::awaitable<result<T, outage>>;

    asio::awaitable<void> gather() {
        asio::steady_timer here(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
        waiting.push_back(&here);
        if (waiting.size() == wanted) {
            for (asio::steady_timer* each : waiting) each->expires_at(asio::steady_timer::time_point::min());
            waiting.clear();
        }
        boost::system::error_code woken;
        co_await here.async_wait(asio::redirect_error(asio::use_awaitable, woken));
    }
    answer<insert_outcome> insert(const grant& row) { co_return rows.insert(row); }
    answer<std::optional<grant>> find(const row_key& key) {
        co_await gather();
        co_return rows.find(key);
    }
    answer<advance_outcome> advance(const row_key& key, generation expected, generation next, instant now) {
        co_await gather();
        co_return rows.advance(key, expected, next, now);
    }
    answer<void> revoke(const row_key& key) { co_return rows.revoke(key); }
};

/// Whether something that happens once has happened.
class event {
public:
    void happens() {
        const std::lock_guard lock(mutex_);
        has_happened_ = true;
        changed_.notify_all();
    }
    bool wait() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, limit, [&] { return has_happened_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool has_happened_ = false;
};

/// Keeps the thread that signs until it is told to go on.
struct holding_issuer {
    event& begins;
    event& may_end;

    result<minted_tokens, outage> mint(const mint_order&) {
        begins.happens();
        may_end.wait();
        return minted_tokens{secret("access"), std::nullopt, 300s};
    }
};
struct plain_issuer {
    result<minted_tokens, outage> mint(const mint_order&) {
        return minted_tokens{secret("access"), std::nullopt, 300s};
    }
};

client_list clients() {
    return *client_list::make(*parse_registrations(
        R"([{"client_id": "web", "client_secret": "s", "token_endpoint_auth_method": "client_secret_post",
             "scope": "openid"}])"));
}

token_keyring keyring() {
    std::vector<token_key> keys;
    keys.push_back({token_key_id{1}, secret(std::string(32, 'k'))});
    return *token_keyring::make(std::move(keys));
}

/// A server with one thread, over any issuer.
template <class Issuer> class server {
public:
    /// \param gathers  how many must wait for the store at once
    server(Issuer& issuer, std::size_t gathers) : store_{rows_, gathers}, issuer_(issuer) {
        const auto answer = [this](std::string_view path, http_request request) -> asio::awaitable<http_reply> {
            if (path == "/health") co_return http_reply{http_status::ok};
            co_return co_await endpoint_.respond(std::move(request));
        };
        asio::co_spawn(loop_, host::serve_port(acceptor_, answer), asio::detached);
        thread_ = std::thread([this] { loop_.run(); });
    }
    ~server() {
        loop_.stop();
        thread_.join();
    }

    asio::ip::tcp::endpoint address() const { return acceptor_.local_endpoint(); }

    std::string first_token() {
        client_list known = clients();
        plain_issuer plain;
        token_endpoint issuing(rows_, known, plain, keyring());
        return std::string(issuing.issue({"web", "alice", "openid"})->refresh_token.reveal());
    }

private:
    memory_store rows_{};
    gathering_store store_;
    Issuer& issuer_;
    client_list clients_ = clients();
    async_token_endpoint<gathering_store, client_list, Issuer> endpoint_{store_, clients_, issuer_, keyring()};
    asio::io_context loop_{1};
    asio::ip::tcp::acceptor acceptor_{loop_, {asio::ip::address_v4::loopback(), 0}};
    std::thread thread_{};
};

/// A connection on which one request is sent.
class connection {
public:
    explicit connection(const asio::ip::tcp::endpoint& to) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        is_open_ = ::connect(socket_, to.data(), static_cast<socklen_t>(to.size())) == 0;
    }
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;
    ~connection() { ::close(socket_); }

    void refresh(const std::string& token) {
        const std::string body = "grant_type=refresh_token&client_id=web&client_secret=s&refresh_token=" + token;
        send("POST /oauth2/token HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
             "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " +
             std::to_string(body.size()) + "\r\n\r\n" + body);
    }
    void health() { send("GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); }

    /// Whether an answer with status 200 comes within a time.
    bool is_answered(std::chrono::milliseconds within = limit) {
        ::pollfd one{socket_, POLLIN, 0};
        if (!is_open_ || ::poll(&one, 1, static_cast<int>(within.count())) != 1) return false;
        std::array<char, 13> begin{};
        const ssize_t got = ::recv(socket_, begin.data(), begin.size(), MSG_WAITALL);
        return got > 0 && std::string_view(begin.data(), static_cast<std::size_t>(got)) == "HTTP/1.1 200 ";
    }

private:
    void send(const std::string& text) {
        is_open_ = is_open_ && ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
    }

    int socket_;
    bool is_open_ = false;
};

void check_store() {
    constexpr std::size_t connections = 64;
    plain_issuer plain;
    server<plain_issuer> gathers(plain, connections);
    std::vector<std::string> tokens;
    for (std::size_t i = 0; i != connections; ++i) tokens.push_back(gathers.first_token());
    std::vector<std::optional<connection>> all(connections);
    for (std::size_t i = 0; i != connections; ++i) all[i].emplace(gathers.address()).refresh(tokens[i]);
    std::size_t answered = 0;
    for (auto& each : all) {
        if (!each->is_answered()) break; // the others would take as long
        ++answered;
    }
    // Were the thread to wait for the store, the first one would wait for the others for ever.
    check(answered == connections, "one thread, a store that waits for 64 calls at once: " + std::to_string(answered) +
                                       " of 64 refreshes are answered");
}

void check_pool() {
    event begins, may_end;
    holding_issuer holding{begins, may_end};
    asio::thread_pool pool(1);
    host::pooled_issuer<holding_issuer> pooled(holding, pool);
    {
        server<host::pooled_issuer<holding_issuer>> never_blocks(pooled, 1);
        connection refreshes(never_blocks.address()), asks(never_blocks.address());
        refreshes.refresh(never_blocks.first_token());
        check(begins.wait(), "a refresh is signed on a pool");
        asks.health();
        check(asks.is_answered(), "another route is answered while the pool signs");
        may_end.happens();
        check(refreshes.is_answered(), "and the refresh when it has signed");
    }
    pool.join();
}

/// The control: what the pool is for.
void check_loop() {
    event begins, may_end;
    holding_issuer holding{begins, may_end};
    server<holding_issuer> blocks(holding, 1);
    connection refreshes(blocks.address()), asks(blocks.address());
    refreshes.refresh(blocks.first_token());
    check(begins.wait(), "a refresh is signed on the loop");
    asks.health();
    const bool is_early = asks.is_answered(200ms); // the thread that would answer stands still
    may_end.happens();
    check(!is_early && asks.is_answered() && refreshes.is_answered(), "no other route is answered until it has signed");
}

} // namespace

int main() {
    check_store();
    check_pool();
    check_loop();
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
