// regrant/token_issuer.hpp - whoever makes access tokens for the refresh grant.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "client.hpp"
#include "clock.hpp"
#include "error.hpp"
#include "grant.hpp"
#include "result.hpp"
#include "scope.hpp"
#include "secret.hpp"

#include <chrono>
#include <concepts>
#include <optional>
#include <string_view>

namespace regrant::inline v0 {

/// What tokens to make. Everything in it outlives the call.
struct mint_order {
    const grant& login;
    const regrant::client& client;
    /// The scope of this answer, which may be narrower than the login's.
    const regrant::scope& scope;
    instant now;
    /// For the first id_token of a login alone; a refreshed one has none (R84).
    std::string_view nonce = {};
};

struct minted_tokens {
    secret access_token{};
    /// Present exactly where the order's scope holds `openid` (R77).
    std::optional<secret> id_token{};
    std::chrono::seconds expires_in{};
};

/// `mint(order)` makes and signs all tokens of one answer, or says that it cannot; nothing was written before.
template <class Issuer>
concept token_issuer = requires(Issuer& issuer, const mint_order& order) {
    { issuer.mint(order) } -> std::same_as<result<minted_tokens, outage>>;
};

namespace detail {

template <class Issuer> constexpr void explain_token_issuer() {
    static_assert(token_issuer<Issuer>, "a token_issuer needs: result<minted_tokens, outage> mint(const mint_order&)");
}

} // namespace detail

} // namespace regrant::inline v0
