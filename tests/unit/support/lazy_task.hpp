// tests/unit/support/lazy_task.hpp - the smallest task a host could have, with a loop that runs it.
// SPDX-License-Identifier: MIT
#pragma once

#include <coroutine>
#include <deque>
#include <exception>
#include <optional>
#include <utility>

namespace flow {

/// What waits to go on. One thread, so no lock.
inline std::deque<std::coroutine_handle<>>& ready() {
    static thread_local std::deque<std::coroutine_handle<>> waiting;
    return waiting;
}

/// Lets everybody else go first: what is awaited really leaves its caller.
struct pause {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) const { ready().push_back(waiting); }
    void await_resume() const noexcept {}
};

/// Starts when it is awaited.
template <class T> class [[nodiscard]] lazy_task {
public:
    struct promise_type {
        std::optional<T> value{};
        std::exception_ptr thrown{};
        std::coroutine_handle<> awaiting = std::noop_coroutine();

        lazy_task get_return_object() {
            return lazy_task(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        auto final_suspend() const noexcept {
            struct back {
                bool await_ready() const noexcept { return false; }
                std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> done) const noexcept {
                    return done.promise().awaiting;
                }
                void await_resume() const noexcept {}
            };
            return back{};
        }
        template <class U> void return_value(U&& given) { value.emplace(std::forward<U>(given)); }
        void unhandled_exception() noexcept { thrown = std::current_exception(); }
    };

    lazy_task(lazy_task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    lazy_task& operator=(lazy_task&&) = delete;
    ~lazy_task() {
        if (frame_) frame_.destroy();
    }

    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
        frame_.promise().awaiting = awaiting;
        return frame_;
    }
    T await_resume() {
        if (frame_.promise().thrown) std::rethrow_exception(frame_.promise().thrown);
        return *std::move(frame_.promise().value);
    }

    /// Runs it, and all that it waits for, to its end.
    T run() {
        for (frame_.resume(); !frame_.done(); ) {
            const auto next = ready().front();
            ready().pop_front();
            next.resume();
        }
        return await_resume();
    }

private:
    explicit lazy_task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
    std::coroutine_handle<promise_type> frame_;
};

} // namespace flow
