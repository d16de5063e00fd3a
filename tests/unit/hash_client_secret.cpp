#include <regrant/hash_client_secret.hpp>

#include "support/bytes.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
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

TEST_CASE("the slow hashes are those of the standards (R31, 7914 11, 12)") {
    std::array<std::byte, 32> derived;
    const auto bytes = [](std::string_view text) { return std::as_bytes(std::span(text)); };
    REQUIRE(regrant::detail::scrypt(bytes("pleaseletmein"), bytes("SodiumChloride"), 16384, 8, 1, derived));
    CHECK(std::ranges::equal(
        derived, support::bytes_of("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")));
    REQUIRE(regrant::detail::pbkdf2_sha256(bytes("Password"), bytes("NaCl"), 80000, derived));
    CHECK(std::ranges::equal(
        derived, support::bytes_of("4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56")));
}

TEST_CASE("the dearest cost allowed can be computed (R31)") {
    std::array<std::byte, 32> derived;
    for (const auto& [log2_n, r, p] : {std::array<unsigned, 3>{17, 8, 1}, {16, 16, 1}, {14, 8, 8}})
        CHECK(regrant::detail::scrypt({}, {}, std::uint64_t{1} << log2_n, r, p, derived));
}

TEST_CASE("slow and fast hashes live side by side while a client rolls over (R31)") {
    const auto slow = regrant::hash_client_secret_slowly("chosen", regrant::slow_cost::scrypt(14, 8, 1));
    REQUIRE(slow);
    const secret_hash fast = kept("generated");
    for (const bool swapped : {false, true}) {
        const secret_hash& one = swapped ? fast : *slow;
        const secret_hash& other = swapped ? *slow : fast;
        CHECK(matched("chosen", {}, one, other) == secret_match::as_meant);
        CHECK(matched("generated", {}, one, other) == secret_match::as_meant);
        CHECK(matched("neither", {}, one, other) == secret_match::neither);
        CHECK(matched("x", "chosen", one, other) == secret_match::raw);
    }
    // The bytes of a decoy, and of a place that is empty, are no hash of anything.
    regrant::slow_hash decoy;
    decoy.cost = regrant::slow_cost::scrypt(14, 8, 1);
    decoy.salt_size = 16;
    REQUIRE(regrant::detail::scrypt(std::as_bytes(std::span("decoy", 5)), decoy.salt(), 16384, 8, 1, decoy.derived));
    const auto against_decoy = regrant::match_client_secret_slowly({"decoy", {}, {fast}}, decoy);
    REQUIRE(against_decoy);
    CHECK(*against_decoy == secret_match::neither);
}
