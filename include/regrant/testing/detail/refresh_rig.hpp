// regrant/testing/detail/refresh_rig.hpp - a refresh grant whose parts are fakes, but for the store.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../../authenticated_client.hpp"
#include "../../client.hpp"
#include "../../clock.hpp"
#include "../../decision.hpp"
#include "../../grant.hpp"
#include "../../lineage.hpp"
#include "../../policy.hpp"
#include "../../refresh_grant.hpp"
#include "../../result.hpp"
#include "../../token_issuer.hpp"
#include "../../token_keyring.hpp"
#include "../../token_response.hpp"
#include "bench.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace regrant::inline v0::testing {

/// Makes tokens that are worth nothing, and never fails.
struct fake_issuer {
    result<minted_tokens, outage> mint(const mint_order&) {
        return minted_tokens{secret("access token"), std::nullopt, std::chrono::seconds(300)};
    }
};

/// A login with all its refresh tokens, past and to come.
struct rigged_login {
    family_id family;
    grant row;
};

/// What a refresh came to. Two that came to the same are equal.
struct refreshed {
    /// Nothing where it was answered with tokens.
    std::optional<reason> refused{};
    std::string successor{};
    /// Whether a 503 says when to come back.
    bool retry_after = false;

    bool is_outage() const noexcept {
        return refused && form_of(*refused).status == http_status::service_unavailable;
    }
    std::string describe() const { return refused ? std::string(to_string(*refused)) : "200"; }
    friend bool operator==(const refreshed&, const refreshed&) = default;
};

/// The real refresh grant, over a store under test.
class refresh_rig {
public:
    /// A login that is not in the store yet.
    rigged_login log_in(rotation kind = rotation::rotate) {
        // The hash is one way: the row's key follows from the family.
        const row_key random = fresh_key();
        const family_id family(std::span(random.bytes).first<family_id::size_bytes>());
        grant row = fresh_row();
        row.key = *token_keyring::row_key_of(family);
        row.rotation = kind;
        return {family, std::move(row)};
    }

    secret token(const rigged_login& login, generation number) const {
        return *keyring_.seal({login.family, number});
    }

    /// Presents a token of a login.
    template <class Store> refreshed refresh(Store& store, const rigged_login& login, generation number) {
        const secret presented = token(login, number);
        const instant now = current_time();
        decision seen{now};
        refresh_grant grant(store, issuer_, keyring_, rules_);
        auto answer = grant.respond({authenticated_client::vouched(client_), presented.reveal()}, now, seen);
        if (!answer) return {answer.error().why, {}, answer.error().retry_after.has_value()};
        return {std::nullopt, std::string(answer->refresh_token.reveal())};
    }

    /// What a refresh that succeeds comes to.
    refreshed success(const rigged_login& login, generation successor) const {
        return {std::nullopt, std::string(token(login, successor).reveal())};
    }

private:
    static token_keyring throwaway_keyring() {
        std::vector<token_key> keys;
        const row_key random = fresh_key();
        secret bytes;
        for (std::size_t i = 0; i != random.bytes.size(); ++i) *bytes.grow(1) = static_cast<char>(random.bytes[i]);
        keys.push_back({token_key_id{1}, std::move(bytes)});
        return *token_keyring::make(std::move(keys));
    }
    static client_ptr any_client() {
        client made{"conformance", client_policy::of<auth_method::client_secret_post>()};
        made.scope = scope::trusted("openid email");
        return std::make_shared<const client>(std::move(made));
    }

    token_keyring keyring_ = throwaway_keyring();
    client_ptr client_ = any_client();
    policy rules_{};
    fake_issuer issuer_{};
};

} // namespace regrant::inline v0::testing
