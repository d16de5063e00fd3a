// regrant/host/beast.hpp - a request in, an answer out, for Boost.Beast.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../detail/http_date.hpp"
#include "../form.hpp"
#include "../http_reply.hpp"
#include "../http_request.hpp"
#include "../request_framing.hpp"
#include "../secret.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/optional/optional.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
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

/// Who is at the other end, for a request's `peer`; empty where it is gone.
inline std::string peer_of(const boost::asio::ip::tcp::socket& connection) {
    boost::beast::error_code error;
    const auto peer = connection.remote_endpoint(error);
    return error ? std::string() : peer.address().to_string();
}

/// The request without its body, and without its peer, which no header tells: see `peer_of`. Call it when the header is
/// read, before the body is: Beast adds the trailer of a chunked body to the header's fields, where an Authorization
/// would pass for one that came in front.
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
    if constexpr (std::same_as<typename Body::value_type, secret>) request.body = std::move(from.body());
    else request.body = secret(std::string_view(from.body()));
    return request;
}

/// What becomes of the connection behind an answer.
enum class afterwards : std::uint8_t { keep_alive, close };

/// The answer to `asked`, ready to be written.
template <class Fields>
boost::beast::http::response<boost::beast::http::string_body>
to_response(http_reply reply, const boost::beast::http::header<true, Fields>& asked, afterwards then) {
    namespace http = boost::beast::http;
    http::response<http::string_body> response(http::status::ok, asked.version());
    response.result(static_cast<unsigned>(reply.status)); // a status that Beast has no name for would become 000
    response.insert(http::field::date, detail::http_date());
    for (const auto& [name, value] : reply.headers) response.insert(name, value);
    response.keep_alive(then == afterwards::keep_alive);
    // RFC 9110 8.6: no Content-Length with a 204, nor a HEAD's own, which need not be a GET's.
    if (asked.method() != http::verb::head && reply.status != http_status::no_content) {
        response.body() = std::move(reply.body);
        response.prepare_payload();
    }
    return response;
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

// --- one connection ---

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

/// The requests of a connection, one after the other. `Answer` gives, for the path of the target
/// (`std::string_view`) and the `http_request`, an `http_reply` or an awaitable of one.
template <class Answer> class served_connection {
public:
    served_connection(boost::asio::ip::tcp::socket accepted, Answer& answer, const connection_limits& limits)
        : stream_(std::move(accepted)), answer_(answer), limits_(limits), buffer_(limits.header_bytes + 65536U) {
        stream_.socket().set_option(boost::asio::ip::tcp::no_delay(true)); // else every second answer waits 40 ms
        peer_ = peer_of(stream_.socket());
    }

    boost::asio::awaitable<void> serve() {
        afterwards then = afterwards::keep_alive;
        while (then == afterwards::keep_alive) then = co_await serve_one();
    }

private:
    template <class T> using task = boost::asio::awaitable<T>;
    using error_code = boost::beast::error_code;
    using parser_type = boost::beast::http::request_parser<secret_body>;

    static auto noted(error_code& error) { return boost::asio::redirect_error(boost::asio::use_awaitable, error); }

    task<afterwards> serve_one() {
        namespace http = boost::beast::http;
        parser_type parser;
        parser.header_limit(limits_.header_bytes);
        parser.body_limit(limits_.body_bytes);
        error_code error;
        stream_.expires_after(limits_.step);
        error = co_await read_head();
        if (!error) co_await http::async_read_header(stream_, buffer_, parser, noted(error));
        if (error) co_return co_await end(error, parser);

        const std::string path(path_of(parser.get().target()));
        http_request request = to_request(parser.get().base());
        request.peer = peer_;
        take_what_is_here(parser, error);
        // RFC 9110 15.2: "A server MUST NOT send a 1xx response to an HTTP/1.0 client."
        if (!error && boost::beast::iequals(parser.get()[http::field::expect], "100-continue") && !parser.is_done() &&
            parser.get().version() >= 11)
            error = co_await write(http::response<http::empty_body>(http::status::continue_, 11));
        if (!error && !parser.is_done()) {
            stream_.expires_after(limits_.step);
            while (!error && is_too_short(parser))
                buffer_.commit(co_await stream_.async_read_some(buffer_.prepare(512), noted(error)));
            if (!error) co_await http::async_read(stream_, buffer_, parser, noted(error));
        }
        if (error) co_return co_await end(error, parser);
        request.body = std::move(parser.get().body());
        const afterwards then = parser.keep_alive() ? afterwards::keep_alive : afterwards::close;
        http_reply reply = co_await answered(path, std::move(request));
        error = co_await write(to_response(std::move(reply), parser.get(), then));
        if (error || then == afterwards::close) co_await part();
        co_return error ? afterwards::close : then;
    }

    /// Reads a head and judges its bytes, for Beast unfolds lines, takes unknown codings for no body, and needs no Host.
    task<error_code> read_head() {
        error_code error;
        request_framing framing;
        for (std::size_t judged = 0; !error;) {
            const std::string_view text(static_cast<const char*>(buffer_.cdata().data()), buffer_.size());
            judged += framing.take(text.substr(judged));
            if (framing.is_broken()) co_return boost::beast::http::error::bad_field;
            if (framing.has_head()) break;
            buffer_.commit(co_await stream_.async_read_some(buffer_.prepare(4096), noted(error)));
        }
        if (error == boost::asio::error::eof && buffer_.size() != 0) error = boost::beast::http::error::partial_message;
        co_return error;
    }

    /// Beast 1.81 aborts without NDEBUG over a last chunk of less than 5 bytes; no chunked body is shorter (9112 7.1).
    bool is_too_short(const parser_type& parser) const { return parser.chunked() && buffer_.size() < 5; }

    /// Reads at once what came with the header: an `async_read` would wait for its turn behind all other connections.
    void take_what_is_here(parser_type& parser, error_code& error) {
        if (parser.is_done() || buffer_.size() == 0 || is_too_short(parser)) return;
        parser.eager(true);
        buffer_.consume(parser.put(buffer_.data(), error));
        if (error == boost::beast::http::error::need_more) error = {};
    }

    task<http_reply> answered(const std::string& path, http_request request) {
        try {
            // The stream's own timer would cut off an answer that takes its time.
            stream_.expires_never();
            if constexpr (std::same_as<std::invoke_result_t<Answer&, std::string_view, http_request>, http_reply>)
                co_return answer_(path, std::move(request));
            else
                co_return co_await answer_(path, std::move(request));
        } catch (...) {
            co_return to_reply(refusal{reason::exception_caught});
        }
    }

    task<afterwards> end(error_code error, const parser_type& parser) {
        if (is_refusable(error)) error = co_await write(to_response(refuse(error), parser.get(), afterwards::close));
        if (!error) co_await part();
        co_return afterwards::close;
    }

    template <class Message> task<error_code> write(Message message) {
        error_code error;
        stream_.expires_after(limits_.step);
        co_await boost::beast::http::async_write(stream_, message, noted(error));
        co_return error;
    }

    /// RFC 9112 9.6: "the server SHOULD ... half-close ... continue to read from the connection".
    task<void> part() {
        error_code error;
        stream_.socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send, error);
        stream_.expires_after(limits_.farewell);
        char passed_over[4096];
        while (!error) co_await stream_.async_read_some(boost::asio::buffer(passed_over), noted(error));
    }

    boost::beast::tcp_stream stream_;
    Answer& answer_;
    connection_limits limits_;
    std::string peer_{};
    boost::beast::flat_buffer buffer_; // bounded, for Beast keeps the line of a chunk until it has ended
};

/// Serves all requests of a connection and closes it.
///
///     boost::asio::co_spawn(context, regrant::host::serve_connection(std::move(socket), answer), log_what_failed);
///
/// \param answer  gives an `http_reply`, or an awaitable of one, for the path of the target (`std::string_view`) and
///                the `http_request`; each connection has a copy
template <class Answer>
boost::asio::awaitable<void> serve_connection(boost::asio::ip::tcp::socket accepted, Answer answer,
                                              connection_limits limits = {}) {
    served_connection<Answer> connection(std::move(accepted), answer, limits);
    co_await connection.serve();
}

/// Accepts connections, on the acceptor's executor, and serves each with `answer`, until the acceptor is closed.
template <class Answer>
boost::asio::awaitable<void> serve_port(boost::asio::ip::tcp::acceptor& acceptor, Answer answer,
                                        connection_limits limits = {}) {
    boost::asio::steady_timer pause(acceptor.get_executor());
    while (acceptor.is_open()) {
        boost::beast::error_code error;
        // Of each its own: the end of a wait and of a read must not meet.
        const auto strand = boost::asio::make_strand(acceptor.get_executor());
        auto accepted =
            co_await acceptor.async_accept(strand, boost::asio::redirect_error(boost::asio::use_awaitable, error));
        if (error == boost::asio::error::operation_aborted) co_return; // closed, and perhaps gone by now
        if (error) { // out of descriptors, or the peer is gone again: some come back
            pause.expires_after(std::chrono::milliseconds(50));
            co_await pause.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, error));
            continue;
        }
        boost::asio::co_spawn(strand, serve_connection(std::move(accepted), answer, limits), boost::asio::detached);
    }
}

/// As `serve_connection`, holding its thread until the connection is closed; throws nothing.
///
/// Asio's blocking reads poll forever, whatever `SO_RCVTIMEO` says. So this awaits on a context of its own.
template <class Answer>
void serve_connection_blocking(boost::asio::ip::tcp::socket accepted, Answer answer,
                               const connection_limits& limits = {}) noexcept {
    try {
        boost::asio::io_context own(1);
        // Made empty first: where descriptors run out it throws, and what `accepted` had released would stay open.
        boost::asio::ip::tcp::socket moved(own);
        const auto protocol = accepted.local_endpoint().protocol();
        moved.assign(protocol, accepted.release());
        // What is thrown means that the peer is gone already, or that there is no memory: the connection ends here.
        boost::asio::co_spawn(own, serve_connection(std::move(moved), std::move(answer), limits),
                              boost::asio::detached);
        own.run();
    } catch (...) { // as above
    }
}

} // namespace regrant::inline v0::host
