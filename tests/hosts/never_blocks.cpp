// tests/hosts/never_blocks.cpp - one thread serves many, whatever store and signatures wait for; ratios of one run.
// SPDX-License-Identifier: MIT
#include <regrant/host/asio.hpp>
#include <regrant/host/beast.hpp>

#include <regrant/regrant.hpp>

#include <boost/asio.hpp>
#include <boost/beast.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using namespace regrant;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

constexpr clock_type::duration far_away = 5ms;
/// A refresh finds the row, then advances it.
constexpr int calls_per_refresh = 2;

int passed = 0, failed = 0;

void check(bool holds, const std::string& what) {
    std::printf("%s %s\n", holds ? "ok    " : "FAILED", what.c_str());
    ++(holds ? passed : failed);
}

/// A store that is far away: each call takes its time, and no thread.
struct far_store {
    memory_store& rows;
    clock_type::duration delay;
    template <class T> using answer = asio::awaitable<result<T, outage>>;

    asio::awaitable<void> travel() const {
        if (delay == delay.zero()) co_return;
        asio::steady_timer timer(co_await asio::this_coro::executor, delay);
        co_await timer.async_wait(asio::use_awaitable);
    }
    answer<insert_outcome> insert(const grant& row) {
        co_await travel();
        co_return rows.insert(row);
    }
    answer<std::optional<grant>> find(const row_key& key) {
        co_await travel();
        co_return rows.find(key);
    }
    answer<advance_outcome> advance(const row_key& key, generation expected, generation next, instant now) {
        co_await travel();
        co_return rows.advance(key, expected, next, now);
    }
    answer<void> revoke(const row_key& key) {
        co_await travel();
        co_return rows.revoke(key);
    }
};

/// Signs nothing.
struct null_signer {
    std::string_view key_id() const { return "none"; }
    result<void, outage> sign(std::span<const std::string_view> inputs, std::span<signature> signatures) const {
        for (std::size_t i = 0; i != inputs.size(); ++i) signatures[i].size_bytes = 256;
        return {};
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
    server(Issuer& issuer, clock_type::duration delay) : store_{rows_, delay}, issuer_(issuer) {
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
        token_endpoint issuing(rows_, known, null_, keyring());
        return std::string(issuing.issue({"web", "alice", "openid"})->refresh_token.reveal());
    }

private:
    memory_store rows_{};
    far_store store_;
    Issuer& issuer_;
    jwt_issuer<null_signer> null_ = *jwt_issuer<null_signer>::make({"https://id.example"}, {});
    client_list clients_ = clients();
    async_token_endpoint<far_store, client_list, Issuer> endpoint_{store_, clients_, issuer_, keyring()};
    asio::io_context loop_{1};
    asio::ip::tcp::acceptor acceptor_{loop_, {asio::ip::address_v4::loopback(), 0}};
    std::thread thread_{};
};

asio::awaitable<std::string> ask(boost::beast::tcp_stream& stream, http::verb method, std::string_view path,
                                 std::string body) {
    http::request<http::string_body> request(method, path, 11);
    request.set(http::field::host, "localhost");
    request.set(http::field::content_type, "application/x-www-form-urlencoded");
    request.body() = std::move(body);
    request.prepare_payload();
    co_await http::async_write(stream, request, asio::use_awaitable);
    boost::beast::flat_buffer buffer;
    buffer.reserve(4096); // else it reads 512 bytes at a time, each behind all other connections
    http::response<http::string_body> response;
    co_await http::async_read(stream, buffer, response, asio::use_awaitable);
    co_return response.result() == http::status::ok ? std::move(response.body()) : std::string("refused");
}

/// One chain of refreshes on one connection, for some time.
asio::awaitable<void> chain(asio::ip::tcp::endpoint to, std::string token, clock_type::time_point from,
                            clock_type::time_point until, std::size_t& refreshes, bool& sound) {
    asio::steady_timer begin(co_await asio::this_coro::executor, from);
    co_await begin.async_wait(asio::use_awaitable);
    boost::beast::tcp_stream stream(co_await asio::this_coro::executor);
    co_await stream.async_connect(to, asio::use_awaitable);
    stream.socket().set_option(asio::ip::tcp::no_delay(true));
    while (clock_type::now() < until) {
        const std::string answer =
            co_await ask(stream, http::verb::post, "/oauth2/token",
                         "grant_type=refresh_token&client_id=web&client_secret=s&refresh_token=" + token);
        constexpr std::string_view mark = R"("refresh_token":")";
        const std::size_t at = answer.find(mark);
        sound = sound && at != answer.npos;
        if (!sound) co_return;
        token = answer.substr(at + mark.size(), token_keyring::token_characters);
        ++refreshes;
    }
}

/// How long a route that needs nothing takes to answer, in milliseconds, again and again.
asio::awaitable<void> probe(asio::ip::tcp::endpoint to, clock_type::time_point until, std::vector<double>& took) {
    boost::beast::tcp_stream stream(co_await asio::this_coro::executor);
    co_await stream.async_connect(to, asio::use_awaitable);
    stream.socket().set_option(asio::ip::tcp::no_delay(true));
    asio::steady_timer timer(co_await asio::this_coro::executor);
    while (clock_type::now() < until) {
        const auto begun = clock_type::now();
        (void)co_await ask(stream, http::verb::get, "/health", {});
        took.push_back(std::chrono::duration<double, std::milli>(clock_type::now() - begun).count());
        timer.expires_after(3ms);
        co_await timer.async_wait(asio::use_awaitable);
    }
}

struct outcome {
    double refreshes_per_second;
    double median_health_ms;
    bool sound;
};

/// Loads a server with chains of refreshes for a while, probing its health beside.
template <class Issuer> outcome load(server<Issuer>& target, std::size_t connections, clock_type::duration span) {
    asio::io_context loop(1);
    const auto begin = clock_type::now();
    const auto until = begin + span;
    std::size_t refreshes = 0;
    bool sound = true;
    std::vector<double> took;
    // Real clients do not all begin at once.
    const auto apart = calls_per_refresh * far_away / static_cast<int>(connections);
    for (std::size_t i = 0; i != connections; ++i)
        asio::co_spawn(loop,
                       chain(target.address(), target.first_token(), begin + static_cast<int>(i) * apart, until,
                             refreshes, sound),
                       asio::detached);
    asio::co_spawn(loop, probe(target.address(), until, took), asio::detached);
    loop.run();
    const std::chrono::duration<double> elapsed = clock_type::now() - begin;
    if (took.empty()) took.push_back(0);
    std::nth_element(took.begin(), took.begin() + static_cast<std::ptrdiff_t>(took.size() / 2), took.end());
    return {static_cast<double>(refreshes) / elapsed.count(), took[took.size() / 2], sound && refreshes != 0};
}

std::string with_two_digits(double number) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f", number);
    return text;
}

} // namespace

int main() {
    constexpr std::size_t connections = 64;
    auto plain = *jwt_issuer<null_signer>::make({"https://id.example"}, {});
    {
        server<jwt_issuer<null_signer>> far(plain, far_away);
        const outcome alone = load(far, 1, 1s);
        const outcome seen = load(far, connections, 2s);
        const double bound = connections / (std::chrono::duration<double>(far_away).count() * calls_per_refresh);
        check(alone.sound && seen.sound, "every refresh over a far store is answered");
        // Were the thread to wait for the store, 64 connections would get no further than one. How close it comes to
        // what the store allows depends on what else the machine does.
        const double times = seen.refreshes_per_second / alone.refreshes_per_second;
        check(times > 8, "one thread, 2 store calls of 5 ms: 64 connections refresh " + with_two_digits(times) +
                             " times as often as one, " +
                             with_two_digits(seen.refreshes_per_second / bound) + " of the store's rate");
    }

    auto rsa = *jwt_issuer<signing_key>::make({"https://id.example"}, *signing_key::generate());
    asio::thread_pool pool(1);
    host::pooled_issuer<jwt_issuer<signing_key>> pooled(rsa, pool);
    outcome on_pool{}, inline_{};
    {
        server<host::pooled_issuer<jwt_issuer<signing_key>>> never_blocks(pooled, clock_type::duration::zero());
        on_pool = load(never_blocks, 16, 2s);
        check(on_pool.sound, "every refresh signed on a pool is answered");
    }
    pool.join();
    {
        // The control: what the pool is for.
        server<jwt_issuer<signing_key>> blocks(rsa, clock_type::duration::zero());
        inline_ = load(blocks, 16, 2s);
        check(inline_.sound, "every refresh signed on the loop is answered");
    }
    check(on_pool.median_health_ms < 2, "health beside 16 chains of RS256 refreshes on a pool: median " +
                                            with_two_digits(on_pool.median_health_ms) + " ms");
    const double times = inline_.median_health_ms / on_pool.median_health_ms;
    check(times > 3, "signed on the loop instead it takes " + with_two_digits(times) + " times as long");
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
