// regrant/detail/redis_checkup.hpp - whether a Redis server is fit to keep tokens.
// floor 4
// SPDX-License-Identifier: MIT
#pragma once

#include "../secret.hpp"
#include "hiredis.hpp"
#include "redis_row.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

/// What a Redis store demands of every server, for the sake of the revokes it acknowledges.
enum class redis_durability : std::uint8_t {
    /// `appendonly yes` with `appendfsync always` and `no-appendfsync-on-rewrite no`: what was answered is in a file
    /// that was synced.
    always,
    /// `appendonly yes`, and inserts and revokes wait until they are synced (WAITAOF, Redis 7.2), advances do not.
    awaited,
    /// `appendonly yes` with `no-appendfsync-on-rewrite no`, and not `appendfsync no`, where the server tells these.
    /// The last second or two of everything answered may be lost, revokes too.
    everysec,
    /// Nothing is asked: for a service that keeps its promises by other means, or where all may be lost.
    unchecked,
};

namespace detail {

/// Asks one server all at once what it does with what it is told, and teaches it the scripts. Whoever uses this sends
/// the commands and brings the answers.
class redis_checkup {
public:
    using answers = std::vector<redis_reply>;

    /// \param key  any of the store's, to try a read on
    redis_checkup(redis_durability wanted, std::string key) : wanted_(wanted), key_(std::move(key)) {}

    secret commands() const {
        secret all;
        const auto add = [&all](std::initializer_list<std::string_view> words) {
            all.append(redis_command(words).reveal());
        };
        // Replicas refuse it, and servers before 6.2 do not know it.
        add({"GETEX", key_});
        add({"INFO"});
        add({"CONFIG", "GET", "appendfsync"});
        add({"CONFIG", "GET", "no-appendfsync-on-rewrite"});
        for (const std::string_view script : redis_scripts)
            add({"SCRIPT", "LOAD", script});
        if (wanted_ == redis_durability::awaited) add({"WAITAOF", "0", "0", "1"});
        return all;
    }
    std::size_t count() const noexcept {
        return first_script + redis_scripts.size() + (wanted_ == redis_durability::awaited ? 1 : 0);
    }

    /// \pre there are `count()` answers
    /// \return why the server will not do
    std::optional<std::string> fault(const answers& from) const {
        using enum redis_durability;
        const std::string_view info = (*from[told]).is_error() ? std::string_view() : (*from[told]).text();
        const auto says = [info](std::string_view fact) { return info.find("\n" + std::string(fact)) != info.npos; };
        // In a cluster the key may be elsewhere.
        if (const redis_value read = *from[tried]; read.is_error() && !read.text().starts_with("MOVED "))
            return says("redis_mode:sentinel")
                       ? "it is a Sentinel; redis+sentinel://host:port/MASTER finds the primary through it"
                       : std::string(read.text());
        if (says("role:slave")) return "it is a replica; tokens are kept by a primary";
        if (says("maxmemory_policy:") && !says("maxmemory_policy:noeviction"))
            return "it forgets logins when memory runs short: set maxmemory-policy noeviction";

        const auto syncs = setting(*from[syncing]);
        const auto lacks = [](const char* what) {
            return what + std::string(", or open with a lesser redis_durability");
        };
        if (wanted_ != unchecked && says("aof_enabled:0"))
            return lacks("a restart makes it forget revokes: set appendonly yes");
        if (wanted_ != unchecked && !says("aof_enabled:1"))
            return lacks("it does not tell whether it keeps an append-only file: allow INFO");
        if (wanted_ == always && !syncs)
            return lacks("it does not tell when it syncs its append-only file: allow CONFIG GET");
        if (wanted_ == always && syncs != "always")
            return lacks("a power failure makes it forget revokes: set appendfsync always");
        if (wanted_ != unchecked && syncs == "no")
            return lacks("nobody knows when its append-only file is synced: set appendfsync everysec");
        if ((wanted_ == always || wanted_ == everysec) && setting(*from[resting]) == "yes")
            return lacks("a power failure during a rewrite makes it forget revokes: set no-appendfsync-on-rewrite no");
        for (std::size_t i = 0; i != redis_scripts.size(); ++i)
            if ((*from[first_script + i]).is_error()) return hash(from, i);
        if (wanted_ == awaited && (*from.back()).is_error())
            return std::string((*from.back()).text()) + " (Redis 7.2 has it)";
        return std::nullopt;
    }

    /// By which the server knows a script.
    static std::string hash(const answers& from, std::size_t script) {
        return std::string((*from[first_script + script]).text());
    }

private:
    enum : std::size_t { tried, told, syncing, resting, first_script };

    /// What CONFIG GET answers: the name and the value.
    static std::optional<std::string_view> setting(redis_value answer) {
        return answer.size() == 2 ? std::optional(answer[1].text()) : std::nullopt;
    }

    redis_durability wanted_;
    std::string key_;
};

} // namespace detail
} // namespace regrant::inline v0
