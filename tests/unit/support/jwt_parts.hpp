// Reads a compact JWT with another base64 and another JSON reader than the library's own.
#pragma once

#include <doctest/doctest.h>
#include <openssl/evp.h>
#include <picojson.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace support {

inline std::string base64url_bytes(std::string_view segment) {
    std::string text(segment);
    std::replace(text.begin(), text.end(), '-', '+');
    std::replace(text.begin(), text.end(), '_', '/');
    std::size_t padding = 0;
    for (; text.size() % 4 != 0; ++padding) text += '=';
    std::string bytes(text.size() / 4 * 3, '\0');
    const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
    REQUIRE(size >= 0);
    bytes.resize(static_cast<std::size_t>(size) - padding);
    return bytes;
}

inline picojson::object json_object(const std::string& text) {
    picojson::value value;
    const std::string error = picojson::parse(value, text);
    REQUIRE_MESSAGE(error.empty(), error);
    REQUIRE(value.is<picojson::object>());
    return value.get<picojson::object>();
}

struct jwt_parts {
    /// Header, claims and signature as they stand in the token.
    std::vector<std::string> segments{};
    std::string header_json{};
    std::string claims_json{};
    std::string signature{};

    explicit jwt_parts(std::string_view token) {
        while (true) {
            segments.emplace_back(token.substr(0, token.find('.')));
            if (segments.back().size() == token.size()) break;
            token.remove_prefix(segments.back().size() + 1);
        }
        REQUIRE(segments.size() == 3);
        header_json = base64url_bytes(segments[0]);
        claims_json = base64url_bytes(segments[1]);
        signature = base64url_bytes(segments[2]);
    }

    std::string signing_input() const { return segments[0] + '.' + segments[1]; }
    picojson::object header() const { return json_object(header_json); }
    picojson::object claims() const { return json_object(claims_json); }
};

} // namespace support
