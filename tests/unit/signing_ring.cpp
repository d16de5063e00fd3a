#include <regrant/signing_ring.hpp>

#include "support/flow_server.hpp"
#include "support/jwt_parts.hpp"

#include <regrant/detail/openssl.hpp>
#include <regrant/jwks.hpp>
#include <regrant/jwt_issuer.hpp>
#include <regrant/token_endpoint.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace regrant;
using namespace std::chrono_literals;
using flow::now;

namespace {

constexpr rollover_times times{2h, 1h};

/// Two keys, made once; under as many names as a test wants.
const std::string& pem_of(int number) {
    static const std::string pems[] = {std::string(signing_key::generate()->to_pem()->reveal()),
                                       std::string(signing_key::generate()->to_pem()->reveal())};
    return pems[number % 2];
}
signing_key key(int number) { return *signing_key::from_pem(pem_of(number), "key " + std::to_string(number)); }

std::set<std::string> names(const std::vector<jwk>& keys) {
    std::set<std::string> made;
    for (const jwk& each : keys) made.insert(each.kid);
    return made;
}
std::set<std::string> published(const signing_ring& ring, instant at) { return names(ring.public_keys(at)); }
std::string signing(const signing_ring& ring, instant at) { return std::string(ring.at(at).key_id()); }

using names_type = std::set<std::string>;

/// Whether a token carries a key's id and signature.
bool is_signed_by(std::string_view token, int number) {
    const support::jwt_parts parts(token);
    const std::string text = parts.signing_input();
    return parts.header().at("kid").get<std::string>() == "key " + std::to_string(number) &&
           detail::rsa_key::from_pem(pem_of(number), nullptr)
               .verify(std::as_bytes(std::span(text)), std::as_bytes(std::span(parts.signature)));
}

} // namespace

TEST_CASE("the next key is published before it signs, the old one as long as its tokens live (R102, OIDC Core 10.1.1)") {
    auto ring = signing_ring::make(key(1), times);
    REQUIRE(ring);
    CHECK(published(*ring, now) == names_type{"key 1"});
    CHECK(signing(*ring, now - std::chrono::years(50)) == "key 1");

    const instant turn = now + 2h;
    REQUIRE(ring->add(key(2), turn, now));
    CHECK(published(*ring, now) == names_type{"key 1", "key 2"});
    CHECK(signing(*ring, now) == "key 1");
    CHECK(signing(*ring, turn - 1ms) == "key 1");
    CHECK(signing(*ring, turn) == "key 2");
    CHECK(published(*ring, turn + 1h - 1ms) == names_type{"key 1", "key 2"});
    CHECK(published(*ring, turn + 1h) == names_type{"key 2"});
}

TEST_CASE("a key that nobody could have seen in time is not added (R102)") {
    auto ring = signing_ring::make(key(1), times);
    REQUIRE(ring);
    CHECK_FALSE(ring->add(key(2), now + 2h - 1ms, now));
    CHECK_FALSE(ring->add(key(2), now, now));
    CHECK_FALSE(ring->add(key(1), now + 3h, now));
    CHECK(published(*ring, now) == names_type{"key 1"});
    REQUIRE(ring->add(key(2), now + 2h, now));
    CHECK_FALSE(ring->add(key(3), now + 2h, now));
}

TEST_CASE("keys may be added in any order; each signs from its own time on (R102)") {
    auto ring = *signing_ring::make(key(1), times);
    REQUIRE(ring.add(key(3), now + 20h, now));
    REQUIRE(ring.add(key(2), now + 10h, now));
    CHECK(signing(ring, now + 10h - 1ms) == "key 1");
    CHECK(signing(ring, now + 10h) == "key 2");
    CHECK(signing(ring, now + 20h) == "key 3");
    // A stolen key is replaced at once, though others are to come.
    REQUIRE(ring.replace_at_once(key(4), now + 5h));
    CHECK(signing(ring, now + 5h) == "key 4");
    CHECK(signing(ring, now + 10h) == "key 2");
    CHECK(ring.schedule(now + 5h).back().key.key_id() == "key 3");
}

TEST_CASE("a key in reserve, which never signs, leaves the one that does in the set, and none signs unseen (R102, R99)") {
    auto ring = signing_ring::make(key(1), times);
    REQUIRE(ring);
    CHECK_FALSE(ring->add(key(2), instant::min(), now));
    REQUIRE(ring->add(key(2), instant::max(), now));
    for (const instant at : {now, now + std::chrono::years(100), now - std::chrono::years(100)}) {
        CHECK(published(*ring, at) == names_type{"key 1", "key 2"});
        CHECK(signing(*ring, at) == "key 1");
    }
    REQUIRE(ring->add(key(3), now + 2h, now));
    CHECK(ring->schedule(now).size() == 3);
}

TEST_CASE("through many rollovers each living token verifies by every set that is not too old (R102)") {
    constexpr std::chrono::minutes step{20};
    auto ring = signing_ring::make(key(0), times);
    REQUIRE(ring);
    std::vector<names_type> sets;
    std::vector<std::string> signers;
    constexpr int hours = 48;
    for (int i = 0; i != hours * 3; ++i) {
        const instant at = now + i * step;
        if (i % 21 == 7) REQUIRE(ring->add(key(i), at + 2h + (i % 2) * step, at)); // a rollover each 7 hours
        sets.push_back(published(*ring, at));
        signers.push_back(signing(*ring, at));
    }
    std::size_t looked_at = 0;
    for (std::size_t minted = 6; minted != signers.size(); ++minted)
        for (std::size_t used = minted; used < (std::min)(minted + 3, sets.size()); ++used) // an hour's life, just not
            for (std::size_t fetched = used - 5; fetched <= used; ++fetched, ++looked_at) // two hours old, just not
                if (!sets[fetched].contains(signers[minted])) FAIL("minted ", minted, " used ", used, " fetched ", fetched);
    CHECK(looked_at > 1000);
    CHECK(names_type(signers.begin(), signers.end()).size() == 8);
    for (const names_type& each : sets) CHECK(each.size() <= 2);
}

TEST_CASE("a key that was stolen goes at once, when another can sign (R102)") {
    auto ring = signing_ring::make(key(1), times);
    REQUIRE(ring);
    CHECK_FALSE(ring->withdraw("key 1", now));
    CHECK_FALSE(ring->withdraw("key 9", now));
    REQUIRE(ring->replace_at_once(key(2), now));
    CHECK_FALSE(ring->replace_at_once(key(2), now + 1ms));
    CHECK_FALSE(ring->replace_at_once(key(3), now));
    CHECK(signing(*ring, now) == "key 2");
    REQUIRE(ring->withdraw("key 1", now));
    CHECK(published(*ring, now) == names_type{"key 2"});
    // The one before takes over from one that was withdrawn while it signed, or else the next.
    REQUIRE(ring->add(key(3), now + 2h, now));
    REQUIRE(ring->withdraw("key 2", now));
    CHECK(signing(*ring, now) == "key 3");
    REQUIRE(ring->add(key(4), now + 4h, now + 1h));
    REQUIRE(ring->withdraw("key 4", now + 5h - 1ms));
    CHECK(signing(*ring, now + 5h) == "key 3");
}

TEST_CASE("a key that has left the set does not sign again where another is withdrawn (R102)") {
    auto ring = signing_ring::make(key(1), times);
    REQUIRE(ring);
    REQUIRE(ring->add(key(2), now + 2h, now));
    REQUIRE(ring->add(key(3), now + 100h, now));
    const instant later = now + 50h;
    CHECK(published(*ring, later) == names_type{"key 2", "key 3"});
    auto within = signing_ring::make(ring->schedule(now), times);
    REQUIRE(ring->withdraw("key 2", later));
    CHECK(signing(*ring, later) == "key 3");
    CHECK_FALSE(ring->withdraw("key 3", later));
    // While its tokens live it is in the set, and can take over.
    REQUIRE(within->withdraw("key 2", now + 3h - 1ms));
    CHECK(signing(*within, now + 3h - 1ms) == "key 1");
}

TEST_CASE("a server that starts again has the schedule that was kept (R102)") {
    auto ring = signing_ring::make(key(1), times);
    REQUIRE(ring);
    REQUIRE(ring->add(key(2), now + 2h, now));
    auto again = signing_ring::make(ring->schedule(now), times);
    REQUIRE(again);
    for (const auto later : {0min, 119min, 120min, 179min, 180min}) {
        CHECK(signing(*again, now + later) == signing(*ring, now + later));
        CHECK(published(*again, now + later) == published(*ring, now + later));
    }
    CHECK(ring->schedule(now + 3h).size() == 1);
    std::vector<scheduled_key> backwards = ring->schedule(now);
    std::swap(backwards[0], backwards[1]);
    CHECK(signing(*signing_ring::make(backwards, times), now) == "key 1");
}

TEST_CASE("a ring without a key, with one twice, or that publishes for no time is refused (R102)") {
    CHECK_FALSE(signing_ring::make(std::vector<scheduled_key>{}, times));
    CHECK_FALSE(signing_ring::make(std::vector<scheduled_key>{{key(1)}, {key(1), now}}, times));
    CHECK_FALSE(signing_ring::make(std::vector<scheduled_key>{{key(1), now}, {key(2), now}}, times));
    CHECK_FALSE(signing_ring::make(key(1), {0s, 1h}));
    CHECK_FALSE(signing_ring::make(key(1), {1h, 0s}));
    CHECK_FALSE(signing_ring::make(key(1), {-1s, 1h}));
    CHECK_FALSE(signing_ring::make(key(1), {1h, std::chrono::years(101)}));
}

TEST_CASE("an issuer over a ring signs with the key of the hour, and names it (R102, R97)") {
    auto ring = signing_ring::make(key(0), times);
    REQUIRE(ring);
    auto issuer = jwt_issuer<signing_ring>::make({"https://id.example"}, *ring);
    REQUIRE(issuer);
    REQUIRE(ring->add(key(1), now + 2h, now));

    memory_store store;
    client_list clients = flow::clients();
    token_endpoint endpoint(store, clients, *issuer, flow::ring({1}));
    for (const auto& [later, number] : {std::pair(0min, 0), std::pair(119min, 0), std::pair(120min, 1)}) {
        const auto tokens = endpoint.issue({"TENANT_CLIENT_ID", "alice", "openid"}, now + later);
        REQUIRE(tokens);
        CHECK(is_signed_by(tokens->access_token.reveal(), number));
        CHECK(is_signed_by(tokens->id_token->reveal(), number));
        CHECK_FALSE(is_signed_by(tokens->access_token.reveal(), 1 - number));
    }
}

TEST_CASE("an issuer refuses a ring that forgets a key while its tokens live (R102)") {
    const auto issuer_over = [](rollover_times kept) {
        return jwt_issuer<signing_ring>::make({"https://id.example"}, *signing_ring::make(key(1), kept));
    };
    const auto with_long_access_tokens = [](rollover_times kept) {
        return jwt_issuer<signing_ring>::make({.issuer = "https://id.example", .access_lifetime = 2h},
                                              *signing_ring::make(key(1), kept));
    };
    CHECK(with_long_access_tokens({1h, 2h}));
    CHECK_FALSE(with_long_access_tokens({1h, 2h - 1s}));
    CHECK(issuer_over({1h, 30min})); // an id_token's 1800 s
    CHECK_FALSE(issuer_over({1h, 30min - 1s}));
    CHECK_FALSE(issuer_over({1h, 5min - 1s})); // an access token's 300 s
    CHECK(issuer_over({}));
}

TEST_CASE("the lines in the ring's comment do what they say (R102)") {
    auto key_now = signing_key::from_pem(pem_of(0));
    auto next = signing_key::from_pem(pem_of(1));
    auto ring = signing_ring::make(*key_now);
    auto issuer = jwt_issuer<signing_ring>::make({"https://id.example"}, *ring);
    REQUIRE(issuer);

    auto added = ring->add(*next, now + std::chrono::days(1), now);
    REQUIRE(added);
    auto body = jwks(ring->public_keys(now));
    for (const auto* each : {&*key_now, &*next}) {
        CHECK(body.find(each->key_id()) != std::string::npos);
        CHECK(body.find(each->public_jwk().n) != std::string::npos);
    }
    CHECK(issuer->key().at(now).key_id() == key_now->key_id());
    CHECK(issuer->key().at(now + std::chrono::days(1)).key_id() == next->key_id());
}

TEST_CASE("keys roll over while threads sign and others read the set (R102)") {
    auto ring = signing_ring::make(key(0), times);
    REQUIRE(ring);
    std::atomic<bool> is_over = false;
    std::atomic<int> bad = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i != 8; ++i)
        threads.emplace_back([&, mine = *ring] {
            while (!is_over) {
                const signing_key by = mine.at(now);
                const std::string_view text[] = {"text"};
                signature made[1];
                if (!by.sign(text, made)) ++bad;
                if (!published(mine, now).contains(std::string(by.key_id()))) ++bad;
            }
        });
    for (int i = 1; i != 60; ++i) {
        CHECK(ring->add(key(i), now + 2h + i * 1min, now));
        std::this_thread::sleep_for(1ms);
    }
    is_over = true;
    for (std::thread& each : threads) each.join();
    CHECK(bad == 0);
    CHECK(published(*ring, now).size() == 60);
}
