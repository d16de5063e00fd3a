// regrant/http_request.hpp - the parts of an HTTP request that the token endpoint reads.
// floor 2
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/ascii.hpp"
#include "secret.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace regrant::inline v0 {

/// A header as often as it came.
class received_header {
public:
    void add(std::string_view value) {
        differs_ = differs_ || (times_ != 0 && value != text_.reveal());
        if (times_++ == 0) text_ = secret(value);
    }

    bool is_present() const noexcept { return times_ != 0; }
    bool is_repeated() const noexcept { return times_ > 1; }
    /// Whether it came twice with two values.
    bool differs() const noexcept { return differs_; }
    /// The first value, empty where there is none.
    std::string_view text() const noexcept { return text_.reveal(); }

private:
    secret text_{};
    std::size_t times_ = 0;
    bool differs_ = false;
};

/// A request in words every web framework has. It owns its text: views into a framework's buffers dangled in trial.
///
///     regrant::http_request request;
///     request.method = "POST";
///     request.body = regrant::secret(framework_request.body);
///     for (auto& [name, value] : framework_request.headers) request.header(name, value);
struct http_request {
    std::string method{};
    /// The address at the other end of the connection, such as `192.0.2.7` or `2001:db8::7`, without a port; empty
    /// when it is unknown. A throttle counts by it, or by the client behind it: see `trusted_proxies`.
    std::string peer{};
    /// What follows the `?` of the request target, encoded as it came.
    secret query{};
    secret body{};

    received_header content_encoding{};
    received_header content_type{};
    received_header authorization{};
    received_header origin{};
    received_header access_control_request_method{};
    /// What proxies say of their callers, all lines of a header joined: see `trusted_proxies`.
    std::string forwarded{};
    std::string x_forwarded_for{};

    /// Offers a header, once for each time it came; those that nobody reads are passed over.
    void header(std::string_view name, std::string_view value) {
        if (received_header* known = find(name)) known->add(value);
        else if (detail::equal_but_case(name, "forwarded")) join(forwarded, value);
        else if (detail::equal_but_case(name, "x-forwarded-for")) join(x_forwarded_for, value);
    }

    /// Whether the body is compressed or encoded in another way (RFC 9110 8.4); `identity` is no coding.
    bool is_encoded() const noexcept {
        const std::string_view coding = detail::trim_blanks(content_encoding.text());
        return content_encoding.differs() || !(coding.empty() || detail::equal_but_case(coding, "identity"));
    }

    /// Fetch 3.2.2: "A CORS-preflight request is a CORS request that checks to see if the CORS protocol is
    /// understood. It uses `OPTIONS` as method".
    bool is_preflight() const noexcept {
        return method == "OPTIONS" && origin.is_present() && access_control_request_method.is_present();
    }

private:
    /// RFC 9110 5.3: lines of one name are one list.
    static void join(std::string& list, std::string_view value) {
        if (!list.empty()) list += ", ";
        list += value;
    }

    received_header* find(std::string_view name) noexcept {
        if (detail::equal_but_case(name, "content-encoding")) return &content_encoding;
        if (detail::equal_but_case(name, "content-type")) return &content_type;
        if (detail::equal_but_case(name, "authorization")) return &authorization;
        if (detail::equal_but_case(name, "origin")) return &origin;
        if (detail::equal_but_case(name, "access-control-request-method")) return &access_control_request_method;
        return nullptr;
    }
};

/// The path of a request target, without its query. One in absolute form, as proxies send it, loses scheme and host
/// (RFC 9112 3.2.2).
constexpr std::string_view path_of(std::string_view target) noexcept {
    target = target.substr(0, target.find('?'));
    const std::size_t scheme = target.find("://");
    if (target.starts_with('/') || scheme == std::string_view::npos) return target;
    const std::size_t path = target.find('/', scheme + 3);
    return path == std::string_view::npos ? "/" : target.substr(path);
}

/// The query of a request target: what stands behind its first `?`.
constexpr std::string_view query_of(std::string_view target) noexcept {
    const std::size_t mark = target.find('?');
    return mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
}

} // namespace regrant::inline v0
