// regrant/store/async_pool.hpp - connections to a server, lent to coroutines of Boost.Asio.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../error.hpp"
#include "../result.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

// What async_postgresql.hpp and async_redis.hpp have in common.

namespace regrant::inline v0::detail {

/// All that a store does, it does here: its executor may be a pool of threads.
using async_strand = boost::asio::strand<boost::asio::any_io_executor>;

/// Awaits `work` on the strand; whoever awaits this goes on where they were.
template <class Work> std::invoke_result_t<Work&> on_strand(async_strand strand, Work work) {
    using answer = typename std::invoke_result_t<Work&>::value_type;
    // What co_spawn hands over must have a default.
    std::optional<answer> done = co_await boost::asio::co_spawn(
        strand, [&]() -> boost::asio::awaitable<std::optional<answer>> { co_return co_await work(); },
        boost::asio::use_awaitable);
    co_return *std::move(done);
}

/// A socket that keeps nobody waiting past a deadline.
template <class Socket> class timed_socket : public std::enable_shared_from_this<timed_socket<Socket>> {
public:
    explicit timed_socket(const async_strand& strand) : socket(strand), clock_(strand) {}

    Socket socket;

    /// What is waited for from now on is cancelled then.
    void limit(std::chrono::steady_clock::time_point until) {
        is_late_ = false;
        clock_.expires_at(until);
        // The timer may have rung already and its handler stand in the queue: hence the turns.
        clock_.async_wait([self = this->shared_from_this(), turn = ++turn_](boost::system::error_code error) {
            if (error || self->turn_ != turn) return;
            self->is_late_ = true;
            self->socket.cancel(error);
        });
    }
    void unlimit() {
        ++turn_;
        clock_.cancel();
    }
    bool is_late() const noexcept { return is_late_; }

    void close() {
        unlimit();
        boost::system::error_code ignored;
        socket.close(ignored);
    }

private:
    boost::asio::steady_timer clock_;
    /// Looked at by a late handler, perhaps while the last owner closes this on another thread.
    std::atomic<std::uint64_t> turn_{0};
    bool is_late_ = false;
};

/// At most `max` connections, by the rules of `connection_pool`. Callers that find all in use wait in a queue, and a
/// connection that comes back goes to the first of them.
///
/// All of it happens on one strand. Leases and waiting coroutines keep alive what the pool is a part of.
template <class Connection> class async_pool {
public:
    using clock = std::chrono::steady_clock;
    using connection_ptr = std::unique_ptr<Connection>;
    template <class T> using answer = boost::asio::awaitable<result<T, outage>>;
    using opener = std::function<answer<connection_ptr>(clock::time_point until)>;

    static constexpr std::chrono::milliseconds shortest_back_off{20};
    static constexpr std::chrono::milliseconds longest_back_off{1000};
    /// The same while other connections serve.
    static constexpr std::chrono::milliseconds longest_growth_back_off{10'000};

    /// A connection in somebody's hands; it comes back if they say that all went well, else it is closed.
    class lease {
    public:
        lease(async_pool& from, connection_ptr connection) noexcept
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

        async_pool* from_;
        connection_ptr connection_;
        clock::time_point begun_ = clock::now();
        ending ending_ = ending::broken;
    };

    /// \param max  at least 1
    async_pool(async_strand strand, std::size_t max, opener open)
        : strand_(std::move(strand)), max_(max), opener_(std::move(open)) {
        idle_.reserve(max);
    }
    async_pool(const async_pool&) = delete;
    async_pool& operator=(const async_pool&) = delete;

    /// \param patience  until when to wait for somebody else's
    /// \param until     when a connection of one's own must be open
    answer<lease> take(clock::time_point patience, clock::time_point until) {
        std::optional<place_in_queue> mine;
        while (true) {
            const auto now = clock::now();
            // Not even one that is idle: used too late, it is closed.
            if (now >= until) co_return unexpected(outage{mine ? none_is_free() : "no time was left"});
            if (mine && mine->given) co_return lease(*this, std::move(mine->given));
            // Whoever comes later queues behind those who wait.
            const bool is_next = mine ? queue_.front() == &*mine : queue_.empty();
            while (is_next && !idle_.empty()) {
                // The last used: the others grow old and the server may end them.
                lease taken(*this, std::move(idle_.back().connection));
                idle_.pop_back();
                if (taken->still_open()) co_return taken;
                taken.close();
            }
            const bool is_resting = failures_ != 0 && now < next_try_;
            const bool has_room = is_next && open_ < max_ && (failures_ == 0 || !is_trying_);
            if (has_room && !is_resting) {
                mine.reset();
                // As in `connection_pool`, part of the patience is left for those that others bring back.
                const bool is_first = open_ == 0;
                const auto limit = is_first ? until : (std::min)(until, now + (patience - now) * 3 / 4);
                auto opened = co_await open_one(limit);
                if (opened || open_ == 0) co_return opened;
                continue;
            }
            if (is_resting && open_ == 0) co_return unexpected(outage{last_failure_});
            if (now >= patience) co_return unexpected(outage{none_is_free()});
            if (!mine) mine.emplace(*this);
            mine->bell.expires_at(has_room ? (std::min)(patience, next_try_) : patience);
            boost::system::error_code rung;
            co_await mine->bell.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, rung));
        }
    }

    /// Closes what is idle, so that the next call resolves the server's name anew.
    void close_idle() noexcept { close_unused_since((clock::time_point::max)()); }

private:
    struct idle_connection {
        connection_ptr connection;
        clock::time_point since;
    };

    /// Somebody who waits; gone from the queue when they are.
    struct place_in_queue {
        explicit place_in_queue(async_pool& pool) : in(pool), bell(pool.strand_) { in.queue_.push_back(this); }
        place_in_queue(const place_in_queue&) = delete;
        place_in_queue& operator=(const place_in_queue&) = delete;
        ~place_in_queue() {
            std::erase(in.queue_, this);
            if (given) in.take_back(std::move(given));
            else in.ring_first();
        }
        async_pool& in;
        boost::asio::steady_timer bell;
        connection_ptr given;
    };

    /// A connection that is being opened; what ends it without a failure or a connection has left the server untried.
    struct attempt {
        async_pool& in;
        std::optional<std::string> failure{};
        bool is_open = false;
        void succeed() noexcept { is_open = true; }
        ~attempt() {
            in.is_trying_ = false;
            if (!is_open) --in.open_;
            if (failure) in.note_failure(*std::move(failure));
            else if (is_open) in.failures_ = 0;
            in.wake_all();
        }
    };

    answer<lease> open_one(clock::time_point until) {
        // Counted here and not by the caller: where they were cancelled, `co_await` throws before it comes to this.
        ++open_;
        is_trying_ = failures_ != 0;
        attempt one{*this};
        auto opened = co_await opener_(until);
        if (!opened) {
            // That the caller went away says nothing about the server.
            const auto caller = co_await boost::asio::this_coro::cancellation_state;
            if (caller.cancelled() == boost::asio::cancellation_type::none) one.failure.emplace(opened.error().detail);
            co_return unexpected(std::move(opened).error());
        }
        one.succeed();
        co_return lease(*this, *std::move(opened));
    }

    void note_failure(std::string why) noexcept {
        last_failure_ = std::move(why);
        const auto grown = shortest_back_off * (1 << (std::min)(failures_, 10));
        const auto longest = open_ == 0 ? longest_back_off : longest_growth_back_off;
        next_try_ = clock::now() + std::min<std::chrono::milliseconds>(grown, longest);
        ++failures_;
    }

    void take_back(connection_ptr connection) noexcept {
        if (!connection) {
            count_off();
            ring_first();
        } else if (!queue_.empty()) {
            place_in_queue& first = *queue_.front();
            queue_.pop_front();
            first.given = std::move(connection);
            first.bell.cancel();
        } else {
            // There is room for it: `reserve` was for all of them.
            idle_.push_back({std::move(connection), clock::now()});
        }
    }

    void count_off() noexcept {
        // With none left the back-off of growth is over: the next caller tries at once.
        if (--open_ == 0) failures_ = 0;
    }

    /// Closes the idle connections that came back no later than `then`.
    void close_unused_since(clock::time_point then) noexcept {
        // The one that was used last stands last.
        while (!idle_.empty() && idle_.front().since <= then) {
            idle_.erase(idle_.begin());
            count_off();
        }
        wake_all();
    }

    std::string none_is_free() const {
        constexpr const char* all_in_use = "every connection was in use for too long";
        return failures_ == 0 ? all_in_use : all_in_use + (", and another could not be opened: " + last_failure_);
    }

    void ring_first() noexcept {
        if (!queue_.empty()) queue_.front()->bell.cancel();
    }
    void wake_all() noexcept {
        for (place_in_queue* const each : queue_) each->bell.cancel();
    }

    const async_strand strand_;
    const std::size_t max_;
    const opener opener_;
    std::vector<idle_connection> idle_;
    std::deque<place_in_queue*> queue_;
    /// Idle, lent, or being opened.
    std::size_t open_ = 0;
    /// How many attempts to open one have failed since the last that did not.
    int failures_ = 0;
    /// After a failure one at a time tries.
    bool is_trying_ = false;
    clock::time_point next_try_{};
    std::string last_failure_;
};

} // namespace regrant::inline v0::detail
