// regrant/slow_hash.hpp - a hash that is dear to compute, for secrets that people choose.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/cpp20.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace regrant::inline v0 {

enum class slow_algorithm : std::uint8_t { scrypt, pbkdf2_sha256 };

/// What one computation costs. The bounds keep a registration from stalling the server, or from protecting nothing.
struct slow_cost {
    slow_algorithm algorithm = slow_algorithm::scrypt;
    /// scrypt: the binary logarithm of N, 14 to 17.
    std::uint32_t log2_n = 15;
    /// scrypt: 8 to 16; 128 * N * r bytes are taken, at most 128 MiB.
    std::uint32_t block_size = 8;
    /// scrypt: 1 to 8; N * r * p is at most 2^20, a third of a second or so.
    std::uint32_t parallelism = 1;
    /// PBKDF2-HMAC-SHA256: 100 000 to 2 000 000.
    std::uint32_t iterations = 600'000;

    static constexpr std::uint64_t most_scrypt_work = std::uint64_t{1} << 20;

    static constexpr slow_cost scrypt(std::uint32_t log2_n, std::uint32_t r, std::uint32_t p) noexcept {
        return {slow_algorithm::scrypt, log2_n, r, p, 0};
    }
    static constexpr slow_cost pbkdf2_sha256(std::uint32_t iterations) noexcept {
        return {slow_algorithm::pbkdf2_sha256, 0, 0, 0, iterations};
    }

    constexpr bool is_within_bounds() const noexcept {
        if (algorithm == slow_algorithm::pbkdf2_sha256) return iterations >= 100'000 && iterations <= 2'000'000;
        return log2_n >= 14 && log2_n <= 17 && block_size >= 8 && block_size <= 16 && parallelism >= 1 &&
               parallelism <= 8 && (std::uint64_t{1} << log2_n) * block_size <= most_scrypt_work &&
               (std::uint64_t{1} << log2_n) * block_size * parallelism <= most_scrypt_work;
    }
    constexpr bool operator==(const slow_cost&) const noexcept = default;
};

/// A slow hash as it is kept.
struct slow_hash {
    static constexpr std::size_t derived_bytes = 32;
    static constexpr std::size_t least_salt_bytes = 16;
    static constexpr std::size_t most_salt_bytes = 64;

    slow_cost cost{};
    std::array<std::byte, most_salt_bytes> salt_bytes{};
    std::size_t salt_size = 0;
    std::array<std::byte, derived_bytes> derived{};

    constexpr std::span<const std::byte> salt() const noexcept {
        return std::span(salt_bytes).first(salt_size <= most_salt_bytes ? salt_size : 0);
    }
};

} // namespace regrant::inline v0
