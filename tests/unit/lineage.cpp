#include <regrant/lineage.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>

namespace {

using regrant::generation;

} // namespace

TEST_CASE("a rotation moves on by one generation, up to the last (R53)") {
    static_assert(regrant::next(regrant::first_generation) == generation{1});
    static_assert(regrant::next(generation{0xFFFF'FFFE}) == regrant::last_generation);
    static_assert(distance(generation{3}, generation{3}) == 0);
    static_assert(distance(generation{3}, generation{5}) == 2);
    static_assert(distance(regrant::first_generation, regrant::last_generation) == 0xFFFF'FFFF);
    static_assert(generation{3} < generation{4} && regrant::first_generation < regrant::last_generation);
}

TEST_CASE("a family is kept whole and cannot be compared, for it is a secret (R36)") {
    std::array<std::byte, regrant::family_id::size_bytes> bytes{};
    for (std::size_t i = 0; i != bytes.size(); ++i) bytes[i] = static_cast<std::byte>(0xF0 + i);
    const regrant::family_id family{bytes};
    CHECK(std::ranges::equal(family.bytes(), bytes));
    static_assert(!std::equality_comparable<regrant::family_id>);
    // 6749 10.10: a guess must have a chance of at most 2^-128.
    static_assert(regrant::family_id::size_bytes * 8 >= 128);
}

TEST_CASE("row keys are compared and ordered by their bytes") {
    regrant::row_key low, high;
    high.bytes[31] = std::byte{0x80};
    CHECK(low == regrant::row_key{});
    CHECK(low != high);
    CHECK(low < high);
    low.bytes[0] = std::byte{1};
    CHECK(high < low);
}
