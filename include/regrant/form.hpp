// regrant/form.hpp - application/x-www-form-urlencoded text as names with values.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/block.hpp"
#include "detail/form_bytes.hpp"
#include "detail/utf8.hpp"
#include "result.hpp"
#include "secret.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

/// Why a text is no acceptable form.
enum class form_error : std::uint8_t {
    too_large,
    too_many_fields,
    /// a `%` not followed by two hexadecimal digits
    malformed_escape,
    invalid_utf8,
    nul_byte,
};

/// How large a form may be. What is past a limit is not decoded.
struct form_limits {
    std::size_t body_bytes = std::size_t{16} * 1024;
    std::size_t fields = 100;
};

namespace detail {

enum class form_shape : std::uint8_t {
    /// names with values, between marks
    fields,
    /// one name or value
    text,
};

/// Decodes form text where it stands.
/// \return the size of what it means
template <form_shape Shape>
result<std::size_t, form_error> decode_form(std::span<char> text, std::size_t most_fields) noexcept {
    constexpr bool is_form = Shape == form_shape::fields;
    // So many bytes are taken one by one before words are tried, for a stretch that ends sooner costs less that way.
    constexpr std::ptrdiff_t short_stretch = 5;
    constexpr std::ptrdiff_t word_bytes = sizeof(form_word);
    constexpr std::ptrdiff_t stretch_bytes = 4 * block_bytes;
    char* to = text.data();
    const char* from = to;
    const char* const end = from + text.size();
    const form_meanings* meanings = is_form ? &name_meanings : &text_meanings;
    std::size_t room = most_fields;
    std::ptrdiff_t one_by_one = short_stretch;
    // A character can be escaped by half, so that only what is decoded shows whether it is one.
    unsigned seen = 0;

    // What it needs is passed, not captured, so that it can stay in registers.
    const auto meaning_of = [](const form_meanings* by, const char* at) -> unsigned {
        return (*by)[static_cast<unsigned char>(*at)];
    };
    const auto rest = [&] { return std::string_view(from, static_cast<std::size_t>(end - from)); };
    const auto error_of = [](unsigned refused) {
        return refused == end_mark ? form_error::nul_byte : form_error::invalid_utf8;
    };
    std::optional<form_error> error;

    while (is_form && from != end && *from == '&') ++from;
    if (is_form && from != end && room-- == 0) return unexpected(form_error::too_many_fields);
    while (from != end) {
        unsigned meaning = meaning_of(meanings, from);
        if (meaning <= 0xFF) {
            const char* const stop = from + (std::min)(end - from, one_by_one);
            do {
                *to++ = static_cast<char>(meaning);
                seen |= meaning;
                if (++from == stop) break;
                meaning = meaning_of(meanings, from);
            } while (meaning <= 0xFF);
        }
        if (meaning <= 0xFF) {
            constexpr int many = 8;
            int words = 0;
            do {
                for (words = 0; words != many && end - from >= word_bytes; ++words) {
                    const form_word word = form_word_at(from);
                    if (!are_plain_ascii(word)) {
                        if (!are_plain_beyond_ascii(word)) break;
                        seen |= 0x80;
                    }
                    std::memcpy(to, &word, word_bytes);
                    from += word_bytes;
                    to += word_bytes;
                }
                // A long stretch goes on, most likely.
                while (words == many && end - from >= stretch_bytes &&
                       is_clear<',', '\x7F', '='>({from, stretch_bytes})) {
                    if (to != from) std::memmove(to, from, stretch_bytes);
                    from += stretch_bytes;
                    to += stretch_bytes;
                }
            } while (words == many);
            // A word tried in vain holds what ends the stretch, most likely.
            one_by_one = word_bytes;
            continue;
        }
        one_by_one = short_stretch;
        if ((meaning & form_separator) != 0) [[likely]] {
            *to++ = static_cast<char>(meaning);
            if (static_cast<char>(meaning) == split_mark) {
                ++from;
                meanings = &value_meanings;
            } else {
                do ++from;
                while (from != end && *from == '&');
                if (from == end) [[unlikely]] break;
                if (room-- == 0) [[unlikely]] return unexpected(form_error::too_many_fields);
                meanings = &name_meanings;
            }
        } else if (meaning == form_escape) {
            const bool whole = end - from >= 3;
            const unsigned high = whole ? hex_values[static_cast<unsigned char>(from[1])] : 0xFFFU;
            const unsigned low = whole ? hex_values[static_cast<unsigned char>(from[2])] : 0xFFFU;
            const unsigned byte = high << 4 | low;
            // No two digits, or one of the marks.
            if (byte - 1 >= 0xFE) [[unlikely]] {
                error = byte > 0xFF ? form_error::malformed_escape : error_of(byte);
                break;
            }
            seen |= byte;
            *to++ = static_cast<char>(byte);
            from += 3;
        } else {
            error = error_of(static_cast<unsigned char>(*from));
            break;
        }
    }
    const std::string_view meant(text.data(), static_cast<std::size_t>(to - text.data()));
    if (!error && seen > 0x7F && !is_utf8<split_mark>(meant)) error = form_error::invalid_utf8;
    if (!error) return meant.size();
    // The limits come first, wherever the fault is.
    const std::string_view others = rest().substr((std::min)(rest().find('&'), rest().size()));
    return unexpected(is_form && count_pieces(others) > room ? form_error::too_many_fields : *error);
}

} // namespace detail

/// Undoes the form encoding in place: `+` is a space, `%2B` a plus.
///
/// \param text  encoded text; overwritten by what it means, which is never longer
/// \return the decoded start of `text`
/// \par Errors
/// `form_error::malformed_escape`, `invalid_utf8`, `nul_byte`; `text` is then half decoded
/// \par RFC 6749 Appendix B
inline result<std::string_view, form_error> form_decode(std::span<char> text) noexcept {
    const auto size = detail::decode_form<detail::form_shape::text>(text, 0);
    if (!size) return unexpected(size.error());
    return std::string_view(text.data(), *size);
}

/// A parsed form. It owns its text, which is wiped with it, and decodes it where it stands.
///
///     auto form = regrant::form::parse("scope=openid+email&state=a%26b");
///     // form->find("scope") == "openid email"
///
/// Well-formed input decodes exactly as the WHATWG URL standard's parser decodes it: empty pieces between `&` are
/// skipped, the first `=` splits. Input that parser would guess at is an error here (R4).
class form {
public:
    /// Views into the form's text.
    struct field {
        std::string_view name;
        std::string_view value;
    };

    /// \param body    the encoded text, taken over
    /// \param limits  what is past them is not decoded, so that a large body costs little (R9)
    /// \par Errors
    /// see `form_error`; the limits come first
    static result<form, form_error> parse(secret body, form_limits limits = {}) {
        if (body.size() > limits.body_bytes) return unexpected(form_error::too_large);
        form parsed(std::move(body));
        const auto size =
            detail::decode_form<detail::form_shape::fields>(parsed.body_.mutable_text(), limits.fields);
        if (!size) return unexpected(size.error());
        parsed.body_.truncate(*size);
        return parsed;
    }

    /// Parses a copy of the text.
    static result<form, form_error> parse(std::string_view body, form_limits limits = {}) {
        if (body.size() > limits.body_bytes) return unexpected(form_error::too_large);
        return parse(secret(body), limits);
    }

    /// Fields in the order they were sent, found as they are asked for.
    class field_range {
    public:
        class iterator {
        public:
            using value_type = field;
            using difference_type = std::ptrdiff_t;

            iterator() noexcept = default;
            field operator*() const noexcept {
                const std::string_view text = rest_.substr(0, size_);
                const std::size_t split = (std::min)(text.find(detail::split_mark), size_);
                return {text.substr(0, split), text.substr((std::min)(split + 1, size_))};
            }
            iterator& operator++() noexcept {
                rest_.remove_prefix((std::min)(size_ + 1, rest_.size()));
                size_ = (std::min)(rest_.find(detail::end_mark), rest_.size());
                return *this;
            }
            iterator operator++(int) noexcept {
                const iterator before = *this;
                ++*this;
                return before;
            }
            friend bool operator==(const iterator& one, const iterator& other) noexcept {
                return one.rest_.size() == other.rest_.size();
            }

        private:
            friend field_range;
            explicit iterator(std::string_view rest) noexcept
                : rest_(rest), size_((std::min)(rest.find(detail::end_mark), rest.size())) {}
            std::string_view rest_{};
            std::size_t size_ = 0;
        };

        iterator begin() const noexcept { return iterator(text_); }
        iterator end() const noexcept { return iterator(); }

    private:
        friend form;
        explicit field_range(std::string_view text) noexcept : text_(text) {}
        std::string_view text_;
    };

    /// All fields, empty ones too.
    field_range fields() const noexcept { return field_range(body_.reveal()); }

    /// The first value of a name. \return nothing where it is absent or empty
    /// \par RFC 6749 3.2: "Parameters sent without a value MUST be treated as if they were omitted"
    std::optional<std::string_view> find(std::string_view name) const noexcept {
        for (const field each : fields())
            if (each.name == name) return each.value.empty() ? std::nullopt : std::optional(each.value);
        return std::nullopt;
    }

    /// Whether all names and values are ASCII.
    bool is_ascii() const noexcept {
        const auto is_plain = [](std::string_view text) {
            return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
        };
        for (const field each : fields())
            if (!is_plain(each.name) || !is_plain(each.value)) return false;
        return true;
    }

    /// Whether any name but `repeatable` occurs twice, be its value empty or not.
    /// \par RFC 6749 3.2: "Request and response parameters MUST NOT be included more than once"
    bool repeats_a_name(std::string_view repeatable = {}) const {
        const auto counts = [&](const field& each) { return each.name != repeatable || repeatable.empty(); };
        // More than an honest request has: these need neither memory of their own nor an order.
        std::array<std::string_view, 16> few;
        std::vector<std::string_view> all;
        auto end = few.begin();
        for (const field each : fields()) {
            if (!counts(each)) continue;
            if (end != few.end()) {
                if (std::find(few.begin(), end, each.name) != end) return true;
                *end++ = each.name;
            } else {
                if (all.empty()) all.assign(few.begin(), few.end());
                all.push_back(each.name);
            }
        }
        // Sorting keeps a form of thousands of fields from costing the square of their number.
        std::sort(all.begin(), all.end());
        return std::adjacent_find(all.begin(), all.end()) != all.end();
    }

private:
    explicit form(secret body) noexcept : body_(std::move(body)) {}

    secret body_;
};

} // namespace regrant::inline v0
