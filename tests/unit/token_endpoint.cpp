// tests/unit/token_endpoint.cpp - the token endpoint as a client sees it: requests in, answers out.
// SPDX-License-Identifier: MIT
#include <regrant/token_endpoint.hpp>

#include "support/flow_server.hpp"

#include <regrant/jwt_issuer.hpp>
#include <regrant/signing_key.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <latch>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace regrant;
using namespace std::chrono_literals;
using flow::as_another;
using flow::as_echo;
using flow::as_spa;
using flow::as_web;
using flow::basic;
using flow::call_log;
using flow::member;
using flow::now;
using flow::post;
using flow::refresh_form;
using flow::server;
using flow::trouble;

namespace {

using enum http_status;

constexpr generation number(std::uint32_t n) noexcept { return generation{n}; }

std::string error_body(std::string_view code) { return R"({"error":")" + std::string(code) + R"("})"; }

bool is_good(const http_reply& reply) { return reply.status == ok; }

std::string successor_in(const http_reply& reply) { return member(reply.body, "refresh_token").value_or("none"); }

std::size_t times(const http_reply& reply, std::string_view name) {
    return static_cast<std::size_t>(std::count_if(reply.headers.begin(), reply.headers.end(),
                                                  [&](const http_header& each) { return each.name == name; }));
}

/// Status, headers and body as text, to compare whole answers.
std::string text_of(const http_reply& reply) {
    std::string text = std::to_string(static_cast<int>(reply.status)) + '\n';
    for (const http_header& each : reply.headers) text += std::string(each.name) + ": " + each.value + '\n';
    return text + '\n' + reply.body;
}

http_request with_method(std::string_view method) {
    http_request request = post(refresh_form("t", as_web));
    request.method = method;
    return request;
}

http_request with_media_type(const std::vector<std::string_view>& values, std::string_view body) {
    http_request request;
    request.method = "POST";
    for (const std::string_view each : values) request.header("content-type", each);
    request.body = secret(body);
    return request;
}

/// A client whose secret, "correct horse", somebody chose.
constexpr std::string_view slow_registration = R"([{"client_id":"slow","scope":"openid",
  "token_endpoint_auth_method":"client_secret_post","client_secret_hash":
  "$scrypt$ln=14,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$JbN2hANm9NOw4h5BRHZnbjzQ6Jr0QwNWojTOC2WgIbU"}])";
constexpr std::string_view as_slow = "&client_id=slow&client_secret=correct+horse";

/// A way to be refused: how a client meets it, and what it must see.
struct bad_request_row {
    std::string_view what;
    http_reply (*meet)(server&);
    http_status status;
    errc code;
    reason why;
};

/// One for every reason that an HTTP request can meet.
const std::vector<bad_request_row>& refusals() {
    using enum errc;
    static const std::vector<bad_request_row> rows = {
        {"R1", [](server& s) { return s.send(with_method("GET")); }, method_not_allowed, invalid_request,
         reason::method_not_post},
        {"R2", [](server& s) { return s.send(with_media_type({"application/json"}, "{}")); }, unsupported_media_type,
         invalid_request, reason::media_type_not_form},
        {"9110 15.5.16",
         [](server& s) { return s.send(post("grant_type=refresh_token", {{"Content-Encoding", "gzip"}})); },
         unsupported_media_type, invalid_request, reason::content_encoded},
        {"R3",
         [](server& s) {
             return s.send(with_media_type({"application/x-www-form-urlencoded;charset=latin1"}, "grant_type=%E9"));
         },
         unsupported_media_type, invalid_request, reason::charset_not_utf8},
        {"R9, size", [](server& s) { return s.send(post(std::string(16 * 1024 + 1, '&'))); }, content_too_large,
         invalid_request, reason::body_too_large},
        {"R9, fields",
         [](server& s) {
             std::string body;
             for (int i = 0; i != 101; ++i) body += "&f" + std::to_string(i) + "=1";
             return s.send(post(body));
         },
         content_too_large, invalid_request, reason::too_many_fields},
        {"R4, escape", [](server& s) { return s.send(post("grant_type=%2")); }, bad_request, invalid_request,
         reason::malformed_escape},
        {"R4, UTF-8", [](server& s) { return s.send(post("grant_type=%FF")); }, bad_request, invalid_request,
         reason::invalid_utf8},
        {"R4, NUL", [](server& s) { return s.send(post("grant_type=%00")); }, bad_request, invalid_request,
         reason::nul_byte},
        {"R7", [](server& s) { return s.send(post(refresh_form("t", "&grant_type=refresh_token"))); }, bad_request,
         invalid_request, reason::parameter_repeated},
        {"R8",
         [](server& s) {
             http_request request = post(refresh_form("t", as_web));
             request.query = secret("client_secret=TENANT_CLIENT_SECRET");
             return s.send(std::move(request));
         },
         bad_request, invalid_request, reason::secret_in_query},
        {"R10", [](server& s) { return s.send(post("refresh_token=t")); }, bad_request, invalid_request,
         reason::grant_type_missing},
        {"R11", [](server& s) { return s.send(post("grant_type=password&refresh_token=t")); }, bad_request,
         unsupported_grant_type, reason::grant_type_unsupported},
        {"R12", [](server& s) { return s.send(post("grant_type=refresh_token")); }, bad_request, invalid_request,
         reason::refresh_token_missing},
        {"R16, mechanisms",
         [](server& s) {
             return s.send(post(refresh_form("t", as_web), {{"Authorization", basic("basic", "x")}}));
         },
         bad_request, invalid_request, reason::two_mechanisms},
        {"R16, names",
         [](server& s) {
             return s.send(post(refresh_form("t", as_spa), {{"Authorization", basic("basic", "x")}}));
         },
         bad_request, invalid_request, reason::client_id_mismatch},
        {"R24, base64",
         [](server& s) { return s.send(post(refresh_form("t"), {{"Authorization", "Basic !"}})); }, unauthorized,
         invalid_client, reason::credentials_malformed},
        {"R24, scheme",
         [](server& s) { return s.send(post(refresh_form("t"), {{"Authorization", "Digest x"}})); }, unauthorized,
         invalid_client, reason::scheme_unknown},
        {"R25", [](server& s) { return s.send(post(refresh_form("t"))); }, bad_request, invalid_client,
         reason::authentication_missing},
        {"R20, unknown", [](server& s) { return s.refresh("t", "&client_id=who&client_secret=s"); }, bad_request,
         invalid_client, reason::client_unknown},
        {"R17", [](server& s) { return s.refresh("t", "&client_id=basic&client_secret=s"); }, bad_request,
         invalid_client, reason::method_not_registered},
        {"R20, wrong", [](server& s) { return s.refresh("t", "&client_id=another&client_secret=x"); }, bad_request,
         invalid_client, reason::secret_wrong},
        {"R26",
         [](server& s) {
             s.hooks.lets_in = {7s};
             return s.refresh("t");
         },
         too_many_requests, invalid_client, reason::throttled},
        {"R30", [](server& s) { return s.refresh("t", "&client_id=machine&client_secret=s"); }, bad_request,
         unauthorized_client, reason::grant_type_not_allowed},
        {"R13, R32", [](server& s) { return s.refresh("%01"); }, bad_request, invalid_grant,
         reason::token_not_ours},
        {"R54, R249",
         [](server& s) {
             const auto foreign = flow::ring({9}).seal({flow::family_of(std::byte{1}), first_generation});
             return s.refresh(foreign->reveal());
         },
         bad_request, invalid_grant, reason::token_key_unknown},
        {"R53, missing",
         [](server& s) {
             const auto unknown = s.ring.seal({flow::family_of(std::byte{0xEE}), first_generation});
             return s.refresh(unknown->reveal());
         },
         bad_request, invalid_grant, reason::grant_missing},
        {"R33", [](server& s) { return s.refresh(s.log_in(), as_another); }, bad_request, invalid_grant,
         reason::issued_to_another_client},
        {"bound to a key",
         [](server& s) {
             const family_id family = flow::family_of(std::byte{0xEE});
             grant row(*token_keyring::row_key_of(family), {"TENANT_CLIENT_ID", "alice", "openid", "", "key one"});
             row.issued_at = row.used_at = now;
             row.expires_at = now + 1h;
             (void)s.store.rows.insert(row);
             return s.refresh(s.ring.seal({family, first_generation})->reveal());
         },
         bad_request, invalid_grant, reason::confirmation_mismatch},
        {"R44/R45, revoked",
         [](server& s) {
             const std::string token = s.log_in();
             (void)s.endpoint.revoke(token);
             return s.refresh(token);
         },
         bad_request, invalid_grant, reason::revoked},
        {"R44/R45, not before",
         [](server& s) { return s.refresh(s.log_in("reset"), "&client_id=reset&client_secret=s"); }, bad_request,
         invalid_grant, reason::issued_before_not_before},
        {"R43",
         [](server& s) { return s.refresh(s.log_in(), as_web, now + std::chrono::days(90)); }, bad_request,
         invalid_grant, reason::absolute_limit},
        {"R42", [](server& s) { return s.refresh(s.log_in(), as_web, now + std::chrono::days(30)); }, bad_request,
         invalid_grant, reason::idle_limit},
        {"R38",
         [](server& s) {
             const std::string token = s.log_in();
             (void)s.refresh(successor_in(s.refresh(token)));
             return s.refresh(token);
         },
         bad_request, invalid_grant, reason::replayed},
        {"R47/R48, lost by two",
         [](server& s) {
             const std::string token = s.log_in();
             s.store.before = [&](std::string_view call) {
                 if (call == "advance")
                     (void)s.store.rows.advance(s.opened(token).key, number(0), number(2), now);
             };
             http_reply reply = s.refresh(token);
             s.store.before = nullptr;
             return reply;
         },
         bad_request, invalid_grant, reason::race_lost},
        {"R53, too far",
         [](server& s) {
             const std::string token = s.log_in();
             return s.refresh(s.token_of(token, number(9)));
         },
         bad_request, invalid_grant, reason::row_too_far_behind},
        {"R53, the last",
         [](server& s) {
             const std::string token = s.log_in();
             (void)s.store.rows.advance(s.opened(token).key, number(0), last_generation, now);
             return s.refresh(s.token_of(token, last_generation));
         },
         bad_request, invalid_grant, reason::generations_exhausted},
        {"R46",
         [](server& s) {
             s.hooks.denied_subjects.insert("alice");
             return s.refresh(s.log_in());
         },
         bad_request, invalid_grant, reason::account_denied},
        {"R59", [](server& s) { return s.refresh(s.log_in(), std::string(as_web) + "&scope=a%09b"); }, bad_request,
         invalid_scope, reason::scope_malformed},
        {"R56", [](server& s) { return s.refresh(s.log_in(), std::string(as_web) + "&scope=admin"); }, bad_request,
         invalid_scope, reason::scope_exceeded},
        {"R61",
         [](server& s) {
             const std::string token = s.log_in("another", "email");
             s.registry.list = flow::clients(R"([{"client_id":"another","client_secret":"s","scope":"openid",
                                                  "token_endpoint_auth_method":"client_secret_post"}])");
             return s.refresh(token, as_another);
         },
         bad_request, invalid_scope, reason::scope_withdrawn},
        {"R51, store",
         [](server& s) {
             const std::string token = s.log_in();
             s.fail("advance", trouble::outage);
             return s.refresh(token);
         },
         service_unavailable, temporarily_unavailable, reason::store_unavailable},
        {"R51, contended",
         [](server& s) {
             const std::string token = s.log_in();
             const row_key key = s.opened(token).key;
             (void)s.store.rows.advance(key, number(0), number(1), now);
             s.store.before = [&s, key](std::string_view call) {
                 if (call == "advance") (void)s.store.rows.advance(key, number(1), number(0), now);
                 if (call == "find") (void)s.store.rows.advance(key, number(0), number(1), now);
             };
             http_reply reply = s.refresh(s.token_of(token, number(1)));
             s.store.before = nullptr;
             return reply;
         },
         service_unavailable, temporarily_unavailable, reason::store_contended},
        {"R51, registry",
         [](server& s) {
             s.fail("lookup", trouble::outage);
             return s.refresh("t");
         },
         service_unavailable, temporarily_unavailable, reason::registry_unavailable},
        {"R51, slow hash",
         [](server& s) {
             s.registry.list = flow::clients(slow_registration);
             s.fail("slow match", trouble::outage);
             return s.refresh("t", as_slow);
         },
         service_unavailable, temporarily_unavailable, reason::crypto_unavailable},
        {"R51, throttle",
         [](server& s) {
             s.fail("admit", trouble::outage);
             return s.refresh("t");
         },
         service_unavailable, temporarily_unavailable, reason::throttle_unavailable},
        {"R51, account",
         [](server& s) {
             const std::string token = s.log_in();
             s.fail("account", trouble::outage);
             return s.refresh(token);
         },
         service_unavailable, temporarily_unavailable, reason::account_unavailable},
        {"R52",
         [](server& s) {
             const std::string token = s.log_in();
             s.fail("mint", trouble::outage);
             return s.refresh(token);
         },
         service_unavailable, temporarily_unavailable, reason::issuer_unavailable},
        {"R51, thrown",
         [](server& s) {
             const std::string token = s.log_in();
             s.fail("find", trouble::exception);
             return s.refresh(token);
         },
         service_unavailable, temporarily_unavailable, reason::exception_caught},
    };
    return rows;
}

/// An RSA key for all tests: making one takes a while.
const signing_key& shared_key() {
    static const signing_key key = *signing_key::generate();
    return key;
}

template <class Random = system_random> using rsa_issuer = jwt_issuer<signing_key, no_extra_claims, Random>;

/// An endpoint whose tokens are real JWTs.
template <class Random = system_random> struct jwt_server {
    explicit jwt_server(jwt_settings settings, signing_key key = shared_key(), Random random = {})
        : issuer(*rsa_issuer<Random>::make(std::move(settings), std::move(key), {}, random)) {}
    jwt_server(const jwt_server&) = delete;
    jwt_server& operator=(const jwt_server&) = delete;

    http_reply refresh(std::string_view token, std::string_view more = {}, instant at = now) {
        return endpoint.respond(post(refresh_form(token, std::string(as_web) + std::string(more))), at);
    }

    memory_store store{};
    client_list clients = flow::clients();
    rsa_issuer<Random> issuer;
    token_endpoint<memory_store, client_list, rsa_issuer<Random>> endpoint{store, clients, issuer, flow::ring({1})};
};

std::string decoded(std::string_view base64url_text) {
    std::string bytes(base64url_text.size() * 3 / 4, '\0');
    REQUIRE(base64url_decode(base64url_text, std::as_writable_bytes(std::span(bytes))));
    return bytes;
}

/// The claims of a compact JWT as JSON.
std::string claims_of(std::string_view jwt) {
    const std::size_t first = jwt.find('.');
    const std::size_t second = jwt.find('.', first + 1);
    REQUIRE(second != std::string_view::npos);
    return decoded(jwt.substr(first + 1, second - first - 1));
}
std::string claims_in(const http_reply& reply, std::string_view token) {
    return claims_of(member(reply.body, token).value_or(""));
}

std::string lines_of(const http_reply& reply) {
    std::string lines;
    for (const auto& [name, value] : reply.headers) lines.append(name).append(": ").append(value).append("\n");
    return lines;
}

endpoint_settings with_origins() {
    endpoint_settings settings;
    settings.replies.cross_origin = cross_origin::on;
    return settings;
}

endpoint_settings with_policy(const policy_settings& settings) {
    endpoint_settings made;
    made.policy = *policy::make(settings);
    return made;
}

} // namespace

// ---- every refusal

TEST_CASE("every reason that a request can meet is met by these tests (R32, R75)") {
    // The random source, the subject and its auth_time belong to the login.
    std::set<reason> met{reason::random_unavailable, reason::subject_missing, reason::subject_too_long,
                         reason::auth_time_out_of_range};
    for (const bad_request_row& each : refusals()) CHECK(met.insert(each.why).second);
    CHECK(met.size() == static_cast<std::size_t>(reason::exception_caught) + 1);
}

TEST_CASE("every refusal has its status, its code alone for a body, and is never stored by a cache "
          "(R72, R73, NC, 6749 5.1, 5.2)") {
    for (const bad_request_row& each : refusals()) {
        INFO(each.what);
        server s;
        const http_reply reply = each.meet(s);
        CHECK(reply.status == each.status);
        CHECK(reply.body == error_body(to_string(each.code)));
        CHECK(reply.header("Content-Type") == "application/json;charset=UTF-8");
        CHECK(reply.header("Cache-Control") == "no-store");
        CHECK(reply.header("Pragma") == "no-cache");
        for (const std::string_view once : {"Content-Type", "Cache-Control", "Pragma"}) CHECK(times(reply, once) == 1);
        CHECK_MESSAGE(times(reply, "Content-Length") == 0, "it is the host's (R71)");
        CHECK(times(reply, "WWW-Authenticate") == (each.status == unauthorized ? 1 : 0));
        CHECK(times(reply, "Allow") == (each.status == method_not_allowed ? 1 : 0));
        CHECK_MESSAGE(
            times(reply, "Retry-After") == (each.status == service_unavailable || each.status == too_many_requests ? 1 : 0),
            "R26, R51");
        CHECK(times(reply, "Access-Control-Allow-Origin") == 0);
    }
}

TEST_CASE("the private reason goes to the event hook, once, and to nobody else (R75, R76)") {
    for (const bad_request_row& each : refusals()) {
        INFO(each.what);
        server s;
        const http_reply reply = each.meet(s);
        CHECK(s.last_reason() == to_string(each.why));
        const std::string text = text_of(reply);
        CHECK(text.find(flow::private_words) == std::string::npos);
        CHECK(text.find("regrant") == std::string::npos);
        const bool has_outage = each.status == service_unavailable && each.why != reason::store_contended;
        CHECK(s.hooks.decisions.back().detail == (has_outage ? flow::private_words : std::string_view()));
        CHECK(s.hooks.decisions.back().at >= now);
    }
}

TEST_CASE("a description is a fixed text in the characters of the standard, the same for all bad tokens "
          "(R32, R73, 6749 5.2)") {
    endpoint_settings settings;
    settings.replies.descriptions = error_descriptions::on;
    std::set<std::string> of_bad_tokens, of_bad_clients;
    for (const bad_request_row& each : refusals()) {
        INFO(each.what);
        server s(settings);
        const http_reply reply = each.meet(s);
        const auto description = member(reply.body, "error_description");
        REQUIRE(description);
        CHECK_FALSE(description->empty());
        for (const char c : *description) CHECK((c >= 0x20 && c <= 0x7E && c != '"' && c != '\\'));
        CHECK(reply.body == R"({"error":")" + std::string(to_string(each.code)) + R"(","error_description":")" +
                                *description + "\"}");
        if (each.code == errc::invalid_grant) of_bad_tokens.insert(*description);
        if (each.code == errc::invalid_client && each.why != reason::throttled) of_bad_clients.insert(*description);
    }
    CHECK(of_bad_tokens.size() == 1);
    CHECK(of_bad_clients.size() == 1);
}

TEST_CASE("a wrong refresh token gets the API page's error sample, byte for byte, whatever is wrong with it "
          "(R32, R75, 6749 5.2)") {
    std::set<std::string> answers;
    for (const bad_request_row& each : refusals()) {
        if (each.code != errc::invalid_grant) continue;
        server s;
        answers.insert(text_of(each.meet(s)));
    }
    CHECK(answers == std::set<std::string>{"400\n"
                                           "Content-Type: application/json;charset=UTF-8\n"
                                           "Cache-Control: no-store\n"
                                           "Pragma: no-cache\n"
                                           "\n"
                                           R"({"error":"invalid_grant"})"});
}

TEST_CASE("the first failure answers, all the way through the endpoint (6749 3.2, 5.2)") {
    struct row {
        std::string_view what;
        http_reply (*meet)(server&);
        reason why;
    };
    const row rows[] = {
        {"method before media type",
         [](server& s) {
             http_request request = with_media_type({"text/plain"}, "");
             request.method = "PUT";
             return s.send(std::move(request));
         },
         reason::method_not_post},
        {"media type before size",
         [](server& s) { return s.send(with_media_type({"text/plain"}, std::string(20000, 'x'))); },
         reason::media_type_not_form},
        {"size before decoding", [](server& s) { return s.send(post(std::string(16 * 1024, 'x') + "%")); },
         reason::body_too_large},
        {"number of fields before decoding",
         [](server& s) {
             std::string body = "%";
             for (int i = 0; i != 100; ++i) body += "&a=1";
             return s.send(post(body));
         },
         reason::too_many_fields},
        {"decoding before duplicates", [](server& s) { return s.send(post("a=1&a=1&b=%zz")); },
         reason::malformed_escape},
        {"duplicates before a missing grant_type", [](server& s) { return s.send(post("a=1&a=1")); },
         reason::parameter_repeated},
        {"grant_type before refresh_token", [](server& s) { return s.send(post("a=1")); },
         reason::grant_type_missing},
        {"another grant_type before refresh_token", [](server& s) { return s.send(post("grant_type=x")); },
         reason::grant_type_unsupported},
        {"refresh_token before the client", [](server& s) { return s.send(post("grant_type=refresh_token")); },
         reason::refresh_token_missing},
        {"the client before its right to the grant",
         [](server& s) { return s.refresh("t", "&client_id=machine&client_secret=wrong"); }, reason::secret_wrong},
        {"the right to the grant before the token",
         [](server& s) { return s.refresh("t", "&client_id=machine&client_secret=s"); },
         reason::grant_type_not_allowed},
        {"the token before the scope",
         [](server& s) { return s.refresh("t", std::string(as_web) + "&scope=%22"); }, reason::token_not_ours},
    };
    for (const row& each : rows) {
        INFO(each.what);
        server s;
        (void)each.meet(s);
        CHECK(s.last_reason() == to_string(each.why));
        // None of these presents a token of ours.
        CHECK_FALSE(s.hooks.decisions.back().row);
        CHECK_FALSE(s.hooks.decisions.back().generation);
    }
}

// ---- method, media type, body

TEST_CASE("any method but POST is told so, and HEAD without a body (R1, 6749 3.2, 9110 9.3.2, 15.5.6)") {
    for (const std::string_view method : {"GET", "PUT", "DELETE", "OPTIONS", "post", "Post", "POST ", ""}) {
        CAPTURE(method);
        server s;
        const http_reply reply = s.send(with_method(method));
        CHECK(reply.status == method_not_allowed);
        CHECK(reply.header("Allow") == "POST");
        CHECK(reply.body == error_body("invalid_request"));
    }
    server s;
    const http_reply head = s.send(with_method("HEAD"));
    CHECK(head.status == method_not_allowed);
    CHECK(head.header("Allow") == "POST");
    CHECK(head.header("Cache-Control") == "no-store");
    CHECK(head.body.empty());

    server open(with_origins());
    CHECK(open.send(with_method("GET")).header("Allow") == "POST, OPTIONS");
}

TEST_CASE("the media type is a form's, in any case, in UTF-8 if it says (R2, R3, 9110 8.3.1)") {
    struct row {
        std::vector<std::string_view> values;
        bool is_form;
    };
    const row rows[] = {
        {{"application/x-www-form-urlencoded"}, true},
        {{"Application/X-WWW-Form-URLEncoded"}, true},
        {{"application/x-www-form-urlencoded;charset=UTF-8"}, true},
        {{"application/x-www-form-urlencoded; Charset=\"utf-8\""}, true},
        {{"application/x-www-form-urlencoded ; charset=utf-8"}, true},
        {{"application/x-www-form-urlencoded", "application/x-www-form-urlencoded"}, true},
        {{"application/x-www-form-urlencoded;charset=ISO-8859-1"}, true}, // the form is ASCII
        {{"application/x-www-form-urlencoded;charset=\"utf-16\""}, true},
        {{"application/x-www-form-urlencoded", "application/json"}, false},
        {{"application/x-www-form-urlencodedx"}, false},
        {{"application/x-www-form"}, false},
        {{"multipart/form-data; boundary=x"}, false},
        {{"text/plain"}, false},
        {{"application/json"}, false},
        {{""}, false},
        {{}, false},
    };
    for (const row& each : rows) {
        CAPTURE(each.values.empty() ? std::string_view("none") : each.values.front());
        server s;
        const std::string token = s.log_in();
        const http_reply reply = s.send(with_media_type(each.values, refresh_form(token, as_web)));
        CHECK(reply.status == (each.is_form ? ok : unsupported_media_type));
        if (!each.is_form) CHECK(reply.body == error_body("invalid_request"));
    }
}

TEST_CASE("names and values are percent-decoded, a plus is a space and %2B a plus (R4, 6749 B)") {
    server s;
    s.registry.list = flow::clients(R"([{"client_id":"we+b 1","client_secret":"\u00e9&=%","scope":"openid profile",
                                         "token_endpoint_auth_method":"client_secret_post"}])");
    const std::string token = s.log_in("we+b 1");
    const http_reply reply = s.send(post("&&client%5Fid=we%2bb+1&client_secret=%C3%A9%26=%25&&grant_type=refresh_token"
                                         "&refresh_token=" + token + "&scope=openid+profile&"));
    CHECK(is_good(reply));
    CHECK(member(reply.body, "scope") == "openid profile");
}

TEST_CASE("what cannot be decoded is an invalid request wherever it stands (R4, 6749 B)") {
    const std::string_view rows[] = {"&x=%",           "&x=%4",        "&x=%G0",        "&x=%4G",     "&x=% 41",
                                     "&%=1",           "&x=%C3",       "&x=%C3%28",     "&x=\xFF",    "&x=%C0%80",
                                     "&x=%ED%A0%80",   "&x=%F5%80%80%80", "&x=%00",     "&%00=1",
                                     std::string_view("&x=\0", 4)};
    server s;
    const std::string token = s.log_in();
    for (const std::string_view each : rows) {
        CAPTURE(std::string(each));
        const http_reply reply = s.refresh(token, std::string(as_web) + std::string(each));
        CHECK(reply.status == bad_request);
        CHECK(reply.body == error_body("invalid_request"));
        CHECK(s.log.empty());
    }
}

TEST_CASE("a parameter without a value counts as absent, and an unknown one is ignored (R5, R6, 6749 3.2)") {
    server s;
    std::string token = s.log_in();
    for (const std::string_view harmless : {"&scope=", "&scope", "&nonsense=1", "&nonsense", "&=", "&resource=",
                                            "&code=x"}) {
        CAPTURE(harmless);
        const http_reply reply = s.refresh(token, std::string(as_web) + std::string(harmless));
        REQUIRE(is_good(reply));
        CHECK(member(reply.body, "scope") == "openid profile");
        token = successor_in(reply);
    }
    CHECK(s.send(post("grant_type=&refresh_token=t")).body == error_body("invalid_request"));
    CHECK(s.last_reason() == "grant_type_missing");
    CHECK(s.send(post("grant_type=refresh_token&refresh_token=")).body == error_body("invalid_request"));
    CHECK(s.last_reason() == "refresh_token_missing");
    CHECK(s.refresh(token, "&client_id=TENANT_CLIENT_ID&client_secret=").body == error_body("invalid_client"));
    CHECK(s.last_reason() == "authentication_missing");
}

TEST_CASE("no name occurs twice but resource, not even empty, unknown or escaped (R5, R7, 6749 3.2, 8707 2)") {
    server s;
    const std::string token = s.log_in();
    for (const std::string_view twice : {"&scope=openid&scope=openid", "&scope=&scope=", "&scope=&scope=openid",
                                         "&x=1&x=2",
                              "&client%5Fid=TENANT_CLIENT_ID", "&grant_type=", "&=1&=1", "&Resource=a&Resource=b"}) {
        CAPTURE(twice);
        const http_reply reply = s.refresh(token, std::string(as_web) + std::string(twice));
        CHECK(reply.status == bad_request);
        CHECK(reply.body == error_body("invalid_request"));
    }
    // Names are told apart by case.
    CHECK(is_good(s.refresh(token, std::string(as_web) + "&resource=a&resource=b&x=1&X=1")));
}

TEST_CASE("a secret in the query is refused, anything else there is not looked at (R8, 6749 2.3.1)") {
    struct row {
        std::string_view query;
        bool is_refused;
    };
    const row rows[] = {
        {"client_secret=x", true},     {"refresh_token=x", true},      {"client_assertion=x", true},
        {"a=1&refresh_token=x", true}, {"client%5Fsecret=x", true},    {"client_secret", true},
        {"refresh_token=", true},      {"", false},                    {"client_id=web", false},
        {"state=client_secret", false}, {"grant_type=password", false}, {"%zz&%FF=%00", false},
        {"a=1&a=1", false},            {"client_secret_=x", false},
    };
    for (const row& each : rows) {
        CAPTURE(each.query);
        server s;
        http_request request = post(refresh_form(s.log_in(), as_web));
        request.query = secret(each.query);
        const http_reply reply = s.send(std::move(request));
        CHECK(reply.status == (each.is_refused ? bad_request : ok));
        if (each.is_refused) CHECK(reply.body == error_body("invalid_request"));
    }
}

TEST_CASE("a body of 16 KiB and 100 fields is served, a byte or a field more is not (R9, 9110 15.5.14)") {
    server s;
    std::string token = s.log_in();
    std::string body = refresh_form(token, as_web) + "&pad=";
    body.resize(16 * 1024, 'x');
    const http_reply largest = s.send(post(body));
    REQUIRE(is_good(largest));
    token = successor_in(largest);
    body = refresh_form(token, as_web);
    for (int i = 4; i != 100; ++i) body += "&f" + std::to_string(i) + "=1";
    REQUIRE(is_good(s.send(post(body))));
    CHECK(s.send(post(body + "&one=more")).status == content_too_large);

    endpoint_settings tight;
    tight.limits = {60, 3};
    server small(tight);
    CHECK(small.send(post(std::string(61, 'x'))).status == content_too_large);
    CHECK(small.send(post("a=1&b=2&c=3&d=4")).status == content_too_large);
    CHECK(small.send(post("a=1&b=2&c=3")).status == bad_request);
}

TEST_CASE("the grant type is refresh_token in that very spelling (R10, R11, 6749 5.2, 6)") {
    for (const std::string_view other : {"password", "authorization_code", "Refresh_Token", "REFRESH_TOKEN",
                                         "refresh_token%20",
                              "+refresh_token", "refresh_tokens", "refresh%00token"}) {
        CAPTURE(other);
        server s;
        const http_reply reply = s.send(post("refresh_token=t&grant_type=" + std::string(other) +
                                             std::string(as_web)));
        CHECK(reply.status == bad_request);
        CHECK(reply.body == error_body(other.find("%00") == std::string_view::npos
                                           ? "unsupported_grant_type"
                                           : "invalid_request"));
    }
}

TEST_CASE("a missing refresh token is judged before the client, and asks nobody (R10, R12, 6749 5.2)") {
    server s;
    const http_reply reply =
        s.send(post("grant_type=refresh_token", {{"Authorization", basic("basic", "wrong")}}));
    CHECK(reply.status == bad_request);
    CHECK(reply.body == error_body("invalid_request"));
    CHECK(s.log.empty());
}

TEST_CASE("a refresh token in other characters than ours is a bad grant, not a bad request (R13, R32, 6749 A.17)") {
    server s;
    const std::string token = s.log_in();
    for (const std::string_view foreign : {"%C3%A9", "%01", "%7F", "+", "%0A", "a%00b"}) {
        CAPTURE(foreign);
        const http_reply reply = s.refresh(foreign);
        CHECK(reply.status == bad_request);
        // R4 is judged first: a NUL makes the whole form malformed.
        CHECK(reply.body == error_body(foreign == "a%00b" ? "invalid_request" : "invalid_grant"));
        CHECK(std::count(s.log.begin(), s.log.end(), "find") == 0);
    }
    CHECK(s.refresh(token + "%0A").body == error_body("invalid_grant"));
    CHECK(is_good(s.refresh(token)));
}

// ---- client authentication

TEST_CASE("two mechanisms at once are an invalid request, the same name twice is none (R16, 6749 2.3)") {
    const std::string good = basic("basic", "a%2Bb%25c%3Ad");
    server s;
    const std::string token = s.log_in("basic");
    struct row {
        std::string_view what;
        http_request request;
    };
    row rows[] = {
        {"header and secret", post(refresh_form(token, "&client_secret=a%2Bb%25c:d"), {{"Authorization", good}})},
        {"two headers of another scheme",
         post(refresh_form(token, as_web), {{"Authorization", "Bearer abc"}, {"Authorization", "Bearer abc"}})},
        {"two headers", post(refresh_form(token), {{"Authorization", good}, {"authorization", good}})},
        {"another client_id", post(refresh_form(token, "&client_id=lenient"), {{"Authorization", good}})},
    };
    for (row& each : rows) {
        INFO(each.what);
        const http_reply reply = s.send(std::move(each.request));
        CHECK(reply.status == bad_request);
        CHECK(reply.body == error_body("invalid_request"));
        CHECK(times(reply, "WWW-Authenticate") == 0);
        CHECK(s.log.empty());
    }
    CHECK(is_good(s.send(post(refresh_form(token, "&client_id=basic"), {{"Authorization", good}}))));
}

TEST_CASE("a stale header of another scheme disturbs no client that the body names (R16, R21, R24, 6749 2.3)") {
    for (const std::string_view stale : {"Bearer abc", "bearer", "Negotiate YII=", "Basically x", ""}) {
        CAPTURE(stale);
        server s;
        const auto send = [&](std::string_view token, std::string_view client) {
            return s.send(post(refresh_form(token, client), {{"Authorization", std::string(stale)}}));
        };
        CHECK(is_good(send(s.log_in(), as_web)));
        CHECK(is_good(send(s.log_in("spa"), as_spa)));
        // It is no attempt to authenticate by the header, so there is no challenge.
        const http_reply wrong = send("t", "&client_id=TENANT_CLIENT_ID&client_secret=x");
        CHECK(wrong.status == bad_request);
        CHECK(wrong.body == error_body("invalid_client"));
        CHECK(times(wrong, "WWW-Authenticate") == 0);
        // Where the body names nobody it is all there is.
        const http_reply nobody = send("t", "");
        CHECK(nobody.status == unauthorized);
        CHECK(nobody.body == error_body("invalid_client"));
        CHECK(times(nobody, "WWW-Authenticate") == 1);
    }
}

TEST_CASE("a client uses the method it is registered for, and only that (R17, 6749 2.3.1, 7591 2)") {
    struct row {
        std::string_view client_id;
        std::string_view form;
        std::optional<std::string> authorization;
        http_status status;
    };
    const row rows[] = {
        {"TENANT_CLIENT_ID", as_web, {}, ok},
        {"TENANT_CLIENT_ID", "", basic("TENANT_CLIENT_ID", "TENANT_CLIENT_SECRET"), unauthorized},
        {"basic", "", basic("basic", "a%2Bb%25c%3Ad"), ok},
        {"basic", "&client_id=basic&client_secret=a%2Bb%25c:d", {}, bad_request},
        {"spa", as_spa, {}, ok},
        {"spa", "&client_id=spa&client_secret=s", {}, bad_request},
        {"spa", "", basic("spa", ""), unauthorized},
        {"spa", "", basic("spa", "s"), unauthorized},
        {"basic", "&client_id=basic", {}, bad_request},
        {"TENANT_CLIENT_ID", "&client_id=TENANT_CLIENT_ID", {}, bad_request},
    };
    for (const row& each : rows) {
        CAPTURE(each.client_id);
        CAPTURE(each.form);
        server s;
        const std::string token = s.log_in(each.client_id);
        http_request request = post(refresh_form(token, each.form));
        if (each.authorization) request.header("AUTHORIZATION", *each.authorization);
        const http_reply reply = s.send(std::move(request));
        CHECK(reply.status == each.status);
        if (each.status != ok) CHECK(reply.body == error_body("invalid_client"));
    }
}

TEST_CASE("user and password of Basic are form-decoded, raw ones are for lenient clients (R18, R19, 6749 2.3.1)") {
    struct row {
        std::string_view client_id;
        std::string_view password;
        bool is_good;
    };
    for (const row& each : {row{"basic", "a%2Bb%25c%3Ad", true}, row{"basic", "a%2bb%25c%3ad", true},
                            row{"basic", "a%2Bb%25c:d", true}, row{"basic", "a+b%c:d", false},
                            row{"basic", "a%2Bb%c:d", false}, row{"lenient", "a+b%c:d", true},
                            row{"lenient", "a%2Bb%25c%3Ad", true}, row{"lenient", "a b%c:d", false},
                            row{"%62asic", "a%2Bb%25c%3Ad", true}}) {
        CAPTURE(each.client_id);
        CAPTURE(each.password);
        server s;
        const std::string token = s.log_in(each.client_id[0] == 'l' ? "lenient" : "basic");
        const http_reply reply =
            s.send(post(refresh_form(token), {{"Authorization", basic(each.client_id, each.password)}}));
        CHECK(reply.status == (each.is_good ? ok : unauthorized));
    }
}

TEST_CASE("a client that fails to authenticate sees the same answer whatever failed (R20, R21, 6749 5.2)") {
    server s;
    const std::string token = s.log_in();
    s.log_in("spa");
    const auto answers = [&](std::vector<http_request> requests) {
        std::set<std::string> texts;
        for (http_request& each : requests) texts.insert(text_of(s.send(std::move(each))));
        return texts;
    };
    const auto by_form = [&](std::string_view who) { return post(refresh_form(token, who)); };
    const auto by_header = [&](std::string value) {
        return post(refresh_form(token), {{"Authorization", std::move(value)}});
    };

    std::vector<http_request> with_secret;
    for (const std::string_view who : {"&client_id=who&client_secret=s", "&client_id=another&client_secret=wrong",
                            "&client_id=basic&client_secret=a%2Bb%25c:d", "&client_id=spa&client_secret=s"})
        with_secret.push_back(by_form(who));
    const auto without_header = answers(std::move(with_secret));
    REQUIRE(without_header.size() == 1);
    CHECK(*without_header.begin() == "400\n"
                                     "Content-Type: application/json;charset=UTF-8\n"
                                     "Cache-Control: no-store\n"
                                     "Pragma: no-cache\n"
                                     "\n"
                                     R"({"error":"invalid_client"})");

    std::vector<http_request> without_secret;
    for (const std::string_view who : {"&client_id=who", "&client_id=another", "&client_id=basic", ""})
        without_secret.push_back(by_form(who));
    CHECK(answers(std::move(without_secret)) == without_header);

    std::vector<http_request> in_header;
    for (const std::string& value :
         {basic("who", "s"), basic("basic", "wrong"), basic("another", "s"), basic("spa", "s"), basic("spa", ""),
          basic("basic", "a+b%c:d"), std::string("Basic"), std::string("Basic !"), std::string("Digest x"),
          basic("", "s"), "Basic " + flow::base64("basic")})
        in_header.push_back(by_header(value));
    CHECK(answers(std::move(in_header)) ==
          std::set<std::string>{"401\n"
                                "Content-Type: application/json;charset=UTF-8\n"
                                "Cache-Control: no-store\n"
                                "Pragma: no-cache\n"
                                "WWW-Authenticate: Basic realm=\"token endpoint\"\n"
                                "\n"
                                R"({"error":"invalid_client"})"});
}

TEST_CASE("the realm is the host's, quoted (R21, 9110 11.5)") {
    endpoint_settings settings;
    settings.replies.realm = "the \"inner\" \\ circle\r\n";
    server s(settings);
    const http_reply reply = s.send(post(refresh_form("t"), {{"Authorization", "Basic !"}}));
    CHECK(reply.header("WWW-Authenticate") == R"(Basic realm="the \"inner\" \\ circle")");
}

TEST_CASE("scheme names compare without regard to case (R24, 7617 2)") {
    for (const std::string_view scheme : {"Basic ", "basic ", "BASIC ", "Basic  "}) {
        CAPTURE(scheme);
        server s;
        const std::string token = s.log_in("basic");
        CHECK(is_good(s.send(post(refresh_form(token),
                                  {{"Authorization", std::string(scheme) + flow::base64("basic:a%2Bb%25c%3Ad")}}))));
    }
}

TEST_CASE("a public client is its client_id, and its token must be its own (R25, 6749 3.2.1, 6)") {
    server s;
    const std::string own = s.log_in("spa");
    const std::string foreign = s.log_in();
    CHECK(s.refresh(foreign, as_spa).body == error_body("invalid_grant"));
    const http_reply reply = s.refresh(own, as_spa);
    REQUIRE(is_good(reply));
    CHECK_MESSAGE(successor_in(reply) != own, "9700 2.2.2: it rotates on every use");
}

TEST_CASE("a throttled client gets 429 and when to come again, though its secret is right (R26, 6749 2.3.1)") {
    server s;
    const std::string token = s.log_in();
    s.hooks.lets_in = {7s};
    for (const bool in_header : {false, true}) {
        http_request request = in_header ? post(refresh_form(token), {{"Authorization", basic("basic", "a%2Bb%25c%3Ad")}})
                                         : post(refresh_form(token, as_web));
        request.peer = "192.0.2.7";
        s.hooks.attempts.clear();
        const http_reply reply = s.send(std::move(request));
        CHECK(reply.status == too_many_requests);
        CHECK(reply.body == error_body("invalid_client"));
        CHECK(reply.header("Retry-After") == "7");
        CHECK(reply.header("Cache-Control") == "no-store");
        CHECK(reply.header("Pragma") == "no-cache");
        CHECK(times(reply, "WWW-Authenticate") == 0);
        CHECK(s.last_reason() == "throttled");
        // What is not let in is not counted again, or nobody would ever get out.
        CHECK(s.hooks.attempts == call_log{(in_header ? "admit basic" : "admit TENANT_CLIENT_ID") +
                                           std::string(" 192.0.2.7 ") + std::to_string(now.time_since_epoch().count())});
        CHECK(s.log == call_log{"lookup"});
    }
    s.hooks.lets_in = {};
    CHECK(is_good(s.refresh(token)));
}

TEST_CASE("the throttle is told the client's address, not that of a trusted proxy (R26, R246)") {
    endpoint_settings settings;
    settings.proxies = *trusted_proxies::parse("192.0.2.7");
    server s(settings);
    const auto peer_of = [&](std::string_view proxy) {
        http_request request = post(refresh_form("t", as_web), {{"X-Forwarded-For", "198.51.100.1"}});
        request.peer = proxy;
        s.hooks.attempts.clear();
        (void)s.send(std::move(request));
        REQUIRE_FALSE(s.hooks.attempts.empty());
        const std::string& told = s.hooks.attempts.front();
        const std::size_t end = told.rfind(' ');
        return told.substr(told.rfind(' ', end - 1) + 1, end - told.rfind(' ', end - 1) - 1);
    };
    CHECK(peer_of("192.0.2.7") == "198.51.100.1");
    CHECK(peer_of("192.0.2.8") == "192.0.2.8");
}

TEST_CASE("failed authentications are told to the throttle, good ones as good, public ones not at all (R20, R25, R26)") {
    server s;
    const std::string token = s.log_in();
    const std::string of_spa = s.log_in("spa");
    const auto told = [&](std::string_view who) {
        s.hooks.attempts.clear();
        (void)s.refresh(token, who);
        std::string calls;
        for (const std::string& each : s.hooks.attempts) calls += each.substr(0, each.find(' ')) + ' ';
        return calls;
    };
    CHECK(told(as_web) == "admit succeeded ");
    CHECK(told("&client_id=TENANT_CLIENT_ID&client_secret=x") == "admit failed ");
    CHECK(told("&client_id=who&client_secret=x") == "admit failed ");
    CHECK(told("&client_id=basic&client_secret=x") == "admit failed ");
    CHECK(told("&client_id=spa&client_secret=x") == "admit failed ");
    // Another client's token is no failure of authentication.
    CHECK(told(as_another) == "admit succeeded ");
    CHECK(told("&client_id=spa") == "");
    CHECK(told("") == "");
    s.hooks.lets_in = {7s};
    CHECK(is_good(s.refresh(of_spa, as_spa)));
}

TEST_CASE("a throttle that does not answer is a 503, for guesses would not be counted (R26, R51, R76)") {
    for (const std::string_view call : {"admit", "failed", "succeeded"})
        for (const trouble how : {trouble::outage, trouble::exception}) {
            CAPTURE(call);
            server s;
            const std::string token = s.log_in();
            s.fail(call, how);
            const http_reply reply =
                s.refresh(token, call == "failed" ? "&client_id=TENANT_CLIENT_ID&client_secret=x" : as_web);
            CHECK(reply.status == service_unavailable);
            CHECK(s.last_reason() == (how == trouble::outage ? "throttle_unavailable" : "exception_caught"));
            CHECK(times(reply, "Retry-After") == 1);
            CHECK(s.log == call_log{"lookup"});
            s.recover();
            CHECK(is_good(s.refresh(token)));
        }
}

TEST_CASE("a client that may not use this grant is told so, and its token is not looked at (R30, 6749 5.2)") {
    server s;
    const http_reply reply = s.refresh(s.log_in(), "&client_id=machine&client_secret=s");
    CHECK(reply.status == bad_request);
    CHECK(reply.body == error_body("unauthorized_client"));
    CHECK(s.log == call_log{"lookup"});
}

TEST_CASE("two secrets live while a client rolls over, each to its own end (R31)") {
    client rolling{"rolling", client_policy::of<auth_method::client_secret_post>()};
    rolling.scope = *scope::parse("openid");
    rolling.secrets = {{*hash_client_secret("old"), now + 1h}, {*hash_client_secret("new")}};
    server s;
    s.registry.list = *client_list::make({rolling});
    std::string token = s.log_in("rolling", "openid");
    struct row {
        std::string_view secret;
        instant at;
        bool is_good;
    };
    for (const row& each : {row{"old", now, true}, row{"new", now, true}, row{"old", now + 1h - 1ms, true},
                            row{"old", now + 1h, false}, row{"old", now + 2h, false}, row{"new", now + 2h, true},
                            row{"older", now, false}, row{"", now, false}, row{"NEW", now + 2h, false}}) {
        CAPTURE(each.secret);
        const http_reply reply =
            s.refresh(token, "&client_id=rolling&client_secret=" + std::string(each.secret), each.at);
        CHECK(is_good(reply) == each.is_good);
        if (is_good(reply)) token = successor_in(reply);
        else CHECK(reply.body == error_body("invalid_client"));
    }
}

TEST_CASE("a slow hash is computed for the first right secret and for each wrong one, then remembered (R20, R31)") {
    server s;
    s.registry.list = flow::clients(slow_registration);
    std::string token = s.log_in("slow", "openid");
    for (int i = 0; i != 5; ++i) {
        const http_reply reply = s.refresh(token, as_slow, now + std::chrono::seconds(i));
        REQUIRE(is_good(reply));
        token = successor_in(reply);
        CHECK(s.hooks.slow_matches == 1);
    }
    for (std::size_t i = 2; i != 4; ++i) {
        CHECK(s.refresh(token, "&client_id=slow&client_secret=incorrect+horse").body == error_body("invalid_client"));
        CHECK(s.last_reason() == "secret_wrong");
        CHECK(s.hooks.slow_matches == i);
    }
    REQUIRE(is_good(s.refresh(token, as_slow, now + 11min)));
    CHECK(s.hooks.slow_matches == 4);
    // Without a decoy an unknown client and fast hashes cost nothing more.
    (void)s.refresh(token, "&client_id=who&client_secret=s");
    CHECK(s.hooks.slow_matches == 4);
}

TEST_CASE("with a decoy unknown clients and wrong generated secrets cost a slow hash, right ones do not (R20)") {
    endpoint_settings settings;
    settings.secrets.decoy = slow_cost::scrypt(14, 8, 1);
    server s(settings);
    const std::string token = s.log_in();
    CHECK(is_good(s.refresh(token)));
    CHECK(s.hooks.slow_matches == 0);
    (void)s.refresh(token, "&client_id=who&client_secret=s");
    CHECK(s.last_reason() == "client_unknown");
    CHECK(s.hooks.slow_matches == 1);
    (void)s.refresh(token, "&client_id=TENANT_CLIENT_ID&client_secret=s");
    CHECK(s.last_reason() == "secret_wrong");
    CHECK(s.hooks.slow_matches == 2);
}

TEST_CASE("a throttled client costs no slow hash (R26)") {
    server s;
    s.registry.list = flow::clients(slow_registration);
    s.hooks.lets_in = {7s};
    CHECK(s.refresh("t", as_slow).status == too_many_requests);
    CHECK(s.hooks.slow_matches == 0);
}

TEST_CASE("failed authentication touches no store, and the token is good afterwards (R34, 6749 5.2)") {
    server s;
    const std::string token = s.log_in();
    for (const std::string_view who : {"", "&client_id=TENANT_CLIENT_ID",
                                       "&client_id=TENANT_CLIENT_ID&client_secret=wrong",
                            "&client_id=who&client_secret=TENANT_CLIENT_SECRET"}) {
        CAPTURE(who);
        CHECK(s.refresh(token, who).body == error_body("invalid_client"));
        for (const std::string_view call : {"find", "advance", "revoke", "insert"})
            CHECK(std::count(s.log.begin(), s.log.end(), call) == 0);
    }
    CHECK(is_good(s.refresh(token)));
}

// ---- the refresh token

TEST_CASE("another client's token is refused and stays as good as it was (R33, 6749 6, 10.4)") {
    server s;
    const std::string first = s.log_in();
    const std::string second = successor_in(s.refresh(first));
    REQUIRE(is_good(s.refresh(second)));
    // Current, predecessor and replay are one to a thief with a registration of their own.
    for (const std::uint32_t which : {0U, 1U, 2U}) {
        const std::string token = s.token_of(first, number(which));
        CHECK(s.refresh(token, as_another).body == error_body("invalid_grant"));
        CHECK(s.log == call_log{"lookup", "find"});
    }
    CHECK_FALSE(s.is_revoked(first));
    CHECK(s.generation_of(first) == number(2));
    CHECK(is_good(s.refresh(s.token_of(first, number(2)))));
}

TEST_CASE("a dump of the store yields no token, not even together with the token key (R36, 6749 10.4)") {
    server s;
    const std::string token = s.log_in();
    const std::string sealed = decoded(token);
    const std::string family = sealed.substr(2, 16);

    const auto row = s.row_of(token);
    REQUIRE(row);
    CHECK(row->key.bytes == *sha256(std::string_view(family)));
    const std::string_view key(reinterpret_cast<const char*>(row->key.bytes.data()), row->key.bytes.size());
    for (const std::string_view part :
         {key, row->client_id(), row->subject(), row->scope(), row->audience(), row->confirmation()}) {
        CHECK(part.find(family) == std::string_view::npos);
        CHECK(part.find(token) == std::string_view::npos);
    }
    // With the key a thief can seal, but nothing in the dump is worth sealing.
    for (const std::size_t offset : {std::size_t{0}, std::size_t{16}}) {
        const family_id guess{std::span(row->key.bytes).subspan(offset).first<16>()};
        const auto sealed_guess = s.ring.seal({guess, first_generation});
        CHECK(s.refresh(sealed_guess->reveal()).body == error_body("invalid_grant"));
    }
}

TEST_CASE("a superseded refresh token revokes its family (R38, 9700 4.14.2)") {
    server s;
    const std::string first = s.log_in();
    const std::string second = successor_in(s.refresh(first));
    const std::string third = successor_in(s.refresh(second));
    REQUIRE(s.opened(third).lineage.generation == number(2));

    CHECK(s.refresh(first).body == error_body("invalid_grant"));
    CHECK(s.is_revoked(first));
    for (const std::string& each : {first, second, third}) {
        CHECK(s.refresh(each).body == error_body("invalid_grant"));
        CHECK(s.last_reason() == "revoked");
    }
}

TEST_CASE("a replay is recognised as long as the family lives (R38, 9700 4.14.2)") {
    server s;
    const std::string first = s.log_in();
    std::string token = first;
    instant at = now;
    for (int i = 0; i != 80; ++i) {
        at += std::chrono::days(1);
        const http_reply reply = s.refresh(token, as_web, at);
        REQUIRE(is_good(reply));
        token = successor_in(reply);
    }
    CHECK(s.refresh(first, as_web, at).body == error_body("invalid_grant"));
    CHECK(s.last_reason() == "replayed");
    CHECK(s.is_revoked(first));
}

TEST_CASE("a replay ends one login, not the user's others (R38)") {
    server s;
    const std::string phone = s.log_in();
    const std::string laptop = s.log_in();
    REQUIRE(is_good(s.refresh(successor_in(s.refresh(phone)))));
    CHECK_FALSE(is_good(s.refresh(phone)));
    CHECK(s.is_revoked(phone));
    CHECK(is_good(s.refresh(laptop)));
}

TEST_CASE("a token altered in any one place is refused without a look into the store (R39, R32)") {
    server s;
    const std::string token = s.log_in();
    REQUIRE(token.size() == 72);
    std::vector<std::string> forged;
    for (std::size_t i = 0; i != token.size(); ++i) {
        forged.push_back(token);
        forged.back()[i] = token[i] == 'A' ? 'B' : 'A';
    }
    for (const std::string& shape : {token.substr(0, 71), token + "A", token + "=", token.substr(1),
                                     std::string(72, 'A'), std::string("MOCK_REFRESH_TOKEN"), std::string("a.b.c")})
        forged.push_back(shape);
    for (const std::string& each : forged) {
        CAPTURE(each);
        const http_reply reply = s.refresh(each);
        CHECK(reply.status == bad_request);
        CHECK(reply.body == error_body("invalid_grant"));
        CHECK(s.log == call_log{"lookup"});
    }
    CHECK(is_good(s.refresh(token)));
}

TEST_CASE("a narrowed refresh does not shrink the refresh token (R40, R57, 6749 6)") {
    server s;
    const http_reply narrowed = s.refresh(s.log_in(), std::string(as_web) + "&scope=profile");
    REQUIRE(is_good(narrowed));
    CHECK(member(narrowed.body, "scope") == "profile");
    const http_reply full = s.refresh(successor_in(narrowed), std::string(as_web) + "&scope=openid+profile");
    REQUIRE(is_good(full));
    CHECK(member(full.body, "scope") == "openid profile");
}

TEST_CASE("with rotation off the same refresh token comes back, use after use (R41, 6749 6)") {
    server s;
    const std::string token = s.log_in("echo");
    for (int i = 0; i != 3; ++i) {
        const http_reply reply = s.refresh(token, as_echo, now + i * 24h);
        REQUIRE(is_good(reply));
        CHECK(successor_in(reply) == token);
        CHECK(s.hooks.decisions.back().written == write_kind::echo);
    }
    CHECK(s.generation_of(token) == first_generation);
}

TEST_CASE("whether a login rotates does not change when its registration does (R41)") {
    server s;
    const std::string rotating = s.log_in("another");
    const std::string echoing = s.log_in("echo");
    s.registry.list = flow::clients(R"([
        {"client_id":"another","client_secret":"s","scope":"openid profile","rotate":false,
         "token_endpoint_auth_method":"client_secret_post"},
        {"client_id":"echo","client_secret":"s","scope":"openid profile",
         "token_endpoint_auth_method":"client_secret_post"}])");
    CHECK(successor_in(s.refresh(rotating, as_another)) != rotating);
    CHECK(successor_in(s.refresh(echoing, as_echo)) == echoing);
}

TEST_CASE("a login that is used lives on, one that is not dies after the idle limit (R42)") {
    struct row {
        std::string_view client_id, form;
    };
    for (const row& each : {row{"TENANT_CLIENT_ID", as_web}, row{"echo", as_echo}}) {
        CAPTURE(each.client_id);
        server s;
        std::string token = s.log_in(each.client_id);
        instant at = now;
        for (int i = 0; i != 2; ++i) {
            at += std::chrono::days(30) - 1ms;
            const http_reply reply = s.refresh(token, each.form, at);
            REQUIRE(is_good(reply));
            token = successor_in(reply);
        }
        CHECK(s.refresh(token, each.form, at + std::chrono::days(30)).body == error_body("invalid_grant"));
        CHECK(s.last_reason() == "idle_limit");
    }
}

TEST_CASE("no rotation extends the absolute limit: 8 hours stay 8 hours (R43)") {
    policy_settings rules;
    rules.absolute_lifetime = 8h;
    server s(with_policy(rules));
    const std::string first = s.log_in();
    const http_reply reply = s.refresh(first, as_web, now + 10min);
    REQUIRE(is_good(reply));
    const std::string token = successor_in(reply);
    CHECK(s.row_of(token)->expires_at - (now + 10min) == 7h + 50min);

    const http_reply late = s.refresh(token, as_web, now + 8h - 1ms);
    REQUIRE(is_good(late));
    CHECK(s.refresh(successor_in(late), as_web, now + 8h).body == error_body("invalid_grant"));
    CHECK(s.last_reason() == "absolute_limit");
}

TEST_CASE("a logout by any token of a family ends it, and only it (R44/R45, R50, 7009 2.1)") {
    for (const std::uint32_t which : {0U, 1U, 2U}) {
        CAPTURE(which);
        server s;
        const std::string first = s.log_in();
        const std::string other = s.log_in();
        const std::string current = successor_in(s.refresh(successor_in(s.refresh(first))));
        REQUIRE(s.endpoint.revoke(s.token_of(first, number(which))));
        CHECK(s.refresh(current).body == error_body("invalid_grant"));
        CHECK(s.last_reason() == "revoked");
        CHECK(is_good(s.refresh(other)));
    }
    server s;
    const std::string token = s.log_in();
    s.log.clear();
    CHECK(s.endpoint.revoke("not one of ours"));
    CHECK(s.log.empty());
    s.fail("revoke", trouble::outage);
    const auto failed = s.endpoint.revoke(token);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().detail == flow::private_words);
}

TEST_CASE("a password change ends all of a user's logins and nobody else's (R44/R45, R50)") {
    server s;
    const std::string phone = s.log_in();
    const std::string page = s.log_in("spa");
    const auto bob = s.endpoint.issue({"TENANT_CLIENT_ID", "bob", "openid"}, now);
    REQUIRE(bob);
    const auto ended = s.endpoint.revoke_subject("alice");
    REQUIRE(ended);
    CHECK(*ended == 2);
    CHECK_FALSE(is_good(s.refresh(phone)));
    CHECK_FALSE(is_good(s.refresh(page, as_spa)));
    CHECK(is_good(s.refresh(bob->refresh_token.reveal())));
    CHECK(is_good(s.refresh(s.log_in())));
}

TEST_CASE("a not-before time ends all logins of before, and none of after (R44/R45)") {
    policy_settings rules;
    rules.not_before = now;
    server s(with_policy(rules));
    CHECK_FALSE(is_good(s.refresh(s.log_in("TENANT_CLIENT_ID", "openid", now - 1ms))));
    CHECK(s.last_reason() == "issued_before_not_before");
    CHECK(is_good(s.refresh(s.log_in("TENANT_CLIENT_ID", "openid", now))));

    const instant given_out_again = now + std::chrono::days(1) - 250ms;
    const std::string_view as_reset = "&client_id=reset&client_secret=s";
    CHECK_FALSE(is_good(s.refresh(s.log_in("reset", "openid", given_out_again - 1ms), as_reset, given_out_again)));
    CHECK(is_good(s.refresh(s.log_in("reset", "openid", given_out_again), as_reset, given_out_again)));
}

TEST_CASE("a refresh that raced a logout may have answered, but its refresh token is dead (R50)") {
    server s;
    const std::string token = s.log_in();
    s.store.after = [&](std::string_view call) {
        if (call == "advance") (void)s.endpoint.revoke(token);
    };
    const http_reply reply = s.refresh(token);
    REQUIRE(is_good(reply));
    CHECK(s.refresh(successor_in(reply)).body == error_body("invalid_grant"));
    CHECK_MESSAGE(s.refresh(token).body == error_body("invalid_grant"), "a retry is no way around a logout");
}

TEST_CASE("a host can deny an account for as long as it likes (R46)") {
    server s;
    const std::string token = s.log_in();
    s.hooks.denied_subjects.insert("alice");
    for (int i = 0; i != 2; ++i) {
        CHECK(s.refresh(token).body == error_body("invalid_grant"));
        CHECK(s.last_reason() == "account_denied");
    }
    CHECK(s.log == call_log{"lookup", "find", "account"});
    s.hooks.denied_subjects.clear();
    CHECK(is_good(s.refresh(token)));
}

TEST_CASE("a lost answer is given again, with a fresh access token and the same successor (R47/R48)") {
    server s;
    const std::string token = s.log_in();
    const http_reply first = s.refresh(token);
    REQUIRE(is_good(first));
    std::set<std::string> access{*member(first.body, "access_token")};
    for (const auto later : {0ms, 1ms, 29'999ms}) {
        const http_reply again = s.refresh(token, as_web, now + later);
        REQUIRE(is_good(again));
        CHECK(successor_in(again) == successor_in(first));
        access.insert(*member(again.body, "access_token"));
        CHECK(s.hooks.decisions.back().written == write_kind::repeat);
    }
    CHECK(access.size() == 4);
    CHECK(s.generation_of(token) == number(1));
}

TEST_CASE("the retry window ends 30 seconds after the first answer, retries or not (R49)") {
    server s;
    const std::string token = s.log_in();
    REQUIRE(is_good(s.refresh(token)));
    for (const auto later : {10'000ms, 20'000ms, 29'999ms}) REQUIRE(is_good(s.refresh(token, as_web, now + later)));
    CHECK(s.refresh(token, as_web, now + 30s).body == error_body("invalid_grant"));
    CHECK(s.is_revoked(token));
}

TEST_CASE("the retry window ends at once when the successor is used (R49, R38)") {
    server s;
    const std::string token = s.log_in();
    const std::string successor = successor_in(s.refresh(token));
    REQUIRE(is_good(s.refresh(successor)));
    CHECK(s.refresh(token).body == error_body("invalid_grant"));
    CHECK(s.last_reason() == "replayed");
    CHECK(s.is_revoked(token));
}

TEST_CASE("a window of zero means strict single use (R49)") {
    policy_settings rules;
    rules.retry_window = 0s;
    server s(with_policy(rules));
    const std::string token = s.log_in();
    REQUIRE(is_good(s.refresh(token)));
    CHECK_FALSE(is_good(s.refresh(token, as_web, now - 1s)));
    CHECK(s.is_revoked(token));
}

TEST_CASE("clocks of two servers may differ by the skew, and the row keeps the later time (R49)") {
    server s;
    const std::string token = s.log_in();
    const std::string successor = successor_in(s.refresh(token, as_web, now + 60s));
    // A server 60 s behind sees a row of the future: the retry is as young as can be.
    CHECK(successor_in(s.refresh(token, as_web, now)) == successor);
    CHECK(s.row_of(token)->used_at == now + 60s);
    REQUIRE(is_good(s.refresh(successor, as_web, now)));
    CHECK(s.row_of(token)->used_at == now + 60s);

    server far;
    const std::string other = far.log_in();
    REQUIRE(is_good(far.refresh(other, as_web, now + 60s + 1ms)));
    CHECK_FALSE(is_good(far.refresh(other, as_web, now)));
}

TEST_CASE("64 requests with one token at once all get the same successor and make one generation (R47/R48)") {
    struct stateless_issuer {
        result<minted_tokens, outage> mint(const mint_order&) {
            return minted_tokens{secret("access"), secret("id"), 300s};
        }
    };
    memory_store store;
    client_list clients = flow::clients();
    stateless_issuer issuer;
    token_endpoint endpoint(store, clients, issuer, flow::ring({1}));
    const auto login = endpoint.issue({"spa", "alice", "openid"}, now);
    REQUIRE(login);
    const std::string form = refresh_form(login->refresh_token.reveal(), as_spa);

    constexpr std::size_t many = 64;
    std::vector<http_reply> replies(many);
    std::latch start(many);
    std::vector<std::thread> threads;
    for (http_reply& reply : replies)
        threads.emplace_back([&] {
            http_request request = post(form);
            start.arrive_and_wait();
            reply = endpoint.respond(std::move(request), now);
        });
    for (std::thread& each : threads) each.join();

    std::set<std::string> successors;
    for (const http_reply& reply : replies) {
        CHECK(reply.status == ok);
        successors.insert(successor_in(reply));
    }
    CHECK(successors.size() == 1);
    const auto rows = store.list_subject("alice");
    REQUIRE(rows->size() == 1);
    CHECK(rows->front().current == number(1));
    CHECK(rows->front().state == revocation::live);
}

TEST_CASE("an outage is a 503 with Retry-After, and the same token works again within the window (R51, R52)") {
    const auto check_503 = [](const http_reply& reply) {
        CHECK(reply.status == service_unavailable);
        CHECK(reply.body == error_body("temporarily_unavailable"));
        CHECK(reply.header("Retry-After") == "5");
    };
    for (const std::string_view call : {"lookup", "find", "account", "mint", "advance"}) {
        for (const auto how : {trouble::outage, trouble::lost_answer, trouble::exception}) {
            INFO(call, " ", static_cast<int>(how));
            // Only a store can lose an answer.
            const bool is_store = call == "find" || call == "advance";
            if (how == trouble::lost_answer && !is_store) continue;
            server s;
            const std::string token = s.log_in();
            s.fail(call, how);
            CHECK_NOTHROW(check_503(s.refresh(token)));
            const bool may_be_written = how == trouble::lost_answer && call == "advance";
            CHECK(s.generation_of(token) == number(may_be_written ? 1 : 0));

            s.recover();
            const http_reply again = s.refresh(token, as_web, now + 15s - 1ms);
            REQUIRE(is_good(again));
            CHECK(successor_in(again) == s.token_of(token, number(1)));
        }
    }
}

TEST_CASE("what a client is told to wait is below half the window (R51)") {
    struct row {
        std::chrono::seconds window;
        std::string_view told;
    };
    for (const row& each : {row{30s, "5"}, row{12s, "5"}, row{10s, "4"}, row{3s, "1"}, row{2s, "0"}, row{1s, "0"}}) {
        CAPTURE(each.window.count());
        policy_settings rules;
        rules.retry_window = each.window;
        server s(with_policy(rules));
        const std::string token = s.log_in();
        s.fail("find", trouble::outage);
        CHECK(s.refresh(token).header("Retry-After") == each.told);
    }
}

TEST_CASE("a replay whose revoke fails is a 503, until a revoke is durable (R38, R51)") {
    for (const auto how : {trouble::outage, trouble::exception}) {
        server s;
        const std::string token = s.log_in();
        REQUIRE(is_good(s.refresh(successor_in(s.refresh(token)))));
        s.fail("revoke", how);
        CHECK(s.refresh(token).status == service_unavailable);
        s.recover();
        CHECK(s.refresh(token).body == error_body("invalid_grant"));
        CHECK(s.is_revoked(token));
    }
}

TEST_CASE("nothing is thrown out of the endpoint, whatever a host throws into it (R51, R76)") {
    server s;
    const std::string token = s.log_in();
    s.store.before = [](std::string_view) { throw 42; };
    CHECK_NOTHROW(CHECK(s.refresh(token).status == service_unavailable));
    CHECK_NOTHROW(CHECK_FALSE(s.endpoint.issue({"spa", "alice", "openid"}, now)));
    CHECK_NOTHROW(CHECK_FALSE(s.endpoint.revoke(token)));
    CHECK_NOTHROW(CHECK_FALSE(s.endpoint.revoke_subject("alice")));
    s.store.before = nullptr;
    CHECK(is_good(s.refresh(token)));

    server open(with_origins());
    for (const auto how : {trouble::exception, trouble::outage}) {
        open.fail("origin", how);
        CHECK_NOTHROW(CHECK(open.send(post("", {{"Origin", "https://spa.example"}})).status == bad_request));
        open.recover();
    }
}

TEST_CASE("a login whose random source fails gives no token and no row (R35, 6749 10.10)") {
    for (const auto how : {trouble::outage, trouble::exception}) {
        server s;
        s.fail("random", how);
        const auto refused = s.endpoint.issue({"TENANT_CLIENT_ID", "alice", "openid"}, now);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().status() == service_unavailable);
        CHECK(refused.error().retry_after);
        CHECK(std::count(s.log.begin(), s.log.end(), "insert") == 0);
        REQUIRE(s.hooks.decisions.size() == 1);
        CHECK(s.hooks.decisions.back().client_id == "TENANT_CLIENT_ID");
        CHECK(s.hooks.decisions.back().detail == flow::private_words);
        CHECK_FALSE(s.hooks.decisions.back().written);
    }
}

TEST_CASE("a login with a client that nobody registered is refused (R20)") {
    server s;
    const auto refused = s.endpoint.issue({"who", "alice", "openid"}, now);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == errc::invalid_client);
    CHECK(s.last_reason() == "client_unknown");
    s.fail("lookup", trouble::outage);
    const auto unavailable = s.endpoint.issue({"TENANT_CLIENT_ID", "alice", "openid"}, now);
    REQUIRE_FALSE(unavailable);
    CHECK(unavailable.error().status() == service_unavailable);
    CHECK(s.last_reason() == "registry_unavailable");
}

TEST_CASE("a row that its store forgot to move is healed, one that it lost is not made again (R53)") {
    struct row {
        heal_limit limit;
        std::uint32_t behind;
        bool heals;
    };
    for (const row& each : {row{policy_settings{}.heal, 8, true}, row{policy_settings{}.heal, 9, false},
                            row{heal_limit::off(), 1, false}, row{heal_limit::unlimited(), 1'000'000, true}}) {
        CAPTURE(each.behind);
        policy_settings rules;
        rules.heal = each.limit;
        server s(with_policy(rules));
        const std::string first = s.log_in();
        const std::string token = s.token_of(first, number(each.behind));
        const http_reply reply = s.refresh(token);
        CHECK(is_good(reply) == each.heals);
        CHECK_FALSE(s.is_revoked(first));
        CHECK(s.generation_of(first) == number(each.heals ? each.behind + 1 : 0));
        if (each.heals) {
            CHECK(successor_in(reply) == s.token_of(first, number(each.behind + 1)));
            CHECK_MESSAGE(s.hooks.decisions.back().written == write_kind::heal, "the host is told");
        } else {
            CHECK(reply.body == error_body("invalid_grant"));
        }
    }
    server s;
    const family_id lost = flow::family_of(std::byte{0xEE});
    const auto token = s.ring.seal({lost, number(3)});
    CHECK(s.refresh(token->reveal()).body == error_body("invalid_grant"));
    CHECK_FALSE(*s.store.rows.find(*token_keyring::row_key_of(lost)));
}

TEST_CASE("the last generation is the end: nothing wraps, nothing is written (R53)") {
    server s;
    const std::string first = s.log_in();
    const generation before_last{0xFFFF'FFFE};
    REQUIRE(s.store.rows.advance(s.opened(first).key, first_generation, before_last, now));
    const http_reply reply = s.refresh(s.token_of(first, before_last));
    REQUIRE(is_good(reply));
    const std::string last = successor_in(reply);
    CHECK(s.opened(last).lineage.generation == last_generation);
    CHECK(s.refresh(last).body == error_body("invalid_grant"));
    CHECK_FALSE(s.is_revoked(first));
    CHECK(s.generation_of(first) == last_generation);
}

TEST_CASE("token keys roll over: accepted everywhere first, then minted with, then dropped (R54)") {
    server s;
    const auto endpoint_with = [&](std::initializer_list<std::uint8_t> ids) {
        return token_endpoint(s.store, s.registry, s.issuer, flow::ring(ids));
    };
    const auto key_of = [](const std::string& token) { return static_cast<int>(decoded(token)[1]); };
    auto before = endpoint_with({1});
    auto accepting = endpoint_with({1, 2});
    auto minting = endpoint_with({2, 1});
    auto after_all = endpoint_with({2});
    const auto refresh = [&](auto& endpoint, const std::string& token) {
        return endpoint.respond(post(refresh_form(token, as_web)), now);
    };

    const std::string old = s.log_in();
    REQUIRE(key_of(old) == 1);
    const std::string still_old = successor_in(refresh(accepting, old));
    CHECK(key_of(still_old) == 1);
    const std::string fresh = successor_in(refresh(minting, still_old));
    CHECK(key_of(fresh) == 2);
    // A retry on a server that is not there yet: another text, but the same generation.
    const std::string again = successor_in(refresh(accepting, still_old));
    CHECK(s.opened(again).lineage.generation == (**flow::ring({2}).open(fresh)).lineage.generation);

    CHECK(refresh(before, fresh).body == error_body("invalid_grant"));
    const std::string newer = successor_in(refresh(accepting, fresh));
    CHECK(key_of(newer) == 1);
    CHECK(refresh(after_all, newer).body == error_body("invalid_grant"));
    CHECK(is_good(refresh(minting, newer)));
}

// ---- scope

TEST_CASE("token keys are replaced in a running endpoint, and every token minted meanwhile opens (R54)") {
    memory_store store;
    client_list clients = flow::clients();
    struct safe_issuer {
        result<minted_tokens, outage> mint(const mint_order&) {
            return minted_tokens{secret("access"), std::nullopt, std::chrono::seconds(300)};
        }
    } issuer;
    token_endpoint endpoint(store, clients, issuer, flow::ring({1}));
    const auto log_in = [&] {
        const auto issued = endpoint.issue({"another", "alice", "profile"}, now);
        return issued ? std::string(issued->refresh_token.reveal()) : std::string();
    };
    const auto key_of = [](const std::string& token) { return static_cast<int>(decoded(token)[1]); };
    const std::string old = log_in();
    CHECK(key_of(old) == 1);
    endpoint.replace_keyring(flow::ring({1, 2}));
    CHECK(key_of(log_in()) == 1);
    endpoint.replace_keyring(flow::ring({2, 1}));
    const std::string fresh = log_in();
    CHECK(key_of(fresh) == 2);
    CHECK(is_good(endpoint.respond(post(refresh_form(old, as_another)), now)));

    std::atomic<int> refused = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i != 4; ++i)
        threads.emplace_back([&] {
            std::string token = log_in();
            for (int k = 0; k != 200; ++k) {
                const http_reply reply = endpoint.respond(post(refresh_form(token, as_another)), now);
                if (is_good(reply)) token = successor_in(reply);
                else ++refused;
            }
        });
    for (int i = 0; i != 100; ++i) {
        endpoint.replace_keyring(i % 2 == 0 ? flow::ring({1, 2}) : flow::ring({2, 1}));
        std::this_thread::sleep_for(200us);
    }
    for (std::thread& each : threads) each.join();
    CHECK(refused == 0);

    endpoint.replace_keyring(flow::ring({2}));
    CHECK(endpoint.respond(post(refresh_form(old, as_another)), now).body == error_body("invalid_grant"));
    CHECK(is_good(endpoint.respond(post(refresh_form(fresh, as_another)), now)));
    REQUIRE(endpoint.revoke(old));
    CHECK(is_good(endpoint.respond(post(refresh_form(fresh, as_another)), now)));
    REQUIRE(endpoint.revoke(fresh));
    CHECK_FALSE(is_good(endpoint.respond(post(refresh_form(fresh, as_another)), now)));
}

TEST_CASE("the answer's scope is what was granted, asked for and still registered (R55, R57, R61, 6749 3.3, 6)") {
    struct row {
        std::string_view what;
        std::string_view asked;
        std::string_view answered;
    };
    for (const row& each : {row{"absent (R55)", "", "openid profile email"},
                            row{"all", "&scope=openid+profile+email", "openid profile email"},
                            row{"subset (R57)", "&scope=email", "email"},
                            row{"order is free (R59)", "&scope=email%20openid", "openid email"}}) {
        INFO(each.what);
        server s;
        const std::string token = s.log_in("TENANT_CLIENT_ID", "openid profile email");
        const http_reply reply = s.refresh(token, std::string(as_web) + std::string(each.asked));
        REQUIRE(is_good(reply));
        CHECK(member(reply.body, "scope") == each.answered);
        CHECK(s.issuer.last_scope == each.answered);
    }
    server s;
    const std::string token = s.log_in("another", "openid profile email");
    s.registry.list = flow::clients(R"([{"client_id":"another","client_secret":"s","scope":"email openid",
                                         "token_endpoint_auth_method":"client_secret_post"}])");
    CHECK(member(s.refresh(token, as_another).body, "scope") == "openid email");
}

TEST_CASE("a scope that cannot be had spends nothing (R56, R59, R61, 6749 5.2, 6)") {
    for (const std::string_view asked : {"admin", "openid+admin", "OPENID", "openid++profile", "+openid", "openid+",
                                         "%22",
                              "openid%09profile", "openid%0Aprofile", "%C3%A9", "a%5Cb", "openid,profile"}) {
        CAPTURE(asked);
        server s;
        const std::string token = s.log_in();
        const http_reply reply = s.refresh(token, std::string(as_web) + "&scope=" + std::string(asked));
        CHECK(reply.status == bad_request);
        CHECK(reply.body == error_body("invalid_scope"));
        CHECK(s.generation_of(token) == first_generation);
        CHECK(std::count(s.log.begin(), s.log.end(), "mint") == 0);
        CHECK(is_good(s.refresh(token)));
    }
}

// ---- answers

TEST_CASE("an answer has the API page's members in its order and nothing else (R65, R68, R71, R73, 6749 5.1)") {
    server s;
    const std::string token = s.log_in();
    const http_reply reply = s.refresh(token);
    CHECK(text_of(reply) == "200\n"
                            "Content-Type: application/json;charset=UTF-8\n"
                            "Cache-Control: no-store\n"
                            "Pragma: no-cache\n"
                            "\n"
                            R"({"access_token":"access-2","refresh_token":")" +
                                s.token_of(token, number(1)) +
                                R"(","scope":"openid profile","id_token":"id-2","token_type":"Bearer",)"
                                R"("expires_in":300})");
    CHECK(s.last_reason() == "none");
}

TEST_CASE("there is an id_token exactly where openid is in the answer's scope (R77, OIDC Core 12.2)") {
    server s;
    const std::string token = s.log_in();
    const http_reply narrowed = s.refresh(token, std::string(as_web) + "&scope=profile");
    CHECK(narrowed.body == R"({"access_token":"access-2","refresh_token":")" + s.token_of(token, number(1)) +
                               R"(","scope":"profile","token_type":"Bearer","expires_in":300})");
    CHECK(member(s.refresh(successor_in(narrowed)).body, "id_token"));
}

TEST_CASE("the API page's request gets the API page's answer (R65, R67, R78-R81, R89-R93)") {
    // The jti of the page's two tokens. A login draws two first.
    struct page_random {
        std::size_t calls = 0;
        result<void, outage> fill(std::span<std::byte> to) {
            constexpr std::array<std::uint64_t, 4> ids{0x5a18f141e3414338, 0x85d6bb4e41a86765, 0x013bab39f918448f,
                                                       0xa396ce77eeffdb37};
            const std::size_t first = calls++ % 2 * 2;
            for (std::size_t i = 0; i != to.size(); ++i)
                to[i] = static_cast<std::byte>(ids[first + i / 8] >> (56 - 8 * (i % 8)) & 0xFF);
            return {};
        }
    };
    const auto pem = shared_key().to_pem();
    const auto key = signing_key::from_pem(pem->reveal(), "d49bc505-5572-4ed6-9e48-388c3d44bb46");
    REQUIRE(key);
    jwt_server<page_random> s({"https://TENANT.PORTAL.DOMAIN"}, *key);
    const auto login = s.endpoint.issue({"TENANT_CLIENT_ID", "MOCK_USERNAME", "openid"}, now);
    REQUIRE(login);

    std::string page = "POST /oauth2/token HTTP/1.1\n"
                       "Host: sample.portal.tencentciam.com\n"
                       "Content-Type: application/x-www-form-urlencoded\n"
                       "\n"
                       "client_id=TENANT_CLIENT_ID&client_secret=TENANT_CLIENT_SECRET&grant_type=refresh_token"
                       "&refresh_token=MOCK_REFRESH_TOKEN";
    page.replace(page.find("MOCK_REFRESH_TOKEN"), 18, login->refresh_token.reveal());
    http_request request;
    request.method = page.substr(0, page.find(' '));
    const std::size_t blank = page.find("\n\n");
    for (std::size_t line = page.find('\n') + 1; line < blank; line = page.find('\n', line) + 1) {
        const std::size_t colon = page.find(": ", line);
        request.header(page.substr(line, colon - line), page.substr(colon + 2, page.find('\n', line) - colon - 2));
    }
    request.body = secret(page.substr(blank + 2));

    const http_reply reply = s.endpoint.respond(std::move(request), now);
    REQUIRE(is_good(reply));
    CHECK(reply.header("Content-Type") == "application/json;charset=UTF-8");
    std::size_t at = 0;
    for (const std::string_view name : {"access_token", "refresh_token", "scope", "id_token", "token_type",
                                        "expires_in"}) {
        const std::size_t found = reply.body.find('"' + std::string(name) + "\":");
        REQUIRE(found != std::string::npos);
        CHECK(found > at);
        at = found;
    }
    CHECK(member(reply.body, "scope") == "openid");
    CHECK(member(reply.body, "token_type") == "Bearer");
    CHECK(member(reply.body, "expires_in") == "299");

    const std::string_view header =
        "eyJraWQiOiJkNDliYzUwNS01NTcyLTRlZDYtOWU0OC0zODhjM2Q0NGJiNDYiLCJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.";
    const std::string_view access =
        "eyJzdWIiOiJNT0NLX1VTRVJOQU1FIiwiYXVkIjoiVEVOQU5UX0NMSUVOVF9JRCIsIm5iZiI6MTYzNjQ0OTIzMSwic2NvcGUiOlsib3Blbmlk"
        "Il0sImlzcyI6Imh0dHBzOlwvXC9URU5BTlQuUE9SVEFMLkRPTUFJTiIsImV4cCI6MTYzNjQ0OTUzMSwiaWF0IjoxNjM2NDQ5MjMxLCJqdGki"
        "OiI1YTE4ZjE0MS1lMzQxLTQzMzgtODVkNi1iYjRlNDFhODY3NjUifQ.";
    const std::string_view id =
        "eyJzdWIiOiJNT0NLX1VTRVJOQU1FIiwiYXVkIjoiVEVOQU5UX0NMSUVOVF9JRCIsImF6cCI6IlRFTkFOVF9DTElFTlRfSUQiLCJpc3MiOiJo"
        "dHRwczpcL1wvVEVOQU5ULlBPUlRBTC5ET01BSU4iLCJleHAiOjE2MzY0NTEwMzEsImlhdCI6MTYzNjQ0OTIzMSwianRpIjoiMDEzYmFiMzkt"
        "ZjkxOC00NDhmLWEzOTYtY2U3N2VlZmZkYjM3In0.";
    CHECK(member(reply.body, "access_token")->starts_with(std::string(header) + std::string(access)));
    CHECK(member(reply.body, "id_token")->starts_with(std::string(header) + std::string(id)));
}

TEST_CASE("expires_in is never more than the access token has (R67, 6749 5.1)") {
    const instant whole{std::chrono::seconds(1'636'449'231)};
    struct row {
        std::chrono::milliseconds fraction;
        std::string_view left;
    };
    for (const row& each : {row{0ms, "300"}, row{1ms, "299"}, row{500ms, "299"}, row{999ms, "299"}}) {
        CAPTURE(each.fraction.count());
        jwt_server s({"https://id.example"});
        const auto login = s.endpoint.issue({"TENANT_CLIENT_ID", "alice", "openid"}, whole);
        REQUIRE(login);
        const http_reply reply = s.refresh(login->refresh_token.reveal(), {}, whole + each.fraction);
        REQUIRE(is_good(reply));
        CHECK(member(reply.body, "expires_in") == each.left);
        const std::string claims = claims_in(reply, "access_token");
        CHECK(member(claims, "iat") == "1636449231");
        CHECK(member(claims, "exp") == "1636449531");
    }
}

TEST_CASE("no answer holds a control byte or begins with a byte order mark (R71, R73, 8259 8.1)") {
    jwt_server s({"https://id.example"});
    const auto login = s.endpoint.issue({"TENANT_CLIENT_ID", "al\nice\x01 \xC3\xA9", "openid"}, now);
    REQUIRE(login);
    std::vector<http_reply> replies{s.refresh(login->refresh_token.reveal()), s.refresh("%01"),
                                    s.refresh("t", "&x=%0A")};
    for (const http_reply& reply : replies) {
        REQUIRE_FALSE(reply.body.empty());
        CHECK(reply.body.front() == '{');
        CHECK(reply.body.back() == '}');
        for (const char c : reply.body) CHECK((c >= 0x20 && c < 0x7F));
        for (const http_header& header : reply.headers)
            for (const char c : header.value) CHECK((c >= 0x20 && c < 0x7F));
    }
}

TEST_CASE("no error answer echoes what was sent (R73, R76)") {
    endpoint_settings settings;
    settings.replies.descriptions = error_descriptions::on;
    server s(settings);
    const std::string token = s.log_in();
    const std::string mark = "marker<script>";
    http_request named = post(refresh_form(token, as_web));
    named.method = mark;
    http_request typed = with_media_type({mark}, "");
    http_request asked = post(refresh_form(token, as_web), {{"Authorization", "Basic " + mark}});
    const http_reply replies[] = {s.send(std::move(named)),
                                  s.send(std::move(typed)),
                                  s.send(std::move(asked)),
                                  s.send(post("refresh_token=t&grant_type=" + mark)),
                                  s.refresh(mark),
                                  s.refresh(token, "&client_id=" + mark + "&client_secret=" + mark),
                                  s.refresh(token, "&client_id=" + mark),
                                  s.refresh(token, std::string(as_web) + "&scope=" + mark)};
    for (const http_reply& reply : replies) {
        CHECK_FALSE(is_good(reply));
        CHECK(text_of(reply).find("marker") == std::string::npos);
    }
}

TEST_CASE("a decision holds the client as it was asked for, the row and the generation, and no token (R75)") {
    server s;
    const std::string token = s.log_in();
    const http_reply reply = s.refresh(token);
    REQUIRE(is_good(reply));
    REQUIRE(s.hooks.decisions.size() == 1);
    const flow::seen_decision& good = s.hooks.decisions.back();
    CHECK(good.at == now);
    CHECK_FALSE(good.refused);
    CHECK(good.detail.empty());
    CHECK(good.client_id == "TENANT_CLIENT_ID");
    CHECK(good.row == s.opened(token).key);
    CHECK(good.generation == first_generation);
    CHECK(good.written == write_kind::rotate);

    (void)s.refresh(token, "&client_id=who+is+it&client_secret=s");
    const flow::seen_decision& unknown = s.hooks.decisions.back();
    CHECK(unknown.client_id == "who is it");
    CHECK_FALSE(unknown.row);
    CHECK_FALSE(unknown.written);

    s.fail("advance", trouble::outage);
    (void)s.refresh(token);
    (void)s.refresh(successor_in(reply), as_another);
    (void)s.refresh(token, "", now);
    (void)s.endpoint.revoke(token);
    (void)s.endpoint.revoke_subject("alice");
    CHECK(s.hooks.decisions.size() == 7);
    const std::string family = decoded(token).substr(2, 16);
    for (const flow::seen_decision& each : s.hooks.decisions) {
        std::string all = each.detail + '\n' + each.client_id + '\n';
        if (each.row) all.append(reinterpret_cast<const char*>(each.row->bytes.data()), each.row->bytes.size());
        for (const std::string& never : {token, successor_in(reply), family, std::string("TENANT_CLIENT_SECRET")})
            CHECK(all.find(never) == std::string::npos);
    }
}

TEST_CASE("a decision of a replay says that the family was revoked, of a login that a row was inserted (R38, R75)") {
    server s;
    REQUIRE(s.endpoint.issue({"spa", "alice", "openid"}, now));
    REQUIRE(s.hooks.decisions.size() == 1);
    CHECK(s.hooks.decisions.back().written == write_kind::insert);
    const std::string token = s.log_in();
    (void)s.refresh(successor_in(s.refresh(token)));
    (void)s.refresh(token);
    CHECK(s.hooks.decisions.back().refused == reason::replayed);
    CHECK(s.hooks.decisions.back().written == write_kind::revoke);
    CHECK(s.hooks.decisions.back().generation == first_generation);
}

TEST_CASE("a decision says what was asked: refresh, login, logout of one or of all (R44/R45, R75)") {
    server s;
    const auto issued = s.endpoint.issue({"spa", "alice", "openid"}, now);
    REQUIRE(issued);
    const std::string token(issued->refresh_token.reveal());
    REQUIRE(s.hooks.decisions.size() == 1);
    CHECK(s.hooks.decisions.back().asked == request_kind::login);
    (void)s.refresh(token, as_spa);
    CHECK(s.hooks.decisions.back().asked == request_kind::refresh);

    REQUIRE(s.endpoint.revoke(token, now + 5s));
    REQUIRE(s.hooks.decisions.size() == 3);
    const flow::seen_decision one = s.hooks.decisions.back();
    CHECK(one.at == now + 5s);
    CHECK(one.asked == request_kind::revoke);
    CHECK_FALSE(one.refused);
    CHECK(one.row == s.opened(token).key);
    CHECK(one.generation == first_generation);
    CHECK(one.written == write_kind::revoke);

    REQUIRE(s.endpoint.revoke("no token of ours"));
    CHECK(s.hooks.decisions.back().asked == request_kind::revoke);
    CHECK_FALSE(s.hooks.decisions.back().refused);
    CHECK_FALSE(s.hooks.decisions.back().row);
    CHECK_FALSE(s.hooks.decisions.back().written);

    (void)s.log_in();
    (void)s.log_in();
    CHECK(*s.endpoint.revoke_subject("alice", now + 6s) == 2);
    REQUIRE(s.hooks.decisions.size() == 1);
    const flow::seen_decision all = s.hooks.decisions.back();
    CHECK(all.at == now + 6s);
    CHECK(all.asked == request_kind::revoke_subject);
    CHECK(all.written == write_kind::revoke);
    CHECK(all.families_ended == 2);
    CHECK(*s.endpoint.revoke_subject("alice") == 0);
    CHECK_FALSE(s.hooks.decisions.back().written);
}

TEST_CASE("a logout that meets an outage is observed as one, with the store's words (R50, R51, R75)") {
    server s;
    const std::string token = s.log_in();
    for (const trouble how : {trouble::outage, trouble::lost_answer, trouble::exception}) {
        s.hooks.decisions.clear();
        s.fail("revoke", how);
        s.fail("revoke_subject", how);
        const auto one = s.endpoint.revoke(token);
        const auto all = s.endpoint.revoke_subject("alice");
        REQUIRE_FALSE(one);
        REQUIRE_FALSE(all);
        CHECK(one.error().detail == flow::private_words);
        CHECK(all.error().detail == flow::private_words);
        REQUIRE(s.hooks.decisions.size() == 2);
        for (const flow::seen_decision& each : s.hooks.decisions) {
            CHECK(each.refused == (how == trouble::exception ? reason::exception_caught : reason::store_unavailable));
            CHECK(each.detail == flow::private_words);
            CHECK_FALSE(each.written);
        }
        CHECK(s.hooks.decisions.front().row == s.opened(token).key);
        s.recover();
    }
}

// ---- id_token

TEST_CASE("a refreshed id_token has the original's iss, sub, aud and azp, the time of now, and no nonce "
          "(R78-R81, R83, R84, OIDC Core 12.2)") {
    jwt_server s({"https://id.example"});
    login who{"TENANT_CLIENT_ID", "alice", "openid profile"};
    who.nonce = "n-0S6_WzA2Mj";
    const auto first = s.endpoint.issue(who, now);
    REQUIRE(first);
    REQUIRE(first->id_token);
    const std::string original = claims_of(first->id_token->reveal());
    CHECK(member(original, "nonce") == "n-0S6_WzA2Mj");
    CHECK_FALSE(member(original, "auth_time"));

    const http_reply reply = s.refresh(first->refresh_token.reveal(), {}, now + 1h);
    REQUIRE(is_good(reply));
    const std::string refreshed = claims_in(reply, "id_token");
    for (const std::string_view same : {"iss", "sub", "aud", "azp"}) {
        CAPTURE(same);
        REQUIRE(member(original, same));
        CHECK(member(refreshed, same) == member(original, same));
    }
    CHECK(member(refreshed, "iat") == std::to_string(1'636'449'231 + 3600));
    CHECK(member(refreshed, "exp") == std::to_string(1'636'449'231 + 3600 + 1800));
    CHECK(member(refreshed, "jti") != member(original, "jti"));
    CHECK_FALSE(member(refreshed, "nonce"));
    CHECK_FALSE(member(refreshed, "auth_time"));
}

TEST_CASE("auth_time is that of the login after any number of refreshes (R82, OIDC Core 12.2)") {
    jwt_server s({"https://id.example"});
    login who{"TENANT_CLIENT_ID", "alice", "openid"};
    who.auth_time = std::chrono::sys_seconds(1'636'440'000s);
    const auto first = s.endpoint.issue(who, now);
    REQUIRE(first);
    std::string token(first->refresh_token.reveal());
    for (int i = 1; i != 5; ++i) {
        const http_reply reply = s.refresh(token, {}, now + i * 24h);
        REQUIRE(is_good(reply));
        CHECK(member(claims_in(reply, "id_token"), "auth_time") == "1636440000");
        token = successor_in(reply);
    }
}

TEST_CASE("at_hash belongs to the access token of this very answer (R85, OIDC Core 3.1.3.6)") {
    jwt_settings settings{"https://id.example", token_profile::rfc9068};
    settings.audience = "https://api.example";
    settings.at_hash = access_token_hash::on;
    jwt_server s(settings);
    const auto first = s.endpoint.issue({"TENANT_CLIENT_ID", "alice", "openid"}, now);
    REQUIRE(first);
    const http_reply reply = s.refresh(first->refresh_token.reveal());
    REQUIRE(is_good(reply));
    const auto hash = sha256(*member(reply.body, "access_token"));
    CHECK(member(claims_in(reply, "id_token"), "at_hash") == base64url(std::span(*hash).first<16>()));
}

// ---- browsers

TEST_CASE("a preflight from a registered origin may go on, another gets no word (R115/R116, Fetch 3.2.2)") {
    server s(with_origins());
    const auto preflight = [&](std::string_view origin) {
        http_request request;
        request.method = "OPTIONS";
        request.header("Origin", origin);
        request.header("Access-Control-Request-Method", "POST");
        return s.send(std::move(request));
    };
    for (const std::string_view origin : {"https://spa.example", "http://localhost:3000", "https://web.example"}) {
        CAPTURE(origin);
        const http_reply reply = preflight(origin);
        CHECK(reply.status == no_content);
        CHECK(reply.body.empty());
        CHECK(reply.header("Access-Control-Allow-Origin") == origin);
        CHECK(reply.header("Access-Control-Allow-Methods").find("POST") != std::string_view::npos);
        CHECK(reply.header("Access-Control-Allow-Headers") == "authorization, content-type, dpop");
        CHECK(reply.header("Vary") == "Origin");
        CHECK(times(reply, "Access-Control-Allow-Credentials") == 0);
    }
    for (const std::string_view origin : {"https://evil.example", "http://spa.example", "https://spa.example:8443",
                               "https://spa.example.evil.example", "null", ""}) {
        CAPTURE(origin);
        const http_reply reply = preflight(origin);
        CHECK(reply.status == no_content);
        CHECK(reply.body.empty());
        for (const http_header& each : reply.headers) CHECK_FALSE(each.name.starts_with("Access-Control-"));
    }
}

TEST_CASE("pages of a client's own origins read its answers, errors too, and no others (R115/R116, Fetch 3.2.3)") {
    struct row {
        std::string_view what;
        std::string_view origin;
        std::string_view who;
        std::string_view token;
        bool may_read;
    };
    const row rows[] = {
        {"a success to its own page", "https://spa.example", as_spa, "", true},
        {"a success to another client's page", "https://web.example", as_spa, "", false},
        {"a success to a stranger's page", "https://evil.example", as_spa, "", false},
        {"a bad token, to its own page", "https://spa.example", as_spa, "bad", true},
        {"a bad token, to another client's page", "https://web.example", as_spa, "bad", false},
        {"a wrong secret, to its own page", "https://web.example", "&client_id=TENANT_CLIENT_ID&client_secret=x",
         "bad", true},
        {"a wrong secret, to anybody's page", "https://spa.example",
         "&client_id=TENANT_CLIENT_ID&client_secret=x", "bad", true},
        {"a wrong secret, to a stranger's page", "https://evil.example",
         "&client_id=TENANT_CLIENT_ID&client_secret=x", "bad", false},
        {"an unknown client, to anybody's page", "https://spa.example", "&client_id=who", "bad", true},
        {"an unknown client, to a stranger's page", "https://evil.example", "&client_id=who", "bad", false},
        {"a malformed request, to anybody's page", "https://spa.example", "&x=%", "bad", true},
        {"a malformed request, to a stranger's page", "https://evil.example", "&x=%", "bad", false},
    };
    for (const row& each : rows) {
        INFO(each.what);
        server s(with_origins());
        const std::string token = s.log_in("spa");
        const http_reply reply = s.send(
            post(refresh_form(each.token.empty() ? token : each.token, each.who), {{"Origin", each.origin}}));
        CHECK(reply.header("Access-Control-Allow-Origin") ==
              (each.may_read ? each.origin : std::string_view()));
        CHECK(reply.header("Cache-Control") == "no-store");
        if (!each.may_read) continue;
        CHECK(reply.header("Vary") == "Origin");
        CHECK(reply.header("Access-Control-Expose-Headers") == "WWW-Authenticate, Retry-After");
        CHECK(times(reply, "Access-Control-Allow-Credentials") == 0);
    }
}

TEST_CASE("who tries client ids sees by no header which are registered (R20, R115/R116)") {
    for (const std::string_view origin : {"https://spa.example", "https://web.example", "https://evil.example"}) {
        server s(with_origins());
        const auto answer = [&](std::string_view who, std::string_view authorization = {}) {
            http_request request = post(refresh_form("bad", who), {{"Origin", origin}});
            if (!authorization.empty()) request.header("Authorization", authorization);
            return s.send(std::move(request));
        };
        const std::array<std::array<http_reply, 2>, 3> alike{{
            {answer("&client_id=TENANT_CLIENT_ID"), answer("&client_id=who")},
            {answer("&client_id=TENANT_CLIENT_ID&client_secret=x"), answer("&client_id=who&client_secret=x")},
            {answer("", basic("basic", "x")), answer("", basic("who", "x"))},
        }};
        for (const auto& [registered, unknown] : alike) {
            CHECK(registered.status == unknown.status);
            CHECK(registered.body == unknown.body);
            CHECK(lines_of(registered) == lines_of(unknown));
        }
    }
}

TEST_CASE("an outage is told to a page as well (R51, R115/R116)") {
    server s(with_origins());
    const std::string token = s.log_in("spa");
    s.fail("find", trouble::exception);
    const http_reply reply = s.send(post(refresh_form(token, as_spa), {{"Origin", "https://spa.example"}}));
    CHECK(reply.status == service_unavailable);
    CHECK(reply.header("Access-Control-Allow-Origin") == "https://spa.example");
}

TEST_CASE("an OPTIONS that is no preflight is any other method, and with CORS off a preflight is too "
          "(R1, R115/R116)") {
    for (const bool is_on : {false, true}) {
        server s(is_on ? with_origins() : endpoint_settings{});
        http_request request;
        request.method = "OPTIONS";
        request.header("Origin", "https://spa.example");
        if (!is_on) request.header("Access-Control-Request-Method", "POST");
        const http_reply reply = s.send(std::move(request));
        CHECK(reply.status == method_not_allowed);
        CHECK(reply.header("Allow") == (is_on ? "POST, OPTIONS" : "POST"));
    }
    server s;
    const std::string token = s.log_in("spa");
    const http_reply reply = s.send(post(refresh_form(token, as_spa), {{"Origin", "https://spa.example"}}));
    CHECK(is_good(reply));
    CHECK(times(reply, "Access-Control-Allow-Origin") == 0);
}
