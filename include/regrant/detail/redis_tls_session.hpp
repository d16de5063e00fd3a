// regrant/detail/redis_tls_session.hpp - TLS for a connection to Redis, as bytes in, bytes out.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "../result.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace regrant::inline v0::detail {

/// TLS of one connection. It does no I/O, so the blocking and the awaited store share it.
/// `<regrant/store/redis_tls.hpp>` implements it; no other header needs libssl.
class redis_tls_session {
public:
    redis_tls_session() noexcept = default;
    redis_tls_session(const redis_tls_session&) = delete;
    redis_tls_session& operator=(const redis_tls_session&) = delete;
    virtual ~redis_tls_session() = default;

    /// Goes on with the handshake, as far as the bytes received allow.
    /// \return whether it is over: the server's certificate and name were verified
    virtual result<bool, std::string> shake_hands() = 0;
    /// \return false for want of memory
    virtual bool received(std::string_view ciphertext) = 0;
    /// What to send now; each byte is given once.
    virtual std::string to_send() = 0;
    /// Encrypts a text, for `to_send`.
    virtual result<void, std::string> encrypt(std::string_view text) = 0;
    /// \return how many bytes were written to `text`; 0 until more ciphertext comes
    virtual result<std::size_t, std::string> decrypt(std::span<char> text) = 0;
};

/// Begins the TLS of connections.
class redis_tls_client {
public:
    redis_tls_client() noexcept = default;
    redis_tls_client(const redis_tls_client&) = delete;
    redis_tls_client& operator=(const redis_tls_client&) = delete;
    virtual ~redis_tls_client() = default;

    /// \param host  the name or number that the server's certificate must be for
    virtual result<std::unique_ptr<redis_tls_session>, std::string> begin(const std::string& host) const = 0;
};

} // namespace regrant::inline v0::detail
