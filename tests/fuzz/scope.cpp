// tests/fuzz/scope.cpp - a scope holds the words of its text, comes back from it, and its operations are those of sets.
// SPDX-License-Identifier: MIT
#include "plain.hpp"
#include "target.hpp"

#include <regrant/scope.hpp>

namespace {

using words = std::vector<std::string>;

bool holds(const words& all, const std::string& one) { return std::find(all.begin(), all.end(), one) != all.end(); }

std::optional<regrant::scope> read(const std::string& text) {
    const auto parsed = regrant::scope::parse(text);
    const auto plainly = plain::scope_words(text);
    fuzz::require(parsed.has_value() == plainly.has_value(), "accepted or refused alike (R59)");
    if (!parsed) return parsed;
    fuzz::require(parsed->text() == plain::joined(*plainly), "the same words in the same order");
    const auto again = regrant::scope::parse(parsed->text());
    fuzz::require(again.has_value() && again->text() == parsed->text(), "its text comes back");
    words visited;
    parsed->for_each([&](std::string_view word) { visited.emplace_back(word); });
    fuzz::require(visited == *plainly && !parsed->empty(), "each word is visited once");
    return parsed;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const std::string input = fuzz::text(bytes, size);
    const std::size_t split = input.find('\n');
    const std::string left = input.substr(0, split);
    const std::string right = split == std::string::npos ? "" : input.substr(split + 1);
    const auto one = read(left);
    const auto other = read(right);
    if (!one || !other) return 0;

    const words mine = *plain::scope_words(left);
    const words theirs = *plain::scope_words(right);
    bool all = true;
    words common;
    for (const std::string& word : theirs) {
        all = all && holds(mine, word);
        fuzz::require(one->contains(word) == holds(mine, word), "contains (R55-R61)");
    }
    for (const std::string& word : mine)
        if (holds(theirs, word)) common.push_back(word);
    fuzz::require(one->holds_all_of(*other) == all, "holds_all_of");
    fuzz::require(one->common_with(*other).text() == plain::joined(common), "common_with, in the first one's order");
    fuzz::require(one->common_with(*other).empty() == common.empty(), "empty");
    fuzz::require(!one->contains("") && one->holds_all_of(regrant::scope()), "the empty scope is in every one");
    return 0;
}
