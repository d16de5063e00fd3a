#include <regrant/token_request.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace {

using regrant::http_request;
using regrant::reason;
using regrant::token_request;

constexpr std::string_view form_type = "application/x-www-form-urlencoded";
constexpr std::string_view good_body = "grant_type=refresh_token&refresh_token=abc";

http_request post(std::string_view body, std::string_view query = {}) {
    http_request request;
    request.method = "POST";
    request.query = regrant::secret(query);
    request.body = regrant::secret(body);
    request.header("Content-Type", form_type);
    return request;
}

/// Why a request is refused, nothing where it is not.
std::optional<reason> refused(http_request request) {
    const auto parsed = token_request::parse(std::move(request));
    return parsed ? std::nullopt : std::optional(parsed.error().why);
}

} // namespace

TEST_CASE("the API page's request is read (6749 6)") {
    auto request = post("client_id=TENANT_CLIENT_ID&client_secret=TENANT_CLIENT_SECRET&grant_type=refresh_token&"
                        "refresh_token=MOCK_REFRESH_TOKEN");
    request.header("Authorization", "Basic x");
    const auto parsed = token_request::parse(std::move(request));
    REQUIRE(parsed);
    CHECK(parsed->client_id() == "TENANT_CLIENT_ID");
    CHECK(parsed->client_secret() == "TENANT_CLIENT_SECRET");
    CHECK(parsed->refresh_token() == "MOCK_REFRESH_TOKEN");
    CHECK_FALSE(parsed->scope().has_value());
    CHECK(parsed->authorization().text() == "Basic x");
}

TEST_CASE("any method but POST is refused, in any spelling (R1, 6749 3.2, 9110 9.1)") {
    for (const char* method : {"GET", "HEAD", "PUT", "post", "", "POST "}) {
        auto request = post(good_body);
        request.method = method;
        CHECK(refused(std::move(request)) == reason::method_not_post);
    }
}

TEST_CASE("a body with a content coding is refused unread; identity is none (9110 8.4, 15.5.16)") {
    for (const std::string_view coding : {"gzip", "GZIP", "deflate", "br", "x", "identity, gzip", "gzip, identity"}) {
        auto request = post(good_body);
        request.header("Content-Encoding", coding);
        CHECK(refused(std::move(request)) == reason::content_encoded);
    }
    for (const std::string_view none : {"", " ", "identity", "Identity "}) {
        auto request = post(good_body);
        request.header("content-encoding", none);
        CHECK(token_request::parse(std::move(request)));
    }
    auto two = post(good_body);
    two.header("Content-Encoding", "identity");
    two.header("Content-Encoding", "gzip");
    CHECK(refused(std::move(two)) == reason::content_encoded);
    auto unread = post("%");
    unread.header("Content-Encoding", "gzip");
    CHECK(refused(std::move(unread)) == reason::content_encoded);
}

TEST_CASE("the media type is the form's in any case, in UTF-8 if it names a charset (R2, R3, 9110 8.3.1)") {
    for (const std::string_view type :
         {"application/x-www-form-urlencoded", "APPLICATION/X-WWW-Form-UrlEncoded",
          "application/x-www-form-urlencoded;charset=UTF-8", "application/x-www-form-urlencoded; charset=utf-8",
          "application/x-www-form-urlencoded \t; CHARSET=Utf-8", "application/x-www-form-urlencoded;charset=\"utf-8\"",
          "application/x-www-form-urlencoded;", "application/x-www-form-urlencoded; ; charset=utf-8 ;",
          "application/x-www-form-urlencoded; boundary=x", " application/x-www-form-urlencoded ",
          R"(application/x-www-form-urlencoded; boundary=";charset=latin1")",
          R"(application/x-www-form-urlencoded; boundary="\";charset=latin1" ; charset="\U\TF-8")"})
        CHECK_MESSAGE(regrant::form_charset_of(type) == regrant::form_charset::utf8, type);
    for (const std::string_view type :
         {"", "application/json", "multipart/form-data", "text/plain", "application/x-www-form-urlencodedx",
          "application/x-www-form-urlencode", "x-www-form-urlencoded", "*/*",
          "application/x-www-form-urlencoded;charset=", "text/x-www-form-urlencoded",
          "application:x-www-form-urlencoded", "application x-www-form-urlencoded",
          "application/x-www-form-urlencoded;charset:utf-8", "application/x-www-form-urlencoded;charset",
          "application/x-www-form-urlencoded;=utf-8", R"(application/x-www-form-urlencoded; charset="utf-8)",
          "application/x-www-form-urlencoded, application/json", "application / x-www-form-urlencoded",
          R"(application/x-www-form-urlencoded; boundary="x;charset=utf-8)",
          R"(application/x-www-form-urlencoded; boundary="x\)", "application/x-www-form-urlencoded; =x",
          R"(application/x-www-form-urlencoded; charset="utf-8"x)", "application/x-www-form-urlencoded; a=b c", R"(application/x-www-form-urlencoded; a=""b")"})
        CHECK_FALSE_MESSAGE(regrant::form_charset_of(type), type);
}

TEST_CASE("a form may name another charset where it is ASCII, for that means the same in it (R3, 6749 App. B)") {
    for (const std::string_view type :
         {"application/x-www-form-urlencoded;charset=ISO-8859-1", "application/x-www-form-urlencoded;charset=utf-16",
          "application/x-www-form-urlencoded;charset=\"latin1\"", "application/x-www-form-urlencoded; Charset=latin1",
          "application/x-www-form-urlencoded;charset=utf-8;charset=latin1",
          "application/x-www-form-urlencoded;charset=latin1;charset=utf-8",
          R"(application/x-www-form-urlencoded; charset="utf-")", "application/x-www-form-urlencoded; charset=\"\"",
          R"(application/x-www-form-urlencoded; charset="utf-7")",
          R"(application/x-www-form-urlencoded; charset="xutf-8")",
          R"(application/x-www-form-urlencoded; charset="utxf-8")",
          R"(application/x-www-form-urlencoded; charset="utf-8x")"}) {
        CAPTURE(type);
        CHECK(regrant::form_charset_of(type) == regrant::form_charset::other);
        const auto judged = [&](std::string_view more) {
            http_request request = post(std::string(good_body) + std::string(more));
            request.content_type = {};
            request.header("Content-Type", type);
            return refused(std::move(request));
        };
        CHECK(judged("&x=%7E+%2B") == std::nullopt);
        // As the other charset writes it, and as UTF-8, in a value and in a name.
        for (const std::string_view beyond : {"&x=\xE9", "&x=%E9", "&x=%C3%A9", "&x=\xC3\xA9", "&%C3%A9=x", "&%80=x"})
            CHECK(judged(beyond) == reason::charset_not_utf8);
        CHECK(judged("&x=%4") == reason::malformed_escape);
        CHECK(judged("&x=%00") == reason::nul_byte);
    }
    CHECK(form_of(reason::charset_not_utf8).status == regrant::http_status::unsupported_media_type);
    CHECK(form_of(reason::charset_not_utf8).description.find("UTF-8") != std::string_view::npos);
    CHECK(refused(post(std::string(good_body) + "&x=%C3%A9")) == std::nullopt);
}

TEST_CASE("another media type, none, or two of them is refused (R2)") {
    http_request none = post(good_body);
    none.content_type = {};
    CHECK(refused(std::move(none)) == reason::media_type_not_form);

    http_request json = post(good_body);
    json.content_type = {};
    json.header("content-type", "application/json");
    CHECK(refused(std::move(json)) == reason::media_type_not_form);

    http_request two = post(good_body);
    two.header("Content-Type", "application/json");
    CHECK(refused(std::move(two)) == reason::media_type_not_form);

    // FastCGI under nginx brings the content type twice.
    http_request twice = post(good_body);
    twice.header("Content-Type", form_type);
    CHECK(refused(std::move(twice)) == std::nullopt);
}

TEST_CASE("names and values are decoded, and unknown names ignored (R4, R6, 6749 3.2)") {
    const auto parsed = token_request::parse(
        post("state=x&grant%5Ftype=refresh%5Ftoken&refresh_token=a%2Bb+c&scope=openid+email&unknown=&=y"));
    REQUIRE(parsed);
    CHECK(parsed->refresh_token() == "a+b c");
    CHECK(parsed->scope() == "openid email");
}

TEST_CASE("a body that cannot be decoded is refused for what is wrong with it (R4)") {
    const std::string body(good_body);
    CHECK(refused(post(body + "&x=%4")) == reason::malformed_escape);
    CHECK(refused(post(body + "&x=%FF")) == reason::invalid_utf8);
    CHECK(refused(post(body + "&x=%00")) == reason::nul_byte);
}

TEST_CASE("an empty parameter counts as absent, but it counts as sent (R5, R7, 6749 3.2)") {
    const auto parsed = token_request::parse(post(std::string(good_body) + "&client_id=&client_secret&scope="));
    REQUIRE(parsed);
    CHECK_FALSE(parsed->client_id().has_value());
    CHECK_FALSE(parsed->client_secret().has_value());
    CHECK_FALSE(parsed->scope().has_value());
    CHECK(refused(post(std::string(good_body) + "&scope=&scope=openid")) == reason::parameter_repeated);
}

TEST_CASE("a repeated parameter is refused, known or unknown, but for resource (R7, 6749 3.2, 8707 2)") {
    const std::string body(good_body);
    for (const char* more : {"&refresh_token=abc", "&grant_type=refresh_token", "&x=1&x=2", "&x=1&x=1", "&%78=1&x=1"})
        CHECK(refused(post(body + more)) == reason::parameter_repeated);
    CHECK(refused(post(body + "&resource=https://a&resource=https://b")) == std::nullopt);
}

TEST_CASE("credentials in the URI are refused, and nothing else of it is looked at (R8, 6749 2.3.1)") {
    for (const char* query : {"client_secret=x", "refresh_token=x", "client_assertion=x", "a=b&client_secret=x&c",
                              "client%5Fsecret=x", "%72efresh_token=x"})
        CHECK(refused(post(good_body, query)) == reason::secret_in_query);
    for (const char* query : {"", "client_id=x", "grant_type=password&grant_type=x", "scope=%zz&%zz=x&%00",
                              "client_secrets=x", "Client_Secret=x", "x=client_secret"})
        CHECK(refused(post(good_body, query)) == std::nullopt);
}

TEST_CASE("a body over its limits is refused before it is parsed (R9, 9110 15.5.14)") {
    const std::string body = std::string(good_body) + "&x=%zz";
    CHECK(refused(post(body + std::string(16 * 1024, 'x'))) == reason::body_too_large);
    std::string many = body;
    for (int i = 0; i != 100; ++i) many += "&y";
    CHECK(refused(post(many)) == reason::too_many_fields);
    const auto parsed = token_request::parse(post(good_body), {.body_bytes = good_body.size() - 1, .fields = 100});
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().why == reason::body_too_large);
}

TEST_CASE("grant_type must be there, and be refresh_token to the letter (R10, R11, 6749 6)") {
    CHECK(refused(post("")) == reason::grant_type_missing);
    CHECK(refused(post("refresh_token=abc")) == reason::grant_type_missing);
    CHECK(refused(post("grant_type=&refresh_token=abc")) == reason::grant_type_missing);
    CHECK(refused(post("Grant_Type=refresh_token&refresh_token=abc")) == reason::grant_type_missing);
    for (const char* type : {"authorization_code", "Refresh_Token", "refresh_token+", "password", "refresh_tokens"})
        CHECK(refused(post("refresh_token=abc&grant_type=" + std::string(type))) == reason::grant_type_unsupported);
}

TEST_CASE("refresh_token must be there (R12, 6749 6)") {
    CHECK(refused(post("grant_type=refresh_token")) == reason::refresh_token_missing);
    CHECK(refused(post("grant_type=refresh_token&refresh_token=")) == reason::refresh_token_missing);
    CHECK(refused(post("grant_type=refresh_token&Refresh_Token=abc")) == reason::refresh_token_missing);
}

TEST_CASE("a refresh_token outside printable ASCII has a good form: it is the grant that is bad (R13)") {
    const auto parsed = token_request::parse(post("grant_type=refresh_token&refresh_token=%C3%A9%0A"));
    REQUIRE(parsed);
    CHECK(parsed->refresh_token() == "\xC3\xA9\n");
}

TEST_CASE("of many failures the first in the order of checks answers") {
    http_request all = post("a=1&a=2&b=%zz" + std::string(16 * 1024, 'x'), "client_secret=x");
    all.method = "GET";
    all.content_type = {};
    CHECK(refused(std::move(all)) == reason::method_not_post);
    http_request type = post("a=1&a=2&b=%zz" + std::string(16 * 1024, 'x'), "client_secret=x");
    type.content_type = {};
    CHECK(refused(std::move(type)) == reason::media_type_not_form);
    CHECK(refused(post("a=1&a=2&b=%zz" + std::string(16 * 1024, 'x'))) == reason::body_too_large);
    CHECK(refused(post("a=1&a=2&b=%zz")) == reason::malformed_escape);
    CHECK(refused(post("a=1&a=2")) == reason::parameter_repeated);
    CHECK(refused(post("a=1", "client_secret=x")) == reason::secret_in_query);
    CHECK(refused(post("grant_type=password")) == reason::grant_type_unsupported);
}
