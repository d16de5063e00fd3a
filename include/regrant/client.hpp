// regrant/client.hpp - an application as it was registered.
// floor 2
// SPDX-License-Identifier: MIT
#pragma once

#include "client_policy.hpp"
#include "clock.hpp"
#include "detail/utf8.hpp"
#include "detail/web_origin.hpp"
#include "error.hpp"
#include "result.hpp"
#include "scope.hpp"
#include "slow_hash.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace regrant::inline v0 {

/// What is kept of a client secret: its SHA-256, made by `hash_client_secret`, or a slow hash.
///
/// A plain hash is right for generated secrets of at least 128 random bits, which nobody finds by guessing; one that a
/// person chose needs the slow one.
struct secret_hash {
    /// All zero, which nobody's secret has, where there is none or a slow one.
    std::array<std::byte, 32> sha256{};
    std::shared_ptr<const slow_hash> slow{};
};

/// One of a client's secrets; two may live at a time while a client rolls over (R31).
struct client_secret {
    secret_hash hash;
    /// From then on it fails; without it never.
    std::optional<instant> expires_at{};
};

/// Whether the user and password of HTTP Basic must be form-encoded, as RFC 6749 2.3.1 asks.
///
/// Many clients send them raw; `lenient` accepts that from a client known to do so (R18, R19). It is known by the user,
/// which is read as encoded wherever it can be: one with a `+` or an escape in its id must send that encoded even so.
enum class basic_decoding : std::uint8_t { strict, lenient };

/// A registered client.
///
/// \par RFC 6749 2, RFC 7591 2
struct client {
    std::string client_id;
    client_policy policy;
    /// One or two for a confidential client, none for a public one.
    std::vector<client_secret> secrets{};
    /// What the client may ask for; a word taken away here leaves the next answer (R61).
    regrant::scope scope{};
    std::vector<std::string> grant_types{"refresh_token"};
    /// Origins of its pages that browsers may call from, as these send them: `https://app.example`, no `/` behind it
    /// (R115).
    std::vector<std::string> allowed_origins{};
    /// Whom its access tokens are for in profile rfc9068, where the grant does not say; may be empty.
    std::string audience{};
    /// Its families of earlier logins are dead; set it when an id is given out again.
    std::optional<instant> not_before{};
    basic_decoding decoding = basic_decoding::strict;

    bool may_use(std::string_view grant_type) const noexcept {
        return std::find(grant_types.begin(), grant_types.end(), grant_type) != grant_types.end();
    }
    bool allows_origin(std::string_view origin) const noexcept {
        return std::find(allowed_origins.begin(), allowed_origins.end(), origin) != allowed_origins.end();
    }
};

/// How a registry hands a client out: shared, so that no text is copied for a request. Null is an unknown client.
using client_ptr = std::shared_ptr<const client>;

/// Says what is wrong with a registration before anybody relies on it.
///
/// \return a message that names the client, or nothing
inline std::optional<setup_error> fault_of(const client& registered) {
    const auto fault = [&](std::string_view what) {
        return setup_error{"client \"" + registered.client_id + "\": " + std::string(what)};
    };
    const auto printable = [](char c) { return c >= 0x20 && c <= 0x7E; };
    if (registered.client_id.empty()) return setup_error{"a client has no client_id"};
    // RFC 6749 A.1: client-id = *VSCHAR
    if (!std::all_of(registered.client_id.begin(), registered.client_id.end(), printable))
        return setup_error{"a client_id holds a character outside printable ASCII"};
    if (!detail::is_utf8(registered.audience)) return fault("the audience is not UTF-8");
    if (registered.policy.is_public() && !registered.secrets.empty()) return fault("a public client has no secret");
    if (!registered.policy.is_public() && registered.secrets.empty()) return fault("the client_secret is missing");
    if (registered.secrets.size() > 2) return fault("at most two secrets may live at a time");
    for (const client_secret& each : registered.secrets)
        if (each.hash.slow && !each.hash.slow->cost.is_within_bounds())
            return fault("a secret's slow hash costs too little or too much");
    if (!std::all_of(registered.allowed_origins.begin(), registered.allowed_origins.end(), detail::is_web_origin))
        return fault("an origin is not written as browsers send it: scheme://host[:port] in lower case, with no path "
                     "and no port that is the scheme's own (RFC 6454 6.2)");
    return std::nullopt;
}

/// Asks whether a presented secret is one of a client's.
struct secret_check {
    /// The secret as the protocol means it.
    std::string_view presented;
    /// The same before form-decoding, where that differs.
    std::optional<std::string_view> presented_raw;
    /// Always two: an unknown client has two that nothing matches, so that it costs the same (R20).
    std::array<secret_hash, 2> stored;

    bool has_slow_hash() const noexcept {
        return std::any_of(stored.begin(), stored.end(), [](const secret_hash& each) { return each.slow != nullptr; });
    }
};

enum class secret_match : std::uint8_t { neither, as_meant, raw };

} // namespace regrant::inline v0
