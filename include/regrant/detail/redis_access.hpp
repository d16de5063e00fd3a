// regrant/detail/redis_access.hpp - how each connection of a Redis store is made.
// floor 5
// SPDX-License-Identifier: MIT
#pragma once

#include "../secret.hpp"
#include "redis_checkup.hpp"
#include "redis_master.hpp"
#include "redis_tls_session.hpp"
#include "redis_url.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
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
    /// Null for connections without TLS.
    std::shared_ptr<const redis_tls_client> tls{};
    /// Whom to ask for the master, what to say to them first, and what to ask each new master.
    std::vector<redis_address> sentinels{};
    std::vector<secret> sentinel_greeting{};
    std::optional<redis_checkup> checkup{};

    /// When a connection that is begun now must be there.
    redis_time limit(redis_time until) const {
        return (std::min)(until, std::chrono::steady_clock::now() + connect_timeout);
    }
};

/// A search for the master: what was tried, and why it was in vain.
class redis_search {
public:
    /// \return whether this server was not tried before
    bool is_new(const redis_address& named) {
        if (std::find(tried_.begin(), tried_.end(), named) != tried_.end()) return false;
        tried_.push_back(named);
        return true;
    }
    void failed(const char* what, const redis_address& at, std::string_view why) {
        if (!why_.empty()) why_ += "; ";
        why_ += what + at.text() + ": " + std::string(why);
    }
    const std::string& why() const noexcept { return why_; }

private:
    std::vector<redis_address> tried_;
    std::string why_;
};

/// As it stands before a message.
inline std::string redis_name(const redis_address& at, const redis_master& master) {
    const auto current = master.current();
    return "Redis " + at.text() + (current ? " at " + current->text() : "") + ": ";
}

} // namespace regrant::inline v0::detail
