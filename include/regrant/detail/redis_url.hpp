// regrant/detail/redis_url.hpp - where a Redis server listens, written as a URL.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "../error.hpp"
#include "../result.hpp"
#include "../secret.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace regrant::inline v0::detail {

struct redis_address {
    std::string host;
    std::uint16_t port = 6379;

    /// As it stands in messages, which never show a user or a password.
    std::string text() const { return host + ':' + std::to_string(port); }
};

template <class Number> std::optional<Number> redis_number(std::string_view digits) noexcept {
    Number number{};
    const char* const end = digits.data() + digits.size();
    const auto [at, error] = std::from_chars(digits.data(), end, number);
    return error == std::errc() && at == end ? std::optional(number) : std::nullopt;
}

/// `redis://[user[:password]@]host[:port][/database]`, also `valkey://`.
struct redis_url {
    redis_address at;
    /// Without one the server's default user is meant.
    std::string user;
    std::optional<secret> password;
    std::uint16_t database = 0;

    /// \par Errors
    /// a text that is no such URL; the message repeats none of it, for it may hold a password
    static result<redis_url, setup_error> parse(std::string_view text) {
        const auto refuse = [](const char* why) {
            return unexpected(setup_error{std::string("the URL of the Redis server ") + why});
        };
        if (text.starts_with("rediss://") || text.starts_with("valkeys://"))
            return refuse("asks for TLS; let a tunnel on this machine, such as stunnel, do that");
        const std::size_t colon = text.find("://");
        const std::string_view scheme = text.substr(0, colon == text.npos ? 0 : colon);
        if (scheme == "redis+sentinel" || scheme == "sentinel")
            return refuse("names a Sentinel; the store needs the address of the primary");
        if (scheme == "unix" || scheme == "redis+unix" || scheme == "redis+socket" || text.starts_with('/'))
            return refuse("names a Unix socket; the store connects by TCP");
        if (scheme != "redis" && scheme != "valkey") return refuse("does not begin with redis:// or valkey://");
        text.remove_prefix(colon + 3);
        if (text.starts_with('/') && text.find_first_not_of("0123456789", 1) != text.npos)
            return refuse("has a path without a host; the store connects by TCP, to no Unix socket");
        if (text.find_first_of("?#") != text.npos) return refuse("has a query or a fragment");

        redis_url url;
        const std::size_t slash = text.find('/');
        if (slash != text.npos && slash + 1 != text.size()) {
            const auto database = redis_number<std::uint16_t>(text.substr(slash + 1));
            if (!database) return refuse("has a path that is no number of a database (0 to 65535)");
            url.database = *database;
        }
        text = text.substr(0, slash);
        if (const std::size_t at = text.rfind('@'); at != text.npos) {
            const std::string_view login = text.substr(0, at);
            const std::size_t divider = login.find(':');
            const auto user = decode(login.substr(0, divider));
            auto password = divider == login.npos ? std::optional(secret()) : decode(login.substr(divider + 1));
            if (!user || !password) return refuse("has a broken percent escape before the @");
            url.user = user->reveal();
            url.password = std::move(password);
            text.remove_prefix(at + 1);
        }
        std::size_t end = text.find(':');
        if (text.starts_with('[')) { // RFC 3986 3.2.2: an IPv6 address
            end = text.find(']');
            if (end == text.npos) return refuse("has a bracket that is not closed");
            url.at.host = text.substr(1, end - 1);
            ++end;
        } else {
            url.at.host = text.substr(0, end);
        }
        text.remove_prefix(end < text.size() ? end : text.size());
        if (url.at.host.empty() || url.at.host.find('\0') != url.at.host.npos) return refuse("names no host");
        if (!text.empty()) {
            const auto port = redis_number<std::uint16_t>(text.substr(1));
            if (!text.starts_with(':') || !port || *port == 0) return refuse("has a port that is no number from 1 to 65535");
            url.at.port = *port;
        }
        return url;
    }

private:
    static std::optional<secret> decode(std::string_view text) {
        secret decoded;
        decoded.reserve(text.size());
        for (std::size_t i = 0; i != text.size(); ++i) {
            if (text[i] != '%') {
                decoded.append(text.substr(i, 1));
                continue;
            }
            unsigned char byte = 0;
            const char* const digits = text.data() + i + 1;
            if (text.size() - i < 3 || std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2)
                return std::nullopt;
            const char c = static_cast<char>(byte);
            decoded.append({&c, 1});
            i += 2;
        }
        return decoded;
    }
};

} // namespace regrant::inline v0::detail
