#include <regrant/trusted_proxies.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>

using regrant::forwarded_header;
using regrant::http_request;
using regrant::trusted_proxies;

namespace {

trusted_proxies proxies(std::string_view networks, forwarded_header told_in = forwarded_header::x_forwarded_for) {
    auto made = trusted_proxies::parse(networks, told_in);
    REQUIRE(made);
    return *std::move(made);
}

std::string client(const trusted_proxies& trusted, std::string peer, std::string_view x_forwarded_for,
                   std::string_view forwarded = "") {
    http_request request;
    request.peer = std::move(peer);
    request.header("X-Forwarded-For", x_forwarded_for);
    if (!forwarded.empty()) request.header("Forwarded", forwarded);
    return trusted.client_of(request);
}

} // namespace

TEST_CASE("without trusted proxies the client's address is the socket's, whatever headers say (R246)") {
    CHECK(client({}, "192.0.2.1", "203.0.113.9", "for=203.0.113.9") == "192.0.2.1");
    CHECK(client({}, "2001:db8::1", "203.0.113.9") == "2001:db8::1");
    CHECK(client({}, "", "203.0.113.9").empty());
    CHECK(client({}, "@", "203.0.113.9") == "@");
}

TEST_CASE("behind trusted proxies the client is the rightmost hop that is not trusted (R246, RFC 7239 7.4)") {
    const auto trusted = proxies("10.0.0.0/8, 2001:db8::/32 127.0.0.1");
    CHECK(client(trusted, "10.1.2.3", "203.0.113.9") == "203.0.113.9");
    CHECK(client(trusted, "10.1.2.3", "198.51.100.1, 203.0.113.9") == "203.0.113.9");
    CHECK(client(trusted, "10.1.2.3", "198.51.100.1, 203.0.113.9, 10.9.9.9 ,127.0.0.1") == "203.0.113.9");
    CHECK(client(trusted, "2001:db8:1::7", "2a00::1") == "2a00::1");
    CHECK(client(trusted, "10.1.2.3", "[2a00::1]:443") == "2a00::1");
    CHECK(client(trusted, "10.1.2.3", "203.0.113.9:50000") == "203.0.113.9");
    CHECK(client(trusted, "10.1.2.3", "10.0.0.1, 10.0.0.2") == "10.0.0.1");
    CHECK(client(trusted, "203.0.113.1", "203.0.113.9") == "203.0.113.1");
    CHECK(client(trusted, "127.0.0.2", "203.0.113.9") == "127.0.0.2");
    CHECK(client(trusted, "10.1.2.3", "") == "10.1.2.3");
}

TEST_CASE("several X-Forwarded-For lines are one list, and the last one counts first (R246, RFC 9110 5.3)") {
    http_request request;
    request.peer = "10.0.0.1";
    request.header("X-Forwarded-For", "192.0.2.66");
    request.header("x-forwarded-for", "203.0.113.9");
    CHECK(proxies("10.0.0.1").client_of(request) == "203.0.113.9");
}

TEST_CASE("a hop that is no address makes the proxy that reported it the client (R246, RFC 7239 6)") {
    const auto trusted = proxies("10.0.0.0/8");
    for (const char* hop : {"unknown", "_hidden", "203.0.113", "203.0.113.9.1", "203.0.113.999", "::1::", "a", "\"", "[", "[]"}) {
        CAPTURE(hop);
        CHECK(client(trusted, "10.0.0.1", std::string("192.0.2.1, ") + hop) == "10.0.0.1");
        CHECK(client(trusted, "10.0.0.1", std::string("192.0.2.1, ") + hop + ", 10.0.0.2") == "10.0.0.2");
    }
}

TEST_CASE("a long list of trusted hops is read to its left end, whatever quotes it has (R246, RFC 9110 5.6.4)") {
    // As much as fits into a head. A search from the left for each comma took 27 ms.
    std::string list = "198.51.100.7";
    while (list.size() < 30'000) list += ",10.1.1.1";
    http_request request{.peer = "10.0.0.1"};
    request.header("X-Forwarded-For", list);
    CHECK(proxies("10.0.0.0/8").client_of(request) == "198.51.100.7");
    // A comma in quotes does not end an item, but an open quote hides nothing.
    const std::pair<std::string_view, std::string_view> quoted[] = {
        {R"(for="a,for=192.0.2.1;b=";for=203.0.113.9, for="10.1.1.1")", "10.1.1.1"},
        {R"(for="a, for=192.0.2.1, for="10.1.1.1")", "192.0.2.1"},
        {R"(for="a\", for=192.0.2.1, for=10.1.1.1)", "192.0.2.1"},
    };
    for (const auto& [text, client] : quoted) {
        const std::string_view header = text; // clang lets no lambda capture a structured binding
        CAPTURE(header);
        http_request other{.peer = "10.0.0.1"};
        other.header("Forwarded", text);
        CHECK(proxies("10.0.0.0/8", forwarded_header::forwarded).client_of(other) == client);
    }
}

TEST_CASE("Forwarded is read where it is chosen, and X-Forwarded-For ignored then (R246, RFC 7239 4)") {
    const auto trusted = proxies("10.0.0.0/8", forwarded_header::forwarded);
    CHECK(client(trusted, "10.0.0.1", "192.0.2.66", "for=203.0.113.9") == "203.0.113.9");
    CHECK(client(trusted, "10.0.0.1", "192.0.2.66", "For=\"[2a00::1]:4711\";proto=https") == "2a00::1");
    CHECK(client(trusted, "10.0.0.1", "", "for=192.0.2.66, by=10.0.0.3; for=203.0.113.9;host=a, for=10.0.0.2") ==
          "203.0.113.9");
    CHECK(client(trusted, "10.0.0.1", "", "for=192.0.2.66, proto=http") == "10.0.0.1");
    CHECK(client(trusted, "10.0.0.1", "", "for=\"192.0.2.66, for=203.0.113.9") == "203.0.113.9");
    CHECK(client(trusted, "10.0.0.1", "", "for=\"_a,b\", for=203.0.113.9") == "203.0.113.9");
    CHECK(client(proxies("10.0.0.0/8"), "10.0.0.1", "203.0.113.9", "for=192.0.2.66") == "203.0.113.9");
}

TEST_CASE("an IPv4-mapped IPv6 address is the IPv4 address, as peer, hop and network (R246, RFC 4291 2.5.5.2)") {
    CHECK(client({}, "::ffff:192.0.2.1", "") == "192.0.2.1");
    CHECK(client(proxies("10.0.0.0/8"), "::ffff:10.0.0.1", "::ffff:203.0.113.9") == "203.0.113.9");
    CHECK(client(proxies("::ffff:10.0.0.0/104"), "10.0.0.1", "203.0.113.9") == "203.0.113.9");
}

TEST_CASE("networks hold what their prefix says, to the bit (R246, RFC 4632 3.1)") {
    const auto trusted = proxies("192.0.2.128/25 2001:db8:8000::/33 0.0.0.0/32");
    CHECK(trusted.trusts("192.0.2.128"));
    CHECK(trusted.trusts("192.0.2.255"));
    CHECK_FALSE(trusted.trusts("192.0.2.127"));
    CHECK(trusted.trusts("2001:db8:ffff::1"));
    CHECK_FALSE(trusted.trusts("2001:db8:7fff::1"));
    CHECK_FALSE(trusted.trusts("0.0.0.1"));
    CHECK_FALSE(trusted.trusts(""));
    CHECK(proxies("0.0.0.0/0").trusts("203.0.113.9"));
    CHECK_FALSE(proxies("0.0.0.0/0").trusts("2001:db8::1"));
    CHECK(proxies("::/0").trusts("203.0.113.9"));
    CHECK(proxies(" , ").empty());
}

TEST_CASE("an item that is no network is refused with its text (R246)") {
    for (const char* wrong : {"10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "::/129", "proxy.example", "10.0.0.0/-1", "1/8"}) {
        const auto made = trusted_proxies::parse(std::string("127.0.0.1,") + wrong);
        REQUIRE_FALSE(made);
        CHECK(made.error().message.find(wrong) != std::string::npos);
    }
}
