#include <regrant/slow_hash.hpp>

#include <doctest/doctest.h>

using regrant::slow_cost;
using regrant::slow_hash;

TEST_CASE("what a slow hash may cost is bounded below and above (R31, 6749 2.3.1)") {
    for (const slow_cost good : {slow_cost{}, slow_cost::scrypt(14, 8, 1), slow_cost::scrypt(14, 8, 8),
                                 slow_cost::scrypt(15, 8, 1), slow_cost::scrypt(17, 8, 1), slow_cost::scrypt(16, 16, 1),
                                 slow_cost::pbkdf2_sha256(100'000), slow_cost::pbkdf2_sha256(2'000'000)}) {
        CAPTURE(good.log2_n);
        CHECK(good.is_within_bounds());
    }
    for (const slow_cost bad : {slow_cost::scrypt(13, 8, 1), slow_cost::scrypt(18, 8, 1), slow_cost::scrypt(0, 8, 1),
                                slow_cost::scrypt(63, 8, 1), slow_cost::scrypt(14, 7, 1), slow_cost::scrypt(14, 17, 1),
                                slow_cost::scrypt(14, 8, 0), slow_cost::scrypt(14, 8, 9), slow_cost::scrypt(17, 8, 2),
                                slow_cost::scrypt(17, 16, 1), slow_cost::scrypt(14, 0xFFFFFFFF, 0xFFFFFFFF),
                                slow_cost::pbkdf2_sha256(99'999), slow_cost::pbkdf2_sha256(2'000'001),
                                slow_cost::pbkdf2_sha256(0)}) {
        CAPTURE(bad.log2_n);
        CHECK_FALSE(bad.is_within_bounds());
    }
}

TEST_CASE("a salt is never more than its place (R31)") {
    slow_hash hash;
    CHECK(hash.salt().empty());
    hash.salt_size = 64;
    CHECK(hash.salt().size() == 64);
    hash.salt_size = 65;
    CHECK(hash.salt().empty());
}
