// regrant/async_refresh_grant.hpp - walks the refresh grant's steps over a store that is awaited.
// floor 6
// SPDX-License-Identifier: MIT
#pragma once

#include "async_token_store.hpp"
#include "clock.hpp"
#include "decision.hpp"
#include "detail/awaited.hpp"
#include "error.hpp"
#include "hooks.hpp"
#include "policy.hpp"
#include "refresh_flow.hpp"
#include "result.hpp"
#include "token_keyring.hpp"
#include "token_response.hpp"

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace regrant::inline v0 {

/// The refresh-grant validator: refresh token in, tokens or a refusal out. It knows nothing of HTTP.
///
///     regrant::async_refresh_grant grant(store, issuer, keyring, policy);
///     regrant::decision seen{now};
///     const regrant::refresh_request request{regrant::authenticated_client::vouched(client), token};
///     auto answer = co_await grant.respond(request, now, seen);
///
/// Store, issuer, keyring, policy and hooks outlive it. May be used from many threads at once if they may. What they
/// throw goes through; `token_endpoint` catches it.
template <class Store, class Issuer, class Hooks = no_hooks> class async_refresh_grant {
public:
    async_refresh_grant(Store& store, Issuer& issuer, const token_keyring& keyring, const policy& rules,
                  Hooks& hooks) noexcept
        : store_(store), issuer_(issuer), keyring_(keyring), rules_(rules), hooks_(hooks) {
        detail::explain_async_token_store<Store>();
        detail::explain_async_token_issuer<Issuer>();
        detail::explain_async_hooks<Hooks>();
    }

    async_refresh_grant(Store& store, Issuer& issuer, const token_keyring& keyring, const policy& rules) noexcept
        requires std::is_same_v<Hooks, no_hooks>
        : async_refresh_grant(store, issuer, keyring, rules, nobody()) {}

    /// \param now   read once per request
    /// \param seen  filled with what was found and written, for the log
    /// \par Errors
    /// every code of RFC 6749 5.2 that a form or a client cannot cause; `temporarily_unavailable` for an outage, after
    /// which the same token works again within the retry window
    template <class S = Store>
    detail::task_like<Store, result<token_response, refusal>> respond(const refresh_request& request, instant now,
                                                                      decision& seen) {
        using namespace refresh_flow;
        auto opening = begin(request, rules_, now);
        if (!opening) co_return unexpected(std::move(opening).error());

        auto opened = keyring_.open(opening->ask());
        if (!opened) co_return unavailable(reason::crypto_unavailable, opened.error());
        note(seen, *opened);
        auto loading = std::move(*opening).with(*opened);
        if (!loading) co_return unexpected(std::move(loading).error());

        auto found = co_await store_.find(loading->ask());
        if (!found) co_return unavailable(reason::store_unavailable, found.error());
        auto judged = std::move(*loading).with(std::move(*found));
        if (auto* refused = std::get_if<refusal>(&judged)) co_return unexpected(std::move(*refused));
        if (auto* revoking = std::get_if<revoking_family>(&judged)) {
            auto revoked = co_await store_.revoke(revoking->ask());
            if (!revoked) co_return unavailable(reason::store_unavailable, revoked.error());
            seen.written = write_kind::revoke;
            co_return unexpected(std::move(*revoking).with(family_revoked{}));
        }

        auto& checking = *std::get_if<checking_account>(&judged);
        auto standing = co_await detail::check_account(hooks_, checking.ask(), *request.client);
        if (!standing) co_return unavailable(reason::account_unavailable, standing.error());
        auto sealing = std::move(checking).with(*standing);
        if (!sealing) co_return unexpected(std::move(sealing).error());

        auto successor = keyring_.seal(sealing->ask());
        if (!successor) co_return unavailable(reason::crypto_unavailable, successor.error());
        auto minting = std::move(*sealing).with(std::move(*successor));

        auto minted = co_await issuer_.mint(minting.ask());
        if (!minted) co_return unavailable(reason::issuer_unavailable, minted.error());
        auto writing = std::move(minting).with(std::move(*minted));

        while (true) {
            const write_order order = writing.ask();
            auto outcome = co_await store_.advance(order.key, order.expected, order.next, order.at);
            if (!outcome) co_return unavailable(reason::store_unavailable, outcome.error());
            auto written = std::move(writing).with(*outcome);
            if (auto* refused = std::get_if<refusal>(&written)) co_return unexpected(std::move(*refused));
            if (auto* answer = std::get_if<token_response>(&written)) {
                seen.written = order.kind;
                co_return std::move(*answer);
            }
            ++seen.races_lost;
            auto& reloading = *std::get_if<reloading_grant>(&written);
            auto again = co_await store_.find(reloading.ask());
            if (!again) co_return unavailable(reason::store_unavailable, again.error());
            auto rewriting = std::move(reloading).with(std::move(*again));
            if (!rewriting) co_return unexpected(std::move(rewriting).error());
            writing = std::move(*rewriting);
        }
    }

private:
    static Hooks& nobody() noexcept {
        static Hooks none;
        return none;
    }

    static void note(decision& seen, const token_opening& opened) noexcept {
        if (!opened) return;
        seen.row = opened->key;
        seen.generation = opened->lineage.generation;
    }

    unexpected<refusal> unavailable(reason why, outage& cause) const {
        return unexpected(refusal{why, std::move(cause.detail), rules_.retry_after()});
    }

    Store& store_;
    detail::awaited_issuer<Issuer, Store> issuer_;
    const token_keyring& keyring_;
    const policy& rules_;
    detail::awaited_hooks<Hooks, Store> hooks_;
};

} // namespace regrant::inline v0
