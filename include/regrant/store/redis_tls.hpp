// regrant/store/redis_tls.hpp - TLS for the Redis stores, by OpenSSL's libssl.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../detail/openssl.hpp"
#include "../detail/redis_tls_session.hpp"
#include "../error.hpp"
#include "../result.hpp"
#include "../secret.hpp"
#include "redis.hpp"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace regrant::inline v0 {

struct redis_tls_settings {
    /// A PEM file with the certificates of the authorities that sign the servers' certificates. Empty: the system's.
    std::string ca_file{};
    /// PEM files with the client's certificate, its chain behind it, and its key, for servers with `tls-auth-clients
    /// yes`.
    std::string certificate_file{}, key_file{};
    /// Opens the key file, if it is encrypted.
    secret key_passphrase{};
    /// The name that every server's certificate must be for. Empty: the host of each server, as the URL, the cluster or
    /// the Sentinels name it.
    std::string server_name{};
};

namespace detail {

using ssl_context_ptr = openssl_ptr<SSL_CTX, SSL_CTX_free>;
using ssl_ptr = openssl_ptr<SSL, SSL_free>;

/// The reason of the first error in the thread's queue, which is left empty.
inline std::string tls_reason() {
    const char* const words = ERR_reason_error_string(ERR_peek_error());
    std::string reason = words == nullptr ? "an error without a name" : words;
    ERR_clear_error();
    return reason;
}

class openssl_redis_session final : public redis_tls_session {
public:
    /// \param made  for a client, with what it shall verify
    openssl_redis_session(ssl_ptr made, std::string name) noexcept
        : ssl_(std::move(made)), name_(std::move(name)), in_(SSL_get_rbio(ssl_.get())), out_(SSL_get_wbio(ssl_.get())) {
    }

    result<bool, std::string> shake_hands() override {
        ERR_clear_error();
        const int outcome = SSL_do_handshake(ssl_.get());
        if (outcome == 1 && SSL_get_verify_result(ssl_.get()) == X509_V_OK) return true;
        if (outcome != 1 && SSL_get_error(ssl_.get(), outcome) == SSL_ERROR_WANT_READ) return false;
        const long verdict = SSL_get_verify_result(ssl_.get());
        if (verdict == X509_V_OK) return unexpected("TLS: " + tls_reason());
        ERR_clear_error();
        return unexpected("TLS: the certificate of the server, which must be for " + name_ +
                          ", is refused: " + X509_verify_cert_error_string(verdict));
    }

    bool received(std::string_view ciphertext) override {
        return BIO_write(in_, ciphertext.data(), static_cast<int>(ciphertext.size())) ==
               static_cast<int>(ciphertext.size());
    }

    std::string to_send() override {
        std::string ciphertext(BIO_ctrl_pending(out_), '\0');
        if (!ciphertext.empty()) BIO_read(out_, ciphertext.data(), static_cast<int>(ciphertext.size()));
        return ciphertext;
    }

    result<void, std::string> encrypt(std::string_view text) override {
        ERR_clear_error();
        std::size_t written = 0;
        if (text.empty() || SSL_write_ex(ssl_.get(), text.data(), text.size(), &written) == 1) return {};
        return unexpected("TLS: " + tls_reason());
    }

    result<std::size_t, std::string> decrypt(std::span<char> text) override {
        ERR_clear_error();
        std::size_t read = 0;
        const int outcome = SSL_read_ex(ssl_.get(), text.data(), text.size(), &read);
        if (outcome == 1) return read;
        const int why = SSL_get_error(ssl_.get(), outcome);
        if (why == SSL_ERROR_WANT_READ) return std::size_t{0};
        if (why == SSL_ERROR_ZERO_RETURN) return unexpected(std::string("the server closed the connection"));
        return unexpected("TLS: " + tls_reason());
    }

private:
    ssl_ptr ssl_;
    std::string name_;
    // The session's.
    BIO *in_, *out_;
};

class openssl_redis_client final : public redis_tls_client {
public:
    openssl_redis_client(ssl_context_ptr context, std::string name) noexcept
        : context_(std::move(context)), name_(std::move(name)) {}

    result<std::unique_ptr<redis_tls_session>, std::string> begin(const std::string& host) const override {
        ERR_clear_error();
        const std::string& name = name_.empty() ? host : name_;
        ssl_ptr made(SSL_new(context_.get()));
        bio_ptr in(BIO_new(BIO_s_mem())), out(BIO_new(BIO_s_mem()));
        if (!made || !in || !out) return unexpected("TLS: " + tls_reason());
        SSL_set_bio(made.get(), in.release(), out.release());
        SSL_set_connect_state(made.get());
        SSL_set_hostflags(made.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        // RFC 6066 3: a number is not sent as the server's name.
        if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(made.get()), name.c_str()) != 1 &&
            (SSL_set1_host(made.get(), name.c_str()) != 1 || !announce(*made, name)))
            return unexpected("TLS: " + name + " cannot be the name of a server");
        ERR_clear_error();
        return std::make_unique<openssl_redis_session>(std::move(made), name);
    }

private:
    static bool announce(SSL& to, const std::string& name) {
        // What SSL_set_tlsext_host_name does, without its cast.
        std::string text = name;
        return SSL_ctrl(&to, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, text.data()) == 1;
    }

    ssl_context_ptr context_;
    std::string name_;
};

/// The passphrase, or nothing: without this OpenSSL would ask at the terminal.
inline int give_passphrase(char* into, int room, int, void* settings) {
    const auto text = static_cast<const redis_tls_settings*>(settings)->key_passphrase.reveal();
    if (room < 0 || text.size() > static_cast<std::size_t>(room)) return -1;
    if (!text.empty()) std::memcpy(into, text.data(), text.size());
    return static_cast<int>(text.size());
}

} // namespace detail

/// What `redis_settings::tls` takes, for `rediss://`, blocking or awaited. Link libssl: `regrant::redis_tls` in CMake.
///
///     auto tls = regrant::redis_tls({.ca_file = "redis-ca.pem"});
///     if (!tls) return fail(tls.error().message);
///     auto store = regrant::redis_store::open("rediss://login:password@redis.example", {.tls = *tls});
///
/// TLS 1.2 or later. The server's certificate and its name are always verified, before anything else is sent. The files
/// are read once: a store keeps its client certificate until it is opened anew.
///
/// \par Errors
/// a file that cannot be read or holds something else; a certificate without its key, or with another's
inline result<std::shared_ptr<const detail::redis_tls_client>, setup_error> redis_tls(redis_tls_settings settings) {
    const auto refuse = [](const std::string& what) {
        return unexpected(setup_error{"TLS for Redis: " + what + ": " + detail::tls_reason()});
    };
    ERR_clear_error();
    detail::ssl_context_ptr context(SSL_CTX_new(TLS_client_method()));
    if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1)
        return refuse("OpenSSL does not offer TLS 1.2");
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    const bool has_authorities = settings.ca_file.empty()
                                     ? SSL_CTX_set_default_verify_paths(context.get()) == 1
                                     : SSL_CTX_load_verify_file(context.get(), settings.ca_file.c_str()) == 1;
    if (!has_authorities)
        return refuse(settings.ca_file.empty() ? "the system's authorities cannot be read"
                                               : "ca_file " + settings.ca_file + " cannot be read");
    if (settings.certificate_file.empty() != settings.key_file.empty())
        return unexpected(setup_error{"TLS for Redis: certificate_file and key_file need each other"});
    if (!settings.key_file.empty()) {
        SSL_CTX_set_default_passwd_cb(context.get(), detail::give_passphrase);
        SSL_CTX_set_default_passwd_cb_userdata(context.get(), &settings);
        if (SSL_CTX_use_certificate_chain_file(context.get(), settings.certificate_file.c_str()) != 1)
            return refuse("certificate_file " + settings.certificate_file + " cannot be read");
        if (SSL_CTX_use_PrivateKey_file(context.get(), settings.key_file.c_str(), SSL_FILETYPE_PEM) != 1)
            return refuse("key_file " + settings.key_file + " cannot be read, or is not the certificate's");
        SSL_CTX_set_default_passwd_cb_userdata(context.get(), nullptr);
        SSL_CTX_set_default_passwd_cb(context.get(), nullptr);
    }
    ERR_clear_error();
    return std::make_shared<const detail::openssl_redis_client>(std::move(context), std::move(settings.server_name));
}

} // namespace regrant::inline v0
