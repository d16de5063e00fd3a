// regrant/store/async_redis_node.hpp - the connections to one Redis server, lent to coroutines of Boost.Asio.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../detail/hiredis.hpp"
#include "../detail/redis_access.hpp"
#include "../detail/redis_master.hpp"
#include "../detail/redis_tls_session.hpp"
#include "../detail/redis_url.hpp"
#include "../error.hpp"
#include "../result.hpp"
#include "../secret.hpp"
#include "async_pool.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// A part of async_redis.hpp.

namespace regrant::inline v0::detail {

/// Connects to the first of these endpoints that answers.
///
/// Boost (1.81) takes what the deadline cancels for the fault of one endpoint, and would wait for the next without end.
template <class Endpoints, class Socket>
boost::asio::awaitable<boost::system::error_code> connect_to_one_of(const Endpoints& these,
                                                                    timed_socket<Socket>& from) {
    using endpoint = typename Socket::endpoint_type;
    boost::system::error_code error;
    co_await boost::asio::async_connect(
        from.socket, these, [&from](const boost::system::error_code&, const endpoint&) { return !from.is_late(); },
        boost::asio::redirect_error(boost::asio::use_awaitable, error));
    co_return error;
}

/// A connection that coroutines wait for, one at a time. Whatever goes wrong closes it for good.
///
/// hiredis only reads replies here: its own async API (0.14) connects without a deadline, looks names up while
/// everybody waits, and writes without MSG_NOSIGNAL, so that a server that has gone away would end the host's process.
class async_redis_connection {
public:
    using tcp = boost::asio::ip::tcp;
    /// TCP or a Unix socket.
    using stream = boost::asio::generic::stream_protocol;

    explicit async_redis_connection(const async_strand& strand) : at_(std::make_shared<watched>(strand)) {}
    async_redis_connection(const async_redis_connection&) = delete;
    async_redis_connection& operator=(const async_redis_connection&) = delete;
    ~async_redis_connection() { at_->close(); }

    /// \param tls  null for none; nothing but its handshake is sent before the server is verified
    /// \return why it could not be made
    boost::asio::awaitable<std::optional<std::string>> open(const redis_address& to, const redis_tls_client* tls,
                                                            redis_time until) {
        at_->limit(until);
        const auto error = co_await connect(to);
        failure why;
        if (at_->is_late())
            why = "no answer within the timeout";
        else if (error)
            why = error.message();
        else if (tls != nullptr)
            why = co_await secure(*tls, to.host);
        at_->unlimit();
        if (why) co_return why;
        boost::system::error_code ignored;
        at_->socket.set_option(tcp::no_delay(true), ignored);
        at_->socket.set_option(tcp::socket::keep_alive(true), ignored);
        at_->socket.non_blocking(true, ignored);
        co_return std::nullopt;
    }

    void belongs_to(redis_reign master) noexcept { reign_ = master; }

    /// Whether nothing speaks against using it again: a server that was restarted since has closed it.
    bool still_open() {
        if (reign_.is_over()) return false;
        char byte = 0;
        boost::system::error_code error;
        at_->socket.receive(boost::asio::buffer(&byte, 1), tcp::socket::message_peek, error);
        return error == boost::asio::error::would_block;
    }

    /// Sends commands in one go. An answer that is an error is an answer.
    boost::asio::awaitable<result<std::vector<redis_reply>, redis_failure>>
    call_all(std::string_view bytes, std::size_t commands, redis_time until) {
        at_->limit(until);
        auto answers = co_await exchange(bytes, commands);
        at_->unlimit();
        if (!answers) at_->close();
        co_return answers;
    }

private:
    using watched = timed_socket<stream::socket>;
    // Each task of this type returns why it failed.
    using failure = std::optional<std::string>;

    boost::asio::awaitable<boost::system::error_code> connect(const redis_address& to) {
        boost::system::error_code error;
        if (to.how == redis_address::kind::local_socket)
            co_return co_await connect(boost::asio::local::stream_protocol::endpoint(to.host));
        const auto number = boost::asio::ip::make_address(to.host, error);
        if (!error) co_return co_await connect(tcp::endpoint(number, to.port));
        // The system's resolver has a timeout of its own, and a thread of Asio's that waits for it.
        tcp::resolver resolver(at_->socket.get_executor());
        const auto found = co_await resolver.async_resolve(
            to.host, std::to_string(to.port), boost::asio::redirect_error(boost::asio::use_awaitable, error));
        if (error || at_->is_late()) co_return error;
        std::vector<stream::endpoint> all;
        for (const auto& each : found)
            all.emplace_back(each.endpoint());
        co_return co_await connect_to_one_of(all, *at_);
    }
    boost::asio::awaitable<boost::system::error_code> connect(stream::endpoint to) {
        boost::system::error_code error;
        co_await at_->socket.async_connect(to, boost::asio::redirect_error(boost::asio::use_awaitable, error));
        co_return error;
    }

    boost::asio::awaitable<failure> secure(const redis_tls_client& by, const std::string& host) {
        auto begun = by.begin(host);
        if (!begun) co_return std::move(begun).error();
        tls_ = *std::move(begun);
        while (true) {
            const auto is_over = tls_->shake_hands();
            // Where it failed, the server is told why.
            const std::string bytes = tls_->to_send();
            auto unsent = co_await send(bytes);
            if (!is_over) co_return is_over.error();
            if (unsent || *is_over) co_return unsent;
            const auto why = co_await receive();
            if (why) co_return "TLS handshake: " + *why;
        }
    }

    boost::asio::awaitable<result<std::vector<redis_reply>, redis_failure>> exchange(std::string_view bytes,
                                                                                     std::size_t commands) {
        using enum redis_failure::reach;
        auto unsent = co_await write(bytes);
        if (unsent) co_return unexpected(redis_failure{not_sent, *std::move(unsent)});
        std::vector<redis_reply> answers;
        while (answers.size() != commands) {
            auto whole = reader_.next();
            if (!whole) co_return unexpected(redis_failure{sent, std::move(whole).error()});
            if (*whole) {
                answers.push_back(**std::move(whole));
                continue;
            }
            auto why = co_await receive();
            if (!why) why = co_await decrypt();
            if (why) co_return unexpected(redis_failure{sent, *std::move(why)});
        }
        co_return answers;
    }

    boost::asio::awaitable<failure> write(std::string_view text) {
        if (!tls_) co_return co_await send(text);
        if (auto encrypted = tls_->encrypt(text); !encrypted) co_return std::move(encrypted).error();
        const std::string bytes = tls_->to_send();
        co_return co_await send(bytes);
    }

    boost::asio::awaitable<failure> send(std::string_view bytes) {
        boost::system::error_code error;
        if (!bytes.empty())
            co_await boost::asio::async_write(at_->socket, boost::asio::buffer(bytes),
                                              boost::asio::redirect_error(boost::asio::use_awaitable, error));
        co_return error ? words(error) : failure();
    }

    /// Waits for bytes, for hiredis or TLS.
    boost::asio::awaitable<failure> receive() {
        boost::system::error_code error;
        if (at_->is_late()) co_return words(error);
        const std::size_t size = co_await at_->socket.async_read_some(
            boost::asio::buffer(buffer_), boost::asio::redirect_error(boost::asio::use_awaitable, error));
        if (error) co_return words(error);
        const std::string_view bytes(buffer_.data(), size);
        co_return (tls_ ? tls_->received(bytes) : reader_.feed(bytes)) ? failure() : "out of memory";
    }

    /// Gives hiredis what TLS has received.
    boost::asio::awaitable<failure> decrypt() {
        if (!tls_) co_return std::nullopt;
        while (true) {
            const auto size = tls_->decrypt(buffer_);
            if (!size) co_return size.error();
            if (*size == 0) break;
            if (!reader_.feed({buffer_.data(), *size})) co_return "out of memory";
        }
        const std::string answer = tls_->to_send(); // to a key update
        co_return co_await send(answer);
    }

    failure words(boost::system::error_code error) const {
        if (at_->is_late()) return "no answer within the timeout";
        return error == boost::asio::error::eof ? "the server closed the connection" : error.message();
    }

    std::shared_ptr<watched> at_;
    std::unique_ptr<redis_tls_session> tls_;
    redis_reign reign_;
    redis_reader reader_;
    std::array<char, 4096> buffer_;
};

/// One server.
class async_redis_node {
public:
    using pool_type = async_pool<async_redis_connection>;

    /// \param access  outlives the node
    async_redis_node(const async_strand& strand, redis_address at, const redis_access& access)
        : strand_(strand), at_(std::move(at)), access_(access), master_(at_.host, access.sentinels.size()),
          pool_(strand, access.connections, [this](auto until) { return open_one(until); }) {}

    const redis_address& address() const noexcept { return at_; }
    std::string named(std::string_view words) const { return redis_name(at_, master_) + std::string(words); }

    pool_type& pool() noexcept { return pool_; }

    /// Nothing was sent where this fails.
    pool_type::answer<pool_type::lease> take(redis_time until) {
        if (master_.is_due()) {
            const auto named = co_await ask_sentinel(access_.sentinels[master_.order().front()], until);
            master_.is_told(named);
        }
        co_return co_await pool_.take(until, until);
    }

private:
    using opened = result<std::unique_ptr<async_redis_connection>, std::string>;

    pool_type::answer<pool_type::connection_ptr> open_one(redis_time until) {
        auto opening =
            at_.how == redis_address::kind::master ? open_master(until) : open_at(at_, access_.greeting, until);
        auto made = co_await std::move(opening);
        if (!made) co_return unexpected(outage{std::move(made).error()});
        co_return *std::move(made);
    }

    boost::asio::awaitable<opened> open_at(const redis_address& at, const std::vector<secret>& greeting,
                                           redis_time until) const {
        auto made = std::make_unique<async_redis_connection>(strand_);
        const auto by = access_.limit(until);
        auto why = co_await made->open(at, access_.tls.get(), by);
        if (why) co_return unexpected(*std::move(why));
        for (const secret& word : greeting) {
            const auto answer = co_await made->call_all(word.reveal(), 1, by);
            if (!answer) co_return unexpected(answer.error().what);
            const redis_value value = *answer->front();
            if (value.is_error()) co_return unexpected(redis_refusal(value));
        }
        co_return made;
    }

    boost::asio::awaitable<opened> open_master(redis_time until) {
        redis_search search;
        const auto order = master_.order();
        for (const std::size_t each : order) {
            const redis_address& sentinel = access_.sentinels[each];
            const auto at = co_await ask_sentinel(sentinel, until);
            if (!at) search.failed("Sentinel ", sentinel, at.error());
            if (!at || !search.is_new(*at)) continue;
            auto made = co_await open_at(*at, access_.greeting, until);
            std::optional<std::string> why;
            if (made)
                why = co_await fault_of_master(**made, *at, until);
            else
                why = made.error();
            if (!why) {
                (*made)->belongs_to(master_.found(*at, each));
                co_return made;
            }
            search.failed("", *at, *why);
        }
        co_return unexpected(search.why());
    }

    boost::asio::awaitable<result<redis_address, std::string>> ask_sentinel(const redis_address& at,
                                                                            redis_time until) const {
        const auto to = co_await open_at(at, access_.sentinel_greeting, until);
        if (!to) co_return unexpected(to.error());
        const secret question = master_.question();
        const auto answer = co_await (*to)->call_all(question.reveal(), 1, access_.limit(until));
        if (!answer) co_return unexpected(answer.error().what);
        co_return master_.named_by(*answer->front());
    }

    /// A server that was not the master before must be as fit as the first one.
    boost::asio::awaitable<std::optional<std::string>>
    fault_of_master(async_redis_connection& to, const redis_address& at, redis_time until) const {
        const secret role = redis_master::role();
        const auto is_master = co_await to.call_all(role.reveal(), 1, access_.limit(until));
        if (!is_master) co_return is_master.error().what;
        auto why = redis_master::fault_of(*is_master->front());
        if (why || !access_.checkup || master_.is(at)) co_return why;
        const secret asked = access_.checkup->commands();
        const auto answers = co_await to.call_all(asked.reveal(), access_.checkup->count(), until);
        if (answers)
            why = access_.checkup->fault(*answers);
        else
            why = answers.error().what;
        co_return why;
    }

    const async_strand strand_;
    const redis_address at_;
    const redis_access& access_;
    redis_master master_;
    pool_type pool_;
};

} // namespace regrant::inline v0::detail
