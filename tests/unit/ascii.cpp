#include <regrant/detail/ascii.hpp>

#include <doctest/doctest.h>

#include <cctype>
#include <string>
#include <string_view>

using namespace regrant;
using detail::equal_but_case;
using detail::lists;
using detail::lower;
using detail::take_token;
using detail::trim_blanks;

TEST_CASE("of 256 bytes only A to Z have another lower case (9110 5.1)") {
    for (int byte = 0; byte != 256; ++byte) {
        CAPTURE(byte);
        const char c = static_cast<char>(byte);
        const char expected = byte < 128 ? static_cast<char>(std::tolower(byte)) : c;
        CHECK(lower(c) == expected);
    }
    CHECK(equal_but_case("Content-Type", "cONTENT-tYPE"));
    CHECK_FALSE(equal_but_case("a", "ab"));
    CHECK_FALSE(equal_but_case("@[", "`{"));
}

TEST_CASE("of 256 bytes the token characters are tchar's (9110 5.6.2)") {
    for (int byte = 0; byte != 256; ++byte) {
        CAPTURE(byte);
        const char c = static_cast<char>(byte);
        const bool is_tchar = byte < 128 && (std::isalnum(byte) != 0 ||
                                             std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
        const std::string text = std::string("a") + c + "b";
        std::string_view rest = text;
        CHECK(take_token(rest) == (is_tchar ? text : "a"));
        CHECK(rest == std::string_view(text).substr(is_tchar ? 3 : 1));
    }
    std::string_view none = "=a";
    CHECK(take_token(none).empty());
    CHECK(none == "=a");
    CHECK(take_token(none = "").empty());
}

TEST_CASE("blanks and tabs around a value are no part of it (9110 5.6.3)") {
    for (const std::string_view text : {"a b", " a b", "\ta b", "a b ", "a b\t", " \t a b \t "}) CHECK(trim_blanks(text) == "a b");
    for (const std::string_view text : {"", " ", "\t", " \t "}) CHECK(trim_blanks(text).empty());
    CHECK(trim_blanks("\r\na") == "\r\na");
}

TEST_CASE("a list has a word between commas, in any case (9110 5.6.1)") {
    for (const std::string_view list : {"close", "CLOSE", "TE, close", "close,TE", " \tclose\t ", ",,close", "close,,", "a,\tclose , b"})
        CHECK_MESSAGE(lists(list, "close"), list);
    for (const std::string_view list : {"", ",", "closed", "clos", "close d", "TE close", "\"close\""})
        CHECK_MESSAGE(!lists(list, "close"), list);
}
