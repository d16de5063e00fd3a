// regrant/testing/conformance_options.hpp - how hard a store is tried, with what its author can do to it from outside.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../lineage.hpp"
#include "conformance_report.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

namespace regrant::inline v0 {

/// The options of `check_store`; the defaults suit a store that answers within milliseconds.
struct conformance_options {
    /// How many threads race; at least two.
    std::size_t threads = 8;
    /// How often each race is run.
    std::size_t rounds = 50;
    /// Makes the store's next call fail, or likely to: cuts its connections, say. Called before single calls of the
    /// outage suite, from one thread; simulated outages around the store are tried besides.
    std::function<void()> fault{};
    /// How long a store may go on answering with outages after a `fault`: over its back-off.
    std::chrono::milliseconds recovery = std::chrono::seconds(10);
    /// Puts a row's generation back, in the storage itself, as a fail-over to an older copy does; a revoke stays.
    /// Without it the rollback suite swallows advances on their way to the store.
    std::function<void(const row_key&, generation)> set_back{};
    /// Makes only the checks whose name holds this text.
    std::string only{};
    /// Told of each check when it ends.
    std::function<void(const conformance_check&)> tell{};
};

} // namespace regrant::inline v0
