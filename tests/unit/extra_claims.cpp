#include <regrant/extra_claims.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <string_view>

using regrant::extra_claim;
using regrant::is_reserved_claim;

TEST_CASE("a claim of the host's own is a name with its value as JSON (7519 4.3)") {
    CHECK(extra_claim("role", "editor").name() == "role");
    CHECK(extra_claim("role", "editor").json() == R"("editor")");
    CHECK(extra_claim("role", std::string_view("a\"b")).json() == R"("a\"b")");
    CHECK(extra_claim("level", std::int64_t{4294967296}).json() == "4294967296");
    CHECK(extra_claim("paid", true).json() == "true");
    CHECK(extra_claim::from_json("groups", R"(["a","b"])").json() == R"(["a","b"])");
}

TEST_CASE("a claim knows whether its name and value were UTF-8 (R98, 7519 7.1)") {
    CHECK(extra_claim("n\xC3\xA4me", "v\xC3\xA4lue").is_utf8());
    CHECK(extra_claim("level", 1).is_utf8());
    CHECK_FALSE(extra_claim("n\xFF", "value").is_utf8());
    CHECK_FALSE(extra_claim("n\xFF", true).is_utf8());
    CHECK_FALSE(extra_claim("name", "\xC3").is_utf8());
    CHECK(extra_claim::from_json("name", "\"\xC3\xA4\"").is_utf8());
    CHECK_FALSE(extra_claim::from_json("name", "\"\xE4\"").is_utf8());
}

TEST_CASE("a claim the profile writes is not the host's to set (R98, 7519 4.1, 9068 2.2)") {
    for (const std::string_view name : {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "client_id", "nonce",
                                        "azp", "auth_time", "at_hash", "c_hash", "cnf", "act"})
        CHECK(is_reserved_claim(name));
    for (const std::string_view name : {"", "acr", "amr", "email", "role", "ISS", "issuer", "exp "})
        CHECK_FALSE(is_reserved_claim(name));
}
