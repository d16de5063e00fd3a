#include <regrant/throttle.hpp>

#include <doctest/doctest.h>

namespace {

using namespace regrant;

struct whole {
    result<admission, outage> admit(const attempt& tried);
    result<void, outage> settle(const attempt& tried, attempt_outcome ended);
};
struct cannot_settle {
    result<admission, outage> admit(const attempt& tried);
};
struct says_yes_or_no {
    result<bool, outage> admit(const attempt& tried);
    result<void, outage> settle(const attempt& tried, attempt_outcome ended);
};

} // namespace

TEST_CASE("a throttle both admits and settles, and can say when to come again (R26)") {
    static_assert(throttle<whole>);
    static_assert(!throttle<cannot_settle>);
    static_assert(!throttle<says_yes_or_no>);
    static_assert(!throttle<const whole>);
    CHECK_FALSE(admission{}.retry_after);
}
