// tests/unit/login.cpp - the steps of a login, walked by hand.
// SPDX-License-Identifier: MIT
#include <regrant/login.hpp>

#include "support/flow_parts.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

using namespace regrant;
using namespace std::chrono_literals;

namespace {

constexpr instant now{std::chrono::milliseconds(1'636'449'231'250)};
const login alice{"web", "alice", "openid profile", std::nullopt, {}, "n-0S6_WzA2Mj"};

struct scene {
    flow::call_log log{};
    flow::scripted_random random{log};
    token_keyring ring = flow::ring({1});
    policy rules{};
    client asking = [] {
        client made{"web", client_policy::of<auth_method::client_secret_post>()};
        made.scope = *scope::parse("openid profile");
        return made;
    }();

    result<login_flow::minting_tokens, refusal> begin() {
        return login_flow::begin(ring, rules, random, asking, alice, now);
    }
};

minted_tokens minted() { return {secret("access"), secret("id"), 300s}; }

} // namespace

TEST_CASE("a subject that is no UTF-8 is refused: JSON would give two users one `sub` (R93, 7519 4.1.2)") {
    for (const std::string_view subject : {"ren\xE9", "ren\xE8", "\xFF", "\xED\xA0\x80", ""}) {
        CAPTURE(subject);
        scene s;
        const auto begun = login_flow::begin(s.ring, s.rules, s.random, s.asking, {"web", subject, "openid"}, now);
        REQUIRE_FALSE(begun);
        CHECK(begun.error().why == (subject.empty() ? reason::subject_missing : reason::invalid_utf8));
        CHECK(begun.error().status() == http_status::bad_request);
    }
    scene s;
    CHECK(login_flow::begin(s.ring, s.rules, s.random, s.asking, {"web", "ren\xC3\xA9", "openid"}, now));
}

TEST_CASE("a long subject that is no UTF-8 is refused as a short one is (R93, 7519 4.1.2)") {
    const std::string around(40, 's');
    for (const std::string_view bytes : {"\xE9", "\xFF", "\xED\xA0\x80"}) {
        CAPTURE(bytes);
        scene s;
        const std::string subject = around + std::string(bytes) + around;
        const auto begun = login_flow::begin(s.ring, s.rules, s.random, s.asking, {"web", subject, "openid"}, now);
        REQUIRE_FALSE(begun);
        CHECK(begun.error().why == reason::invalid_utf8);
    }
    scene s;
    const std::string subject = around + "\xC3\xA9" + around;
    CHECK(login_flow::begin(s.ring, s.rules, s.random, s.asking, {"web", subject, "openid"}, now));
}

TEST_CASE("a subject of more than 255 bytes gets no id_token, and so no login with openid (OIDC Core 2)") {
    const std::string longest(255, 's');
    const std::string longer(256, 's');
    scene s;
    CHECK(login_flow::begin(s.ring, s.rules, s.random, s.asking, {"web", longest, "openid"}, now));
    const auto begun = login_flow::begin(s.ring, s.rules, s.random, s.asking, {"web", longer, "openid profile"}, now);
    REQUIRE_FALSE(begun);
    CHECK(begun.error().why == reason::subject_too_long);
    CHECK(login_flow::begin(s.ring, s.rules, s.random, s.asking, {"web", longer, "profile"}, now));
}

TEST_CASE("a login asks for its tokens, then for the insert, then it has its answer (R35, R65)") {
    scene s;
    auto minting = s.begin();
    REQUIRE(minting);
    const mint_order order = minting->ask();
    CHECK(order.login.subject() == "alice");
    CHECK(&order.client == &s.asking);
    CHECK(order.scope.text() == "openid profile");
    CHECK(order.now == now);
    CHECK(order.nonce == "n-0S6_WzA2Mj");

    auto inserting = (*std::move(minting)).with(minted());
    CHECK(inserting.ask().key == *token_keyring::row_key_of(flow::family_of(std::byte{1})));
    CHECK(inserting.ask().expires_at == now + std::chrono::days(90));

    const auto answer = std::move(inserting).with(insert_outcome::inserted);
    REQUIRE(answer);
    CHECK(answer->access_token.reveal() == "access");
    CHECK(answer->id_token->reveal() == "id");
    CHECK(answer->scope == "openid profile");
    CHECK(answer->expires_in == 300s);
    CHECK(same_secret(answer->refresh_token, *s.ring.seal({flow::family_of(std::byte{1}), first_generation})));
}

TEST_CASE("a family that is there already is an outage: random numbers repeat themselves (R35, 6749 10.10)") {
    scene s;
    auto inserting = (*s.begin()).with(minted());
    const auto answer = std::move(inserting).with(insert_outcome::already_there);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().why == reason::random_unavailable);
    CHECK(answer.error().retry_after);
}
