// tests/unit/async_token_store.cpp - which stores can be awaited, and by which task.
// SPDX-License-Identifier: MIT
#include <regrant/async_token_store.hpp>

#include "support/flow_awaited.hpp"
#include "support/odd_task.hpp"

#include <regrant/memory_store.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <type_traits>

namespace {

using namespace regrant;
using flow::odd_task;
struct loop {};
template <class T> using odd_answer = odd_task<loop, result<T, outage>>;

struct odd_store {
    odd_answer<insert_outcome> insert(const grant&);
    odd_answer<std::optional<grant>> find(const row_key&);
    odd_answer<advance_outcome> advance(const row_key&, generation, generation, instant);
    odd_answer<void> revoke(const row_key&);
};

struct wrong_find : odd_store {
    odd_answer<grant> find(const row_key&);
};

} // namespace

TEST_CASE("a store is awaited by the task of its host, whatever its shape (6749 3.2)") {
    using lazy_store = flow::awaited_store<memory_store>;
    static_assert(async_token_store<lazy_store>);
    static_assert(can_revoke_subject_awaited<lazy_store>);
    static_assert(std::is_same_v<detail::task_like<lazy_store, int>, flow::lazy_task<int>>);

    static_assert(async_token_store<odd_store>);
    static_assert(std::is_same_v<detail::task_like<odd_store, int>, odd_task<loop, int>>);
    static_assert(!can_revoke_subject_awaited<odd_store>);

    static_assert(!async_token_store<memory_store>, "what answers at once is no async store");
    static_assert(!can_find_awaited<wrong_find>, "a task must give what find promises");
    static_assert(!token_store<lazy_store>);
}
