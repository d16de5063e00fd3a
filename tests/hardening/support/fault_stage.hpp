// tests/hardening/support/fault_stage.hpp - a server with real keys, and the requests that are sent while something fails.
// SPDX-License-Identifier: MIT
#pragma once

#include "../../unit/support/flow_awaited.hpp"
#include "../../unit/support/flow_http.hpp"
#include "plain_openssl.hpp"

#include <doctest/doctest.h>

#include <regrant/async_token_endpoint.hpp>
#include <regrant/client_list.hpp>
#include <regrant/jwt_issuer.hpp>
#include <regrant/memory_store.hpp>
#include <regrant/registrations.hpp>
#include <regrant/signing_key.hpp>
#include <regrant/token_endpoint.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hardening {

using namespace regrant;

inline constexpr std::string_view registrations = R"([
 {"client_id":"web","client_secret":"s3cret","scope":"openid email","token_endpoint_auth_method":"client_secret_post"},
 {"client_id":"basic","client_secret":"a+b%c:d","scope":"openid email"},
 {"client_id":"spa","scope":"openid email","token_endpoint_auth_method":"none"},
 {"client_id":"m2m","client_secret":"s3cret","scope":"openid email","rotate":false,
  "token_endpoint_auth_method":"client_secret_post"}])";

inline constexpr instant start{std::chrono::milliseconds(1'636'449'231'250)};

/// A memory_store that counts what is written, and has another tab come first once.
struct watched_store {
    memory_store rows{};
    std::size_t writes = 0;
    bool another_tab_comes_first = false;

    result<insert_outcome, outage> insert(const grant& row) {
        auto done = rows.insert(row);
        ++writes;
        return done;
    }
    result<std::optional<grant>, outage> find(const row_key& key) { return rows.find(key); }
    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next, instant now) {
        if (std::exchange(another_tab_comes_first, false)) (void)rows.advance(key, first_generation, generation{1}, now);
        auto done = rows.advance(key, expected, next, now);
        if (*done == advance_outcome::advanced) ++writes;
        return done;
    }
    result<void, outage> revoke(const row_key& key) {
        ++writes;
        return rows.revoke(key);
    }
    result<std::size_t, outage> revoke_subject(std::string_view subject) {
        auto ended = rows.revoke_subject(subject);
        ++writes;
        return ended;
    }
};

/// What all servers of a test share, since keys take long to make.
struct shared_parts {
    signing_key key = *signing_key::generate();
    client_list clients = *client_list::make(*parse_registrations(registrations));
};

inline token_keyring keys() {
    std::vector<token_key> ring;
    ring.push_back({token_key_id{1}, secret("0123456789abcdef0123456789abcdef")});
    return *token_keyring::make(std::move(ring));
}

enum class driver : std::uint8_t { at_once, awaited };

inline jwt_settings plain_tokens() { return {"https://id.example"}; }
inline jwt_settings hashed_tokens() {
    jwt_settings settings{"https://id.example"};
    settings.profile = token_profile::rfc9068;
    settings.audience = "https://api.example";
    settings.at_hash = access_token_hash::on;
    return settings;
}

struct stage {
    using issuer_type = jwt_issuer<signing_key>;
    using issued = result<token_response, refusal>;

    const shared_parts& shared;
    driver by;
    watched_store store{};
    flow::awaited_store<watched_store> later{store};
    issuer_type issuer;
    token_keyring ring = keys();
    token_endpoint<watched_store, const client_list, issuer_type> endpoint;
    async_token_endpoint<flow::awaited_store<watched_store>, const client_list, issuer_type> awaited;

    stage(const shared_parts& all, jwt_settings tokens, driver how)
        : shared(all), by(how), issuer(*issuer_type::make(std::move(tokens), all.key)),
          endpoint(store, all.clients, issuer, keys()), awaited(later, all.clients, issuer, keys()) {}
    stage(const stage&) = delete;
    stage& operator=(const stage&) = delete;

    http_reply respond(http_request request) {
        if (by == driver::at_once) return endpoint.respond(std::move(request), start);
        return awaited.respond(std::move(request), start).run();
    }
    issued issue(std::string_view client_id) {
        const login who{client_id, "alice", "openid email"};
        if (by == driver::at_once) return endpoint.issue(who, start);
        return awaited.issue(who, start).run();
    }
    result<void, outage> revoke(std::string_view token) {
        if (by == driver::at_once) return endpoint.revoke(token);
        return awaited.revoke(token).run();
    }

    secret log_in(std::string_view client_id) {
        return std::move(issue(client_id)->refresh_token);
    }
    grant row() { return std::move(store.rows.list_subject("alice")->front()); }
    std::size_t families() { return store.rows.list_subject("alice")->size(); }
    generation generation_of(std::string_view token) const {
        const auto opened = *ring.open(token);
        return opened ? opened->lineage.generation : generation{0xFFFF'FFFF};
    }
};

/// The text of a string member of an answer, which is flat and escapes nothing.
inline std::string member(std::string_view body, std::string_view name) {
    const std::string mark = '"' + std::string(name) + "\":\"";
    const auto begin = body.find(mark);
    if (begin == std::string_view::npos) return {};
    const auto text = body.substr(begin + mark.size());
    return std::string(text.substr(0, text.find('"')));
}

inline http_request refresh(std::string_view token, std::string_view as) {
    return flow::post(flow::refresh_form(token, as));
}
inline constexpr std::string_view as_web = "&client_id=web&client_secret=s3cret";
inline constexpr std::string_view as_m2m = "&client_id=m2m&client_secret=s3cret";

struct scenario {
    std::string name;
    http_status status;
    /// Of the refresh token that a 200 brings.
    generation expected;
    jwt_settings tokens;
    /// Brings the stage to where the request is sent; \return what makes that request, time and again
    std::function<std::function<http_request()>(stage&)> prepare;
};

inline std::vector<scenario> all_scenarios() {
    const auto asks = [](secret token, std::string_view as) {
        return [kept = std::make_shared<secret>(std::move(token)), as] { return refresh(kept->reveal(), as); };
    };
    const auto successor = [](stage& at, const secret& of) {
        return secret(member(at.respond(refresh(of.reveal(), as_web)).body, "refresh_token"));
    };
    const auto ok = http_status::ok;
    const auto newest = [=](stage& at) { return asks(at.log_in("web"), as_web); };
    return {
        {"the newest token", ok, generation{1}, plain_tokens(), newest},
        {"the newest token, with at_hash", ok, generation{1}, hashed_tokens(), newest},
        {"the newest token, by Basic", ok, generation{1}, plain_tokens(),
         [](stage& at) {
             return [kept = std::make_shared<secret>(at.log_in("basic"))] {
                 return flow::post(flow::refresh_form(kept->reveal()),
                                   {{"Authorization", flow::basic("basic", "a%2Bb%25c%3Ad")}});
             };
         }},
        {"a public client", ok, generation{1}, plain_tokens(),
         [=](stage& at) { return asks(at.log_in("spa"), "&client_id=spa"); }},
        {"a lost answer", ok, generation{1}, plain_tokens(),
         [=](stage& at) {
             secret token = at.log_in("web");
             (void)successor(at, token);
             return asks(std::move(token), as_web);
         }},
        {"a client without rotation", ok, generation{0}, plain_tokens(),
         [=](stage& at) { return asks(at.log_in("m2m"), as_m2m); }},
        {"a row that lost a write", ok, generation{2}, plain_tokens(),
         [=](stage& at) {
             secret token = successor(at, at.log_in("web"));
             // As a store does that fell back to an older copy.
             grant row = at.row();
             row.current = first_generation;
             (void)at.store.rows.reap(instant::max());
             (void)at.store.rows.insert(row);
             return asks(std::move(token), as_web);
         }},
        {"a race lost to another tab", ok, generation{1}, plain_tokens(),
         [=](stage& at) {
             at.store.another_tab_comes_first = true;
             return asks(at.log_in("web"), as_web);
         }},
        {"a replay", http_status::bad_request, {}, plain_tokens(),
         [=](stage& at) {
             secret token = at.log_in("web");
             (void)successor(at, successor(at, token));
             return asks(std::move(token), as_web);
         }},
        {"another client's token", http_status::bad_request, {}, plain_tokens(),
         [=](stage& at) { return asks(at.log_in("spa"), as_web); }},
        {"a forged token", http_status::bad_request, {}, plain_tokens(),
         [=](stage& at) {
             secret token = at.log_in("web");
             char& last = token.mutable_text().back();
             last = last == 'A' ? 'B' : 'A';
             return asks(std::move(token), as_web);
         }},
        {"a wrong secret", http_status::bad_request, {}, plain_tokens(),
         [=](stage& at) { return asks(at.log_in("web"), "&client_id=web&client_secret=wrong"); }},
    };
}

/// Holds an answer that was given, whatever failed on the way, against what the scenario says.
inline void check_answer(const stage& at, const scenario& what, const http_reply& reply) {
    CHECK(reply.status == what.status);
    if (what.status != http_status::ok) {
        CHECK(member(reply.body, "error").starts_with("invalid_"));
        return;
    }
    const jwk& by = at.shared.key.public_jwk();
    CHECK(is_signed(member(reply.body, "access_token"), by));
    CHECK(is_signed(member(reply.body, "id_token"), by));
    const std::string token = member(reply.body, "refresh_token");
    REQUIRE(token.size() == token_keyring::token_characters);
    CHECK(at.generation_of(token) == what.expected);
}

} // namespace hardening
