// regrant/testing/detail/concurrency_suite.hpp - the promises of a store while many threads call it.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../../clock.hpp"
#include "../../grant.hpp"
#include "../../lineage.hpp"
#include "../../token_store.hpp"
#include "bench.hpp"
#include "witness.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace regrant::inline v0::testing {

inline std::vector<grant> fresh_rows(std::size_t how_many, std::string_view subject) {
    std::vector<grant> rows;
    rows.reserve(how_many);
    while (rows.size() != how_many) rows.push_back(fresh_row(subject));
    return rows;
}

/// Advances a row by one generation as often as it can, until `over(advanced)` says that it is enough.
template <class Probe, class Over> void advance_until(const Probe& at, const row_key& key, Over over) {
    for (bool advanced = false; !at.saw().failed() && !over(advanced);) {
        const auto seen = at.find(key);
        advanced = seen && at.advance(key, seen->current, next(seen->current), current_time());
        std::this_thread::yield();
    }
}

/// One thread calls `act(own)` while all others advance the row, each until its own `make_over()` says so.
/// \param acknowledged  counts the advances that succeeded
template <class Bench, class Probe, class Act, class MakeOver>
void amid_advances(Bench& bench, const Probe& at, const row_key& key, std::atomic<std::uint32_t>& acknowledged, Act act,
                   MakeOver make_over) {
    constexpr std::uint32_t enough_turns = 1000;
    std::atomic<std::uint32_t> turns{0};
    bench.race(at.saw(), [&](const auto& own, std::size_t i, starting_line& line) {
        line.arrive_and_wait();
        if (i != 0) {
            auto over = make_over();
            advance_until(own, key, [&](bool advanced) {
                acknowledged += advanced;
                ++turns;
                return over(advanced);
            });
            return;
        }
        // When the others are in full swing; a store that lets none through is another check's matter.
        while (acknowledged == 0 && turns < enough_turns && !own.saw().failed()) std::this_thread::yield();
        act(own);
    });
}

template <class Bench> void check_winners(Bench& bench) {
    const std::uint32_t rounds = bench.rounds();
    const std::string figures = std::to_string(rounds) + " races of " + std::to_string(bench.threads()) + " threads";

    bench.check("of n inserts of one key one is inserted, and the row is that one's (R36)", [&](const auto& at) {
        const auto keys = fresh_rows(rounds, fresh_subject());
        std::vector<std::atomic<std::uint32_t>> inserted(rounds), winner(rounds);
        bench.race(at.saw(), [&](const auto& own, std::size_t i, starting_line& line) {
            for (std::size_t round = 0; round != rounds && !at.saw().failed(); ++round) {
                grant mine = keys[round];
                mine.current = generation{static_cast<std::uint32_t>(i)};
                line.arrive_and_wait();
                if (!own.insert(mine)) continue;
                ++inserted[round];
                winner[round] = static_cast<std::uint32_t>(i);
            }
        });
        for (std::size_t round = 0; round != rounds && !at.saw().failed(); ++round) {
            at.saw().expect(inserted[round] == 1, std::to_string(inserted[round]) + " threads were told so");
            const auto row = at.find(keys[round].key);
            at.saw().expect(row && row->current == generation{winner[round].load()},
                            "the row is not that of who was told so");
        }
        at.saw().note(figures);
    });

    bench.check("of n threads that advance one generation one wins (R38, R47)", [&](const auto& at) {
        const grant row = fresh_row();
        at.place(row);
        std::vector<std::atomic<std::uint32_t>> winners(rounds);
        bench.race(at.saw(), [&](const auto& own, std::size_t, starting_line& line) {
            for (std::uint32_t round = 0; round != rounds && !at.saw().failed(); ++round) {
                line.arrive_and_wait();
                winners[round] += own.advance(row.key, generation{round}, generation{round + 1}, current_time());
            }
        });
        for (std::uint32_t round = 0; round != rounds && !at.saw().failed(); ++round)
            at.saw().expect(winners[round] == 1, "generation " + std::to_string(round) + " had " +
                                                     std::to_string(winners[round]) + " winners");
        const auto found = at.find(row.key);
        at.saw().expect(found && found->current == generation{rounds}, "the row is not where the last winner put it");
        at.saw().note(figures);
    });

    bench.check("a confirm never takes a rotation back (R38, R47)", [&](const auto& at) {
        const grant row = fresh_row();
        at.place(row);
        bench.race(at.saw(), [&](const auto& own, std::size_t i, starting_line& line) {
            for (std::uint32_t round = 0; round != rounds && !at.saw().failed(); ++round) {
                const generation from{round};
                line.arrive_and_wait();
                if (i != 0) (void)own.advance(row.key, from, from, current_time());
                else own.saw().expect(own.advance(row.key, from, next(from), current_time()),
                                      "the only rotation was refused");
            }
        });
        const auto found = at.find(row.key);
        at.saw().expect(found && found->current == generation{rounds},
                        "a row advanced " + std::to_string(rounds) + " times is at " +
                            generation_of(found));
        at.saw().note(figures);
    });

    bench.check("n threads that find and advance as fast as they can make one line: no advance is lost (R38)",
                [&](const auto& at) {
                    const grant row = fresh_row();
                    at.place(row);
                    std::atomic<std::uint32_t> acknowledged{0};
                    bench.race(at.saw(), [&](const auto& own, std::size_t, starting_line& line) {
                        line.arrive_and_wait();
                        std::uint32_t turns = 0;
                        advance_until(own, row.key, [&](bool advanced) {
                            acknowledged += advanced;
                            return turns++ == rounds;
                        });
                    });
                    const auto found = at.find(row.key);
                    at.saw().expect(found && found->current == generation{acknowledged.load()},
                                    std::to_string(acknowledged) + " advances made generation " +
                                        generation_of(found));
                    at.saw().note(std::to_string(acknowledged) + " advances");
                });
}

template <class Bench> void check_freshness(Bench& bench) {
    bench.check("find sees each insert, advance and revoke answered before it began, on every handle (R50)",
                [&](const auto& at) {
                    const auto rows = fresh_rows(bench.rounds(), fresh_subject());
                    bench.race(at.saw(), [&](const auto& own, std::size_t i, starting_line& line) {
                        for (std::size_t round = 0; round != rows.size() && !at.saw().failed(); ++round) {
                            const row_key& key = rows[round].key;
                            const auto acts = [&](std::size_t step) { return i == (round + step) % bench.threads(); };
                            const auto everyone_sees = [&](auto holds, std::string_view otherwise) {
                                line.arrive_and_wait();
                                const auto found = own.find(key);
                                own.saw().expect(found && holds(*found), otherwise);
                                line.arrive_and_wait();
                            };
                            if (acts(0)) own.place(rows[round]);
                            everyone_sees([](const grant&) { return true; }, "an insert that was answered is not seen");
                            if (acts(1)) (void)own.advance(key, first_generation, generation{1}, current_time());
                            everyone_sees([](const grant& row) { return row.current == generation{1}; },
                                          "an advance that was answered is not seen");
                            if (acts(2)) own.revoke(key);
                            everyone_sees([](const grant& row) { return row.state == revocation::revoked; },
                                          "a revoke that was answered is not seen");
                        }
                    });
                });
}

template <class Bench> void check_revoke_races(Bench& bench) {
    struct ending {
        std::uint32_t acknowledged;
        /// The row as it was when the revoke had been answered.
        std::optional<grant> seen;
    };
    // Each thread makes three further attempts, all begun after the revoke was answered.
    const auto race_a_revoke = [&](const auto& at, const row_key& key, auto late) {
        std::atomic<bool> answered{false};
        std::atomic<std::uint32_t> acknowledged{0};
        std::optional<grant> seen;
        amid_advances(bench, at, key, acknowledged,
                      [&](const auto& own) {
                          own.revoke(key);
                          answered = true;
                          seen = own.find(key);
                      },
                      [&] {
                          // What was read before the call tells whether the call began after the answer.
                          return [&, was_answered = false, late_attempts = 0](bool advanced) mutable {
                              if (advanced && was_answered) late();
                              late_attempts += was_answered;
                              was_answered = answered;
                              return late_attempts == 3;
                          };
                      });
        return ending{acknowledged, std::move(seen)};
    };

    bench.check("once revoke was answered no advance succeeds (R50)", [&](const auto& at) {
        for (std::uint32_t round = 0; round != bench.rounds() && !at.saw().failed(); ++round) {
            const grant row = fresh_row();
            at.place(row);
            race_a_revoke(at, row.key, [&] { at.saw().complain("an advance begun afterwards succeeded"); });
        }
    });

    bench.check("revoke beats every advance on its way: the row stays revoked, where the last one left it (R50)",
                [&](const auto& at) {
                    for (std::uint32_t round = 0; round != bench.rounds() && !at.saw().failed(); ++round) {
                        const grant row = fresh_row();
                        at.place(row);
                        const ending end = race_a_revoke(at, row.key, [] {});
                        const auto found = at.find(row.key);
                        if (!at.saw().expect(found && end.seen, "the row is gone")) continue;
                        at.saw().expect(found->state == revocation::revoked, "the row is live again");
                        at.saw().expect(found->current == end.seen->current, "the row moved on when it was revoked");
                        at.saw().expect(found->current == generation{end.acknowledged},
                                        "the row is at " + in_words(found->current) + " after " +
                                            std::to_string(end.acknowledged) + " advances");
                    }
                });
}

/// The four promises under contention, called by hand.
template <class Bench> void concurrency_suite(Bench& bench) {
    check_winners(bench);
    check_freshness(bench);
    check_revoke_races(bench);
}

} // namespace regrant::inline v0::testing
