// tests/fuzz/keys.cpp - a text that is accepted as a signing key is RSA of 2048 to 8192 bits, whose signature verifies.
// SPDX-License-Identifier: MIT
//
// The input: a letter for a key that is made when the program starts, then edits of its text, see `edited`. A text that
// starts otherwise is tried as it is. No private key stands in the corpus.
#include "target.hpp"

#include <regrant/signing_key.hpp>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <array>
#include <memory>
#include <span>

namespace {

using key_ptr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using bio_ptr = std::unique_ptr<BIO, decltype(&BIO_free_all)>;

constexpr std::string_view passphrase = "swordfish";

template <class Write> std::string written(Write write) {
    const bio_ptr bio(BIO_new(BIO_s_mem()), BIO_free_all);
    fuzz::require(write(bio.get()) == 1, "OpenSSL writes the key");
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

/// The texts of the keys, by their letters from 'A' on.
const std::vector<std::string>& seeds() {
    static const std::vector<std::string> all = [] {
        std::vector<std::string> texts;
        const auto add = [&](EVP_PKEY* made, bool is_small) {
            const key_ptr key(made, EVP_PKEY_free);
            fuzz::require(key != nullptr, "OpenSSL makes a key");
            const int length = static_cast<int>(passphrase.size());
            const auto* word = reinterpret_cast<const unsigned char*>(passphrase.data());
            texts.push_back(written([&](BIO* to) {
                return PEM_write_bio_PrivateKey(to, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
            }));
            texts.push_back(written([&](BIO* to) {
                return i2d_PKCS8PrivateKey_bio(to, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
            }));
            texts.push_back(written([&](BIO* to) { return i2d_PrivateKey_bio(to, key.get()); }));
            if (is_small) return;
            texts.push_back(written([&](BIO* to) {
                return PEM_write_bio_PrivateKey_traditional(to, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
            }));
            texts.push_back(written([&](BIO* to) {
                return PEM_write_bio_PrivateKey_traditional(to, key.get(), EVP_aes_128_cbc(), word, length, nullptr,
                                                            nullptr);
            }));
            texts.push_back(written([&](BIO* to) {
                return PEM_write_bio_PKCS8PrivateKey(to, key.get(), EVP_aes_128_cbc(), passphrase.data(), length,
                                                     nullptr, nullptr);
            }));
            texts.push_back(written([&](BIO* to) { return PEM_write_bio_PUBKEY(to, key.get()); }));
        };
        add(EVP_RSA_gen(2048), false);
        add(EVP_RSA_gen(1024), true);
        add(EVP_RSA_gen(2047), true);
        add(EVP_EC_gen("P-256"), true);
        return texts;
    }();
    return all;
}

std::string edited(std::string text, const std::string& edits) {
    for (std::size_t i = 0; i + 3 < edits.size(); i += 4) {
        const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(edits[i + k]); };
        const std::size_t at = (byte(1) * 256U + byte(2)) % (text.size() + 1);
        switch (edits[i]) {
        case 'c': text.resize(at); break;
        case 'i': text.insert(at, 1, edits[i + 3]); break;
        case 'd': text.erase(at, byte(3)); break;
        case 'a': text += seeds()[byte(3) % seeds().size()]; break;
        case 'p': text = seeds()[byte(3) % seeds().size()].substr(0, at) + text; break;
        case 'x':
            if (at < text.size()) text[at] = static_cast<char>(text[at] ^ edits[i + 3]);
            break;
        default:
            if (at < text.size()) text[at] = edits[i + 3];
            break;
        }
    }
    return text;
}

/// An iteration count of millions is legal, and its PBKDF2 takes minutes; the operator's own key costs its owner no
/// attack, so such a text is left out. Any INTEGER of three bytes or more in the parameters counts as one.
bool is_slow_to_open(const std::string& pem) {
    const bio_ptr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free_all);
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* bytes = nullptr;
    long size = 0;
    bool slow = false;
    while (PEM_read_bio(bio.get(), &name, &header, &bytes, &size) == 1) {
        const unsigned char* at = bytes;
        X509_SIG* sealed = d2i_X509_SIG(nullptr, &at, size);
        if (sealed != nullptr) {
            const X509_ALGOR* algorithm = nullptr;
            X509_SIG_get0(sealed, &algorithm, nullptr);
            unsigned char* der = nullptr;
            const int length = i2d_X509_ALGOR(algorithm, &der);
            for (int i = 0; i + 1 < length; ++i)
                slow = slow || (der[i] == 0x02 && der[i + 1] >= 3 && der[i + 1] < 0x88);
            OPENSSL_free(der);
            X509_SIG_free(sealed);
        }
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(bytes);
    }
    ERR_clear_error();
    return slow;
}

/// A key is used as an issuer would: the signature must verify under the public half that is published.
void judge(const regrant::result<regrant::signing_key, regrant::setup_error>& key) {
    if (!key) return fuzz::require(!key.error().message.empty(), "a refusal says why");
    std::string modulus(1100, '\0');
    const std::string& n = key->public_jwk().n;
    const std::size_t bytes = n.size() * 3 / 4;
    fuzz::require(bytes <= 1024, "at most 8192 bits");
    fuzz::require(regrant::base64url_decode(n, std::as_writable_bytes(std::span(modulus.data(), bytes))),
                  "n is base64url");
    fuzz::require(bytes > 256 || (bytes == 256 && (static_cast<unsigned char>(modulus[0]) & 0x80) != 0),
                  "at least 2048 bits (R97)");

    const std::string_view text = "any text";
    std::array<regrant::signature, 1> made;
    fuzz::require(key->sign(std::span(&text, 1), made).has_value(), "an accepted key signs");
    fuzz::require(made[0].size_bytes == bytes, "with as many bytes as it has");
    const auto pem = key->to_pem();
    fuzz::require(pem.has_value() && regrant::signing_key::from_pem(pem->reveal()).has_value(),
                  "it comes back from PEM");
    const bio_ptr bio(BIO_new_mem_buf(pem->reveal().data(), static_cast<int>(pem->size())), BIO_free_all);
    const key_ptr plainly(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
    fuzz::require(plainly != nullptr && EVP_PKEY_get_bits(plainly.get()) >= 2048, "2048 bits by OpenSSL's own count");
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    fuzz::require(EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, plainly.get()) == 1 &&
                      EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(made[0].view().data()),
                                       made[0].size_bytes, reinterpret_cast<const unsigned char*>(text.data()),
                                       text.size()) == 1,
                  "and its signature verifies (R97)");
}

} // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    for (std::size_t i = 0; i < seeds().size(); ++i) {
        const std::string& text = seeds()[i];
        const auto bytes = std::as_bytes(std::span(text));
        const bool good = regrant::signing_key::from_pem(text).has_value() ||
                          regrant::signing_key::from_der(bytes).has_value() ||
                          regrant::signing_key::from_encrypted_pem(text, regrant::secret(passphrase)).has_value();
        // The first six are the good key in its six forms; the seventh is its public half.
        fuzz::require(good == (i < 6), "the key made for it is accepted, the others are not");
    }
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const std::string input = fuzz::text(bytes, size);
    std::string text = input;
    if (!input.empty() && input[0] >= 'A' && static_cast<std::size_t>(input[0] - 'A') < seeds().size())
        text = edited(seeds()[static_cast<std::size_t>(input[0] - 'A')], input.substr(1));
    judge(regrant::signing_key::from_der(std::as_bytes(std::span(text))));
    if (is_slow_to_open(text)) return 0;
    judge(regrant::signing_key::from_pem(text));
    judge(regrant::signing_key::from_encrypted_pem(text, regrant::secret(passphrase)));
    fuzz::require(ERR_peek_error() == 0, "nothing is left in OpenSSL's error queue");
    return 0;
}
