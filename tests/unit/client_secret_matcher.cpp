#include <regrant/client_secret_matcher.hpp>

#include "support/flow_server.hpp"

#include <regrant/client_list.hpp>
#include <regrant/parse_secret_hash.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace regrant;
using namespace std::chrono_literals;
using flow::now;

namespace {

constexpr slow_cost cheapest = slow_cost::scrypt(14, 8, 1);

/// Of "chosen", made once.
const secret_hash& chosen() {
    static const secret_hash made = *hash_client_secret_slowly("chosen", cheapest);
    return made;
}
const secret_hash& generated() {
    static const secret_hash made = *hash_client_secret("generated");
    return made;
}

/// What a matcher can say without computing; `nothing` where it cannot.
std::string_view said(const client_secret_matcher& by, const secret_check& check, instant at = now) {
    const auto answer = by.at_once(check, at);
    if (!answer) return "nothing";
    if (!*answer) return "outage";
    switch (**answer) {
    case secret_match::neither: return "neither";
    case secret_match::as_meant: return "as_meant";
    case secret_match::raw: break;
    }
    return "raw";
}

} // namespace

TEST_CASE("a fast hash is compared at once, a slow one not before it was computed (R31)") {
    const client_secret_matcher matcher;
    CHECK(said(matcher, {"generated", {}, {generated()}}) == "as_meant");
    CHECK(said(matcher, {"x", {}, {generated()}}) == "neither");
    CHECK(said(matcher, {"x", {}, {}}) == "neither");
    for (const std::string_view presented : {"chosen", "x"}) CHECK(said(matcher, {presented, {}, {chosen()}}) == "nothing");
    CHECK(*matcher.slowly({"chosen", {}, {chosen()}}) == secret_match::as_meant);
    CHECK(*matcher.slowly({"x", {}, {chosen()}}) == secret_match::neither);
    CHECK(*matcher.slowly({"x", "chosen", {chosen()}}) == secret_match::raw);
}

TEST_CASE("a right secret is remembered for a while, by the texts and hashes it was held against (R31)") {
    const client_secret_matcher matcher({{}, 600s, 1024});
    const secret_check check{"chosen", {}, {chosen()}};
    matcher.remember(check, secret_match::as_meant, now);
    CHECK(said(matcher, check) == "as_meant");
    CHECK(said(matcher, check, now + 600s - 1ms) == "as_meant");
    CHECK(said(matcher, check, now + 600s) == "nothing");
    CHECK(said(matcher, check, now - 60s) == "as_meant");
    CHECK(said(matcher, check, now - 61s) == "nothing");

    CHECK(said(matcher, {"chosem", {}, {chosen()}}) == "nothing");
    CHECK(said(matcher, {"chose", {}, {chosen()}}) == "nothing");
    CHECK(said(matcher, {"chosen", "chosen", {chosen()}}) == "nothing");
    CHECK(said(matcher, {"chos", "en", {chosen()}}) == "nothing");
    const secret_hash another = *hash_client_secret_slowly("chosen", cheapest);
    CHECK(said(matcher, {"chosen", {}, {another}}) == "nothing");
    // When the second of two expires, or one is added, all is computed again.
    CHECK(said(matcher, {"chosen", {}, {chosen(), generated()}}) == "nothing");
    CHECK(said(matcher, {"chosen", {}, {secret_hash{}, chosen()}}) == "nothing");

    matcher.remember({"x", "chosen", {chosen()}}, secret_match::raw, now);
    CHECK(said(matcher, {"x", "chosen", {chosen()}}) == "raw");
    CHECK(said(client_secret_matcher(), check) == "nothing");
}

TEST_CASE("a right secret can be remembered for ever (R31)") {
    const client_secret_matcher matcher({{}, std::chrono::seconds::max(), 1024});
    const secret_check check{"chosen", {}, {chosen()}};
    matcher.remember(check, secret_match::as_meant, now);
    CHECK(said(matcher, check) == "as_meant");
    CHECK(said(matcher, check, now + std::chrono::years(99)) == "as_meant");
}

TEST_CASE("a wrong secret is never remembered, nor is anything where that is switched off (R20, R31)") {
    const client_secret_matcher matcher;
    matcher.remember({"x", {}, {chosen()}}, secret_match::neither, now);
    CHECK(said(matcher, {"x", {}, {chosen()}}) == "nothing");
    const client_secret_matcher forgetful({{}, 600s, 0});
    forgetful.remember({"chosen", {}, {chosen()}}, secret_match::as_meant, now);
    CHECK(said(forgetful, {"chosen", {}, {chosen()}}) == "nothing");
    CHECK(*forgetful.slowly({"chosen", {}, {chosen()}}) == secret_match::as_meant);
}

TEST_CASE("no more is remembered than there is room for, and the newest stays (R31)") {
    const client_secret_matcher matcher({{}, 600s, 16});
    std::vector<std::string> texts;
    for (int i = 0; i != 200; ++i) texts.push_back("secret " + std::to_string(i));
    for (int i = 0; i != 200; ++i) {
        const secret_check check{texts[static_cast<std::size_t>(i)], {}, {chosen()}};
        matcher.remember(check, secret_match::as_meant, now + std::chrono::milliseconds(i));
        CHECK(said(matcher, check, now + 1s) == "as_meant");
    }
    int remembered = 0;
    for (const std::string& each : texts) remembered += said(matcher, {each, {}, {chosen()}}, now + 1s) == "as_meant";
    CHECK(remembered <= 16);
    CHECK(remembered >= 4);
}

TEST_CASE("where there is room for all, hardly a secret is forgotten (R31)") {
    const client_secret_matcher matcher({{}, 600s, 1024});
    std::vector<std::string> texts;
    for (int i = 0; i != 100; ++i) texts.push_back("secret " + std::to_string(i));
    for (const std::string& each : texts) matcher.remember({each, {}, {chosen()}}, secret_match::as_meant, now);
    int remembered = 0;
    for (const std::string& each : texts) remembered += said(matcher, {each, {}, {chosen()}}) == "as_meant";
    // They are spread by a random key over 256 sets of four.
    CHECK(remembered >= 95);
}

TEST_CASE("of four remembered secrets the one that ends first gives way (R31)") {
    // Four places in one set: the fifth secret takes the place of the oldest, whatever the order they came in.
    for (int oldest = 0; oldest != 4; ++oldest) {
        const client_secret_matcher matcher({{}, 600s, 4});
        const std::vector<std::string> texts{"secret 0", "secret 1", "secret 2", "secret 3", "secret 4"};
        const auto check_of = [&](int i) {
            return secret_check{texts[static_cast<std::size_t>(i)], {}, {chosen()}};
        };
        for (int i = 0; i != 4; ++i)
            matcher.remember(check_of(i), secret_match::as_meant, i == oldest ? now : now + 1s + i * 1s);
        matcher.remember(check_of(4), secret_match::as_meant, now + 10s);
        for (int i = 0; i != 5; ++i)
            CHECK(said(matcher, check_of(i), now + 10s) == (i == oldest ? "nothing" : "as_meant"));
    }
}

TEST_CASE("with a decoy an unknown client and a wrong generated secret take a slow hash too (R20)") {
    const client_secret_matcher matcher({cheapest, 600s, 1024});
    for (const secret_check& wrong : {secret_check{"x", {}, {}}, secret_check{"x", {}, {generated()}},
                                      secret_check{"x", {}, {chosen()}}}) {
        CHECK(said(matcher, wrong) == "nothing");
        CHECK(*matcher.slowly(wrong) == secret_match::neither);
        CHECK(said(matcher, wrong) == "nothing");
    }
    CHECK(said(matcher, {"generated", {}, {generated()}}) == "as_meant");
    CHECK(said(matcher, {"x", "generated", {generated()}}) == "raw");
}

TEST_CASE("a decoy that cannot be computed does not tell unknown clients by an outage (R20)") {
    for (const slow_cost& odd : {slow_cost::pbkdf2_sha256(0), slow_cost::scrypt(0, 8, 1), slow_cost::scrypt(64, 8, 1)}) {
        const client_secret_matcher matcher({odd, 600s, 1024});
        for (const secret_check& wrong : {secret_check{"x", {}, {}}, secret_check{"x", {}, {chosen(), chosen()}}}) {
            CHECK(said(matcher, wrong) == "nothing");
            const auto answer = matcher.slowly(wrong);
            REQUIRE(answer);
            CHECK(*answer == secret_match::neither);
        }
    }
}

TEST_CASE("a wrong secret takes as long for an unknown client as for any known one (R20)") {
    const client_secret_matcher matcher({cheapest, 600s, 1024});
    const auto time_of = [&](const secret_check& check) {
        const std::clock_t begun = std::clock();
        CHECK(*matcher.slowly(check) == secret_match::neither);
        return static_cast<double>(std::clock() - begun);
    };
    for (const secret_check& known : {secret_check{"x", {}, {generated()}}, secret_check{"x", {}, {chosen()}},
                                      secret_check{"x", {}, {chosen(), chosen()}}}) {
        // Processor time, by turns, the least of each: what else the machine does falls on both.
        double unknown = 1e9, of_known = 1e9;
        for (int i = 0; i != 9; ++i) {
            unknown = (std::min)(unknown, time_of({"x", {}, {}}));
            of_known = (std::min)(of_known, time_of(known));
        }
        const double ratio = of_known / unknown;
        CAPTURE(ratio);
        // One hash more or less would be 1.5 or 0.5.
        CHECK(ratio > 0.7);
        CHECK(ratio < 1.4);
    }
}

TEST_CASE("the dearest hash among the registered is what unknown clients cost (R20)") {
    const auto clients = [](std::vector<slow_cost> costs) {
        std::vector<client> made;
        for (const slow_cost& each : costs) {
            client one{"web", client_policy::of<auth_method::client_secret_post>()};
            slow_hash hash;
            hash.cost = each;
            one.secrets = {{generated()}, {secret_hash{{}, std::make_shared<const slow_hash>(hash)}}};
            made.push_back(std::move(one));
        }
        made.push_back({"fast", client_policy::of<auth_method::client_secret_post>(), {{generated()}}});
        return dearest_of(made);
    };
    CHECK_FALSE(clients({}));
    CHECK(clients({cheapest}) == cheapest);
    CHECK(clients({cheapest, slow_cost::scrypt(15, 8, 1)}) == slow_cost::scrypt(15, 8, 1));
    CHECK(clients({slow_cost::pbkdf2_sha256(600'000), cheapest}) == slow_cost::pbkdf2_sha256(600'000));
    CHECK(clients({slow_cost::pbkdf2_sha256(100'000), cheapest}) == cheapest);
}

TEST_CASE("many threads remember and ask at once (R31)") {
    const client_secret_matcher matcher({{}, 600s, 16});
    std::vector<std::thread> threads;
    for (int i = 0; i != 8; ++i)
        threads.emplace_back([&, i] {
            const std::string mine = "secret " + std::to_string(i);
            for (int k = 0; k != 200; ++k) {
                matcher.remember({mine, {}, {chosen()}}, secret_match::as_meant, now + std::chrono::milliseconds(k));
                const std::string_view wrong = said(matcher, {mine + "x", {}, {chosen()}}, now);
                if (wrong != "nothing") std::abort();
            }
        });
    for (std::thread& each : threads) each.join();
    CHECK(said(matcher, {"secret 0x", {}, {chosen()}}) == "nothing");
}
