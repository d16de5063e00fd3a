// regrant/host/asio.hpp - runs what blocks on a pool of threads, for servers on Boost.Asio that await it.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../clock.hpp"
#include "../error.hpp"
#include "../grant.hpp"
#include "../lineage.hpp"
#include "../result.hpp"
#include "../token_issuer.hpp"
#include "../token_store.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace regrant::inline v0::host {

/// Calls `work` on the pool; whoever awaits it goes on where they were, with what it returned or threw.
///
/// The pool must be joined before the context of whoever awaits is destroyed: `work` may look at their frame.
template <class Work>
boost::asio::awaitable<std::invoke_result_t<Work&>> on_pool(boost::asio::thread_pool& pool, Work work) {
    using answer = std::invoke_result_t<Work&>;
    // What co_spawn hands over must have a default.
    std::optional<answer> done = co_await boost::asio::co_spawn(
        pool, [&]() -> boost::asio::awaitable<std::optional<answer>> { co_return work(); },
        boost::asio::use_awaitable);
    co_return *std::move(done);
}

/// An issuer that signs on a pool: half a millisecond of RSA never holds up an event loop.
///
///     boost::asio::thread_pool pool(2);
///     regrant::host::pooled_issuer signing(issuer, pool);
///     regrant::async_token_endpoint endpoint(store, clients, signing, std::move(keyring));
template <token_issuer Issuer> class pooled_issuer {
public:
    pooled_issuer(Issuer& issuer, boost::asio::thread_pool& pool) noexcept : issuer_(issuer), pool_(pool) {}

    boost::asio::awaitable<result<minted_tokens, outage>> mint(const mint_order& order) {
        return on_pool(pool_, [&] { return issuer_.mint(order); });
    }

private:
    Issuer& issuer_;
    boost::asio::thread_pool& pool_;
};

/// An async_token_store out of any token_store: each call waits on a thread of the pool. Give the pool as many
/// threads as the store has connections.
template <token_store Store> class pooled_store {
public:
    template <class T> using answer = boost::asio::awaitable<result<T, outage>>;

    pooled_store(Store& store, boost::asio::thread_pool& pool) noexcept : store_(store), pool_(pool) {}

    answer<insert_outcome> insert(const grant& row) {
        return on_pool(pool_, [&] { return store_.insert(row); });
    }
    answer<std::optional<grant>> find(const row_key& key) {
        return on_pool(pool_, [&] { return store_.find(key); });
    }
    answer<advance_outcome> advance(const row_key& key, generation expected, generation next, instant now) {
        return on_pool(pool_, [this, &key, expected, next, now] { return store_.advance(key, expected, next, now); });
    }
    answer<void> revoke(const row_key& key) {
        return on_pool(pool_, [&] { return store_.revoke(key); });
    }
    template <class S = Store>
        requires can_revoke_subject<S>
    answer<std::size_t> revoke_subject(std::string_view subject) {
        return on_pool(pool_, [this, subject] { return store_.revoke_subject(subject); });
    }

private:
    Store& store_;
    boost::asio::thread_pool& pool_;
};

} // namespace regrant::inline v0::host
