// regrant/refresh_grant.hpp - walks the refresh grant's steps over a store that answers at once.
// floor 5
// SPDX-License-Identifier: MIT
#pragma once

#include "clock.hpp"
#include "decision.hpp"
#include "error.hpp"
#include "hooks.hpp"
#include "policy.hpp"
#include "refresh_flow.hpp"
#include "result.hpp"
#include "token_issuer.hpp"
#include "token_keyring.hpp"
#include "token_response.hpp"
#include "token_store.hpp"

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace regrant::inline v0 {

/// The refresh-grant validator: refresh token in, tokens or a refusal out. It knows nothing of HTTP.
///
///     regrant::refresh_grant grant(store, issuer, keyring, policy);
///     regrant::decision seen{now};
///     auto answer = grant.respond({regrant::authenticated_client::vouched(client), token}, now, seen);
///
/// Store, issuer, keyring, policy and hooks outlive it. May be used from many threads at once if they may. What they
/// throw goes through; `token_endpoint` catches it.
template <class Store, class Issuer, class Hooks = no_hooks> class refresh_grant {
public:
    refresh_grant(Store& store, Issuer& issuer, const token_keyring& keyring, const policy& rules,
                  Hooks& hooks) noexcept
        : store_(store), issuer_(issuer), keyring_(keyring), rules_(rules), hooks_(hooks) {
        detail::explain_token_store<Store>();
        detail::explain_token_issuer<Issuer>();
        detail::explain_hooks<Hooks>();
    }

    refresh_grant(Store& store, Issuer& issuer, const token_keyring& keyring, const policy& rules) noexcept
        requires std::is_same_v<Hooks, no_hooks>
        : refresh_grant(store, issuer, keyring, rules, nobody()) {}

    /// \param now   read once per request
    /// \param seen  filled with what was found and written, for the log
    /// \par Errors
    /// every code of RFC 6749 5.2 that a form or a client cannot cause; `temporarily_unavailable` for an outage, after
    /// which the same token works again within the retry window
    template <class S = Store>
    result<token_response, refusal> respond(const refresh_request& request, instant now, decision& seen) {
        using namespace refresh_flow;
        auto opening = begin(request, rules_, now);
        if (!opening) return unexpected(std::move(opening).error());

        auto opened = keyring_.open(opening->ask());
        if (!opened) return unavailable(reason::crypto_unavailable, opened.error());
        note(seen, *opened);
        auto loading = std::move(*opening).with(*opened);
        if (!loading) return unexpected(std::move(loading).error());

        auto found = store_.find(loading->ask());
        if (!found) return unavailable(reason::store_unavailable, found.error());
        auto judged = std::move(*loading).with(std::move(*found));
        if (auto* refused = std::get_if<refusal>(&judged)) return unexpected(std::move(*refused));
        if (auto* revoking = std::get_if<revoking_family>(&judged)) {
            auto revoked = store_.revoke(revoking->ask());
            if (!revoked) return unavailable(reason::store_unavailable, revoked.error());
            seen.written = write_kind::revoke;
            return unexpected(std::move(*revoking).with(family_revoked{}));
        }

        auto& checking = *std::get_if<checking_account>(&judged);
        auto standing = detail::check_account(hooks_, checking.ask(), *request.client);
        if (!standing) return unavailable(reason::account_unavailable, standing.error());
        auto sealing = std::move(checking).with(*standing);
        if (!sealing) return unexpected(std::move(sealing).error());

        auto successor = keyring_.seal(sealing->ask());
        if (!successor) return unavailable(reason::crypto_unavailable, successor.error());
        auto minting = std::move(*sealing).with(std::move(*successor));

        auto minted = issuer_.mint(minting.ask());
        if (!minted) return unavailable(reason::issuer_unavailable, minted.error());
        auto writing = std::move(minting).with(std::move(*minted));

        while (true) {
            const write_order order = writing.ask();
            auto outcome = store_.advance(order.key, order.expected, order.next, order.at);
            if (!outcome) return unavailable(reason::store_unavailable, outcome.error());
            auto written = std::move(writing).with(*outcome);
            if (auto* refused = std::get_if<refusal>(&written)) return unexpected(std::move(*refused));
            if (auto* answer = std::get_if<token_response>(&written)) {
                seen.written = order.kind;
                return std::move(*answer);
            }
            ++seen.races_lost;
            auto& reloading = *std::get_if<reloading_grant>(&written);
            auto again = store_.find(reloading.ask());
            if (!again) return unavailable(reason::store_unavailable, again.error());
            auto rewriting = std::move(reloading).with(std::move(*again));
            if (!rewriting) return unexpected(std::move(rewriting).error());
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
    Issuer& issuer_;
    const token_keyring& keyring_;
    const policy& rules_;
    Hooks& hooks_;
};

} // namespace regrant::inline v0
