// regrant/begin_family.hpp - issues the first tokens of a login over a store that answers at once.
// floor 5
// SPDX-License-Identifier: MIT
#pragma once

#include "client.hpp"
#include "clock.hpp"
#include "decision.hpp"
#include "error.hpp"
#include "lineage.hpp"
#include "login.hpp"
#include "policy.hpp"
#include "random.hpp"
#include "result.hpp"
#include "token_keyring.hpp"
#include "token_response.hpp"

#include <utility>

namespace regrant::inline v0 {

/// Makes a new family for an authenticated user, and its first answer. The row is written last.
///
/// \param asking  the client that `who.client_id` names
/// \param seen    filled with what was written, for the log
/// \par Errors
/// as `login_flow::begin`; `temporarily_unavailable` for any outage
template <class Store, class Issuer, random_source Random>
result<token_response, refusal> begin_family(Store& store, Issuer& issuer, const token_keyring& keyring,
                                             const policy& rules, Random& random, const client& asking,
                                             const login& who, instant now, decision& seen) {
    const auto unavailable = [&](reason why, outage& cause) {
        return unexpected(refusal{why, std::move(cause.detail), rules.retry_after()});
    };
    auto minting = login_flow::begin(keyring, rules, random, asking, who, now);
    if (!minting) return unexpected(std::move(minting).error());

    auto minted = issuer.mint(minting->ask());
    if (!minted) return unavailable(reason::issuer_unavailable, minted.error());
    auto inserting = std::move(*minting).with(std::move(*minted));

    const row_key key = inserting.ask().key;
    auto inserted = store.insert(inserting.ask());
    if (!inserted) return unavailable(reason::store_unavailable, inserted.error());
    auto answer = std::move(inserting).with(*inserted);
    if (!answer) return unexpected(std::move(answer).error());
    seen.row = key;
    seen.generation = first_generation;
    seen.written = write_kind::insert;
    return answer;
}

} // namespace regrant::inline v0
