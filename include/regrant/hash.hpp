// regrant/hash.hpp - SHA-256 of bytes.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/openssl.hpp"
#include "error.hpp"
#include "result.hpp"

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace regrant::inline v0 {

/// The 32 bytes SHA-256 makes.
using digest = std::array<std::byte, 32>;

/// \par Errors
/// `outage` when OpenSSL fails, which it does for want of memory or of a provider
/// \par RFC 6234
inline result<digest, outage> sha256(std::span<const std::byte> bytes) {
    digest made{};
    if (!detail::sha256(bytes, made)) return unexpected(outage{"SHA-256 failed"});
    return made;
}

inline result<digest, outage> sha256(std::string_view text) {
    return sha256(std::as_bytes(std::span<const char>(text)));
}

} // namespace regrant::inline v0
