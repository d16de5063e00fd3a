#include <regrant/random.hpp>

#include "support/scripted_random.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>

namespace {

struct one_byte_at_a_time {
    std::byte operator()() const;
};
struct forgets_to_say {
    void fill(std::span<std::byte> to);
};
struct cannot_fail {
    bool fill(std::span<std::byte> to);
};

} // namespace

TEST_CASE("a random source fills bytes or says that it cannot (R35)") {
    static_assert(regrant::random_source<regrant::system_random>);
    static_assert(regrant::random_source<const regrant::system_random>);
    static_assert(regrant::random_source<support::scripted_random>);
    static_assert(!regrant::random_source<const support::scripted_random>);
    static_assert(!regrant::random_source<one_byte_at_a_time>);
    static_assert(!regrant::random_source<forgets_to_say>);
    static_assert(!regrant::random_source<cannot_fail>);
    static_assert(!regrant::random_source<int>);
}

TEST_CASE("the system's source writes every byte, and never the same (R35)") {
    // Each byte gets 64 chances not to be the zero it was: all of them miss once in 2^507 runs.
    std::array<std::byte, 40> seen{};
    std::array<std::byte, 32> before{};
    for (int i = 0; i != 64; ++i) {
        std::array<std::byte, 40> bytes{};
        REQUIRE(regrant::system_random().fill(std::span(bytes).first<32>()));
        for (std::size_t j = 0; j != bytes.size(); ++j) seen[j] |= bytes[j];
        CHECK_FALSE(std::equal(before.begin(), before.end(), bytes.begin()));
        std::copy_n(bytes.begin(), 32, before.begin());
    }
    CHECK(std::all_of(seen.begin(), seen.begin() + 32, [](std::byte b) { return b != std::byte{}; }));
    CHECK(std::all_of(seen.begin() + 32, seen.end(), [](std::byte b) { return b == std::byte{}; }));
}

TEST_CASE("blocks are given out once, in each thread and in a forked child too (R104)") {
    const auto drawn = [] {
        std::array<std::byte, 16> bytes{};
        CHECK(regrant::block_random().fill(bytes));
        return bytes;
    };
    std::set<std::array<std::byte, 16>> seen;
    for (int i = 0; i != 100; ++i) seen.insert(drawn());
    std::thread([&] { for (int i = 0; i != 100; ++i) seen.insert(drawn()); }).join();
    CHECK(seen.size() == 200);

    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const auto bytes = drawn();
        ::_exit(::write(ends[1], bytes.data(), bytes.size()) == 16 ? 0 : 1);
    }
    REQUIRE(child > 0);
    std::array<std::byte, 16> of_child{};
    CHECK(::read(ends[0], of_child.data(), of_child.size()) == 16);
    CHECK(::waitpid(child, nullptr, 0) == child);
    CHECK(of_child != drawn());
    ::close(ends[0]);
    ::close(ends[1]);

    // More than a block holds at once.
    std::array<std::byte, 1000> many{};
    CHECK(regrant::block_random().fill(many));
    CHECK(std::count(many.begin(), many.end(), std::byte{}) < 100);
}

TEST_CASE("a random UUID has version 4 and variant 10 whatever the bytes (R104, 9562 5.4)") {
    struct {
        std::string_view bytes;
        std::string_view text;
    } const table[] = {
        // The example of the standard, A.3.
        {"919108f752d143209bacf847db4148a8", "919108f7-52d1-4320-9bac-f847db4148a8"},
        {"00000000000000000000000000000000", "00000000-0000-4000-8000-000000000000"},
        {"ffffffffffffffffffffffffffffffff", "ffffffff-ffff-4fff-bfff-ffffffffffff"},
        {"0123456789abcdef0123456789abcdef", "01234567-89ab-4def-8123-456789abcdef"},
    };
    for (const auto& row : table) {
        support::scripted_random source(row.bytes);
        const auto made = regrant::random_uuid(source);
        REQUIRE(made);
        CHECK(made->text() == row.text);
        CHECK(source.script.empty());
    }
}

TEST_CASE("a source that fails makes no UUID (R35)") {
    support::scripted_random source("00112233445566778899aabbccddee");
    const auto made = regrant::random_uuid(source);
    REQUIRE_FALSE(made);
    CHECK(made.error().detail == "the script has ended");
}
