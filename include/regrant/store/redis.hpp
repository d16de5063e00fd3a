// regrant/store/redis.hpp - a token_store in Redis or Valkey, one server or a cluster.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../clock.hpp"
#include "../detail/hiredis.hpp"
#include "../detail/redis_access.hpp"
#include "../detail/redis_checkup.hpp"
#include "../detail/redis_cluster.hpp"
#include "../detail/redis_course.hpp"
#include "../detail/redis_node.hpp"
#include "../detail/redis_row.hpp"
#include "../detail/redis_tls_session.hpp"
#include "../detail/redis_url.hpp"
#include "../detail/redis_words.hpp"
#include "../error.hpp"
#include "../grant.hpp"
#include "../lineage.hpp"
#include "../result.hpp"
#include "../secret.hpp"
#include "../token_store.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

struct redis_settings {
    redis_durability durability = redis_durability::always;
    /// How many replicas must have an insert or a revoke before it is answered (WAIT). With none a failover forgets
    /// the writes that its new primary had not received.
    std::uint32_t replicas = 0;
    /// How long a call takes at most before it is an outage, waiting and reconnecting included; at most an hour. Keep
    /// it well below the policy's retry window, so that the client's next try still finds the window open (R51).
    std::chrono::milliseconds timeout = std::chrono::seconds(5);
    /// How much of that is spent on a server that does not take the connection.
    std::chrono::milliseconds connect_timeout = std::chrono::seconds(1);
    /// Per server, at most a thousand; a call that finds all in use waits for one.
    std::uint32_t connections = 16;
    /// What all keys begin with.
    std::string prefix = "regrant:";
    /// How `rediss://` is secured: see `redis_tls` in `<regrant/store/redis_tls.hpp>`.
    std::shared_ptr<const detail::redis_tls_client> tls{};
    /// For Sentinels that want a password of their own; the one in the URL is the servers'.
    std::string sentinel_user{};
    std::shared_ptr<const secret> sentinel_password{};
};

/// Keeps grants in Redis 6.2 or newer, in Valkey, or in a cluster of either, for any number of processes.
///
///     auto store = regrant::redis_store::open("redis://login:password@redis.example:6379");
///     if (!store) return fail(store.error().message);
///     regrant::token_endpoint endpoint(*store, registry, issuer, std::move(keyring));
///
/// A family is one string under `regrant:f:<row key>`; a user's families are listed in one sorted set under
/// `regrant:s:<SHA-256 of the subject>`, written before the row (R50). The names of keys, which monitors and slow logs
/// show, spell no user; the rows name users and clients, but hold no token (R36).
///
/// What it promises:
/// - With `always`, the default, neither a killed server nor a power failure takes anything that was answered.
/// - With `awaited` they take no login and no revoke, but the last advances: the rows fall behind their tokens, and
///   each heals when its token comes, if the policy's `heal` allows for that many generations (R53).
/// - With `everysec` they take the last second or two of everything. Then a family whose revoke was lost lives on.
///   With less than that, a restarted server has forgotten everybody or goes back to its last snapshot.
/// - A failover is another matter: replication does not wait. Set `replicas` to what a failover leaves behind, and on
///   the servers `min-replicas-to-write`, so that a primary that was cut off refuses writes. Even so Redis promises
///   less than a consensus would: where one lost revoke is too many, use PostgreSQL with a synchronous standby.
/// - With Sentinels each new connection asks for the master, and the server must say itself that it is. A call each
///   second asks again, so that a master that was cut off is left though it still answers. A new master is held against
///   `durability` before it is used; while there is none, calls are outages. What the old master had
///   answered and the new one had not received is lost: logins, which are over, and revokes, which are undone. With
///   `replicas` set to the number of replicas, no insert or revoke is answered that the new master lacks, for whichever
///   is promoted has it; advances may be lost, and heal. Calls are outages then while a replica is down.
/// - After a restored backup set `policy_settings::not_before` to the time of the restore: the revokes made since are
///   forgotten.
///
/// A call whose connection breaks is an outage, and is not sent again unless the server cannot have had all of it; the
/// same token works again within the retry window. A server that cannot be reached is left alone for 10 ms, then for
/// twice as long each time up to a second, and calls fail at once meanwhile. Rows are read with GETEX, which replicas
/// refuse: a primary that was demoted does not answer from memory.
///
/// `maxmemory-policy` must be `noeviction`: an evicted row logs its user out, and an evicted index entry hides a login
/// from `revoke_subject`. Redis forgets a row by itself, a day after its `expires_at` by the server's clock.
/// Every command has one key, so a cluster shards by family. MOVED and ASK are followed, a failover's new primary is
/// found through the others. The user needs: GETEX, SET, EVAL, EVALSHA, SCRIPT LOAD, in scripts GETRANGE, SETRANGE,
/// DEL, ZADD, ZRANGE, ZREMRANGEBYSCORE, PEXPIREAT, TIME; for the checks of `open` INFO, CONFIG GET, CLUSTER SLOTS; with
/// Sentinels ROLE; if asked for WAIT, WAITAOF, SCAN (`reap`). Open it after a `fork`, not before.
class redis_store {
public:
    /// \param url  `redis://[user[:password]@]host[:port][/database]`, percent escapes before the `@`; of a cluster
    ///             any server. `rediss://...` for TLS, which needs `redis_settings::tls`.
    ///             `unix://[user:password@]/path[?db=database]` for a Unix socket.
    ///             `redis+sentinel://[user:password@]host[:port],.../master[/database]` for the master that Sentinels
    ///             name; `rediss+sentinel://` for TLS, to the Sentinels too. No message repeats user or password.
    /// \par Errors
    /// a malformed URL or setting; a server that cannot be reached, wants another password, is a replica, evicts keys,
    /// or does not keep or may not tell what `durability` demands
    static result<redis_store, setup_error> open(std::string_view url, redis_settings settings = {}) {
        const auto refuse = [](std::string why) { return unexpected(setup_error{"the token store: " + why}); };
        const auto sensible = [](auto time) { return time > time.zero() && time <= std::chrono::hours(1); };
        if (!sensible(settings.timeout) || !sensible(settings.connect_timeout))
            return refuse("a timeout must be between a millisecond and an hour");
        if (settings.connections == 0 || settings.connections > 1000)
            return refuse("there must be between one and a thousand connections");
        auto to = detail::redis_url::parse(url);
        if (!to) return unexpected(std::move(to).error());
        if (to->has_tls && !settings.tls)
            return refuse("the URL of the Redis server asks for TLS: include <regrant/store/redis_tls.hpp>, set "
                          "redis_settings::tls, and link libssl (regrant::redis_tls in CMake)");
        if (!to->has_tls && settings.tls)
            return refuse("redis_settings::tls is set, but the URL of the Redis server does not begin with rediss://");

        auto access = access_to(*to, settings);
        detail::redis_acknowledgement acknowledgement{settings.replicas};
        if (settings.durability == redis_durability::awaited)
            acknowledgement.file = detail::redis_acknowledgement::fsync::awaited;

        redis_store store(std::make_unique<parts>(to->at, std::move(access), acknowledgement));
        store.at_->words.prefix = settings.prefix;
        store.at_->settings = std::move(settings);
        const auto until = store.deadline();
        if (const auto why = store.at_->servers.learn(until)) return refuse(*why);
        for (detail::redis_node* const each : store.at_->servers.routes().primaries())
            if (const auto why = store.fault_of(*each, until)) return refuse(*why);
        return store;
    }

    result<insert_outcome, outage> insert(const grant& row) {
        const auto until = deadline();
        const auto index = at_->words.list(row);
        if (!index) return unexpected(index.error());
        if (const auto listed = at_->servers.ask(*index, until); !listed) return unexpected(listed.error());
        return at_->words.inserted(at_->servers.ask(at_->words.insert(row), until));
    }

    result<std::optional<grant>, outage> find(const row_key& key) {
        return at_->words.found(key, at_->servers.ask(at_->words.find(key), deadline()));
    }

    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next, instant now) {
        return at_->words.advanced(at_->servers.ask(at_->words.advance(key, expected, next, now), deadline()));
    }

    result<void, outage> revoke(const row_key& key) {
        return at_->words.revoked(at_->servers.ask(at_->words.revoke(key), deadline()));
    }

    /// Goes through all of them even when one meets an outage; what was not ended is ended by the next try. Those on
    /// one server are sent in one go, 256 at most, so that a disk or a replica is waited for once.
    result<std::size_t, outage> revoke_subject(std::string_view subject) {
        const auto until = deadline();
        auto rows = rows_of(subject, until);
        if (!rows.all) return unexpected(*std::move(rows.failed));
        const auto keys = rows.to_revoke(at_->servers.acknowledgement());
        const auto asked = at_->words.each(keys, &detail::redis_words::revoke);
        for (const auto& done : at_->servers.ask_each(asked, until)) rows.note_revoked(*done);
        if (rows.failed) return unexpected(*std::move(rows.failed));
        return rows.ended;
    }

    /// One damaged row makes it an outage: a page of logins that hides one would be worse.
    result<std::vector<grant>, outage> list_subject(std::string_view subject) {
        auto rows = rows_of(subject, deadline());
        if (rows.failed) return unexpected(*std::move(rows.failed));
        return *std::move(rows.all);
    }

    /// Looks at keys until it finds a row; on a server that holds much else and no row, at all of them.
    result<bool, outage> is_empty() {
        const std::string pattern = detail::redis_literally(at_->settings.prefix) + "f:*";
        for (detail::redis_node* const each : at_->servers.routes().primaries()) {
            std::string cursor = "0";
            do {
                const auto found = detail::redis_cluster::ask(
                    *each, detail::redis_command({"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"}), deadline());
                if (!found) return unexpected(found.error());
                const detail::redis_value page = **found;
                if (page.size() != 2) return unexpected(outage{each->named(page.text())});
                if (page[1].size() != 0) return false;
                cursor = page[0].text();
            } while (cursor != "0");
        }
        return true;
    }

    /// Redis forgets rows by itself; this only gives their memory back a day earlier. It looks at every row of every
    /// server, a thousand at a time. An outage halfway leaves the rest for the next time.
    result<std::size_t, outage> reap(instant now) {
        using detail::redis_cluster, detail::redis_command;
        std::size_t removed = 0;
        const std::string pattern = detail::redis_literally(at_->settings.prefix) + "f:*";
        for (detail::redis_node* const each : at_->servers.routes().primaries()) {
            std::string cursor = "0";
            do {
                const auto found = redis_cluster::ask(
                    *each, redis_command({"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"}), deadline());
                if (!found) return unexpected(found.error());
                const detail::redis_value page = **found;
                if (page.size() != 2) return unexpected(outage{each->named(page.text())});
                const detail::redis_value keys = page[1];
                secret looks;
                for (std::size_t i = 0; i != keys.size(); ++i)
                    looks.append(redis_command({"GETRANGE", keys[i].text(), detail::redis_expires_at_first,
                                                detail::redis_expires_at_last}).reveal());
                const auto ends = redis_cluster::ask_all(*each, looks, keys.size(), deadline());
                if (!ends) return unexpected(ends.error());
                for (std::size_t i = 0; i != keys.size(); ++i) {
                    if (!detail::redis_is_over((*(*ends)[i]).text(), now)) continue;
                    const auto gone = at_->servers.ask(
                        at_->words.script(detail::script_reap, std::string(keys[i].text()), {detail::redis_bytes(now)}),
                        deadline());
                    if (!gone) return unexpected(gone.error());
                    removed += (**gone).integer() == 1 ? 1U : 0U;
                }
                cursor = page[0].text();
            } while (cursor != "0");
        }
        return removed;
    }

private:
    friend class async_redis_store;

    struct parts {
        parts(const detail::redis_address& seed, detail::redis_access access,
              detail::redis_acknowledgement acknowledgement)
            : servers(seed, std::move(access), acknowledgement) {}
        redis_settings settings;
        detail::redis_words words;
        detail::redis_cluster servers;
    };

    explicit redis_store(std::unique_ptr<parts> at) noexcept : at_(std::move(at)) {}

    detail::redis_time deadline() const { return std::chrono::steady_clock::now() + at_->settings.timeout; }

    detail::redis_subject_rows rows_of(std::string_view subject, detail::redis_time until) {
        const auto index = at_->words.read_index(subject);
        if (!index) return {{}, index.error()};
        const auto listed = at_->servers.ask(*index, until);
        if (!listed) return {{}, listed.error()};
        detail::redis_subject_rows rows{std::vector<grant>(), {}};
        const auto keys = at_->words.listed(**listed);
        const auto asked = at_->words.each(keys, &detail::redis_words::find);
        const auto found = at_->servers.ask_each(asked, until);
        for (std::size_t i = 0; i != keys.size(); ++i) rows.add(at_->words.found(keys[i], *found[i]), subject);
        return rows;
    }

    static detail::redis_access access_to(const detail::redis_url& to, const redis_settings& settings) {
        detail::redis_access access{detail::redis_greeting(to), settings.connections, settings.connect_timeout,
                                    settings.tls, to.sentinels};
        if (settings.sentinel_password)
            access.sentinel_greeting.push_back(
                detail::redis_login(settings.sentinel_user, *settings.sentinel_password));
        access.checkup.emplace(settings.durability, settings.prefix);
        return access;
    }

    /// Holds a server against what was demanded, and teaches it the scripts.
    /// \return why it will not do
    std::optional<std::string> fault_of(detail::redis_node& server, detail::redis_time until) {
        const detail::redis_checkup checkup(at_->settings.durability, at_->settings.prefix);
        const auto answers = detail::redis_cluster::ask_all(server, checkup.commands(), checkup.count(), until);
        if (!answers) return answers.error().detail;
        if (const auto why = checkup.fault(*answers)) return server.named(*why);
        for (std::size_t i = 0; i != detail::redis_scripts.size(); ++i)
            at_->words.hashes[i] = detail::redis_checkup::hash(*answers, i);
        return std::nullopt;
    }

    std::unique_ptr<parts> at_;
};

} // namespace regrant::inline v0
