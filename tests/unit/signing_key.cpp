#include <regrant/signing_key.hpp>

#include "support/jwt_parts.hpp"
#include "support/rfc7515_key.hpp"

#include <doctest/doctest.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ui.h>
#include <openssl/x509.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using regrant::secret;
using regrant::signing_key;
using namespace support;
using rfc7515::key_ptr;
using rfc7515::written;

std::span<const std::byte> bytes_of_text(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string pkcs8_pem(EVP_PKEY* key, const char* passphrase = nullptr) {
    return written([&](BIO* to) {
        return PEM_write_bio_PKCS8PrivateKey(to, key, passphrase != nullptr ? EVP_aes_256_cbc() : nullptr, nullptr, 0,
                                             nullptr, const_cast<char*>(passphrase));
    });
}

/// PKCS#1 for RSA, SEC 1 for elliptic curves.
std::string traditional_pem(EVP_PKEY* key, const char* passphrase = nullptr) {
    return written([&](BIO* to) {
        return PEM_write_bio_PrivateKey_traditional(to, key, passphrase != nullptr ? EVP_aes_256_cbc() : nullptr,
                                                    nullptr, 0, nullptr, const_cast<char*>(passphrase));
    });
}

std::string pkcs8_der(EVP_PKEY* key) {
    return written([&](BIO* to) { return i2d_PKCS8PrivateKey_bio(to, key, nullptr, nullptr, 0, nullptr, nullptr); });
}

std::string encrypted_der(EVP_PKEY* key, const char* passphrase) {
    return written([&](BIO* to) {
        return i2d_PKCS8PrivateKey_bio(to, key, EVP_aes_256_cbc(), nullptr, 0, nullptr, const_cast<char*>(passphrase));
    });
}

std::string pkcs1_der(EVP_PKEY* key) {
    return written([&](BIO* to) { return i2d_PrivateKey_bio(to, key); });
}

std::string public_pem(EVP_PKEY* key) {
    return written([&](BIO* to) { return PEM_write_bio_PUBKEY(to, key); });
}

key_ptr elliptic() { return key_ptr(EVP_EC_gen("P-256")); }

/// Made for this run of the tests alone.
key_ptr rsa(unsigned bits, const char* type = "RSA") {
    EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr);
    EVP_PKEY* made = nullptr;
    EVP_PKEY_keygen_init(context);
    EVP_PKEY_CTX_set_rsa_keygen_bits(context, static_cast<int>(bits));
    EVP_PKEY_generate(context, &made);
    EVP_PKEY_CTX_free(context);
    REQUIRE(made != nullptr);
    return key_ptr(made);
}

/// Counts how often OpenSSL wants to ask somebody at the terminal.
class terminal_watch {
public:
    terminal_watch() : method_(UI_create_method("counts")), before_(UI_get_default_method()) {
        asked_ = 0;
        UI_method_set_opener(method_, [](UI*) { return ++asked_, 0; });
        UI_set_default_method(method_);
    }
    ~terminal_watch() {
        UI_set_default_method(before_);
        UI_destroy_method(method_);
    }
    terminal_watch(const terminal_watch&) = delete;
    terminal_watch& operator=(const terminal_watch&) = delete;

    static int asked() { return asked_; }

private:
    static inline int asked_ = 0;
    UI_METHOD* method_;
    const UI_METHOD* before_;
};

std::optional<std::string> signed_by(const signing_key& key, std::string_view text) {
    regrant::signature made;
    const std::string_view inputs[] = {text};
    if (!key.sign(inputs, std::span(&made, 1))) return std::nullopt;
    return std::string(reinterpret_cast<const char*>(made.view().data()), made.view().size());
}

void check_refused(const regrant::result<signing_key, regrant::setup_error>& made, std::string_view word) {
    REQUIRE_FALSE(made);
    CHECK_MESSAGE(made.error().message.find(word) != std::string::npos, made.error().message);
}

/// A directory of this test's own, gone when it ends.
class scratch {
public:
    scratch()
        : path_(std::filesystem::temp_directory_path() /
                ("regrant-test-" + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()))) {
        std::filesystem::create_directory(path_);
    }
    ~scratch() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;

    std::string file(const char* name, std::string_view content = {}) const {
        const std::string where = (path_ / name).string();
        std::ofstream(where, std::ios::binary) << content;
        return where;
    }

private:
    std::filesystem::path path_;
};

/// What `openssl dgst -sha256 -verify` says of a signature.
std::string dgst_verify(std::string_view key, std::string_view text, std::string_view signature) {
    const scratch files;
    const std::string answer = files.file("answer");
    const std::string command = "openssl dgst -sha256 -verify \"" + files.file("key.pem", key) + "\" -signature \"" +
                                files.file("signature", signature) + "\" \"" + files.file("text", text) + "\" > \"" +
                                answer + "\" 2>&1";
    const int code = std::system(command.c_str());
    std::ifstream from(answer);
    const std::string said{std::istreambuf_iterator<char>(from), {}};
    CHECK((code == 0) == said.starts_with("Verified OK"));
    return said;
}

} // namespace

TEST_CASE("a signing key is a signer") {
    static_assert(regrant::signer<signing_key>);
    static_assert(std::is_copy_constructible_v<signing_key>);
    static_assert(!std::is_default_constructible_v<signing_key>);
}

TEST_CASE("the standard's RS256 example comes out byte for byte (R97, 7515 A.2, 7518 3.3)") {
    const auto key = signing_key::from_pem(rfc7515::pem(), "rfc");
    REQUIRE(key);
    const auto made = signed_by(*key, rfc7515::signing_input);
    REQUIRE(made);
    CHECK(*made == base64url_bytes(rfc7515::signature));

    secret token(rfc7515::signing_input);
    REQUIRE(sign_jwts(*key, std::span(&token, 1)));
    CHECK(token.reveal() == std::string(rfc7515::signing_input) + '.' + std::string(rfc7515::signature));
}

TEST_CASE("the public half is the key's own, in base64url (R100, 7518 6.3.1)") {
    const auto key = signing_key::from_pem(rfc7515::pem(), "rfc");
    REQUIRE(key);
    CHECK(key->public_jwk().n == rfc7515::n);
    CHECK(key->public_jwk().e == "AQAB");
    CHECK(key->public_jwk().kid == "rfc");
    CHECK(key->key_id() == "rfc");
}

TEST_CASE("a key without a name is known by its thumbprint (R101, 7638)") {
    const auto key = signing_key::from_pem(rfc7515::pem());
    REQUIRE(key);
    CHECK(key->key_id() == *thumbprint(key->public_jwk()));
    CHECK(key->public_jwk().kid == key->key_id());
}

TEST_CASE("a token's signature verifies with openssl dgst, and with a byte changed it does not (R97)") {
    const auto key = signing_key::generate();
    REQUIRE(key);
    const auto token = encode_jwt(*key, regrant::jwt_claims().add("sub", "alice"));
    REQUIRE(token);
    const jwt_parts parts(token->reveal());
    CHECK(parts.header().at("kid").to_str() == key->key_id());

    // The public key is built from what the JWK Set publishes.
    const auto pem = key->to_pem();
    REQUIRE(pem);
    BIO* bio = BIO_new_mem_buf(pem->reveal().data(), static_cast<int>(pem->size()));
    const key_ptr same(PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr));
    BIO_free(bio);
    REQUIRE(same);
    CHECK(EVP_PKEY_get_bits(same.get()) == 2048);
    const std::string half = public_pem(same.get());
    CHECK(dgst_verify(half, parts.signing_input(), parts.signature) == "Verified OK\n");
    CHECK(dgst_verify(half, parts.signing_input() + "x", parts.signature) != "Verified OK\n");
}

TEST_CASE("a key is read as PKCS#1 and PKCS#8, as PEM and DER (R97)") {
    const key_ptr key = rfc7515::key();
    const std::string expected = base64url_bytes(rfc7515::signature);
    const std::string pems[] = {pkcs8_pem(key.get()), traditional_pem(key.get()),
                                "a note in front\n" + pkcs8_pem(key.get()) + "and one behind\n"};
    CHECK(pems[0].starts_with("-----BEGIN PRIVATE KEY-----"));
    CHECK(pems[1].starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    for (const std::string& pem : pems) {
        const auto made = signing_key::from_pem(pem);
        REQUIRE(made);
        CHECK(signed_by(*made, rfc7515::signing_input) == expected);
    }
    for (const std::string& der : {pkcs8_der(key.get()), pkcs1_der(key.get())}) {
        const auto made = signing_key::from_der(bytes_of_text(der), "der");
        REQUIRE(made);
        CHECK(made->key_id() == "der");
        CHECK(signed_by(*made, rfc7515::signing_input) == expected);
    }
}

TEST_CASE("DER that is cut or has something behind it is refused (R97)") {
    const key_ptr key = rfc7515::key();
    for (const std::string& der : {pkcs8_der(key.get()), pkcs1_der(key.get())}) {
        for (std::size_t size = 0; size < der.size(); size += size < 40 ? 1 : 61)
            CHECK_FALSE(signing_key::from_der(bytes_of_text(std::string_view(der).substr(0, size))));
        CHECK_FALSE(signing_key::from_der(bytes_of_text(std::string_view(der).substr(0, der.size() - 1))));
        for (const std::string& junk : {std::string(1, '\0'), std::string("x"), der})
            CHECK_FALSE(signing_key::from_der(bytes_of_text(der + junk)));
        CHECK_FALSE(signing_key::from_der(bytes_of_text('x' + der)));
    }
}

TEST_CASE("text that is no private key is refused (R97)") {
    const key_ptr key = rfc7515::key();
    const std::string pem = pkcs8_pem(key.get());
    for (const std::string& text : {std::string(), std::string("x"), std::string("-----BEGIN PRIVATE KEY-----"),
                                    pem.substr(0, pem.size() / 2), public_pem(key.get()), pkcs8_der(key.get())})
        check_refused(signing_key::from_pem(text), "private key");
    check_refused(signing_key::from_der(bytes_of_text(pem)), "private key");
    check_refused(signing_key::from_der({}), "private key");
}

TEST_CASE("a text that is no usable private key is named for what it holds (R97, R247)") {
    const key_ptr key = rfc7515::key();
    const std::string pem = pkcs8_pem(key.get());
    const auto message = [](std::string_view text) {
        const auto refused = signing_key::from_pem(text);
        REQUIRE_FALSE(refused);
        return refused.error().message;
    };
    struct {
        std::string text;
        std::string words;
    } const rows[] = {
        {"", "the text is empty"},
        {" \r\n", "the text is empty"},
        {public_pem(key.get()), "found PUBLIC KEY, which cannot sign"},
        {"-----BEGIN RSA PUBLIC KEY-----\nMA==\n-----END RSA PUBLIC KEY-----\n", "which cannot sign"},
        {"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n", "its private key stands in another file"},
        {"-----BEGIN CERTIFICATE REQUEST-----\nMA==\n-----END CERTIFICATE REQUEST-----\n", "in another file"},
        {"-----BEGIN OPENSSH PRIVATE KEY-----\nMA==\n-----END OPENSSH PRIVATE KEY-----\n", "ssh-keygen -p -m PKCS8"},
        {"-----BEGIN PGP PRIVATE KEY BLOCK-----\nMA==\n-----END PGP PRIVATE KEY BLOCK-----\n", "PGP PRIVATE KEY BLOCK"},
        {pem.substr(0, pem.size() / 2), "the text is cut"},
        {"-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n", "damaged"},
        {"PuTTY-User-Key-File-3: ssh-rsa\n", "PuTTY"},
        {"ssh-rsa AAAAB3NzaC1yc2E= me@here", "public key of SSH"},
        {" \n\t\rssh-ed25519 AAAA me@here", "public key of SSH"},
        {"ecdsa-sha2-nistp256 AAAA me@here", "public key of SSH"},
        {R"({"kty":"RSA"})", "JWK"},
        {std::string("\xFF\xFE-\0", 4), "UTF-16"},
        {std::string("\xFE\xFF\0-", 4), "UTF-16"},
        {"-----BEGIN " + std::string(64, 'A') + "B-----\n", "found " + std::string(64, 'A') + "; expected"},
        {pkcs8_der(key.get()), "DER"},
        {"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "no -----BEGIN line"},
        {pkcs8_pem(key.get(), "right"), "encrypted, and no passphrase was given"},
        {traditional_pem(key.get(), "right"), "encrypted, and no passphrase was given"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.words);
        const std::string told = message(row.text);
        CAPTURE(told);
        CHECK(told.find(row.words) != std::string::npos);
    }
}

TEST_CASE("an algorithm that OpenSSL does not offer is told from a wrong passphrase (R247)") {
    const key_ptr key = rfc7515::key();
    // What the ciphers of such keys look like; no OpenSSL 3 without its legacy provider reads them.
    const std::string old_pem = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-CBC,3A35F9AE089777F1\n\n"
                                "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END RSA PRIVATE KEY-----\n";
    // PKCS#8 by pbeWithMD5AndDES-CBC: a salt, 2048 rounds, sixteen bytes.
    const std::string old_pkcs8 = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                  "MC8wGwYJKoZIhvcNAQUDMA4ECAECAwQFBgcIAgIIAAQQAAECAwQFBgcICQoLDA0ODw==\n"
                                  "-----END ENCRYPTED PRIVATE KEY-----\n";
    for (const std::string& text : {old_pem, old_pkcs8})
        check_refused(signing_key::from_encrypted_pem(text, secret("right")), "does not offer");
    for (const std::string& text : {pkcs8_pem(key.get(), "right"), traditional_pem(key.get(), "right")})
        check_refused(signing_key::from_encrypted_pem(text, secret("wrong")), "does not open with this passphrase");
    check_refused(signing_key::from_encrypted_pem(public_pem(key.get()), secret("right")), "cannot sign");
    const auto plain = signing_key::from_encrypted_pem(pkcs8_pem(key.get()), secret("unused"));
    CHECK(plain);
}

TEST_CASE("a key under 2048 bits is refused when it is loaded (R97, 7518 3.3)") {
    for (const unsigned bits : {1024U, 2047U}) {
        const key_ptr small = rsa(bits);
        check_refused(signing_key::from_pem(pkcs8_pem(small.get())), std::to_string(bits));
        check_refused(signing_key::from_der(bytes_of_text(pkcs1_der(small.get()))), std::to_string(bits));
    }
}

TEST_CASE("a public exponent that is even, under 65537 or over 64 bits is refused, as PEM and DER (R97, 8017 3.1)") {
    const key_ptr good = rfc7515::key();
    // Of the exponent 1 the private one is 1: such a key signs, and verifies what it signed.
    const auto with_exponent = [&](std::string_view hexadecimal) {
        BIGNUM* exponent = nullptr;
        REQUIRE(BN_hex2bn(&exponent, std::string(hexadecimal).c_str()) != 0);
        OSSL_PARAM_BLD* parts = OSSL_PARAM_BLD_new();
        std::vector<BIGNUM*> numbers{exponent};
        for (const char* name : {"n", "rsa-factor1", "rsa-factor2", "rsa-coefficient1"}) {
            BIGNUM* number = nullptr;
            REQUIRE(EVP_PKEY_get_bn_param(good.get(), name, &number) == 1);
            OSSL_PARAM_BLD_push_BN(parts, name, number);
            numbers.push_back(number);
        }
        for (const char* name : {"e", "d", "rsa-exponent1", "rsa-exponent2"})
            OSSL_PARAM_BLD_push_BN(parts, name, exponent);
        OSSL_PARAM* params = OSSL_PARAM_BLD_to_param(parts);
        EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr);
        EVP_PKEY* made = nullptr;
        EVP_PKEY_fromdata_init(context);
        EVP_PKEY_fromdata(context, &made, EVP_PKEY_KEYPAIR, params);
        EVP_PKEY_CTX_free(context);
        OSSL_PARAM_free(params);
        OSSL_PARAM_BLD_free(parts);
        for (BIGNUM* number : numbers) BN_free(number);
        REQUIRE(made != nullptr);
        return key_ptr(made);
    };
    for (const std::string_view exponent : {"1", "3", "11", "FFFF", "10000", "10002", "10000000000000001"}) {
        CAPTURE(exponent);
        const key_ptr key = with_exponent(exponent);
        check_refused(signing_key::from_pem(pkcs8_pem(key.get())), "exponent");
        check_refused(signing_key::from_der(bytes_of_text(pkcs8_der(key.get()))), "exponent");
    }
    using regrant::detail::is_safe_rsa_exponent;
    using namespace std::string_view_literals;
    for (const std::string_view safe : {"\x01\x00\x01"sv, "\0\0\x01\x00\x01"sv, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"sv})
        CHECK(is_safe_rsa_exponent(safe));
    for (const std::string_view unsafe : {""sv, "\0"sv, "\x01"sv, "\x01\x00\x00"sv, "\xFF\xFF"sv,
                                          "\x01\x00\x00\x00\x00\x00\x00\x00\x01"sv})
        CHECK_FALSE(is_safe_rsa_exponent(unsafe));
}

TEST_CASE("a key id that is not UTF-8 is refused, for no header could carry it (R97, 7515 2)") {
    const std::string pem = pkcs8_pem(rfc7515::key().get());
    CHECK(signing_key::from_pem(pem, "k\xC3\xA4y"));
    check_refused(signing_key::from_pem(pem, "k\xE4y"), "UTF-8");
}

TEST_CASE("a key that is not RSA is refused (R97)") {
    const key_ptr curve = elliptic();
    check_refused(signing_key::from_pem(pkcs8_pem(curve.get())), "RSA");
    check_refused(signing_key::from_pem(traditional_pem(curve.get())), "RSA");
    check_refused(signing_key::from_der(bytes_of_text(pkcs8_der(curve.get()))), "RSA");
    // A key for RSASSA-PSS must not sign by the older scheme (RFC 8017 A.2.3).
    const key_ptr pss = rsa(2048, "RSA-PSS");
    check_refused(signing_key::from_pem(pkcs8_pem(pss.get())), "RSA");
}

TEST_CASE("a key whose halves do not match is refused, not published (R97)") {
    const key_ptr damaged = rfc7515::key(2);
    check_refused(signing_key::from_pem(pkcs8_pem(damaged.get())), "damaged");
    check_refused(signing_key::from_der(bytes_of_text(pkcs1_der(damaged.get()))), "damaged");
}

TEST_CASE("an encrypted PEM opens with its passphrase alone, and nobody is asked at the terminal (R97)") {
    const terminal_watch watch;
    const key_ptr key = rfc7515::key();
    for (const std::string& pem : {pkcs8_pem(key.get(), "right"), traditional_pem(key.get(), "right")}) {
        CHECK(pem.find("ENCRYPTED") != std::string::npos);
        const auto made = signing_key::from_encrypted_pem(pem, secret("right"), "kid");
        REQUIRE(made);
        CHECK(made->public_jwk().n == rfc7515::n);
        CHECK(made->key_id() == "kid");

        check_refused(signing_key::from_pem(pem), "encrypted");
        for (const std::string& wrong : {std::string("wrong"), std::string(), std::string("righ"),
                                         std::string("right\n"), std::string(5000, 'x')})
            check_refused(signing_key::from_encrypted_pem(pem, secret(wrong)), "passphrase");
    }
    CHECK_FALSE(signing_key::from_der(bytes_of_text(encrypted_der(key.get(), "right"))));
    CHECK(terminal_watch::asked() == 0);
}

TEST_CASE("a passphrase is not needed for a PEM that is not encrypted") {
    CHECK(signing_key::from_encrypted_pem(rfc7515::pem(), secret("any")));
}

TEST_CASE("OpenSSL's error queue is left as it was: the host's TLS reads it too (R97)") {
    const key_ptr key = rfc7515::key();
    const std::string encrypted = pkcs8_pem(key.get(), "right");
    const std::string small = pkcs8_pem(rsa(1024).get());
    const std::string damaged = pkcs8_pem(rfc7515::key(2).get());
    const std::string good = rfc7515::pem();
    ERR_clear_error();
    for (const bool host_error : {false, true}) {
        if (host_error) ERR_raise(ERR_LIB_USER, 42);
        CHECK_FALSE(signing_key::from_pem("junk"));
        CHECK_FALSE(signing_key::from_pem(encrypted));
        CHECK_FALSE(signing_key::from_encrypted_pem(encrypted, secret("wrong")));
        CHECK_FALSE(signing_key::from_pem(small));
        CHECK_FALSE(signing_key::from_pem(damaged));
        CHECK_FALSE(signing_key::from_der(bytes_of_text("junk")));
        const auto made = signing_key::from_pem(good);
        REQUIRE(made);
        CHECK(signed_by(*made, "text").has_value());
        CHECK(made->to_pem());
        if (host_error) CHECK(ERR_GET_REASON(ERR_get_error()) == 42);
        CHECK(ERR_get_error() == 0);
    }
}

TEST_CASE("a key written as PEM is the key that is read again") {
    const auto key = signing_key::from_pem(rfc7515::pem());
    REQUIRE(key);
    const auto pem = key->to_pem();
    REQUIRE(pem);
    CHECK(pem->reveal() == rfc7515::pem());
}

TEST_CASE("two inputs get two signatures, each in its place (7515 5.1)") {
    const auto key = signing_key::from_pem(rfc7515::pem());
    REQUIRE(key);
    const std::string_view inputs[] = {"other", rfc7515::signing_input};
    regrant::signature made[2];
    REQUIRE(key->sign(inputs, made));
    CHECK(regrant::base64url(made[1].view()) == rfc7515::signature);
    CHECK(made[0].size_bytes == 256);
    CHECK(regrant::base64url(made[0].view()) != rfc7515::signature);
}
