#include <regrant/clock.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>

TEST_CASE("time goes on after 2038 and after 2106 (R99)") {
    using namespace std::chrono;
    constexpr regrant::instant late = sys_days(year(2106) / 2 / 7) + hours(6) + minutes(28) + seconds(16);
    static_assert(late.time_since_epoch() == seconds(std::int64_t{1} << 32));
    static_assert(late + seconds(1) > late);
    static_assert(sizeof(regrant::instant::rep) >= 8);
    constexpr regrant::instant far = sys_days(year(9999) / 12 / 31);
    static_assert(far - late > years(7800));
}

TEST_CASE("a time is finer than a second, so that expires_in can be rounded down (R67)") {
    static_assert(regrant::instant(std::chrono::milliseconds(1)) > regrant::instant());
}

TEST_CASE("the current time is the system's, rounded down to a millisecond") {
    const auto before = std::chrono::system_clock::now();
    const regrant::instant now = regrant::current_time();
    const auto after = std::chrono::system_clock::now();
    CHECK(now + std::chrono::milliseconds(1) > before);
    CHECK(now <= after);
}
