// regrant/client_policy.hpp - how one client proves itself, paired with what becomes of its refresh token.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/cpp20.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace regrant::inline v0 {

/// How a client authenticates at the token endpoint; each enumerator is spelled as registered.
///
/// \par RFC 7591 2, OIDC Core 9
enum class auth_method : std::uint8_t { client_secret_basic, client_secret_post, none };

constexpr std::string_view to_string(auth_method method) noexcept {
    switch (method) {
    case auth_method::client_secret_basic: return "client_secret_basic";
    case auth_method::client_secret_post: return "client_secret_post";
    case auth_method::none: break;
    }
    return "none";
}

/// What a refresh does to the refresh token: each use makes a new one, or the same one is echoed.
enum class rotation : std::uint8_t { rotate, echo };

/// An authentication method with a rotation that is safe for it.
///
/// A public client's token must rotate: a stolen one is otherwise good for its whole life and nobody notices.
///
///     auto web = client_policy::of<auth_method::client_secret_post, rotation::echo>();
///     auto spa = client_policy::of<auth_method::none>();                     // rotates
///     auto bad = client_policy::of<auth_method::none, rotation::echo>();     // does not compile
///
/// \par RFC 9700 2.2.2, 4.14.2 (R37)
class client_policy {
public:
    /// For a client written in code.
    template <auth_method Method, regrant::rotation Rotation = regrant::rotation::rotate>
    static constexpr client_policy of() noexcept {
        static_assert(is_safe(Method, Rotation), "a public client must rotate its refresh token (RFC 9700 2.2.2)");
        return client_policy(Method, Rotation);
    }

    /// The same rule for a registration read at run time.
    /// \return nothing for a public client that does not rotate
    static constexpr std::optional<client_policy> checked(auth_method method, regrant::rotation rotation) noexcept {
        if (!is_safe(method, rotation)) return std::nullopt;
        return client_policy(method, rotation);
    }

    constexpr auth_method method() const noexcept { return method_; }
    constexpr regrant::rotation rotation() const noexcept { return rotation_; }
    /// RFC 6749 2.1: a client without a secret is public.
    constexpr bool is_public() const noexcept { return method_ == auth_method::none; }

private:
    constexpr client_policy(auth_method method, regrant::rotation rotation) noexcept
        : method_(method), rotation_(rotation) {}

    static constexpr bool is_safe(auth_method method, regrant::rotation rotation) noexcept {
        return method != auth_method::none || rotation == regrant::rotation::rotate;
    }

    auth_method method_;
    regrant::rotation rotation_;
};

} // namespace regrant::inline v0
