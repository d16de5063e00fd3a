// regrant/decision.hpp - what the token endpoint decided about one request, for the host's log.
// floor 2
// SPDX-License-Identifier: MIT
#pragma once

#include "clock.hpp"
#include "error.hpp"
#include "lineage.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace regrant::inline v0 {

/// What was asked of the endpoint.
enum class request_kind : std::uint8_t {
    /// an HTTP request for tokens, good or not
    refresh,
    /// the first tokens of a login
    login,
    /// the end of one login
    revoke,
    /// the end of all of a user's logins
    revoke_subject,
};

constexpr std::string_view to_string(request_kind kind) noexcept {
    switch (kind) {
    case request_kind::refresh: return "refresh";
    case request_kind::login: return "login";
    case request_kind::revoke: return "revoke";
    case request_kind::revoke_subject: break;
    }
    return "revoke_subject";
}

/// What a decision wrote to the store.
enum class write_kind : std::uint8_t {
    /// a new family, at login
    insert,
    /// the family moved on by one generation
    rotate,
    /// a lost answer was given again: the generation stayed
    repeat,
    /// a client without rotation got its token back: the generation stayed
    echo,
    /// a row that had lost writes was brought up to its token
    heal,
    /// the family was ended, by a replay or a logout; all of a user's, where that was asked
    revoke,
};

constexpr std::string_view to_string(write_kind kind) noexcept {
    switch (kind) {
    case write_kind::insert: return "insert";
    case write_kind::rotate: return "rotate";
    case write_kind::repeat: return "repeat";
    case write_kind::echo: return "echo";
    case write_kind::heal: return "heal";
    case write_kind::revoke: break;
    }
    return "revoke";
}

/// One request's outcome. It holds no byte of a token, a family or a secret (R75).
///
/// Many `repeat`s of one row in a short time are worth a look: they are a bad line, or a thief in lock-step.
struct decision {
    /// When the request was judged.
    instant at;
    request_kind asked = request_kind::refresh;
    /// Nothing where it was answered well.
    std::optional<reason> refused{};
    /// What a store or key said of its outage.
    std::string_view detail{};
    /// As it was looked up: untrusted text where the client is unknown.
    std::string_view client_id{};
    std::optional<row_key> row{};
    /// The generation of the token that was presented.
    std::optional<regrant::generation> generation{};
    std::optional<write_kind> written{};
    /// How often another request moved the row in between.
    std::uint32_t races_lost = 0;
    /// How many families a user's logout ended.
    std::size_t families_ended = 0;
};

} // namespace regrant::inline v0
