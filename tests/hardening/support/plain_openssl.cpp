// tests/hardening/support/plain_openssl.cpp - see plain_openssl.hpp.
// SPDX-License-Identifier: MIT
#include "plain_openssl.hpp"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace hardening {

namespace {

/// RFC 4648 5, written down once more; empty where it is not base64url.
std::string decoded(std::string_view text) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string bytes;
    unsigned bits = 0;
    unsigned count = 0;
    for (const char c : text) {
        const auto digit = digits.find(c);
        if (digit == std::string_view::npos) return {};
        bits = (bits << 6 | static_cast<unsigned>(digit)) & 0xFFFFU;
        count += 6;
        if (count < 8) continue;
        count -= 8;
        bytes += static_cast<char>(bits >> count & 0xFFU);
    }
    return bytes;
}

template <auto Free> struct freed_by {
    template <class T> void operator()(T* object) const { Free(object); }
};
template <class T, auto Free> using owned = std::unique_ptr<T, freed_by<Free>>;

owned<BIGNUM, BN_free> number(std::string_view base64url) {
    const std::string bytes = decoded(base64url);
    return owned<BIGNUM, BN_free>(
        BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr));
}

owned<EVP_PKEY, EVP_PKEY_free> public_key(const regrant::jwk& key) {
    const auto n = number(key.n);
    const auto e = number(key.e);
    const owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> builder(OSSL_PARAM_BLD_new());
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
    const owned<OSSL_PARAM, OSSL_PARAM_free> parameters(OSSL_PARAM_BLD_to_param(builder.get()));
    const owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
    EVP_PKEY* made = nullptr;
    if (EVP_PKEY_fromdata_init(context.get()) == 1)
        EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, parameters.get());
    return owned<EVP_PKEY, EVP_PKEY_free>(made);
}

owned<EVP_PKEY, EVP_PKEY_free> private_key(std::string_view pem) {
    const owned<BIO, BIO_free_all> from(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    return owned<EVP_PKEY, EVP_PKEY_free>(PEM_read_bio_PrivateKey(from.get(), nullptr, nullptr, nullptr));
}

} // namespace

bool is_signed(std::string_view jwt, const regrant::jwk& by) {
    const auto first = jwt.find('.');
    const auto last = jwt.rfind('.');
    if (first == std::string_view::npos || first == last || last + 1 == jwt.size()) return false;
    const std::string header = decoded(jwt.substr(0, first));
    const std::string claims = decoded(jwt.substr(first + 1, last - first - 1));
    const std::string signature = decoded(jwt.substr(last + 1));
    if (header.find(R"("alg":"RS256")") == std::string::npos) return false;
    if (claims.size() < 2 || claims.front() != '{' || claims.back() != '}') return false;
    const auto key = public_key(by);
    const owned<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
    return key && EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
           EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                            reinterpret_cast<const unsigned char*>(jwt.data()), last) == 1;
}

std::string encrypted_pem(std::string_view pem, std::string_view passphrase) {
    const auto key = private_key(pem);
    const owned<BIO, BIO_free_all> to(BIO_new(BIO_s_mem()));
    PEM_write_bio_PKCS8PrivateKey(to.get(), key.get(), EVP_aes_256_cbc(), passphrase.data(),
                                  static_cast<int>(passphrase.size()), nullptr, nullptr);
    char* text = nullptr;
    const long size = BIO_get_mem_data(to.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

std::string der(std::string_view pem) {
    const auto key = private_key(pem);
    unsigned char* bytes = nullptr;
    const int size = i2d_PrivateKey(key.get(), &bytes);
    std::string text(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    OPENSSL_free(bytes);
    return text;
}

bool left_errors_behind() { return ERR_peek_error() != 0; }

} // namespace hardening
