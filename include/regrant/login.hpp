// regrant/login.hpp - the first tokens of a login as steps that ask for what they need.
// floor 4
// SPDX-License-Identifier: MIT
#pragma once

#include "client.hpp"
#include "clock.hpp"
#include "detail/utf8.hpp"
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

} // namespace regrant::inline v0

/// As in `refresh_flow`, each step asks, and takes the answer; the row is written last.
///
///     begin -> minting_tokens -> inserting_grant -> answer
namespace regrant::inline v0::login_flow {

/// What a login has gathered on its way.
struct progress {
    const client* asking;
    const login* who;
    const policy* rules;
    instant now;
    grant row;
    regrant::scope granted;
    token_response answer;
};

/// Asks for the one insert.
class inserting_grant {
public:
    explicit inserting_grant(progress so_far) noexcept : so_far_(std::move(so_far)) {}

    const grant& ask() const noexcept { return so_far_.row; }
    result<token_response, refusal> with(insert_outcome outcome) && {
        // Two families of 128 random bits never meet: the source repeats itself.
        if (outcome == insert_outcome::already_there)
            return unexpected(refusal{reason::random_unavailable, "the random source repeats itself",
                                      so_far_.rules->retry_after()});
        return std::move(so_far_.answer);
    }

private:
    progress so_far_;
};

/// Asks for the access token, and the id_token where `openid` is in scope.
class minting_tokens {
public:
    explicit minting_tokens(progress so_far) noexcept : so_far_(std::move(so_far)) {}

    mint_order ask() const noexcept {
        return {so_far_.row, *so_far_.asking, so_far_.granted, so_far_.now, so_far_.who->nonce};
    }
    inserting_grant with(minted_tokens minted) && {
        so_far_.answer.access_token = std::move(minted.access_token);
        so_far_.answer.id_token = std::move(minted.id_token);
        so_far_.answer.expires_in = minted.expires_in;
        return inserting_grant(std::move(so_far_));
    }

private:
    progress so_far_;
};

/// Makes a new family for an authenticated user. Client, login and rules outlive the flow.
///
/// \param asking  the client that `who.client_id` names
/// \par Errors
/// `invalid_request` without a subject, for one of more than 255 bytes where `openid` is granted, or for a subject,
/// audience or nonce that is not UTF-8, which JSON could not tell from others (RFC 7519 7.1), or for an `auth_time`
/// before 1970 or after 9999; `unauthorized_client` for a client that may not refresh; `invalid_scope` for a malformed
/// scope or one beyond the client's; `temporarily_unavailable` where the random source fails
template <random_source Random>
result<minting_tokens, refusal> begin(const token_keyring& keyring, const policy& rules, Random& random,
                                      const client& asking, const login& who, instant now) {
    const auto failed = [&](reason why, outage& cause) {
        return unexpected(refusal{why, std::move(cause.detail), rules.retry_after()});
    };
    if (who.subject.empty()) return unexpected(refusal{reason::subject_missing});
    for (const std::string_view claim : {who.subject, who.audience, who.nonce})
        if (!detail::is_utf8(claim)) return unexpected(refusal{reason::invalid_utf8});
    // RFC 7519 2: a NumericDate counts from 1970. Beyond the year 9999 nobody could write it as a date.
    constexpr std::chrono::sys_seconds latest(std::chrono::seconds(253'402'300'799));
    if (who.auth_time && (*who.auth_time < std::chrono::sys_seconds{} || *who.auth_time > latest))
        return unexpected(refusal{reason::auth_time_out_of_range});
    if (!asking.may_use("refresh_token")) return unexpected(refusal{reason::grant_type_not_allowed});
    auto granted = scope::parse(who.scope);
    if (!granted) return unexpected(refusal{reason::scope_malformed});
    if (!asking.scope.holds_all_of(*granted)) return unexpected(refusal{reason::scope_exceeded});
    // OIDC Core 2: `sub` "MUST NOT exceed 255 ASCII characters in length".
    constexpr std::size_t most_subject_bytes = 255;
    if (granted->contains("openid") && who.subject.size() > most_subject_bytes)
        return unexpected(refusal{reason::subject_too_long});

    std::array<std::byte, family_id::size_bytes> bytes;
    // RFC 6749 10.10: "The probability of an attacker guessing generated tokens ... MUST be less than or equal to
    // 2^(-128)". A source that fails gives no token at all (R35).
    if (auto filled = random.fill(bytes); !filled) return failed(reason::random_unavailable, filled.error());
    const family_id family{bytes};
    wipe(bytes.data(), bytes.size());
    auto token = keyring.seal({family, first_generation});
    if (!token) return failed(reason::crypto_unavailable, token.error());
    auto key = token_keyring::row_key_of(family);
    if (!key) return failed(reason::crypto_unavailable, key.error());

    grant row(*key, {asking.client_id, who.subject, granted->text(), who.audience});
    row.rotation = asking.policy.rotation();
    row.issued_at = row.used_at = now;
    row.expires_at = now + rules->absolute_lifetime;
    row.auth_time = who.auth_time;
    token_response answer;
    answer.refresh_token = *std::move(token);
    answer.scope = granted->text();
    return minting_tokens({&asking, &who, &rules, now, std::move(row), *std::move(granted), std::move(answer)});
}

} // namespace regrant::inline v0::login_flow
