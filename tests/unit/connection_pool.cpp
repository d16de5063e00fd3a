#include <regrant/detail/connection_pool.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <latch>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace regrant;
using namespace std::chrono_literals;

namespace {

struct fake_connection {
    bool alive = true;
    bool still_open() const noexcept { return alive; }
};
using fake_pool = detail::connection_pool<fake_connection>;


/// Long enough that only an event ends a wait for it.
fake_pool::clock::time_point far() { return fake_pool::clock::now() + std::chrono::hours(1); }
/// What is over before anything can happen.
fake_pool::clock::time_point at_once() { return fake_pool::clock::now() + 20ms; }

/// A server with a limit of its own.
struct limited_server {
    std::size_t limit;
    int refused = 0;
    std::size_t open = 0;

    auto opener() {
        return [this](auto) -> result<fake_pool::connection_ptr, outage> {
            if (open == limit) {
                ++refused;
                return unexpected(outage{"too many clients"});
            }
            ++open;
            return std::make_unique<fake_connection>();
        };
    }
};

} // namespace

TEST_CASE("a pool lends no more connections than it may, and closes those that are not given back whole") {
    int opened = 0;
    fake_pool pool(2, [&](auto) -> result<fake_pool::connection_ptr, outage> {
        ++opened;
        return std::make_unique<fake_connection>();
    });
    const auto soon = [] { return fake_pool::clock::now() + 1h; };
    {
        auto one = pool.take(soon(), soon()), two = pool.take(soon(), soon());
        REQUIRE(one.has_value());
        REQUIRE(two.has_value());
        CHECK_FALSE(pool.take(at_once(), at_once()).has_value());
        one->keep();
    }
    CHECK(opened == 2);
    {
        auto kept = pool.take(soon(), soon()), fresh = pool.take(soon(), soon());
        CHECK(opened == 3);
        (*kept)->alive = false;
        kept->keep();
        fresh->keep();
    }
    auto one = pool.take(soon(), soon()), two = pool.take(soon(), soon());
    REQUIRE(one.has_value());
    REQUIRE(two.has_value());
    CHECK((*one)->alive);
    CHECK((*two)->alive);
    CHECK(opened == 4);
}

TEST_CASE("where none can be opened callers are told at once, and one tries again after the back-off (R51)") {
    int tries = 0;
    bool works = false;
    fake_pool pool(2, [&](auto) -> result<fake_pool::connection_ptr, outage> {
        ++tries;
        if (!works) return unexpected(outage{"nobody home"});
        return std::make_unique<fake_connection>();
    });
    const auto later = [] { return fake_pool::clock::now() + 1h; };
    for (int i = 0; i != 100; ++i) {
        const auto none = pool.take(later(), later());
        REQUIRE_FALSE(none.has_value());
        CHECK(none.error().detail == "nobody home");
    }
    CHECK(tries < 50);
    works = true;
    std::this_thread::sleep_for(fake_pool::longest_back_off);
    CHECK(pool.take(later(), later()).has_value());
}

TEST_CASE("a pool that may not grow waits for a connection that serves (R241)") {
    limited_server server{1};
    fake_pool pool(4, server.opener());
    auto only = pool.take(far(), far());
    REQUIRE(only);
    std::atomic<bool> is_served = false;
    std::thread waits([&] {
        auto next = pool.take(far(), far());
        is_served = next.has_value();
        if (next) next->keep();
    });
    // The other one has been refused by now, or is refused before it sees that this one is back.
    only->keep();
    { auto back = *std::move(only); }
    waits.join();
    CHECK(is_served);
    CHECK(server.open == 1);
}

TEST_CASE("many callers and few connections: none fails for the server's limit (R241)") {
    // What the opener counts is the pool's to guard: it opens from many threads.
    std::atomic<int> open = 0;
    fake_pool pool(16, [&](auto) -> result<fake_pool::connection_ptr, outage> {
        if (++open > 2) {
            --open;
            return unexpected(outage{"too many clients"});
        }
        return std::make_unique<fake_connection>();
    });
    std::atomic<int> served = 0;
    std::vector<std::thread> threads;
    std::latch all(12);
    for (int i = 0; i != 12; ++i)
        threads.emplace_back([&] {
            all.arrive_and_wait();
            for (int k = 0; k != 200; ++k) {
                auto one = pool.take(far(), far());
                if (!one) continue;
                ++served;
                one->keep();
            }
        });
    for (std::thread& each : threads) each.join();
    CHECK(served == 12 * 200);
    CHECK(open <= 2);
}

TEST_CASE("who waits in vain is told why there was no other connection (R241)") {
    limited_server server{1};
    fake_pool pool(4, server.opener());
    auto only = pool.take(far(), far());
    REQUIRE(only);
    const auto none = pool.take(at_once(), far());
    REQUIRE_FALSE(none);
    CHECK(none.error().detail == "every connection was in use for too long, and another could not be opened: "
                                 "too many clients");
    CHECK(server.refused > 0);
}

TEST_CASE("opening one more leaves part of the patience for those that come back (R241)") {
    const auto begun = fake_pool::clock::now();
    std::vector<fake_pool::clock::time_point> limits;
    fake_pool pool(2, [&](auto until) -> result<fake_pool::connection_ptr, outage> {
        limits.push_back(until);
        if (limits.size() > 1) return unexpected(outage{"no answer"});
        return std::make_unique<fake_connection>();
    });
    const auto patience = begun + 30min, until = begun + 60min;
    auto only = pool.take(patience, until);
    REQUIRE(only);
    CHECK(limits[0] == until);
    // On a busy machine all patience may be over before another one is opened.
    for (auto more = 40ms; limits.size() < 2 && more < 1min; more *= 2)
        CHECK_FALSE(pool.take(fake_pool::clock::now() + more, until));
    REQUIRE(limits.size() >= 2);
    CHECK(limits[1] < until);
}

TEST_CASE("when the last connection is gone, a server that refused another one is asked again at once (R51, R241)") {
    limited_server server{1};
    fake_pool pool(4, server.opener());
    auto only = pool.take(far(), far());
    for (int i = 0; i != 12; ++i) CHECK_FALSE(pool.take(fake_pool::clock::now() + 1ms, far()));
    server.open = 0;
    { auto broken = *std::move(only); }
    CHECK(pool.take(far(), far()));
}

TEST_CASE("one broken connection costs the idle ones that were not used since its call began (R242)") {
    int opened = 0;
    fake_pool pool(3, [&](auto) -> result<fake_pool::connection_ptr, outage> {
        ++opened;
        return std::make_unique<fake_connection>();
    });
    const auto fill = [&] {
        auto one = pool.take(far(), far()), two = pool.take(far(), far()), three = pool.take(far(), far());
        for (auto* each : {&one, &two, &three}) (*each)->keep();
    };
    fill();
    CHECK(opened == 3);
    { auto broken = pool.take(far(), far()); }
    fill();
    CHECK(opened == 6);

    // A server that answers with an error is there.
    {
        auto refused = pool.take(far(), far());
        refused->close();
    }
    fill();
    CHECK(opened == 7);

    // One that was used while the broken call ran is good.
    {
        auto broken = pool.take(far(), far());
        std::this_thread::sleep_for(1ms); // the clock moves on
        auto good = pool.take(far(), far());
        good->keep();
        { auto back = *std::move(good); }
        REQUIRE(broken);
    }
    {
        auto survivor = pool.take(far(), far());
        CHECK(opened == 7);
        survivor->keep();
    }
    fill();
    CHECK(opened == 9);
}

TEST_CASE("an idle connection that the server has closed costs no other one") {
    int opened = 0;
    fake_pool pool(2, [&](auto) -> result<fake_pool::connection_ptr, outage> {
        ++opened;
        return std::make_unique<fake_connection>();
    });
    {
        auto one = pool.take(far(), far()), two = pool.take(far(), far());
        one->keep();
        two->keep();
        (*one)->alive = false; // goes back last, so it is the first to be lent
    }
    CHECK(pool.take(far(), far()));
    CHECK(opened == 2);
}
