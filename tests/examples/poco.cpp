// tests/examples/poco.cpp - the token endpoint on Poco's HTTPServer.
// SPDX-License-Identifier: MIT
#include <regrant/host/poco.hpp>

#include "demo_service.hpp"

#include <Poco/Event.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/ThreadPool.h>
#include <Poco/Version.h>

#include <string>
#include <string_view>
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
    const std::string version = std::to_string(POCO_VERSION >> 24) + '.' + std::to_string(POCO_VERSION >> 16 & 255);
    example::demo_service service(count, words, "Poco " + version);
    const auto answer = [&service](std::string_view path, regrant::http_request request) {
        return route(service, path, std::move(request));
    };

    regrant::host::poco_listener socket(Poco::Net::SocketAddress("127.0.0.1", service.port()));
    Poco::ThreadPool pool(8, 256);
    Poco::Net::HTTPServerParams::Ptr params = new Poco::Net::HTTPServerParams;
    params->setMaxThreads(256);
    params->setMaxQueued(1024);
    params->setTimeout(Poco::Timespan(10, 0));
    params->setKeepAliveTimeout(Poco::Timespan(15, 0));
    params->setMaxKeepAliveRequests(0);

    Poco::Net::HTTPServer server(new regrant::host::poco_answers(answer), pool, socket, params);
    server.start();
    service.listening_on(socket.address().port());
    Poco::Event().wait();
}
