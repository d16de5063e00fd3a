// regrant/unknown_members.hpp - finds misspelled members in a file of registrations.
// floor 5
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/json.hpp"
#include "error.hpp"
#include "registrations.hpp"
#include "result.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

namespace detail {

/// What `parse_registrations` reads.
inline constexpr std::string_view read_members[] = {
    "client_id",     "client_secret", "client_secret_hash", "client_secret_expires_at", "token_endpoint_auth_method",
    "scope",         "grant_types",   "allowed_origins",    "audience",                 "not_before",
    "lenient_basic", "rotate"};

/// What others read: RFC 7591 2, RFC 8705 3.4, RFC 9449 5.2, OpenID Connect Registration 2 and its logout documents.
inline constexpr std::string_view foreign_members[] = {
    "application_type",
    "authorization_details_types",
    "authorization_encrypted_response_alg",
    "authorization_encrypted_response_enc",
    "authorization_signed_response_alg",
    "backchannel_logout_session_required",
    "backchannel_logout_uri",
    "client_id_issued_at",
    "client_name",
    "client_uri",
    "contacts",
    "default_acr_values",
    "default_max_age",
    "dpop_bound_access_tokens",
    "frontchannel_logout_session_required",
    "frontchannel_logout_uri",
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "id_token_signed_response_alg",
    "initiate_login_uri",
    "jwks",
    "jwks_uri",
    "logo_uri",
    "policy_uri",
    "post_logout_redirect_uris",
    "redirect_uris",
    "registration_access_token",
    "registration_client_uri",
    "request_object_encryption_alg",
    "request_object_encryption_enc",
    "request_object_signing_alg",
    "request_uris",
    "require_auth_time",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
    "response_types",
    "sector_identifier_uri",
    "software_id",
    "software_statement",
    "software_version",
    "subject_type",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_email",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_uri",
    "tls_client_auth_subject_dn",
    "tls_client_certificate_bound_access_tokens",
    "token_endpoint_auth_signing_alg",
    "tos_uri",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "userinfo_signed_response_alg",
};

inline bool is_one_of(std::span<const std::string_view> names, std::string_view name) noexcept {
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// How many letters must be put in, taken out or changed to make one text the other (Levenshtein).
inline std::size_t edit_distance(std::string_view one, std::string_view other) {
    std::vector<std::size_t> row(other.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i != one.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i + 1);
        for (std::size_t k = 0; k != other.size(); ++k) {
            const std::size_t changed = diagonal + (one[i] == other[k] ? 0 : 1);
            diagonal = row[k + 1];
            row[k + 1] = (std::min)({changed, row[k] + 1, row[k + 1] + 1});
        }
    }
    return row.back();
}

/// The name that somebody most likely meant; empty when none is near.
inline std::string_view nearest_member(std::string_view name) {
    std::string_view nearest;
    std::size_t least = name.size() / 2 + 1;
    for (const std::span<const std::string_view> names : {std::span<const std::string_view>(read_members),
                                                          std::span<const std::string_view>(foreign_members)})
        for (const std::string_view known : names)
            if (const std::size_t distance = edit_distance(name, known); distance < least) {
                least = distance;
                nearest = known;
            }
    return nearest;
}

} // namespace detail

/// Lists the members of registrations that neither this library nor a standard of client registration knows: most likely
/// they are misspelled, and `parse_registrations` passes over them.
///
///     for (const std::string& each : *regrant::unknown_members(text)) std::cerr << "warning: " << each << '\n';
///
/// \param json  as of `parse_registrations`
/// \return a sentence for each, in the order of the clients
/// \par Errors
/// text that is not one JSON array
/// \par RFC 7591 2
inline result<std::vector<std::string>, setup_error> unknown_members(std::string_view json) {
    auto parsed = detail::read_registration_array(json);
    if (!parsed) return unexpected(std::move(parsed).error());
    const detail::wipe_on_exit guard(*parsed);
    std::vector<std::string> found;
    std::size_t place = 0;
    for (const detail::json_value& each : parsed->get<regrant_picojson::array>()) {
        ++place;
        if (!each.is<regrant_picojson::object>()) continue;
        const auto& members = each.get<regrant_picojson::object>();
        const auto id = members.find("client_id");
        const std::string whose = id != members.end() && id->second.is<std::string>()
                                      ? "client \"" + id->second.get<std::string>() + '"'
                                      : "registration " + std::to_string(place);
        for (const auto& [name, value] : members) {
            if (detail::is_one_of(detail::read_members, name) || detail::is_one_of(detail::foreign_members, name)) continue;
            std::string& sentence = found.emplace_back(whose);
            sentence.append(": the member \"").append(name).append("\" is unknown");
            if (const std::string_view meant = detail::nearest_member(name); !meant.empty())
                sentence.append("; did you mean \"").append(meant).append("\"?");
        }
    }
    return found;
}

} // namespace regrant::inline v0
