// regrant/host/httplib_pool.hpp - a pool for cpp-httplib that grows with the number of open connections.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../detail/cpp20.hpp"

#include <httplib.h>

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace regrant::inline v0::host {

/// A thread for each open connection, so that idle or slow connections do not keep others waiting.
///
/// httplib gives every connection a thread for as long as it is open. Its own pool has 8 threads or fewer: as many slow
/// clients stop the server.
///
/// When all threads are taken, connections that are idle are closed for those that wait, the longest idle first. That is
/// what an `httplib_server` tells by a `rest`; connections of other servers are never closed.
class httplib_pool : public httplib::TaskQueue {
public:
    /// How many connections may wait for a thread; further ones are refused.
    static constexpr std::size_t most_waiting = 1024;

    /// \param ready  threads that are started at once; more follow, up to `most`
    explicit httplib_pool(std::size_t ready = 8, std::size_t most = 512) : most_threads_(most) {
        threads_.reserve((std::max)(ready, most));
        const std::lock_guard lock(mutex_);
        for (std::size_t i = 0; i != ready; ++i) add_thread();
    }

    // Later versions of httplib close the connection where there was no room; earlier ones cannot be told.
    using enqueued = decltype(std::declval<httplib::TaskQueue&>().enqueue(nullptr));
    enqueued enqueue(std::function<void()> connection) override {
        std::unique_lock lock(mutex_);
        if constexpr (std::is_void_v<enqueued>) {
            left_.wait(lock, [&] { return count_ != most_waiting; });
        } else if (count_ == most_waiting) {
            return enqueued(false);
        }
        waiting_[(first_ + count_++) % most_waiting] = std::move(connection);
        if (count_ > free_ && threads_.size() < most_threads_) add_thread();
        if (count_ > free_) make_way();
        changed_.notify_one();
        return enqueued(true);
    }

    /// Waits for the connections that are open; ends those that rest.
    void shutdown() override {
        {
            const std::lock_guard lock(mutex_);
            is_ending_ = true;
            for (rest* each = first_rest_; each != nullptr; each = each->behind_) end(*each);
            changed_.notify_all();
        }
        for (std::thread& each : threads_) each.join();
    }

    enum class gives_way : std::uint8_t { to_others, to_shutdown };

    /// A connection that waits for its client, and may be ended by the pool meanwhile. Lives where the wait is.
    class rest {
    public:
        /// \param pool  may be null: then it is never ended
        rest(httplib_pool* pool, socket_t socket, gives_way way) : pool_(pool), socket_(socket), way_(way) {
            if (pool_ != nullptr) pool_->begin(*this);
        }
        rest(const rest&) = delete;
        rest& operator=(const rest&) = delete;
        ~rest() {
            if (pool_ != nullptr) pool_->take_out(*this);
        }
        /// Whether the connection is to be closed. A wait for its client ends when this becomes true.
        bool is_ended() const {
            if (pool_ == nullptr) return false;
            const std::lock_guard lock(pool_->mutex_);
            return is_ended_;
        }

    private:
        friend httplib_pool;
        httplib_pool* pool_;
        socket_t socket_;
        gives_way way_;
        bool is_ended_ = false;
        rest *before_ = nullptr, *behind_ = nullptr;
    };

private:
    void begin(rest& one) {
        const std::lock_guard lock(mutex_);
        // Whoever waits has found nobody at rest.
        one.is_ended_ = is_ending_ || (one.way_ == gives_way::to_others && count_ > free_);
        one.before_ = last_rest_;
        (last_rest_ == nullptr ? first_rest_ : last_rest_->behind_) = &one;
        last_rest_ = &one;
    }
    void take_out(const rest& one) {
        const std::lock_guard lock(mutex_);
        (one.before_ == nullptr ? first_rest_ : one.before_->behind_) = one.behind_;
        (one.behind_ == nullptr ? last_rest_ : one.behind_->before_) = one.before_;
    }
    static void end(rest& one) {
        one.is_ended_ = true;
        ::shutdown(one.socket_, SHUT_RD); // wakes the thread that waits for it
    }
    void make_way() {
        for (rest* each = first_rest_; each != nullptr; each = each->behind_) {
            if (each->is_ended_ || each->way_ != gives_way::to_others) continue;
            end(*each);
            return;
        }
    }

    void add_thread() {
        try {
            threads_.emplace_back([this] { work(); });
            ++free_;
        } catch (...) {
            // The system has no more threads, or no memory. The connection waits for one of those there are.
        }
    }

    void work() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [&] { return is_ending_ || count_ != 0; });
            if (count_ == 0) break;
            auto connection = std::exchange(waiting_[first_], nullptr);
            first_ = (first_ + 1) % most_waiting;
            --count_;
            --free_;
            lock.unlock();
            left_.notify_one();
            try {
                connection();
            } catch (...) { // no memory: the connection ends here
            }
            connection = nullptr;
            lock.lock();
            ++free_;
        }
    }

    mutable std::mutex mutex_;
    std::condition_variable changed_, left_;
    // A ring, so that a connection that comes when there is no memory costs none.
    std::array<std::function<void()>, most_waiting> waiting_;
    std::size_t first_ = 0, count_ = 0;
    std::vector<std::thread> threads_;
    std::size_t most_threads_;
    std::size_t free_ = 0;
    rest *first_rest_ = nullptr, *last_rest_ = nullptr;
    bool is_ending_ = false;
};

} // namespace regrant::inline v0::host
