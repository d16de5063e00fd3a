// regrant/detail/ascii.hpp - the words of HTTP headers, compared without regard to case or locale.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "cpp20.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace regrant::inline v0::detail {

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

constexpr bool equal_but_case(std::string_view one, std::string_view other) noexcept {
    return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                      [](char a, char b) { return lower(a) == lower(b); });
}

/// Takes an RFC 9110 5.6.2 token off the front of a text.
/// \return empty when the text does not start with one
constexpr std::string_view take_token(std::string_view& text) noexcept {
    constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
    std::size_t size = 0;
    while (size != text.size() && ((lower(text[size]) >= 'a' && lower(text[size]) <= 'z') ||
                                   (text[size] >= '0' && text[size] <= '9') || marks.find(text[size]) != marks.npos))
        ++size;
    const std::string_view token = text.substr(0, size);
    text.remove_prefix(size);
    return token;
}

/// A text without the blanks and tabs around it (RFC 9110 5.6.3: OWS).
constexpr std::string_view trim_blanks(std::string_view text) noexcept {
    text.remove_prefix((std::min)(text.size(), text.find_first_not_of(" \t")));
    return text.substr(0, text.find_last_not_of(" \t") + 1);
}

/// Whether a list as in `Connection: TE, close` has a word.
constexpr bool lists(std::string_view list, std::string_view word) noexcept {
    while (!list.empty()) {
        std::string_view each = list.substr(0, list.find(','));
        list.remove_prefix((std::min)(list.size(), each.size() + 1));
        each.remove_prefix((std::min)(each.size(), each.find_first_not_of(" \t")));
        if (equal_but_case(each.substr(0, each.find_last_not_of(" \t") + 1), word)) return true;
    }
    return false;
}

} // namespace regrant::inline v0::detail
