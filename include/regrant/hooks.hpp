// regrant/hooks.hpp - where a host looks in on every refresh.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "client.hpp"
#include "decision.hpp"
#include "error.hpp"
#include "grant.hpp"
#include "result.hpp"

#include <concepts>
#include <cstdint>

namespace regrant::inline v0 {

/// What the host says of the user behind a grant.
enum class account_standing : std::uint8_t { good, denied };

/// `check_account(login, client)` re-checks account or consent on every refresh (R46).
template <class Hooks>
concept can_check_account = requires(Hooks& hooks, const grant& login, const client& asking) {
    { hooks.check_account(login, asking) } -> std::same_as<result<account_standing, outage>>;
};

/// `observe(decision)` is told of every decision once, after it is made. The views in it end with the call.
template <class Hooks>
concept can_observe = requires(Hooks& hooks, const decision& made) {
    { hooks.observe(made) } noexcept;
};

/// A host that looks at nothing. A host's own type writes the members it wants.
struct no_hooks {};

namespace detail {

template <class Hooks> result<account_standing, outage> check_account(Hooks& hooks, const grant& login,
                                                                      const client& asking) {
    if constexpr (can_check_account<Hooks>) return hooks.check_account(login, asking);
    else return account_standing::good;
}

template <class Hooks> void observe(Hooks& hooks, const decision& made) noexcept {
    if constexpr (can_observe<Hooks>) hooks.observe(made);
}

/// A hook with a slip in its signature would otherwise be passed over in silence.
template <class Hooks> constexpr void explain_hooks() {
    if constexpr (requires { &Hooks::check_account; })
        static_assert(can_check_account<Hooks>, "the hook is: result<account_standing, outage> "
                                                "check_account(const grant& login, const client& asking)");
    if constexpr (requires { &Hooks::observe; })
        static_assert(can_observe<Hooks>, "the hook is: void observe(const decision& made) noexcept");
}

} // namespace detail

} // namespace regrant::inline v0
