// regrant/store/async_postgresql.hpp - an async_token_store in a PostgreSQL database, for servers on Boost.Asio.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../clock.hpp"
#include "../detail/libpq.hpp"
#include "../detail/postgresql_schema.hpp"
#include "../error.hpp"
#include "../grant.hpp"
#include "../lineage.hpp"
#include "../result.hpp"
#include "../token_store.hpp"
#include "async_pool.hpp"
#include "postgresql.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/descriptor_base.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

namespace detail {

/// A dialogue that coroutines wait for, one at a time.
class async_libpq_connection {
public:
    using time_point = std::chrono::steady_clock::time_point;
    template <class T> using answer = boost::asio::awaitable<result<T, outage>>;

    explicit async_libpq_connection(const async_strand& strand) : at_(std::make_shared<watched>(strand)) {}
    async_libpq_connection(const async_libpq_connection&) = delete;
    async_libpq_connection& operator=(const async_libpq_connection&) = delete;
    ~async_libpq_connection() { at_->close(); }

    answer<void> open(const libpq_options& options, time_point until) {
        auto done = co_await carry_on(dialogue_.begin_connecting(options), until);
        is_connected_ = done.has_value();
        co_return done;
    }
    answer<libpq_rows> run(const std::string& sql, time_point until) {
        return finish(dialogue_.begin_run(sql), until);
    }
    answer<libpq_rows> prepare(const char* name, const std::string& sql, time_point until) {
        return finish(dialogue_.begin_preparing(name, sql.c_str()), until);
    }
    /// One statement that is not prepared.
    answer<libpq_rows> execute_once(const std::string& sql, const libpq_values& values, time_point until) {
        return finish(dialogue_.begin_executing_once(sql, values), until);
    }
    answer<libpq_rows> execute(const postgresql_query& query, const libpq_values& values, time_point until) {
        return finish(dialogue_.begin_executing(query.name, values), until);
    }

    bool still_open() noexcept { return dialogue_.still_open(); }
    std::string_view state() const noexcept { return dialogue_.state(); }

private:
    using watched = timed_socket<boost::asio::posix::stream_descriptor>;

    answer<libpq_rows> finish(result<void, outage> begun, time_point until) {
        auto done = co_await carry_on(std::move(begun), until);
        if (!done) co_return unexpected(std::move(done).error());
        co_return dialogue_.answer();
    }

    answer<void> carry_on(result<void, outage> begun, time_point until) {
        if (!begun) co_return begun;
        at_->limit(until);
        auto done = co_await steps();
        at_->unlimit();
        co_return done;
    }

    answer<void> steps() {
        while (true) {
            auto next = dialogue_.step();
            if (!next) co_return unexpected(std::move(next).error());
            if (*next == libpq_wait::nothing) co_return result<void, outage>();
            if (at_->is_late()) co_return unexpected(libpq_dialogue::late());
            if (!is_connected_ || !at_->socket.is_open())
                if (const auto error = follow_socket()) co_return unexpected(in_words(error));
            const auto error = co_await ready(*next);
            if (at_->is_late()) co_return unexpected(libpq_dialogue::late());
            // Cancelled by nobody's clock: see `ready`. A look too many does no harm.
            if (error && error != boost::asio::error::operation_aborted) co_return unexpected(in_words(error));
        }
    }

    /// libpq closes its socket when it likes. What Asio watches is a copy, so it never takes another's number for it.
    boost::system::error_code follow_socket() {
        boost::system::error_code error;
        at_->socket.close(error);
        const int copy = dialogue_.copy_of_socket();
        if (copy < 0) return boost::asio::error::bad_descriptor;
        at_->socket.assign(copy, error);
        return error;
    }

    boost::asio::awaitable<boost::system::error_code> ready(libpq_wait what) {
        using side = boost::asio::posix::descriptor_base;
        // One operation waits for one side; the other, when it is ready first, ends it.
        if (what == libpq_wait::either)
            at_->socket.async_wait(side::wait_read, [at = at_](boost::system::error_code error) {
                if (!error) at->socket.cancel(error);
            });
        boost::system::error_code error, ignored;
        const auto this_side = what == libpq_wait::to_read ? side::wait_read : side::wait_write;
        co_await at_->socket.async_wait(this_side, boost::asio::redirect_error(boost::asio::use_awaitable, error));
        if (what == libpq_wait::either) at_->socket.cancel(ignored);
        co_return error;
    }

    static outage in_words(boost::system::error_code error) { return {"PostgreSQL: " + error.message()}; }

    std::shared_ptr<watched> at_;
    libpq_dialogue dialogue_;
    bool is_connected_ = false;
};

} // namespace detail

/// `postgresql_store` for servers that cannot wait: each answer is a `boost::asio::awaitable`, and no thread waits.
///
///     boost::asio::io_context context;
///     auto store = regrant::async_postgresql_store::open(context.get_executor(), "host=db dbname=login");
///     if (!store) return fail(store.error().message);
///     regrant::async_token_endpoint endpoint(*store, clients, signing, std::move(keyring));
///
/// Tables, promises, settings, what happens when a server dies: as `postgresql_store` says, and both may be used on one
/// database. Any coroutine of any executor may await it; its own work runs on a strand of the executor given. It takes
/// Boost 1.81 or later and a POSIX system; link what `regrant::postgresql` names, and bring Boost's headers yourself.
///
/// Arguments outlive the task. The store is destroyed before the context of its executor; calls in flight may outlive
/// the store, and a context may be destroyed amid them. A call that is cancelled throws `operation_aborted` or gives an
/// outage; it may have acted, and it costs a connection. libpq looks host names up while everybody
/// waits: give `hostaddr`, or a resolver that is quick.
class async_postgresql_store {
public:
    template <class T> using answer = boost::asio::awaitable<result<T, outage>>;

    /// Connects once, makes or checks the tables, and waits for that: it is for a server's start.
    ///
    /// \param executor           where the store's connections live
    /// \param connection_string  as of `postgresql_store::open`
    /// \par Errors
    /// as `postgresql_store::open`
    static result<async_postgresql_store, setup_error> open(boost::asio::any_io_executor executor,
                                                            const std::string& connection_string,
                                                            postgresql_settings settings = {}) {
        const auto checked = postgresql_store::open(connection_string, settings);
        if (!checked) return unexpected(checked.error());
        auto options = detail::libpq_options::parse(connection_string, settings.timeout);
        if (!options) return unexpected(options.error());
        return async_postgresql_store(std::make_shared<shared>(std::move(executor), settings, *std::move(options)));
    }

    /// A subject over some 2,600 bytes does not fit the index; such an insert is an outage.
    answer<insert_outcome> insert(const grant& row) {
        detail::libpq_values values;
        detail::bind_row(values, row);
        co_return detail::read_inserted(co_await call(detail::postgresql_insert, values));
    }

    answer<std::optional<grant>> find(const row_key& key) {
        detail::libpq_values values;
        co_return detail::read_found(co_await call(detail::postgresql_find, values.bind(key)));
    }

    answer<advance_outcome> advance(const row_key& key, generation expected, generation next, instant now) {
        const bool waits = at_->settings.synchronous == postgresql_synchronous::full;
        detail::libpq_values values;
        values.bind(next).bind(now).bind(key).bind(expected);
        const auto& query = waits ? detail::postgresql_advance : detail::postgresql_hasty_advance;
        co_return detail::read_advanced(co_await call(query, values));
    }

    answer<void> revoke(const row_key& key) {
        detail::libpq_values values;
        const auto ended = co_await call(detail::postgresql_revoke, values.bind(key));
        if (!ended) co_return unexpected(ended.error());
        co_return result<void, outage>();
    }

    answer<std::size_t> revoke_subject(std::string_view subject) {
        detail::libpq_values values;
        co_return detail::read_ended(co_await call(detail::postgresql_revoke_subject, values.bind(subject)));
    }

    /// One damaged row makes it an outage: a page of logins that hides one would be worse.
    answer<std::vector<grant>> list_subject(std::string_view subject) {
        detail::libpq_values values;
        co_return detail::read_all(co_await call(detail::postgresql_list_subject, values.bind(subject)));
    }

    /// Works in small batches and rests after each as long as it took. An outage halfway leaves the rest for the next
    /// time.
    answer<std::size_t> reap(instant now) {
        const auto at = at_;
        std::size_t removed = 0;
        while (true) {
            const auto begun = std::chrono::steady_clock::now();
            detail::libpq_values values;
            const auto batch = co_await call_at(at, detail::postgresql_reap, values.bind(now));
            if (!batch) co_return unexpected(batch.error());
            removed += static_cast<std::size_t>(batch->number(0, 1).value_or(0));
            if (batch->number(0, 0).value_or(0) < detail::postgresql_reap_batch) co_return removed;
            boost::asio::steady_timer rest(at->strand, std::chrono::steady_clock::now() - begun);
            co_await rest.async_wait(boost::asio::use_awaitable);
        }
    }

private:
    using connection = detail::async_libpq_connection;
    using pool_type = detail::async_pool<connection>;

    /// What all calls share, and keep alive.
    struct shared {
        detail::async_strand strand;
        postgresql_settings settings;
        detail::libpq_options options;
        pool_type pool;

        shared(boost::asio::any_io_executor executor, const postgresql_settings& given, detail::libpq_options parsed)
            : strand(boost::asio::make_strand(std::move(executor))), settings(given), options(std::move(parsed)),
              pool(strand, given.connections, [this](auto until) { return open_one(until); }) {}

        answer<pool_type::connection_ptr> open_one(connection::time_point until) {
            auto made = std::make_unique<connection>(strand);
            auto reached = co_await made->open(options, until);
            if (!reached) co_return unexpected(std::move(reached).error());
            const auto session = co_await made->run(detail::postgresql_session(way()), until);
            if (!session) co_return unexpected(session.error());
            if (auto fit = detail::check_session(*session); !fit) co_return unexpected(std::move(fit).error());
            // What is prepared belongs to a session.
            if (settings.pooling == postgresql_pooling::transactions) co_return made;
            for (const detail::postgresql_query& each : detail::postgresql_queries) {
                const auto prepared = co_await made->prepare(each.name, each.text(way()), until);
                if (!prepared) co_return unexpected(detail::with_cause(prepared.error(), made->state()));
            }
            co_return made;
        }

        detail::postgresql_way way() const noexcept { return {settings.timeout, settings.pooling}; }

        answer<detail::libpq_rows> run(connection& at, const detail::postgresql_query& query,
                                       const detail::libpq_values& values, connection::time_point until) {
            if (settings.pooling == postgresql_pooling::sessions)
                co_return co_await at.execute(query, values, until);
            const std::string sql = query.text(way());
            co_return co_await at.execute_once(sql, values, until);
        }

        answer<detail::libpq_rows> call(const detail::postgresql_query& query, const detail::libpq_values& values) {
            const auto until = std::chrono::steady_clock::now() + settings.timeout;
            while (true) {
                // What waited too long is not begun any more: cut off in the middle it would cost a connection as well.
                auto with = co_await pool.take(until - settings.timeout / 2, until);
                if (!with) co_return unexpected(std::move(with).error());
                auto rows = co_await run(**with, query, values, until);
                if (rows) with->keep();
                else if (!(*with)->state().empty()) with->close();
                // Whatever else went wrong, the statement may have been carried out. These victims were not.
                if (!rows && detail::was_rolled_back((*with)->state())) continue;
                if (!rows) co_return unexpected(detail::with_cause(std::move(rows).error(), (*with)->state()));
                co_return rows;
            }
        }
    };

    explicit async_postgresql_store(std::shared_ptr<shared> at) noexcept : at_(std::move(at)) {}

    answer<detail::libpq_rows> call(const detail::postgresql_query& query, const detail::libpq_values& values) {
        return call_at(at_, query, values);
    }
    static answer<detail::libpq_rows> call_at(std::shared_ptr<shared> at, const detail::postgresql_query& query,
                                              const detail::libpq_values& values) {
        detail::async_strand strand = at->strand;
        return detail::on_strand(std::move(strand), [at = std::move(at), &query, &values] {
            return at->call(query, values);
        });
    }

    std::shared_ptr<shared> at_;
};

} // namespace regrant::inline v0
