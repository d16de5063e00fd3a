#include <regrant/http_reply.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace {

using regrant::challenge;
using regrant::cross_origin;
using regrant::error_descriptions;
using regrant::http_reply;
using regrant::http_status;
using regrant::reason;
using regrant::refusal;

void check_dress(const http_reply& reply) {
    CHECK(reply.header("Content-Type") == "application/json;charset=UTF-8");
    CHECK(reply.header("Cache-Control") == "no-store");
    CHECK(reply.header("Pragma") == "no-cache");
}

} // namespace

TEST_CASE("an error has the API page's body, and nothing more by default (R72, R73)") {
    CHECK(to_json(refusal{reason::replayed}) == R"({"error":"invalid_grant"})");
    const http_reply reply = to_reply(refusal{reason::replayed});
    CHECK(reply.status == http_status::bad_request);
    CHECK(reply.body == R"({"error":"invalid_grant"})");
    CHECK(reply.headers.size() == 3);
    check_dress(reply);
}

TEST_CASE("error_description is fixed text, where it is switched on (R73)") {
    const refusal refused{.why = reason::replayed, .detail = "private"};
    CHECK(to_json(refused, error_descriptions::on) ==
          R"({"error":"invalid_grant","error_description":"The refresh token is invalid, expired or revoked"})");
    CHECK(to_reply(refused, {.descriptions = error_descriptions::on}).body ==
          to_json(refused, error_descriptions::on));
}

TEST_CASE("what a store says of itself is in no answer, header or body (R76)") {
    const refusal refused{.why = reason::store_unavailable, .detail = "host=db1 file=/srv/x v3.40",
                          .retry_after = std::chrono::seconds(5)};
    const http_reply reply = to_reply(refused, {.descriptions = error_descriptions::on});
    for (const std::string_view word : {"db1", "srv", "3.40", "store_unavailable"}) {
        CHECK(reply.body.find(word) == std::string::npos);
        for (const auto& header : reply.headers) CHECK(header.value.find(word) == std::string::npos);
    }
}

TEST_CASE("an outage is 503 and says when to come back (R51)") {
    const http_reply reply =
        to_reply(refusal{.why = reason::store_unavailable, .retry_after = std::chrono::seconds(5)});
    CHECK(reply.status == http_status::service_unavailable);
    CHECK(reply.header("Retry-After") == "5");
    CHECK(reply.body == R"({"error":"temporarily_unavailable"})");
    check_dress(reply);
    CHECK(to_reply(refusal{reason::store_unavailable}).header("Retry-After").empty());
}

TEST_CASE("401 carries a challenge, 400 and 429 none (R21, R26, 6749 5.2)") {
    const http_reply owed = to_reply(refusal{.why = reason::secret_wrong, .owed = challenge::basic});
    CHECK(owed.status == http_status::unauthorized);
    CHECK(owed.header("WWW-Authenticate") == R"(Basic realm="token endpoint")");
    CHECK(owed.body == R"({"error":"invalid_client"})");
    check_dress(owed);

    CHECK(to_reply(refusal{reason::secret_wrong}).header("WWW-Authenticate").empty());
    const http_reply throttled = to_reply(
        refusal{.why = reason::throttled, .retry_after = std::chrono::seconds(60), .owed = challenge::basic});
    CHECK(throttled.status == http_status::too_many_requests);
    CHECK(throttled.header("Retry-After") == "60");
    CHECK(throttled.header("WWW-Authenticate").empty());
    CHECK(throttled.body == R"({"error":"invalid_client"})");
}

TEST_CASE("a realm is quoted, and cannot end the header (R71, 9110 5.6.4)") {
    const refusal refused{.why = reason::secret_wrong, .owed = challenge::basic};
    CHECK(to_reply(refused, {.realm = R"(a "b" \c)"}).header("WWW-Authenticate") == R"(Basic realm="a \"b\" \\c")");
    const http_reply reply = to_reply(refused, {.realm = "a\r\nSet-Cookie: x\x7F"});
    const std::string_view value = reply.header("WWW-Authenticate");
    CHECK(std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c <= 0x7E; }));
}

TEST_CASE("another method is told which one is allowed (R1)") {
    const refusal refused{reason::method_not_post};
    CHECK(to_reply(refused).status == http_status::method_not_allowed);
    CHECK(to_reply(refused).header("Allow") == "POST");
    CHECK(to_reply(refused, {.cross_origin = cross_origin::on}).header("Allow") == "POST, OPTIONS");
    CHECK(to_reply(refused).body == R"({"error":"invalid_request"})");
    CHECK(to_reply(refusal{reason::media_type_not_form}).header("Allow").empty());
}

TEST_CASE("a success is 200 and is not kept by any cache (R65, 6749 5.1)") {
    regrant::token_response answer;
    answer.access_token = regrant::secret("A");
    answer.scope = "read";
    const http_reply reply = to_reply(answer);
    CHECK(reply.status == http_status::ok);
    CHECK(reply.body == to_json(answer));
    CHECK(reply.headers.size() == 3);
    check_dress(reply);
}

TEST_CASE("an origin that may read an answer is named in it (R115, Fetch 3.2.3)") {
    http_reply reply = to_reply(refusal{reason::replayed});
    expose_to(reply, "https://app.example");
    CHECK(reply.header("Access-Control-Allow-Origin") == "https://app.example");
    CHECK(reply.header("Vary") == "Origin");
    CHECK(reply.header("Access-Control-Expose-Headers") == "WWW-Authenticate, Retry-After");
    check_dress(reply);
}

TEST_CASE("a preflight is answered without a body (R116, Fetch 3.2.2)") {
    const http_reply reply = regrant::preflight_reply("https://app.example");
    CHECK(reply.status == http_status::no_content);
    CHECK(reply.body.empty());
    CHECK(reply.header("Access-Control-Allow-Origin") == "https://app.example");
    CHECK(reply.header("Access-Control-Allow-Methods") == "POST");
    CHECK(reply.header("Access-Control-Allow-Headers") == "authorization, content-type, dpop");
    CHECK(reply.header("Vary") == "Origin");
    CHECK(reply.header("Content-Type").empty());
}

TEST_CASE("a preflight allows the headers that the host's settings add (R116, Fetch 4.8)") {
    regrant::reply_settings settings;
    settings.allowed_headers = *regrant::cors_headers::make({"traceparent", "X-Requested-With"});
    CHECK(regrant::preflight_reply("https://app.example", settings).header("Access-Control-Allow-Headers") ==
          "authorization, content-type, dpop, traceparent, x-requested-with");
    CHECK(regrant::cors_headers::make({})->text() == regrant::cors_headers().text());
    for (const std::string_view odd : {"", "a b", "a,b", "a:", "a\r\nSet-Cookie: x", "a ", "\xFF"}) {
        const auto made = regrant::cors_headers::make({"traceparent", odd});
        REQUIRE_FALSE(made);
        CHECK_FALSE(made.error().message.empty());
    }
}

TEST_CASE("a public document may be read by every page and kept a while (R114, RFC 8414 3)") {
    const http_reply reply = regrant::public_document(R"({"keys":[]})", std::chrono::hours(1));
    CHECK(reply.status == http_status::ok);
    CHECK(reply.body == R"({"keys":[]})");
    CHECK(reply.header("Content-Type") == "application/json");
    CHECK(reply.header("Cache-Control") == "public, max-age=3600");
    CHECK(reply.header("Access-Control-Allow-Origin") == "*");
    CHECK(regrant::public_document("").header("Cache-Control") == "public, max-age=300");
}

TEST_CASE("a refused content coding is told which one is accepted (9110 15.5.16)") {
    CHECK(to_reply(refusal{reason::content_encoded}).header("Accept-Encoding") == "identity");
    CHECK(to_reply(refusal{reason::media_type_not_form}).header("Accept-Encoding").empty());
}
