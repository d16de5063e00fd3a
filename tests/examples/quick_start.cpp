// tests/examples/quick_start.cpp - a whole server to begin with: cpp-httplib in front, SQLite behind.
// SPDX-License-Identifier: MIT
#include <regrant/host/httplib.hpp>
#include <regrant/regrant.hpp>
#include <regrant/store/sqlite.hpp>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

struct my_hooks {
    void observe(const regrant::decision& made) noexcept {
        if (made.refused) std::cerr << "refused: " << to_string(*made.refused) << ' ' << made.detail << '\n';
        if (made.written) std::cerr << "written: " << to_string(*made.written) << '\n';
    }
};
static_assert(regrant::can_observe<my_hooks>);

template <class T>
T need(regrant::result<T, regrant::setup_error> made) {
    if (made) return *std::move(made);
    std::cerr << made.error().message << '\n';
    std::exit(1);
}

std::string bytes_of(const char* file) {
    std::ifstream from(file, std::ios::binary);
    if (!from) std::cerr << "cannot read " << file << '\n';
    return {std::istreambuf_iterator<char>(from), {}};
}

int main() {
    std::vector<regrant::token_key> token_keys;
    // At least 32 random bytes.
    token_keys.push_back({regrant::token_key_id{1}, regrant::secret(bytes_of("token.key"))});
    auto keyring = need(regrant::token_keyring::make(std::move(token_keys)));
    auto key = need(regrant::signing_key::from_pem(bytes_of("signing.pem")));
    auto issuer = need(regrant::jwt_issuer<regrant::signing_key>::make({"http://127.0.0.1:8080"}, key));
    auto store = need(regrant::sqlite_store::open("tokens.db"));
    auto clients = need(regrant::client_list::make(need(regrant::parse_registrations(R"([{
        "client_id": "web", "client_secret": "change-me", "token_endpoint_auth_method": "client_secret_post",
        "scope": "openid email"}])"))));
    auto policy = need(regrant::policy::make({.retry_window = std::chrono::seconds(20)}));
    my_hooks hooks;
    regrant::token_endpoint endpoint(store, clients, issuer, std::move(keyring), {.policy = policy}, hooks);

    regrant::host::httplib_server server;
    regrant::host::mount(server, "/oauth2/token",
                         [&](regrant::http_request request) { return endpoint.respond(std::move(request)); });
    server.Post("/login", [&](const httplib::Request&, httplib::Response& to) {
        // Here your own page has found out who it is: without one everybody is alice.
        auto first = endpoint.issue({.client_id = "web", .subject = "alice", .scope = "openid email"});
        if (first) std::cout << first->refresh_token.reveal() << std::endl;
        regrant::host::send(first ? to_reply(*first) : to_reply(first.error()), to);
    });
    server.Post("/logout", [&](const httplib::Request& from, httplib::Response& to) {
        auto done = endpoint.revoke(from.get_param_value("refresh_token"));
        if (!done) std::cerr << done.error().detail << '\n';
        to.status = done ? 204 : 503;
    });
    if (auto removed = store.reap(regrant::current_time()); !removed) std::cerr << removed.error().detail << '\n';
    if (!regrant::host::bind(server, "127.0.0.1", 8080)) {
        std::cerr << "cannot listen on port 8080\n";
        return 1;
    }
    return server.listen_after_bind() ? 0 : 1;
}
