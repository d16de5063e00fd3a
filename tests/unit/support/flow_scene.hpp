// tests/unit/support/flow_scene.hpp - a refresh as it should be, to be spoilt one thing at a time, and walked by hand.
// SPDX-License-Identifier: MIT
#pragma once

#include <regrant/refresh_flow.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

namespace flow {

using namespace std::chrono_literals;

inline constexpr regrant::instant now{std::chrono::milliseconds(1'636'449'231'250)};
inline constexpr regrant::row_key row_key{{std::byte{0x4B}}};

constexpr regrant::generation number(std::uint32_t n) noexcept { return regrant::generation{n}; }

/// Everything a refresh is judged by. As it stands, the current token of a live family is shown by its own client.
struct scene {
    regrant::client asking = web_client();
    regrant::policy_settings rules{};
    std::optional<std::string_view> asked_scope{};
    std::string_view confirmation{};
    regrant::account_standing account = regrant::account_standing::good;

    /// Whether the seal of the token is good, and whether its row is there.
    bool is_sealed = true;
    bool is_stored = true;
    regrant::generation presented{4};

    regrant::grant_text text{"web", "alice", "openid profile email"};
    regrant::rotation rotation = regrant::rotation::rotate;
    regrant::instant issued_at = now - 1h;
    regrant::instant used_at = now - 10min;
    regrant::instant expires_at = now + std::chrono::days(60);
    regrant::generation current{4};
    regrant::revocation state = regrant::revocation::live;

    std::optional<regrant::grant> row() const {
        if (!is_stored) return std::nullopt;
        regrant::grant made(row_key, text);
        made.rotation = rotation;
        made.issued_at = issued_at;
        made.used_at = used_at;
        made.expires_at = expires_at;
        made.current = current;
        made.state = state;
        return made;
    }

    static regrant::family_id family() noexcept {
        std::array<std::byte, regrant::family_id::size_bytes> bytes;
        bytes.fill(std::byte{0xFA});
        return regrant::family_id(bytes);
    }

private:
    static regrant::client web_client() {
        regrant::client made{"web", regrant::client_policy::of<regrant::auth_method::client_secret_post>()};
        made.scope = *regrant::scope::parse("openid profile email");
        return made;
    }
};

/// Plays the driver for a scene. It owns what the steps only look at.
class walk {
public:
    explicit walk(scene set)
        : set_(std::move(set)), rules_(*regrant::policy::make(set_.rules)),
          request_{regrant::authenticated_client::vouched(std::make_shared<const regrant::client>(set_.asking)),
                   "the token", set_.asked_scope, set_.confirmation} {}
    walk(const walk&) = delete;
    walk& operator=(const walk&) = delete;

    using stop = regrant::unexpected<regrant::refusal>;
    template <class Step> using way = regrant::result<Step, regrant::refusal>;

    way<regrant::refresh_flow::opening_token> to_opening() {
        return regrant::refresh_flow::begin(request_, rules_, now);
    }

    way<regrant::refresh_flow::loading_grant> to_loading() {
        auto opening = to_opening();
        if (!opening) return stop(opening.error());
        regrant::token_opening opened{regrant::unexpected(regrant::unopened::not_ours)};
        if (set_.is_sealed) opened = regrant::opened_token{{scene::family(), set_.presented}, row_key};
        return (*std::move(opening)).with(std::move(opened));
    }

    way<regrant::refresh_flow::checking_account> to_account() {
        auto loading = to_loading();
        if (!loading) return stop(loading.error());
        auto judged = (*std::move(loading)).with(set_.row());
        if (auto* refused = std::get_if<regrant::refusal>(&judged)) return stop(std::move(*refused));
        if (auto* revoking = std::get_if<regrant::refresh_flow::revoking_family>(&judged)) {
            asked_to_revoke_ = revoking->ask();
            return stop(std::move(*revoking).with(regrant::refresh_flow::family_revoked{}));
        }
        return std::move(*std::get_if<regrant::refresh_flow::checking_account>(&judged));
    }

    way<regrant::refresh_flow::sealing_successor> to_sealing() {
        auto checking = to_account();
        if (!checking) return stop(checking.error());
        return (*std::move(checking)).with(set_.account);
    }

    way<regrant::refresh_flow::minting_tokens> to_minting() {
        auto sealing = to_sealing();
        if (!sealing) return stop(sealing.error());
        return (*std::move(sealing)).with(regrant::secret("the successor"));
    }

    way<regrant::refresh_flow::writing_generation> to_writing() {
        auto minting = to_minting();
        if (!minting) return stop(minting.error());
        return (*std::move(minting)).with({regrant::secret("the access token"), regrant::secret("the id_token"), 299s});
    }

    const std::optional<regrant::row_key>& asked_to_revoke() const noexcept { return asked_to_revoke_; }

private:
    scene set_;
    regrant::policy rules_;
    regrant::refresh_request request_;
    std::optional<regrant::row_key> asked_to_revoke_{};
};

/// Why a scene is refused; nothing where it gets as far as the write.
inline std::optional<regrant::reason> refusal_of(scene set) {
    walk steps(std::move(set));
    const auto writing = steps.to_writing();
    return writing ? std::nullopt : std::optional(writing.error().why);
}

} // namespace flow
