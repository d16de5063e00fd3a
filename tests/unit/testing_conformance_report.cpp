// tests/unit/testing_conformance_report.cpp - what a conformance report says of a run.
// SPDX-License-Identifier: MIT
#include <regrant/testing/conformance_report.hpp>

#include <doctest/doctest.h>

using namespace regrant;

TEST_CASE("a report with nothing in it has not passed") {
    CHECK_FALSE(conformance_report{}.passed());
    conformance_report skipping;
    skipping.add({"reap", check_outcome::skipped, "the store has no reap"});
    CHECK_FALSE(skipping.passed());
}

TEST_CASE("a report passes with skipped checks, but with none that failed (R38)") {
    conformance_report report;
    report.add({"revoke is one-way (R44)", check_outcome::passed, ""});
    report.add({"reap", check_outcome::skipped, "the store has no reap"});
    CHECK(report.passed());
    CHECK(report.count(check_outcome::passed) == 1);
    report.add({"advance has one winner (R38)", check_outcome::failed, "2 winners"});
    CHECK_FALSE(report.passed());
    CHECK(report.checks().size() == 3);
    CHECK(report.checks().back().seen == "2 winners");
    CHECK(report.describe() == "passed  revoke is one-way (R44)\n"
                               "skipped  reap: the store has no reap\n"
                               "FAILED  advance has one winner (R38): 2 winners\n"
                               "1 passed, 1 failed, 1 skipped\n");
}
