#include <regrant/token_bucket_throttle.hpp>

#include "support/flow_http.hpp"
#include "support/flow_server.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace regrant;
using namespace std::chrono_literals;
using flow::now;

namespace {

static_assert(throttle<token_bucket_throttle>);

constexpr throttle_settings small{{6, 10s}, {4, 20s}, {3, 30s}, std::chrono::hours(24), 300s, 1024};

token_bucket_throttle made(const throttle_settings& settings = small) {
    auto throttle = token_bucket_throttle::make(settings);
    REQUIRE(throttle);
    return *std::move(throttle);
}

/// The seconds somebody must wait, 0 where they are let in.
std::int64_t wait_of(token_bucket_throttle& one, std::string_view client, std::string_view peer, instant at = now) {
    const auto answer = one.admit({client, peer, at});
    REQUIRE(answer);
    return answer->retry_after.value_or(0s).count();
}

/// Fails until it is not let in.
int failures(token_bucket_throttle& one, std::string_view client, std::string_view peer, instant at = now,
             int most = 1000) {
    int borne = 0;
    for (; borne != most && wait_of(one, client, peer, at) == 0; ++borne)
        REQUIRE(one.settle({client, peer, at}, attempt_outcome::failed));
    return borne;
}

void succeed(token_bucket_throttle& one, std::string_view client, std::string_view peer, instant at = now) {
    REQUIRE(wait_of(one, client, peer, at) == 0);
    REQUIRE(one.settle({client, peer, at}, attempt_outcome::succeeded));
}

std::string address(unsigned number) {
    return "10." + std::to_string(number >> 16 & 255) + '.' + std::to_string(number >> 8 & 255) + '.' +
           std::to_string(number & 255);
}

} // namespace

TEST_CASE("an address has its burst of failures, then one more after each refill (R26)") {
    token_bucket_throttle one = made();
    CHECK(failures(one, "web", "192.0.2.1") == 4);
    CHECK(wait_of(one, "web", "192.0.2.1") == 20);
    CHECK(wait_of(one, "other", "192.0.2.1") == 20);
    CHECK(wait_of(one, "web", "192.0.2.1", now + 19'999ms) == 1);
    CHECK(failures(one, "web", "192.0.2.1", now + 20s) == 1);
    CHECK(failures(one, "web", "192.0.2.1", now + 59'999ms) == 1);
    CHECK(failures(one, "web", "192.0.2.1", now + 200s) == 4);
}

TEST_CASE("a client has its burst of failures from all strange addresses together (R26)") {
    token_bucket_throttle one = made();
    int borne = 0;
    for (unsigned i = 0; i != 20; ++i) borne += failures(one, "web", address(i));
    CHECK(borne == 6);
    CHECK(wait_of(one, "web", "198.51.100.9") == 10);
    CHECK(wait_of(one, "other", "198.51.100.9") == 0);
    CHECK(failures(one, "web", "198.51.100.9", now + 10s) == 1);
}

TEST_CASE("good authentications are not counted, however many (R26)") {
    token_bucket_throttle one = made();
    for (int i = 0; i != 1000; ++i) succeed(one, "web", i % 2 == 0 ? "192.0.2.1" : "");
    CHECK(failures(one, "other", "192.0.2.1") == 4);
}

TEST_CASE("guessing in a client's name locks it out nowhere it comes from, though all the world guesses (R26)") {
    token_bucket_throttle one = made();
    succeed(one, "web", "192.0.2.1");
    for (unsigned i = 0; i != 500; ++i) (void)failures(one, "web", address(i));
    CHECK(wait_of(one, "web", "198.51.100.9") != 0);
    succeed(one, "web", "192.0.2.1");
    // Nor does somebody beside it who guesses other clients' secrets; its own failures there do count.
    CHECK(failures(one, "other", "192.0.2.1") == 4);
    succeed(one, "web", "192.0.2.1");
    CHECK(failures(one, "web", "192.0.2.1") == 3);
    CHECK(wait_of(one, "web", "192.0.2.1") == 30);
    succeed(one, "web", "192.0.2.1", now + 30s);
}

TEST_CASE("an address is known for a while, renewed by each success (R26)") {
    token_bucket_throttle one = made();
    succeed(one, "web", "192.0.2.1");
    succeed(one, "web", "192.0.2.1", now + 20h);
    const instant later = now + 44h - 1ms;
    for (unsigned i = 0; i != 20; ++i) (void)failures(one, "web", address(i), later);
    CHECK(wait_of(one, "web", "192.0.2.1", later) == 0);
    CHECK(wait_of(one, "web", "192.0.2.1", later + 1ms) != 0);
}

TEST_CASE("without an address only the client is counted, and nobody becomes known (R26)") {
    token_bucket_throttle one = made();
    succeed(one, "web", "");
    CHECK(failures(one, "web", "") == 6);
    CHECK(failures(one, "other", "") == 6);
}

TEST_CASE("addresses of one customer count together: a /64 of IPv6, an IPv4 address however it is written (R26)") {
    using detail::peer_network;
    CHECK(peer_network("2001:db8:1:2:3:4:5:6") == peer_network("2001:DB8:1:2::9"));
    CHECK(peer_network("2001:db8:1:2::") == peer_network("2001:0db8:1:2:0:0:0:1%eth0"));
    CHECK(peer_network("2001:db8:1:2::1") != peer_network("2001:db8:1:3::1"));
    CHECK(peer_network("::ffff:192.0.2.1") == "192.0.2.1");
    CHECK(peer_network("::ffff:c000:201") == "192.0.2.1");
    CHECK(peer_network("::1") == peer_network("::2"));
    CHECK(peer_network("::1") != peer_network("::ffff:0.0.0.1"));
    CHECK(peer_network("192.0.2.1") != peer_network("192.0.2.2"));
    CHECK(peer_network("::fffe:192.0.2.1") != "192.0.2.1");
    for (const std::string_view odd : {"", ":", ":::", "1:2", "1:2:3:4:5:6:7:8:9", "g::1", "12345::", "::1.2.3", "::1.2.3.256",
                                       "1:2:3:4:5:6:7::8", "1::2::3", "::1:", "unix:/run/s"}) {
        CAPTURE(odd);
        CHECK(peer_network(odd) == odd);
    }
    token_bucket_throttle one = made();
    CHECK(failures(one, "web", "2001:db8::1") == 4);
    CHECK(wait_of(one, "other", "2001:db8::2") == 20);
    CHECK(wait_of(one, "other", "2001:db8:0:1::1") == 0);
}

TEST_CASE("an IPv6 address that stands for an IPv4 address counts as that (R26, RFC 6052 2.1, RFC 3056 2)") {
    using detail::peer_network;
    CHECK(peer_network("64:ff9b::192.0.2.1") == "192.0.2.1");
    CHECK(peer_network("64:ff9b::c000:202") == "192.0.2.2");
    CHECK(peer_network("::ffff:0:192.0.2.1") == "192.0.2.1");
    CHECK(peer_network("2002:c000:201::1") == "192.0.2.1");
    CHECK(peer_network("2002:c000:201:ffff::2") == "192.0.2.1");
    // Only all 96 bits are the well-known prefix.
    CHECK(peer_network("64:ff9b:0:0:0:1:c000:201") != "192.0.2.1");
    CHECK(peer_network("65:ff9b::192.0.2.1") != "192.0.2.1");
    CHECK(peer_network("2003:c000:201::1") != "192.0.2.1");
    // RFC 8215: where the IPv4 address stands is each network's own choice.
    CHECK(peer_network("64:ff9b:1::192.0.2.1") != peer_network("64:ff9b:1::192.0.2.2"));
    CHECK(peer_network("64:ff9b:1::192.0.2.1") == peer_network("64:FF9B:1:0::C000:201"));
    CHECK(peer_network("64:ff9b:2::1") == peer_network("64:ff9b:2::2"));
    token_bucket_throttle one = made();
    CHECK(failures(one, "web", "64:ff9b::192.0.2.1") == 4);
    CHECK(wait_of(one, "other", "192.0.2.1") == 20);
    CHECK(wait_of(one, "other", "64:ff9b::192.0.2.2") == 0);
}

TEST_CASE("a known address stays known after a failure of its own, until its time is over (R26)") {
    token_bucket_throttle one = made();
    succeed(one, "web", "192.0.2.1");
    REQUIRE(one.settle({"web", "192.0.2.1", now}, attempt_outcome::failed));
    for (unsigned i = 0; i != 20; ++i) (void)failures(one, "web", address(i), now + 23h);
    // The failure's own bucket is full again after 30 s; the address is known for 24 h.
    CHECK(wait_of(one, "web", "198.51.100.9", now + 23h) != 0);
    CHECK(wait_of(one, "web", "192.0.2.1", now + 23h) == 0);
    CHECK(failures(one, "web", "192.0.2.1", now + 23h) == 3);
}

TEST_CASE("a client that succeeds from any number of addresses makes nobody forget another client's (R26)") {
    throttle_settings settings = small;
    settings.buckets = 512;
    token_bucket_throttle one = made(settings);
    // Enough for most sets to hold one or two, few enough for hardly any to be full.
    constexpr unsigned known = 60;
    for (unsigned i = 0; i != known; ++i) succeed(one, "web" + std::to_string(i % 20), address(i));
    for (unsigned i = 0; i != 20'000; ++i)
        REQUIRE(one.settle({"greedy", address(1'000'000 + i), now + 1h}, attempt_outcome::succeeded));
    int kept = 0;
    for (unsigned i = 0; i != known; ++i) {
        const std::string client = "web" + std::to_string(i % 20);
        for (int k = 0; k != 3; ++k) REQUIRE(one.settle({client, address(i), now + 1h}, attempt_outcome::failed));
        // A known address has a limit of its own, by which it shows.
        kept += wait_of(one, client, address(i), now + 1h) == 30 ? 1 : 0;
    }
    CHECK(kept == known);
}

TEST_CASE("in a full set of known addresses the client that holds most forgets its oldest (R26)") {
    // Eight buckets are one set, so every address competes with every other.
    throttle_settings settings = small;
    settings.buckets = 8;
    token_bucket_throttle one = made(settings);
    const auto learn = [&](std::string_view client, unsigned from, unsigned number, instant at = now) {
        for (unsigned i = 0; i != number; ++i)
            REQUIRE(one.settle({client, address(from + i), at + std::chrono::milliseconds(i)}, attempt_outcome::succeeded));
    };
    // A known address has a limit of its own, by which it shows.
    const auto known = [&](std::string_view client, unsigned from, unsigned number, instant at = now + 1s) {
        std::string marks;
        for (unsigned i = 0; i != number; ++i) {
            token_bucket_throttle copy = one; // shares the counts
            for (int k = 0; k != 3; ++k) REQUIRE(copy.settle({client, address(from + i), at}, attempt_outcome::failed));
            marks += wait_of(copy, client, address(from + i), at) == 30 ? '1' : '0';
        }
        return marks;
    };
    SUBCASE("until both have as many") {
        learn("a", 0, 8);
        learn("b", 100, 12);
        CHECK(known("a", 0, 8) == "00001111");
        CHECK(known("b", 100, 12) == "000000001111");
    }
    SUBCASE("but one whose time is over goes first") {
        learn("old", 0, 1, now - std::chrono::hours(24));
        learn("b", 100, 8);
        CHECK(known("b", 100, 8) == "11111111");
    }
    SUBCASE("and one whose time has a millisecond left does not") {
        learn("old", 0, 1, now - std::chrono::hours(24) + 9ms);
        learn("b", 100, 8);
        CHECK(known("b", 100, 8) == "01111111");
    }
}

TEST_CASE("a clock set back makes nobody wait for ever, and a wait is never longer than the longest (R26)") {
    token_bucket_throttle one = made();
    CHECK(failures(one, "web", "192.0.2.1", now + 24h) == 4);
    CHECK(wait_of(one, "web", "192.0.2.1") == 300);
    REQUIRE(one.settle({"web", "192.0.2.1", now}, attempt_outcome::failed));
    CHECK(wait_of(one, "web", "192.0.2.1", now + 400s) == 0);
    // What was let in at once may fail at once.
    for (int i = 0; i != 100; ++i) REQUIRE(one.settle({"all", "192.0.2.9", now}, attempt_outcome::failed));
    CHECK(wait_of(one, "all", "192.0.2.9") == 300);
    CHECK(wait_of(one, "all", "192.0.2.9", now + 500s) == 0);
}

TEST_CASE("who comes again when it was told to is let in, though many failed at once or the clock was set back (R26)") {
    token_bucket_throttle one = made();
    for (int i = 0; i != 100; ++i) REQUIRE(one.settle({"all", "192.0.2.9", now}, attempt_outcome::failed));
    CHECK(wait_of(one, "all", "192.0.2.9") == 300);
    CHECK(wait_of(one, "all", "192.0.2.9", now + 300s - 1ms) == 1);
    CHECK(wait_of(one, "all", "192.0.2.9", now + 300s) == 0);

    // What is not let in is not settled either, so nothing but the waiting is seen of it.
    CHECK(failures(one, "web", "192.0.2.1", now + 24h) == 4);
    CHECK(wait_of(one, "web", "192.0.2.1") == 300);
    CHECK(wait_of(one, "web", "192.0.2.1", now + 300s) == 0);
}

TEST_CASE("memory stays as it is, and a drained bucket outlives a flood of strangers (R26)") {
    throttle_settings settings = small;
    settings.buckets = 1024;
    token_bucket_throttle one = made(settings);
    CHECK(one.memory_bytes() == 3 * 1024 * 32);
    CHECK(failures(one, "web", "192.0.2.1") == 4);
    for (unsigned i = 0; i != 100'000; ++i) {
        const std::string peer = address(i), client = "c" + std::to_string(i);
        REQUIRE(one.settle({client, peer, now}, attempt_outcome::failed));
        REQUIRE(one.settle({client, peer + "9", now}, attempt_outcome::succeeded));
    }
    CHECK(wait_of(one, "other", "192.0.2.1") == 20);
    CHECK(one.memory_bytes() == 3 * 1024 * 32);
    settings.buckets = 1;
    CHECK(made(settings).memory_bytes() == 3 * 8 * 32);
    settings.buckets = 1025;
    CHECK(made(settings).memory_bytes() == 3 * 2048 * 32);
}

TEST_CASE("which names share a set differs from process to process: two throttles forget differently (R26)") {
    // The same flood through eight buckets leaves another few standing each time.
    const auto survivors = [] {
        throttle_settings settings = small;
        settings.buckets = 64;
        token_bucket_throttle one = made(settings);
        std::string standing;
        for (unsigned i = 0; i != 200; ++i)
            REQUIRE(one.settle({"c" + std::to_string(i), address(i), now - 100s}, attempt_outcome::succeeded));
        for (unsigned i = 0; i != 200; ++i) {
            // Known addresses have a limit of their own, by which they show.
            for (int k = 0; k != 3; ++k)
                REQUIRE(one.settle({"c" + std::to_string(i), address(i), now}, attempt_outcome::failed));
            standing += wait_of(one, "c" + std::to_string(i), address(i)) == 30 ? '1' : '0';
        }
        return standing;
    };
    const std::string once = survivors();
    CHECK(once.find('1') != std::string::npos);
    CHECK(once.find('0') != std::string::npos);
    CHECK(survivors() != once);
}

TEST_CASE("eight threads together get the burst, and at most one more each that was under way (R26)") {
    for (const std::size_t buckets : {std::size_t{1}, std::size_t{1024}}) {
        throttle_settings settings = small;
        settings.per_client = {1000, 10s};
        settings.per_address = {100, 10s};
        settings.buckets = buckets;
        token_bucket_throttle one = made(settings);
        std::atomic<int> borne = 0;
        std::vector<std::thread> threads;
        for (int i = 0; i != 8; ++i)
            threads.emplace_back([&, i] {
                token_bucket_throttle mine = one; // a copy counts with the others
                const std::string own = "client " + std::to_string(i);
                for (int k = 0; k != 500; ++k) {
                    const auto answer = mine.admit({"web", "192.0.2.1", now});
                    if (answer && !answer->retry_after) {
                        ++borne;
                        (void)mine.settle({"web", "192.0.2.1", now}, attempt_outcome::failed);
                    }
                    (void)mine.settle({own, "192.0.2.1", now}, attempt_outcome::succeeded);
                }
            });
        for (std::thread& each : threads) each.join();
        CHECK(borne >= 100);
        CHECK(borne <= 108);
    }
}

TEST_CASE("the throttle's defaults are those that its settings document (R26)") {
    const throttle_settings usual;
    CHECK(usual.per_client.burst == 100);
    CHECK(usual.per_client.refill == 1s);
    CHECK(usual.per_address.burst == 20);
    CHECK(usual.per_address.refill == 6s);
    CHECK(usual.per_known_address.burst == 20);
    CHECK(usual.per_known_address.refill == 6s);
    CHECK(usual.known_for == std::chrono::days(30));
    CHECK(usual.longest_wait == 15min);
    CHECK(usual.buckets == 8192);
}

TEST_CASE("settings that make no sense are refused when the throttle is made (R26)") {
    const auto is_refused = [](auto spoil) {
        throttle_settings settings;
        spoil(settings);
        const auto throttle = token_bucket_throttle::make(settings);
        return !throttle && !throttle.error().message.empty();
    };
    CHECK_FALSE(is_refused([](throttle_settings&) {}));
    for (const auto at_its_bound : {+[](throttle_settings& s) { s.per_client.burst = 1; },
                                    +[](throttle_settings& s) { s.per_address.refill = 1ms; },
                                    +[](throttle_settings& s) { s.per_known_address.refill = 24h; },
                                    +[](throttle_settings& s) { s.buckets = 1; },
                                    +[](throttle_settings& s) { s.longest_wait = 1s; },
                                    +[](throttle_settings& s) { s.longest_wait = 24h; },
                                    +[](throttle_settings& s) { s.known_for = 1h; },
                                    +[](throttle_settings& s) {
                                        s.known_for = std::chrono::floor<std::chrono::hours>(std::chrono::years(10));
                                    }})
        CHECK_FALSE(is_refused(at_its_bound));
    CHECK(is_refused([](throttle_settings& s) { s.per_client.burst = 0; }));
    CHECK(is_refused([](throttle_settings& s) { s.per_address.refill = 0ms; }));
    CHECK(is_refused([](throttle_settings& s) { s.per_known_address.refill = 25h; }));
    CHECK(is_refused([](throttle_settings& s) { s.buckets = 0; }));
    CHECK(is_refused([](throttle_settings& s) { s.buckets = (std::size_t{1} << 24) + 1; }));
    CHECK(is_refused([](throttle_settings& s) { s.longest_wait = 0s; }));
    CHECK(is_refused([](throttle_settings& s) { s.longest_wait = 25h; }));
    CHECK(is_refused([](throttle_settings& s) { s.known_for = 0h; }));
    CHECK(is_refused([](throttle_settings& s) { s.known_for = 24h * 365 * 11; }));
}

TEST_CASE("an endpoint whose hooks are a throttle refuses the guess too many, and serves who knows the secret (R26)") {
    struct my_hooks : token_bucket_throttle {
        void observe(const decision& made) noexcept { refused = made.refused; }
        std::optional<reason> refused{};
    };
    memory_store store;
    client_list clients = flow::clients();
    flow::call_log log;
    flow::counting_issuer issuer(log);
    my_hooks hooks{made()};
    token_endpoint endpoint(store, clients, issuer, flow::ring({1}), {}, hooks);
    const auto tokens = endpoint.issue({"another", "alice", "openid"}, now);
    REQUIRE(tokens);
    const auto status = [&](std::string_view secret, std::string_view peer) {
        http_request request = flow::post(flow::refresh_form(tokens->refresh_token.reveal(), "&client_id=another&client_secret=" +
                                                                                                 std::string(secret)));
        request.peer = peer;
        return endpoint.respond(std::move(request), now).status;
    };
    CHECK(status("s", "192.0.2.1") == http_status::ok);
    for (int i = 0; i != 4; ++i) CHECK(status("guess", "192.0.2.2") == http_status::bad_request);
    CHECK(status("s", "192.0.2.2") == http_status::too_many_requests);
    CHECK(hooks.refused == reason::throttled);
    CHECK(status("s", "192.0.2.1") == http_status::ok);
}
