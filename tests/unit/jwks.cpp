#include <regrant/jwks.hpp>

#include <doctest/doctest.h>
#include <picojson.h>

#include <cstddef>
#include <string>
#include <vector>

namespace {

picojson::array keys_of(const std::string& text) {
    picojson::value parsed;
    REQUIRE(picojson::parse(parsed, text).empty());
    REQUIRE(parsed.get<picojson::object>().size() == 1);
    return parsed.get("keys").get<picojson::array>();
}

} // namespace

TEST_CASE("the set publishes each key in its order, with public members alone (R100, R102, 7517 5)") {
    const std::vector<regrant::jwk> keys{{"AAAA", "AQAB", "now"}, {"BBBB", "AQAB", "next"}, {"CCCC", "Aw", "old"}};
    const auto published = keys_of(regrant::jwks(keys));
    REQUIRE(published.size() == 3);
    for (std::size_t i = 0; i != keys.size(); ++i) {
        CHECK(published[i].get("kid").to_str() == keys[i].kid);
        CHECK(published[i].get("n").to_str() == keys[i].n);
        for (const auto& member : published[i].get<picojson::object>()) {
            CAPTURE(member.first);
            CHECK(std::string(" kty n e use alg kid ").find(' ' + member.first + ' ') != std::string::npos);
        }
    }
}

TEST_CASE("a set may be empty (7517 5)") { CHECK(keys_of(regrant::jwks({})).empty()); }

TEST_CASE("a kid is text, whatever is in it (R71)") {
    const std::vector<regrant::jwk> keys{{"AAAA", "AQAB", "a\"},{\n"}};
    CHECK(keys_of(regrant::jwks(keys)).at(0).get("kid").to_str() == keys[0].kid);
}
