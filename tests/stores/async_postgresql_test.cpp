// tests/stores/async_postgresql_test.cpp - the awaited PostgreSQL store against real servers, some of which are killed.
// SPDX-License-Identifier: MIT
//
// Run by `postgresql_server.py with`, which starts the servers and says in the environment where they are.
#include <regrant/store/async_postgresql.hpp>

#include "awaited.hpp"
#include "postgresql_scene.hpp"

#include <regrant/async_token_endpoint.hpp>
#include <regrant/testing/store_conformance.hpp>

#include <doctest/doctest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace regrant;
using namespace scene;
using namespace std::chrono_literals;

static_assert(can_list_subject<waited_store<async_postgresql_store>> && can_reap<waited_store<async_postgresql_store>>);

postgresql_settings patient(std::chrono::milliseconds timeout, std::size_t connections = 16) {
    return {postgresql_synchronous::full, timeout, connections};
}

async_postgresql_store opened(const asio::any_io_executor& executor, const std::string& at,
                              postgresql_settings settings = patient(unhurried)) {
    auto store = async_postgresql_store::open(executor, at, settings);
    for (int late = 0; late != 20 && !store && is_late(store.error()); ++late)
        store = async_postgresql_store::open(executor, at, settings);
    INFO((store ? std::string() : store.error().message));
    REQUIRE(store.has_value());
    return *std::move(store);
}

int connections_there() {
    return std::stoi(raw_connection().run("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'regrant'"));
}

/// A token endpoint over an awaited store.
struct stage {
    explicit stage(async_postgresql_store& store) : endpoint(store, clients, issuer, keys(), {}, hooks) {}

    client_list clients = one_client();
    null_issuer issuer;
    counting_hooks hooks;
    async_token_endpoint<async_postgresql_store, client_list, null_issuer, counting_hooks> endpoint;
};

} // namespace

TEST_SUITE("async_postgresql_store") {

TEST_CASE("the conformance kit passes on the awaited store, with connections cut and rows set back (R47 to R53)") {
    const std::string at = fresh_schema();
    for (const auto synchronous : {postgresql_synchronous::full, postgresql_synchronous::normal}) {
        conformance_options options;
        options.rounds = synchronous == postgresql_synchronous::full ? 15 : 5;
        options.fault = cut_connections;
        options.set_back = [&](const row_key& key, generation to) { set_back(at, key, to); };
        // Every other thread has a store of its own, as two servers would; one of them on two threads.
        running_context here, there(2);
        auto one = opened(here.executor(), at, {synchronous, 5s, 16});
        auto other = opened(there.executor(), at, {synchronous, 5s, 16});
        waited_store first(one, here), second(other, there);
        bool odd = false;
        const auto report = check_store([&]() -> auto& { return (odd = !odd) ? first : second; }, options);
        INFO(report.describe());
        CHECK(report.passed());
        CHECK(report.count(check_outcome::skipped) == 0);
        MESSAGE(report.count(check_outcome::passed) << " checks of the kit passed");
    }
}

TEST_CASE("both stores read what the other wrote (R82)") {
    const std::string at = fresh_schema();
    running_context context;
    auto store = opened(context.executor(), at);
    waited_store awaited(store, context);
    auto blocking = *postgresql_store::open(at);
    grant row(key_of(1), {"client \xC3\xA9", std::string_view("a\0b", 3), "openid \xFF", "https://api", "jkt\\x41'"});
    row.rotation = rotation::echo;
    row.issued_at = instant(-5ms);
    row.used_at = noon + 1ms;
    row.expires_at = instant(std::chrono::milliseconds(std::int64_t{1} << 53));
    row.auth_time = std::chrono::sys_seconds(7s);
    row.current = last_generation;
    CHECK(is_inserted(awaited.insert(row)));
    CHECK_FALSE(is_inserted(blocking.insert(row)));
    CHECK(testing::difference(**blocking.find(row.key), row) == "");
    CHECK(testing::difference(**awaited.find(row.key), row) == "");
    CHECK(awaited.list_subject(row.subject())->size() == 1);
    // More than a socket's buffer takes in one go, both ways.
    const std::string much(16'000'000, 'x');
    grant large(key_of(2), {"web", "alice", much});
    large.issued_at = large.used_at = noon;
    large.expires_at = noon + 24h;
    CHECK(is_inserted(awaited.insert(large)));
    CHECK(testing::difference(**awaited.find(large.key), large) == "");
}

TEST_CASE("an awaited reap forgets what has expired, in batches between which others are served (R50)") {
    running_context context;
    const std::string at = fresh_schema();
    auto store = opened(context.executor(), at);
    waited_store awaited(store, context);
    auto blocking = *postgresql_store::open(at);
    for (unsigned i = 0; i != 600; ++i) CHECK(is_inserted(blocking.insert(row_of(i))));
    CHECK(*awaited.reap(noon + 24h) == 0);
    auto reaped = std::async(std::launch::async, [&] { return awaited.reap(noon + 24h + 1ms); });
    grant row = row_of(600);
    row.expires_at = noon + 48h;
    CHECK(is_inserted(awaited.insert(row)));
    const auto removed = reaped.get();
    REQUIRE(removed.has_value());
    CHECK(*removed == 600);
    CHECK(blocking.list_subject("alice")->size() == 1);
}

TEST_CASE("64 awaited requests with one token get the same successor and make one generation (R47)") {
    running_context context;
    auto store = opened(context.executor(), fresh_schema());
    stage at(store);
    auto first = context.wait(at.endpoint.issue({"spa", "alice", "profile"}));
    REQUIRE(first.has_value());
    std::string token(first->refresh_token.reveal());
    for (int round = 0; round != 3; ++round) {
        std::vector<std::future<http_reply>> all;
        for (int i = 0; i != 64; ++i)
            all.push_back(asio::co_spawn(context.executor(), at.endpoint.respond(refreshing(token)),
                                         asio::use_future));
        std::set<std::string> successors;
        for (auto& each : all) successors.insert(token_in(each.get()));
        CHECK(successors.size() == 1);
        token = *successors.begin();
        REQUIRE_FALSE(token.empty());
    }
    CHECK(at.hooks.rotated == 3);
}

TEST_CASE("a server killed amid an awaited load loses nothing that was answered, and logs nobody out (R51, R50)") {
    constexpr auto timeout = 1s;
    running_context context;
    auto store = opened(context.executor(), fresh_schema(), patient(timeout, 8));
    waited_store waited(store, context);
    stage at(store);
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
            const auto asked = std::chrono::steady_clock::now();
            const http_reply reply = co_await at.endpoint.respond(refreshing(token));
            const auto took = std::chrono::ceil<std::chrono::milliseconds>(std::chrono::steady_clock::now() - asked);
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
    for (int i = 0; i != 24; ++i) all.push_back(asio::co_spawn(context.executor(), login(i), asio::use_future));
    for (int kills = 0; kills != 3; ++kills) {
        const unsigned answered_before = answered, revoked_before = revoked;
        CHECK(eventually([&] { return answered > answered_before + 100 && revoked > revoked_before; }));
        control("kill");
        const unsigned outages_before = outages;
        CHECK(eventually([&] { return outages > outages_before; }));
        control("start");
    }
    const unsigned by_then = answered;
    CHECK(eventually([&] { return answered > by_then + 100; }));
    asio::post(context.executor(), [&] { seen.enough = true; });
    for (auto& each : all) CHECK(each.get());

    MESSAGE(answered.load() << " refreshed, " << outages.load() << " times 503, " << seen.ended.size()
                          << " revoked, the slowest answer " << seen.slowest.count() << " ms");
    CHECK(seen.refused == 0);
    CHECK(seen.slowest < 2 * timeout + busy); // a refresh is two calls
    CHECK(at.hooks.healed == 0);
    CHECK(at.hooks.revoked == 0);
    for (const std::string& token : seen.tokens)
        CHECK(status_in_the_end([&] { return context.wait(at.endpoint.respond(refreshing(token))); }) ==
              http_status::ok);
    for (const std::string& token : seen.ended) {
        CHECK(status_in_the_end([&] { return context.wait(at.endpoint.respond(refreshing(token))); }) ==
              http_status::bad_request);
        CHECK((*waited.find(open_token(token).key))->state == revocation::revoked);
    }
}

TEST_CASE("while there is no server awaited calls fail at once, and it is found again soon (R51)") {
    running_context context;
    auto store = opened(context.executor(), fresh_schema());
    waited_store waited(store, context);
    CHECK(is_inserted(waited.insert(row_of(1))));
    control("kill");
    CHECK_FALSE(waited.find(key_of(1)).has_value());
    const auto took = time_of([&] {
        for (int i = 0; i != 1000; ++i) CHECK_FALSE(waited.find(key_of(1)).has_value());
    });
    CHECK(took < busy);
    control("start");
    CHECK(eventually([&] { return waited.find(key_of(1)).has_value(); }));
}

TEST_CASE("a server that hangs is an outage at the timeout for all who await it (R51)") {
    running_context context;
    const std::string schema = fresh_schema();
    CHECK(is_inserted(postgresql_store::open(schema)->insert(row_of(1))));
    auto store = opened(context.executor(), schema, patient(1s, 4));
    waited_store waited(store, context);
    control("freeze");
    const row_key key = key_of(1);
    const auto took = time_of([&] {
        std::vector<std::future<bool>> all;
        for (int i = 0; i != 32; ++i)
            all.push_back(asio::co_spawn(
                context.executor(),
                [&]() -> asio::awaitable<bool> {
                    const auto row = co_await store.find(key);
                    co_return row.has_value();
                },
                asio::use_future));
        for (auto& each : all) CHECK_FALSE(each.get());
    });
    CHECK(took >= 500ms);
    CHECK(took < 1s + busy);
    control("thaw");
    CHECK(eventually([&] { return waited.find(key_of(1)).has_value(); }));
}

TEST_CASE("no more connections than allowed; 200 who await them are served in turn (R51)") {
    running_context context;
    auto store = opened(context.executor(), fresh_schema(), patient(unhurried, 3));
    const grant row = row_of(1);
    waited_store waited(store, context);
    CHECK(is_inserted(waited.insert(row)));
    std::vector<int> order; // touched by the context's one thread
    std::vector<std::future<void>> all;
    for (int i = 0; i != 200; ++i)
        all.push_back(asio::co_spawn(
            context.executor(),
            [&, i]() -> asio::awaitable<void> {
                const auto found = co_await store.find(row.key);
                if (found) order.push_back(i);
            },
            asio::use_future));
    int most = 0;
    for (int i = 0; i != 5; ++i) most = std::max(most, connections_there());
    for (auto& each : all) each.get();
    CHECK(most <= 3);
    CHECK(connections_there() <= 3);
    REQUIRE(order.size() == 200);
    // Anybody may be late, on a connection whose server is; but early are only those on the other connections.
    for (int i = 0; i != 200; ++i) CHECK(order[static_cast<std::size_t>(i)] <= i + 2);
}

TEST_CASE("connections that died while idle are replaced before anybody who awaits fails (R51)") {
    running_context context;
    auto store = opened(context.executor(), fresh_schema(), patient(unhurried, 4));
    waited_store waited(store, context);
    CHECK(is_inserted(waited.insert(row_of(1))));
    for (std::uint32_t i = 0; i != 5; ++i) {
        cut_connections();
        CHECK(eventually([] { return connections_there() == 0; }));
        CHECK(is_advanced(waited.advance(key_of(1), generation{i}, generation{i + 1}, noon)));
    }
}

TEST_CASE("a lock held by another is waited for until the timeout, without a thread") {
    const std::string schema = fresh_schema();
    running_context context;
    raw_connection raw(schema);
    {
        auto patient_store = opened(context.executor(), schema);
        waited_store waited(patient_store, context);
        CHECK(is_inserted(waited.insert(row_of(1))));
        CHECK(is_inserted(waited.insert(row_of(2))));
    }
    raw.run("BEGIN; SELECT 1 FROM regrant_family WHERE row_key = " + hex_of(key_of(1)) + " FOR UPDATE");
    const row_key locked = key_of(1);
    CHECK(given_time([&](std::chrono::milliseconds timeout) {
        auto store = opened(context.executor(), schema, patient(timeout, 2));
        waited_store waited(store, context);
        auto stuck = asio::co_spawn(
            context.executor(),
            [&]() -> asio::awaitable<bool> {
                const auto moved = co_await store.advance(locked, generation{0}, generation{1}, noon);
                co_return moved.has_value();
            },
            asio::use_future);
        const bool is_found = waited.find(key_of(2)).has_value();
        const bool is_stuck = stuck.wait_for(0s) == std::future_status::timeout;
        CHECK_FALSE(stuck.get());
        return is_found && is_stuck;
    }));
    raw.run("COMMIT");
    auto store = opened(context.executor(), schema);
    waited_store waited(store, context);
    CHECK(waited.revoke(key_of(1)).has_value());
}

TEST_CASE("who cancels a call costs the store a connection, and nobody else anything") {
    const std::string schema = fresh_schema();
    running_context context;
    auto store = opened(context.executor(), schema, patient(unhurried, 1));
    waited_store waited(store, context);
    CHECK(is_inserted(waited.insert(row_of(1))));
    raw_connection raw(schema);
    raw.run("BEGIN; SELECT 1 FROM regrant_family WHERE row_key = " + hex_of(key_of(1)) + " FOR UPDATE");
    const row_key key = key_of(1);
    const auto revoke = [&]() -> asio::awaitable<bool> {
        const auto done = co_await store.revoke(key);
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
    auto held = asio::co_spawn(context.executor(), revoke,
                               asio::bind_cancellation_slot(cancel.slot(), asio::use_future));
    auto queued = asio::co_spawn(context.executor(), revoke,
                                 asio::bind_cancellation_slot(cancel_queued.slot(), asio::use_future));
    {
        raw_connection watching;
        CHECK(eventually([&] { return waiting_for_a_lock(watching) == 1; }));
    }
    asio::post(context.executor(), [&] { cancel_queued.emit(asio::cancellation_type::terminal); });
    CHECK(is_cancelled(queued));
    asio::post(context.executor(), [&] { cancel.emit(asio::cancellation_type::terminal); });
    CHECK(is_cancelled(held));
    raw.run("COMMIT");
    CHECK(waited.find(key).has_value());
}

TEST_CASE("a context may be destroyed with calls in flight, in its queue and before they began") {
    const std::string schema = fresh_schema();
    const row_key key = key_of(1);
    is_inserted(postgresql_store::open(schema)->insert(row_of(1)));
    raw_connection raw(schema);
    raw.run("BEGIN; SELECT 1 FROM regrant_family FOR UPDATE");
    for (int round = 0; round != 10; ++round) {
        asio::io_context context;
        auto store = std::make_optional(opened(context.get_executor(), schema, patient(unhurried, 2)));
        for (int i = 0; i != 8; ++i)
            asio::co_spawn(
                context, [&]() -> asio::awaitable<void> { (void)co_await store->revoke(key); }, asio::detached);
        context.run_for(std::chrono::milliseconds(5 * round));
        if (round % 2 != 0) store.reset();
        else context.run_for(1ms);
        // An optional is destroyed before the context, as a store must be.
    }
    raw.run("ROLLBACK");
    CHECK(eventually([] { return connections_there() == 0; }));
}

TEST_CASE("the store's executor may be a pool of threads") {
    asio::thread_pool threads(4);
    auto store = opened(threads.get_executor(), fresh_schema(), patient(unhurried, 4));
    const grant row = row_of(1);
    CHECK(is_inserted(asio::co_spawn(
                          threads,
                          [&]() -> asio::awaitable<std::optional<result<insert_outcome, outage>>> {
                              co_return co_await store.insert(row);
                          },
                          asio::use_future)
                          .get()
                          .value()));
    std::atomic<unsigned> moved{0};
    std::vector<std::future<void>> all;
    for (int i = 0; i != 64; ++i)
        all.push_back(asio::co_spawn(
            threads,
            [&]() -> asio::awaitable<void> {
                for (std::uint32_t at = 0; at != 20; ++at) {
                    const auto outcome = co_await store.advance(row.key, generation{at}, generation{at + 1}, noon);
                    if (outcome && *outcome == advance_outcome::advanced) ++moved;
                }
            },
            asio::use_future));
    for (auto& each : all) each.get();
    CHECK(moved == 20);
}

} // TEST_SUITE
