// regrant/form.hpp - application/x-www-form-urlencoded text as names with values.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/utf8.hpp"
#include "result.hpp"
#include "secret.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
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

constexpr int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
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
    const char* from = text.data();
    const char* const end = from + text.size();
    char* to = text.data();
    while (from != end) {
        char c = *from++;
        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            const int high = end - from >= 2 ? detail::hex_digit(from[0]) : -1;
            const int low = high >= 0 ? detail::hex_digit(from[1]) : -1;
            if (low < 0) return unexpected(form_error::malformed_escape);
            c = static_cast<char>(high * 16 + low);
            from += 2;
        }
        if (c == '\0') return unexpected(form_error::nul_byte);
        *to++ = c;
    }
    const std::string_view decoded(text.data(), static_cast<std::size_t>(to - text.data()));
    if (!detail::is_utf8(decoded)) return unexpected(form_error::invalid_utf8);
    return decoded;
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
        const std::size_t count = count_pieces(body.reveal());
        if (count > limits.fields) return unexpected(form_error::too_many_fields);

        form parsed(std::move(body));
        parsed.fields_.reserve(count);
        std::span<char> rest = parsed.body_.mutable_text();
        while (!rest.empty()) {
            const std::span<char> piece = rest.first(length_up_to(rest, '&'));
            rest = rest.subspan((std::min)(piece.size() + 1, rest.size()));
            if (piece.empty()) continue;
            const std::size_t split = length_up_to(piece, '=');
            auto name = form_decode(piece.first(split));
            if (!name) return unexpected(name.error());
            auto value = form_decode(piece.subspan((std::min)(split + 1, piece.size())));
            if (!value) return unexpected(value.error());
            parsed.fields_.push_back({*name, *value});
        }
        return parsed;
    }

    /// Parses a copy of the text.
    static result<form, form_error> parse(std::string_view body, form_limits limits = {}) {
        if (body.size() > limits.body_bytes) return unexpected(form_error::too_large);
        return parse(secret(body), limits);
    }

    /// The first value of a name. \return nothing where it is absent or empty
    /// \par RFC 6749 3.2: "Parameters sent without a value MUST be treated as if they were omitted"
    std::optional<std::string_view> find(std::string_view name) const noexcept {
        for (const field& f : fields_)
            if (f.name == name) return f.value.empty() ? std::nullopt : std::optional(f.value);
        return std::nullopt;
    }

    /// Whether any name but `repeatable` occurs twice, be its value empty or not.
    /// \par RFC 6749 3.2: "Request and response parameters MUST NOT be included more than once"
    bool repeats_a_name(std::string_view repeatable = {}) const {
        // Sorting keeps a form of thousands of fields from costing the square of their number.
        std::vector<std::string_view> names;
        names.reserve(fields_.size());
        for (const field& f : fields_)
            if (f.name != repeatable || repeatable.empty()) names.push_back(f.name);
        std::sort(names.begin(), names.end());
        return std::adjacent_find(names.begin(), names.end()) != names.end();
    }

    /// All fields in the order they were sent, empty ones too.
    std::span<const field> fields() const noexcept { return fields_; }

private:
    explicit form(secret body) noexcept : body_(std::move(body)) {}

    static std::size_t length_up_to(std::span<const char> text, char mark) noexcept {
        return static_cast<std::size_t>(std::find(text.begin(), text.end(), mark) - text.begin());
    }

    static std::size_t count_pieces(std::string_view text) noexcept {
        std::size_t count = 0;
        char before = '&';
        for (const char c : text) count += static_cast<std::size_t>(std::exchange(before, c) == '&' && c != '&');
        return count;
    }

    secret body_;
    std::vector<field> fields_;
};

} // namespace regrant::inline v0
