// regrant/detail/redis_cluster.hpp - the Redis servers of a store, asked by threads that wait.
// floor 7
// SPDX-License-Identifier: MIT
#pragma once

#include "../error.hpp"
#include "../result.hpp"
#include "../secret.hpp"
#include "hiredis.hpp"
#include "redis_access.hpp"
#include "redis_batches.hpp"
#include "redis_course.hpp"
#include "redis_node.hpp"
#include "redis_url.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace regrant::inline v0::detail {

/// All servers of a store: one, or those of a cluster.
class redis_cluster {
public:
    redis_cluster(const redis_address& seed, redis_access access, redis_acknowledgement acknowledgement)
        : access_(std::move(access)), acknowledgement_(acknowledgement),
          routes_(seed, [this](const redis_address& at) { return std::make_unique<redis_node>(at, access_); }) {}

    const redis_routes<redis_node>& routes() const noexcept { return routes_; }

    const redis_acknowledgement& acknowledgement() const noexcept { return acknowledgement_; }

    /// Asks the first server for the map of the cluster, if it is one of a cluster.
    /// \return why there is none where there should be one
    std::optional<std::string> learn(redis_time until) {
        const auto answer = ask(routes_.seed(), redis_command({"CLUSTER", "SLOTS"}), until);
        return answer ? routes_.learn(**answer) : std::optional(answer.error().detail);
    }

    /// Runs a command on the server that has the key. A command that may have acted is never sent again.
    ///
    /// \par Errors
    /// `outage` for a server that does not answer, and for every answer that is an error
    result<redis_reply, outage> ask(const redis_request& asked, redis_time until) {
        redis_course course(routes_, asked);
        while (course.goes_on()) {
            auto to = course.at().take(until);
            if (!to) {
                course.not_reached(std::move(to).error());
                continue;
            }
            auto answers = (*to)->call_all(course.bytes(), course.answers(), until);
            if (!answers) {
                course.broke(answers.error());
                continue;
            }
            if (course.accepts(*answers->back())) {
                if (asked.how == redis_request::weight::kept)
                    if (auto lacking = acknowledge(**to, until))
                        return unexpected(outage{course.at().named(*lacking)});
                return std::move(answers->back());
            }
            if (course.is_stale()) {
                to->close();
                course.at().forget_connections();
            }
        }
        return unexpected(course.outcome());
    }

    /// Runs commands of one weight that may run twice, all of one server in one go.
    std::vector<std::optional<result<redis_reply, outage>>> ask_each(const std::vector<redis_request>& asked,
                                                                     redis_time until) {
        redis_batches batches(routes_, asked);
        for (const auto& each : batches.all()) {
            auto to = each.at->take(until);
            if (!to) continue;
            auto answers = (*to)->call_all(each.commands.reveal(), each.which.size(), until);
            std::optional<std::string> lacking;
            if (!answers) lacking = answers.error().what + "; it may have acted";
            else if (asked.front().how == redis_request::weight::kept) lacking = acknowledge(**to, until);
            if (lacking) batches.failed(each, outage{each.at->named(*lacking)});
            else batches.answered(each, *std::move(answers));
        }
        for (std::size_t i = 0; i != asked.size(); ++i)
            if (auto& answer = batches.answers()[i]; !answer) answer = ask(asked[i], until);
        return std::move(batches).answers();
    }

    /// Runs a command that has no key; an answer that is an error is an answer.
    static result<redis_reply, outage> ask(redis_node& at, const secret& command, redis_time until) {
        auto answers = ask_all(at, command, 1, until);
        if (!answers) return unexpected(std::move(answers).error());
        return std::move(answers->front());
    }

    /// Runs reads of what one server has, in one go.
    static result<std::vector<redis_reply>, outage> ask_all(redis_node& at, const secret& commands, std::size_t count,
                                                            redis_time until) {
        auto to = at.take(until);
        if (!to) return unexpected(outage{std::move(to).error()});
        auto answers = (*to)->call_all(commands.reveal(), count, until);
        if (!answers) return unexpected(outage{at.named(answers.error().what)});
        return *std::move(answers);
    }

private:
    /// On the connection that wrote, for it waits for what was written there.
    /// \return what is lacking
    std::optional<std::string> acknowledge(redis_connection& at, redis_time until) const {
        if (!acknowledgement_.is_wanted()) return std::nullopt;
        const auto answer = at.call(acknowledgement_.command(until).reveal(), until);
        return answer ? acknowledgement_.lacking(**answer) : answer.error().what + "; it has acted";
    }

    const redis_access access_;
    const redis_acknowledgement acknowledgement_;
    redis_routes<redis_node> routes_;
};

} // namespace regrant::inline v0::detail
