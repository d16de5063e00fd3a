// regrant/detail/base64_block.hpp - writes base64url 32 digits at once, where the processor can.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "cpp20.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

namespace regrant::inline v0::detail {

// The compilers' own names stand for the instructions: <immintrin.h> takes longer to read than all of this library.
// clang tells which it has; g++ only where AVX2 is switched on for all.
#if defined(__x86_64__) && defined(__GNUC__)
#ifdef __clang__
#if __has_builtin(__builtin_ia32_pshufb256) && __has_builtin(__builtin_ia32_pmulhuw256)
#define REGRANT_HAS_DIGIT_BLOCKS
#endif
#elif __GNUC__ >= 12
#define REGRANT_HAS_DIGIT_BLOCKS
#endif
#endif

#ifdef REGRANT_HAS_DIGIT_BLOCKS
#undef REGRANT_HAS_DIGIT_BLOCKS

inline constexpr std::size_t digit_block_bytes = 24;

/// \pre bytes.size() >= digit_block_bytes, and what is written stays that far behind what is still to be read
/// \return how many bytes are written, all but the last two at most
__attribute__((target("avx2"))) inline std::size_t write_digit_blocks(std::span<const std::byte> bytes,
                                                                      char* to) noexcept {
    using halves = long long __attribute__((vector_size(16)));
    using whole = long long __attribute__((vector_size(32)));
    using words = unsigned short __attribute__((vector_size(32)));
    using signed_words = short __attribute__((vector_size(32)));
    using lanes = unsigned __attribute__((vector_size(32)));
    using numbers = signed char __attribute__((vector_size(32)));
    using digits = char __attribute__((vector_size(32))); // signed or not, as the compiler is told

    // Of each three bytes a b c, as b a c b: so the bits of each digit lie in one word of two bytes. The second half is
    // read from four bytes further back, so that no byte behind the last is touched.
    constexpr digits order = {1, 0, 2, 1, 4, 3, 5, 4,  7,  6, 8, 7,  10, 9,  11, 10,
                              5, 4, 6, 5, 8, 7, 9, 8, 11, 10, 12, 11, 14, 13, 15, 14};
    // What is added to 0-25, 26-51, to each of 52-61, to 62 and to 63.
    constexpr numbers offsets = {65, 71, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -17, 32, 0, 0,
                                 65, 71, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -17, 32, 0, 0};
    const std::size_t triples = bytes.size() / 3;
    constexpr std::size_t block_triples = digit_block_bytes / 3;
    for (std::size_t i = 0;; i = (std::min)(i + block_triples, triples - block_triples)) {
        halves first, second;
        std::memcpy(&first, bytes.data() + 3 * i, sizeof first);
        std::memcpy(&second, bytes.data() + 3 * i + 8, sizeof second);
        const whole read = __builtin_shufflevector(first, second, 0, 1, 2, 3);
        const auto bits = lanes(__builtin_ia32_pshufb256(digits(read), order));
        // Products shift each word by a number of its own.
        constexpr auto right = signed_words(lanes{} + 0x0400'0040U);
        constexpr auto left = words(lanes{} + 0x0100'0010U);
        const auto even = lanes(__builtin_ia32_pmulhuw256(signed_words(bits & 0x0FC0'FC00U), right));
        const auto odd = lanes(words(bits & 0x003F'03F0U) * left);
        const auto values = numbers(even | odd);
        // The last block overlaps the one before it.
        const numbers class_of = ((values - 51) & (values > 51)) - (values > 25);
        const numbers text = values + numbers(__builtin_ia32_pshufb256(digits(offsets), digits(class_of)));
        std::memcpy(to + 4 * i, &text, sizeof text);
        if (i + block_triples == triples) return 3 * triples;
    }
}

/// Writes whole triples of bytes, if there are many.
/// \return how many bytes are written
inline std::size_t write_many_digits(std::span<const std::byte> bytes, char* to) noexcept {
    if (bytes.size() < digit_block_bytes || !__builtin_cpu_supports("avx2")) return 0;
    return write_digit_blocks(bytes, to);
}

#else

constexpr std::size_t write_many_digits(std::span<const std::byte>, char*) noexcept { return 0; }

#endif

} // namespace regrant::inline v0::detail
