#include <regrant/error.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

using regrant::challenge;
using regrant::errc;
using regrant::http_status;
using regrant::reason;
using regrant::refusal;

std::vector<reason> all_reasons() {
    std::vector<reason> all;
    for (int i = 0; i <= static_cast<int>(reason::exception_caught); ++i) all.push_back(static_cast<reason>(i));
    return all;
}

} // namespace

TEST_CASE("an error code is spelled as RFC 6749 5.2 spells it (R72)") {
    struct {
        errc code;
        std::string_view text;
    } const spelled[] = {
        {errc::invalid_request, "invalid_request"},
        {errc::invalid_client, "invalid_client"},
        {errc::invalid_grant, "invalid_grant"},
        {errc::unauthorized_client, "unauthorized_client"},
        {errc::unsupported_grant_type, "unsupported_grant_type"},
        {errc::invalid_scope, "invalid_scope"},
        {errc::temporarily_unavailable, "temporarily_unavailable"},
    };
    for (const auto& each : spelled) CHECK(to_string(each.code) == each.text);
}

TEST_CASE("every reason has a form and a name of its own") {
    std::set<std::string_view> names;
    for (const reason why : all_reasons()) {
        const auto& form = regrant::form_of(why);
        CHECK(form.why == why);
        CHECK(to_string(why) == form.name);
        CHECK_FALSE(form.name.empty());
        CHECK(names.insert(form.name).second);
    }
}

TEST_CASE("public words keep to the characters an error_description may have (R73, 6749 5.2)") {
    for (const reason why : all_reasons()) {
        const std::string_view words = refusal{why}.description();
        CAPTURE(to_string(why));
        CHECK_FALSE(words.empty());
        CHECK(std::all_of(words.begin(), words.end(), [](char c) {
            return c == 0x20 || c == 0x21 || (c >= 0x23 && c <= 0x5B) || (c >= 0x5D && c <= 0x7E);
        }));
    }
}

TEST_CASE("a form is refused with the status of its fault (R1, R2, R9, R26, R51)") {
    struct {
        reason why;
        http_status status;
        errc code;
    } const forms[] = {
        {reason::method_not_post, http_status::method_not_allowed, errc::invalid_request},
        {reason::content_encoded, http_status::unsupported_media_type, errc::invalid_request},
        {reason::media_type_not_form, http_status::unsupported_media_type, errc::invalid_request},
        {reason::body_too_large, http_status::content_too_large, errc::invalid_request},
        {reason::too_many_fields, http_status::content_too_large, errc::invalid_request},
        {reason::grant_type_missing, http_status::bad_request, errc::invalid_request},
        {reason::grant_type_unsupported, http_status::bad_request, errc::unsupported_grant_type},
        {reason::refresh_token_missing, http_status::bad_request, errc::invalid_request},
        {reason::grant_type_not_allowed, http_status::bad_request, errc::unauthorized_client},
        {reason::scope_exceeded, http_status::bad_request, errc::invalid_scope},
        {reason::throttled, http_status::too_many_requests, errc::invalid_client},
        {reason::store_unavailable, http_status::service_unavailable, errc::temporarily_unavailable},
        {reason::random_unavailable, http_status::service_unavailable, errc::temporarily_unavailable},
    };
    for (const auto& each : forms) {
        CAPTURE(to_string(each.why));
        CHECK(refusal{each.why}.status() == each.status);
        CHECK(refusal{each.why}.code() == each.code);
    }
}

TEST_CASE("nothing public tells one bad refresh token from another (R32, R75)") {
    const std::string_view words = refusal{reason::token_not_ours}.description();
    for (const reason why : {reason::grant_missing, reason::issued_to_another_client, reason::confirmation_mismatch,
                             reason::revoked, reason::issued_before_not_before, reason::absolute_limit,
                             reason::idle_limit, reason::replayed, reason::race_lost, reason::row_too_far_behind,
                             reason::generations_exhausted, reason::account_denied}) {
        CAPTURE(to_string(why));
        CHECK(refusal{why}.code() == errc::invalid_grant);
        CHECK(refusal{why}.status() == http_status::bad_request);
        CHECK(refusal{why}.description() == words);
    }
}

TEST_CASE("nothing public tells one failed authentication from another (R20)") {
    const std::string_view words = refusal{reason::secret_wrong}.description();
    for (const reason why : {reason::credentials_malformed, reason::scheme_unknown, reason::authentication_missing,
                             reason::client_unknown, reason::method_not_registered}) {
        CAPTURE(to_string(why));
        CHECK(refusal{why}.code() == errc::invalid_client);
        CHECK(refusal{why}.description() == words);
    }
}

TEST_CASE("a failed authentication is 401 where a header tried it, else 400 (R21, 6749 5.2)") {
    CHECK(refusal{reason::secret_wrong}.status() == http_status::bad_request);
    CHECK(refusal{.why = reason::secret_wrong, .owed = challenge::basic}.status() == http_status::unauthorized);
    // The challenge is for a client that failed to authenticate, and for nobody else.
    CHECK(refusal{.why = reason::throttled, .owed = challenge::basic}.status() == http_status::too_many_requests);
    CHECK(refusal{.why = reason::replayed, .owed = challenge::basic}.status() == http_status::bad_request);
    CHECK(refusal{.why = reason::two_mechanisms, .owed = challenge::basic}.status() == http_status::bad_request);
    CHECK(refusal{.why = reason::store_unavailable, .owed = challenge::basic}.status() ==
          http_status::service_unavailable);
}

TEST_CASE("what a store says stays out of the public words (R76)") {
    const refusal refused{.why = reason::store_unavailable, .detail = "disk full"};
    CHECK(refused.description().find("disk") == std::string_view::npos);
}
