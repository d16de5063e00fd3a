// tests/examples/demo_parts.hpp - the parts of a token endpoint put together, as any host would.
// SPDX-License-Identifier: MIT
#pragma once

#include <regrant/regrant.hpp>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace example {

inline constexpr std::string_view registrations = R"([
    {"client_id": "TENANT_CLIENT_ID", "client_secret": "TENANT_CLIENT_SECRET",
     "token_endpoint_auth_method": "client_secret_post", "scope": "openid profile email"},
    {"client_id": "BASIC_CLIENT_ID", "client_secret": "a+b%c:d",
     "token_endpoint_auth_method": "client_secret_basic", "scope": "openid profile email"},
    {"client_id": "SPA_CLIENT_ID", "token_endpoint_auth_method": "none", "scope": "openid profile email",
     "allowed_origins": ["https://spa.example"]}])";

enum class world : std::uint8_t { real, fixed, without_clock };

struct options {
    std::uint16_t port = 8080;
    world runs_in = world::real;
    std::string signing_key{};
    regrant::trusted_proxies proxies{};
    bool is_throttled = false;

    regrant::instant now() const {
        using namespace std::chrono;
        if (runs_in == world::without_clock) throw std::runtime_error("the clock has stopped");
        return runs_in == world::fixed ? regrant::instant(sys_days(2026y / 1 / 1)) : regrant::current_time();
    }
};

/// The system's random source, or one that counts.
struct source {
    world runs_in;
    std::shared_ptr<std::atomic<std::uint32_t>> drawn = std::make_shared<std::atomic<std::uint32_t>>(0);

    regrant::result<void, regrant::outage> fill(std::span<std::byte> to) const {
        if (runs_in != world::fixed) return regrant::system_random().fill(to);
        std::uint32_t number = ++*drawn;
        for (std::byte& each : to) each = static_cast<std::byte>(number *= 0x9E3779B1);
        return {};
    }
};

/// An example has nobody to tell.
template <class T, class E> T must(regrant::result<T, E> made) {
    if (made) return *std::move(made);
    std::cerr << made.error().message << '\n';
    std::exit(2);
}

inline options parse(int count, char** given) {
    const std::span words(given, static_cast<std::size_t>(count));
    options told;
    for (std::size_t i = 1; i < words.size(); ++i) {
        const std::string_view word = words[i];
        if (word == "--throttle") {
            told.is_throttled = true;
            continue;
        }
        const std::string_view value = ++i < words.size() ? words[i] : "";
        if (word == "--fixed" && std::ifstream(std::string(value)).good()) {
            std::ifstream file{std::string(value)};
            told.runs_in = world::fixed;
            told.signing_key.assign(std::istreambuf_iterator<char>(file), {});
        } else if (word == "--clock" && value == "none") {
            told.runs_in = world::without_clock; // whoever asks for the time throws, which a host must bear
        } else if (word == "--trusted-proxy") {
            told.proxies = must(regrant::trusted_proxies::parse(value));
        } else if (word != "--port" ||
                   std::from_chars(value.data(), value.data() + value.size(), told.port).ec != std::errc()) {
            std::cerr << "usage: " << words[0] << " [--port N] [--fixed KEY.pem] [--clock none] [--trusted-proxy CIDR] [--throttle]\n";
            std::exit(2);
        }
    }
    return told;
}

inline std::vector<regrant::token_key> token_keys(const source& random) {
    char bytes[32];
    if (!random.fill(std::as_writable_bytes(std::span(bytes)))) std::exit(2);
    std::vector<regrant::token_key> keys;
    keys.push_back({regrant::token_key_id{1}, regrant::secret(std::string_view(bytes, sizeof bytes))});
    return keys;
}

/// Clients, keys, store, issuer: what every endpoint is made of.
struct demo_parts {
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

    explicit demo_parts(options given) : told(std::move(given)) {}

    regrant::token_keyring keyring() const { return must(regrant::token_keyring::make(token_keys(random))); }
    regrant::endpoint_settings settings() const {
        regrant::endpoint_settings settings;
        settings.proxies = told.proxies;
        settings.replies.cross_origin = regrant::cross_origin::on;
        return settings;
    }

    /// What `issue` gave, and who asked for it, for the tests of hosts to see.
    static regrant::http_reply login_reply(const auto& tokens, const std::string& peer) {
        regrant::http_reply reply = tokens ? to_reply(*tokens) : to_reply(tokens.error());
        reply.headers.push_back({"Peer", peer});
        return reply;
    }
    regrant::http_reply jwks() const {
        const regrant::jwk keys[] = {issuer.key().public_jwk()};
        return regrant::public_document(regrant::jwks(keys));
    }
    static regrant::http_reply metadata() {
        const regrant::server_metadata metadata{"https://id.example", "https://id.example/oauth2/token",
                                                "https://id.example/oauth2/jwks", "https://id.example/login"};
        return regrant::public_document(to_json(metadata, regrant::metadata_document::openid_configuration));
    }
    /// Where `listening on http://127.0.0.1:PORT` is printed, a test waits for it.
    static void listening_on(std::uint16_t port) {
        std::cout << "listening on http://127.0.0.1:" << port << std::endl;
    }
};

} // namespace example
