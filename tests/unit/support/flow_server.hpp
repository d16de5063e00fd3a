// tests/unit/support/flow_server.hpp - a token endpoint with clients, behind which a test can pull every string.
// SPDX-License-Identifier: MIT
#pragma once

#include "../../examples/callback_endpoint.hpp"
#include "flow_awaited.hpp"
#include "flow_http.hpp"
#include "flow_parts.hpp"

#include <regrant/async_token_endpoint.hpp>
#include <regrant/client_list.hpp>
#include <regrant/client_secret_matcher.hpp>
#include <regrant/registrations.hpp>
#include <regrant/token_endpoint.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flow {

inline constexpr regrant::instant now{std::chrono::milliseconds(1'636'449'231'250)};

/// One of each kind. `reset` is dead to all logins of before tomorrow.
inline constexpr std::string_view registrations = R"([
 {"client_id":"TENANT_CLIENT_ID","client_secret":"TENANT_CLIENT_SECRET","scope":"openid profile email",
  "token_endpoint_auth_method":"client_secret_post","allowed_origins":["https://web.example"]},
 {"client_id":"another","client_secret":"s","scope":"openid profile email",
  "token_endpoint_auth_method":"client_secret_post"},
 {"client_id":"basic","client_secret":"a+b%c:d","scope":"openid profile email"},
 {"client_id":"lenient","client_secret":"a+b%c:d","scope":"openid profile email","lenient_basic":true},
 {"client_id":"spa","scope":"openid profile email","token_endpoint_auth_method":"none",
  "allowed_origins":["https://spa.example","http://localhost:3000"]},
 {"client_id":"echo","client_secret":"s","scope":"openid profile email","rotate":false,
  "token_endpoint_auth_method":"client_secret_post"},
 {"client_id":"machine","client_secret":"s","scope":"openid","grant_types":["client_credentials"],
  "token_endpoint_auth_method":"client_secret_post"},
 {"client_id":"reset","client_secret":"s","scope":"openid profile email","not_before":1636535631,
  "token_endpoint_auth_method":"client_secret_post"}
])";

inline regrant::client_list clients(std::string_view json = registrations) {
    return *regrant::client_list::make(*regrant::parse_registrations(json));
}

/// A client_list that can fail, and change while the server runs.
class staged_registry {
public:
    explicit staged_registry(call_log& log) : log_(log) {}

    regrant::client_list list = clients();
    troubles fails{};

    regrant::result<regrant::client_ptr, regrant::outage> find(std::string_view client_id) {
        log_.emplace_back("lookup");
        if (fails.hits("lookup", trouble::exception)) throw std::runtime_error(std::string(private_words));
        if (fails.hits("lookup", trouble::outage))
            return regrant::unexpected(regrant::outage{std::string(private_words)});
        return list.find(client_id);
    }
    regrant::result<bool, regrant::outage> allows_origin(std::string_view origin) {
        if (fails.hits("origin", trouble::exception)) throw std::runtime_error(std::string(private_words));
        if (fails.hits("origin", trouble::outage))
            return regrant::unexpected(regrant::outage{std::string(private_words)});
        return list.allows_origin(origin);
    }

private:
    call_log& log_;
};

inline constexpr std::string_view as_web = "&client_id=TENANT_CLIENT_ID&client_secret=TENANT_CLIENT_SECRET";
inline constexpr std::string_view as_another = "&client_id=another&client_secret=s";
inline constexpr std::string_view as_spa = "&client_id=spa";
inline constexpr std::string_view as_echo = "&client_id=echo&client_secret=s";

/// The text of a member of a compact JSON object; nothing where it is not there.
inline std::optional<std::string> member(std::string_view json, std::string_view name) {
    const std::string key = '"' + std::string(name) + "\":";
    const std::size_t at = json.find(key);
    if (at == std::string_view::npos) return std::nullopt;
    json.remove_prefix(at + key.size());
    if (json.front() != '"') return std::string(json.substr(0, json.find_first_of(",}")));
    json.remove_prefix(1);
    return std::string(json.substr(0, json.find('"')));
}

/// Who walks the steps.
enum class driver : std::uint8_t {
    at_once,
    /// the store is awaited
    awaited,
    /// every part is
    all_awaited,
    /// the store calls back
    by_hand,
};

/// What `REGRANT_DRIVER` names, so that one run of a test binary holds one driver against all tests.
inline driver driver_in_use() {
    const char* named = std::getenv("REGRANT_DRIVER");
    const std::string_view name = named ? named : "at_once";
    if (name == "awaited") return driver::awaited;
    if (name == "all_awaited") return driver::all_awaited;
    if (name == "by_hand") return driver::by_hand;
    if (name != "at_once") std::abort();
    return driver::at_once;
}

/// A staged_store that answers by calling back.
struct calling_store {
    staged_store& at_once;

    void find(const regrant::row_key& key, const example::then<std::optional<regrant::grant>>& then) {
        then(at_once.find(key));
    }
    void advance(const regrant::row_key& key, regrant::generation expected, regrant::generation following,
                 regrant::instant at, const example::then<regrant::advance_outcome>& then) {
        then(at_once.advance(key, expected, following, at));
    }
    void revoke(const regrant::row_key& key, const example::then<void>& then) { then(at_once.revoke(key)); }
};

/// One endpoint for each driver, over the same parts.
class driven_endpoint {
public:
    driven_endpoint(staged_store& store, staged_registry& registry, counting_issuer& issuer, watching_hooks& hooks,
                    scripted_random& random, std::initializer_list<std::uint8_t> key_ids,
                    regrant::endpoint_settings settings, driver by)
        : by_(by), store_{store}, registry_{registry}, issuer_{issuer}, hooks_{hooks}, calling_{store},
          ring_(flow::ring(key_ids)), settings_(settings), matcher_(settings.secrets),
          at_once_(store, registry, issuer, flow::ring(key_ids), settings, hooks, random),
          awaited_(store_, registry, issuer, flow::ring(key_ids), settings, hooks, random),
          all_awaited_(store_, registry_, issuer_, flow::ring(key_ids), settings, hooks_, random),
          by_hand_{calling_, registry, issuer, ring_, settings_, hooks, matcher_} {}

    regrant::http_reply respond(regrant::http_request request, regrant::instant at = regrant::current_time()) {
        switch (by_) {
        case driver::at_once: break;
        case driver::awaited: return awaited_.respond(std::move(request), at).run();
        case driver::all_awaited: return all_awaited_.respond(std::move(request), at).run();
        case driver::by_hand:
            std::optional<regrant::http_reply> reply;
            by_hand_.respond(std::move(request), at, [&](regrant::http_reply given) { reply = std::move(given); });
            return std::move(*reply);
        }
        return at_once_.respond(std::move(request), at);
    }
    regrant::result<regrant::token_response, regrant::refusal> issue(const regrant::login& who,
                                                                    regrant::instant at = regrant::current_time()) {
        if (by_ == driver::awaited) return awaited_.issue(who, at).run();
        if (by_ == driver::all_awaited) return all_awaited_.issue(who, at).run();
        return at_once_.issue(who, at);
    }
    regrant::result<void, regrant::outage> revoke(std::string_view token, regrant::instant at = now) {
        if (by_ == driver::awaited) return awaited_.revoke(token, at).run();
        if (by_ == driver::all_awaited) return all_awaited_.revoke(token, at).run();
        return at_once_.revoke(token, at);
    }
    regrant::result<std::size_t, regrant::outage> revoke_subject(std::string_view subject, regrant::instant at = now) {
        if (by_ == driver::awaited) return awaited_.revoke_subject(subject, at).run();
        if (by_ == driver::all_awaited) return all_awaited_.revoke_subject(subject, at).run();
        return at_once_.revoke_subject(subject, at);
    }

private:
    driver by_;
    awaited_store<staged_store> store_;
    awaited_registry<staged_registry> registry_;
    awaited_issuer<counting_issuer> issuer_;
    awaited_hooks<watching_hooks> hooks_;
    calling_store calling_;
    regrant::token_keyring ring_;
    regrant::endpoint_settings settings_;
    regrant::client_secret_matcher matcher_;
    regrant::token_endpoint<staged_store, staged_registry, counting_issuer, watching_hooks, scripted_random> at_once_;
    regrant::async_token_endpoint<awaited_store<staged_store>, staged_registry, counting_issuer, watching_hooks,
                                  scripted_random>
        awaited_;
    regrant::async_token_endpoint<awaited_store<staged_store>, awaited_registry<staged_registry>,
                                  awaited_issuer<counting_issuer>, awaited_hooks<watching_hooks>, scripted_random>
        all_awaited_;
    example::callback_endpoint<calling_store, staged_registry, counting_issuer, watching_hooks> by_hand_;
};

/// The endpoint and all its parts, at a clock that a test sets.
struct server {
    explicit server(regrant::endpoint_settings settings = {}, std::initializer_list<std::uint8_t> key_ids = {1},
                    driver by = driver_in_use())
        : ring(flow::ring(key_ids)),
          endpoint(store, registry, issuer, hooks, random, key_ids, std::move(settings), by) {}
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    /// Logs alice in with a client, and gives her refresh token.
    std::string log_in(std::string_view client_id = "TENANT_CLIENT_ID", std::string_view scope = "openid profile",
                       regrant::instant at = now) {
        auto issued = endpoint.issue({client_id, "alice", scope}, at);
        log.clear();
        hooks.decisions.clear();
        return issued ? std::string(issued->refresh_token.reveal()) : std::string();
    }

    regrant::http_reply send(regrant::http_request request, regrant::instant at = now) {
        log.clear();
        return endpoint.respond(std::move(request), at);
    }
    regrant::http_reply refresh(std::string_view token, std::string_view who = as_web,
                                regrant::instant at = now) {
        return send(post(refresh_form(token, who)), at);
    }

    regrant::opened_token opened(std::string_view token) const { return **ring.open(token); }
    /// The same family's token of another generation.
    std::string token_of(std::string_view token, regrant::generation which) const {
        return std::string(ring.seal({opened(token).lineage.family, which})->reveal());
    }
    std::optional<regrant::grant> row_of(std::string_view token) { return *store.rows.find(opened(token).key); }
    regrant::generation generation_of(std::string_view token) { return row_of(token)->current; }
    bool is_revoked(std::string_view token) { return row_of(token)->state == regrant::revocation::revoked; }
    /// Why the last request was refused.
    std::string_view last_reason() const {
        if (hooks.decisions.empty()) return "nothing was observed";
        const auto& refused = hooks.decisions.back().refused;
        return refused ? to_string(*refused) : std::string_view("none");
    }
    /// Makes every named call of every part go wrong.
    void fail(std::string_view call, trouble how) {
        for (troubles* each : {&store.fails, &registry.fails, &issuer.fails, &hooks.fails, &random.fails})
            each->add(call, how);
    }
    void recover() {
        for (troubles* each : {&store.fails, &registry.fails, &issuer.fails, &hooks.fails, &random.fails})
            each->clear();
    }

    call_log log{};
    staged_store store{log};
    staged_registry registry{log};
    counting_issuer issuer{log};
    watching_hooks hooks{log};
    scripted_random random{log};
    regrant::token_keyring ring;
    driven_endpoint endpoint;
};

} // namespace flow
