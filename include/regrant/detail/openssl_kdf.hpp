// regrant/detail/openssl_kdf.hpp - the hashes of OpenSSL 3 that are slow on purpose.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "openssl.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace regrant::inline v0::detail {

using kdf_context_ptr = openssl_ptr<EVP_KDF_CTX, EVP_KDF_CTX_free>;

inline bool derive(const char* algorithm, const OSSL_PARAM* parameters, std::span<std::byte> derived) noexcept {
    const error_mark mark;
    const openssl_ptr<EVP_KDF, EVP_KDF_free> fetched(EVP_KDF_fetch(nullptr, algorithm, nullptr));
    if (!fetched) return false;
    const kdf_context_ptr context(EVP_KDF_CTX_new(fetched.get()));
    return context && EVP_KDF_derive(context.get(), raw(derived), derived.size(), parameters) == 1;
}

inline OSSL_PARAM octets(const char* name, std::span<const std::byte> bytes) noexcept {
    return OSSL_PARAM_construct_octet_string(name, const_cast<std::byte*>(bytes.data()), bytes.size());
}

/// RFC 7914. N is a power of two.
inline bool scrypt(std::span<const std::byte> password, std::span<const std::byte> salt, std::uint64_t n,
                   std::uint32_t r, std::uint32_t p, std::span<std::byte> derived) noexcept {
    // What it takes by itself, and a little: OpenSSL's own limit is below the cost that is wanted.
    std::uint64_t most_bytes = 128 * (n + p + 2) * r + 4096;
    const OSSL_PARAM parameters[] = {octets(OSSL_KDF_PARAM_PASSWORD, password),
                                     octets(OSSL_KDF_PARAM_SALT, salt),
                                     OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
                                     OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
                                     OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
                                     OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &most_bytes),
                                     OSSL_PARAM_construct_end()};
    return derive("SCRYPT", parameters, derived);
}

/// RFC 8018 5.2, over HMAC-SHA256.
inline bool pbkdf2_sha256(std::span<const std::byte> password, std::span<const std::byte> salt,
                          std::uint32_t iterations, std::span<std::byte> derived) noexcept {
    char digest_name[] = "SHA256";
    std::uint64_t rounds = iterations;
    const OSSL_PARAM parameters[] = {octets(OSSL_KDF_PARAM_PASSWORD, password),
                                     octets(OSSL_KDF_PARAM_SALT, salt),
                                     OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_ITER, &rounds),
                                     OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest_name, 0),
                                     OSSL_PARAM_construct_end()};
    return derive("PBKDF2", parameters, derived);
}

} // namespace regrant::inline v0::detail
