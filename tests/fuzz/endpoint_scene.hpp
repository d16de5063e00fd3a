// tests/fuzz/endpoint_scene.hpp - a token endpoint beside its oracle, and the comparison of what both say.
// SPDX-License-Identifier: MIT
#pragma once

#include "oracle.hpp"

#include <regrant/hash_client_secret.hpp>
#include <regrant/jwt_issuer.hpp>
#include <regrant/token_endpoint.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace scene {

using regrant::outage;
using regrant::result;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr std::string_view private_words = "grants.db: server 10.0.0.7 is down";
inline auto down() { return regrant::unexpected(outage{std::string(private_words)}); }
inline regrant::instant at(oracle::millis when) { return regrant::instant(milliseconds(when)); }

struct mismatch {
    std::string what;
};
[[noreturn]] inline void differs(const std::string& what) { throw mismatch{what}; }
inline void expect(bool holds, const std::string& what) {
    if (!holds) differs(what);
}
template <class T> void same(const std::string& what, const T& expected, const T& found) {
    if (expected == found) return;
    if constexpr (std::is_arithmetic_v<T>)
        differs(what + ": expected " + std::to_string(expected) + ", found " + std::to_string(found));
    else differs(what + ": expected '" + expected + "', found '" + found + "'");
}

/// Rows in a map, under the oracle's weather and rival.
struct staged_store {
    const oracle::endpoint& told;
    std::map<regrant::row_key, regrant::grant> rows{};
    int finds = 0;
    int advances = 0;
    int revokes = 0;
    /// The rival's time: `advance` of a retry is given an older one.
    regrant::instant clock{};

    result<regrant::insert_outcome, outage> insert(const regrant::grant& row) {
        return rows.emplace(row.key, row).second ? regrant::insert_outcome::inserted
                                                 : regrant::insert_outcome::already_there;
    }
    result<std::optional<regrant::grant>, outage> find(const regrant::row_key& key) {
        ++finds;
        if (told.weather.find_down) return down();
        const auto found = rows.find(key);
        return found == rows.end() ? std::nullopt : std::optional(found->second);
    }
    result<regrant::advance_outcome, outage> advance(const regrant::row_key& key, regrant::generation expected,
                                                     regrant::generation next, regrant::instant now) {
        ++advances;
        if (told.weather.advance_down) return down();
        const auto found = rows.find(key);
        const auto outcome = found == rows.end() || overtaken(found) ? regrant::advance_outcome::refused
                                                                          : moved(found->second, expected, next, now);
        if (told.weather.advance_unheard) return down();
        return outcome;
    }
    result<void, outage> revoke(const regrant::row_key& key) {
        ++revokes;
        if (told.weather.revoke_down) return down();
        if (const auto found = rows.find(key); found != rows.end()) found->second.state = regrant::revocation::revoked;
        return {};
    }
    result<std::size_t, outage> revoke_subject(std::string_view subject) {
        std::size_t ended = 0;
        for (auto& [key, row] : rows)
            if (row.subject() == subject && std::exchange(row.state, regrant::revocation::revoked) ==
                                                regrant::revocation::live)
                ++ended;
        return ended;
    }

private:
    static regrant::advance_outcome moved(regrant::grant& row, regrant::generation expected, regrant::generation next,
                                          regrant::instant now) {
        if (row.state == regrant::revocation::revoked || row.current != expected)
            return regrant::advance_outcome::refused;
        row.current = next;
        row.used_at = (std::max)(row.used_at, now);
        return regrant::advance_outcome::advanced;
    }
    bool overtaken(std::map<regrant::row_key, regrant::grant>::iterator found) {
        using deed = oracle::rival::deed;
        if (told.rival.does == deed::nothing || advances > told.rival.times) return false;
        regrant::grant& row = found->second;
        if (told.rival.does == deed::refresh) {
            if (row.rotation == regrant::rotation::echo || row.current == regrant::last_generation) return false;
            row.current = next(row.current);
            row.used_at = (std::max)(row.used_at, clock);
        }
        if (told.rival.does == deed::revocation) row.state = regrant::revocation::revoked;
        if (told.rival.does == deed::loss) rows.erase(found);
        return told.rival.does != deed::refresh;
    }
};

struct staged_registry {
    const oracle::endpoint& told;
    std::map<std::string, regrant::client_ptr, std::less<>> clients{};

    result<regrant::client_ptr, outage> find(std::string_view id) {
        if (told.weather.registry_down) return down();
        const auto found = clients.find(id);
        return found == clients.end() ? regrant::client_ptr() : found->second;
    }
    result<bool, outage> allows_origin(std::string_view origin) {
        if (told.weather.registry_down) return down();
        for (const auto& [id, each] : clients)
            if (each->allows_origin(origin)) return true;
        return false;
    }
};

struct staged_hooks {
    const oracle::endpoint& told;
    int observed = 0;
    bool last_was_refused = false;

    result<regrant::account_standing, outage> check_account(const regrant::grant& login, const regrant::client&) {
        if (told.weather.account_down) return down();
        return told.denied_subjects.count(std::string(login.subject())) != 0 ? regrant::account_standing::denied
                                                                              : regrant::account_standing::good;
    }
    void observe(const regrant::decision& made) noexcept {
        ++observed;
        last_was_refused = made.refused.has_value();
    }
};

/// Counts in all its bytes, so that every run is alike.
struct counting_random {
    std::uint64_t count = 0;
    bool works = true;

    result<void, outage> fill(std::span<std::byte> to) {
        if (!works) return down();
        ++count;
        for (std::size_t i = 0; i != to.size(); ++i) to[i] = static_cast<std::byte>(count >> (8 * (i % 8)) & 0xFF);
        return {};
    }
};

struct staged_signer {
    const oracle::endpoint* told;
    std::string_view key_id() const { return "key-1"; }
    result<void, outage> sign(std::span<const std::string_view> inputs, std::span<regrant::signature> to) const {
        if (told->weather.signer_down) return down();
        for (std::size_t i = 0; i != inputs.size(); ++i) {
            to[i].bytes[0] = static_cast<std::byte>('s');
            to[i].size_bytes = 1;
        }
        return {};
    }
};

inline regrant::scope scope_of(const oracle::words& all) {
    return all.empty() ? regrant::scope() : regrant::scope::trusted(plain::joined(all));
}

inline regrant::client_ptr registered(const oracle::client& from) {
    using regrant::auth_method;
    const auto how = from.method == oracle::method::basic  ? auth_method::client_secret_basic
                     : from.method == oracle::method::post ? auth_method::client_secret_post
                                                           : auth_method::none;
    const auto turns = from.mode == oracle::mode::rotate ? regrant::rotation::rotate : regrant::rotation::echo;
    regrant::client made{from.id, *regrant::client_policy::checked(how, turns)};
    for (const oracle::kept_secret& each : from.secrets) {
        regrant::client_secret kept{*regrant::hash_client_secret(each.text)};
        if (each.expires_at) kept.expires_at = at(*each.expires_at);
        made.secrets.push_back(kept);
    }
    made.scope = scope_of(from.scope);
    if (!from.may_refresh) made.grant_types = {"client_credentials"};
    made.allowed_origins = from.origins;
    if (from.not_before) made.not_before = at(*from.not_before);
    if (from.lenient) made.decoding = regrant::basic_decoding::lenient;
    return std::make_shared<const regrant::client>(std::move(made));
}

inline regrant::token_keyring ring_of(const std::vector<int>& ids) {
    std::vector<regrant::token_key> keys;
    for (const int id : ids)
        keys.push_back({regrant::token_key_id{static_cast<std::uint8_t>(id)},
                        regrant::secret(std::string(32, static_cast<char>('A' + id)))});
    return *regrant::token_keyring::make(std::move(keys));
}

inline regrant::endpoint_settings settings_of(const oracle::rules& from, bool describes) {
    regrant::policy_settings times;
    times.idle_lifetime = seconds(from.idle / 1000);
    times.absolute_lifetime = seconds(from.absolute / 1000);
    times.retry_window = seconds(from.window / 1000);
    times.max_skew = seconds(from.skew / 1000);
    times.heal = from.heal == 0xFFFFFFFF ? regrant::heal_limit::unlimited() : regrant::heal_limit::at_most(from.heal);
    if (from.not_before) times.not_before = at(*from.not_before);
    regrant::endpoint_settings made;
    made.policy = *regrant::policy::make(times);
    made.replies.realm = "fuzz";
    if (describes) made.replies.descriptions = regrant::error_descriptions::on;
    if (from.cross_origin) made.replies.cross_origin = regrant::cross_origin::on;
    made.limits = {from.body_bytes, from.fields};
    return made;
}

} // namespace scene
