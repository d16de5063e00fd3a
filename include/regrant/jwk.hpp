// regrant/jwk.hpp - an RSA public key as a JSON Web Key.
// floor 2
// SPDX-License-Identifier: MIT
#pragma once

#include "base64.hpp"
#include "error.hpp"
#include "hash.hpp"
#include "json_writer.hpp"
#include "result.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace regrant::inline v0 {

/// The public members of a signing key; there is no place for a private one (R100).
///
/// \par RFC 7517 4, RFC 7518 6.3.1
struct jwk {
    /// The modulus: base64url of its big-endian bytes.
    std::string n;
    /// The public exponent, likewise.
    std::string e;
    std::string kid{};
};

inline void write(json_writer& json, const jwk& key) {
    json.begin_object();
    json.key("kty").value("RSA");
    json.key("n").value(key.n);
    json.key("e").value(key.e);
    json.key("use").value("sig");
    json.key("alg").value("RS256");
    json.key("kid").value(key.kid);
    json.end_object();
}

/// A name for a key that everybody computes alike: SHA-256 over its required members in lexical order.
///
/// \par Errors
/// `outage` when OpenSSL fails
/// \par RFC 7638 3
inline result<std::string, outage> thumbprint(const jwk& key) {
    std::string canonical;
    json_writer json(canonical);
    json.begin_object();
    json.key("e").value(key.e);
    json.key("kty").value("RSA");
    json.key("n").value(key.n);
    json.end_object();
    auto hashed = sha256(canonical);
    if (!hashed) return unexpected(std::move(hashed).error());
    return base64url(*hashed);
}

} // namespace regrant::inline v0
