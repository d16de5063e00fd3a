// regrant/host/poco.hpp - a request in, an answer out, for Poco's HTTPServer.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../detail/ascii.hpp"
#include "../form.hpp"
#include "../http_reply.hpp"
#include "../http_request.hpp"
#include "../request_framing.hpp"
#include "../secret.hpp"

#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/HTTPServerSession.h>
#include <Poco/Net/HTTPStream.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/ServerSocketImpl.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Net/StreamSocketImpl.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <istream>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace regrant::inline v0::host {

/// The request without its body.
inline http_request to_request(const Poco::Net::HTTPServerRequest& from) {
    http_request request;
    request.method = from.getMethod();
    request.peer = from.clientAddress().host().toString();
    request.query = secret(query_of(from.getURI()));
    for (const auto& [name, value] : from) request.header(name, value);
    return request;
}

/// Sends the answer to `asked`, whole.
inline void send(http_reply reply, const Poco::Net::HTTPRequest& asked, Poco::Net::HTTPServerResponse& to) {
    const bool is_head = asked.getMethod() == Poco::Net::HTTPRequest::HTTP_HEAD;
    // RFC 9110 2.5: "A server MUST NOT send a version to which it is not conformant"; Poco sends the request's.
    if (asked.getVersion() != Poco::Net::HTTPMessage::HTTP_1_0) to.setVersion(Poco::Net::HTTPMessage::HTTP_1_1);
    to.setStatusAndReason(static_cast<Poco::Net::HTTPResponse::HTTPStatus>(reply.status));
    for (const auto& [name, value] : reply.headers) to.add(std::string(name), value);
    // RFC 9110 8.6: no Content-Length with a 204, nor a HEAD's own, which need not be a GET's.
    if (!is_head && reply.status != http_status::no_content)
        to.setContentLength64(static_cast<Poco::Int64>(reply.body.size()));
    std::ostream& out = to.send();
    if (!is_head) out << reply.body;
    out.flush();
}

/// Reads bodies, for Poco 1.11 does it loosely: without a length it reads until the client hangs up, it takes a chunk
/// that is none for the end, and spins in a trailer that is cut off.
class poco_body {
public:
    static constexpr std::size_t needed_bytes = form_limits{}.body_bytes + 1;
    /// A larger body is read no further: its sender is answered and cut off.
    static constexpr std::size_t borne_bytes = std::size_t{1024} * 1024;

    enum class framing : std::uint8_t { no_body, sized, chunked, broken };

    /// Whether it is clear where the body ends (RFC 9112 6.3), given that Poco looks at the first of each header and
    /// lets through names that are none, NUL in values too.
    static framing framing_of(const Poco::Net::HTTPRequest& from) {
        std::size_t lengths = 0, codings = 0;
        for (const auto& [name, value] : from) {
            if (!is_field_name(name) || !is_field_value(value)) return framing::broken;
            lengths += detail::equal_but_case(name, "content-length");
            codings += detail::equal_but_case(name, "transfer-encoding");
        }
        if (!from.getVersion().starts_with("HTTP/1.")) return framing::broken;
        if (lengths + codings == 0) return framing::no_body;
        if (lengths + codings > 1) return framing::broken;
        if (codings == 1) return from.getChunkedTransferEncoding() ? framing::chunked : framing::broken;
        const std::string& length = from.get("Content-Length");
        const bool is_number = length.size() < 16 && length.find_first_not_of("0123456789") == length.npos;
        return is_number && !length.empty() ? framing::sized : framing::broken;
    }

    static bool is_borne_no_further(const Poco::Net::HTTPRequest& from) {
        return from.hasContentLength() && from.getContentLength64() > static_cast<Poco::Int64>(borne_bytes);
    }

    /// \return the body or as much as it takes to be refused for its size (R9); nothing where it is not whole
    static std::optional<secret> read(Poco::Net::HTTPServerRequestImpl& from, framing framed) {
        poco_body body;
        if (framed == framing::broken) return std::nullopt;
        if (framed == framing::sized && !body.take(from.stream(), static_cast<std::size_t>(from.getContentLength64())))
            return std::nullopt;
        if (framed == framing::chunked) {
            Poco::Net::HTTPInputStream bare(from.session());
            if (!body.take_chunks(bare)) return std::nullopt;
        }
        return std::move(body.text_);
    }

private:
    /// Waits for the next bytes. Poco's timeout is for one wait; this one is for the body.
    bool awaits(std::istream& from) {
        return std::chrono::steady_clock::now() < last_ && from.peek() != std::istream::traits_type::eof();
    }

    bool take(std::istream& from, std::size_t size) {
        char piece[4096];
        for (std::size_t left = size; left != 0;) {
            if (received_ > borne_bytes) break;
            if (!awaits(from)) return false;
            const auto got = from.readsome(piece, static_cast<std::streamsize>((std::min)(left, sizeof piece)));
            const std::string_view text(piece, static_cast<std::size_t>(got));
            text_.append(text.substr(0, needed_bytes - text_.size()));
            wipe(piece, text.size());
            received_ += text.size();
            left -= text.size();
        }
        return true;
    }

    /// RFC 9112 7.1
    bool take_chunks(std::istream& from) {
        std::string line;
        while (received_ <= borne_bytes) {
            std::size_t size = 0;
            if (!take_line(from, line)) return false;
            const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
            if (error != std::errc() || (end != line.data() + line.size() && *end != ';' && *end != ' ')) return false;
            if (size == 0) break;
            if (!take(from, size)) return false;
            if (received_ <= borne_bytes && (!take_line(from, line) || !line.empty())) return false;
        }
        while (received_ <= borne_bytes && !line.empty()) // the trailer
            if (!take_line(from, line)) return false;
        return received_ <= borne_bytes || text_.size() == needed_bytes;
    }

    bool take_line(std::istream& from, std::string& line) {
        line.clear();
        while (awaits(from)) {
            const char c = static_cast<char>(from.get());
            if (++received_ > borne_bytes + needed_bytes) return false;
            if (c == '\n') {
                if (line.empty() || line.back() != '\r') return false;
                line.pop_back();
                return true;
            }
            line += c;
        }
        return false;
    }

    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now() + std::chrono::seconds(15);
    std::size_t received_ = 0;
    secret text_{};
};

/// A connection that gives a request 15 s, where Poco's own timeout is for each wait. It judges bytes before Poco does,
/// which drops lines without a colon. It answers in JSON what Poco refuses with a bare 400 or by hanging up.
class poco_connection : public Poco::Net::StreamSocketImpl {
    using plain = Poco::Net::StreamSocketImpl;

public:
    explicit poco_connection(poco_socket_t accepted) : plain(accepted) { setSendTimeout(Poco::Timespan(15, 0)); }

    using plain::receiveBytes;
    using plain::sendBytes;

    int receiveBytes(void* buffer, int length, int flags = 0) override {
        const auto now = std::chrono::steady_clock::now();
        if (!owes_answer_) last_ = now + std::chrono::seconds(15);
        if (now > last_) throw Poco::TimeoutException();
        const int received = plain::receiveBytes(buffer, length, flags);
        const std::string_view text(static_cast<const char*>(buffer), static_cast<std::size_t>((std::max)(received, 0)));
        owes_answer_ = owes_answer_ || received > 0;
        if (is_http_ && (flags & MSG_PEEK) == 0 && !framing_.follow(text))
            throw Poco::Net::NetException("no sound request");
        if (received > 0) saw_ff_ = saw_ff_ || std::memchr(buffer, 0xFF, static_cast<std::size_t>(received)) != nullptr;
        return received;
    }
    /// Whether there was a byte that Poco 1.11 takes for the end of the header; what follows it may not be a request.
    bool saw_ff() const noexcept { return saw_ff_; }
    int sendBytes(const void* buffer, int length, int flags = 0) override {
        constexpr std::string_view bare = "HTTP/1.1 400 Bad Request\r\nConnection: Close\r\n\r\n";
        const std::string_view text(static_cast<const char*>(buffer), static_cast<std::size_t>(length));
        owes_answer_ = false;
        is_http_ = is_http_ && !text.starts_with("HTTP/1.1 101 "); // what follows is a WebSocket's
        if (text != bare) return plain::sendBytes(buffer, length, flags);
        plain::sendBytes(refused.data(), static_cast<int>(refused.size()), flags);
        return length;
    }
    void close() override {
        try {
            if (owes_answer_) sendBytes(refused.data(), static_cast<int>(refused.size()));
        } catch (const std::exception&) { // nobody listens
        }
        plain::close();
    }

private:
    static constexpr std::string_view refused =
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json;charset=UTF-8\r\n"
        "Cache-Control: no-store\r\nPragma: no-cache\r\nContent-Length: 27\r\n\r\n"
        R"({"error":"invalid_request"})";

    request_framing framing_{};
    std::chrono::steady_clock::time_point last_{};
    bool is_http_ = true;
    bool owes_answer_ = false;
    bool saw_ff_ = false;
};

/// The socket to listen at: its connections are of that kind.
class poco_listener : public Poco::Net::ServerSocket {
public:
    explicit poco_listener(const Poco::Net::SocketAddress& at, int backlog = 1024)
        : Poco::Net::ServerSocket(new impl, true) {
        bind(at, true, false); // with two arguments another server could share the port unseen
        listen(backlog);
    }

private:
    class impl : public Poco::Net::ServerSocketImpl {
        Poco::Net::SocketImpl* acceptConnection(Poco::Net::SocketAddress& client) override {
            sockaddr_storage from{};
            socklen_t size = sizeof from;
            const poco_socket_t accepted = ::accept(sockfd(), reinterpret_cast<sockaddr*>(&from), &size);
            if (accepted == POCO_INVALID_SOCKET) throw Poco::Net::NetException("accept");
            client = Poco::Net::SocketAddress(reinterpret_cast<const sockaddr*>(&from), size);
            return new poco_connection(accepted);
        }
    };
};

/// Answers every request of a server: hand it to `Poco::Net::HTTPServer`.
///
///     poco_answers factory([](std::string_view path, regrant::http_request request) { ... return reply; });
///
/// \tparam Answer  gives an `http_reply` for the path of the target and the request, from many threads at once
template <class Answer> class poco_answers : public Poco::Net::HTTPRequestHandlerFactory {
public:
    explicit poco_answers(Answer answer) : answer_(std::move(answer)) {}

    Poco::Net::HTTPRequestHandler* createRequestHandler(const Poco::Net::HTTPServerRequest&) override {
        return new one(answer_);
    }

private:
    class one : public Poco::Net::HTTPRequestHandler {
    public:
        explicit one(Answer& answer) : answer_(answer) {}

        void handleRequest(Poco::Net::HTTPServerRequest& from, Poco::Net::HTTPServerResponse& to) override {
            auto& whole = dynamic_cast<Poco::Net::HTTPServerRequestImpl&>(from); // there is no other
            try {
                const poco_body::framing framed = poco_body::framing_of(from);
                std::optional<secret> body = poco_body::read(whole, framed);
                // Poco does not pass over what is left of a body, nor did we stop reading where the chunks end.
                if (!body || framed == poco_body::framing::chunked || poco_body::is_borne_no_further(from) ||
                    must_close(whole, framed))
                    to.setKeepAlive(false);
                send(answered(from, std::move(body)), from, to);
                if (!to.getKeepAlive()) part(whole.socket());
            } catch (const std::exception&) { // the peer is gone
                to.setKeepAlive(false);
            }
        }

    private:
        /// Poco knows `close` alone, in one of several headers (RFC 9110 7.6.1), and may have overlooked a length.
        static bool must_close(Poco::Net::HTTPServerRequestImpl& from, poco_body::framing framed) {
            for (const auto& [name, value] : from)
                if (detail::equal_but_case(name, "connection") && detail::lists(value, "close")) return true;
            if (framed == poco_body::framing::no_body && from.getMethod() == "POST") return true;
            const auto* const line = dynamic_cast<const poco_connection*>(from.socket().impl());
            return line != nullptr && line->saw_ff();
        }

        http_reply answered(const Poco::Net::HTTPServerRequest& from, std::optional<secret> body) {
            if (!body) return to_reply(refusal{reason::malformed_escape});
            try {
                http_request request = to_request(from);
                request.body = *std::move(body);
                return answer_(path_of(from.getURI()), std::move(request));
            } catch (...) {
                return to_reply(refusal{reason::exception_caught});
            }
        }

        /// RFC 9112 9.6: "the server SHOULD ... half-close ... continue to read from the connection".
        static void part(Poco::Net::StreamSocket& socket) {
            const auto last = std::chrono::steady_clock::now() + std::chrono::seconds(2);
            char passed_over[4096];
            socket.shutdownSend();
            socket.setReceiveTimeout(Poco::Timespan(1, 0));
            while (socket.receiveBytes(passed_over, sizeof passed_over) > 0)
                if (std::chrono::steady_clock::now() >= last) break;
        }

        Answer& answer_;
    };

    Answer answer_;
};

} // namespace regrant::inline v0::host
