// regrant/jwt_issuer.hpp - a token_issuer whose tokens are RS256 JWTs.
// floor 4
// SPDX-License-Identifier: MIT
#pragma once

#include "base64.hpp"
#include "client.hpp"
#include "clock.hpp"
#include "detail/utf8.hpp"
#include "error.hpp"
#include "extra_claims.hpp"
#include "grant.hpp"
#include "hash.hpp"
#include "json_writer.hpp"
#include "jwt.hpp"
#include "random.hpp"
#include "result.hpp"
#include "scope.hpp"
#include "secret.hpp"
#include "token_issuer.hpp"

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace regrant::inline v0 {

/// Which headers and claims tokens have (R89-R93).
///
/// In `ciam` an access token and an id_token look alike, so a resource server must tell them apart by `scope`, which
/// only the first has, and `azp`, which only the second has. `rfc9068` gives each its own type (RFC 8725 3.11, R95).
enum class token_profile : std::uint8_t { ciam, rfc9068 };

/// Whether an id_token names the access token of its answer (OIDC Core 3.1.3.6); only in profile rfc9068.
enum class access_token_hash : std::uint8_t { off, on };

struct jwt_settings {
    /// This server's URL, `iss`.
    std::string issuer;
    token_profile profile = token_profile::ciam;
    std::chrono::seconds access_lifetime{300};
    std::chrono::seconds id_lifetime{1800};
    /// Whom access tokens of profile rfc9068 are for, where neither grant nor client says.
    std::string audience{};
    /// How far `nbf` lies before `iat`, for resource servers whose clocks are late (R104).
    std::chrono::seconds backdate{0};
    access_token_hash at_hash = access_token_hash::off;
};

/// Adds nothing.
struct no_extra_claims {
    result<extra_claims, outage> operator()(const mint_order&) const { return extra_claims{}; }
};

/// A signer whose key changes with time: `at(now)` is the one that signs then, which a `signing_ring` knows (R102).
template <class Signer>
concept rolling_signer = requires(const Signer& ring, instant now) {
    { ring.at(now) } -> signer;
};

/// Makes JWT access tokens and id_tokens.
///
///     auto issuer = regrant::jwt_issuer<regrant::signing_key>::make({"https://id.example"}, *key);
///
/// `Signer` is any `signer`, or a `rolling_signer`; `Claims` a callable that takes the order and gives
/// `result<extra_claims, outage>`.
template <class Signer, class Claims = no_extra_claims, random_source Random = block_random>
    requires signer<Signer> || rolling_signer<Signer>
class jwt_issuer {
public:
    /// \par Errors
    /// no issuer; text that is not UTF-8; a lifetime that is not positive, or longer than a ring keeps a key's public
    /// half; profile rfc9068 without an audience; at_hash in profile ciam
    static result<jwt_issuer, setup_error> make(jwt_settings settings, Signer key, Claims claims = {},
                                                Random random = {}) {
        const auto fault = [](const char* message) { return unexpected(setup_error{message}); };
        constexpr std::chrono::seconds longest = std::chrono::years(100);
        if (settings.issuer.empty()) return fault("the issuer is missing");
        if (!detail::is_utf8(settings.issuer) || !detail::is_utf8(settings.audience))
            return fault("the issuer or the audience is not UTF-8");
        if constexpr (signer<Signer>)
            if (!detail::is_utf8(key.key_id())) return fault("the signer's key id is not UTF-8");
        for (const auto lifetime : {settings.access_lifetime, settings.id_lifetime})
            if (lifetime <= lifetime.zero() || lifetime > longest)
                return fault("the lifetime of a token must be between a second and a century");
        if (settings.backdate < settings.backdate.zero() || settings.backdate > longest)
            return fault("the backdate must be between zero and a century");
        if (settings.profile == token_profile::rfc9068 && settings.audience.empty())
            return fault("profile rfc9068 needs an audience (RFC 9068 2.2)");
        if (settings.profile == token_profile::ciam && settings.at_hash == access_token_hash::on)
            return fault("at_hash belongs to profile rfc9068; the ciam profile has the API page's claims alone");
        if constexpr (requires { key.times().published_after; }) {
            const std::chrono::seconds kept = key.times().published_after;
            if (kept < settings.access_lifetime || kept < settings.id_lifetime)
                return fault("the ring forgets a signing key while its tokens live (R102)");
        }
        return jwt_issuer(std::move(settings), std::move(key), std::move(claims), std::move(random));
    }

    const jwt_settings& settings() const noexcept { return settings_; }
    const Signer& key() const noexcept { return key_; }

    /// See `token_issuer`.
    /// \par Errors
    /// the signer's, the random source's or the hook's outage; a hook's claim that is reserved, given twice or not UTF-8
    result<minted_tokens, outage> mint(const mint_order& order) {
        if constexpr (rolling_signer<Signer>) {
            // Asked once: all tokens of an answer are by one key, whatever is rolled over meanwhile.
            const auto key = key_.at(order.now);
            return mint(order, key, headers(settings_, key.key_id()));
        } else {
            return mint(order, key_, headers_);
        }
    }

private:
    /// The first segments of tokens by one key.
    struct headers {
        headers(const jwt_settings& settings, std::string_view key_id)
            : access(jwt_header_segment(key_id, settings.profile == token_profile::rfc9068 ? "at+jwt" : "JWT")),
              id(jwt_header_segment(key_id, "JWT")) {}

        std::string access;
        std::string id;
    };
    /// A ring's headers are those of the hour.
    struct no_headers {};

    result<minted_tokens, outage> mint(const mint_order& order, const signer auto& key, const headers& by) {
        auto extra = claims_(order);
        if (!extra) return unexpected(std::move(extra).error());
        const bool wants_id_token = order.scope.contains("openid");

        auto access = access_claims(order, extra->access_token);
        if (!access) return unexpected(std::move(access).error());
        auto input = jwt_signing_input(by.access, *std::move(access));
        if (!input) return unexpected(std::move(input).error());
        std::array<secret, 2> tokens{*std::move(input), secret()};
        const bool hashes = wants_id_token && settings_.at_hash == access_token_hash::on;
        // The hash is over the finished access token, so that one must be signed first.
        if (hashes)
            if (auto done = sign_jwts(key, std::span(tokens).first(1)); !done) return unexpected(done.error());
        if (wants_id_token) {
            auto id = id_claims(order, hashes ? tokens[0].reveal() : std::string_view(), extra->id_token);
            if (!id) return unexpected(std::move(id).error());
            input = jwt_signing_input(by.id, *std::move(id));
            if (!input) return unexpected(std::move(input).error());
            tokens[1] = *std::move(input);
        }
        const auto unsigned_ = std::span(tokens).subspan(hashes ? 1 : 0, wants_id_token && !hashes ? 2 : 1);
        if (auto done = sign_jwts(key, unsigned_); !done) return unexpected(std::move(done).error());

        minted_tokens minted;
        minted.access_token = std::move(tokens[0]);
        if (wants_id_token) minted.id_token = std::move(tokens[1]);
        // R67: the token counts in whole seconds from a little before `now`; what is left is rounded down.
        minted.expires_in = std::chrono::floor<std::chrono::seconds>(
            issued_at(order) + settings_.access_lifetime - order.now);
        return minted;
    }

    jwt_issuer(jwt_settings settings, Signer key, Claims claims, Random random)
        : settings_(std::move(settings)), key_(std::move(key)), claims_(std::move(claims)),
          random_(std::move(random)), headers_(fixed_headers(settings_, key_)) {
        json_writer(issuer_json_, slashes()).value(settings_.issuer);
    }

    /// The API page's tokens escape the slash; their first two segments are matched byte for byte.
    solidus slashes() const noexcept {
        return settings_.profile == token_profile::ciam ? solidus::escaped : solidus::plain;
    }

    static auto fixed_headers(const jwt_settings& settings, const Signer& key) {
        if constexpr (rolling_signer<Signer>) return no_headers{};
        else return headers(settings, key.key_id());
    }

    static std::chrono::sys_seconds issued_at(const mint_order& order) noexcept {
        return std::chrono::floor<std::chrono::seconds>(order.now);
    }

    result<jwt_claims, outage> access_claims(const mint_order& order, std::span<const extra_claim> extra) {
        auto id = random_uuid(random_);
        if (!id) return unexpected(std::move(id).error());
        const auto iat = issued_at(order);
        if (settings_.profile == token_profile::ciam) {
            jwt_claims claims(slashes());
            claims.add("sub", order.login.subject())
                .add("aud", order.client.client_id)
                .add("nbf", iat - settings_.backdate)
                .add_words("scope", order.scope)
                .add_json("iss", issuer_json_)
                .add("exp", iat + settings_.access_lifetime)
                .add("iat", iat)
                .add("jti", id->text());
            return with_extra(std::move(claims), extra);
        }
        jwt_claims claims;
        // RFC 9068 2.2
        claims.add_json("iss", issuer_json_)
            .add("exp", iat + settings_.access_lifetime)
            .add("aud", audience(order))
            .add("sub", order.login.subject())
            .add("client_id", order.client.client_id)
            .add("iat", iat)
            .add("nbf", iat - settings_.backdate)
            .add("jti", id->text())
            .add("scope", order.scope.text());
        if (order.login.auth_time) claims.add("auth_time", *order.login.auth_time);
        return with_extra(std::move(claims), extra);
    }

    result<jwt_claims, outage> id_claims(const mint_order& order, std::string_view access_token,
                                         std::span<const extra_claim> extra) {
        auto id = random_uuid(random_);
        if (!id) return unexpected(std::move(id).error());
        const auto iat = issued_at(order);
        jwt_claims claims(slashes());
        // OIDC Core 12.2: "its iss Claim Value MUST be the same ... its sub Claim Value MUST be the same ... its iat
        // Claim MUST represent the time that the new ID Token is issued ... its aud Claim Value MUST include the
        // original client ... if the ID Token contains an azp Claim ... its value MUST be the same".
        claims.add("sub", order.login.subject())
            .add("aud", order.client.client_id)
            .add("azp", order.client.client_id)
            .add_json("iss", issuer_json_)
            .add("exp", iat + settings_.id_lifetime)
            .add("iat", iat)
            .add("jti", id->text());
        // OIDC Core 12.2: "if the ID Token contains an auth_time Claim, its value MUST represent the time of the
        // original authentication"
        if (order.login.auth_time) claims.add("auth_time", *order.login.auth_time);
        if (!order.nonce.empty()) claims.add("nonce", order.nonce);
        if (!access_token.empty()) {
            auto hashed = sha256(access_token);
            if (!hashed) return unexpected(std::move(hashed).error());
            // OIDC Core 3.1.3.6: "the base64url encoding of the left-most half of the hash"
            claims.add("at_hash", base64url(std::span(*hashed).template first<16>()));
        }
        return with_extra(std::move(claims), extra);
    }

    std::string_view audience(const mint_order& order) const noexcept {
        if (!order.login.audience().empty()) return order.login.audience();
        if (!order.client.audience.empty()) return order.client.audience;
        return settings_.audience;
    }

    /// A claim that is the profile's, is given twice or is not UTF-8 fails the answer rather than leave in silence.
    static result<jwt_claims, outage> with_extra(jwt_claims claims, std::span<const extra_claim> extra) {
        for (std::size_t i = 0; i != extra.size(); ++i) {
            if (is_reserved_claim(extra[i].name()))
                return unexpected(outage{"the claims hook may not set \"" + extra[i].name() + "\""});
            if (!extra[i].is_utf8())
                return unexpected(outage{"the claims hook sets a claim whose name or value is not UTF-8"});
            for (const extra_claim& earlier : extra.first(i))
                if (earlier.name() == extra[i].name())
                    return unexpected(outage{"the claims hook sets \"" + extra[i].name() + "\" twice"});
            claims.add_json(extra[i].name(), extra[i].json());
        }
        return claims;
    }

    jwt_settings settings_;
    Signer key_;
    Claims claims_;
    Random random_;
    std::conditional_t<rolling_signer<Signer>, no_headers, headers> headers_;
    std::string issuer_json_{};
};

} // namespace regrant::inline v0
