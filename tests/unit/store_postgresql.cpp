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

} // namespace

TEST_CASE("a connection string that libpq cannot read is refused, and never quoted: it may hold a password (R76)") {
    for (const char* garbage :
         {"hunter2", "host=h password=a hunter2", "postgresql://user:hunter2@[::1/db", "password='hunter2",
          "postgresql://user:x@hunter2@h/db", "postgresql://user:a/hunter2@h/db", "postgresql://h:hunter2/db",
          "dbname=postgresql://u:hunter2@h/db", "host=u:hunter2@127.0.0.1", "host=127.0.0.1,u:hunter2@127.0.0.1",
          "postgres://app:a@hunter2@127.0.0.1/db", "postgres://app:hunter2@127.0.0.1:port/db"}) {
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
