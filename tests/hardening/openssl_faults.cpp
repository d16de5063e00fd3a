// tests/hardening/openssl_faults.cpp - each call into OpenSSL fails in turn.
// SPDX-License-Identifier: MIT
//
// Compiled twice: as it is, to see what it calls, then behind the header that wrap_openssl.py makes of that.

#include "support/fault_stage.hpp"
#include "support/nth_call.hpp"

#include <doctest/doctest.h>

#include <regrant/hash.hpp>
#include <regrant/hash_client_secret.hpp>
#include <regrant/token_bucket_throttle.hpp>

#include <array>
#include <cstddef>
#include <thread>
#include <span>
#include <cstdio>
#include <iterator>

using namespace hardening;

namespace {

#if !defined(REGRANT_WRAPPED)
constexpr const char* openssl_names[] = {""};
constexpr bool can_fail[] = {false};
constexpr const char* never_fail[] = {""};
#endif

struct failure {
    /// What a failing function gives that gives a number.
    int number;
    /// Whether all calls behind it fail too.
    bool lasts;
};
constexpr failure all_failures[] = {{0, false}, {-1, false}, {0, true}};

/// Made at the first use, after the first test has found OpenSSL untouched.
const shared_parts& shared() {
    static const shared_parts made;
    return made;
}

/// Lets the n-th call fail while `act` runs.
template <class Act> auto with_fault(std::size_t nth, failure how, Act act) {
    openssl_call = {true, nth, how.number, how.lasts, false, openssl_call.total};
    auto done = act();
    openssl_call.is_armed = false;
    return done;
}

/// Lets each call of `act` fail in turn until none is left; \return how many there were
template <class Act> std::size_t each_fault(failure how, Act act) {
    for (std::size_t nth = 1;; ++nth) {
        CAPTURE(nth);
        REQUIRE(nth < 1000);
        act(nth, how);
        CHECK_FALSE(left_errors_behind());
        if (!openssl_call.hit) return nth - 1;
    }
}

void check_refused_for_now(const http_reply& reply) {
    CHECK(reply.status == http_status::service_unavailable);
    CHECK(reply.body == R"({"error":"temporarily_unavailable"})");
    CHECK(reply.header("Retry-After") == "5");
    CHECK(reply.header("Cache-Control") == "no-store");
}

/// Builds a key with each call failing in turn: it is refused in words, or it is the key that was meant.
template <class Build> void build_each(const std::string& name, Build build) {
    CAPTURE(name);
    for (const failure how : all_failures) {
        CAPTURE(how.number);
        CAPTURE(how.lasts);
        std::size_t refused = 0;
        each_fault(how, [&](std::size_t nth, failure gives) {
            // A call that failed has dropped its context: with one to spare each run makes the same calls.
            REQUIRE(sha256(std::string_view("abc")));
            const auto built = with_fault(nth, gives, build);
            if (!built) {
                REQUIRE(openssl_call.hit);
                CHECK_FALSE(built.error().message.empty());
                ++refused;
                return;
            }
            const jwk& half = built->public_jwk();
            const auto jwt = encode_jwt(*built, jwt_claims().add("sub", "alice"));
            REQUIRE(jwt);
            CHECK(is_signed(jwt->reveal(), half));
        });
        CHECK(refused > 3);
    }
}

} // namespace

TEST_CASE("an algorithm that could not be fetched is fetched again: one outage does not last for ever (R51)") {
    const auto failed = with_fault(1, all_failures[0], [] { return sha256(std::string_view("abc")); });
    CHECK(openssl_call.hit);
    CHECK_FALSE(failed);
    CHECK(sha256(std::string_view("abc")));
}

#if defined(REGRANT_WRAPPED)
TEST_CASE("where OpenSSL's HMAC does not start over, before 3.0.3, tokens are what they should be (R34, R47)") {
    const token_keyring ring = keys();
    const std::array<std::byte, family_id::size_bytes> bytes{};
    const lineage line{family_id(bytes), first_generation};
    const auto meant = ring.seal(line);
    REQUIRE(meant);
    is_before_3_0_3 = true;
    const token_keyring older = keys();
    for (int times = 0; times != 3; ++times) {
        const auto sealed = older.seal(line);
        const auto opened = older.open(meant->reveal());
        REQUIRE((sealed && opened));
        CHECK(sealed->reveal() == meant->reveal());
        CHECK(opened->has_value());
    }
    is_before_3_0_3 = false;
}
#endif

TEST_CASE("whichever call of OpenSSL fails, a signing key is whole or refused (R97, R100)") {
    const secret pem = *shared().key.to_pem();
    const std::string locked = encrypted_pem(pem.reveal(), "a passphrase");
    const std::string binary = der(pem.reveal());
    REQUIRE_FALSE(locked.empty());
    REQUIRE_FALSE(binary.empty());
    build_each("PEM", [&] { return signing_key::from_pem(pem.reveal()); });
    build_each("PEM, with a key id", [&] { return signing_key::from_pem(pem.reveal(), "2026"); });
    build_each("encrypted PEM", [&] { return signing_key::from_encrypted_pem(locked, secret("a passphrase")); });
    build_each("DER", [&] { return signing_key::from_der(std::as_bytes(std::span(binary))); });
    build_each("a new one", [] { return signing_key::generate(); });
}

TEST_CASE("whichever call of OpenSSL fails, random bytes are drawn or said not to be, and drawn afterwards (R35, R104)") {
    for (const bool is_secret : {true, false}) {
        CAPTURE(is_secret);
        const auto draw = [&](std::span<std::byte> to) {
            return is_secret ? system_random().fill(to) : block_random().fill(to);
        };
        for (const failure how : all_failures) {
            CAPTURE(how.number);
            CAPTURE(how.lasts);
            std::size_t refused = 0;
            each_fault(how, [&](std::size_t nth, failure gives) {
                // A thread that has drawn nothing yet reseeds its generator first.
                std::array<std::byte, 16> bytes{}, again{};
                bool is_drawn = false, is_drawn_again = false;
                std::thread([&] {
                    is_drawn = with_fault(nth, gives, [&] { return draw(bytes).has_value(); });
                    is_drawn_again = draw(again).has_value();
                }).join();
                CHECK(is_drawn_again);
                CHECK(is_drawn == (bytes != std::array<std::byte, 16>{}));
                CHECK(bytes != again);
                if (!is_drawn) {
                    CHECK(openssl_call.hit);
                    ++refused;
                }
            });
            CHECK(refused >= 3);
        }
    }
}

TEST_CASE("whichever call of OpenSSL fails, an encrypted key opens with no other passphrase (R97)") {
    const std::string old_form = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
                                 "DEK-Info: AES-256-CBC,000102030405060708090A0B0C0D0E0F\n\n"
                                 "AAECAwQFBgcICQoLDA0ODw==\n-----END RSA PRIVATE KEY-----\n";
    for (const failure how : all_failures)
        each_fault(how, [&](std::size_t nth, failure gives) {
            const auto key =
                with_fault(nth, gives, [&] { return signing_key::from_encrypted_pem(old_form, secret("wrong")); });
            REQUIRE_FALSE(key);
            CHECK_FALSE(key.error().message.empty());
        });
}

TEST_CASE("whichever call of OpenSSL fails, a key is written whole or not at all (R51)") {
    for (const failure how : all_failures)
        each_fault(how, [](std::size_t nth, failure gives) {
            const auto written = with_fault(nth, gives, [] { return shared().key.to_pem(); });
            if (openssl_call.hit) CHECK_FALSE(written);
            else CHECK(signing_key::from_pem(written->reveal()));
        });
}

TEST_CASE("whichever call of OpenSSL fails, token keys and client secrets are whole or refused (R31, R54)") {
    for (const failure how : all_failures) {
        each_fault(how, [](std::size_t nth, failure gives) {
            std::vector<token_key> ring;
            ring.push_back({token_key_id{1}, secret("0123456789abcdef0123456789abcdef")});
            ring.push_back({token_key_id{2}, secret("fedcba9876543210fedcba9876543210")});
            const auto made = with_fault(nth, gives, [&] { return token_keyring::make(std::move(ring)); });
            CHECK(made.has_value() == !openssl_call.hit);
            if (!made) CHECK_FALSE(made.error().message.empty());
            else CHECK(made->seal({family_id(std::array<std::byte, family_id::size_bytes>{}), first_generation}));
        });
        each_fault(how, [](std::size_t nth, failure gives) {
            const auto parsed = with_fault(nth, gives, [] { return parse_registrations(registrations); });
            CHECK(parsed.has_value() == !openssl_call.hit);
            if (!parsed) CHECK_FALSE(parsed.error().message.empty());
        });
    }
}

TEST_CASE("whichever call of OpenSSL fails, a slow hash is made and matched rightly or not at all (R20, R31)") {
    const auto cost = slow_cost::pbkdf2_sha256(100'000);
    const secret_hash kept = *hash_client_secret_slowly("s3cret", cost);
    for (const failure how : all_failures) {
        CAPTURE(how.number);
        CAPTURE(how.lasts);
        const std::size_t makes = each_fault(how, [&](std::size_t nth, failure gives) {
            const auto made = with_fault(nth, gives, [&] { return hash_client_secret_slowly("s3cret", cost); });
            CHECK(made.has_value() == !openssl_call.hit);
        });
        const std::size_t matches = each_fault(how, [&](std::size_t nth, failure gives) {
            const auto match = with_fault(nth, gives, [&] {
                return match_client_secret(secret_check{"s3cret", std::nullopt, {kept, secret_hash{}}});
            });
            CHECK(match.has_value() == !openssl_call.hit);
            if (match) CHECK(*match == secret_match::as_meant);
        });
        CHECK(makes > 2);
        CHECK(matches > 4);
    }
}

TEST_CASE("whichever call of OpenSSL fails, a refresh gets 503, writes nothing, and works afterwards "
          "(R35, R51, R52)") {
    for (const driver by : {driver::at_once, driver::awaited})
        for (const failure how : all_failures)
            for (const scenario& what : all_scenarios()) {
                CAPTURE(what.name);
                CAPTURE(static_cast<int>(by));
                CAPTURE(how.number);
                CAPTURE(how.lasts);
                const std::size_t calls = each_fault(how, [&](std::size_t nth, failure gives) {
                    stage at(shared(), what.tokens, by);
                    const auto ask = what.prepare(at);
                    const std::size_t writes = at.store.writes;
                    auto request = ask();
                    const auto reply = with_fault(nth, gives, [&] { return at.respond(std::move(request)); });
                    // A signature that could not be verified is made once more, so some faults are borne.
                    if (!openssl_call.hit || (reply.status == what.status && what.status == http_status::ok))
                        return check_answer(at, what, reply);
                    check_refused_for_now(reply);
                    CHECK(at.store.writes == writes);
                    check_answer(at, what, at.respond(ask()));
                });
                CHECK(calls > 0);
            }
}

TEST_CASE("whichever call of OpenSSL fails, a login gives whole tokens or none, and leaves no row behind "
          "(R35, R52)") {
    for (const driver by : {driver::at_once, driver::awaited})
        for (const failure how : all_failures)
            for (const jwt_settings& tokens : {plain_tokens(), hashed_tokens()})
                each_fault(how, [&](std::size_t nth, failure gives) {
                    stage at(shared(), tokens, by);
                    const auto answer = with_fault(nth, gives, [&] { return at.issue("web"); });
                    REQUIRE((answer || openssl_call.hit));
                    if (!answer) {
                        CHECK(answer.error().status() == http_status::service_unavailable);
                        CHECK(at.families() == 0);
                        return;
                    }
                    CHECK(is_signed(answer->access_token.reveal(), shared().key.public_jwk()));
                    CHECK(is_signed(answer->id_token->reveal(), shared().key.public_jwk()));
                    CHECK(at.generation_of(answer->refresh_token.reveal()) == first_generation);
                });
}

TEST_CASE("whichever call of OpenSSL fails, a logout is done or said not to be (R44, R51)") {
    for (const driver by : {driver::at_once, driver::awaited})
        for (const failure how : all_failures) {
            const std::size_t calls = each_fault(how, [&](std::size_t nth, failure gives) {
                stage at(shared(), plain_tokens(), by);
                const secret token = at.log_in("web");
                const auto done = with_fault(nth, gives, [&] { return at.revoke(token.reveal()); });
                CHECK(done.has_value() == !openssl_call.hit);
                CHECK((at.row().state == revocation::revoked) == done.has_value());
                CHECK(at.revoke(token.reveal()));
                CHECK(at.respond(refresh(token.reveal(), as_web)).body == R"({"error":"invalid_grant"})");
            });
            CHECK(calls > 3);
        }
}

TEST_CASE("whichever call of OpenSSL fails, a throttle is whole or refused, counts a failure or says that it could not "
          "(R26, R51)") {
    const attempt tried{"web", "192.0.2.7", start};
    throttle_settings settings;
    for (failure_limit* each : {&settings.per_client, &settings.per_address}) each->burst = 1;
    for (const failure how : all_failures) {
        CAPTURE(how.number);
        CAPTURE(how.lasts);
        each_fault(how, [&](std::size_t nth, failure gives) {
            const auto made = with_fault(nth, gives, [&] { return token_bucket_throttle::make(settings); });
            CHECK(made.has_value() == !openssl_call.hit);
            if (!made) CHECK_FALSE(made.error().message.empty());
        });
        const std::size_t calls = each_fault(how, [&](std::size_t nth, failure gives) {
            auto throttle = *token_bucket_throttle::make(settings);
            const auto admitted = with_fault(nth, gives, [&] { return throttle.admit(tried); });
            CHECK(admitted.has_value() == !openssl_call.hit);
            if (!openssl_call.hit) return;
            CHECK_FALSE(admitted.error().detail.empty());
            CHECK_FALSE(throttle.admit(tried)->retry_after);
        });
        CHECK(calls > 2);
        for (const attempt_outcome ended : {attempt_outcome::failed, attempt_outcome::succeeded})
            each_fault(how, [&](std::size_t nth, failure gives) {
                auto throttle = *token_bucket_throttle::make(settings);
                const auto settled = with_fault(nth, gives, [&] { return throttle.settle(tried, ended); });
                CHECK(settled.has_value() == !openssl_call.hit);
                const bool is_counted = settled && ended == attempt_outcome::failed;
                CHECK(throttle.admit(tried)->retry_after.has_value() == is_counted);
            });
    }
}

TEST_CASE("every function of OpenSSL that the library calls, and that can fail, has failed") {
    for (std::size_t i = 0; i != std::size(openssl_names); ++i) {
        const std::string name = openssl_names[i];
        CAPTURE(name);
        CHECK((openssl_faults[i] > 0) == can_fail[i]);
        if (can_fail[i]) std::printf("%8zu %s\n", openssl_faults[i], openssl_names[i]);
    }
    std::printf("%8zu calls of OpenSSL failed; give back nothing that could say so:", openssl_call.total);
    for (std::size_t i = 0; i != std::size(openssl_names); ++i)
        if (!can_fail[i]) std::printf(" %s", openssl_names[i]);
    std::printf("\n");
    for (const char* each : never_fail) std::printf("         never fails: %s\n", each);
    CHECK(openssl_call.total > 1000);
}
