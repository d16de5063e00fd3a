#include <regrant/basic_auth.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>

namespace {

using regrant::basic_credentials;
using regrant::reason;

} // namespace

TEST_CASE("the examples of the Basic scheme are read (R24, 7617 2, 2.1)") {
    const auto aladdin = basic_credentials::parse("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    REQUIRE(aladdin);
    CHECK(aladdin->client_id() == "Aladdin");
    CHECK(aladdin->client_secret() == "open sesame");
    CHECK(aladdin->raw_client_secret() == "open sesame");

    const auto test = basic_credentials::parse("Basic dGVzdDoxMjPCow==");
    REQUIRE(test);
    CHECK(test->client_id() == "test");
    CHECK(test->client_secret() == "123\xC2\xA3");
}

TEST_CASE("user and password are form-decoded behind the base64 (R18, 6749 2.3.1)") {
    struct {
        std::string_view base64;
        std::string_view id;
        std::string_view secret;
        std::string_view raw;
    } const table[] = {
        // client:a%2Bb%25c%3Ad
        {"Y2xpZW50OmElMkJiJTI1YyUzQWQ=", "client", "a+b%c:d", "a%2Bb%25c%3Ad"},
        // a%3Ab+c:x+y%26
        {"YSUzQWIrYzp4K3klMjY=", "a:b c", "x y&", "x+y%26"},
        // a:b:c - the first colon splits
        {"YTpiOmM=", "a", "b:c", "b:c"},
        // a:
        {"YTo=", "a", "", ""},
    };
    for (const auto& row : table) {
        const auto parsed = basic_credentials::parse("Basic " + std::string(row.base64));
        REQUIRE(parsed);
        CHECK(parsed->client_id() == row.id);
        CHECK(parsed->client_id_is_encoded());
        CHECK(parsed->client_secret() == row.secret);
        CHECK(parsed->raw_client_secret() == row.raw);
    }
}

TEST_CASE("what is no form encoding stays at hand as it was sent (R19)") {
    // client:50%zz+
    const auto secret = basic_credentials::parse("Basic Y2xpZW50OjUwJXp6Kw==");
    REQUIRE(secret);
    CHECK_FALSE(secret->client_secret().has_value());
    CHECK(secret->raw_client_secret() == "50%zz+");
    // 100%:x
    const auto id = basic_credentials::parse("Basic MTAwJTp4");
    REQUIRE(id);
    CHECK_FALSE(id->client_id_is_encoded());
    CHECK(id->client_id() == "100%");
    CHECK(id->client_secret() == "x");
}

TEST_CASE("the scheme compares without regard to case (R24, 9110 11.1)") {
    for (const std::string_view header : {"basic YTpi", "BASIC YTpi", "bAsIc YTpi", "Basic   YTpi"}) {
        const auto parsed = basic_credentials::parse(header);
        REQUIRE(parsed);
        CHECK(parsed->client_id() == "a");
    }
}

TEST_CASE("another scheme is unknown (R24)") {
    for (const std::string_view header :
         {"", " ", "Bearer YTpi", "Basi YTpi", "Basicx YTpi", "BasicYTpi", "YTpi", " Basic YTpi"}) {
        CAPTURE(header);
        const auto parsed = basic_credentials::parse(header);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error() == reason::scheme_unknown);
    }
}

TEST_CASE("bad base64, no colon or an empty user is malformed (R24, 7617 2)") {
    // The last three: "ab", ":b", ":"
    for (const std::string_view header :
         {"Basic", "Basic ", "Basic YTpi=", "Basic YTp", "Basic YT:i", "Basic YTpi YTpi", "Basic YWI=", "Basic OmI=",
          "Basic Og=="}) {
        CAPTURE(header);
        const auto parsed = basic_credentials::parse(header);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error() == reason::credentials_malformed);
    }
}

TEST_CASE("credentials stay readable where they are moved to") {
    auto parsed = basic_credentials::parse("Basic Y2xpZW50OmElMkJi");
    REQUIRE(parsed);
    const basic_credentials moved = *std::move(parsed);
    CHECK(moved.client_id() == "client");
    CHECK(moved.client_secret() == "a+b");
}
