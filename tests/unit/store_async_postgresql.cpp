// tests/unit/store_async_postgresql.cpp - the awaited PostgreSQL store without a server.
// SPDX-License-Identifier: MIT
#include <regrant/store/async_postgresql.hpp>

#include <regrant/async_token_store.hpp>

#include <doctest/doctest.h>

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <type_traits>

namespace {

using namespace regrant;
using namespace std::chrono_literals;
namespace asio = boost::asio;

static_assert(async_token_store<async_postgresql_store> && can_revoke_subject_awaited<async_postgresql_store>);
static_assert(std::is_nothrow_move_constructible_v<async_postgresql_store>);

std::string why_not(const std::string& at, postgresql_settings settings = {}) {
    asio::io_context context;
    const auto store = async_postgresql_store::open(context.get_executor(), at, settings);
    REQUIRE_FALSE(store.has_value());
    INFO(store.error().message);
    CHECK(store.error().message.starts_with("the PostgreSQL token store: "));
    CHECK(store.error().message.find("hunter2") == std::string::npos);
    return store.error().message;
}

/// Opens an awaited connection. \return why there is none
std::string connect(const std::string& to, std::chrono::milliseconds timeout) {
    asio::io_context context;
    const auto options = detail::libpq_options::parse(to, timeout);
    REQUIRE(options.has_value());
    const detail::async_strand strand = asio::make_strand(asio::any_io_executor(context.get_executor()));
    std::optional<std::string> why;
    asio::co_spawn(
        strand,
        [&]() -> asio::awaitable<void> {
            detail::async_libpq_connection connection(strand);
            const auto opened = co_await connection.open(*options, std::chrono::steady_clock::now() + timeout);
            why = opened ? std::string() : opened.error().detail;
        },
        asio::detached);
    context.run();
    REQUIRE(why.has_value());
    return *why;
}

} // namespace

TEST_CASE("an awaited PostgreSQL store refuses what it cannot read, and never quotes it (R76)") {
    for (const char* const garbage : {"hunter2", "host=h password=a hunter2", "postgresql://user:hunter2@[::1/db"})
        CHECK(why_not(garbage).find("connection string") != std::string::npos);
    CHECK(why_not("host=127.0.0.1", {.timeout = 0ms}).find("timeout") != std::string::npos);
    CHECK(why_not("host=127.0.0.1", {.connections = 0}).find("connections") != std::string::npos);
    CHECK(why_not("host=127.0.0.1 port=1 password=hunter2").find("port 1 failed") != std::string::npos);
}

TEST_CASE("an awaited connection to where nobody listens fails at once, to who says nothing at the timeout (R51)") {
    CHECK(connect("host=127.0.0.1 port=1 password=hunter2", 1min).find("port 1 failed") != std::string::npos);
    asio::io_context other;
    const asio::ip::tcp::acceptor silent(other, {asio::ip::address_v4::loopback(), 0});
    const std::string there = "host=127.0.0.1 port=" + std::to_string(silent.local_endpoint().port());
    const auto begun = std::chrono::steady_clock::now();
    CHECK(connect(there, 100ms) == "PostgreSQL: no answer within the timeout");
    const auto took = std::chrono::steady_clock::now() - begun;
    CHECK(took >= 100ms);
    CHECK(took < 5min); // else it did not finish
    CHECK(why_not(there, {.timeout = 100ms}).find("no answer within the timeout") != std::string::npos);
}
