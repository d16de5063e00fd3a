// tests/examples/beast.cpp - the token endpoint on Boost.Beast, a thread for each connection.
// SPDX-License-Identifier: MIT
#include <regrant/host/beast.hpp>

#include "demo_service.hpp"

#include <boost/asio.hpp>

#include <chrono>
#include <semaphore>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

namespace {

using boost::asio::ip::tcp;

regrant::http_reply route(example::demo_service& service, std::string_view path, regrant::http_request request) {
    if (path == "/oauth2/token") return service.token(std::move(request));
    if (path == "/demo/login" && request.method == "POST") return service.login(std::move(request));
    if (path == "/oauth2/jwks" && request.method == "GET") return service.jwks();
    if (path == "/.well-known/openid-configuration" && request.method == "GET") return service.metadata();
    if (path == "/health" && request.method == "GET")
        return {regrant::http_status::ok, {{"Content-Type", "text/plain"}}, "ok"};
    return {static_cast<regrant::http_status>(404), {}, {}};
}

} // namespace

int main(int count, char** words) {
    example::demo_service service(count, words);
    boost::asio::io_context context;
    tcp::acceptor acceptor(context, {boost::asio::ip::address_v4::loopback(), service.port()});
    service.listening_on(acceptor.local_endpoint().port());

    std::counting_semaphore<> room(512); // further connections wait in the listener's queue
    while (true) {
        room.acquire();
        boost::system::error_code error;
        tcp::socket accepted = acceptor.accept(error);
        try {
            if (error) throw std::system_error(error);
            std::thread([&service, &room, accepted = std::move(accepted)]() mutable {
                regrant::host::serve_connection_blocking(
                    std::move(accepted), [&service](std::string_view path, regrant::http_request request) {
                        return route(service, path, std::move(request));
                    });
                room.release();
            }).detach();
        } catch (const std::system_error&) { // out of descriptors or threads: some come back
            room.release();
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
    }
}
