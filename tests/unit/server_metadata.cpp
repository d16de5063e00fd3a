#include <regrant/server_metadata.hpp>

#include "support/jwt_parts.hpp"

#include <doctest/doctest.h>
#include <picojson.h>

#include <algorithm>
#include <string>
#include <vector>

namespace {

using regrant::metadata_document;

regrant::server_metadata example() {
    regrant::server_metadata metadata;
    metadata.issuer = "https://id.example";
    metadata.token_endpoint = "https://id.example/oauth2/token";
    metadata.jwks_uri = "https://id.example/jwks.json";
    return metadata;
}

std::vector<std::string> texts(const picojson::object& document, const char* name) {
    std::vector<std::string> all;
    REQUIRE(document.count(name) == 1);
    for (const auto& each : document.at(name).get<picojson::array>()) all.push_back(each.get<std::string>());
    std::sort(all.begin(), all.end());
    return all;
}

using strings = std::vector<std::string>;

} // namespace

TEST_CASE("the server's metadata names what it offers (R114, 8414 2)") {
    const auto document = support::json_object(to_json(example(), metadata_document::oauth_authorization_server));
    CHECK(document.at("issuer").to_str() == "https://id.example");
    CHECK(document.at("token_endpoint").to_str() == "https://id.example/oauth2/token");
    CHECK(document.at("jwks_uri").to_str() == "https://id.example/jwks.json");
    CHECK(texts(document, "grant_types_supported") == strings{"refresh_token"});
    CHECK(texts(document, "response_types_supported") == strings{"code"});
    CHECK(texts(document, "token_endpoint_auth_methods_supported") ==
          strings{"client_secret_basic", "client_secret_post", "none"});
}

TEST_CASE("an openid-configuration has what discovery requires, and RS256 alone (R114, OIDC Discovery 3)") {
    auto metadata = example();
    metadata.authorization_endpoint = "https://id.example/login";
    metadata.grant_types = {"authorization_code", "refresh_token"};
    const auto document = support::json_object(to_json(metadata, metadata_document::openid_configuration));
    for (const char* required : {"issuer", "token_endpoint", "jwks_uri", "response_types_supported"})
        CHECK(document.count(required) == 1);
    CHECK(document.at("authorization_endpoint").to_str() == "https://id.example/login");
    CHECK(texts(document, "grant_types_supported") == strings{"authorization_code", "refresh_token"});
    CHECK(texts(document, "subject_types_supported") == strings{"public"});
    CHECK(texts(document, "id_token_signing_alg_values_supported") == strings{"RS256"});
}

TEST_CASE("a host merges the members with its own (R114)") {
    const std::string members = metadata_members(example(), metadata_document::openid_configuration);
    const auto merged = support::json_object('{' + members + R"(,"userinfo_endpoint":"https://id.example/me"})");
    CHECK(merged.at("userinfo_endpoint").to_str() == "https://id.example/me");
    CHECK(merged.at("issuer").to_str() == "https://id.example");
}
