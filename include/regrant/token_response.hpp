// regrant/token_response.hpp - the success answer of the token endpoint as JSON.
// floor 2
// SPDX-License-Identifier: MIT
#pragma once

#include "json_writer.hpp"
#include "secret.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace regrant::inline v0 {

/// What a client gets for a good refresh token. `token_type` is always `Bearer` (R68).
///
///     regrant::token_response answer;
///     answer.access_token = regrant::secret("eyJ...");
///     answer.expires_in = std::chrono::seconds(299);
///     std::string body = regrant::to_json(answer);
struct token_response {
    secret access_token{};
    secret refresh_token{};
    /// The words of this answer's access token, a space between two.
    std::string scope{};
    /// Only where `scope` holds `openid` (R77).
    std::optional<secret> id_token{};
    /// How long the access token still lives: never more than it has (R67).
    std::chrono::seconds expires_in{};
};

/// Writes the members of the API page in its order, compact (R65, R73).
///
/// The text leaves the wiped world here: hosts take a body as a `std::string`, and send it to its owner.
/// \par RFC 6749 5.1, OIDC Core 12.2
inline std::string to_json(const token_response& answer) {
    std::string body;
    body.reserve(160 + answer.access_token.size() + answer.refresh_token.size() + answer.scope.size() +
                 (answer.id_token ? answer.id_token->size() : 0));
    json_writer json(body);
    json.begin_object();
    json.key("access_token").value(answer.access_token.reveal());
    json.key("refresh_token").value(answer.refresh_token.reveal());
    json.key("scope").value(answer.scope);
    if (answer.id_token) json.key("id_token").value(answer.id_token->reveal());
    json.key("token_type").raw(R"("Bearer")");
    json.key("expires_in").value(std::int64_t{answer.expires_in.count()});
    json.end_object();
    return body;
}

} // namespace regrant::inline v0
