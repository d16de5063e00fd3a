// tests/hardening/support/plain_openssl.hpp - OpenSSL called as its manual says, so that a test need not believe the library.
// SPDX-License-Identifier: MIT
#pragma once

#include <regrant/jwk.hpp>

#include <string>
#include <string_view>

// In a unit of its own, where OpenSSL is not made to fail.
namespace hardening {

/// Whether it has three parts, RS256 in its header, a JSON object as claims, and a signature that this key made.
bool is_signed(std::string_view jwt, const regrant::jwk& by);

/// Whether OpenSSL's error queue of this thread holds something: the host's TLS code reads that queue too.
bool left_errors_behind();

/// A private key in its other forms; empty where OpenSSL cannot.
std::string encrypted_pem(std::string_view pem, std::string_view passphrase);
std::string der(std::string_view pem);

} // namespace hardening
