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
#include <type_traits>

namespace regrant::inline v0 {

/// What the host says of the user behind a grant.
enum class account_standing : std::uint8_t { good, denied };

/// `check_account(login, client)` re-checks account or consent on every refresh (R46).
template <class Hooks>
concept can_check_account = requires(Hooks& hooks, const grant& login, const client& asking) {
    { hooks.check_account(login, asking) } -> std::same_as<result<account_standing, outage>>;
};

/// `observe(decision)` is told of every login and refresh once, after it is decided; a preflight decides nothing. The
/// views in it end with the call.
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

// Whether a type has a member of some name, be it overloaded, a template, private or inherited: only then is the name
// ambiguous in a type that derives from it beside another one that has it.
struct names_check_account {
    int check_account;
};
struct names_observe {
    int observe;
};
template <class Hooks, class Name> struct joined : Hooks, Name {};
template <class Hooks>
concept mentions_check_account = !requires { &joined<Hooks, names_check_account>::check_account; };
template <class Hooks>
concept mentions_observe = !requires { &joined<Hooks, names_observe>::observe; };

/// A hook with a slip in its signature would otherwise be passed over in silence.
template <class Hooks> constexpr void explain_hooks() {
    static_assert(std::is_class_v<Hooks> && !std::is_final_v<Hooks>, "hooks are a class that is not final");
    if constexpr (mentions_check_account<std::remove_cv_t<Hooks>>)
        static_assert(can_check_account<Hooks>, "the hook is: result<account_standing, outage> "
                                                "check_account(const grant& login, const client& asking)");
    if constexpr (mentions_observe<std::remove_cv_t<Hooks>>)
        static_assert(can_observe<Hooks>, "the hook is: void observe(const decision& made) noexcept");
}

} // namespace detail

} // namespace regrant::inline v0
