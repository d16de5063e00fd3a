// regrant/memory_store.hpp - a token_store in a map: the reference model.
// floor 4
// SPDX-License-Identifier: MIT
#pragma once

#include "clock.hpp"
#include "error.hpp"
#include "grant.hpp"
#include "lineage.hpp"
#include "result.hpp"
#include "token_store.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace regrant::inline v0 {

/// Keeps grants as long as the process lives. For tests, for a single server whose users may log in again after a
/// restart, and to read before writing a store of one's own: each operation is one critical section.
class memory_store {
public:
    result<insert_outcome, outage> insert(const grant& row) {
        const std::lock_guard lock(mutex_);
        return rows_.emplace(row.key, row).second ? insert_outcome::inserted : insert_outcome::already_there;
    }

    result<std::optional<grant>, outage> find(const row_key& key) {
        const std::lock_guard lock(mutex_);
        const auto found = rows_.find(key);
        return found == rows_.end() ? std::nullopt : std::optional(found->second);
    }

    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next, instant now) {
        const std::lock_guard lock(mutex_);
        const auto found = rows_.find(key);
        if (found == rows_.end()) return advance_outcome::refused;
        grant& row = found->second;
        if (row.state == revocation::revoked || row.current != expected) return advance_outcome::refused;
        row.current = next;
        row.used_at = (std::max)(row.used_at, now);
        return advance_outcome::advanced;
    }

    result<void, outage> revoke(const row_key& key) {
        const std::lock_guard lock(mutex_);
        if (const auto found = rows_.find(key); found != rows_.end()) found->second.state = revocation::revoked;
        return {};
    }

    result<std::size_t, outage> revoke_subject(std::string_view subject) {
        const std::lock_guard lock(mutex_);
        std::size_t ended = 0;
        for (auto& [key, row] : rows_) {
            if (row.subject() != subject || row.state == revocation::revoked) continue;
            row.state = revocation::revoked;
            ++ended;
        }
        return ended;
    }

    result<std::vector<grant>, outage> list_subject(std::string_view subject) {
        const std::lock_guard lock(mutex_);
        std::vector<grant> found;
        for (const auto& [key, row] : rows_)
            if (row.subject() == subject) found.push_back(row);
        return found;
    }

    result<bool, outage> is_empty() {
        const std::lock_guard lock(mutex_);
        return rows_.empty();
    }

    result<std::size_t, outage> reap(instant now) {
        const std::lock_guard lock(mutex_);
        return std::erase_if(rows_, [&](const auto& entry) { return entry.second.expires_at < now; });
    }

private:
    struct first_bytes {
        // A key is a hash already.
        std::size_t operator()(const row_key& key) const noexcept {
            std::size_t bits = 0;
            std::memcpy(&bits, key.bytes.data(), sizeof bits);
            return bits;
        }
    };

    std::mutex mutex_;
    std::unordered_map<row_key, grant, first_bytes> rows_;
};

} // namespace regrant::inline v0
