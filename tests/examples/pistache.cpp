// tests/examples/pistache.cpp - the token endpoint on Pistache.
// SPDX-License-Identifier: MIT
#include <regrant/host/pistache.hpp>

#include "demo_service.hpp"

#include <pistache/endpoint.h>

#include <chrono>
#include <csignal>
#include <string>

namespace {

using Pistache::Http::Method;

class routes : public regrant::host::pistache_handler {
public:
    HTTP_PROTOTYPE(routes)
    explicit routes(example::demo_service& service) : service_(service) {}

    void onRequest(const Pistache::Http::Request& from, Pistache::Http::ResponseWriter to) override {
        regrant::host::send(answer(from), std::move(to));
    }

private:
    regrant::http_reply answer(const Pistache::Http::Request& from) {
        const auto is = [&](Method method, auto path) { return from.method() == method && from.resource() == path; };
        if (from.resource() == "/oauth2/token") return service_.token(regrant::host::to_request(from));
        if (is(Method::Post, "/demo/login")) return service_.login(regrant::host::to_request(from));
        if (is(Method::Get, "/oauth2/jwks")) return service_.jwks();
        if (is(Method::Get, "/.well-known/openid-configuration")) return service_.metadata();
        if (is(Method::Get, "/health")) return {regrant::http_status::ok, {{"Content-Type", "text/plain"}}, "ok"};
        return {static_cast<regrant::http_status>(404)};
    }

    example::demo_service& service_;
};

} // namespace

int main(int count, char** words) {
    std::signal(SIGPIPE, SIG_IGN);
    sigset_t signals{};
    for (const int each : {SIGTERM, SIGINT}) sigaddset(&signals, each);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);

    example::demo_service service(count, words);
    Pistache::Http::Endpoint endpoint(Pistache::Address("127.0.0.1", service.port()));
    const auto flags = Pistache::Tcp::Options::NoDelay | Pistache::Tcp::Options::ReuseAddr;
    const std::chrono::seconds wait(10);
    endpoint.init(endpoint.options().threads(4).flags(flags).headerTimeout(wait).keepaliveTimeout(wait));
    endpoint.setHandler(Pistache::Http::make_handler<routes>(service));
    endpoint.serveThreaded();
    service.listening_on(endpoint.getPort());
    int signal = 0;
    sigwait(&signals, &signal);
    endpoint.shutdown();
}
