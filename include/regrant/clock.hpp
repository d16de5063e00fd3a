// regrant/clock.hpp - points in time as the library counts them.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/cpp20.hpp"

#include <chrono>

namespace regrant::inline v0 {

/// A point in time since 1970-01-01 UTC, in milliseconds, on 64 bits (R99).
///
/// Milliseconds, because Redis computes in doubles: they stay exact until the year 287396.
using instant = std::chrono::sys_time<std::chrono::milliseconds>;

/// Reads the system's clock.
inline instant current_time() noexcept {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

} // namespace regrant::inline v0
