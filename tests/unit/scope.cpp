#include <regrant/scope.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace {

using regrant::scope;
using namespace std::string_view_literals;

std::vector<std::string> words_of(const scope& of) {
    std::vector<std::string> words;
    of.for_each([&](std::string_view word) { words.emplace_back(word); });
    return words;
}

} // namespace

TEST_CASE("a scope is words with one space between two, in the order written (R59, 6749 3.3)") {
    const auto parsed = scope::parse("openid email https://api.example/read");
    REQUIRE(parsed);
    CHECK(words_of(*parsed) == std::vector<std::string>{"openid", "email", "https://api.example/read"});
    CHECK(parsed->text() == "openid email https://api.example/read");
    CHECK_FALSE(parsed->empty());
}

TEST_CASE("a scope with a space too many, or with none of the text, is malformed (R59, 6749 3.3)") {
    for (const std::string_view text :
         {"", " ", " a", "a ", "a  b", "a\tb", "a\nb", "\"a\"", "a\\b", "a\x7F", "\xC3\xA9"})
        CHECK_FALSE(scope::parse(text).has_value());
    CHECK_FALSE(scope::parse("a\0b"sv).has_value());
}

TEST_CASE("a scope word holds %x21 / %x23-5B / %x5D-7E and no other byte (R59, 6749 A.4)") {
    for (int c = 0; c != 256; ++c) {
        if (c == ' ') continue;
        CAPTURE(c);
        const std::string text{'a', static_cast<char>(c)};
        const bool allowed = c == 0x21 || (c >= 0x23 && c <= 0x5B) || (c >= 0x5D && c <= 0x7E);
        CHECK(scope::parse(text).has_value() == allowed);
    }
}

TEST_CASE("a word that is repeated counts once") {
    CHECK(scope::parse("b a b a")->text() == "b a");
    CHECK(scope::parse("a a")->text() == "a");
}

TEST_CASE("thousands of words cost no square of their number: a form may hold as many (R9, R59)") {
    const auto seconds_of = [](int words) {
        std::string text = "a0 a0"; // one that is repeated, so that it is looked for
        for (int i = 1; i != words; ++i) text += " a" + std::to_string(i);
        auto least = std::chrono::steady_clock::duration::max();
        for (int times = 0; times != 5; ++times) {
            const auto begun = std::chrono::steady_clock::now();
            REQUIRE(scope::parse(text)->text().size() == text.size() - 3);
            least = (std::min)(least, std::chrono::steady_clock::now() - begun);
        }
        return std::chrono::duration<double>(least).count();
    };
    // The square would take 900 times as long, each time; on a busy machine one measurement says nothing.
    bool holds = false;
    for (int times = 0; times != 20 && !holds; ++times) holds = seconds_of(9000) < 300 * seconds_of(300);
    CHECK(holds);
}

TEST_CASE("scope words are whole and case-sensitive, in any order (R59, 6749 3.3)") {
    const auto granted = scope::parse("openid email profile");
    REQUIRE(granted);
    CHECK(granted->contains("openid"));
    CHECK(granted->contains("profile"));
    for (const std::string_view word : {"OpenID", "open", "openidx", "mail", "", "openid email", " "})
        CHECK_FALSE(granted->contains(word));

    CHECK(granted->holds_all_of(*scope::parse("profile openid")));
    CHECK(granted->holds_all_of(*granted));
    CHECK(granted->holds_all_of(scope()));
    for (const std::string_view wider : {"phone", "openid phone", "phone openid", "openid phone email"})
        CHECK_FALSE(granted->holds_all_of(*scope::parse(wider)));
    CHECK_FALSE(scope().holds_all_of(*granted));
}

TEST_CASE("what two scopes share comes in the order of the first (R61)") {
    const auto one = scope::parse("a b c d");
    CHECK(one->common_with(*scope::parse("d x b")).text() == "b d");
    CHECK(one->common_with(*scope::parse("x")).empty());
    CHECK(one->common_with(scope()).text().empty());
}

TEST_CASE("no text stands for the empty scope, and it has no word") {
    CHECK(scope().empty());
    CHECK(words_of(scope()).empty());
}

TEST_CASE("a store's text becomes the scope it was") {
    CHECK(words_of(scope::trusted("a b")) == std::vector<std::string>{"a", "b"});
    CHECK(scope::trusted("").empty());
}
