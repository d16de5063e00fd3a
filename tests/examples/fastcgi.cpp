// tests/examples/fastcgi.cpp - the token endpoint as a FastCGI program, see tests/hosts/nginx.conf.in.
// SPDX-License-Identifier: MIT
#include <regrant/host/fastcgi.hpp>

#include "demo_service.hpp"

#include <pthread.h>

#include <csignal>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

// More than the connections that nginx keeps open, or all may be held by idle ones.
constexpr int thread_count = 8;

regrant::http_reply answer(example::demo_service& service, const FCGX_Request& from) {
    const std::string_view path = regrant::host::fastcgi_parameter(from, "SCRIPT_NAME");
    regrant::http_request request = regrant::host::to_request(from);
    const std::string call = request.method + ' ' + std::string(path);
    if (path == "/oauth2/token") return service.token(std::move(request));
    if (call == "POST /demo/login") return service.login(std::move(request));
    if (call == "GET /oauth2/jwks") return service.jwks();
    if (call == "GET /.well-known/openid-configuration") return service.metadata();
    if (call == "GET /health") return {regrant::http_status::ok, {{"Content-Type", "text/plain"}}, "ok"};
    return {static_cast<regrant::http_status>(404)};
}

} // namespace

int main(int count, char** words) {
    // All threads inherit this, so that the signals wait for sigwait.
    sigset_t signals{};
    for (const int each : {SIGTERM, SIGINT}) sigaddset(&signals, each);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);

    example::demo_service service(count, words);
    const auto port = regrant::host::fastcgi_port::open(service.port());
    if (!port) {
        std::cerr << port.error().message << '\n';
        return 1;
    }
    std::vector<std::thread> threads;
    for (int i = 0; i != thread_count; ++i)
        threads.emplace_back([&] {
            regrant::host::serve_fastcgi(*port, [&](FCGX_Request& from) {
                regrant::host::send(answer(service, from), from);
            });
        });
    service.listening_on(port->number());
    int signal = 0;
    sigwait(&signals, &signal);
    port->stop();
    for (std::thread& each : threads) each.join();
}
