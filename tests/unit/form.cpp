#include <regrant/form.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using regrant::form;
using regrant::form_error;
using namespace std::string_view_literals;

using fields = std::vector<std::pair<std::string_view, std::string_view>>;

fields fields_of(const form& parsed) {
    fields all;
    for (const form::field& each : parsed.fields()) all.emplace_back(each.name, each.value);
    return all;
}

std::string repeated(std::string_view piece, int times) {
    std::string text;
    for (int i = 0; i != times; ++i) text += piece;
    return text;
}

} // namespace

TEST_CASE("well-formed input decodes as the WHATWG URL standard decodes it (R4, web-platform-tests)") {
    struct {
        std::string_view text;
        fields decoded;
    } const table[] = {
        {"test", {{"test", ""}}},
        {"\xEF\xBB\xBFtest=\xEF\xBB\xBF", {{"\xEF\xBB\xBFtest", "\xEF\xBB\xBF"}}},
        {"%EF%BB%BFtest=%EF%BB%BF", {{"\xEF\xBB\xBFtest", "\xEF\xBB\xBF"}}},
        {"%EF%BF%BF=%EF%BF%BF", {{"\xEF\xBF\xBF", "\xEF\xBF\xBF"}}},
        {"\xE2\x80\xA0&\xE2\x80\xA0=x", {{"\xE2\x80\xA0", ""}, {"\xE2\x80\xA0", "x"}}},
        {"", {}},
        {"a", {{"a", ""}}},
        {"a=b", {{"a", "b"}}},
        {"a=", {{"a", ""}}},
        {"=b", {{"", "b"}}},
        {"=", {{"", ""}}},
        {"&", {}},
        {"&a", {{"a", ""}}},
        {"a&", {{"a", ""}}},
        {"a&a", {{"a", ""}, {"a", ""}}},
        {"a&b&c", {{"a", ""}, {"b", ""}, {"c", ""}}},
        {"a=b&c=d", {{"a", "b"}, {"c", "d"}}},
        {"a=b&c=d&", {{"a", "b"}, {"c", "d"}}},
        {"&&&a=b&&&&c=d&", {{"a", "b"}, {"c", "d"}}},
        {"a=a&a=b&a=c", {{"a", "a"}, {"a", "b"}, {"a", "c"}}},
        {"a==a", {{"a", "=a"}}},
        {"a=a+b+c+d", {{"a", "a b c d"}}},
        {"%61=a", {{"a", "a"}}},
        {"%61+%4d%4D=", {{"a MM", ""}}},
        // A separator that was escaped is text, and so is a plus.
        {"a%3Db=c%26d", {{"a=b", "c&d"}}},
        {"a=%2B%2b", {{"a", "++"}}},
        {"a=b;c=d", {{"a", "b;c=d"}}},
        {"a=%25%36%31", {{"a", "%61"}}},
    };
    for (const auto& row : table) {
        CAPTURE(row.text);
        const auto parsed = form::parse(row.text);
        REQUIRE(parsed);
        CHECK(fields_of(*parsed) == row.decoded);
    }
}

TEST_CASE("a percent escape that is cut or not hexadecimal is malformed (R4, 6749 App. B)") {
    for (const std::string_view text :
         {"%=a", "%a=a", "%a_=a", "id=0&value=%", "b=%2sf%2a", "b=%2%2af%2a", "b=%%2a", "a=%4", "a=%G0", "a=%0g",
          "a=% 1", "a=%+1", "a=%-1", "a=%0x", "a=%&b=41"}) {
        CAPTURE(text);
        const auto parsed = form::parse(text);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error() == form_error::malformed_escape);
    }
}

TEST_CASE("a name or value that is not UTF-8 is refused (R4, 3629 3)") {
    for (const std::string_view bytes :
         {"%C2", "%C2x", "%FE%FF", "%FF%FE", "\xC2", "%80", "%BF", "%C0%AF", "%C1%BF", "%E0%80%80", "%E0%9F%BF",
          "%ED%A0%80", "%ED%BF%BF", "%E2%82", "%F0%80%80%80", "%F0%8F%BF%BF", "%F4%90%80%80", "%F5%80%80%80",
          "%F0%9F%98", "%F8%88%80%80%80"}) {
        CAPTURE(bytes);
        for (const std::string& text : {"a=" + std::string(bytes), std::string(bytes) + "=a"}) {
            const auto parsed = form::parse(std::string_view(text));
            REQUIRE_FALSE(parsed);
            CHECK(parsed.error() == form_error::invalid_utf8);
        }
    }
}

TEST_CASE("a long text is UTF-8 exactly where a short one is (R4, 3629 3)") {
    const std::string_view leads = "\x80\xBF\xC0\xC1\xC2\xDF\xE0\xE1\xEC\xED\xEE\xEF\xF0\xF1\xF3\xF4\xF5\xFE";
    const std::string_view others = "a=\x7F\x80\x8F\x90\x9F\xA0\xBF\xC0\xC2\xE0\xF0\xFE";
    std::size_t accepted = 0, told_apart = 0, turn = 0;
    for (const char lead : leads)
        for (const char second : others)
            for (const char third : others)
                for (const char fourth : others) {
                    const std::string bytes{lead, second, third, fourth};
                    const std::string around(turn++ % 40, 'x');
                    const bool is_text = form::parse("a=" + bytes).has_value();
                    const auto in_long = form::parse("a=" + around + bytes + std::string(40 - around.size(), 'y'));
                    accepted += is_text;
                    told_apart += is_text != in_long.has_value();
                }
    CHECK(accepted > 1000);
    CHECK(told_apart == 0);
}

TEST_CASE("many short fields of characters beyond ASCII are as many fields (R4)") {
    const auto parsed = form::parse(repeated("\xC3\xA9=\xE6\xBC\xA2&\xF0\x9F\x98\x80=x&", 30));
    REQUIRE(parsed);
    const auto fields = fields_of(*parsed);
    REQUIRE(fields.size() == 60);
    CHECK(fields[58] == std::pair("\xC3\xA9"sv, "\xE6\xBC\xA2"sv));
    CHECK(fields[59] == std::pair("\xF0\x9F\x98\x80"sv, "x"sv));
}

TEST_CASE("a character cut off by the end of a long text is none (R4, 3629 3)") {
    for (std::size_t size = 28; size != 64; ++size)
        for (const std::string_view cut : {"\xC3", "\xE2\x82", "\xF0\x9F\x98", "\xF0\x9F", "\xF0"}) {
            const auto parsed = form::parse("a=\xC3\xA9" + std::string(size, 'x') + std::string(cut));
            REQUIRE_FALSE(parsed);
            CHECK(parsed.error() == form_error::invalid_utf8);
        }
}

TEST_CASE("a character does not reach across a separator (R4)") {
    for (const int times : {0, 40}) {
        const std::string more = repeated("0", times);
        for (const std::string_view text : {"%C2&%80=b", "%C2=%80", "\xC2=\x80", "=\x80", "&\x80"})
            CHECK_FALSE(form::parse("a" + more + std::string(text) + more));
    }
}

TEST_CASE("a character may come half escaped (R4)") {
    for (const std::string_view text : {"a=\xC3%A9", "a=%C3\xA9"}) {
        const auto parsed = form::parse(text);
        REQUIRE(parsed);
        CHECK(parsed->find("a") == "\xC3\xA9");
    }
    CHECK(form::parse("a=\xE2\x82%AC")->find("a") == "\xE2\x82\xAC");
    for (const std::string_view text :
         {"a=%E2\xC3\xA9", "a=\xC3\xA9%A9", "a=\xE2%82b", "a=\xC3%A9\xA9", "a=%C3&\xC3\xA9"})
        CHECK_FALSE(form::parse(text));
}

TEST_CASE("the first and last character of every UTF-8 length is text (R4, 3629 3)") {
    for (const std::string_view bytes :
         {"\x01", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF",
          "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
        const std::string text = "a=" + std::string(bytes);
        const auto parsed = form::parse(std::string_view(text));
        REQUIRE(parsed);
        CHECK(parsed->find("a") == bytes);
    }
}

TEST_CASE("a NUL is refused, escaped or not (R4)") {
    for (const std::string_view text : {"a=b%00"sv, "a%00=b"sv, "a=b\0"sv, "\0"sv}) {
        const auto parsed = form::parse(text);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error() == form_error::nul_byte);
    }
}

TEST_CASE("a parameter without a value counts as absent (R5, 6749 3.2)") {
    const auto parsed = form::parse("a=&b&c=d");
    REQUIRE(parsed);
    CHECK_FALSE(parsed->find("a").has_value());
    CHECK_FALSE(parsed->find("b").has_value());
    CHECK(parsed->find("c") == "d");
    CHECK_FALSE(parsed->find("C").has_value());
    CHECK_FALSE(parsed->find("").has_value());
}

TEST_CASE("a name that occurs twice is seen, known or unknown, empty or equal (R5, R7, 6749 3.2)") {
    struct {
        std::string_view text;
        bool repeats;
    } const table[] = {
        {"", false},
        {"a=1&b=2", false},
        {"a=1&b=2&a=3", true},
        {"a=1&a=1", true},
        {"a=&a=1", true},
        {"a=1&a=", true},
        {"a&a", true},
        {"a=1&%61=1", true},
        {"a=1&A=1", false},
        {"=1&=2", true},
        {"resource=a&resource=b", false},
        {"resource=a&resource=b&a=1", false},
        {"resource=a&resource=b&a=1&a=1", true},
        {"Resource=a&Resource=b", true},
    };
    for (const auto& row : table) {
        CAPTURE(row.text);
        const auto parsed = form::parse(row.text);
        REQUIRE(parsed);
        CHECK(parsed->repeats_a_name("resource") == row.repeats);
    }
    CHECK(form::parse("resource=a&resource=b")->repeats_a_name());
    CHECK(form::parse("=a&=b")->repeats_a_name());
}

TEST_CASE("a name that occurs twice is seen among many fields, wherever the two stand (R7, 6749 3.2)") {
    const int many = 40;
    for (int first = 0; first != many; ++first)
        for (int second = first; second != many; ++second) {
            CAPTURE(first);
            CAPTURE(second);
            std::string body;
            for (int i = 0; i != many; ++i) body += "&n" + std::to_string(i == second ? first : i) + "=v";
            CHECK(form::parse(std::string_view(body))->repeats_a_name() == (first != second));
        }
}

TEST_CASE("a body of 16 KiB and of 100 fields is read, and no more (R9, 9110 15.5.14)") {
    const std::string full = "a=" + std::string(16 * 1024 - 2, 'x');
    CHECK(form::parse(std::string_view(full)));
    const auto large = form::parse(std::string_view(full + 'x'));
    REQUIRE_FALSE(large);
    CHECK(large.error() == form_error::too_large);

    const std::string hundred = repeated("a=b&", 100);
    CHECK(form::parse(std::string_view(hundred)));
    CHECK(form::parse(std::string_view(repeated("&", 500) + hundred)));
    const auto many = form::parse(std::string_view(hundred + "c"));
    REQUIRE_FALSE(many);
    CHECK(many.error() == form_error::too_many_fields);
}

TEST_CASE("the host sets the limits, and what is past them is not parsed (R9)") {
    const auto large = form::parse("a=%zz", {.body_bytes = 4, .fields = 100});
    REQUIRE_FALSE(large);
    CHECK(large.error() == form_error::too_large);
    CHECK(form::parse("a=bc", {.body_bytes = 4, .fields = 1}));

    const auto many = form::parse("a=%zz&b", {.body_bytes = 100, .fields = 1});
    REQUIRE_FALSE(many);
    CHECK(many.error() == form_error::too_many_fields);
}

TEST_CASE("a form takes its text over and keeps it when it moves") {
    auto parsed = form::parse(regrant::secret("a=%62&c=d"));
    REQUIRE(parsed);
    const form moved = *std::move(parsed);
    CHECK(moved.find("a") == "b");
    CHECK(moved.find("c") == "d");
}

TEST_CASE("text is decoded where it stands (R4, 6749 App. B)") {
    // The example of the appendix: space, %, &, +, POUND SIGN, EURO SIGN.
    std::string text = "+%25%26%2B%C2%A3%E2%82%AC";
    const auto decoded = regrant::form_decode(std::span(text));
    REQUIRE(decoded);
    CHECK(*decoded == " %&+\xC2\xA3\xE2\x82\xAC");
    CHECK(decoded->data() == text.data());

    std::string none;
    CHECK(regrant::form_decode(std::span(none))->empty());
}

TEST_CASE("the limit of fields comes before a fault in any of them (R9)") {
    for (const char* body : {"%zz&b&c", "a&%zz&c", "a&b&%zz", "&a&&%00&c", "\xC3&b&c", "a=\xC3&b&c"}) {
        CAPTURE(body);
        CHECK(form::parse(std::string_view(body), {100, 2}).error() == form_error::too_many_fields);
        CHECK(form::parse(std::string_view(body), {100, 3}).error() != form_error::too_many_fields);
    }
    CHECK(form::parse(std::string_view("a=1&b=2&&"), {100, 2}));
    CHECK(form::parse(std::string_view("&&"), {100, 0}));
}

TEST_CASE("stretches of every length stand where they belong, behind escapes too") {
    for (std::size_t length = 0; length != 240; ++length)
        for (const auto& [before, meaning] : {std::pair("", ""), std::pair("%41", "A"), std::pair("+*", " *"),
                                             std::pair("%41%42%43%44%45%46", "ABCDEF")}) {
            const std::string stretch(length, 'x');
            std::string name(before), plain(meaning);
            (name += stretch) += "%3D!";
            const auto decoded = regrant::form_decode(std::span(name));
            REQUIRE(decoded);
            (plain += stretch) += "=!";
            CHECK(*decoded == plain);
            const auto parsed = form::parse(std::string(before) + stretch + "k=" + stretch + "=v&" + stretch + "end");
            REQUIRE(parsed);
            CHECK((*parsed->fields().begin()).value == stretch + "=v");
            CHECK((*++parsed->fields().begin()).name == stretch + "end");
        }
}

TEST_CASE("whatever means something else is seen wherever it stands in a stretch (R4)") {
    for (std::size_t before = 0; before != 130; ++before) {
        CAPTURE(before);
        const std::string stretch(before, 'x'), more(130, 'y');
        const auto parse = [&](std::string_view between) {
            return form::parse("%6B=" + stretch + std::string(between) + more);
        };
        for (const auto& [written, meaning] :
             {std::pair("+"sv, " "sv), std::pair("%2B"sv, "+"sv), std::pair("="sv, "="sv), std::pair("*"sv, "*"sv),
              std::pair("\xC3\xA9"sv, "\xC3\xA9"sv), std::pair("%C3\xA9"sv, "\xC3\xA9"sv)}) {
            const auto parsed = parse(written);
            REQUIRE(parsed);
            CHECK(parsed->find("k") == stretch + std::string(meaning) + more);
        }
        CHECK(fields_of(*parse("&")).back().first == more);
        CHECK(parse("%y").error() == form_error::malformed_escape);
        CHECK(parse("\0"sv).error() == form_error::nul_byte);
        for (const std::string_view bad : {"\xFF", "%FF", "\xC3", "\xC3\xFF", "\xA9"})
            CHECK(parse(bad).error() == form_error::invalid_utf8);
    }
}

TEST_CASE("text that is no form keeps its ampersands and equals signs (R18, 6749 App. B)") {
    std::string text = "a&b=c%26&&d=+&";
    const auto decoded = regrant::form_decode(std::span(text));
    REQUIRE(decoded);
    CHECK(*decoded == "a&b=c&&&d= &");
    for (const auto& [bad, why] : {std::pair("a&%", form_error::malformed_escape),
                                   std::pair("a&%00", form_error::nul_byte),
                                   std::pair("a&\xC3&\xA9", form_error::invalid_utf8)}) {
        std::string broken(bad);
        const auto refused = regrant::form_decode(std::span(broken));
        REQUIRE_FALSE(refused);
        CHECK(refused.error() == why);
    }
}

TEST_CASE("fields are walked more than once, from any of them on") {
    const auto parsed = form::parse("a=1&b=2"sv);
    REQUIRE(parsed);
    auto at = parsed->fields().begin();
    const auto first = at++;
    CHECK((*first).value == "1");
    CHECK((*at).value == "2");
    CHECK(first != at);
    CHECK(++at == parsed->fields().end());
}
