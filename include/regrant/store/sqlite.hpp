// regrant/store/sqlite.hpp - a token_store in one SQLite file, the durable default for a single machine.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../clock.hpp"
#include "../detail/sqlite.hpp"
#include "../detail/sqlite_schema.hpp"
#include "../error.hpp"
#include "../grant.hpp"
#include "../lineage.hpp"
#include "../result.hpp"
#include "../token_store.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

/// What a power failure may take; a killed process loses nothing either way.
enum class sqlite_synchronous : std::uint8_t {
    /// Nothing that was answered.
    full,
    /// The last advances, in exchange for refreshes that do not wait for the disk.
    normal,
};

struct sqlite_settings {
    sqlite_synchronous synchronous = sqlite_synchronous::full;
    /// How long an operation waits for other writers before it is an outage; at most an hour. Keep it well below the
    /// policy's retry window, so that the client's next try still finds the window open (R51).
    std::chrono::milliseconds busy_timeout = std::chrono::seconds(5);
};

/// Keeps grants in one file of one machine, for any number of threads and processes.
///
///     auto store = regrant::sqlite_store::open("/var/lib/login/tokens.db");
///     if (!store) return fail(store.error().message);
///     regrant::token_endpoint endpoint(*store, registry, issuer, std::move(keyring));
///
/// What it promises:
/// - A killed process loses nothing that was answered. What was not answered may have happened or not; the same
///   token works again within the retry window (R51).
/// - A power failure takes nothing either with `full`, the default: SQLite syncs its log before a commit is seen by
///   anyone. With `normal` that holds for inserts and revokes still: they are made on a connection of their own
///   with synchronous=FULL, and to sync the log is to sync all that stands in it, earlier advances too. The advances
///   since then may be lost; the rows fall behind their tokens, and each heals when its token comes, if the policy's
///   `heal` allows for that many generations (R53). Until then a superseded token that is ahead of its row passes.
/// - This holds where a sync reaches the disk. It is false of network file systems, whose locks are worse still: the
///   file stays on a disk of the machine that uses it.
///
/// Backup: never copy the file alone while it is open, the newest writes stand in `-wal` beside it. Use
/// `sqlite3 tokens.db ".backup copy.db"`. A restored copy has forgotten the revokes made since, so set
/// `policy_settings::not_before` to the time of the restore: everybody logs in again, and nobody stays in who had been
/// thrown out. Nothing in the file is a token or can be made into one (R36); it names users and their clients.
///
/// Rows of dead logins stay until `reap` removes them: call it now and then, from one process.
///
/// Open it after a `fork`, not before. With several processes use SQLite 3.51.3 or a distribution that has mended the
/// "WAL-reset bug": before, two processes that write and checkpoint in one instant could damage the file. Within one
/// process the queue of writers keeps them apart.
class sqlite_store {
public:
    /// Opens the file, or makes it with mode 0600; its directory must be there.
    ///
    /// \par Errors
    /// a path that cannot be opened for writing; a file that is no token store, or one of a newer schema, and it is
    /// left as it was; a file system without locks or shared memory; a timeout that is negative or over an hour
    static result<sqlite_store, setup_error> open(const std::string& path, sqlite_settings settings = {}) {
        using detail::sqlite_connection;
        const auto refuse = [&](const std::string& why) {
            return unexpected(setup_error{"the token store \"" + path + "\": " + why});
        };
        if (settings.busy_timeout < settings.busy_timeout.zero() || settings.busy_timeout > std::chrono::hours(1))
            return refuse("the busy timeout must be between zero and an hour");
        if (sqlite3_threadsafe() == 0) return refuse("SQLite was built without support for threads");
        if (path.empty() || path.find('\0') != path.npos) return refuse("the path is empty or holds a NUL");
        // SQLite finds a meaning in "file:..." and ":memory:"; an absolute path has none.
        std::error_code error;
        const std::string absolute = std::filesystem::absolute(path, error).string();
        if (error) return refuse(error.message());
        const detail::sqlite_file file(absolute);
        if (!file.fault.empty()) return refuse(file.fault);

        auto opened = std::make_unique<connections>();
        opened->busy_timeout = settings.busy_timeout;
        sqlite_connection& first = opened->writer;
        const auto ready = [&](sqlite_connection& each, const char* synchronous) {
            each.deadline = opened->deadline();
            // A broken page is told as soon as it is read, and no mapped page turns a lost disk into a signal.
            return (each.is_open() || each.open(absolute)) &&
                   each.run("PRAGMA cell_size_check = 1; PRAGMA mmap_size = 0") &&
                   each.run("PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1") && each.run(synchronous) &&
                   each.prepare(detail::sqlite_queries);
        };
        first.deadline = opened->deadline();
        if (!first.open(absolute)) return refuse(first.message());
        if (const auto why = detail::make_or_check_schema(first)) return refuse(*why);
        if (!first.run("PRAGMA journal_mode = WAL")) return refuse(first.message());
        if (first.ask("PRAGMA journal_mode") != "wal") return refuse("its file system takes no write-ahead log");
        if (!ready(first, "PRAGMA synchronous = FULL")) return refuse(first.message());
        if (settings.synchronous == sqlite_synchronous::normal &&
            !ready(opened->relaxed, "PRAGMA synchronous = NORMAL"))
            return refuse(opened->relaxed.message());
        for (sqlite_connection& each : opened->readers)
            if (!ready(each, "PRAGMA query_only = 1")) return refuse(each.message());
        return sqlite_store(std::move(opened));
    }

    result<insert_outcome, outage> insert(const grant& row) {
        auto call = writing(at_->writer, detail::sqlite_query_insert);
        std::optional<std::int64_t> proven;
        if (row.auth_time) proven = row.auth_time->time_since_epoch().count();
        call.bind(row.key).bind(row.client_id()).bind(row.subject()).bind(row.scope()).bind(row.audience());
        call.bind(row.confirmation()).bind(static_cast<std::int64_t>(row.rotation)).bind(row.issued_at);
        call.bind(row.expires_at).bind(proven).bind(row.current).bind(row.used_at);
        const auto made = call.bind(static_cast<std::int64_t>(row.state)).write();
        if (!made) return unexpected(made.error());
        return *made == 1 ? insert_outcome::inserted : insert_outcome::already_there;
    }

    result<std::optional<grant>, outage> find(const row_key& key) {
        auto call = reading(detail::sqlite_query_find);
        const auto row = call.bind(key).next();
        if (!row) return unexpected(row.error());
        if (*row == nullptr) return std::nullopt;
        auto found = detail::read_grant(*row);
        if (!found) return unexpected(std::move(found).error());
        return *std::move(found);
    }

    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next, instant now) {
        auto call = writing(at_->hasty(), detail::sqlite_query_advance);
        const auto moved = call.bind(next).bind(now).bind(key).bind(expected).write();
        if (!moved) return unexpected(moved.error());
        return *moved == 1 ? advance_outcome::advanced : advance_outcome::refused;
    }

    result<void, outage> revoke(const row_key& key) {
        auto call = writing(at_->writer, detail::sqlite_query_revoke);
        if (const auto ended = committed(call.bind(key)); !ended) return unexpected(ended.error());
        return {};
    }

    result<std::size_t, outage> revoke_subject(std::string_view subject) {
        auto call = writing(at_->writer, detail::sqlite_query_revoke_subject);
        return committed(call.bind(subject));
    }

    /// One damaged row makes it an outage: a page of logins that hides one would be worse.
    result<std::vector<grant>, outage> list_subject(std::string_view subject) {
        auto call = reading(detail::sqlite_query_list_subject);
        call.bind(subject);
        std::vector<grant> all;
        while (true) {
            const auto row = call.next();
            if (!row) return unexpected(row.error());
            if (*row == nullptr) return all;
            auto found = detail::read_grant(*row);
            if (!found) return unexpected(std::move(found).error());
            all.push_back(*std::move(found));
        }
    }

    result<bool, outage> is_empty() {
        auto call = reading(detail::sqlite_query_any);
        const auto row = call.next();
        if (!row) return unexpected(row.error());
        return *row == nullptr;
    }

    /// Removes the rows past their `expires_at`; nothing else does. The file does not shrink, its pages are used again.
    ///
    /// Works in small batches and rests after each as long as it took, so that writers of other processes, who look
    /// in from time to time, get their turn. An outage halfway leaves the rest for the next time.
    result<std::size_t, outage> reap(instant now) {
        std::size_t removed = 0;
        while (true) {
            const auto begun = std::chrono::steady_clock::now();
            const auto batch = writing(at_->hasty(), detail::sqlite_query_reap).bind(now).write();
            if (!batch) return unexpected(batch.error());
            removed += *batch;
            if (*batch < detail::sqlite_reap_batch) return removed;
            std::this_thread::sleep_for(std::chrono::steady_clock::now() - begun);
        }
    }

private:
    struct connections {
        std::chrono::milliseconds busy_timeout{};
        /// Durable at each commit. Its mutex is the queue of this process's writers.
        detail::sqlite_connection writer;
        /// Commits without a sync, in the same queue; closed where all is durable.
        detail::sqlite_connection relaxed;
        std::array<detail::sqlite_connection, 4> readers;
        std::atomic<unsigned> turn{0};

        std::chrono::steady_clock::time_point deadline() const {
            return std::chrono::steady_clock::now() + busy_timeout;
        }
        detail::sqlite_connection& hasty() noexcept { return relaxed.is_open() ? relaxed : writer; }
    };

    explicit sqlite_store(std::unique_ptr<connections> opened) noexcept : at_(std::move(opened)) {}

    /// Ends rows. Where all of them are revoked already, that may stand unsynced in the log, written by a process that
    /// died amid its commit: then another commit, of what is there, takes it to the disk before this is answered.
    result<std::size_t, outage> committed(detail::sqlite_call& call) {
        auto ended = call.write();
        if (ended && *ended == 0 && !at_->writer.run(detail::sqlite_mark))
            return unexpected(outage{at_->writer.message()});
        return ended;
    }

    detail::sqlite_call writing(detail::sqlite_connection& with, detail::sqlite_query query) {
        const auto until = at_->deadline();
        return {std::unique_lock(at_->writer.in_use, until), with, query, until};
    }

    detail::sqlite_call reading(detail::sqlite_query query) {
        const auto until = at_->deadline();
        const std::size_t turn = at_->turn.fetch_add(1, std::memory_order_relaxed);
        const auto reader = [&](std::size_t i) -> detail::sqlite_connection& {
            return at_->readers[(turn + i) % at_->readers.size()];
        };
        for (std::size_t i = 0; i != at_->readers.size(); ++i)
            if (std::unique_lock lock(reader(i).in_use, std::try_to_lock); lock)
                return {std::move(lock), reader(i), query, until};
        return {std::unique_lock(reader(0).in_use, until), reader(0), query, until};
    }

    std::unique_ptr<connections> at_;
};

} // namespace regrant::inline v0
