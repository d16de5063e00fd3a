// regrant/policy.hpp - how long a login's refresh tokens live.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "clock.hpp"
#include "error.hpp"
#include "result.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

namespace regrant::inline v0 {

/// How far behind its token a row may be and still be healed (R53).
///
/// A row falls behind when the store loses its last writes: a failover, a restored backup. Until its newest token comes
/// back and heals it, a superseded one that is ahead of the row passes too.
class heal_limit {
public:
    static constexpr heal_limit off() noexcept { return heal_limit(0); }
    static constexpr heal_limit unlimited() noexcept { return heal_limit(0xFFFF'FFFF); }
    static constexpr heal_limit at_most(std::uint32_t generations) noexcept { return heal_limit(generations); }

    constexpr bool allows(std::uint32_t generations_behind) const noexcept {
        return generations_behind <= generations_;
    }

private:
    constexpr explicit heal_limit(std::uint32_t generations) noexcept : generations_(generations) {}
    std::uint32_t generations_;
};

/// The times a refresh token lives by, as the operator writes them down; `policy` checks them.
///
///     auto policy = regrant::policy::make({.retry_window = std::chrono::seconds(20)});
///     if (!policy) return fail(policy.error().message);
///     regrant::endpoint_settings settings{.policy = *policy};
struct policy_settings {
    /// A family nobody refreshed for so long is dead (R42); where it exceeds the absolute limit, the lower holds.
    std::chrono::seconds idle_lifetime = std::chrono::days(30);
    /// A family is dead so long after its login, whatever rotates (R43).
    std::chrono::seconds absolute_lifetime = std::chrono::days(90);
    /// How long the predecessor of the current token gets the same successor again (R47-R49).
    /// Zero is strict single use: then a lost answer logs the user out.
    std::chrono::seconds retry_window{30};
    /// A row stamped further ahead of the clock than this has no retry window (R49).
    std::chrono::seconds max_skew{60};
    heal_limit heal = heal_limit::at_most(8);
    /// Families of earlier logins are dead: for after a leak or a restored backup (R44/R45).
    std::optional<instant> not_before{};
};

/// The checked form of `policy_settings`: a policy that exists makes sense.
class policy {
public:
    /// The defaults of `policy_settings`.
    policy() = default;

    /// \par Errors
    /// a lifetime that is not positive; a window or skew that is negative; any of them over 100 years
    static result<policy, setup_error> make(const policy_settings& settings) {
        // A century: longer than any login, short enough that no sum of times overflows.
        constexpr std::chrono::seconds longest = std::chrono::years(100);
        if (settings.idle_lifetime <= settings.idle_lifetime.zero() || settings.idle_lifetime > longest)
            return unexpected(setup_error{"the idle lifetime must be between a second and a century"});
        if (settings.absolute_lifetime <= settings.absolute_lifetime.zero() || settings.absolute_lifetime > longest)
            return unexpected(setup_error{"the absolute lifetime must be between a second and a century"});
        if (settings.retry_window < settings.retry_window.zero() || settings.retry_window > longest)
            return unexpected(setup_error{"the retry window must be between zero and a century"});
        if (settings.max_skew < settings.max_skew.zero() || settings.max_skew > longest)
            return unexpected(setup_error{"the clock skew must be between zero and a century"});
        return policy(settings);
    }

    const policy_settings* operator->() const noexcept { return &settings_; }

    /// What a client is told in `Retry-After` at an outage: below half the retry window, so that the same token
    /// still works when it comes back (R51). At most 5 seconds.
    constexpr std::chrono::seconds retry_after() const noexcept {
        const auto below_half = (settings_.retry_window + std::chrono::seconds(1)) / 2 - std::chrono::seconds(1);
        return std::clamp(below_half, std::chrono::seconds(0), std::chrono::seconds(5));
    }

private:
    explicit policy(const policy_settings& settings) noexcept : settings_(settings) {}
    policy_settings settings_{};
};

} // namespace regrant::inline v0
