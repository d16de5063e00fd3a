// regrant/host/httplib.hpp - a request in, an answer out, for cpp-httplib.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../detail/ascii.hpp"
#include "../detail/http_date.hpp"
#include "../error.hpp"
#include "../form.hpp"
#include "../http_reply.hpp"
#include "../http_request.hpp"
#include "../request_framing.hpp"
#include "../secret.hpp"
#include "httplib_pool.hpp"
#include "httplib_stream.hpp"

#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace regrant::inline v0::host {

/// Whether it is clear where a request's body ends (RFC 9112 6.3).
enum class framing : std::uint8_t { no_body, sound, broken };

/// Judges the framing by the headers that httplib kept. It drops lines without a value or a colon, so this is exact for
/// requests of an `httplib_server` alone, which refuses such lines before.
inline framing framing_of(const httplib::Request& from) {
    for (const auto& [name, value] : from.headers)
        if (!is_field_name(name) || !is_field_value(value)) return framing::broken;
    const std::size_t lengths = from.get_header_value_count("Content-Length");
    const std::size_t codings = from.get_header_value_count("Transfer-Encoding");
    if (lengths + codings == 0) return framing::no_body;
    if (lengths + codings > 1) return framing::broken;
    const std::string length = from.get_header_value("Content-Length");
    const bool is_number = !length.empty() && length.size() < 16 &&
                           std::all_of(length.begin(), length.end(), [](char c) { return c >= '0' && c <= '9'; });
    // httplib passes over the chunks of a DELETE.
    const bool is_chunked =
        detail::equal_but_case(from.get_header_value("Transfer-Encoding"), "chunked") && from.method != "DELETE";
    return (lengths == 1 ? is_number : is_chunked) ? framing::sound : framing::broken;
}

/// Asks for the connection to be closed behind the answer, which the server does by itself.
inline void close_after(httplib::Response& to) {
    if (!to.has_header("Connection")) to.set_header("Connection", "close");
}

/// Whether the client wants the connection closed in words that httplib does not know: it knows `close` alone, in lower
/// case, and then closes by itself (RFC 9110 7.6.1).
inline bool asks_to_close(const httplib::Request& from) {
    if (from.get_header_value("Connection") == "close") return false;
    const auto [first, last] = from.headers.equal_range("Connection");
    return std::any_of(first, last, [](const auto& each) { return detail::lists(each.second, "close"); });
}

/// The request without a body, for the methods with which httplib reads none.
inline http_request to_request(const httplib::Request& from) {
    http_request request;
    request.method = from.method;
    request.peer = from.remote_addr;
    request.query = secret(query_of(from.target));
    for (const auto& [name, value] : from.headers) request.header(name, value);
    return request;
}

/// The whole request. Read the body this way: a handler without a `ContentReader` lets httplib answer 413 to every
/// form of more than 8192 bytes.
///
/// A body that did not arrive in one piece counts as none, which no token request survives (R10); of one beyond the
/// limit comes as much as it takes to be refused (R9).
/// \param to  told to close the connection where the body's end is not known
inline http_request to_request(const httplib::Request& from, httplib::Response& to,
                               const httplib::ContentReader& read) {
    constexpr std::size_t needed_bytes = form_limits{}.body_bytes + 1;
    // Most clients read our answer only when they are done sending, so we bear with them for a while.
    constexpr std::size_t borne_bytes = std::size_t{64} * 1024 * 1024;
    http_request request = to_request(from);
    // httplib's own timeout is for each wait.
    const auto last = std::chrono::steady_clock::now() + std::chrono::seconds(15);
    secret body;
    std::size_t received = 0;
    const auto receive = [&](const char* piece, std::size_t size) {
        body.append(std::string_view(piece, (std::min)(size, needed_bytes - body.size())));
        received += size;
        return received < borne_bytes && std::chrono::steady_clock::now() < last;
    };
    // httplib would inflate the body. The endpoint refuses it for its Content-Encoding (RFC 9110 15.5.16).
    const_cast<httplib::Request&>(from).headers.erase("Content-Encoding");
    bool is_whole = false;
    switch (framing_of(from)) {
    case framing::no_body: is_whole = true; break;
    case framing::broken: break;
    case framing::sound:
        // httplib insists on taking multipart bodies apart; nobody here wants them.
        is_whole = from.is_multipart_form_data() ? read([](const auto&) { return true; }, receive) : read(receive);
        break;
    }
    if (!is_whole) close_after(to);
    if (is_whole || body.size() == needed_bytes) request.body = std::move(body);
    return request;
}

/// Sends an answer; httplib adds the Content-Length.
inline void send(http_reply reply, httplib::Response& to) {
    to.status = static_cast<int>(reply.status);
    if (!to.has_header("Date")) to.set_header("Date", detail::http_date());
    for (const auto& [name, value] : reply.headers) to.set_header(std::string(name), value);
    // httplib sends what its client can read compressed, and tells no cache (RFC 9110 12.5.5).
    if (reply.header("Cache-Control").starts_with("public")) to.headers.emplace("Vary", "Accept-Encoding");
    to.body = std::move(reply.body);
}

/// Answers what httplib refuses by itself, in the words of RFC 6749 5.2; closes the connection, for httplib may have
/// left the rest of the request in it.
inline void answer_error(httplib::Response& to) {
    close_after(to);
    http_reply reply{static_cast<http_status>(to.status)};
    reply.headers = {
        {"Content-Type", "application/json;charset=UTF-8"}, {"Cache-Control", "no-store"}, {"Pragma", "no-cache"}};
    reply.body = to.status < 500 ? R"({"error":"invalid_request"})" : R"({"error":"server_error"})";
    send(std::move(reply), to);
}

/// Sets a server up for answers of this kind:
/// - `TCP_NODELAY`: without it an answer waits for the client's delayed acknowledgement, 40 ms (299 requests/s);
/// - a connection serves one request, for httplib keeps too little of a head to tell where the request ends. An
///   `httplib_server` reads the head itself and keeps connections open;
/// - a pool that grows, where httplib's own is held by 8 slow clients;
/// - a HEAD or OPTIONS with a body gets 400 (this takes the pre-routing handler, of which httplib has one);
/// - requests are routed by the bytes of their path, which httplib would decode: `/oauth2%2Ftoken` and `/oauth2/%74oken`
///   are other paths than `/oauth2/token`. Of a target in absolute form, which httplib takes for a path, it is the path;
/// - a handler for exceptions: httplib's own answer tells what was thrown.
///
/// httplib waits 5 s for each byte of a head. Use `httplib_server` unless a proxy in front bounds that time.
inline void prepare(httplib::Server& server) {
    server.new_task_queue = [] { return new httplib_pool; };
    server.set_tcp_nodelay(true);
    server.set_keep_alive_max_count(1);
    server.set_pre_routing_handler([](const httplib::Request& from, httplib::Response& to) {
        using enum httplib::Server::HandlerResponse;
        const_cast<httplib::Request&>(from).path = path_of(from.target);
        const bool is_read =
            from.method == "POST" || from.method == "PUT" || from.method == "PATCH" || from.method == "DELETE";
        if (asks_to_close(from)) close_after(to);
        const framing found = framing_of(from);
        const bool is_empty = found == framing::sound && from.get_header_value("Content-Length") == "0";
        if (is_read || is_empty || found == framing::no_body) return Unhandled;
        close_after(to);
        if (from.method != "HEAD" && from.method != "OPTIONS") return Unhandled;
        // RFC 9110 9.3.2: "might lead some implementations to reject the request and close the connection because of
        // its potential as a request smuggling attack"
        to.status = static_cast<int>(http_status::bad_request);
        answer_error(to);
        return Handled;
    });
    server.set_exception_handler([](const httplib::Request&, httplib::Response& to, std::exception_ptr) {
        to.status = 500;
    });
}

/// A prepared server whose requests are exact. It keeps connections open, answers what clients pipeline, and cuts off
/// slow clients.
///
/// It reads each head itself. What `request_framing` refuses gets 400, and the connection is closed. Fields that httplib
/// drops or decodes are given to your handlers as they came.
///
///     regrant::host::httplib_server server;
///     regrant::host::mount(server, "/oauth2/token",
///                          [&](regrant::http_request request) { return endpoint.respond(std::move(request)); });
class httplib_server : public httplib::Server {
public:
    explicit httplib_server(httplib_limits limits = {}) : limits_(limits) {
        prepare(*this);
        set_keep_alive_max_count(100'000); // as many as the client likes, where httplib would close after 5
        new_task_queue = [this] {
            auto* const pool = new httplib_pool(limits_.ready_threads, limits_.most_threads);
            pool_ = pool; // httplib deletes it when no connection is open any more
            return pool;
        };
    }

private:
    bool process_and_close_socket(socket_t connected) override {
        try {
            httplib_stream stream(connected, svr_sock_, limits_, pool_);
            try {
                auto read = httplib_stream::next::request;
                do {
                    read = stream.read_head(std::chrono::seconds(keep_alive_timeout_sec_));
                    if (read == httplib_stream::next::refused) stream.refuse();
                } while (read == httplib_stream::next::request && answer(stream) && stream.goes_on());
            } catch (...) { // no memory: the connection ends here
            }
            stream.close();
        } catch (...) { // not even for its stream
            ::close(connected);
        }
        return true;
    }

    /// \return whether the connection may stay open
    template <class Stream> bool answer(Stream& stream) {
        const auto restore = [&](httplib::Request& request) {
            // Newer versions of httplib cut a fragment off; a method and a target end with one blank each.
            const std::string_view behind_method = stream.head().substr(stream.head().find(' ') + 1);
            request.target = behind_method.substr(0, behind_method.find(' '));
            http_request hops; // newer versions of httplib forget the order of equal names, which matters in these two
            each_field(stream.head(), [&](auto name, auto) { request.headers.erase(std::string(name)); });
            each_field(stream.head(), [&](auto name, auto value) {
                const bool is_list = detail::equal_but_case(name, "forwarded") ||
                                     detail::equal_but_case(name, "x-forwarded-for");
                is_list ? hops.header(name, value) : void(request.headers.emplace(name, value));
            });
            if (!hops.forwarded.empty()) request.headers.emplace("Forwarded", hops.forwarded);
            if (!hops.x_forwarded_for.empty()) request.headers.emplace("X-Forwarded-For", hops.x_forwarded_for);
        };
        bool is_last = false, is_sent = false;
        if constexpr (requires(httplib_server& own) { own.process_request(stream, false, is_last, restore); })
            is_sent = process_request(stream, false, is_last, restore);
        else
            is_sent = process_request(stream, stream.remote_ip, stream.remote_port, stream.local_ip, stream.local_port,
                                      false, is_last, restore);
        return is_sent && !is_last;
    }

    httplib_limits limits_;
    std::atomic<httplib_pool*> pool_ = nullptr;
};

/// Takes a port for `listen_after_bind`. httplib's own socket options would let two servers share one port, and it
/// lets 5 connections wait to be accepted; the sixth would try again after a second.
///
/// \param port  0 takes any that is free
/// \return the port, or nothing where it cannot be had
inline std::optional<std::uint16_t> bind(httplib::Server& server, const std::string& address, std::uint16_t port) {
    int listening = -1;
    server.set_socket_options([&](int socket) {
        const int on = 1;
        ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        listening = socket;
    });
    int taken = port;
    if (port == 0) taken = server.bind_to_any_port(address);
    else if (!server.bind_to_port(address, port)) taken = -1;
    server.set_socket_options(nullptr); // it looks at a local
    if (taken <= 0 || ::listen(listening, SOMAXCONN) != 0) return std::nullopt;
    return static_cast<std::uint16_t>(taken);
}

/// Has a path of an `httplib_server`, or of a prepared server, answered by a callable `http_reply(http_request)`,
/// whatever the method.
///
/// Takes the server's error handler too, of which httplib has one: methods that httplib has never heard of come out
/// there, and requests that it cannot read, which get `answer_error`. Pages that are missing are left alone.
inline void mount(httplib::Server& server, const std::string& path, std::function<http_reply(http_request)> answer) {
    using from_type = const httplib::Request&;
    using to_type = httplib::Response&;
    std::string pattern; // httplib takes a path for a regular expression
    for (const char c : path) {
        if (std::string_view(R"(.^$|()[]{}*+?\)").find(c) != std::string_view::npos) pattern += '\\';
        pattern += c;
    }
    // RFC 9110 14.2: only GET knows ranges; httplib would cut any answer. The request is httplib's own, not const.
    const auto whole = [](from_type from) { const_cast<httplib::Request&>(from).ranges.clear(); };
    const auto without_body = [answer, whole](from_type from, to_type to) {
        whole(from);
        send(answer(to_request(from)), to);
    };
    const auto with_body = [answer, whole](from_type from, to_type to, const httplib::ContentReader& read) {
        whole(from);
        send(answer(to_request(from, to, read)), to);
    };
    server.Get(pattern, without_body).Options(pattern, without_body); // a HEAD goes to GET
    server.Post(pattern, with_body).Put(pattern, with_body).Patch(pattern, with_body).Delete(pattern, with_body);
    server.set_error_handler([answer = std::move(answer), path](from_type from, to_type to) {
        const bool is_answered = to.has_header("Cache-Control") || !to.body.empty();
        if (is_answered || to.status == 404) return;
        const bool is_unknown_method = to.status == 400 && from.method != "POST" && path_of(from.target) == path;
        if (!is_unknown_method) return answer_error(to);
        close_after(to);
        send(answer(to_request(from)), to);
    });
}

} // namespace regrant::inline v0::host
