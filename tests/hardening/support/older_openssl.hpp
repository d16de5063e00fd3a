// tests/hardening/support/older_openssl.hpp - OpenSSL 3.0.0 to 3.0.2, as far as its HMAC differs.
// SPDX-License-Identifier: MIT
#pragma once

#include "nth_call.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstddef>

namespace hardening {

inline bool is_before_3_0_3 = false;

inline unsigned long library_version() noexcept { return is_before_3_0_3 ? 0x3000'0020UL : OpenSSL_version_num(); }

/// Says that it starts over, and goes on where it was (openssl#17811).
template <std::size_t Index>
int mac_init(EVP_MAC_CTX* context, const unsigned char* key, std::size_t size, const OSSL_PARAM* parameters) {
    if (is_before_3_0_3 && key == nullptr) return 1;
    return failing<&::EVP_MAC_init, Index>(context, key, size, parameters);
}

} // namespace hardening
