// tests/unit/async_begin_family.cpp - the first tokens of a login over a store that is awaited.
// SPDX-License-Identifier: MIT
#include <regrant/async_begin_family.hpp>

#include "support/flow_awaited.hpp"
#include "support/flow_parts.hpp"

#include <doctest/doctest.h>

#include <chrono>

using namespace regrant;
using flow::call_log;

TEST_CASE("an awaited login makes the same calls in the same order, the insert last (R35, R52)") {
    constexpr instant now{std::chrono::milliseconds(1'636'449'231'250)};
    for (const flow::trouble how : {flow::trouble::outage, flow::trouble::lost_answer}) {
        call_log log;
        flow::staged_store rows(log);
        flow::counting_issuer counting(log);
        flow::scripted_random random(log);
        flow::awaited_store<flow::staged_store> store{rows};
        flow::awaited_issuer<flow::counting_issuer> issuer{counting};
        const token_keyring ring = flow::ring({1});
        const policy rules;
        client asking{"web", client_policy::of<auth_method::client_secret_post>()};
        asking.scope = *scope::parse("openid");
        const login who{"web", "alice", "openid"};
        decision seen{now};

        const auto answer = async_begin_family(store, issuer, ring, rules, random, asking, who, now, seen).run();
        REQUIRE(answer);
        CHECK(log == call_log{"random", "mint", "insert"});
        CHECK(seen.written == write_kind::insert);
        CHECK(rows.rows.find(*seen.row)->has_value());

        rows.fails.add("insert", how);
        // An issuer that answers at once does as well.
        const auto failed = async_begin_family(store, counting, ring, rules, random, asking, who, now, seen).run();
        REQUIRE_FALSE(failed);
        CHECK(failed.error().why == reason::store_unavailable);
    }
}
