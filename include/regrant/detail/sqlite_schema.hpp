// regrant/detail/sqlite_schema.hpp - the file that the SQLite store keeps its rows in.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "../clock.hpp"
#include "../error.hpp"
#include "../grant.hpp"
#include "../lineage.hpp"
#include "../result.hpp"
#include "sqlite.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace regrant::inline v0::detail {

// The file holds enumerators as numbers.
static_assert(static_cast<int>(rotation::rotate) == 0 && static_cast<int>(rotation::echo) == 1);
static_assert(static_cast<int>(revocation::live) == 0 && static_cast<int>(revocation::revoked) == 1);

/// "RgNt", where SQLite notes what a file is for; the version of the schema stands beside it.
inline constexpr std::uint32_t sqlite_application_id = 0x5267'4E74;
inline constexpr std::uint32_t sqlite_schema_version = 1;

/// Times are milliseconds since 1970, `auth_time` seconds, as its claim counts them. 2^53 is far beyond any login and
/// leaves room to add a lifetime. No index holds a column that a refresh changes.
inline constexpr char sqlite_schema[] =
    "CREATE TABLE family (\n"
    "    key BLOB NOT NULL PRIMARY KEY CHECK (typeof(key) = 'blob' AND length(key) = 32),\n"
    "    client_id TEXT NOT NULL,\n"
    "    subject TEXT NOT NULL,\n"
    "    scope TEXT NOT NULL,\n"
    "    audience TEXT NOT NULL,\n"
    "    confirmation TEXT NOT NULL,\n"
    "    rotation INTEGER NOT NULL CHECK (rotation IN (0, 1)),\n"
    "    issued_at INTEGER NOT NULL CHECK (issued_at BETWEEN -9007199254740992 AND 9007199254740992),\n"
    "    expires_at INTEGER NOT NULL CHECK (expires_at BETWEEN -9007199254740992 AND 9007199254740992),\n"
    "    auth_time INTEGER CHECK (auth_time BETWEEN -9007199254740992 AND 9007199254740992),\n"
    "    current INTEGER NOT NULL CHECK (current BETWEEN 0 AND 4294967295),\n"
    "    used_at INTEGER NOT NULL CHECK (used_at BETWEEN -9007199254740992 AND 9007199254740992),\n"
    "    state INTEGER NOT NULL CHECK (state IN (0, 1))\n"
    ") WITHOUT ROWID;\n"
    "CREATE INDEX family_by_subject ON family (subject);\n"
    "CREATE INDEX family_by_expires_at ON family (expires_at);\n"
    "PRAGMA application_id = 1382502004;\n"
    "PRAGMA user_version = 1;\n";
/// Writes what stands in every version's file already: a commit that changes nothing.
inline constexpr char sqlite_mark[] = "PRAGMA application_id = 1382502004";
static_assert(sqlite_application_id == 1382502004 && sqlite_schema_version == 1);

enum sqlite_query : std::size_t {
    sqlite_query_insert,
    sqlite_query_find,
    sqlite_query_advance,
    sqlite_query_revoke,
    sqlite_query_revoke_subject,
    sqlite_query_list_subject,
    sqlite_query_reap,
    sqlite_query_any,
};

/// In the order of `sqlite_query`. No RETURNING: of an expression in a WITHOUT ROWID table it can be wrong (3.40).
inline constexpr const char* sqlite_queries[] = {
    "INSERT INTO family VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
    "SELECT * FROM family WHERE key = ?",
    "UPDATE family SET current = ?, used_at = max(used_at, ?) WHERE key = ? AND current = ? AND state = 0",
    "UPDATE family SET state = 1 WHERE key = ? AND state = 0",
    "UPDATE family SET state = 1 WHERE subject = ? AND state = 0",
    "SELECT * FROM family WHERE subject = ?",
    "DELETE FROM family WHERE key IN (SELECT key FROM family WHERE expires_at < ? LIMIT 256)",
    "SELECT 1 FROM family LIMIT 1",
};
inline constexpr std::size_t sqlite_reap_batch = 256;

/// Somebody else may have written the row, or a bad disk: nothing in it is believed unseen.
inline result<grant, outage> read_grant(sqlite3_stmt* row) {
    constexpr int auth_time = 9, columns = 13;
    const bool proven = sqlite3_column_type(row, auth_time) != SQLITE_NULL;
    row_key key;
    bool sound = sqlite3_column_type(row, 0) == SQLITE_BLOB &&
                 sqlite3_column_bytes(row, 0) == static_cast<int>(key.bytes.size());
    for (int i = 1; i != columns; ++i)
        sound = sound && (sqlite3_column_type(row, i) == (i < 6 ? SQLITE_TEXT : SQLITE_INTEGER) ||
                          (i == auth_time && !proven));
    if (sound) std::memcpy(key.bytes.data(), sqlite3_column_blob(row, 0), key.bytes.size());
    const auto text = [&](int column) {
        const auto* start = reinterpret_cast<const char*>(sqlite3_column_text(row, column));
        sound = sound && start != nullptr;
        const int size = sqlite3_column_bytes(row, column);
        return sound ? std::string_view(start, static_cast<std::size_t>(size)) : std::string_view();
    };
    const auto number = [&](int column, std::int64_t least, std::int64_t most) {
        const std::int64_t found = sqlite3_column_int64(row, column);
        sound = sound && least <= found && found <= most;
        return found;
    };
    const auto time = [&](int column) {
        return std::chrono::milliseconds(number(column, -(std::int64_t{1} << 53), std::int64_t{1} << 53));
    };
    grant found(key, {text(1), text(2), text(3), text(4), text(5)});
    found.rotation = rotation{static_cast<std::uint8_t>(number(6, 0, 1))};
    found.issued_at = instant(time(7));
    found.expires_at = instant(time(8));
    if (proven) found.auth_time = std::chrono::sys_seconds(std::chrono::seconds(time(auth_time).count()));
    found.current = generation{static_cast<std::uint32_t>(number(10, 0, 0xFFFF'FFFF))};
    found.used_at = instant(time(11));
    found.state = revocation{static_cast<std::uint8_t>(number(12, 0, 1))};
    if (!sound) return unexpected(outage{"SQLite: a row of the token store is damaged"});
    return found;
}

/// Holds a file against what a store looks like; makes one of an empty file. A foreign file stays as it is.
/// \return why it is refused
inline std::optional<std::string> make_or_check_schema(sqlite_connection& at) {
    using enum sqlite_header::kind;
    const sqlite_header seen = at.header();
    if (seen.what == unreadable) return "cannot be read";
    if (seen.what == foreign || (seen.what == sqlite && seen.application_id != sqlite_application_id))
        return "is no regrant token store";
    if (seen.user_version > sqlite_schema_version) return "was written by a newer version of regrant";
    if (sqlite3_db_readonly(at.raw(), "main") != 0) return "may not be written";
    // The second round is for an empty file, which another process may be filling at this moment. It is filled before
    // it is switched to a log, so that the first page always says whose it is.
    for (const bool filling : {false, true}) {
        if (!at.run(filling ? "BEGIN IMMEDIATE" : "BEGIN")) return at.message();
        const auto id = at.ask("PRAGMA application_id");
        const auto version = at.ask("PRAGMA user_version");
        const auto things = at.ask("SELECT count(*) FROM sqlite_master");
        if (!id || !version || !things) return at.message();
        if (id == std::to_string(sqlite_application_id)) {
            const bool ours = version == std::to_string(sqlite_schema_version);
            if (ours && at.run("ROLLBACK")) return std::nullopt;
            return ours ? at.message() : "has a schema that this version of regrant does not know";
        }
        if (id != "0" || version != "0" || things != "0") return "is no regrant token store";
        if (!at.run(filling ? sqlite_schema : "ROLLBACK")) return at.message();
    }
    return at.run("COMMIT") ? std::nullopt : std::optional(at.message());
}

} // namespace regrant::inline v0::detail
