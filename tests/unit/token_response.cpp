#include <regrant/token_response.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>

namespace {

regrant::token_response page_answer() {
    regrant::token_response answer;
    answer.access_token = regrant::secret("ACCESS");
    answer.refresh_token = regrant::secret("MOCK_REFRESH_TOKEN");
    answer.scope = "openid";
    answer.id_token = regrant::secret("ID");
    answer.expires_in = std::chrono::seconds(299);
    return answer;
}

} // namespace

TEST_CASE("an answer has the members of the API page in its order, compact (R65, R67, R68, R73)") {
    CHECK(to_json(page_answer()) ==
          R"({"access_token":"ACCESS","refresh_token":"MOCK_REFRESH_TOKEN","scope":"openid","id_token":"ID",)"
          R"("token_type":"Bearer","expires_in":299})");
}

TEST_CASE("an answer without openid has no id_token (R77)") {
    auto answer = page_answer();
    answer.id_token.reset();
    answer.scope = "read write";
    CHECK(to_json(answer) ==
          R"({"access_token":"ACCESS","refresh_token":"MOCK_REFRESH_TOKEN","scope":"read write",)"
          R"("token_type":"Bearer","expires_in":299})");
}

TEST_CASE("expires_in is a whole number, however long (R67, R99)") {
    auto answer = page_answer();
    answer.expires_in = std::chrono::seconds(4294967296);
    CHECK(to_json(answer).ends_with(R"("expires_in":4294967296})"));
}

TEST_CASE("no byte of a token ends the JSON or controls a terminal (R71)") {
    auto answer = page_answer();
    answer.access_token = regrant::secret("a\",\"x\":\"\n\x7F");
    const std::string text = to_json(answer);
    CHECK(text.starts_with(R"({"access_token":"a\",\"x\":\"\u000a)"));
    for (const char c : text) CHECK((c >= 0x20 && c <= 0x7E));
}
