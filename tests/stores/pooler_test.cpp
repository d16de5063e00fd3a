// tests/stores/pooler_test.cpp - the PostgreSQL stores through a real PgBouncer, and before a server that admits few.
// SPDX-License-Identifier: MIT
//
// Run by `postgresql_server.py with pooler.py`, which start server and pooler.
#include <regrant/store/async_postgresql.hpp>
#include <regrant/store/postgresql.hpp>

#include "awaited.hpp"
#include "cutting_proxy.hpp"
#include "postgresql_scene.hpp"

#include <regrant/testing/store_conformance.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <latch>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace regrant;
using namespace scene;
using namespace std::chrono_literals;

std::string way(const char* name) { return from_environment(name); }

/// An empty database behind the pooler, whose default is less than a store promises.
void make_database() {
    raw_connection admin;
    if (admin.run("SELECT count(*) FROM pg_database WHERE datname = 'pooled'") == "0") admin.run("CREATE DATABASE pooled");
    admin.run("ALTER DATABASE pooled SET synchronous_commit = off");
    admin.run("ALTER DATABASE pooled SET client_min_messages = error");
}

/// Notes under which settings each row is written.
void watch_writes(raw_connection& at) {
    at.run("DROP TABLE IF EXISTS seen; CREATE TABLE seen (commit text, messages text);"
           "CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES "
           "(current_setting('synchronous_commit'), current_setting('client_min_messages')); RETURN NULL; END $$;"
           "DROP TRIGGER IF EXISTS note ON regrant_family;"
           "CREATE TRIGGER note AFTER INSERT OR UPDATE ON regrant_family FOR EACH ROW EXECUTE FUNCTION note()");
}

postgresql_settings through_transactions(postgresql_synchronous synchronous = postgresql_synchronous::full) {
    postgresql_settings settings{.synchronous = synchronous, .timeout = unhurried};
    settings.pooling = postgresql_pooling::transactions;
    return settings;
}

postgresql_store opened(const std::string& at, const postgresql_settings& settings = {.timeout = unhurried}) {
    auto store = postgresql_store::open(at, settings);
    INFO((store ? std::string() : store.error().message));
    REQUIRE(store.has_value());
    return *std::move(store);
}

/// All writes of a store, from many threads at once, so that sessions change hands.
void write_from_many_threads(postgresql_store& store, unsigned first) {
    std::vector<std::thread> threads;
    std::atomic<int> failed = 0;
    for (unsigned t = 0; t != 8; ++t)
        threads.emplace_back([&, t] {
            for (unsigned i = 0; i != 12; ++i) {
                const unsigned number = first + t * 12 + i;
                failed += store.insert(row_of(number)).has_value() ? 0 : 1;
                failed += store.advance(key_of(number), generation{0}, generation{1}, noon).has_value() ? 0 : 1;
                failed += store.revoke(key_of(number)).has_value() ? 0 : 1;
            }
        });
    for (std::thread& each : threads) each.join();
    failed += store.revoke_subject("alice").has_value() ? 0 : 1;
    CHECK(failed == 0);
}

/// Asks from many threads at once. \return how many calls failed
int failures_of(postgresql_store& store, int threads, int calls) {
    std::atomic<int> failed = 0;
    std::latch all(threads);
    std::vector<std::thread> running;
    for (int t = 0; t != threads; ++t)
        running.emplace_back([&] {
            all.arrive_and_wait();
            for (int i = 0; i != calls; ++i) failed += store.find(key_of(1)).has_value() ? 0 : 1;
        });
    for (std::thread& each : running) each.join();
    return failed;
}

} // namespace

TEST_CASE("open names a pooler that pools transactions, and sets nothing for those who share it (R243)") {
    make_database();
    const auto refused = postgresql_store::open(way("REGRANT_POOLER_TRANSACTIONS"));
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().message.find("pools transactions") != std::string::npos);
    CHECK(refused.error().message.find("postgresql_pooling::transactions") != std::string::npos);
    // The pooler lends the server connection that was used last.
    raw_connection next(way("REGRANT_POOLER_TRANSACTIONS"));
    CHECK(next.run("SHOW statement_timeout") == "0");
    CHECK(next.run("SHOW enable_seqscan") == "on");
}

TEST_CASE("through a pooler of transactions each write waits for what it promises (R50, R243)") {
    make_database();
    raw_connection direct(way("REGRANT_POOLER_DIRECT"));
    auto full = opened(way("REGRANT_POOLER_TRANSACTIONS"), through_transactions());
    watch_writes(direct);
    write_from_many_threads(full, 1000);
    CHECK(std::stoi(direct.run("SELECT count(*) FROM seen")) >= 3 * 96);
    CHECK(direct.run("SELECT count(*) FROM seen WHERE commit <> 'on' OR messages <> 'warning'") == "0");

    direct.run("DELETE FROM seen");
    auto hasty = opened(way("REGRANT_POOLER_TRANSACTIONS"), through_transactions(postgresql_synchronous::normal));
    write_from_many_threads(hasty, 2000);
    CHECK(direct.run("SELECT count(*) FROM seen WHERE commit = 'off'") == "96"); // the advances
    CHECK(direct.run("SELECT count(*) FROM seen WHERE commit = 'on'") != "0");
    CHECK(raw_connection(way("REGRANT_POOLER_TRANSACTIONS")).run("SHOW synchronous_commit") == "off");
    direct.run("DROP TRIGGER note ON regrant_family");
}

TEST_CASE("a stronger synchronous_commit than on is kept by every write, a weaker one is raised (R50)") {
    make_database();
    opened(way("REGRANT_POOLER_DIRECT"));
    raw_connection direct(way("REGRANT_POOLER_DIRECT"));
    watch_writes(direct);
    unsigned first = 10'000;
    for (const std::string set : {"remote_apply", "on", "remote_write", "local", "off"}) {
        CAPTURE(set);
        auto store = opened(way("REGRANT_POOLER_DIRECT") + " options='-c synchronous_commit=" + set + "'");
        direct.run("DELETE FROM seen");
        write_from_many_threads(store, first += 1000);
        CHECK(direct.run("SELECT DISTINCT commit FROM seen") == (set == "remote_apply" ? "remote_apply" : "on"));
        CHECK(direct.run("SELECT count(DISTINCT commit) FROM seen") == "1");
    }
    direct.run("DROP TRIGGER note ON regrant_family");
}

TEST_CASE("the conformance kit passes through a pooler of transactions, and of sessions (R243, R47 to R53)") {
    make_database();
    for (const bool is_of_sessions : {false, true}) {
        CAPTURE(is_of_sessions);
        conformance_options options;
        options.rounds = 5;
        const std::string at = way(is_of_sessions ? "REGRANT_POOLER_SESSIONS" : "REGRANT_POOLER_TRANSACTIONS");
        postgresql_settings settings = is_of_sessions ? postgresql_settings() : through_transactions();
        settings.connections = is_of_sessions ? 4 : 16; // two stores, eight sessions
        options.set_back = [&](const row_key& key, generation to) { set_back(way("REGRANT_POOLER_DIRECT"), key, to); };
        auto one = opened(at, settings), other = opened(at, settings);
        bool odd = false;
        const auto report = check_store([&]() -> auto& { return (odd = !odd) ? one : other; }, options);
        INFO(report.describe());
        CHECK(report.passed());
    }
}

TEST_CASE("the awaited store keeps its promises through a pooler of transactions (R243)") {
    make_database();
    raw_connection direct(way("REGRANT_POOLER_DIRECT"));
    running_context context(2);
    CHECK_FALSE(async_postgresql_store::open(context.executor(), way("REGRANT_POOLER_TRANSACTIONS")));
    auto store = async_postgresql_store::open(context.executor(), way("REGRANT_POOLER_TRANSACTIONS"),
                                              through_transactions());
    REQUIRE(store.has_value());
    watch_writes(direct);
    waited_store awaited(*store, context);
    for (unsigned i = 0; i != 20; ++i) {
        CHECK(is_inserted(awaited.insert(row_of(30'000 + i, "bob"))));
        CHECK(is_advanced(awaited.advance(key_of(30'000 + i), generation{0}, generation{1}, noon)));
        CHECK((*awaited.find(key_of(30'000 + i)))->current == generation{1});
    }
    const auto ended = awaited.revoke_subject("bob");
    REQUIRE(ended.has_value());
    CHECK(*ended == 20);
    CHECK(direct.run("SELECT count(*) FROM seen WHERE commit = 'on'") == "60");
    CHECK(direct.run("SELECT count(*) FROM seen WHERE commit <> 'on'") == "0");
    direct.run("DROP TRIGGER note ON regrant_family");
}

TEST_CASE("an outage names the pooler where what was prepared is gone (R243)") {
    const auto words = detail::with_cause({"PostgreSQL: prepared statement does not exist (26000)"}, "26000").detail;
    CHECK(words.find("pools transactions") != std::string::npos);
    CHECK(detail::with_cause({"x"}, "42P05").detail.find("pools transactions") != std::string::npos);
    CHECK(detail::with_cause({"x"}, "23505").detail == "x");
}

TEST_CASE("with fewer sessions in the pooler than the store may open no call fails for it (R241)") {
    make_database();
    postgresql_settings settings;
    settings.timeout = unhurried;
    settings.connections = 8;
    auto store = opened(way("REGRANT_POOLER_TIGHT"), settings);
    CHECK(failures_of(store, 12, 40) == 0);
}

TEST_CASE("with fewer connections to the server than the store may open no call fails for it (R241)") {
    make_database();
    opened(way("REGRANT_POOLER_DIRECT"));
    raw_connection admin(way("REGRANT_POOLER_DIRECT"));
    admin.run("DROP ROLE IF EXISTS limited");
    admin.run("CREATE ROLE limited LOGIN CONNECTION LIMIT 2");
    admin.run("GRANT SELECT ON regrant_schema TO limited; "
              "GRANT SELECT, INSERT, UPDATE, DELETE ON regrant_family TO limited");
    std::string at = way("REGRANT_POOLER_DIRECT");
    at.replace(at.find("user=postgres"), std::string_view("user=postgres").size(), "user=limited");
    {
        auto store = opened(at);
        CHECK(failures_of(store, 12, 40) == 0);
    }
    // The server counts a connection until its process has ended.
    CHECK(eventually([&] {
        return admin.run("SELECT count(*) FROM pg_stat_activity WHERE usename = 'limited'") == "0";
    }));
    running_context context(2);
    auto store = async_postgresql_store::open(context.executor(), at, {.timeout = unhurried});
    REQUIRE(store.has_value());
    waited_store awaited(*store, context);
    std::atomic<int> failed = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t != 12; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i != 40; ++i) failed += awaited.find(key_of(1)).has_value() ? 0 : 1;
        });
    for (std::thread& each : threads) each.join();
    CHECK(failed == 0);
}

TEST_CASE("a network that loses all connections in silence costs one timeout, not one for each (R242)") {
    make_database();
    const std::string direct = way("REGRANT_POOLER_DIRECT");
    const auto port = static_cast<std::uint16_t>(std::stoi(direct.substr(direct.find("port=") + 5)));
    REQUIRE(opened(direct).insert(row_of(40'000)).has_value());
    raw_connection raw(direct), watching(direct);
    // A busy machine may let a call fail that is only late.
    CHECK(given_time([&](std::chrono::milliseconds timeout) {
        cutting_proxy proxy(port);
        std::string at = direct;
        at.replace(at.find("port="), at.find(' ', at.find("port=")) - at.find("port="),
                   "port=" + std::to_string(proxy.port()));
        postgresql_settings settings;
        settings.timeout = 2 * timeout;
        settings.connections = 6;
        auto store = opened(at, settings);
        // So many calls at once that all connections are open: each waits for the lock of one row.
        raw.run("BEGIN; SELECT 1 FROM regrant_family WHERE row_key = " + hex_of(key_of(40'000)) + " FOR UPDATE");
        std::vector<std::thread> threads;
        for (int t = 0; t != 6; ++t) threads.emplace_back([&] { (void)store.revoke(key_of(40'000)); });
        const bool all_wait = is_soon(
            [&] { return watching.run("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "6"; },
            timeout);
        raw.run("COMMIT");
        for (std::thread& each : threads) each.join();
        proxy.swallow();
        int failed = 0;
        for (int i = 0; i != 12; ++i) failed += store.find(key_of(1)).has_value() ? 0 : 1;
        return all_wait && failed == 1;
    }));
}
