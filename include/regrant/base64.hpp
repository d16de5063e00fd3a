// regrant/base64.hpp - the two alphabets of RFC 4648 that OAuth uses.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/base64_block.hpp"
#include "secret.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace regrant::inline v0 {

namespace detail {

inline constexpr std::string_view base64url_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
inline constexpr std::string_view base64_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// No digit has this value.
inline constexpr std::uint8_t not_a_digit = 0xFF;

constexpr std::array<std::uint8_t, 256> digit_values(std::string_view digits) noexcept {
    std::array<std::uint8_t, 256> values{};
    values.fill(not_a_digit);
    for (std::size_t i = 0; i != digits.size(); ++i)
        values[static_cast<unsigned char>(digits[i])] = static_cast<std::uint8_t>(i);
    return values;
}

inline constexpr auto base64url_values = digit_values(base64url_digits);
inline constexpr auto base64_values = digit_values(base64_digits);

/// Two digits at a time, for twelve bits: half the work of one at a time, for 8 KiB that stay in the cache.
struct digit_pairs {
    std::array<std::array<char, 2>, 4096> of{};

    constexpr explicit digit_pairs(std::string_view digits) noexcept {
        for (std::size_t i = 0; i != of.size(); ++i) of[i] = {digits[i >> 6], digits[i & 0x3F]};
    }
};

inline constexpr digit_pairs base64url_pairs{base64url_digits};

/// \pre to.size() is the exact size of what `text`, free of padding, stands for
constexpr bool decode_digits(std::string_view text, const std::array<std::uint8_t, 256>& values,
                             std::span<std::byte> to) noexcept {
    const auto value = [&](std::size_t i) { return std::uint32_t{values[static_cast<unsigned char>(text[i])]}; };
    std::size_t written = 0;
    for (; text.size() >= 4; text.remove_prefix(4), written += 3) {
        const std::uint32_t a = value(0), b = value(1), c = value(2), d = value(3);
        if ((a | b | c | d) == not_a_digit) return false;
        to[written] = static_cast<std::byte>(a << 2 | b >> 4);
        to[written + 1] = static_cast<std::byte>(b << 4 | c >> 2);
        to[written + 2] = static_cast<std::byte>(c << 6 | d);
    }
    if (text.empty()) return true;
    // One digit alone holds no byte. RFC 4648 3.5: what is left over must be zero, else two texts would mean the same.
    if (text.size() == 1) return false;
    const std::uint32_t a = value(0), b = value(1), c = text.size() == 3 ? value(2) : 0;
    if ((a | b | c) == not_a_digit) return false;
    to[written] = static_cast<std::byte>(a << 2 | b >> 4);
    if (text.size() == 2) return (b & 0x0F) == 0;
    to[written + 1] = static_cast<std::byte>(b << 4 | c >> 2);
    return (c & 0x03) == 0;
}

} // namespace detail

/// How many characters base64url makes of so many bytes, without padding.
constexpr std::size_t base64url_size(std::size_t bytes) noexcept { return (bytes * 4 + 2) / 3; }

/// Writes base64url without padding.
///
/// \param to  room for `base64url_size(bytes.size())` characters; it may hold `bytes` too, if the text ends at least 24
///            bytes before they do
/// \par RFC 4648 5, RFC 7515 2
constexpr void base64url_encode(std::span<const std::byte> bytes, char* to) noexcept {
    if (!std::is_constant_evaluated()) {
        const std::size_t written = detail::write_many_digits(bytes, to);
        bytes = bytes.subspan(written);
        to += base64url_size(written);
    }
    const std::byte* from = bytes.data();
    const auto at = [&](std::size_t i) { return std::to_integer<std::uint64_t>(from[i]); };
    const auto write_pair = [&](std::uint64_t bits) {
        const std::array<char, 2> pair = detail::base64url_pairs.of[bits & 0xFFF];
        to[0] = pair[0];
        to[1] = pair[1];
        to += 2;
    };
    std::size_t left = bytes.size();
    for (; left >= 8; left -= 6, from += 6) {
        // All eight, though six are used: compilers make one load of that.
        const std::uint64_t bits = at(0) << 56 | at(1) << 48 | at(2) << 40 | at(3) << 32 | at(4) << 24 | at(5) << 16 |
                                   at(6) << 8 | at(7);
        write_pair(bits >> 52);
        write_pair(bits >> 40);
        write_pair(bits >> 28);
        write_pair(bits >> 16);
    }
    for (; left >= 3; left -= 3, from += 3) {
        write_pair(at(0) << 4 | at(1) >> 4);
        write_pair(at(1) << 8 | at(2));
    }
    if (left == 0) return;
    write_pair(at(0) << 4 | (left == 2 ? at(1) >> 4 : 0));
    if (left == 2) *to++ = detail::base64url_digits[at(1) << 2 & 0x3F];
}

/// The same as a string of its own.
inline std::string base64url(std::span<const std::byte> bytes) {
    std::string text(base64url_size(bytes.size()), '\0');
    base64url_encode(bytes, text.data());
    return text;
}

inline std::string base64url(std::string_view text) { return base64url(std::as_bytes(std::span<const char>(text))); }

/// Reads base64url without padding into exactly as many bytes as it stands for.
///
/// \return false, with `to` in any state, for another length, a foreign character or left-over bits
constexpr bool base64url_decode(std::string_view text, std::span<std::byte> to) noexcept {
    if (text.size() != base64url_size(to.size())) return false;
    return detail::decode_digits(text, detail::base64url_values, to);
}

/// Reads base64 with its padding, as HTTP Basic sends it.
///
/// \return nothing for a cut or foreign text
/// \par RFC 4648 4, RFC 7617 2
inline std::optional<secret> base64_decode(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    for (int padding = 0; padding != 2 && text.ends_with('='); ++padding) text.remove_suffix(1);
    secret decoded;
    const std::size_t size = text.size() * 3 / 4;
    if (size == 0) return text.empty() ? std::optional(std::move(decoded)) : std::nullopt;
    char* to = decoded.grow(size);
    if (!detail::decode_digits(text, detail::base64_values, std::as_writable_bytes(std::span(to, size))))
        return std::nullopt;
    return decoded;
}

} // namespace regrant::inline v0
