// tests/examples/httplib.cpp - the token endpoint on cpp-httplib.
// SPDX-License-Identifier: MIT
#include <regrant/host/httplib.hpp>

#include "demo_service.hpp"

int main(int count, char** words) {
    example::demo_service service(count, words);
    httplib::Server server;
    server.set_tcp_nodelay(true);
    server.Post("/oauth2/token", [&](const httplib::Request& from, httplib::Response& to) {
        regrant::http_request request = regrant::host::to_request(from);
        request.body = regrant::secret(from.body);
        regrant::host::send(service.token(std::move(request)), to);
    });
    const int port = server.bind_to_any_port("127.0.0.1");
    service.listening_on(static_cast<std::uint16_t>(port));
    return server.listen_after_bind() ? 0 : 1;
}
