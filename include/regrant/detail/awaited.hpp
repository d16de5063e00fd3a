// regrant/detail/awaited.hpp - parts of an async endpoint, awaited whether they answer at once or later.
// floor 5
// SPDX-License-Identifier: MIT
#pragma once

#include "../async_token_store.hpp"
#include "../client.hpp"
#include "../client_registry.hpp"
#include "../decision.hpp"
#include "../error.hpp"
#include "../grant.hpp"
#include "../hooks.hpp"
#include "../result.hpp"
#include "../throttle.hpp"
#include "../token_issuer.hpp"
#include "task.hpp"

#include <string_view>

namespace regrant::inline v0::detail {

template <class Registry>
concept async_client_registry = requires(Registry& registry, std::string_view text) {
    { registry.find(text) } -> task_of<result<client_ptr, outage>>;
    { registry.allows_origin(text) } -> task_of<result<bool, outage>>;
};

template <class Issuer>
concept async_token_issuer = requires(Issuer& issuer, const mint_order& order) {
    { issuer.mint(order) } -> task_of<result<minted_tokens, outage>>;
};

template <class Hooks>
concept can_check_account_awaited = requires(Hooks& hooks, const grant& login, const client& asking) {
    { hooks.check_account(login, asking) } -> task_of<result<account_standing, outage>>;
};

template <class Hooks>
concept can_throttle_awaited = requires(Hooks& hooks, const attempt& tried, attempt_outcome ended) {
    { hooks.admit(tried) } -> task_of<result<admission, outage>>;
    { hooks.settle(tried, ended) } -> task_of<result<void, outage>>;
};

template <class Hooks>
concept can_match_slowly_awaited =
    requires(Hooks& hooks, const secret_check& check, const client_secret_matcher& matcher) {
        { hooks.match_slowly(check, matcher) } -> task_of<result<secret_match, outage>>;
    };

/// Looks clients up; most registries answer at once.
template <class Registry, class Store> class awaited_registry {
public:
    explicit awaited_registry(Registry& registry) noexcept : registry_(registry) {}

    task_like<Store, result<client_ptr, outage>> find(std::string_view client_id) {
        if constexpr (client_registry<Registry>) co_return registry_.find(client_id);
        else co_return co_await registry_.find(client_id);
    }
    task_like<Store, result<bool, outage>> allows_origin(std::string_view origin) {
        if constexpr (client_registry<Registry>) co_return registry_.allows_origin(origin);
        else co_return co_await registry_.allows_origin(origin);
    }

private:
    Registry& registry_;
};

/// Mints tokens; one that awaits its signatures keeps RSA off the event loop.
template <class Issuer, class Store> class awaited_issuer {
public:
    explicit awaited_issuer(Issuer& issuer) noexcept : issuer_(issuer) {}

    task_like<Store, result<minted_tokens, outage>> mint(const mint_order& order) {
        if constexpr (token_issuer<Issuer>) co_return issuer_.mint(order);
        else co_return co_await issuer_.mint(order);
    }

private:
    Issuer& issuer_;
};

/// Asks the host, which answers some questions at once.
template <class Hooks, class Store> class asked_hooks {
public:
    explicit asked_hooks(Hooks& hooks) noexcept : hooks_(hooks) {}

    task_like<Store, result<account_standing, outage>> check_account(const grant& login, const client& asking) {
        if constexpr (can_check_account_awaited<Hooks>) co_return co_await hooks_.check_account(login, asking);
        else co_return detail::check_account(hooks_, login, asking);
    }
    task_like<Store, result<admission, outage>> admit(const attempt& tried) {
        if constexpr (can_throttle_awaited<Hooks>) co_return co_await hooks_.admit(tried);
        else co_return detail::admit(hooks_, tried);
    }
    task_like<Store, result<void, outage>> settle(const attempt& tried, attempt_outcome ended) {
        if constexpr (can_throttle_awaited<Hooks>) co_return co_await hooks_.settle(tried, ended);
        else co_return detail::settle(hooks_, tried, ended);
    }
    template <class Matcher>
    task_like<Store, result<secret_match, outage>> match_slowly(const secret_check& check, const Matcher& matcher) {
        if constexpr (can_match_slowly_awaited<Hooks>) co_return co_await hooks_.match_slowly(check, matcher);
        else co_return detail::match_slowly(hooks_, check, matcher);
    }
    void observe(const decision& made) noexcept { detail::observe(hooks_, made); }

private:
    Hooks& hooks_;
};

/// The endpoint asks its hooks itself before it hands them on to the grant, which must not wrap them again.
template <class Hooks, class Store> struct awaited_hooks_of {
    using type = asked_hooks<Hooks, Store>;
};
template <class Hooks, class Store> struct awaited_hooks_of<asked_hooks<Hooks, Store>, Store> {
    using type = asked_hooks<Hooks, Store>&;
};
template <class Hooks, class Store> using awaited_hooks = typename awaited_hooks_of<Hooks, Store>::type;

template <class Hooks, class Store>
auto check_account(asked_hooks<Hooks, Store>& hooks, const grant& login, const client& asking) {
    return hooks.check_account(login, asking);
}
template <class Hooks, class Store> auto admit(asked_hooks<Hooks, Store>& hooks, const attempt& tried) {
    return hooks.admit(tried);
}
template <class Hooks, class Store>
auto settle(asked_hooks<Hooks, Store>& hooks, const attempt& tried, attempt_outcome ended) {
    return hooks.settle(tried, ended);
}

template <class Hooks, class Store, class Matcher>
auto match_slowly(asked_hooks<Hooks, Store>& hooks, const secret_check& check, const Matcher& matcher) {
    return hooks.match_slowly(check, matcher);
}

/// As `explain_client_registry`, for parts that may be awaited.
template <class Registry> constexpr void explain_async_client_registry() {
    static_assert(client_registry<Registry> || async_client_registry<Registry>,
                  "the registry of an async endpoint is a client_registry, or each of its answers is a task");
}

template <class Issuer> constexpr void explain_async_token_issuer() {
    static_assert(token_issuer<Issuer> || async_token_issuer<Issuer>,
                  "an async endpoint's issuer needs: result<minted_tokens, outage> mint(const mint_order&), or a task "
                  "of that");
}

template <class Hooks> constexpr void explain_async_hooks() {
    explain_class_of_hooks<Hooks>();
    if constexpr (!can_check_account_awaited<Hooks>) explain_account_hook<Hooks>();
    if constexpr (!can_throttle_awaited<Hooks>) explain_throttle_hooks<Hooks>();
    if constexpr (!can_match_slowly_awaited<Hooks>) explain_slow_match<Hooks>();
    explain_observer<Hooks>();
}

} // namespace regrant::inline v0::detail
