// regrant/json_writer.hpp - compact JSON, its members in the order they are written.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/block.hpp"
#include "detail/utf8.hpp"
#include "secret.hpp"

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace regrant::inline v0 {

/// How a slash is written: both forms mean the same (RFC 8259 7), and the API page's tokens escape it.
enum class solidus : std::uint8_t { plain, escaped };

/// Whether what is written next is the first of its object or array.
enum class json_place : std::uint8_t { first, following };

namespace detail {

/// Adds room at the end of a text. \return where the caller must write `size` characters
inline char* grow(secret& text, std::size_t size) { return text.grow(size); }
inline char* grow(std::string& text, std::size_t size) {
    const std::size_t old_size = text.size();
    text.resize(old_size + size);
    return text.data() + old_size;
}

/// What JSON text may hold as it is: everything, a slash where it need not be escaped, or neither.
enum class json_kind : std::uint8_t { plain, slash, escaped };

inline constexpr auto json_kinds = [] {
    std::array<json_kind, 256> kinds{};
    kinds.fill(json_kind::escaped);
    for (std::size_t c = 0x20; c != 0x7F; ++c) kinds[c] = json_kind::plain;
    kinds['"'] = kinds['\\'] = json_kind::escaped;
    kinds['/'] = json_kind::slash;
    return kinds;
}();

inline constexpr auto decimal_pairs = [] {
    std::array<std::array<char, 2>, 100> pairs{};
    for (std::size_t i = 0; i != pairs.size(); ++i)
        pairs[i] = {static_cast<char>('0' + i / 10), static_cast<char>('0' + i % 10)};
    return pairs;
}();

/// Any 64-bit number with its sign.
inline constexpr std::size_t most_digits = 20;

/// \return the number's text, at the end of `room`
template <std::integral Value> std::string_view decimal(Value value, std::array<char, most_digits>& room) noexcept {
    const bool is_negative = std::cmp_less(value, 0);
    auto left = static_cast<std::uint64_t>(value);
    if (is_negative) left = 0 - left;
    char* const end = room.data() + room.size();
    char* to = end;
    for (; left >= 100; left /= 100) {
        to -= 2;
        std::memcpy(to, decimal_pairs[static_cast<unsigned>(left % 100)].data(), 2);
    }
    const auto first = static_cast<unsigned>(left);
    *--to = decimal_pairs[first][1];
    if (first >= 10) *--to = decimal_pairs[first][0];
    if (is_negative) *--to = '-';
    return {to, static_cast<std::size_t>(end - to)};
}

} // namespace detail

/// A member's name. Of a literal the compiler finds out whether anything in it must be escaped. A `const` array that is
/// not `constexpr` it cannot look through: give that one as a `std::string_view`.
class json_name {
public:
    // NOLINTBEGIN(google-explicit-constructor): a name is written as text
    template <std::size_t Size>
    consteval json_name(const char (&literal)[Size]) noexcept
        : text_(literal), is_plain_(std::all_of(text_.begin(), text_.end(), [](unsigned char c) {
              return detail::json_kinds[c] == detail::json_kind::plain;
          })) {}
    template <std::convertible_to<std::string_view> Text> constexpr json_name(Text&& text) : text_(text) {}
    // NOLINTEND(google-explicit-constructor)

    constexpr std::string_view text() const noexcept { return text_; }
    /// Whether it is known to stand in JSON as it is.
    constexpr bool is_plain() const noexcept { return is_plain_; }

private:
    std::string_view text_;
    bool is_plain_ = false;
};

/// Appends JSON to a string of the caller's. The caller opens and closes; the writer puts commas and quotes.
///
///     std::string text;
///     regrant::json_writer json(text);
///     json.begin_object();
///     json.key("sub").value("alice");
///     json.key("exp").value(std::int64_t{1636449531});
///     json.end_object();              // text == R"({"sub":"alice","exp":1636449531})"
///
/// Output is always valid UTF-8; each invalid byte is written as U+FFFD. Two texts that differ in such bytes alone would
/// then read alike, so ask `has_replaced` where the text must be told from others.
///
/// `Text` is a `std::string`, or a `secret` for what must be wiped.
template <class Text> class basic_json_writer {
    using json_writer = basic_json_writer;

public:
    explicit basic_json_writer(Text& to, solidus slashes = solidus::plain,
                               json_place next = json_place::first) noexcept
        : to_(to), slashes_(slashes), needs_comma_(next == json_place::following) {}

    json_writer& begin_object() { return open('{'); }
    json_writer& end_object() { return close('}'); }
    json_writer& begin_array() { return open('['); }
    json_writer& end_array() { return close(']'); }

    json_writer& key(json_name name) {
        if (name.is_plain()) put_plain(name.text(), position::key);
        else quote(name.text(), position::key);
        needs_comma_ = false;
        return *this;
    }

    json_writer& value(std::string_view text) {
        quote(text, position::value);
        return *this;
    }

    /// A number, or `true` or `false`.
    template <std::integral Value> json_writer& value(Value value) {
        if constexpr (std::same_as<Value, bool>) {
            return raw(value ? "true" : "false");
        } else {
            std::array<char, detail::most_digits> room;
            return raw(detail::decimal(value, room));
        }
    }

    /// A value that is JSON already.
    json_writer& raw(std::string_view json) {
        separate();
        to_.append(json);
        return *this;
    }

    /// Whether a byte that was not UTF-8 has been written as U+FFFD.
    bool has_replaced() const noexcept { return has_replaced_; }

private:
    json_writer& open(char bracket) {
        separate();
        to_.push_back(bracket);
        needs_comma_ = false;
        return *this;
    }

    json_writer& close(char bracket) {
        to_.push_back(bracket);
        needs_comma_ = true;
        return *this;
    }

    void separate() {
        if (needs_comma_) to_.push_back(',');
        needs_comma_ = true;
    }

    enum class position : std::uint8_t { key, value };

    void quote(std::string_view text, position at) {
        std::size_t plain = plain_size(text);
        if (plain == text.size()) return put_plain(text, at);
        separate();
        to_.push_back('"');
        to_.append(text.substr(0, plain));
        while (plain != text.size()) {
            text.remove_prefix(plain);
            text.remove_prefix(escape(text));
            plain = plain_size(text);
            to_.append(text.substr(0, plain));
        }
        to_.append(std::string_view("\":", at == position::key ? 2 : 1));
    }

    /// Writes what need not be escaped.
    void put_plain(std::string_view text, position at) {
        const bool is_key = at == position::key;
        const bool follows = std::exchange(needs_comma_, true);
        // Two quotes stand there always.
        char* to = detail::grow(to_, text.size() + 2 + (follows ? 1 : 0) + (is_key ? 1 : 0));
        if (follows) *to++ = ',';
        *to++ = '"';
        to = std::copy(text.begin(), text.end(), to);
        *to++ = '"';
        if (is_key) *to = ':';
    }

    /// How much of a text comes before what must be escaped.
    std::size_t plain_size(std::string_view text) const noexcept {
        const bool escapes_slash = slashes_ == solidus::escaped;
        std::size_t i = 0;
        while (text.size() - i >= detail::block_bytes) {
            constexpr std::size_t stretch_bytes = 16 * detail::block_bytes;
            const std::string_view stretch = text.substr(i, stretch_bytes);
            // Below '-' are the control bytes, the quote and a few plain ones, which are left to the closer look.
            const bool is_clear = escapes_slash ? detail::is_clear<'-', '~', '\\', '/'>(stretch)
                                                : detail::is_clear<'-', '~', '\\'>(stretch);
            if (!is_clear) break;
            i += stretch.size();
        }
        const auto allowed = escapes_slash ? detail::json_kind::plain : detail::json_kind::slash;
        while (i != text.size() && detail::json_kinds[static_cast<unsigned char>(text[i])] <= allowed) ++i;
        return i;
    }

    /// \return how much of the text was written
    std::size_t escape(std::string_view text) {
        constexpr std::string_view digits = "0123456789abcdef";
        const auto byte = static_cast<unsigned char>(text[0]);
        if (byte < 0x20 || byte == 0x7F) {
            to_.append("\\u00");
            to_.push_back(digits[byte >> 4]);
            to_.push_back(digits[byte & 0xF]);
            return 1;
        }
        if (byte < 0x80) {
            to_.push_back('\\');
            to_.push_back(text[0]);
            return 1;
        }
        const std::size_t length = detail::utf8_sequence(text);
        has_replaced_ = has_replaced_ || length == 0;
        to_.append(length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, length));
        return length == 0 ? 1 : length;
    }

    Text& to_;
    solidus slashes_;
    bool needs_comma_;
    bool has_replaced_ = false;
};

using json_writer = basic_json_writer<std::string>;

} // namespace regrant::inline v0
