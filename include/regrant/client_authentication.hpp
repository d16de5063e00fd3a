// regrant/client_authentication.hpp - RFC 6749 section 2.3 as steps that ask for what they need.
// floor 4
// SPDX-License-Identifier: MIT
#pragma once

#include "authenticated_client.hpp"
#include "basic_auth.hpp"
#include "client.hpp"
#include "clock.hpp"
#include "error.hpp"
#include "result.hpp"
#include "throttle.hpp"
#include "token_request.hpp"

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

namespace regrant::inline v0::client_authentication {

/// Who a request says it is from, and what it brings to prove it.
struct credentials {
    auth_method method = auth_method::none;
    std::string_view client_id{};
    /// Where it came from, for the throttle.
    std::string_view peer{};
    /// The secret as the protocol means it, and as it was sent.
    std::string_view secret{};
    std::string_view raw_secret{};
    /// Whether user and password were form-encoded, as RFC 6749 2.3.1 asks.
    bool encoded = true;
    /// Owns the text that the views above look at, for HTTP Basic.
    std::optional<basic_credentials> basic{};

    /// RFC 6749 5.2: a client that used the Authorization header is answered with a challenge (R21).
    challenge owed() const noexcept {
        return method == auth_method::client_secret_basic ? challenge::basic : challenge::none;
    }
    unexpected<refusal> refused(reason why) const { return unexpected(refusal{why, {}, {}, owed()}); }
};

/// The throttle knows how an attempt ended.
struct attempt_settled {};

/// Tells the throttle how an attempt ended; without that there is no answer.
class settling_attempt {
public:
    settling_attempt(credentials sent, result<authenticated_client, refusal> answer, instant now) noexcept
        : sent_(std::move(sent)), answer_(std::move(answer)), now_(now) {}

    attempt ask() const noexcept { return {sent_.client_id, sent_.peer, now_}; }
    attempt_outcome outcome() const noexcept {
        return answer_ ? attempt_outcome::succeeded : attempt_outcome::failed;
    }

    /// \par Errors
    /// `invalid_client`, the same for every reason
    result<authenticated_client, refusal> with(attempt_settled) && { return std::move(answer_); }

private:
    credentials sent_; // owns the client_id that is told
    result<authenticated_client, refusal> answer_;
    instant now_;
};

/// Asks for the check of a secret. It is asked for unknown clients too, so that they cost the same (R20).
class proving_secret {
public:
    proving_secret(credentials sent, client_ptr known, instant now) noexcept
        : sent_(std::move(sent)), known_(std::move(known)), now_(now) {}

    secret_check ask() const noexcept {
        secret_check check{sent_.secret, std::nullopt, {}};
        if (sent_.raw_secret != sent_.secret) check.presented_raw = sent_.raw_secret;
        if (!known_) return check;
        std::size_t slot = 0;
        for (const client_secret& each : known_->secrets)
            if (slot != check.stored.size() && (!each.expires_at || now_ < *each.expires_at))
                check.stored[slot++] = each.hash;
        return check;
    }

    settling_attempt with(secret_match match) && {
        auto answer = judged(match);
        return settling_attempt(std::move(sent_), std::move(answer), now_);
    }

private:
    result<authenticated_client, refusal> judged(secret_match match) {
        if (!known_) return sent_.refused(reason::client_unknown);
        // RFC 7591 2: a client uses the method it registered (R17); a public one has none to prove (R25).
        if (known_->policy.method() != sent_.method) return sent_.refused(reason::method_not_registered);
        const bool by_the_book = match == secret_match::as_meant && sent_.encoded;
        const bool leniently = match != secret_match::neither && known_->decoding == basic_decoding::lenient;
        if (!by_the_book && !leniently) return sent_.refused(reason::secret_wrong);
        return authenticated_client::vouched(std::move(known_));
    }

    credentials sent_;
    client_ptr known_;
    instant now_;
};

/// Asks the throttle for leave to try a secret: before it is looked at, so that a guess costs next to nothing (R26).
class admitting_attempt {
public:
    admitting_attempt(credentials sent, client_ptr known, instant now) noexcept
        : sent_(std::move(sent)), known_(std::move(known)), now_(now) {}

    attempt ask() const noexcept { return {sent_.client_id, sent_.peer, now_}; }

    /// \par Errors
    /// `invalid_client` with 429
    result<proving_secret, refusal> with(const admission& answer) && {
        // RFC 6749 2.3.1: "the authorization server MUST protect any endpoint utilizing it against brute force
        // attacks."
        if (answer.retry_after) return unexpected(refusal{reason::throttled, {}, answer.retry_after, sent_.owed()});
        return proving_secret(std::move(sent_), std::move(known_), now_);
    }

private:
    credentials sent_;
    client_ptr known_;
    instant now_;
};

/// Asks for a client by its id.
class identifying_client {
public:
    identifying_client(credentials sent, instant now) noexcept : sent_(std::move(sent)), now_(now) {}

    std::string_view ask() const noexcept { return sent_.client_id; }

    /// \param known  null where nobody is registered by that id
    std::variant<admitting_attempt, authenticated_client, refusal> with(client_ptr known) && {
        if (sent_.method != auth_method::none) return admitting_attempt(std::move(sent_), std::move(known), now_);
        if (!known) return sent_.refused(reason::client_unknown).error();
        // RFC 6749 6: the server MUST "require client authentication for confidential clients".
        if (!known->policy.is_public()) return sent_.refused(reason::authentication_missing).error();
        // RFC 6749 3.2.1: a public client "MAY use the "client_id" request parameter to identify itself".
        return authenticated_client::vouched(std::move(known));
    }

private:
    credentials sent_;
    instant now_;
};

/// Reads the credentials of a request.
///
/// \param request  outlives the steps that follow
/// An Authorization header of another scheme is no client authentication. It is ignored when the body names the client:
/// browsers' interceptors add an old `Bearer` to any request.
/// \par Errors
/// `invalid_request` for two mechanisms at once; `invalid_client` for none, or one that cannot be read
inline result<identifying_client, refusal> begin(const token_request& request, instant now) {
    const received_header& authorization = request.authorization();
    credentials sent;
    sent.peer = request.peer();
    const bool is_basic = authorization.is_present() && basic_credentials::is_scheme_of(authorization.text());
    // RFC 6749 2.3: "The client MUST NOT use more than one authentication method in each request."
    if (authorization.is_repeated() || (is_basic && request.client_secret()))
        return unexpected(refusal{reason::two_mechanisms});
    if (is_basic || (authorization.is_present() && !request.client_id())) {
        sent.method = auth_method::client_secret_basic;
        auto basic = basic_credentials::parse(authorization.text());
        if (!basic) return sent.refused(basic.error());
        sent.basic = std::move(*basic);
        sent.client_id = sent.basic->client_id();
        sent.raw_secret = sent.basic->raw_client_secret();
        sent.secret = sent.basic->client_secret().value_or(sent.raw_secret);
        sent.encoded = sent.basic->client_id_is_encoded() && sent.basic->client_secret().has_value();
        if (request.client_id() && *request.client_id() != sent.client_id)
            return unexpected(refusal{reason::client_id_mismatch});
    } else {
        if (!request.client_id()) return sent.refused(reason::authentication_missing);
        sent.client_id = *request.client_id();
        if (request.client_secret()) {
            sent.method = auth_method::client_secret_post;
            sent.secret = sent.raw_secret = *request.client_secret();
        }
    }
    return identifying_client(std::move(sent), now);
}

} // namespace regrant::inline v0::client_authentication
