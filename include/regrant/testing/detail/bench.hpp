// regrant/testing/detail/bench.hpp - the bench a store is checked on: its handles, fresh rows, threads that race.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../../clock.hpp"
#include "../../detail/caught.hpp"
#include "../../grant.hpp"
#include "../../lineage.hpp"
#include "../../token_store.hpp"
#include "../conformance_options.hpp"
#include "../conformance_report.hpp"
#include "witness.hpp"

#include <algorithm>
#include <array>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace regrant::inline v0::testing {

/// The store behind what the user's callable returned: a reference, a store, or something that points to one.
template <class Handle> auto& store_behind(Handle& handle) {
    if constexpr (token_store<Handle>) return handle;
    else if constexpr (requires { *handle; }) return store_behind(*handle);
    else {
        regrant::detail::explain_token_store<Handle>();
        return handle;
    }
}

/// A key nobody has, so that the kit can share a storage with anyone.
inline row_key fresh_key() {
    static thread_local std::random_device source;
    row_key key;
    for (std::byte& each : key.bytes) each = static_cast<std::byte>(source() & 0xFF);
    return key;
}

/// A name nobody has.
inline std::string fresh_subject() {
    std::string name = "conformance-";
    const row_key random = fresh_key();
    for (std::size_t i = 0; i != 12; ++i) {
        const auto byte = std::to_integer<unsigned>(random.bytes[i]);
        name += "0123456789abcdef"[byte >> 4];
        name += "0123456789abcdef"[byte & 0xF];
    }
    return name;
}

/// A login of just now.
inline grant fresh_row(std::string_view subject) {
    grant row(fresh_key(), {"conformance", subject, "openid email"});
    row.issued_at = row.used_at = current_time();
    row.expires_at = row.issued_at + std::chrono::days(90);
    return row;
}
inline grant fresh_row() { return fresh_row(fresh_subject()); }

/// Where the threads of a race wait for each other.
using starting_line = std::barrier<>;

/// Opens the store once per thread, makes checks and writes them down.
template <class Make> class bench {
    using handle_type = std::invoke_result_t<Make&>;
    struct opened {
        explicit opened(Make& make) : handle(make()) {}
        handle_type handle;
    };

public:
    using store_type =
        std::remove_reference_t<decltype(store_behind(std::declval<std::remove_reference_t<handle_type>&>()))>;

    bench(Make& make, const conformance_options& given) : options(given) {
        detail::explain_token_store<store_type>();
        for (std::size_t i = 0; i != threads(); ++i) handles_.emplace_back(make);
    }

    store_type& store(std::size_t i = 0) { return store_behind(handles_[i].handle); }
    std::size_t threads() const noexcept { return std::max<std::size_t>(options.threads, 2); }
    std::uint32_t rounds() const noexcept {
        return static_cast<std::uint32_t>(std::clamp<std::size_t>(options.rounds, 1, 1'000'000));
    }

    /// Makes one check: `body(probe)` on the first handle.
    template <class Body> void check(std::string_view name, Body body) {
        if (name.find(options.only) == name.npos || is_over_) return;
        // Without a store that answers every check would fail, and none would say why.
        if (report_.checks().empty() && !answers("nothing else was checked")) return;
        witness saw;
        caught(saw, [&] { body(probe(store(), saw)); });
        written({std::string(name), saw.failed() ? check_outcome::failed : check_outcome::passed, saw.seen()});
        if (saw.failed()) (void)answers("it stopped with the check that failed last; no other was made");
    }

    void skip(std::string_view name, std::string_view why) {
        if (name.find(options.only) == name.npos || is_over_) return;
        written({std::string(name), check_outcome::skipped, std::string(why)});
    }

    /// Runs `body(probe, i, line)` in every thread at once, each with a handle of its own.
    template <class Body> void race(witness& saw, Body body) {
        starting_line line(static_cast<std::ptrdiff_t>(threads()));
        std::vector<std::thread> running;
        for (std::size_t i = 0; i != threads(); ++i)
            running.emplace_back([&, i] {
                caught(saw, [&] { body(probe(store(i), saw), i, line); });
                // Who leaves early keeps nobody waiting.
                line.arrive_and_drop();
            });
        for (std::thread& each : running) each.join();
    }

    /// Calls until every thread has been answered thrice in a row: a pool may hold more connections that were cut. A
    /// busy machine may use up the time, so some calls are made in any case.
    void settle() {
        witness nobody_asks;
        const auto until = std::chrono::steady_clock::now() + options.recovery;
        race(nobody_asks, [&](const auto& own, std::size_t, starting_line& line) {
            line.arrive_and_wait();
            for (int answers = 0, calls = 0;
                 answers != 3 && (calls++ < least_calls || std::chrono::steady_clock::now() < until);) {
                answers = own.store().find(fresh_key()) ? answers + 1 : 0;
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
        });
    }

    conformance_report report() && { return std::move(report_); }

    const conformance_options& options;

private:
    /// For a store that answers with outages, whatever the time.
    static constexpr int least_calls = 10;

    template <class Act> static void caught(witness& saw, Act act) {
        regrant::detail::caught(
            [&] {
                act();
                return 0;
            },
            [&](const char* what) {
                saw.complain(std::string("thrown: ") + what);
                return 0;
            });
    }

    /// Looks whether the store answers at all, and ends the run when it does not.
    bool answers(std::string_view consequence) {
        const auto until = std::chrono::steady_clock::now() + options.recovery;
        std::string why;
        int calls = 0;
        do {
            witness saw;
            caught(saw, [&] {
                if (const auto found = store().find(fresh_key()); !found) saw.complain(found.error().detail);
            });
            if (!saw.failed()) return true;
            why = saw.seen();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        } while (++calls < least_calls || std::chrono::steady_clock::now() < until);
        is_over_ = true;
        conformance_check check{"the store answers (R51)", check_outcome::failed, why + "; " + std::string(consequence)};
        if (options.tell) options.tell(check);
        report_.add_first(std::move(check));
        return false;
    }

    void written(conformance_check check) {
        if (options.tell) options.tell(check);
        report_.add(std::move(check));
    }

    std::deque<opened> handles_;
    conformance_report report_;
    bool is_over_ = false;
};

} // namespace regrant::inline v0::testing
