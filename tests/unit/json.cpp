#include <regrant/detail/json.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace regrant;
using detail::explain_json_fault;
using detail::find_malformed_number;
using detail::is_json_number;
using detail::json_position;
using detail::read_json;

namespace {

std::string fault_of(std::string_view text) {
    const auto value = read_json(text);
    return value ? "none" : std::to_string(value.error().at) + ": " + value.error().what;
}

/// What is said of the text where `|` stands in it.
std::string explained(std::string_view marked) {
    const std::size_t at = marked.find('|');
    return explain_json_fault(std::string(marked.substr(0, at)).append(marked.substr(at + 1)), at);
}

} // namespace

TEST_CASE("a number is an integer, then perhaps a fraction, then perhaps an exponent (8259 6)") {
    for (const std::string_view good :
         {"0", "-0", "7", "10", "1234567890", "-12", "0.5", "1.25", "1e5", "1E5", "1e+5", "1e-5", "1.5e10", "0e0", "0.0E-12"})
        CHECK_MESSAGE(is_json_number(good), good);
    for (const std::string_view bad : {"", "-", "+1", "01", "-01", "00", ".5", "1.", "-.5", "1.e5", "1e", "1E", "1e+", "1e-",
                                       "1e++5", "1e,5", "1e.5", "1f5", "1e5.5", "1x", "--1", "1-", "0x1", " 1", "1 "})
        CHECK_MESSAGE(!is_json_number(bad), bad);
}

TEST_CASE("a number is looked for outside of strings alone (8259 6, 7)") {
    CHECK_FALSE(find_malformed_number(R"({"01": "1. 02", "b": [1, -2, 0.5]})"));
    CHECK(find_malformed_number(R"(["a", 01])") == 6);
    CHECK(find_malformed_number(R"(["a\"", 01])") == 8);
    CHECK(find_malformed_number(R"(["a\\", 01])") == 8);
    CHECK_FALSE(find_malformed_number(R"(["a\" 01"])"));
    CHECK(find_malformed_number("[-01]") == 1);
    CHECK(find_malformed_number("[9.]") == 1);
    CHECK(find_malformed_number("[1,1.]") == 3);
    // A backslash outside of a string escapes nothing.
    CHECK(find_malformed_number("\\\"01\" 1.") == 6);
    // The last byte may be a backslash.
    CHECK_FALSE(find_malformed_number("\"\\"));
}

TEST_CASE("what stops a text from being JSON is told by what a person meant (R247, 8259)") {
    CHECK(explained("|") == "the text is empty");
    CHECK(explained(" \t\r\n|") == "the text is empty");
    CHECK(explained("[1|") == "the text ends too early: a closing bracket is missing");
    CHECK(explained("[\"a|") == "the text ends within a string: a closing quote is missing");
    CHECK(explained("[\"a\\\"|") == "the text ends within a string: a closing quote is missing");
    CHECK(explained("[\"a\\\\\"|") == "the text ends too early: a closing bracket is missing");
    CHECK(explained("[1,|]") == "found ] behind a comma: JSON has no comma before a closing bracket");
    CHECK(explained("{\"a\":1, \n|}") == "found } behind a comma: JSON has no comma before a closing bracket");
    CHECK(explained("[1,|,") == "found ,: expected a value or a name in double quotes");
    CHECK(explained("[|}") == "found }: expected a value or a name in double quotes");
    CHECK(explained("[1] |/") == "found /: JSON has no comments");
    CHECK(explained("[1] |#") == "found #: JSON has no comments");
    CHECK(explained("[|'a']") == "found ': names and strings stand in double quotes");
    CHECK(explained("{\"a\"|=1}") == "found =: a colon stands between a name and its value");
    CHECK(explained("{\"a\"|>1}") == "found text: expected a comma, a colon or a closing bracket before it");
    for (const std::string_view behind : {"[{}|x", "[[]|x", "[\"a\"|x", "[\"a\" \t\r\n|x"})
        CHECK(explained(behind) == "found text: expected a comma, a colon or a closing bracket before it");
    for (const std::string_view value : {"|x", " |x", "[|x", "[1,|x", "{\"a\":|x"})
        CHECK(explained(value) == "found text: expected a value or a name in double quotes");
    CHECK(explained("[\"a|\x1F") ==
          "found a control character within a string: a closing quote is missing before it, or it must be escaped by a backslash");
    CHECK(explained("[|\x1F").starts_with("found a control character: "));
    // A blank is no control character; nor is what stands before the fault.
    CHECK(explained("[|\x20").starts_with("found text: "));
    CHECK(explained("[|\x21").starts_with("found text: "));
}

TEST_CASE("a text's first fault is told where it stands (R247, 8259)") {
    CHECK(fault_of("[1, 2.5e3, \"a\", null, true, {}]") == "none");
    CHECK(fault_of(" [1] \n") == "none");
    CHECK(fault_of("[1] 2") == "4: found more text behind the value");
    CHECK(fault_of("[1] 02") == "4: a number is not written as JSON has it");
    CHECK(fault_of("[01]") == "1: a number is not written as JSON has it");
    CHECK(fault_of("[1.]") == "1: a number is not written as JSON has it");
    CHECK(fault_of("{\"a\":1,\"a\":02}") == "11: the member \"a\" stands twice");
    CHECK(fault_of("[\"\xFF\", 01]") == "2: found a byte that is not UTF-8");
    CHECK(fault_of("[x, 01]") == "1: found text: expected a value or a name in double quotes");
    CHECK(fault_of("[1e999]") == "6: a number is too large");
}

TEST_CASE("a fault's place is counted in lines and characters, from 1 (R247)") {
    CHECK(json_position("", 0) == "line 1, column 1");
    CHECK(json_position("abc", 2) == "line 1, column 3");
    CHECK(json_position("a\nbc", 2) == "line 2, column 1");
    CHECK(json_position("a\nbc", 3) == "line 2, column 2");
    // Two characters of two and of four bytes.
    CHECK(json_position("\xC3\xA9\xF0\x9F\x98\x80x", 6) == "line 1, column 3");
}
