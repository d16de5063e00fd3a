// tests/bench/stores.cpp - refreshes per second over one store, without signatures, by threads or coroutines.
// SPDX-License-Identifier: MIT
//
// tests/bench/stores runs it. Prints lines of: who asks, how many at once, refreshes per second.
#include <regrant/regrant.hpp>
#include <regrant/store/async_postgresql.hpp>
#include <regrant/store/async_redis.hpp>
#include <regrant/store/sqlite.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <sqlite3.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace regrant;
using namespace std::chrono_literals;
using watch = std::chrono::steady_clock;
namespace asio = boost::asio;

constexpr std::chrono::milliseconds warming(300), measuring(2000);

[[noreturn]] void fail(const std::string& why) {
    std::fprintf(stderr, "%s\n", why.c_str());
    std::exit(1);
}

template <class T, class E> T good(result<T, E> answer) {
    if (answer) return *std::move(answer);
    if constexpr (requires { answer.error().message; }) fail(answer.error().message);
    else fail(answer.error().detail);
}

struct null_issuer {
    result<minted_tokens, outage> mint(const mint_order&) const { return minted_tokens{secret("access"), {}, 300s}; }
};

client_list one_client() {
    client spa{"spa", client_policy::of<auth_method::none>()};
    spa.scope = *scope::parse("openid profile");
    std::vector<client> all;
    all.push_back(std::move(spa));
    return *client_list::make(std::move(all));
}

token_keyring keys() {
    std::vector<token_key> ring;
    ring.push_back({token_key_id{1}, secret("0123456789abcdef0123456789abcdef")});
    return *token_keyring::make(std::move(ring));
}

http_request refreshing(const std::string& token) {
    http_request request;
    request.method = "POST";
    request.header("Content-Type", "application/x-www-form-urlencoded");
    request.body = secret("grant_type=refresh_token&client_id=spa&refresh_token=" + token);
    return request;
}

std::string token_in(const http_reply& reply) {
    constexpr std::string_view mark = "\"refresh_token\":\"";
    const std::size_t begin = reply.body.find(mark);
    if (reply.status != http_status::ok || begin == std::string::npos) fail("a refresh failed: " + reply.body);
    return reply.body.substr(begin + mark.size(), token_keyring::token_characters);
}

/// Counts what falls into the time of measuring.
struct counter {
    watch::time_point from = watch::now() + warming, until = from + measuring;
    std::atomic<std::size_t> counted{0};
    bool goes_on() {
        const auto now = watch::now();
        if (now >= from && now < until) counted.fetch_add(1, std::memory_order_relaxed);
        return now < until;
    }
    double per_second() const {
        return static_cast<double>(counted) / std::chrono::duration<double>(measuring).count();
    }
};

template <class Store, class Issuer> double by_threads(Store& store, Issuer& issuer, std::size_t many) {
    client_list clients = one_client();
    token_endpoint endpoint(store, clients, issuer, keys());
    std::vector<std::string> tokens;
    for (std::size_t i = 0; i != many; ++i)
        tokens.emplace_back(good(endpoint.issue({"spa", "alice", "openid profile"})).refresh_token.reveal());
    counter seen;
    std::vector<std::thread> all;
    for (std::string& token : tokens)
        all.emplace_back([&] {
            do token = token_in(endpoint.respond(refreshing(token)));
            while (seen.goes_on());
        });
    for (std::thread& each : all) each.join();
    return seen.per_second();
}

template <class Store> double by_coroutines(asio::io_context& context, Store& store, std::size_t many) {
    client_list clients = one_client();
    null_issuer issuer;
    async_token_endpoint endpoint(store, clients, issuer, keys());
    counter seen;
    for (std::size_t i = 0; i != many; ++i)
        asio::co_spawn(
            context,
            [&]() -> asio::awaitable<void> {
                auto first = co_await endpoint.issue({"spa", "alice", "openid profile"});
                std::string token(good(std::move(first)).refresh_token.reveal());
                do {
                    const http_reply reply = co_await endpoint.respond(refreshing(token));
                    token = token_in(reply);
                } while (seen.goes_on());
            },
            asio::detached);
    context.run();
    context.restart();
    return seen.per_second();
}

void print(const char* who, std::size_t many, double rate) {
    std::printf("%s %zu %.1f\n", who, many, rate);
    std::fflush(stdout);
}

constexpr std::size_t crowds[] = {1, 8, 32};

template <class Store> void threads(Store& store) {
    null_issuer issuer;
    for (const std::size_t many : crowds) print("threads", many, by_threads(store, issuer, many));
}

template <class Open> void coroutines(Open open) {
    asio::io_context context;
    auto store = good(open(context.get_executor()));
    for (const std::size_t many : crowds) print("coroutines", many, by_coroutines(context, store, many));
}

/// How many bytes of file a family takes, when the log has been written back.
void size_of_sqlite(const std::string& path, unsigned families) {
    auto store = good(sqlite_store::open(path, {sqlite_synchronous::normal, 5s}));
    const auto bytes_now = [&] {
        sqlite3* db = nullptr;
        sqlite3_open(path.c_str(), &db);
        sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", nullptr, nullptr, nullptr);
        sqlite3_close(db);
        return static_cast<double>(std::filesystem::file_size(path));
    };
    const double before = bytes_now();
    for (unsigned i = 0; i != families; ++i) {
        row_key key, user;
        key.bytes = good(sha256("family " + std::to_string(i)));
        user.bytes = good(sha256("user " + std::to_string(i)));
        const std::string subject = base64url(user.bytes).substr(0, 36);
        grant row(key, {"web-client-of-example", subject, "openid profile email offline_access"});
        row.issued_at = row.used_at = current_time();
        row.expires_at = row.issued_at + std::chrono::days(90);
        good(store.insert(row));
    }
    std::printf("bytes %.1f\n", (bytes_now() - before) / families);
}

} // namespace

int main(int count, char** words) {
    const std::string_view what = count > 1 ? words[1] : "";
    const std::string at = count > 2 ? words[2] : "";
    constexpr auto patience = 20s;
    if (what == "memory") {
        memory_store store;
        threads(store);
    } else if (what == "signed") {
        memory_store store;
        auto key = good(signing_key::generate());
        auto issuer = good(jwt_issuer<signing_key>::make({"https://id.example"}, std::move(key)));
        print("threads", 1, by_threads(store, issuer, 1));
    } else if (what == "sqlite-full" || what == "sqlite-normal") {
        const auto how = what == "sqlite-full" ? sqlite_synchronous::full : sqlite_synchronous::normal;
        auto store = good(sqlite_store::open(at, {how, patience}));
        threads(store);
    } else if (what == "sqlite-size") {
        size_of_sqlite(at, 100'000);
    } else if (what == "postgresql-full" || what == "postgresql-normal") {
        const auto how = what == "postgresql-full" ? postgresql_synchronous::full : postgresql_synchronous::normal;
        const postgresql_settings settings{how, patience, 32};
        {
            auto store = good(postgresql_store::open(at, settings));
            threads(store);
        }
        coroutines([&](auto executor) { return async_postgresql_store::open(executor, at, settings); });
    } else if (what == "redis-always" || what == "redis-everysec") {
        redis_settings settings;
        settings.durability = what == "redis-always" ? redis_durability::always : redis_durability::everysec;
        settings.timeout = patience;
        settings.connections = 32;
        {
            auto store = good(redis_store::open(at, settings));
            threads(store);
        }
        coroutines([&](auto executor) { return async_redis_store::open(executor, at, settings); });
    } else {
        fail("tests/bench/stores runs this");
    }
    std::printf("sqlite %s\n", sqlite3_libversion());
}
