// regrant/detail/redis_node.hpp - the connections to one Redis server, shared by many threads.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "../error.hpp"
#include "../result.hpp"
#include "../secret.hpp"
#include "connection_pool.hpp"
#include "hiredis.hpp"
#include "redis_tls_session.hpp"
#include "redis_url.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
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
    /// Null for connections without TLS.
    std::shared_ptr<const redis_tls_client> tls{};
};

/// One server and its pool of connections.
class redis_node {
public:
    /// \param access  outlives the node
    redis_node(redis_address at, const redis_access& access)
        : at_(std::move(at)), access_(access), pool_(access.connections, [this](auto until) { return open_one(until); }) {}
    redis_node(const redis_node&) = delete;
    redis_node& operator=(const redis_node&) = delete;

    const redis_address& address() const noexcept { return at_; }
    std::string named(std::string_view words) const { return "Redis " + at_.text() + ": " + std::string(words); }

    using pool_type = connection_pool<redis_connection>;

    /// A connection on loan; it comes back unless it was closed.
    class loan {
    public:
        explicit loan(pool_type::lease&& given) noexcept : given_(std::move(given)) {}
        loan(loan&&) noexcept = default;
        loan& operator=(loan&&) = delete;
        ~loan() {
            if (!given_) return;
            if (is_spent_) given_.close();
            else if (given_->is_open()) given_.keep();
        }
        redis_connection& operator*() noexcept { return *given_; }
        redis_connection* operator->() noexcept { return &*given_; }
        /// Closes the connection. The server answered on it, so others are not in doubt.
        void close() noexcept { is_spent_ = true; }

    private:
        pool_type::lease given_;
        bool is_spent_ = false;
    };

    /// Nothing was sent where this fails.
    result<loan, std::string> take(redis_time until) {
        auto taken = pool_.take(until, until);
        if (!taken) return unexpected(named(taken.error().detail));
        return loan(*std::move(taken));
    }

    /// Closes what is idle, so that the next call resolves the server's name anew.
    void forget_connections() { pool_.close_idle(); }

private:
    result<std::unique_ptr<redis_connection>, outage> open_one(redis_time until) const {
        const auto by = (std::min)(until, std::chrono::steady_clock::now() + access_.connect_timeout);
        auto made = redis_connection::open(at_, access_.tls.get(), by);
        if (!made) return unexpected(outage{std::move(made).error()});
        for (const secret& word : access_.greeting) {
            auto answer = made->call(word.reveal(), by);
            if (!answer) return unexpected(outage{std::move(answer).error().what});
            if ((**answer).is_error()) return unexpected(outage{redis_refusal(**answer)});
        }
        return std::make_unique<redis_connection>(*std::move(made));
    }

    const redis_address at_;
    const redis_access& access_;
    pool_type pool_;
};

} // namespace regrant::inline v0::detail
