// regrant/host/fastcgi.hpp - a request in, an answer out, for FastCGI programs behind nginx.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../detail/caught.hpp"
#include "../error.hpp"
#include "../form.hpp"
#include "../http_reply.hpp"
#include "../http_request.hpp"
#include "../result.hpp"
#include "../secret.hpp"

#include <fcgiapp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

namespace regrant::inline v0::host {

/// A parameter of the web server's, empty where it sent none: `fastcgi_parameter(request, "SCRIPT_NAME")`.
inline std::string_view fastcgi_parameter(const FCGX_Request& of, const char* name) noexcept {
    const char* value = FCGX_GetParam(name, of.envp);
    return value == nullptr ? std::string_view() : value;
}

/// The whole request (libfcgi 2.4).
///
/// - A header comes as `HTTP_` with its name in capitals, once for each time the client sent it. nginx tells the media
///   type twice, as `CONTENT_TYPE` too, which therefore counts only where there is no `HTTP_CONTENT_TYPE`.
/// - A client's `Content_Type:` would pass for `Content-Type:`. nginx drops such names unless `underscores_in_headers`
///   is on.
/// - The client's address is `REMOTE_ADDR`. Behind a proxy in front of nginx that is the proxy's, until nginx's realip
///   module is told whom to believe.
/// - Apache keeps `Authorization` to itself unless `CGIPassAuth` is on.
/// - The body is read to its end though only `limits` and one byte are kept: what is left in a kept connection would
///   be taken for the next request. The web server's own limit bounds it. One that was cut counts as none.
/// - Parameters end at a NUL; nginx refuses NULs in headers. In the body they pass.
inline http_request to_request(const FCGX_Request& from, const form_limits& limits = {}) {
    http_request request;
    request.method = fastcgi_parameter(from, "REQUEST_METHOD");
    request.peer = fastcgi_parameter(from, "REMOTE_ADDR");
    request.query = secret(fastcgi_parameter(from, "QUERY_STRING"));
    for (char** each = from.envp; each != nullptr && *each != nullptr; ++each) {
        const std::string_view parameter = *each;
        const std::size_t split = parameter.find('=');
        if (!parameter.starts_with("HTTP_") || split == std::string_view::npos) continue;
        std::string name(parameter.substr(5, split - 5));
        std::replace(name.begin(), name.end(), '_', '-');
        request.header(name, parameter.substr(split + 1));
    }
    const std::string_view content_type = fastcgi_parameter(from, "CONTENT_TYPE");
    if (!request.content_type.is_present() && !content_type.empty()) request.header("Content-Type", content_type);

    char piece[4096];
    std::size_t received = 0;
    for (int size; (size = FCGX_GetStr(piece, sizeof piece, from.in)) > 0;) {
        const std::size_t room = limits.body_bytes + 1 - request.body.size();
        request.body.append({piece, (std::min)(static_cast<std::size_t>(size), room)});
        received += static_cast<std::size_t>(size);
    }
    wipe(piece, sizeof piece);
    std::string_view announced = fastcgi_parameter(from, "CONTENT_LENGTH");
    // RFC 9110 8.6: Content-Length = 1*DIGIT, zeros in front too
    while (announced.size() > 1 && announced.front() == '0') announced.remove_prefix(1);
    const bool is_whole = FCGX_GetError(from.in) == 0 && (announced.empty() || announced == std::to_string(received));
    if (!is_whole) request.body = secret();
    return request;
}

/// Sends an answer.
///
/// FastCGI has no status line, only a `Status:` header. The answer is complete when the request is finished, which
/// `serve_fastcgi` does.
inline void send(http_reply reply, FCGX_Request& to) {
    const bool is_head = fastcgi_parameter(to, "REQUEST_METHOD") == "HEAD";
    // Without words behind the number nginx leaves out the space that must follow it, too (RFC 9112 4).
    std::string text = "Status: " + std::to_string(static_cast<int>(reply.status));
    text += reply.status < http_status::bad_request ? " OK\r\n" : " Error\r\n";
    for (const auto& [name, value] : reply.headers) text.append(name).append(": ").append(value).append("\r\n");
    // RFC 9110 8.6: a 204 must not have one, and for HEAD the length would be that of the body left out.
    if (reply.status != http_status::no_content && !(is_head && reply.body.empty()))
        text += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n";
    text += "\r\n";
    if (!is_head) text += reply.body;
    // Where the web server has hung up there is nobody left to tell.
    FCGX_PutStr(text.data(), static_cast<int>(text.size()), to.out);
}

/// A loopback port for one web server. `FCGX_OpenSocket(":9000")` would listen on every interface, where anybody may
/// claim any header.
class fastcgi_port {
public:
    /// \param number    0 takes a free one, see `number()`
    /// \param patience  how long a web server that has begun a request, or keeps a connection, may stay silent
    static result<fastcgi_port, setup_error> open(std::uint16_t number,
                                                  std::chrono::seconds patience = std::chrono::seconds(5)) {
        if (FCGX_Init() != 0) return unexpected(setup_error{"libfcgi could not be set up"});
        fastcgi_port opened(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const int on = 1;
        ::setsockopt(opened.socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        // Accepted sockets inherit these; libfcgi itself would wait for ever. It sets TCP_NODELAY by itself.
        const ::timeval wait{static_cast<decltype(::timeval::tv_sec)>(patience.count()), 0};
        ::setsockopt(opened.socket_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        ::setsockopt(opened.socket_, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
        ::sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(number);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<::sockaddr*>(&address);
        if (::bind(opened.socket_, generic, size) != 0 || ::listen(opened.socket_, SOMAXCONN) != 0 ||
            ::getsockname(opened.socket_, generic, &size) != 0)
            return unexpected(setup_error{"cannot listen on port " + std::to_string(number) + ": " +
                                          std::generic_category().message(errno)});
        opened.number_ = ntohs(address.sin_port);
        return opened;
    }

    fastcgi_port(fastcgi_port&& other) noexcept
        : socket_(std::exchange(other.socket_, -1)), number_(other.number_) {}
    ~fastcgi_port() {
        if (socket_ >= 0) ::close(socket_);
    }

    std::uint16_t number() const noexcept { return number_; }
    int socket() const noexcept { return socket_; }

    /// Told by the socket itself: what libfcgi returns after `stop()` depends on an errno of before.
    bool is_listening() const noexcept {
        int is = 0;
        ::socklen_t size = sizeof is;
        return ::getsockopt(socket_, SOL_SOCKET, SO_ACCEPTCONN, &is, &size) == 0 && is != 0;
    }

    /// Ends `serve_fastcgi` in all threads once each has answered what it is at; a connection that a web server keeps
    /// open holds its thread for `patience` and two seconds. libfcgi takes nothing more in this program.
    void stop() const noexcept {
        FCGX_ShutdownPending();
        ::shutdown(socket_, SHUT_RDWR);
    }

private:
    explicit fastcgi_port(int socket) noexcept : socket_(socket) {}

    int socket_;
    std::uint16_t number_ = 0;
};

/// Answers the requests that come to a port, one after the other; to be run in several threads.
///
/// \param answer  is given each as `FCGX_Request&`; where it throws, the client is told 503
template <class Answer> void serve_fastcgi(const fastcgi_port& port, Answer answer) {
    // Made beforehand, for what is thrown may mean that there is no memory.
    constexpr const char* thrown =
        "Status: 503 Error\r\nContent-Type: application/json;charset=UTF-8\r\nCache-Control: no-store\r\n"
        "Pragma: no-cache\r\nContent-Length: 35\r\n\r\n"
        R"({"error":"temporarily_unavailable"})";
    FCGX_Request request;
    if (FCGX_InitRequest(&request, port.socket(), FCGI_FAIL_ACCEPT_ON_INTR) != 0) return;
    while (port.is_listening()) {
        const int failed = FCGX_Accept_r(&request);
        if (failed == 0) {
            detail::caught([&] { answer(request); }, [&](const char*) { FCGX_PutS(thrown, request.out); });
            FCGX_Finish_r(&request);
        } else if (failed != -EAGAIN && failed != -EINTR) {
            // Where descriptors or memory have run out others will give some back.
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }
    FCGX_Free(&request, 1);
}

} // namespace regrant::inline v0::host
