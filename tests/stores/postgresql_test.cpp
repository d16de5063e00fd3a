// tests/stores/postgresql_test.cpp - the PostgreSQL store against real servers, some of which are killed.
// SPDX-License-Identifier: MIT
//
// Run by `postgresql_server.py with`, which starts the servers and says in the environment where they are.
#include <regrant/store/postgresql.hpp>

#include "postgresql_scene.hpp"

#include <regrant/client_list.hpp>
#include <regrant/testing/store_conformance.hpp>
#include <regrant/token_endpoint.hpp>

#include <doctest/doctest.h>

#include <libpq-fe.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

namespace {

using namespace regrant;
using namespace scene;
using namespace std::chrono_literals;

static_assert(token_store<postgresql_store> && can_revoke_subject<postgresql_store> &&
              can_list_subject<postgresql_store> && can_reap<postgresql_store>);
static_assert(std::is_nothrow_move_constructible_v<postgresql_store> &&
              !std::is_copy_constructible_v<postgresql_store>);

postgresql_settings relaxed() { return {postgresql_synchronous::normal, unhurried, 16}; }
postgresql_settings impatient(std::chrono::milliseconds timeout, std::size_t connections = 16) {
    return {postgresql_synchronous::full, timeout, connections};
}

postgresql_store opened(const std::string& at, postgresql_settings settings = impatient(unhurried)) {
    auto store = postgresql_store::open(at, settings);
    for (int late = 0; late != 20 && !store && is_late(store.error()); ++late)
        store = postgresql_store::open(at, settings);
    INFO((store ? std::string() : store.error().message));
    REQUIRE(store.has_value());
    return *std::move(store);
}

grant found(postgresql_store& store, const row_key& key) {
    auto row = store.find(key);
    INFO((row ? std::string() : row.error().detail));
    REQUIRE(row.has_value());
    REQUIRE(row->has_value());
    return **row;
}

/// A token endpoint over a store.
struct stage {
    explicit stage(postgresql_store& store) : endpoint(store, clients, issuer, keys(), {}, hooks) {}

    std::string log_in(std::string_view subject = "alice") {
        auto answer = endpoint.issue({"spa", subject, "profile"});
        for (int late = 0; late != 20 && !answer; ++late) answer = endpoint.issue({"spa", subject, "profile"});
        INFO((answer ? std::string() : answer.error().detail));
        REQUIRE(answer.has_value());
        return std::string(answer->refresh_token.reveal());
    }
    http_reply refresh(const std::string& token) {
        return endpoint.respond(refreshing(token));
    }

    client_list clients = one_client();
    null_issuer issuer;
    counting_hooks hooks;
    token_endpoint<postgresql_store, client_list, null_issuer, counting_hooks> endpoint;
};

} // namespace

TEST_CASE("a row comes back as it was given, whatever bytes its text is of (R82)") {
    auto store = opened(fresh_schema());
    grant row(key_of(1), {"client \xC3\xA9", std::string_view("a\0b", 3), "openid \xFF", "https://api", "jkt\\x41'"});
    row.rotation = rotation::echo;
    row.issued_at = instant(-5ms);
    row.used_at = noon + 1ms;
    row.expires_at = instant(std::chrono::milliseconds(std::int64_t{1} << 53));
    row.auth_time = std::chrono::sys_seconds(7s);
    row.current = last_generation;
    CHECK(is_inserted(store.insert(row)));
    CHECK_FALSE(is_inserted(store.insert(row_of(1, "mallory"))));
    CHECK(testing::difference(found(store, row.key), row) == "");
    REQUIRE(store.list_subject(row.subject()).has_value());
    CHECK(store.list_subject(row.subject())->size() == 1);
    CHECK(store.list_subject("a")->empty());
    CHECK_FALSE(store.find(key_of(2))->has_value());

    row.key = key_of(3);
    row.state = revocation::revoked;
    row.auth_time.reset();
    CHECK(is_inserted(store.insert(row)));
    CHECK(testing::difference(found(store, row.key), row) == "");
    CHECK_FALSE(is_advanced(store.advance(row.key, last_generation, last_generation, noon)));
}

TEST_CASE("advance moves a live row that stands where it is expected, and its time never back (R49, R50)") {
    for (const auto synchronous : {postgresql_synchronous::full, postgresql_synchronous::normal}) {
        auto store = opened(fresh_schema(), {synchronous, 5s, 16});
        CHECK(is_inserted(store.insert(row_of(1))));
        CHECK(is_advanced(store.advance(key_of(1), generation{0}, generation{3}, noon + 9ms)));
        CHECK_FALSE(is_advanced(store.advance(key_of(1), generation{0}, generation{1}, noon + 99ms)));
        CHECK_FALSE(is_advanced(store.advance(key_of(2), generation{0}, generation{1}, noon)));
        CHECK(is_advanced(store.advance(key_of(1), generation{3}, generation{3}, noon - 9ms)));
        CHECK(found(store, key_of(1)).current == generation{3});
        CHECK(found(store, key_of(1)).used_at == noon + 9ms);
        CHECK(store.revoke(key_of(1)).has_value());
        CHECK(store.revoke(key_of(1)).has_value());
        CHECK(store.revoke(key_of(2)).has_value());
        CHECK(found(store, key_of(1)).state == revocation::revoked);
        CHECK_FALSE(is_advanced(store.advance(key_of(1), generation{3}, generation{4}, noon)));
    }
}

TEST_CASE("a subject's families end together; reap forgets what has expired, in batches (R44, R50)") {
    auto store = opened(fresh_schema());
    for (unsigned i = 0; i != 600; ++i) CHECK(is_inserted(store.insert(row_of(i, i < 3 ? "bob" : "alice"))));
    CHECK(*store.revoke_subject("bob") == 3);
    CHECK(*store.revoke_subject("bob") == 0);
    CHECK(found(store, key_of(2)).state == revocation::revoked);
    CHECK(found(store, key_of(3)).state == revocation::live);
    CHECK(*store.reap(noon + 24h) == 0);
    CHECK(*store.reap(noon + 24h + 1ms) == 600);
    CHECK(store.list_subject("alice")->empty());
}

TEST_CASE("the conformance kit passes, with connections cut and rows set back (R47 to R53)") {
    const std::string at = fresh_schema();
    for (const auto synchronous : {postgresql_synchronous::full, postgresql_synchronous::normal}) {
        conformance_options options;
        options.rounds = synchronous == postgresql_synchronous::full ? 20 : 5;
        options.fault = cut_connections;
        options.set_back = [&](const row_key& key, generation to) { set_back(at, key, to); };
        // Every other thread has a store of its own, as two servers would.
        auto one = opened(at, {synchronous, 5s, 16}), other = opened(at, {synchronous, 5s, 16});
        bool odd = false;
        const auto report = check_store([&]() -> postgresql_store& { return (odd = !odd) ? one : other; }, options);
        INFO(report.describe());
        CHECK(report.passed());
        MESSAGE(report.count(check_outcome::passed) << " checks of the kit passed, "
                                                    << report.count(check_outcome::skipped) << " skipped");
    }
}

TEST_CASE("the kit finds an advance that reads in a CTE, which takes no lock (R47, R50)") {
    struct careless_store {
        explicit careless_store(const std::string& at) : good(opened(at, impatient(5s, 1))), raw(at) {}
        auto insert(const grant& row) { return good.insert(row); }
        auto find(const row_key& key) { return good.find(key); }
        auto revoke(const row_key& key) { return good.revoke(key); }
        result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next, instant now) {
            const auto number = [](generation which) { return std::to_string(static_cast<std::uint32_t>(which)); };
            const std::lock_guard lock(mutex);
            const auto moved = raw.run(
                "WITH seen AS MATERIALIZED (SELECT row_key FROM regrant_family WHERE row_key = " + hex_of(key) +
                " AND generation = " + number(expected) + " AND NOT revoked), moved AS (UPDATE regrant_family AS f SET "
                "generation = " + number(next) + ", used_at = GREATEST(used_at, " +
                std::to_string(now.time_since_epoch().count()) + ") FROM seen WHERE f.row_key = seen.row_key "
                "RETURNING 1) SELECT count(*) FROM moved");
            return moved == "1" ? advance_outcome::advanced : advance_outcome::refused;
        }
        postgresql_store good;
        raw_connection raw;
        std::mutex mutex;
    };
    const std::string at = fresh_schema();
    opened(at);
    conformance_options options;
    options.threads = 4;
    options.rounds = 10;
    const auto report = check_store([&] { return std::make_unique<careless_store>(at); }, options);
    CHECK_FALSE(report.passed());
    CHECK(report.count(check_outcome::passed) > 5);
}

TEST_CASE("64 requests with one token get the same successor and make one generation (R47)") {
    auto store = opened(fresh_schema());
    stage at(store);
    std::string token = at.log_in();
    for (int round = 0; round != 3; ++round) {
        std::barrier start(64);
        std::vector<std::string> successors(64);
        std::vector<std::thread> all;
        for (std::string& mine : successors)
            all.emplace_back([&] {
                start.arrive_and_wait();
                mine = token_in(at.refresh(token));
            });
        for (std::thread& each : all) each.join();
        CHECK(std::set<std::string>(successors.begin(), successors.end()).size() == 1);
        token = successors.front();
        REQUIRE_FALSE(token.empty());
    }
    CHECK(at.hooks.rotated == 3);
    CHECK(found(store, open_token(token).key).current == generation{3});
}

TEST_CASE("a server killed amid a load loses nothing that was answered, and logs nobody out (R51, R53, R50)") {
    constexpr auto timeout = 1s;
    auto store = opened(fresh_schema(), impatient(timeout, 8));
    stage at(store);
    constexpr std::size_t workers = 8, logins_each = 3;
    std::vector<std::string> tokens;
    for (std::size_t i = 0; i != workers * logins_each; ++i) tokens.push_back(at.log_in());
    const auto logins_before = tokens;

    std::atomic<bool> enough{false};
    std::atomic<unsigned> answered{0}, outages{0}, refused{0}, without_retry_after{0};
    std::atomic<std::size_t> revoked{0};
    std::atomic<std::int64_t> slowest{0};
    std::mutex mutex;
    std::vector<std::string> ended;
    std::vector<std::thread> all;
    for (std::size_t worker = 0; worker != workers; ++worker)
        all.emplace_back([&, worker] {
            for (std::size_t turn = 0; !enough; ++turn) {
                std::string& token = tokens[worker * logins_each + turn % logins_each];
                http_reply reply;
                const std::int64_t took = time_of([&] { reply = at.refresh(token); }).count();
                for (auto seen = slowest.load(); seen < took && !slowest.compare_exchange_weak(seen, took);) {}
                if (reply.status == http_status::ok) {
                    token = token_in(reply);
                    ++answered;
                } else if (reply.status == http_status::service_unavailable) {
                    ++outages;
                    if (reply.header("Retry-After").empty()) ++without_retry_after;
                    std::this_thread::sleep_for(10ms);
                } else ++refused;
                if (turn % 8 != 0) continue;
                auto other = at.endpoint.issue({"spa", "bob", "profile"});
                if (!other || !at.endpoint.revoke(other->refresh_token.reveal())) continue;
                const std::lock_guard lock(mutex);
                ended.emplace_back(other->refresh_token.reveal());
                ++revoked;
            }
        });
    for (int kills = 0; kills != 3; ++kills) {
        const unsigned answered_before = answered;
        const std::size_t ended_before = revoked;
        CHECK(eventually([&] { return answered > answered_before + 100 && revoked > ended_before; }));
        control("kill");
        const unsigned outages_before = outages;
        CHECK(eventually([&] { return outages > outages_before; }));
        control("start");
    }
    const unsigned answered_by_then = answered;
    CHECK(eventually([&] { return answered > answered_by_then + 100; }));
    enough = true;
    for (std::thread& each : all) each.join();

    MESSAGE(answered.load() << " refreshed, " << outages.load() << " times 503, " << ended.size()
                            << " revoked, the slowest answer " << slowest.load() << " ms");
    CHECK(refused == 0);
    CHECK(without_retry_after == 0);
    CHECK(slowest < std::chrono::milliseconds(2 * timeout + busy).count()); // a refresh is two calls
    // A row behind its token would have been an acknowledged rotation lost.
    CHECK(at.hooks.healed == 0);
    CHECK(at.hooks.revoked == 0);
    for (const std::string& token : tokens) {
        const opened_token newest = open_token(token);
        CHECK(found(store, newest.key).current >= newest.lineage.generation);
        CHECK(status_in_the_end([&] { return at.refresh(token); }) == http_status::ok);
    }
    for (const std::string& token : ended) {
        CHECK(status_in_the_end([&] { return at.refresh(token); }) == http_status::bad_request);
        CHECK(found(store, open_token(token).key).state == revocation::revoked);
    }
}

TEST_CASE("with `normal` a killed server loses advances, which heal; a revoke stays (R53, R50)") {
    auto store = opened(fresh_schema(), relaxed());
    stage at(store);
    // Some of it reaches the disk by chance, so it is tried more than once.
    for (int attempt = 0; attempt != 5 && at.hooks.healed == 0; ++attempt) {
        std::string token = at.log_in();
        const std::string other = token_in(at.refresh(at.log_in("bob")));
        REQUIRE(at.endpoint.revoke(other).has_value());
        for (int i = 0; i != 4; ++i) token = token_in(at.refresh(token));
        control("kill");
        control("start");
        const opened_token newest = open_token(token);
        const auto row = found(store, newest.key);
        MESSAGE("of 4 advances the server forgot " << 4 - static_cast<std::uint32_t>(row.current));
        const http_reply healed = at.refresh(token);
        CHECK(healed.status == http_status::ok);
        CHECK(open_token(token_in(healed)).lineage.generation == next(newest.lineage.generation));
        CHECK(at.refresh(token_in(healed)).status == http_status::ok);
        CHECK(at.refresh(other).status == http_status::bad_request);
    }
    CHECK(at.hooks.healed > 0);
}

TEST_CASE("a row set back heals, up to the limit; a revoked family stays revoked (R53, R38)") {
    const std::string schema = fresh_schema();
    auto store = opened(schema);
    stage at(store);
    const std::string first = at.log_in();
    std::string token = first;
    for (int i = 0; i != 9; ++i) token = token_in(at.refresh(token));
    const row_key key = open_token(token).key;
    set_back(schema, key, first_generation);
    CHECK(at.refresh(token).status == http_status::bad_request); // nine behind, where eight are allowed
    set_back(schema, key, generation{1});
    const std::string healed = token_in(at.refresh(token));
    CHECK(open_token(healed).lineage.generation == generation{10});
    CHECK(at.hooks.healed == 1);
    CHECK(at.refresh(first).status == http_status::bad_request); // a replay: it ends the family
    CHECK(at.hooks.revoked == 1);
    set_back(schema, key, generation{9});
    CHECK(at.refresh(healed).status == http_status::bad_request);
}

TEST_CASE("updates touch no index and stay on their page (HOT)") {
    const std::string schema = fresh_schema();
    raw_connection raw(schema);
    {
        auto store = opened(schema);
        for (unsigned i = 0; i != 100; ++i) CHECK(is_inserted(store.insert(row_of(i))));
        for (std::uint32_t round = 0; round != 10; ++round)
            for (unsigned i = 0; i != 100; ++i)
                CHECK(is_advanced(store.advance(key_of(i), generation{round}, generation{round + 1}, noon)));
    }
    std::int64_t hot = 0;
    // Both counts in one statement: a server shows them late, and between two statements too.
    CHECK(eventually([&] {
        const std::string counts = raw.run("SELECT n_tup_upd || ' ' || n_tup_hot_upd FROM pg_stat_user_tables "
                                           "WHERE relid = 'regrant_family'::regclass");
        hot = std::stoll(counts.substr(counts.find(' ')));
        return std::stoll(counts) >= 1000;
    }));
    MESSAGE(hot << " of 1000 updates were HOT");
    CHECK(hot >= 950);
    CHECK(std::stoll(raw.run("SELECT pg_relation_size('regrant_family')")) <= 10 * 8192);
}

TEST_CASE("a long chain of refreshes leaves one row, and a store no bigger than after 100") {
    const std::string schema = fresh_schema();
    auto store = opened(schema, relaxed());
    raw_connection raw(schema);
    const auto size = [&] { return std::stoll(raw.run("SELECT pg_total_relation_size('regrant_family')")); };
    CHECK(is_inserted(store.insert(row_of(1))));
    std::uint32_t made = 0;
    const auto advance_to = [&](std::uint32_t last) {
        for (; made != last; ++made)
            REQUIRE(is_advanced(store.advance(key_of(1), generation{made}, generation{made + 1}, noon)));
    };
    advance_to(100);
    const auto after_100 = size();
    // 100,000 take half a minute on a busy machine.
    const std::uint32_t last = std::getenv("REGRANT_LONG_TESTS") != nullptr ? 100'000 : 20'000;
    const auto took = time_of([&] { advance_to(last); });
    MESSAGE(after_100 << " bytes after 100, " << size() << " after " << last << "; " << took.count() << " ms");
    // Old versions stay while anybody's snapshot sees them, autovacuum's too: some pages, not a thousand.
    CHECK(size() <= after_100 + 32 * 8192);
    CHECK(raw.run("SELECT count(*) FROM regrant_family") == "1");
    CHECK(found(store, key_of(1)).current == generation{last});
}

TEST_CASE("what cannot be a token store is refused with the reason, and never with the password (R76)") {
    const std::string secret_word = "hunter2";
    const auto refused = [&](const std::string& at) {
        result<postgresql_store, setup_error> store = postgresql_store::open(at, impatient(500ms));
        REQUIRE_FALSE(store.has_value());
        INFO(at << " -> " << store.error().message);
        CHECK(store.error().message.find("hunter2") == std::string::npos);
        CHECK(store.error().message.starts_with("the PostgreSQL token store: "));
        CHECK(store.error().message.size() > 40);
        return store.error().message;
    };
    for (const char* garbage :
         {"hunter2", "host=127.0.0.1 password=a hunter2", "postgresql://user:hunter2@[::1/db", "password='hunter2",
          "postgresql://user:x@hunter2@127.0.0.1:1/db", "postgresql://user:a/hunter2@127.0.0.1/db",
          "postgresql://127.0.0.1:hunter2/db", "dbname=postgresql://u:hunter2@127.0.0.1/db port=1 host=127.0.0.1",
          "host=127.0.0.1 port=1 password=hunter2 user=u", "postgresql://u:hunter2@127.0.0.1:1/db?sslmode=require",
          "host=127.0.0.1 port=99999 password=hunter2", "host=127.0.0.1 sslmode=hunter password=hunter2"})
        refused(garbage);
    refused(std::string("host=127.0.0.1\0password=hunter2", 30));
    CHECK(refused("host=127.0.0.1 port=1").find("refused") != std::string::npos);
    CHECK(refused(server() + " dbname=nowhere").find("\"nowhere\" does not exist") != std::string::npos);
    CHECK(refused(server() + " options='-c search_path=nowhere'").find("search_path") != std::string::npos);

    raw_connection().run("DROP ROLE IF EXISTS needs_password; CREATE ROLE needs_password LOGIN PASSWORD 'hunter23'");
    CHECK(refused(server() + " user=needs_password password=hunter24").find("authentication") != std::string::npos);
    // Right, but it may not make tables there.
    CHECK(refused(server() + " user=needs_password password=hunter23").find("permission denied") != std::string::npos);
    raw_connection().run("DROP ROLE needs_password");

    for (const auto timeout : {0ms, -1ms, 3'600'001ms})
        CHECK_FALSE(postgresql_store::open(server(), impatient(timeout)));
    CHECK_FALSE(postgresql_store::open(server(), impatient(1s, 0)));
    CHECK_FALSE(postgresql_store::open(server(), impatient(1s, 1001)));
}

TEST_CASE("an empty schema that another server has begun to fill is waited for, until the timeout (R51)") {
    const std::string at = fresh_schema();
    raw_connection filling(at);
    filling.run("BEGIN");
    filling.run("SELECT pg_advisory_xact_lock(5936428674130726516)"); // as make_or_check_schema does
    const auto waited = time_of([&] {
        const auto refused = postgresql_store::open(at, impatient(500ms));
        REQUIRE_FALSE(refused.has_value());
        INFO(refused.error().message);
        CHECK(refused.error().message.starts_with("the PostgreSQL token store: "));
    });
    CHECK(waited >= 400ms);
    CHECK(waited < 500ms + busy);
    filling.run("ROLLBACK");
    CHECK(postgresql_store::open(at).has_value());
}

TEST_CASE("somebody who listens and says nothing is given up at the timeout (R51)") {
    const int silent = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(bind(silent, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(listen(silent, 8) == 0);
    REQUIRE(getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    const std::string at = "host=127.0.0.1 port=" + std::to_string(ntohs(address.sin_port));
    const auto took = time_of([&] {
        const auto store = postgresql_store::open(at, impatient(300ms));
        REQUIRE_FALSE(store.has_value());
        CHECK(store.error().message.find("no answer within the timeout") != std::string::npos);
    });
    CHECK(took >= 300ms);
    CHECK(took < 300ms + busy);
    close(silent);
}

TEST_CASE("where the first of several hosts is gone, a store is opened on the second (R51)") {
    // Its queue is full, so that the kernel answers nobody: as a machine that is gone.
    const int gone = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(bind(gone, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(listen(gone, 0) == 0);
    REQUIRE(getsockname(gone, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    std::vector<int> queue;
    for (int i = 0; i != 4; ++i) {
        queue.push_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
        (void)connect(queue.back(), reinterpret_cast<const sockaddr*>(&address), size);
    }
    const std::string at = fresh_schema(), port = std::to_string(ntohs(address.sin_port));
    const std::size_t there = at.find("port=") + 5;
    const std::string both = at + " host=127.0.0.1,127.0.0.1 port=" + port + "," +
                             at.substr(there, at.find(' ', there) - there);
    const auto took = time_of([&] { CHECK(is_inserted(opened(both, impatient(3s)).insert(row_of(1)))); });
    CHECK(took >= 1s);
    for (const int each : queue) close(each);
    close(gone);
}

TEST_CASE("a standby is refused, and of several hosts the primary is found") {
    for (const char* asked : {"", " target_session_attrs=any"}) {
        const auto store = postgresql_store::open(standby() + asked);
        REQUIRE_FALSE(store.has_value());
        CAPTURE(store.error().message);
        CHECK(store.error().message.find("standby") != std::string::npos);
    }
    const auto port = [](const std::string& of) {
        const std::size_t begin = of.find("port=") + 5;
        return of.substr(begin, of.find(' ', begin) - begin);
    };
    auto store = opened(fresh_schema() + " host=127.0.0.1,127.0.0.1 port=" + port(standby()) + "," + port(server()));
    CHECK(is_inserted(store.insert(row_of(1))));
}

TEST_CASE("several servers may start at once; foreign or newer tables are refused and left alone") {
    const std::string schema = fresh_schema();
    std::barrier start(8);
    std::atomic<unsigned> ready{0};
    std::vector<std::thread> all;
    for (int i = 0; i != 8; ++i)
        all.emplace_back([&] {
            start.arrive_and_wait();
            if (postgresql_store::open(schema, impatient(5s, 1))) ++ready;
        });
    for (std::thread& each : all) each.join();
    CHECK(ready == 8);

    raw_connection raw(schema);
    const auto refused = [&](const std::string& why) {
        const auto store = postgresql_store::open(schema);
        REQUIRE_FALSE(store.has_value());
        INFO(store.error().message);
        CHECK(store.error().message.find(why) != std::string::npos);
    };
    raw.run("UPDATE regrant_schema SET version = 2");
    refused("newer");
    raw.run("UPDATE regrant_schema SET version = 0");
    refused("does not know");
    raw.run("DELETE FROM regrant_schema");
    refused("does not know");
    raw.run("DROP TABLE regrant_schema");
    refused("missing");
    raw.run("CREATE TABLE regrant_schema (version integer); INSERT INTO regrant_schema VALUES (1); "
            "ALTER TABLE regrant_family DROP COLUMN used_at");
    refused("used_at");
}

TEST_CASE("connections that died while idle are replaced before anybody fails (R51)") {
    auto store = opened(fresh_schema(), impatient(unhurried, 4));
    CHECK(is_inserted(store.insert(row_of(1))));
    for (std::uint32_t i = 0; i != 5; ++i) {
        cut_connections();
        CHECK(eventually([] {
            return raw_connection().run("SELECT count(*) FROM pg_stat_activity "
                                        "WHERE application_name = 'regrant'") == "0";
        }));
        CHECK(is_advanced(store.advance(key_of(1), generation{i}, generation{i + 1}, noon)));
    }
}

TEST_CASE("no more connections than allowed; who waits too long for one or for a lock meets an outage (R51)") {
    const std::string schema = fresh_schema();
    auto patient = opened(schema, impatient(unhurried, 1));
    CHECK(is_inserted(patient.insert(row_of(1))));
    CHECK(is_inserted(patient.insert(row_of(2))));
    raw_connection raw(schema), watching(schema);
    raw.run("BEGIN; SELECT 1 FROM regrant_family WHERE row_key = " + hex_of(key_of(1)) + " FOR UPDATE");
    CHECK(given_time([&](std::chrono::milliseconds timeout) {
        auto store = opened(schema, impatient(timeout, 2));
        std::vector<std::thread> stuck;
        std::atomic<unsigned> given_up{0};
        std::atomic<bool> is_late = false;
        for (int i = 0; i != 2; ++i)
            stuck.emplace_back([&] {
                const auto took = time_of([&] {
                    given_up += !store.advance(key_of(1), generation{0}, generation{1}, noon);
                });
                if (took > timeout + busy) is_late = true;
            });
        const bool both_wait = is_soon([&] { return waiting_for_a_lock(watching) == 2; }, timeout);
        result<std::optional<grant>, outage> none = std::nullopt;
        const auto took = time_of([&] { none = store.find(key_of(2)); });
        CHECK(took < timeout + busy);
        for (std::thread& each : stuck) each.join();
        CHECK(given_up == 2);
        CHECK_FALSE(is_late);
        // A server ends late what was closed; connections that a store keeps stay. One is the patient store's.
        CHECK(eventually([&] {
            return std::stoi(watching.run("SELECT count(*) FROM pg_stat_activity "
                                          "WHERE application_name = 'regrant'")) <= 3;
        }));
        return both_wait && !none && none.error().detail.find("in use") != std::string::npos;
    }));
    raw.run("COMMIT");
    // What was given up may have happened once, or not.
    CHECK(static_cast<std::uint32_t>(found(patient, key_of(1)).current) <= 1);
}

TEST_CASE("a server that hangs is an outage at the timeout, and used again when it is back (R51)") {
    const std::string schema = fresh_schema();
    CHECK(is_inserted(opened(schema).insert(row_of(1))));
    auto store = opened(schema, impatient(1s, 4));
    control("freeze");
    for (int i = 0; i != 3; ++i) {
        const auto took = time_of([&] { CHECK_FALSE(store.find(key_of(1)).has_value()); });
        CHECK(took < 1s + busy);
    }
    control("thaw");
    CHECK(eventually([&] { return store.find(key_of(1)).has_value(); }));
}

TEST_CASE("while there is no server calls fail at once, and it is found again soon (R51)") {
    auto store = opened(fresh_schema());
    CHECK(is_inserted(store.insert(row_of(1))));
    control("kill");
    CHECK_FALSE(store.find(key_of(1)).has_value());
    const auto took = time_of([&] {
        for (int i = 0; i != 1000; ++i) CHECK_FALSE(store.find(key_of(1)).has_value());
    });
    CHECK(took < busy);
    control("start");
    CHECK(eventually([&] { return store.find(key_of(1)).has_value(); }));
}

TEST_CASE("the store's promises do not hang on the server's defaults (R44, R47)") {
    const std::string schema = fresh_schema();
    raw_connection raw;
    raw.run("ALTER ROLE postgres SET synchronous_commit = off; "
            "ALTER ROLE postgres SET default_transaction_isolation = serializable");
    auto store = opened(schema, impatient(unhurried, 1));
    raw.run("ALTER ROLE postgres RESET ALL");
    CHECK(is_inserted(store.insert(row_of(1))));
    // Under serializable the one that waited would fail.
    raw_connection other(schema);
    other.run("BEGIN; UPDATE regrant_family SET used_at = used_at + 1");
    std::thread waits([&] { CHECK(is_advanced(store.advance(key_of(1), generation{0}, generation{1}, noon))); });
    CHECK(eventually([&] { return waiting_for_a_lock(raw) == 1; }));
    other.run("COMMIT");
    waits.join();

    // Whether all that was answered has left the server's memory; it writes now and then of its own accord.
    const auto is_ever = [&](const char* flushed, const std::function<void()>& act) {
        for (int i = 0; i != 100; ++i) {
            act();
            if (raw.run("SELECT pg_current_wal_flush_lsn() = pg_current_wal_insert_lsn()") == flushed) return true;
        }
        return false;
    };
    auto hasty = opened(schema, relaxed());
    const auto confirm = [](postgresql_store& by) {
        CHECK(is_advanced(by.advance(key_of(1), generation{1}, generation{1}, noon)));
    };
    CHECK(is_ever("f", [&] { confirm(hasty); }));
    CHECK(is_ever("t", [&] { confirm(store); }));
    CHECK(is_ever("f", [&] { confirm(hasty); }));
    CHECK(is_ever("t", [&] { CHECK(hasty.revoke(key_of(1)).has_value()); }));
}

namespace {

/// Which standbys a commit waits for.
struct synchronous_standbys {
    // Left behind, it would make every later test wait.
    ~synchronous_standbys() {
        raw.ask("ALTER SYSTEM RESET synchronous_standby_names");
        raw.ask("SELECT pg_reload_conf()");
    }
    void name(const std::string& names) {
        raw.run("ALTER SYSTEM SET synchronous_standby_names = '" + names + "'");
        raw.run("SELECT pg_reload_conf()");
        CHECK(eventually([&] { return raw.run("SHOW synchronous_standby_names") == names; }));
    }
    raw_connection raw;
};

/// What comes of an act while an operator cancels all waits for a standby.
template <class Act> auto with_waits_cancelled(Act act) {
    std::atomic<bool> done{false};
    raw_connection other;
    std::thread cancels([&] {
        while (!done) {
            other.ask("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
            std::this_thread::sleep_for(20ms);
        }
    });
    auto came_of_it = act();
    done = true;
    cancels.join();
    return came_of_it;
}

/// Whether a row is revoked on the standby's disk; it is seen there a little later.
bool is_revoked_on_the_standby(const std::string& schema, const row_key& key) {
    return eventually([&] {
        raw_connection copy(standby() + schema.substr(server().size()));
        return copy.ask("SELECT revoked FROM regrant_family WHERE row_key = " + hex_of(key)) == "t";
    });
}

} // namespace

TEST_CASE("a revoke is answered when a named standby has it, and not when somebody cancels that wait (R44)") {
    const std::string schema = fresh_schema();
    synchronous_standbys standbys;
    auto store = opened(schema, impatient(800ms)), patient = opened(schema);
    auto hasty = opened(schema, relaxed());
    for (unsigned i = 1; i != 4; ++i) CHECK(is_inserted(patient.insert(row_of(i))));
    standbys.name("nobody");
    // The server's processes hear of it one after another.
    CHECK(eventually([&] { return !store.revoke(key_of(1)).has_value(); }));
    const auto cancelled = with_waits_cancelled([&] { return patient.revoke(key_of(2)); });
    REQUIRE_FALSE(cancelled.has_value());
    CHECK(cancelled.error().detail.find("cancelled") != std::string::npos);
    CHECK(is_advanced(hasty.advance(key_of(3), generation{0}, generation{1}, noon)));
    standbys.name("*");
    CHECK(eventually([&] { return store.revoke(key_of(2)).has_value(); }));
    CHECK(is_revoked_on_the_standby(schema, key_of(2)));
}

TEST_CASE("a wait for a standby that was cancelled is told where the role hides all warnings (R44, R50)") {
    const std::string schema = fresh_schema();
    raw_connection raw;
    raw.run("ALTER ROLE postgres SET client_min_messages = error");
    synchronous_standbys standbys;
    auto store = opened(schema, impatient(unhurried, 1));
    raw.run("ALTER ROLE postgres RESET ALL");
    CHECK(is_inserted(store.insert(row_of(1))));
    standbys.name("nobody");
    // The server's processes hear of it one after another.
    CHECK(with_waits_cancelled([&] { return eventually([&] { return !store.revoke(key_of(1)).has_value(); }); }));
}

TEST_CASE("calls that wait for a standby in vain leave the server its connections (R51)") {
    const std::string schema = fresh_schema();
    synchronous_standbys standbys;
    {
        auto patient = opened(schema);
        for (unsigned i = 0; i != 20; ++i) CHECK(is_inserted(patient.insert(row_of(i))));
    }
    auto store = opened(schema, impatient(300ms, 2));
    standbys.name("nobody");
    CHECK(eventually([&] { return !store.revoke(key_of(0)).has_value(); }));
    for (unsigned i = 1; i != 20; ++i) {
        CHECK_FALSE(store.revoke(key_of(i)).has_value());
        // A busy server is late to end what was given up; one that waits for ever never does.
        CHECK(eventually([&] {
            return std::stoi(standbys.raw.run("SELECT count(*) FROM pg_stat_activity "
                                              "WHERE application_name = 'regrant'")) <= 4;
        }));
    }
    standbys.name("*");
    CHECK(eventually([&] { return store.revoke(key_of(1)).has_value(); }));
}

TEST_CASE("revoke_subject is answered when a named standby has it, however often it was tried before (R44, R45)") {
    const std::string schema = fresh_schema();
    synchronous_standbys standbys;
    auto store = opened(schema, impatient(800ms)), patient = opened(schema);
    for (unsigned i = 1; i != 4; ++i) CHECK(is_inserted(patient.insert(row_of(i, i == 1 ? "alice" : "carol"))));
    standbys.name("nobody");
    CHECK(eventually([&] { return !store.revoke(key_of(1)).has_value(); }));
    // Now it stands on the primary's disk, and on no other.
    CHECK_FALSE(with_waits_cancelled([&] { return patient.revoke_subject("carol"); }).has_value());
    REQUIRE(found(patient, key_of(2)).state == revocation::revoked);
    CHECK_FALSE(store.revoke_subject("carol").has_value());
    standbys.name("*");
    result<std::size_t, outage> ended = unexpected(outage{});
    CHECK(eventually([&] { return (ended = store.revoke_subject("carol")).has_value(); }));
    // They were ended before; what they were is what counts.
    CHECK(*ended == 0);
    CHECK(is_revoked_on_the_standby(schema, key_of(2)));
    CHECK(is_revoked_on_the_standby(schema, key_of(3)));
}

TEST_CASE("the victim of a deadlock, which nothing was done for, is asked again (R44)") {
    const std::string schema = fresh_schema();
    auto store = opened(schema);
    for (unsigned i = 1; i != 3; ++i) CHECK(is_inserted(store.insert(row_of(i))));
    raw_connection other(schema);
    // The one whose patience ends first is the victim.
    other.run("SET deadlock_timeout = '10min'; BEGIN; UPDATE regrant_family SET used_at = used_at WHERE row_key = " +
              hex_of(key_of(2)));
    std::thread revokes([&] {
        const auto ended = store.revoke_subject("alice");
        INFO((ended ? std::string() : ended.error().detail));
        CHECK(ended.has_value());
    });
    {
        raw_connection watching;
        CHECK(eventually([&] { return waiting_for_a_lock(watching) == 1; }));
    }
    other.run("UPDATE regrant_family SET used_at = used_at WHERE row_key = " + hex_of(key_of(1)));
    other.run("COMMIT");
    revokes.join();
    CHECK(found(store, key_of(1)).state == revocation::revoked);
    CHECK(found(store, key_of(2)).state == revocation::revoked);
}

namespace {

constexpr std::size_t shared_logins = 4, shared_rounds = 50;

template <class Move, class Bytes> bool transfer(Move move, int file, Bytes* bytes, std::size_t size) {
    for (std::size_t done = 0; done != size;) {
        const ssize_t now = move(file, bytes + done, size - done);
        if (now <= 0) return false;
        done += static_cast<std::size_t>(now);
    }
    return true;
}

bool send_token(int file, const std::string& token) { return transfer(write, file, token.data(), token.size()); }
std::string receive_token(int file) {
    std::string token(token_keyring::token_characters, ' ');
    return transfer(read, file, token.data(), token.size()) ? token : "";
}

/// This program again, as the driver below.
struct driver {
    explicit driver(const std::string& schema) {
        int to[2], from[2];
        REQUIRE(pipe2(to, O_CLOEXEC) == 0);
        REQUIRE(pipe2(from, O_CLOEXEC) == 0);
        setenv("REGRANT_SHARED", schema.c_str(), 1);
        pid = fork();
        if (pid == 0) {
            dup2(to[0], STDIN_FILENO);
            dup2(from[1], STDOUT_FILENO);
            execl("/proc/self/exe", "driver", "-ns", "-tc=the driver*", "-o=/dev/null", nullptr);
            _exit(127);
        }
        close(to[0]);
        close(from[1]);
        in = to[1];
        out = from[0];
    }
    driver(const driver&) = delete;
    driver& operator=(const driver&) = delete;
    /// \return its exit status
    int end() {
        close(in);
        close(out);
        int status = -1;
        waitpid(pid, &status, 0);
        return status;
    }
    pid_t pid = -1;
    int in = -1, out = -1;
};

} // namespace

TEST_CASE("the driver of one of two processes (not a test)" * doctest::skip()) {
    auto store = opened(from_environment("REGRANT_SHARED"));
    stage at(store);
    for (std::size_t round = 0; round != shared_rounds; ++round) {
        std::vector<std::string> mine;
        for (std::size_t i = 0; i != shared_logins; ++i) mine.push_back(receive_token(STDIN_FILENO));
        std::vector<std::thread> all;
        for (std::string& each : mine) all.emplace_back([&] { each = token_in(at.refresh(each)); });
        for (std::thread& each : all) each.join();
        for (const std::string& each : mine) {
            REQUIRE_FALSE(each.empty());
            REQUIRE(send_token(STDOUT_FILENO, each));
        }
    }
    std::string advanced = std::to_string(at.hooks.rotated.load());
    advanced.resize(token_keyring::token_characters, ' ');
    REQUIRE(send_token(STDOUT_FILENO, advanced));
}

TEST_CASE("two processes that refresh the same families make one line of generations (R47)") {
    const std::string schema = fresh_schema();
    auto store = opened(schema);
    stage at(store);
    std::vector<std::string> tokens;
    for (std::size_t i = 0; i != shared_logins; ++i) tokens.push_back(at.log_in());
    driver one(schema), other(schema);
    bool same = true;
    for (std::size_t round = 0; round != shared_rounds && same; ++round) {
        for (const std::string& token : tokens) same = same && send_token(one.in, token) && send_token(other.in, token);
        for (std::string& token : tokens) {
            token = receive_token(one.out);
            same = same && !token.empty() && receive_token(other.out) == token;
        }
    }
    REQUIRE(same);
    const int by_one = std::stoi(receive_token(one.out)), by_other = std::stoi(receive_token(other.out));
    MESSAGE("one process advanced " << by_one << " times, the other " << by_other);
    CHECK(by_one + by_other == static_cast<int>(shared_logins * shared_rounds));
    CHECK(one.end() == 0);
    CHECK(other.end() == 0);
    for (const std::string& token : tokens) {
        CHECK(open_token(token).lineage.generation == generation{shared_rounds});
        CHECK(found(store, open_token(token).key).current == generation{shared_rounds});
    }
}
