#include <regrant/jwt.hpp>

#include "support/fake_signer.hpp"
#include "support/jwt_parts.hpp"

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using regrant::jwt_claims;
using regrant::solidus;
using support::fake_signer;
using support::jwt_parts;

constexpr std::string_view page_kid = "d49bc505-5572-4ed6-9e48-388c3d44bb46";
constexpr std::string_view page_header =
    "eyJraWQiOiJkNDliYzUwNS01NTcyLTRlZDYtOWU0OC0zODhjM2Q0NGJiNDYiLCJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9";
constexpr std::string_view page_access_claims =
    "eyJzdWIiOiJNT0NLX1VTRVJOQU1FIiwiYXVkIjoiVEVOQU5UX0NMSUVOVF9JRCIsIm5iZiI6MTYzNjQ0OTIzMSwic2NvcGUiOlsib3BlbmlkIl0s"
    "ImlzcyI6Imh0dHBzOlwvXC9URU5BTlQuUE9SVEFMLkRPTUFJTiIsImV4cCI6MTYzNjQ0OTUzMSwiaWF0IjoxNjM2NDQ5MjMxLCJqdGkiOiI1YTE4"
    "ZjE0MS1lMzQxLTQzMzgtODVkNi1iYjRlNDFhODY3NjUifQ";
constexpr std::string_view page_id_claims =
    "eyJzdWIiOiJNT0NLX1VTRVJOQU1FIiwiYXVkIjoiVEVOQU5UX0NMSUVOVF9JRCIsImF6cCI6IlRFTkFOVF9DTElFTlRfSUQiLCJpc3MiOiJodHRw"
    "czpcL1wvVEVOQU5ULlBPUlRBTC5ET01BSU4iLCJleHAiOjE2MzY0NTEwMzEsImlhdCI6MTYzNjQ0OTIzMSwianRpIjoiMDEzYmFiMzktZjkxOC00"
    "NDhmLWEzOTYtY2U3N2VlZmZkYjM3In0";

struct no_key_id {
    regrant::result<void, regrant::outage> sign(std::span<const std::string_view>, std::span<regrant::signature>) const;
};
struct signs_one {
    std::string_view key_id() const;
    regrant::result<void, regrant::outage> sign(std::string_view, regrant::signature&) const;
};
struct not_const {
    std::string_view key_id() const;
    regrant::result<void, regrant::outage> sign(std::span<const std::string_view>, std::span<regrant::signature>);
};
struct says_nothing {
    std::string_view key_id() const;
    void sign(std::span<const std::string_view>, std::span<regrant::signature>) const;
};

struct gives_one_signature : fake_signer {
    regrant::result<void, regrant::outage> sign(std::span<const std::string_view> inputs,
                                                std::span<regrant::signature> signatures) const {
        auto done = fake_signer::sign(inputs, signatures);
        signatures.back().size_bytes = 0;
        return done;
    }
};

struct records_inputs : fake_signer {
    std::vector<std::vector<std::string>>* calls;

    regrant::result<void, regrant::outage> sign(std::span<const std::string_view> inputs,
                                                std::span<regrant::signature> signatures) const {
        calls->emplace_back(inputs.begin(), inputs.end());
        return fake_signer::sign(inputs, signatures);
    }
};

std::chrono::sys_seconds at(std::int64_t seconds) { return std::chrono::sys_seconds(std::chrono::seconds(seconds)); }

} // namespace

TEST_CASE("a signer names its key and signs all tokens of an answer at once") {
    static_assert(regrant::signer<fake_signer>);
    static_assert(!regrant::signer<no_key_id>);
    static_assert(!regrant::signer<signs_one>);
    static_assert(!regrant::signer<not_const>);
    static_assert(!regrant::signer<says_nothing>);
    static_assert(!regrant::signer<int>);
}

TEST_CASE("the API page's tokens come out byte for byte (R89, R96)") {
    const fake_signer signer{.id = std::string(page_kid), .gives = "signed"};
    const std::array<std::string_view, 1> openid{"openid"};
    jwt_claims access(solidus::escaped);
    access.add("sub", "MOCK_USERNAME")
        .add("aud", "TENANT_CLIENT_ID")
        .add("nbf", at(1636449231))
        .add_array("scope", openid)
        .add("iss", "https://TENANT.PORTAL.DOMAIN")
        .add("exp", at(1636449531))
        .add("iat", at(1636449231))
        .add("jti", "5a18f141-e341-4338-85d6-bb4e41a86765");
    const auto token = encode_jwt(signer, access);
    REQUIRE(token);
    CHECK(token->reveal() == std::string(page_header) + '.' + std::string(page_access_claims) + ".c2lnbmVk");

    jwt_claims id(solidus::escaped);
    id.add("sub", "MOCK_USERNAME")
        .add("aud", "TENANT_CLIENT_ID")
        .add("azp", "TENANT_CLIENT_ID")
        .add("iss", "https://TENANT.PORTAL.DOMAIN")
        .add("exp", at(1636451031))
        .add("iat", at(1636449231))
        .add("jti", "013bab39-f918-448f-a396-ce77eeffdb37");
    CHECK(encode_jwt(signer, id)->reveal() ==
          std::string(page_header) + '.' + std::string(page_id_claims) + ".c2lnbmVk");
}

TEST_CASE("claims keep their order and their JSON types (7519 4)") {
    const std::array<std::string_view, 2> two{"b", "a"};
    CHECK(jwt_claims().json() == "{}");
    CHECK(jwt_claims()
              .add("z", "text")
              .add("y", std::int64_t{-1})
              .add("x", true)
              .add("w", at(0))
              .add_array("v", two)
              .add_array("u", {})
              .add_json("t", R"({"s":null})")
              .json() == R"({"z":"text","y":-1,"x":true,"w":0,"v":["b","a"],"u":[],"t":{"s":null}})");
}

TEST_CASE("a header names key, type and algorithm, and nothing a key id holds can add to it (7515 4)") {
    fake_signer signer{.id = "k\",\"alg\":\"none"};
    const auto token = encode_jwt(signer, jwt_claims(), "at+jwt");
    REQUIRE(token);
    const auto header = jwt_parts(token->reveal()).header();
    CHECK(header.size() == 3);
    CHECK(header.at("kid").to_str() == signer.id);
    CHECK(header.at("typ").to_str() == "at+jwt");
    CHECK(header.at("alg").to_str() == "RS256");
}

TEST_CASE("no claim ends the JSON, and every segment is base64url without padding (R71, R96)") {
    for (const std::string& subject : {std::string("a"), std::string("ab"), std::string("abc"),
                                       std::string("\",\"admin\":true,\"x\":\"\n\0\x7F", 23)}) {
        const auto token = encode_jwt(fake_signer{}, jwt_claims().add("sub", subject));
        REQUIRE(token);
        CHECK(token->reveal().find_first_of("=+/ \n") == std::string_view::npos);
        const auto claims = jwt_parts(token->reveal()).claims();
        CHECK(claims.size() == 1);
        CHECK(claims.at("sub").to_str() == subject);
    }
}

TEST_CASE("claims whose names or values are not UTF-8 are never signed (7519 7.1)") {
    CHECK(encode_jwt(fake_signer{}, jwt_claims().add("n\xC3\xA4me", "v\xC3\xA4lue")));
    const std::string_view odd = "a\xFF";
    for (const jwt_claims& claims :
         {jwt_claims().add("a", odd), jwt_claims().add(odd, "a"), jwt_claims().add(odd, 1),
          jwt_claims().add_array("a", std::span(&odd, 1)), jwt_claims().add_json("a", "\"\xFF\""),
          jwt_claims().add("a", odd).add("b", "good")}) {
        CHECK_FALSE(encode_jwt(fake_signer{}, claims));
        CHECK_FALSE(jwt_signing_input("h", claims));
        jwt_claims assigned;
        assigned = claims;
        CHECK_FALSE(assigned.is_utf8());
    }
    CHECK_FALSE(encode_jwt(fake_signer{.id = "k\xFF"}, jwt_claims()));
}

TEST_CASE("times go on after 2038 and after 2106 (R99)") {
    CHECK(jwt_claims().add("exp", at(2147483648)).add("far", at(4294967296)).add("last", at(253402300799)).json() ==
          R"({"exp":2147483648,"far":4294967296,"last":253402300799})");
}

TEST_CASE("the tokens of an answer are signed with one call, each with its own input (7515 5.1)") {
    std::vector<std::vector<std::string>> calls;
    const records_inputs signer{{}, &calls};
    std::array<regrant::secret, 2> tokens{*jwt_signing_input("h1", jwt_claims().add("a", true)),
                                          *jwt_signing_input("h2", jwt_claims())};
    CHECK(tokens[1].reveal() == "h2.e30");
    REQUIRE(sign_jwts(signer, std::span(tokens)));
    REQUIRE(calls.size() == 1);
    CHECK(calls[0] == std::vector<std::string>{"h1.eyJhIjp0cnVlfQ", "h2.e30"});
    CHECK(tokens[0].reveal() == "h1.eyJhIjp0cnVlfQ.c2lnbmVk");
    CHECK(tokens[1].reveal() == "h2.e30.c2lnbmVk");
}

TEST_CASE("a signer that fails, or gives no signature, leaves no token (R52, 7515 5.1)") {
    for (const fake_signer& signer : {fake_signer{.works = false}, fake_signer{.gives = ""}}) {
        CHECK_FALSE(encode_jwt(signer, jwt_claims()));
        std::array<regrant::secret, 2> tokens{*jwt_signing_input("h", jwt_claims()),
                                              *jwt_signing_input("h", jwt_claims())};
        CHECK_FALSE(sign_jwts(signer, std::span(tokens)));
        for (const auto& token : tokens) {
            const std::string_view text = token.reveal();
            CHECK_MESSAGE(text.find('.', text.find('.') + 1) == std::string_view::npos,
                          "unchanged where signing fails: ", text);
        }
    }
}

TEST_CASE("where one signature of two is missing, both inputs can be given to another signer (R52, 7515 5.1)") {
    const gives_one_signature failing;
    std::array<regrant::secret, 2> tokens{*jwt_signing_input("h1", jwt_claims()), *jwt_signing_input("h2", jwt_claims())};
    CHECK_FALSE(sign_jwts(failing, std::span(tokens)));
    REQUIRE(sign_jwts(fake_signer{}, std::span(tokens)));
    CHECK(tokens[0].reveal() == "h1.e30.c2lnbmVk");
    CHECK(tokens[1].reveal() == "h2.e30.c2lnbmVk");
}

TEST_CASE("more tokens than an answer has are refused") {
    std::array<regrant::secret, 3> three{};
    CHECK_FALSE(sign_jwts(fake_signer{}, std::span(three)));
}

TEST_CASE("claims that are copied or assigned go on apart, and keep how they write a slash") {
    jwt_claims one(solidus::escaped);
    one.add("iss", "https://a");
    jwt_claims other(one), third;
    third.add("sub", "nobody");
    third = one;
    one.add("only", "here");
    other.add("aud", "b/c");
    third.add("aud", "d/e");
    const auto payload = [](jwt_claims claims) {
        return jwt_parts(encode_jwt(fake_signer{}, std::move(claims))->reveal()).claims_json;
    };
    CHECK(payload(one) == R"({"iss":"https:\/\/a","only":"here"})");
    CHECK(payload(other) == R"({"iss":"https:\/\/a","aud":"b\/c"})");
    CHECK(payload(third) == R"({"iss":"https:\/\/a","aud":"d\/e"})");
}
