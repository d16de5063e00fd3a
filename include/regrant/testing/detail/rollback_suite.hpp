// regrant/testing/detail/rollback_suite.hpp - a store that has forgotten its last advances.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../../clock.hpp"
#include "../../error.hpp"
#include "../../grant.hpp"
#include "../../lineage.hpp"
#include "../../result.hpp"
#include "../../token_store.hpp"
#include "bench.hpp"
#include "refresh_rig.hpp"
#include "witness.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace regrant::inline v0::testing {

/// A store that says yes to advances, and forgets them.
template <class Store> class forgetful_store {
public:
    explicit forgetful_store(Store& store) noexcept : store_(store) {}

    result<insert_outcome, outage> insert(const grant& row) { return store_.insert(row); }
    /// The row as it would be.
    result<std::optional<grant>, outage> find(const row_key& key) {
        auto found = store_.find(key);
        if (found && *found && (*found)->current < at_) (*found)->current = at_;
        return found;
    }
    result<advance_outcome, outage> advance(const row_key&, generation, generation next, instant) {
        at_ = next;
        return advance_outcome::advanced;
    }
    result<void, outage> revoke(const row_key& key) { return store_.revoke(key); }

private:
    Store& store_;
    generation at_ = first_generation;
};

/// Refreshes a login `by` times, then makes the store forget all of them.
/// \return the newest token's generation
template <class Bench, class Probe>
generation rolled_back(Bench& bench, const Probe& at, refresh_rig& rig, const rigged_login& login, std::uint32_t by) {
    generation newest = login.row.current;
    forgetful_store forgetful(at.store());
    for (std::uint32_t i = 0; i != by; ++i, newest = next(newest)) {
        const refreshed answer = bench.options.set_back ? rig.refresh(at.store(), login, newest)
                                                        : rig.refresh(forgetful, login, newest);
        at.saw().expect(answer == rig.success(login, next(newest)), "a refresh came to " + answer.describe());
    }
    if (bench.options.set_back) bench.options.set_back(login.row.key, login.row.current);
    const auto row = at.find(login.row.key);
    at.saw().expect(row && row->current == login.row.current, "the row was not set back");
    return newest;
}

/// Advances may be lost when an engine fails over; a revoke may not.
template <class Bench> void rollback_suite(Bench& bench) {
    refresh_rig rig;

    bench.check("a row behind its token heals, and the line goes on (R53)", [&](const auto& at) {
        for (const std::uint32_t by : {1U, 2U, 8U}) {
            rigged_login login = rig.log_in();
            login.row.current = generation{20};
            at.place(login.row);
            generation newest = rolled_back(bench, at, rig, login, by);
            for (int i = 0; i != 3; ++i) {
                const refreshed answer = rig.refresh(at.store(), login, newest);
                newest = next(newest);
                at.saw().expect(answer == rig.success(login, newest),
                                "the newest token came to " + answer.describe() + " with its row " +
                                    std::to_string(by) + " behind");
                const auto row = at.find(login.row.key);
                at.saw().expect(row && row->current == newest, "the row did not catch up");
            }
        }
    });

    bench.check("once its row has healed a superseded token is a replay again, and ends the family (R38, R53)",
                [&](const auto& at) {
                    rigged_login login = rig.log_in();
                    at.place(login.row);
                    const generation newest = rolled_back(bench, at, rig, login, 3);
                    (void)rig.refresh(at.store(), login, newest);
                    const refreshed replay = rig.refresh(at.store(), login, generation{1});
                    at.saw().expect(replay.refused == reason::replayed, "a replay came to " + replay.describe());
                    const refreshed after = rig.refresh(at.store(), login, next(newest));
                    at.saw().expect(after.refused == reason::revoked,
                                    "the newest token came to " + after.describe() + " afterwards");
                });

    bench.check("n threads heal one row: they get one successor (R47, R53)", [&](const auto& at) {
        for (std::uint32_t round = 0; round != bench.rounds() && !at.saw().failed(); ++round) {
            rigged_login login = rig.log_in();
            at.place(login.row);
            const generation newest = rolled_back(bench, at, rig, login, 1 + round % 4);
            bench.race(at.saw(), [&](const auto& own, std::size_t, starting_line& line) {
                line.arrive_and_wait();
                const refreshed answer = rig.refresh(own.store(), login, newest);
                own.saw().expect(answer == rig.success(login, next(newest)), "a refresh came to " + answer.describe());
            });
            const auto row = at.find(login.row.key);
            at.saw().expect(row && row->current == next(newest), "the row is not one past the token");
        }
    });

    bench.check("a revoked family stays revoked when its advances are forgotten (R38, R50)", [&](const auto& at) {
        rigged_login login = rig.log_in();
        at.place(login.row);
        const generation newest = rolled_back(bench, at, rig, login, 3);
        at.revoke(login.row.key);
        if (bench.options.set_back) bench.options.set_back(login.row.key, login.row.current);
        for (const generation presented : {first_generation, generation{1}, newest}) {
            const refreshed answer = rig.refresh(at.store(), login, presented);
            at.saw().expect(answer.refused == reason::revoked, "a token came to " + answer.describe());
        }
        const auto row = at.find(login.row.key);
        at.saw().expect(row && row->state == revocation::revoked, "the row is live");
    });
}

} // namespace regrant::inline v0::testing
