// tests/unit/async_token_endpoint.cpp - all drivers of the same steps, held against each other.
// SPDX-License-Identifier: MIT
//
// Beside this, `REGRANT_DRIVER=awaited` (or `all_awaited`, `by_hand`) runs the tests of token_endpoint.cpp over another
// driver; tests/checks/twins.py compares the text of the two.
#include <regrant/async_token_endpoint.hpp>

#include "support/flow_server.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace regrant;
using namespace std::chrono_literals;
using flow::driver;
using flow::now;
using flow::post;
using flow::refresh_form;
using flow::server;
using flow::trouble;

namespace {

/// A request, and what happened before it.
struct scenario {
    std::string_view name;
    std::function<http_request(server&)> prepare;
};

http_request refresh_of(std::string_view token, std::string_view who = flow::as_web) {
    return post(refresh_form(token, who));
}

std::vector<scenario> all_scenarios() {
    return {
        {"the newest token", [](server& s) { return refresh_of(s.log_in()); }},
        {"a lost answer",
         [](server& s) {
             const std::string token = s.log_in();
             (void)s.refresh(token);
             return refresh_of(token);
         }},
        {"a replay",
         [](server& s) {
             const std::string token = s.log_in();
             (void)s.refresh(*flow::member(s.refresh(token).body, "refresh_token"));
             return refresh_of(token);
         }},
        {"a row that lost a write",
         [](server& s) {
             const std::string token = s.log_in();
             grant row = *s.row_of(token);
             const std::string newest = *flow::member(s.refresh(token).body, "refresh_token");
             (void)s.store.rows.reap(instant::max());
             (void)s.store.rows.insert(row);
             return refresh_of(newest);
         }},
        {"a race lost",
         [](server& s) {
             const std::string token = s.log_in();
             const row_key key = s.opened(token).key;
             s.store.before = [&s, key](std::string_view call) {
                 if (call == "advance") (void)s.store.rows.advance(key, first_generation, generation{1}, now);
             };
             return refresh_of(token);
         }},
        {"a client without rotation", [](server& s) { return refresh_of(s.log_in("echo"), flow::as_echo); }},
        {"a public client of a page",
         [](server& s) {
             return post(refresh_form(s.log_in("spa"), flow::as_spa), {{"Origin", "https://spa.example"}});
         }},
        {"a client by Basic",
         [](server& s) {
             return post(refresh_form(s.log_in("basic")), {{"Authorization", flow::basic("basic", "a%2Bb%25c%3Ad")}});
         }},
        {"a wrong secret",
         [](server& s) { return refresh_of(s.log_in(), "&client_id=TENANT_CLIENT_ID&client_secret=x"); }},
        {"a throttled client",
         [](server& s) {
             const std::string token = s.log_in();
             s.hooks.lets_in = {7s};
             return refresh_of(token);
         }},
        {"another client's token", [](server& s) { return refresh_of(s.log_in(), flow::as_another); }},
        {"a revoked family",
         [](server& s) {
             const std::string token = s.log_in();
             (void)s.endpoint.revoke(token);
             return refresh_of(token);
         }},
        {"a user logged out everywhere",
         [](server& s) {
             const std::string token = s.log_in();
             (void)s.endpoint.revoke_subject("alice");
             return refresh_of(token);
         }},
        {"a scope beyond the grant",
         [](server& s) { return post(refresh_form(s.log_in(), std::string(flow::as_web) + "&scope=email")); }},
        {"a denied account",
         [](server& s) {
             s.hooks.denied_subjects.insert("alice");
             return refresh_of(s.log_in());
         }},
        {"a forged token", [](server&) { return refresh_of(std::string(72, 'A')); }},
        {"a method that is none", [](server& s) {
             http_request request = refresh_of(s.log_in());
             request.method = "GET";
             return request;
         }},
        {"a preflight", [](server&) {
             http_request request;
             request.method = "OPTIONS";
             request.header("Origin", "https://spa.example");
             request.header("Access-Control-Request-Method", "POST");
             return request;
         }},
    };
}

/// All that a client, a store and a log see of one request.
std::string seen_of(const scenario& what, driver by, std::string_view failing = {}, trouble how = trouble::outage) {
    endpoint_settings settings;
    settings.replies.cross_origin = cross_origin::on;
    server s(settings, {1}, by);
    http_request request = what.prepare(s);
    s.hooks.decisions.clear();
    if (!failing.empty()) s.fail(failing, how);
    const http_reply reply = s.send(std::move(request), now + 1s);

    std::string seen = std::to_string(static_cast<int>(reply.status)) + '\n';
    for (const http_header& each : reply.headers) seen += std::string(each.name) + ": " + each.value + '\n';
    seen += reply.body + "\ncalls:";
    for (const std::string& call : s.log) seen += ' ' + call;
    for (const flow::seen_decision& made : s.hooks.decisions) {
        seen += "\nobserved: " + std::string(to_string(made.asked)) + ' ' + std::string(made.refused ? to_string(*made.refused) : "good") + ' ' + made.detail;
        seen += ' ' + std::string(made.written ? to_string(*made.written) : "nothing written");
        seen += ' ' + made.client_id + ' ' + std::to_string(made.races_lost);
    }
    for (const std::string& attempt : s.hooks.attempts) seen += "\nattempt: " + attempt;
    const auto rows = s.store.rows.list_subject("alice");
    for (const grant& row : *rows)
        seen += "\nrow: " + std::to_string(static_cast<std::uint32_t>(row.current)) + ' ' +
                std::to_string(static_cast<int>(row.state)) + ' ' +
                std::to_string(row.used_at.time_since_epoch().count());
    return seen;
}

constexpr driver others[] = {driver::awaited, driver::all_awaited, driver::by_hand};

} // namespace

TEST_CASE("all drivers give the same answers by the same calls in the same order (6749 6, R38, R47, R51)") {
    std::set<std::string> different;
    for (const scenario& what : all_scenarios()) {
        CAPTURE(what.name);
        const std::string at_once = seen_of(what, driver::at_once);
        different.insert(at_once);
        for (const driver by : others) {
            CAPTURE(static_cast<int>(by));
            CHECK(seen_of(what, by) == at_once);
        }
    }
    // Else the scenarios would all be refused at the door, alike.
    CHECK(different.size() > all_scenarios().size() * 3 / 4);
}

TEST_CASE("with an outage at any call all drivers answer alike, and no token is spent for nothing (R51, R52)") {
    std::size_t injected = 0;
    for (const scenario& what : all_scenarios())
        for (const std::string_view call : {"lookup", "admit", "failed", "succeeded", "find", "account", "mint", "advance", "revoke", "origin"})
            for (const trouble how : {trouble::outage, trouble::lost_answer, trouble::exception}) {
                CAPTURE(what.name);
                CAPTURE(call);
                CAPTURE(static_cast<int>(how));
                const std::string at_once = seen_of(what, driver::at_once, call, how);
                for (const driver by : others) {
                    CAPTURE(static_cast<int>(by));
                    CHECK(seen_of(what, by, call, how) == at_once);
                    ++injected;
                }
            }
    MESSAGE("runs compared: " << injected);
}

TEST_CASE("a login awaited is the login (R44/R45, R50)") {
    for (const driver by : {driver::awaited, driver::all_awaited}) {
        server s({}, {1}, by);
        const auto tokens = s.endpoint.issue({"TENANT_CLIENT_ID", "alice", "openid profile"}, now);
        REQUIRE(tokens);
        CHECK(s.log == flow::call_log{"lookup", "random", "mint", "insert"});
        CHECK(s.endpoint.issue({"nobody", "alice", "openid"}, now).error().why == reason::client_unknown);
        REQUIRE(s.endpoint.revoke(tokens->refresh_token.reveal()));
        CHECK(s.is_revoked(tokens->refresh_token.reveal()));
        REQUIRE(s.endpoint.issue({"TENANT_CLIENT_ID", "alice", "openid profile"}, now));
        CHECK(*s.endpoint.revoke_subject("alice") == 1);
        s.fail("revoke_subject", trouble::exception);
        CHECK_FALSE(s.endpoint.revoke_subject("alice"));
    }
}
