// regrant/detail/task.hpp - the host's own coroutine task, rebound from what its store returns.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "caught.hpp"

#include <concepts>
#include <coroutine>
#include <exception>
#include <type_traits>

namespace regrant::inline v0 {

/// Names, for a task type of the host, the one that gives a `T` instead.
///
/// It fits `boost::asio::awaitable<T, Executor>` and every other template whose first parameter is what the task
/// gives. Specialise it, with a member `type`, for tasks of another shape.
template <class Task, class T> struct rebind_task {};

template <template <class, class...> class Task, class Was, class... Rest, class T>
struct rebind_task<Task<Was, Rest...>, T> {
    using type = Task<T, Rest...>;
};

/// A task of the host's that gives a `T` when it is awaited.
template <class Task, class T>
concept task_of = requires { typename rebind_task<Task, T>::type; } &&
                  std::same_as<Task, typename rebind_task<Task, T>::type>;

namespace detail {

/// Awaits what `act` returns; where anything is thrown on the way, gives `otherwise(what)` instead.
template <class Act, class Otherwise>
    requires task_of<std::invoke_result_t<Act&>, std::invoke_result_t<Otherwise&, const char*>>
auto caught(Act act, Otherwise otherwise) -> std::invoke_result_t<Act&> {
#if defined(__cpp_exceptions)
    try {
        co_return co_await act();
    } catch (const std::exception& thrown) {
        co_return otherwise(thrown.what());
    } catch (...) {
        co_return otherwise("something was thrown that is no std::exception");
    }
#else
    static_cast<void>(otherwise);
    co_return co_await act();
#endif
}

} // namespace detail

} // namespace regrant::inline v0
