// tests/unit/support/flow_awaited.hpp - the parts of a test as a host has them whose answers are awaited.
// SPDX-License-Identifier: MIT
#pragma once

#include "lazy_task.hpp"

#include <regrant/client.hpp>
#include <regrant/client_secret_matcher.hpp>
#include <regrant/clock.hpp>
#include <regrant/decision.hpp>
#include <regrant/error.hpp>
#include <regrant/grant.hpp>
#include <regrant/hooks.hpp>
#include <regrant/lineage.hpp>
#include <regrant/result.hpp>
#include <regrant/throttle.hpp>
#include <regrant/token_issuer.hpp>
#include <regrant/token_store.hpp>

#include <cstddef>
#include <optional>
#include <string_view>

namespace flow {

template <class T> using answer_later = lazy_task<regrant::result<T, regrant::outage>>;

template <class Store> struct awaited_store {
    Store& at_once;

    answer_later<regrant::insert_outcome> insert(const regrant::grant& row) {
        co_await pause{};
        co_return at_once.insert(row);
    }
    answer_later<std::optional<regrant::grant>> find(const regrant::row_key& key) {
        co_await pause{};
        co_return at_once.find(key);
    }
    answer_later<regrant::advance_outcome> advance(const regrant::row_key& key, regrant::generation expected,
                                                   regrant::generation following, regrant::instant now) {
        co_await pause{};
        co_return at_once.advance(key, expected, following, now);
    }
    answer_later<void> revoke(const regrant::row_key& key) {
        co_await pause{};
        co_return at_once.revoke(key);
    }
    answer_later<std::size_t> revoke_subject(std::string_view subject) {
        co_await pause{};
        co_return at_once.revoke_subject(subject);
    }
};

template <class Registry> struct awaited_registry {
    Registry& at_once;

    answer_later<regrant::client_ptr> find(std::string_view client_id) {
        co_await pause{};
        co_return at_once.find(client_id);
    }
    answer_later<bool> allows_origin(std::string_view origin) {
        co_await pause{};
        co_return at_once.allows_origin(origin);
    }
};

template <class Issuer> struct awaited_issuer {
    Issuer& at_once;

    answer_later<regrant::minted_tokens> mint(const regrant::mint_order& order) {
        co_await pause{};
        co_return at_once.mint(order);
    }
};

template <class Hooks> struct awaited_hooks {
    Hooks& at_once;

    answer_later<regrant::account_standing> check_account(const regrant::grant& login, const regrant::client& asking) {
        co_await pause{};
        co_return at_once.check_account(login, asking);
    }
    answer_later<regrant::admission> admit(const regrant::attempt& tried) {
        co_await pause{};
        co_return at_once.admit(tried);
    }
    answer_later<void> settle(const regrant::attempt& tried, regrant::attempt_outcome ended) {
        co_await pause{};
        co_return at_once.settle(tried, ended);
    }
    answer_later<regrant::secret_match> match_slowly(const regrant::secret_check& check,
                                                     const regrant::client_secret_matcher& matcher) {
        co_await pause{};
        co_return at_once.match_slowly(check, matcher);
    }
    void observe(const regrant::decision& made) noexcept { at_once.observe(made); }
};

} // namespace flow
