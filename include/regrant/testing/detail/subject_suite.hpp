// regrant/testing/detail/subject_suite.hpp - the optional abilities of a store: by subject, by age.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../../clock.hpp"
#include "../../grant.hpp"
#include "../../lineage.hpp"
#include "../../token_store.hpp"
#include "bench.hpp"
#include "sequence_suite.hpp"
#include "witness.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace regrant::inline v0::testing {

/// Names that a collation, a pattern, a cut or a blank might take for `subject`.
inline std::vector<std::string> lookalikes(const std::string& subject) {
    std::string upper = subject;
    upper[0] = 'C';
    std::string pattern = subject;
    pattern.back() = '_';
    return {upper, pattern, subject + " ", " " + subject, subject + std::string("\0x", 2), subject + "\xCC\x81",
            subject.substr(0, subject.size() - 1), subject + "x", "%", "*", subject + "*"};
}

template <class Bench> void check_revoke_subject(Bench& bench) {
    constexpr std::string_view ends_all = "revoke_subject ends each of a user's families, and counts them (R45)";
    constexpr std::string_view ends_no_other = "revoke_subject ends no other user's family, however alike (R45)";
    if constexpr (can_revoke_subject<typename Bench::store_type>) {
        bench.check(ends_all, [](const auto& at) {
            const std::string subject = fresh_subject();
            // More than a batch of whatever size comes to mind.
            std::vector<grant> rows;
            for (std::size_t i = 0; i != 130; ++i) rows.push_back(fresh_row(subject));
            for (const grant& row : rows) at.place(row);
            at.revoke(rows.front().key);
            const auto ended = at.store().revoke_subject(subject);
            if (at.works(ended, "revoke_subject"))
                at.saw().expect(*ended == rows.size() - 1, "it counts " + std::to_string(*ended) + " of 129");
            for (grant& row : rows) {
                row.state = revocation::revoked;
                at.expect_row(row, "after revoke_subject");
            }
            const auto again = at.store().revoke_subject(subject);
            if (at.works(again, "a second revoke_subject"))
                at.saw().expect(*again == 0, "the second time it counts " + std::to_string(*again));
        });
        bench.check(ends_no_other, [](const auto& at) {
            const std::string subject = fresh_subject();
            const grant row = fresh_row(subject);
            at.place(row);
            // One with a NUL may be an outage: no row bears it where the engine does not know it.
            for (const std::string& other : lookalikes(subject))
                if (other.size() > 1) (void)at.store().revoke_subject(other);
            at.expect_row(row, "after revoke_subject of others");
        });
    } else {
        bench.skip(ends_all, "the store has no revoke_subject");
        bench.skip(ends_no_other, "the store has no revoke_subject");
    }
}

template <class Bench> void check_list_subject(Bench& bench) {
    constexpr std::string_view name = "list_subject gives each of a user's live rows whole, and nobody else's (R45)";
    if constexpr (can_list_subject<typename Bench::store_type>) {
        bench.check(name, [](const auto& at) {
            const std::string subject = fresh_subject();
            const auto none = at.store().list_subject(subject);
            if (at.works(none, "list_subject of a stranger"))
                at.saw().expect(none->empty(), "a stranger has rows");
            std::vector<grant> rows;
            for (std::size_t i = 0; i != 30; ++i) {
                rows.push_back(fresh_row(subject));
                rows.back().current = generation{static_cast<std::uint32_t>(i)};
                at.place(rows.back());
            }
            at.revoke(rows[0].key);
            rows[0].state = revocation::revoked;
            const auto listed = at.store().list_subject(subject);
            if (!at.works(listed, "list_subject")) return;
            const auto row_of = [](const auto& all, const row_key& key) {
                return std::find_if(all.begin(), all.end(), [&](const grant& each) { return each.key == key; });
            };
            for (const grant& row : rows) {
                const auto found = row_of(*listed, row.key);
                // A store may leave out what is revoked.
                if (found == listed->end()) at.saw().expect(row.state == revocation::revoked, "a row is not listed");
                else at.saw().expect(difference(*found, row).empty(), "as listed " + difference(*found, row));
            }
            for (const grant& each : *listed)
                at.saw().expect(row_of(rows, each.key) != rows.end(), "somebody else's row is listed");
            at.saw().expect(listed->size() <= rows.size(), "a row is listed twice");
            for (const std::string& other : lookalikes(subject)) {
                const auto theirs = at.store().list_subject(other);
                if (!theirs) continue;
                at.saw().expect(row_of(*theirs, rows[1].key) == theirs->end(), "a row is listed for another user");
            }
        });
    } else bench.skip(name, "the store has no list_subject");
}

/// A live row and a revoked one that expire soon, and one that nobody has used for ten years.
struct ageing_rows {
    template <class Probe> explicit ageing_rows(const Probe& at) {
        live.expires_at = revoked.expires_at = until;
        revoked.state = revocation::revoked;
        idle.used_at = idle.issued_at = live.issued_at - std::chrono::days(3650);
        for (const grant& row : {live, revoked, idle}) at.place(row);
    }

    /// Far enough ahead for an engine that expires rows by itself, near enough to do a shared storage no harm; not on
    /// a whole second.
    instant until = std::chrono::floor<std::chrono::seconds>(current_time()) + std::chrono::milliseconds(5500);
    grant live = fresh_row();
    grant revoked = fresh_row();
    grant idle = fresh_row();
};

template <class Bench> void check_reap(Bench& bench) {
    using namespace std::chrono;

    // Not reap alone: an engine may expire rows by itself.
    bench.check("a row stays until its expires_at, to the millisecond, live or revoked (R38)", [](const auto& at) {
        // On a machine that is busy until too late nothing can be said, so it is tried again: late in a second, asked
        // early in it, so that a store that counts in whole seconds shows.
        for (int times = 0; times != 30; ++times) {
            instant until = current_time() + milliseconds(300);
            until = (std::max)(until, floor<seconds>(until) + milliseconds(400));
            if (times != 0) until = floor<seconds>(current_time()) + milliseconds(1990);
            const instant from = times == 0 ? until - milliseconds(60) : floor<seconds>(until) + milliseconds(10);
            grant live = fresh_row(), revoked = fresh_row();
            live.expires_at = revoked.expires_at = until;
            at.place(live);
            at.place(revoked);
            at.revoke(revoked.key);
            revoked.state = revocation::revoked;
            std::this_thread::sleep_until(from);
            const auto seen_live = at.find(live.key), seen_revoked = at.find(revoked.key);
            if (current_time() >= until) continue;
            at.saw().expect(seen_live.has_value(), "a live row was forgotten before it expired");
            at.saw().expect(seen_revoked.has_value(), "a revoked row was forgotten before it expired");
            return;
        }
        at.saw().note("not judged: the machine was busy");
    });

    constexpr std::string_view never_early = "reap forgets no row that has not expired, revoked or not (R38)";
    constexpr std::string_view forgets = "reap forgets each row that has expired (R43)";
    if constexpr (can_reap<typename Bench::store_type>) {
        bench.check(never_early, [&](const auto& at) {
            const ageing_rows rows(at);
            for (const instant now : {current_time(), instant(floor<seconds>(rows.until)),
                                      rows.until - milliseconds(1), rows.until}) {
                (void)at.works(at.store().reap(now), "reap");
                if (current_time() >= rows.until) return;
                for (const grant& row : {rows.live, rows.revoked, rows.idle})
                    at.expect_row(row, "after a reap " + std::to_string((rows.until - now).count()) +
                                           " ms before its end");
            }
        });
        bench.check(forgets, [&](const auto& at) {
            const ageing_rows rows(at);
            (void)at.works(at.store().reap(rows.until + milliseconds(1)), "reap");
            at.expect_none(rows.live.key, "that was live and has expired, after reap");
            at.expect_none(rows.revoked.key, "that was revoked and has expired, after reap");
            at.expect_row(rows.idle, "after reap of others");
        });
    } else {
        bench.skip(never_early, "the store has no reap");
        bench.skip(forgets, "the store has no reap");
    }
}

/// What a store may offer on top of the four promises.
template <class Bench> void subject_suite(Bench& bench) {
    check_revoke_subject(bench);
    check_list_subject(bench);
    check_reap(bench);
}

} // namespace regrant::inline v0::testing
