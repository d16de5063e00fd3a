// tests/hardening/constant_time.cpp - checks of client secrets, one function for each, to be counted by callgrind.
// SPDX-License-Identifier: MIT
#include <regrant/client_secret_matcher.hpp>

// The whole endpoint takes long to compile, and what is broken on purpose shows without it.
#ifndef MATCHES_ALONE
#include <regrant/client_list.hpp>
#include <regrant/memory_store.hpp>
#include <regrant/registrations.hpp>
#include <regrant/token_endpoint.hpp>
#endif

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace regrant;

namespace {

constexpr instant now{std::chrono::milliseconds(1'636'449'231'250)};
constexpr std::string_view presented = "R3m9Zt-Yq1x_0pLw7VbKc5Df";

#ifndef MATCHES_ALONE
struct no_issuer {
    result<minted_tokens, outage> mint(const mint_order&) { return unexpected(outage{"there is nothing to sign"}); }
};
#endif

const secret_hash right = *hash_client_secret(presented);
const secret_hash other = *hash_client_secret("another");

secret_hash differing(std::size_t at) {
    secret_hash hash = right;
    hash.sha256[at] ^= std::byte{1};
    return hash;
}
const secret_hash first_wrong = differing(0);
const secret_hash last_wrong = differing(31);

secret_check check_of(const secret_hash& one, const secret_hash& two) { return {presented, std::nullopt, {one, two}}; }
const secret_check all_right = check_of(right, other), second_right = check_of(other, right),
                   first_byte = check_of(first_wrong, first_wrong), last_byte = check_of(last_wrong, last_wrong),
                   nobody = check_of({}, {});

const client_secret_matcher matcher;
slow_hash slow_record() {
    slow_hash hash;
    hash.salt_size = 16;
    hash.derived = right.sha256;
    return hash;
}
const secret_check remembered =
    check_of({{}, std::make_shared<const slow_hash>(slow_record())}, {});

/// The cheapest within bounds: others are no decoy.
constexpr slow_cost hardly_slow = slow_cost::scrypt(14, 8, 1);
const client_secret_matcher with_decoy({hardly_slow, std::chrono::seconds(600), 1024});
secret_hash slow_of(const secret_hash& derived) {
    slow_hash hash = slow_record();
    hash.cost = hardly_slow;
    hash.derived = derived.sha256;
    return {{}, std::make_shared<const slow_hash>(hash)};
}
const secret_check slow_wrong = check_of(slow_of(other), {}), slow_two = check_of(slow_of(other), slow_of(right)),
                   slow_and_fast = check_of(slow_of(other), other);
secret_check slow_right() {
    slow_hash hash = slow_record();
    hash.cost = hardly_slow;
    const auto password = std::as_bytes(std::span(presented));
    if (!detail::scrypt(password, hash.salt(), 1U << 14, 8, 1, hash.derived)) std::abort();
    return check_of({{}, std::make_shared<const slow_hash>(hash)}, {});
}
const secret_check slow_is_right = slow_right();

#ifndef MATCHES_ALONE
memory_store store;
client_list clients = *client_list::make(*parse_registrations(
    R"([{"client_id":"known-client","client_secret":"R3m9Zt-Yq1x_0pLw7VbKc5Df","scope":"openid",
         "token_endpoint_auth_method":"client_secret_post"},
        {"client_id":"basic-client","client_secret":"R3m9Zt-Yq1x_0pLw7VbKc5Df","scope":"openid"}])"));
no_issuer issuer;

token_keyring ring() {
    std::vector<token_key> keys;
    keys.push_back({token_key_id{1}, secret("0123456789abcdef0123456789ABCDEF")});
    return *token_keyring::make(std::move(keys));
}
token_endpoint endpoint(store, clients, issuer, ring());

http_request refused(std::string_view client, std::string_view wrong) {
    http_request request;
    request.method = "POST";
    request.header("Content-Type", "application/x-www-form-urlencoded");
    request.body = secret("grant_type=refresh_token&refresh_token=t&client_id=" + std::string(client) +
                          "&client_secret=" + std::string(wrong));
    return request;
}

#endif

unsigned sum = 0; // what is computed must be wanted

} // namespace

// Each is called once to fetch algorithms and to fill memory, and once by way of a function that callgrind counts.
#define COUNTED(name, ...)                                                                                             \
    __attribute__((noinline)) static void warm_##name() { sum += static_cast<unsigned>(__VA_ARGS__); }                 \
    extern "C" __attribute__((noinline, used)) void counted_##name() { warm_##name(); __asm__ volatile(""); }

COUNTED(match_right, *match_client_secret(all_right))
COUNTED(match_second, *match_client_secret(second_right))
COUNTED(match_first_byte_wrong, *match_client_secret(first_byte))
COUNTED(match_last_byte_wrong, *match_client_secret(last_byte))
COUNTED(match_unknown_client, *match_client_secret(nobody))
COUNTED(at_once_fast, **matcher.at_once(all_right, now))
COUNTED(at_once_remembered, **matcher.at_once(remembered, now))
COUNTED(slowly_right, *with_decoy.slowly(slow_is_right))
COUNTED(slowly_wrong, *with_decoy.slowly(slow_wrong))
COUNTED(slowly_wrong_of_two, *with_decoy.slowly(slow_two))
COUNTED(slowly_slow_and_fast, *with_decoy.slowly(slow_and_fast))
COUNTED(slowly_fast_wrong, *with_decoy.slowly(first_byte))
COUNTED(slowly_unknown_client, *with_decoy.slowly(nobody))

#ifndef MATCHES_ALONE
static http_request waiting;
COUNTED(respond_first_byte_wrong, endpoint.respond(std::move(waiting), now).body.size())
COUNTED(respond_last_byte_wrong, endpoint.respond(std::move(waiting), now).body.size())
COUNTED(respond_unknown_client, endpoint.respond(std::move(waiting), now).body.size())
COUNTED(respond_wrong_method, endpoint.respond(std::move(waiting), now).body.size())

#endif

#define TWICE(name, ...)                                                                                               \
    __VA_ARGS__;                                                                                                       \
    warm_##name();                                                                                                     \
    __VA_ARGS__;                                                                                                       \
    counted_##name();

int main() {
    matcher.remember(remembered, secret_match::as_meant, now);
    TWICE(match_right)
    TWICE(match_second)
    TWICE(match_first_byte_wrong)
    TWICE(match_last_byte_wrong)
    TWICE(match_unknown_client)
    TWICE(at_once_fast)
    TWICE(at_once_remembered)
    TWICE(slowly_right)
    TWICE(slowly_wrong)
    TWICE(slowly_wrong_of_two)
    TWICE(slowly_slow_and_fast)
    TWICE(slowly_fast_wrong)
    TWICE(slowly_unknown_client)
#ifndef MATCHES_ALONE
    TWICE(respond_first_byte_wrong, waiting = refused("known-client", "X3m9Zt-Yq1x_0pLw7VbKc5Df"))
    TWICE(respond_last_byte_wrong, waiting = refused("known-client", "R3m9Zt-Yq1x_0pLw7VbKc5DX"))
    TWICE(respond_unknown_client, waiting = refused("knows-client", "R3m9Zt-Yq1x_0pLw7VbKc5Df"))
    TWICE(respond_wrong_method, waiting = refused("basic-client", "R3m9Zt-Yq1x_0pLw7VbKc5Df"))
#endif
    std::printf("%u\n", sum);
}
