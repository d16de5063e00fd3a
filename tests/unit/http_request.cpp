#include <regrant/http_request.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using regrant::http_request;
using regrant::query_of;

TEST_CASE("headers that are read are found in any case, the others passed over (9110 5.1)") {
    http_request request;
    CHECK_FALSE(request.content_type.is_present());
    CHECK(request.content_type.text().empty());
    request.header("CONTENT-TYPE", "a/b");
    request.header("authorization", "Basic x");
    request.header("Origin", "https://app.example");
    request.header("Access-Control-Request-Method", "POST");
    request.header("X-Content-Type", "no");
    request.header("", "no");
    CHECK(request.content_type.text() == "a/b");
    CHECK(request.authorization.text() == "Basic x");
    CHECK(request.origin.text() == "https://app.example");
    CHECK(request.access_control_request_method.text() == "POST");
    CHECK_FALSE(request.content_type.is_repeated());
}

TEST_CASE("a header that comes twice is seen, and whether its values differ (R16)") {
    http_request request;
    request.header("Authorization", "one");
    request.header("authorization", "one");
    CHECK(request.authorization.is_repeated());
    CHECK_FALSE(request.authorization.differs());
    request.header("Authorization", "two");
    request.header("Authorization", "one");
    CHECK(request.authorization.differs());
    CHECK(request.authorization.text() == "one");
}

TEST_CASE("an empty header was sent all the same (R16)") {
    http_request request;
    request.header("Authorization", "");
    CHECK(request.authorization.is_present());
    CHECK(request.authorization.text().empty());
    CHECK_FALSE(request.authorization.is_repeated());
    request.header("Authorization", "Basic x");
    CHECK(request.authorization.differs());
}

TEST_CASE("a request owns what it was given") {
    http_request request;
    {
        const std::string value = "Basic " + std::string(100, 'x');
        request.header("Authorization", value);
    }
    CHECK(request.authorization.text() == "Basic " + std::string(100, 'x'));
}

TEST_CASE("the query of a target is what its first question mark opens (R8, 3986 3.4)") {
    static_assert(query_of("/oauth2/token?a=b&c") == "a=b&c");
    static_assert(query_of("/oauth2/token?a?b") == "a?b");
    static_assert(query_of("/oauth2/token").empty());
    static_assert(query_of("/oauth2/token?").empty());
    static_assert(query_of("").empty());
}

TEST_CASE("the path of a target is what is routed, in each of its forms (RFC 9112 3.2)") {
    CHECK(regrant::path_of("/oauth2/token") == "/oauth2/token");
    CHECK(regrant::path_of("/oauth2/token?a=/b") == "/oauth2/token");
    CHECK(regrant::path_of("http://id.example/oauth2/token?x") == "/oauth2/token");
    CHECK(regrant::path_of("http://id.example?x") == "/");
    CHECK(regrant::path_of("/a://b/c") == "/a://b/c");
    CHECK(regrant::path_of("*") == "*");
    CHECK(regrant::path_of("").empty());
}

TEST_CASE("a preflight names an origin and the method it asks for; OPTIONS alone is none (R115, Fetch 3.2.2)") {
    const auto sent = [](std::string_view method, std::vector<std::string_view> headers) {
        http_request request;
        request.method = method;
        for (const std::string_view each : headers) request.header(each, "https://spa.example");
        return request.is_preflight();
    };
    CHECK(sent("OPTIONS", {"Origin", "Access-Control-Request-Method"}));
    CHECK_FALSE(sent("OPTIONS", {"Origin"}));
    CHECK_FALSE(sent("OPTIONS", {"Access-Control-Request-Method"}));
    CHECK_FALSE(sent("POST", {"Origin", "Access-Control-Request-Method"}));
}
