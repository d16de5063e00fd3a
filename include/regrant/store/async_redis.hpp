// regrant/store/async_redis.hpp - an async_token_store in Redis or Valkey, for servers on Boost.Asio.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../clock.hpp"
#include "../detail/hiredis.hpp"
#include "../detail/redis_access.hpp"
#include "../detail/redis_batches.hpp"
#include "../detail/redis_course.hpp"
#include "../detail/redis_url.hpp"
#include "../detail/redis_words.hpp"
#include "../error.hpp"
#include "../grant.hpp"
#include "../lineage.hpp"
#include "../result.hpp"
#include "../secret.hpp"
#include "../token_store.hpp"
#include "async_pool.hpp"
#include "async_redis_node.hpp"
#include "redis.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/strand.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

/// `redis_store` for servers that cannot wait: each answer is a `boost::asio::awaitable`, and no thread waits.
///
///     boost::asio::io_context context;
///     auto store = regrant::async_redis_store::open(context.get_executor(), "redis://redis.example:6379");
///     if (!store) return fail(store.error().message);
///     regrant::async_token_endpoint endpoint(*store, clients, signing, std::move(keyring));
///
/// Keys, scripts, promises, settings, what happens when a server dies: as `redis_store` says, and both may be used on
/// the same servers. Any coroutine of any executor may await it; its own work runs on a strand of the executor given.
/// It takes Boost 1.81 or later; link what `regrant::redis` names, and bring Boost's headers yourself. Where rows are
/// to be reaped, let a `redis_store` do it: it is the work of a minute, for a thread that has one.
///
/// Arguments outlive the task. The store is destroyed before the context of its executor; calls in flight may outlive
/// the store, and a context may be destroyed amid them. A call that is cancelled throws `operation_aborted` or gives an
/// outage; it may have acted, and it costs a connection.
class async_redis_store {
public:
    template <class T> using answer = boost::asio::awaitable<result<T, outage>>;

    /// Connects to each server, checks it, teaches it the scripts, and waits for all that: it is for a server's start.
    ///
    /// \param executor  where the store's connections live
    /// \param url       as of `redis_store::open`
    /// \par Errors
    /// as `redis_store::open`
    static result<async_redis_store, setup_error> open(boost::asio::any_io_executor executor, std::string_view url,
                                                       const redis_settings& settings = {}) {
        const auto checked = redis_store::open(url, settings);
        if (!checked) return unexpected(checked.error());
        const auto to = detail::redis_url::parse(url);
        if (!to) return unexpected(to.error());
        const redis_store::parts& known = *checked->at_;
        auto made = std::make_shared<shared>(std::move(executor), *to, known);
        made->routes.learn(known.servers.routes());
        return async_redis_store(std::move(made));
    }

    answer<insert_outcome> insert(const grant& row) {
        return on_strand([&row](shared& at) { return at.insert(row); });
    }
    answer<std::optional<grant>> find(const row_key& key) {
        return on_strand([&key](shared& at) { return at.find(key); });
    }
    answer<advance_outcome> advance(const row_key& key, generation expected, generation next, instant now) {
        return on_strand([&key, expected, next, now](shared& at) { return at.advance(key, expected, next, now); });
    }
    answer<void> revoke(const row_key& key) {
        return on_strand([&key](shared& at) { return at.revoke(key); });
    }

    /// Goes through all of them even when one meets an outage; what was not ended is ended by the next try.
    answer<std::size_t> revoke_subject(std::string_view subject) {
        return on_strand([subject](shared& at) { return at.revoke_subject(subject); });
    }
    /// One damaged row makes it an outage: a page of logins that hides one would be worse.
    answer<std::vector<grant>> list_subject(std::string_view subject) {
        return on_strand([subject](shared& at) { return at.list_subject(subject); });
    }

private:
    /// What all calls share, and keep alive.
    struct shared {
        detail::async_strand strand;
        std::chrono::milliseconds timeout;
        detail::redis_words words;
        detail::redis_access access;
        detail::redis_acknowledgement acknowledgement;
        detail::redis_routes<detail::async_redis_node> routes;

        shared(boost::asio::any_io_executor executor, const detail::redis_url& to, const redis_store::parts& known)
            : strand(boost::asio::make_strand(std::move(executor))), timeout(known.settings.timeout),
              words(known.words),
              access(redis_store::access_to(to, known.settings)),
              acknowledgement(known.servers.acknowledgement()), routes(to.at, [this](const detail::redis_address& at) {
                  return std::make_unique<detail::async_redis_node>(strand, at, access);
              }) {}

        detail::redis_time deadline() const { return std::chrono::steady_clock::now() + timeout; }

        answer<insert_outcome> insert(const grant& row) {
            const auto until = deadline();
            const auto index = words.list(row);
            if (!index) co_return unexpected(index.error());
            const auto listed = co_await ask(*index, until);
            if (!listed) co_return unexpected(listed.error());
            const auto asked = words.insert(row);
            co_return words.inserted(co_await ask(asked, until));
        }
        answer<std::optional<grant>> find(const row_key& key) {
            const auto asked = words.find(key);
            co_return words.found(key, co_await ask(asked, deadline()));
        }
        answer<advance_outcome> advance(const row_key& key, generation expected, generation next, instant now) {
            const auto asked = words.advance(key, expected, next, now);
            co_return words.advanced(co_await ask(asked, deadline()));
        }
        answer<void> revoke(const row_key& key) {
            const auto asked = words.revoke(key);
            co_return words.revoked(co_await ask(asked, deadline()));
        }
        answer<std::size_t> revoke_subject(std::string_view subject) {
            const auto until = deadline();
            auto rows = co_await rows_of(subject, until);
            if (!rows.all) co_return unexpected(*std::move(rows.failed));
            const auto keys = rows.to_revoke(acknowledgement);
            const auto asked = words.each(keys, &detail::redis_words::revoke);
            const auto ended = co_await ask_each(asked, until);
            for (const auto& done : ended) rows.note_revoked(*done);
            if (rows.failed) co_return unexpected(*std::move(rows.failed));
            co_return rows.ended;
        }
        answer<std::vector<grant>> list_subject(std::string_view subject) {
            auto rows = co_await rows_of(subject, deadline());
            if (rows.failed) co_return unexpected(*std::move(rows.failed));
            co_return *std::move(rows.all);
        }

        boost::asio::awaitable<detail::redis_subject_rows> rows_of(std::string_view subject, detail::redis_time until) {
            detail::redis_subject_rows rows;
            const auto index = words.read_index(subject);
            if (index) {
                const auto listed = co_await ask(*index, until);
                if (listed) {
                    rows.all.emplace();
                    const auto keys = words.listed(**listed);
                    const auto asked = words.each(keys, &detail::redis_words::find);
                    const auto found = co_await ask_each(asked, until);
                    for (std::size_t i = 0; i != keys.size(); ++i) rows.add(words.found(keys[i], *found[i]), subject);
                } else rows.failed = listed.error();
            } else rows.failed = index.error();
            co_return rows;
        }

        /// Runs a command on the server that has the key. A command that may have acted is never sent again.
        answer<detail::redis_reply> ask(const detail::redis_request& asked, detail::redis_time until) {
            detail::redis_course course(routes, asked);
            while (course.goes_on()) {
                auto to = co_await course.at().take(until);
                if (!to) {
                    course.not_reached(course.at().named(to.error().detail));
                    continue;
                }
                auto answers = co_await (*to)->call_all(course.bytes(), course.answers(), until);
                if (!answers) {
                    course.broke(answers.error());
                    continue;
                }
                if (course.accepts(*answers->back())) {
                    std::optional<std::string> lacking;
                    if (asked.how == detail::redis_request::weight::kept && acknowledgement.is_wanted())
                        lacking = co_await acknowledge(*to, until);
                    else to->keep();
                    if (lacking) co_return unexpected(outage{course.at().named(*lacking)});
                    co_return std::move(answers->back());
                }
                if (course.is_stale()) {
                    to->close();
                    course.at().pool().close_idle();
                } else {
                    to->keep();
                }
            }
            co_return unexpected(course.outcome());
        }

        /// Runs commands of one weight that may run twice, all of one server in one go.
        boost::asio::awaitable<std::vector<std::optional<result<detail::redis_reply, outage>>>>
        ask_each(const std::vector<detail::redis_request>& asked, detail::redis_time until) {
            detail::redis_batches batches(routes, asked);
            for (const auto& each : batches.all()) {
                auto to = co_await each.at->take(until);
                if (!to) continue;
                auto answers = co_await (*to)->call_all(each.commands.reveal(), each.which.size(), until);
                std::optional<std::string> lacking;
                if (!answers) lacking = answers.error().what + "; it may have acted";
                else if (asked.front().how == detail::redis_request::weight::kept && acknowledgement.is_wanted())
                    lacking = co_await acknowledge(*to, until);
                else to->keep();
                if (lacking) batches.failed(each, outage{each.at->named(*lacking)});
                else batches.answered(each, *std::move(answers));
            }
            for (std::size_t i = 0; i != asked.size(); ++i)
                if (auto& one = batches.answers()[i]; !one) one = co_await ask(asked[i], until);
            co_return std::move(batches).answers();
        }

        /// On the connection that wrote, for it waits for what was written there.
        /// \return what is lacking
        boost::asio::awaitable<std::optional<std::string>>
        acknowledge(detail::async_redis_node::pool_type::lease& at, detail::redis_time until) {
            const secret command = acknowledgement.command(until);
            const auto answers = co_await at->call_all(command.reveal(), 1, until);
            if (!answers) co_return answers.error().what + "; it has acted";
            at.keep();
            co_return acknowledgement.lacking(*answers->front());
        }
    };

    explicit async_redis_store(std::shared_ptr<shared> at) noexcept : at_(std::move(at)) {}

    template <class Call> std::invoke_result_t<Call&, shared&> on_strand(Call call) {
        return detail::on_strand(at_->strand, [at = at_, call] { return call(*at); });
    }

    std::shared_ptr<shared> at_;
};

} // namespace regrant::inline v0
