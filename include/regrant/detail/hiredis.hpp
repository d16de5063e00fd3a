// regrant/detail/hiredis.hpp - the one room where hiredis lives.
// floor 2
// SPDX-License-Identifier: MIT
#pragma once

#include "../result.hpp"
#include "../secret.hpp"
#include "redis_tls_session.hpp"
#include "redis_url.hpp"

#include <hiredis/hiredis.h>

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0::detail {

using redis_time = std::chrono::steady_clock::time_point;

struct redis_free {
    void operator()(redisContext* context) const noexcept { redisFree(context); }
    void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
    void operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }
};

/// What a server answered: a view of a reply, or of an element of one.
class redis_value {
public:
    explicit redis_value(const redisReply* at) noexcept : at_(at) {}

    bool is_error() const noexcept { return at_->type == REDIS_REPLY_ERROR; }
    bool is_nil() const noexcept { return at_->type == REDIS_REPLY_NIL; }
    bool is_integer() const noexcept { return at_->type == REDIS_REPLY_INTEGER; }
    bool is_array() const noexcept { return at_->type == REDIS_REPLY_ARRAY; }
    bool is_text() const noexcept { return at_->type == REDIS_REPLY_STRING || at_->type == REDIS_REPLY_STATUS; }

    std::int64_t integer() const noexcept { return is_integer() ? at_->integer : -1; }
    /// The words of an error, too.
    std::string_view text() const noexcept {
        return is_text() || is_error() ? std::string_view(at_->str, at_->len) : std::string_view();
    }
    std::size_t size() const noexcept { return is_array() ? at_->elements : 0; }
    /// \pre i < size()
    redis_value operator[](std::size_t i) const noexcept { return redis_value(at_->element[i]); }

private:
    const redisReply* at_;
};

/// A whole reply, owned.
class redis_reply {
public:
    explicit redis_reply(redisReply* owned) noexcept : owned_(owned) {}
    redis_value operator*() const noexcept { return redis_value(owned_.get()); }

private:
    std::unique_ptr<redisReply, redis_free> owned_;
};

/// Makes replies of bytes that somebody else has read.
class redis_reader {
public:
    redis_reader() noexcept : raw_(redisReaderCreate()) {}

    /// \return false for want of memory
    bool feed(std::string_view bytes) noexcept {
        return raw_ && redisReaderFeed(raw_.get(), bytes.data(), bytes.size()) == REDIS_OK;
    }
    /// \return nothing as long as one is not whole
    result<std::optional<redis_reply>, std::string> next() {
        void* read = nullptr;
        if (!raw_ || redisReaderGetReply(raw_.get(), &read) != REDIS_OK)
            return unexpected(std::string(raw_ ? raw_->errstr : "out of memory"));
        if (read == nullptr) return std::nullopt;
        return std::optional(redis_reply(static_cast<redisReply*>(read)));
    }

private:
    std::unique_ptr<redisReader, redis_free> raw_;
};

/// A command as it goes over the wire; it may hold a password, so it is wiped.
inline secret redis_command(std::span<const std::string_view> words) {
    secret bytes;
    bytes.append("*" + std::to_string(words.size()) + "\r\n");
    for (const std::string_view word : words) {
        bytes.append("$" + std::to_string(word.size()) + "\r\n");
        bytes.append(word);
        bytes.append("\r\n");
    }
    return bytes;
}

inline secret redis_command(std::initializer_list<std::string_view> words) {
    return redis_command(std::span(words.begin(), words.size()));
}

/// \param user  empty for the server's default user
inline secret redis_login(std::string_view user, const secret& password) {
    if (user.empty()) return redis_command({"AUTH", password.reveal()});
    return redis_command({"AUTH", user, password.reveal()});
}

/// What is said first on each connection: at least one command. A server that has no room for another client takes the
/// connection and says so in answer to the first command, which must not be one that may have acted.
inline std::vector<secret> redis_greeting(const redis_url& to) {
    std::vector<secret> all;
    if (to.password) all.push_back(redis_login(to.user, *to.password));
    if (to.database != 0) all.push_back(redis_command({"SELECT", std::to_string(to.database)}));
    if (all.empty()) all.push_back(redis_command({"PING"}));
    return all;
}

/// A server's words that refuse a greeting. One that does not know AUTH goes on to quote what stood behind it.
inline std::string redis_refusal(redis_value error) {
    return std::string(error.text().substr(0, error.text().find(", with args")));
}

/// Why there is no answer.
struct redis_failure {
    enum class reach : std::uint8_t {
        /// The server never had the whole command, so it cannot have acted.
        not_sent,
        /// It may have acted, or not, or be about to.
        sent,
    } how_far;
    std::string what;
};

/// The master that connections were made to. One of an earlier master is not used again: that server may have been cut
/// off, and answer from what it had then.
class redis_reign {
public:
    redis_reign() noexcept = default;
    redis_reign(const std::atomic<std::uint64_t>& current) noexcept : current_(&current), mine_(current) {}
    bool is_over() const noexcept { return current_ != nullptr && *current_ != mine_; }

private:
    const std::atomic<std::uint64_t>* current_ = nullptr;
    std::uint64_t mine_ = 0;
};

/// A connection, for one thread at a time. Whatever goes wrong closes it for good.
///
/// hiredis connects and reads replies. Bytes go past it: it writes without MSG_NOSIGNAL, and a server that has gone
/// away would end the host's process by SIGPIPE.
class redis_connection {
public:
    redis_connection() noexcept = default;

    /// \param tls  null for none; nothing but its handshake is sent before the server is verified
    static result<redis_connection, std::string> open(const redis_address& to, const redis_tls_client* tls,
                                                      redis_time until) {
        redis_connection made;
        timeval left{};
        if (!until_then(until, left)) return unexpected(std::string("no time was left to connect"));
        const bool is_tcp = to.how == redis_address::kind::tcp;
        // Resolving a name is outside of every timeout here; the system's resolver has its own.
        made.context_.reset(is_tcp ? redisConnectWithTimeout(to.host.c_str(), to.port, left)
                                   : redisConnectUnixWithTimeout(to.host.c_str(), left));
        if (!made.context_) return unexpected(std::string("out of memory"));
        if (made.context_->err != 0) return unexpected(made.words());
        ::fcntl(made.fd(), F_SETFD, FD_CLOEXEC);
#ifdef SO_NOSIGPIPE
        const int on = 1;
        ::setsockopt(made.fd(), SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
        if (is_tcp) redisEnableKeepAlive(made.context_.get());
        if (made.context_->err != 0) return unexpected(made.words());
        if (tls != nullptr)
            if (auto why = made.secure(*tls, to.host, until)) return unexpected(*std::move(why));
        return made;
    }

    bool is_open() const noexcept { return context_ != nullptr; }
    void close() noexcept { context_.reset(); }
    void belongs_to(redis_reign master) noexcept { reign_ = master; }

    /// Whether nothing speaks against using it again: a server that was restarted since has closed it.
    bool still_open() const noexcept {
        char byte = 0;
        return is_open() && !reign_.is_over() && ::recv(fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
               (errno == EAGAIN || errno == EWOULDBLOCK);
    }

    result<redis_reply, redis_failure> call(std::string_view bytes, redis_time until) {
        auto answers = call_all(bytes, 1, until);
        if (!answers) return unexpected(std::move(answers).error());
        return std::move(answers->front());
    }

    /// Sends commands in one go. An answer that is an error is an answer.
    result<std::vector<redis_reply>, redis_failure> call_all(std::string_view bytes, std::size_t commands,
                                                             redis_time until) {
        using enum redis_failure::reach;
        if (auto why = write(bytes, until)) return failed(not_sent, *std::move(why));
        std::vector<redis_reply> answers;
        while (answers.size() != commands) {
            void* read = nullptr;
            if (redisGetReplyFromReader(context_.get(), &read) != REDIS_OK) return failed(sent, words());
            if (read != nullptr) {
                redis_reply owned(static_cast<redisReply*>(read));
                answers.push_back(std::move(owned));
                continue;
            }
            if (auto why = receive(until)) return failed(sent, *std::move(why));
            if (auto why = decrypt(until)) return failed(sent, *std::move(why));
        }
        return answers;
    }

private:
#ifdef MSG_NOSIGNAL
    static constexpr int no_signal = MSG_NOSIGNAL;
#else
    static constexpr int no_signal = 0;
#endif

    int fd() const noexcept { return static_cast<int>(context_->fd); }

    // Each of these returns why it failed.
    using failure = std::optional<std::string>;

    failure secure(const redis_tls_client& by, const std::string& host, redis_time until) {
        auto begun = by.begin(host);
        if (!begun) return std::move(begun).error();
        tls_ = *std::move(begun);
        while (true) {
            const auto is_over = tls_->shake_hands();
            // Where it failed, the server is told why.
            auto unsent = send(tls_->to_send(), until);
            if (!is_over) return is_over.error();
            if (unsent || *is_over) return unsent;
            if (auto why = receive(until)) return "TLS handshake: " + *why;
        }
    }

    failure write(std::string_view text, redis_time until) {
        if (!tls_) return send(text, until);
        if (auto encrypted = tls_->encrypt(text); !encrypted) return std::move(encrypted).error();
        return send(tls_->to_send(), until);
    }

    failure send(std::string_view bytes, redis_time until) {
        while (!bytes.empty()) {
            if (!wait_until(until)) return "no time was left to send";
            const ssize_t sent_bytes = ::send(fd(), bytes.data(), bytes.size(), no_signal);
            if (sent_bytes < 0 && errno == EINTR) continue;
            if (sent_bytes <= 0) return std::strerror(errno);
            bytes.remove_prefix(static_cast<std::size_t>(sent_bytes));
        }
        return std::nullopt;
    }

    /// Waits for bytes, for hiredis or TLS.
    failure receive(redis_time until) {
        std::array<char, 4096> part;
        ssize_t size = 0;
        do {
            if (!wait_until(until)) return "no answer within the timeout";
            size = ::recv(fd(), part.data(), part.size(), 0);
        } while (size < 0 && errno == EINTR);
        if (size == 0) return "the server closed the connection";
        if (size < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? "no answer within the timeout" : std::strerror(errno);
        return feed({part.data(), static_cast<std::size_t>(size)}) ? failure() : "out of memory";
    }

    bool feed(std::string_view bytes) {
        if (tls_) return tls_->received(bytes);
        return redisReaderFeed(context_->reader, bytes.data(), bytes.size()) == REDIS_OK;
    }

    /// Gives hiredis what TLS has received.
    failure decrypt(redis_time until) {
        if (!tls_) return std::nullopt;
        std::array<char, 4096> part;
        while (true) {
            const auto size = tls_->decrypt(part);
            if (!size) return size.error();
            if (*size == 0) return send(tls_->to_send(), until); // the answer to a key update
            if (redisReaderFeed(context_->reader, part.data(), *size) != REDIS_OK) return "out of memory";
        }
    }

    unexpected<redis_failure> failed(redis_failure::reach how_far, std::string why) {
        close();
        return unexpected(redis_failure{how_far, std::move(why)});
    }

    /// How hiredis says that it failed.
    std::string words() const {
        if (context_->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK))
            return "no answer within the timeout";
        return context_->errstr;
    }

    /// \return false where no time is left; a timeval of zero would mean for ever
    static bool until_then(redis_time until, timeval& left) noexcept {
        using namespace std::chrono;
        const auto time = duration_cast<microseconds>(until - steady_clock::now());
        if (time <= time.zero()) return false;
        left.tv_sec = static_cast<decltype(left.tv_sec)>(time / seconds(1));
        left.tv_usec = static_cast<decltype(left.tv_usec)>((time % seconds(1)).count());
        return true;
    }

    bool wait_until(redis_time until) noexcept {
        timeval left{};
        return until_then(until, left) && redisSetTimeout(context_.get(), left) == REDIS_OK;
    }

    std::unique_ptr<redisContext, redis_free> context_;
    std::unique_ptr<redis_tls_session> tls_;
    redis_reign reign_;
};

} // namespace regrant::inline v0::detail
