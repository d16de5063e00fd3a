// regrant/detail/redis_url.hpp - where a Redis server listens, written as a URL.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "../error.hpp"
#include "../result.hpp"
#include "../secret.hpp"

#include <sys/un.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace regrant::inline v0::detail {

struct redis_address {
    enum class kind : std::uint8_t { tcp, local_socket, master };

    /// A name or a number; the path of a Unix socket; the name of a master, which Sentinels find.
    std::string host;
    /// Used with `tcp` alone.
    std::uint16_t port = 6379;
    kind how = kind::tcp;

    friend bool operator==(const redis_address&, const redis_address&) = default;

    /// As it stands in messages, which never show a user or a password.
    std::string text() const {
        if (how == kind::tcp) return host + ':' + std::to_string(port);
        return how == kind::master ? "master " + host : host;
    }
};

template <class Number>
std::optional<Number> redis_number(std::string_view digits) noexcept {
    Number number{};
    const char* const end = digits.data() + digits.size();
    const auto [at, error] = std::from_chars(digits.data(), end, number);
    return error == std::errc() && at == end ? std::optional(number) : std::nullopt;
}

/// One of
/// - `redis://[user[:password]@]host[:port][/database]`, `rediss://` for TLS,
/// - `unix://[user:password@]/path[?db=database]`, also `redis+unix://` and `redis+socket://`,
/// - `redis+sentinel://[user:password@]host[:port],.../master[/database]`, `rediss+sentinel://` for TLS.
///
/// `valkey` may stand for `redis` in all of them.
struct redis_url {
    redis_address at;
    /// Whom to ask for the address of the master, if `at` is one.
    std::vector<redis_address> sentinels{};
    /// Without one the server's default user is meant.
    std::string user{};
    std::optional<secret> password{};
    std::uint16_t database = 0;
    bool has_tls = false;

    /// \par Errors
    /// a text that is no such URL; the message says which part is wrong and repeats none of it, for it may hold a
    /// password
    static result<redis_url, setup_error> parse(std::string_view text) {
        const std::size_t colon = text.find("://");
        const auto form = form_of(text.substr(0, colon == text.npos ? 0 : colon));
        if (!form)
            return refuse(text.starts_with('/') ? "is the path of a Unix socket; write unix:// before it"
                                                : "does not begin with redis://, rediss://, unix://, "
                                                  "redis+sentinel:// or rediss+sentinel://");
        text.remove_prefix(colon + 3);
        redis_url url;
        url.at.how = form->how;
        url.has_tls = form->has_tls;
        if (text.find('#') != text.npos) return refuse("has a fragment; a # in a user or password is written %23");
        if (const std::size_t query = text.find('?'); query != text.npos) {
            const auto database = number_of_database(text.substr(query + 1), "db=");
            if (form->how != redis_address::kind::local_socket)
                return refuse("has a query; the database is written as a path: /3 (a ? in a password is written %3F)");
            if (!database) return refuse("has a query that is not ?db= with the number of a database (0 to 65535)");
            url.database = *database;
            text = text.substr(0, query);
        }
        const std::size_t slash = text.find('/');
        std::string_view authority = text.substr(0, slash);
        const std::string_view path = text.substr(authority.size());
        if (form->how != redis_address::kind::local_socket && path.find('@') != path.npos)
            return refuse("has a / before its @; in a user or password it is written %2F");
        if (const std::size_t end = authority.rfind('@'); end != authority.npos) {
            const std::string_view login = authority.substr(0, end);
            const std::size_t divider = login.find(':');
            const auto user = decode(login.substr(0, divider));
            auto password = divider == login.npos ? std::optional(secret()) : decode(login.substr(divider + 1));
            if (!user || !password) return refuse("has a broken percent escape before its @");
            url.user = user->reveal();
            url.password = std::move(password);
            authority.remove_prefix(end + 1);
        }
        const char* wrong = nullptr;
        if (form->how == redis_address::kind::tcp)
            wrong = url.read_server(authority, path);
        else if (form->how == redis_address::kind::master)
            wrong = url.read_sentinels(authority, path);
        else
            wrong = url.read_socket(authority, path);
        if (wrong != nullptr) return refuse(wrong);
        return url;
    }

private:
    static constexpr std::uint16_t sentinel_port = 26379;

    struct url_form {
        redis_address::kind how;
        bool has_tls;
    };

    static unexpected<setup_error> refuse(const char* why) {
        return unexpected(setup_error{std::string("the URL of the Redis server ") + why});
    }

    static std::optional<url_form> form_of(std::string_view scheme) {
        using enum redis_address::kind;
        if (scheme == "unix") return url_form{local_socket, false};
        if (scheme.starts_with("valkey"))
            scheme.remove_prefix(6);
        else if (scheme.starts_with("redis"))
            scheme.remove_prefix(5);
        else
            return std::nullopt;
        if (scheme.empty() || scheme == "s") return url_form{tcp, scheme == "s"};
        if (scheme == "+unix" || scheme == "+socket") return url_form{local_socket, false};
        if (scheme == "+sentinel" || scheme == "s+sentinel") return url_form{master, scheme[0] == 's'};
        return std::nullopt;
    }

    static std::optional<std::uint16_t> number_of_database(std::string_view text, std::string_view before) {
        if (!text.starts_with(before)) return std::nullopt;
        return redis_number<std::uint16_t>(text.substr(before.size()));
    }

    // Each of these returns what is wrong, or null.

    const char* read_server(std::string_view authority, std::string_view path) {
        if (authority.empty() && path.size() > 1 && !number_of_database(path, "/"))
            return "has a path without a host; that of a Unix socket is written unix:///path";
        if (authority.find(',') != authority.npos) return "has a list of hosts, which only redis+sentinel:// takes";
        if (path.size() > 1) {
            const auto number = number_of_database(path, "/");
            if (!number) return "has a path that is not the number of a database (0 to 65535)";
            database = *number;
        }
        return read_address(authority, at);
    }

    const char* read_sentinels(std::string_view authority, std::string_view path) {
        for (bool is_last = false; !is_last;) {
            const std::size_t comma = authority.find(',');
            is_last = comma == authority.npos;
            sentinels.push_back({{}, sentinel_port});
            if (const char* const wrong = read_address(authority.substr(0, comma), sentinels.back())) return wrong;
            if (!is_last) authority.remove_prefix(comma + 1);
        }
        if (!path.empty()) path.remove_prefix(1);
        const std::size_t slash = path.find('/');
        const auto name = decode(path.substr(0, slash));
        if (!name) return "has a broken percent escape in the name of the master";
        if (name->empty()) return "names no master: redis+sentinel://host:26379/MASTER";
        at.host = name->reveal();
        if (slash != path.npos && slash + 1 != path.size()) {
            const auto number = number_of_database(path.substr(slash), "/");
            if (!number) return "has behind the master something that is not the number of a database (0 to 65535)";
            database = *number;
        }
        return nullptr;
    }

    const char* read_socket(std::string_view authority, std::string_view path) {
        if (!authority.empty()) return "has a host before the path of a Unix socket; write unix:///path";
        const auto decoded = decode(path);
        if (!decoded) return "has a broken percent escape in the path of the Unix socket";
        if (path.size() < 2 || decoded->reveal().find('\0') != path.npos) return "has no path of a Unix socket";
        // The last byte is for a zero.
        if (decoded->size() >= sizeof sockaddr_un{}.sun_path) return "has a path that is too long for a Unix socket";
        at.host = decoded->reveal();
        at.port = 0;
        return nullptr;
    }

    static const char* read_address(std::string_view text, redis_address& to) {
        std::size_t end = text.find(':');
        if (text.starts_with('[')) { // RFC 3986 3.2.2: an IPv6 address
            end = text.find(']');
            if (end == text.npos) return "has a bracket that is not closed";
            to.host = text.substr(1, end - 1);
            ++end;
        } else {
            to.host = text.substr(0, end);
            if (to.host.find('%') != to.host.npos) return "has a percent escape in its host";
        }
        text.remove_prefix(end < text.size() ? end : text.size());
        if (to.host.empty() || to.host.find('\0') != to.host.npos) return "names no host";
        if (text.empty()) return nullptr;
        const auto port = redis_number<std::uint16_t>(text.substr(1));
        if (!text.starts_with(':') || !port || *port == 0) return "has a port that is no number from 1 to 65535";
        to.port = *port;
        return nullptr;
    }

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
