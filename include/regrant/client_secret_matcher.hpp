// regrant/client_secret_matcher.hpp - checks presented client secrets, slow hashes once in a while.
// floor 4
// SPDX-License-Identifier: MIT
#pragma once

#include "client.hpp"
#include "clock.hpp"
#include "detail/openssl.hpp"
#include "error.hpp"
#include "hash_client_secret.hpp"
#include "random.hpp"
#include "result.hpp"
#include "secret.hpp"
#include "slow_hash.hpp"

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
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

/// How client secrets are checked; of use only where some are kept as slow hashes.
struct secret_settings {
    /// What is computed where there is no slow hash to compute: for unknown clients, and for wrong secrets of clients
    /// whose own hash is fast, so that neither answers sooner (R20). `dearest_of(clients)` finds it; one out of bounds
    /// counts as the cost that is usual.
    std::optional<slow_cost> decoy{};
    /// How long a right secret need not be computed again.
    std::chrono::seconds remembered_for{600};
    /// How many right secrets are remembered, in 48 bytes each; rounded up to a power of two. Zero remembers none.
    std::size_t remembered = 1024;
};

/// The dearest cost among the secrets of registered clients, for `secret_settings::decoy`. Ask before
/// `client_list::make` takes the clients over.
///
/// Where all slow hashes cost the same, unknown and known clients take the same time; where they differ, a wrong secret
/// of a client with a cheaper one shows by its time that the client is known.
inline std::optional<slow_cost> dearest_of(std::span<const client> clients) {
    // A round of PBKDF2 hashes two blocks of SHA-256; scrypt's work is about 2.2 of these for N*r*p of one.
    const auto work = [](const slow_cost& cost) {
        if (cost.algorithm == slow_algorithm::pbkdf2_sha256) return std::uint64_t{cost.iterations};
        return (std::uint64_t{cost.block_size} * cost.parallelism << cost.log2_n) * 9 / 4;
    };
    std::optional<slow_cost> dearest;
    for (const client& each : clients)
        for (const client_secret& kept : each.secrets)
            if (kept.hash.slow && (!dearest || work(kept.hash.slow->cost) > work(*dearest)))
                dearest = kept.hash.slow->cost;
    return dearest;
}

/// Checks secrets for a token endpoint, which has one and asks it `at_once` first, then `slowly`.
///
/// A right secret whose hash is slow is remembered: HMAC-SHA256 over it and the hashes it was held against, under a
/// random key of the process. A wrong one never is. What is remembered ends by time, when a secret expires or is
/// replaced (its hash is part of the text), or when a set of four is full: then the oldest of the four gives way. Who
/// can read the process' memory can guess at a remembered secret as fast as at a plain hash; `remembered_for` bounds
/// that.
///
/// May be called from many threads at once.
class client_secret_matcher {
public:
    explicit client_secret_matcher(const secret_settings& settings = {})
        : settings_(settings), shared_(std::make_unique<memory>()) {
        // One that cannot be computed would answer unknown clients alone with 503, and so tell them.
        if (settings_.decoy && !settings_.decoy->is_within_bounds()) settings_.decoy = slow_cost{};
        settings_.remembered_for = std::clamp(settings.remembered_for, std::chrono::seconds(0), longest);
        std::array<std::byte, 32> key;
        // Without a random key nothing is remembered, which is slow but safe.
        if (settings.remembered != 0 && system_random().fill(key))
            if (auto mac = detail::hmac_sha256::make(key)) shared_->mac.emplace(*std::move(mac));
        wipe(key.data(), key.size());
        constexpr std::size_t most = std::size_t{1} << 24;
        if (shared_->mac)
            shared_->entries.resize(std::bit_ceil((std::clamp)(settings.remembered, ways, most)));
    }

    /// What can be said without computing a slow hash.
    /// \return nothing where that takes `slowly`
    /// \par Errors
    /// `outage` when OpenSSL fails
    std::optional<result<secret_match, outage>> at_once(const secret_check& check, instant now) const {
        if (!check.has_slow_hash()) {
            auto match = match_client_secret(check);
            const bool is_settled = !settings_.decoy || !match || *match != secret_match::neither;
            if (is_settled) return match;
            return std::nullopt;
        }
        const auto name = name_of(check);
        if (!name) return std::nullopt;
        const std::scoped_lock lock(shared_->lock);
        // All four are compared: which one matched is nobody's business.
        std::optional<result<secret_match, outage>> known;
        for (const entry& each : set_of(*name)) {
            const bool is_it = same_bytes(each.name, *name);
            // Of a clock that was set back it must not last longer.
            const bool is_live = now < each.ends_at && each.ends_at - now <= settings_.remembered_for + slack;
            if (is_it && is_live) known = each.match;
        }
        return known;
    }

    /// Computes as many slow hashes whoever the client is and whether the secret is right: of both places, of each text
    /// presented. Takes a tenth of a second or more: an endpoint that may not block has it done by a hook on some pool
    /// of threads.
    /// \par Errors
    /// `outage` when OpenSSL fails
    result<secret_match, outage> slowly(const secret_check& check) const {
        slow_hash decoy;
        decoy.cost = settings_.decoy.value_or(slow_cost{});
        decoy.salt_size = slow_hash::least_salt_bytes;
        return match_client_secret_slowly(check, decoy);
    }

    /// Remembers what `slowly` found, unless the secret was wrong.
    void remember(const secret_check& check, secret_match match, instant now) const {
        if (match == secret_match::neither || !check.has_slow_hash()) return;
        const auto name = name_of(check);
        if (!name) return;
        const std::scoped_lock lock(shared_->lock);
        const auto set = set_of(*name);
        entry& oldest = *std::min_element(set.begin(), set.end(), [](const entry& one, const entry& other) {
            return one.ends_at < other.ends_at;
        });
        oldest = {*name, now + settings_.remembered_for, match};
    }

private:
    /// For ever, and yet a time can be moved on by it.
    static constexpr std::chrono::seconds longest = std::chrono::years(100);
    static constexpr std::size_t ways = 4;
    /// Requests that are judged at once have read the clock in any order.
    static constexpr std::chrono::minutes slack{1};
    using name_type = std::array<std::byte, 32>;

    struct entry {
        name_type name{};
        instant ends_at{};
        secret_match match = secret_match::neither;
    };

    struct memory {
        std::optional<detail::hmac_sha256> mac{};
        std::mutex lock{};
        std::vector<entry> entries{};
    };

    std::span<entry> set_of(const name_type& name) const {
        std::size_t number = 0;
        for (std::size_t i = 0; i != 4; ++i) number = number << 8 | std::to_integer<std::size_t>(name[i]);
        auto& entries = shared_->entries;
        return std::span(entries).subspan(number % entries.size() / ways * ways, ways);
    }

    /// \return nothing where nothing is remembered, or OpenSSL fails
    std::optional<name_type> name_of(const secret_check& check) const {
        if (!shared_->mac) return std::nullopt;
        // Twelve bytes of a hash name it well, and all fits into one block of SHA-256 where a secret is no longer than
        // 30.
        constexpr std::size_t naming_bytes = 12;
        const std::string_view raw = check.presented_raw.value_or(std::string_view());
        const std::size_t size = check.presented.size();
        const char length[] = {static_cast<char>(size & 0xFF), static_cast<char>(size >> 8 & 0xFF)};
        secret text;
        text.reserve(2 * naming_bytes + sizeof length + size + raw.size());
        for (const secret_hash& stored : check.stored) {
            const auto kept = std::span(stored.slow ? stored.slow->derived : stored.sha256).first<naming_bytes>();
            text.append({reinterpret_cast<const char*>(kept.data()), kept.size()});
        }
        text.append({length, sizeof length}); // where the first text ends (R9 bounds both)
        text.append(check.presented);
        text.append(raw);
        name_type name;
        if (!(*shared_->mac)(text.bytes(), name)) return std::nullopt;
        return name;
    }

    secret_settings settings_;
    std::unique_ptr<memory> shared_;
};

} // namespace regrant::inline v0
