// tests/unit/support/flow_http.hpp - requests as a client would send them.
// SPDX-License-Identifier: MIT
#pragma once

#include <regrant/http_request.hpp>
#include <regrant/secret.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace flow {

/// RFC 4648 4, written down a second time so that a test does not believe the library.
inline std::string base64(std::string_view text) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string made;
    for (std::size_t i = 0; i < text.size(); i += 3) {
        std::uint32_t bits = 0;
        for (std::size_t k = 0; k != 3; ++k)
            bits = bits << 8 | (i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U);
        for (std::size_t k = 0; k != 4; ++k)
            made += k <= text.size() - i ? digits[bits >> (18 - 6 * k) & 0x3F] : '=';
    }
    return made;
}

/// The value of an Authorization header; user and password go in as they are given.
inline std::string basic(std::string_view user, std::string_view password) {
    return "Basic " + base64(std::string(user) + ':' + std::string(password));
}

using headers = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// A POST of a form.
inline regrant::http_request post(std::string_view body, headers more = {}) {
    regrant::http_request request;
    request.method = "POST";
    request.header("Content-Type", "application/x-www-form-urlencoded");
    for (const auto& [name, value] : more) request.header(name, value);
    request.body = regrant::secret(body);
    return request;
}

/// The form of a refresh, with more fields behind it.
inline std::string refresh_form(std::string_view token, std::string_view more = {}) {
    return "grant_type=refresh_token&refresh_token=" + std::string(token) + std::string(more);
}

} // namespace flow
