// tests/stores/scene.hpp - what the tests of every store stand on: a client, keys, an issuer that signs nothing.
// SPDX-License-Identifier: MIT
#pragma once

#include <regrant/client_list.hpp>
#include <regrant/decision.hpp>
#include <regrant/error.hpp>
#include <regrant/hooks.hpp>
#include <regrant/http_reply.hpp>
#include <regrant/http_request.hpp>
#include <regrant/token_issuer.hpp>
#include <regrant/token_keyring.hpp>
#include <regrant/token_store.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace scene {

using namespace regrant;
using namespace std::chrono_literals;

inline std::string from_environment(const char* name) {
    const char* value = std::getenv(name);
    REQUIRE_MESSAGE(value != nullptr, "start this by tests/stores/*_server.py");
    return value;
}

/// Whether a store was not opened because the machine was too busy for its timeout.
inline bool is_late(const setup_error& refused) {
    return refused.message.find("no answer within the timeout") != std::string::npos;
}

inline bool is_inserted(const result<insert_outcome, outage>& outcome) {
    INFO((outcome ? std::string() : outcome.error().detail));
    REQUIRE(outcome.has_value());
    return *outcome == insert_outcome::inserted;
}

inline bool is_advanced(const result<advance_outcome, outage>& outcome) {
    INFO((outcome ? std::string() : outcome.error().detail));
    REQUIRE(outcome.has_value());
    return *outcome == advance_outcome::advanced;
}

template <class Act> std::chrono::milliseconds time_of(Act act) {
    const auto begun = std::chrono::steady_clock::now();
    act();
    return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun);
}

/// The timeout of stores in tests that are not about it: no call on a busy machine takes so long.
inline constexpr std::chrono::milliseconds unhurried = 1min;

/// What a busy machine may add to a timeout. Whatever takes longer did not finish.
inline constexpr auto busy = 5min;

/// Waits until it is so. After five minutes it did not finish, which is a failure of its own.
inline bool eventually(const std::function<bool()>& is_so) {
    for (const auto until = std::chrono::steady_clock::now() + busy; std::chrono::steady_clock::now() < until;) {
        if (is_so()) return true;
        std::this_thread::sleep_for(20ms);
    }
    FAIL_CHECK("it did not finish in five minutes");
    return false;
}

/// Whether it is so before some time is over. For `given_time`, which gives it more.
inline bool is_soon(const std::function<bool()>& is_so, std::chrono::milliseconds time) {
    for (const auto until = std::chrono::steady_clock::now() + time; std::chrono::steady_clock::now() < until;) {
        if (is_so()) return true;
        std::this_thread::sleep_for(1ms);
    }
    return false;
}

/// For what a busy machine can spoil by being late: tries it with a second, then with four times as long, then with sixteen times.
/// \param holds  told how long it has; says whether all was as it should be
inline bool given_time(const std::function<bool(std::chrono::milliseconds)>& holds) {
    for (std::chrono::milliseconds time = 1s; time <= 16s; time *= 4)
        if (holds(time)) return true;
    return false;
}

/// What a client gets that asks again for as long as there is an outage: other work may keep the disk busy.
template <class Ask> http_status status_in_the_end(Ask ask) {
    http_status last{};
    eventually([&] { return (last = ask().status) != http_status::service_unavailable; });
    return last;
}

/// Signs nothing, so that the store is what is tried.
struct null_issuer {
    result<minted_tokens, outage> mint(const mint_order&) const { return minted_tokens{secret("access"), {}, 300s}; }
};

struct counting_hooks {
    std::atomic<unsigned> rotated{0}, healed{0}, revoked{0};
    void observe(const decision& made) noexcept {
        if (made.written == write_kind::rotate) ++rotated;
        if (made.written == write_kind::heal) ++healed;
        // By the rules; a logout is the test's own.
        if (made.asked == request_kind::refresh && made.written == write_kind::revoke) ++revoked;
    }
};

inline client_list one_client() {
    client spa{"spa", client_policy::of<auth_method::none>()};
    spa.scope = *scope::parse("profile");
    std::vector<client> all;
    all.push_back(std::move(spa));
    return *client_list::make(std::move(all));
}

inline token_keyring keys() {
    std::vector<token_key> ring;
    ring.push_back({token_key_id{1}, secret("0123456789abcdef0123456789abcdef")});
    return *token_keyring::make(std::move(ring));
}

/// What a client sends to refresh.
inline http_request refreshing(const std::string& token) {
    http_request request;
    request.method = "POST";
    request.header("Content-Type", "application/x-www-form-urlencoded");
    request.body = secret("grant_type=refresh_token&client_id=spa&refresh_token=" + token);
    return request;
}

inline std::string token_in(const http_reply& reply) {
    constexpr std::string_view mark = "\"refresh_token\":\"";
    const std::size_t begin = reply.body.find(mark);
    return begin == std::string::npos ? "" : reply.body.substr(begin + mark.size(), token_keyring::token_characters);
}

inline opened_token open_token(const std::string& token) { return **keys().open(token); }

} // namespace scene
