// regrant/extra_claims.hpp - what a host adds to the claims of its tokens.
// floor 2
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/utf8.hpp"
#include "json_writer.hpp"

#include <algorithm>
#include <array>
#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

/// A claim of the host's own: a name with its value as JSON.
///
///     regrant::extra_claim role("role", "editor");
///
/// Name and value are UTF-8 (RFC 7519 7.1); the issuer refuses a claim that is not.
class extra_claim {
public:
    extra_claim(std::string_view name, std::string_view text) : name_(name), is_utf8_(detail::is_utf8(text)) {
        json_writer(json_).value(text);
    }
    /// A number, or `true` or `false`.
    template <std::integral Value> extra_claim(std::string_view name, Value value) : name_(name) {
        json_writer(json_).value(value);
    }

    /// \pre json is one JSON value; `parse_claim` checks text that is not known to be
    static extra_claim from_json(std::string_view name, std::string json) {
        extra_claim made(name, false);
        made.is_utf8_ = detail::is_utf8(json);
        made.json_ = std::move(json);
        return made;
    }

    const std::string& name() const noexcept { return name_; }
    const std::string& json() const noexcept { return json_; }
    /// Whether name and value were given as UTF-8.
    bool is_utf8() const noexcept { return is_utf8_ && detail::is_utf8(name_); }

private:
    std::string name_;
    std::string json_{};
    bool is_utf8_ = true;
};

/// What a claims hook adds, in the order given, behind the claims of the profile.
struct extra_claims {
    std::vector<extra_claim> access_token{};
    std::vector<extra_claim> id_token{};
};

/// Whether a claim is the profile's to write: an extra one cannot take its place (R98).
///
/// Optional registered claims such as `acr`, `amr` or `email` are the host's.
constexpr bool is_reserved_claim(std::string_view name) noexcept {
    constexpr std::array<std::string_view, 16> reserved{
        "iss",   "sub", "aud",       "exp",     "nbf",    "iat", "jti", "scope", "client_id",
        "nonce", "azp", "auth_time", "at_hash", "c_hash", "cnf", "act"};
    return std::find(reserved.begin(), reserved.end(), name) != reserved.end();
}

} // namespace regrant::inline v0
