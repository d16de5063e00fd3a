#include <regrant/parse_claim.hpp>

#include <doctest/doctest.h>
#include <picojson.h>

#include <clocale>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using regrant::parse_claim;
using namespace std::string_view_literals;

std::string nested(std::size_t deep, char open, char close) {
    std::string text;
    for (std::size_t i = 0; i != deep; ++i) (text += open) += open == '{' && i + 1 != deep ? R"("a":)" : "";
    return text + std::string(deep, close);
}

picojson::value read(const std::string& text) {
    picojson::value value;
    REQUIRE(picojson::parse(value, text).empty());
    return value;
}

} // namespace

TEST_CASE("any JSON value becomes a claim that means the same (7519 4.3, 8259)") {
    for (const char* json :
         {"null", "true", "false", "0", "-1", "1.5", "1e3", "\"text\"", "\"\\u00e9\\n\\\"\\/\"", "\"\\ud83d\\ude00\"",
          "[]", "{}", " [1, {\"b\": [null], \"a\": \"x\"}] ", "9007199254740992", "\"\xC3\xA9\""}) {
        CAPTURE(json);
        const auto made = parse_claim("name", json);
        REQUIRE(made);
        CHECK(made->name() == "name");
        CHECK(read(made->json()) == read(json));
    }
}

TEST_CASE("a claim is written anew, compact and with its members sorted") {
    const auto made = parse_claim("address", "{ \"b\" : 1,\n \"a\" : [ 2 , 3 ] }");
    REQUIRE(made);
    CHECK(made->json() == R"({"a":[2,3],"b":1})");
}

TEST_CASE("whole numbers of 64 bits keep every digit (R99)") {
    for (const char* number : {"9223372036854775807", "-9223372036854775808", "4294967296"}) {
        const auto made = parse_claim("number", number);
        REQUIRE(made);
        CHECK(made->json() == number);
    }
}

TEST_CASE("a longer whole number becomes the double next to it, where an extra_claim keeps it (8259 6)") {
    const auto made = parse_claim("number", "18446744073709551615");
    REQUIRE(made);
    CHECK(made->json() == "1.8446744073709552e+19");
    CHECK(regrant::extra_claim("number", 18446744073709551615U).json() == "18446744073709551615");
}

TEST_CASE("text that is not one JSON value is refused by its name, and throws nothing (8259)") {
    for (const std::string_view json :
         {""sv, " "sv, "1 2"sv, "{}x"sv, "{\"a\":1"sv, "[1,]"sv, "{\"a\":1,}"sv, "nul"sv, "'a'"sv, "\"a"sv, "+1"sv,
          "1e999"sv, "-1e999"sv, "NaN"sv, "\"\xFF\""sv, "\"\xED\xA0\x80\""sv, "[1]\0"sv, "\"a\nb\""sv, "\"\\x\""sv,
          "{\"a\":1,\"a\":1}"sv, "[{\"a\":{\"b\":1,\"b\":2}}]"sv, "{a:1}"sv, "\"\\ud83d\""sv}) {
        CAPTURE(json);
        const auto made = parse_claim("address", json);
        REQUIRE_FALSE(made);
        CHECK(made.error().message.find("address") != std::string::npos);
    }
}

TEST_CASE("numbers and text keep to the grammar (8259 6, 7)") {
    for (const std::string_view json :
         {"01"sv, "-01"sv, "1."sv, "1.e2"sv, ".5"sv, "-"sv, "1e"sv, "0x10"sv, "1e+"sv, "--1"sv, "[00]"sv, "\"\t\""sv, "[\"\\\"\",01]"sv, "[\"\\\\\",01]"sv}) {
        CAPTURE(json);
        CHECK_FALSE(parse_claim("number", json));
    }
}

TEST_CASE("numbers are read and written with a point where the host's locale has a decimal comma (8259 6)") {
    const std::string before = std::setlocale(LC_NUMERIC, nullptr);
    const char* const comma = std::getenv("REGRANT_COMMA_LOCALE"); // tests/run makes one
    if (std::setlocale(LC_NUMERIC, comma == nullptr ? "de_DE.UTF-8" : comma) == nullptr) {
        REQUIRE(comma == nullptr);
        MESSAGE("there is no such locale here");
        return;
    }
    const auto half = parse_claim("half", "52.5"), list = parse_claim("list", "[15e-1,2]");
    std::setlocale(LC_NUMERIC, before.c_str());
    REQUIRE(half);
    CHECK(half->json() == "52.5");
    REQUIRE(list);
    CHECK(list->json() == "[1.5,2]");
}

TEST_CASE("nesting ends at 32, of arrays, of objects and of both") {
    struct {
        char open, close;
    } const kinds[] = {{'[', ']'}, {'{', '}'}};
    for (const auto& kind : kinds) {
        CAPTURE(kind.open);
        CHECK(parse_claim("deep", nested(32, kind.open, kind.close)));
        CHECK_FALSE(parse_claim("deep", nested(33, kind.open, kind.close)));
        CHECK_FALSE(parse_claim("deep", nested(100'000, kind.open, kind.close)));
    }
    std::string mixed_open, mixed_close;
    for (int i = 0; i != 16; ++i) {
        mixed_open += R"([{"a":)";
        mixed_close += "}]";
    }
    CHECK(parse_claim("deep", mixed_open + "0" + mixed_close));
    CHECK_FALSE(parse_claim("deep", mixed_open + "[0]" + mixed_close));
    CHECK_FALSE(parse_claim("deep", mixed_open + "{}" + mixed_close));
    // Width is not depth.
    CHECK(parse_claim("wide", "[[],[],[],[[[]]],{},{\"a\":{},\"b\":{}}]"));
}
