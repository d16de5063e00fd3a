// regrant/detail/form_bytes.hpp - what the bytes of form text are.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "cpp20.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace regrant::inline v0::detail {

/// What a byte of form text is. Few kinds, so that compilers make no jump table, which costs more than it spares.
enum class form_byte : std::uint8_t {
    plain,
    percent,
    /// `&`, and the first `=` of a field
    separator,
    /// `+`, a NUL, no ASCII
    other,
};
using form_bytes = std::array<form_byte, 256>;

/// Where nothing ends a text.
inline constexpr form_bytes text_bytes = [] {
    form_bytes kinds{};
    kinds['%'] = form_byte::percent;
    kinds['+'] = kinds['\0'] = form_byte::other;
    for (std::size_t c = 0x80; c != 0x100; ++c) kinds[c] = form_byte::other;
    return kinds;
}();

/// Where a further `=` is text.
inline constexpr form_bytes value_bytes = [] {
    form_bytes kinds = text_bytes;
    kinds['&'] = form_byte::separator;
    return kinds;
}();

inline constexpr form_bytes name_bytes = [] {
    form_bytes kinds = value_bytes;
    kinds['='] = form_byte::separator;
    return kinds;
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

/// How many of eight bytes are plain from the first on; may stop early at `=` and the few plain ones below ','.
inline std::ptrdiff_t plain_of_eight(const char* from) noexcept {
    constexpr std::uint64_t each = 0x0101'0101'0101'0101, top = 0x80 * each;
    std::uint64_t eight = 0;
    std::memcpy(&eight, from, 8);
    // The top bit of a byte is set where it is below ',', is '=' or no ASCII; else only behind such a byte, by a
    // borrow.
    const std::uint64_t other = ((eight - ',' * each) | ((eight ^ '=' * each) - each) | eight) & top;
    return (std::endian::native == std::endian::little ? std::countr_zero(other) : std::countl_zero(other)) / 8;
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
