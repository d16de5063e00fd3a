// regrant/detail/form_bytes.hpp - what the bytes of form text mean.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "cpp20.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace regrant::inline v0::detail {

// Two bytes that no decoded text holds, for UTF-8 has no 0xFF and a NUL is refused. They stand behind a name and behind
// its value, so that the fields need no memory but their text's own.
inline constexpr char split_mark = '\xFF';
inline constexpr char end_mark = '\0';

/// What a byte of form text means: up to 0xFF itself, or one of these.
using form_meaning = std::uint16_t;
/// Ends a name or value; the low byte is the mark to set.
inline constexpr form_meaning form_separator = 0x100;
constexpr form_meaning separator_with(char mark) noexcept {
    return static_cast<form_meaning>(form_separator + static_cast<unsigned char>(mark));
}
inline constexpr form_meaning form_escape = 0x200;
/// A byte that is kept for a mark.
inline constexpr form_meaning form_refused = 0x400;

using form_meanings = std::array<form_meaning, 256>;

/// Where nothing ends a text.
inline constexpr form_meanings text_meanings = [] {
    form_meanings meanings{};
    for (form_meaning byte = 0; byte <= 0xFF; ++byte) meanings[byte] = byte;
    meanings['+'] = ' ';
    meanings['%'] = form_escape;
    meanings[static_cast<unsigned char>(split_mark)] = meanings[static_cast<unsigned char>(end_mark)] = form_refused;
    return meanings;
}();

/// Where a further `=` is text.
inline constexpr form_meanings value_meanings = [] {
    form_meanings meanings = text_meanings;
    meanings['&'] = separator_with(end_mark);
    return meanings;
}();

inline constexpr form_meanings name_meanings = [] {
    form_meanings meanings = value_meanings;
    meanings['='] = separator_with(split_mark);
    return meanings;
}();

inline constexpr auto hex_values = [] {
    std::array<std::uint16_t, 256> values{};
    // Shifted by four bits it still is above every byte.
    values.fill(0xFFF);
    for (std::uint16_t i = 0; i != 10; ++i) values[static_cast<std::size_t>('0' + i)] = i;
    for (std::uint16_t i = 0; i != 6; ++i)
        values[static_cast<std::size_t>('a' + i)] = values[static_cast<std::size_t>('A' + i)] =
            static_cast<std::uint16_t>(10 + i);
    return values;
}();

/// Eight bytes at once.
using form_word = std::uint64_t;
inline constexpr form_word each_byte = 0x0101'0101'0101'0101;
inline constexpr form_word top_bits = 0x80 * each_byte;

inline form_word form_word_at(const char* from) noexcept {
    form_word word = 0;
    std::memcpy(&word, from, sizeof word);
    return word;
}

/// Has the top bit of each byte set that is below ',', is '=' or no ASCII; by a borrow perhaps one beside it, too.
inline form_word not_plain_ascii(form_word word) noexcept {
    return (word - ',' * each_byte) | ((word ^ '=' * each_byte) - each_byte);
}

/// Whether eight bytes are ASCII that means itself; not where they hold a `=`, or one of the few below ','.
inline bool are_plain_ascii(form_word word) noexcept {
    return (not_plain_ascii(word) & top_bits) == 0;
}

/// Whether some of eight bytes are beyond ASCII, none of these is 0xFF, and the others are such ASCII.
inline bool are_plain_beyond_ascii(form_word word) noexcept {
    if ((word & top_bits) == 0) return false;
    const form_word beyond = ~word - each_byte;
    return (((not_plain_ascii(word) & ~word) | (beyond & word)) & top_bits) == 0;
}

/// How many pieces between `&` are no empty ones.
inline std::size_t count_pieces(std::string_view text) noexcept {
    std::size_t count = 0;
    while (true) {
        text.remove_prefix((std::min)(text.find_first_not_of('&'), text.size()));
        if (text.empty()) return count;
        ++count;
        text.remove_prefix((std::min)(text.find('&'), text.size()));
    }
}

} // namespace regrant::inline v0::detail
