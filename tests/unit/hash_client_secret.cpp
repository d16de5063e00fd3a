#include <regrant/hash_client_secret.hpp>

#include "support/bytes.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace {

using regrant::hash_client_secret;
using regrant::secret_hash;
using regrant::secret_match;

secret_match matched(std::string_view presented, std::optional<std::string_view> raw, const secret_hash& one,
                     const secret_hash& other = {}) {
    const auto answer = regrant::match_client_secret({presented, raw, {one, other}});
    REQUIRE(answer);
    return *answer;
}

secret_hash kept(std::string_view text) {
    const auto made = hash_client_secret(text);
    REQUIRE(made);
    return *made;
}

} // namespace

TEST_CASE("of a secret its SHA-256 is kept (R31)") {
    CHECK(std::ranges::equal(
        kept("abc").sha256,
        support::bytes_of("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")));
}

TEST_CASE("either of two live secrets matches, and no other text (R31)") {
    const secret_hash old_one = kept("old");
    const secret_hash new_one = kept("new");
    CHECK(matched("old", {}, old_one, new_one) == secret_match::as_meant);
    CHECK(matched("new", {}, old_one, new_one) == secret_match::as_meant);
    CHECK(matched("old", {}, old_one) == secret_match::as_meant);
    for (const std::string_view wrong : {"", "ol", "oldd", "Old", "new "})
        CHECK(matched(wrong, {}, old_one, new_one) == secret_match::neither);
}

TEST_CASE("a client without secrets matches nothing, the empty text neither (R20)") {
    CHECK(matched("", {}, {}) == secret_match::neither);
    CHECK(matched("x", "", {}) == secret_match::neither);
}

TEST_CASE("a secret sent raw matches as raw, which strict clients are refused for (R18, R19)") {
    const secret_hash plus = kept("a+b%c:d");
    CHECK(matched("a+b%c:d", "a%2Bb%25c%3Ad", plus) == secret_match::as_meant);
    CHECK(matched("a b%c:d", "a+b%c:d", plus) == secret_match::raw);
    CHECK(matched("a b", "a%20b", plus) == secret_match::neither);
    // Where both match, what the protocol means counts.
    CHECK(matched("one", "two", kept("two"), kept("one")) == secret_match::as_meant);
}
