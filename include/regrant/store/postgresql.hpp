// regrant/store/postgresql.hpp - a token_store in a PostgreSQL database, for any number of machines.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../clock.hpp"
#include "../detail/connection_pool.hpp"
#include "../detail/libpq.hpp"
#include "../detail/libpq_connection.hpp"
#include "../detail/postgresql_schema.hpp"
#include "../error.hpp"
#include "../grant.hpp"
#include "../lineage.hpp"
#include "../result.hpp"
#include "../token_store.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

/// What a server that dies may take with it.
enum class postgresql_synchronous : std::uint8_t {
    /// Nothing that was answered.
    full,
    /// The last advances, in exchange for refreshes that wait neither for the disk nor for a standby.
    normal,
};

struct postgresql_settings {
    postgresql_synchronous synchronous = postgresql_synchronous::full;
    /// How long a call may take before it is an outage, its wait for a connection included; up to an hour. Keep it
    /// well below the policy's retry window, so that the client's next try still finds the window open (R51).
    std::chrono::milliseconds timeout = std::chrono::seconds(5);
    /// How many connections this store opens at most, between 1 and 1000. The server's `max_connections` is shared
    /// by all who use it.
    std::size_t connections = 16;
    /// With `transactions` nothing is prepared and nothing is set for a session. Statements are then planned at each
    /// call, and a call that was given up ends on the server when it gets the lock it waits for, or after `timeout`.
    postgresql_pooling pooling = postgresql_pooling::sessions;
};

/// Keeps grants in a PostgreSQL database (12 or later), for any number of threads, processes and machines.
///
///     auto store = regrant::postgresql_store::open("host=db1,db2 dbname=login");
///     if (!store) return fail(store.error().message);
///     regrant::token_endpoint endpoint(*store, registry, issuer, std::move(keyring));
///
/// The connection string is libpq's, with all its options: TLS by `sslmode=verify-full sslrootcert=...`, several
/// hosts, a password file. The tables `regrant_family` (one row per login) and `regrant_schema` are made in the first
/// schema of the role's `search_path`, which `ALTER ROLE app SET search_path = regrant` chooses (poolers refuse it among
/// the `options` of a connection string); several servers may start at once. A role that may not create them is enough
/// where they are there: it needs SELECT on both; INSERT, UPDATE, DELETE on the first.
///
/// What it promises, by what happens:
/// - A killed server process of yours loses nothing that was answered. What was not answered may have happened or
///   not; nothing is sent twice, and the same token works again within the retry window (R51).
/// - PostgreSQL killed, or its machine without power: with `full`, the default, nothing that was answered is lost.
///   With `normal` that holds for inserts and revokes still, since a commit that waits for the disk takes all earlier
///   ones with it. The advances of the last moments (three times `wal_writer_delay`, 0.6 s by default) may be lost;
///   the rows fall behind their tokens, and each heals when its token comes, if the policy's `heal` allows for that
///   many generations (R53). Until then a superseded token that is ahead of its row passes.
/// - Failover to an asynchronous standby forgets what had not reached it. Advances heal; a lost insert logs that user
///   out; a lost REVOKE lets somebody back in. So name the standbys in `synchronous_standby_names`: then inserts and
///   revokes, and with `full` advances, are answered when a standby has them on its disk. Without them set
///   `policy_settings::not_before` to the time of the failover, which ends every earlier login.
/// - The same goes for a restored backup: everybody logs in again, and nobody stays in who had been thrown out.
///
/// All this stands on `fsync` and `full_page_writes` being on. Each write raises `synchronous_commit` to `on` for its own
/// transaction where the server's default is less (`normal` turns it off for advances alone); `remote_apply` is kept. The
/// tables must not be made UNLOGGED.
///
/// The store talks to a primary alone, since `find` must see every earlier write: a standby is refused when a
/// connection is opened, and of several hosts the primary is found; one that cannot be reached costs its share of the
/// timeout, one that takes the connection and hangs all of it. A pooler in between pools sessions, or is named in
/// `postgresql_settings::pooling`; `open` refuses one that pools transactions otherwise. After a failed call its
/// connection is closed. What it leaves behind on a server that waits for a standby is cancelled when the next
/// connection is opened. While no connection can be had, calls fail at once, and one in at most a second tries. libpq
/// looks host names up without a deadline: give `hostaddr`, or a resolver that is quick to give up.
///
/// Sharding: every call but the subject's own and `reap` touches one row, found by its key, and keys are evenly spread
/// hashes. So with several databases let a store of yours pick one by the first bytes of the key, and ask all of them
/// about a subject; no transaction spans two. Nothing in a row is a token or can be made into one (R36); it names
/// users and their clients, as bytes: `convert_from(subject, 'UTF8')` shows them as text.
///
/// Transactions that stay open for long, of whatever other program, keep old versions of rows from being cleared away.
/// Rows of dead logins stay until `reap` removes them: call it now and then, from one server. Open a store after
/// a `fork`, not before.
class postgresql_store {
public:
    /// Connects, makes the tables where there are none, and prepares; within twice the timeout.
    ///
    /// \param connection_string  `host=... dbname=...` or `postgresql://...`; what it leaves out is libpq's default
    /// \par Errors
    /// a string that libpq cannot read; a server that does not answer within the timeout, refuses, is a standby or
    /// read-only; tables that are no token store's, or a newer one's; settings out of range. No message holds the
    /// password
    static result<postgresql_store, setup_error> open(const std::string& connection_string,
                                                      postgresql_settings settings = {}) {
        const auto refuse = [](const std::string& why) {
            return unexpected(setup_error{"the PostgreSQL token store: " + why});
        };
        if (settings.timeout <= settings.timeout.zero() || settings.timeout > std::chrono::hours(1))
            return refuse("the timeout must be between a millisecond and an hour");
        if (settings.connections == 0 || settings.connections > 1000)
            return refuse("there must be between 1 and 1000 connections");
        if (PQisthreadsafe() == 0) return refuse("libpq was built without support for threads");
        auto options = detail::libpq_options::parse(connection_string, settings.timeout);
        if (!options) return refuse(options.error().message);

        auto made = std::make_unique<shared>(settings, *std::move(options));
        {
            // The pool's connections are prepared, and there may be no table yet to prepare them for.
            const auto until = made->deadline();
            detail::libpq_connection first;
            if (const auto reached = first.open(made->options, until); !reached) return refuse(reached.error().detail);
            if (settings.pooling == postgresql_pooling::sessions &&
                detail::has_transaction_pooler(first, made->options, until - settings.timeout / 2))
                return refuse(detail::transaction_pooler_words);
            if (const auto ready = detail::make_session(first, made->way(), until); !ready)
                return refuse(ready.error().detail);
            if (const auto why = detail::make_or_check_schema(first, until)) return refuse(*why);
        }
        // With time of its own: where the first of several hosts is gone, each connection waits for that.
        const auto until = made->deadline();
        auto first = made->pool.take(until, until);
        if (!first) return refuse(first.error().detail);
        first->keep();
        return postgresql_store(std::move(made));
    }

    /// A subject over some 2,600 bytes does not fit the index; such an insert is an outage.
    result<insert_outcome, outage> insert(const grant& row) {
        detail::libpq_values values;
        detail::bind_row(values, row);
        return detail::read_inserted(call(detail::postgresql_insert, values));
    }

    result<std::optional<grant>, outage> find(const row_key& key) {
        detail::libpq_values values;
        return detail::read_found(call(detail::postgresql_find, values.bind(key)));
    }

    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next, instant now) {
        const bool waits = at_->settings.synchronous == postgresql_synchronous::full;
        detail::libpq_values values;
        return detail::read_advanced(call(waits ? detail::postgresql_advance : detail::postgresql_hasty_advance,
                                          values.bind(next).bind(now).bind(key).bind(expected)));
    }

    result<void, outage> revoke(const row_key& key) {
        detail::libpq_values values;
        const auto ended = call(detail::postgresql_revoke, values.bind(key));
        return ended ? result<void, outage>() : unexpected(ended.error());
    }

    result<std::size_t, outage> revoke_subject(std::string_view subject) {
        detail::libpq_values values;
        return detail::read_ended(call(detail::postgresql_revoke_subject, values.bind(subject)));
    }

    /// One damaged row makes it an outage: a page of logins that hides one would be worse.
    result<std::vector<grant>, outage> list_subject(std::string_view subject) {
        detail::libpq_values values;
        return detail::read_all(call(detail::postgresql_list_subject, values.bind(subject)));
    }

    result<bool, outage> is_empty() {
        const auto rows = call(detail::postgresql_any, {});
        if (!rows) return unexpected(rows.error());
        return rows->size() == 0;
    }

    /// Works in small batches and rests after each as long as it took. An outage halfway leaves the rest for the next
    /// time.
    result<std::size_t, outage> reap(instant now) {
        std::size_t removed = 0;
        while (true) {
            const auto begun = std::chrono::steady_clock::now();
            detail::libpq_values values;
            const auto batch = call(detail::postgresql_reap, values.bind(now));
            if (!batch) return unexpected(batch.error());
            removed += static_cast<std::size_t>(batch->number(0, 1).value_or(0));
            if (batch->number(0, 0).value_or(0) < detail::postgresql_reap_batch) return removed;
            std::this_thread::sleep_for(std::chrono::steady_clock::now() - begun);
        }
    }

private:
    using connection = detail::libpq_connection;

    /// What all threads share.
    struct shared {
        postgresql_settings settings;
        detail::libpq_options options;
        detail::connection_pool<connection> pool;

        shared(const postgresql_settings& given, detail::libpq_options parsed)
            : settings(given), options(std::move(parsed)),
              pool(given.connections, [this](auto until) { return open_one(until); }) {}

        detail::postgresql_way way() const noexcept { return {settings.timeout, settings.pooling}; }
        connection::time_point deadline() const { return std::chrono::steady_clock::now() + settings.timeout; }

        result<void, outage> connect(connection& made, connection::time_point until) const {
            if (auto reached = made.open(options, until); !reached) return reached;
            return detail::make_session(made, way(), until);
        }

        result<std::unique_ptr<connection>, outage> open_one(connection::time_point until) const {
            auto made = std::make_unique<connection>();
            if (auto ready = connect(*made, until); !ready) return unexpected(std::move(ready).error());
            if (auto ready = detail::prepare_queries(*made, way(), until); !ready)
                return unexpected(detail::with_cause(std::move(ready).error(), made->state()));
            return made;
        }
    };

    explicit postgresql_store(std::unique_ptr<shared> at) noexcept : at_(std::move(at)) {}

    result<detail::libpq_rows, outage> call(const detail::postgresql_query& query, const detail::libpq_values& values) {
        const auto until = at_->deadline();
        while (true) {
            // What waited too long is not begun any more: cut off in the middle it would cost a connection as well.
            auto with = at_->pool.take(until - at_->settings.timeout / 2, until);
            if (!with) return unexpected(std::move(with).error());
            const auto way = at_->way();
            auto rows = way.pooling == postgresql_pooling::transactions
                            ? (*with)->execute_once(query.text(way), values, until)
                            : (*with)->execute(query.name, values, until);
            if (rows) with->keep();
            else if (!(*with)->state().empty()) with->close();
            // Whatever else went wrong, the statement may have been carried out. These victims were not.
            if (!rows && detail::was_rolled_back((*with)->state())) continue;
            if (!rows) return unexpected(detail::with_cause(std::move(rows).error(), (*with)->state()));
            return rows;
        }
    }

    std::unique_ptr<shared> at_;
};

} // namespace regrant::inline v0
