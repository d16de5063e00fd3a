// regrant/detail/connection_pool.hpp - connections to a server, lent to many threads.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "../error.hpp"
#include "../result.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace regrant::inline v0::detail {

/// At most so many connections, opened when they are needed. A connection comes back only from a user who says that
/// all went well; any other is closed, and a new one takes its place when it is next needed.
///
/// Where none can be opened, callers are told so at once until the back-off is over, and then one of them tries.
/// `Connection` has `bool still_open()`: whether it may be used again after some idle time.
template <class Connection> class connection_pool {
public:
    using clock = std::chrono::steady_clock;
    using connection_ptr = std::unique_ptr<Connection>;
    using opener = std::function<result<connection_ptr, outage>(clock::time_point until)>;

    static constexpr std::chrono::milliseconds shortest_back_off{20};
    static constexpr std::chrono::milliseconds longest_back_off{1000};

    /// A connection in somebody's hands. The pool outlives it.
    class lease {
    public:
        lease(connection_pool& from, connection_ptr connection) noexcept
            : from_(&from), connection_(std::move(connection)) {}
        lease(lease&& other) noexcept
            : from_(std::exchange(other.from_, nullptr)), connection_(std::move(other.connection_)),
              keep_(other.keep_) {}
        lease& operator=(lease&&) = delete;
        ~lease() {
            if (from_ == nullptr) return;
            if (!keep_) connection_.reset();
            from_->take_back(std::move(connection_));
        }

        Connection* operator->() const noexcept { return connection_.get(); }
        /// The connection is as good as it was. \return true
        bool keep() noexcept { return keep_ = true; }

    private:
        connection_pool* from_;
        connection_ptr connection_;
        bool keep_ = false;
    };

    /// \param most  at least 1
    connection_pool(std::size_t most, opener open) : most_(most), opener_(std::move(open)) { idle_.reserve(most); }
    connection_pool(const connection_pool&) = delete;
    connection_pool& operator=(const connection_pool&) = delete;

    /// \param patience  until when to wait for somebody else's
    /// \param until     when a connection of one's own must be open
    result<lease, outage> take(clock::time_point patience, clock::time_point until) {
        std::unique_lock lock(mutex_);
        while (true) {
            if (!idle_.empty()) {
                // The last used: the others grow old and the server may end them.
                connection_ptr last = std::move(idle_.back());
                idle_.pop_back();
                lock.unlock();
                {
                    lease taken(*this, std::move(last));
                    if (taken->still_open()) return taken;
                }
                lock.lock();
                continue;
            }
            const auto now = clock::now();
            const bool resting = failures_ != 0 && now < next_try_;
            const bool has_room = open_ < most_ && (failures_ == 0 || !trying_);
            if (has_room && !resting) return open_one(std::move(lock), until);
            if (resting && open_ == 0) return unexpected(outage{last_failure_});
            if (now >= patience) return unexpected(outage{"every connection was in use for too long"});
            changed_.wait_until(lock, has_room ? (std::min)(patience, next_try_) : patience);
        }
    }

private:
    /// A place in the pool, for a connection that is being opened.
    struct place {
        connection_pool& in;
        std::optional<std::string> failure = "memory ran out";
        ~place() {
            const std::lock_guard lock(in.mutex_);
            in.trying_ = false;
            if (failure) in.note_failure(*std::move(failure));
            else in.failures_ = 0;
            in.changed_.notify_all();
        }
    };

    result<lease, outage> open_one(std::unique_lock<std::mutex> lock, clock::time_point until) {
        ++open_;
        trying_ = failures_ != 0;
        lock.unlock();
        place taken{*this};
        auto opened = opener_(until);
        if (!opened) {
            taken.failure = opened.error().detail;
            return unexpected(std::move(opened).error());
        }
        taken.failure.reset();
        return lease(*this, *std::move(opened));
    }

    void note_failure(std::string why) noexcept {
        --open_;
        last_failure_ = std::move(why);
        const auto grown = shortest_back_off * (1 << (std::min)(failures_, 10));
        next_try_ = clock::now() + std::min<std::chrono::milliseconds>(grown, longest_back_off);
        ++failures_;
    }

    void take_back(connection_ptr connection) noexcept {
        const std::lock_guard lock(mutex_);
        // There is room for it: `reserve` was for all of them.
        if (connection) idle_.push_back(std::move(connection));
        else --open_;
        changed_.notify_one();
    }

    const std::size_t most_;
    const opener opener_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<connection_ptr> idle_;
    /// Idle, lent, or being opened.
    std::size_t open_ = 0;
    /// How many attempts to open one have failed since the last that did not.
    int failures_ = 0;
    /// After a failure one at a time tries.
    bool trying_ = false;
    clock::time_point next_try_{};
    std::string last_failure_;
};

} // namespace regrant::inline v0::detail
