// tests/unit/async_refresh_grant.cpp - the refresh-grant validator over a store that is awaited, without HTTP.
// SPDX-License-Identifier: MIT
#include <regrant/async_refresh_grant.hpp>

#include "support/flow_awaited.hpp"
#include "support/flow_parts.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <utility>

using namespace regrant;
using namespace std::chrono_literals;
using flow::call_log;

namespace {

/// The example of the header: a task of the host's, in which the grant is awaited.
flow::lazy_task<result<token_response, refusal>> refresh(auto& store, auto& issuer, const token_keyring& keyring,
                                                         const policy& rules, client_ptr client, const secret& token,
                                                         instant now) {
    regrant::async_refresh_grant grant(store, issuer, keyring, rules);
    const regrant::refresh_request request{regrant::authenticated_client::vouched(std::move(client)), token.reveal()};
    regrant::decision seen{now};
    auto answer = co_await grant.respond(request, now, seen);
    co_return answer;
}

} // namespace

TEST_CASE("an awaited refresh rotates once, repeats its answer, and ends the family at a replay (R38, R47)") {
    constexpr instant now{std::chrono::milliseconds(1'636'449'231'250)};
    call_log log;
    flow::staged_store rows(log);
    flow::counting_issuer issuer(log);
    flow::awaited_store<flow::staged_store> store{rows};
    const token_keyring ring = flow::ring({1});
    const policy rules;
    client web{"web", client_policy::of<auth_method::client_secret_post>()};
    web.scope = *scope::parse("openid");
    const auto asking = std::make_shared<const client>(std::move(web));
    const family_id family = flow::family_of(std::byte{7});
    const secret first = *ring.seal({family, first_generation});

    grant row(*token_keyring::row_key_of(family), {"web", "alice", "openid"});
    row.issued_at = row.used_at = now - 1h;
    row.expires_at = now + 24h;
    REQUIRE(rows.rows.insert(row));

    const auto one = refresh(store, issuer, ring, rules, asking, first, now).run();
    const auto two = refresh(store, issuer, ring, rules, asking, first, now + 1s).run();
    REQUIRE(one);
    REQUIRE(two);
    CHECK(same_secret(one->refresh_token, two->refresh_token));
    CHECK(log == call_log{"find", "mint", "advance", "find", "mint", "advance"});

    REQUIRE(refresh(store, issuer, ring, rules, asking, one->refresh_token, now + 2s).run());
    const auto replay = refresh(store, issuer, ring, rules, asking, first, now + 3s).run();
    REQUIRE_FALSE(replay);
    CHECK(replay.error().why == reason::replayed);
    CHECK((*rows.rows.find(row.key))->state == revocation::revoked);
}
