// tests/examples/prometheus.hpp - counts decisions, and prints the counts in Prometheus' text format.
// SPDX-License-Identifier: MIT
#pragma once

#include <regrant/decision.hpp>
#include <regrant/error.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace example {

/// What a host would count. No label is text that a client sends: whoever did that could make series without end.
class prometheus_counters {
public:
    /// An observer's hook: from many threads at once, without a lock.
    void observe(const regrant::decision& made) noexcept {
        const auto asked = static_cast<std::size_t>(made.asked);
        const std::size_t outcome = made.refused ? static_cast<std::size_t>(*made.refused) : reasons;
        add(decisions_[asked][outcome]);
        if (made.written) add(writes_[asked][static_cast<std::size_t>(*made.written)]);
        add(races_lost_, made.races_lost);
        add(families_ended_, made.families_ended);
    }

    /// The body of `GET /metrics`, of type `text/plain; version=0.0.4`. Series that are zero so far are left out, except
    /// where an alarm may be set on them.
    std::string text() const {
        std::string text = "# HELP regrant_decisions_total Requests decided, by what was asked and why it was refused.\n"
                           "# TYPE regrant_decisions_total counter\n";
        for (std::size_t asked = 0; asked != kinds; ++asked)
            for (std::size_t outcome = 0; outcome != reasons + 1; ++outcome) {
                const auto count = decisions_[asked][outcome].load(std::memory_order_relaxed);
                if (count == 0 && outcome != reasons) continue;
                const bool is_good = outcome == reasons;
                const auto& form = regrant::form_of(static_cast<regrant::reason>(is_good ? 0 : outcome));
                text += "regrant_decisions_total{asked=\"" + name_of<regrant::request_kind>(asked) + "\",outcome=\"" +
                        std::string(is_good ? "good" : to_string(form.code)) + "\",reason=\"" +
                        std::string(is_good ? "" : form.name) + "\"} " + std::to_string(count) + '\n';
            }
        text += "# HELP regrant_writes_total Writes to the store, by what was asked and what was written.\n"
                "# TYPE regrant_writes_total counter\n";
        for (std::size_t asked = 0; asked != kinds; ++asked)
            for (std::size_t written = 0; written != write_kinds; ++written)
                if (const auto count = writes_[asked][written].load(std::memory_order_relaxed))
                    text += "regrant_writes_total{asked=\"" + name_of<regrant::request_kind>(asked) + "\",written=\"" +
                            name_of<regrant::write_kind>(written) + "\"} " + std::to_string(count) + '\n';
        text += "# HELP regrant_races_lost_total Conditional writes that had to be tried again.\n"
                "# TYPE regrant_races_lost_total counter\n"
                "regrant_races_lost_total " + std::to_string(races_lost_.load(std::memory_order_relaxed)) + '\n';
        text += "# HELP regrant_families_ended_total Logins ended by logging users out everywhere.\n"
                "# TYPE regrant_families_ended_total counter\n"
                "regrant_families_ended_total " + std::to_string(families_ended_.load(std::memory_order_relaxed)) + '\n';
        return text;
    }

private:
    using counter = std::atomic<std::uint64_t>;
    static constexpr std::size_t reasons = static_cast<std::size_t>(regrant::reason::exception_caught) + 1;
    static constexpr std::size_t kinds = static_cast<std::size_t>(regrant::request_kind::revoke_subject) + 1;
    static constexpr std::size_t write_kinds = static_cast<std::size_t>(regrant::write_kind::revoke) + 1;

    static void add(counter& to, std::uint64_t count = 1) noexcept { to.fetch_add(count, std::memory_order_relaxed); }
    template <class Kind> static std::string name_of(std::size_t number) {
        return std::string(to_string(static_cast<Kind>(number)));
    }

    std::array<std::array<counter, reasons + 1>, kinds> decisions_{};
    std::array<std::array<counter, write_kinds>, kinds> writes_{};
    counter races_lost_ = 0;
    counter families_ended_ = 0;
};

} // namespace example
