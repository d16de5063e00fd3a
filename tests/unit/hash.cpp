#include <regrant/hash.hpp>

#include "support/bytes.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>

TEST_CASE("SHA-256 gives the answers of its standard (6234 8.5, FIPS 180-4)") {
    struct {
        std::string text;
        std::string_view digest;
    } const table[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {std::string(1'000'000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    };
    for (const auto& row : table) {
        const auto made = regrant::sha256(std::string_view(row.text));
        REQUIRE(made);
        CHECK(std::ranges::equal(*made, support::bytes_of(row.digest)));
    }
}

TEST_CASE("nothing at all has a digest too") {
    const auto made = regrant::sha256(std::string_view());
    REQUIRE(made);
    CHECK(*made == *regrant::sha256(""));
}
