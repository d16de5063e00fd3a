// regrant/signing_key.hpp - an RSA private key that signs RS256.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "base64.hpp"
#include "detail/key_text.hpp"
#include "detail/openssl.hpp"
#include "detail/utf8.hpp"
#include "error.hpp"
#include "jwk.hpp"
#include "jwt.hpp"
#include "result.hpp"
#include "secret.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace regrant::inline v0 {

/// A model of `signer` over OpenSSL. Copies share the key.
///
///     auto key = regrant::signing_key::from_pem(pem);
///     if (!key) std::cerr << key.error().message;
///
/// \par RFC 7518 3.3: "A key of size 2048 bits or larger MUST be used with these algorithms."
class signing_key {
public:
    static constexpr std::size_t least_bits = 2048;

    /// \param pem     PKCS#1 or PKCS#8
    /// \param key_id  the `kid`; empty takes the RFC 7638 thumbprint
    /// \par Errors
    /// no private key in the text, which is then named for what it holds; encrypted; not RSA; under 2048 or over 8192
    /// bits; a public exponent that is even, under 65537 or over 64 bits; halves that do not match; a key id that is
    /// not UTF-8
    static result<signing_key, setup_error> from_pem(std::string_view pem, std::string_view key_id = {}) {
        auto key = detail::rsa_key::from_pem(pem, nullptr);
        if (key) return checked(std::move(key), key_id);
        if (detail::encryption_of(pem).is_encrypted)
            return unexpected(setup_error{"the private key is encrypted, and no passphrase was given"});
        return unexpected(setup_error{"no usable private key: " + detail::describe_key_text(pem)});
    }

    /// The same for an encrypted PEM.
    /// \par Errors
    /// also a wrong passphrase; an algorithm that OpenSSL does not offer
    static result<signing_key, setup_error> from_encrypted_pem(std::string_view pem, const secret& passphrase,
                                                               std::string_view key_id = {}) {
        const std::string_view text = passphrase.reveal();
        bool is_unsupported = false;
        auto key = detail::rsa_key::from_pem(pem, &text, &is_unsupported);
        if (key) return checked(std::move(key), key_id);
        const auto encryption = detail::encryption_of(pem);
        if (!encryption.is_encrypted)
            return unexpected(setup_error{"no usable private key: " + detail::describe_key_text(pem)});
        if (is_unsupported || (!encryption.cipher.empty() && !detail::offers_cipher(encryption.cipher)))
            return unexpected(setup_error{
                "the private key is encrypted by an algorithm that OpenSSL does not offer here (old ones need its legacy "
                "provider); encrypt it anew by openssl pkey -aes256, or load that provider"});
        return unexpected(setup_error{"the encrypted private key does not open with this passphrase"});
    }

    /// \param der  PKCS#1 or PKCS#8
    static result<signing_key, setup_error> from_der(std::span<const std::byte> der, std::string_view key_id = {}) {
        return checked(detail::rsa_key::from_der(der), key_id);
    }

    /// Makes a new key of 2048 bits; takes from a tenth of a second to some seconds.
    static result<signing_key, setup_error> generate() { return checked(detail::rsa_key::generate(least_bits), {}); }

    /// The key as unencrypted PKCS#8 PEM: for a file that its owner alone reads.
    /// \par Errors
    /// `outage` when OpenSSL fails
    result<secret, outage> to_pem() const {
        std::string pem = key_->to_pem();
        secret kept(pem);
        wipe(pem.data(), pem.size());
        if (kept.empty()) return unexpected(outage{"the key could not be written as PEM"});
        return kept;
    }

    std::string_view key_id() const noexcept { return public_->kid; }
    /// The public half, for the JWK Set.
    const jwk& public_jwk() const noexcept { return *public_; }

    /// Signs each input; see `signer`.
    result<void, outage> sign(std::span<const std::string_view> inputs, std::span<signature> signatures) const {
        for (std::size_t i = 0; i != inputs.size(); ++i) {
            signatures[i].size_bytes = key_->sign(std::as_bytes(std::span<const char>(inputs[i])), signatures[i].bytes);
            if (signatures[i].size_bytes == 0) return unexpected(outage{"the RSA signature failed"});
        }
        return {};
    }

private:
    signing_key(detail::rsa_key key, jwk half)
        : key_(std::make_shared<const detail::rsa_key>(std::move(key))),
          public_(std::make_shared<const jwk>(std::move(half))) {}

    static result<signing_key, setup_error> checked(detail::rsa_key key, std::string_view key_id) {
        const auto fault = [](std::string message) { return unexpected(setup_error{std::move(message)}); };
        if (!key) return fault("no usable private key: not DER of one (PKCS#1 or PKCS#8), or encrypted");
        if (!key.is_rsa()) return fault("the signing key must be RSA");
        const auto bits = std::to_string(key.bits());
        if (key.bits() < least_bits) return fault("the signing key has " + bits + " bits; RS256 needs at least 2048");
        if (key.bits() > signature::most_bytes * 8)
            return fault("the signing key has " + bits + " bits; more than 8192 are not supported");
        if (!key.has_safe_exponent())
            return fault("the signing key's public exponent must be odd, at least 65537 and at most 64 bits long");
        if (!detail::is_utf8(key_id)) return fault("the signing key's id is not UTF-8");
        // Halves that do not match would only show at the clients, as signatures that do not verify.
        signature trial;
        const auto text = std::as_bytes(std::span<const char>(std::string_view("regrant")));
        trial.size_bytes = key.sign(text, trial.bytes);
        if (trial.size_bytes == 0 || !key.verify(text, trial.view()))
            return fault("the signing key is damaged: it does not verify its own signature");

        jwk half{base64url(key.modulus()), base64url(key.exponent()), std::string(key_id)};
        if (half.n.empty() || half.e.empty()) return fault("OpenSSL does not tell the public half of the signing key");
        if (half.kid.empty()) {
            auto name = thumbprint(half);
            if (!name) return fault(std::move(name).error().detail);
            half.kid = std::move(*name);
        }
        return signing_key(std::move(key), std::move(half));
    }

    std::shared_ptr<const detail::rsa_key> key_;
    std::shared_ptr<const jwk> public_;
};

} // namespace regrant::inline v0
