// regrant/error.hpp - everything that can go wrong, by who is at fault.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/cpp20.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace regrant::inline v0 {

/// The `error` member of an answer; each enumerator is spelled as it goes over the wire.
///
/// \par RFC 6749 5.2; `temporarily_unavailable` is borrowed from 4.1.2.1.
enum class errc : std::uint8_t {
    invalid_request,
    invalid_client,
    invalid_grant,
    unauthorized_client,
    unsupported_grant_type,
    invalid_scope,
    temporarily_unavailable,
};

/// The wire's spelling of an error code.
constexpr std::string_view to_string(errc code) noexcept {
    switch (code) {
    case errc::invalid_request: return "invalid_request";
    case errc::invalid_client: return "invalid_client";
    case errc::invalid_grant: return "invalid_grant";
    case errc::unauthorized_client: return "unauthorized_client";
    case errc::unsupported_grant_type: return "unsupported_grant_type";
    case errc::invalid_scope: return "invalid_scope";
    case errc::temporarily_unavailable: break;
    }
    return "temporarily_unavailable";
}

/// The HTTP status codes the token endpoint answers with (RFC 9110 15, RFC 6585 4).
enum class http_status : std::uint16_t {
    ok = 200,
    no_content = 204,
    bad_request = 400,
    unauthorized = 401,
    method_not_allowed = 405,
    content_too_large = 413,
    unsupported_media_type = 415,
    too_many_requests = 429,
    service_unavailable = 503,
};

/// Why a request was refused: private, for the host's log alone (R75).
///
/// Many reasons share one public code, so that a client learns nothing of a token it does not own.
enum class reason : std::uint8_t {
    method_not_post,
    content_encoded,
    media_type_not_form,
    charset_not_utf8,
    body_too_large,
    too_many_fields,
    malformed_escape,
    invalid_utf8,
    nul_byte,
    parameter_repeated,
    secret_in_query,
    grant_type_missing,
    grant_type_unsupported,
    refresh_token_missing,
    two_mechanisms,
    client_id_mismatch,
    credentials_malformed,
    scheme_unknown,
    authentication_missing,
    client_unknown,
    method_not_registered,
    secret_wrong,
    throttled,
    grant_type_not_allowed,
    token_not_ours,
    token_key_unknown,
    grant_missing,
    issued_to_another_client,
    confirmation_mismatch,
    revoked,
    issued_before_not_before,
    absolute_limit,
    idle_limit,
    replayed,
    race_lost,
    row_too_far_behind,
    generations_exhausted,
    account_denied,
    scope_malformed,
    scope_exceeded,
    scope_withdrawn,
    subject_missing,
    subject_too_long,
    auth_time_out_of_range,
    store_unavailable,
    store_contended,
    registry_unavailable,
    throttle_unavailable,
    account_unavailable,
    issuer_unavailable,
    random_unavailable,
    crypto_unavailable,
    exception_caught,
};

/// What a reason looks like: its private name, its public code and status, its public words.
struct refusal_form {
    reason why;
    std::string_view name;
    errc code;
    http_status status;
    std::string_view description;
};

namespace detail {

inline constexpr std::string_view bad_client = "Client authentication failed";
/// R32: one public text for unknown, malformed, forged, expired, revoked.
inline constexpr std::string_view bad_token = "The refresh token is invalid, expired or revoked";
inline constexpr std::string_view try_again = "The server cannot answer now; try again";

using enum errc;
using enum http_status;

/// In the order of `reason`.
inline constexpr refusal_form refusal_forms[] = {
    {reason::method_not_post, "method_not_post", invalid_request, method_not_allowed, "The method must be POST"},
    {reason::content_encoded, "content_encoded", invalid_request, unsupported_media_type,
     "The body must have no content coding"},
    {reason::media_type_not_form, "media_type_not_form", invalid_request, unsupported_media_type,
     "The media type must be application/x-www-form-urlencoded"},
    {reason::charset_not_utf8, "charset_not_utf8", invalid_request, unsupported_media_type,
     "The charset must be UTF-8 where a parameter is not ASCII"},
    {reason::body_too_large, "body_too_large", invalid_request, content_too_large, "The body is too large"},
    {reason::too_many_fields, "too_many_fields", invalid_request, content_too_large, "The body has too many fields"},
    {reason::malformed_escape, "malformed_escape", invalid_request, bad_request, "A percent escape is malformed"},
    {reason::invalid_utf8, "invalid_utf8", invalid_request, bad_request, "A parameter is not UTF-8"},
    {reason::nul_byte, "nul_byte", invalid_request, bad_request, "A parameter contains a NUL"},
    {reason::parameter_repeated, "parameter_repeated", invalid_request, bad_request, "A parameter is repeated"},
    {reason::secret_in_query, "secret_in_query", invalid_request, bad_request,
     "Credentials must not stand in the request URI"},
    {reason::grant_type_missing, "grant_type_missing", invalid_request, bad_request, "grant_type is missing"},
    {reason::grant_type_unsupported, "grant_type_unsupported", unsupported_grant_type, bad_request,
     "grant_type must be refresh_token"},
    {reason::refresh_token_missing, "refresh_token_missing", invalid_request, bad_request, "refresh_token is missing"},
    {reason::two_mechanisms, "two_mechanisms", invalid_request, bad_request,
     "The client must authenticate in one way only"},
    {reason::client_id_mismatch, "client_id_mismatch", invalid_request, bad_request,
     "client_id is not the authenticated client"},
    {reason::credentials_malformed, "credentials_malformed", invalid_client, bad_request, bad_client},
    {reason::scheme_unknown, "scheme_unknown", invalid_client, bad_request, bad_client},
    {reason::authentication_missing, "authentication_missing", invalid_client, bad_request, bad_client},
    {reason::client_unknown, "client_unknown", invalid_client, bad_request, bad_client},
    {reason::method_not_registered, "method_not_registered", invalid_client, bad_request, bad_client},
    {reason::secret_wrong, "secret_wrong", invalid_client, bad_request, bad_client},
    {reason::throttled, "throttled", invalid_client, too_many_requests, "Too many failed attempts"},
    {reason::grant_type_not_allowed, "grant_type_not_allowed", unauthorized_client, bad_request,
     "The client may not use this grant type"},
    {reason::token_not_ours, "token_not_ours", invalid_grant, bad_request, bad_token},
    {reason::token_key_unknown, "token_key_unknown", invalid_grant, bad_request, bad_token},
    {reason::grant_missing, "grant_missing", invalid_grant, bad_request, bad_token},
    {reason::issued_to_another_client, "issued_to_another_client", invalid_grant, bad_request, bad_token},
    {reason::confirmation_mismatch, "confirmation_mismatch", invalid_grant, bad_request, bad_token},
    {reason::revoked, "revoked", invalid_grant, bad_request, bad_token},
    {reason::issued_before_not_before, "issued_before_not_before", invalid_grant, bad_request, bad_token},
    {reason::absolute_limit, "absolute_limit", invalid_grant, bad_request, bad_token},
    {reason::idle_limit, "idle_limit", invalid_grant, bad_request, bad_token},
    {reason::replayed, "replayed", invalid_grant, bad_request, bad_token},
    {reason::race_lost, "race_lost", invalid_grant, bad_request, bad_token},
    {reason::row_too_far_behind, "row_too_far_behind", invalid_grant, bad_request, bad_token},
    {reason::generations_exhausted, "generations_exhausted", invalid_grant, bad_request, bad_token},
    {reason::account_denied, "account_denied", invalid_grant, bad_request, bad_token},
    {reason::scope_malformed, "scope_malformed", invalid_scope, bad_request, "scope is malformed"},
    {reason::scope_exceeded, "scope_exceeded", invalid_scope, bad_request, "scope exceeds what was granted"},
    {reason::scope_withdrawn, "scope_withdrawn", invalid_scope, bad_request, "Nothing of the scope is left"},
    {reason::subject_missing, "subject_missing", invalid_request, bad_request, "The subject is missing"},
    {reason::subject_too_long, "subject_too_long", invalid_request, bad_request, "The subject is too long"},
    {reason::auth_time_out_of_range, "auth_time_out_of_range", invalid_request, bad_request,
     "auth_time is out of range"},
    {reason::store_unavailable, "store_unavailable", temporarily_unavailable, service_unavailable, try_again},
    {reason::store_contended, "store_contended", temporarily_unavailable, service_unavailable, try_again},
    {reason::registry_unavailable, "registry_unavailable", temporarily_unavailable, service_unavailable, try_again},
    {reason::throttle_unavailable, "throttle_unavailable", temporarily_unavailable, service_unavailable, try_again},
    {reason::account_unavailable, "account_unavailable", temporarily_unavailable, service_unavailable, try_again},
    {reason::issuer_unavailable, "issuer_unavailable", temporarily_unavailable, service_unavailable, try_again},
    {reason::random_unavailable, "random_unavailable", temporarily_unavailable, service_unavailable, try_again},
    {reason::crypto_unavailable, "crypto_unavailable", temporarily_unavailable, service_unavailable, try_again},
    {reason::exception_caught, "exception_caught", temporarily_unavailable, service_unavailable, try_again},
};

} // namespace detail

/// Looks a reason up in the table of refusals.
constexpr const refusal_form& form_of(reason why) noexcept {
    return detail::refusal_forms[static_cast<std::size_t>(why)];
}

/// The private name of a reason, for logs and counters.
constexpr std::string_view to_string(reason why) noexcept { return form_of(why).name; }

/// Whether a refused client authenticated by an Authorization header, and so is owed a challenge.
enum class challenge : std::uint8_t { none, basic };

/// The request is answered with an error: the client's fault, or an outage seen from outside.
struct refusal {
    reason why;
    /// Private words for the log, such as the store's message; no answer ever carries them (R76).
    std::string detail{};
    /// What the client is told in `Retry-After`.
    std::optional<std::chrono::seconds> retry_after{};
    challenge owed = challenge::none;

    constexpr errc code() const noexcept { return form_of(why).code; }

    /// RFC 6749 5.2: "If the client attempted to authenticate via the "Authorization" request header field, the
    /// authorization server MUST respond with an HTTP 401 (Unauthorized) status code".
    constexpr http_status status() const noexcept {
        const bool fails_challenge = code() == errc::invalid_client && owed == challenge::basic;
        return fails_challenge && why != reason::throttled ? http_status::unauthorized : form_of(why).status;
    }

    /// Public words: a fixed text that never echoes input (R73).
    constexpr std::string_view description() const noexcept { return form_of(why).description; }
};

/// A store, key or source that does not answer now; the client is told 503 (R51).
struct outage {
    /// Private words for the log.
    std::string detail;
};

/// The programmer's or operator's mistake, told when things are built.
struct setup_error {
    /// A sentence that names what is wrong; fit to be printed as it is.
    std::string message;
};

} // namespace regrant::inline v0
