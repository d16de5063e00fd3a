// tests/unit/store_async_redis.cpp - the awaited Redis store without a server.
// SPDX-License-Identifier: MIT
#include <regrant/store/async_redis.hpp>

#include <regrant/async_token_store.hpp>

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <type_traits>

namespace {

using namespace regrant;
using namespace std::chrono_literals;
namespace asio = boost::asio;

static_assert(async_token_store<async_redis_store> && can_revoke_subject_awaited<async_redis_store>);
static_assert(std::is_nothrow_move_constructible_v<async_redis_store>);

std::string why_not(std::string_view at, const redis_settings& settings = {}) {
    asio::io_context context;
    const auto store = async_redis_store::open(context.get_executor(), at, settings);
    REQUIRE_FALSE(store.has_value());
    CHECK(store.error().message.find("hunter2") == std::string::npos);
    return store.error().message;
}

} // namespace

TEST_CASE("an awaited Redis store refuses what it cannot read, and never quotes it (R76)") {
    for (const char* const garbage : {"hunter2", "redis://:hunter2@", "rediss://a:hunter2@h"})
        CHECK(why_not(garbage).find("the URL of the Redis server") != std::string::npos);
    CHECK(why_not("redis://127.0.0.1", {.timeout = 0ms}).find("timeout") != std::string::npos);
    CHECK(why_not("redis://127.0.0.1", {.connections = 0}).find("connections") != std::string::npos);
    CHECK(why_not("redis://:hunter2@127.0.0.1:1").find("Connection refused") != std::string::npos);
}
