// tests/stores/awaited.hpp - an awaited store for callers that wait, over a context that runs in a thread of its own.
// SPDX-License-Identifier: MIT
#pragma once

#include <regrant/async_token_store.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <exception>
#include <future>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace scene {

using namespace regrant;
namespace asio = boost::asio;

/// A context with threads that run it until this is gone; what is then in flight is destroyed with it.
class running_context {
public:
    explicit running_context(unsigned threads = 1) {
        for (unsigned i = 0; i != threads; ++i) threads_.emplace_back([this] { context_.run(); });
    }
    ~running_context() {
        context_.stop();
        for (std::thread& each : threads_) each.join();
    }
    asio::io_context::executor_type executor() { return context_.get_executor(); }

    /// Runs a task to its end there, while the caller waits.
    template <class T> T wait(asio::awaitable<T> task) {
        std::promise<T> done;
        asio::co_spawn(
            context_,
            [&done, task = std::move(task)]() mutable -> asio::awaitable<void> {
                std::exception_ptr thrown;
                try {
                    done.set_value(co_await std::move(task));
                } catch (...) {
                    thrown = std::current_exception();
                }
                if (thrown) done.set_exception(thrown);
            },
            asio::detached);
        return done.get_future().get();
    }

private:
    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> guard_{context_.get_executor()};
    std::vector<std::thread> threads_;
};

template <async_token_store Store> class waited_store {
public:
    waited_store(Store& store, running_context& context) : store_(store), context_(context) {}

    result<insert_outcome, outage> insert(const grant& row) { return context_.wait(store_.insert(row)); }
    result<std::optional<grant>, outage> find(const row_key& key) { return context_.wait(store_.find(key)); }
    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next, instant now) {
        return context_.wait(store_.advance(key, expected, next, now));
    }
    result<void, outage> revoke(const row_key& key) { return context_.wait(store_.revoke(key)); }
    result<std::size_t, outage> revoke_subject(std::string_view subject) {
        return context_.wait(store_.revoke_subject(subject));
    }
    result<std::vector<grant>, outage> list_subject(std::string_view subject) {
        return context_.wait(store_.list_subject(subject));
    }
    template <class S = Store>
        requires requires(S& store, instant now) { store.reap(now); }
    result<std::size_t, outage> reap(instant now) {
        return context_.wait(store_.reap(now));
    }

private:
    Store& store_;
    running_context& context_;
};

} // namespace scene
