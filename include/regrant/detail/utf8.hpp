// regrant/detail/utf8.hpp - tells well-formed UTF-8 from other bytes.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "cpp20.hpp"

#include <cstddef>
#include <string_view>

namespace regrant::inline v0::detail {

/// The length of the well-formed sequence a text starts with (Unicode 15, table 3-7), 0 where there is none.
constexpr std::size_t utf8_sequence(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
    const std::size_t size = text.size();
    if (size == 0) return 0;
    const unsigned char lead = byte(0);
    if (lead < 0x80) return 1;
    if (size < 2 || !follows(1) || lead < 0xC2) return 0;
    if (lead < 0xE0) return 2;
    if (size < 3 || !follows(2)) return 0;
    // E0 would be overlong below A0; ED would be a surrogate above 9F.
    if (lead < 0xF0) return (lead != 0xE0 || byte(1) >= 0xA0) && (lead != 0xED || byte(1) <= 0x9F) ? 3 : 0;
    // F0 would be overlong below 90; F4 would leave Unicode above 8F.
    if (size < 4 || !follows(3) || lead > 0xF4) return 0;
    return (lead != 0xF0 || byte(1) >= 0x90) && (lead != 0xF4 || byte(1) <= 0x8F) ? 4 : 0;
}

/// Whether a text is well-formed, but for bytes of `Marks`, each of which stands alone.
template <char... Marks> constexpr bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const std::size_t length = utf8_sequence(text);
        const bool is_mark = length == 0 && ((text.front() == Marks) || ...);
        if (length == 0 && !is_mark) return false;
        text.remove_prefix(is_mark ? 1 : length);
    }
    return true;
}

} // namespace regrant::inline v0::detail
