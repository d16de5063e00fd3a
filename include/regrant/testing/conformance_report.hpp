// regrant/testing/conformance_report.hpp - what a conformance run saw of a store, check by check.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../detail/cpp20.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

/// How one check ended; skipped where the store lacks an optional ability.
enum class check_outcome : std::uint8_t { passed, failed, skipped };

constexpr std::string_view to_string(check_outcome outcome) noexcept {
    switch (outcome) {
    case check_outcome::passed: return "passed";
    case check_outcome::failed: return "FAILED";
    case check_outcome::skipped: break;
    }
    return "skipped";
}

/// One promise of a store, and whether it was kept.
struct conformance_check {
    /// The promise as a sentence that cites its clause.
    std::string name;
    check_outcome outcome;
    /// Figures where it passed, the first things that were wrong where it failed.
    std::string seen;

    /// One line for people.
    std::string describe() const {
        return std::string(to_string(outcome)) + "  " + name + (seen.empty() ? "" : ": ") + seen;
    }
};

/// All checks of a run, in the order they were made; a store that stopped answering stands first.
class conformance_report {
public:
    /// Whether every promise that was put to the test was kept.
    bool passed() const noexcept { return count(check_outcome::failed) == 0 && count(check_outcome::passed) != 0; }

    const std::vector<conformance_check>& checks() const noexcept { return checks_; }

    std::size_t count(check_outcome outcome) const noexcept {
        return static_cast<std::size_t>(std::count_if(checks_.begin(), checks_.end(),
                                                      [&](const auto& each) { return each.outcome == outcome; }));
    }

    /// A line for each check, and one that counts them.
    std::string describe() const {
        std::string text;
        for (const conformance_check& each : checks_) text += each.describe() + "\n";
        return text + std::to_string(count(check_outcome::passed)) + " passed, " +
               std::to_string(count(check_outcome::failed)) + " failed, " +
               std::to_string(count(check_outcome::skipped)) + " skipped\n";
    }

    void add(conformance_check check) { checks_.push_back(std::move(check)); }
    /// Puts a check before all others: the likely cause of what follows.
    void add_first(conformance_check check) { checks_.insert(checks_.begin(), std::move(check)); }

private:
    std::vector<conformance_check> checks_;
};

} // namespace regrant::inline v0
