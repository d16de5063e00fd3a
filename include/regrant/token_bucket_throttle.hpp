// regrant/token_bucket_throttle.hpp - a throttle in memory, with a bucket for each client, each address.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "clock.hpp"
#include "detail/openssl.hpp"
#include "detail/peer_network.hpp"
#include "error.hpp"
#include "random.hpp"
#include "result.hpp"
#include "secret.hpp"
#include "throttle.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

/// How many failures are borne, and how fast they are forgiven.
struct failure_limit {
    /// That many at once.
    std::uint32_t burst;
    /// One more after each of these.
    std::chrono::milliseconds refill;
};

struct throttle_settings {
    /// All failures of one client, from addresses that it does not come from.
    failure_limit per_client{100, std::chrono::seconds(1)};
    /// All failures from one address, or one /64 of IPv6, whatever clients it names.
    failure_limit per_address{20, std::chrono::seconds(6)};
    /// Failures of one client from an address where it lately succeeded.
    failure_limit per_known_address{20, std::chrono::seconds(6)};
    /// How long an address stays known after a success.
    std::chrono::hours known_for{24 * 30};
    /// The longest anybody is told to wait, and the most that failures at one moment can be held against them.
    std::chrono::seconds longest_wait{15 * 60};
    /// In each of three tables, of 32 bytes a bucket; rounded up to a power of two.
    std::size_t buckets = 8192;
};

/// A model of `throttle`. Failures alone count: who knows the secret is never slowed by its own successes.
///
///     struct my_hooks : regrant::token_bucket_throttle {
///         void observe(const regrant::decision& made) noexcept;
///     };
///     my_hooks hooks{*regrant::token_bucket_throttle::make()};
///
/// An attempt is let in while its client's and its address' buckets both have tokens, and a failure takes one from
/// each. That alone would let anybody lock a client out, by failing in its name from many addresses; so an address
/// from which a client succeeded is remembered, and counts by itself: strangers' failures do not reach it. Where the
/// host gives no `peer`, only the client's bucket is left, and strangers can hold it empty.
///
/// Attempts that are in flight at once are all let in or none, so a burst may be exceeded by their number; what they
/// fail is held against them up to `longest_wait`.
///
/// Memory is fixed. A bucket is found by HMAC under a random key of the process, so nobody can choose who shares a set
/// of eight with whom. In a full set of the two tables of failures the bucket that is nearest to full gives way, since
/// it knows least: forgetting a drained one takes as many fresh failures as the table has buckets, from as many
/// addresses. In a full set of known addresses the oldest of the client that holds most of them gives way, so a client
/// that succeeds from any number of addresses forgets its own. Copies share the counts.
class token_bucket_throttle {
public:
    /// \par Errors
    /// a limit of nothing, or that never refills; no buckets; no random key
    static result<token_bucket_throttle, setup_error> make(const throttle_settings& settings = {}) {
        const auto fault = [](const char* message) { return unexpected(setup_error{message}); };
        for (const failure_limit& each : {settings.per_client, settings.per_address, settings.per_known_address})
            if (each.burst == 0 || each.refill <= each.refill.zero() || each.refill > std::chrono::hours(24))
                return fault("a limit of failures needs a burst of at least 1 and a refill between 1 ms and a day");
        if (settings.buckets == 0 || settings.buckets > most_buckets)
            return fault("a throttle needs between 1 and 16777216 buckets");
        if (settings.longest_wait < std::chrono::seconds(1) || settings.longest_wait > std::chrono::hours(24))
            return fault("the longest wait must be between a second and a day");
        if (settings.known_for <= settings.known_for.zero() || settings.known_for > std::chrono::years(10))
            return fault("an address must stay known for between an hour and ten years");
        std::array<std::byte, 32> key;
        if (!system_random().fill(key)) return fault("there is no random key for the throttle");
        auto mac = detail::hmac_sha256::make(key);
        wipe(key.data(), key.size());
        if (!mac) return fault("OpenSSL offers no HMAC-SHA256");
        return token_bucket_throttle(settings, *std::move(mac));
    }

    result<admission, outage> admit(const attempt& tried) {
        const std::string network = detail::peer_network(tried.peer);
        const auto known = known_address(tried, network);
        if (!known) return outage_of_hmac();
        if (shared_->known.holds(*known, tried.at)) return wait(shared_->known.wait(*known, tried.at));
        const auto whose = strangers_buckets(tried, network);
        if (!whose) return outage_of_hmac();
        const auto longest = (std::max)(shared_->clients.wait(whose->client, tried.at),
                                        network.empty() ? std::chrono::milliseconds(0)
                                                        : shared_->addresses.wait(whose->address, tried.at));
        return wait(longest);
    }

    result<void, outage> settle(const attempt& tried, attempt_outcome ended) {
        const std::string network = detail::peer_network(tried.peer);
        const auto known = known_address(tried, network);
        if (!known) return outage_of_hmac();
        if (ended == attempt_outcome::succeeded) {
            // Where nobody knows the address, all strangers would be known by it.
            if (!network.empty()) {
                const auto client = name_of('c', tried.client_id, {});
                if (!client) return outage_of_hmac();
                shared_->known.keep(*known, static_cast<owner>(*client), tried.at);
            }
            return {};
        }
        if (shared_->known.holds(*known, tried.at)) {
            shared_->known.take(*known, tried.at);
            return {};
        }
        const auto whose = strangers_buckets(tried, network);
        if (!whose) return outage_of_hmac();
        shared_->clients.take(whose->client, tried.at);
        if (!network.empty()) shared_->addresses.take(whose->address, tried.at);
        return {};
    }

    /// What the tables take, whatever happens.
    std::size_t memory_bytes() const noexcept {
        return shared_->clients.memory_bytes() + shared_->addresses.memory_bytes() + shared_->known.memory_bytes();
    }

private:
    static constexpr std::size_t most_buckets = std::size_t{1} << 24;
    using milliseconds = std::chrono::milliseconds;

    /// Whose known address a bucket is, by a hash of the client's id; 0 in the tables of failures.
    enum class owner : std::uint64_t {};

    /// A bucket as the time at which it will be full again (ITU-T I.371 A.1): no clock has to tick for it.
    struct bucket {
        std::uint64_t name = 0;
        owner of{};
        instant full_at{};
        /// Until when it says something, and so may not be taken for another. Past in an empty bucket.
        instant kept_until{};
    };

    /// Buckets by name in sets of eight.
    class table {
    public:
        table(const failure_limit& limit, milliseconds longest_debt, milliseconds known_for, std::size_t buckets)
            : limit_(limit), longest_debt_(longest_debt), known_for_(known_for),
              buckets_(std::bit_ceil((std::max)(buckets, ways))) {}

        /// Whether it is kept though it may be full: an address that is known.
        bool holds(std::uint64_t name, instant now) {
            const std::scoped_lock lock(lock_of(name));
            return find(name, now) != nullptr;
        }

        /// How long until it has a token.
        milliseconds wait(std::uint64_t name, instant now) {
            const std::scoped_lock lock(lock_of(name));
            bucket* found = find(name, now);
            if (found == nullptr) return milliseconds(0);
            found->full_at = (std::min)(found->full_at, latest(now));
            return (std::clamp)(found->full_at - now - (limit_.burst - 1) * limit_.refill, milliseconds(0),
                                longest_debt_);
        }

        void take(std::uint64_t name, instant now) {
            const std::scoped_lock lock(lock_of(name));
            bucket& found = find_or_evict(name, now);
            found.full_at = (std::min)((std::max)(found.full_at, now) + limit_.refill, latest(now));
            found.kept_until = (std::max)(found.kept_until, found.full_at);
        }

        void keep(std::uint64_t name, owner of, instant now) {
            const std::scoped_lock lock(lock_of(name));
            find_or_evict(name, now, of).kept_until = now + known_for_;
        }

        std::size_t memory_bytes() const noexcept { return buckets_.size() * sizeof(bucket); }

    private:
        static constexpr std::size_t ways = 8;

        /// When a bucket is full again that was emptied as far as may be: who waits as told finds a token. A clock that
        /// was set back would leave it empty for longer.
        instant latest(instant now) const noexcept {
            return now + (limit_.burst - 1) * limit_.refill + (std::max)(limit_.refill, longest_debt_);
        }

        /// \return below most_buckets / ways
        std::size_t number_of(std::uint64_t name) { return static_cast<unsigned>(name % buckets_.size()) / ways; }
        std::mutex& lock_of(std::uint64_t name) { return locks_[number_of(name) % locks_.size()]; }

        std::span<bucket> set_of(std::uint64_t name) {
            // The upper bits tell the buckets of a set apart.
            return std::span(buckets_).subspan(number_of(name) * ways, ways);
        }
        bucket* find(std::uint64_t name, instant now) {
            for (bucket& each : set_of(name))
                if (each.name == name && now < each.kept_until) return &each;
            return nullptr;
        }
        bucket& find_or_evict(std::uint64_t name, instant now, owner of = {}) {
            if (bucket* found = find(name, now)) return *found;
            const auto set = set_of(name);
            const auto share = [&](const bucket& each) -> std::size_t {
                // A bucket that says nothing any more goes first.
                if (now >= each.kept_until) return ways + 2;
                const auto same = std::count_if(set.begin(), set.end(), [&](const bucket& other) {
                    return other.of == each.of && now < other.kept_until;
                });
                return static_cast<std::size_t>(same) + (each.of == of ? 1U : 0U);
            };
            bucket& victim = *std::min_element(set.begin(), set.end(), [&](const bucket& one, const bucket& other) {
                const auto ones = share(one), others = share(other);
                return ones != others ? ones > others : one.kept_until < other.kept_until;
            });
            victim = {name, of, now, now};
            return victim;
        }

        failure_limit limit_;
        milliseconds longest_debt_;
        milliseconds known_for_;
        std::vector<bucket> buckets_;
        std::array<std::mutex, 64> locks_;
    };

    struct shared_state {
        shared_state(const throttle_settings& settings, detail::hmac_sha256 keyed)
            : mac(std::move(keyed)),
              clients(settings.per_client, settings.longest_wait, milliseconds(0), settings.buckets),
              addresses(settings.per_address, settings.longest_wait, milliseconds(0), settings.buckets),
              known(settings.per_known_address, settings.longest_wait, settings.known_for, settings.buckets) {}

        detail::hmac_sha256 mac;
        table clients, addresses, known;
    };

    token_bucket_throttle(const throttle_settings& settings, detail::hmac_sha256 mac)
        : shared_(std::make_shared<shared_state>(settings, std::move(mac))) {}

    struct two_names {
        std::uint64_t client, address;
    };

    std::optional<two_names> strangers_buckets(const attempt& tried, std::string_view network) const {
        const auto client = name_of('c', tried.client_id, {});
        const auto address = name_of('a', network, {});
        if (!client || !address) return std::nullopt;
        return two_names{*client, *address};
    }
    std::optional<std::uint64_t> known_address(const attempt& tried, std::string_view network) const {
        return name_of('k', network, tried.client_id);
    }

    /// A network has no NUL, so the two texts cannot run into each other.
    std::optional<std::uint64_t> name_of(char what, std::string_view one, std::string_view other) const {
        std::string text(1, what);
        text.append(one).append(1, '\0').append(other);
        std::array<std::byte, 32> bytes;
        if (!shared_->mac(std::as_bytes(std::span(text)), bytes)) return std::nullopt;
        std::uint64_t name = 0;
        for (std::size_t i = 0; i != 8; ++i) name = name << 8 | std::to_integer<std::uint64_t>(bytes[i]);
        return name;
    }

    static admission wait(milliseconds time) {
        if (time <= time.zero()) return {};
        return {std::chrono::ceil<std::chrono::seconds>(time)};
    }
    static unexpected<outage> outage_of_hmac() { return unexpected(outage{"HMAC-SHA256 failed"}); }

    std::shared_ptr<shared_state> shared_;
};

} // namespace regrant::inline v0
