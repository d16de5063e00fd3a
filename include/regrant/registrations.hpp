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
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

namespace detail {

/// Reads one registration; the first fault ends it.
class registration_reader {
public:
    explicit registration_reader(const json_value& object) noexcept : object_(object) {}

    result<client, setup_error> read() {
        if (!object_.is<regrant_picojson::object>()) return unexpected(setup_error{"a client is not a JSON object"});
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
        if (!fault_) fault_ = setup_error{"client \"" + id_ + "\": " + std::string(what)};
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
            registration_reader one(found);
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
/// Other members are metadata for somebody else, and are passed over (RFC 7591 2).
/// \par Errors
/// text that is not one JSON array; a registration that makes no sense, by its client's name
inline result<std::vector<client>, setup_error> parse_registrations(std::string_view json) {
    auto parsed = detail::parse_json(json).value_or(detail::json_value());
    const detail::wipes_texts when_read(parsed);
    if (!parsed.is<regrant_picojson::array>())
        return unexpected(setup_error{"the registrations are not one JSON array, or have a member twice"});
    std::vector<client> clients;
    for (const detail::json_value& each : parsed.get<regrant_picojson::array>()) {
        auto made = detail::registration_reader(each).read();
        if (!made) return unexpected(std::move(made).error());
        clients.push_back(std::move(*made));
    }
    return clients;
}

} // namespace regrant::inline v0
