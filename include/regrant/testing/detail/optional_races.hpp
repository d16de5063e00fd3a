// regrant/testing/detail/optional_races.hpp - the optional abilities of a store while many threads call it.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../../clock.hpp"
#include "../../grant.hpp"
#include "../../lineage.hpp"
#include "../../token_store.hpp"
#include "bench.hpp"
#include "concurrency_suite.hpp"
#include "witness.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace regrant::inline v0::testing {

template <class Bench> void check_revoke_subject_races(Bench& bench) {
    constexpr std::string_view name = "revoke_subject ends each family whose insert was answered before it began (R50)";
    if constexpr (can_revoke_subject<typename Bench::store_type>) {
        bench.check(name, [&](const auto& at) {
            constexpr std::size_t each_inserts = 4;
            for (std::uint32_t round = 0; round != bench.rounds() && !at.saw().failed(); ++round) {
                const std::string subject = fresh_subject();
                const auto rows = fresh_rows(bench.threads() * each_inserts, subject);
                std::vector<std::atomic<std::size_t>> answered(bench.threads());
                bench.race(at.saw(), [&](const auto& own, std::size_t i, starting_line& line) {
                    line.arrive_and_wait();
                    if (i != 0) {
                        for (; answered[i] != each_inserts && !own.saw().failed(); ++answered[i])
                            own.place(rows[i * each_inserts + answered[i]]);
                        return;
                    }
                    // Amid the inserts: after at least one, at a place that moves with the rounds.
                    const std::size_t awaited = 1 + round % (each_inserts - 1);
                    while (answered[1] < awaited && !own.saw().failed()) std::this_thread::yield();
                    std::vector<std::size_t> covered;
                    for (const auto& count : answered) covered.push_back(count);
                    (void)own.works(own.store().revoke_subject(subject), "revoke_subject");
                    for (std::size_t who = 1; who != covered.size(); ++who)
                        for (std::size_t j = 0; j != covered[who]; ++j) {
                            const row_key& key = rows[who * each_inserts + j].key;
                            const auto found = own.find(key);
                            own.saw().expect(found && found->state == revocation::revoked,
                                             "a family inserted before is live");
                            own.saw().expect(!own.advance(key, first_generation, generation{1}, current_time()),
                                             "a family inserted before still advances");
                        }
                });
            }
        });
    } else bench.skip(name, "the store has no revoke_subject");
}

template <class Bench> void check_reap_races(Bench& bench) {
    constexpr std::string_view loses_none = "reap loses no advance of a row that lives (R38)";
    constexpr std::string_view brings_none_back = "an advance brings back no row that reap has forgotten (R53)";
    if constexpr (can_reap<typename Bench::store_type>) {
        bench.check(loses_none, [&](const auto& at) {
            for (std::uint32_t round = 0; round != bench.rounds() && !at.saw().failed(); ++round) {
                const grant row = fresh_row();
                at.place(row);
                std::atomic<bool> reaped{false};
                std::atomic<std::uint32_t> acknowledged{0};
                amid_advances(bench, at, row.key, acknowledged,
                              [&](const auto& own) {
                                  (void)own.works(own.store().reap(current_time()), "reap");
                                  reaped = true;
                              },
                              [&] { return [&](bool) { return reaped.load(); }; });
                const auto found = at.find(row.key);
                at.saw().expect(found && found->current == generation{acknowledged.load()},
                                std::to_string(acknowledged) + " advances during a reap left generation " +
                                    generation_of(found));
            }
        });

        bench.check(brings_none_back, [&](const auto& at) {
            for (std::uint32_t round = 0; round != bench.rounds() && !at.saw().failed(); ++round) {
                const instant until = current_time() + std::chrono::seconds(3);
                grant row = fresh_row();
                row.expires_at = until;
                at.place(row);
                std::atomic<bool> begun{false};
                bench.race(at.saw(), [&](const auto& own, std::size_t i, starting_line& line) {
                    line.arrive_and_wait();
                    // In every other round after an advance has begun: who leaves the line first is the machine's
                    // choice.
                    while (i == 0 && round % 2 == 1 && !begun) std::this_thread::yield();
                    if (i == 1) begun = true;
                    if (i == 0) (void)own.works(own.store().reap(until + std::chrono::milliseconds(1)), "reap");
                    else if (i % 2 == 0) (void)own.revoke(row.key);
                    else (void)own.advance(row.key, first_generation, generation{1}, current_time());
                });
                at.expect_none(row.key, "that had expired, after a reap amid advances");
            }
        });
    } else {
        bench.skip(loses_none, "the store has no reap");
        bench.skip(brings_none_back, "the store has no reap");
    }
}

/// What a store offers on top of the four promises, under contention.
template <class Bench> void optional_races(Bench& bench) {
    check_revoke_subject_races(bench);
    check_reap_races(bench);
}

} // namespace regrant::inline v0::testing
