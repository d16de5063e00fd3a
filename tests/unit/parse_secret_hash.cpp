#include <regrant/parse_secret_hash.hpp>

#include <regrant/hash_client_secret.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace regrant;

namespace {

// Made with Python's hashlib, of "correct horse" and "generated".
constexpr std::string_view by_scrypt =
    "$scrypt$ln=14,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$JbN2hANm9NOw4h5BRHZnbjzQ6Jr0QwNWojTOC2WgIbU";
constexpr std::string_view by_pbkdf2 =
    "$pbkdf2-sha256$i=100000$+vv8/f7/AAECAwQFBgcICQoLDA0$yFPtlA+Lg/MgBAjE91Up67csviwM2Nb0TYK5JfNCX+A";
constexpr std::string_view by_sha256 = "$sha256$4MuAClzNpMsbKteZDeCCqqHkDncYmMC8so/LI8Jh5CI";

std::string with(std::string_view text, std::string_view old, std::string_view fresh) {
    std::string made(text);
    const std::size_t at = made.find(old);
    REQUIRE(at != std::string::npos);
    return made.replace(at, old.size(), fresh);
}

} // namespace

TEST_CASE("hashes that another program made are read, and match what it hashed (R31, 7914 2, 8018 5.2)") {
    for (const auto& [text_, secret] : {std::pair(by_scrypt, "correct horse"), std::pair(by_pbkdf2, "correct horse"),
                                        std::pair(by_sha256, "generated")}) {
        const auto text = text_; // clang 14 captures no structured binding
        CAPTURE(text);
        const auto hash = parse_secret_hash(text);
        REQUIRE(hash);
        CHECK((hash->slow != nullptr) == (text != by_sha256));
        for (const bool is_second : {false, true}) {
            secret_check check{secret, {}, {}};
            check.stored[is_second] = *hash;
            CHECK(*match_client_secret(check) == secret_match::as_meant);
            check.presented = "correct horsf";
            CHECK(*match_client_secret(check) == secret_match::neither);
        }
        CHECK(to_text(*hash) == text);
    }
}

TEST_CASE("a hash of our own is written as it is read, and has a salt of its own (R31)") {
    const auto one = hash_client_secret_slowly("hunter2", slow_cost::scrypt(14, 8, 1));
    const auto other = hash_client_secret_slowly("hunter2", slow_cost::scrypt(14, 8, 1));
    const auto third = hash_client_secret_slowly("hunter2", slow_cost::pbkdf2_sha256(100'000));
    REQUIRE(one);
    REQUIRE(other);
    REQUIRE(third);
    CHECK(to_text(*one) != to_text(*other));
    for (const auto* each : {&*one, &*other, &*third}) {
        const auto read = parse_secret_hash(to_text(*each));
        REQUIRE(read);
        CHECK(*match_client_secret({"hunter2", {}, {*read}}) == secret_match::as_meant);
        CHECK(*match_client_secret({"hunter3", {}, {*read}}) == secret_match::neither);
    }
    CHECK_FALSE(hash_client_secret_slowly("hunter2", slow_cost::scrypt(13, 8, 1)));
    CHECK_FALSE(hash_client_secret_slowly("hunter2", slow_cost::pbkdf2_sha256(1)));
}

TEST_CASE("text in any other form is refused, and so is a cost out of bounds (R31)") {
    REQUIRE(parse_secret_hash(by_scrypt));
    for (const std::string& bad :
         {std::string(), std::string("$"), std::string("$$"), std::string("hunter2"), std::string("$argon2id$v=19$x$y"),
          std::string("$scrypt$"), std::string("$scrypt$ln=14,r=8,p=1"), std::string("$sha256$"),
          std::string(by_scrypt.substr(1)), std::string(by_scrypt) + "$", std::string(by_scrypt) + "A",
          std::string(by_scrypt.substr(0, by_scrypt.size() - 1)), with(by_scrypt, "ln=14", "ln=13"),
          with(by_scrypt, "ln=14", "ln=18"), with(by_scrypt, "ln=14", "ln=014"), with(by_scrypt, "ln=14", "ln=+14"),
          with(by_scrypt, "ln=14", "ln=4294967310"), with(by_scrypt, "ln=14", "ln="), with(by_scrypt, "ln=14,", ""),
          with(by_scrypt, "p=1", "p=1,"), with(by_scrypt, "p=1", "p=1,x=1"), with(by_scrypt, "r=8", "r=64"),
          with(by_scrypt, "p=1", "p=9"), with(by_scrypt, "ln=14,r=8", "r=8,ln=14"), with(by_scrypt, "ODw", "ODw=="),
          with(by_scrypt, "AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBgcICQoLDA0O"), with(by_scrypt, "AAEC", "AA-C"),
          with(by_scrypt, "AAEC", "AA_C"),
          with(by_scrypt, "AAECAwQFBgcICQoLDA0ODw", std::string(90, 'A')), with(by_pbkdf2, "100000", "99999"),
          with(by_pbkdf2, "100000", "2000001"), with(by_pbkdf2, "100000", "100000,l=32"), with(by_pbkdf2, "sha256", "sha1"),
          with(by_pbkdf2, "+vv8", "-vv8"), with(by_sha256, "5CI", "5C"), std::string(by_sha256) + "AA"}) {
        CAPTURE(bad);
        const auto hash = parse_secret_hash(bad);
        REQUIRE_FALSE(hash);
        CHECK_FALSE(hash.error().message.empty());
    }
}
