// tests/unit/testing_store_conformance.cpp - the conformance kit passes a sound store, and fails each broken one.
// SPDX-License-Identifier: MIT
#include <regrant/testing/store_conformance.hpp>

#include <regrant/memory_store.hpp>

#include "support/broken_stores.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace regrant;

using my_store = memory_store;

/// What the kit is given: one type for all controls, so that it is compiled for them once.
using opener = std::function<std::shared_ptr<broken::sound_store>()>;

/// All threads share one.
template <class Store> opener shared() {
    return [store = std::make_shared<Store>()] { return store; };
}

struct control {
    std::string fault;
    opener open;
    /// The check that is meant for it, or the words all those have in common.
    std::string promise;
    /// Whether the kit may break the store's next call, or put rows back.
    enum { alone, with_fault, with_set_back } hooks = alone;
};

std::vector<control> all_controls() {
    using namespace broken;
    const auto server = std::make_shared<stale_find::primary>();
    return {
        {"check-then-act", shared<check_then_act>(),
         "of n inserts of one key one is inserted, and the row is that one's (R36)"},
        {"unlocked read", shared<unlocked_read>(), "of n threads that advance one generation one wins (R38, R47)"},
        {"unlocked read, in a chain", shared<unlocked_read>(),
         "n threads that find and advance as fast as they can make one line: no advance is lost (R38)"},
        {"a confirm that takes back", shared<confirm_takes_back>(), "a confirm never takes a rotation back (R38, R47)"},
        {"lost revoke", shared<lost_revoke>(), "revoke beats every advance on its way"},
        {"a revoke looked for too early", shared<revoke_seen_early>(), "revoke beats every advance on its way"},
        {"lost revoke, amid refreshes", shared<lost_revoke>(),
         "a refresh that starts after revoke was answered fails (R50)"},
        {"stale find from a replica", [=] { return std::make_shared<stale_find>(server); },
         "find sees each insert, advance and revoke answered before it began, on every handle (R50)"},
        {"index written after the row", shared<index_after_row>(),
         "revoke_subject ends each family whose insert was answered before it began (R50)"},
        {"reap against advance", shared<reap_by_copy>(), "reap loses no advance of a row that lives (R38)"},
        {"advance against reap", shared<advance_brings_back>(),
         "an advance brings back no row that reap has forgotten (R53)"},
        {"insert over a revoked row", shared<insert_over_row>(), "revoke ends a family for good"},
        {"a stranger is an outage", shared<missing_is_outage>(), "find of a key nobody inserted gives nothing"},
        {"texts without their blanks", shared<trims_blanks>(), "insert keeps texts byte for byte"},
        {"keys cut at a zero byte", shared<key_cut_at_nul>(), "keys are told apart by all of their 32 bytes (R36)"},
        {"insert over an existing row", shared<insert_over_row>(),
         "insert never touches a row that is there, live or revoked (R38)"},
        {"advance that makes a row", shared<advance_makes_row>(), "advance of a missing row is refused"},
        {"advance on a revoked row", shared<advance_on_revoked>(), "advance of a revoked row is refused"},
        {"advance on a revoked row, amid a race", shared<advance_on_revoked>(),
         "once revoke was answered no advance succeeds (R50)"},
        {"second-granular order", shared<order_by_seconds>(), "advance goes by generation, never by time (R47, R49)"},
        {"second-granular order, at a replay", shared<order_by_seconds>(),
         "advance is refused where the row has moved on"},
        {"rolling expiry", shared<rolling_expiry>(), "advance moves generation and used_at, nothing else (R38)"},
        {"clamped clock", shared<clamped_clock>(), "advance keeps the later of the row's time and now"},
        {"whole seconds", shared<whole_seconds>(), "advance keeps the later of the row's time and now"},
        {"a wrap at the last generation", shared<wraps>(), "the last generation never wraps (R53)"},
        {"a signed generation", shared<signed_generation>(), "insert keeps generation, rotation and state"},
        {"narrow times", shared<narrow_times>(), "insert keeps every time on 64 bits, to the millisecond (R67, R99)"},
        {"a mode that is forgotten", shared<mode_forgotten>(), "insert keeps generation, rotation and state"},
        {"an auth_time that is forgotten", shared<auth_time_forgotten>(),
         "insert keeps every time on 64 bits, to the millisecond (R67, R99)"},
        {"a text that is refused and kept", shared<keeps_what_it_refuses>(), "a text with a NUL, or that is no UTF-8"},
        {"a text cut at its NUL", shared<text_cut_at_nul>(), "a text with a NUL, or that is no UTF-8"},
        {"a confirm that changes nothing", shared<confirm_refused>(), "advance to the same generation confirms"},
        {"a confirm that changes nothing, amid refreshes", shared<confirm_refused>(),
         "n concurrent refreshes of one token get one successor"},
        {"one step at a time", shared<one_step_only>(), "advance goes over as many generations as a heal asks for"},
        {"one step at a time, after a rollback", shared<one_step_only>(), "a row behind its token heals"},
        {"a confirm that changes nothing, amid heals", shared<confirm_refused>(), "n threads heal one row"},
        {"a revoke that makes a row", shared<revoke_makes_row>(), "revoke of a missing row is no error"},
        {"a revoke of too much", shared<revoke_too_wide>(), "revoke touches one family alone (R33)"},
        {"a revoke put off", shared<revoke_put_off>(), "once its row has healed a superseded token is a replay"},
        {"a revoke of one page", shared<revoke_subject_stops>(), "revoke_subject ends each of a user's families, and"},
        {"names without case", shared<blind_to_case>(), "revoke_subject ends no other user's family"},
        {"names without case, listed", shared<blind_to_case>(), "list_subject gives each of a user's live rows"},
        {"too early a reap, of the revoked", shared<reaps_revoked>(), "reap forgets no row that has not expired"},
        {"too early a reap, at the end", shared<reaps_at_the_end>(), "reap forgets no row that has not expired"},
        {"too late a reap", shared<never_reaps_revoked>(), "reap forgets each row that has expired (R43)"},
        {"times that it cannot read back", shared<unreadable_times>(), "a row that cannot be given back"},
        {"expiry by whole seconds", shared<expires_by_seconds>(), "a row stays until its expires_at"},
        {"a store that throws", shared<throws>(), "revoke may be repeated"},
        {"a cut connection that stays cut", shared<never_recovers>(), "whichever call fails",
         control::with_fault},
        {"a revoke that is not durable", shared<revoke_not_durable>(), "a revoke that fails may be tried again",
         control::with_fault},
        {"a revoke that is not durable, at a replay", shared<revoke_not_durable>(),
         "whichever call fails, a replayed token", control::with_fault},
        {"half an insert", shared<half_an_insert>(), "an insert that fails leaves a whole row or none",
         control::with_fault},
        {"a rollback that revives", shared<rollback_revives>(), "a revoked family stays revoked",
         control::with_set_back},
    };
}

conformance_options options_for(const control& what) {
    conformance_options options;
    options.rounds = 20;
    // Each of these is asked some times at least, however late the machine is.
    options.recovery = std::chrono::milliseconds(50);
    const auto store = what.open();
    if (what.hooks == control::with_fault) options.fault = [=] { store->break_next_call(); };
    if (what.hooks == control::with_set_back)
        options.set_back = [=](const row_key& key, generation to) { store->set_back(key, to); };
    return options;
}

} // namespace

TEST_CASE("a store that does not answer is one finding, and the first one (R51)") {
    struct dead_store : broken::sound_store {
        result<std::optional<grant>, outage> find(const row_key& key) override {
            if (answers_left != 0) return --answers_left, sound_store::find(key);
            return unexpected(outage{"connection refused"});
        }
        int answers_left = 0;
    };
    conformance_options options;
    options.recovery = std::chrono::milliseconds(5);
    std::vector<std::string> told;
    options.tell = [&](const conformance_check& each) { told.push_back(each.name); };
    dead_store dead;
    const auto report = check_store([&]() -> dead_store& { return dead; }, options);
    REQUIRE(report.checks().size() == 1);
    CHECK(report.checks()[0].describe() ==
          "FAILED  the store answers (R51): connection refused; nothing else was checked");
    CHECK_FALSE(report.passed());
    CHECK(told == std::vector<std::string>{"the store answers (R51)"});

    dead_store dying;
    dying.answers_left = 7;
    const auto cut_short = check_store([&]() -> dead_store& { return dying; }, options);
    CHECK(cut_short.checks()[0].name == "the store answers (R51)");
    CHECK(cut_short.count(check_outcome::failed) == 2);
    CHECK(cut_short.checks().back().outcome == check_outcome::failed);
}

// The example of the header.
TEST_CASE("my store keeps its promises") {
    my_store store;
    const auto report = regrant::check_store([&]() -> my_store& { return store; });
    INFO(report.describe());
    CHECK(report.passed());
}

TEST_CASE("each broken store is failed by the check that is meant for it (R38, R47, R49, R50, R53)") {
    for (const control& what : all_controls()) {
        CAPTURE(what.fault);
        conformance_options options = options_for(what);
        options.only = what.promise;
        const conformance_report report = check_store(what.open, options);
        INFO(report.describe());
        REQUIRE_FALSE(report.checks().empty());
        for (const conformance_check& each : report.checks()) {
            CHECK(each.outcome == check_outcome::failed);
            CHECK_FALSE(each.seen.empty());
        }
        CHECK_FALSE(report.passed());
    }
}

TEST_CASE("the stores the controls are made of pass without their fault, with every hook in use (R51, R53)") {
    control sound{"none", shared<broken::sound_store>(), "", control::with_set_back};
    conformance_options options = options_for(sound);
    const auto store = sound.open();
    std::size_t faults = 0;
    options.fault = [&] { ++faults; };
    const conformance_report report = check_store(sound.open, options);
    INFO(report.describe());
    CHECK(report.passed());
    CHECK(report.count(check_outcome::skipped) == 0);
    CHECK(faults >= 16);

    // No check is there for show.
    const auto controls = all_controls();
    for (const conformance_check& each : report.checks()) {
        CAPTURE(each.name);
        const bool has_control = std::any_of(controls.begin(), controls.end(), [&](const control& what) {
            return each.name.find(what.promise) != each.name.npos;
        });
        CHECK(has_control);
    }
}
