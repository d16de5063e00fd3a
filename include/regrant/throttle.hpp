// regrant/throttle.hpp - whether a client may try another secret, asked of whoever counts its failures.
// floor 2
// SPDX-License-Identifier: MIT
#pragma once

#include "clock.hpp"
#include "error.hpp"
#include "result.hpp"

#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string_view>

namespace regrant::inline v0 {

/// Somebody is about to prove a client by its secret. The views end with the call.
struct attempt {
    /// As it was sent: untrusted text, of a client that may not exist.
    std::string_view client_id;
    /// `http_request::peer`, empty where the host does not say.
    std::string_view peer;
    instant at;
};

/// What a throttle says before the secret is looked at.
struct admission {
    /// Nothing lets the attempt in; else the client is told 429 with this time in `Retry-After` (R26).
    std::optional<std::chrono::seconds> retry_after{};
};

enum class attempt_outcome : std::uint8_t { failed, succeeded };

/// Counts failures of client authentication: it is asked before a secret is checked, and told how that ended. An
/// attempt that it does not let in is not told to it again; nor is one whose secret could not be checked, for want of
/// OpenSSL or of a hook.
///
/// Clients without a secret have nothing to guess, so nobody asks for them. Its outage refuses the client with 503, for
/// guesses that nobody counts would know no bound. Called from many threads at once.
template <class Throttle>
concept throttle = requires(Throttle& one, const attempt& tried, attempt_outcome ended) {
    { one.admit(tried) } -> std::same_as<result<admission, outage>>;
    { one.settle(tried, ended) } -> std::same_as<result<void, outage>>;
};

} // namespace regrant::inline v0
