// regrant/token_request.hpp - what a client asked of the token endpoint, checked for form alone.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/ascii.hpp"
#include "error.hpp"
#include "form.hpp"
#include "http_request.hpp"
#include "result.hpp"
#include "secret.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace regrant::inline v0 {

/// Whether a Content-Type names application/x-www-form-urlencoded, in UTF-8 if it names a charset at all.
///
/// \par RFC 9110 8.3.1: "The type and subtype tokens are case-insensitive" (R2, R3)
constexpr bool is_form_media_type(std::string_view content_type) noexcept {
    const auto take_piece = [&] {
        std::string_view piece = content_type.substr(0, content_type.find(';'));
        content_type.remove_prefix((std::min)(content_type.size(), piece.size() + 1));
        while (!piece.empty() && (piece.front() == ' ' || piece.front() == '\t')) piece.remove_prefix(1);
        while (!piece.empty() && (piece.back() == ' ' || piece.back() == '\t')) piece.remove_suffix(1);
        return piece;
    };
    if (!detail::equal_but_case(take_piece(), "application/x-www-form-urlencoded")) return false;
    while (!content_type.empty()) {
        const std::string_view parameter = take_piece();
        if (parameter.empty()) continue;
        const std::size_t equals = parameter.find('=');
        // RFC 9110 5.6.6 has no whitespace around "=": what stands there is no name.
        if (equals == std::string_view::npos || parameter.substr(0, equals).find_first_of(" \t") != parameter.npos)
            return false;
        std::string_view value = parameter.substr(equals + 1);
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
        if (detail::equal_but_case(parameter.substr(0, equals), "charset") &&
            !detail::equal_but_case(value, "utf-8"))
            return false;
    }
    return true;
}

/// How a form that cannot be read is refused.
constexpr reason reason_of(form_error error) noexcept {
    switch (error) {
    case form_error::too_large: return reason::body_too_large;
    case form_error::too_many_fields: return reason::too_many_fields;
    case form_error::malformed_escape: return reason::malformed_escape;
    case form_error::invalid_utf8: return reason::invalid_utf8;
    case form_error::nul_byte: break;
    }
    return reason::nul_byte;
}

/// A refresh request whose form is good; who sent it is not known yet.
///
/// \par RFC 6749 6, 3.2
class token_request {
public:
    /// Takes the request's text over.
    ///
    /// \par Errors
    /// `invalid_request` for whatever breaks R1-R12, `unsupported_grant_type` (R11); the first failure answers
    static result<token_request, refusal> parse(http_request request, form_limits limits = {}) {
        // RFC 6749 3.2: "The client MUST use the HTTP "POST" method when making access token requests."
        if (request.method != "POST") return refused(reason::method_not_post);
        if (request.content_type.differs() || !is_form_media_type(request.content_type.text()))
            return refused(reason::media_type_not_form);
        auto parsed = form::parse(std::move(request.body), limits);
        if (!parsed) return refused(reason_of(parsed.error()));
        // RFC 8707 2: "Multiple resource parameters MAY be used"; no other name may occur twice (R7).
        if (parsed->repeats_a_name("resource")) return refused(reason::parameter_repeated);
        if (has_secret(request.query.reveal())) return refused(reason::secret_in_query);

        const auto grant_type = parsed->find("grant_type");
        if (!grant_type) return refused(reason::grant_type_missing);
        // RFC 6749 6: grant_type "REQUIRED. Value MUST be set to "refresh_token"."
        if (*grant_type != "refresh_token") return refused(reason::grant_type_unsupported);
        // RFC 6749 6: refresh_token "REQUIRED."
        if (!parsed->find("refresh_token")) return refused(reason::refresh_token_missing);
        return token_request(std::move(*parsed), std::move(request.authorization));
    }

    std::string_view refresh_token() const noexcept { return *form_.find("refresh_token"); }
    /// Nothing where the client asks for all it was granted.
    std::optional<std::string_view> scope() const noexcept { return form_.find("scope"); }
    std::optional<std::string_view> client_id() const noexcept { return form_.find("client_id"); }
    std::optional<std::string_view> client_secret() const noexcept { return form_.find("client_secret"); }
    const received_header& authorization() const noexcept { return authorization_; }

private:
    token_request(form parsed, received_header authorization) noexcept
        : form_(std::move(parsed)), authorization_(std::move(authorization)) {}

    static unexpected<refusal> refused(reason why) { return unexpected(refusal{why}); }

    /// RFC 6749 2.3.1: "The parameters can only be transmitted in the request-body and MUST NOT be included in the
    /// request URI." Names are decoded, for an escaped name leaks just as well; nothing else of the query counts (R8).
    static bool has_secret(std::string_view query) {
        while (!query.empty()) {
            const std::string_view piece = query.substr(0, query.find('&'));
            query.remove_prefix((std::min)(query.size(), piece.size() + 1));
            secret text(piece.substr(0, piece.find('=')));
            const auto name = form_decode(text.mutable_text());
            if (name && (*name == "client_secret" || *name == "refresh_token" || *name == "client_assertion"))
                return true;
        }
        return false;
    }

    form form_;
    received_header authorization_;
};

} // namespace regrant::inline v0
