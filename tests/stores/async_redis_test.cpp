// tests/stores/async_redis_test.cpp - the awaited Redis store against real servers; redis_server.py runs it.
// SPDX-License-Identifier: MIT
#include <regrant/store/async_redis.hpp>

#include "awaited.hpp"
#include "redis_scene.hpp"
#include "scene.hpp"

#include <regrant/async_token_endpoint.hpp>
#include <regrant/testing/store_conformance.hpp>

#include <doctest/doctest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <future>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace regrant;
using namespace scene;
using namespace std::chrono_literals;

async_redis_store opened(const asio::any_io_executor& executor, const std::string& url,
                         const redis_settings& settings = {}) {
    auto store = async_redis_store::open(executor, url, patient(settings));
    for (int late = 0; late != 20 && !store && is_late(store.error()); ++late)
        store = async_redis_store::open(executor, url, patient(settings));
    INFO((store ? std::string() : store.error().message));
    REQUIRE(store.has_value());
    return *std::move(store);
}

/// A store with a thread of its own, for callers that wait.
struct waited_scene {
    explicit waited_scene(const std::string& url, const redis_settings& settings = {}, unsigned threads = 1)
        : context(threads), store(opened(context.executor(), url, settings)), waited(store, context) {}
    running_context context;
    async_redis_store store;
    waited_store<async_redis_store> waited;
};

/// A token endpoint over an awaited store.
struct stage {
    explicit stage(async_redis_store& store) : endpoint(store, clients, issuer, keys(), {}, hooks) {}

    client_list clients = one_client();
    null_issuer issuer;
    counting_hooks hooks;
    async_token_endpoint<async_redis_store, client_list, null_issuer, counting_hooks> endpoint;
};

} // namespace

TEST_SUITE("async_redis_store") {

TEST_CASE("the conformance kit passes on the awaited store, on one server and on a cluster (R38, R45, R47, R50, R53)") {
    for (const char* const engine : {"REGRANT_REDIS", "REGRANT_REDIS_CLUSTER"}) {
        const std::string url = environment(engine);
        waited_scene here(url), there(url, {}, 2);
        raw_server raw(url);
        conformance_options options;
        options.rounds = 12;
        options.fault = [&] { raw({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}); };
        // Every other thread has a store of its own, as two servers would.
        bool odd = false;
        const auto report = check_store([&]() -> auto& { return (odd = !odd) ? here.waited : there.waited; }, options);
        INFO(report.describe());
        CHECK(report.passed());
        MESSAGE(report.count(check_outcome::passed) << " checks of the kit passed, "
                                                    << report.count(check_outcome::skipped) << " skipped");
    }
}

TEST_CASE("both Redis stores read what the other wrote (R82)") {
    waited_scene at(environment("REGRANT_REDIS"));
    auto blocking = *redis_store::open(environment("REGRANT_REDIS"));
    const std::string subject = fresh_subject();
    // More than a socket's buffer takes in one go, both ways.
    const std::string much(16'000'000, 'x');
    grant row(fresh_key(), {"client", subject, much, "https://api", "key"});
    row.issued_at = row.used_at = current_time();
    row.expires_at = row.issued_at + 1h;
    CHECK(inserted(at.waited, row));
    CHECK_FALSE(inserted(blocking, row));
    CHECK(testing::difference(found(blocking, row.key), row) == "");
    CHECK(testing::difference(found(at.waited, row.key), row) == "");
    CHECK(good(at.waited.list_subject(subject)).size() == 1);
    CHECK(good(at.waited.revoke_subject(subject)) == 1);
    CHECK(good(at.waited.revoke_subject(subject)) == 0);
    CHECK(found(blocking, row.key).state == revocation::revoked);
}

TEST_CASE("64 awaited requests with one token get the same successor, and make one generation (R47)") {
    for (const char* const engine : {"REGRANT_REDIS", "REGRANT_REDIS_CLUSTER"}) {
        waited_scene over(environment(engine));
        stage at(over.store);
        auto first = over.context.wait(at.endpoint.issue({"spa", "alice", "profile"}));
        REQUIRE(first.has_value());
        std::string token(first->refresh_token.reveal());
        for (int round = 0; round != 3; ++round) {
            std::vector<std::future<http_reply>> all;
            for (int i = 0; i != 64; ++i)
                all.push_back(asio::co_spawn(over.context.executor(), at.endpoint.respond(refreshing(token)),
                                             asio::use_future));
            std::set<std::string> successors;
            for (auto& each : all) successors.insert(token_in(each.get()));
            CHECK(successors.size() == 1);
            token = *successors.begin();
            REQUIRE_FALSE(token.empty());
        }
        CHECK(at.hooks.rotated == 3);
    }
}

TEST_CASE("killed amid an awaited load, a server forgets no rotation and no revoke, nobody is logged out (R51, R53)") {
    server own("async_killed");
    constexpr auto timeout = 1s;
    waited_scene over(own.url, {.timeout = timeout});
    stage at(over.store);
    struct {
        bool enough = false;
        unsigned refused = 0;
        std::chrono::milliseconds slowest{0};
        std::vector<std::string> tokens, ended;
    } seen; // touched by the context's one thread until all is over
    std::atomic<unsigned> answered{0}, outages{0}, revoked{0};
    const auto login = [&](int number) -> asio::awaitable<bool> {
        auto begun = co_await at.endpoint.issue({"spa", "alice", "profile"});
        while (!begun) begun = co_await at.endpoint.issue({"spa", "alice", "profile"}); // it may be late
        std::string token(begun->refresh_token.reveal());
        for (int turn = 0; !seen.enough; ++turn) {
            const auto asked = clock_type::now();
            const http_reply reply = co_await at.endpoint.respond(refreshing(token));
            const auto took = std::chrono::ceil<std::chrono::milliseconds>(clock_type::now() - asked);
            seen.slowest = std::max(seen.slowest, took);
            if (reply.status == http_status::ok) {
                token = token_in(reply);
                ++answered;
            } else if (reply.status == http_status::service_unavailable) {
                ++outages;
                asio::steady_timer rest(co_await asio::this_coro::executor, 10ms);
                co_await rest.async_wait(asio::use_awaitable);
            } else ++seen.refused;
            if ((turn + number) % 8 != 0) continue;
            auto other = co_await at.endpoint.issue({"spa", "bob", "profile"});
            if (!other) continue;
            const auto gone = co_await at.endpoint.revoke(other->refresh_token.reveal());
            if (!gone) continue;
            seen.ended.emplace_back(other->refresh_token.reveal());
            ++revoked;
        }
        seen.tokens.push_back(token);
        co_return true;
    };
    std::vector<std::future<bool>> all;
    for (int i = 0; i != 24; ++i) all.push_back(asio::co_spawn(over.context.executor(), login(i), asio::use_future));
    for (int kills = 0; kills != 3; ++kills) {
        const unsigned answered_before = answered, revoked_before = revoked;
        CHECK(eventually([&] { return answered > answered_before + 100 && revoked > revoked_before; }));
        own.kill();
        const unsigned outages_before = outages;
        CHECK(eventually([&] { return outages > outages_before; }));
        own.start();
    }
    const unsigned by_then = answered;
    CHECK(eventually([&] { return answered > by_then + 100; }));
    asio::post(over.context.executor(), [&] { seen.enough = true; });
    for (auto& each : all) CHECK(each.get());
    MESSAGE(answered.load() << " refreshed, " << outages.load() << " times 503, " << seen.ended.size()
                            << " revoked, the slowest answer " << seen.slowest.count() << " ms");
    CHECK(seen.refused == 0);
    CHECK(seen.slowest < 2 * timeout + busy);
    CHECK(at.hooks.healed == 0);
    CHECK(at.hooks.revoked == 0);
    for (const std::string& token : seen.tokens)
        CHECK(status_in_the_end([&] { return over.context.wait(at.endpoint.respond(refreshing(token))); }) ==
              http_status::ok);
    for (const std::string& token : seen.ended) {
        CHECK(status_in_the_end([&] { return over.context.wait(at.endpoint.respond(refreshing(token))); }) ==
              http_status::bad_request);
        CHECK(found(over.waited, open_token(token).key).state == revocation::revoked);
    }
}

TEST_CASE("while there is no Redis awaited calls fail at once, and it is found again soon (R51)") {
    server own("async_gone");
    waited_scene at(own.url);
    const grant row = fresh_row();
    CHECK(inserted(at.waited, row));
    own.kill();
    CHECK_FALSE(at.waited.find(row.key).has_value());
    CHECK(time_of([&] {
        for (int i = 0; i != 1000; ++i) CHECK_FALSE(at.waited.find(row.key).has_value());
    }) < busy);
    own.start();
    CHECK(eventually([&] { return at.waited.find(row.key).has_value(); }));
}

TEST_CASE("a Redis that hangs is an outage when the time is up, and the call may have acted (R51)") {
    server own("async_hung");
    waited_scene patient(own.url);
    CHECK(given_time([&](std::chrono::milliseconds timeout) {
        waited_scene at(own.url, {.timeout = timeout, .connections = 2});
        const grant row = fresh_row();
        if (!at.waited.insert(row)) return false; // it has a connection now; a late answer may cost it that
        REQUIRE(::kill(own.pid(), SIGSTOP) == 0);
        std::vector<std::future<std::string>> all;
        const auto took = time_of([&] {
            for (int i = 0; i != 6; ++i)
                all.push_back(asio::co_spawn(
                    at.context.executor(),
                    [&]() -> asio::awaitable<std::string> {
                        const auto moved =
                            co_await at.store.advance(row.key, generation{0}, generation{1}, current_time());
                        co_return moved ? std::string() : moved.error().detail;
                    },
                    asio::use_future));
            for (auto& each : all) each.wait();
        });
        REQUIRE(::kill(own.pid(), SIGCONT) == 0);
        CHECK(took < timeout + busy);
        std::string words;
        for (auto& each : all) words += each.get() + "\n";
        INFO(words);
        CHECK(std::count(words.begin(), words.end(), '\n') == 6);
        CHECK(words.find("\n\n") == words.npos);
        // It reads what stands in its socket: once for all six.
        CHECK(eventually([&] { return found(patient.waited, row.key).current == generation{1}; }));
        return words.find("no answer within the timeout; it may have acted") != words.npos &&
               words.find("every connection was in use for too long") != words.npos;
    }));
}

TEST_CASE("scripts that a server has forgotten are taught again by those who await them") {
    waited_scene at(environment("REGRANT_REDIS"));
    raw_server raw(environment("REGRANT_REDIS"));
    const grant row = fresh_row();
    CHECK(inserted(at.waited, row));
    for (std::uint32_t i = 0; i != 3; ++i) {
        CHECK(raw({"SCRIPT", "FLUSH"}) == "OK");
        CHECK(advanced(at.waited, row.key, i, i + 1));
    }
}

TEST_CASE("a connection that is cut amid a user's awaited logins is an outage, or nothing is missed (R45, R50, R51)") {
    const std::string url = environment("REGRANT_REDIS");
    cutting_proxy proxy(raw_server(url).address().port);
    waited_scene through("redis://127.0.0.1:" + std::to_string(proxy.port()), {.connections = 1}), direct(url);
    cut_amid_a_users_logins(proxy, through.waited, direct.waited);
}

TEST_CASE("a key on its way between two servers of a cluster is followed by those who await it") {
    waited_scene at(environment("REGRANT_REDIS_CLUSTER"));
    operator_of_cluster cluster;
    const grant row = fresh_row();
    CHECK(inserted(at.waited, row));
    const std::string key = name_of(row.key), slot = std::to_string(detail::redis_slot(key));
    const std::size_t owner = cluster.owner(key);
    raw_server &from = *cluster.nodes[owner], &to = *cluster.nodes[(owner + 1) % 3],
               &third = *cluster.nodes[(owner + 2) % 3];
    const std::string from_id = from({"CLUSTER", "MYID"}), to_id = to({"CLUSTER", "MYID"});
    CHECK(to({"CLUSTER", "SETSLOT", slot, "IMPORTING", from_id}) == "OK");
    CHECK(from({"CLUSTER", "SETSLOT", slot, "MIGRATING", to_id}) == "OK");
    CHECK(from({"MIGRATE", "127.0.0.1", to.port(), key, "0", "5000"}) == "OK");
    CHECK(from({"GETEX", key}).starts_with("ASK "));
    CHECK(to({"SCRIPT", "FLUSH"}) == "OK");
    CHECK(advanced(at.waited, row.key, 0, 1));
    CHECK(found(at.waited, row.key).current == generation{1});
    for (raw_server* const each : {&to, &from, &third})
        CHECK((*each)({"CLUSTER", "SETSLOT", slot, "NODE", to_id}) == "OK");
    CHECK(from({"GETEX", key}).starts_with("MOVED "));
    CHECK(advanced(at.waited, row.key, 1, 2));
    good(at.waited.revoke(row.key));
    CHECK(found(at.waited, row.key).state == revocation::revoked);
}

TEST_CASE("a password, replicas to wait for, a primary that is demoted: as with the store that waits (R44, R50)") {
    server primary("async_primary", "'requirepass hunter2' 'repl-diskless-sync-delay 0'");
    const std::string at = primary.url.substr(8), port = at.substr(at.rfind(':') + 1);
    {
        running_context context;
        const auto none = async_redis_store::open(context.executor(), "redis://:hunter22@" + at);
        REQUIRE_FALSE(none.has_value());
        CHECK(says(none.error().message, "WRONGPASS"));
    }
    server second("async_second", "'replicaof 127.0.0.1 " + port + "' 'masterauth hunter2'");
    waited_scene over("redis://:hunter2@" + at, {.replicas = 1});
    // It may still be catching up.
    CHECK(eventually([&] { return over.waited.insert(fresh_row()).has_value(); }));
    const grant row = fresh_row();
    CHECK(inserted(over.waited, row));
    REQUIRE(::kill(second.pid(), SIGSTOP) == 0);
    // A busy machine may be late to ask.
    CHECK(given_time([&](std::chrono::milliseconds timeout) {
        waited_scene asked("redis://:hunter2@" + at, {.replicas = 1, .timeout = timeout});
        const auto revoked = asked.waited.revoke(row.key);
        REQUIRE_FALSE(revoked.has_value());
        INFO(revoked.error().detail);
        return revoked.error().detail.find("0 of 1 replicas") != std::string::npos;
    }));
    REQUIRE(::kill(second.pid(), SIGCONT) == 0);
    good(over.waited.revoke(row.key));

    server third("async_third");
    waited_scene demoted(third.url);
    CHECK(inserted(demoted.waited, row));
    raw_server raw(third.url);
    CHECK(raw({"REPLICAOF", "127.0.0.1", "1"}) == "OK");
    CHECK(says(demoted.waited.find(row.key).error().detail, "READONLY"));
    CHECK(says(demoted.waited.revoke(row.key).error().detail, "READONLY"));
    CHECK(raw({"REPLICAOF", "NO", "ONE"}) == "OK");
    CHECK(advanced(demoted.waited, row.key, 0, 1));
}

TEST_CASE("a Unix socket leads awaiting callers to the server, with a password and to a database (R244)") {
    server own("async_socket", on_unix_socket + " 'requirepass hunter2'");
    const std::string at = own.socket_url().substr(7);
    waited_scene over("unix://:hunter2@" + at + "?db=3");
    const grant row = fresh_row("alice");
    CHECK(inserted(over.waited, row));
    CHECK(advanced(over.waited, row.key, 0, 1));
    waited_scene over_tcp("redis://:hunter2@" + own.url.substr(8) + "/3");
    CHECK(good(over_tcp.waited.revoke_subject("alice")) == 1);
    CHECK(found(over.waited, row.key).state == revocation::revoked);
    own.kill();
    const auto gone = over.waited.find(row.key);
    REQUIRE_FALSE(gone);
    CHECK(says(gone.error().detail, "Redis " + at));
    own.start();
    CHECK(eventually([&] { return over.waited.find(row.key).has_value(); }));
}

TEST_CASE("TLS keeps a server's secrets from all whose certificate is not good, for awaiting callers too (R244)") {
    const auto why_not = [](const std::string& url, const redis_settings& settings) -> std::string {
        // `open` itself waits, so a blocking store refuses these; what awaits must refuse them as well.
        const detail::redis_url to = *detail::redis_url::parse(url);
        const detail::redis_access access{detail::redis_greeting(to), 1, 1s, settings.tls};
        running_context context;
        const detail::async_strand strand = asio::make_strand(asio::any_io_executor(context.executor()));
        detail::async_redis_node node(strand, to.at, access);
        return context.wait(detail::on_strand(strand, [&]() -> asio::awaitable<std::string> {
            const auto until = clock_type::now() + 5s;
            const auto taken = co_await node.pool().take(until, until);
            co_return taken ? "it was opened" : taken.error().detail;
        }));
    };
    behind_tls("async_tls", why_not, [](const std::string& url, const redis_settings& settings) {
        waited_scene over(url, settings);
        const std::string subject = fresh_subject();
        std::vector<grant> rows;
        for (int i = 0; i != 100; ++i) rows.push_back(fresh_row(subject));
        for (const grant& row : rows) CHECK(inserted(over.waited, row));
        CHECK(advanced(over.waited, rows[0].key, 0, 1));
        // More than one record of TLS.
        CHECK(good(over.waited.list_subject(subject)).size() == rows.size());
        CHECK(good(over.waited.revoke_subject(subject)) == rows.size());
    });
}

TEST_CASE("a connection that is cut amid awaited TLS is an outage, or nothing is missed (R45, R50, R51, R244)") {
    const std::string at = certificates();
    server own("async_tls_cut", "tls=good");
    const auto tls = redis_tls({.ca_file = at + "ca.pem"});
    REQUIRE(tls.has_value());
    cutting_proxy proxy(static_cast<std::uint16_t>(std::stoi(own.tls_port())));
    waited_scene through("rediss://127.0.0.1:" + std::to_string(proxy.port()), {.timeout = 2s, .tls = *tls}),
        direct(own.url);
    cut_amid_a_users_logins(proxy, through.waited, direct.waited);
}

TEST_CASE("an awaited store with Sentinels follows a failover, and nobody is logged out by it (R51, R244)") {
    follows_a_failover("async_failover", [](const std::string& url, const redis_settings& settings, auto use) {
        waited_scene over(url, settings);
        const grant row = fresh_row();
        CHECK(inserted(over.waited, row));
        use(over.waited, [&] {
            // An advance that was an outage may have acted.
            const auto now = over.waited.find(row.key);
            if (!now) return false;
            REQUIRE(now->has_value());
            const auto at = static_cast<std::uint32_t>((*now)->current);
            const auto moved = over.waited.advance(row.key, generation{at}, generation{at + 1}, current_time());
            if (!moved) return false;
            REQUIRE(*moved == advance_outcome::advanced);
            return true;
        });
    });
}

TEST_CASE("awaiting callers leave a master that was cut off though it still answers (R51, R244)") {
    leaves_a_master_that_was_cut_off("async", [](const std::string& url, auto use) {
        waited_scene over(url);
        use(over.waited);
    });
}

TEST_CASE("awaited over TLS a store verifies Sentinels as well as the master that they name (R244)") {
    const std::string at = certificates();
    server own("async_tls_watched", "tls=good");
    const sentinel good("async_tls_sentinel", own.tls_port(), "tls=good 'tls-replication yes'");
    const auto tls = redis_tls({.ca_file = at + "ca.pem"});
    REQUIRE(tls.has_value());
    waited_scene over("rediss+sentinel://localhost:" + good.tls_port() + "/main", {.tls = *tls});
    const grant row = fresh_row();
    CHECK(inserted(over.waited, row));
    CHECK(advanced(over.waited, row.key, 0, 1));
}

TEST_CASE("who cancels a call costs the Redis store a connection, and nobody else anything") {
    server own("async_cancelled");
    waited_scene at(own.url, {.connections = 1});
    const grant row = fresh_row();
    CHECK(inserted(at.waited, row));
    REQUIRE(::kill(own.pid(), SIGSTOP) == 0);
    const auto revoke = [&]() -> asio::awaitable<bool> {
        const auto done = co_await at.store.revoke(row.key);
        co_return done.has_value();
    };
    // It throws, or tells of an outage.
    const auto is_cancelled = [](std::future<bool>& call) {
        try {
            return !call.get();
        } catch (const boost::system::system_error& thrown) {
            return thrown.code() == asio::error::operation_aborted;
        }
    };
    asio::cancellation_signal cancel, cancel_queued;
    auto held = asio::co_spawn(at.context.executor(), revoke,
                               asio::bind_cancellation_slot(cancel.slot(), asio::use_future));
    auto queued = asio::co_spawn(at.context.executor(), revoke,
                                 asio::bind_cancellation_slot(cancel_queued.slot(), asio::use_future));
    std::this_thread::sleep_for(50ms);
    asio::post(at.context.executor(), [&] { cancel_queued.emit(asio::cancellation_type::terminal); });
    CHECK(is_cancelled(queued));
    asio::post(at.context.executor(), [&] { cancel.emit(asio::cancellation_type::terminal); });
    CHECK(is_cancelled(held));
    REQUIRE(::kill(own.pid(), SIGCONT) == 0);
    CHECK(at.waited.find(row.key).has_value());
}

TEST_CASE("a context may be destroyed with calls to Redis in flight, in its queue and before they began") {
    server own("async_destroyed");
    const row_key key = fresh_key();
    for (int round = 0; round != 10; ++round) {
        asio::io_context context;
        auto store = std::make_optional(opened(context.get_executor(), own.url, {.connections = 2}));
        REQUIRE(::kill(own.pid(), SIGSTOP) == 0);
        for (int i = 0; i != 8; ++i)
            asio::co_spawn(
                context, [&]() -> asio::awaitable<void> { (void)co_await store->revoke(key); }, asio::detached);
        context.run_for(std::chrono::milliseconds(3 * round));
        if (round % 2 != 0) store.reset();
        else context.run_for(1ms);
        REQUIRE(::kill(own.pid(), SIGCONT) == 0);
        // An optional is destroyed before the context, as a store must be.
    }
    waited_scene after(own.url);
    CHECK_FALSE(good(after.waited.find(key)).has_value());
}

TEST_CASE("the Redis store's executor may be a pool of threads") {
    asio::thread_pool threads(4);
    auto store = opened(threads.get_executor(), environment("REGRANT_REDIS_CLUSTER"), {.connections = 4});
    const grant row = fresh_row();
    std::atomic<unsigned> inserts{0}, moved{0};
    std::vector<std::future<void>> all;
    const auto insert = [&]() -> asio::awaitable<void> {
        const auto made = co_await store.insert(row);
        if (made) ++inserts;
    };
    asio::co_spawn(threads, insert, asio::use_future).get();
    for (int i = 0; i != 64; ++i)
        all.push_back(asio::co_spawn(
            threads,
            [&]() -> asio::awaitable<void> {
                for (std::uint32_t at = 0; at != 20; ++at) {
                    const auto outcome =
                        co_await store.advance(row.key, generation{at}, generation{at + 1}, current_time());
                    if (outcome && *outcome == advance_outcome::advanced) ++moved;
                }
            },
            asio::use_future));
    for (auto& each : all) each.get();
    CHECK(inserts == 1);
    CHECK(moved == 20);
}

} // TEST_SUITE
