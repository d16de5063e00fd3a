#include <regrant/random.hpp>

#include "support/scripted_random.hpp"

#include <doctest/doctest.h>

#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
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

#if defined(__linux__)
TEST_CASE("a child with its parent's process id draws other bytes, in its new threads too (R35, R104)") {
    using drawn = std::array<std::byte, 32>;
    static constexpr std::size_t draws = 200; // more than a block holds
    // Reseeding one of OpenSSL's generators reseeds the others later, so each must be the first once.
    bool is_private_first = false;
    SUBCASE("the public generator first") {}
    SUBCASE("the private generator first") { is_private_first = true; }
    // What one process draws, of both sources and in a thread that is new.
    const auto draw = [&](std::array<drawn, 3 * draws>& all) {
        std::size_t at = 0;
        const auto fill = [&](const auto& source) {
            for (std::size_t i = 0; i != draws; ++i)
                if (!source.fill(all[at++])) ::_exit(3);
        };
        if (is_private_first) fill(regrant::system_random());
        fill(regrant::block_random());
        if (!is_private_first) fill(regrant::system_random());
        std::thread([&] { fill(regrant::block_random()); }).join();
    };
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const auto send = [&](pid_t id) {
        std::array<drawn, 3 * draws> all{};
        draw(all);
        const auto bytes = std::as_bytes(std::span(all));
        std::size_t sent = 0;
        bool is_sent = ::write(ends[1], &id, sizeof id) == sizeof id;
        while (is_sent && sent != bytes.size()) {
            const auto more = ::write(ends[1], bytes.data() + sent, bytes.size() - sent);
            is_sent = more > 0;
            sent += is_sent ? static_cast<std::size_t>(more) : 0;
        }
        ::_exit(is_sent ? 0 : 1);
    };
    // In a PID namespace the first process has the id 1; so has its own child in another namespace.
    const pid_t outer = ::fork();
    if (outer == 0) {
        if (::unshare(CLONE_NEWPID) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) ::_exit(2);
        const pid_t parent = ::fork();
        if (parent == 0) {
            std::array<drawn, 2> before{};
            if (!regrant::block_random().fill(before[0]) || !regrant::system_random().fill(before[1])) ::_exit(3);
            // Not by way of unshare: behind that the parent could start no thread.
            const auto child = static_cast<pid_t>(::syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0));
            if (child == 0) send(::getpid());
            int end = 0;
            if (child < 0 || ::waitpid(child, &end, 0) != child || end != 0) ::_exit(4);
            send(::getpid());
        }
        int end = 0;
        if (parent < 0 || ::waitpid(parent, &end, 0) != parent || !WIFEXITED(end)) ::_exit(4);
        ::_exit(WEXITSTATUS(end));
    }
    REQUIRE(outer > 0);
    ::close(ends[1]);
    std::string text;
    std::array<char, 4096> piece{};
    for (ssize_t size = 0; (size = ::read(ends[0], piece.data(), piece.size())) > 0;)
        text.append(piece.data(), static_cast<std::size_t>(size));
    ::close(ends[0]);
    int end = 0;
    REQUIRE(::waitpid(outer, &end, 0) == outer);
    REQUIRE(WIFEXITED(end));
    if (WEXITSTATUS(end) == 2) {
        MESSAGE("skipped: this machine lets no process make a PID namespace");
        return;
    }
    REQUIRE(WEXITSTATUS(end) == 0);
    constexpr std::size_t one = sizeof(pid_t) + 3 * draws * sizeof(drawn);
    REQUIRE(text.size() == 2 * one);
    CHECK(text.substr(0, sizeof(pid_t)) == text.substr(one, sizeof(pid_t)));
    std::set<std::string> seen;
    for (const std::size_t process : {std::size_t{0}, one})
        for (std::size_t i = 0; i != 3 * draws; ++i)
            seen.insert(text.substr(process + sizeof(pid_t) + i * sizeof(drawn), sizeof(drawn)));
    CHECK(seen.size() == 6 * draws);
}
#endif

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
