// tests/unit/store_async_redis_node.cpp - awaited connections to servers that are none, or only pretend.
// SPDX-License-Identifier: MIT
#include <regrant/store/async_redis_node.hpp>

#include <doctest/doctest.h>

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace regrant;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;

/// A server that says what it is told to, whatever it is asked.
struct scripted_server {
    explicit scripted_server(asio::io_context& context) : acceptor(context, {asio::ip::address_v4::loopback(), 0}) {}

    /// One answer to each piece that comes; then the end.
    asio::awaitable<void> serve(std::vector<std::string> answers) {
        tcp::socket peer = co_await acceptor.async_accept(asio::use_awaitable);
        std::array<char, 256> heard{};
        for (const std::string& each : answers) {
            co_await peer.async_read_some(asio::buffer(heard), asio::use_awaitable);
            co_await asio::async_write(peer, asio::buffer(each), asio::use_awaitable);
        }
    }
    detail::redis_address address(std::string host = "127.0.0.1") const {
        return {std::move(host), acceptor.local_endpoint().port()};
    }
    tcp::acceptor acceptor;
};

/// Sends a command. \return how it ended
std::string ask(asio::io_context& context, const detail::redis_address& to, std::chrono::milliseconds timeout) {
    const detail::async_strand strand = asio::make_strand(asio::any_io_executor(context.get_executor()));
    std::optional<std::string> said;
    asio::co_spawn(
        strand,
        [&]() -> asio::awaitable<void> {
            detail::async_redis_connection connection(strand);
            const auto until = std::chrono::steady_clock::now() + timeout;
            const auto failed = co_await connection.open(to, nullptr, until);
            if (failed) {
                said = "not connected: " + *failed;
                co_return;
            }
            const auto answers = co_await connection.call_all("PING\r\n", 1, until);
            if (answers) said = (*answers->front()).text();
            else said = answers.error().what;
        },
        asio::detached);
    context.run();
    REQUIRE(said.has_value());
    return *said;
}

} // namespace

TEST_CASE("an awaited Redis connection to where nobody listens fails at once, by name and by number (R51)") {
    for (const char* const host : {"127.0.0.1", "localhost"}) {
        asio::io_context context;
        CHECK(ask(context, {host, 1}, 1min).starts_with("not connected: "));
    }
}

TEST_CASE("who listens and says nothing to an awaiting Redis client is given up at the timeout (R51)") {
    asio::io_context context;
    const scripted_server silent(context);
    const auto begun = std::chrono::steady_clock::now();
    CHECK(ask(context, silent.address(), 100ms) == "no answer within the timeout");
    const auto took = std::chrono::steady_clock::now() - begun;
    CHECK(took >= 100ms);
    CHECK(took < 5min); // else it did not finish
}

TEST_CASE("an awaited Redis answer may come whole, by name, cut off, or be no answer at all") {
    struct answered {
        const char *says, *gives, *host;
    };
    for (const auto& each : {answered{"+PONG\r\n", "PONG", "127.0.0.1"}, answered{"+PONG\r\n", "PONG", "localhost"},
                             answered{"$5\r\nPO", "the server closed the connection", "127.0.0.1"},
                             answered{"HTTP/1.1 400", "Protocol error, got \"H\" as reply type byte", "127.0.0.1"}}) {
        asio::io_context context;
        scripted_server server(context);
        asio::co_spawn(context, server.serve({each.says}), asio::detached);
        CHECK(ask(context, server.address(each.host), 1min) == each.gives);
    }
}

TEST_CASE("a name with two addresses that are silent is given up at the timeout, not once for each (R51)") {
    asio::io_context context;
    // One whose queue is full hears nobody.
    tcp::acceptor full(context, tcp::v4());
    full.bind({asio::ip::address_v4::loopback(), 0});
    full.listen(0);
    std::vector<tcp::socket> in_queue;
    for (int i = 0; i != 8; ++i) {
        in_queue.emplace_back(context);
        in_queue.back().async_connect(full.local_endpoint(), [](auto) {});
    }
    context.run_for(200ms);

    const detail::async_strand strand = asio::make_strand(asio::any_io_executor(context.get_executor()));
    const auto at = std::make_shared<detail::timed_socket<tcp::socket>>(strand);
    const std::vector<tcp::endpoint> both(2, full.local_endpoint());
    std::optional<boost::system::error_code> ended;
    at->limit(std::chrono::steady_clock::now() + 100ms);
    asio::co_spawn(
        strand,
        [&]() -> asio::awaitable<void> { ended = co_await detail::connect_to_one_of(both, *at); }, asio::detached);
    for (const auto until = std::chrono::steady_clock::now() + 5min; !ended && std::chrono::steady_clock::now() < until;)
        context.run_one_for(1s);
    REQUIRE_MESSAGE(ended.has_value(), "it did not finish in five minutes");
    CHECK(at->is_late());
    CHECK(*ended == asio::error::operation_aborted);
}
