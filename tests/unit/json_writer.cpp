#include <regrant/json_writer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace {

using regrant::json_writer;
using regrant::solidus;
using namespace std::string_view_literals;

std::string written(std::string_view text, solidus slashes = solidus::plain) {
    std::string to;
    json_writer(to, slashes).value(text);
    return to;
}

} // namespace

TEST_CASE("members come compact and in the order they are written (R65, R73)") {
    std::string text;
    json_writer json(text);
    json.begin_object();
    json.key("sub").value("alice");
    json.key("exp").value(std::int64_t{1636449531});
    json.key("aud").begin_array().value("z").value("a").end_array();
    json.key("none").begin_array().end_array();
    json.key("nested").begin_object().key("yes").value(true).key("no").value(false).end_object();
    json.key("raw").raw("null");
    json.end_object();
    CHECK(text == R"({"sub":"alice","exp":1636449531,"aud":["z","a"],"none":[],"nested":{"yes":true,"no":false},)"
                  R"("raw":null})");
}

TEST_CASE("a name is escaped whether it is a literal, a string or a character array (R65, 8259 7)") {
    const std::string name = "a\"b\x7F/";
    char array[] = "a\"b\x7F/";
    std::string text;
    json_writer json(text, solidus::escaped);
    json.begin_object().key("a\"b\x7F/").value(1).key(name).value(2).key(array).value(3).key("").value(4).end_object();
    CHECK(text == R"({"a\"b\u007f\/":1,"a\"b\u007f\/":2,"a\"b\u007f\/":3,"":4})");
}

TEST_CASE("JSON is appended to what stands there") {
    std::string text = "x";
    json_writer(text).begin_array().begin_object().end_object().begin_array().end_array().end_array();
    CHECK(text == "x[{},[]]");
}

TEST_CASE("a text literal is a text, not a truth value") {
    std::string text;
    json_writer(text).value("true");
    CHECK(text == R"("true")");
}

TEST_CASE("whole numbers of 64 bits are written exactly (R99)") {
    std::string text;
    json_writer(text).begin_array()
        .value(std::int64_t{0})
        .value(std::int64_t{-1})
        .value(std::int64_t{4294967296})
        .value(std::numeric_limits<std::int64_t>::max())
        .value(std::numeric_limits<std::int64_t>::min())
        .end_array();
    CHECK(text == "[0,-1,4294967296,9223372036854775807,-9223372036854775808]");
}

TEST_CASE("no control byte leaves unescaped, and NUL ends nothing (R71, 8259 7)") {
    for (int c = 0; c != 0x20; ++c) {
        const char byte = static_cast<char>(c);
        const std::string text = written(std::string_view(&byte, 1));
        CAPTURE(c);
        constexpr std::string_view digits = "0123456789abcdef";
        const std::string escaped{'"', '\\', 'u', '0', '0', digits[static_cast<std::size_t>(c >> 4)],
                                  digits[static_cast<std::size_t>(c & 15)], '"'};
        CHECK(text == escaped);
    }
    CHECK(written("a\0b"sv) == R"("a\u0000b")");
    CHECK(written("\x7F").find('\x7F') == std::string::npos);
}

TEST_CASE("quote and backslash are escaped, in names too (8259 7)") {
    CHECK(written(R"(a"b\c)") == R"("a\"b\\c")");
    std::string text;
    json_writer(text).begin_object().key("a\"\n").value("").end_object();
    CHECK(text == R"({"a\"\u000a":""})");
}

TEST_CASE("a slash is plain, or escaped as the API page's tokens have it (8259 7)") {
    CHECK(written("https://a") == R"("https://a")");
    CHECK(written("https://a", solidus::escaped) == R"("https:\/\/a")");
}

TEST_CASE("UTF-8 leaves as it came, up to the last character of Unicode (8259 8.1)") {
    for (const std::string_view text : {"\xC2\x80", "\xE2\x82\xAC", "\xED\x9F\xBF", "\xEF\xBF\xBF",
                                        "\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF"})
        CHECK(written(text) == '"' + std::string(text) + '"');
}

TEST_CASE("a byte that is no UTF-8 becomes U+FFFD, and the text around it stays (8259 8.1)") {
    constexpr std::string_view replacement = "\xEF\xBF\xBD";
    for (const std::string_view bad : {"\x80", "\xC2", "\xFF", "\xC0"})
        CHECK(written("a" + std::string(bad) + "b") == "\"a" + std::string(replacement) + "b\"");
    // A quote behind a cut sequence is a quote.
    CHECK(written("\xE2\x82\"") == "\"" + std::string(replacement) + std::string(replacement) + "\\\"\"");
    CHECK(written("\xED\xA0\x80").find('\xED') == std::string::npos);
    CHECK(written("\xF0\x9F\x98").find('\xF0') == std::string::npos);
}

TEST_CASE("what must be escaped is found wherever it stands in a text of any length (8259 7)") {
    const std::pair<char, std::string_view> escapes[] = {
        {'"', "\\\""},         {'\\', "\\\\"},         {'/', "\\/"},
        {'\x1F', "\\u001f"}, {'\x7F', "\\u007f"}, {'\xFF', "\xEF\xBF\xBD"},
    };
    const std::size_t sizes[] = {1, 15, 16, 17, 31, 32, 33, 64, 255, 256, 257, 271, 272, 273, 600};
    for (const std::size_t size : sizes) {
        const std::string plain(size, 'a');
        CHECK(written(plain, solidus::escaped) == '"' + plain + '"');
        for (std::size_t i = 0; i < size; i += size > 300 ? 7 : 1)
            for (const auto& [byte, escaped] : escapes) {
                std::string text = plain;
                text[i] = byte;
                std::string expected = plain;
                expected.replace(i, 1, escaped);
                const bool holds = written(text, solidus::escaped) == '"' + expected + '"';
                CAPTURE(size);
                CAPTURE(i);
                CHECK(holds);
            }
    }
}

TEST_CASE("an escape costs no time for each character behind it (8259 7)") {
    const auto time_of = [](const std::string& text) {
        auto least = std::chrono::steady_clock::duration::max();
        for (int times = 0; times != 5; ++times) {
            const auto begun = std::chrono::steady_clock::now();
            REQUIRE(written(text).size() > text.size());
            least = (std::min)(least, std::chrono::steady_clock::now() - begun);
        }
        return least;
    };
    const std::string escaped(10'000, '"'), plain(4'000'000, 'a');
    // Their product would take more than fifty times as long, each time; on a busy machine one measurement says nothing.
    bool holds = false;
    for (int times = 0; times != 20 && !holds; ++times)
        holds = time_of(escaped + plain) < 16 * (time_of(escaped) + time_of(plain));
    CHECK(holds);
}
