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

/// What a form may cost before it is looked at.
struct form_limits {
    std::size_t body_bytes = std::size_t{16} * 1024;
    std::size_t fields = 100;
};

namespace detail {

// Two bytes that no decoded text holds, for UTF-8 has no 0xFF and a NUL is refused. They stand behind a name and behind
// its value, so that the fields need no memory but their text's own.
inline constexpr char split_mark = '\xFF';
inline constexpr char end_mark = '\0';

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
    char* to = text.data();
    const char* from = to;
    const char* const end = from + text.size();
    // Where the name or value that is being decoded begins.
    const char* part = to;
    const form_bytes* kinds = is_form ? &name_bytes : &text_bytes;
    std::size_t fields = 0;
    // What was escaped in the part, and what begins no character, or-ed: from 0x80 on its UTF-8 must be looked at.
    unsigned bits = 0;

    // What they need is passed, not captured, so that it can stay in registers.
    const auto kind_of = [](const form_bytes* by, const char* at) { return (*by)[static_cast<unsigned char>(*at)]; };
    const auto begin_of_piece = [](const char* at, const char* last) {
        while (is_form && at != last && *at == '&') ++at;
        return at;
    };
    const auto is_good = [](const char* first, const char* last, unsigned seen) {
        return seen < 0x80 || is_utf8(std::string_view(first, static_cast<std::size_t>(last - first)));
    };
    // The limits come first, wherever the fault is.
    const auto fault = [most_fields](form_error error, std::string_view rest, std::size_t before) {
        const std::size_t following = count_pieces(rest.substr((std::min)(rest.find('&'), rest.size())));
        return unexpected(is_form && before + following > most_fields ? form_error::too_many_fields : error);
    };
    const auto rest = [end](const char* at) { return std::string_view(at, static_cast<std::size_t>(end - at)); };

    from = begin_of_piece(from, end);
    if (from != end) fields = 1;
    if (is_form && fields > most_fields) return unexpected(form_error::too_many_fields);
    while (from != end) {
        form_byte kind = kind_of(kinds, from);
        if (kind == form_byte::plain) {
            *to++ = *from++;
            if (from == end) [[unlikely]] break;
            kind = kind_of(kinds, from);
        }
        if (kind == form_byte::percent) {
            const bool whole = end - from >= 3;
            const unsigned high = whole ? hex_values[static_cast<unsigned char>(from[1])] : 0xFFFU;
            const unsigned low = whole ? hex_values[static_cast<unsigned char>(from[2])] : 0xFFFU;
            const unsigned byte = high << 4 | low;
            if (byte > 0xFF) [[unlikely]] return fault(form_error::malformed_escape, rest(from), fields);
            if (byte == 0) [[unlikely]] return fault(form_error::nul_byte, rest(from), fields);
            bits |= byte;
            *to++ = static_cast<char>(byte);
            from += 3;
            continue;
        }
        if (kind == form_byte::plain) {
            std::ptrdiff_t run = 8;
            for (int words = 0; words != 3 && run == 8 && end - from >= 8; ++words) {
                run = plain_of_eight(from);
                // Up to the first escape everything stands where it belongs.
                if (to != from) std::copy_n(from, run, to);
                from += run;
                to += run;
            }
            // A long stretch goes on, most likely.
            if (run == 8)
                for (; end - from >= std::ptrdiff_t{block_bytes} && is_clear<',', '\x7F', '='>({from, block_bytes});
                     to += block_bytes) {
                    if (to != from) copy_block(from, to);
                    from += block_bytes;
                }
            while (from != end && kind_of(kinds, from) == form_byte::plain) *to++ = *from++;
        } else if (kind == form_byte::separator) {
            if (!is_good(part, to, bits)) [[unlikely]] return fault(form_error::invalid_utf8, rest(from), fields);
            // What is checked is not checked again behind the end.
            bits = 0;
            if (*from == '=') {
                ++from;
                *to++ = split_mark;
                kinds = &value_bytes;
            } else {
                from = begin_of_piece(from + 1, end);
                if (from == end) [[unlikely]] break;
                if (++fields > most_fields) [[unlikely]] return unexpected(form_error::too_many_fields);
                *to++ = end_mark;
                kinds = &name_bytes;
            }
            part = to;
        } else if (*from == '+') {
            do {
                *to++ = ' ';
                ++from;
            } while (from != end && *from == '+');
        } else if (*from == '\0') {
            return fault(form_error::nul_byte, rest(from), fields);
        } else {
            const beyond_ascii run = beyond_ascii_at_start(rest(from));
            // A character can be half escaped, so whether a byte is at fault shows when the part is decoded.
            if (!run.is_utf8) bits |= 0x80;
            std::memmove(to, from, run.size_bytes);
            from += run.size_bytes;
            to += run.size_bytes;
        }
    }
    if (!is_good(part, to, bits)) [[unlikely]] return fault(form_error::invalid_utf8, rest(from), fields);
    return static_cast<std::size_t>(to - text.data());
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
    /// \param limits  judged before anything is decoded, so that a large body costs little (R9)
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
