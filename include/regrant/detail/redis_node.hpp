// regrant/detail/redis_node.hpp - the connections to one Redis server, shared by many threads.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "../result.hpp"
#include "../secret.hpp"
#include "hiredis.hpp"
#include "redis_url.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0::detail {

/// How each connection of a store is made.
struct redis_access {
    /// AUTH, SELECT: what is said first.
    std::vector<secret> greeting;
    std::size_t connections = 0;
    std::chrono::milliseconds connect_timeout{};
};

/// One server: a bounded pool, and the patience with a server that cannot be reached.
class redis_node {
public:
    /// \param access  outlives the node
    redis_node(redis_address at, const redis_access& access) : at_(std::move(at)), access_(access) {
        // To give a connection back must not fail.
        idle_.reserve(access.connections);
    }
    redis_node(const redis_node&) = delete;
    redis_node& operator=(const redis_node&) = delete;

    const redis_address& address() const noexcept { return at_; }
    std::string named(std::string_view words) const { return "Redis " + at_.text() + ": " + std::string(words); }

    /// A connection on loan; it comes back by itself, or is counted off if it was closed.
    class loan {
    public:
        loan(redis_node& from, redis_connection&& given) noexcept : from_(&from), given_(std::move(given)) {}
        loan(loan&& other) noexcept : from_(std::exchange(other.from_, nullptr)), given_(std::move(other.given_)) {}
        loan& operator=(loan&&) = delete;
        ~loan() {
            if (from_ != nullptr) from_->give_back(std::move(given_));
        }
        redis_connection& operator*() noexcept { return given_; }
        redis_connection* operator->() noexcept { return &given_; }

    private:
        redis_node* from_;
        redis_connection given_;
    };

    /// Nothing was sent where this fails.
    result<loan, std::string> take(redis_time until) {
        std::unique_lock lock(mutex_);
        std::string_view why_late = "no time was left";
        while (true) {
            // Not even one that is idle: who finds no time to send would close it.
            if (std::chrono::steady_clock::now() >= until) return none(why_late);
            while (!idle_.empty()) {
                redis_connection last = std::move(idle_.back());
                idle_.pop_back();
                if (last.is_quiet()) return loan(*this, std::move(last));
                --open_;
            }
            if (open_ < access_.connections) break;
            why_late = "all connections were busy until the timeout";
            freed_.wait_until(lock, until, [&] { return !idle_.empty() || open_ < access_.connections; });
        }
        // A server that could not be reached is left alone for a moment, so that calls fail fast meanwhile.
        const auto begun = std::chrono::steady_clock::now();
        if (begun < try_after_) return none(why_);
        ++open_;
        lock.unlock();
        loan fresh(*this, redis_connection());
        auto made = connect((std::min)(until, begun + access_.connect_timeout));
        lock.lock();
        if (made) {
            pause_ = pause_.zero();
            *fresh = *std::move(made);
        } else if (begun >= try_after_) { // not for all that failed at once
            pause_ = std::clamp(2 * pause_, shortest_pause, longest_pause);
            try_after_ = std::chrono::steady_clock::now() + pause_;
            why_ = made.error();
        }
        lock.unlock();
        if (!made) return unexpected(named(made.error()));
        return fresh;
    }

    /// Closes what is idle, so that the next call resolves the server's name anew.
    void forget_connections() {
        {
            const std::lock_guard lock(mutex_);
            open_ -= idle_.size();
            idle_.clear();
        }
        freed_.notify_all();
    }

private:
    static constexpr std::chrono::milliseconds shortest_pause{10};
    static constexpr std::chrono::milliseconds longest_pause{1000};

    /// Whoever is woken for a place and does not take it wakes the next.
    unexpected<std::string> none(std::string_view why) {
        freed_.notify_one();
        return unexpected(named(why));
    }

    result<redis_connection, std::string> connect(redis_time until) {
        auto made = redis_connection::open(at_, until);
        if (!made) return made;
        for (const secret& word : access_.greeting) {
            auto answer = made->call(word.reveal(), until);
            if (!answer) return unexpected(std::move(answer).error().what);
            if ((**answer).is_error()) return unexpected(redis_refusal(**answer));
        }
        return made;
    }

    void give_back(redis_connection&& used) noexcept {
        {
            const std::lock_guard lock(mutex_);
            if (used.is_open()) idle_.push_back(std::move(used));
            else --open_;
        }
        freed_.notify_one();
    }

    const redis_address at_;
    const redis_access& access_;
    std::mutex mutex_;
    std::condition_variable freed_;
    std::vector<redis_connection> idle_;
    std::size_t open_ = 0;
    std::chrono::milliseconds pause_{0};
    redis_time try_after_{};
    std::string why_;
};

} // namespace regrant::inline v0::detail
