// regrant/scope.hpp - the space-separated permission words of RFC 6749 section 3.3.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/cpp20.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

/// A set of permission words, kept in the order they were first written.
///
///     auto granted = regrant::scope::parse("openid email");
///     // granted->contains("email") && granted->holds_all_of(*regrant::scope::parse("openid"))
///
/// \par RFC 6749 3.3: "a list of space-delimited, case-sensitive strings ... their order does not matter"
class scope {
public:
    /// The empty scope, which no text stands for.
    scope() = default;

    /// \param text  words of %x21 / %x23-5B / %x5D-7E with one space between two; a repeated word counts once
    /// \return nothing for an empty text, a foreign character, or a space too many (R59)
    static std::optional<scope> parse(std::string_view text) {
        std::vector<std::string_view> words;
        for (std::string_view rest = text;;) {
            const std::string_view word = rest.substr(0, rest.find(' '));
            if (!is_word(word)) return std::nullopt;
            words.push_back(word);
            if (word.size() == rest.size()) break;
            rest.remove_prefix(word.size() + 1);
        }
        // Sorting keeps a text of thousands of words from costing the square of their number.
        std::vector<std::string_view> known = words;
        std::sort(known.begin(), known.end());
        known.erase(std::unique(known.begin(), known.end()), known.end());
        if (known.size() == words.size()) return scope(std::string(text));
        scope parsed;
        std::vector<bool> is_in(known.size());
        for (const std::string_view word : words) {
            auto seen = is_in.begin() + (std::lower_bound(known.begin(), known.end(), word) - known.begin());
            if (!*seen) parsed.append(word);
            *seen = true;
        }
        return parsed;
    }

    /// A scope from text that `parse` once made, such as a store's.
    static scope trusted(std::string_view text) { return scope(std::string(text)); }

    bool contains(std::string_view word) const noexcept {
        bool found = false;
        for_each([&](std::string_view own) { found = found || own == word; });
        return found;
    }

    bool holds_all_of(const scope& other) const noexcept {
        bool all = true;
        other.for_each([&](std::string_view word) { all = all && contains(word); });
        return all;
    }

    /// The words that both have, in this one's order.
    scope common_with(const scope& other) const {
        scope common;
        for_each([&](std::string_view word) {
            if (other.contains(word)) common.append(word);
        });
        return common;
    }

    bool empty() const noexcept { return words_.empty(); }

    /// The words with a space between two, as the `scope` member of an answer.
    const std::string& text() const& noexcept { return words_; }
    std::string text() && noexcept { return std::move(words_); }

    /// Calls `visit(std::string_view word)` for each word in order.
    template <class Visitor> void for_each(Visitor visit) const {
        std::string_view rest = words_;
        while (!rest.empty()) {
            const std::string_view word = rest.substr(0, rest.find(' '));
            visit(word);
            rest.remove_prefix(word.size() == rest.size() ? word.size() : word.size() + 1);
        }
    }

private:
    explicit scope(std::string words) noexcept : words_(std::move(words)) {}

    static constexpr bool is_word(std::string_view word) noexcept {
        for (const char c : word)
            if (c < 0x21 || c > 0x7E || c == '"' || c == '\\') return false;
        return !word.empty();
    }

    void append(std::string_view word) {
        if (!words_.empty()) words_ += ' ';
        words_ += word;
    }

    std::string words_;
};

} // namespace regrant::inline v0
