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
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace regrant::inline v0::detail {

/// At most `max` connections, opened when they are needed.
///
/// - A caller keeps a connection after a good call. Any other connection is closed when its lease ends. If it broke, the
///   idle connections that have not been used since its call began are closed too: the network may have lost all of them.
/// - A connection that cannot be opened is an outage only when no other one is open. Otherwise the server has a limit of
///   its own, or is slow to let more in, and the caller waits for one of those that it serves.
/// - After a failure nobody tries to open another one until the back-off is over; then one caller tries.
///
/// `Connection` has `bool still_open()`: whether it may be used again after some idle time.
template <class Connection> class connection_pool {
public:
    using clock = std::chrono::steady_clock;
    using connection_ptr = std::unique_ptr<Connection>;
    using opener = std::function<result<connection_ptr, outage>(clock::time_point until)>;

    static constexpr std::chrono::milliseconds shortest_back_off{20};
    static constexpr std::chrono::milliseconds longest_back_off{1000};
    /// The same while other connections serve.
    static constexpr std::chrono::milliseconds longest_growth_back_off{10'000};

    /// A connection in somebody's hands. The pool outlives it.
    class lease {
    public:
        lease(connection_pool& from, connection_ptr connection) noexcept
            : from_(&from), connection_(std::move(connection)) {}
        lease(lease&& other) noexcept
            : from_(std::exchange(other.from_, nullptr)), connection_(std::move(other.connection_)),
              begun_(other.begun_), ending_(other.ending_) {}
        lease& operator=(lease&&) = delete;
        ~lease() {
            if (from_ == nullptr) return;
            if (ending_ != ending::kept) connection_.reset();
            if (ending_ == ending::broken) from_->close_unused_since(begun_);
            from_->take_back(std::move(connection_));
        }

        /// Whether it holds a connection; one that was moved from does not.
        explicit operator bool() const noexcept { return connection_ != nullptr; }
        Connection& operator*() const noexcept { return *connection_; }
        Connection* operator->() const noexcept { return connection_.get(); }
        /// The connection is as good as it was. \return true
        bool keep() noexcept {
            ending_ = ending::kept;
            return true;
        }
        /// The server answered, so other connections are not in doubt, but this one is not used again.
        void close() noexcept { ending_ = ending::closed; }

    private:
        enum class ending : std::uint8_t { broken, closed, kept };

        connection_pool* from_;
        connection_ptr connection_;
        clock::time_point begun_ = clock::now();
        ending ending_ = ending::broken;
    };

    /// \param max  at least 1
    connection_pool(std::size_t max, opener open) : max_(max), opener_(std::move(open)) { idle_.reserve(max); }
    connection_pool(const connection_pool&) = delete;
    connection_pool& operator=(const connection_pool&) = delete;

    /// \param patience  until when to wait for somebody else's
    /// \param until     when a connection of one's own must be open
    result<lease, outage> take(clock::time_point patience, clock::time_point until) {
        std::unique_lock lock(mutex_);
        for (bool has_waited = false;; has_waited = true) {
            const auto now = clock::now();
            // Not even an idle one: without time for an answer it would be closed.
            if (now >= until) return unexpected(outage{has_waited ? none_is_free() : "no time was left"});
            if (!idle_.empty()) {
                // The last used: the others grow old and the server may end them.
                connection_ptr last = std::move(idle_.back().connection);
                idle_.pop_back();
                lock.unlock();
                {
                    lease taken(*this, std::move(last));
                    if (taken->still_open()) return taken;
                    taken.close();
                }
                lock.lock();
                continue;
            }
            const bool resting = failures_ != 0 && now < next_try_;
            const bool has_room = open_ < max_ && (failures_ == 0 || !trying_);
            if (has_room && !resting) {
                // Others are in use and come back soon. A server that lets no more in may be silent about it, so part of the
                // patience is left for them.
                const bool is_first = open_ == 0;
                auto opened = open_one(lock, is_first ? until : (std::min)(until, now + (patience - now) * 3 / 4));
                if (opened || open_ == 0) return opened;
                continue;
            }
            if (resting && open_ == 0) return unexpected(outage{last_failure_});
            if (now >= patience) return unexpected(outage{none_is_free()});
            changed_.wait_until(lock, has_room ? (std::min)(patience, next_try_) : patience);
        }
    }

    /// Closes what is idle, so that the next call resolves the server's name anew.
    void close_idle() noexcept { close_unused_since((clock::time_point::max)()); }

private:
    struct idle_connection {
        connection_ptr connection;
        clock::time_point since;
    };

    /// A place in the pool, for a connection that is being opened.
    struct place {
        connection_pool& in;
        std::unique_lock<std::mutex>& lock;
        std::optional<std::string> failure = "memory ran out";
        ~place() {
            lock.lock();
            in.trying_ = false;
            if (failure) in.note_failure(*std::move(failure));
            else in.failures_ = 0;
            in.changed_.notify_all();
        }
    };

    /// \param lock  is held before and after
    result<lease, outage> open_one(std::unique_lock<std::mutex>& lock, clock::time_point until) {
        ++open_;
        trying_ = failures_ != 0;
        lock.unlock();
        place taken{*this, lock};
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
        const auto longest = open_ == 0 ? longest_back_off : longest_growth_back_off;
        next_try_ = clock::now() + std::min<std::chrono::milliseconds>(grown, longest);
        ++failures_;
    }

    void take_back(connection_ptr connection) noexcept {
        const std::lock_guard lock(mutex_);
        // There is room for it: `reserve` was for all of them.
        if (connection) idle_.push_back({std::move(connection), clock::now()});
        else count_off();
        changed_.notify_one();
    }

    void count_off() noexcept {
        // With none left the back-off of growth is over: the next caller tries at once.
        if (--open_ == 0) failures_ = 0;
    }

    /// Closes the idle connections that came back no later than `then`.
    void close_unused_since(clock::time_point then) noexcept {
        while (true) {
            connection_ptr oldest; // closed outside of the lock
            const std::lock_guard lock(mutex_);
            // The one that was used last stands last.
            if (idle_.empty() || idle_.front().since > then) return;
            oldest = std::move(idle_.front().connection);
            idle_.erase(idle_.begin());
            count_off();
            changed_.notify_one();
        }
    }

    /// \pre the lock is held
    std::string none_is_free() const {
        constexpr const char* all_in_use = "every connection was in use for too long";
        return failures_ == 0 ? all_in_use : all_in_use + (", and another could not be opened: " + last_failure_);
    }

    const std::size_t max_;
    const opener opener_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<idle_connection> idle_;
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
