// tests/unit/support/odd_task.hpp - a task whose first parameter is not what it gives.
// SPDX-License-Identifier: MIT
#pragma once

#include <regrant/async_token_store.hpp>

namespace flow {

template <class Loop, class T> struct odd_task {};

} // namespace flow

template <class Loop, class Was, class T> struct regrant::rebind_task<flow::odd_task<Loop, Was>, T> {
    using type = flow::odd_task<Loop, T>;
};
