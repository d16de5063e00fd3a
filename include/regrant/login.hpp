// regrant/login.hpp - issues the first tokens of a login.
// floor 5
// SPDX-License-Identifier: MIT
#pragma once

#include "clock.hpp"
#include "decision.hpp"
#include "error.hpp"
#include "grant.hpp"
#include "lineage.hpp"
#include "policy.hpp"
#include "random.hpp"
#include "result.hpp"
#include "scope.hpp"
#include "secret.hpp"
#include "token_issuer.hpp"
#include "token_keyring.hpp"
#include "token_response.hpp"
#include "token_store.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace regrant::inline v0 {

/// A user who has just logged in with a client, as the host's own login page found out. The views outlive the call.
struct login {
    std::string_view client_id;
    /// The user's stable name at this server: the `sub` claim.
    std::string_view subject;
    /// What the user granted, a space between two words.
    std::string_view scope;
    /// When the user proved who they are; gives the id_token its `auth_time` (OIDC Core 2).
    std::optional<std::chrono::sys_seconds> auth_time{};
    /// Whom the access tokens are for (RFC 8707 2); empty takes the client's, else the issuer's.
    std::string_view audience{};
    /// What the client sent along, for the first id_token alone (OIDC Core 3.1.2.1).
    std::string_view nonce{};
};

/// Makes a new family for an authenticated user, and its first answer. The row is written last.
///
/// \param asking  the client that `who.client_id` names
/// \par Errors
/// `invalid_request` without a subject; `unauthorized_client` for a client that may not refresh; `invalid_scope` for
/// a malformed scope or one beyond the client's; `temporarily_unavailable` for an outage, the random source's too
template <class Store, class Issuer, random_source Random>
result<token_response, refusal> begin_family(Store& store, Issuer& issuer, const token_keyring& keyring,
                                             const policy& rules, Random& random, const client& asking,
                                             const login& who, instant now, decision& seen) {
    const auto unavailable = [&](reason why, outage& cause) {
        return unexpected(refusal{why, std::move(cause.detail), rules.retry_after()});
    };
    if (who.subject.empty()) return unexpected(refusal{reason::subject_missing});
    if (!asking.may_use("refresh_token")) return unexpected(refusal{reason::grant_type_not_allowed});
    const auto granted = scope::parse(who.scope);
    if (!granted) return unexpected(refusal{reason::scope_malformed});
    if (!asking.scope.holds_all_of(*granted)) return unexpected(refusal{reason::scope_exceeded});

    std::array<std::byte, family_id::size_bytes> bytes;
    // RFC 6749 10.10: "The probability of an attacker guessing generated tokens ... MUST be less than or equal to
    // 2^(-128)". A source that fails gives no token at all (R35).
    if (auto filled = random.fill(bytes); !filled) return unavailable(reason::random_unavailable, filled.error());
    const family_id family{bytes};
    wipe(bytes.data(), bytes.size());
    auto token = keyring.seal({family, first_generation});
    if (!token) return unavailable(reason::crypto_unavailable, token.error());
    auto key = token_keyring::row_key_of(family);
    if (!key) return unavailable(reason::crypto_unavailable, key.error());

    grant row(*key, {asking.client_id, who.subject, granted->text(), who.audience});
    row.rotation = asking.policy.rotation();
    row.issued_at = row.used_at = now;
    row.expires_at = now + rules->absolute_lifetime;
    row.auth_time = who.auth_time;
    auto minted = issuer.mint({row, asking, *granted, now, who.nonce});
    if (!minted) return unavailable(reason::issuer_unavailable, minted.error());

    auto inserted = store.insert(row);
    if (!inserted) return unavailable(reason::store_unavailable, inserted.error());
    if (*inserted == insert_outcome::already_there) {
        // Two families of 128 random bits never meet: the source repeats itself.
        outage cause{"the random source repeats itself"};
        return unavailable(reason::random_unavailable, cause);
    }
    seen.row = *key;
    seen.generation = first_generation;
    seen.written = write_kind::insert;
    return token_response{std::move(minted->access_token), std::move(*token), granted->text(),
                          std::move(minted->id_token), minted->expires_in};
}

} // namespace regrant::inline v0
