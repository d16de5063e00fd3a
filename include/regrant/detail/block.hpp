// regrant/detail/block.hpp - looks at sixteen characters at once.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "cpp20.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace regrant::inline v0::detail {

inline constexpr std::size_t block_bytes = 16;

/// Whether all of `block_bytes` characters are ASCII from `least` on, and none is one of `others`.
template <class... Chars> bool is_clear_block(const char* from, char least, Chars... others) noexcept {
#if defined(__GNUC__)
    using block = signed char __attribute__((vector_size(block_bytes)));
    block bytes;
    std::memcpy(&bytes, from, block_bytes);
    // What is not ASCII is negative here, and so below any `least`.
    const block found = (bytes < static_cast<signed char>(least)) | ((bytes == static_cast<signed char>(others)) | ...);
    std::uint64_t halves[2];
    std::memcpy(halves, &found, block_bytes);
    return (halves[0] | halves[1]) == 0;
#else
    bool clear = true;
    for (std::size_t i = 0; i != block_bytes; ++i)
        clear = clear && from[i] >= least && from[i] >= 0 && ((from[i] != others) && ...);
    return clear;
#endif
}

/// Copies a block, also to a little before where it stands.
inline void copy_block(const char* from, char* to) noexcept {
    char bytes[block_bytes];
    std::memcpy(bytes, from, block_bytes);
    std::memcpy(to, bytes, block_bytes);
}

} // namespace regrant::inline v0::detail
