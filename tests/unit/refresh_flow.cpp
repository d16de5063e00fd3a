// tests/unit/refresh_flow.cpp - the refresh grant's steps, driven by hand.
// SPDX-License-Identifier: MIT
#include <regrant/refresh_flow.hpp>

#include "support/flow_scene.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

using namespace regrant;
using namespace regrant::refresh_flow;
using namespace std::chrono_literals;
using flow::number;
using flow::refusal_of;
using flow::scene;
using flow::walk;

namespace {

// Which answer each step takes, and what may come next: the order of the flow, as the compiler sees it.
template <class Step, class Answer> using after = decltype(std::declval<Step>().with(std::declval<Answer>()));

static_assert(std::is_same_v<decltype(begin(std::declval<const refresh_request&>(), std::declval<const policy&>(),
                                            instant())),
                             result<opening_token, refusal>>);
static_assert(std::is_same_v<after<opening_token, token_opening>, result<loading_grant, refusal>>);
static_assert(std::is_same_v<after<loading_grant, std::optional<grant>>,
                             std::variant<checking_account, revoking_family, refusal>>);
static_assert(std::is_same_v<after<revoking_family, family_revoked>, refusal>);
static_assert(std::is_same_v<after<checking_account, account_standing>, result<sealing_successor, refusal>>);
static_assert(std::is_same_v<after<sealing_successor, secret>, minting_tokens>);
static_assert(std::is_same_v<after<minting_tokens, minted_tokens>, writing_generation>);
static_assert(std::is_same_v<after<writing_generation, advance_outcome>,
                             std::variant<token_response, reloading_grant, refusal>>);
// No revoke behind a lost race: the type has no room for one.
static_assert(std::is_same_v<after<reloading_grant, std::optional<grant>>, result<writing_generation, refusal>>);

// A step is given up when it is taken, and there is no second one of it.
template <class Step, class Answer>
concept can_stay = requires(Step& step, Answer answer) { step.with(std::move(answer)); };
template <class Step, class Answer>
constexpr bool is_taken_once = !can_stay<Step, Answer> && !can_stay<const Step, Answer> &&
                               !std::is_copy_constructible_v<Step> && std::is_move_constructible_v<Step>;

static_assert(is_taken_once<opening_token, token_opening>);
static_assert(is_taken_once<loading_grant, std::optional<grant>>);
static_assert(is_taken_once<revoking_family, family_revoked>);
static_assert(is_taken_once<checking_account, account_standing>);
static_assert(is_taken_once<sealing_successor, secret>);
static_assert(is_taken_once<minting_tokens, minted_tokens>);
static_assert(is_taken_once<writing_generation, advance_outcome>);
static_assert(is_taken_once<reloading_grant, std::optional<grant>>);

/// What a good scene writes.
write_order order_of(scene set) {
    walk steps(std::move(set));
    auto writing = steps.to_writing();
    REQUIRE(writing);
    return writing->ask();
}

/// A scene in which the predecessor of the current token is shown again, `age` after the rotation.
scene retry(instant::duration age) {
    scene set;
    set.presented = number(3);
    set.used_at = flow::now - age;
    return set;
}

/// A scene whose row is so many generations behind the token.
scene behind(std::uint32_t generations) {
    scene set;
    set.presented = number(4 + generations);
    return set;
}

/// Loses the one write of a scene to another request, which leaves `found` behind.
result<writing_generation, refusal> lose_race(scene first, const scene& found) {
    walk steps(std::move(first));
    auto writing = steps.to_writing();
    REQUIRE(writing);
    auto lost = (*std::move(writing)).with(advance_outcome::refused);
    auto* reloading = std::get_if<reloading_grant>(&lost);
    REQUIRE(reloading != nullptr);
    auto again = std::move(*reloading).with(found.row());
    CHECK_FALSE(steps.asked_to_revoke());
    return again;
}

} // namespace

TEST_CASE("each step asks for what it needs and no more (R52, 6749 6)") {
    scene set;
    set.asked_scope = "email openid";
    walk steps(set);

    auto opening = steps.to_opening();
    REQUIRE(opening);
    CHECK(opening->ask() == "the token");
    auto loading = steps.to_loading();
    REQUIRE(loading);
    CHECK(loading->ask() == flow::row_key);
    auto checking = steps.to_account();
    REQUIRE(checking);
    CHECK(checking->ask().subject() == "alice");
    auto sealing = steps.to_sealing();
    REQUIRE(sealing);
    CHECK(same_bytes(sealing->ask().family.bytes(), scene::family().bytes()));
    CHECK(sealing->ask().generation == number(5));
    auto minting = steps.to_minting();
    REQUIRE(minting);
    const mint_order minted = minting->ask();
    CHECK(minted.login.subject() == "alice");
    CHECK(minted.client.client_id == "web");
    CHECK(minted.scope.text() == "openid email");
    CHECK(minted.now == flow::now);
    CHECK_MESSAGE(minted.nonce.empty(), "OIDC Core 12.2: a refreshed id_token has no nonce (R84)");
}

TEST_CASE("the answer leaves behind the write and holds what the steps were told (R52, R65, 6749 5.1)") {
    walk steps{scene{}};
    auto writing = steps.to_writing();
    REQUIRE(writing);
    auto written = (*std::move(writing)).with(advance_outcome::advanced);
    const auto* answer = std::get_if<token_response>(&written);
    REQUIRE(answer != nullptr);
    CHECK(answer->access_token.reveal() == "the access token");
    CHECK(answer->refresh_token.reveal() == "the successor");
    REQUIRE(answer->id_token);
    CHECK(answer->id_token->reveal() == "the id_token");
    CHECK(answer->scope == "openid profile email");
    CHECK(answer->expires_in == 299s);
}

TEST_CASE("the first failure answers, in the order of checks (R30, R32, R33, R46, R59, 6749 5.2, 6)") {
    struct fault {
        int place;
        reason expected;
        void (*spoil)(scene&);
    };
    static constexpr fault faults[] = {
        {0, reason::grant_type_not_allowed, [](scene& s) { s.asking.grant_types = {"client_credentials"}; }},
        {1, reason::token_not_ours, [](scene& s) { s.is_sealed = false; }},
        {2, reason::grant_missing, [](scene& s) { s.is_stored = false; }},
        {3, reason::issued_to_another_client, [](scene& s) { s.asking.client_id = "another"; }},
        {4, reason::confirmation_mismatch, [](scene& s) { s.text.confirmation = "key one"; }},
        {5, reason::revoked, [](scene& s) { s.state = revocation::revoked; }},
        {6, reason::issued_before_not_before, [](scene& s) { s.rules.not_before = flow::now; }},
        {6, reason::issued_before_not_before, [](scene& s) { s.asking.not_before = flow::now; }},
        {7, reason::absolute_limit, [](scene& s) { s.expires_at = flow::now; }},
        {7, reason::idle_limit, [](scene& s) { s.rules.idle_lifetime = 10min; }},
        {8, reason::replayed, [](scene& s) { s.presented = number(2); }},
        {8, reason::row_too_far_behind, [](scene& s) { s.presented = number(13); }},
        {8, reason::generations_exhausted, [](scene& s) { s.presented = s.current = last_generation; }},
        {9, reason::account_denied, [](scene& s) { s.account = account_standing::denied; }},
        {10, reason::scope_malformed, [](scene& s) { s.asked_scope = "openid  email"; }},
        {10, reason::scope_exceeded, [](scene& s) { s.asked_scope = "openid admin"; }},
        {10, reason::scope_withdrawn, [](scene& s) { s.asking.scope = *regrant::scope::parse("phone"); }},
    };
    for (const fault& first : faults) {
        const auto refused_for = [&](const scene& set) {
            walk steps(set);
            const auto writing = steps.to_writing();
            REQUIRE_FALSE(writing);
            CHECK(to_string(writing.error().why) == to_string(first.expected));
            // R38: a replay, and nothing else, ends the family.
            CHECK(steps.asked_to_revoke().has_value() == (first.expected == reason::replayed));
        };
        INFO("first ", to_string(first.expected));
        scene alone;
        first.spoil(alone);
        refused_for(alone);
        for (const fault& second : faults) {
            if (second.place <= first.place) continue;
            INFO("then ", to_string(second.expected));
            scene both;
            first.spoil(both);
            second.spoil(both);
            refused_for(both);
        }
    }
}

TEST_CASE("limits and windows end at their very millisecond (R42, R43, R44/R45, R49)") {
    struct edge {
        std::string_view what;
        /// Sets the scene so that `beyond` the edge has passed.
        void (*set)(scene&, std::chrono::milliseconds beyond);
        reason why;
        /// Whether the edge itself is inside.
        bool holds_at_edge;
    };
    static constexpr edge edges[] = {
        {"the idle limit counts from the last use",
         [](scene& s, std::chrono::milliseconds beyond) {
             s.issued_at = flow::now - std::chrono::days(40);
             s.used_at = flow::now - std::chrono::days(30) - beyond;
         },
         reason::idle_limit, false},
        {"the absolute limit stands in the row",
         [](scene& s, std::chrono::milliseconds beyond) { s.expires_at = flow::now - beyond; },
         reason::absolute_limit, false},
        {"the absolute limit can be tightened by policy for logins that are there",
         [](scene& s, std::chrono::milliseconds beyond) {
             s.rules.absolute_lifetime = 8h;
             s.issued_at = flow::now - 8h - beyond;
         },
         reason::absolute_limit, false},
        {"an idle limit beyond the absolute one changes nothing",
         [](scene& s, std::chrono::milliseconds beyond) {
             s.rules.idle_lifetime = std::chrono::days(400);
             s.expires_at = flow::now - beyond;
         },
         reason::absolute_limit, false},
        {"the policy's not-before",
         [](scene& s, std::chrono::milliseconds beyond) {
             s.rules.not_before = flow::now - 30min;
             s.issued_at = flow::now - 30min - beyond;
         },
         reason::issued_before_not_before, true},
        {"the client's not-before",
         [](scene& s, std::chrono::milliseconds beyond) {
             s.asking.not_before = flow::now - 30min;
             s.issued_at = flow::now - 30min - beyond;
         },
         reason::issued_before_not_before, true},
        {"the retry window",
         [](scene& s, std::chrono::milliseconds beyond) {
             s.presented = number(3);
             s.used_at = flow::now - 30s - beyond;
         },
         reason::replayed, false},
        {"the skew that a retry window bears",
         [](scene& s, std::chrono::milliseconds beyond) {
             s.presented = number(3);
             s.used_at = flow::now + 60s + beyond;
         },
         reason::replayed, true},
        {"a retry window of one second",
         [](scene& s, std::chrono::milliseconds beyond) {
             s.rules.retry_window = 1s;
             s.presented = number(3);
             s.used_at = flow::now - 1s - beyond;
         },
         reason::replayed, false},
    };
    for (const edge& each : edges) {
        INFO(each.what);
        const auto at = [&](std::chrono::milliseconds beyond) {
            scene set;
            each.set(set, beyond);
            return refusal_of(set);
        };
        CHECK_FALSE(at(-1ms));
        CHECK(at(0ms) == (each.holds_at_edge ? std::nullopt : std::optional(each.why)));
        CHECK(at(1ms) == each.why);
    }
}

TEST_CASE("a clock that went back leaves the retry window open (R49)") {
    for (const auto ahead : {0ms, 1ms, 59'999ms}) CHECK_FALSE(refusal_of(retry(-ahead)));
}

TEST_CASE("a window of zero is strict single use whatever the clock says (R49)") {
    for (const auto age : {-60'000ms, -1ms, 0ms, 1ms}) {
        scene set = retry(age);
        set.rules.retry_window = 0s;
        CHECK(refusal_of(set) == reason::replayed);
    }
}

TEST_CASE("a token bound to a key is of no use without it (6749 10.4, 9700 2.2.2)") {
    struct row {
        std::string_view bound_to, proven;
        bool is_good;
    };
    for (const auto& [bound_to, proven, is_good] :
         {row{"", "", true}, row{"", "key one", true}, row{"key one", "key one", true}, row{"key one", "", false},
          row{"key one", "key two", false}, row{"key one", "key one ", false}}) {
        scene set;
        set.text.confirmation = bound_to;
        set.confirmation = proven;
        CHECK(refusal_of(set) == (is_good ? std::nullopt : std::optional(reason::confirmation_mismatch)));
    }
}

TEST_CASE("the client must be the very one the token was issued to (R33, 6749 6)") {
    for (const std::string_view other : {"WEB", "we", "web ", "webs"}) {
        scene set;
        set.asking.client_id = other;
        CHECK(refusal_of(set) == reason::issued_to_another_client);
    }
}

TEST_CASE("the current token moves the row on by one (R38, R47/R48)") {
    const write_order order = order_of({});
    CHECK(order.kind == write_kind::rotate);
    CHECK(order.key == flow::row_key);
    CHECK(order.expected == number(4));
    CHECK(order.next == number(5));
    CHECK(order.at == flow::now);
}

TEST_CASE("the predecessor within the window confirms the row and leaves its time alone (R47, R49)") {
    for (const auto age : {0s, 29s}) {
        const write_order order = order_of(retry(age));
        CHECK(order.kind == write_kind::repeat);
        CHECK(order.expected == number(4));
        CHECK(order.next == number(4));
        CHECK_MESSAGE(order.at == flow::now - age, "a retry must not restart the window");
    }
}

TEST_CASE("a retry gets the same successor as the first answer did (R47)") {
    walk first{[] {
        scene set;
        set.presented = set.current = number(3);
        return set;
    }()};
    walk again{retry(5s)};
    auto one = first.to_sealing();
    auto other = again.to_sealing();
    REQUIRE(one);
    REQUIRE(other);
    CHECK(one->ask().generation == number(4));
    CHECK(other->ask().generation == number(4));
}

TEST_CASE("what is older than the predecessor is a replay even within the window (R38, 9700 4.14.2)") {
    for (const std::uint32_t old : {2U, 1U, 0U}) {
        scene set = retry(0s);
        set.presented = number(old);
        walk steps(set);
        const auto refused = steps.to_account();
        REQUIRE_FALSE(refused);
        CHECK(refused.error().why == reason::replayed);
        CHECK(steps.asked_to_revoke() == flow::row_key);
    }
}

TEST_CASE("without rotation the same token is confirmed, and its use renews the idle limit (R41, R42)") {
    scene set;
    set.rotation = rotation::echo;
    const write_order order = order_of(set);
    CHECK(order.kind == write_kind::echo);
    CHECK(order.expected == number(4));
    CHECK(order.next == number(4));
    CHECK(order.at == flow::now);

    walk steps(set);
    auto sealing = steps.to_sealing();
    REQUIRE(sealing);
    CHECK(sealing->ask().generation == number(4));
}

TEST_CASE("without rotation the generation is compared all the same, and there is no predecessor (R41, R38)") {
    scene set = retry(0s);
    set.rotation = rotation::echo;
    CHECK(refusal_of(set) == reason::replayed);
}

TEST_CASE("the mode is the grant's, not what the client is registered for by now (R41)") {
    scene set;
    set.asking.policy = client_policy::of<auth_method::client_secret_post, rotation::echo>();
    CHECK(order_of(set).kind == write_kind::rotate);
}

TEST_CASE("a client that became public rotates what it was granted without rotation (R37, R41, 9700 2.2.2)") {
    scene set;
    set.rotation = rotation::echo;
    set.asking.policy = client_policy::of<auth_method::none>();
    CHECK(order_of(set).kind == write_kind::rotate);
}

TEST_CASE("a row behind its token heals within the policy's limit (R53)") {
    struct row {
        heal_limit limit;
        std::uint32_t generations;
        bool heals;
    };
    const row rows[] = {
        {policy_settings{}.heal, 1, true},       {policy_settings{}.heal, 8, true},
        {policy_settings{}.heal, 9, false},      {heal_limit::off(), 1, false},
        {heal_limit::at_most(1), 1, true},       {heal_limit::at_most(1), 2, false},
        {heal_limit::unlimited(), 9, true},      {heal_limit::unlimited(), 0xFFFF'FFF0, true},
    };
    for (const row& each : rows) {
        CAPTURE(each.generations);
        scene set = behind(each.generations);
        set.rules.heal = each.limit;
        if (!each.heals) {
            CHECK(refusal_of(set) == reason::row_too_far_behind);
            continue;
        }
        const write_order order = order_of(set);
        CHECK(order.kind == write_kind::heal);
        CHECK(order.expected == number(4));
        CHECK(order.next == number(4 + each.generations + 1));
        CHECK(order.at == flow::now);
    }
}

TEST_CASE("without rotation a healed row stops at its token (R53, R41)") {
    scene set = behind(2);
    set.rotation = rotation::echo;
    const write_order order = order_of(set);
    CHECK(order.kind == write_kind::heal);
    CHECK(order.expected == number(4));
    CHECK(order.next == number(6));
}

TEST_CASE("generations are counted from the first to the last and never wrap (R53)") {
    struct row {
        std::string_view what;
        generation presented, current;
        regrant::rotation mode;
        /// The generation written, or nothing where the family has come to its end.
        std::optional<generation> written;
    };
    const generation before_last{0xFFFF'FFFE};
    const row rows[] = {
        {"the first", first_generation, first_generation, rotation::rotate, number(1)},
        {"the first, lost by the client", first_generation, number(1), rotation::rotate, number(1)},
        {"the last but one", before_last, before_last, rotation::rotate, last_generation},
        {"the last but one, lost by the client", before_last, last_generation, rotation::rotate, last_generation},
        {"the last", last_generation, last_generation, rotation::rotate, std::nullopt},
        {"the last, over a row behind it", last_generation, before_last, rotation::rotate, std::nullopt},
        {"the last but one, over a row behind it", before_last, number(0xFFFF'FFFD), rotation::rotate,
         last_generation},
        {"the last without rotation", last_generation, last_generation, rotation::echo, last_generation},
        {"the last without rotation, over a row behind it", last_generation, before_last, rotation::echo,
         last_generation},
    };
    for (const row& each : rows) {
        INFO(each.what);
        scene set = retry(1s);
        set.presented = each.presented;
        set.current = each.current;
        set.rotation = each.mode;
        if (each.written) CHECK(order_of(set).next == *each.written);
        else CHECK(refusal_of(set) == reason::generations_exhausted);
    }
}

TEST_CASE("the first generation over a row at the last is a replay, not a row to heal (R38, R53)") {
    scene set = retry(1s);
    set.rules.heal = heal_limit::unlimited();
    set.presented = first_generation;
    set.current = last_generation;
    CHECK(refusal_of(set) == reason::replayed);
}

TEST_CASE("the scope of the answer is what was granted, asked for and not withdrawn (R55-R57, R59, R61, 6749 6)") {
    struct row {
        std::string_view what;
        std::optional<std::string_view> asked;
        std::string_view registered;
        /// The answer's, or the reason where there is none.
        std::string_view answered;
        std::optional<reason> refused;
    };
    const std::string_view all = "openid profile email";
    const row rows[] = {
        {"absent: all that was granted (R55)", std::nullopt, all, "openid profile email", {}},
        {"all of it", "openid profile email", all, "openid profile email", {}},
        {"in another order", "email openid profile", all, "openid profile email", {}},
        {"a proper subset (R57)", "profile", all, "profile", {}},
        {"a word twice counts once", "email email", all, "email", {}},
        {"one word too many (R56)", "openid profile email phone", all, {}, reason::scope_exceeded},
        {"another case is another word (R59)", "OpenID", all, {}, reason::scope_exceeded},
        {"registered since, but not granted (R56)", "phone", "openid profile email phone", {}, reason::scope_exceeded},
        {"a word withdrawn since (R61)", std::nullopt, "openid email", "openid email", {}},
        {"asked for and withdrawn since (R61)", "openid profile", "openid email", "openid", {}},
        {"nothing left (R61)", "profile", "openid email", {}, reason::scope_withdrawn},
        {"all withdrawn (R61)", std::nullopt, "phone", {}, reason::scope_withdrawn},
        {"empty (R59)", "", all, {}, reason::scope_malformed},
        {"a leading space", " openid", all, {}, reason::scope_malformed},
        {"a trailing space", "openid ", all, {}, reason::scope_malformed},
        {"a doubled space", "openid  email", all, {}, reason::scope_malformed},
        {"a tab", "openid\temail", all, {}, reason::scope_malformed},
        {"a quote", "open\"id", all, {}, reason::scope_malformed},
        {"a backslash", "open\\id", all, {}, reason::scope_malformed},
        {"a byte beyond ASCII", "openid\xC3\xA9", all, {}, reason::scope_malformed},
    };
    for (const row& each : rows) {
        INFO(each.what);
        scene set;
        set.asked_scope = each.asked;
        set.asking.scope = *regrant::scope::parse(each.registered);
        walk steps(set);
        const auto minting = steps.to_minting();
        if (each.refused) {
            REQUIRE_FALSE(minting);
            CHECK(to_string(minting.error().why) == to_string(*each.refused));
            CHECK_FALSE(steps.asked_to_revoke());
        } else {
            REQUIRE(minting);
            CHECK(minting->ask().scope.text() == each.answered);
        }
    }
}

TEST_CASE("a lost race is judged by the row as it is now (R47/R48, R50, R53)") {
    struct row {
        std::string_view what;
        void (*first)(scene&);
        void (*then)(scene&);
        std::optional<reason> refused;
        write_kind kind;
        std::uint32_t expected, next;
    };
    static constexpr auto nothing = [](scene&) {};
    static constexpr row rows[] = {
        {"another request rotated: its successor is the answer", nothing,
         [](scene& s) { s.current = number(5), s.used_at = flow::now; }, {}, write_kind::repeat, 5, 5},
        {"another server did, whose clock is ahead", nothing,
         [](scene& s) { s.current = number(5), s.used_at = flow::now + 60s; }, {}, write_kind::repeat, 5, 5},
        {"the same retry came twice", [](scene& s) { s.presented = number(3), s.used_at = flow::now; },
         [](scene& s) { s.presented = number(3), s.used_at = flow::now; }, {}, write_kind::repeat, 4, 4},
        {"the store forgot its last writes", nothing, [](scene& s) { s.current = number(3); }, {}, write_kind::heal, 3,
         5},
        {"another request healed the row", [](scene& s) { s.current = number(2); },
         [](scene& s) { s.current = number(5), s.used_at = flow::now; }, {}, write_kind::repeat, 5, 5},
        {"the successor is used by now", nothing, [](scene& s) { s.current = number(6), s.used_at = flow::now; },
         reason::race_lost, {}, {}, {}},
        {"a retry, and the successor is used by now",
         [](scene& s) { s.presented = number(3), s.used_at = flow::now; },
         [](scene& s) { s.presented = number(3), s.current = number(5), s.used_at = flow::now; }, reason::race_lost,
         {}, {}, {}},
        {"strict single use: one of two loses (R49)", [](scene& s) { s.rules.retry_window = 0s; },
         [](scene& s) { s.current = number(5), s.used_at = flow::now; }, reason::race_lost, {}, {}, {}},
        {"logged out", nothing, [](scene& s) { s.state = revocation::revoked; }, reason::revoked, {}, {}, {}},
        {"rotated, then logged out", nothing,
         [](scene& s) { s.current = number(5), s.used_at = flow::now, s.state = revocation::revoked; },
         reason::revoked, {}, {}, {}},
        {"reaped", nothing, [](scene& s) { s.is_stored = false; }, reason::grant_missing, {}, {}, {}},
        {"the store forgot all writes of the family", nothing, [](scene& s) { s.current = number(0); }, {},
         write_kind::heal, 0, 5},
        {"the store forgot more than heals", [](scene& s) { s.rules.heal = heal_limit::at_most(1); },
         [](scene& s) { s.current = number(2); }, reason::row_too_far_behind, {}, {}, {}},
    };
    for (const row& each : rows) {
        INFO(each.what);
        scene first, then;
        each.first(first);
        each.then(then);
        const auto again = lose_race(first, then);
        if (each.refused) {
            REQUIRE_FALSE(again);
            CHECK(to_string(again.error().why) == to_string(*each.refused));
        } else {
            REQUIRE(again);
            CHECK(to_string(again->ask().kind) == to_string(each.kind));
            CHECK(again->ask().expected == number(each.expected));
            CHECK(again->ask().next == number(each.next));
        }
    }
}

TEST_CASE("a lost race gives the answer that was made before it (R47/R48)") {
    walk steps{scene{}};
    auto writing = steps.to_writing();
    REQUIRE(writing);
    auto lost = (*std::move(writing)).with(advance_outcome::refused);
    scene rotated;
    rotated.current = number(5);
    rotated.used_at = flow::now;
    auto again = std::move(std::get<reloading_grant>(lost)).with(rotated.row());
    REQUIRE(again);
    auto written = (*std::move(again)).with(advance_outcome::advanced);
    const auto* answer = std::get_if<token_response>(&written);
    REQUIRE(answer != nullptr);
    CHECK(answer->refresh_token.reveal() == "the successor");
    CHECK(answer->access_token.reveal() == "the access token");
    CHECK(answer->scope == "openid profile email");
}

TEST_CASE("a request that keeps losing looks again three times, then is told to come back (R47/R48, R51)") {
    walk steps{scene{}};
    auto writing = steps.to_writing();
    REQUIRE(writing);
    for (int loss = 1; loss <= 3; ++loss) {
        CAPTURE(loss);
        auto lost = (*std::move(writing)).with(advance_outcome::refused);
        auto* reloading = std::get_if<reloading_grant>(&lost);
        REQUIRE(reloading != nullptr);
        CHECK(reloading->ask() == flow::row_key);
        writing = std::move(*reloading).with(scene{}.row());
        REQUIRE(writing);
    }
    auto given_up = (*std::move(writing)).with(advance_outcome::refused);
    const auto* refused = std::get_if<refusal>(&given_up);
    REQUIRE(refused != nullptr);
    CHECK(refused->why == reason::store_contended);
    CHECK(refused->status() == http_status::service_unavailable);
}
