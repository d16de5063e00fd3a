// regrant/http_reply.hpp - an answer of the token endpoint as status, headers, body.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/ascii.hpp"
#include "error.hpp"
#include "json_writer.hpp"
#include "result.hpp"
#include "token_response.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

struct http_header {
    std::string_view name;
    std::string value;
};

/// What a host sends. `Content-Length` is the host's to add.
struct http_reply {
    http_status status = http_status::ok;
    std::vector<http_header> headers{};
    std::string body{};

    /// The value of a header by its exact name, empty where there is none.
    std::string_view header(std::string_view name) const noexcept {
        for (const http_header& each : headers)
            if (each.name == name) return each.value;
        return {};
    }
};

/// Whether errors carry `error_description`; the API page's do not (R73).
enum class error_descriptions : std::uint8_t { off, on };

/// Whether pages of other origins may call the endpoint (R115).
enum class cross_origin : std::uint8_t { off, on };

/// Request headers that pages of other origins may send beside those that every client may: `authorization`,
/// `content-type` and `dpop`.
///
///     settings.replies.allowed_headers = *regrant::cors_headers::make({"traceparent", "x-requested-with"});
///
/// A browser that is told of a header that is not in the list does not send the request (Fetch 4.8).
class cors_headers {
public:
    cors_headers() = default;

    /// \param names  in any case
    /// \par Errors
    /// a name that is no header name (RFC 9110 5.6.2)
    static result<cors_headers, setup_error> make(const std::vector<std::string_view>& names) {
        cors_headers made;
        for (const std::string_view name : names) {
            std::string_view rest = name;
            if (detail::take_token(rest).empty() || !rest.empty())
                return unexpected(setup_error{"a request header that other origins may send is no header name"});
            made.text_.append(", ");
            std::transform(name.begin(), name.end(), std::back_inserter(made.text_), detail::lower);
        }
        return made;
    }

    /// The value of `Access-Control-Allow-Headers`.
    const std::string& text() const noexcept { return text_; }

private:
    std::string text_ = "authorization, content-type, dpop";
};

/// How answers are dressed.
struct reply_settings {
    /// What `WWW-Authenticate` names the protected space.
    std::string realm = "token endpoint";
    error_descriptions descriptions = error_descriptions::off;
    regrant::cross_origin cross_origin = regrant::cross_origin::off;
    /// What a preflight is told.
    cors_headers allowed_headers{};
};

namespace detail {

/// RFC 9110 5.6.4; a control byte would end the header, so it is left out.
inline std::string quoted_string(std::string_view text) {
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') quoted += '\\';
        if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) quoted += c;
    }
    return quoted += '"';
}

/// What every answer with a body carries (RFC 6749 5.1: "The authorization server MUST include the HTTP
/// "Cache-Control" response header field with a value of "no-store" ... as well as the "Pragma" response header field
/// with a value of "no-cache"").
inline http_reply dressed(http_status status) {
    http_reply reply{status};
    reply.headers.reserve(8);
    reply.headers.push_back({"Content-Type", "application/json;charset=UTF-8"});
    reply.headers.push_back({"Cache-Control", "no-store"});
    reply.headers.push_back({"Pragma", "no-cache"});
    return reply;
}

} // namespace detail

/// The body of an error answer: `{"error":"invalid_grant"}` (RFC 6749 5.2).
inline std::string to_json(const refusal& refused, error_descriptions descriptions = error_descriptions::off) {
    std::string body;
    json_writer json(body);
    json.begin_object();
    json.key("error").value(to_string(refused.code()));
    if (descriptions == error_descriptions::on) json.key("error_description").value(refused.description());
    json.end_object();
    return body;
}

/// Dresses a success (RFC 6749 5.1).
inline http_reply to_reply(const token_response& answer) {
    http_reply reply = detail::dressed(http_status::ok);
    reply.body = to_json(answer);
    return reply;
}

/// Dresses an error (RFC 6749 5.2).
inline http_reply to_reply(const refusal& refused, const reply_settings& settings = {}) {
    http_reply reply = detail::dressed(refused.status());
    reply.body = to_json(refused, settings.descriptions);
    if (refused.status() == http_status::unauthorized)
        reply.headers.push_back({"WWW-Authenticate", "Basic realm=" + detail::quoted_string(settings.realm)});
    if (refused.why == reason::method_not_post)
        reply.headers.push_back(
            {"Allow", settings.cross_origin == cross_origin::on ? "POST, OPTIONS" : "POST"});
    // RFC 9110 15.5.16: "the Accept-Encoding response header field ought to be used to indicate which (if any) content
    // codings would have been accepted"
    if (refused.why == reason::content_encoded) reply.headers.push_back({"Accept-Encoding", "identity"});
    if (refused.retry_after)
        reply.headers.push_back({"Retry-After", std::to_string(refused.retry_after->count())});
    return reply;
}

/// Dresses a document that anybody may read and keep for a while: the JWK Set, the metadata.
inline http_reply public_document(std::string json, std::chrono::seconds max_age = std::chrono::minutes(5)) {
    http_reply reply{http_status::ok};
    reply.headers.push_back({"Content-Type", "application/json"});
    reply.headers.push_back({"Cache-Control", "public, max-age=" + std::to_string(max_age.count())});
    reply.headers.push_back({"Access-Control-Allow-Origin", "*"});
    reply.body = std::move(json);
    return reply;
}

/// Lets the page of an origin read the answer (Fetch 3.2.3).
inline void expose_to(http_reply& reply, std::string_view origin) {
    reply.headers.push_back({"Access-Control-Allow-Origin", std::string(origin)});
    reply.headers.push_back({"Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After"});
    reply.headers.push_back({"Vary", "Origin"});
}

/// Answers a preflight from an origin that may call (Fetch 3.2.2, 4.8).
inline http_reply preflight_reply(std::string_view origin, const reply_settings& settings = {}) {
    http_reply reply{http_status::no_content};
    reply.headers.push_back({"Access-Control-Allow-Origin", std::string(origin)});
    reply.headers.push_back({"Access-Control-Allow-Methods", "POST"});
    reply.headers.push_back({"Access-Control-Allow-Headers", settings.allowed_headers.text()});
    reply.headers.push_back({"Access-Control-Max-Age", "600"});
    reply.headers.push_back({"Vary", "Origin"});
    return reply;
}

} // namespace regrant::inline v0
