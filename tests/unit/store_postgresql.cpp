// tests/unit/store_postgresql.cpp - the PostgreSQL store without a server; with one: tests/stores/postgresql_test.cpp.
// SPDX-License-Identifier: MIT
#include <regrant/store/postgresql.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

namespace {

using namespace regrant;
using namespace std::chrono_literals;

static_assert(token_store<postgresql_store> && can_revoke_subject<postgresql_store> &&
              can_list_subject<postgresql_store> && can_reap<postgresql_store>);
static_assert(std::is_nothrow_move_constructible_v<postgresql_store> &&
              !std::is_copy_constructible_v<postgresql_store>);

struct fake_connection {
    bool alive = true;
    bool still_open() const noexcept { return alive; }
};
using fake_pool = detail::connection_pool<fake_connection>;

} // namespace

TEST_CASE("a connection string that libpq cannot read is refused, and never quoted: it may hold a password (R76)") {
    for (const char* garbage :
         {"hunter2", "host=h password=a hunter2", "postgresql://user:hunter2@[::1/db", "password='hunter2",
          "postgresql://user:x@hunter2@h/db", "postgresql://user:a/hunter2@h/db", "postgresql://h:hunter2/db",
          "dbname=postgresql://u:hunter2@h/db"}) {
        const auto store = postgresql_store::open(garbage);
        REQUIRE_FALSE(store.has_value());
        INFO(store.error().message);
        CHECK(store.error().message.find("hunter2") == std::string::npos);
        CHECK(store.error().message.find("connection string") != std::string::npos);
    }
}

TEST_CASE("a port where nobody listens is a setup_error that says so") {
    const auto store = postgresql_store::open("host=127.0.0.1 port=1 password=hunter2");
    REQUIRE_FALSE(store.has_value());
    CHECK(store.error().message.find("\"127.0.0.1\", port 1 failed") != std::string::npos);
    CHECK(store.error().message.find("hunter2") == std::string::npos);
}

TEST_CASE("a pool lends no more connections than it may, and closes those that are not given back whole") {
    int opened = 0;
    fake_pool pool(2, [&](auto) -> result<fake_pool::connection_ptr, outage> {
        ++opened;
        return std::make_unique<fake_connection>();
    });
    const auto soon = [] { return fake_pool::clock::now() + 20ms; };
    {
        auto one = pool.take(soon(), soon()), two = pool.take(soon(), soon());
        REQUIRE(one.has_value());
        REQUIRE(two.has_value());
        CHECK_FALSE(pool.take(soon(), soon()).has_value());
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
    const auto later = [] { return fake_pool::clock::now() + 5s; };
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
