// regrant/testing/store_conformance.hpp - proves that a token store keeps its promises.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "conformance_options.hpp"
#include "conformance_report.hpp"
#include "detail/bench.hpp"
#include "detail/concurrency_suite.hpp"
#include "detail/optional_races.hpp"
#include "detail/outage_suite.hpp"
#include "detail/refresh_suite.hpp"
#include "detail/rollback_suite.hpp"
#include "detail/sequence_suite.hpp"
#include "detail/subject_suite.hpp"

#include <utility>

namespace regrant::inline v0 {

/// Puts every promise of a `token_store` to the test: in sequence, amid races, outages and lost writes.
///
/// It needs no test framework. In doctest, say:
///
///     TEST_CASE("my store keeps its promises") {
///         my_store store;
///         const auto report = regrant::check_store([&]() -> my_store& { return store; });
///         INFO(report.describe());
///         CHECK(report.passed());
///     }
///
/// What to know before:
/// - Every row has a random key and a random subject, so a storage may be shared; rows stay behind, for 90 days by
///   their `expires_at`. `reap` is called with times up to six seconds ahead of this machine's clock, which an
///   engine that expires rows by itself must agree with to 50 ms.
/// - A text with a NUL byte, or one that is not UTF-8, need not be kept; but then `insert` refuses it with an outage.
///   It is never cut or mended: "alice" and "alice\0x" are two users.
/// - A store that is awaited is checked through a wrapper that runs each call to its end.
/// - It does not test durability: it never opens a store again. Kill a server amid refreshes for that.
/// - It does not end a call that hangs. Races are tried, not proven: run it with more rounds, and under a load.
/// - The OpenSSL library is needed: the refresh grant is the real one, its tokens too.
///
/// \param make_store  called `options.threads` times, one after another, all before the first check: gives the store
///                    (a reference), a store of its own over the same storage, or a pointer to one. Give each thread
///                    its own where replicas or caches could differ.
/// \param options     threads, rounds, and hooks that break the store on purpose
/// \return every check with what was seen; a store that throws has failed, what `make_store` throws passes through
template <class Make> conformance_report check_store(Make&& make_store, const conformance_options& options = {}) {
    testing::bench bench(make_store, options);
    testing::sequence_suite(bench);
    testing::subject_suite(bench);
    testing::concurrency_suite(bench);
    testing::optional_races(bench);
    testing::refresh_suite(bench);
    testing::rollback_suite(bench);
    testing::outage_suite(bench);
    return std::move(bench).report();
}

} // namespace regrant::inline v0
