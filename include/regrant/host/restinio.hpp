// regrant/host/restinio.hpp - a request in, an answer out, for RESTinio.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../detail/ascii.hpp"
#include "../detail/http_date.hpp"
#include "../http_reply.hpp"
#include "../http_request.hpp"
#include "../request_framing.hpp"
#include "../secret.hpp"

#include <restinio/http_server_run.hpp>

#if __has_include(<sys/resource.h>)
#include <sys/resource.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

namespace regrant::inline v0::host {

/// A socket that says something where RESTinio 0.6 is silent: it hangs up on what it cannot parse, and lets a client
/// that expects `100 Continue` wait.
class answering_socket : public restinio::asio_ns::ip::tcp::socket {
    using plain = restinio::asio_ns::ip::tcp::socket;

public:
    using plain::plain;

    template <class Buffer, class Handler> void async_read_some(const Buffer& room, Handler&& handler) {
        const auto executor = restinio::asio_ns::get_associated_executor(handler, get_executor());
        // The handler keeps the connection alive, whose member this socket is.
        plain::async_read_some(room, restinio::asio_ns::bind_executor(
                                         executor, [this, room, handler = std::forward<Handler>(handler)](
                                                       const auto& error, std::size_t size) mutable {
                                             if (read({static_cast<const char*>(room.data()), size}))
                                                 handler(error, size);
                                             else
                                                 handler(make_error_code(std::errc::bad_message), std::size_t{0});
                                         }));
    }

    template <class Buffers, class Handler> auto async_write_some(const Buffers& buffers, Handler&& handler) {
        owes_answer_ = expects_ = false;
        const auto first = restinio::asio_ns::buffer_sequence_begin(buffers);
        if (first != restinio::asio_ns::buffer_sequence_end(buffers)) {
            const restinio::asio_ns::const_buffer piece(*first);
            const std::string_view text(static_cast<const char*>(piece.data()), piece.size());
            is_http_ = is_http_ && !text.starts_with("HTTP/1.1 101 "); // what follows is a WebSocket's
        }
        return plain::async_write_some(buffers, std::forward<Handler>(handler));
    }

    /// Called by RESTinio before it closes. Bytes came since our last answer: they were no request, or too slow a one.
    template <class Error> void shutdown(shutdown_type, Error& error) {
        if (owes_answer_)
            say("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json;charset=UTF-8\r\n"
                "Cache-Control: no-store\r\nPragma: no-cache\r\nContent-Length: 27\r\n\r\n"
                R"({"error":"invalid_request"})");
        plain::shutdown(shutdown_both, error);
    }

private:
    /// Whether what arrived is sound. Also sees the header of one that waits end where what has arrived ends. A header
    /// that is split amid `Expect` is overlooked: that client sends its body when it tires of waiting, as if we had
    /// been silent still.
    bool read(std::string_view arrived) noexcept {
        constexpr std::string_view header = "expect:"; // there is no other expectation (RFC 9110 10.1.1)
        owes_answer_ = owes_answer_ || !arrived.empty();
        // RESTinio unfolds lines, and serves requests without a valid Host.
        if (is_http_ && !is_sound(arrived)) return false;
        for (std::size_t at = 0; !expects_ && (at = arrived.find('\n', at)) != std::string_view::npos;)
            expects_ = detail::equal_but_case(arrived.substr(++at, header.size()), header);
        if (!expects_ || !arrived.ends_with("\r\n\r\n")) return true;
        expects_ = false;
        // RFC 9110 15.2: "A server MUST NOT send a 1xx response to an HTTP/1.0 client."
        if (!arrived.substr(0, arrived.find('\r')).ends_with(" HTTP/1.0")) say("HTTP/1.1 100 Continue\r\n\r\n");
        return true;
    }

    bool is_sound(std::string_view arrived) noexcept {
        try {
            return framing_.follow(arrived);
        } catch (...) { // no memory
            return false;
        }
    }

    void say(std::string_view text) noexcept {
        restinio::asio_ns::error_code error;
        non_blocking(true, error); // or a client that does not read would hold the thread
        plain::write_some(restinio::asio_ns::buffer(text.data(), text.size()), error);
    }

    request_framing framing_{};
    bool is_http_ = true;
    bool owes_answer_ = false;
    bool expects_ = false;
};

/// The traits of a server whose connections have that socket and are counted.
struct restinio_traits : restinio::traits_t<restinio::asio_timer_manager_t, restinio::null_logger_t,
                                            restinio::details::autodetect_request_handler_type,
                                            restinio::default_strand_t, answering_socket> {
    static constexpr bool use_connection_count_limiter = true;
};

/// The request, whole. RESTinio keeps the trailer of a chunked body apart from its headers.
template <class Extra> http_request to_request(const restinio::generic_request_t<Extra>& from) {
    http_request request;
    request.method = from.header().method().c_str();
    request.peer = from.remote_endpoint().address().to_string();
    const auto target = from.header().request_target();
    request.query = secret(query_of({target.data(), target.size()}));
    request.body = secret(from.body());
    from.header().for_each_field([&](const auto& field) { request.header(field.name(), field.value()); });
    return request;
}

/// Whether it is clear where the body ends (RFC 9112 6.3): RESTinio takes `gzip, chunked` for chunked, and a
/// `Content-Length` with a blank behind its name for another header.
template <class Extra> bool is_framing_sound(const restinio::generic_request_t<Extra>& from) {
    std::size_t foreign = 0, chunked = 0;
    from.header().for_each_field([&](const auto& field) {
        const bool is_coding = detail::equal_but_case(field.name(), "transfer-encoding");
        const bool is_chunked = is_coding && detail::equal_but_case(field.value(), "chunked");
        chunked += is_chunked;
        foreign += is_coding != is_chunked || field.name().find(' ') != std::string::npos;
    });
    return foreign == 0 && chunked <= 1;
}

/// Sends an answer to a request, whole. RESTinio adds `Content-Length: 0` to a 204, and to the answer to a HEAD.
template <class Extra>
restinio::request_handling_status_t send(http_reply reply, restinio::generic_request_t<Extra>& asked) {
    // RFC 9112 4: "a client SHOULD ignore the reason-phrase content"
    auto response = asked.create_response({restinio::http_status_code_t(static_cast<std::uint16_t>(reply.status)), ""});
    response.append_header("Date", detail::http_date());
    for (const auto& [name, value] : reply.headers) response.append_header(std::string(name), value);
    // RESTinio's parser takes any two bytes for the end of a chunk: what follows may not be a request.
    if (!is_framing_sound(asked) || asked.header().has_field("Transfer-Encoding")) response.connection_close();
    if (asked.header().method() != restinio::http_method_head()) response.set_body(std::move(reply.body));
    return response.done();
}

/// Answers every request by `answer`, which gives an `http_reply` for the path of the target (`std::string_view`) and
/// the request. Lets no exception out: RESTinio may end the program over one that answers an `Upgrade`.
template <class Answer, class Extra>
restinio::request_handling_status_t answer_request(restinio::generic_request_t<Extra>& asked, Answer& answer) noexcept {
    try {
        if (!is_framing_sound(asked)) return send(to_reply(refusal{reason::malformed_escape}), asked);
        const auto target = asked.header().request_target();
        http_reply reply = to_reply(refusal{reason::exception_caught});
        try {
            reply = answer(path_of({target.data(), target.size()}), to_request(asked));
        } catch (...) {
        }
        return send(std::move(reply), asked);
    } catch (...) {
        return restinio::request_rejected();
    }
}

/// How many connections to take at once: half of the descriptors that the process may have, the rest is for stores and
/// files. RESTinio 0.6 accepts nothing more, ever, once it was refused a descriptor.
inline std::size_t bearable_connections() noexcept {
    constexpr std::size_t most = 1024;
#if __has_include(<sys/resource.h>)
    ::rlimit descriptors{};
    if (::getrlimit(RLIMIT_NOFILE, &descriptors) == 0 && descriptors.rlim_cur / 2 < most)
        return (std::max)(std::size_t{1}, static_cast<std::size_t>(descriptors.rlim_cur / 2));
#endif
    return most;
}

/// Settings with which `answer` gets every request, in whole and in time; the address is the caller's to add.
///
/// A slow request is cut off after 15 s, one beyond 2 MiB at once. Unknown methods get 400: RESTinio's parser, which is
/// that of Node.js of old, knows the registered ones alone.
template <class Answer> restinio::server_settings_t<restinio_traits> restinio_settings(Answer answer) {
    restinio::server_settings_t<restinio_traits> settings;
    settings.request_handler([answer = std::make_shared<Answer>(std::move(answer))](restinio::request_handle_t asked) {
        return answer_request(*asked, *answer);
    });
    settings.socket_options_setter([](restinio::socket_options_t& options) {
        // Else an answer in two pieces waits 40 ms.
        options.set_option(restinio::asio_ns::ip::tcp::no_delay(true));
    });
    settings.incoming_http_msg_limits(restinio::incoming_http_msg_limits_t{}
                                          .max_url_size(8 * 1024)
                                          .max_field_name_size(256)
                                          .max_field_value_size(8 * 1024)
                                          .max_field_count(128)
                                          .max_body_size(std::uint64_t{2} * 1024 * 1024));
    settings.buffer_size(16 * 1024);
    settings.read_next_http_message_timelimit(std::chrono::seconds(15));
    settings.write_http_response_timelimit(std::chrono::seconds(15));
    settings.handle_request_timeout(std::chrono::seconds(15));
    settings.max_parallel_connections(bearable_connections());
    // Over more requests at once, by more than one, RESTinio 0.6 hangs up with answers unsent; its own limit is 1.
    settings.max_pipelined_requests(64);
    return settings;
}

} // namespace regrant::inline v0::host
