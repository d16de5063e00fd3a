// tests/unit/support/broken_stores.hpp - stores with one fault each, which the conformance kit must find.
// SPDX-License-Identifier: MIT
//
// No fault is a data race: each is one that a database allows too. Where a fault needs two calls to meet, the store
// waits at the place where they do, until the other one has been there: on a busy machine a fixed time is too short.
#pragma once

#include <regrant/token_store.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace broken {

using namespace regrant;
using namespace std::chrono_literals;

/// A row whose text has gone through `change`.
template <class Change> grant with_text(const grant& row, Change change) {
    grant kept(row.key, {change(row.client_id()), change(row.subject()), change(row.scope()), change(row.audience()),
                         change(row.confirmation())});
    kept.rotation = row.rotation;
    kept.issued_at = row.issued_at;
    kept.expires_at = row.expires_at;
    kept.auth_time = row.auth_time;
    kept.current = row.current;
    kept.used_at = row.used_at;
    kept.state = row.state;
    return kept;
}

/// Keeps every promise. The broken ones are each this but for one thing.
class sound_store {
public:
    virtual ~sound_store() = default;

    virtual result<insert_outcome, outage> insert(const grant& row) {
        const std::lock_guard lock(mutex);
        ++turns;
        return rows.emplace(row.key, row).second ? insert_outcome::inserted : insert_outcome::already_there;
    }
    virtual result<std::optional<grant>, outage> find(const row_key& key) { return read(key); }
    virtual result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next,
                                                    instant now) {
        const std::lock_guard lock(mutex);
        ++turns;
        const auto at = rows.find(key);
        if (at == rows.end() || !may_advance(at->second, expected, now)) return advance_outcome::refused;
        step(at->second, next, now);
        return advance_outcome::advanced;
    }
    virtual result<void, outage> revoke(const row_key& key) {
        const std::lock_guard lock(mutex);
        ++turns;
        if (const auto at = rows.find(key); at != rows.end()) at->second.state = revocation::revoked;
        return {};
    }
    virtual result<std::size_t, outage> revoke_subject(std::string_view subject) {
        const std::lock_guard lock(mutex);
        std::size_t ended = 0;
        for (auto& [key, row] : rows)
            if (is_of(row, subject) && std::exchange(row.state, revocation::revoked) == revocation::live) ++ended;
        return ended;
    }
    virtual result<std::vector<grant>, outage> list_subject(std::string_view subject) {
        const std::lock_guard lock(mutex);
        std::vector<grant> found;
        for (const auto& [key, row] : rows)
            if (is_of(row, subject)) found.push_back(row);
        return found;
    }
    virtual result<std::size_t, outage> reap(instant now) {
        const std::lock_guard lock(mutex);
        ++reaps;
        return std::erase_if(rows, [&](const auto& each) { return is_over(each.second, now); });
    }

    /// What the kit is told to call before a call that shall fail; what fails is up to the store.
    void break_next_call() { breaks_next = true; }
    /// What the kit is told to call as a fail-over to an older copy.
    virtual void set_back(const row_key& key, generation to) {
        const std::lock_guard lock(mutex);
        if (const auto at = rows.find(key); at != rows.end()) at->second.current = to;
    }

protected:
    virtual bool may_advance(const grant& row, generation expected, instant) const {
        return row.state == revocation::live && row.current == expected;
    }
    virtual void step(grant& row, generation next, instant now) const {
        row.current = next;
        row.used_at = std::max(row.used_at, now);
    }
    virtual bool is_of(const grant& row, std::string_view subject) const { return row.subject() == subject; }
    virtual bool is_over(const grant& row, instant now) const { return row.expires_at < now; }

    /// Where another call gets in between: one that counts here, if it comes soon enough.
    static void let_others_in(const std::atomic<std::uint32_t>& came) {
        const std::uint32_t before = came;
        const auto patience = std::chrono::steady_clock::now() + 100ms;
        do std::this_thread::sleep_for(1ms);
        while (came == before && std::chrono::steady_clock::now() < patience);
    }
    void let_others_in() const { let_others_in(turns); }

    std::optional<grant> read(const row_key& key) {
        const std::lock_guard lock(mutex);
        ++turns;
        const auto at = rows.find(key);
        return at == rows.end() ? std::nullopt : std::optional(at->second);
    }
    void write(const grant& row) {
        const std::lock_guard lock(mutex);
        ++turns;
        rows.insert_or_assign(row.key, row);
    }

    std::mutex mutex;
    std::map<row_key, grant> rows;
    std::atomic<bool> breaks_next{false};
    std::atomic<std::uint32_t> turns{0};
    std::atomic<std::uint32_t> reaps{0};
};

// --- two calls that meet ---

/// Looks whether a key is there, then writes.
struct check_then_act : sound_store {
    result<insert_outcome, outage> insert(const grant& row) override {
        if (read(row.key)) return insert_outcome::already_there;
        let_others_in();
        write(row);
        return insert_outcome::inserted;
    }
};

/// Reads in one statement without a lock, writes in the next.
struct unlocked_read : sound_store {
    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next,
                                            instant now) override {
        const auto seen = read(key);
        if (!seen || !may_advance(*seen, expected, now)) return advance_outcome::refused;
        let_others_in();
        const std::lock_guard lock(mutex);
        if (const auto at = rows.find(key); at != rows.end()) step(at->second, next, now);
        return advance_outcome::advanced;
    }
};

/// Compares the generation as it writes, but writes the state it has read before.
struct lost_revoke : sound_store {
    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next,
                                            instant now) override {
        auto seen = read(key);
        if (!seen || !may_advance(*seen, expected, now)) return advance_outcome::refused;
        let_others_in();
        step(*seen, next, now);
        const std::lock_guard lock(mutex);
        const auto at = rows.find(key);
        if (at == rows.end() || at->second.current != expected) return advance_outcome::refused;
        at->second = *seen;
        return advance_outcome::advanced;
    }
};

/// Compares the generation as it writes, but looks for a revoke before.
struct revoke_seen_early : sound_store {
    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next,
                                            instant now) override {
        const auto seen = read(key);
        if (!seen || seen->state == revocation::revoked) return advance_outcome::refused;
        let_others_in();
        const std::lock_guard lock(mutex);
        const auto at = rows.find(key);
        if (at == rows.end() || at->second.current != expected) return advance_outcome::refused;
        step(at->second, next, now);
        return advance_outcome::advanced;
    }
};

/// Answers a confirm without looking whether the row has moved, and writes what it was told.
struct confirm_takes_back : sound_store {
    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next,
                                            instant now) override {
        if (expected != next) return sound_store::advance(key, expected, next, now);
        auto seen = read(key);
        if (!seen || !may_advance(*seen, expected, now)) return advance_outcome::refused;
        let_others_in();
        step(*seen, next, now);
        write(*seen);
        return advance_outcome::advanced;
    }
};

/// Answers finds from a replica that lags by two questions; a session sees its own writes at once, as databases promise.
class stale_find : public sound_store {
public:
    struct primary : sound_store {
        /// What the replica has, and what it will have when it has been asked so often.
        struct copy {
            std::optional<grant> row, newest;
            unsigned questions = 0;
        };
        void note(const row_key& key) {
            auto row = *find(key);
            const std::lock_guard lock(log_mutex);
            copies[key].newest = std::move(row);
            copies[key].questions = 0;
        }
        std::optional<grant> replica(const row_key& key) {
            const std::lock_guard lock(log_mutex);
            copy& here = copies[key];
            if (++here.questions > 2) here.row = here.newest;
            return here.row;
        }
        std::mutex log_mutex;
        std::map<row_key, copy> copies;
    };

    explicit stale_find(std::shared_ptr<primary> server) : server_(std::move(server)) {}

    result<insert_outcome, outage> insert(const grant& row) override {
        return noted(row.key, server_->insert(row));
    }
    result<std::optional<grant>, outage> find(const row_key& key) override {
        return own_.contains(key) ? server_->find(key) : server_->replica(key);
    }
    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next,
                                            instant now) override {
        return noted(key, server_->advance(key, expected, next, now));
    }
    result<void, outage> revoke(const row_key& key) override { return noted(key, server_->revoke(key)); }

private:
    template <class Answer> Answer noted(const row_key& key, Answer answer) {
        server_->note(key);
        own_.insert(key);
        return answer;
    }

    std::shared_ptr<primary> server_;
    /// Each thread has a session of its own.
    std::set<row_key> own_;
};

/// Writes the row, and its subject's index only after the insert has been answered: with the third call from then.
struct index_after_row : sound_store {
    result<insert_outcome, outage> insert(const grant& row) override {
        const auto outcome = sound_store::insert(row);
        const std::lock_guard lock(index_mutex);
        indexed_at.emplace(row.key, turns + 3);
        return outcome;
    }
    bool is_of(const grant& row, std::string_view subject) const override {
        const std::lock_guard lock(index_mutex);
        const auto at = indexed_at.find(row.key);
        return sound_store::is_of(row, subject) && at != indexed_at.end() && at->second <= turns;
    }
    mutable std::mutex index_mutex;
    std::map<row_key, std::uint32_t> indexed_at;
};

/// Copies what is to stay, then puts the copy in the place of all rows.
struct reap_by_copy : sound_store {
    result<std::size_t, outage> reap(instant now) override {
        std::map<row_key, grant> kept;
        {
            const std::lock_guard lock(mutex);
            kept = rows;
        }
        const std::size_t removed = std::erase_if(kept, [&](const auto& each) { return is_over(each.second, now); });
        let_others_in();
        const std::lock_guard lock(mutex);
        rows.swap(kept);
        return removed;
    }
};

/// Writes the row back whole, whether or not it is there still.
struct advance_brings_back : sound_store {
    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next,
                                            instant now) override {
        auto seen = read(key);
        if (!seen || !may_advance(*seen, expected, now)) return advance_outcome::refused;
        let_others_in(reaps);
        step(*seen, next, now);
        const std::lock_guard lock(mutex);
        const auto at = rows.find(key);
        if (at != rows.end() && !may_advance(at->second, expected, now)) return advance_outcome::refused;
        rows.insert_or_assign(key, *seen);
        return advance_outcome::advanced;
    }
};

// --- one call alone ---

/// Takes "nothing found" for a failure.
struct missing_is_outage : sound_store {
    result<std::optional<grant>, outage> find(const row_key& key) override {
        auto row = read(key);
        if (!row) return unexpected(outage{"no such row"});
        return row;
    }
};

/// Fills a text up with blanks, and cuts all of them off again.
struct trims_blanks : sound_store {
    result<insert_outcome, outage> insert(const grant& row) override {
        const auto trim = [](std::string_view text) { return text.substr(0, text.find_last_not_of(' ') + 1); };
        return sound_store::insert(with_text(row, trim));
    }
};

/// Hands keys on as C strings.
struct key_cut_at_nul : sound_store {
    static row_key cut(row_key key) {
        std::fill(std::find(key.bytes.begin(), key.bytes.end(), std::byte{0}), key.bytes.end(), std::byte{0});
        return key;
    }
    result<insert_outcome, outage> insert(const grant& row) override {
        grant kept = row;
        kept.key = cut(row.key);
        return sound_store::insert(kept);
    }
    result<std::optional<grant>, outage> find(const row_key& key) override {
        auto row = read(cut(key));
        if (row) row->key = key;
        return row;
    }
};

/// Writes whatever it is told.
struct advance_makes_row : sound_store {
    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next,
                                            instant now) override {
        if (!read(key)) {
            grant made(key, {"", "", ""});
            step(made, next, now);
            write(made);
        }
        return sound_store::advance(key, expected, next, now);
    }
};

/// The last writer wins.
struct insert_over_row : sound_store {
    result<insert_outcome, outage> insert(const grant& row) override {
        const bool there = read(row.key).has_value();
        write(row);
        return there ? insert_outcome::already_there : insert_outcome::inserted;
    }
};

struct advance_on_revoked : sound_store {
    bool may_advance(const grant& row, generation expected, instant) const override {
        return row.current == expected;
    }
};

/// Decides by time, in whole seconds: who comes a second later comes next, who comes in the same one must fit.
struct order_by_seconds : sound_store {
    bool may_advance(const grant& row, generation expected, instant now) const override {
        const auto last = std::chrono::floor<std::chrono::seconds>(row.used_at);
        const auto then = std::chrono::floor<std::chrono::seconds>(now);
        return row.state == revocation::live && (then > last || (then == last && row.current == expected));
    }
};

/// Lets a login live longer with each use.
struct rolling_expiry : sound_store {
    void step(grant& row, generation next, instant now) const override {
        sound_store::step(row, next, now);
        row.expires_at = std::max(row.expires_at, now + std::chrono::days(90));
    }
};

/// Takes the time of a server whose clock may be behind.
struct clamped_clock : sound_store {
    void step(grant& row, generation next, instant now) const override {
        row.current = next;
        row.used_at = now;
    }
};

struct whole_seconds : sound_store {
    void step(grant& row, generation next, instant now) const override {
        row.current = next;
        row.used_at = std::max(row.used_at, instant(std::chrono::floor<std::chrono::seconds>(now)));
    }
};

/// Counts in a ring: after the last generation comes the first.
struct wraps : sound_store {
    void step(grant& row, generation next, instant now) const override {
        sound_store::step(row, next == last_generation ? first_generation : next, now);
    }
};

/// Keeps the generation in a signed column and cuts what does not fit.
struct signed_generation : sound_store {
    result<insert_outcome, outage> insert(const grant& row) override {
        grant kept = row;
        kept.current = generation{std::min(static_cast<std::uint32_t>(row.current), 0x7FFF'FFFFU)};
        return sound_store::insert(kept);
    }
};

/// Keeps times as 32-bit seconds.
struct narrow_times : sound_store {
    result<insert_outcome, outage> insert(const grant& row) override {
        grant kept = row;
        const auto narrow = [](instant time) {
            const auto whole = time.time_since_epoch().count();
            return instant(std::chrono::milliseconds(whole % (std::int64_t{1000} << 32)));
        };
        kept.issued_at = narrow(row.issued_at);
        kept.used_at = narrow(row.used_at);
        kept.expires_at = narrow(row.expires_at);
        return sound_store::insert(kept);
    }
};

/// Rotates whatever the row says.
struct mode_forgotten : sound_store {
    result<insert_outcome, outage> insert(const grant& row) override {
        grant kept = row;
        kept.rotation = rotation::rotate;
        return sound_store::insert(kept);
    }
};

/// Has no column for when the user proved who they are.
struct auth_time_forgotten : sound_store {
    result<insert_outcome, outage> insert(const grant& row) override {
        grant kept = row;
        kept.auth_time.reset();
        return sound_store::insert(kept);
    }
};

/// Refuses text with a NUL when it is in the row already.
struct keeps_what_it_refuses : sound_store {
    result<insert_outcome, outage> insert(const grant& row) override {
        const auto done = sound_store::insert(row);
        if (row.subject().find('\0') != std::string_view::npos) return unexpected(outage{"a NUL in a text"});
        return done;
    }
};

/// Hands texts on as C strings.
struct text_cut_at_nul : sound_store {
    result<insert_outcome, outage> insert(const grant& row) override {
        const auto cut = [](std::string_view text) { return text.substr(0, text.find('\0')); };
        return sound_store::insert(with_text(row, cut));
    }
};

/// Counts up by itself, and so never heals.
struct one_step_only : sound_store {
    void step(grant& row, generation next, instant now) const override {
        sound_store::step(row, next == row.current ? next : regrant::next(row.current), now);
    }
};

/// Takes "no row was changed" for "no row was found", as a driver does that counts changed rows.
struct confirm_refused : sound_store {
    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next,
                                            instant now) override {
        const auto before = read(key);
        if (before && before->current == next && before->used_at >= now) return advance_outcome::refused;
        return sound_store::advance(key, expected, next, now);
    }
};

/// Leaves a mark for a family it does not know.
struct revoke_makes_row : sound_store {
    result<void, outage> revoke(const row_key& key) override {
        if (!read(key)) write(grant(key, {"", "", ""}));
        return sound_store::revoke(key);
    }
};

/// Logs a user out where one login was meant.
struct revoke_too_wide : sound_store {
    result<void, outage> revoke(const row_key& key) override {
        if (const auto row = read(key)) (void)revoke_subject(row->subject());
        return {};
    }
};

/// Leaves the work to somebody who never comes.
struct revoke_put_off : sound_store {
    result<void, outage> revoke(const row_key&) override { return {}; }
};

/// Ends one page of a user's families.
struct revoke_subject_stops : sound_store {
    result<std::size_t, outage> revoke_subject(std::string_view subject) override {
        const std::lock_guard lock(mutex);
        std::size_t ended = 0;
        for (auto& [key, row] : rows)
            if (ended != 100 && is_of(row, subject) &&
                std::exchange(row.state, revocation::revoked) == revocation::live)
                ++ended;
        return ended;
    }
};

/// Compares names by a collation that knows no case.
struct blind_to_case : sound_store {
    bool is_of(const grant& row, std::string_view subject) const override {
        const auto same = [](char one, char other) { return (one | 32) == (other | 32); };
        return std::ranges::equal(row.subject(), subject, same);
    }
};

/// Forgets what is revoked: who needs it?
struct reaps_revoked : sound_store {
    bool is_over(const grant& row, instant now) const override {
        return row.expires_at < now || row.state == revocation::revoked;
    }
};

struct reaps_at_the_end : sound_store {
    bool is_over(const grant& row, instant now) const override { return row.expires_at <= now; }
};

/// Keeps what is revoked for good.
struct never_reaps_revoked : sound_store {
    bool is_over(const grant& row, instant now) const override {
        return row.expires_at < now && row.state == revocation::live;
    }
};

/// Expires rows by itself, in whole seconds.
struct expires_by_seconds : sound_store {
    result<std::optional<grant>, outage> find(const row_key& key) override {
        auto row = read(key);
        if (row && std::chrono::floor<std::chrono::seconds>(row->expires_at) < current_time()) row.reset();
        return row;
    }
};

// --- in trouble ---

/// Does not open a connection again that was cut.
struct never_recovers : sound_store {
    result<std::optional<grant>, outage> find(const row_key& key) override {
        if (breaks_next) return unexpected(outage{"the connection is gone"});
        return sound_store::find(key);
    }
};

/// Says yes to a revoke that it could not write.
struct revoke_not_durable : sound_store {
    result<void, outage> revoke(const row_key& key) override {
        if (breaks_next.exchange(false)) return {};
        return sound_store::revoke(key);
    }
};

/// Writes a row in two steps.
struct half_an_insert : sound_store {
    result<insert_outcome, outage> insert(const grant& row) override {
        if (!breaks_next.exchange(false)) return sound_store::insert(row);
        write(grant(row.key, {row.client_id(), row.subject(), ""}));
        return unexpected(outage{"cut between two steps"});
    }
};

/// Takes times that it does not believe when it reads them.
struct unreadable_times : sound_store {
    result<std::optional<grant>, outage> find(const row_key& key) override {
        auto found = sound_store::find(key);
        if (found && *found && !has_storable_times(**found)) return unexpected(outage{"the row is damaged"});
        return found;
    }
};

/// Throws where it should answer.
struct throws : sound_store {
    result<void, outage> revoke(const row_key&) override { throw 42; }
};

/// Falls back to a copy in which nothing is revoked yet.
struct rollback_revives : sound_store {
    void set_back(const row_key& key, generation to) override {
        const std::lock_guard lock(mutex);
        if (const auto at = rows.find(key); at != rows.end()) {
            at->second.current = to;
            at->second.state = revocation::live;
        }
    }
};

} // namespace broken
