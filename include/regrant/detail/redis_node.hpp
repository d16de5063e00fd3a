// regrant/detail/redis_node.hpp - the connections to one Redis server, shared by many threads.
// floor 6
// SPDX-License-Identifier: MIT
#pragma once

#include "../error.hpp"
#include "../result.hpp"
#include "../secret.hpp"
#include "connection_pool.hpp"
#include "hiredis.hpp"
#include "redis_access.hpp"
#include "redis_master.hpp"
#include "redis_url.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0::detail {

/// One server and its pool of connections.
class redis_node {
public:
    /// \param access  outlives the node
    redis_node(redis_address at, const redis_access& access)
        : at_(std::move(at)), access_(access), master_(at_.host, access.sentinels.size()),
          pool_(access.connections, [this](auto until) { return open_one(until); }) {}
    redis_node(const redis_node&) = delete;
    redis_node& operator=(const redis_node&) = delete;

    const redis_address& address() const noexcept { return at_; }
    std::string named(std::string_view words) const { return redis_name(at_, master_) + std::string(words); }

    using pool_type = connection_pool<redis_connection>;

    /// A connection on loan; it comes back unless it was closed.
    class loan {
    public:
        explicit loan(pool_type::lease&& given) noexcept : given_(std::move(given)) {}
        loan(loan&&) noexcept = default;
        loan& operator=(loan&&) = delete;
        ~loan() {
            if (!given_) return;
            if (is_spent_)
                given_.close();
            else if (given_->is_open())
                given_.keep();
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
        if (master_.is_due()) master_.is_told(ask_sentinel(access_.sentinels[master_.order().front()], until));
        auto taken = pool_.take(until, until);
        if (!taken) return unexpected(named(taken.error().detail));
        return loan(*std::move(taken));
    }

    /// Closes what is idle, so that the next call resolves the server's name anew.
    void forget_connections() { pool_.close_idle(); }

private:
    using opened = result<std::unique_ptr<redis_connection>, std::string>;

    result<std::unique_ptr<redis_connection>, outage> open_one(redis_time until) {
        auto made = at_.how == redis_address::kind::master ? open_master(until) : open_at(at_, access_.greeting, until);
        if (!made) return unexpected(outage{std::move(made).error()});
        return *std::move(made);
    }

    opened open_at(const redis_address& at, const std::vector<secret>& greeting, redis_time until) const {
        const auto by = access_.limit(until);
        auto made = redis_connection::open(at, access_.tls.get(), by);
        if (!made) return unexpected(std::move(made).error());
        for (const secret& word : greeting) {
            auto answer = made->call(word.reveal(), by);
            if (!answer) return unexpected(std::move(answer).error().what);
            if ((**answer).is_error()) return unexpected(redis_refusal(**answer));
        }
        return std::make_unique<redis_connection>(*std::move(made));
    }

    opened open_master(redis_time until) {
        redis_search search;
        for (const std::size_t each : master_.order()) {
            const redis_address& sentinel = access_.sentinels[each];
            const auto at = ask_sentinel(sentinel, until);
            if (!at) search.failed("Sentinel ", sentinel, at.error());
            if (!at || !search.is_new(*at)) continue;
            auto made = open_at(*at, access_.greeting, until);
            const auto why = made ? fault_of_master(**made, *at, until) : made.error();
            if (!why) {
                (*made)->belongs_to(master_.found(*at, each));
                return made;
            }
            search.failed("", *at, *why);
        }
        return unexpected(search.why());
    }

    result<redis_address, std::string> ask_sentinel(const redis_address& at, redis_time until) const {
        auto to = open_at(at, access_.sentinel_greeting, until);
        if (!to) return unexpected(std::move(to).error());
        const auto answer = (*to)->call(master_.question().reveal(), access_.limit(until));
        if (!answer) return unexpected(answer.error().what);
        return master_.named_by(**answer);
    }

    /// A server that was not the master before must be as fit as the first one.
    std::optional<std::string> fault_of_master(redis_connection& to, const redis_address& at, redis_time until) const {
        const auto role = to.call(redis_master::role().reveal(), access_.limit(until));
        if (!role) return role.error().what;
        if (auto why = redis_master::fault_of(**role)) return why;
        if (!access_.checkup || master_.is(at)) return std::nullopt;
        const auto answers = to.call_all(access_.checkup->commands().reveal(), access_.checkup->count(), until);
        return answers ? access_.checkup->fault(*answers) : answers.error().what;
    }

    const redis_address at_;
    const redis_access& access_;
    redis_master master_;
    pool_type pool_;
};

} // namespace regrant::inline v0::detail
