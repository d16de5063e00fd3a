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
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace regrant::inline v0 {

namespace detail {

/// Takes an RFC 9110 5.6.4 quoted-string off the front of a text.
/// \pre text starts with the quote
/// \return whether it means "utf-8", or nothing where it does not end
constexpr std::optional<bool> take_quoted_utf8(std::string_view& text) noexcept {
    std::string_view wanted = "utf-8";
    bool same = true;
    for (text.remove_prefix(1); !text.empty() && text.front() != '"'; text.remove_prefix(1)) {
        if (text.front() == '\\') text.remove_prefix(1);
        if (text.empty()) return std::nullopt;
        same = same && wanted.starts_with(lower(text.front()));
        wanted.remove_prefix(same ? 1 : 0);
    }
    if (text.empty()) return std::nullopt;
    text.remove_prefix(1);
    return same && wanted.empty();
}

} // namespace detail

/// The charset that a form's media type names. UTF-8 is meant when it names none.
enum class form_charset : std::uint8_t { utf8, other };

/// Reads a Content-Type.
///
/// \return the charset of a form; nothing for another media type, or text that is no media type
/// \par RFC 9110 8.3.1: "The type and subtype tokens are case-insensitive"
constexpr std::optional<form_charset> form_charset_of(std::string_view content_type) noexcept {
    // As nearly all clients write it.
    if (content_type == "application/x-www-form-urlencoded") return form_charset::utf8;
    const auto skip_blanks = [&] {
        content_type.remove_prefix((std::min)(content_type.find_first_not_of(" \t"), content_type.size()));
    };
    skip_blanks();
    const std::string_view type = detail::take_token(content_type);
    if (!detail::equal_but_case(type, "application") || !content_type.starts_with('/')) return std::nullopt;
    content_type.remove_prefix(1);
    if (!detail::equal_but_case(detail::take_token(content_type), "x-www-form-urlencoded")) return std::nullopt;
    auto charset = form_charset::utf8;
    for (skip_blanks(); !content_type.empty(); skip_blanks()) {
        if (!content_type.starts_with(';')) return std::nullopt;
        content_type.remove_prefix(1);
        skip_blanks();
        // RFC 9110 5.6.6: parameters = *( OWS ";" OWS [ parameter ] )
        if (content_type.empty() || content_type.starts_with(';')) continue;
        const std::string_view name = detail::take_token(content_type);
        // It has no whitespace around "=".
        if (name.empty() || !content_type.starts_with('=')) return std::nullopt;
        content_type.remove_prefix(1);
        bool is_utf8 = false;
        if (content_type.starts_with('"')) {
            const auto quoted = detail::take_quoted_utf8(content_type);
            if (!quoted) return std::nullopt;
            is_utf8 = *quoted;
        } else {
            const std::string_view value = detail::take_token(content_type);
            if (value.empty()) return std::nullopt;
            is_utf8 = detail::equal_but_case(value, "utf-8");
        }
        if (detail::equal_but_case(name, "charset") && !is_utf8) charset = form_charset::other;
    }
    return charset;
}

/// How a form that cannot be read is refused.
/// \param charset  what the request said the form is written in
constexpr reason reason_of(form_error error, form_charset charset = form_charset::utf8) noexcept {
    switch (error) {
    case form_error::too_large: return reason::body_too_large;
    case form_error::too_many_fields: return reason::too_many_fields;
    case form_error::malformed_escape: return reason::malformed_escape;
    case form_error::invalid_utf8:
        return charset == form_charset::utf8 ? reason::invalid_utf8 : reason::charset_not_utf8;
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
    static result<token_request, refusal> parse(http_request&& request, form_limits limits = {}) {
        // RFC 6749 3.2: "The client MUST use the HTTP "POST" method when making access token requests."
        if (request.method != "POST") return refused(reason::method_not_post);
        // RFC 9110 15.5.16: 415 may be "due to the request's indicated Content-Type or Content-Encoding".
        if (request.is_encoded()) return refused(reason::content_encoded);
        const auto charset = form_charset_of(request.content_type.text());
        if (request.content_type.differs() || !charset) return refused(reason::media_type_not_form);
        auto parsed = form::parse(std::move(request.body), limits);
        if (!parsed) return refused(reason_of(parsed.error(), *charset));
        // RFC 6749 Appendix B: "encoded using the "application/x-www-form-urlencoded" ... with a character encoding of
        // UTF-8". ASCII means the same in the charsets that clients name instead.
        if (*charset == form_charset::other && !parsed->is_ascii()) return refused(reason::charset_not_utf8);
        // RFC 8707 2: "Multiple resource parameters MAY be used"; no other name may occur twice (R7).
        if (parsed->repeats_a_name("resource")) return refused(reason::parameter_repeated);
        if (has_secret(request.query.reveal())) return refused(reason::secret_in_query);

        token_request asked(std::move(*parsed), std::move(request.authorization), std::move(request.peer));
        if (!asked.grant_type_) return refused(reason::grant_type_missing);
        // RFC 6749 6: grant_type "REQUIRED. Value MUST be set to "refresh_token"."
        if (*asked.grant_type_ != "refresh_token") return refused(reason::grant_type_unsupported);
        // RFC 6749 6: refresh_token "REQUIRED."
        if (!asked.refresh_token_) return refused(reason::refresh_token_missing);
        return asked;
    }

    std::string_view refresh_token() const noexcept { return *refresh_token_; }
    /// Nothing where the client asks for all it was granted.
    std::optional<std::string_view> scope() const noexcept { return scope_; }
    std::optional<std::string_view> client_id() const noexcept { return client_id_; }
    std::optional<std::string_view> client_secret() const noexcept { return client_secret_; }
    const received_header& authorization() const noexcept { return authorization_; }
    /// Where it came from; see `http_request::peer`.
    std::string_view peer() const noexcept { return peer_; }

private:
    token_request(form&& parsed, received_header&& authorization, std::string&& peer) noexcept
        : form_(std::move(parsed)), authorization_(std::move(authorization)), peer_(std::move(peer)) {
        for (const form::field each : form_.fields()) {
            // RFC 6749 3.2: "Parameters sent without a value MUST be treated as if they were omitted"
            if (each.value.empty()) continue;
            if (each.name == "grant_type") grant_type_ = each.value;
            else if (each.name == "refresh_token") refresh_token_ = each.value;
            else if (each.name == "scope") scope_ = each.value;
            else if (each.name == "client_id") client_id_ = each.value;
            else if (each.name == "client_secret") client_secret_ = each.value;
        }
    }

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
    std::string peer_;
    // Views into the form, whose text stays where it is when the request is moved.
    std::optional<std::string_view> grant_type_{}, refresh_token_{}, scope_{}, client_id_{}, client_secret_{};
};

} // namespace regrant::inline v0
