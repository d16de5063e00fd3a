// regrant/testing/detail/outage_suite.hpp - a refresh while any one call of the store fails.
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
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0::testing {

/// How a call fails. After one that acted and then failed nobody knows whether it acted.
enum class fault_kind : std::uint8_t { before_acting, after_acting, by_hook };

/// A store in which one call, by its number, fails.
template <class Store> class faulty_store {
public:
    explicit faulty_store(Store& store) noexcept : store_(store) {}

    result<insert_outcome, outage> insert(const grant& row) {
        return call([&] { return store_.insert(row); });
    }
    result<std::optional<grant>, outage> find(const row_key& key) {
        auto found = call([&] { return store_.find(key); });
        if (after_find) std::exchange(after_find, {})();
        return found;
    }
    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next, instant now) {
        return call([&] { return store_.advance(key, expected, next, now); });
    }
    result<void, outage> revoke(const row_key& key) {
        return call([&] { return store_.revoke(key); });
    }

    std::uint32_t calls = 0;
    std::uint32_t fails_at = 0;
    fault_kind how = fault_kind::before_acting;
    std::function<void()> hook{};
    /// What another request does after this one has looked, once.
    std::function<void()> after_find{};

private:
    template <class Act> auto call(Act act) -> decltype(act()) {
        const bool fails = ++calls == fails_at;
        if (fails && how == fault_kind::before_acting) return unexpected(outage{"an outage before acting"});
        if (fails && how == fault_kind::by_hook) hook();
        auto answer = act();
        if (fails && how == fault_kind::after_acting) return unexpected(outage{"an outage after acting"});
        return answer;
    }

    Store& store_;
};

/// A request, by what stands in the store when it comes.
struct outage_scenario {
    std::string_view token;
    rotation kind;
    generation row;
    generation presented;
    generation row_afterwards;
    /// Nothing where it is answered with this generation's token.
    std::optional<reason> refused{};
    /// Whether another request takes the token's step first.
    bool loses_a_race = false;
};

inline constexpr outage_scenario outage_scenarios[] = {
    {"the newest token", rotation::rotate, generation{4}, generation{4}, generation{5}},
    {"the token of a lost answer", rotation::rotate, generation{5}, generation{4}, generation{5}},
    {"a token that is echoed", rotation::echo, generation{0}, generation{0}, generation{0}},
    {"a token its row is behind of", rotation::rotate, generation{4}, generation{6}, generation{7}},
    {"a token that loses a race", rotation::rotate, generation{4}, generation{4}, generation{5}, std::nullopt, true},
    {"a replayed token", rotation::rotate, generation{4}, generation{1}, generation{4}, reason::replayed},
};

/// Fails the call `fails_at` of one request, then sends the request again.
/// \return how many calls the request made
template <class Bench, class Probe>
std::uint32_t refresh_amid_outage(Bench& bench, const Probe& at, refresh_rig& rig, const outage_scenario& what,
                                  std::uint32_t fails_at, fault_kind how) {
    rigged_login login = rig.log_in(what.kind);
    login.row.current = what.row;
    const row_key& key = login.row.key;
    at.place(login.row);
    faulty_store faulty(at.store());
    faulty.fails_at = fails_at;
    faulty.how = how;
    faulty.hook = bench.options.fault;
    if (what.loses_a_race)
        faulty.after_find = [&] { (void)at.store().advance(key, what.row, next(what.row), current_time()); };

    const std::string where = "with call " + std::to_string(fails_at) + " failing ";
    const auto is_whole = [&](const refreshed& answer) {
        if (!what.refused) return answer == rig.success(login, what.row_afterwards);
        // Once revoked a token is no longer a replay, but revoked.
        return answer.refused == what.refused || answer.refused == reason::revoked;
    };
    const refreshed answer = rig.refresh(faulty, login, what.presented);
    if (fails_at == 0 || how == fault_kind::by_hook) {
        // A store may get over its author's fault without anyone noticing.
        at.saw().expect(is_whole(answer) || (fails_at != 0 && answer.is_outage()), where + "it ended with " +
                                                                                      answer.describe());
    } else if (fails_at <= faulty.calls)
        at.saw().expect(answer.is_outage() && answer.retry_after, where + "it ended with " + answer.describe());
    if (how == fault_kind::by_hook) bench.settle();

    const refreshed again = is_whole(answer) ? answer : rig.refresh(at.store(), login, what.presented);
    at.saw().expect(is_whole(again), where + "the same token came to " + again.describe() + " afterwards");
    login.row.current = what.row_afterwards;
    if (what.refused) login.row.state = revocation::revoked;
    if (const auto row = at.find(key)) login.row.used_at = row->used_at;
    at.expect_row(login.row, where + "and afterwards");
    return faulty.calls;
}

/// Any call that fails, in every kind of request; last of the suites, because it may leave a store shaken.
template <class Bench> void outage_suite(Bench& bench) {
    refresh_rig rig;
    std::vector<fault_kind> kinds{fault_kind::before_acting, fault_kind::after_acting};
    if (bench.options.fault) kinds.push_back(fault_kind::by_hook);

    for (const outage_scenario& what : outage_scenarios)
        bench.check("whichever call fails, " + std::string(what.token) + " gets 503 and works afterwards (R51)",
                    [&](const auto& at) {
                        const std::uint32_t calls =
                            refresh_amid_outage(bench, at, rig, what, 0, fault_kind::before_acting);
                        for (const fault_kind how : kinds)
                            for (std::uint32_t i = 1; i <= calls && !at.saw().failed(); ++i)
                                refresh_amid_outage(bench, at, rig, what, i, how);
                        at.saw().note(std::to_string(calls * kinds.size()) + " outages");
                    });

    // Makes a call fail in one of the ways. \return whether it was answered all the same
    const auto failing = [&](fault_kind how, auto call) {
        if (how == fault_kind::before_acting) return false;
        if (how == fault_kind::by_hook) bench.options.fault();
        const bool answered = call().has_value();
        if (how == fault_kind::by_hook) bench.settle();
        return answered && how == fault_kind::by_hook;
    };
    bench.check("an insert that fails leaves a whole row or none, and may be tried again (R51)", [&](const auto& at) {
        for (const fault_kind how : kinds) {
            const grant row = fresh_row();
            const bool answered = failing(how, [&] { return at.store().insert(row); });
            const auto left = at.find(row.key);
            at.saw().expect(left || !answered, "an insert that was answered is not there");
            if (left) at.saw().expect(difference(*left, row).empty(), "half a row is left: " + difference(*left, row));
            at.saw().expect(at.insert(row) == !left, "the second insert does not fit what the first one left");
            at.expect_row(row, "after a second insert");
        }
    });
    bench.check("a row that cannot be given back is refused when it is inserted, not found damaged later (R82, R99)",
                [&](const auto& at) {
                    constexpr auto beyond = (std::int64_t{1} << 53) + 1;
                    for (const int which : {0, 1, 2, 3}) {
                        grant row = fresh_row();
                        if (which == 0) row.auth_time = std::chrono::sys_seconds(std::chrono::seconds(beyond));
                        if (which == 1) row.expires_at = instant(std::chrono::milliseconds(beyond));
                        if (which == 2) row.issued_at = instant(std::chrono::milliseconds(-beyond));
                        if (which == 3) row.used_at = instant(std::chrono::milliseconds(beyond));
                        if (at.store().insert(row)) at.expect_row(row, "after an insert that was answered");
                    }
                });
    bench.check("a revoke that fails may be tried again, and then holds (R44, R51)", [&](const auto& at) {
        for (const fault_kind how : kinds) {
            grant row = fresh_row();
            at.place(row);
            const bool answered = failing(how, [&] { return at.store().revoke(row.key); });
            if (!answered) at.revoke(row.key);
            row.state = revocation::revoked;
            at.expect_row(row, answered ? "after a revoke that was answered" : "after a second revoke");
        }
    });
}

} // namespace regrant::inline v0::testing
