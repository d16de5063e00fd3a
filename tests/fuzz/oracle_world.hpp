// tests/fuzz/oracle_world.hpp - what the oracle knows of: requests, clients, logins, tokens, rules, faults, answers.
// SPDX-License-Identifier: MIT
#pragma once

#include "plain.hpp"

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace oracle {

using millis = std::int64_t;
using words = std::vector<std::string>;

struct header {
    std::string name;
    std::string value;
};

/// A request as bytes on the wire would say it.
struct request {
    std::string method = "POST";
    std::string query{};
    std::vector<header> headers{};
    std::string body{};

    words values(const std::string& name) const {
        words found;
        for (const header& each : headers)
            if (plain::lower(each.name) == name) found.push_back(each.value);
        return found;
    }
};

enum class method : std::uint8_t { basic, post, none };
enum class mode : std::uint8_t { rotate, echo };

struct kept_secret {
    std::string text;
    std::optional<millis> expires_at{};
};

struct client {
    std::string id;
    oracle::method method = method::post;
    oracle::mode mode = mode::rotate;
    std::vector<kept_secret> secrets{};
    words scope{};
    words origins{};
    bool may_refresh = true;
    bool lenient = false;
    std::optional<millis> not_before{};
};

struct rules {
    millis idle = 30LL * 86400 * 1000;
    millis absolute = 90LL * 86400 * 1000;
    millis window = 30'000;
    millis skew = 60'000;
    std::uint32_t heal = 8;
    std::optional<millis> not_before{};
    std::size_t body_bytes = 16384;
    std::size_t fields = 100;
    bool cross_origin = false;
};

enum class life : std::uint8_t { live, revoked, missing };

/// A login, and the row that stands for it.
struct family {
    std::string client_id;
    std::string subject;
    words scope;
    oracle::mode mode;
    millis issued_at;
    millis expires_at;
    std::optional<std::int64_t> auth_time;
    std::uint32_t current = 0;
    millis used_at = 0;
    oracle::life life = life::live;
};

/// Which token a text is: all that a seal says.
struct token {
    std::size_t family;
    std::uint32_t generation;
    int key;

    friend auto operator<=>(const token&, const token&) = default;
};

/// What goes wrong during one request.
struct weather {
    bool registry_down = false;
    bool find_down = false;
    bool advance_down = false;
    /// The advance is made, its answer is lost.
    bool advance_unheard = false;
    bool revoke_down = false;
    bool account_down = false;
    bool signer_down = false;
};

/// What somebody else does to the row just before each of the first `times` advances.
struct rival {
    enum class deed : std::uint8_t { nothing, refusal, refresh, revocation, loss };
    deed does = deed::nothing;
    int times = 0;
};

struct success {
    token refresh_token;
    words scope;
    std::size_t family;
};

struct prediction {
    int status = 200;
    /// Empty for 200 and 204.
    std::string error{};
    std::optional<success> good{};
    bool is_preflight = false;
    bool without_body = false;
    bool challenge = false;
    bool retry_after = false;
    std::string allow{};
    /// The origin that may read the answer.
    std::optional<std::string> readable_by{};
    /// Calls to the store.
    int advances = 0;
    int revokes = 0;
    bool reads_store = false;
};

inline bool holds(const words& all, const std::string& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

} // namespace oracle
