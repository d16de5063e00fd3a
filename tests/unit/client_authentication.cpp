// tests/unit/client_authentication.cpp - the steps of client authentication, driven by hand.
// SPDX-License-Identifier: MIT
#include <regrant/client_authentication.hpp>

#include "support/flow_http.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

using namespace regrant;
using namespace std::chrono_literals;
using client_authentication::admitting_attempt;
using client_authentication::attempt_settled;
using client_authentication::identifying_client;
using client_authentication::proving_secret;
using client_authentication::settling_attempt;
using flow::basic;

namespace {

template <class Step, class Answer> using after = decltype(std::declval<Step>().with(std::declval<Answer>()));
static_assert(std::is_same_v<decltype(client_authentication::begin(std::declval<const token_request&>(), instant())),
                             result<identifying_client, refusal>>);
static_assert(std::is_same_v<after<identifying_client, client_ptr>,
                             std::variant<admitting_attempt, authenticated_client, refusal>>);
static_assert(std::is_same_v<after<admitting_attempt, admission>, result<proving_secret, refusal>>);
static_assert(std::is_same_v<after<proving_secret, secret_match>, settling_attempt>);
static_assert(std::is_same_v<after<settling_attempt, attempt_settled>, result<authenticated_client, refusal>>);

template <class Step, class Answer>
concept can_stay = requires(Step& step, Answer answer) { step.with(std::move(answer)); };
static_assert(!can_stay<identifying_client, client_ptr> && !std::is_copy_constructible_v<identifying_client>);
static_assert(!can_stay<admitting_attempt, admission> && !std::is_copy_constructible_v<admitting_attempt>);
static_assert(!can_stay<settling_attempt, attempt_settled>);
static_assert(!can_stay<proving_secret, secret_match> && !std::is_copy_constructible_v<proving_secret>);

constexpr instant now{std::chrono::milliseconds(1'636'449'231'250)};

secret_hash hash_of(std::uint8_t mark) {
    secret_hash hash;
    hash.sha256.fill(std::byte{mark});
    return hash;
}
bool same(const secret_hash& one, const secret_hash& other) { return one.sha256 == other.sha256; }

token_request sent(std::string_view fields, std::initializer_list<std::string_view> authorization = {}) {
    http_request request = flow::post(flow::refresh_form("t", fields));
    for (const std::string_view each : authorization) request.header("Authorization", each);
    auto parsed = token_request::parse(std::move(request));
    REQUIRE(parsed);
    return std::move(*parsed);
}

client_ptr registered(client_policy how, std::vector<client_secret> secrets = {{hash_of(1)}},
                      basic_decoding decoding = basic_decoding::strict) {
    client made{"web", how};
    if (!how.is_public()) made.secrets = std::move(secrets);
    made.decoding = decoding;
    return std::make_shared<const client>(std::move(made));
}

const client_policy by_post = client_policy::of<auth_method::client_secret_post>();
const client_policy by_basic = client_policy::of<auth_method::client_secret_basic>();
const client_policy by_name = client_policy::of<auth_method::none>();

/// What a whole authentication comes to; null is nobody.
result<authenticated_client, refusal> authenticate(const token_request& request, client_ptr known,
                                                   secret_match match) {
    auto identifying = client_authentication::begin(request, now);
    if (!identifying) return unexpected(identifying.error());
    auto identified = (*std::move(identifying)).with(std::move(known));
    if (auto* refused = std::get_if<refusal>(&identified)) return unexpected(std::move(*refused));
    if (auto* done = std::get_if<authenticated_client>(&identified)) return std::move(*done);
    auto proving = std::get<admitting_attempt>(std::move(identified)).with({});
    if (!proving) return unexpected(proving.error());
    return (*std::move(proving)).with(match).with({});
}

/// The step that asks for the check of a secret.
proving_secret proving(const token_request& request, client_ptr known) {
    auto identifying = client_authentication::begin(request, now);
    REQUIRE(identifying);
    auto identified = (*std::move(identifying)).with(std::move(known));
    REQUIRE(std::holds_alternative<admitting_attempt>(identified));
    auto made = std::get<admitting_attempt>(std::move(identified)).with({});
    REQUIRE(made);
    return *std::move(made);
}

} // namespace

TEST_CASE("credentials that cannot be read end before a client is looked up (R16, R21, R24, R25, 6749 2.3, 5.2)") {
    const std::string good = basic("web", "secret");
    struct row {
        std::string_view what;
        std::string_view fields;
        std::vector<std::string> authorization;
        reason why;
        errc code;
        http_status status;
    };
    using enum http_status;
    const row rows[] = {
        {"nothing at all (R25)", "", {}, reason::authentication_missing, errc::invalid_client, bad_request},
        {"a secret without an id (R25)", "&client_secret=s", {}, reason::authentication_missing,
         errc::invalid_client, bad_request},
        {"an empty id counts as absent (R5)", "&client_id=", {}, reason::authentication_missing,
         errc::invalid_client, bad_request},
        {"header and secret (R16)", "&client_secret=s", {good}, reason::two_mechanisms, errc::invalid_request,
         bad_request},
        {"a foreign scheme and a secret without an id (R24)", "&client_secret=s", {"Bearer x"},
         reason::scheme_unknown, errc::invalid_client, unauthorized},
        {"two headers of a foreign scheme, and an id (R16)", "&client_id=web", {"Bearer x", "Bearer y"},
         reason::two_mechanisms, errc::invalid_request, bad_request},
        {"a foreign scheme, then Basic, and an id (R16)", "&client_id=web", {"Bearer x", good},
         reason::two_mechanisms, errc::invalid_request, bad_request},
        {"two headers (R16)", "", {good, basic("spa", "x")}, reason::two_mechanisms, errc::invalid_request,
         bad_request},
        {"the same header twice (R16)", "", {good, good}, reason::two_mechanisms, errc::invalid_request,
         bad_request},
        {"another id in the body (R16)", "&client_id=other", {good}, reason::client_id_mismatch,
         errc::invalid_request, bad_request},
        {"an unknown scheme (R24)", "", {"Bearer d2ViOnNlY3JldA=="}, reason::scheme_unknown, errc::invalid_client,
         unauthorized},
        {"an empty header (R24)", "", {""}, reason::scheme_unknown, errc::invalid_client, unauthorized},
        {"a scheme that only begins so (R24)", "", {"Basically d2ViOnM="}, reason::scheme_unknown,
         errc::invalid_client, unauthorized},
        {"no credentials (R24)", "", {"Basic"}, reason::credentials_malformed, errc::invalid_client, unauthorized},
        {"bad base64 (R24)", "", {"Basic d2ViOnM!"}, reason::credentials_malformed, errc::invalid_client,
         unauthorized},
        {"cut base64 (R24)", "", {"Basic d2ViOnM"}, reason::credentials_malformed, errc::invalid_client,
         unauthorized},
        {"no colon (R24)", "", {"Basic " + flow::base64("web")}, reason::credentials_malformed, errc::invalid_client,
         unauthorized},
        {"an empty user (R24)", "", {basic("", "secret")}, reason::credentials_malformed, errc::invalid_client,
         unauthorized},
        {"a bad header, and another id in the body", "&client_id=other", {"Basic !"}, reason::credentials_malformed,
         errc::invalid_client, unauthorized},
    };
    for (const row& each : rows) {
        INFO(each.what);
        http_request raw = flow::post(flow::refresh_form("t", each.fields));
        for (const std::string& header : each.authorization) raw.header("Authorization", header);
        const auto request = token_request::parse(std::move(raw));
        REQUIRE(request);
        const auto identifying = client_authentication::begin(*request, now);
        REQUIRE_FALSE(identifying);
        CHECK(to_string(identifying.error().why) == to_string(each.why));
        CHECK(to_string(identifying.error().code()) == to_string(each.code));
        CHECK(identifying.error().status() == each.status);
    }
}

TEST_CASE("the client is asked for by the name it means (R16, R18, R25, 6749 2.3.1)") {
    struct row {
        std::string_view what;
        std::string_view fields;
        std::optional<std::string> authorization;
        std::string_view asked_for;
    };
    const row rows[] = {
        {"by the body alone", "&client_id=we%2Bb", {}, "we+b"},
        {"by the body with a secret", "&client_id=web&client_secret=s", {}, "web"},
        {"by the header", "", basic("web", "s"), "web"},
        {"by the header, form-encoded (R18)", "", basic("we%2Bb+1", "s"), "we+b 1"},
        {"by the header, raw since it cannot be decoded", "", basic("100%", "s"), "100%"},
        {"by the header, decoded since it can be, be it meant raw", "", basic("we+b", "s"), "we b"},
        {"by both, the same", "&client_id=web", basic("web", "s"), "web"},
        {"by both, the same once decoded (R16)", "&client_id=we%2Bb", basic("we%2Bb", "s"), "we+b"},
        {"by the body, beside a stale header of another scheme (R24)", "&client_id=spa", "Bearer x", "spa"},
        {"by the body with a secret, beside one (R24)", "&client_id=web&client_secret=s", "bearer x", "web"},
        {"by the body, beside an empty header (R24)", "&client_id=spa", "", "spa"},
        {"an empty id in the body counts as absent (R5)", "&client_id=", basic("web", "s"), "web"},
        {"an empty secret in the body counts as absent (R5, R16)", "&client_secret=", basic("web", "s"), "web"},
        {"the scheme in another case (R24)", "", "bAsIc " + flow::base64("web:s"), "web"},
        {"a password with colons", "", basic("web", "a:b:c"), "web"},
    };
    for (const row& each : rows) {
        INFO(each.what);
        http_request raw = flow::post(flow::refresh_form("t", each.fields));
        if (each.authorization) raw.header("Authorization", *each.authorization);
        const auto request = token_request::parse(std::move(raw));
        REQUIRE(request);
        const auto identifying = client_authentication::begin(*request, now);
        REQUIRE(identifying);
        CHECK(identifying->ask() == each.asked_for);
    }
}

TEST_CASE("a public client is identified by its name alone, a confidential one is not (R25, 6749 3.2.1, 6)") {
    const auto request = sent("&client_id=web");
    const auto spa = authenticate(request, registered(by_name), secret_match::neither);
    REQUIRE(spa);
    CHECK((*spa)->client_id == "web");

    const auto confidential = authenticate(request, registered(by_post), secret_match::as_meant);
    REQUIRE_FALSE(confidential);
    CHECK(confidential.error().why == reason::authentication_missing);
    CHECK(confidential.error().status() == http_status::bad_request);

    const auto nobody = authenticate(request, nullptr, secret_match::as_meant);
    REQUIRE_FALSE(nobody);
    CHECK(nobody.error().why == reason::client_unknown);
    CHECK(nobody.error().status() == http_status::bad_request);
}

TEST_CASE("an unknown client costs the same check of a secret, and fails whatever it says (R20, 6749 10.10)") {
    const auto by_body = sent("&client_id=who&client_secret=s");
    const auto by_header = sent("", {basic("who", "s")});
    for (const token_request* request : {&by_body, &by_header}) {
        const auto step = proving(*request, nullptr);
        CHECK(step.ask().presented == "s");
        CHECK(step.ask().stored.size() == 2);
        for (const auto match : {secret_match::neither, secret_match::as_meant, secret_match::raw}) {
            const auto nobody = authenticate(*request, nullptr, match);
            REQUIRE_FALSE(nobody);
            CHECK(nobody.error().why == reason::client_unknown);
            CHECK(nobody.error().code() == errc::invalid_client);
        }
    }
    CHECK(authenticate(by_body, nullptr, secret_match::neither).error().status() == http_status::bad_request);
    CHECK(authenticate(by_header, nullptr, secret_match::neither).error().status() == http_status::unauthorized);
}

TEST_CASE("the secret is asked about as the protocol means it, and raw where that differs (R18, R19, 6749 B)") {
    struct row {
        std::string_view what;
        std::string password;
        std::string_view meant;
        std::optional<std::string_view> raw;
    };
    const row rows[] = {
        {"plain", "secret", "secret", {}},
        {"encoded (R18)", "a%2Bb%25c%3Ad", "a+b%c:d", "a%2Bb%25c%3Ad"},
        {"a plus is a space", "a+b", "a b", "a+b"},
        {"raw, and cannot be decoded", "100%", "100%", {}},
        {"empty", "", "", {}},
        {"with a colon", "a:b", "a:b", {}},
    };
    for (const row& each : rows) {
        INFO(each.what);
        const auto request = sent("", {basic("web", each.password)});
        const auto step = proving(request, registered(by_basic));
        CHECK(step.ask().presented == each.meant);
        CHECK(step.ask().presented_raw == each.raw);
    }
    // In a body there is nothing raw left.
    const auto request = sent("&client_id=web&client_secret=a%2Bb");
    const auto step = proving(request, registered(by_post));
    CHECK(step.ask().presented == "a+b");
    CHECK_FALSE(step.ask().presented_raw);
}

TEST_CASE("only live secrets are compared, two at a time while a client rolls over (R31)") {
    const auto request = sent("&client_id=web&client_secret=s");
    struct row {
        std::string_view what;
        std::vector<client_secret> secrets;
        std::vector<std::uint8_t> live;
    };
    const row rows[] = {
        {"one", {{hash_of(1)}}, {1}},
        {"two", {{hash_of(1)}, {hash_of(2)}}, {1, 2}},
        {"a millisecond to live", {{hash_of(1), now + 1ms}, {hash_of(2)}}, {1, 2}},
        {"expires now", {{hash_of(1), now}, {hash_of(2)}}, {2}},
        {"expired a millisecond ago", {{hash_of(1), now - 1ms}, {hash_of(2)}}, {2}},
        {"the second expired", {{hash_of(1)}, {hash_of(2), now}}, {1}},
        {"both expired", {{hash_of(1), now}, {hash_of(2), now}}, {}},
        // Of a registry that has more than two the first two count.
        {"three", {{hash_of(1)}, {hash_of(2)}, {hash_of(3)}}, {1, 2}},
        {"three, one of them expired", {{hash_of(3), now}, {hash_of(1)}, {hash_of(2)}}, {1, 2}},
    };
    for (const row& each : rows) {
        INFO(each.what);
        const auto step = proving(request, registered(by_post, each.secrets));
        const secret_check check = step.ask();
        for (const std::uint8_t mark : {std::uint8_t{1}, std::uint8_t{2}, std::uint8_t{3}}) {
            bool is_compared = false;
            for (const secret_hash& stored : check.stored) is_compared |= same(stored, hash_of(mark));
            bool is_live = false;
            for (const std::uint8_t expected : each.live) is_live |= expected == mark;
            CAPTURE(+mark);
            CHECK(is_compared == is_live);
        }
    }
}

TEST_CASE("a secret counts only by the registered method and in the registered form (R17, R19, R25, 6749 2.3.1)") {
    struct row {
        std::string_view what;
        client_policy how;
        basic_decoding decoding;
        std::string_view fields;
        std::optional<std::string> authorization;
        secret_match match;
        std::optional<reason> refused;
    };
    using enum secret_match;
    using enum basic_decoding;
    constexpr std::string_view in_body = "&client_id=web&client_secret=s";
    const std::string in_header = basic("web", "s");
    const row rows[] = {
        {"post (R17)", by_post, strict, in_body, {}, as_meant, {}},
        {"basic (R17)", by_basic, strict, "", in_header, as_meant, {}},
        {"post, wrong secret", by_post, strict, in_body, {}, neither, reason::secret_wrong},
        {"basic, wrong secret", by_basic, strict, "", in_header, neither, reason::secret_wrong},
        {"post where basic is registered (R17)", by_basic, strict, in_body, {}, as_meant,
         reason::method_not_registered},
        {"basic where post is registered (R17)", by_post, strict, "", in_header, as_meant,
         reason::method_not_registered},
        {"a public client with a secret in the body (R25)", by_name, strict, in_body, {}, as_meant,
         reason::method_not_registered},
        {"a public client in the header (R25)", by_name, strict, "", in_header, as_meant,
         reason::method_not_registered},
        {"a public client in the header without a password (R24)", by_name, strict, "", basic("web", ""), neither,
         reason::method_not_registered},
        {"raw, strict (R19)", by_basic, strict, "", basic("web", "a+b"), raw, reason::secret_wrong},
        {"raw, lenient (R19)", by_basic, lenient, "", basic("web", "a+b"), raw, {}},
        {"encoded, lenient", by_basic, lenient, "", basic("web", "a%2Bb"), as_meant, {}},
        {"lenient, wrong secret", by_basic, lenient, "", basic("web", "a+b"), neither, reason::secret_wrong},
        {"cannot be decoded, strict (R19)", by_basic, strict, "", basic("web", "100%"), as_meant,
         reason::secret_wrong},
        {"cannot be decoded, lenient (R19)", by_basic, lenient, "", basic("web", "100%"), as_meant, {}},
        {"a name that cannot be decoded, strict (R19)", by_basic, strict, "", basic("we%b", "s"), as_meant,
         reason::secret_wrong},
    };
    for (const row& each : rows) {
        INFO(each.what);
        http_request raw_request = flow::post(flow::refresh_form("t", each.fields));
        if (each.authorization) raw_request.header("Authorization", *each.authorization);
        const auto request = token_request::parse(std::move(raw_request));
        REQUIRE(request);
        const auto proven =
            authenticate(*request, registered(each.how, {{hash_of(1)}}, each.decoding), each.match);
        CHECK(proven.has_value() == !each.refused);
        if (!each.refused || proven) continue;
        CHECK(to_string(proven.error().why) == to_string(*each.refused));
        // R21: the challenge goes with the header, whatever is wrong.
        CHECK(proven.error().status() ==
              (each.authorization ? http_status::unauthorized : http_status::bad_request));
    }
}

TEST_CASE("the first failure answers: mechanisms, credentials, client, method, secret (6749 2.3, 5.2)") {
    const auto why = [](const token_request& request, client_ptr known, secret_match match) {
        const auto done = authenticate(request, std::move(known), match);
        REQUIRE_FALSE(done);
        return to_string(done.error().why);
    };
    const auto wrong = secret_match::neither;
    CHECK(why(sent("&client_secret=s", {"Basic !"}), nullptr, wrong) == "two_mechanisms");
    CHECK(why(sent("&client_id=other", {"Basic !"}), nullptr, wrong) == "credentials_malformed");
    CHECK(why(sent("&client_id=other", {basic("web", "s")}), nullptr, wrong) == "client_id_mismatch");
    CHECK(why(sent("", {basic("web", "s")}), nullptr, wrong) == "client_unknown");
    CHECK(why(sent("", {basic("web", "s")}), registered(by_post), wrong) == "method_not_registered");
    CHECK(why(sent("", {basic("web", "s")}), registered(by_basic), wrong) == "secret_wrong");
}

TEST_CASE("a throttle is asked about client, address and time before the secret, and refuses with 429 (R26, 6749 2.3.1)") {
    for (const bool in_header : {false, true}) {
        http_request raw = flow::post(flow::refresh_form("t", in_header ? "" : "&client_id=web&client_secret=s"));
        if (in_header) raw.header("Authorization", basic("web", "s"));
        raw.peer = "192.0.2.7";
        const auto request = token_request::parse(std::move(raw));
        REQUIRE(request);
        for (const bool is_known : {false, true}) {
            auto identifying = client_authentication::begin(*request, now);
            REQUIRE(identifying);
            auto identified = (*std::move(identifying)).with(is_known ? registered(by_post) : nullptr);
            auto* admitting = std::get_if<admitting_attempt>(&identified);
            REQUIRE(admitting);
            CHECK(admitting->ask().client_id == "web");
            CHECK(admitting->ask().peer == "192.0.2.7");
            CHECK(admitting->ask().at == now);
            const auto refused = std::move(*admitting).with({7s});
            REQUIRE_FALSE(refused);
            CHECK(refused.error().why == reason::throttled);
            CHECK(refused.error().code() == errc::invalid_client);
            CHECK(refused.error().status() == http_status::too_many_requests);
            CHECK(refused.error().retry_after == 7s);
        }
    }
}

TEST_CASE("a public client is never throttled: it has no secret to guess (R25, R26)") {
    const auto request = sent("&client_id=web");
    for (const client_ptr& known : {registered(by_name), registered(by_post), client_ptr()}) {
        auto identifying = client_authentication::begin(request, now);
        REQUIRE(identifying);
        const auto identified = (*std::move(identifying)).with(known);
        CHECK_FALSE(std::holds_alternative<admitting_attempt>(identified));
    }
}

TEST_CASE("a throttle is told of every failure, whatever failed, and of a success (R20, R26)") {
    const auto by_body = sent("&client_id=web&client_secret=s");
    const auto outcome = [&](client_ptr known, secret_match match) {
        return proving(by_body, std::move(known)).with(match).outcome();
    };
    CHECK(outcome(registered(by_post), secret_match::as_meant) == attempt_outcome::succeeded);
    CHECK(outcome(registered(by_post), secret_match::neither) == attempt_outcome::failed);
    CHECK(outcome(registered(by_basic), secret_match::as_meant) == attempt_outcome::failed);
    CHECK(outcome(registered(by_name), secret_match::as_meant) == attempt_outcome::failed);
    CHECK(outcome(nullptr, secret_match::as_meant) == attempt_outcome::failed);
}
