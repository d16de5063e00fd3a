// regrant/base64.hpp - the two alphabets of RFC 4648 that OAuth uses.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "secret.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

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

/// \pre to.size() is the exact size of what `text`, free of padding, stands for
constexpr bool decode_digits(std::string_view text, const std::array<std::uint8_t, 256>& values,
                             std::span<std::byte> to) noexcept {
    std::uint32_t bits = 0;
    unsigned held = 0;
    std::size_t written = 0;
    for (const char c : text) {
        const std::uint8_t value = values[static_cast<unsigned char>(c)];
        if (value == not_a_digit) return false;
        bits = bits << 6 | value;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        to[written++] = static_cast<std::byte>(bits >> held & 0xFF);
    }
    // RFC 4648 3.5: what is left over must be zero, else two texts would mean the same bytes.
    return held < 6 && (bits & ((1U << held) - 1)) == 0;
}

} // namespace detail

/// How many characters base64url makes of so many bytes, without padding.
constexpr std::size_t base64url_size(std::size_t bytes) noexcept { return (bytes * 4 + 2) / 3; }

/// Writes base64url without padding.
///
/// \param to  room for `base64url_size(bytes.size())` characters
/// \par RFC 4648 5, RFC 7515 2
constexpr void base64url_encode(std::span<const std::byte> bytes, char* to) noexcept {
    const auto digit = [](std::uint32_t bits, unsigned shift) {
        return detail::base64url_digits[bits >> shift & 0x3F];
    };
    const auto at = [&](std::size_t i) { return std::to_integer<std::uint32_t>(bytes[i]); };
    std::size_t i = 0;
    for (; bytes.size() - i >= 3; i += 3) {
        const std::uint32_t bits = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
        for (const unsigned shift : {18U, 12U, 6U, 0U}) *to++ = digit(bits, shift);
    }
    if (bytes.size() - i == 2) {
        const std::uint32_t bits = at(i) << 16 | at(i + 1) << 8;
        for (const unsigned shift : {18U, 12U, 6U}) *to++ = digit(bits, shift);
    } else if (bytes.size() - i == 1) {
        const std::uint32_t bits = at(i) << 16;
        for (const unsigned shift : {18U, 12U}) *to++ = digit(bits, shift);
    }
}

/// The same as a string of its own.
inline std::string base64url(std::span<const std::byte> bytes) {
    std::string text(base64url_size(bytes.size()), '\0');
    base64url_encode(bytes, text.data());
    return text;
}

inline std::string base64url(std::string_view text) { return base64url(std::as_bytes(std::span(text))); }

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
