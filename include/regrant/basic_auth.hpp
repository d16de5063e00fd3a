// regrant/basic_auth.hpp - client credentials out of an Authorization header.
// floor 2
// SPDX-License-Identifier: MIT
#pragma once

#include "base64.hpp"
#include "detail/ascii.hpp"
#include "error.hpp"
#include "form.hpp"
#include "result.hpp"
#include "secret.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace regrant::inline v0 {

/// The user and password of HTTP Basic, each as it was sent and as form-decoding makes it.
///
///     auto sent = regrant::basic_credentials::parse("Basic Y2xpZW50OmElMkJi");
///     // sent->client_id() == "client", *sent->client_secret() == "a+b"
///
/// \par RFC 6749 2.3.1: "The client identifier is encoded using the "application/x-www-form-urlencoded" encoding
/// algorithm ... and the encoded value is used as the username; the client password is encoded using the same
/// algorithm and used as the password."
class basic_credentials {
public:
    /// Whether an Authorization header is of this scheme, be its credentials well-formed or not.
    static constexpr bool is_scheme_of(std::string_view header) noexcept {
        // RFC 9110 11.1: "a case-insensitive token"
        return detail::equal_but_case(header.substr(0, header.find(' ')), "basic");
    }

    /// \param header  the value of the Authorization header
    /// \par Errors
    /// `reason::scheme_unknown`; `reason::credentials_malformed` for bad base64, no colon or an empty user
    static result<basic_credentials, reason> parse(std::string_view header) {
        if (!is_scheme_of(header)) return unexpected(reason::scheme_unknown);
        header.remove_prefix((std::min)(header.size(), header.find_first_not_of(' ', header.find(' '))));

        auto text = base64_decode(header);
        if (!text) return unexpected(reason::credentials_malformed);
        const std::size_t colon = text->reveal().find(':');
        if (colon == 0 || colon == std::string_view::npos) return unexpected(reason::credentials_malformed);

        basic_credentials parsed(std::move(*text), colon);
        const std::span<char> copy = parsed.decoded_.mutable_text();
        if (auto user = form_decode(copy.first(colon))) parsed.user_ = *user;
        if (auto password = form_decode(copy.subspan(colon + 1))) parsed.password_ = *password;
        return parsed;
    }

    /// Decoded where it can be: a client whose raw id cannot is known by the raw one.
    std::string_view client_id() const noexcept { return user_ ? *user_ : raw_.reveal().substr(0, colon_); }
    bool client_id_is_encoded() const noexcept { return user_.has_value(); }

    /// \return nothing where the password is not form-encoded
    std::optional<std::string_view> client_secret() const noexcept { return password_; }
    std::string_view raw_client_secret() const noexcept { return raw_.reveal().substr(colon_ + 1); }

private:
    basic_credentials(secret raw, std::size_t colon) : raw_(std::move(raw)), decoded_(raw_.clone()), colon_(colon) {}

    secret raw_;
    secret decoded_;
    std::size_t colon_;
    std::optional<std::string_view> user_{};
    std::optional<std::string_view> password_{};
};

} // namespace regrant::inline v0
