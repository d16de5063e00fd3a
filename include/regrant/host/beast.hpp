// regrant/host/beast.hpp - a request in, an answer out, for Boost.Beast.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../form.hpp"
#include "../http_reply.hpp"
#include "../http_request.hpp"
#include "../secret.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/optional/optional.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

namespace regrant::inline v0::host {

// --- conversion: for any server on Beast, blocking or awaited ---

/// A Beast body that is read into a secret. It keeps what a form may have and one byte more, which is enough to be
/// refused for its size (R9), and passes over the rest.
struct secret_body {
    using value_type = secret;

    class reader {
    public:
        template <bool IsRequest, class Fields>
        reader(boost::beast::http::header<IsRequest, Fields>&, secret& body) noexcept : body_(&body) {}

        void init(const boost::optional<std::uint64_t>&, boost::beast::error_code& error) noexcept { error = {}; }
        template <class Buffers> std::size_t put(const Buffers& pieces, boost::beast::error_code& error) {
            constexpr std::size_t kept_bytes = form_limits{}.body_bytes + 1;
            error = {};
            for (const boost::asio::const_buffer piece : boost::beast::buffers_range_ref(pieces)) {
                const std::string_view text(static_cast<const char*>(piece.data()), piece.size());
                body_->append(text.substr(0, kept_bytes - body_->size()));
            }
            return boost::beast::buffer_bytes(pieces);
        }
        void finish(boost::beast::error_code& error) noexcept { error = {}; }

    private:
        secret* body_;
    };
};

/// The request without its body. Call it when the header is read, before the body is: Beast adds the trailer of a
/// chunked body to the header's fields, where an Authorization would pass for one that came in front.
template <class Fields> http_request to_request(const boost::beast::http::header<true, Fields>& from) {
    http_request request;
    request.method = std::string(from.method_string());
    request.query = secret(query_of(from.target()));
    for (const auto& field : from) request.header(field.name_string(), field.value());
    return request;
}

/// The whole request, for a host that has no chunked bodies or trusts their trailers.
template <class Body, class Fields>
http_request to_request(boost::beast::http::message<true, Body, Fields> from) {
    http_request request = to_request(from.base());
    if constexpr (std::same_as<typename Body::value_type, secret>)
        request.body = std::move(from.body());
    else
        request.body = secret(std::string_view(from.body()));
    return request;
}

/// What becomes of the connection behind an answer.
enum class afterwards : std::uint8_t { keep_alive, close };

/// The answer to `asked`, ready to be written.
template <class Fields>
boost::beast::http::response<boost::beast::http::string_body>
to_response(http_reply reply, const boost::beast::http::header<true, Fields>& asked, afterwards then) {
    namespace http = boost::beast::http;
    http::response<http::string_body> response(http::int_to_status(static_cast<unsigned>(reply.status)),
                                               asked.version());
    for (const auto& [name, value] : reply.headers) response.insert(name, value);
    response.keep_alive(then == afterwards::keep_alive);
    // RFC 9110 8.6: no Content-Length with a 204, nor a HEAD's own, which need not be a GET's.
    if (asked.method() != http::verb::head && reply.status != http_status::no_content) {
        response.body() = std::move(reply.body);
        response.prepare_payload();
    }
    return response;
}

/// Whether it is clear where the body ends: Beast passes a coding other than `chunked` on without reading its body,
/// which would then be taken for the next request (RFC 9112 6.3).
template <class Fields> bool is_framing_sound(const boost::beast::http::header<true, Fields>& header) {
    const auto [first, last] = header.equal_range(boost::beast::http::field::transfer_encoding);
    return first == last || (std::next(first) == last && boost::beast::iequals(first->value(), "chunked"));
}

/// Answers what never became a request; the connection must be closed behind it.
inline http_reply refuse(boost::beast::error_code error) {
    if (error == boost::beast::http::error::body_limit) return to_reply(refusal{reason::body_too_large});
    http_reply reply = to_reply(refusal{reason::malformed_escape});
    if (error == boost::beast::http::error::header_limit) reply.status = static_cast<http_status>(431);
    return reply;
}

/// Whether the peer's bytes are at fault, who can still be told so.
inline bool is_refusable(boost::beast::error_code error) {
    return error != boost::beast::http::error::end_of_stream &&
           error.category() == boost::beast::http::make_error_code(boost::beast::http::error::bad_method).category();
}

// --- one connection, served by one thread ---

/// What a connection may cost.
struct connection_limits {
    /// For the wait and a header, again for a body, again for an answer; who is slower is cut off without a word.
    std::chrono::steady_clock::duration step = std::chrono::seconds(15);
    /// For a client to hang up behind our last answer, so that its late bytes do not reset what it has yet to read.
    std::chrono::steady_clock::duration farewell = std::chrono::seconds(2);
    std::uint32_t header_bytes = 16 * 1024;
    /// A body up to here is read to its end, so that its client reads the 413 and may go on.
    std::uint64_t body_bytes = 1024 * 1024;
};

/// A connection that blocks its thread, with limits in time.
///
/// Asio's blocking reads know none: they poll forever, whatever `SO_RCVTIMEO` says. So the steps are asynchronous
/// ones on a context of the connection's own, which its thread runs until the step is done.
class blocking_connection {
public:
    blocking_connection(boost::asio::ip::tcp::socket accepted, const connection_limits& limits) : limits_(limits) {
        const auto protocol = accepted.local_endpoint().protocol();
        stream_.socket().assign(protocol, accepted.release());
        stream_.socket().set_option(boost::asio::ip::tcp::no_delay(true)); // else an answer in two pieces waits 40 ms
    }

    template <class Answer> void serve(Answer& answer) {
        while (serve_one(answer) == afterwards::keep_alive) {}
    }

private:
    using error_code = boost::beast::error_code;

    template <class Answer> afterwards serve_one(Answer& answer) {
        namespace http = boost::beast::http;
        http::request_parser<secret_body> parser;
        parser.header_limit(limits_.header_bytes);
        parser.body_limit(limits_.body_bytes);
        error_code error = step(
            limits_.step, [&](auto done) { http::async_read_header(stream_, buffer_, parser, std::move(done)); });
        if (error) return end(error, parser.get());
        if (!is_framing_sound(parser.get())) return end(http::error::bad_transfer_encoding, parser.get());

        const std::string path(parser.get().target().substr(0, parser.get().target().find('?')));
        http_request request = to_request(parser.get().base());
        if (boost::beast::iequals(parser.get()[http::field::expect], "100-continue") && !parser.is_done())
            error = write(http::response<http::empty_body>(http::status::continue_, 11));
        if (!error)
            error = step(limits_.step, [&](auto done) { http::async_read(stream_, buffer_, parser, std::move(done)); });
        if (error) return end(error, parser.get());
        request.body = std::move(parser.get().body());

        const afterwards then = parser.keep_alive() ? afterwards::keep_alive : afterwards::close;
        error = write(to_response(answered(answer, path, std::move(request)), parser.get(), then));
        if (error || then == afterwards::close) part();
        return error ? afterwards::close : then;
    }

    template <class Answer>
    static http_reply answered(Answer& answer, std::string_view path, http_request request) {
        try {
            return answer(path, std::move(request));
        } catch (const std::exception&) {
            return to_reply(refusal{reason::exception_caught});
        }
    }

    template <class Fields>
    afterwards end(error_code error, const boost::beast::http::header<true, Fields>& asked) {
        if (is_refusable(error) && !write(to_response(refuse(error), asked, afterwards::close))) part();
        return afterwards::close;
    }

    template <class Message> error_code write(Message message) {
        return step(limits_.step,
                    [&](auto done) { boost::beast::http::async_write(stream_, message, std::move(done)); });
    }

    /// RFC 9112 9.6: "the server SHOULD ... half-close ... continue to read from the connection".
    void part() {
        error_code error;
        stream_.socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send, error);
        const auto last = std::chrono::steady_clock::now() + limits_.farewell;
        std::array<char, 4096> passed_over;
        while (!error)
            error = step(last - std::chrono::steady_clock::now(), [&](auto done) {
                stream_.async_read_some(boost::asio::buffer(passed_over), std::move(done));
            });
    }

    template <class Start> error_code step(std::chrono::steady_clock::duration limit, Start start) {
        error_code result;
        stream_.expires_after(limit);
        start([&](error_code error, std::size_t) { result = error; });
        context_.restart();
        context_.run();
        return result;
    }

    connection_limits limits_;
    boost::asio::io_context context_{1};
    boost::beast::tcp_stream stream_{context_};
    boost::beast::flat_buffer buffer_{};
};

/// Serves all requests of a connection and closes it; throws nothing.
///
/// \param answer  gives an `http_reply` for the path of the target (`std::string_view`) and the `http_request`
template <class Answer>
void serve_connection(boost::asio::ip::tcp::socket accepted, Answer&& answer,
                      const connection_limits& limits = {}) noexcept {
    try {
        blocking_connection(std::move(accepted), limits).serve(answer);
    } catch (const std::exception&) {
        // The peer is gone already, or there is no memory: either way the connection ends here.
    }
}

} // namespace regrant::inline v0::host
