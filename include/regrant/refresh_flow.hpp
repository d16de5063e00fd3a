// regrant/refresh_flow.hpp - the refresh grant of RFC 6749 section 6 as steps that ask for what they need.
// floor 4
// SPDX-License-Identifier: MIT
#pragma once

#include "authenticated_client.hpp"
#include "clock.hpp"
#include "decision.hpp"
#include "error.hpp"
#include "grant.hpp"
#include "hooks.hpp"
#include "lineage.hpp"
#include "policy.hpp"
#include "result.hpp"
#include "scope.hpp"
#include "secret.hpp"
#include "token_issuer.hpp"
#include "token_response.hpp"
#include "token_store.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

namespace regrant::inline v0 {

/// What an authenticated client asks of the refresh grant. The views outlive the flow.
struct refresh_request {
    authenticated_client client;
    std::string_view refresh_token;
    /// Nothing asks for all that was granted.
    std::optional<std::string_view> scope{};
    /// The key the client proved to hold; reserved for sender-constrained tokens.
    std::string_view confirmation{};
};

} // namespace regrant::inline v0

/// Each step says what it needs to know (`ask()`) and takes the answer (`with(answer)`); the type that `with` returns
/// lists what may come next. No step can be taken twice or out of order, and none waits, reads a clock or hashes: that
/// is the driver's part. Whatever can fail happens before `writing_generation`, the one write, and every success has
/// passed it.
///
///     opening_token -> loading_grant -> checking_account -> sealing_successor -> minting_tokens
///                        | a replay                                                  |
///                        v                                                           v
///                      revoking_family                          reloading_grant <-> writing_generation -> answer
namespace regrant::inline v0::refresh_flow {

/// The one conditional call of the store: `advance(key, expected, next, at)`.
struct write_order {
    write_kind kind;
    row_key key;
    generation expected;
    generation next;
    instant at;
};

/// How often a request that lost a race looks again (R47). Each loss is somebody's progress, and the third look finds
/// the token current, repeatable or two behind; more can only be a store that breaks its promise.
inline constexpr std::uint32_t most_reloads = 3;

class opening_token;
result<opening_token, refusal> begin(const refresh_request& request, const policy& rules, instant now);

/// What a request has gathered on its way: each of these is what the one before it was, and what was learned since.
/// Only `begin` makes the first, so no step can be had but from the one before.
struct started {
    const refresh_request* request;
    const policy* rules;
    instant now;

private:
    friend result<opening_token, refusal> refresh_flow::begin(const refresh_request&, const policy&, instant);
    started(const refresh_request& asked, const policy& by, instant at) noexcept
        : request(&asked), rules(&by), now(at) {}
};
// clang-format off
struct token_opened : started { opened_token presented; };
struct login_judged : token_opened { grant login; write_order order; };
struct scope_judged : login_judged { regrant::scope scope; };
struct successor_sealed : scope_judged { secret refresh_token; };
struct tokens_minted : successor_sealed { minted_tokens minted; std::uint32_t reloads = 0; };
// clang-format on

/// Whether the current token's predecessor still gets the same successor (R49).
inline bool window_is_open(const grant& login, const policy& rules, instant now) noexcept {
    // A clock that went back makes the age 0; a row from too far ahead has no window.
    if (login.used_at > now + rules->max_skew) return false;
    // `<`, so that a window of zero is strict single use whatever the clock says.
    return (std::max)(now - login.used_at, instant::duration::zero()) < rules->retry_window;
}

/// Holds a row against the token and the clock: what to write for a good token, or why there is nothing to write.
inline result<write_order, reason> judge(const token_opened& so_far, const grant& login) {
    const client& asking = *so_far.request->client;
    const policy& rules = *so_far.rules;
    const instant now = so_far.now;
    const generation presented = so_far.presented.lineage.generation;

    // RFC 6749 6: the server MUST "ensure that the refresh token was issued to the authenticated client".
    if (login.client_id() != asking.client_id) return unexpected(reason::issued_to_another_client);
    // RFC 9700 2.2.2: a token bound to a key is of no use without it.
    if (!login.confirmation().empty() && login.confirmation() != so_far.request->confirmation)
        return unexpected(reason::confirmation_mismatch);
    // RFC 6749 6: the server MUST "validate the refresh token".
    if (login.state == revocation::revoked) return unexpected(reason::revoked);
    if (login.issued_at < rules->not_before.value_or((instant::min)()) ||
        login.issued_at < asking.not_before.value_or((instant::min)()))
        return unexpected(reason::issued_before_not_before);
    if (now >= (std::min)(login.expires_at, login.issued_at + rules->absolute_lifetime))
        return unexpected(reason::absolute_limit);
    if (now >= login.used_at + rules->idle_lifetime) return unexpected(reason::idle_limit);

    // RFC 9700 2.2.2: a client that became public since rotates what it was granted before (R37).
    const bool rotates = login.rotation == rotation::rotate || asking.policy.is_public();
    if (presented < login.current) {
        // RFC 9700 4.14.2: an older token says that it was stolen, or its successor; but a lost answer looks the same
        // from here, so the immediate predecessor may ask again for a while (R47).
        const bool is_predecessor = rotates && distance(presented, login.current) == 1;
        if (!is_predecessor || !window_is_open(login, rules, now)) return unexpected(reason::replayed);
        // The time as it was seen: a retry does not restart the window.
        return write_order{write_kind::repeat, login.key, login.current, login.current, login.used_at};
    }
    if (presented == last_generation && rotates) return unexpected(reason::generations_exhausted);
    const generation following = rotates ? next(presented) : presented;
    if (presented > login.current) {
        // The seal proves that the server issued the token, so it is the store that forgot (R53).
        if (!rules->heal.allows(distance(login.current, presented))) return unexpected(reason::row_too_far_behind);
        return write_order{write_kind::heal, login.key, login.current, following, now};
    }
    return write_order{rotates ? write_kind::rotate : write_kind::echo, login.key, login.current, following, now};
}

/// The scope of the answer (RFC 6749 6).
inline result<scope, reason> judge_scope(const login_judged& so_far) {
    // "if omitted is treated as equal to the scope originally granted by the resource owner"
    scope answered = scope::trusted(so_far.login.scope());
    if (so_far.request->scope) {
        const auto asked = scope::parse(*so_far.request->scope);
        if (!asked) return unexpected(reason::scope_malformed);
        // "The requested scope MUST NOT include any scope not originally granted by the resource owner"
        if (!answered.holds_all_of(*asked)) return unexpected(reason::scope_exceeded);
        answered = answered.common_with(*asked);
    }
    answered = answered.common_with(so_far.request->client->scope);
    if (answered.empty()) return unexpected(reason::scope_withdrawn);
    return answered;
}

/// What all steps are made of: what is known so far, moved from each to the next and made in its place there.
template <class Gathered> class step {
public:
    step(Gathered&& so_far) noexcept : so_far_(std::move(so_far)) {}
    template <class Before, class... Learned>
        requires(sizeof...(Learned) != 0)
    step(Before&& so_far, Learned&&... learned) noexcept
        : so_far_{std::forward<Before>(so_far), std::forward<Learned>(learned)...} {}
    step(step&&) noexcept = default;
    step& operator=(step&&) noexcept = default;

protected:
    refusal refused(reason why) const { return refusal{why}; }
    Gathered so_far_;
};

class loading_grant;
class checking_account;
class revoking_family;
class sealing_successor;
class minting_tokens;
class writing_generation;
class reloading_grant;

/// Asks for the refresh token to be opened. A forged one ends here and costs no store access (R39).
class opening_token : step<started> {
public:
    using step::step;
    std::string_view ask() const noexcept { return so_far_.request->refresh_token; }
    result<loading_grant, refusal> with(const token_opening& opened) &&;
};

/// Asks for the family's row.
class loading_grant : step<token_opened> {
public:
    using step::step;
    const row_key& ask() const noexcept { return so_far_.presented.key; }
    std::variant<checking_account, revoking_family, refusal> with(std::optional<grant> found) &&;
};

/// What a driver says when the store has acknowledged a revoke.
struct family_revoked {};

/// Asks for the end of the family: one of its tokens was stolen, and nobody can tell which holder is the thief.
class revoking_family : step<token_opened> {
public:
    using step::step;
    const row_key& ask() const noexcept { return so_far_.presented.key; }
    refusal with(family_revoked) && { return refused(reason::replayed); }
};

/// Asks the host whether the user may still be logged in (R46).
class checking_account : step<login_judged> {
public:
    using step::step;
    const grant& ask() const noexcept { return so_far_.login; }
    result<sealing_successor, refusal> with(account_standing standing) &&;
};

/// Asks for the refresh token of the answer.
class sealing_successor : step<scope_judged> {
public:
    using step::step;
    lineage ask() const noexcept { return {so_far_.presented.lineage.family, so_far_.order.next}; }
    minting_tokens with(secret refresh_token) &&;
};

/// Asks for the access token, and the id_token where `openid` is in scope.
class minting_tokens : step<successor_sealed> {
public:
    using step::step;
    mint_order ask() const noexcept {
        return {so_far_.login, *so_far_.request->client, so_far_.scope, so_far_.now};
    }
    writing_generation with(minted_tokens minted) &&;
};

/// Asks for the one conditional write. No answer leaves before it is done.
class writing_generation : step<tokens_minted> {
public:
    using step::step;
    const write_order& ask() const noexcept { return so_far_.order; }
    /// \return the answer where the row stood as it was seen; else another look at it
    std::variant<token_response, reloading_grant, refusal> with(advance_outcome outcome) &&;
};

/// Asks for the row again, after another request moved it in between.
///
/// It cannot end in a revoke: the token was good when this request first saw it, so to lose a race is no replay (R47).
class reloading_grant : step<tokens_minted> {
public:
    using step::step;
    const row_key& ask() const noexcept { return so_far_.presented.key; }
    result<writing_generation, refusal> with(std::optional<grant> found) &&;
};

inline result<loading_grant, refusal> opening_token::with(const token_opening& opened) && {
    if (!opened)
        return unexpected(refused(opened.error() == unopened::key_unknown ? reason::token_key_unknown
                                                                          : reason::token_not_ours));
    return result<loading_grant, refusal>(std::in_place, so_far_, *opened);
}

inline std::variant<checking_account, revoking_family, refusal>
loading_grant::with(std::optional<grant> found) && {
    // Never inserted, or forgotten with its engine: a good seal alone brings no family back (R53).
    if (!found) return refused(reason::grant_missing);
    auto order = judge(so_far_, *found);
    // RFC 9700 4.14.2: "the authorization server ... will revoke the active refresh token"
    if (!order && order.error() == reason::replayed) return revoking_family(std::move(so_far_));
    if (!order) return refused(order.error());
    return std::variant<checking_account, revoking_family, refusal>(std::in_place_type<checking_account>, so_far_,
                                                                    *std::move(found), *order);
}

inline result<sealing_successor, refusal> checking_account::with(account_standing standing) && {
    if (standing == account_standing::denied) return unexpected(refused(reason::account_denied));
    auto scope = judge_scope(so_far_);
    if (!scope) return unexpected(refused(scope.error()));
    return result<sealing_successor, refusal>(std::in_place, std::move(so_far_), std::move(*scope));
}

/// RFC 6749 6: "If a new refresh token is issued, the refresh token scope MUST be identical to that of the refresh
/// token included by the client in the request." It is: both name one family, and a family's scope never changes.
inline minting_tokens sealing_successor::with(secret refresh_token) && {
    return {std::move(so_far_), std::move(refresh_token)};
}

inline writing_generation minting_tokens::with(minted_tokens minted) && {
    return {std::move(so_far_), std::move(minted)};
}

inline std::variant<token_response, reloading_grant, refusal>
writing_generation::with(advance_outcome outcome) && {
    if (outcome == advance_outcome::advanced) {
        minted_tokens& minted = so_far_.minted;
        return token_response{std::move(minted.access_token), std::move(so_far_.refresh_token),
                              std::move(so_far_.scope).text(), std::move(minted.id_token), minted.expires_in};
    }
    if (so_far_.reloads == most_reloads)
        return refusal{reason::store_contended, {}, so_far_.rules->retry_after()};
    ++so_far_.reloads;
    return reloading_grant(std::move(so_far_));
}

/// The tokens made already stay good: rotated, repeated or healed, the successor of a token is the same.
inline result<writing_generation, refusal> reloading_grant::with(std::optional<grant> found) && {
    if (!found) return unexpected(refused(reason::grant_missing));
    auto order = judge(so_far_, *found);
    if (!order) return unexpected(refused(order.error() == reason::replayed ? reason::race_lost : order.error()));
    so_far_.order = *order;
    return std::move(so_far_);
}

/// The first step. Request and rules outlive the flow.
///
/// RFC 6749 6: the server MUST "authenticate the client if client authentication is included": there is no
/// `refresh_request` without an `authenticated_client`.
///
/// \par Errors
/// `unauthorized_client` for a client that may not use this grant (R30)
inline result<opening_token, refusal> begin(const refresh_request& request, const policy& rules, instant now) {
    if (!request.client->may_use("refresh_token")) return unexpected(refusal{reason::grant_type_not_allowed});
    return started(request, rules, now);
}

} // namespace regrant::inline v0::refresh_flow
