#include <regrant/memory_store.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using regrant::advance_outcome;
using regrant::generation;
using regrant::grant;
using regrant::insert_outcome;
using regrant::instant;
using regrant::memory_store;
using regrant::revocation;
using regrant::row_key;

constexpr instant at(std::int64_t seconds) { return instant(std::chrono::seconds(seconds)); }

row_key key(unsigned char number, std::size_t place = 31) {
    row_key made;
    made.bytes[place] = std::byte{number};
    return made;
}

grant row(const row_key& where, std::string_view subject = "alice") {
    grant made(where, {"web", subject, "openid"});
    made.issued_at = made.used_at = at(1000);
    made.expires_at = at(5000);
    return made;
}

/// The row as the store has it.
grant found(memory_store& store, const row_key& where) {
    auto answer = store.find(where);
    REQUIRE(answer);
    REQUIRE(answer->has_value());
    return **answer;
}

bool advances(memory_store& store, const row_key& where, std::uint32_t expected, std::uint32_t next, instant now) {
    const auto answer = store.advance(where, generation{expected}, generation{next}, now);
    REQUIRE(answer);
    return *answer == advance_outcome::advanced;
}

} // namespace

TEST_CASE("a memory store is a token store with every extra ability") {
    static_assert(regrant::token_store<memory_store>);
    static_assert(regrant::can_revoke_subject<memory_store> && regrant::can_list_subject<memory_store> &&
                  regrant::can_reap<memory_store>);
    static_assert(!regrant::token_store<const memory_store>);
}

TEST_CASE("a row is found as it was inserted, and under its own key alone (R36)") {
    memory_store store;
    CHECK_FALSE(store.find(key(1))->has_value());
    grant in = row(key(1));
    in.rotation = regrant::rotation::echo;
    in.auth_time = std::chrono::sys_seconds(std::chrono::seconds(4294967296));
    CHECK(*store.insert(in) == insert_outcome::inserted);
    const grant out = found(store, key(1));
    CHECK(out.key == key(1));
    CHECK(out.subject() == "alice");
    CHECK(out.rotation == regrant::rotation::echo);
    CHECK(out.expires_at == at(5000));
    CHECK(out.auth_time == in.auth_time);
    // Keys that differ in their first or in their last byte are two.
    CHECK_FALSE(store.find(key(2))->has_value());
    CHECK_FALSE(store.find(key(1, 0))->has_value());
}

TEST_CASE("an insert never touches a row that is there (R50)") {
    memory_store store;
    REQUIRE(store.insert(row(key(1), "alice")));
    REQUIRE(store.revoke(key(1)));
    CHECK(*store.insert(row(key(1), "mallory")) == insert_outcome::already_there);
    CHECK(found(store, key(1)).subject() == "alice");
    CHECK(found(store, key(1)).state == revocation::revoked);
}

TEST_CASE("a row advances from the generation that is expected, and from no other (R47)") {
    memory_store store;
    REQUIRE(store.insert(row(key(1))));
    CHECK(advances(store, key(1), 0, 1, at(1001)));
    CHECK_FALSE(advances(store, key(1), 0, 1, at(1002)));
    CHECK_FALSE(advances(store, key(1), 2, 3, at(1002)));
    CHECK(found(store, key(1)).current == generation{1});
    CHECK(found(store, key(1)).used_at == at(1001));
    // A heal goes further than one.
    CHECK(advances(store, key(1), 1, 9, at(1003)));
    CHECK(found(store, key(1)).current == generation{9});
}

TEST_CASE("a confirm keeps the generation and counts as a use (R41, R42)") {
    memory_store store;
    REQUIRE(store.insert(row(key(1))));
    CHECK(advances(store, key(1), 0, 0, at(1500)));
    CHECK(found(store, key(1)).current == generation{0});
    CHECK(found(store, key(1)).used_at == at(1500));
    CHECK_FALSE(advances(store, key(1), 1, 1, at(1600)));
    CHECK(found(store, key(1)).used_at == at(1500));
}

TEST_CASE("a clock that is behind does not take a row's time back (R49)") {
    memory_store store;
    REQUIRE(store.insert(row(key(1))));
    CHECK(advances(store, key(1), 0, 1, at(900)));
    CHECK(found(store, key(1)).used_at == at(1000));
}

TEST_CASE("the absolute limit and the login stay where they were, whatever advances (R43)") {
    memory_store store;
    REQUIRE(store.insert(row(key(1))));
    CHECK(advances(store, key(1), 0, 1, at(4000)));
    CHECK(found(store, key(1)).expires_at == at(5000));
    CHECK(found(store, key(1)).issued_at == at(1000));
}

TEST_CASE("a revoked row advances no more, by rotation, confirm or heal (R44, R50)") {
    memory_store store;
    REQUIRE(store.insert(row(key(1))));
    REQUIRE(store.revoke(key(1)));
    REQUIRE(store.revoke(key(1)));
    for (const std::uint32_t next : {0U, 1U, 5U}) CHECK_FALSE(advances(store, key(1), 0, next, at(1001)));
    CHECK(found(store, key(1)).state == revocation::revoked);
    CHECK(found(store, key(1)).used_at == at(1000));
}

TEST_CASE("to advance or revoke a row that is missing makes none (R53)") {
    memory_store store;
    CHECK_FALSE(advances(store, key(1), 0, 1, at(1001)));
    CHECK(store.revoke(key(1)));
    CHECK_FALSE(store.find(key(1))->has_value());
}

TEST_CASE("a subject's families end together, and nobody else's (R45)") {
    memory_store store;
    for (unsigned char number = 1; number != 4; ++number) REQUIRE(store.insert(row(key(number), "alice")));
    REQUIRE(store.insert(row(key(4), "alice2")));
    REQUIRE(store.revoke(key(1)));
    CHECK(store.list_subject("alice")->size() == 3);
    CHECK(*store.revoke_subject("alice") == 2);
    CHECK(*store.revoke_subject("alice") == 0);
    CHECK(*store.revoke_subject("nobody") == 0);
    const auto rows = store.list_subject("alice");
    REQUIRE(rows);
    for (const grant& each : *rows) CHECK(each.state == revocation::revoked);
    CHECK(found(store, key(4)).state == revocation::live);
    CHECK(store.list_subject("nobody")->empty());
}

TEST_CASE("a row is forgotten past its absolute limit, never on it or before (R38, R43)") {
    memory_store store;
    REQUIRE(store.insert(row(key(1))));
    REQUIRE(store.insert(row(key(2))));
    REQUIRE(store.revoke(key(2)));
    CHECK(*store.reap(at(4999)) == 0);
    CHECK(*store.reap(at(5000)) == 0);
    CHECK(*store.reap(at(5000) + std::chrono::milliseconds(1)) == 2);
    CHECK_FALSE(store.find(key(1))->has_value());
    CHECK(*store.reap(at(9999)) == 0);
}

TEST_CASE("of many that advance at once one wins (R47)") {
    memory_store store;
    REQUIRE(store.insert(row(key(1))));
    constexpr std::uint32_t rounds = 200;
    std::atomic<std::uint32_t> won = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i != 4; ++i)
        threads.emplace_back([&] {
            for (std::uint32_t round = 0; round != rounds; ++round) {
                const auto answer = store.advance(key(1), generation{round}, generation{round + 1}, at(1001));
                if (answer && *answer == advance_outcome::advanced) ++won;
            }
        });
    for (auto& each : threads) each.join();
    CHECK(won == static_cast<std::uint32_t>(found(store, key(1)).current));
    CHECK(won == rounds);
}
