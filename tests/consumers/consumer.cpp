// tests/consumers/consumer.cpp - a program that takes regrant in: logs a user in, refreshes once, prints the answer.
// SPDX-License-Identifier: MIT
#include <regrant/regrant.hpp>

#include <iostream>
#include <string>
#include <utility>
#include <vector>

int main() {
    auto clients = regrant::parse_registrations(R"([{"client_id": "web", "client_secret": "a long and random secret",
        "token_endpoint_auth_method": "client_secret_post", "scope": "openid email"}])");
    auto list = clients ? regrant::client_list::make(std::move(*clients)) : regrant::unexpected(clients.error());
    auto key = regrant::signing_key::generate();
    if (!list || !key) return 1;
    auto issuer = regrant::jwt_issuer<regrant::signing_key>::make({"https://id.example"}, *key);
    std::vector<regrant::token_key> token_keys;
    token_keys.push_back({regrant::token_key_id{1}, regrant::secret("0123456789abcdef0123456789abcdef")});
    auto keyring = regrant::token_keyring::make(std::move(token_keys));
    if (!issuer || !keyring) return 2;

    regrant::memory_store store;
    regrant::token_endpoint endpoint(store, *list, *issuer, std::move(*keyring));
    const auto first = endpoint.issue({.client_id = "web", .subject = "alice", .scope = "openid email"});
    if (!first) return 3;

    regrant::http_request request;
    request.method = "POST";
    request.header("Content-Type", "application/x-www-form-urlencoded");
    request.body.append("grant_type=refresh_token&client_id=web&client_secret=a+long+and+random+secret&refresh_token=");
    request.body.append(first->refresh_token.reveal());
    const regrant::http_reply reply = endpoint.respond(std::move(request));
    std::cout << first->refresh_token.reveal() << '\n' << static_cast<int>(reply.status) << '\n' << reply.body << '\n';
}
