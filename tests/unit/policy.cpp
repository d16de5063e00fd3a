#include <regrant/policy.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <type_traits>

namespace {

using regrant::heal_limit;
using regrant::policy;
using regrant::policy_settings;
using namespace std::chrono_literals;

constexpr std::chrono::seconds day = std::chrono::days(1);

} // namespace

TEST_CASE("a login lives 90 days, 30 of them unused, unless the operator says otherwise (R42, R43)") {
    const policy usual;
    CHECK(usual->idle_lifetime == 30 * day);
    CHECK(usual->absolute_lifetime == 90 * day);
    CHECK_FALSE(usual->not_before.has_value());
}

TEST_CASE("a lost answer is repeated for 30 seconds, under clocks a minute apart (R49)") {
    const policy usual;
    CHECK(usual->retry_window == 30s);
    CHECK(usual->max_skew == 60s);
}

TEST_CASE("a row is healed where the policy says so (R53)") {
    const heal_limit usual = policy()->heal;
    CHECK(usual.allows(0));
    CHECK(usual.allows(8));
    CHECK_FALSE(usual.allows(9));

    static_assert(!heal_limit::off().allows(1));
    static_assert(heal_limit::at_most(1).allows(1) && !heal_limit::at_most(1).allows(2));
    static_assert(heal_limit::unlimited().allows(0xFFFF'FFFF));
}

TEST_CASE("Retry-After is below half the retry window, whatever the window (R51)") {
    for (int seconds = 0; seconds <= 120; ++seconds) {
        policy_settings settings;
        settings.retry_window = std::chrono::seconds(seconds);
        const auto made = policy::make(settings);
        REQUIRE(made);
        CAPTURE(seconds);
        CHECK(made->retry_after() >= 0s);
        // A window of zero gives R51 up: there is nothing below half of it.
        if (seconds != 0) CHECK(2 * made->retry_after() < made->operator->()->retry_window);
    }
    CHECK(policy().retry_after() > 0s);
}

TEST_CASE("a policy that makes no sense is not made") {
    constexpr std::chrono::seconds century = std::chrono::years(100);
    struct {
        policy_settings settings;
        bool good;
    } const table[] = {
        {{}, true},
        {{.idle_lifetime = 0s}, false},
        {{.idle_lifetime = -1s}, false},
        {{.idle_lifetime = 1s}, true},
        {{.idle_lifetime = century}, true},
        {{.idle_lifetime = century + 1s}, false},
        {{.absolute_lifetime = 0s}, false},
        {{.absolute_lifetime = 1s}, true},
        {{.absolute_lifetime = century + 1s}, false},
        {{.retry_window = 0s}, true},
        {{.retry_window = -1s}, false},
        {{.retry_window = century + 1s}, false},
        {{.max_skew = 0s}, true},
        {{.max_skew = -1s}, false},
        {{.max_skew = std::chrono::seconds::max()}, false},
    };
    for (const auto& row : table) {
        CAPTURE(&row - table);
        const auto made = policy::make(row.settings);
        CHECK(made.has_value() == row.good);
        if (!made) CHECK_FALSE(made.error().message.empty());
    }
}

TEST_CASE("an idle limit over the absolute one is no mistake: the lower holds (R42)") {
    const auto made = policy::make({.idle_lifetime = 90 * day, .absolute_lifetime = 8h});
    REQUIRE(made);
    CHECK((*made)->idle_lifetime == 90 * day);
    CHECK((*made)->absolute_lifetime == 8h);
}

TEST_CASE("settings become a policy by being checked alone") {
    static_assert(!std::is_constructible_v<policy, policy_settings>);
}
