// tests/examples/httplib.cpp - the token endpoint on cpp-httplib.
// SPDX-License-Identifier: MIT
#include <regrant/host/httplib.hpp>

#include "demo_service.hpp"

#include <csignal>
#include <iostream>
#include <thread>
#include <utility>

int main(int count, char** words) {
    namespace host = regrant::host;
    using request = const httplib::Request&;
    using response = httplib::Response&;
    using body = const httplib::ContentReader&;
    example::demo_service service(count, words, "cpp-httplib " CPPHTTPLIB_VERSION);

    host::httplib_server server;
    host::mount(server, "/oauth2/token", [&](regrant::http_request asked) { return service.token(std::move(asked)); });
    server.Post("/demo/login", [&](request from, response to, body read) {
        host::send(service.login(host::to_request(from, to, read)), to);
    });
    server.Get("/oauth2/jwks", [&](request, response to) { host::send(service.jwks(), to); });
    server.Get("/.well-known/openid-configuration", [&](request, response to) { host::send(service.metadata(), to); });
    server.Get("/health", [](request, response to) { to.set_content("ok", "text/plain"); });

    // All threads inherit this, so that only the one that waits for the signals gets them.
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGTERM);
    ::sigaddset(&signals, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);

    const auto port = host::bind(server, "127.0.0.1", service.port());
    if (!port) {
        std::cerr << "cannot listen on port " << service.port() << '\n';
        return 1;
    }
    std::thread stopping([&] {
        int which = 0;
        ::sigwait(&signals, &which);
        server.stop();
    });
    service.listening_on(*port);
    const bool ended_well = server.listen_after_bind();
    ::pthread_kill(stopping.native_handle(), SIGTERM); // if this was not its doing
    stopping.join();
    return ended_well ? 0 : 1;
}
