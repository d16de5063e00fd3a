// regrant/random.hpp - unpredictable bytes.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/openssl.hpp"
#include "error.hpp"
#include "result.hpp"

#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace regrant::inline v0 {

/// A cryptographically secure source: `fill` writes every byte of `to`, or says that it cannot.
template <class Source>
concept random_source = requires(Source& source, std::span<std::byte> to) {
    { source.fill(to) } -> std::same_as<result<void, outage>>;
};

/// OpenSSL's private generator.
struct system_random {
    /// \par Errors
    /// `outage` when there is no entropy: never a weak byte (R35)
    result<void, outage> fill(std::span<std::byte> to) const {
        if (!detail::random_bytes(to)) return unexpected(outage{"the random source failed"});
        return {};
    }
};

/// Makes a random UUID, 122 random bits as 36 characters.
/// \par RFC 9562 5.4
template <random_source Source> result<std::string, outage> random_uuid(Source& source) {
    std::array<std::byte, 16> bytes;
    if (auto filled = source.fill(bytes); !filled) return unexpected(std::move(filled).error());
    bytes[6] = (bytes[6] & std::byte{0x0F}) | std::byte{0x40};
    bytes[8] = (bytes[8] & std::byte{0x3F}) | std::byte{0x80};

    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(36);
    for (std::size_t i = 0; i != bytes.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        text += digits[std::to_integer<std::size_t>(bytes[i] >> 4)];
        text += digits[std::to_integer<std::size_t>(bytes[i] & std::byte{0x0F})];
    }
    return text;
}

} // namespace regrant::inline v0
