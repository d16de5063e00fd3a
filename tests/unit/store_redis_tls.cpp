// tests/unit/store_redis_tls.cpp - TLS for Redis as far as it goes without a server.
// SPDX-License-Identifier: MIT
#include <regrant/store/redis_tls.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>

// What needs a server is in tests/stores/redis_test.cpp.

namespace {

using namespace regrant;

std::string tls_refusal(redis_tls_settings settings) {
    const auto made = redis_tls(std::move(settings));
    REQUIRE_FALSE(made.has_value());
    return made.error().message;
}

} // namespace

TEST_CASE("TLS for Redis names the file that cannot be read (R244)") {
    CHECK(tls_refusal({.ca_file = "/no/such/ca.pem"}).find("ca_file /no/such/ca.pem") != std::string::npos);
    CHECK(tls_refusal({.certificate_file = "/no/such.pem"}).find("need each other") != std::string::npos);
    CHECK(tls_refusal({.key_file = "/no/such.key"}).find("need each other") != std::string::npos);
    CHECK(tls_refusal({.certificate_file = "/no/such.pem", .key_file = "/no/such.key"})
              .find("certificate_file /no/such.pem") != std::string::npos);
    CHECK(redis_tls({}).has_value());
}

TEST_CASE("a URL that asks for TLS needs the setting, and the setting such a URL (R244)") {
    for (const char* const url : {"rediss://:hunter2@127.0.0.1:1", "rediss+sentinel://:hunter2@127.0.0.1:1/main"}) {
        const auto without = redis_store::open(url);
        REQUIRE_FALSE(without.has_value());
        CHECK(without.error().message.find("include <regrant/store/redis_tls.hpp>") != std::string::npos);
        CHECK(without.error().message.find("hunter2") == std::string::npos);
    }
    const auto tls = redis_tls({});
    REQUIRE(tls.has_value());
    for (const char* const url :
         {"redis://127.0.0.1:1", "unix:///run/redis.sock", "redis+sentinel://127.0.0.1:1/main"}) {
        const auto without = redis_store::open(url, {.tls = *tls});
        REQUIRE_FALSE(without.has_value());
        CHECK(without.error().message.find("does not begin with rediss://") != std::string::npos);
    }
}

TEST_CASE("TLS for Redis begins with a handshake, and takes no name that a server cannot have (R244)") {
    const auto tls = redis_tls({});
    REQUIRE(tls.has_value());
    for (const std::string host : {"localhost", "127.0.0.1", "::1"}) {
        const auto session = (*tls)->begin(host);
        REQUIRE(session.has_value());
        const auto is_over = (*session)->shake_hands();
        REQUIRE(is_over.has_value());
        CHECK_FALSE(*is_over);
        const std::string hello = (*session)->to_send();
        CHECK(hello.starts_with('\x16')); // RFC 8446 5.1: a record of the handshake
        CHECK((hello.find(host) != std::string::npos) == (host == "localhost"));
        CHECK((*session)->to_send().empty());
        CHECK((*session)->received("-ERR no TLS here\r\n"));
        const auto failed = (*session)->shake_hands();
        REQUIRE_FALSE(failed.has_value());
        CHECK(failed.error() == "TLS: wrong version number");
    }
    CHECK_FALSE((*tls)->begin(std::string(300, 'a')).has_value());
}
