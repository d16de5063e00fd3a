// regrant/registrations.hpp - clients from a JSON array of RFC 7591 metadata.
// floor 4
// SPDX-License-Identifier: MIT
#pragma once

#include "client.hpp"
#include "client_policy.hpp"
#include "clock.hpp"
#include "detail/json.hpp"
#include "error.hpp"
#include "hash_client_secret.hpp"
#include "parse_secret_hash.hpp"
#include "result.hpp"
#include "scope.hpp"
#include "secret.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

namespace detail {

/// Reads the array, or says where the text stops being one.
inline result<json_value, setup_error> read_registration_array(std::string_view json) {
    // A byte order mark, which some editors write.
    if (json.starts_with("\xEF\xBB\xBF")) json.remove_prefix(3);
    auto parsed = read_json(json);
    if (!parsed)
        return unexpected(setup_error{json_position(json, parsed.error().at) + ": " + parsed.error().what +
                                      " (expected one JSON array of registrations)"});
    if (parsed->is<regrant_picojson::array>()) return *std::move(parsed);
    const wipe_on_exit guard(*parsed);
    std::string found = "found a single value";
    if (parsed->is<regrant_picojson::object>()) {
        const auto& members = parsed->get<regrant_picojson::object>();
        found = members.count("client_id") != 0 ? "found one registration; put it in brackets, [ ]"
                                                : "found an object; take the array out of it";
    }
    return unexpected(setup_error{"expected one JSON array of registrations, but " + found});
}

/// Whether a text has the form of a password hash: its own form (`$2b$...`), that of a directory (`{SSHA}...`), or
/// Django's (`pbkdf2_sha256$...`). Somebody would otherwise wonder why the secret that it was made of is refused.
inline bool looks_like_hash(std::string_view text) {
    constexpr std::string_view crypt[] = {"$1$",     "$2$",     "$2a$",     "$2b$",       "$2x$",    "$2y$",
                                          "$5$",     "$6$",     "$7$",      "$y$",        "$gy$",    "$sha1$",
                                          "$argon2", "$scrypt", "$pbkdf2",  "$sha256$",   "$bcrypt", "pbkdf2_sha",
                                          "argon2$", "scrypt$", "bcrypt$$", "bcrypt_sha", "{"};
    for (const std::string_view start : crypt) {
        if (!text.starts_with(start)) continue;
        // A directory's scheme is a word in braces.
        if (start != "{") return true;
        const std::size_t end = text.find('}');
        return end != text.npos && end > 1 && text.size() > end + 1 &&
               text.substr(1, end - 1).find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-@.") ==
                   text.npos;
    }
    return false;
}

/// Reads one registration; the first fault ends it.
class registration_reader {
public:
    /// \param place  in the array, from 1: what names a client that has no client_id
    registration_reader(const json_value& object, std::size_t place) noexcept : object_(object), place_(place) {}

    result<client, setup_error> read() {
        if (!object_.is<regrant_picojson::object>()) {
            fail("expected a JSON object");
            return unexpected(std::move(*fault_));
        }
        id_ = text("client_id", "");
        if (id_.empty() && !fault_) fail("client_id is missing or empty");
        const auto method = read_method();
        const auto rotates = truth("rotate", true) ? rotation::rotate : rotation::echo;
        const auto rules = client_policy::checked(method, rotates);
        if (!rules) fail("a public client (token_endpoint_auth_method none) must rotate: RFC 9700 2.2.2");
        if (fault_) return unexpected(std::move(*fault_));

        client made{id_, *rules};
        made.scope = read_scope();
        made.secrets = read_secrets();
        made.grant_types = texts("grant_types", {"refresh_token"});
        made.allowed_origins = texts("allowed_origins", {});
        made.audience = text("audience", "");
        if (truth("lenient_basic", false)) made.decoding = basic_decoding::lenient;
        if (const auto seconds = number("not_before"))
            made.not_before = instant(std::chrono::seconds(*seconds));
        if (!fault_) fault_ = fault_of(made);
        if (fault_) return unexpected(std::move(*fault_));
        return made;
    }

private:
    void fail(std::string_view what) {
        if (fault_) return;
        const std::string whose =
            id_.empty() ? "registration " + std::to_string(place_) : "client \"" + id_ + '"';
        fault_ = setup_error{whose + ": " + std::string(what)};
    }

    const json_value* member(const char* name) const {
        const auto& members = object_.get<regrant_picojson::object>();
        const auto found = members.find(name);
        return found == members.end() ? nullptr : &found->second;
    }

    std::string text(const char* name, const char* otherwise) {
        const json_value* found = member(name);
        if (found == nullptr) return otherwise;
        if (found->is<std::string>()) return found->get<std::string>();
        fail(std::string(name) + " is not a string");
        return {};
    }

    bool truth(const char* name, bool otherwise) {
        const json_value* found = member(name);
        if (found == nullptr) return otherwise;
        if (found->is<bool>()) return found->get<bool>();
        fail(std::string(name) + " is neither true nor false");
        return otherwise;
    }

    /// Whole seconds since 1970.
    std::optional<std::int64_t> number(const char* name) {
        // The year 9999: beyond it a sum with a lifetime could not be counted.
        constexpr std::int64_t latest = 253402300799;
        const json_value* found = member(name);
        if (found == nullptr) return std::nullopt;
        if (found->is<std::int64_t>()) {
            const std::int64_t seconds = found->get<std::int64_t>();
            if (seconds >= 0 && seconds <= latest) return seconds;
        }
        fail(std::string(name) + " is not a number of whole seconds since 1970");
        return std::nullopt;
    }

    std::vector<std::string> texts(const char* name, std::vector<std::string> otherwise) {
        const json_value* found = member(name);
        if (found == nullptr) return otherwise;
        std::vector<std::string> values;
        if (found->is<regrant_picojson::array>()) {
            for (const json_value& each : found->get<regrant_picojson::array>()) {
                if (each.is<std::string>()) values.push_back(each.get<std::string>());
                else fail(std::string(name) + " holds something that is no string");
            }
        } else {
            fail(std::string(name) + " is not an array of strings");
        }
        return values;
    }

    auth_method read_method() {
        // RFC 7591 2: "If unspecified or omitted, the default is "client_secret_basic""
        const std::string name = text("token_endpoint_auth_method", "client_secret_basic");
        for (const auto method : {auth_method::client_secret_basic, auth_method::client_secret_post, auth_method::none})
            if (name == to_string(method)) return method;
        fail("token_endpoint_auth_method must be client_secret_post, client_secret_basic or none");
        return auth_method::client_secret_basic;
    }

    scope read_scope() {
        auto parsed = scope::parse(text("scope", ""));
        if (!parsed) fail("scope is missing, or not words with one space between two");
        return parsed.value_or(scope());
    }

    std::vector<client_secret> read_secrets() {
        std::vector<client_secret> secrets;
        for (const char* name : {"client_secret", "client_secret_hash"}) read_secrets(name, secrets);
        return secrets;
    }

    void read_secrets(const char* name, std::vector<client_secret>& secrets) {
        const json_value* found = member(name);
        if (found == nullptr) return;
        if (found->is<regrant_picojson::array>())
            for (const json_value& each : found->get<regrant_picojson::array>()) add_secret(name, secrets, each);
        else add_secret(name, secrets, *found);
    }

    /// A string, or `{"secret": ..., "expires_at": ...}` for one of two that expire at different times.
    void add_secret(const char* name, std::vector<client_secret>& to, const json_value& found) {
        if (found.is<regrant_picojson::object>()) {
            registration_reader one(found, place_);
            one.id_ = id_;
            const std::string_view inner = std::string_view(name) == "client_secret" ? "secret" : "hash";
            if (const json_value* text = one.member(inner.data())) {
                const auto own = one.number("expires_at");
                add_secret(name, to, *text, own ? own : number("client_secret_expires_at"));
            }
            else fail(std::string(name) + " holds an object without " + std::string(inner));
            if (one.fault_) fault_ = one.fault_;
        } else {
            // RFC 7591 3.2.1: "Time at which the client secret will expire or 0 if it will not expire"
            add_secret(name, to, found, number("client_secret_expires_at"));
        }
    }

    void add_secret(const char* name, std::vector<client_secret>& to, const json_value& found,
                    std::optional<std::int64_t> expiry) {
        if (!found.is<std::string>() || found.get<std::string>().empty())
            return fail(std::string(name) + " is empty, or neither a string nor an array of them");
        client_secret made;
        if (std::string_view(name) == "client_secret") {
            if (looks_like_hash(found.get<std::string>()))
                return fail("client_secret looks like the hash of a secret; a hash belongs into client_secret_hash");
            auto hashed = hash_client_secret(found.get<std::string>());
            if (!hashed) return fail("client_secret could not be hashed");
            made.hash = *std::move(hashed);
        } else {
            auto parsed = parse_secret_hash(found.get<std::string>());
            if (!parsed) return fail("client_secret_hash: " + parsed.error().message);
            made.hash = *std::move(parsed);
        }
        if (expiry && *expiry != 0) made.expires_at = instant(std::chrono::seconds(*expiry));
        to.push_back(std::move(made));
    }

    const json_value& object_;
    std::size_t place_;
    std::string id_;
    std::optional<setup_error> fault_;
};

} // namespace detail

/// Reads registrations: an array of objects with `client_id`, `client_secret` (a string, or an array of two while
/// rolling over, each a string or `{"secret": ..., "expires_at": ...}`), `client_secret_expires_at`,
/// `token_endpoint_auth_method`, `scope`, `grant_types`, and of regrant's own `rotate`, `allowed_origins`, `audience`,
/// `not_before` (seconds since 1970), `lenient_basic`, and `client_secret_hash`: as `client_secret`, but hashed already
/// (`parse_secret_hash`; in an object `hash` instead of `secret`), so that the file holds no secret.
///
/// Required are `client_id`, `scope`, and one of `client_secret` and `client_secret_hash` unless the method is `none`,
/// which has neither. `token_endpoint_auth_method` is `client_secret_basic` when omitted, so a client that sends its
/// secret in the body says `client_secret_post`; `grant_types` is `["refresh_token"]`, `rotate` is true.
///
/// Other members are metadata for somebody else, and are passed over (RFC 7591 2); `unknown_members` tells misspelled
/// ones.
/// \par Errors
/// text that is not one JSON array, with line and column; a registration that makes no sense, by its client's name or its
/// place in the array. No message holds a secret
inline result<std::vector<client>, setup_error> parse_registrations(std::string_view json) {
    auto parsed = detail::read_registration_array(json);
    if (!parsed) return unexpected(std::move(parsed).error());
    const detail::wipe_on_exit guard(*parsed);
    std::vector<client> clients;
    std::size_t place = 0;
    for (const detail::json_value& each : parsed->get<regrant_picojson::array>()) {
        auto made = detail::registration_reader(each, ++place).read();
        if (!made) return unexpected(std::move(made).error());
        clients.push_back(std::move(*made));
    }
    return clients;
}

} // namespace regrant::inline v0
