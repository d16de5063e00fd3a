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

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
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

/// Making a context costs more than what is done with it. A thread takes one for itself and gives it back; one that
/// finds none makes its own.
template <class Pointer> class spare_contexts {
    using context = typename Pointer::element_type;

public:
    spare_contexts() noexcept = default;
    /// Their owner moves only while things are built, and is never assigned: a moved one starts anew.
    spare_contexts(spare_contexts&&) noexcept : spare_contexts() {}
    ~spare_contexts() { while (take()) {} }

    /// \return null where none is spare
    Pointer take() const noexcept {
        for (auto& slot : slots_)
            if (slot.load(std::memory_order_relaxed) != nullptr)
                if (context* spare = slot.exchange(nullptr, std::memory_order_acquire)) return Pointer(spare);
        return {};
    }

    /// Frees it where there are enough.
    void give_back(Pointer used) const noexcept {
        for (auto& slot : slots_) {
            context* nothing = nullptr;
            if (slot.compare_exchange_strong(nothing, used.get(), std::memory_order_release)) {
                static_cast<void>(used.release());
                return;
            }
        }
    }

private:
    static constexpr std::size_t most = 32;
    mutable std::array<std::atomic<context*>, most> slots_{};
};

/// SHA-256, kept once it was found: at each implicit fetch OpenSSL 3 looks the algorithm up under a lock.
class sha256_algorithm {
public:
    ~sha256_algorithm() { EVP_MD_free(found_.load()); }
    static sha256_algorithm& get() noexcept {
        static sha256_algorithm only;
        return only;
    }
    /// \return null where OpenSSL fails; a shortage of memory must not last, so the next call tries again
    const EVP_MD* method() noexcept {
        if (const EVP_MD* known = found_.load(std::memory_order_acquire)) return known;
        openssl_ptr<EVP_MD, EVP_MD_free> fetched(EVP_MD_fetch(nullptr, "SHA256", nullptr));
        EVP_MD* none = nullptr;
        // Of two threads that fetch at once, one keeps its own.
        if (!fetched || !found_.compare_exchange_strong(none, fetched.get())) return found_.load();
        return fetched.release();
    }

    spare_contexts<digest_context_ptr> contexts{};

private:
    sha256_algorithm() noexcept = default;
    std::atomic<EVP_MD*> found_ = nullptr;
};

/// For calls that fail in no state a server goes on in, and are too short for a mark: what they left goes, and what was
/// there before with it.
inline bool failed() noexcept {
    ERR_clear_error();
    return false;
}

inline bool sha256(std::span<const std::byte> bytes, std::span<std::byte, 32> digest) noexcept {
    auto& sha = sha256_algorithm::get();
    const EVP_MD* method = sha.method();
    digest_context_ptr context = sha.contexts.take();
    if (!context) context.reset(EVP_MD_CTX_new());
    if (!context || !method || EVP_DigestInit_ex2(context.get(), method, nullptr) != 1 ||
        EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) != 1 ||
        EVP_DigestFinal_ex(context.get(), raw(digest), nullptr) != 1)
        return failed();
    sha.contexts.give_back(std::move(context));
    return true;
}

/// Has the thread's generator for `random_bytes`, or that for `public_random_bytes`, draw on fresh entropy, with those
/// that it is seeded from.
inline bool reseed_private() noexcept {
    const error_mark mark;
    EVP_RAND_CTX* const generator = RAND_get0_private(nullptr);
    return generator != nullptr && EVP_RAND_reseed(generator, 1, nullptr, 0, nullptr, 0) == 1;
}
inline bool reseed_public() noexcept {
    const error_mark mark;
    EVP_RAND_CTX* const generator = RAND_get0_public(nullptr);
    return generator != nullptr && EVP_RAND_reseed(generator, 1, nullptr, 0, nullptr, 0) == 1;
}

/// For what nobody may guess.
inline bool random_bytes(std::span<std::byte> bytes) noexcept {
    const error_mark mark;
    return RAND_priv_bytes_ex(nullptr, raw(bytes), bytes.size(), 0) == 1;
}

/// For what may be seen, from a generator of its own.
inline bool public_random_bytes(std::span<std::byte> bytes) noexcept {
    const error_mark mark;
    return RAND_bytes_ex(nullptr, raw(bytes), bytes.size(), 0) == 1;
}

/// HMAC-SHA256 under one key. The keyed state is made once and copied for each thread.
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
        // Without a key given, init starts over under the one it has; before 3.0.3 it only says so (openssl#17811).
        const bool starts_over = OpenSSL_version_num() >= 0x3000'0030UL;
        mac_context_ptr context = starts_over ? contexts_.take() : nullptr;
        if (!context) context.reset(EVP_MAC_CTX_dup(keyed_.get()));
        std::size_t size = 0;
        if (!context || EVP_MAC_init(context.get(), nullptr, 0, nullptr) != 1 ||
            EVP_MAC_update(context.get(), raw(text), text.size()) != 1 ||
            EVP_MAC_final(context.get(), raw(mac), &size, mac.size()) != 1 || size != mac.size())
            return failed();
        if (starts_over) contexts_.give_back(std::move(context));
        return true;
    }

private:
    explicit hmac_sha256(mac_context_ptr keyed) noexcept : keyed_(std::move(keyed)) {}
    mac_context_ptr keyed_;
    spare_contexts<mac_context_ptr> contexts_;
};

/// Whether OpenSSL has a cipher; some need its legacy provider.
inline bool offers_cipher(const std::string& name) noexcept {
    const error_mark mark;
    return openssl_ptr<EVP_CIPHER, EVP_CIPHER_free>(EVP_CIPHER_fetch(nullptr, name.c_str(), nullptr)) != nullptr;
}

/// See `rsa_key::has_safe_exponent`.
/// \param big_endian  the public exponent's bytes
constexpr bool is_safe_rsa_exponent(std::string_view big_endian) noexcept {
    big_endian.remove_prefix((std::min)(big_endian.find_first_not_of('\0'), big_endian.size()));
    if (big_endian.empty() || big_endian.size() > 8) return false;
    std::uint64_t value = 0;
    for (const char byte : big_endian) value = value << 8 | static_cast<unsigned char>(byte);
    return value >= 65537 && value % 2 == 1;
}

/// An RSA private key that signs RSASSA-PKCS1-v1_5 with SHA-256.
class rsa_key {
public:
    /// \param passphrase      null where none was given; an encrypted key then fails instead of asking the terminal
    /// \param is_unsupported  set where OpenSSL offers no algorithm to decrypt PKCS#8
    static rsa_key from_pem(std::string_view pem, const std::string_view* passphrase,
                            bool* is_unsupported = nullptr) noexcept {
        const error_mark mark;
        const bio_ptr bio = memory(pem);
        if (!bio) return {};
        rsa_key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, give_passphrase,
                                            const_cast<std::string_view*>(passphrase)));
        const unsigned long last = key ? 0 : ERR_peek_last_error();
        if (is_unsupported != nullptr)
            *is_unsupported = ERR_GET_LIB(last) == ERR_LIB_EVP && ERR_GET_REASON(last) == ERR_R_UNSUPPORTED;
        return key;
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
    /// Whether the public exponent is odd, at least 65537 and at most 64 bits long. Under the exponent 1 a signature is
    /// the padded hash itself, so anybody can write one; small ones have been the way into other schemes; a long one
    /// makes each verification expensive (NIST FIPS 186-5 5.1, 5.4).
    bool has_safe_exponent() const { return is_safe_rsa_exponent(exponent()); }

    /// \return the size of the signature in bytes, 0 where OpenSSL fails
    std::size_t sign(std::span<const std::byte> text, std::span<std::byte> signature) const noexcept {
        const std::size_t size = sign_unchecked(text, signature);
        if (size == 0) doubt_.is_there = true;
        if (size == 0 || !doubt_.is_there) return size;
        if (verify(text, signature.first(size))) return size;
        const error_mark mark;
        const rsa_key fresh(EVP_PKEY_dup(key_.get()));
        const std::size_t again = fresh ? fresh.sign_unchecked(text, signature) : 0;
        return again != 0 && fresh.verify(text, signature.first(again)) ? again : 0;
    }

    bool verify(std::span<const std::byte> text, std::span<const std::byte> signature) const noexcept {
        const error_mark mark;
        const digest_context_ptr context(EVP_MD_CTX_new());
        return context &&
               EVP_DigestVerifyInit_ex(context.get(), nullptr, "SHA256", nullptr, nullptr, key_.get(), nullptr) == 1 &&
               EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(text), text.size()) == 1;
    }

private:
    rsa_key() noexcept = default;
    explicit rsa_key(EVP_PKEY* key) noexcept : key_(key) {}

    /// Memory that runs short within OpenSSL 3.0 fails a signature and can leave the blinding, which threads share,
    /// half renewed: it then signs wrong, without an error, up to 32 times. Each thread may use another blinding, so
    /// there is no telling when the last of these is past: behind a failed signature all are verified, for 1/30 of
    /// their time. A copy of the key has a blinding of its own.
    struct doubt {
        std::atomic<bool> is_there = false;
        doubt() noexcept = default;
        doubt(doubt&&) noexcept : doubt() {}
    };

    std::size_t sign_unchecked(std::span<const std::byte> text, std::span<std::byte> signature) const noexcept {
        std::array<std::byte, 32> digest;
        if (!sha256(text, digest)) return 0;
        const error_mark mark;
        pkey_context_ptr context = signers_.take();
        if (!context) context = new_signer();
        std::size_t size = signature.size();
        if (!context || EVP_PKEY_sign(context.get(), raw(signature), &size, raw(std::span(digest)), digest.size()) != 1)
            return 0;
        signers_.give_back(std::move(context));
        return size;
    }

    /// RFC 8017 8.2.1; for many signatures, one at a time.
    pkey_context_ptr new_signer() const noexcept {
        const EVP_MD* algorithm = sha256_algorithm::get().method();
        pkey_context_ptr context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
        if (!context || algorithm == nullptr || EVP_PKEY_sign_init(context.get()) != 1 ||
            EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1 ||
            EVP_PKEY_CTX_set_signature_md(context.get(), algorithm) != 1)
            context.reset();
        return context;
    }

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
    spare_contexts<pkey_context_ptr> signers_;
    mutable doubt doubt_;
};

} // namespace regrant::inline v0::detail
