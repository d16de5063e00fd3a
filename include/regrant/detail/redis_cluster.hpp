// regrant/detail/redis_cluster.hpp - the way from a key to the Redis server that has it.
// floor 4
// SPDX-License-Identifier: MIT
#pragma once

#include "../error.hpp"
#include "../result.hpp"
#include "../secret.hpp"
#include "hiredis.hpp"
#include "redis_node.hpp"
#include "redis_url.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
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
};

/// One command on one key.
struct redis_request {
    enum class weight : std::uint8_t { forgettable, kept };

    std::string_view key;
    secret command;
    /// The same with the script's text, for a server that does not know its hash.
    secret in_full{};
    weight how = weight::forgettable;
};

/// All servers of a store: one, or those of a cluster. Redirections are followed, and remembered by slot.
class redis_cluster {
public:
    redis_cluster(redis_address seed, redis_access access, redis_acknowledgement acknowledgement)
        : access_(std::move(access)), acknowledgement_(acknowledgement) {
        node(seed);
    }

    redis_node& seed() const noexcept { return *seed_; }

    /// Whether an insert or a revoke may be seen here before it is acknowledged.
    bool waits_for_more() const noexcept { return acknowledgement_.is_wanted(); }

    /// The servers that slots are known to be at.
    std::vector<redis_node*> primaries() const {
        std::vector<redis_node*> all;
        for (const auto& slot : slots_)
            if (redis_node* const at = slot.load(); at != nullptr && std::find(all.begin(), all.end(), at) == all.end())
                all.push_back(at);
        if (all.empty()) all.push_back(seed_);
        return all;
    }

    /// Asks the first server for the map of the cluster, if it is one of a cluster.
    /// \return why there is none where there should be one
    std::optional<std::string> learn(redis_time until) {
        const auto answer = ask(*seed_, redis_command({"CLUSTER", "SLOTS"}), until);
        if (!answer) return answer.error().detail;
        const redis_value ranges = **answer;
        // It is no cluster, or may not be asked; then redirections teach the way.
        if (ranges.is_error()) return std::nullopt;
        for (std::size_t i = 0; i != ranges.size(); ++i) {
            const redis_value range = ranges[i];
            if (range.size() < 3 || range[2].size() < 2) return "the map of the cluster cannot be read";
            const std::int64_t port = range[2][1].integer();
            if (port <= 0 || port > 65535) return "the map of the cluster names a server without a port";
            redis_node& at = node({host(range[2][0].text(), *seed_), static_cast<std::uint16_t>(port)});
            for (std::int64_t slot = std::max<std::int64_t>(range[0].integer(), 0);
                 slot <= range[1].integer() && slot < static_cast<std::int64_t>(redis_slots); ++slot)
                slots_[static_cast<std::size_t>(slot)].store(&at);
        }
        if (ranges.size() == 0) return seed_->named("it belongs to a cluster that has no slots yet");
        return std::nullopt;
    }

    /// Runs a command on the server that has the key. A command that may have acted is never sent again.
    ///
    /// \par Errors
    /// `outage` for a server that does not answer, and for every answer that is an error
    result<redis_reply, outage> ask(const redis_request& asked, redis_time until) {
        std::atomic<redis_node*>& owner = slots_[redis_slot(asked.key)];
        redis_node* at = owner.load();
        if (at == nullptr) at = seed_;
        const redis_node* unreachable = nullptr;
        std::string_view command = asked.command.reveal();
        bool is_asking = false;
        std::string why;
        for (int tries = 0; tries != most_tries; ++tries) {
            auto to = at->take(until);
            if (!to) {
                // Another server may know who has its slots now.
                redis_node* const other = unreachable == nullptr ? other_than(*at) : nullptr;
                if (other == nullptr) return unexpected(outage{std::move(to).error()});
                unreachable = std::exchange(at, other);
                is_asking = false;
                continue;
            }
            auto answer = send(**to, command, is_asking, until);
            if (!answer) {
                why = at->named(answer.error().what);
                if (answer.error().how_far == redis_failure::reach::not_sent) continue;
                return unexpected(outage{why + "; it may have acted"});
            }
            if (!(**answer).is_error()) {
                if (asked.how == redis_request::weight::kept)
                    if (auto lacking = acknowledge(**to, until)) return unexpected(outage{at->named(*lacking)});
                return *std::move(answer);
            }
            const std::string_view words = (**answer).text();
            why = at->named(words);
            const bool is_moved = words.starts_with("MOVED ");
            if (is_moved || words.starts_with("ASK ")) {
                redis_node* const next = redirected(words, *at);
                if (next == nullptr) return unexpected(outage{why});
                at = next;
                is_asking = !is_moved;
                if (is_moved) owner.store(at);
            } else if (words.starts_with("NOSCRIPT") && !asked.in_full.empty() &&
                       command.data() != asked.in_full.reveal().data()) {
                command = asked.in_full.reveal();
            } else {
                // It was the primary once; its name may lead to another by now.
                if (words.find("READONLY") != words.npos) {
                    (*to)->close();
                    at->forget_connections();
                }
                return unexpected(outage{why});
            }
        }
        return unexpected(outage{why + "; gave up after " + std::to_string(most_tries) + " tries"});
    }

    /// Runs a command that has no key; an answer that is an error is an answer.
    static result<redis_reply, outage> ask(redis_node& at, const secret& command, redis_time until) {
        auto answers = ask_all(at, command, 1, until);
        if (!answers) return unexpected(std::move(answers).error());
        return std::move(answers->front());
    }

    /// Runs reads of what one server has, in one go.
    static result<std::vector<redis_reply>, outage> ask_all(redis_node& at, const secret& commands, std::size_t count,
                                                            redis_time until) {
        auto to = at.take(until);
        if (!to) return unexpected(outage{std::move(to).error()});
        auto answers = (*to)->call_all(commands.reveal(), count, until);
        if (!answers) return unexpected(outage{at.named(answers.error().what)});
        return *std::move(answers);
    }

private:
    static constexpr int most_tries = 8;

    static result<redis_reply, redis_failure> send(redis_connection& to, std::string_view command, bool is_asking,
                                                   redis_time until) {
        if (!is_asking) return to.call(command, until);
        // Good for the one command behind it.
        secret both = redis_command({"ASKING"});
        both.append(command);
        auto answers = to.call_all(both.reveal(), 2, until);
        if (!answers) return unexpected(std::move(answers).error());
        return std::move(answers->back());
    }

    /// On the connection that wrote, for it waits for what was written there.
    /// \return what is lacking
    std::optional<std::string> acknowledge(redis_connection& at, redis_time until) const {
        using namespace std::chrono;
        if (!acknowledgement_.is_wanted()) return std::nullopt;
        // It must answer before the call is over; zero would mean for ever.
        const auto left = duration_cast<milliseconds>(until - steady_clock::now());
        const std::string timeout = std::to_string(std::max<std::int64_t>(left.count() * 9 / 10, 1));
        const std::string replicas = std::to_string(acknowledgement_.replicas);
        const bool waits_for_files = acknowledgement_.file == redis_acknowledgement::fsync::awaited;
        const auto answer = at.call((waits_for_files ? redis_command({"WAITAOF", "1", replicas, timeout})
                                                     : redis_command({"WAIT", replicas, timeout}))
                                        .reveal(),
                                    until);
        if (!answer) return answer.error().what + "; it has acted";
        const redis_value value = **answer;
        if (value.is_error()) return std::string(value.text()) + "; it has acted";
        if (waits_for_files && (value.size() < 2 || value[0].integer() < 1)) return "it has acted, but did not sync";
        const redis_value reached = waits_for_files ? value[1] : value;
        if (reached.integer() < std::int64_t{acknowledgement_.replicas})
            return "it has acted, but only " + std::to_string(reached.integer()) + " of " + replicas +
                   " replicas acknowledged";
        return std::nullopt;
    }

    /// "MOVED 3999 127.0.0.1:6381", or ASK.
    redis_node* redirected(std::string_view words, const redis_node& by) {
        const std::size_t space = words.rfind(' '), colon = words.rfind(':');
        if (colon == words.npos || colon < space) return nullptr;
        const auto port = redis_number<std::uint16_t>(words.substr(colon + 1));
        const std::string_view to = words.substr(space + 1, colon - space - 1);
        if (!port || to == "?") return nullptr;
        return &node({host(to, by), *port});
    }

    /// A server that does not know its own name leaves it out.
    static std::string host(std::string_view named, const redis_node& by) {
        return named.empty() ? by.address().host : std::string(named);
    }

    redis_node& node(const redis_address& at) {
        const std::lock_guard lock(mutex_);
        for (const auto& each : nodes_)
            if (each->address().port == at.port && each->address().host == at.host) return *each;
        nodes_.push_back(std::make_unique<redis_node>(at, access_));
        if (seed_ == nullptr) seed_ = nodes_.back().get();
        return *nodes_.back();
    }

    redis_node* other_than(const redis_node& one) {
        const std::lock_guard lock(mutex_);
        const std::size_t start = turn_++;
        for (std::size_t i = 0; i != nodes_.size(); ++i)
            if (redis_node* const each = nodes_[(start + i) % nodes_.size()].get(); each != &one) return each;
        return nullptr;
    }

    const redis_access access_;
    const redis_acknowledgement acknowledgement_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<redis_node>> nodes_;
    std::size_t turn_ = 0;
    redis_node* seed_ = nullptr;
    std::array<std::atomic<redis_node*>, redis_slots> slots_{};
};

} // namespace regrant::inline v0::detail
