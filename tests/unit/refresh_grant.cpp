// tests/unit/refresh_grant.cpp - the refresh-grant validator over a store, without HTTP.
// SPDX-License-Identifier: MIT
#include <regrant/refresh_grant.hpp>

#include "support/flow_parts.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

using namespace regrant;
using namespace std::chrono_literals;
using flow::call_log;
using flow::trouble;

namespace {

constexpr instant now{std::chrono::milliseconds(1'636'449'231'250)};

constexpr generation number(std::uint32_t n) noexcept { return generation{n}; }

/// One family, its client, and a validator. `token(n)` is the family's n-th token; the row stands at 4.
struct bench {
    explicit bench(policy_settings settings = {}, rotation mode = rotation::rotate)
        : rules(*policy::make(settings)) {
        grant row(key, {"web", "alice", "openid profile"});
        row.rotation = mode;
        row.issued_at = now - 1h;
        row.used_at = now - 10min;
        row.expires_at = now + 24h;
        row.current = number(4);
        REQUIRE(store.rows.insert(row));
    }
    bench(const bench&) = delete;
    bench& operator=(const bench&) = delete;

    static client_ptr registered(std::string_view client_id) {
        static constexpr client_policy by_post = client_policy::of<auth_method::client_secret_post>();
        client made{std::string(client_id), by_post};
        made.scope = *scope::parse("openid profile");
        return std::make_shared<const client>(std::move(made));
    }
    std::string token(std::uint32_t n) const { return std::string(ring.seal({family, number(n)})->reveal()); }
    grant row() {
        auto found = store.rows.find(key);
        REQUIRE(*found);
        return **found;
    }

    result<token_response, refusal> refresh(std::string_view token, std::optional<std::string_view> asked = {}) {
        return refresh_by(asking, token, asked);
    }
    result<token_response, refusal> refresh_by(const client_ptr& who, std::string_view token,
                                               std::optional<std::string_view> asked = {}) {
        log.clear();
        seen = decision{now};
        refresh_grant validator(store, issuer, ring, rules, hooks);
        return validator.respond({authenticated_client::vouched(who), token, asked}, now, seen);
    }

    call_log log{};
    family_id family = flow::family_of(std::byte{0xFA});
    row_key key = *token_keyring::row_key_of(family);
    token_keyring ring = flow::ring({1});
    policy rules;
    client_ptr asking = registered("web");
    client_ptr another = registered("another");
    flow::staged_store store{log};
    flow::counting_issuer issuer{log};
    flow::watching_hooks hooks{log};
    decision seen{now};
};

void check_refused(const result<token_response, refusal>& answer, reason why) {
    REQUIRE_FALSE(answer);
    CHECK(to_string(answer.error().why) == to_string(why));
}

} // namespace

TEST_CASE("a good refresh finds once and advances once, and everything that can fail lies between (R52)") {
    bench b;
    const auto answer = b.refresh(b.token(4));
    REQUIRE(answer);
    CHECK(answer->refresh_token.reveal() == b.token(5));
    CHECK(answer->access_token.reveal() == "access-1");
    CHECK(b.log == call_log{"find", "account", "mint", "advance"});
    CHECK(b.row().current == number(5));
    CHECK(b.row().used_at == now);
}

TEST_CASE("the validator serves without hooks, over the plain memory_store (R55, 6749 6)") {
    bench b;
    refresh_grant validator(b.store.rows, b.issuer, b.ring, b.rules);
    const std::string token = b.token(4);
    const auto answer = validator.respond({authenticated_client::vouched(b.asking), token}, now, b.seen);
    REQUIRE(answer);
    CHECK(answer->refresh_token.reveal() == b.token(5));
    CHECK(answer->scope == "openid profile");
}

TEST_CASE("what is refused costs as little as can be and writes nothing (R32-R34, R39, R46, R56, 6749 5.2)") {
    struct row {
        std::string_view what;
        result<token_response, refusal> (*ask)(bench&);
        reason why;
        call_log calls;
    };
    const row rows[] = {
        {"a forged token",
         [](bench& b) {
             std::string forged = b.token(4);
             forged.back() = forged.back() == 'A' ? 'B' : 'A';
             return b.refresh(forged);
         },
         reason::token_not_ours, {}},
        {"no token at all", [](bench& b) { return b.refresh(""); }, reason::token_not_ours, {}},
        {"a token of a key that is not in the ring",
         [](bench& b) {
             const auto foreign = flow::ring({2}).seal({b.family, number(4)});
             return b.refresh(foreign->reveal());
         },
         reason::token_key_unknown, {}},
        {"a family the store does not know",
         [](bench& b) {
             const auto unknown = b.ring.seal({flow::family_of(std::byte{7}), number(4)});
             return b.refresh(unknown->reveal());
         },
         reason::grant_missing, {"find"}},
        {"a token of another client", [](bench& b) { return b.refresh_by(b.another, b.token(4)); },
         reason::issued_to_another_client, {"find"}},
        {"a replay by another client", [](bench& b) { return b.refresh_by(b.another, b.token(0)); },
         reason::issued_to_another_client, {"find"}},
        {"a row too far behind", [](bench& b) { return b.refresh(b.token(13)); }, reason::row_too_far_behind,
         {"find"}},
        {"the last generation", [](bench& b) { return b.refresh(b.token(0xFFFF'FFFF)); },
         reason::generations_exhausted, {"find"}},
        {"an account denied",
         [](bench& b) {
             b.hooks.denied_subjects.insert("alice");
             return b.refresh(b.token(4));
         },
         reason::account_denied, {"find", "account"}},
        {"a scope too wide", [](bench& b) { return b.refresh(b.token(4), "openid admin"); }, reason::scope_exceeded,
         {"find", "account"}},
    };
    for (const row& each : rows) {
        INFO(each.what);
        bench b;
        check_refused(each.ask(b), each.why);
        CHECK(b.log == each.calls);
        CHECK_FALSE(b.seen.written);
        CHECK(b.row().current == number(4));
        CHECK(b.row().used_at == now - 10min);
        b.hooks.denied_subjects.clear();
        CHECK_MESSAGE(b.refresh(b.token(4)), "the token must still be good");
    }
}

TEST_CASE("an outage is a 503 that costs the user nothing (R51, R52)") {
    struct row {
        std::string_view call;
        trouble how;
        reason why;
        call_log calls;
    };
    const row rows[] = {
        {"find", trouble::outage, reason::store_unavailable, {"find"}},
        {"account", trouble::outage, reason::account_unavailable, {"find", "account"}},
        {"mint", trouble::outage, reason::issuer_unavailable, {"find", "account", "mint"}},
        {"advance", trouble::outage, reason::store_unavailable, {"find", "account", "mint", "advance"}},
        {"advance", trouble::lost_answer, reason::store_unavailable, {"find", "account", "mint", "advance"}},
    };
    for (const auto mode : {rotation::rotate, rotation::echo}) {
        for (const row& each : rows) {
            INFO(each.call, " ", static_cast<int>(each.how), " ", static_cast<int>(mode));
            bench b({}, mode);
            b.store.fails.add(each.call, each.how);
            b.issuer.fails = b.hooks.fails = b.store.fails;
            const auto answer = b.refresh(b.token(4));
            check_refused(answer, each.why);
            CHECK(b.log == each.calls);
            CHECK(answer.error().status() == http_status::service_unavailable);
            CHECK(answer.error().code() == errc::temporarily_unavailable);
            CHECK(answer.error().detail == flow::private_words);
            REQUIRE(answer.error().retry_after);
            CHECK(2 * *answer.error().retry_after < b.rules->retry_window);
            CHECK_FALSE(b.seen.written);
            if (each.how == trouble::outage) {
                CHECK(b.row().current == number(4));
                CHECK(b.row().used_at == now - 10min);
            }

            b.store.fails.clear();
            b.issuer.fails.clear();
            b.hooks.fails.clear();
            const auto again = b.refresh(b.token(4));
            REQUIRE(again);
            const std::uint32_t successor = mode == rotation::rotate ? 5 : 4;
            CHECK(again->refresh_token.reveal() == b.token(successor));
            CHECK(b.row().current == number(successor));
        }
    }
}

TEST_CASE("a replay revokes the family before it is answered (R38, 9700 4.14.2)") {
    bench b;
    check_refused(b.refresh(b.token(2)), reason::replayed);
    CHECK(b.log == call_log{"find", "revoke"});
    CHECK(b.seen.written == write_kind::revoke);
    CHECK(b.row().state == revocation::revoked);
    check_refused(b.refresh(b.token(4)), reason::revoked);
    CHECK(b.log == call_log{"find"});
}

TEST_CASE("a replay whose revoke meets an outage is a 503, and is caught when it comes again (R38, R51)") {
    bench b;
    b.store.fails.add("revoke", trouble::outage);
    const auto answer = b.refresh(b.token(2));
    check_refused(answer, reason::store_unavailable);
    CHECK(answer.error().retry_after);
    CHECK_FALSE(b.seen.written);
    CHECK(b.row().state == revocation::live);

    b.store.fails.clear();
    check_refused(b.refresh(b.token(2)), reason::replayed);
    CHECK(b.row().state == revocation::revoked);
}

TEST_CASE("a decision tells what was presented and what was written, never a token (R53, R75)") {
    struct row {
        std::string_view what;
        std::uint32_t presented;
        rotation mode;
        write_kind written;
    };
    for (const row& each : {row{"rotated", 4, rotation::rotate, write_kind::rotate},
                            row{"echoed", 4, rotation::echo, write_kind::echo},
                            row{"healed", 6, rotation::rotate, write_kind::heal}}) {
        INFO(each.what);
        bench b({}, each.mode);
        REQUIRE(b.refresh(b.token(each.presented)));
        CHECK(b.seen.row == b.key);
        CHECK(b.seen.generation == number(each.presented));
        REQUIRE(b.seen.written);
        CHECK(to_string(*b.seen.written) == to_string(each.written));
        CHECK(b.seen.races_lost == 0);
    }
    bench b;
    REQUIRE(b.refresh(b.token(4)));
    REQUIRE(b.refresh(b.token(4)));
    CHECK(b.seen.generation == number(4));
    CHECK(b.seen.written == write_kind::repeat);
}

TEST_CASE("an answer lost behind the write is given again, with the same successor (R47, R51)") {
    bench b;
    const auto first = b.refresh(b.token(4));
    REQUIRE(first);
    const auto again = b.refresh(b.token(4));
    REQUIRE(again);
    CHECK(same_secret(first->refresh_token, again->refresh_token));
    CHECK_FALSE(same_secret(first->access_token, again->access_token));
    CHECK(b.log == call_log{"find", "account", "mint", "advance"});
    CHECK(b.row().current == number(5));
}

TEST_CASE("what happens behind a request's back between its find and its write decides (R47/R48, R50)") {
    struct row {
        std::string_view what;
        std::uint32_t presented;
        rotation mode;
        /// What another request does to the row meanwhile.
        void (*meanwhile)(bench&);
        std::optional<reason> refused;
        /// Where the row stands at the end, live or not.
        std::uint32_t current;
        revocation state;
        std::optional<write_kind> written;
    };
    using enum rotation;
    using enum revocation;
    static constexpr auto rotate_once = [](bench& b) {
        (void)b.store.rows.advance(b.key, number(4), number(5), now);
    };
    static constexpr auto rotate_twice = [](bench& b) {
        (void)b.store.rows.advance(b.key, number(4), number(6), now);
    };
    static constexpr auto log_out = [](bench& b) { (void)b.store.rows.revoke(b.key); };
    static constexpr auto rotate_and_log_out = [](bench& b) {
        rotate_once(b);
        log_out(b);
    };
    const row rows[] = {
        {"a race is lost: the winner's successor", 4, rotate, rotate_once, {}, 5, live, write_kind::repeat},
        {"a race is lost by two: no replay (R47/R48)", 4, rotate, rotate_twice, reason::race_lost, 6, live, {}},
        {"logged out before a rotation is written (R50)", 4, rotate, log_out, reason::revoked, 4, revoked, {}},
        {"rotated, and logged out (R50)", 4, rotate, rotate_and_log_out, reason::revoked, 5, revoked, {}},
        {"logged out before an echo is confirmed (R50)", 4, echo, log_out, reason::revoked, 4, revoked, {}},
        {"logged out before a row is healed (R50)", 6, rotate, log_out, reason::revoked, 4, revoked, {}},
        {"a row is healed by another request first", 4 + 3, rotate,
         [](bench& b) { (void)b.store.rows.advance(b.key, number(4), number(8), now); }, {}, 8, live,
         write_kind::repeat},
    };
    for (const row& each : rows) {
        INFO(each.what);
        bench b({}, each.mode);
        bool done = false;
        b.store.before = [&](std::string_view call) {
            if (call != "advance" || done) return;
            done = true;
            each.meanwhile(b);
        };
        const auto answer = b.refresh(b.token(each.presented));
        CHECK(answer.has_value() == !each.refused);
        if (answer) CHECK(answer->refresh_token.reveal() == b.token(each.presented + 1));
        else if (each.refused) CHECK(to_string(answer.error().why) == to_string(*each.refused));
        CHECK(b.row().current == number(each.current));
        CHECK(b.row().state == each.state);
        CHECK(b.seen.written == each.written);
        CHECK(b.seen.races_lost == 1);
    }
}

TEST_CASE("a retry is not answered once its successor has been used or its family has ended (R49, R50)") {
    struct row {
        std::string_view what;
        void (*meanwhile)(bench&);
        reason why;
    };
    for (const row& each :
         {row{"the successor is used",
              [](bench& b) { (void)b.store.rows.advance(b.key, number(5), number(6), now); }, reason::race_lost},
          row{"logged out", [](bench& b) { (void)b.store.rows.revoke(b.key); }, reason::revoked}}) {
        INFO(each.what);
        bench b;
        REQUIRE(b.refresh(b.token(4)));
        bool done = false;
        b.store.before = [&](std::string_view call) {
            if (call == "advance" && !std::exchange(done, true)) each.meanwhile(b);
        };
        check_refused(b.refresh(b.token(4)), each.why);
        CHECK(b.log == call_log{"find", "account", "mint", "advance", "find"});
    }
}

TEST_CASE("with a window of zero one of two requests wins and the other is no replay (R47/R48, R49)") {
    policy_settings strict;
    strict.retry_window = 0s;
    bench b(strict);
    b.store.before = [&](std::string_view call) {
        if (call == "advance") (void)b.store.rows.advance(b.key, number(4), number(5), now);
    };
    check_refused(b.refresh(b.token(4)), reason::race_lost);
    CHECK(b.row().state == revocation::live);
}

TEST_CASE("a store that keeps refusing is asked four times, then the client is told to come back (R47/R48, R51)") {
    bench b;
    b.store.before = [&](std::string_view call) {
        // Moves the row away under the write, and back again before it is looked at.
        if (call == "advance") (void)b.store.rows.advance(b.key, number(4), number(3), now);
        if (call == "find") (void)b.store.rows.advance(b.key, number(3), number(4), now);
    };
    const auto answer = b.refresh(b.token(4));
    check_refused(answer, reason::store_contended);
    CHECK(b.log == call_log{"find", "account", "mint", "advance", "find", "advance", "find", "advance", "find",
                            "advance"});
    CHECK(b.seen.races_lost == 3);
    CHECK_FALSE(b.seen.written);
    CHECK(answer.error().status() == http_status::service_unavailable);
    CHECK_MESSAGE(answer.error().retry_after.has_value(), "R51: a 503 carries Retry-After");
}

TEST_CASE("an outage while a lost race is looked at again is a 503, and the token is still good (R51)") {
    bench b;
    b.store.before = [&](std::string_view call) {
        if (call != "advance") return;
        (void)b.store.rows.advance(b.key, number(4), number(5), now);
        b.store.fails.add("find", trouble::outage);
    };
    check_refused(b.refresh(b.token(4)), reason::store_unavailable);
    b.store.before = nullptr;
    b.store.fails.clear();
    const auto again = b.refresh(b.token(4));
    REQUIRE(again);
    CHECK(again->refresh_token.reveal() == b.token(5));
}
