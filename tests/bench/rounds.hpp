// tests/bench/rounds.hpp - contenders measured side by side, round by round, so that noise meets all of them.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

/// CPU time of this thread: what other processes take does not count.
inline double thread_seconds() {
    std::timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// Keeps the optimizer from dropping what nobody reads.
template <class T> void keep(const T& value) { __asm__ __volatile__("" : : "r"(&value) : "memory"); }

struct contender {
    std::string name;
    std::function<void()> act;
    std::size_t times = 0;
    std::vector<double> seconds{};
};

inline double quantile(std::vector<double> values, double at) {
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(at * static_cast<double>(values.size() - 1) + 0.5)];
}

struct figure {
    double median = 0;
    double low = 0, high = 0;
};

inline figure spread_of(const std::vector<double>& values) {
    return {quantile(values, 0.5), quantile(values, 0.25), quantile(values, 0.75)};
}

class contest {
public:
    explicit contest(std::size_t rounds, double slice_seconds) : rounds_(rounds), slice_(slice_seconds) {}

    contest& add(std::string name, std::function<void()> act) {
        all_.push_back({std::move(name), std::move(act)});
        return *this;
    }

    contest& run() {
        for (contender& each : all_) calibrate(each);
        for (std::size_t round = 0; round != rounds_; ++round)
            for (std::size_t i = 0; i != all_.size(); ++i) {
                contender& each = all_[(i + round) % all_.size()];
                each.seconds.push_back(slice(each, each.times));
            }
        return *this;
    }

    /// Seconds for one of them.
    figure cost(std::string_view name) const { return spread_of(find(name).seconds); }

    /// One over another, taken round by round.
    figure ratio(std::string_view over, std::string_view under) const {
        const contender& one = find(over);
        const contender& other = find(under);
        std::vector<double> ratios;
        for (std::size_t i = 0; i != rounds_; ++i) {
            // The round's order differs, its moment does not.
            const std::size_t a = i, b = i;
            ratios.push_back(one.seconds[a] / other.seconds[b]);
        }
        return spread_of(ratios);
    }

    const std::vector<contender>& all() const noexcept { return all_; }

private:
    static double slice(contender& each, std::size_t times) {
        const double begin = thread_seconds();
        for (std::size_t i = 0; i != times; ++i) each.act();
        return (thread_seconds() - begin) / static_cast<double>(times);
    }

    void calibrate(contender& each) {
        each.times = 1;
        double took = slice(each, 1);
        while (took * static_cast<double>(each.times) < slice_ / 4) {
            each.times *= 2;
            took = slice(each, each.times);
        }
        each.times = (std::max)(std::size_t{1}, static_cast<std::size_t>(slice_ / took));
    }

    const contender& find(std::string_view name) const {
        return *std::find_if(all_.begin(), all_.end(), [&](const contender& each) { return each.name == name; });
    }

    std::size_t rounds_;
    double slice_;
    std::vector<contender> all_;
};

/// Lines of a Markdown table.
class table {
public:
    static void head(const char* title) {
        std::printf("\n### %s\n\n| what | median | middle half | goal | |\n|---|---:|---:|---:|---|\n", title);
    }
    static void reported(const std::string& what, figure f, const char* unit = "") {
        std::printf("| %s | %.3g%s | %.3g..%.3g | | |\n", what.c_str(), f.median, unit, f.low, f.high);
    }
    static void at_most(const std::string& what, figure f, double goal, const char* unit = "") {
        judged(what, f, "<=", goal, unit, f.median <= goal);
    }
    static void at_least(const std::string& what, figure f, double goal, const char* unit = "") {
        judged(what, f, ">=", goal, unit, f.median >= goal);
    }

private:
    static void judged(const std::string& what, figure f, const char* sign, double goal, const char* unit, bool met) {
        std::printf("| %s | %.4g%s | %.4g..%.4g | %s %g%s | %s |\n", what.c_str(), f.median, unit, f.low, f.high, sign,
                    goal, unit, met ? "pass" : "**short**");
    }
};

} // namespace bench
