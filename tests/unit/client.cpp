#include <regrant/client.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace {

using regrant::auth_method;
using regrant::client;
using regrant::client_policy;

client web() {
    client made{"web", client_policy::of<auth_method::client_secret_post>()};
    made.secrets.resize(1);
    return made;
}

client spa() { return {"spa", client_policy::of<auth_method::none>()}; }

} // namespace

TEST_CASE("a client may use what it is registered for, by default this grant alone (R30)") {
    CHECK(web().may_use("refresh_token"));
    CHECK_FALSE(web().may_use("Refresh_token"));
    CHECK_FALSE(web().may_use("authorization_code"));
    client other = web();
    other.grant_types = {"client_credentials"};
    CHECK_FALSE(other.may_use("refresh_token"));
}

TEST_CASE("an origin is registered as it is written (R115)") {
    client made = spa();
    CHECK_FALSE(made.allows_origin(""));
    made.allowed_origins = {"https://app.example"};
    CHECK(made.allows_origin("https://app.example"));
    for (const char* other : {"https://app.example:443", "http://app.example", "https://app.example.evil", "null", ""})
        CHECK_FALSE(made.allows_origin(other));
}

TEST_CASE("a registration without mistakes has no fault, with one secret or two (R31)") {
    CHECK_FALSE(fault_of(web()).has_value());
    CHECK_FALSE(fault_of(spa()).has_value());
    client rolling = web();
    rolling.secrets.resize(2);
    CHECK_FALSE(fault_of(rolling).has_value());
}

TEST_CASE("a fault of a registration names its client (R31, 6749 2.3.1)") {
    client without = web();
    without.secrets.clear();
    client crowded = web();
    crowded.secrets.resize(3);
    client with = spa();
    with.secrets.resize(1);
    for (const client& bad : {without, crowded, with}) {
        const auto fault = fault_of(bad);
        REQUIRE(fault);
        CHECK(fault->message.find(bad.client_id) != std::string::npos);
    }
}

TEST_CASE("a client_id is printable ASCII (6749 A.1)") {
    for (const char* id : {"", "a\n", "a\x7F", "\xC3\xA9", "a\tb"}) {
        client made = web();
        made.client_id = id;
        const auto fault = fault_of(made);
        REQUIRE(fault);
        // What the fault says is printed: it must not carry the bytes that were refused.
        for (const char c : fault->message) CHECK((c >= 0x20 && c <= 0x7E));
    }
    client spaced = web();
    spaced.client_id = "a client~!";
    CHECK_FALSE(fault_of(spaced).has_value());
}

TEST_CASE("an origin that no browser sends is a fault, not a page that never can call (R115, 6454 6.2)") {
    for (const char* origin :
         {"https://app.example", "http://localhost:3000", "https://[2001:db8::1]:8443", "http://[::80]",
          "capacitor://localhost", "https://xn--bcher-kva.example", "https://my_app.example:80"}) {
        CAPTURE(origin);
        client made = spa();
        made.allowed_origins = {"https://first.example", origin};
        CHECK_FALSE(fault_of(made).has_value());
    }
    for (const char* origin : {"", "*", "null", "app.example", "https://", "://app.example", "https://app.example/",
                               "https://app.example:443", "http://app.example:80", "https://app.example:",
                               "HTTPS://app.example", "https://App.example", "https://app.example?x", "https://a b",
                               "https://user@app.example", "https://*.app.example", "https://b\xC3\xBC" "cher.example",
                               "https://app.example\r\nX: y"}) {
        CAPTURE(origin);
        client made = spa();
        made.allowed_origins = {"https://first.example", origin};
        const auto fault = fault_of(made);
        REQUIRE(fault);
        for (const char c : fault->message) CHECK((c >= 0x20 && c <= 0x7E));
    }
}

TEST_CASE("an audience that is not UTF-8 is a fault, for no JWT could carry it (R89-R93, 7519 7.1)") {
    client spa{"spa", client_policy::of<auth_method::none>()};
    spa.audience = "https://\xC3\xA4pi.example";
    CHECK_FALSE(fault_of(spa));
    spa.audience = "https://\xE4pi.example";
    REQUIRE(fault_of(spa));
    CHECK(fault_of(spa)->message.find("spa") != std::string::npos);
}

TEST_CASE("a slow hash out of bounds is a fault before it stalls a request (R31)") {
    for (const std::uint32_t log2_n : {13U, 14U, 17U, 18U, 64U}) {
        client made = web();
        auto slow = std::make_shared<regrant::slow_hash>();
        slow->cost = regrant::slow_cost::scrypt(log2_n, 8, 1);
        made.secrets.front().hash.slow = slow;
        CHECK(fault_of(made).has_value() == (log2_n < 14 || log2_n > 17));
    }
}

TEST_CASE("Basic is decoded strictly, and secrets never expire, unless a client says otherwise (R18, R19, R31)") {
    CHECK(web().decoding == regrant::basic_decoding::strict);
    CHECK_FALSE(web().secrets.front().expires_at.has_value());
    CHECK_FALSE(web().not_before.has_value());
}
