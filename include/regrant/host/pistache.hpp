// regrant/host/pistache.hpp - a request in, an answer out, for Pistache 0.0.5.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../detail/ascii.hpp"
#include "../detail/http_date.hpp"
#include "../form.hpp"
#include "../http_reply.hpp"
#include "../http_request.hpp"
#include "../request_framing.hpp"
#include "../secret.hpp"

#include <pistache/http.h>
#include <pistache/http_headers.h>
#include <pistache/peer.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace regrant::inline v0::detail {

inline constexpr const char* pistache_head = ":head"; // no header's name: a colon ends one

/// One connection: the request that is coming in.
struct pistache_line {
    static constexpr const char* key = "regrant";
    std::string head{}; // the request line with all headers, as they came
    bool has_head = false;
    bool expects_100 = false;
    bool closes = false;
    bool is_over = false; // what comes now is not looked at
    request_framing coming{};
    secret body{};

    static std::shared_ptr<pistache_line> of(const Pistache::Tcp::Peer& peer) {
        return std::static_pointer_cast<pistache_line>(peer.tryGetData(key));
    }
    bool is_whole() const noexcept { return coming.is_over(); }
};

} // namespace regrant::inline v0::detail

namespace regrant::inline v0::host {

/// The whole request.
///
/// Pistache keeps one of several equal headers or query parameters, in no order. What `pistache_handler` has read is
/// exact; behind any other handler a second Authorization header goes unnoticed (R16), and bodies beyond 4096 bytes,
/// with the headers, need `Options::maxRequestSize`. Pistache's own copies of the body are not wiped.
inline http_request to_request(const Pistache::Http::Request& from) {
    http_request request{.peer = from.address().host(), .body = secret(from.body())};
    if (const auto seen = from.headers().tryGetRaw(detail::pistache_head)) {
        const std::string head = seen->value();
        const std::string_view line = std::string_view(head).substr(0, head.find("\r\n"));
        request.method = line.substr(0, line.find(' '));
        request.query = secret(query_of(line.substr(0, line.rfind(' '))));
        each_field(head, [&](auto name, auto value) { request.header(name, value); });
        return request;
    }
    request.method = Pistache::Http::methodString(from.method());
    request.query = secret(query_of(from.query().as_str()));
    for (const auto& [name, header] : from.headers().rawList()) request.header(name, header.value());
    return request;
}

/// Sends an answer, with the headers that `to` has already.
///
/// It is written here because Pistache would send a Content-Length with 204, or one of 0 to HEAD (RFC 9110 8.6). Behind
/// another handler than `pistache_handler` nobody knows that it was HEAD.
inline void send(http_reply reply, Pistache::Http::ResponseWriter to) {
    const std::shared_ptr<Pistache::Tcp::Peer> peer = to.getPeer();
    if (!peer) return; // has hung up
    const auto line = detail::pistache_line::of(*peer);
    const bool is_head = line && line->head.starts_with("HEAD ");
    std::ostringstream text;
    const auto code = static_cast<Pistache::Http::Code>(reply.status);
    text << "HTTP/1.1 " << static_cast<int>(code) << ' ' << Pistache::Http::codeString(code) << "\r\n";
    for (const auto& header : to.headers().list()) header->write(text << header->name() << ": "), text << "\r\n";
    for (const auto& [name, value] : reply.headers) text << name << ": " << value << "\r\n";
    if (reply.status != http_status::no_content && !(is_head && reply.body.empty()))
        text << "Content-Length: " << reply.body.size() << "\r\n";
    text << "Date: " << detail::http_date() << "\r\n\r\n" << (is_head ? std::string() : reply.body);
    to.timeout().disarm();
    peer->setIdle(true);
    peer->send(Pistache::RawBuffer(text.str(), static_cast<std::size_t>(text.tellp())));
}

/// A handler whose requests are exact and whole: to be derived from in place of `Pistache::Http::Handler`. For a
/// `Rest::Router` let `onRequest` call `router.route(request, std::move(response))`.
///
/// It reads from the connection itself, for Pistache's parser loses repeated headers, takes any text for a length,
/// passes over what follows a request in one packet, and leaves the rest of a body beyond 4096 bytes to be taken for
/// requests. Bodies may have any size; `kept_bytes` of them are passed on, which regrant answers with 413. What is no
/// sound HTTP gets 400 in JSON, and so do the methods that Pistache does not know. `Expect: 100-continue` is answered.
/// What `onRequest` throws becomes a 503.
///
/// - A header that Pistache cannot read costs your own routes all headers of the request; `to_request` has them.
/// - Requests are to be answered before `onRequest` returns.
/// - `Options::headerTimeout` bounds how long a request may take to come in, `keepaliveTimeout` how long a connection
///   may idle. Their 408 is Pistache's.
/// - Give `Options::flags(Tcp::Options::NoDelay)`, or an answer may wait until the one before is acknowledged.
/// - Ignore SIGPIPE: Pistache writes to connections that are gone.
class pistache_handler : public Pistache::Http::Handler {
public:
    static constexpr std::size_t head_bytes = std::size_t{16} * 1024;
    static constexpr std::size_t kept_bytes = form_limits{}.body_bytes + 1;

private:
    using peer_ptr = std::shared_ptr<Pistache::Tcp::Peer>;
    using line_type = detail::pistache_line;

    void onInput(const char* bytes, std::size_t size, const peer_ptr& peer) final {
        auto line = line_type::of(*peer);
        if (!line) peer->putData(line_type::key, line = std::make_shared<line_type>());
        try {
            for (std::string_view rest(bytes, size); !rest.empty() && !line->is_over;) {
                rest.remove_prefix(line->has_head ? take_body(*line, rest, peer) : take_head(*line, rest, peer));
                if (line->has_head && line->is_whole() && !line->is_over) serve(*line, peer);
            }
        } catch (...) {
            refuse(*line, peer, http_status::service_unavailable, R"({"error":"temporarily_unavailable"})");
        }
    }

    std::size_t take_head(line_type& line, std::string_view rest, const peer_ptr& peer) {
        if (line.head.empty()) {
            if (rest.front() == '\r' || rest.front() == '\n') return 1; // RFC 9112 2.2
            getParser(peer)->reset(); // the time begins that headerTimeout bounds
            peer->setIdle(false);
        }
        const std::size_t taken = line.coming.take(rest);
        line.head += rest.substr(0, taken);
        line.has_head = line.coming.has_head();
        if (line.coming.is_broken() || line.head.size() > head_bytes) refuse(line, peer);
        if (!line.has_head || line.is_over) return taken;
        read_head(line);
        if (line.expects_100 && taken == rest.size() && !line.is_whole())
            peer->send(Pistache::RawBuffer("HTTP/1.1 100 Continue\r\n\r\n", 25));
        return taken;
    }

    static void read_head(line_type& line) {
        const std::size_t at = line.head.find(' ') + 1, size = line.head.find_first_of("? \r", at) - at;
        line.head.replace(at, size, std::string(path_of({line.head.data() + at, size}))); // no scheme, no host
        line.closes = line.coming.is_http_1_0();
        each_field(line.head, [&](std::string_view name, std::string_view value) {
            using detail::equal_but_case;
            if (equal_but_case(name, "expect"))
                line.expects_100 = equal_but_case(value, "100-continue") && !line.coming.is_http_1_0();
            else if (equal_but_case(name, "connection"))
                line.closes = line.closes || !equal_but_case(value, "keep-alive");
        });
    }

    std::size_t take_body(line_type& line, std::string_view rest, const peer_ptr& peer) {
        const std::size_t taken = line.coming.take(rest, [&](std::string_view piece) {
            line.body.append(piece.substr(0, kept_bytes - line.body.size()));
        });
        if (line.coming.is_broken()) refuse(line, peer);
        return taken;
    }

    /// The request in words that Pistache's parser understands: one length, no chunks.
    static secret plain(const line_type& line, std::string_view headers) {
        secret text(std::string_view(line.head).substr(0, line.head.find("\r\n") + 2));
        each_field(headers, [&](std::string_view name, std::string_view value) {
            for (const char* each : {"content-length", "transfer-encoding", "expect"})
                if (detail::equal_but_case(name, each)) return;
            for (const std::string_view each : {name, std::string_view(": "), value, std::string_view("\r\n")})
                text.append(each);
        });
        if (!line.body.empty()) text.append("Content-Length: " + std::to_string(line.body.size()) + "\r\n");
        text.append("\r\n");
        text.append(line.body.reveal());
        return text;
    }

    void serve(line_type& line, const peer_ptr& peer) {
        // Pistache writes nothing while there is more to read, and keeps without end what a client does not read.
        transport()->flush();
        if (::pollfd room{peer->fd(), POLLOUT, 0}; ::poll(&room, 1, 0) == 0) return hang_up(line, peer, SHUT_RDWR);
        // Pistache throws at a Content-Type, Accept or Cookie that it does not understand.
        if (!pass_on(line, line.head, peer) && !pass_on(line, {}, peer)) return refuse(line, peer);
        if (line.closes) return hang_up(line, peer);
        line = line_type();
    }

    bool pass_on(const line_type& line, std::string_view headers, const peer_ptr& peer) {
        const secret text = plain(line, headers);
        Pistache::Http::RequestParser parser(text.size() + 1);
        try {
            if (!parser.feed(text.reveal().data(), text.size())) return false;
            if (parser.parse() != Pistache::Http::Private::State::Done) return false;
        } catch (const std::exception&) {
            return false;
        }
        parser.request.headers().addRaw({detail::pistache_head, line.head});
        parser.request.copyAddress(peer->address());
        onRequest(parser.request, writer(line, peer));
        return true;
    }

    Pistache::Http::ResponseWriter writer(const line_type& line, const peer_ptr& peer) {
        using enum Pistache::Http::ConnectionControl;
        Pistache::Http::ResponseWriter to(Pistache::Http::Version::Http11, transport(), this, peer);
        to.headers().add<Pistache::Http::Header::Connection>(line.closes ? Close : KeepAlive);
        return to;
    }

    void refuse(line_type& line, const peer_ptr& peer, http_status status = http_status::bad_request,
                const char* body = R"({"error":"invalid_request"})") {
        line.closes = true;
        http_reply reply = detail::dressed(status);
        reply.body = body;
        if (!peer->isIdle()) send(std::move(reply), writer(line, peer)); // else it is answered already
        hang_up(line, peer);
    }

    /// Pistache takes the connection down when the client hangs up, too.
    void hang_up(line_type& line, const peer_ptr& peer, int how = SHUT_WR) {
        line.is_over = true;
        transport()->flush();
        ::shutdown(peer->fd(), how);
    }
};

} // namespace regrant::inline v0::host
