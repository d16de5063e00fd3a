// tests/stores/postgresql_scene.hpp - the PostgreSQL servers that the tests of its stores use, seen from outside.
// SPDX-License-Identifier: MIT
#pragma once

#include "scene.hpp"

#include <libpq-fe.h>

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace scene {

inline std::string server() { return from_environment("REGRANT_POSTGRESQL"); }
inline std::string standby() { return from_environment("REGRANT_POSTGRESQL_STANDBY"); }

/// Kills, starts, freezes or thaws the server.
inline void control(const std::string& what) {
    REQUIRE(std::system((from_environment("REGRANT_POSTGRESQL_CONTROL") + " " + what).c_str()) == 0);
}

/// The server as somebody else uses it.
struct raw_connection {
    explicit raw_connection(const std::string& to = server()) : db(PQconnectdb(to.c_str()), PQfinish) {
        INFO(PQerrorMessage(db.get()));
        REQUIRE(PQstatus(db.get()) == CONNECTION_OK);
        PQsetNoticeProcessor(db.get(), [](void*, const char*) {}, nullptr);
    }
    /// \return the first column of the first row
    std::string run(const std::string& sql) {
        const std::unique_ptr<PGresult, void (*)(PGresult*)> done(PQexec(db.get(), sql.c_str()), PQclear);
        INFO(sql << ": " << PQresultErrorMessage(done.get()));
        const auto status = PQresultStatus(done.get());
        REQUIRE((status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK));
        return status == PGRES_TUPLES_OK && PQntuples(done.get()) > 0 ? PQgetvalue(done.get(), 0, 0) : "";
    }
    /// The same, where it may fail. \return nothing then
    std::string ask(const std::string& sql) {
        const std::unique_ptr<PGresult, void (*)(PGresult*)> done(PQexec(db.get(), sql.c_str()), PQclear);
        return PQntuples(done.get()) > 0 ? PQgetvalue(done.get(), 0, 0) : "";
    }
    std::unique_ptr<PGconn, void (*)(PGconn*)> db;
};

/// How many of our connections wait for a lock.
inline int waiting_for_a_lock(raw_connection& seen_by) {
    return std::stoi(seen_by.run("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'regrant' "
                                 "AND wait_event_type = 'Lock'"));
}

/// A schema of its own for each test. \return the connection string for it
inline std::string fresh_schema() {
    static int count = 0;
    const std::string name = "test_" + std::to_string(getpid()) + "_" + std::to_string(++count);
    raw_connection().run("CREATE SCHEMA " + name);
    return server() + " options='-c search_path=" + name + "'";
}

inline const instant noon(std::chrono::milliseconds(1'800'000'000'123));

inline row_key key_of(unsigned number) {
    row_key key;
    for (std::size_t i = 0; i != key.bytes.size(); ++i) key.bytes[i] = static_cast<std::byte>(number * 7 + i);
    key.bytes[0] = static_cast<std::byte>(number);
    key.bytes[1] = static_cast<std::byte>(number >> 8);
    return key;
}

inline std::string hex_of(const row_key& key) {
    std::string text = "'\\x";
    for (const std::byte each : key.bytes) {
        text += "0123456789abcdef"[std::to_integer<unsigned>(each) >> 4];
        text += "0123456789abcdef"[std::to_integer<unsigned>(each) & 15];
    }
    return text + "'";
}

inline grant row_of(unsigned number, std::string_view subject = "alice") {
    grant row(key_of(number), {"web", subject, "openid profile"});
    row.issued_at = row.used_at = noon;
    row.expires_at = noon + 24h;
    return row;
}

/// As a failover to an older copy does.
inline void set_back(const std::string& at, const row_key& key, generation to) {
    raw_connection(at).run("UPDATE regrant_family SET generation = " + std::to_string(static_cast<std::uint32_t>(to)) +
                           " WHERE row_key = " + hex_of(key));
}

inline void cut_connections() {
    raw_connection().run("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                         "WHERE application_name = 'regrant'");
}

} // namespace scene
