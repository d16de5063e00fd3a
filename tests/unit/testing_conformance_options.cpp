// tests/unit/testing_conformance_options.cpp - what the options do to a conformance run.
// SPDX-License-Identifier: MIT
#include <regrant/testing/conformance_options.hpp>

#include <regrant/memory_store.hpp>
#include <regrant/testing/detail/bench.hpp>
#include <regrant/testing/detail/sequence_suite.hpp>
#include <regrant/testing/detail/subject_suite.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace regrant;

/// The four promises and no more; copies share one storage.
class bare_store {
public:
    result<insert_outcome, outage> insert(const grant& row) { return rows_->insert(row); }
    result<std::optional<grant>, outage> find(const row_key& key) { return rows_->find(key); }
    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next, instant now) {
        return rows_->advance(key, expected, next, now);
    }
    result<void, outage> revoke(const row_key& key) { return rows_->revoke(key); }

private:
    std::shared_ptr<memory_store> rows_ = std::make_shared<memory_store>();
};

template <class Make> conformance_report run(Make make, const conformance_options& options) {
    testing::bench bench(make, options);
    testing::sequence_suite(bench);
    testing::subject_suite(bench);
    return std::move(bench).report();
}

} // namespace

TEST_CASE("a store without the optional abilities passes, and is told what was skipped") {
    const bare_store store;
    const conformance_report report = run([&] { return store; }, {});
    INFO(report.describe());
    CHECK(report.passed());
    CHECK(report.count(check_outcome::skipped) == 5);
}

TEST_CASE("a store may come as a reference, as itself or by a pointer, once for each thread") {
    memory_store one;
    std::size_t opened = 0;
    conformance_options options;
    options.only = "revoke may be repeated";
    options.threads = 3;
    CHECK(run([&]() -> memory_store& { return ++opened, one; }, options).passed());
    CHECK(opened == 3);
    CHECK(run([&] { return ++opened, &one; }, options).passed());
    CHECK(run([&] { return ++opened, std::make_unique<memory_store>(); }, options).passed());
    CHECK(run([&] { return ++opened, bare_store(); }, options).passed());
    CHECK(opened == 12);
}

TEST_CASE("with `only` the checks are made whose name holds it, and each is told when it ends") {
    memory_store store;
    std::vector<std::string> told;
    conformance_options options;
    options.only = "(R44";
    options.tell = [&](const conformance_check& each) { told.push_back(each.name); };
    const conformance_report report = run([&] { return &store; }, options);
    REQUIRE(report.checks().size() == told.size());
    CHECK(told.size() == 3);
    for (std::size_t i = 0; i != told.size(); ++i) CHECK(report.checks()[i].name == told[i]);
}

TEST_CASE("a race has at least two threads, and one that throws keeps nobody waiting") {
    memory_store store;
    conformance_options options;
    options.threads = 0;
    options.rounds = 0;
    const auto make = [&] { return &store; };
    testing::bench bench(make, options);
    CHECK(bench.threads() == 2);
    CHECK(bench.rounds() == 1);
    testing::witness saw;
    std::atomic<int> arrived{0};
    bench.race(saw, [&](const auto&, std::size_t i, testing::starting_line& line) {
        if (i == 0) throw std::runtime_error("no connection");
        line.arrive_and_wait();
        ++arrived;
    });
    CHECK(arrived == 1);
    CHECK(saw.failed());
    CHECK(saw.seen() == "thrown: no connection");
}
