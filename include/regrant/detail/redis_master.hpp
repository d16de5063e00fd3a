// regrant/detail/redis_master.hpp - which server is the master now, as Redis Sentinels tell.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "../result.hpp"
#include "../secret.hpp"
#include "hiredis.hpp"
#include "redis_url.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0::detail {

/// Follows the master of one name. Whoever uses this connects: each new connection asks the Sentinels in turn, until
/// one names a server that says itself that it is the master.
class redis_master {
public:
    /// \param sentinels  how many there are
    redis_master(std::string name, std::size_t sentinels) : name_(std::move(name)), sentinels_(sentinels) {}

    /// In which order to ask: the Sentinel that was right last comes first.
    std::vector<std::size_t> order() const {
        const std::lock_guard lock(mutex_);
        std::vector<std::size_t> all;
        for (std::size_t i = 0; i != sentinels_; ++i)
            all.push_back((first_ + i) % sentinels_);
        return all;
    }

    /// Whether to ask a Sentinel again before a connection is used: once a second, by one caller. A master that was cut
    /// off from its Sentinels still answers, and nobody tells it that there is another by now.
    bool is_due() noexcept {
        if (sentinels_ == 0) return false;
        const auto now = ticks();
        auto last = asked_at_.load();
        return last != 0 && now - last >= ask_again && asked_at_.compare_exchange_strong(last, now);
    }
    /// What the first Sentinel of `order` answered then. Without an answer the next one is asked the next time.
    void is_told(const result<redis_address, std::string>& named) {
        const std::lock_guard lock(mutex_);
        if (!named) first_ = (first_ + 1) % sentinels_;
        if (!named || current_ == *named) return;
        current_.reset();
        ++reign_;
    }

    secret question() const { return redis_command({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", name_}); }

    /// What a Sentinel answered to it.
    result<redis_address, std::string> named_by(redis_value answer) const {
        if (answer.is_error()) return unexpected(redis_refusal(answer));
        if (answer.size() != 2) return unexpected("it knows no master by the name of " + name_);
        const auto port = redis_number<std::uint16_t>(answer[1].text());
        if (!port || *port == 0 || answer[0].text().empty())
            return unexpected(std::string("its answer cannot be read"));
        return redis_address{std::string(answer[0].text()), *port};
    }

    static secret role() { return redis_command({"ROLE"}); }

    /// What a server answered to that. \return why it is not the master
    static std::optional<std::string> fault_of(redis_value role) {
        if (role.is_error()) return redis_refusal(role);
        if (role.size() != 0 && role[0].text() == "master") return std::nullopt;
        return "it is not a master, though a Sentinel names it as one";
    }

    /// Whether this is the master already, found fit.
    bool is(const redis_address& address) const {
        const std::lock_guard lock(mutex_);
        return current_ == address;
    }
    std::optional<redis_address> current() const {
        const std::lock_guard lock(mutex_);
        return current_;
    }

    /// This is the master, and fit.
    redis_reign found(const redis_address& address, std::size_t by_sentinel) {
        const std::lock_guard lock(mutex_);
        first_ = by_sentinel;
        asked_at_ = ticks();
        if (current_ != address) {
            current_ = address;
            ++reign_;
        }
        return {reign_};
    }

private:
    using clock = std::chrono::steady_clock;

    static constexpr std::int64_t ask_again = clock::duration(std::chrono::seconds(1)).count();

    static std::int64_t ticks() noexcept { return clock::now().time_since_epoch().count(); }

    const std::string name_;
    const std::size_t sentinels_;
    mutable std::mutex mutex_;
    std::size_t first_ = 0;
    std::optional<redis_address> current_;
    std::atomic<std::uint64_t> reign_{0};
    /// 0 until a master was found.
    std::atomic<std::int64_t> asked_at_{0};
};

} // namespace regrant::inline v0::detail
