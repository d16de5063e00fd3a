// regrant/json_writer.hpp - compact JSON, its members in the order they are written.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/utf8.hpp"

#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace regrant::inline v0 {

/// How a slash is written: both forms mean the same (RFC 8259 7), and the API page's tokens escape it.
enum class solidus : std::uint8_t { plain, escaped };

/// Appends JSON to a string of the caller's. The caller opens and closes; the writer puts commas and quotes.
///
///     std::string text;
///     regrant::json_writer json(text);
///     json.begin_object();
///     json.key("sub").value("alice");
///     json.key("exp").value(std::int64_t{1636449531});
///     json.end_object();              // text == R"({"sub":"alice","exp":1636449531})"
///
/// The result is always valid UTF-8: a byte that is none becomes U+FFFD.
class json_writer {
public:
    explicit json_writer(std::string& to, solidus slashes = solidus::plain) noexcept : to_(to), slashes_(slashes) {}

    json_writer& begin_object() { return open('{'); }
    json_writer& end_object() { return close('}'); }
    json_writer& begin_array() { return open('['); }
    json_writer& end_array() { return close(']'); }

    json_writer& key(std::string_view name) {
        separate();
        quote(name);
        to_ += ':';
        needs_comma_ = false;
        return *this;
    }

    json_writer& value(std::string_view text) {
        separate();
        quote(text);
        return *this;
    }

    /// A number, or `true` or `false`.
    template <std::integral Value> json_writer& value(Value value) {
        if constexpr (std::same_as<Value, bool>) {
            return raw(value ? "true" : "false");
        } else {
            char digits[20];
            const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
            return raw({digits, static_cast<std::size_t>(end - digits)});
        }
    }

    /// A value that is JSON already.
    json_writer& raw(std::string_view json) {
        separate();
        to_ += json;
        return *this;
    }

private:
    json_writer& open(char bracket) {
        separate();
        to_ += bracket;
        needs_comma_ = false;
        return *this;
    }

    json_writer& close(char bracket) {
        to_ += bracket;
        needs_comma_ = true;
        return *this;
    }

    void separate() {
        if (needs_comma_) to_ += ',';
        needs_comma_ = true;
    }

    void quote(std::string_view text) {
        to_ += '"';
        while (!text.empty()) {
            const std::size_t plain = plain_prefix(text);
            to_ += text.substr(0, plain);
            text.remove_prefix(plain);
            if (!text.empty()) text.remove_prefix(escape(text));
        }
        to_ += '"';
    }

    std::size_t plain_prefix(std::string_view text) const noexcept {
        std::size_t i = 0;
        while (i != text.size() && text[i] >= 0x20 && text[i] < 0x7F && text[i] != '"' && text[i] != '\\' &&
               (text[i] != '/' || slashes_ == solidus::plain))
            ++i;
        return i;
    }

    /// \return how much of the text was written
    std::size_t escape(std::string_view text) {
        constexpr std::string_view digits = "0123456789abcdef";
        const auto byte = static_cast<unsigned char>(text[0]);
        if (byte < 0x20 || byte == 0x7F) {
            (to_ += "\\u00") += digits[byte >> 4];
            to_ += digits[byte & 0xF];
            return 1;
        }
        if (byte < 0x80) {
            (to_ += '\\') += text[0];
            return 1;
        }
        const std::size_t length = detail::utf8_sequence(text);
        to_ += length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, length);
        return length == 0 ? 1 : length;
    }

    std::string& to_;
    solidus slashes_;
    bool needs_comma_ = false;
};

} // namespace regrant::inline v0
