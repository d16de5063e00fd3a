// regrant/detail/peer_network.hpp - the network that one customer of a provider has, for a peer's address.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "cpp20.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace regrant::inline v0::detail {

/// Reads the groups of an IPv6 address (RFC 4291 2.2); the last two may be written as IPv4.
class ipv6_groups {
public:
    static std::optional<std::array<std::uint16_t, 8>> parse(std::string_view text) noexcept {
        const std::size_t gap = text.find("::");
        if (gap == std::string_view::npos) {
            ipv6_groups all;
            if (!all.read(text) || all.count_ != 8) return std::nullopt;
            return all.groups_;
        }
        ipv6_groups head, tail;
        if (!head.read(text.substr(0, gap)) || !tail.read(text.substr(gap + 2))) return std::nullopt;
        if (head.count_ + tail.count_ > 7) return std::nullopt;
        for (std::size_t i = 0; i != tail.count_; ++i) head.groups_[8 - tail.count_ + i] = tail.groups_[i];
        return head.groups_;
    }

private:
    bool read(std::string_view text) noexcept {
        while (!text.empty()) {
            const std::string_view piece = text.substr(0, text.find(':'));
            const bool is_last = piece.size() == text.size();
            if (is_last && piece.find('.') != std::string_view::npos) return read_ipv4(piece);
            unsigned value = 0;
            if (piece.size() > 4 || !read_number(piece, 16, value) || !add(value)) return false;
            if (is_last) return true;
            text.remove_prefix(piece.size() + 1);
            if (text.empty()) return false;
        }
        return true;
    }

    bool read_ipv4(std::string_view text) noexcept {
        unsigned bytes[4];
        for (std::size_t i = 0; i != 4; ++i) {
            const std::string_view piece = text.substr(0, text.find('.'));
            if ((piece.size() == text.size()) != (i == 3)) return false;
            if (!read_number(piece, 10, bytes[i]) || bytes[i] > 255) return false;
            if (i != 3) text.remove_prefix(piece.size() + 1);
        }
        return add(bytes[0] * 256 + bytes[1]) && add(bytes[2] * 256 + bytes[3]);
    }

    static bool read_number(std::string_view text, int base, unsigned& value) noexcept {
        const char* end = text.data() + text.size();
        const auto read = std::from_chars(text.data(), end, value, base);
        return !text.empty() && read.ec == std::errc() && read.ptr == end;
    }

    bool add(unsigned group) noexcept {
        if (count_ == groups_.size()) return false;
        groups_[count_++] = static_cast<std::uint16_t>(group);
        return true;
    }

    std::array<std::uint16_t, 8> groups_{};
    std::size_t count_ = 0;
};

/// IPv4-mapped IPv6: an IPv4 peer on a socket of both families (RFC 4291 2.5.5.2).
inline bool is_ipv4_mapped(const std::array<std::uint16_t, 8>& groups) noexcept {
    constexpr std::array<std::uint16_t, 6> prefix{0, 0, 0, 0, 0, 0xFFFF};
    return std::equal(prefix.begin(), prefix.end(), groups.begin());
}

/// An IPv4 address of two groups of IPv6.
inline std::string ipv4_text(std::uint16_t high, std::uint16_t low) {
    return std::to_string(high >> 8) + '.' + std::to_string(high & 0xFF) + '.' + std::to_string(low >> 8) + '.' +
           std::to_string(low & 0xFF);
}

/// The network whose failures count together for an address: an IPv4 address is one customer, and so is a /64 of IPv6
/// (RFC 6177). Other text counts as it is.
///
/// An IPv6 address that stands for an IPv4 address counts as that: IPv4-mapped (RFC 4291 2.5.5.2), translated
/// (RFC 2765 2.1), of NAT64's well-known prefix (RFC 6052 2.1), 6to4 (RFC 3056 2). Its /64 would be shared by all of
/// IPv4, or would give each IPv4 address 65,536 counts. In NAT64's local-use prefix (RFC 8215) every network chooses
/// where the IPv4 address stands, so such an address counts whole.
inline std::string peer_network(std::string_view address) {
    if (address.find(':') == std::string_view::npos) return std::string(address);
    const auto groups = ipv6_groups::parse(address.substr(0, address.find('%')));
    if (!groups) return std::string(address);
    const auto& group = *groups;
    const auto starts_with = [&](std::initializer_list<std::uint16_t> prefix) {
        return std::equal(prefix.begin(), prefix.end(), group.begin());
    };
    if (is_ipv4_mapped(group) || starts_with({0, 0, 0, 0, 0xFFFF, 0}) || starts_with({0x64, 0xFF9B, 0, 0, 0, 0}))
        return ipv4_text(group[6], group[7]);
    if (starts_with({0x2002})) return ipv4_text(group[1], group[2]);
    const std::size_t counted = starts_with({0x64, 0xFF9B, 1}) ? 8 : 4;
    std::string network;
    for (std::size_t i = 0; i != counted; ++i) network += std::to_string(group[i]) + ':';
    return network;
}

} // namespace regrant::inline v0::detail
