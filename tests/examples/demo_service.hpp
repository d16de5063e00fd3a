// tests/examples/demo_service.hpp - what all host examples serve, so that each shows its web framework alone.
// SPDX-License-Identifier: MIT
#pragma once

#include <regrant/http_reply.hpp>
#include <regrant/http_request.hpp>

#include <cstdint>
#include <memory>
#include <string_view>

namespace example {

/// A token endpoint with one login to start from. May be called from many threads at once.
///
/// Clients: `TENANT_CLIENT_ID` with `TENANT_CLIENT_SECRET` by POST, `BASIC_CLIENT_ID` with the secret `a+b%c:d` by
/// Basic, and the public `SPA_CLIENT_ID`, whose pages are at `https://spa.example`.
class demo_service {
public:
    /// Reads `--port N` (default 8080, 0 takes a free one) and `--fixed KEY.pem`: with it clock, keys and random
    /// numbers are always the same, so that two hosts' answers can be compared byte for byte. With `--clock none` the
    /// service throws at whoever asks it for tokens. `--trusted-proxy CIDR` names the proxies in front, `--throttle` limits
    /// failures. With `--framework` alone it prints what `framework` says and ends the program, as it does on anything
    /// else.
    /// \param framework  the name and version of the web framework, where they are known
    demo_service(int count, char** words, std::string_view framework = {});
    ~demo_service();

    std::uint16_t port() const noexcept;
    /// Prints `listening on http://127.0.0.1:PORT`, which tests wait for.
    void listening_on(std::uint16_t port) const;

    /// The token endpoint, for every method of `/oauth2/token`.
    regrant::http_reply token(regrant::http_request request);
    /// `POST /demo/login` with `client_id` and `sub`: the first tokens of a login, and in a header `Peer` the address
    /// that the request came from, as the host told it. A real host has a login page.
    regrant::http_reply login(regrant::http_request request);
    /// `GET /oauth2/jwks`
    regrant::http_reply jwks() const;
    /// `GET /.well-known/openid-configuration`
    regrant::http_reply metadata() const;

private:
    struct parts;
    std::unique_ptr<parts> parts_;
};

} // namespace example
