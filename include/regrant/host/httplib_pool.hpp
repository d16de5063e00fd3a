// regrant/host/httplib_pool.hpp - a pool for cpp-httplib that grows with the number of open connections.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../detail/cpp20.hpp"

#include <httplib.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace regrant::inline v0::host {

/// A thread for each open connection, so that idle or slow connections do not keep others waiting.
///
/// httplib gives every connection a thread for as long as it is open. Its own pool has 8 threads or fewer: as many slow
/// clients stop the server.
class httplib_pool : public httplib::TaskQueue {
public:
    static constexpr std::size_t most_threads = 512;

    /// \param ready  threads that are started at once; more follow, up to `most_threads`
    explicit httplib_pool(std::size_t ready = 8) {
        const std::lock_guard lock(mutex_);
        for (std::size_t i = 0; i != ready; ++i) add_thread();
    }

    // Later versions of httplib want to know whether there was room.
    using enqueued = decltype(std::declval<httplib::TaskQueue&>().enqueue(nullptr));
    enqueued enqueue(std::function<void()> connection) override {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(connection));
        if (waiting_.size() > free_ && threads_.size() < most_threads) add_thread();
        changed_.notify_one();
        return enqueued(true);
    }

    /// Waits for the connections that are open.
    void shutdown() override {
        {
            const std::lock_guard lock(mutex_);
            is_ending_ = true;
            changed_.notify_all();
        }
        for (std::thread& each : threads_) each.join();
    }

private:
    void add_thread() {
        try {
            threads_.emplace_back([this] { work(); });
            ++free_;
        } catch (const std::system_error&) {
            // The system has no more threads. The connection waits for one of those there are.
        }
    }

    void work() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [&] { return is_ending_ || !waiting_.empty(); });
            if (waiting_.empty()) break;
            const auto connection = std::move(waiting_.front());
            waiting_.pop_front();
            --free_;
            lock.unlock();
            connection();
            lock.lock();
            ++free_;
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> waiting_;
    std::vector<std::thread> threads_;
    std::size_t free_ = 0;
    bool is_ending_ = false;
};

} // namespace regrant::inline v0::host
