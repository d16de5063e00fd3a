// tests/examples/restinio.cpp - the token endpoint on RESTinio.
// SPDX-License-Identifier: MIT
#include <regrant/host/restinio.hpp>

#include "demo_service.hpp"

#include <cstdint>
#include <string_view>
#include <thread>
#include <utility>

namespace {

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
    std::uint16_t port = 0;
    auto settings = regrant::host::restinio_settings([&service](std::string_view path, regrant::http_request request) {
        return route(service, path, std::move(request));
    });
    settings.address("127.0.0.1").port(service.port()).acceptor_post_bind_hook([&port](const auto& acceptor) {
        port = acceptor.local_endpoint().port();
    });
    const auto server =
        restinio::run_async(restinio::own_io_context(), std::move(settings), std::thread::hardware_concurrency() + 1);
    service.listening_on(port);
    server->wait();
}
