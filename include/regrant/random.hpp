// regrant/random.hpp - unpredictable bytes.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/openssl.hpp"
#include "detail/process.hpp"
#include "error.hpp"
#include "result.hpp"

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace regrant::inline v0 {

/// A cryptographically secure source: `fill` writes every byte of `to`, or says that it cannot.
template <class Source>
concept random_source = requires(Source& source, std::span<std::byte> to) {
    { source.fill(to) } -> std::same_as<result<void, outage>>;
};

namespace detail {

/// Reseeds a thread's generator before its first use in a process. OpenSSL 3.0 knows a forked child by its process id
/// alone, so a child with its parent's id (see `fork_stamp`) would draw what its parent draws.
template <bool (*Reseed)() noexcept> bool is_seeded_here() noexcept {
    thread_local std::uint64_t seeded_in = 0;
    const std::uint64_t process = fork_stamp::get();
    if (seeded_in != process && Reseed()) seeded_in = process;
    return seeded_in == process;
}

} // namespace detail

/// OpenSSL's private generator.
struct system_random {
    /// \par Errors
    /// `outage` when there is no entropy: never a weak byte (R35)
    result<void, outage> fill(std::span<std::byte> to) const {
        if (!detail::is_seeded_here<detail::reseed_private>() || !detail::random_bytes(to))
            return unexpected(outage{"the random source failed"});
        return {};
    }
};

/// OpenSSL's public generator, drawn from in blocks: for what must be unique and may be seen, such as a `jti`.
///
/// Bytes that will be given out wait in memory of the thread, so nothing secret comes from here.
struct block_random {
    /// \par Errors
    /// `outage` when there is no entropy
    result<void, outage> fill(std::span<std::byte> to) const {
        thread_local block waiting;
        // A forked child must not give out what its parent will.
        const auto process = detail::fork_stamp::get();
        if (to.size() > waiting.left || process != waiting.drawn_by) {
            if (to.size() > waiting.bytes.size()) return system_random().fill(to);
            waiting.left = 0;
            if (!detail::is_seeded_here<detail::reseed_public>() || !detail::public_random_bytes(waiting.bytes))
                return unexpected(outage{"the random source failed"});
            waiting.left = waiting.bytes.size();
            waiting.drawn_by = process;
        }
        waiting.left -= to.size();
        const auto given = std::span(waiting.bytes).subspan(waiting.left, to.size());
        std::copy(given.begin(), given.end(), to.begin());
        return {};
    }

private:
    struct block {
        std::array<std::byte, 2048> bytes;
        std::size_t left = 0;
        std::uint64_t drawn_by = 0;
    };
};

namespace detail {

/// Both digits of each byte.
inline constexpr auto hex_pairs = [] {
    constexpr std::string_view digits = "0123456789abcdef";
    std::array<std::array<char, 2>, 256> pairs{};
    for (std::size_t i = 0; i != pairs.size(); ++i) pairs[i] = {digits[i >> 4], digits[i & 0x0F]};
    return pairs;
}();

} // namespace detail

/// A UUID as its 36 characters.
class uuid {
public:
    static constexpr std::size_t characters = 36;

    /// \param bytes  its bits, in the order of RFC 9562
    explicit uuid(std::span<const std::byte, 16> bytes) noexcept {
        char* to = text_.data();
        for (std::size_t i = 0; i != bytes.size(); ++i) {
            if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
            const auto& digits = detail::hex_pairs[std::to_integer<std::size_t>(bytes[i])];
            to = std::copy(digits.begin(), digits.end(), to);
        }
    }

    std::string_view text() const noexcept { return {text_.data(), text_.size()}; }

private:
    std::array<char, characters> text_;
};

/// Makes a random UUID, 122 random bits.
/// \par RFC 9562 5.4
template <random_source Source> result<uuid, outage> random_uuid(Source& source) {
    std::array<std::byte, 16> bytes;
    if (auto filled = source.fill(bytes); !filled) return unexpected(std::move(filled).error());
    bytes[6] = (bytes[6] & std::byte{0x0F}) | std::byte{0x40};
    bytes[8] = (bytes[8] & std::byte{0x3F}) | std::byte{0x80};
    return uuid(bytes);
}

} // namespace regrant::inline v0
