// regrant/detail/libpq_connection.hpp - a PostgreSQL connection whose caller waits, but never past a deadline.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "../error.hpp"
#include "../result.hpp"
#include "libpq.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

namespace regrant::inline v0::detail {

/// A dialogue with somebody who waits for it.
class libpq_connection {
public:
    using time_point = std::chrono::steady_clock::time_point;

    result<void, outage> open(const libpq_options& options, time_point until) {
        return carry_on(dialogue_.begin_connecting(options), until);
    }
    /// Statements without values; what the last one gave.
    result<libpq_rows, outage> run(const std::string& sql, time_point until) {
        return finish(dialogue_.begin_run(sql), until);
    }
    result<libpq_rows, outage> prepare(const char* name, const std::string& sql, time_point until) {
        return finish(dialogue_.begin_preparing(name, sql.c_str()), until);
    }
    result<libpq_rows, outage> execute(const char* name, const libpq_values& values, time_point until) {
        return finish(dialogue_.begin_executing(name, values), until);
    }
    /// One statement that is not prepared.
    result<libpq_rows, outage> execute_once(const std::string& sql, const libpq_values& values, time_point until) {
        return finish(dialogue_.begin_executing_once(sql, values), until);
    }

    bool still_open() noexcept { return dialogue_.still_open(); }
    std::string_view state() const noexcept { return dialogue_.state(); }
    int process() const noexcept { return dialogue_.process(); }

private:
    result<libpq_rows, outage> finish(result<void, outage> begun, time_point until) {
        if (auto done = carry_on(std::move(begun), until); !done) return unexpected(std::move(done).error());
        return dialogue_.answer();
    }

    result<void, outage> carry_on(result<void, outage> begun, time_point until) {
        if (!begun) return begun;
        while (true) {
            auto next = dialogue_.step();
            if (!next) return unexpected(std::move(next).error());
            if (*next == libpq_wait::nothing) return {};
            if (!wait(*next, until)) return unexpected(libpq_dialogue::late());
        }
    }

    bool wait(libpq_wait what, time_point until) const noexcept {
        using namespace std::chrono;
        const int events = what == libpq_wait::to_read    ? POLLIN
                           : what == libpq_wait::to_write ? POLLOUT
                                                          : POLLIN | POLLOUT;
        pollfd at{dialogue_.socket(), static_cast<short>(events), 0};
        while (true) {
            const auto left = ceil<milliseconds>(until - steady_clock::now());
            if (left <= left.zero()) return false;
            const int ready = ::poll(&at, 1, static_cast<int>(std::min<milliseconds>(left, hours(1)).count()));
            if (ready > 0) return true;
            if (ready < 0 && errno != EINTR) return false;
        }
    }

    libpq_dialogue dialogue_;
};

} // namespace regrant::inline v0::detail
