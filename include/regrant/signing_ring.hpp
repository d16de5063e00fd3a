// regrant/signing_ring.hpp - signing keys that follow one another, each published before it signs.
// floor 4
// SPDX-License-Identifier: MIT
#pragma once

#include "clock.hpp"
#include "error.hpp"
#include "jwk.hpp"
#include "result.hpp"
#include "signing_key.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

/// A key, and from when on it signs; it stops where the next one begins.
struct scheduled_key {
    signing_key key;
    instant signs_from{};
};

struct rollover_times {
    /// How long a key is in the JWK Set before it signs: longer than anybody keeps an old set (R102).
    std::chrono::seconds published_before{24 * 60 * 60};
    /// How long a key stays in the set after its last signature: the longest lifetime of a token, and some minutes for
    /// clocks that are late.
    std::chrono::seconds published_after{60 * 60};
};

/// The keys of a `jwt_issuer` that rolls them over while it runs: `issuer` and whoever serves the set share one ring.
///
///     auto ring = regrant::signing_ring::make(*key);
///     auto issuer = regrant::jwt_issuer<regrant::signing_ring>::make({"https://id.example"}, *ring);
///
///     // once in three months: tomorrow another key signs, and is in the set from now on
///     auto added = ring->add(*next, now + std::chrono::days(1), now);
///     // at each GET of the set
///     auto body = regrant::jwks(ring->public_keys(now));
///
/// Where many servers sign, give all of them the same schedule: the time decides, nobody has to switch. Copies share
/// the keys; all members may be called from many threads at once.
/// \par OIDC Core 10.1.1
class signing_ring {
public:
    /// A ring of one key, which signs from the beginning.
    /// \par Errors
    /// as the other
    static result<signing_ring, setup_error> make(signing_key first, rollover_times times = {}) {
        std::vector<scheduled_key> keys;
        keys.push_back({std::move(first)});
        return make(std::move(keys), times);
    }

    /// A ring as `schedule` told it, for a server that starts again.
    /// \par Errors
    /// no key; two keys with one id or one time; times that are not positive
    static result<signing_ring, setup_error> make(std::vector<scheduled_key> keys, rollover_times times = {}) {
        constexpr std::chrono::seconds longest = std::chrono::years(100);
        for (const auto time : {times.published_before, times.published_after})
            if (time <= time.zero() || time > longest)
                return unexpected(setup_error{"a key must be published for a while before and after it signs"});
        if (keys.empty()) return unexpected(setup_error{"the ring has no signing key"});
        std::sort(keys.begin(), keys.end(), earlier);
        if (auto fault = fault_of(keys)) return unexpected(std::move(*fault));
        return signing_ring(std::move(keys), times);
    }

    /// Has another key follow. Keys that are no longer of use are forgotten.
    /// \param signs_from  late enough for everybody to have seen it in the set
    /// \par Errors
    /// too early; a key that is there already, or one that begins at the same time
    result<void, setup_error> add(signing_key next, instant signs_from, instant now) {
        // `now` alone is moved: `instant::max()`, which is never, would overflow.
        if (signs_from < now + shared_->times.published_before)
            return unexpected(setup_error{"a key must be in the JWK Set for " +
                                          std::to_string(shared_->times.published_before.count()) +
                                          " s before it signs (OIDC Core 10.1.1)"});
        const std::scoped_lock lock(shared_->lock);
        std::vector<scheduled_key> keys(of_use(*shared_->keys, now));
        keys.push_back({std::move(next), signs_from});
        return replace(std::move(keys));
    }

    /// Takes a key back at once that somebody else may have: from the set, too, so that nobody believes it any more.
    /// What it signed is dead. Where it was signing, the one before takes over, if it is still in the set, or else the
    /// next.
    /// \par Errors
    /// no such key; the only one of use: `replace_at_once` first
    result<void, setup_error> withdraw(std::string_view key_id, instant now) {
        const std::scoped_lock lock(shared_->lock);
        // One that has left the set would sign what nobody can verify.
        std::vector<scheduled_key> keys(of_use(*shared_->keys, now));
        const auto found = std::find_if(keys.begin(), keys.end(),
                                        [&](const scheduled_key& each) { return each.key.key_id() == key_id; });
        if (found == keys.end())
            return unexpected(setup_error{"there is no signing key \"" + std::string(key_id) + "\""});
        keys.erase(found);
        if (keys.empty()) return unexpected(setup_error{"the ring would have no signing key left"});
        return replace(std::move(keys));
    }

    /// Puts a key in that signs at once, though nobody has seen it: when the one that signs must be withdrawn. Resource
    /// servers that do not look for unknown key ids refuse its tokens until they fetch the set again.
    /// \par Errors
    /// a key that is there already; another that begins just then
    result<void, setup_error> replace_at_once(signing_key next, instant now) {
        const std::scoped_lock lock(shared_->lock);
        std::vector<scheduled_key> keys(of_use(*shared_->keys, now));
        keys.push_back({std::move(next), now});
        return replace(std::move(keys));
    }

    /// The key that signs at a time: the last that has begun, or the first where none has.
    signing_key at(instant now) const {
        const auto keys = snapshot();
        return current(*keys, now)->key;
    }

    /// What the JWK Set holds at a time: the key that signs, those to come, those whose tokens still live.
    std::vector<jwk> public_keys(instant now) const {
        std::vector<jwk> set;
        for (const scheduled_key& each : of_use(*snapshot(), now)) set.push_back(each.key.public_jwk());
        return set;
    }

    const rollover_times& times() const noexcept { return shared_->times; }

    /// All keys of use, the first to sign first; to be kept beside the keys' files.
    std::vector<scheduled_key> schedule(instant now) const { return of_use(*snapshot(), now); }

private:
    using keys_type = std::vector<scheduled_key>;

    struct shared_state {
        rollover_times times;
        mutable std::mutex lock;
        std::shared_ptr<const keys_type> keys;

        shared_state(rollover_times published, keys_type all)
            : times(published), keys(std::make_shared<const keys_type>(std::move(all))) {}
    };

    signing_ring(keys_type keys, rollover_times times)
        : shared_(std::make_shared<shared_state>(times, std::move(keys))) {}

    static bool earlier(const scheduled_key& one, const scheduled_key& other) noexcept {
        return one.signs_from < other.signs_from;
    }

    static std::optional<setup_error> fault_of(std::span<const scheduled_key> sorted) {
        for (std::size_t i = 0; i != sorted.size(); ++i)
            for (std::size_t k = i + 1; k != sorted.size(); ++k) {
                const std::string name(sorted[i].key.key_id());
                if (sorted[k].key.key_id() == name)
                    return setup_error{"two signing keys have the id \"" + name + "\""};
                if (sorted[k].signs_from == sorted[i].signs_from)
                    return setup_error{"two signing keys begin at the same time"};
            }
        return std::nullopt;
    }

    std::shared_ptr<const keys_type> snapshot() const {
        const std::scoped_lock lock(shared_->lock);
        return shared_->keys;
    }

    /// \pre the lock is held
    result<void, setup_error> replace(keys_type keys) {
        std::sort(keys.begin(), keys.end(), earlier);
        if (auto fault = fault_of(keys)) return unexpected(std::move(*fault));
        shared_->keys = std::make_shared<const keys_type>(std::move(keys));
        return {};
    }

    static keys_type::const_iterator current(const keys_type& keys, instant now) noexcept {
        const auto next = std::upper_bound(keys.begin(), keys.end(), now, [](instant time, const scheduled_key& each) {
            return time < each.signs_from;
        });
        return next == keys.begin() ? next : std::prev(next);
    }

    /// Leaves out those that another followed so long ago that all their tokens are dead.
    keys_type of_use(const keys_type& keys, instant now) const {
        const auto is_dead = [&](std::size_t i) {
            return i + 1 != keys.size() && keys[i + 1].signs_from <= now - shared_->times.published_after;
        };
        keys_type kept;
        for (std::size_t i = 0; i != keys.size(); ++i)
            if (!is_dead(i)) kept.push_back(keys[i]);
        return kept;
    }

    std::shared_ptr<shared_state> shared_;
};

} // namespace regrant::inline v0
