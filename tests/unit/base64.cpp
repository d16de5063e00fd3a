#include <regrant/base64.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using regrant::base64_decode;
using regrant::base64url;
using regrant::base64url_decode;

struct vector_of_4648 {
    std::string_view text;
    std::string_view padded;
    std::string_view unpadded;
};

// RFC 4648 10.
constexpr vector_of_4648 vectors[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
};

} // namespace

TEST_CASE("base64url encodes the vectors of RFC 4648 10 without their padding (R96, 7515 2)") {
    for (const auto& each : vectors) {
        CHECK(base64url(each.text) == each.unpadded);
        CHECK(regrant::base64url_size(each.text.size()) == each.unpadded.size());
    }
}

TEST_CASE("base64url decodes the vectors of RFC 4648 10, and no other length or padding (R96, 7515 2)") {
    for (const auto& each : vectors) {
        CAPTURE(each.text);
        std::vector<std::byte> bytes(each.text.size());
        CHECK(base64url_decode(each.unpadded, bytes));
        CHECK(std::ranges::equal(bytes, std::as_bytes(std::span(each.text))));
        if (each.padded != each.unpadded) CHECK_FALSE(base64url_decode(each.padded, bytes));
        std::vector<std::byte> more(each.text.size() + 1);
        CHECK_FALSE(base64url_decode(each.unpadded, more));
    }
}

TEST_CASE("base64url writes - and _ for the last two digits (R96, 4648 5)") {
    constexpr std::array bytes{std::byte{0xFB}, std::byte{0xEF}, std::byte{0xFF}};
    CHECK(base64url(bytes) == "--__");
    std::array<std::byte, 3> back{};
    CHECK(base64url_decode("--__", back));
    CHECK(back == bytes);
    CHECK_FALSE(base64url_decode("++//", back));
}

TEST_CASE("base64url brings every byte back, whatever its place (R96)") {
    for (std::size_t before = 0; before != 3; ++before) {
        std::vector<std::byte> bytes(before + 256);
        for (std::size_t i = 0; i != 256; ++i) bytes[before + i] = static_cast<std::byte>(i);
        std::vector<std::byte> back(bytes.size());
        CHECK(base64url_decode(base64url(bytes), back));
        CHECK(back == bytes);
    }
}

TEST_CASE("base64url writes long texts, which it takes in blocks, as it writes short ones (R96, 4648 4)") {
    for (std::size_t size = 0; size != 130; ++size) {
        CAPTURE(size);
        std::vector<std::byte> bytes(size);
        for (std::size_t i = 0; i != size; ++i) bytes[i] = static_cast<std::byte>(i * i + 37 * size);
        // Triples stand each for themselves.
        std::string expected;
        for (std::size_t i = 0; i < size; i += 3)
            expected += base64url(std::span(bytes).subspan(i, std::min<std::size_t>(3, size - i)));
        CHECK(base64url(bytes) == expected);
    }
}

TEST_CASE("base64url takes the characters of its alphabet alone (R96, 4648 3.3)") {
    int taken = 0;
    for (int c = 0; c != 256; ++c) {
        std::array<std::byte, 3> bytes{};
        const std::string text{'A', static_cast<char>(c), 'A', 'A'};
        taken += base64url_decode(text, bytes);
    }
    CHECK(taken == 64);
}

TEST_CASE("two texts never stand for the same bytes: left-over bits must be zero (4648 3.5)") {
    std::array<std::byte, 1> one{};
    std::array<std::byte, 2> two{};
    CHECK_FALSE(base64url_decode("Zh", one));
    CHECK_FALSE(base64url_decode("Zm9", two));
    CHECK_FALSE(base64_decode("Zh==").has_value());
    CHECK_FALSE(base64_decode("Zm9=").has_value());
}

TEST_CASE("the examples of the JWS standard encode as it says (R96, 7515 A.1.1, A.2.1, App. C)") {
    constexpr std::array appendix_c{std::byte{3}, std::byte{236}, std::byte{255}, std::byte{224}, std::byte{193}};
    CHECK(base64url(appendix_c) == "A-z_4ME");
    CHECK(base64url(R"({"alg":"RS256"})") == "eyJhbGciOiJSUzI1NiJ9");
    CHECK(base64url("{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}") ==
          "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ");
}

TEST_CASE("base64 with its padding decodes the vectors of RFC 4648 10 (7617 2)") {
    for (const auto& each : vectors) {
        const auto decoded = base64_decode(each.padded);
        REQUIRE(decoded);
        CHECK(decoded->reveal() == each.text);
    }
    const auto last_digits = base64_decode("++//");
    REQUIRE(last_digits);
    CHECK(last_digits->reveal() == "\xFB\xEF\xFF");
}

TEST_CASE("base64 that is cut, foreign or padded at will is refused (R24, 4648 3)") {
    for (const std::string_view text :
         {"Z", "Zg", "Zg=", "Zg===", "Z===", "=", "==", "====", "Zg==Zg==", "Zg==\n", "Zm9v ", " Zm9v", "Zm 9", "Zm9\t",
          "--__", "Zm9v====", "=Zm9", "Z=9v", "Zm=v"}) {
        CAPTURE(text);
        CHECK_FALSE(base64_decode(text).has_value());
    }
}
