// regrant/trusted_proxies.hpp - the client's address behind reverse proxies, taken from proxies that are trusted.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/ascii.hpp"
#include "detail/peer_network.hpp"
#include "error.hpp"
#include "http_request.hpp"
#include "result.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

namespace detail {

/// Reads an IPv4 or IPv6 address, without a port. An IPv4 address reads as IPv4-mapped IPv6 (RFC 4291 2.5.5.2).
inline std::optional<std::array<std::uint16_t, 8>> parse_address(std::string_view text) {
    if (text.find(':') != text.npos) return ipv6_groups::parse(text.substr(0, text.find('%')));
    if (text.find('.') == text.npos) return std::nullopt;
    return ipv6_groups::parse("::ffff:" + std::string(text));
}

/// Takes the address out of `192.0.2.7:80`, `"[2001:db8::7]:80"`, `[2001:db8::7]` or a bare address.
constexpr std::string_view without_port(std::string_view node) noexcept {
    node = trim_blanks(node);
    if (node.size() > 1 && node.starts_with('"') && node.ends_with('"')) node = node.substr(1, node.size() - 2);
    if (node.starts_with('[')) return node.substr(1, node.find(']') - 1);
    const std::size_t colon = node.find(':');
    // Two colons are an IPv6 address without brackets, which has no port.
    return colon != node.npos && node.find(':', colon + 1) == node.npos ? node.substr(0, colon) : node;
}

/// The `for` parameter of an element of Forwarded.
/// \par RFC 7239 4: forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] )
constexpr std::string_view forwarded_for(std::string_view element) noexcept {
    while (!element.empty()) {
        const std::string_view pair = trim_blanks(element.substr(0, element.find(';')));
        element.remove_prefix((std::min)(element.size(), element.find(';')));
        element.remove_prefix(element.empty() ? 0 : 1);
        if (pair.size() > 4 && equal_but_case(pair.substr(0, 4), "for=")) return pair.substr(4);
    }
    return {};
}

} // namespace detail

/// The header in which the proxies in front of a server tell who called them.
enum class forwarded_header : std::uint8_t {
    /// Every common proxy can send it. Each proxy adds the address of its own caller at the end.
    x_forwarded_for,
    /// RFC 7239.
    forwarded,
};

/// The proxies whose word about their callers is taken. Nobody is trusted by default.
///
///     auto proxies = regrant::trusted_proxies::parse("10.0.0.0/8, ::1");
///     settings.proxies = *std::move(proxies);
///
/// The proxies must add to the chosen header or overwrite it. The other header is ignored: a proxy passes on what its
/// caller wrote there.
class trusted_proxies {
public:
    trusted_proxies() = default;

    /// \param networks  addresses or networks in CIDR notation, IPv4 or IPv6, separated by commas or blanks
    /// \par Errors
    /// names the first item that is no network
    static result<trusted_proxies, setup_error> parse(std::string_view networks,
                                                      forwarded_header told_in = forwarded_header::x_forwarded_for) {
        trusted_proxies made;
        made.told_in_ = told_in;
        while (!networks.empty()) {
            const std::size_t size = (std::min)(networks.find_first_of(", \t"), networks.size());
            const std::string_view item = networks.substr(0, size);
            networks.remove_prefix((std::min)(size + 1, networks.size()));
            if (item.empty()) continue;
            const auto one = read(item);
            if (!one)
                return unexpected(setup_error{"trusted proxies: \"" + std::string(item) +
                                              "\" is no address or network, such as 10.0.0.0/8 or 2001:db8::/32"});
            made.networks_.push_back(*one);
        }
        return made;
    }

    bool empty() const noexcept { return networks_.empty(); }

    /// Whether an address belongs to one of the networks.
    bool trusts(std::string_view address) const {
        const auto groups = detail::parse_address(address);
        return groups && std::any_of(networks_.begin(), networks_.end(),
                                     [&](const network& each) { return each.has(*groups); });
    }

    /// The address of the client that sent a request: the last hop that is not a trusted proxy.
    ///
    /// This is `request.peer` if that is no trusted proxy. Otherwise it is the rightmost address in the header that is
    /// no trusted proxy; what stands to its left was written by strangers. If that item is no address, the proxy that
    /// reported it counts as the client. An IPv4-mapped IPv6 address is returned as IPv4.
    std::string client_of(const http_request& request) const {
        std::string client = request.peer;
        std::string_view hops =
            told_in_ == forwarded_header::forwarded ? request.forwarded : request.x_forwarded_for;
        if (hops.empty() || !trusts(client)) return unmapped(std::move(client));
        std::vector<std::string_view> items = items_of(hops);
        for (; !items.empty() && trusts(client); items.pop_back()) {
            std::string_view hop = items.back();
            if (told_in_ == forwarded_header::forwarded) hop = detail::forwarded_for(hop);
            hop = detail::without_port(hop);
            if (!detail::parse_address(hop)) break;
            client = hop;
        }
        return unmapped(std::move(client));
    }

private:
    struct network {
        std::array<std::uint16_t, 8> groups;
        unsigned bits;

        bool has(const std::array<std::uint16_t, 8>& other) const noexcept {
            for (unsigned i = 0; i * 16 < bits; ++i) {
                const unsigned left = bits - i * 16, shift = left < 16 ? 16 - left : 0;
                if ((groups[i] ^ other[i]) >> shift != 0) return false;
            }
            return true;
        }
    };

    static std::optional<network> read(std::string_view item) {
        const std::size_t slash = item.find('/');
        const std::string_view address = item.substr(0, slash);
        const auto groups = detail::parse_address(address);
        if (!groups) return std::nullopt;
        const unsigned most = address.find(':') == address.npos ? 32 : 128;
        unsigned bits = most;
        if (slash != item.npos) {
            const std::string_view number = item.substr(slash + 1);
            const auto got = std::from_chars(number.data(), number.data() + number.size(), bits);
            if (number.empty() || got.ec != std::errc() || got.ptr != number.data() + number.size() || bits > most)
                return std::nullopt;
        }
        return network{*groups, bits + 128 - most};
    }

    enum class quotes : std::uint8_t { read, ignored };

    /// The items between the commas outside of quotes (RFC 9110 5.6.4). Reads the list at most twice: a stranger writes
    /// it, up to the length of a head.
    static std::vector<std::string_view> items_of(std::string_view list, quotes mode = quotes::read) {
        std::vector<std::string_view> items;
        std::size_t begin = 0;
        bool is_quoted = false;
        for (std::size_t i = 0; i != list.size(); ++i) {
            if (is_quoted && list[i] == '\\' && i + 1 != list.size()) {
                ++i;
            } else if (list[i] == '"') {
                is_quoted = !is_quoted && mode == quotes::read;
            } else if (list[i] == ',' && !is_quoted) {
                items.push_back(list.substr(begin, i - begin));
                begin = i + 1;
            }
        }
        // A stranger's open quote must not hide what a proxy has added behind it.
        if (is_quoted) return items_of(list, quotes::ignored);
        items.push_back(list.substr(begin));
        return items;
    }

    static std::string unmapped(std::string address) {
        const auto groups = address.find(':') == address.npos ? std::nullopt : detail::parse_address(address);
        if (!groups) return address;
        return detail::is_ipv4_mapped(*groups) ? detail::ipv4_text((*groups)[6], (*groups)[7]) : address;
    }

    std::vector<network> networks_{};
    forwarded_header told_in_ = forwarded_header::x_forwarded_for;
};

} // namespace regrant::inline v0
