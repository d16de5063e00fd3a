// tests/stores/failover_test.cpp - a PostgreSQL primary is killed amid refreshes, and its synchronous standby promoted.
// SPDX-License-Identifier: MIT
//
// Each case uses up the servers that `postgresql_server.py with` started: run one at a time.
#include <regrant/store/postgresql.hpp>

#include "postgresql_scene.hpp"

#include <regrant/token_endpoint.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace regrant;
using namespace scene;
using namespace std::chrono_literals;

std::string port_of(const std::string& connection) {
    const std::size_t begin = connection.find("port=") + 5;
    return connection.substr(begin, connection.find(' ', begin) - begin);
}

/// What came of a failover amid a load.
struct outcome {
    unsigned answered = 0, outages = 0, refused = 0, healed = 0, forgotten = 0, revoked_by_rule = 0;
    std::size_t ended = 0, back_again = 0, logged_out = 0;
    std::chrono::milliseconds without{0};
};

outcome fail_over(postgresql_synchronous synchronous) {
    raw_connection raw;
    raw.run("ALTER SYSTEM SET synchronous_standby_names = '*'");
    // From now on only a commit that waits takes to the disk, and thus to the standby, what the others wrote.
    raw.run("ALTER SYSTEM SET autovacuum = off");
    raw.run("ALTER SYSTEM SET bgwriter_lru_maxpages = 0");
    raw.run("SELECT pg_reload_conf()");
    control("freeze-wal-writer");
    REQUIRE(eventually([&] {
        return raw.run("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1";
    }));
    // Both by name; the primary is found.
    const std::string both =
        server() + " host=127.0.0.1,127.0.0.1 port=" + port_of(server()) + "," + port_of(standby());
    auto opened = postgresql_store::open(both, {synchronous, 1s, 8});
    for (int late = 0; late != 20 && !opened && is_late(opened.error()); ++late)
        opened = postgresql_store::open(both, {synchronous, 1s, 8});
    REQUIRE(opened.has_value());
    postgresql_store& store = *opened;
    client_list clients = one_client();
    null_issuer issuer;
    counting_hooks hooks;
    token_endpoint endpoint(store, clients, issuer, keys(), {}, hooks);

    constexpr std::size_t workers = 8;
    std::vector<std::string> tokens(workers), ended;
    for (std::string& token : tokens) {
        auto login = endpoint.issue({"spa", "alice", "profile"});
        CHECK(eventually([&] { return login || (login = endpoint.issue({"spa", "alice", "profile"})).has_value(); }));
        REQUIRE(login.has_value());
        token = login->refresh_token.reveal();
    }
    outcome seen;
    std::atomic<bool> enough{false}, is_calm{false};
    std::atomic<unsigned> answered{0}, outages{0}, refused{0}, resting{0};
    std::mutex mutex;
    std::vector<std::thread> all;
    for (std::string& token : tokens)
        all.emplace_back([&] {
            int in_calm = 0;
            for (unsigned turn = 0; !enough; ++turn) {
                // A commit that waits takes the advances before it along: for some to be lost none may follow them,
                // and they must be no more than heal.
                if (is_calm && in_calm++ == 4) {
                    ++resting;
                    while (is_calm) std::this_thread::sleep_for(1ms);
                }
                const http_reply reply = endpoint.respond(refreshing(token));
                if (reply.status == http_status::ok) {
                    token = token_in(reply);
                    ++answered;
                } else if (reply.status == http_status::service_unavailable) {
                    ++outages;
                    std::this_thread::sleep_for(10ms);
                } else ++refused;
                if (is_calm || turn % 4 != 0) continue;
                auto other = endpoint.issue({"spa", "bob", "profile"});
                if (!other || !endpoint.revoke(other->refresh_token.reveal())) continue;
                const std::lock_guard lock(mutex);
                ended.emplace_back(other->refresh_token.reveal());
            }
        });
    CHECK(eventually([&] {
        const std::lock_guard lock(mutex);
        return ended.size() > 20 && answered > 200;
    }));
    is_calm = true;
    CHECK(eventually([&] { return resting == workers; }));
    control("kill");
    is_calm = false;
    const unsigned by_then = answered, outages_before = outages;
    CHECK(eventually([&] { return outages > outages_before; }));
    const auto killed_at = std::chrono::steady_clock::now();
    REQUIRE(std::system((from_environment("REGRANT_POSTGRESQL_STANDBY_CONTROL") + " promote").c_str()) == 0);
    CHECK(eventually([&] { return answered > by_then; }));
    seen.without = std::chrono::ceil<std::chrono::milliseconds>(std::chrono::steady_clock::now() - killed_at);
    CHECK(eventually([&] { return answered > by_then + 100; }));
    enough = true;
    for (std::thread& each : all) each.join();

    seen.answered = answered;
    seen.outages = outages;
    seen.refused = refused;
    seen.healed = hooks.healed;
    seen.revoked_by_rule = hooks.revoked;
    seen.ended = ended.size();
    const auto ask = [&](const std::string& token) {
        return status_in_the_end([&] { return endpoint.respond(refreshing(token)); });
    };
    for (const std::string& token : tokens) {
        if (ask(token) != http_status::ok) ++seen.logged_out;
        const opened_token newest = open_token(token);
        if (!eventually([&] {
                const auto row = store.find(newest.key);
                return row && *row && (**row).current >= newest.lineage.generation;
            }))
            ++seen.forgotten;
    }
    for (const std::string& token : ended)
        if (ask(token) != http_status::bad_request) ++seen.back_again;
    MESSAGE(seen.answered << " refreshed, " << seen.outages << " times 503, " << seen.without.count()
                          << " ms without an answer, " << seen.healed << " rows healed, " << seen.ended << " revoked");
    return seen;
}

void check_kept(const outcome& seen) {
    CHECK(seen.refused == 0);
    CHECK(seen.logged_out == 0);
    CHECK(seen.forgotten == 0);
    CHECK(seen.revoked_by_rule == 0);
    CHECK(seen.back_again == 0);
}

} // namespace

TEST_CASE("full: a promoted synchronous standby has every refresh and every revoke that was answered (R50, R51)") {
    const outcome seen = fail_over(postgresql_synchronous::full);
    check_kept(seen);
    CHECK(seen.healed == 0);
}

TEST_CASE("normal: a promoted synchronous standby lacks the last refreshes, which heal, and no revoke (R50, R53)") {
    const outcome seen = fail_over(postgresql_synchronous::normal);
    check_kept(seen);
    CHECK(seen.healed > 0);
}
