// regrant/hash_client_secret.hpp - client secrets as they are kept, checked against what is presented.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "client.hpp"
#include "error.hpp"
#include "hash.hpp"
#include "result.hpp"
#include "secret.hpp"

#include <string_view>
#include <utility>

namespace regrant::inline v0 {

/// What to keep of a client secret (R31).
/// \par Errors
/// `outage` when OpenSSL fails
inline result<secret_hash, outage> hash_client_secret(std::string_view text) {
    auto hashed = sha256(text);
    if (!hashed) return unexpected(std::move(hashed).error());
    return secret_hash{*hashed};
}

/// Answers a `secret_check`, in a time that does not tell which secret matched, or whether one did. It
/// tells whether the raw text differs, which whoever sent it knows.
/// \par Errors
/// `outage` when OpenSSL fails
inline result<secret_match, outage> match_client_secret(const secret_check& check) {
    const auto matches = [&](const secret_hash& presented) {
        bool found = false;
        for (const secret_hash& stored : check.stored) found |= same_bytes(presented.sha256, stored.sha256);
        return found;
    };
    auto as_meant = hash_client_secret(check.presented);
    if (!as_meant) return unexpected(std::move(as_meant).error());
    const bool meant_matches = matches(*as_meant);
    bool raw_matches = meant_matches;
    if (check.presented_raw) {
        auto raw = hash_client_secret(*check.presented_raw);
        if (!raw) return unexpected(std::move(raw).error());
        raw_matches = matches(*raw);
    }
    if (meant_matches) return secret_match::as_meant;
    return raw_matches ? secret_match::raw : secret_match::neither;
}

} // namespace regrant::inline v0
