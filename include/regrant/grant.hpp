// regrant/grant.hpp - what a user granted to a client at one login, as a store keeps it.
// floor 2
// SPDX-License-Identifier: MIT
#pragma once

#include "client_policy.hpp"
#include "clock.hpp"
#include "lineage.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace regrant::inline v0 {

/// Whether a family still lives; the way back does not exist.
enum class revocation : std::uint8_t { live, revoked };

/// The text of a grant, as views for writing it down.
struct grant_text {
    std::string_view client_id;
    std::string_view subject;
    std::string_view scope;
    /// Whom the access tokens are for in profile rfc9068; may be empty.
    std::string_view audience = {};
    /// The key a sender-constrained token is bound to, opaque here; empty for bearer tokens.
    std::string_view confirmation = {};
};

/// One row of a token store: a family of refresh tokens from login to end.
///
/// Of all this only `current`, `used_at` and `state` ever change. The text shares one buffer, so that a store hands a
/// grant out with one allocation.
class grant {
public:
    grant(row_key where, const grant_text& text) : key(where) {
        const std::string_view parts[] = {text.client_id, text.subject, text.scope, text.audience, text.confirmation};
        std::size_t size = 0;
        for (const std::string_view part : parts) size += part.size();
        text_.reserve(size);
        for (std::size_t i = 0; i != ends_.size(); ++i) {
            text_ += parts[i];
            ends_[i] = text_.size();
        }
    }

    std::string_view client_id() const noexcept { return part(0); }
    std::string_view subject() const noexcept { return part(1); }
    std::string_view scope() const noexcept { return part(2); }
    std::string_view audience() const noexcept { return part(3); }
    std::string_view confirmation() const noexcept { return part(4); }

    row_key key;
    /// Fixed at login (R41).
    regrant::rotation rotation = regrant::rotation::rotate;
    instant issued_at{};
    /// The absolute limit; no rotation moves it (R43). A store may forget the row afterwards, never before.
    instant expires_at{};
    /// When the user proved who they are, in whole seconds as the claim counts them (OIDC Core 2).
    std::optional<std::chrono::sys_seconds> auth_time{};

    /// The generation of the newest token.
    generation current = first_generation;
    /// When `current` was made, or last echoed.
    instant used_at{};
    revocation state = revocation::live;

private:
    std::string_view part(std::size_t i) const noexcept {
        const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
        // A grant that was moved from has lost its text.
        return ends_[i] > text_.size() ? std::string_view() : std::string_view(text_).substr(begin, ends_[i] - begin);
    }

    std::string text_;
    std::array<std::size_t, 5> ends_{};
};

/// Whether all times of a row are within 2^53 of 1970, in milliseconds or, for `auth_time`, in seconds. A store must give
/// those back; it refuses a row with another time, for it could not tell that row from a damaged one.
inline bool has_storable_times(const grant& row) noexcept {
    const auto is_storable = [](std::int64_t count) {
        constexpr std::int64_t most = std::int64_t{1} << 53;
        return -most <= count && count <= most;
    };
    const auto is_storable_time = [&](instant when) { return is_storable(when.time_since_epoch().count()); };
    return is_storable_time(row.issued_at) && is_storable_time(row.expires_at) && is_storable_time(row.used_at) &&
           (!row.auth_time || is_storable(row.auth_time->time_since_epoch().count()));
}

} // namespace regrant::inline v0
