// tests/hardening/mutation/listener.hpp - writes which mutants each test case reached; tests/hardening/mutate adds it
// to the programs' main.cpp.
// SPDX-License-Identifier: MIT
#pragma once
#include "mutants.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>

namespace mutants {

/// `REGRANT_CASES=FILE`: for each test case one line with its milliseconds, one with its name, and one with the marks
/// that it left.
struct listener : doctest::IReporter {
    std::ofstream file;
    const doctest::TestCaseData* running = nullptr;
    std::chrono::steady_clock::time_point began;

    explicit listener(const doctest::ContextOptions&) {
        if (const char* name = std::getenv("REGRANT_CASES")) file.open(name);
        unsetenv("REGRANT_CASES"); // a test may start its program again
    }
    void test_case_start(const doctest::TestCaseData& data) override {
        running = &data;
        began = std::chrono::steady_clock::now();
        std::fill_n(marks, max_mutants, static_cast<unsigned char>(0));
    }
    void test_case_end(const doctest::CurrentTestCaseStats&) override {
        if (!file.is_open()) return;
        const auto passed = std::chrono::steady_clock::now() - began;
        file << std::chrono::duration_cast<std::chrono::milliseconds>(passed).count() << '\n' << running->m_name << '\n';
        for (int number = 0; number != max_mutants; ++number)
            if (marks[number] != 0) file << number << ':' << int{marks[number]} << ' ';
        file << std::endl;
    }
    void report_query(const doctest::QueryData&) override {}
    void test_run_start() override {}
    void test_run_end(const doctest::TestRunStats&) override {}
    void test_case_reenter(const doctest::TestCaseData&) override {}
    void test_case_exception(const doctest::TestCaseException&) override {}
    void subcase_start(const doctest::SubcaseSignature&) override {}
    void subcase_end() override {}
    void log_assert(const doctest::AssertData&) override {}
    void log_message(const doctest::MessageData&) override {}
    void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("mutants", 1, listener);

} // namespace mutants
