// regrant/detail/block.hpp - looks at sixteen characters at once.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "cpp20.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace regrant::inline v0::detail {

inline constexpr std::size_t block_bytes = 16;

/// Whether all characters of a text are from `Least` to `Most`, and none is one of `Others`.
/// \pre text.size() >= block_bytes
template <char Least, char Most, char... Others> bool is_clear(std::string_view text) noexcept {
#if defined(__GNUC__)
    using block = unsigned char __attribute__((vector_size(block_bytes)));
    const auto at = [&](std::size_t i) {
        block bytes;
        std::memcpy(&bytes, text.data() + i, block_bytes);
        return bytes;
    };
    const auto other = [](block bytes) { return block(((bytes == static_cast<unsigned char>(Others)) | ...)); };
    // The last block overlaps the one before it, where the size is no multiple of a block's.
    const std::size_t last = text.size() - block_bytes;
    block low = at(last), high = low, found = other(low);
#pragma GCC unroll 4
    for (std::size_t i = 0; i < last; i += block_bytes) {
        const block bytes = at(i);
        low = bytes < low ? bytes : low;
        high = bytes > high ? bytes : high;
        found |= other(bytes);
    }
    found |= block((low < static_cast<unsigned char>(Least)) | (high > static_cast<unsigned char>(Most)));
    std::uint64_t halves[2];
    std::memcpy(halves, &found, block_bytes);
    return (halves[0] | halves[1]) == 0;
#else
    return std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return c >= static_cast<unsigned char>(Least) && c <= static_cast<unsigned char>(Most) &&
               ((c != static_cast<unsigned char>(Others)) && ...);
    });
#endif
}

} // namespace regrant::inline v0::detail
