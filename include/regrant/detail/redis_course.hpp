// regrant/detail/redis_course.hpp - the way from a key to the Redis server that has it, whoever walks it.
// floor 4
// SPDX-License-Identifier: MIT
#pragma once

#include "../error.hpp"
#include "../secret.hpp"
#include "hiredis.hpp"
#include "redis_url.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0::detail {

inline constexpr std::size_t redis_slots = 16384;

/// Which of the slots a key is in: CRC-16/XMODEM of its hash tag, or of all of it.
constexpr std::uint16_t redis_slot(std::string_view key) noexcept {
    if (const std::size_t open = key.find('{'); open != key.npos) {
        const std::size_t close = key.find('}', open + 1);
        if (close != key.npos && close != open + 1) key = key.substr(open + 1, close - open - 1);
    }
    std::uint32_t crc = 0;
    for (const char c : key) {
        crc ^= static_cast<std::uint32_t>(static_cast<unsigned char>(c)) << 8;
        for (int bit = 0; bit != 8; ++bit) crc = (crc << 1) ^ ((crc & 0x8000) != 0 ? 0x11021U : 0);
    }
    return static_cast<std::uint16_t>(crc % redis_slots);
}
static_assert(redis_slot("123456789") == 0x31C3 % redis_slots && redis_slot("a{12}b") == redis_slot("12"));

/// What is waited for after a write that must not be forgotten.
struct redis_acknowledgement {
    /// How many replicas must have it.
    std::uint32_t replicas = 0;
    /// Whether the primary's file must have it, synced: WAITAOF (7.2).
    enum class fsync : std::uint8_t { as_configured, awaited } file = fsync::as_configured;

    bool is_wanted() const noexcept { return replicas != 0 || file == fsync::awaited; }

    /// What asks for it, on the connection that wrote.
    secret command(redis_time until) const {
        using namespace std::chrono;
        // It must answer before the call is over; zero would mean for ever.
        const auto left = duration_cast<milliseconds>(until - steady_clock::now());
        const std::string timeout = std::to_string(std::max<std::int64_t>(left.count() * 9 / 10, 1));
        const std::string wanted = std::to_string(replicas);
        return file == fsync::awaited ? redis_command({"WAITAOF", "1", wanted, timeout})
                                      : redis_command({"WAIT", wanted, timeout});
    }

    /// \return what the answer to that lacks
    std::optional<std::string> lacking(redis_value value) const {
        const bool waits_for_files = file == fsync::awaited;
        if (value.is_error()) return std::string(value.text()) + "; it has acted";
        if (waits_for_files && (value.size() < 2 || value[0].integer() < 1)) return "it has acted, but did not sync";
        const redis_value reached = waits_for_files ? value[1] : value;
        if (reached.integer() < std::int64_t{replicas})
            return "it has acted, but only " + std::to_string(reached.integer()) + " of " + std::to_string(replicas) +
                   " replicas acknowledged";
        return std::nullopt;
    }
};

/// One command on one key.
struct redis_request {
    enum class weight : std::uint8_t { forgettable, kept };

    std::string key;
    secret command;
    /// The same with the script's text, for a server that does not know its hash.
    secret in_full{};
    weight how = weight::forgettable;
};

/// The servers of a store, one or those of a cluster, with what is known of who has which slots.
///
/// A `Node` has an `address()`, and puts its name before words: `named(words)`.
template <class Node> class redis_routes {
public:
    using maker = std::function<std::unique_ptr<Node>(const redis_address&)>;

    redis_routes(const redis_address& seed, maker make) : make_(std::move(make)), seed_(&node(seed)) {}

    Node& seed() const noexcept { return *seed_; }

    /// Where a slot was found last.
    Node& owner(std::uint16_t slot) const noexcept {
        Node* const known = slots_[slot].load();
        return known == nullptr ? *seed_ : *known;
    }
    void settle(std::uint16_t slot, Node& at) noexcept { slots_[slot].store(&at); }

    /// The servers that slots are known to be at.
    std::vector<Node*> primaries() const {
        std::vector<Node*> all;
        for (const auto& slot : slots_)
            if (Node* const at = slot.load(); at != nullptr && std::find(all.begin(), all.end(), at) == all.end())
                all.push_back(at);
        if (all.empty()) all.push_back(seed_);
        return all;
    }

    /// Takes in what the first server answered to CLUSTER SLOTS.
    /// \return why there is no map where there should be one
    std::optional<std::string> learn(redis_value ranges) {
        // It is no cluster, or may not be asked; then redirections teach the way.
        if (ranges.is_error()) return std::nullopt;
        for (std::size_t i = 0; i != ranges.size(); ++i) {
            const redis_value range = ranges[i];
            if (range.size() < 3 || range[2].size() < 2) return "the map of the cluster cannot be read";
            const std::int64_t port = range[2][1].integer();
            if (port <= 0 || port > 65535) return "the map of the cluster names a server without a port";
            Node& at = node({host(range[2][0].text(), *seed_), static_cast<std::uint16_t>(port)});
            for (std::int64_t slot = std::max<std::int64_t>(range[0].integer(), 0);
                 slot <= range[1].integer() && slot < static_cast<std::int64_t>(redis_slots); ++slot)
                settle(static_cast<std::uint16_t>(slot), at);
        }
        if (ranges.size() == 0) return seed_->named("it belongs to a cluster that has no slots yet");
        return std::nullopt;
    }
    /// Takes over what another knows.
    template <class Other> void learn(const redis_routes<Other>& from) {
        for (std::uint16_t slot = 0; slot != redis_slots; ++slot) settle(slot, node(from.owner(slot).address()));
    }

    /// "MOVED 3999 127.0.0.1:6381", or ASK.
    Node* redirected(std::string_view words, const Node& by) {
        const std::size_t space = words.rfind(' '), colon = words.rfind(':');
        if (colon == words.npos || colon < space) return nullptr;
        const auto port = redis_number<std::uint16_t>(words.substr(colon + 1));
        const std::string_view to = words.substr(space + 1, colon - space - 1);
        if (!port || *port == 0 || to == "?") return nullptr;
        return &node({host(to, by), *port});
    }

    Node* other_than(const Node& one) {
        const std::lock_guard lock(mutex_);
        const std::size_t start = turn_++;
        for (std::size_t i = 0; i != nodes_.size(); ++i)
            if (Node* const each = nodes_[(start + i) % nodes_.size()].get(); each != &one) return each;
        return nullptr;
    }

private:
    /// A server that does not know its own name leaves it out.
    static std::string host(std::string_view named, const Node& by) {
        if (!named.empty()) return std::string(named);
        // A server behind a Unix socket is on this machine.
        return by.address().how == redis_address::kind::tcp ? by.address().host : "127.0.0.1";
    }

    Node& node(const redis_address& at) {
        const std::lock_guard lock(mutex_);
        for (const auto& each : nodes_)
            if (each->address() == at) return *each;
        nodes_.push_back(make_(at));
        return *nodes_.back();
    }

    const maker make_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::size_t turn_ = 0;
    Node* const seed_;
    std::array<std::atomic<Node*>, redis_slots> slots_{};
};

/// One request on its way through the servers: redirections are followed and remembered, and what may have acted is
/// never sent again.
template <class Node> class redis_course {
public:
    redis_course(redis_routes<Node>& routes, const redis_request& asked)
        : routes_(routes), asked_(asked), slot_(redis_slot(asked.key)), at_(&routes.owner(slot_)),
          command_(asked.command.reveal()) {}

    /// Whether to try once more; asked before each try.
    bool goes_on() noexcept { return !is_over_ && tries_++ != most_tries; }
    Node& at() const noexcept { return *at_; }

    /// What to send there.
    std::string_view bytes() {
        if (!is_asking_) return command_;
        // Good for the one command behind it.
        both_ = redis_command({"ASKING"});
        both_.append(command_);
        return both_.reveal();
    }
    /// How many answers that has; the last is the one.
    std::size_t answers() const noexcept { return is_asking_ ? 2 : 1; }

    /// It could not be connected to. (Pistache has a macro by the name of "unreachable".)
    void not_reached(std::string why) {
        // Another server may know who has its slots now.
        Node* const other = unreachable_ == nullptr ? routes_.other_than(*at_) : nullptr;
        if (other == nullptr) return end(std::move(why));
        unreachable_ = std::exchange(at_, other);
        is_asking_ = false;
    }

    /// There was no answer.
    void broke(const redis_failure& how) {
        why_ = at_->named(how.what);
        if (how.how_far == redis_failure::reach::sent) end(why_ + "; it may have acted");
    }

    /// \return whether that was it
    bool accepts(redis_value answer) {
        if (!answer.is_error()) return true;
        const std::string_view words = answer.text();
        why_ = at_->named(words);
        const bool is_moved = words.starts_with("MOVED ");
        if (is_moved || words.starts_with("ASK ")) {
            Node* const next = routes_.redirected(words, *at_);
            if (next == nullptr) {
                end(why_);
                return false;
            }
            at_ = next;
            is_asking_ = !is_moved;
            if (is_moved) routes_.settle(slot_, *at_);
        } else if (words.starts_with("NOSCRIPT") && !asked_.in_full.empty() &&
                   command_.data() != asked_.in_full.reveal().data()) {
            command_ = asked_.in_full.reveal();
        } else {
            is_stale_ = words.find("READONLY") != words.npos;
            end(why_);
        }
        return false;
    }

    /// It was the primary once; its name may lead to another by now, so its connections are worth nothing.
    bool is_stale() const noexcept { return is_stale_; }

    outage outcome() const {
        return {is_over_ ? why_ : why_ + "; gave up after " + std::to_string(most_tries) + " tries"};
    }

private:
    static constexpr int most_tries = 8;

    void end(std::string why) {
        why_ = std::move(why);
        is_over_ = true;
    }

    redis_routes<Node>& routes_;
    const redis_request& asked_;
    const std::uint16_t slot_;
    Node* at_;
    const Node* unreachable_ = nullptr;
    std::string_view command_;
    secret both_;
    std::string why_;
    int tries_ = 0;
    bool is_asking_ = false, is_stale_ = false, is_over_ = false;
};

} // namespace regrant::inline v0::detail
