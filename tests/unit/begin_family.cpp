// tests/unit/begin_family.cpp - the first tokens of a login.
// SPDX-License-Identifier: MIT
#include <regrant/begin_family.hpp>

#include "support/flow_parts.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
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

constexpr client_policy by_post = client_policy::of<auth_method::client_secret_post>();

struct bench {
    explicit bench(client_policy how = by_post) : asking{"web", how} {
        asking.scope = *scope::parse("openid profile email");
    }
    bench(const bench&) = delete;
    bench& operator=(const bench&) = delete;

    result<token_response, refusal> begin(const login& who) {
        log.clear();
        seen = decision{now};
        return begin_family(store, issuer, ring, rules, random, asking, who, now, seen);
    }
    /// The row of the n-th family that the random source has made.
    std::optional<grant> row(unsigned char n = 1) {
        return *store.rows.find(*token_keyring::row_key_of(flow::family_of(std::byte{n})));
    }

    call_log log{};
    client asking;
    token_keyring ring = flow::ring({1});
    policy rules{};
    flow::staged_store store{log};
    flow::counting_issuer issuer{log};
    flow::scripted_random random{log};
    decision seen{now};
};

const login alice{"web", "alice", "openid profile"};

void check_refused(const result<token_response, refusal>& answer, reason why) {
    REQUIRE_FALSE(answer);
    CHECK(to_string(answer.error().why) == to_string(why));
}

} // namespace

TEST_CASE("a login inserts one row, last of all, and answers with its first token (R35, R42, R43, R65)") {
    bench b;
    const auto answer = b.begin(alice);
    REQUIRE(answer);
    CHECK(b.log == call_log{"random", "mint", "insert"});
    CHECK(answer->access_token.reveal() == "access-1");
    REQUIRE(answer->id_token);
    CHECK(answer->scope == "openid profile");
    CHECK(answer->expires_in == 300s);
    CHECK(answer->refresh_token.reveal() ==
          b.ring.seal({flow::family_of(std::byte{1}), first_generation})->reveal());

    const auto row = b.row();
    REQUIRE(row);
    CHECK(row->client_id() == "web");
    CHECK(row->subject() == "alice");
    CHECK(row->scope() == "openid profile");
    CHECK(row->audience().empty());
    CHECK(row->confirmation().empty());
    CHECK(row->current == first_generation);
    CHECK(row->state == revocation::live);
    CHECK(row->issued_at == now);
    CHECK(row->used_at == now);
    CHECK(row->expires_at == now + std::chrono::days(90));
    CHECK_FALSE(row->auth_time);

    CHECK(b.seen.row == row->key);
    CHECK(b.seen.generation == first_generation);
    CHECK(b.seen.written == write_kind::insert);
}

TEST_CASE("what can go wrong at a login goes wrong before the row is there (R35, R52)") {
    struct row {
        std::string_view call;
        reason why;
        call_log calls;
    };
    for (const row& each : {row{"random", reason::random_unavailable, {"random"}},
                            row{"mint", reason::issuer_unavailable, {"random", "mint"}},
                            row{"insert", reason::store_unavailable, {"random", "mint", "insert"}}}) {
        INFO(each.call);
        bench b;
        b.random.fails.add(each.call, trouble::outage);
        b.issuer.fails = b.store.fails = b.random.fails;
        const auto answer = b.begin(alice);
        check_refused(answer, each.why);
        CHECK(b.log == each.calls);
        CHECK(answer.error().status() == http_status::service_unavailable);
        CHECK(answer.error().retry_after);
        CHECK(answer.error().detail == flow::private_words);
        CHECK_FALSE(b.seen.written);
        CHECK(b.store.rows.list_subject("alice")->empty());
    }
}

TEST_CASE("a random source that repeats itself is an outage, and the first login is left alone (R35, 6749 10.10)") {
    bench b;
    b.random.stuck_at = std::byte{1};
    REQUIRE(b.begin(alice));
    const auto second = b.begin({"web", "mallory", "email"});
    check_refused(second, reason::random_unavailable);
    CHECK(second.error().status() == http_status::service_unavailable);
    CHECK_FALSE(b.seen.written);
    const auto row = b.row();
    REQUIRE(row);
    CHECK(row->subject() == "alice");
    CHECK(row->scope() == "openid profile");
}

TEST_CASE("two logins of one user are two families (R44/R45, 9700 4.14.2)") {
    bench b;
    const auto first = b.begin(alice);
    const auto second = b.begin(alice);
    REQUIRE(first);
    REQUIRE(second);
    CHECK_FALSE(same_secret(first->refresh_token, second->refresh_token));
    CHECK(b.store.rows.list_subject("alice")->size() == 2);
}

TEST_CASE("a login that makes no sense is refused before a random byte is drawn (R30, R56, R59, 6749 5.2)") {
    struct row {
        std::string_view what;
        login who;
        reason why;
    };
    for (const row& each : {row{"no subject", {"web", "", "openid"}, reason::subject_missing},
                            row{"a subject that is not UTF-8", {"web", "a\xFF", "openid"}, reason::invalid_utf8},
                            row{"an audience that is not UTF-8",
                                {.client_id = "web", .subject = "alice", .scope = "openid", .audience = "\xFF"},
                                reason::invalid_utf8},
                            row{"a nonce that is not UTF-8",
                                {.client_id = "web", .subject = "alice", .scope = "openid", .nonce = "\xFF"},
                                reason::invalid_utf8},
                            row{"an auth_time before 1970",
                                {.client_id = "web", .subject = "alice", .scope = "openid",
                                 .auth_time = std::chrono::sys_seconds(-1s)},
                                reason::auth_time_out_of_range},
                            row{"an auth_time after 9999",
                                {.client_id = "web", .subject = "alice", .scope = "openid",
                                 .auth_time = std::chrono::sys_seconds(253'402'300'800s)},
                                reason::auth_time_out_of_range},
                            row{"no scope", {"web", "alice", ""}, reason::scope_malformed},
                            row{"a malformed scope", {"web", "alice", "openid  email"}, reason::scope_malformed},
                            row{"beyond the client's", {"web", "alice", "openid admin"}, reason::scope_exceeded}}) {
        INFO(each.what);
        bench b;
        check_refused(b.begin(each.who), each.why);
        CHECK(b.log.empty());
    }
    bench b;
    b.asking.grant_types = {"client_credentials"};
    check_refused(b.begin(alice), reason::grant_type_not_allowed);
    CHECK(b.log.empty());
}

TEST_CASE("the granted scope is kept as it was given, each word once (R55, 6749 3.3)") {
    bench b;
    const auto answer = b.begin({"web", "alice", "email openid email"});
    REQUIRE(answer);
    CHECK(answer->scope == "email openid");
    CHECK(b.row()->scope() == "email openid");
}

TEST_CASE("there is an id_token exactly where openid was granted (R77, OIDC Core 3.1.2.1)") {
    bench b;
    const auto answer = b.begin({"web", "alice", "profile"});
    REQUIRE(answer);
    CHECK_FALSE(answer->id_token);
}

TEST_CASE("whether the refresh token rotates is fixed in the grant at login (R37, R41)") {
    static constexpr client_policy by_echo = client_policy::of<auth_method::client_secret_post, rotation::echo>();
    bench echoing(by_echo);
    REQUIRE(echoing.begin(alice));
    CHECK(echoing.row()->rotation == rotation::echo);

    static constexpr client_policy by_name = client_policy::of<auth_method::none>();
    bench rotating(by_name);
    REQUIRE(rotating.begin(alice));
    CHECK(rotating.row()->rotation == rotation::rotate);
}

TEST_CASE("auth_time and audience are kept for later answers, the nonce is for this one alone (R82, R84, R89-R93)") {
    bench b;
    const std::chrono::sys_seconds proven{std::chrono::floor<std::chrono::seconds>(now) - 5min};
    REQUIRE(b.begin({"web", "alice", "openid", proven, "https://api.example", "n-0S6_WzA2Mj"}));
    const auto row = b.row();
    REQUIRE(row);
    CHECK(row->auth_time == proven);
    CHECK(row->audience() == "https://api.example");
    CHECK(b.issuer.last_auth_time == proven);
    CHECK(b.issuer.last_nonce == "n-0S6_WzA2Mj");
}

TEST_CASE("the first token is sealed by the first key of the ring (R54)") {
    bench b;
    b.ring = flow::ring({2, 1});
    const auto answer = b.begin(alice);
    REQUIRE(answer);
    CHECK(*flow::ring({2}).open(answer->refresh_token.reveal()));
    CHECK_FALSE(*flow::ring({1}).open(answer->refresh_token.reveal()));
}
