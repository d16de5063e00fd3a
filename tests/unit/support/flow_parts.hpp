// tests/unit/support/flow_parts.hpp - store, issuer, hooks and random source that do what a test tells them to.
// SPDX-License-Identifier: MIT
#pragma once

#include <regrant/base64.hpp>
#include <regrant/client_secret_matcher.hpp>
#include <regrant/decision.hpp>
#include <regrant/hooks.hpp>
#include <regrant/memory_store.hpp>
#include <regrant/throttle.hpp>
#include <regrant/token_issuer.hpp>
#include <regrant/token_keyring.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flow {

/// What was called, in order, over all parts of a test.
using call_log = std::vector<std::string>;

/// Private words that no answer may carry (R76).
inline constexpr std::string_view private_words = "grants.db: server 10.0.0.7 is down";

/// How a call goes wrong.
enum class trouble : std::uint8_t {
    /// nothing was done
    outage,
    /// it was done, but the answer was lost
    lost_answer,
    /// an exception left the host's code
    exception,
};

/// Which calls go wrong, by their name in the log.
class troubles {
public:
    void add(std::string_view call, trouble how) { which_.emplace_back(call, how); }
    void clear() { which_.clear(); }
    bool hits(std::string_view call, trouble how) const {
        for (const auto& [name, kind] : which_)
            if (name == call && kind == how) return true;
        return false;
    }

private:
    std::vector<std::pair<std::string, trouble>> which_;
};

/// A memory_store that tells what it is asked, fails when told to, and lets a test act behind a driver's back.
class staged_store {
public:
    explicit staged_store(call_log& log) : log_(log) {}

    regrant::memory_store rows{};
    troubles fails{};
    /// Called before a call reaches the rows, and behind it, with the call's name.
    std::function<void(std::string_view)> before{};
    std::function<void(std::string_view)> after{};

    regrant::result<regrant::insert_outcome, regrant::outage> insert(const regrant::grant& row) {
        return staged<regrant::insert_outcome>("insert", [&] { return rows.insert(row); });
    }
    regrant::result<std::optional<regrant::grant>, regrant::outage> find(const regrant::row_key& key) {
        return staged<std::optional<regrant::grant>>("find", [&] { return rows.find(key); });
    }
    regrant::result<regrant::advance_outcome, regrant::outage> advance(const regrant::row_key& key,
                                                                       regrant::generation expected,
                                                                       regrant::generation following,
                                                                       regrant::instant at) {
        return staged<regrant::advance_outcome>("advance",
                                                [&] { return rows.advance(key, expected, following, at); });
    }
    regrant::result<void, regrant::outage> revoke(const regrant::row_key& key) {
        return staged<void>("revoke", [&] { return rows.revoke(key); });
    }
    regrant::result<std::size_t, regrant::outage> revoke_subject(std::string_view subject) {
        return staged<std::size_t>("revoke_subject", [&] { return rows.revoke_subject(subject); });
    }

private:
    template <class T, class Act> regrant::result<T, regrant::outage> staged(std::string_view name, Act act) {
        log_.emplace_back(name);
        if (before) before(name);
        if (fails.hits(name, trouble::exception)) throw std::runtime_error(std::string(private_words));
        if (fails.hits(name, trouble::outage)) return down();
        auto done = act();
        if (after) after(name);
        if (fails.hits(name, trouble::lost_answer)) return down();
        return done;
    }
    static regrant::unexpected<regrant::outage> down() {
        return regrant::unexpected(regrant::outage{std::string(private_words)});
    }

    call_log& log_;
};

/// Makes tokens that count up: `access-1`, and `id-1` where `openid` is in scope.
class counting_issuer {
public:
    explicit counting_issuer(call_log& log) : log_(log) {}

    troubles fails{};
    std::string last_nonce{};
    std::string last_scope{};
    std::optional<std::chrono::sys_seconds> last_auth_time{};

    regrant::result<regrant::minted_tokens, regrant::outage> mint(const regrant::mint_order& order) {
        log_.emplace_back("mint");
        if (fails.hits("mint", trouble::exception)) throw std::runtime_error(std::string(private_words));
        if (fails.hits("mint", trouble::outage))
            return regrant::unexpected(regrant::outage{std::string(private_words)});
        last_nonce = order.nonce;
        last_scope = order.scope.text();
        last_auth_time = order.login.auth_time;
        const std::string number = std::to_string(++count_);
        regrant::minted_tokens minted{regrant::secret("access-" + number), std::nullopt, std::chrono::seconds(300)};
        if (order.scope.contains("openid")) minted.id_token = regrant::secret("id-" + number);
        return minted;
    }

private:
    call_log& log_;
    unsigned count_ = 0;
};

/// A decision with text of its own, to be looked at when the call is over.
struct seen_decision {
    explicit seen_decision(const regrant::decision& made)
        : at(made.at), asked(made.asked), refused(made.refused), detail(made.detail), client_id(made.client_id), row(made.row),
          generation(made.generation), written(made.written), races_lost(made.races_lost), families_ended(made.families_ended) {}

    regrant::instant at;
    regrant::request_kind asked;
    std::optional<regrant::reason> refused;
    std::string detail;
    std::string client_id;
    std::optional<regrant::row_key> row;
    std::optional<regrant::generation> generation;
    std::optional<regrant::write_kind> written;
    std::uint32_t races_lost;
    std::size_t families_ended;
};

/// A host that watches every decision and answers for accounts as it is told.
class watching_hooks {
public:
    explicit watching_hooks(call_log& log) : log_(log) {}

    troubles fails{};
    std::set<std::string, std::less<>> denied_subjects{};
    std::vector<seen_decision> decisions{};

    regrant::result<regrant::account_standing, regrant::outage> check_account(const regrant::grant& login,
                                                                              const regrant::client&) {
        log_.emplace_back("account");
        if (fails.hits("account", trouble::exception)) throw std::runtime_error(std::string(private_words));
        if (fails.hits("account", trouble::outage))
            return regrant::unexpected(regrant::outage{std::string(private_words)});
        return denied_subjects.contains(login.subject()) ? regrant::account_standing::denied
                                                         : regrant::account_standing::good;
    }
    void observe(const regrant::decision& made) noexcept { decisions.emplace_back(made); }

    /// What `admit` answers, and who asked how it ended.
    regrant::admission lets_in{};
    call_log attempts{};

    regrant::result<regrant::admission, regrant::outage> admit(const regrant::attempt& tried) {
        if (auto down = troubled("admit", tried)) return regrant::unexpected(*down);
        return lets_in;
    }
    regrant::result<void, regrant::outage> settle(const regrant::attempt& tried, regrant::attempt_outcome ended) {
        if (auto down = troubled(ended == regrant::attempt_outcome::failed ? "failed" : "succeeded", tried))
            return regrant::unexpected(*down);
        return {};
    }

    /// How often a slow hash was computed.
    std::size_t slow_matches = 0;

    regrant::result<regrant::secret_match, regrant::outage> match_slowly(const regrant::secret_check& check,
                                                                         const regrant::client_secret_matcher& matcher) {
        ++slow_matches;
        if (fails.hits("slow match", trouble::exception)) throw std::runtime_error(std::string(private_words));
        if (fails.hits("slow match", trouble::outage))
            return regrant::unexpected(regrant::outage{std::string(private_words)});
        return matcher.slowly(check);
    }

private:
    std::optional<regrant::outage> troubled(std::string_view call, const regrant::attempt& tried) {
        attempts.push_back(std::string(call) + ' ' + std::string(tried.client_id) + ' ' + std::string(tried.peer) + ' ' +
                           std::to_string(tried.at.time_since_epoch().count()));
        if (fails.hits(call, trouble::exception)) throw std::runtime_error(std::string(private_words));
        if (fails.hits(call, trouble::outage)) return regrant::outage{std::string(private_words)};
        return std::nullopt;
    }

    call_log& log_;
};

/// Gives 1, 1, 1, ... for the first call, 2, 2, 2, ... for the second, unless told otherwise.
class scripted_random {
public:
    explicit scripted_random(call_log& log) : log_(log) {}

    troubles fails{};
    /// Gives this byte for ever.
    std::optional<std::byte> stuck_at{};

    regrant::result<void, regrant::outage> fill(std::span<std::byte> to) {
        log_.emplace_back("random");
        if (fails.hits("random", trouble::exception)) throw std::runtime_error(std::string(private_words));
        if (fails.hits("random", trouble::outage))
            return regrant::unexpected(regrant::outage{std::string(private_words)});
        const std::byte next_byte{++calls_};
        for (std::byte& each : to) each = stuck_at.value_or(next_byte);
        return {};
    }

private:
    call_log& log_;
    std::uint8_t calls_ = 0;
};

inline regrant::token_key token_key(std::uint8_t id) {
    return {regrant::token_key_id{id}, regrant::secret(std::string(32, static_cast<char>('A' + id)))};
}

/// A ring of the keys named, the minting one first.
inline regrant::token_keyring ring(std::initializer_list<std::uint8_t> ids) {
    std::vector<regrant::token_key> keys;
    for (const std::uint8_t id : ids) keys.push_back(token_key(id));
    return *regrant::token_keyring::make(std::move(keys));
}

inline regrant::family_id family_of(std::byte each) {
    std::array<std::byte, regrant::family_id::size_bytes> bytes;
    bytes.fill(each);
    return regrant::family_id(bytes);
}

} // namespace flow
