// regrant/detail/redis_checkup.hpp - whether a Redis server is fit to keep tokens.
// floor 7
// SPDX-License-Identifier: MIT
#pragma once

#include "hiredis.hpp"
#include "redis_cluster.hpp"
#include "redis_node.hpp"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace regrant::inline v0::detail {

/// What a server does with what it was told, as far as it may be asked.
enum class redis_file : std::uint8_t { unknown, none, unsynced, appended, synced };

/// Looks at one server when a store is opened.
class redis_checkup {
public:
    /// \param key  any of the store's, to try a read on
    redis_checkup(redis_node& server, std::string_view key, redis_time until) : server_(server), until_(until) {
        // Replicas refuse it, servers before 6.2 do not know it; in a cluster the key may be elsewhere.
        if (!ask({"GETEX", key}) && why_.find(": MOVED ") == why_.npos) {
            const std::string refused = why_;
            const auto info = ask({"INFO", "server"});
            const bool is_sentinel = info && info->find("redis_mode:sentinel") != info->npos;
            fault_ = is_sentinel ? server_.named("it is a Sentinel; the store needs the address of the primary") : refused;
            return;
        }
        const auto info = ask({"INFO"});
        if (!info) return;
        const auto says = [&](std::string_view fact) { return info->find("\n" + std::string(fact)) != info->npos; };
        if (says("role:slave")) fault_ = server_.named("it is a replica; tokens are kept by a primary");
        if (says("maxmemory_policy:") && !says("maxmemory_policy:noeviction"))
            fault_ = server_.named("it forgets logins when memory runs short: set maxmemory-policy noeviction");
        if (says("aof_enabled:0")) file_ = redis_file::none;
        if (!says("aof_enabled:1")) return;
        file_ = redis_file::appended;
        synced_ = ask({"CONFIG", "GET", "appendfsync"});
        if (synced_ == "no") file_ = redis_file::unsynced;
        if (synced_ == "always") file_ = redis_file::synced;
        rests_ = ask({"CONFIG", "GET", "no-appendfsync-on-rewrite"}) == "yes";
    }

    /// What speaks against any use of it.
    const std::optional<std::string>& fault() const noexcept { return fault_; }
    redis_file file() const noexcept { return file_; }
    /// Whether it told how often its file is synced.
    bool told_when_it_syncs() const noexcept { return synced_.has_value(); }
    /// Whether it syncs nothing while it rewrites its file or writes a snapshot.
    bool rests_while_it_rewrites() const noexcept { return rests_; }
    /// The server's last refusal.
    const std::string& why() const noexcept { return why_; }

    /// \return nothing for an error; of an answer with a name in front of a value, the value
    std::optional<std::string> ask(std::initializer_list<std::string_view> words) {
        const auto answer = redis_cluster::ask(server_, redis_command(words), until_);
        if (!answer) {
            why_ = answer.error().detail;
            return std::nullopt;
        }
        const redis_value value = **answer;
        if (value.is_error()) {
            why_ = server_.named(value.text());
            return std::nullopt;
        }
        return std::string(value.size() == 2 ? value[1].text() : value.text());
    }

private:
    redis_node& server_;
    const redis_time until_;
    std::optional<std::string> fault_, synced_;
    std::string why_;
    redis_file file_ = redis_file::unknown;
    bool rests_ = false;
};

} // namespace regrant::inline v0::detail
