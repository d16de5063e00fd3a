#include <regrant/token_keyring.hpp>

#include "support/bytes.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using regrant::family_id;
using regrant::generation;
using regrant::lineage;
using regrant::token_key;
using regrant::token_key_id;
using regrant::token_keyring;

constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

family_id family(std::string_view hex = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf") {
    const auto bytes = support::bytes_of(hex);
    return family_id(std::span(bytes).first<16>());
}

token_key key(unsigned char id, char filling, std::size_t size = 32) {
    return {token_key_id{id}, regrant::secret(std::string(size, filling))};
}

template <class... Keys> auto ring(Keys... keys) {
    std::vector<token_key> all;
    (all.push_back(std::move(keys)), ...);
    return token_keyring::make(std::move(all));
}

std::string sealed(const token_keyring& with, const lineage& line) {
    auto token = with.seal(line);
    REQUIRE(token);
    return std::string(token->reveal());
}

/// Whether a token opens; an outage is a failure of the test.
std::optional<regrant::opened_token> opened(const token_keyring& with, std::string_view token) {
    auto open = with.open(token);
    REQUIRE(open);
    return *open ? std::optional(**open) : std::nullopt;
}

} // namespace

TEST_CASE("a sealed lineage opens as what it was (R38, R39)") {
    const auto keys = ring(key(1, 'a'));
    REQUIRE(keys);
    for (const auto number : {generation{0}, generation{1}, generation{0x01020304}, regrant::last_generation}) {
        const std::string token = sealed(*keys, {family(), number});
        CHECK(token.size() == token_keyring::token_characters);
        CHECK(token.find_first_not_of(digits) == std::string::npos);
        const auto back = opened(*keys, token);
        REQUIRE(back);
        CHECK(back->lineage.generation == number);
        CHECK(std::ranges::equal(back->lineage.family.bytes(), family().bytes()));
    }
}

TEST_CASE("the same lineage always gives the same token, so that a lost answer can be repeated (R47)") {
    const auto one = ring(key(1, 'a'));
    const auto other_server = ring(key(1, 'a'), key(2, 'b'));
    CHECK(sealed(*one, {family(), generation{5}}) == sealed(*other_server, {family(), generation{5}}));
    CHECK(sealed(*one, {family(), generation{5}}) != sealed(*one, {family(), generation{6}}));
}

TEST_CASE("a token of the first release opens for ever (R38)") {
    // Made by Python's hmac under the key 00 01 .. 1f, which stands here for the test alone.
    constexpr std::string_view token = "AQegoaKjpKWmp6ipqqusra6vAQIDBHVrqoE2yuFtYgh608ufQvn5-4gsEKyorqdOM5XZp9ax";
    std::string bytes;
    for (char c = 0; c != 32; ++c) bytes += c;
    std::vector<token_key> keys;
    keys.push_back({token_key_id{7}, regrant::secret(bytes)});
    const auto made = token_keyring::make(std::move(keys));
    REQUIRE(made);
    CHECK(sealed(*made, {family(), generation{0x01020304}}) == token);
    CHECK(opened(*made, token));
}

TEST_CASE("a row is kept under SHA-256 of its family (R36)") {
    const auto expected = support::bytes_of("503563c1bda45327ff4617750a06bd8143fcd4e7929934b7cf1e826c1ba60c90");
    const auto where = token_keyring::row_key_of(family());
    REQUIRE(where);
    CHECK(std::ranges::equal(where->bytes, expected));
    const auto keys = ring(key(1, 'a'));
    CHECK(opened(*keys, sealed(*keys, {family(), generation{9}}))->key == *where);
}

TEST_CASE("the seal's HMAC-SHA256 is that of the standard, for short keys and long ones (R39, 4231 4.2, 4.3, 4.7)") {
    const struct {
        std::string key;
        std::string_view text, mac;
    } vectors[] = {
        {std::string(20, '\x0B'), "Hi There", "sDRMYdjbOFNcqK_OrwvxK4gdwgDJgz2nJuk3bC4yz_c"},
        {"Jefe", "what do ya want for nothing?", "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM"},
        {std::string(131, '\xAA'), "Test Using Larger Than Block-Size Key - Hash Key First",
         "YOQxWR7gtn8Niiaqy_W3f44LxiE3KMUUBUYEDw7jf1Q"},
    };
    for (const auto& each : vectors) {
        CAPTURE(each.text);
        const auto keyed = regrant::detail::hmac_sha256::make(std::as_bytes(std::span(each.key)));
        REQUIRE(keyed);
        for (int times = 0; times != 2; ++times) {
            std::array<std::byte, 32> mac{};
            CHECK((*keyed)(std::as_bytes(std::span(each.text)), mac));
            CHECK(regrant::base64url(mac) == each.mac);
        }
    }
}

TEST_CASE("a token with any bit changed is nobody's (R35, R39)") {
    const auto keys = ring(key(1, 'a'), key(0, 'b'), key(3, 'c'));
    const std::string good = sealed(*keys, {family(), generation{7}});
    REQUIRE(opened(*keys, good));
    int changed = 0;
    for (std::size_t i = 0; i != good.size(); ++i)
        for (std::size_t bit = 1; bit != 64; bit *= 2) {
            std::string forged = good;
            forged[i] = digits[digits.find(forged[i]) ^ bit];
            if (!opened(*keys, forged)) ++changed;
        }
    CHECK(changed == 54 * 8);
}

TEST_CASE("a token that is cut, lengthened or written in another alphabet is nobody's (R13, R32)") {
    const auto keys = ring(key(1, 'a'));
    const std::string good = sealed(*keys, {family(), generation{7}});
    for (std::size_t size = 0; size != good.size(); ++size) CHECK_FALSE(opened(*keys, good.substr(0, size)));
    for (const std::string_view more : {"A", "=", "==", ".", " ", "\n", "AAAA"})
        CHECK_FALSE(opened(*keys, good + std::string(more)));
    CHECK_FALSE(opened(*keys, " " + good.substr(1)));
    for (int c = 0; c != 256; ++c) {
        std::string other = good;
        other[40] = static_cast<char>(c);
        CHECK(opened(*keys, other).has_value() == (other == good));
    }
    CHECK_FALSE(opened(*keys, std::string(72, 'A')));
    CHECK_FALSE(opened(*keys, std::string(72, '_')));
    CHECK_FALSE(opened(*keys, std::string(100'000, 'A')));
}

TEST_CASE("a token of another family does not open under the seal of this one (R39)") {
    const auto keys = ring(key(1, 'a'));
    const std::string one = sealed(*keys, {family(), generation{1}});
    const std::string other = sealed(*keys, {family("00000000000000000000000000000000"), generation{1}});
    // 2 + 16 bytes, 24 characters, name key and family; what follows is generation and seal.
    CHECK_FALSE(opened(*keys, other.substr(0, 24) + one.substr(24)));
}

TEST_CASE("token keys roll over: accept the new one everywhere, mint with it, drop the old one (R54)") {
    const auto before = ring(key(1, 'a'));
    const auto accepting = ring(key(1, 'a'), key(2, 'b'));
    const auto minting = ring(key(2, 'b'), key(1, 'a'));
    const auto after = ring(key(2, 'b'));
    const lineage line{family(), generation{3}};

    const std::string old_token = sealed(*accepting, line);
    CHECK(old_token == sealed(*before, line));
    const std::string new_token = sealed(*minting, line);
    CHECK(new_token == sealed(*after, line));
    CHECK(new_token != old_token);
    for (const auto* each : {&*accepting, &*minting}) {
        CHECK(opened(*each, old_token));
        CHECK(opened(*each, new_token));
    }
    CHECK_FALSE(opened(*before, new_token));
    CHECK_FALSE(opened(*after, old_token));
}

TEST_CASE("a token of a key that is not in the ring is told from a forged one: the key may be lost (R54, R249)") {
    using regrant::unopened;
    const auto keys = ring(key(1, 'a'), key(2, 'b'));
    const auto why = [&](std::string_view token) {
        const auto open = keys->open(token);
        REQUIRE(open);
        REQUIRE_FALSE(*open);
        return open->error();
    };
    const std::string foreign = sealed(*ring(key(3, 'c')), {family(), generation{0}});
    CHECK(why(foreign) == unopened::key_unknown);
    CHECK(why(sealed(*ring(key(1, 'c')), {family(), generation{0}})) == unopened::not_ours);
    CHECK(why(foreign.substr(1)) == unopened::not_ours);
    CHECK(why(foreign + "A") == unopened::not_ours);
    CHECK(why("B" + foreign.substr(1)) == unopened::not_ours); // another version
    CHECK(why("") == unopened::not_ours);
}

TEST_CASE("a key of the same id and other bytes opens nothing (R39, R54)") {
    const auto ours = ring(key(1, 'a'));
    const auto theirs = ring(key(1, 'b'));
    CHECK_FALSE(opened(*ours, sealed(*theirs, {family(), generation{0}})));
}

TEST_CASE("a ring without keys, with a short key or with one id twice is not made (R54)") {
    CHECK_FALSE(token_keyring::make({}));
    CHECK_FALSE(ring(key(1, 'a', 31)));
    CHECK_FALSE(ring(key(1, 'a'), key(2, 'b', 0)));
    CHECK(ring(key(1, 'a', 32)));
    CHECK(ring(key(255, 'a', 64), key(0, 'b')));
    const auto twice = ring(key(9, 'a'), key(2, 'b'), key(9, 'c'));
    REQUIRE_FALSE(twice);
    CHECK(twice.error().message.find('9') != std::string::npos);
}

TEST_CASE("a ring can be moved and copied into a server's parts") {
    auto keys = ring(key(1, 'a'));
    const std::string token = sealed(*keys, {family(), generation{0}});
    const token_keyring moved = *std::move(keys);
    CHECK(opened(moved, token));
}

TEST_CASE("a ring that another is moved to seals and opens as that one, whatever it did before (R39, R54)") {
    const lineage line{family(), generation{7}};
    auto keys = ring(key(1, 'a'));
    const std::string before = sealed(*keys, line);
    auto other = ring(key(1, 'b'));
    const std::string after = sealed(*other, line);
    *keys = *std::move(other);
    CHECK(sealed(*keys, line) == after);
    CHECK(opened(*keys, after));
    CHECK_FALSE(opened(*keys, before));
}
