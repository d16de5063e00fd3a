// regrant/detail/redis_words.hpp - what Redis is asked for, put into commands, with what its answers mean.
// floor 5
// SPDX-License-Identifier: MIT
#pragma once

#include "../base64.hpp"
#include "../clock.hpp"
#include "../error.hpp"
#include "../grant.hpp"
#include "../hash.hpp"
#include "../lineage.hpp"
#include "../result.hpp"
#include "../token_store.hpp"
#include "hiredis.hpp"
#include "redis_course.hpp"
#include "redis_row.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0::detail {

/// The commands of a store.
struct redis_words {
    using weight = redis_request::weight;

    /// What all keys begin with.
    std::string prefix;
    /// By which the servers know the scripts.
    std::array<std::string, redis_scripts.size()> hashes;

    std::string row_name(const row_key& key) const { return prefix + "f:" + base64url(key.bytes); }

    result<std::string, outage> index_name(std::string_view subject) const {
        const auto hashed = regrant::sha256(subject);
        if (!hashed) return unexpected(hashed.error());
        return prefix + "s:" + base64url(*hashed);
    }

    /// A script by its hash, or with its text where the server has lost it.
    redis_request script(redis_script which, std::string key, std::initializer_list<std::string_view> arguments,
                         weight how = weight::forgettable) const {
        std::array<std::string_view, 7> words{"EVALSHA", hashes[which], "1", key};
        const auto end = std::copy(arguments.begin(), arguments.end(), words.begin() + 4);
        const std::span all(words.begin(), end);
        redis_request asked{{}, redis_command(all), {}, how};
        words[0] = "EVAL";
        words[1] = redis_scripts[which];
        asked.in_full = redis_command(all);
        asked.key = std::move(key);
        return asked;
    }

    /// What comes before an insert.
    result<redis_request, outage> list(const grant& row) const {
        if (!has_storable_times(row)) return unexpected(outage{"Redis: a time of the row is out of range"});
        auto index = index_name(row.subject());
        if (!index) return unexpected(std::move(index).error());
        return script(script_index, *std::move(index), {redis_bytes(row.key), redis_forget_at(row)}, weight::kept);
    }
    redis_request insert(const grant& row) const {
        std::string key = row_name(row.key);
        auto set = redis_command({"SET", key, redis_pack(row), "NX", "PXAT", redis_forget_at(row)});
        return {std::move(key), std::move(set), {}, weight::kept};
    }
    redis_request find(const row_key& key) const {
        std::string where = row_name(key);
        auto get = redis_command({"GETEX", where});
        return {std::move(where), std::move(get)};
    }
    redis_request advance(const row_key& key, generation expected, generation next, instant now) const {
        return script(script_advance, row_name(key),
                      {redis_live_at(expected), redis_bytes(next), redis_bytes(now)});
    }
    redis_request revoke(const row_key& key) const { return script(script_revoke, row_name(key), {}, weight::kept); }
    /// The same asked of many rows.
    std::vector<redis_request> each(const std::vector<row_key>& keys,
                                    redis_request (redis_words::*asked)(const row_key&) const) const {
        std::vector<redis_request> all;
        all.reserve(keys.size());
        for (const row_key& key : keys) all.push_back((this->*asked)(key));
        return all;
    }
    result<redis_request, outage> read_index(std::string_view subject) const {
        auto index = index_name(subject);
        if (!index) return unexpected(std::move(index).error());
        return script(script_read_index, *std::move(index), {});
    }

    using answer = result<redis_reply, outage>;

    static result<insert_outcome, outage> inserted(const answer& made) {
        if (!made) return unexpected(made.error());
        return (**made).is_nil() ? insert_outcome::already_there : insert_outcome::inserted;
    }
    static result<advance_outcome, outage> advanced(const answer& moved) {
        if (!moved) return unexpected(moved.error());
        return (**moved).integer() == 1 ? advance_outcome::advanced : advance_outcome::refused;
    }
    static result<void, outage> revoked(const answer& ended) {
        return ended ? result<void, outage>() : unexpected(ended.error());
    }
    result<std::optional<grant>, outage> found(const row_key& key, const answer& bytes) const {
        if (!bytes) return unexpected(bytes.error());
        if ((**bytes).is_nil()) return std::nullopt;
        auto row = redis_unpack(key, (**bytes).text());
        if (!row) return unexpected(outage{"Redis: the row at " + row_name(key) + " is damaged"});
        return row;
    }
    /// The rows that an index names.
    static std::vector<row_key> listed(redis_value index) {
        std::vector<row_key> all;
        for (std::size_t i = 0; i != index.size(); ++i)
            if (const auto key = redis_row_key(index[i].text())) all.push_back(*key);
        return all;
    }
};

/// A user's rows, as they are found.
struct redis_subject_rows {
    /// Nothing where the index could not be read.
    std::optional<std::vector<grant>> all{};
    std::optional<outage> failed{};
    std::size_t ended = 0;

    void add(result<std::optional<grant>, outage> row, std::string_view subject) {
        // The index may name a row that was refused to this user's login, or never came.
        if (!row) failed = std::move(row).error();
        else if (*row && (*row)->subject() == subject) all->push_back(**std::move(row));
    }

    /// In which order to revoke them: the live ones first, so that each try gets further. One that is revoked is
    /// written again where a replica or a file may not have it yet.
    std::vector<row_key> to_revoke(const redis_acknowledgement& wanted) const {
        std::vector<row_key> keys;
        for (const revocation state : {revocation::live, revocation::revoked})
            for (const grant& row : *all)
                if (row.state == state && (state == revocation::live || wanted.is_wanted())) keys.push_back(row.key);
        return keys;
    }
    void note_revoked(const redis_words::answer& done) {
        if (done) ended += (**done).integer() == 1 ? 1U : 0U;
        else failed = done.error();
    }
};

} // namespace regrant::inline v0::detail
