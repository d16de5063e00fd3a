// regrant/hash_client_secret.hpp - client secrets as they are kept, checked against what is presented.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "client.hpp"
#include "detail/openssl_kdf.hpp"
#include "error.hpp"
#include "hash.hpp"
#include "random.hpp"
#include "result.hpp"
#include "secret.hpp"
#include "slow_hash.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace regrant::inline v0 {

/// What to keep of a client secret that was generated (R31).
///
/// SHA-256 is right for it: of 128 random bits a thief of the hashes would have to try 2^127, at 10^12 a second for
/// 10^18 years; a slow hash would add nothing to that but its time, to each request. It is wrong for a secret that
/// somebody chose, which is found in minutes: see `hash_client_secret_slowly`.
/// \par Errors
/// `outage` when OpenSSL fails
inline result<secret_hash, outage> hash_client_secret(std::string_view text) {
    auto hashed = sha256(text);
    if (!hashed) return unexpected(std::move(hashed).error());
    return secret_hash{*hashed};
}

namespace detail {

inline bool derive_slowly(std::string_view text, const slow_cost& cost, std::span<const std::byte> salt,
                          std::span<std::byte> derived) noexcept {
    const auto password = std::as_bytes(std::span<const char>(text));
    if (cost.algorithm == slow_algorithm::scrypt)
        return scrypt(password, salt, std::uint64_t{1} << cost.log2_n, cost.block_size, cost.parallelism, derived);
    return pbkdf2_sha256(password, salt, cost.iterations, derived);
}

} // namespace detail

/// What to keep of a client secret that a person chose (R31); see `client_secret_matcher` for what it costs.
/// \par Errors
/// `outage` for a cost out of bounds, no random salt, or when OpenSSL fails
inline result<secret_hash, outage> hash_client_secret_slowly(std::string_view text, const slow_cost& cost = {}) {
    if (!cost.is_within_bounds()) return unexpected(outage{"the cost of a slow hash is out of bounds"});
    slow_hash made;
    made.cost = cost;
    made.salt_size = slow_hash::least_salt_bytes;
    if (auto filled = system_random().fill(std::span(made.salt_bytes).first(made.salt_size)); !filled)
        return unexpected(std::move(filled).error());
    if (!detail::derive_slowly(text, cost, made.salt(), made.derived))
        return unexpected(outage{"the slow hash failed"});
    return secret_hash{{}, std::make_shared<const slow_hash>(made)};
}

/// Answers a `secret_check` with one slow hash for each of the two places and each text presented: a decoy's where the
/// place has none of its own. Its time does not tell which secret matched, or whether one did.
/// \param decoy  what to compute for a place without a slow hash; its own bytes match nothing
/// \par Errors
/// `outage` when OpenSSL fails
inline result<secret_match, outage> match_client_secret_slowly(const secret_check& check, const slow_hash& decoy) {
    bool is_broken = false;
    const auto matches = [&](std::string_view presented) {
        const auto fast = hash_client_secret(presented);
        is_broken |= !fast;
        if (!fast) return false;
        bool found = false;
        for (const secret_hash& stored : check.stored) {
            const slow_hash& kept = stored.slow ? *stored.slow : decoy;
            std::array<std::byte, slow_hash::derived_bytes> derived{};
            is_broken |= !detail::derive_slowly(presented, kept.cost, kept.salt(), derived);
            const bool is_same = same_bytes(derived, kept.derived) && stored.slow != nullptr;
            found |= is_same | (same_bytes(fast->sha256, stored.sha256) && stored.slow == nullptr);
            wipe(derived.data(), derived.size());
        }
        return found;
    };
    const bool meant_matches = matches(check.presented);
    const bool raw_matches = check.presented_raw ? matches(*check.presented_raw) : meant_matches;
    if (is_broken) return unexpected(outage{"the slow hash failed"});
    if (meant_matches) return secret_match::as_meant;
    return raw_matches ? secret_match::raw : secret_match::neither;
}

/// Answers a `secret_check`, in a time that does not tell which secret matched, or whether one did. It tells whether
/// the raw text differs, which whoever sent it knows.
/// \par Errors
/// `outage` when OpenSSL fails
inline result<secret_match, outage> match_client_secret(const secret_check& check) {
    if (check.has_slow_hash()) {
        slow_hash decoy;
        decoy.cost = check.stored[0].slow ? check.stored[0].slow->cost : check.stored[1].slow->cost;
        decoy.salt_size = slow_hash::least_salt_bytes;
        return match_client_secret_slowly(check, decoy);
    }
    const auto matches = [&](const secret_hash& presented) {
        bool found = false;
        for (const secret_hash& stored : check.stored) found |= same_bytes(presented.sha256, stored.sha256);
        return found;
    };
    auto as_meant = hash_client_secret(check.presented);
    if (!as_meant) return unexpected(std::move(as_meant).error());
    const bool meant_matches = matches(*as_meant);
    bool raw_matches = meant_matches;
    if (check.presented_raw) {
        auto raw = hash_client_secret(*check.presented_raw);
        if (!raw) return unexpected(std::move(raw).error());
        raw_matches = matches(*raw);
    }
    if (meant_matches) return secret_match::as_meant;
    return raw_matches ? secret_match::raw : secret_match::neither;
}

} // namespace regrant::inline v0
