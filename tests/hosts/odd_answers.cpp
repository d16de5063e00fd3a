// tests/hosts/odd_answers.cpp - what a host makes of answers that few give, and Beast of an acceptor that goes.
// SPDX-License-Identifier: MIT
#include <regrant/host/beast.hpp>
#include <regrant/host/poco.hpp>
#include <regrant/host/restinio.hpp>

#include <Poco/Net/HTTPServer.h>
#include <boost/asio.hpp>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace {

namespace net = boost::asio;
using namespace regrant;

int passed = 0, failed = 0;

void check(bool holds, const std::string& what) {
    std::printf("%s %s\n", holds ? "ok    " : "FAILED", what.c_str());
    ++(holds ? passed : failed);
}

http_reply odd(std::string_view path, http_request) {
    if (path == "/throws") throw 42; // NOLINT(hicpp-exception-baseclass): a host's code may
    return {static_cast<regrant::http_status>(418), {}, "tea"};
}

/// Whether nothing of a connection runs at once with the rest of it, however many threads run the loop.
net::awaitable<http_reply> on_strand(std::string_view, http_request) {
    const auto runs_on = co_await net::this_coro::executor;
    const bool is_strand = runs_on.target<net::strand<net::any_io_executor>>() != nullptr;
    if (is_strand) co_return http_reply{};
    co_return http_reply{regrant::http_status::bad_request};
}

/// The first 13 bytes of an answer: `HTTP/1.1 200 `.
std::string status_line(std::uint16_t port, std::string_view path) {
    net::io_context context;
    net::ip::tcp::socket client(context);
    boost::system::error_code error;
    client.connect({net::ip::address_v4::loopback(), port}, error);
    const std::string text = "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    net::write(client, net::buffer(text), error);
    std::string answer(13, '\0');
    answer.resize(net::read(client, net::buffer(answer), error));
    return answer;
}

void check_host(const std::string& name, std::uint16_t port) {
    const std::string thrown = status_line(port, "/throws");
    check(thrown == "HTTP/1.1 503 ", name + ": what throws an int gets 503 as all that throws (R51): " + thrown);
    const std::string unknown = status_line(port, "/");
    check(unknown == "HTTP/1.1 418 ", name + ": a status of the host's own is sent as it is (9110 15): " + unknown);
}

void check_beast_alone() {
    net::io_context loop;
    auto acceptor = std::make_unique<net::ip::tcp::acceptor>(
        loop, net::ip::tcp::endpoint(net::ip::address_v4::loopback(), 0));
    const std::uint16_t port = acceptor->local_endpoint().port();
    bool is_over = false;
    net::co_spawn(loop, host::serve_port(*acceptor, on_strand), [&](const std::exception_ptr&) { is_over = true; });
    std::thread running([&] { loop.run(); });
    const std::string answered = status_line(port, "/");
    check(answered == "HTTP/1.1 200 ", "beast: each connection of serve_port has a strand of its own: " + answered);
    net::post(loop, [&] {
        acceptor->close();
        acceptor.reset();
    });
    running.join();
    check(is_over, "beast: serve_port ends with its acceptor, and looks at it no more");
}

} // namespace

int main() {
    std::setvbuf(stdout, nullptr, _IOLBF, 0); // what was said before a crash is seen
    check_beast_alone();
    {
        net::io_context loop(1);
        net::ip::tcp::acceptor acceptor(loop, {net::ip::address_v4::loopback(), 0});
        net::co_spawn(loop, host::serve_port(acceptor, odd), net::detached);
        std::thread running([&] { loop.run(); });
        check_host("beast", acceptor.local_endpoint().port());
        loop.stop();
        running.join();
    }
    {
        host::poco_listener socket(Poco::Net::SocketAddress("127.0.0.1", 0));
        const std::uint16_t port = socket.address().port();
        Poco::Net::HTTPServer server(new host::poco_answers(odd), socket, new Poco::Net::HTTPServerParams);
        server.start();
        check_host("poco", port);
        server.stopAll(true);
    }
    {
        std::uint16_t port = 0;
        auto settings = host::restinio_settings(odd);
        settings.address("127.0.0.1").port(0).acceptor_post_bind_hook(
            [&port](const auto& acceptor) { port = acceptor.local_endpoint().port(); });
        const auto server = restinio::run_async(restinio::own_io_context(), std::move(settings), 1);
        check_host("restinio", port);
    }
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
