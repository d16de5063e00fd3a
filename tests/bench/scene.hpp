// tests/bench/scene.hpp - a token endpoint with one login on it, of parts that count or cost nothing.
// SPDX-License-Identifier: MIT
#pragma once

#include <regrant/client_list.hpp>
#include <regrant/jwt_issuer.hpp>
#include <regrant/memory_store.hpp>
#include <regrant/signing_key.hpp>
#include <regrant/token_endpoint.hpp>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

inline constexpr std::string_view client_id = "TENANT_CLIENT_ID";
inline constexpr std::string_view client_secret = "TENANT_CLIENT_SECRET";

/// A benchmark has nobody to tell.
template <class T, class E> T must(regrant::result<T, E> made) {
    if (made) return *std::move(made);
    std::fputs("bench: a part could not be made\n", stderr);
    std::exit(2);
}

/// The size of a signature of a 2048-bit key, for nothing.
struct null_signer {
    static constexpr std::size_t bytes = 256;

    std::string_view key_id() const noexcept { return "d49bc505-5572-4ed6-9e48-388c3d44bb46"; }
    regrant::result<void, regrant::outage> sign(std::span<const std::string_view>,
                                                std::span<regrant::signature> signatures) const noexcept {
        for (regrant::signature& each : signatures) {
            std::memset(each.bytes.data(), 0x5A, bytes);
            each.size_bytes = bytes;
        }
        return {};
    }
};

/// Counts signatures; copies count together.
template <class Signer> struct counting_signer {
    Signer inner;
    std::atomic<std::size_t>* signatures;

    std::string_view key_id() const noexcept { return inner.key_id(); }
    regrant::result<void, regrant::outage> sign(std::span<const std::string_view> inputs,
                                                std::span<regrant::signature> made) const {
        *signatures += inputs.size();
        return inner.sign(inputs, made);
    }
};

/// Counts what is asked of a store.
template <class Store> struct counting_store {
    Store inner{};
    std::atomic<std::size_t> finds = 0, writes = 0;

    auto insert(const regrant::grant& row) { return ++writes, inner.insert(row); }
    auto find(const regrant::row_key& key) { return ++finds, inner.find(key); }
    auto advance(const regrant::row_key& key, regrant::generation expected, regrant::generation next,
                 regrant::instant now) {
        return ++writes, inner.advance(key, expected, next, now);
    }
    auto revoke(const regrant::row_key& key) { return ++writes, inner.revoke(key); }
};

inline regrant::client_list registered_clients() {
    regrant::client one{std::string(client_id),
                        regrant::client_policy::of<regrant::auth_method::client_secret_post>()};
    one.secrets.push_back({must(regrant::hash_client_secret(client_secret)), {}});
    one.scope = *regrant::scope::parse("openid");
    std::vector<regrant::client> clients;
    clients.push_back(std::move(one));
    return must(regrant::client_list::make(std::move(clients)));
}

inline regrant::token_keyring fresh_keyring() {
    char bytes[regrant::token_key::least_bytes];
    if (!regrant::system_random().fill(std::as_writable_bytes(std::span(bytes)))) std::exit(2);
    std::vector<regrant::token_key> keys;
    keys.push_back({regrant::token_key_id{1}, regrant::secret(std::string_view(bytes, sizeof bytes))});
    return must(regrant::token_keyring::make(std::move(keys)));
}

/// The API page's body.
inline std::string refresh_body(std::string_view token, std::string_view secret = client_secret) {
    std::string body("client_id=");
    (body += client_id) += "&client_secret=";
    (body += secret) += "&grant_type=refresh_token&refresh_token=";
    return body += token;
}

inline regrant::http_request post(std::string_view body) {
    regrant::http_request request;
    request.method = "POST";
    request.body = regrant::secret(body);
    request.header("Content-Type", "application/x-www-form-urlencoded");
    return request;
}

/// A member of a flat JSON answer, empty where there is none.
inline std::string_view member(std::string_view json, std::string_view name) {
    std::string quoted("\"");
    (quoted += name) += "\":\"";
    const std::size_t at = json.find(quoted);
    if (at == std::string_view::npos) return {};
    json.remove_prefix(at + quoted.size());
    return json.substr(0, json.find('"'));
}

/// One client, one endpoint; each `chain` is one login that refreshes.
template <class Signer, class Store = regrant::memory_store> class scene {
public:
    explicit scene(Signer signer)
        : issuer_(must(regrant::jwt_issuer<Signer>::make({"https://TENANT.PORTAL.DOMAIN"}, std::move(signer)))) {}

    Store& store() noexcept { return store_; }
    auto& endpoint() noexcept { return endpoint_; }
    auto& issuer() noexcept { return issuer_; }

    /// Logs in. \return the first refresh token
    std::string log_in() {
        return std::string(must(endpoint_.issue({client_id, "MOCK_USERNAME", "openid"})).refresh_token.reveal());
    }

private:
    Store store_{};
    regrant::client_list clients_ = registered_clients();
    regrant::jwt_issuer<Signer> issuer_;
    regrant::token_endpoint<Store, regrant::client_list, regrant::jwt_issuer<Signer>> endpoint_{
        store_, clients_, issuer_, fresh_keyring()};
};

} // namespace bench
