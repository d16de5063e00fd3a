// regrant/token_store.hpp - the four promises a refresh token store keeps.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "clock.hpp"
#include "error.hpp"
#include "grant.hpp"
#include "lineage.hpp"
#include "result.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace regrant::inline v0 {

enum class insert_outcome : std::uint8_t { inserted, already_there };
enum class advance_outcome : std::uint8_t { advanced, refused };

/// `insert(grant)` adds a row unless its key is there already; it never touches an existing one.
template <class Store>
concept can_insert = requires(Store& store, const grant& row) {
    { store.insert(row) } -> std::same_as<result<insert_outcome, outage>>;
};

/// `find(key)` sees every write that was answered before it began: no replica, no cache.
template <class Store>
concept can_find = requires(Store& store, const row_key& key) {
    { store.find(key) } -> std::same_as<result<std::optional<grant>, outage>>;
};

/// `advance(key, expected, next, now)` is one atomic step: if the row exists, is live and stands at `expected`, it
/// moves to `next` and its `used_at` to the later of itself and `now`; else nothing changes and it is refused.
/// `next == expected` is how an answer is confirmed, and counts as a write. A repeated answer is confirmed with the
/// time it saw, so no column changes: count the rows that matched, not those that differ.
template <class Store>
concept can_advance = requires(Store& store, const row_key& key, generation expected, instant now) {
    { store.advance(key, expected, expected, now) } -> std::same_as<result<advance_outcome, outage>>;
};

/// `revoke(key)` ends a family for good and answers only when that is durable; a missing row is no error.
template <class Store>
concept can_revoke = requires(Store& store, const row_key& key) {
    { store.revoke(key) } -> std::same_as<result<void, outage>>;
};

/// Where grants are kept: one row per login, and a compare-and-set on it.
///
/// Each operation touches one key, so any engine with a conditional update will do, and it shards by key. All are
/// called from many threads at once. A store may lose advances when it fails over (they heal), never a revoke. One that
/// reads a time beyond the year 9999 from a damaged disk gives an outage: a sum with a lifetime could overflow.
template <class Store>
concept token_store = can_insert<Store> && can_find<Store> && can_advance<Store> && can_revoke<Store>;

/// `revoke_subject(subject)` revokes every family of a user whose insert had been answered before it began (R50).
/// \return how many families it ended
template <class Store>
concept can_revoke_subject = requires(Store& store, std::string_view subject) {
    { store.revoke_subject(subject) } -> std::same_as<result<std::size_t, outage>>;
};

/// `list_subject(subject)` gives a user's rows, for a page that shows where they are logged in.
template <class Store>
concept can_list_subject = requires(Store& store, std::string_view subject) {
    { store.list_subject(subject) } -> std::same_as<result<std::vector<grant>, outage>>;
};

/// `reap(now)` forgets rows past their `expires_at`, which no token brings back; never a row that may still
/// recognise a replay.
/// \return how many rows it removed
template <class Store>
concept can_reap = requires(Store& store, instant now) {
    { store.reap(now) } -> std::same_as<result<std::size_t, outage>>;
};

/// `is_empty()` says whether the store holds no row at all: a server that has just made a new token key must not find
/// logins whose tokens were sealed by another one.
template <class Store>
concept can_tell_emptiness = requires(Store& store) {
    { store.is_empty() } -> std::same_as<result<bool, outage>>;
};

namespace detail {

/// Tells the author of a store what to write; each message is a signature.
template <class Store> constexpr void explain_token_store() {
    static_assert(can_insert<Store>, "a token_store needs: result<insert_outcome, outage> insert(const grant&)");
    static_assert(can_find<Store>, "a token_store needs: result<std::optional<grant>, outage> find(const row_key&)");
    static_assert(can_advance<Store>, "a token_store needs: result<advance_outcome, outage> advance(const row_key&, "
                                      "generation expected, generation next, instant now)");
    static_assert(can_revoke<Store>, "a token_store needs: result<void, outage> revoke(const row_key&)");
}

} // namespace detail

} // namespace regrant::inline v0
