#include <regrant/jwk.hpp>

#include <doctest/doctest.h>
#include <picojson.h>

#include <string>

namespace {

// The key of RFC 7638 3.1.
regrant::jwk example() {
    return {"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB"
            "ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8"
            "KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
            "xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "AQAB", "2011-04-29"};
}

} // namespace

TEST_CASE("the thumbprint of the standard's example matches (R101, 7638 3.1)") {
    const auto made = thumbprint(example());
    REQUIRE(made);
    CHECK(*made == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

TEST_CASE("a thumbprint is of the required members alone: the kid does not count (R101, 7638 3.2)") {
    auto renamed = example();
    renamed.kid = "other";
    CHECK(*thumbprint(renamed) == *thumbprint(example()));
    auto other = example();
    other.e = "Aw";
    CHECK(*thumbprint(other) != *thumbprint(example()));
}

TEST_CASE("a published key has its public members and no other (R100, 7517 4, 7518 6.3.1)") {
    std::string text;
    regrant::json_writer json(text);
    write(json, example());
    picojson::value parsed;
    REQUIRE(picojson::parse(parsed, text).empty());
    const auto& members = parsed.get<picojson::object>();
    CHECK(members.size() == 6);
    CHECK(members.at("kty").to_str() == "RSA");
    CHECK(members.at("n").to_str() == example().n);
    CHECK(members.at("e").to_str() == "AQAB");
    CHECK(members.at("use").to_str() == "sig");
    CHECK(members.at("alg").to_str() == "RS256");
    CHECK(members.at("kid").to_str() == "2011-04-29");
}
