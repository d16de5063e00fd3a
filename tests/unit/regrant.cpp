#include <regrant/regrant.hpp>

#include <doctest/doctest.h>

TEST_CASE("the roof brings every part") {
    using namespace regrant;
    CHECK(library_version.major == REGRANT_VERSION_MAJOR);
    CHECK(result<int, outage>(1).has_value());
    CHECK(to_string(errc::invalid_grant) == "invalid_grant");
    CHECK(current_time() > instant());
    CHECK(secret("a").size() == 1);
    CHECK(next(first_generation) == generation{1});
    CHECK(policy().retry_after() > std::chrono::seconds(0));
    CHECK(client_policy::of<auth_method::none>().is_public());
    CHECK(form::parse("a=b")->find("a") == "b");
    CHECK(base64url("f") == "Zg");
    CHECK(regrant::scope::parse("openid")->contains("openid"));
    CHECK(basic_credentials::parse("Basic YTpi")->client_id() == "a");
    CHECK(!to_json(token_response{}).empty());
    CHECK(query_of("/?a") == "a");
    CHECK(to_reply(refusal{reason::replayed}).status == http_status::bad_request);
    CHECK(form_charset_of("application/x-www-form-urlencoded") == form_charset::utf8);
    CHECK(sha256("abc").has_value());
    system_random random;
    CHECK(random_uuid(random)->text().size() == 36);
    CHECK(hash_client_secret("s").has_value());
    CHECK(thumbprint(jwk{"AQAB", "AQAB"})->size() == 43);
    CHECK(jwks({}) == R"({"keys":[]})");
    CHECK(jwt_claims().json() == "{}");
    CHECK(is_reserved_claim("iss"));
    CHECK(parse_claim("a", "1").has_value());
    CHECK(parse_registrations("[]")->empty());
    CHECK(!to_json(server_metadata{}, metadata_document::openid_configuration).empty());
    CHECK(to_string(write_kind::heal) == "heal");
    static_assert(!can_check_account<no_hooks>);
    static_assert(client_registry<client_list> && token_store<memory_store> && signer<signing_key>);
    static_assert(token_issuer<jwt_issuer<signing_key>>);
    std::string text;
    json_writer(text).value(true);
    CHECK(text == "true");
    CHECK(grant({}, {"web", "alice", "openid"}).subject() == "alice");
    const auto spa = std::make_shared<const client>(client{"spa", client_policy::of<auth_method::none>()});
    CHECK(authenticated_client::vouched(spa)->client_id == "spa");

    std::vector<token_key> keys;
    keys.push_back({token_key_id{1}, secret(std::string(32, 'k'))});
    auto keyring = token_keyring::make(std::move(keys));
    REQUIRE(keyring);
    memory_store store;
    auto clients = client_list::make({*spa});
    REQUIRE(clients);
    auto key = signing_key::generate();
    REQUIRE(key);
    auto issuer = jwt_issuer<signing_key>::make({.issuer = "https://id.example"}, *key);
    REQUIRE(issuer);
    token_endpoint endpoint(store, *clients, *issuer, *std::move(keyring));
    CHECK(endpoint.respond(http_request{}).status == http_status::method_not_allowed);
}
