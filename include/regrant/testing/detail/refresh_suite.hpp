// regrant/testing/detail/refresh_suite.hpp - many threads that refresh one login through the real grant.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../../lineage.hpp"
#include "../../token_store.hpp"
#include "bench.hpp"
#include "refresh_rig.hpp"
#include "witness.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>

namespace regrant::inline v0::testing {

/// What a user's browser tabs do to a store.
template <class Bench> void refresh_suite(Bench& bench) {
    refresh_rig rig;

    bench.check("n concurrent refreshes of one token get one successor, and make one generation (R47, R48)",
                [&](const auto& at) {
                    const rigged_login login = rig.log_in();
                    at.place(login.row);
                    bench.race(at.saw(), [&](const auto& own, std::size_t i, starting_line& line) {
                        for (std::uint32_t round = 0; round != bench.rounds() && !at.saw().failed(); ++round) {
                            const generation presented{round};
                            line.arrive_and_wait();
                            const refreshed answer = rig.refresh(own.store(), login, presented);
                            own.saw().expect(answer == rig.success(login, next(presented)),
                                             "a refresh ended with " + answer.describe() +
                                                 (answer.refused ? "" : " and another successor"));
                            line.arrive_and_wait();
                            if (i != 0) continue;
                            const auto row = own.find(login.row.key);
                            own.saw().expect(row && row->current == next(presented),
                                             "the row is at " + generation_of(row) +
                                                 " after a refresh from " + in_words(presented));
                        }
                    });
                    at.saw().note(std::to_string(bench.rounds()) + " races of " + std::to_string(bench.threads()) +
                                  " threads");
                });

    bench.check("a refresh that starts after revoke was answered fails (R50)", [&](const auto& at) {
        for (std::uint32_t round = 0; round != bench.rounds() && !at.saw().failed(); ++round) {
            // Rotating by two threads would end in a replay, whose revoke is not the one looked at here.
            const rotation kind = round % 2 == 0 ? rotation::echo : rotation::rotate;
            const rigged_login login = rig.log_in(kind);
            at.place(login.row);
            std::atomic<bool> answered{false};
            bench.race(at.saw(), [&](const auto& own, std::size_t i, starting_line& line) {
                line.arrive_and_wait();
                if (i == 0) {
                    std::this_thread::yield();
                    own.revoke(login.row.key);
                    answered = true;
                    return;
                }
                if (kind == rotation::rotate && i != 1) return;
                std::uint32_t number = 0;
                for (bool over = false; !over && !own.saw().failed();) {
                    over = answered;
                    const refreshed answer = rig.refresh(own.store(), login, generation{number});
                    own.saw().expect(!answer.is_outage(), "a refresh met an outage");
                    own.saw().expect(!over || answer.refused.has_value(), "it was answered with tokens");
                    if (kind == rotation::rotate && !answer.refused) ++number;
                    std::this_thread::sleep_for(std::chrono::microseconds(50)); // lest the revoke never gets a turn
                }
            });
            const auto row = at.find(login.row.key);
            at.saw().expect(row && row->state == revocation::revoked, "the row is not revoked");
        }
    });
}

} // namespace regrant::inline v0::testing
