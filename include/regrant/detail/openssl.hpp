// regrant/detail/openssl.hpp - the one room where OpenSSL 3 lives.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "cpp20.hpp"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace regrant::inline v0::detail {

/// Frees an OpenSSL object with the function made for it.
template <auto Free> struct free_with {
    template <class T> void operator()(T* object) const noexcept { Free(object); }
};
template <class T, auto Free> using openssl_ptr = std::unique_ptr<T, free_with<Free>>;

using bio_ptr = openssl_ptr<BIO, BIO_free_all>;
using pkey_ptr = openssl_ptr<EVP_PKEY, EVP_PKEY_free>;
using pkey_context_ptr = openssl_ptr<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using digest_context_ptr = openssl_ptr<EVP_MD_CTX, EVP_MD_CTX_free>;
using mac_context_ptr = openssl_ptr<EVP_MAC_CTX, EVP_MAC_CTX_free>;
using bignum_ptr = openssl_ptr<BIGNUM, BN_free>;

/// Takes back what a failing call left in the thread's error queue: the host's TLS code reads that queue too.
class error_mark {
public:
    error_mark() noexcept { ERR_set_mark(); }
    ~error_mark() { ERR_pop_to_mark(); }
    error_mark(const error_mark&) = delete;
    error_mark& operator=(const error_mark&) = delete;
};

template <std::size_t Size> const unsigned char* raw(std::span<const std::byte, Size> bytes) noexcept {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}
template <std::size_t Size> unsigned char* raw(std::span<std::byte, Size> bytes) noexcept {
    return reinterpret_cast<unsigned char*>(bytes.data());
}

/// Fetched once: OpenSSL 3 looks an algorithm up under a lock at each implicit fetch.
inline const EVP_MD* sha256_algorithm() noexcept {
    static const openssl_ptr<EVP_MD, EVP_MD_free> algorithm(EVP_MD_fetch(nullptr, "SHA256", nullptr));
    return algorithm.get();
}

inline bool sha256(std::span<const std::byte> bytes, std::span<std::byte, 32> digest) noexcept {
    const error_mark mark;
    const EVP_MD* algorithm = sha256_algorithm();
    return algorithm != nullptr &&
           EVP_Digest(bytes.data(), bytes.size(), raw(digest), nullptr, algorithm, nullptr) == 1;
}

inline bool random_bytes(std::span<std::byte> bytes) noexcept {
    const error_mark mark;
    return RAND_priv_bytes(raw(bytes), static_cast<int>(bytes.size())) == 1;
}

/// HMAC-SHA256 under one key. The keyed state is made once and copied for each text.
class hmac_sha256 {
public:
    static std::optional<hmac_sha256> make(std::span<const std::byte> key) noexcept {
        const error_mark mark;
        const openssl_ptr<EVP_MAC, EVP_MAC_free> algorithm(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
        if (!algorithm) return std::nullopt;
        mac_context_ptr keyed(EVP_MAC_CTX_new(algorithm.get()));
        char digest_name[] = "SHA256";
        const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest_name, 0),
                                         OSSL_PARAM_construct_end()};
        if (!keyed || EVP_MAC_init(keyed.get(), raw(key), key.size(), parameters) != 1) return std::nullopt;
        return hmac_sha256(std::move(keyed));
    }

    bool operator()(std::span<const std::byte> text, std::span<std::byte, 32> mac) const noexcept {
        const error_mark mark;
        const mac_context_ptr context(EVP_MAC_CTX_dup(keyed_.get()));
        std::size_t size = 0;
        return context && EVP_MAC_update(context.get(), raw(text), text.size()) == 1 &&
               EVP_MAC_final(context.get(), raw(mac), &size, mac.size()) == 1 && size == mac.size();
    }

private:
    explicit hmac_sha256(mac_context_ptr keyed) noexcept : keyed_(std::move(keyed)) {}
    mac_context_ptr keyed_;
};

/// An RSA private key that signs RSASSA-PKCS1-v1_5 with SHA-256.
class rsa_key {
public:
    /// \param passphrase  null where none was given; an encrypted key then fails instead of asking the terminal
    static rsa_key from_pem(std::string_view pem, const std::string_view* passphrase) noexcept {
        const error_mark mark;
        const bio_ptr bio = memory(pem);
        if (!bio) return {};
        return rsa_key(PEM_read_bio_PrivateKey(bio.get(), nullptr, give_passphrase,
                                               const_cast<std::string_view*>(passphrase)));
    }

    /// Takes PKCS#1 as well as PKCS#8.
    static rsa_key from_der(std::span<const std::byte> der) noexcept {
        const error_mark mark;
        const unsigned char* at = raw(der);
        rsa_key key(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size())));
        return at == raw(der) + der.size() ? std::move(key) : rsa_key();
    }

    static rsa_key generate(std::size_t bits) noexcept {
        const error_mark mark;
        return rsa_key(EVP_RSA_gen(bits));
    }

    /// \return nothing where OpenSSL fails; unencrypted PKCS#8
    std::string to_pem() const {
        const error_mark mark;
        const bio_ptr bio(BIO_new(BIO_s_secmem()));
        if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
            return {};
        char* text = nullptr;
        const long size = BIO_get_mem_data(bio.get(), &text);
        return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : std::string();
    }

    explicit operator bool() const noexcept { return key_ != nullptr; }
    bool is_rsa() const noexcept { return EVP_PKEY_is_a(key_.get(), "RSA") == 1; }
    std::size_t bits() const noexcept { return static_cast<std::size_t>(EVP_PKEY_get_bits(key_.get())); }

    /// \return the public modulus, big-endian, empty where OpenSSL fails
    std::string modulus() const { return number(OSSL_PKEY_PARAM_RSA_N); }
    std::string exponent() const { return number(OSSL_PKEY_PARAM_RSA_E); }

    /// \return the size of the signature in bytes, 0 where OpenSSL fails
    std::size_t sign(std::span<const std::byte> text, std::span<std::byte> signature) const noexcept {
        const error_mark mark;
        const digest_context_ptr context(EVP_MD_CTX_new());
        std::size_t size = signature.size();
        const bool signed_ =
            context &&
            EVP_DigestSignInit_ex(context.get(), nullptr, "SHA256", nullptr, nullptr, key_.get(), nullptr) == 1 &&
            EVP_DigestSign(context.get(), raw(signature), &size, raw(text), text.size()) == 1;
        return signed_ ? size : 0;
    }

    bool verify(std::span<const std::byte> text, std::span<const std::byte> signature) const noexcept {
        const error_mark mark;
        const digest_context_ptr context(EVP_MD_CTX_new());
        return context &&
               EVP_DigestVerifyInit_ex(context.get(), nullptr, "SHA256", nullptr, nullptr, key_.get(), nullptr) ==
                   1 &&
               EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(text), text.size()) == 1;
    }

private:
    rsa_key() noexcept = default;
    explicit rsa_key(EVP_PKEY* key) noexcept : key_(key) {}

    static bio_ptr memory(std::string_view text) noexcept {
        return bio_ptr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    }

    static int give_passphrase(char* to, int capacity, int, void* user) noexcept {
        const auto* passphrase = static_cast<const std::string_view*>(user);
        if (passphrase == nullptr || passphrase->size() > static_cast<std::size_t>(capacity)) return -1;
        // Not memcpy: an empty passphrase may have no address.
        passphrase->copy(to, passphrase->size());
        return static_cast<int>(passphrase->size());
    }

    std::string number(const char* name) const {
        const error_mark mark;
        BIGNUM* found = nullptr;
        if (EVP_PKEY_get_bn_param(key_.get(), name, &found) != 1) return {};
        const bignum_ptr value(found);
        std::string bytes(static_cast<std::size_t>(BN_num_bytes(found)), '\0');
        BN_bn2bin(found, reinterpret_cast<unsigned char*>(bytes.data()));
        return bytes;
    }

    pkey_ptr key_;
};

} // namespace regrant::inline v0::detail
