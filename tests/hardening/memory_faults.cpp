// tests/hardening/memory_faults.cpp - each allocation fails in turn: C++'s, then OpenSSL's.
// SPDX-License-Identifier: MIT

#include "support/fault_stage.hpp"
#include "support/nth_allocation.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdio>
#include <new>
#include <optional>
#include <stdexcept>
#include <thread>

using namespace hardening;

namespace {

const bool openssl_asks_us = take_openssl_memory();

/// How memory runs out: for a moment, or from there on until the answer is given.
enum class shortage : bool { once, lasting };
constexpr shortage all_shortages[] = {shortage::once, shortage::lasting};

const shared_parts& shared() {
    static const shared_parts made;
    return made;
}

/// Whether an exception came out of what is called.
enum class came_out : std::uint8_t { nothing, no_memory, something_else };

template <class T> struct outcome {
    std::optional<T> given{};
    came_out thrown = came_out::nothing;
};

template <class Act> auto with_shortage(nth_allocation& of, std::size_t nth, shortage how, Act act) {
    outcome<decltype(act())> seen;
    of.arm(nth, how == shortage::lasting);
    try {
        auto answer = act();
        of.is_armed = false;
        seen.given = std::move(answer);
    } catch (const std::bad_alloc&) {
        of.is_armed = false;
        seen.thrown = came_out::no_memory;
    } catch (...) {
        of.is_armed = false;
        seen.thrown = came_out::something_else;
    }
    return seen;
}

/// Nothing is thrown, but for the frames of the outermost task and of the one in it that catches.
template <class T> void check_not_thrown(const outcome<T>& seen, driver by, std::size_t nth) {
    const bool may_throw = by == driver::awaited && nth <= 2;
    CHECK(seen.thrown == (may_throw ? came_out::no_memory : came_out::nothing));
}

/// Lets each allocation fail in turn until none is left; \return how many there were
///
/// \param stride  behind the 200th only one in so many fails: reading a key allocates thousands of times
template <class Act> std::size_t each_shortage(nth_allocation& of, Act act, std::size_t stride = 1) {
    for (std::size_t nth = 1;; nth += nth < 200 ? 1 : stride) {
        CAPTURE(nth);
        REQUIRE(nth < 50'000);
        act(nth);
        if (!of.hit) return nth - 1;
    }
}

/// As R51 wants it, or bare where memory ran out over the words too.
bool is_503(const http_reply& reply) {
    if (reply.status != http_status::service_unavailable) return false;
    const bool is_bare = reply.headers.empty() && reply.body.empty();
    return is_bare || (reply.body == R"({"error":"temporarily_unavailable"})" && reply.header("Retry-After") == "5" &&
                       reply.header("Cache-Control") == "no-store");
}

void check_tokens(const stage& at, const token_response& tokens) {
    const jwk& by = at.shared.key.public_jwk();
    CHECK(is_signed(tokens.access_token.reveal(), by));
    CHECK((tokens.id_token && is_signed(tokens.id_token->reveal(), by)));
    CHECK(at.generation_of(tokens.refresh_token.reveal()) == first_generation);
}

constexpr driver all_drivers[] = {driver::at_once, driver::awaited};

} // namespace

TEST_CASE("whichever allocation fails, a refresh gets 503, nothing is thrown, and it works afterwards (R51)") {
    std::size_t refused = 0;
    std::size_t bare = 0;
    for (const driver by : all_drivers)
        for (const shortage how : all_shortages)
            for (const scenario& what : all_scenarios()) {
                CAPTURE(what.name);
                CAPTURE(static_cast<int>(by));
                CAPTURE(static_cast<int>(how));
                const std::size_t allocations = each_shortage(cpp_memory, [&](std::size_t nth) {
                    stage at(shared(), what.tokens, by);
                    const auto ask = what.prepare(at);
                    auto request = ask();
                    const auto seen = with_shortage(cpp_memory, nth, how, [&] { return at.respond(std::move(request)); });
                    if (!cpp_memory.hit) return check_answer(at, what, *seen.given);
                    check_not_thrown(seen, by, nth);
                    if (seen.given) {
                        CHECK(is_503(*seen.given));
                        ++refused;
                        bare += seen.given->headers.empty();
                    }
                    check_answer(at, what, at.respond(ask()));
                });
                CHECK(allocations > 2);
            }
    std::printf("operator new: %zu answers of 503, %zu of them bare\n", refused, bare);
    CHECK(refused > 400);
}

TEST_CASE("whichever allocation fails, a login gives whole tokens or none, and nothing is thrown (R35, R51)") {
    for (const driver by : all_drivers)
        for (const shortage how : all_shortages)
            each_shortage(cpp_memory, [&](std::size_t nth) {
                CAPTURE(static_cast<int>(by));
                CAPTURE(static_cast<int>(how));
                stage at(shared(), hashed_tokens(), by);
                const auto seen = with_shortage(cpp_memory, nth, how, [&] { return at.issue("web"); });
                if (cpp_memory.hit) check_not_thrown(seen, by, nth);
                if (!seen.given) return;
                REQUIRE(seen.given->has_value() == !cpp_memory.hit);
                if (*seen.given) check_tokens(at, **seen.given);
                else CHECK(seen.given->error().status() == http_status::service_unavailable);
            });
}

TEST_CASE("whichever allocation fails, a logout is done or said not to be (R44, R51)") {
    for (const driver by : all_drivers)
        for (const shortage how : all_shortages)
            each_shortage(cpp_memory, [&](std::size_t nth) {
                CAPTURE(static_cast<int>(by));
                stage at(shared(), plain_tokens(), by);
                const secret token = at.log_in("web");
                const auto seen = with_shortage(cpp_memory, nth, how, [&] { return at.revoke(token.reveal()); });
                if (cpp_memory.hit) check_not_thrown(seen, by, nth);
                if (seen.given && *seen.given) CHECK(at.row().state == revocation::revoked);
                if (!cpp_memory.hit) CHECK(*seen.given);
            });
}

namespace {

/// Its exceptions have words, and there is no memory left to repeat them.
struct lost_store : memory_store {
    result<insert_outcome, outage> insert(const grant&) { lose(); }
    result<void, outage> revoke(const row_key&) { lose(); }

private:
    [[noreturn]] static void lose() {
        const std::runtime_error lost("the connection to the database server was lost");
        cpp_memory.arm(1, true);
        throw lost;
    }
};

/// What an act gives while nothing may be thrown out of it.
template <class Act> auto without_throwing(Act act) {
    std::optional<decltype(act())> given;
    try {
        given.emplace(act());
    } catch (...) {
    }
    cpp_memory.is_armed = false;
    REQUIRE(given.has_value());
    return *std::move(given);
}

} // namespace

TEST_CASE("a store that throws when memory has run out is an outage; nothing is thrown (R51)") {
    lost_store store;
    stage at(shared(), plain_tokens(), driver::at_once);
    token_endpoint endpoint(store, at.shared.clients, at.issuer, keys());
    const secret token = at.log_in("web");
    flow::awaited_store<lost_store> later{store};
    async_token_endpoint awaited(later, at.shared.clients, at.issuer, keys());
    const login who{"web", "alice", "openid"};
    CHECK_FALSE(without_throwing([&] { return endpoint.revoke(token.reveal()); }));
    CHECK_FALSE(without_throwing([&] { return awaited.revoke(token.reveal()).run(); }));
    for (const auto& refused : {without_throwing([&] { return endpoint.issue(who); }),
                                without_throwing([&] { return awaited.issue(who).run(); })}) {
        REQUIRE_FALSE(refused);
        CHECK(refused.error().why == reason::exception_caught);
        CHECK(refused.error().retry_after == std::chrono::seconds(5));
    }
}

TEST_CASE("whichever allocation of OpenSSL fails, the answer is 503 or as it should be (R35, R51, R52, R97)") {
    REQUIRE(openssl_asks_us);
    std::size_t refused = 0;
    std::size_t borne = 0;
    for (const scenario& what : all_scenarios()) {
        CAPTURE(what.name);
        each_shortage(openssl_memory, [&](std::size_t nth) {
            stage at(shared(), what.tokens, driver::at_once);
            const auto ask = what.prepare(at);
            const std::size_t writes = at.store.writes;
            auto request = ask();
            outcome<http_reply> seen;
            // A new thread: OpenSSL makes its random generator anew for each.
            std::thread([&] {
                seen = with_shortage(openssl_memory, nth, shortage::once, [&] { return at.respond(std::move(request)); });
            }).join();
            REQUIRE(seen.given);
            if (seen.given->status == http_status::service_unavailable) {
                CHECK(openssl_memory.hit);
                CHECK(is_503(*seen.given));
                CHECK(at.store.writes == writes);
                ++refused;
            } else {
                check_answer(at, what, *seen.given);
                borne += openssl_memory.hit;
            }
            check_answer(at, what, at.respond(ask()));
        });
    }
    std::printf("OpenSSL's memory: %zu answers of 503, %zu shortages that OpenSSL bore\n", refused, borne);
    CHECK(refused > 100);
}

TEST_CASE("whichever allocation of OpenSSL fails, a key is whole or refused (R54, R97, R100)") {
    const secret pem = *shared().key.to_pem();
    const std::string locked = encrypted_pem(pem.reveal(), "a passphrase");
    const auto build_each = [&](const std::string& name, auto build) {
        CAPTURE(name);
        each_shortage(openssl_memory, [&](std::size_t nth) {
            const auto seen = with_shortage(openssl_memory, nth, shortage::once, [&] { return build(); });
            REQUIRE(seen.given);
            if (!*seen.given) {
                CHECK(openssl_memory.hit);
                CHECK_FALSE(seen.given->error().message.empty());
                return;
            }
            const signing_key& key = **seen.given;
            CHECK(key.public_jwk().n == shared().key.public_jwk().n);
            CHECK(key.key_id() == shared().key.key_id());
            CHECK(is_signed(encode_jwt(key, jwt_claims().add("sub", "alice"))->reveal(), shared().key.public_jwk()));
        }, 41);
    };
    build_each("PEM", [&] { return signing_key::from_pem(pem.reveal()); });
    build_each("encrypted PEM", [&] { return signing_key::from_encrypted_pem(locked, secret("a passphrase")); });
    each_shortage(openssl_memory, [&](std::size_t nth) {
        std::vector<token_key> ring;
        ring.push_back({token_key_id{1}, secret("0123456789abcdef0123456789abcdef")});
        const auto seen = with_shortage(openssl_memory, nth, shortage::once, [&] { return token_keyring::make(std::move(ring)); });
        REQUIRE(seen.given);
        CHECK((openssl_memory.hit || *seen.given));
        if (*seen.given) {
            const auto sealed = (*seen.given)->seal({family_id(std::array<std::byte, family_id::size_bytes>{}),
                                                     first_generation});
            REQUIRE(sealed);
            CHECK(*keys().open(sealed->reveal()));
        }
    });
}

TEST_CASE("allocations that failed in all") {
    std::printf("%zu of operator new, %zu of OpenSSL's\n", cpp_memory.total.load(), openssl_memory.total.load());
    CHECK(cpp_memory.total > 500);
    CHECK(openssl_memory.total > 1000);
}
