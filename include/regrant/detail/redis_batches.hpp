// regrant/detail/redis_batches.hpp - many requests to Redis, sorted by the server that has their keys.
// floor 5
// SPDX-License-Identifier: MIT
#pragma once

#include "../error.hpp"
#include "../result.hpp"
#include "../secret.hpp"
#include "hiredis.hpp"
#include "redis_course.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace regrant::inline v0::detail {

/// What one server is sent in one go, so that its disk and the network are waited for once.
template <class Node> struct redis_batch {
    /// So many, that no other client waits for long.
    static constexpr std::size_t most = 256;

    Node* at;
    secret commands{};
    /// Which of the requests they are.
    std::vector<std::size_t> which{};
};

/// Requests of one weight that may run twice, with the answers as they come.
template <class Node> class redis_batches {
public:
    using answer = result<redis_reply, outage>;

    redis_batches(const redis_routes<Node>& routes, std::span<const redis_request> asked) : answers_(asked.size()) {
        for (std::size_t i = 0; i != asked.size(); ++i) {
            Node& at = routes.owner(redis_slot(asked[i].key));
            auto to = std::find_if(all_.begin(), all_.end(), [&](const redis_batch<Node>& each) {
                return each.at == &at && each.which.size() != redis_batch<Node>::most;
            });
            if (to == all_.end()) to = all_.insert(to, redis_batch<Node>{&at});
            to->commands.append(asked[i].command.reveal());
            to->which.push_back(i);
        }
    }

    const std::vector<redis_batch<Node>>& all() const noexcept { return all_; }

    /// An answer that is an error is none: the way of that request leads elsewhere.
    void answered(const redis_batch<Node>& by, std::vector<redis_reply> with) {
        for (std::size_t i = 0; i != by.which.size(); ++i)
            if (!redis_value(*with[i]).is_error()) answers_[by.which[i]] = std::move(with[i]);
    }
    void failed(const redis_batch<Node>& at, const outage& why) {
        for (const std::size_t each : at.which) answers_[each] = unexpected(why);
    }

    /// What is still to be asked by itself, where that is nothing.
    std::vector<std::optional<answer>>& answers() & noexcept { return answers_; }
    std::vector<std::optional<answer>>&& answers() && noexcept { return std::move(answers_); }

private:
    std::vector<redis_batch<Node>> all_;
    std::vector<std::optional<answer>> answers_;
};

} // namespace regrant::inline v0::detail
