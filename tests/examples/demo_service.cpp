// tests/examples/demo_service.cpp - the parts of a token endpoint put together, as any host would.
// SPDX-License-Identifier: MIT
#include "demo_service.hpp"

#include <regrant/regrant.hpp>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace example {

namespace {

constexpr std::string_view registrations = R"([
    {"client_id": "TENANT_CLIENT_ID", "client_secret": "TENANT_CLIENT_SECRET",
     "token_endpoint_auth_method": "client_secret_post", "scope": "openid profile email"},
    {"client_id": "BASIC_CLIENT_ID", "client_secret": "a+b%c:d",
     "token_endpoint_auth_method": "client_secret_basic", "scope": "openid profile email"},
    {"client_id": "SPA_CLIENT_ID", "token_endpoint_auth_method": "none", "scope": "openid profile email",
     "allowed_origins": ["https://spa.example"]}])";

enum class world : std::uint8_t { real, fixed };

struct options {
    std::uint16_t port = 8080;
    world runs_in = world::real;
    std::string signing_key{};

    regrant::instant now() const {
        using namespace std::chrono;
        return runs_in == world::fixed ? regrant::instant(sys_days(2026y / 1 / 1)) : regrant::current_time();
    }
};

/// The system's random source, or one that counts.
struct source {
    world runs_in;
    std::shared_ptr<std::atomic<std::uint32_t>> drawn = std::make_shared<std::atomic<std::uint32_t>>(0);

    regrant::result<void, regrant::outage> fill(std::span<std::byte> to) const {
        if (runs_in == world::real) return regrant::system_random().fill(to);
        std::uint32_t number = ++*drawn;
        for (std::byte& each : to) each = static_cast<std::byte>(number *= 0x9E3779B1);
        return {};
    }
};

options parse(std::span<char*> words) {
    options told;
    for (std::size_t i = 1; i < words.size(); ++i) {
        const std::string_view word = words[i];
        const std::string_view value = ++i < words.size() ? words[i] : "";
        if (word == "--fixed" && std::ifstream(std::string(value)).good()) {
            std::ifstream file{std::string(value)};
            told.runs_in = world::fixed;
            told.signing_key.assign(std::istreambuf_iterator<char>(file), {});
        } else if (word != "--port" ||
                   std::from_chars(value.data(), value.data() + value.size(), told.port).ec != std::errc()) {
            std::cerr << "usage: " << words[0] << " [--port N] [--fixed KEY.pem]\n";
            std::exit(2);
        }
    }
    return told;
}

/// An example has nobody to tell.
template <class T, class E> T must(regrant::result<T, E> made) {
    if (made) return *std::move(made);
    std::cerr << made.error().message << '\n';
    std::exit(2);
}

std::vector<regrant::token_key> token_keys(const source& random) {
    char bytes[32];
    if (!random.fill(std::as_writable_bytes(std::span(bytes)))) std::exit(2);
    std::vector<regrant::token_key> keys;
    keys.push_back({regrant::token_key_id{1}, regrant::secret(std::string_view(bytes, sizeof bytes))});
    return keys;
}

} // namespace

struct demo_service::parts {
    using issuer_type = regrant::jwt_issuer<regrant::signing_key, regrant::no_extra_claims, source>;

    options told;
    source random{told.runs_in};
    regrant::memory_store store{};
    regrant::client_list clients = must(regrant::client_list::make(must(regrant::parse_registrations(registrations))));
    issuer_type issuer = must(issuer_type::make(
        {"https://id.example"},
        must(told.signing_key.empty() ? regrant::signing_key::generate()
                                      : regrant::signing_key::from_pem(told.signing_key)),
        {}, random));
    regrant::no_hooks hooks{};
    regrant::token_endpoint<regrant::memory_store, regrant::client_list, issuer_type, regrant::no_hooks, source>
        endpoint{store, clients, issuer, must(regrant::token_keyring::make(token_keys(random))),
                 {{}, {"token endpoint", regrant::error_descriptions::off, regrant::cross_origin::on}}, hooks, random};
};

demo_service::demo_service(int count, char** words)
    : parts_(new parts{parse(std::span(words, static_cast<std::size_t>(count)))}) {}
demo_service::~demo_service() = default;

std::uint16_t demo_service::port() const noexcept { return parts_->told.port; }
void demo_service::listening_on(std::uint16_t port) const {
    std::cout << "listening on http://127.0.0.1:" << port << std::endl;
}

regrant::http_reply demo_service::token(regrant::http_request request) {
    return parts_->endpoint.respond(std::move(request), parts_->told.now());
}

regrant::http_reply demo_service::login(regrant::http_request request) {
    using namespace regrant;
    auto form = form::parse(std::move(request.body));
    if (!form) return to_reply(refusal{reason::malformed_escape});
    const std::string_view client = form->find("client_id").value_or("");
    const std::string_view user = form->find("sub").value_or("");
    auto tokens = parts_->endpoint.issue({client, user, "openid profile email"}, parts_->told.now());
    return tokens ? to_reply(*tokens) : to_reply(tokens.error());
}

regrant::http_reply demo_service::jwks() const {
    const regrant::jwk keys[] = {parts_->issuer.key().public_jwk()};
    return regrant::public_document(regrant::jwks(keys));
}

regrant::http_reply demo_service::metadata() const {
    const regrant::server_metadata metadata{"https://id.example", "https://id.example/oauth2/token",
                                            "https://id.example/oauth2/jwks", "https://id.example/login"};
    return regrant::public_document(to_json(metadata, regrant::metadata_document::openid_configuration));
}

} // namespace example
