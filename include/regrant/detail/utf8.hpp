// regrant/detail/utf8.hpp - tells well-formed UTF-8 from other bytes.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "cpp20.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace regrant::inline v0::detail {

/// The length of the well-formed sequence a text starts with (Unicode 15, table 3-7), 0 where there is none.
/// \pre !text.empty()
constexpr std::size_t utf8_sequence(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
    const std::size_t size = text.size();
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

#if defined(__GNUC__)
inline constexpr std::size_t utf8_block_bytes = 16;

/// Whether sixteen bytes go on as well-formed text does behind the three before them. What follows is not looked at.
template <char... Marks> bool is_utf8_block(const char* from) noexcept {
    using block = unsigned char __attribute__((vector_size(utf8_block_bytes)));
    const auto at = [](const char* first) {
        block bytes;
        std::memcpy(&bytes, first, utf8_block_bytes);
        return bytes;
    };
    const block now = at(from), before = at(from - 1), second = at(from - 2), third = at(from - 3);
    const auto is = [](block bytes, unsigned char least, unsigned char most) {
        return block(block(bytes - least) <= static_cast<unsigned char>(most - least));
    };
    // The same table, of all sixteen.
    const block follows = is(now, 0x80, 0xBF);
    const block must_follow = is(before, 0xC2, 0xF4) | is(second, 0xE0, 0xF4) | is(third, 0xF0, 0xF4);
    const auto is_mark = (block{} | ... | block(now == static_cast<unsigned char>(Marks)));
    const block never = is(now, 0xC0, 0xC1) | (is(now, 0xF5, 0xFF) & ~is_mark);
    const auto pair = [&](unsigned char lead, unsigned char least, unsigned char most) {
        return is(before, lead, lead) & is(now, least, most);
    };
    const block overlong = pair(0xE0, 0x80, 0x9F) | pair(0xF0, 0x80, 0x8F);
    const block no_character = pair(0xED, 0xA0, 0xBF) | pair(0xF4, 0x90, 0xBF);
    const block bad = (follows ^ must_follow) | never | overlong | no_character;
    std::uint64_t halves[2];
    std::memcpy(halves, &bad, utf8_block_bytes);
    return (halves[0] | halves[1]) == 0;
}
#endif

/// Whether a text is well-formed, but for bytes of `Marks`, each of which stands alone.
template <char... Marks> bool is_utf8(std::string_view text) noexcept {
    static_assert(((static_cast<unsigned char>(Marks) > 0xF4) && ...), "a mark is no byte of UTF-8");
    std::size_t done = 0;
    const auto goes_on_to = [&](std::size_t least) {
        while (done < least) {
            const std::size_t length = utf8_sequence(text.substr(done));
            if (length == 0 && ((text[done] != Marks) && ...)) return false;
            done += length == 0 ? 1 : length;
        }
        return true;
    };
#if defined(__GNUC__)
    if (text.size() > 2 * utf8_block_bytes) {
        if (!goes_on_to(3)) return false;
        for (; text.size() - done >= utf8_block_bytes; done += utf8_block_bytes)
            if (!is_utf8_block<Marks...>(text.data() + done)) return false;
        // Back to where the last character starts, for it may go on.
        do --done;
        while ((static_cast<unsigned char>(text[done]) & 0xC0) == 0x80);
    }
#endif
    return goes_on_to(text.size());
}

} // namespace regrant::inline v0::detail
