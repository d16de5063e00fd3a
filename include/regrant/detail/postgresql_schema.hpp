// regrant/detail/postgresql_schema.hpp - the tables that the PostgreSQL store keeps its rows in.
// floor 4
// SPDX-License-Identifier: MIT
#pragma once

#include "../clock.hpp"
#include "../error.hpp"
#include "../grant.hpp"
#include "../lineage.hpp"
#include "../result.hpp"
#include "../token_store.hpp"
#include "libpq.hpp"
#include "libpq_connection.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

/// How a pooler between a store and its PostgreSQL server, if there is one, lends server connections.
enum class postgresql_pooling : std::uint8_t {
    /// There is none, or a client has a server connection for as long as it is connected.
    sessions,
    /// Each transaction may get another one: PgBouncer's `pool_mode = transaction`, RDS Proxy, Supavisor.
    transactions,
};

} // namespace regrant::inline v0

namespace regrant::inline v0::detail {

// The table knows enumerators as booleans.
static_assert(static_cast<int>(rotation::rotate) == 0 && static_cast<int>(rotation::echo) == 1);
static_assert(static_cast<int>(revocation::live) == 0 && static_cast<int>(revocation::revoked) == 1);

inline constexpr std::string_view postgresql_schema_version = "1";

/// Times are milliseconds since 1970, `auth_time` seconds, as its claim counts them; 2^53 is far beyond any login.
/// Text is kept as bytes: it comes back as it was given, whatever the database's encoding, and an index on it does
/// not depend on a collation, which may change with the operating system. No index holds a column that changes, and
/// every page keeps room for new versions of its rows, so that an update touches no index (HOT).
inline constexpr char postgresql_schema[] = R"(
CREATE TABLE regrant_schema (version integer NOT NULL);
INSERT INTO regrant_schema VALUES (1);
CREATE TABLE regrant_family (
    issued_at bigint NOT NULL CHECK (issued_at BETWEEN -9007199254740992 AND 9007199254740992),
    expires_at bigint NOT NULL CHECK (expires_at BETWEEN -9007199254740992 AND 9007199254740992),
    auth_time bigint CHECK (auth_time BETWEEN -9007199254740992 AND 9007199254740992),
    generation bigint NOT NULL CHECK (generation BETWEEN 0 AND 4294967295),
    used_at bigint NOT NULL CHECK (used_at BETWEEN -9007199254740992 AND 9007199254740992),
    echoes boolean NOT NULL,
    revoked boolean NOT NULL,
    row_key bytea NOT NULL PRIMARY KEY CHECK (octet_length(row_key) = 32),
    client_id bytea NOT NULL,
    subject bytea NOT NULL,
    scope bytea NOT NULL,
    audience bytea NOT NULL,
    confirmation bytea NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX regrant_family_subject ON regrant_family (subject);
CREATE INDEX regrant_family_expires_at ON regrant_family (expires_at);
COMMIT)";

/// Whether a failed statement was the victim of a deadlock or of a race, and so may be sent again (40P01, and 40001 where
/// the server's default isolation is stronger than a statement of ours needs).
constexpr bool was_rolled_back(std::string_view state) noexcept { return state == "40P01" || state == "40001"; }

/// How a store's statements reach the server.
struct postgresql_way {
    std::chrono::milliseconds timeout;
    postgresql_pooling pooling;
};

struct postgresql_query {
    const char* name;
    /// `{durable}` stands for a condition that is always true and has the commit wait for what `full` promises. It is a
    /// part of the statement, since a pooler may give each transaction another session.
    const char* sql;

    /// What is sent.
    std::string text(const postgresql_way& way) const {
        constexpr std::string_view mark = "{durable}";
        std::string condition =
            // What is stronger than `on` is left so. That a wait for a standby was cancelled, a warning tells.
            "set_config('synchronous_commit', CASE current_setting('synchronous_commit') "
            "WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true) <> '' "
            "AND set_config('client_min_messages', 'warning', true) <> ''";
        if (way.pooling == postgresql_pooling::transactions)
            condition += " AND set_config('lock_timeout', '" + std::to_string(way.timeout.count()) + "', true) <> ''";
        std::string made = sql;
        if (const auto at = made.find(mark); at != made.npos) made.replace(at, mark.size(), condition);
        return made;
    }
};

inline constexpr postgresql_query postgresql_insert{
    "regrant_insert", "INSERT INTO regrant_family (issued_at, expires_at, auth_time, generation, used_at, echoes, "
                      "revoked, row_key, client_id, subject, scope, audience, confirmation) SELECT $1::bigint, "
                      "$2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::bigint <> 0, $7::bigint <> 0, $8::bytea, "
                      "$9::bytea, $10::bytea, $11::bytea, $12::bytea, $13::bytea WHERE {durable} "
                      "ON CONFLICT (row_key) DO NOTHING"};
inline constexpr postgresql_query postgresql_find{
    "regrant_find", "SELECT issued_at, expires_at, auth_time, generation, used_at, echoes, revoked, row_key, "
                    "client_id, subject, scope, audience, confirmation FROM regrant_family WHERE row_key = $1"};
// Two that want one row wait for each other, and the second looks at what the first has left (READ COMMITTED).
inline constexpr postgresql_query postgresql_advance{
    "regrant_advance", "UPDATE regrant_family SET generation = $1, used_at = GREATEST(used_at, $2) "
                       "WHERE row_key = $3 AND generation = $4 AND NOT revoked AND {durable}"};
/// The same, without a wait for the disk: the setting ends with the statement.
inline constexpr postgresql_query postgresql_hasty_advance{
    "regrant_hasty_advance", "UPDATE regrant_family SET generation = $1, used_at = GREATEST(used_at, $2) "
                             "WHERE row_key = $3 AND generation = $4 AND NOT revoked "
                             "AND set_config('synchronous_commit', 'off', true) = 'off'"};
// These two write also where a row is revoked already, so that each answer waits until it is durable: somebody may have
// seen an outage while this server's commit stood, and its standby's did not.
inline constexpr postgresql_query postgresql_revoke{"regrant_revoke",
                                               "UPDATE regrant_family SET revoked = true WHERE row_key = $1 AND {durable}"};
/// Counts those that lived.
inline constexpr postgresql_query postgresql_revoke_subject{
    "regrant_revoke_subject",
    "WITH seen AS MATERIALIZED (SELECT row_key, revoked FROM regrant_family WHERE subject = $1 AND {durable} "
    "ORDER BY row_key FOR UPDATE), ended AS (UPDATE regrant_family AS row SET revoked = true FROM seen "
    "WHERE row.row_key = seen.row_key RETURNING seen.revoked) SELECT count(*) FROM ended WHERE NOT revoked"};
inline constexpr postgresql_query postgresql_list_subject{
    "regrant_list_subject", "SELECT issued_at, expires_at, auth_time, generation, used_at, echoes, revoked, row_key, "
                            "client_id, subject, scope, audience, confirmation FROM regrant_family WHERE subject = $1"};
// What it found is told apart from what it removed: another server may be removing the same rows.
inline constexpr postgresql_query postgresql_reap{
    "regrant_reap", "WITH due AS MATERIALIZED (SELECT row_key FROM regrant_family WHERE expires_at < $1 LIMIT 256), "
                    "gone AS (DELETE FROM regrant_family WHERE row_key IN (SELECT row_key FROM due) RETURNING 1) "
                    "SELECT (SELECT count(*) FROM due), (SELECT count(*) FROM gone)"};
inline constexpr std::int64_t postgresql_reap_batch = 256;

inline constexpr postgresql_query postgresql_any{"regrant_any", "SELECT 1 FROM regrant_family LIMIT 1"};

inline constexpr postgresql_query postgresql_queries[] = {
    postgresql_insert,         postgresql_find,         postgresql_advance, postgresql_hasty_advance, postgresql_revoke,
    postgresql_revoke_subject, postgresql_list_subject, postgresql_reap,    postgresql_any,
};

/// Somebody else may have written the row, or a bad disk: nothing in it is believed unseen.
inline result<grant, outage> read_grant(const libpq_rows& rows, int row) {
    bool sound = true;
    const auto number = [&](int column, std::int64_t least, std::int64_t most) {
        const auto found = rows.number(row, column);
        sound = sound && found && least <= *found && *found <= most;
        return sound ? *found : 0;
    };
    const auto time = [&](int column) {
        return std::chrono::milliseconds(number(column, -(std::int64_t{1} << 53), std::int64_t{1} << 53));
    };
    const auto text = [&](int column) { return rows.bytes(row, column); };
    row_key key;
    if (text(7).size() == key.bytes.size()) std::memcpy(key.bytes.data(), text(7).data(), key.bytes.size());
    else sound = false;
    grant found(key, {text(8), text(9), text(10), text(11), text(12)});
    found.issued_at = instant(time(0));
    found.expires_at = instant(time(1));
    if (!rows.is_null(row, 2)) found.auth_time = std::chrono::sys_seconds(std::chrono::seconds(time(2).count()));
    found.current = generation{static_cast<std::uint32_t>(number(3, 0, 0xFFFF'FFFF))};
    found.used_at = instant(time(4));
    found.rotation = rotation{static_cast<std::uint8_t>(number(5, 0, 1))};
    found.state = revocation{static_cast<std::uint8_t>(number(6, 0, 1))};
    if (!sound) return unexpected(outage{"PostgreSQL: a row of the token store is damaged"});
    return found;
}

inline void bind_row(libpq_values& values, const grant& row) noexcept {
    std::optional<std::int64_t> proven;
    if (row.auth_time) proven = row.auth_time->time_since_epoch().count();
    values.bind(row.issued_at).bind(row.expires_at).bind(proven).bind(row.current).bind(row.used_at);
    values.bind(static_cast<std::int64_t>(row.rotation)).bind(static_cast<std::int64_t>(row.state));
    values.bind(row.key).bind(row.client_id()).bind(row.subject()).bind(row.scope());
    values.bind(row.audience()).bind(row.confirmation());
}

inline result<std::optional<grant>, outage> read_found(const result<libpq_rows, outage>& rows) {
    if (!rows) return unexpected(rows.error());
    if (rows->size() == 0) return std::nullopt;
    auto found = read_grant(*rows, 0);
    if (!found) return unexpected(std::move(found).error());
    return *std::move(found);
}

/// One damaged row makes it an outage: a page of logins that hides one would be worse.
inline result<std::vector<grant>, outage> read_all(const result<libpq_rows, outage>& rows) {
    if (!rows) return unexpected(rows.error());
    std::vector<grant> all;
    for (int i = 0; i != rows->size(); ++i) {
        auto found = read_grant(*rows, i);
        if (!found) return unexpected(std::move(found).error());
        all.push_back(*std::move(found));
    }
    return all;
}

/// How many rows a write says that it ended.
inline result<std::size_t, outage> read_ended(const result<libpq_rows, outage>& rows) {
    if (!rows) return unexpected(rows.error());
    const auto count = rows->size() == 1 ? rows->number(0, 0) : std::nullopt;
    if (!count || *count < 0) return unexpected(outage{"PostgreSQL: the answer to a revoke is no number"});
    return static_cast<std::size_t>(*count);
}

inline result<insert_outcome, outage> read_inserted(const result<libpq_rows, outage>& rows) {
    if (!rows) return unexpected(rows.error());
    return rows->changed() == 1 ? insert_outcome::inserted : insert_outcome::already_there;
}

inline result<advance_outcome, outage> read_advanced(const result<libpq_rows, outage>& rows) {
    if (!rows) return unexpected(rows.error());
    return rows->changed() == 1 ? advance_outcome::advanced : advance_outcome::refused;
}

/// What is asked first on a fresh connection, and, unless each transaction may get another session, set for all that
/// follow.
inline std::string postgresql_session(const postgresql_way& way) {
    const std::string timeout = std::to_string(way.timeout.count());
    std::string sql =
        "SELECT pg_is_in_recovery(), current_setting('transaction_read_only'), "
        // No timeout of the server's ends a wait for a standby, nor does it notice that its client has gone. So
        // calls that were given up would fill the server: whoever connects next ends their waits.
        "(SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep' "
        "AND usename = current_user AND datname = current_database() AND query LIKE '%regrant_family%' "
        "AND clock_timestamp() - state_change > " + timeout + " * interval '1 ms')";
    if (way.pooling == postgresql_pooling::transactions) return sql;
    // A plan made while the table was small must not go on to read it from end to end when it has grown: hence no
    // sequential scan.
    return sql + ", set_config('statement_timeout', '" + timeout +
           "', false), set_config('default_transaction_isolation', 'read committed', false), "
           "set_config('enable_seqscan', 'off', false), set_config('jit', 'off', false)";
}

/// Holds what that gave against what a store needs.
inline result<void, outage> check_session(const libpq_rows& seen) {
    if (seen.bytes(0, 0) != "f") return unexpected(outage{"PostgreSQL: the server is a standby"});
    if (seen.bytes(0, 1) != "off") return unexpected(outage{"PostgreSQL: the database is read-only"});
    return {};
}

inline result<void, outage> make_session(libpq_connection& at, const postgresql_way& way,
                                         libpq_connection::time_point until) {
    const auto seen = at.run(postgresql_session(way), until);
    return seen ? check_session(*seen) : unexpected(seen.error());
}

inline result<void, outage> prepare_queries(libpq_connection& at, const postgresql_way& way,
                                            libpq_connection::time_point until) {
    // What is prepared belongs to a session.
    if (way.pooling == postgresql_pooling::transactions) return {};
    for (const postgresql_query& each : postgresql_queries)
        if (const auto made = at.prepare(each.name, each.text(way), until); !made) return unexpected(made.error());
    return {};
}

inline constexpr const char* transaction_pooler_words =
    "a pooler that pools transactions stands before the server: let it pool sessions, or open the store with "
    "postgresql_pooling::transactions";

/// Names the pooler where a statement that was prepared is unknown (26000), or one that is to be is there (42P05).
inline outage with_cause(outage failed, std::string_view state) {
    if (state == "26000" || state == "42P05") failed.detail += std::string("; ") + transaction_pooler_words;
    return failed;
}

/// Whether two connections that are idle share one server process, as only a pooler of transactions lets them.
/// \param one  open
inline bool has_transaction_pooler(libpq_connection& one, const libpq_options& options,
                                   libpq_connection::time_point until) {
    const auto process_of = [&](libpq_connection& at) -> std::string {
        const auto told = at.run("SELECT pg_backend_pid()", until);
        return told ? std::string(told->bytes(0, 0)) : std::string();
    };
    // A server tells the number of its own process, a pooler some other number.
    if (const auto own = process_of(one); own.empty() || own == std::to_string(one.process())) return false;
    libpq_connection other;
    // One that lets nobody in as long as the first is open keeps a session for each.
    if (!other.open(options, until)) return false;
    // Others who use the pooler may come between two of these.
    for (int i = 0; i != 8; ++i)
        if (const auto seen = process_of(other); !seen.empty() && seen == process_of(one)) return true;
    return false;
}

/// Holds the first schema of the search path against what a store looks like; fills one that has none.
/// \return why it is refused
inline std::optional<std::string> make_or_check_schema(libpq_connection& at, libpq_connection::time_point until) {
    // The second round is for a schema without a store, which another server may be filling at this moment.
    for (const bool filling : {false, true}) {
        if (filling)
            if (const auto alone = at.run("BEGIN; SELECT pg_advisory_xact_lock(5936428674130726516)", until); !alone)
                return alone.error().detail;
        const auto seen = at.run("SELECT coalesce(current_schema(), ''), (SELECT count(*) FROM pg_class "
                                 "WHERE relname IN ('regrant_schema', 'regrant_family') AND relnamespace = (SELECT "
                                 "oid FROM pg_namespace WHERE nspname = current_schema()))",
                                 until);
        if (!seen) return seen.error().detail;
        if (seen->bytes(0, 0).empty()) return "no schema of its search_path exists";
        if (seen->bytes(0, 1) == "2") {
            const auto noted = at.run("SELECT max(version), max(version) > " +
                                          std::string(postgresql_schema_version) + " FROM regrant_schema",
                                      until);
            if (!noted) return noted.error().detail;
            if (noted->bytes(0, 1) == "t") return "its tables were made by a newer version of regrant";
            if (noted->bytes(0, 0) != postgresql_schema_version)
                return "its tables are of a version that this regrant does not know";
            if (!filling) return std::nullopt;
            const auto left = at.run("ROLLBACK", until);
            return left ? std::nullopt : std::optional(left.error().detail);
        }
        if (seen->bytes(0, 1) != "0") return "one of its tables regrant_schema and regrant_family is missing";
    }
    const auto filled = at.run(postgresql_schema, until);
    return filled ? std::nullopt : std::optional(filled.error().detail);
}

} // namespace regrant::inline v0::detail
