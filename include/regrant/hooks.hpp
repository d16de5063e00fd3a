// regrant/hooks.hpp - where a host looks in on every refresh.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "client.hpp"
#include "decision.hpp"
#include "error.hpp"
#include "grant.hpp"
#include "result.hpp"
#include "throttle.hpp"

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

/// `observe(decision)` is told of every refresh, login and logout once, after it is decided; a preflight decides
/// nothing. The views in it end with the call.
template <class Hooks>
concept can_observe = requires(Hooks& hooks, const decision& made) {
    { hooks.observe(made) } noexcept;
};

/// `admit(attempt)` and `settle(attempt, outcome)` limit failed client authentications (R26): see `throttle`, of which
/// `token_bucket_throttle` is a model to derive from. Without them nothing is limited.
template <class Hooks>
concept can_throttle = throttle<Hooks>;

class client_secret_matcher;

/// `match_slowly(check, matcher)` has a slow hash computed elsewhere: `matcher.slowly(check)`, on some pool of
/// threads, so that a tenth of a second of scrypt does not block an event loop. Both arguments live until it has
/// answered. Without it the hash is computed where the request is.
template <class Hooks>
concept can_match_slowly = requires(Hooks& hooks, const secret_check& check, const client_secret_matcher& matcher) {
    { hooks.match_slowly(check, matcher) } -> std::same_as<result<secret_match, outage>>;
};

/// A host that looks at nothing. A host's own type writes the members it wants.
///
/// One with a slip in its signature does not compile. One whose name is misspelt is nobody's, and passed over; so say
/// which you mean:
///
///     static_assert(regrant::can_check_account<my_hooks>);
struct no_hooks {};

namespace detail {

template <class Hooks> result<account_standing, outage> check_account(Hooks& hooks, const grant& login,
                                                                      const client& asking) {
    if constexpr (can_check_account<Hooks>) return hooks.check_account(login, asking);
    else return account_standing::good;
}

template <class Hooks> result<admission, outage> admit(Hooks& hooks, const attempt& tried) {
    if constexpr (can_throttle<Hooks>) return hooks.admit(tried);
    else return admission{};
}

template <class Hooks> result<void, outage> settle(Hooks& hooks, const attempt& tried, attempt_outcome ended) {
    if constexpr (can_throttle<Hooks>) return hooks.settle(tried, ended);
    else return {};
}

template <class Hooks, class Matcher>
result<secret_match, outage> match_slowly(Hooks& hooks, const secret_check& check, const Matcher& matcher) {
    if constexpr (can_match_slowly<Hooks>) return hooks.match_slowly(check, matcher);
    else return matcher.slowly(check);
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
struct names_admit {
    int admit;
};
struct names_match_slowly {
    int match_slowly;
};
struct names_settle {
    int settle;
};
template <class Hooks, class Name> struct joined : Hooks, Name {};
template <class Hooks>
concept mentions_check_account = !requires { &joined<Hooks, names_check_account>::check_account; };
template <class Hooks>
concept mentions_observe = !requires { &joined<Hooks, names_observe>::observe; };
template <class Hooks>
concept mentions_match_slowly = !requires { &joined<Hooks, names_match_slowly>::match_slowly; };
template <class Hooks>
concept mentions_throttle =
    !(requires { &joined<Hooks, names_admit>::admit; } && requires { &joined<Hooks, names_settle>::settle; });

template <class Hooks> constexpr void explain_account_hook() {
    if constexpr (mentions_check_account<std::remove_cv_t<Hooks>>)
        static_assert(can_check_account<Hooks>, "the hook is: result<account_standing, outage> "
                                                "check_account(const grant& login, const client& asking)");
}
template <class Hooks> constexpr void explain_throttle_hooks() {
    if constexpr (mentions_throttle<std::remove_cv_t<Hooks>>)
        static_assert(can_throttle<Hooks>,
                      "the hooks of a throttle are: result<admission, outage> admit(const attempt& tried); "
                      "result<void, outage> settle(const attempt& tried, attempt_outcome ended)");
}
template <class Hooks> constexpr void explain_slow_match() {
    if constexpr (mentions_match_slowly<std::remove_cv_t<Hooks>>)
        static_assert(can_match_slowly<Hooks>,
                      "the hook is: result<secret_match, outage> match_slowly(const secret_check& check, "
                      "const client_secret_matcher& matcher)");
}
template <class Hooks> constexpr void explain_observer() {
    if constexpr (mentions_observe<std::remove_cv_t<Hooks>>)
        static_assert(can_observe<Hooks>, "the hook is: void observe(const decision& made) noexcept");
}
template <class Hooks> constexpr void explain_class_of_hooks() {
    static_assert(std::is_class_v<Hooks> && !std::is_final_v<Hooks>, "hooks are a class that is not final");
}

/// A hook with a slip in its signature would otherwise be passed over in silence.
template <class Hooks> constexpr void explain_hooks() {
    explain_class_of_hooks<Hooks>();
    explain_account_hook<Hooks>();
    explain_throttle_hooks<Hooks>();
    explain_slow_match<Hooks>();
    explain_observer<Hooks>();
}

} // namespace detail

} // namespace regrant::inline v0
