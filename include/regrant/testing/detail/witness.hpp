// regrant/testing/detail/witness.hpp - calls a store, noting whatever is not as promised.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../../clock.hpp"
#include "../../error.hpp"
#include "../../grant.hpp"
#include "../../lineage.hpp"
#include "../../result.hpp"
#include "../../token_store.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace regrant::inline v0::testing {

inline std::string in_words(generation number) { return std::to_string(static_cast<std::uint32_t>(number)); }
inline std::string in_words(instant time) { return std::to_string(time.time_since_epoch().count()) + " ms"; }
inline std::string in_words(revocation state) { return state == revocation::live ? "live" : "revoked"; }
inline std::string in_words(rotation kind) { return kind == rotation::rotate ? "rotate" : "echo"; }
inline std::string in_words(const std::optional<std::chrono::sys_seconds>& time) {
    return time ? std::to_string(time->time_since_epoch().count()) + " s" : "nothing";
}
/// Long or unprintable text is told by its length: it may not suit the reader's terminal.
inline std::string in_words(std::string_view text) {
    bool plain = text.size() <= 40;
    for (const char c : text) plain = plain && c >= 0x20 && c <= 0x7E;
    return plain ? "\"" + std::string(text) + "\"" : "a text of " + std::to_string(text.size()) + " bytes";
}

/// Where a row stands, for a complaint.
inline std::string generation_of(const std::optional<grant>& row) { return row ? in_words(row->current) : "nowhere"; }

/// Where a row is not what it should be; nothing where it is.
inline std::string difference(const grant& is, const grant& should) {
    std::string found;
    const auto compare = [&](std::string_view field, const auto& one, const auto& other) {
        if (one == other) return;
        found += (found.empty() ? "" : ", ") + std::string(field) + " is " + in_words(one) + " where it should be " +
                 in_words(other);
        if constexpr (std::is_same_v<std::decay_t<decltype(one)>, std::string_view>)
            if (in_words(one) == in_words(other)) found += " with other content";
    };
    if (is.key != should.key) found = "the key is another";
    compare("client_id", is.client_id(), should.client_id());
    compare("subject", is.subject(), should.subject());
    compare("scope", is.scope(), should.scope());
    compare("audience", is.audience(), should.audience());
    compare("confirmation", is.confirmation(), should.confirmation());
    compare("rotation", is.rotation, should.rotation);
    compare("issued_at", is.issued_at, should.issued_at);
    compare("expires_at", is.expires_at, should.expires_at);
    compare("auth_time", is.auth_time, should.auth_time);
    compare("generation", is.current, should.current);
    compare("used_at", is.used_at, should.used_at);
    compare("state", is.state, should.state);
    return found;
}

/// What is seen during one check, from any thread.
class witness {
public:
    /// Notes what is wrong. The first three are kept: the rest is mostly their consequence.
    void complain(std::string what) {
        const std::lock_guard lock(mutex_);
        if (complaints_.size() < 3) complaints_.push_back(std::move(what));
        ++count_;
        failed_ = true;
    }

    bool expect(bool holds, std::string_view otherwise) {
        if (!holds) complain(std::string(otherwise));
        return holds;
    }

    /// Notes a figure for the report.
    void note(std::string figure) {
        const std::lock_guard lock(mutex_);
        note_ = std::move(figure);
    }

    bool failed() const noexcept { return failed_; }

    std::string seen() const {
        const std::lock_guard lock(mutex_);
        if (count_ == 0) return note_;
        std::string text;
        for (const std::string& each : complaints_) text += (text.empty() ? "" : "; ") + each;
        if (count_ > complaints_.size()) text += "; " + std::to_string(count_ - complaints_.size()) + " more";
        return text;
    }

private:
    mutable std::mutex mutex_;
    std::vector<std::string> complaints_;
    std::size_t count_ = 0;
    std::string note_;
    std::atomic<bool> failed_{false};
};

/// A store whose outages are complaints: nobody ordered any.
template <class Store> class probe {
public:
    probe(Store& store, witness& saw) noexcept : store_(store), saw_(saw) {}

    Store& store() const noexcept { return store_; }
    witness& saw() const noexcept { return saw_; }

    /// \return whether the row was inserted
    bool insert(const grant& row) const {
        const auto outcome = store_.insert(row);
        return works(outcome, "insert") && *outcome == insert_outcome::inserted;
    }

    /// Inserts a row that no other can be in the way of.
    bool place(const grant& row) const {
        return saw_.expect(insert(row), "insert of a fresh row did not insert");
    }

    std::optional<grant> find(const row_key& key) const {
        auto found = store_.find(key);
        if (!works(found, "find")) return std::nullopt;
        return std::move(*found);
    }

    /// \return whether it advanced
    bool advance(const row_key& key, generation expected, generation next, instant now) const {
        const auto outcome = store_.advance(key, expected, next, now);
        return works(outcome, "advance") && *outcome == advance_outcome::advanced;
    }

    bool revoke(const row_key& key) const { return works(store_.revoke(key), "revoke"); }

    /// Looks the row up and holds it against what it should be.
    bool expect_row(const grant& should, std::string_view when) const {
        const auto found = find(should.key);
        if (!found) return saw_.expect(false, "the row is not found " + std::string(when));
        const std::string wrong = difference(*found, should);
        return saw_.expect(wrong.empty(), std::string(when) + " " + wrong);
    }

    bool expect_none(const row_key& key, std::string_view when) const {
        return saw_.expect(!find(key), "there is a row " + std::string(when));
    }

    template <class T> bool works(const result<T, outage>& answer, std::string_view call) const {
        if (!answer) saw_.complain(std::string(call) + " met an outage: " + answer.error().detail);
        return answer.has_value();
    }

private:
    Store& store_;
    witness& saw_;
};

} // namespace regrant::inline v0::testing
