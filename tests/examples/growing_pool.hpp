// tests/examples/growing_pool.hpp - threads for cpp-httplib: as many as there are connections.
// SPDX-License-Identifier: MIT
#pragma once

#include <httplib.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace example {

/// Gives each connection a thread. So many stay ready; when all are held by connections that are slow or
/// idle, more come, up to `most_threads`, so that nobody waits for them.
class growing_pool : public httplib::TaskQueue {
public:
    static constexpr std::size_t most_threads = 512;
    /// How long open requests may take when the server ends: longer than any of its timeouts.
    static constexpr std::chrono::seconds grace{15};

    explicit growing_pool(std::size_t ready) {
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

    void shutdown() override {
        {
            std::unique_lock lock(mutex_);
            is_ending_ = true;
            changed_.notify_all();
            // Who sends a byte now and then could keep us forever. All that was answered is stored by now.
            if (!ended_.wait_for(lock, grace, [&] { return running_ == 0; })) std::_Exit(EXIT_SUCCESS);
        }
        for (std::thread& each : threads_) each.join();
    }

private:
    void add_thread() {
        try {
            threads_.emplace_back([this] { work(); });
            ++running_, ++free_;
        } catch (const std::system_error&) {
            // The machine has no more; then it waits for one of those there are.
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
        if (--running_ == 0) ended_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable changed_, ended_;
    std::deque<std::function<void()>> waiting_;
    std::vector<std::thread> threads_;
    std::size_t running_ = 0, free_ = 0;
    bool is_ending_ = false;
};

} // namespace example
