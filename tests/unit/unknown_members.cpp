#include <regrant/unknown_members.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using regrant::unknown_members;

namespace {

std::vector<std::string> found(std::string_view json) {
    auto members = unknown_members(json);
    REQUIRE(members);
    return *std::move(members);
}

} // namespace

TEST_CASE("a misspelled member is told with the name that was meant (R247)") {
    struct {
        std::string_view written, meant;
    } const rows[] = {
        {"allowed_origin", "allowed_origins"},
        {"client_secret_expire_at", "client_secret_expires_at"},
        {"rotation", "rotate"},
        {"token_endpoint_auth_metod", "token_endpoint_auth_method"},
        {"Scope", "scope"},
        {"redirect_uri", "redirect_uris"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.written);
        const auto told = found(R"([{"client_id":"web",")" + std::string(row.written) + R"(":"x"}])");
        REQUIRE(told.size() == 1);
        CHECK(told[0] == "client \"web\": the member \"" + std::string(row.written) + "\" is unknown; did you mean \"" +
                             std::string(row.meant) + "\"?");
    }
    CHECK(found(R"([{"x-our-own-thing":1}])") ==
          std::vector<std::string>{"registration 1: the member \"x-our-own-thing\" is unknown"});
}

TEST_CASE("what regrant or a standard of client registration knows is not told (R247, 7591 2)") {
    CHECK(found(R"([{"client_id":"a","client_secret":"s","client_secret_hash":"","client_secret_expires_at":0,
        "token_endpoint_auth_method":"none","scope":"x","grant_types":[],"allowed_origins":[],"audience":"","not_before":0,
        "lenient_basic":true,"rotate":true,"client_name":"A","redirect_uris":[],"jwks_uri":"","contacts":[]}, 1, "x"])")
              .empty());
    CHECK(found("[]").empty());
}

TEST_CASE("text that is no array is told as when it is read (R247)") {
    const auto refused = unknown_members("{");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message == regrant::parse_registrations("{").error().message);
}
