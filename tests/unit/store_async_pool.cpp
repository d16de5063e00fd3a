// tests/unit/store_async_pool.cpp - connections that coroutines borrow, without a server.
// SPDX-License-Identifier: MIT
#include <regrant/store/async_pool.hpp>

#include <doctest/doctest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace regrant;
using namespace std::chrono_literals;
namespace asio = boost::asio;

struct fake_connection {
    explicit fake_connection(int& alive) : count(alive) { ++count; }
    ~fake_connection() { --count; }
    bool still_open() const noexcept { return is_open; }
    int& count;
    bool is_open = true;
};
using fake_pool = detail::async_pool<fake_connection>;

/// A pool whose connections open when the timer allows.
struct pool_scene {
    pool_scene(asio::io_context& context, std::size_t most)
        : strand(asio::make_strand(asio::any_io_executor(context.get_executor()))),
          pool(strand, most, [this](auto) { return open(); }) {}

    fake_pool::answer<fake_pool::connection_ptr> open() {
        ++tries;
        asio::steady_timer takes(strand, opening);
        boost::system::error_code error;
        if (tells) co_await takes.async_wait(asio::redirect_error(asio::use_awaitable, error));
        else co_await takes.async_wait(asio::use_awaitable);
        if (error) co_return unexpected(outage{error.message()});
        if (!works) co_return unexpected(outage{"nobody home"});
        if (counted == limit) co_return unexpected(outage{"too many clients"});
        co_return std::make_unique<fake_connection>(*alive);
    }
    /// Borrows for a while and gives back whole.
    asio::awaitable<void> borrow(int who, std::chrono::milliseconds how_long,
                                 std::chrono::milliseconds patience = 1h) {
        const auto now = fake_pool::clock::now();
        auto taken = co_await pool.take(now + patience, now + patience);
        if (!taken) {
            failures.push_back(taken.error().detail);
            co_return;
        }
        served.push_back(who);
        asio::steady_timer works_with_it(strand, how_long);
        co_await works_with_it.async_wait(asio::use_awaitable);
        taken->keep();
    }
    template <class... Arguments> void spawn(Arguments... arguments) {
        asio::co_spawn(strand, borrow(arguments...), asio::detached);
    }
    /// One that may be cancelled.
    template <class... Arguments> void spawn(asio::cancellation_signal& by, Arguments... arguments) {
        asio::co_spawn(strand, borrow(arguments...), asio::bind_cancellation_slot(by.slot(), asio::detached));
    }

    int counted = 0, tries = 0;
    /// The server's own.
    int limit = 1000;
    int* alive = &counted;
    bool works = true;
    std::chrono::milliseconds opening = 5ms;
    /// Whether who is cancelled while opening one is told of an outage; else it throws.
    bool tells = false;
    std::vector<int> served;
    std::vector<std::string> failures;
    detail::async_strand strand;
    fake_pool pool;
};

} // namespace

TEST_CASE("an awaited pool lends no more than it may, in the order of asking") {
    asio::io_context context;
    pool_scene at(context, 2);
    for (int i = 0; i != 10; ++i) at.spawn(i, 2ms);
    context.run();
    CHECK(at.served.size() == 10);
    // The first two wait for connections of their own, not in the queue.
    std::erase_if(at.served, [](int who) { return who < 2; });
    CHECK(at.served == std::vector<int>{2, 3, 4, 5, 6, 7, 8, 9});
    CHECK(at.tries == 2);
    CHECK(at.counted == 2);
}

TEST_CASE("who waits longer than they would for an awaited connection is told so") {
    asio::io_context context;
    pool_scene at(context, 1);
    at.spawn(0, 1s); // far longer than a busy machine stands still between two steps
    at.spawn(1, 1ms, 20ms);
    at.spawn(2, 1ms);
    context.run();
    CHECK(at.served == std::vector<int>{0, 2});
    REQUIRE(at.failures.size() == 1);
    CHECK(at.failures[0] == "every connection was in use for too long");
}

TEST_CASE("an awaited pool that can open none says so at once, until one tries again (R51)") {
    asio::io_context context;
    pool_scene at(context, 4);
    at.works = false;
    at.spawn(0, 1ms);
    context.run();
    context.restart();
    for (int i = 0; i != 100; ++i) at.spawn(i, 1ms);
    context.run();
    CHECK(at.failures == std::vector<std::string>(101, "nobody home"));
    CHECK(at.tries < 50);
    at.works = true;
    context.restart();
    asio::steady_timer later(at.strand, fake_pool::longest_back_off);
    later.async_wait([&](auto) { at.spawn(7, 1ms); });
    context.run();
    CHECK(at.served == std::vector<int>{7});
}

TEST_CASE("an awaited pool that may not grow waits for a connection that serves (R241)") {
    asio::io_context context;
    pool_scene at(context, 8);
    at.limit = 1;
    for (int i = 0; i != 20; ++i) at.spawn(i, 1ms, std::chrono::milliseconds(1h));
    context.run();
    CHECK(at.failures.empty());
    CHECK(at.served.size() == 20);
    CHECK(at.counted == 1);
}

TEST_CASE("one broken awaited connection costs the idle ones that were not used since its call began (R242)") {
    asio::io_context context;
    pool_scene at(context, 3);
    const auto fill = [&] {
        for (int i = 0; i != 3; ++i) at.spawn(i, 5ms);
        context.run();
        context.restart();
    };
    fill();
    CHECK(at.tries == 3);
    const auto spoil = [&](bool has_answered) -> asio::awaitable<void> {
        auto taken = co_await at.pool.take(fake_pool::clock::now() + 1h, fake_pool::clock::now() + 1h);
        REQUIRE(taken.has_value());
        if (has_answered) taken->close();
    };
    asio::co_spawn(at.strand, spoil(false), asio::detached);
    context.run();
    context.restart();
    CHECK(at.counted == 0);
    fill();
    CHECK(at.tries == 6);
    // A server that answers with an error is there.
    asio::co_spawn(at.strand, spoil(true), asio::detached);
    context.run();
    context.restart();
    CHECK(at.counted == 2);
}

TEST_CASE("a connection that is not kept, or has died, is closed, and whoever waits opens another") {
    asio::io_context context;
    pool_scene at(context, 1);
    const auto spoil = [&]() -> asio::awaitable<void> {
        auto taken = co_await at.pool.take(fake_pool::clock::now() + 1h, fake_pool::clock::now() + 1h);
        REQUIRE(taken.has_value());
        asio::steady_timer breaks(at.strand, 5ms);
        co_await breaks.async_wait(asio::use_awaitable);
    };
    asio::co_spawn(at.strand, spoil(), asio::detached);
    at.spawn(1, 1ms);
    context.run();
    CHECK(at.served == std::vector<int>{1});
    CHECK(at.tries == 2);
    CHECK(at.counted == 1);
    at.pool.close_idle();
    CHECK(at.counted == 0);
}

TEST_CASE("who is cancelled just when it is their turn leaves their place to others (R51)") {
    asio::io_context context;
    pool_scene at(context, 1);
    for (int round = 0; round != 3; ++round) {
        asio::cancellation_signal holding, waiting;
        at.spawn(holding, 0, 1h);
        at.spawn(waiting, 1, 1h);
        while (at.served.empty() && context.run_one() != 0) {}
        REQUIRE_FALSE(at.served.empty());
        context.poll();
        // The one gives up its connection, and so there is room for the other when it wakes.
        holding.emit(asio::cancellation_type::terminal);
        waiting.emit(asio::cancellation_type::terminal);
        context.run();
        context.restart();
        CHECK(std::exchange(at.served, {}) == std::vector<int>{0});
        CHECK(at.counted == 0);
    }
    at.spawn(2, 1ms);
    context.run();
    CHECK(at.served == std::vector<int>{2});
    CHECK(at.failures.empty());
}

TEST_CASE("who goes away while a connection is opened for them is no failure of the server (R51)") {
    for (const bool tells : {false, true}) {
        CAPTURE(tells);
        asio::io_context context;
        pool_scene at(context, 2);
        at.tells = tells;
        at.opening = 1h;
        for (int round = 0; round != 4; ++round) {
            asio::cancellation_signal away;
            at.spawn(away, 0, 1ms);
            context.poll();
            CHECK(at.tries == round + 1);
            away.emit(asio::cancellation_type::terminal);
            context.run();
            context.restart();
        }
        CHECK(std::exchange(at.failures, {}).size() == (tells ? 4 : 0));
        at.opening = 5ms;
        at.spawn(1, 1ms);
        at.spawn(2, 1ms);
        context.poll();
        // Both at once: after a failure one would try, later, and others fail meanwhile.
        CHECK(at.tries == 6);
        context.run();
        CHECK(at.served.size() == 2);
        CHECK(at.failures.empty());
    }
}

TEST_CASE("who comes to an awaited pool when their time is up costs it no connection and no rest (R51)") {
    asio::io_context context;
    pool_scene at(context, 1);
    // Before there is one, and when one is idle.
    for (int round = 0; round != 2; ++round) {
        at.spawn(0, 1ms, -1ms);
        at.spawn(1, 1ms);
        context.run();
        context.restart();
        CHECK(std::exchange(at.served, {}) == std::vector<int>{1});
        CHECK(std::exchange(at.failures, {}) == std::vector<std::string>{"no time was left"});
    }
    CHECK(at.tries == 1);
}

TEST_CASE("a connection that is handed on to who has no time left goes to the next who waits (R51)") {
    asio::io_context context;
    pool_scene at(context, 1);
    at.spawn(0, 300ms); // far longer than a busy machine stands still between two steps
    context.poll();
    at.spawn(1, 1ms, 600ms);
    at.spawn(2, 1ms);
    while (at.served.empty() && context.run_one() != 0) {}
    context.poll();
    // Both the first to wait and the connection's return are due when this thread goes on.
    std::this_thread::sleep_for(700ms);
    context.run();
    CHECK(at.served == std::vector<int>{0, 2});
    CHECK(at.failures == std::vector<std::string>{"every connection was in use for too long"});
    CHECK(at.tries == 1);
    CHECK(at.counted == 1);
}

TEST_CASE("frames that are destroyed while they wait for a connection, hold or open one leave nothing behind") {
    int alive = 0, most_alive = 0;
    // Destroyed behind each of the events that bring all of them to their end.
    std::size_t events = 0;
    for (bool is_over = false; !is_over; ++events) {
        asio::io_context context;
        auto at = std::make_shared<pool_scene>(context, 2);
        at->alive = &alive;
        // As in a store, each call keeps alive what it uses.
        for (int i = 0; i != 8; ++i)
            asio::co_spawn(
                at->strand, [at, i]() -> asio::awaitable<void> { co_await at->borrow(i, 3ms); }, asio::detached);
        at.reset();
        std::size_t run = 0;
        while (run != events && context.run_one() != 0) ++run;
        is_over = run != events;
        most_alive = std::max(most_alive, alive);
    }
    CHECK(events > 16);
    CHECK(most_alive == 2);
    CHECK(alive == 0);
}
