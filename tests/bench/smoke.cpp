// tests/bench/smoke.cpp - what a refresh costs, in what does not depend on time: allocations, calls, instructions.
// SPDX-License-Identifier: MIT
//
//   regrant_smoke               the tests
//   regrant_smoke --measure X   runs X a few times, for instructions.py to count under callgrind
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include "scene.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

// --- counting allocators: the library's through operator new, OpenSSL's through its own hooks ---

bool counting = false;
std::size_t news = 0;
std::size_t openssl_allocations = 0;

void* openssl_malloc(std::size_t size, const char*, int) {
    if (counting) ++openssl_allocations;
    return std::malloc(size);
}
void* openssl_realloc(void* old, std::size_t size, const char*, int) {
    if (counting) ++openssl_allocations;
    return std::realloc(old, size);
}
void openssl_free(void* memory, const char*, int) { std::free(memory); }

struct tally {
    std::size_t library;
    std::size_t openssl;
};

/// What an act allocates. \pre it has been done before, so that all that is made once is made
template <class Act> tally allocations(Act act) {
    news = openssl_allocations = 0;
    counting = true;
    act();
    counting = false;
    return {news, openssl_allocations};
}

} // namespace

// Not in a namespace, as the language wants it.
void* operator new(std::size_t size) {
    if (counting) ++news;
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}
// Inlined, its free() would look to the compiler like a mismatch.
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

// --- what is measured: functions whose names callgrind can find ---

namespace {

using regrant::http_reply;
using regrant::http_request;
using regrant::http_status;
using null_scene = bench::scene<bench::null_signer>;

template <class Scene> http_reply refreshed(Scene& on, std::string& token) {
    http_reply reply = on.endpoint().respond(bench::post(bench::refresh_body(token)));
    token = bench::member(reply.body, "refresh_token");
    return reply;
}

} // namespace

#define MEASURED extern "C" __attribute__((noinline)) void

MEASURED measured_refresh(null_scene& scene, http_request& request, http_reply& reply) {
    reply = scene.endpoint().respond(std::move(request));
}

MEASURED measured_jwt_input(std::string_view header, regrant::secret& input) {
    using namespace std::chrono_literals;
    const std::chrono::sys_seconds iat(1636449231s);
    const std::string_view words[] = {"openid"};
    regrant::jwt_claims claims(regrant::solidus::escaped);
    claims.add("sub", "MOCK_USERNAME")
        .add("aud", bench::client_id)
        .add("nbf", iat)
        .add_array("scope", words)
        .add("iss", "https://TENANT.PORTAL.DOMAIN")
        .add("exp", iat + 300s)
        .add("iat", iat)
        .add("jti", "5a18f141-e341-4338-85d6-b4e41a867765");
    input = *regrant::jwt_signing_input(header, std::move(claims));
}

MEASURED measured_lookups(const regrant::client_list& clients, std::string_view id, std::string_view origin, bool& found) {
    found = *clients.find(id) != nullptr && *clients.allows_origin(origin);
}

/// What SHA-256 is called in an OpenSSL without symbols, is what all of this is spent in.
MEASURED measured_sha256(std::span<const std::byte> bytes, regrant::digest& made) { made = *regrant::sha256(bytes); }

namespace {

constexpr int measured_times = 100;

int measure(std::string_view name) {
    if (name == "refresh") {
        null_scene scene({});
        std::string token = scene.log_in();
        for (int i = 0; i != measured_times; ++i) {
            http_request request = bench::post(bench::refresh_body(token));
            http_reply reply;
            // The first one makes what is made once.
            if (i == 0) reply = scene.endpoint().respond(std::move(request));
            else measured_refresh(scene, request, reply);
            token = bench::member(reply.body, "refresh_token");
            if (reply.status != http_status::ok) return 1;
        }
        return 0;
    }
    if (name == "jwt_input") {
        const std::string header = regrant::jwt_header_segment(bench::null_signer().key_id(), "JWT");
        regrant::secret input;
        for (int i = 1; i != measured_times; ++i) measured_jwt_input(header, input);
        return 0;
    }
    if (name == "lookups_of_20" || name == "lookups_of_20000") {
        const std::size_t count = name == "lookups_of_20" ? 20 : 20'000;
        std::vector<regrant::client> all;
        for (std::size_t i = 0; i != count; ++i) {
            const std::string number = std::to_string(100'000 + i);
            auto& each = all.emplace_back(
                regrant::client{"client-" + number, regrant::client_policy::of<regrant::auth_method::none>()});
            each.allowed_origins = {"https://" + number + ".example"};
        }
        const auto clients = regrant::client_list::make(std::move(all));
        if (!clients) return 1;
        for (int i = 1; i != measured_times; ++i) {
            const std::string number = std::to_string(100'000 + count * static_cast<std::size_t>(i) / 100);
            bool found = false;
            measured_lookups(*clients, "client-" + number, "https://" + number + ".example", found);
            if (!found) return 1;
        }
        return 0;
    }
    if (name == "sha256") {
        const std::vector<std::byte> bytes(100'000);
        regrant::digest made{};
        measured_sha256(bytes, made);
        return 0;
    }
    return 2;
}

} // namespace

namespace {

/// One login on a scene whose store and signer count.
struct counted {
    std::atomic<std::size_t> signatures = 0;
    bench::scene<bench::counting_signer<bench::null_signer>, bench::counting_store<regrant::memory_store>> on{
        {{}, &signatures}};
    std::string token = on.log_in();

    struct calls {
        std::size_t finds, writes, signatures;
        friend bool operator==(const calls&, const calls&) = default;
    };
    calls made(std::string_view body, http_status expected) {
        signatures = on.store().finds = on.store().writes = 0;
        CHECK(on.endpoint().respond(bench::post(body)).status == expected);
        return {on.store().finds, on.store().writes, signatures};
    }
};

/// After a few rounds all that is made once is made.
template <class Scene> tally allocations_of_a_refresh(Scene& on) {
    std::string token = on.log_in();
    for (int i = 0; i != 4; ++i) refreshed(on, token);
    http_request request = bench::post(bench::refresh_body(token));
    http_reply reply;
    const tally made = allocations([&] { reply = on.endpoint().respond(std::move(request)); });
    CHECK(reply.status == http_status::ok);
    return made;
}

} // namespace

TEST_CASE("a refresh allocates its answer's strings and the store's record alone") {
    // Two JWTs, the refresh token, the body, the header list, the Content-Type, which is too long to stand in it; the
    // record.
    constexpr std::size_t answer = 6, record = 1;
    null_scene scene({});
    CHECK(allocations_of_a_refresh(scene).library <= answer + record);
}

TEST_CASE("a signature costs OpenSSL at most 22 allocations") {
    const regrant::signing_key key = bench::must(regrant::signing_key::generate());
    const std::string_view inputs[] = {"header.claims"};
    std::array<regrant::signature, 1> made;
    for (int i = 0; i != 4; ++i) CHECK(key.sign(inputs, made));
    const tally cost = allocations([&] { static_cast<void>(key.sign(inputs, made)); });
    CHECK(cost.openssl <= 22);
    CHECK(cost.library == 0);

    // What a refresh takes beside its two: the copies OpenSSL's HMAC makes of its state.
    constexpr std::size_t around = 8;
    bench::scene<regrant::signing_key> scene(key);
    CHECK(allocations_of_a_refresh(scene).openssl <= 2 * 22 + around);
}

TEST_CASE("a form needs no memory but its body's own, whatever it holds") {
    std::string many;
    for (int i = 0; i != 7000; ++i) many += (i == 0 ? "f" : "&f") + std::to_string(i) + "=%41+b";
    const std::string bodies[] = {bench::refresh_body(std::string(72, 'q')), "a%2Bb=%C3%A9&x=&&=&y",
                                  "refresh_token=" + std::string(65522, 'q'), many};
    for (const std::string& body : bodies) {
        regrant::secret taken(body);
        std::size_t fields = 0;
        const tally cost = allocations([&] {
            const auto parsed = regrant::form::parse(std::move(taken), {std::size_t{1} << 20, std::size_t{1} << 20});
            for (const auto& each : parsed->fields()) fields += each.name.size() + 1;
        });
        CHECK(fields != 0);
        CHECK(cost.library == 0);
    }
    regrant::secret few(bench::refresh_body("q"));
    const auto parsed = regrant::form::parse(std::move(few));
    CHECK(allocations([&] { static_cast<void>(parsed->repeats_a_name("resource")); }).library == 0);
}

TEST_CASE("a refresh looks once, writes once and signs twice; what is refused costs less (R39, R52)") {
    using calls = counted::calls;
    counted by;
    const std::string first = by.token;
    std::string forged = first;
    forged[60] = forged[60] == 'A' ? 'B' : 'A';

    CHECK(by.made("client_id=%zz", http_status::bad_request) == calls{0, 0, 0});
    CHECK(by.made(bench::refresh_body(first, "another"), http_status::bad_request) == calls{0, 0, 0});
    CHECK(by.made("client_id=nobody&client_secret=x&grant_type=refresh_token&refresh_token=" + first,
                  http_status::bad_request) == calls{0, 0, 0});
    CHECK(by.made(bench::refresh_body(forged), http_status::bad_request) == calls{0, 0, 0});
    CHECK(by.made(bench::refresh_body(first), http_status::ok) == calls{1, 1, 2});
    // A lost answer is given again: as much work, the same successor.
    CHECK(by.made(bench::refresh_body(first), http_status::ok) == calls{1, 1, 2});
}

int main(int count, char** words) {
    if (count == 3 && std::string_view(words[1]) == "--measure") return measure(words[2]);
    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1) return 2;
    return doctest::Context(count, words).run();
}
