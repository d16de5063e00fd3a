// regrant/server_metadata.hpp - what the server publishes of its token endpoint.
// floor 2
// SPDX-License-Identifier: MIT
#pragma once

#include "json_writer.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace regrant::inline v0 {

/// Where things are; all are absolute URLs.
struct server_metadata {
    std::string issuer;
    std::string token_endpoint;
    std::string jwks_uri;
    /// Required in `openid_configuration`, and left out of either document where it is empty: a server without a login
    /// page of its own names the one it has elsewhere.
    std::string authorization_endpoint{};
    std::vector<std::string> grant_types{"refresh_token"};
    std::vector<std::string> response_types{"code"};
    /// What the registered clients use; the endpoint accepts these three.
    std::vector<std::string> auth_methods{"client_secret_basic", "client_secret_post", "none"};
};

/// Which of the two well-known documents is written.
enum class metadata_document : std::uint8_t { oauth_authorization_server, openid_configuration };

/// Writes the members without the braces around them, so that a host can put its own beside them (R114).
///
/// \par RFC 8414 2, OIDC Discovery 3
inline std::string metadata_members(const server_metadata& metadata, metadata_document document) {
    std::string members;
    json_writer json(members);
    const auto array = [&](std::string_view name, const std::vector<std::string>& values) {
        json.key(name).begin_array();
        for (const std::string& value : values) json.value(value);
        json.end_array();
    };
    json.key("issuer").value(metadata.issuer);
    json.key("token_endpoint").value(metadata.token_endpoint);
    json.key("jwks_uri").value(metadata.jwks_uri);
    if (!metadata.authorization_endpoint.empty())
        json.key("authorization_endpoint").value(metadata.authorization_endpoint);
    array("grant_types_supported", metadata.grant_types);
    array("response_types_supported", metadata.response_types);
    array("token_endpoint_auth_methods_supported", metadata.auth_methods);
    if (document == metadata_document::openid_configuration) {
        array("subject_types_supported", {"public"});
        array("id_token_signing_alg_values_supported", {"RS256"});
    }
    return members;
}

/// The whole document.
inline std::string to_json(const server_metadata& metadata, metadata_document document) {
    return '{' + metadata_members(metadata, document) + '}';
}

} // namespace regrant::inline v0
