// regrant/detail/http_date.hpp - a point in time as HTTP writes it.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "../clock.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace regrant::inline v0::detail {

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 5.6.7), by hand, for `strftime` speaks the program's language.
inline std::string http_date(instant at = current_time()) {
    constexpr std::string_view days = "SunMonTueWedThuFriSat", months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(std::chrono::floor<std::chrono::seconds>(at - day));
    const auto two = [](auto number) {
        const std::string digits = std::to_string(number);
        return digits.size() < 2 ? '0' + digits : digits;
    };
    std::string text(days.substr(3 * std::chrono::weekday(day).c_encoding(), 3));
    text.append(", ").append(two(static_cast<unsigned>(date.day()))).append(" ");
    text.append(months.substr(3 * (static_cast<unsigned>(date.month()) - 1), 3)).append(" ");
    text.append(std::to_string(static_cast<int>(date.year()))).append(" ").append(two(time.hours().count()));
    text.append(":").append(two(time.minutes().count())).append(":").append(two(time.seconds().count()));
    return text += " GMT";
}

} // namespace regrant::inline v0::detail
