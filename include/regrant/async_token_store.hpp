// regrant/async_token_store.hpp - the four promises of a refresh token store whose answers are awaited.
// floor 4
// SPDX-License-Identifier: MIT
#pragma once

#include "clock.hpp"
#include "detail/task.hpp"
#include "error.hpp"
#include "grant.hpp"
#include "lineage.hpp"
#include "result.hpp"
#include "token_store.hpp"

#include <coroutine>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

namespace regrant::inline v0 {

/// As `can_insert`, awaited. Here as below, the arguments outlive the task.
template <class Store>
concept can_insert_awaited = requires(Store& store, const grant& row) {
    { store.insert(row) } -> task_of<result<insert_outcome, outage>>;
};

/// As `can_find`, awaited.
template <class Store>
concept can_find_awaited = requires(Store& store, const row_key& key) {
    { store.find(key) } -> task_of<result<std::optional<grant>, outage>>;
};

/// As `can_advance`, awaited.
template <class Store>
concept can_advance_awaited = requires(Store& store, const row_key& key, generation expected, instant now) {
    { store.advance(key, expected, expected, now) } -> task_of<result<advance_outcome, outage>>;
};

/// As `can_revoke`, awaited.
template <class Store>
concept can_revoke_awaited = requires(Store& store, const row_key& key) {
    { store.revoke(key) } -> task_of<result<void, outage>>;
};

/// A `token_store` for servers that cannot wait: each operation returns a task of the host's own kind, e.g.
/// `boost::asio::awaitable<result<std::optional<grant>, outage>>`. The promises are those of `token_store`.
template <class Store>
concept async_token_store = can_insert_awaited<Store> && can_find_awaited<Store> && can_advance_awaited<Store> &&
                            can_revoke_awaited<Store>;

/// As `can_revoke_subject`, awaited.
template <class Store>
concept can_revoke_subject_awaited = requires(Store& store, std::string_view subject) {
    { store.revoke_subject(subject) } -> task_of<result<std::size_t, outage>>;
};

namespace detail {

/// Stands in for the task of a type that is no async store, so that its author is told so first: g++ would else
/// complain of the missing promise before.
template <class T> struct no_task {
    struct promise_type {
        no_task get_return_object();
        std::suspend_never initial_suspend();
        std::suspend_never final_suspend() noexcept;
        template <class U> void return_value(U&&);
        void unhandled_exception();
    };
    bool await_ready();
    void await_suspend(std::coroutine_handle<>);
    T await_resume();
};

template <class Store> struct task_sample {
    using type = no_task<void>;
};
template <can_find_awaited Store> struct task_sample<Store> {
    using type = decltype(std::declval<Store&>().find(std::declval<const row_key&>()));
};

/// The host's task that gives a `T`, as the store's operations tell it.
template <class Store, class T> using task_like = typename rebind_task<typename task_sample<Store>::type, T>::type;

/// Tells the author of a store what to write; each message is a signature.
template <class Store> constexpr void explain_async_token_store() {
    static_assert(can_find_awaited<Store>,
                  "an async_token_store needs: task<result<std::optional<grant>, outage>> find(const row_key&)");
    static_assert(can_insert_awaited<Store>,
                  "an async_token_store needs: task<result<insert_outcome, outage>> insert(const grant&)");
    static_assert(can_advance_awaited<Store>,
                  "an async_token_store needs: task<result<advance_outcome, outage>> advance(const row_key&, "
                  "generation expected, generation next, instant now)");
    static_assert(can_revoke_awaited<Store>,
                  "an async_token_store needs: task<result<void, outage>> revoke(const row_key&)");
}

} // namespace detail

} // namespace regrant::inline v0
