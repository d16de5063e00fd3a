// regrant/lineage.hpp - the line of refresh tokens that descends from one login.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "result.hpp"
#include "secret.hpp"

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace regrant::inline v0 {

/// The number of a token in its family; a rotation moves on by one. Order is decided by it, never by time.
enum class generation : std::uint32_t {};

inline constexpr generation first_generation{0};
inline constexpr generation last_generation{0xFFFF'FFFF};

/// How many generations lie between two, `from <= to`.
constexpr std::uint32_t distance(generation from, generation to) noexcept {
    return static_cast<std::uint32_t>(to) - static_cast<std::uint32_t>(from);
}

/// The generation after this one.
/// \pre from != last_generation
constexpr generation next(generation from) noexcept { return generation{static_cast<std::uint32_t>(from) + 1}; }

/// What all tokens of one login have in common: 16 random bytes that stand in tokens alone.
///
/// The store knows their SHA-256 only, so that a dump of the store yields no token, not even together with the token
/// key (R36). Treated as a secret: wiped, neither printed nor compared.
class family_id {
public:
    static constexpr std::size_t size_bytes = 16;

    explicit family_id(std::span<const std::byte, size_bytes> bytes) noexcept {
        std::memcpy(bytes_.data(), bytes.data(), size_bytes);
    }
    family_id(const family_id&) noexcept = default;
    family_id& operator=(const family_id&) noexcept = default;
    ~family_id() { wipe(bytes_.data(), bytes_.size()); }

    std::span<const std::byte, size_bytes> bytes() const noexcept { return bytes_; }

private:
    std::array<std::byte, size_bytes> bytes_;
};

/// What a refresh token says: whose line it is of, and which one in that line.
struct lineage {
    family_id family;
    regrant::generation generation;
};

/// Where the store keeps a family's one row: SHA-256(family).
struct row_key {
    std::array<std::byte, 32> bytes{};

    // The default one looks at byte after byte.
    friend bool operator==(const row_key& one, const row_key& other) noexcept {
        return std::memcmp(one.bytes.data(), other.bytes.data(), one.bytes.size()) == 0;
    }
    friend std::strong_ordering operator<=>(const row_key& one, const row_key& other) noexcept {
        return std::memcmp(one.bytes.data(), other.bytes.data(), one.bytes.size()) <=> 0;
    }
};

/// A refresh token whose seal was found good.
struct opened_token {
    regrant::lineage lineage;
    row_key key;
};

/// Why a text opens to nothing.
enum class unopened : std::uint8_t {
    /// This server never issued it.
    not_ours,
    /// It is formed like a token, by a key that is not in the ring. It may be forged, or the key may be lost.
    key_unknown,
};

using token_opening = result<opened_token, unopened>;

} // namespace regrant::inline v0
