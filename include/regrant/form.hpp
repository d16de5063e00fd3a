// regrant/form.hpp - application/x-www-form-urlencoded text as names with values.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/utf8.hpp"
#include "result.hpp"
#include "secret.hpp"

#include <algorithm>
#include <array>
#include <bit>
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

constexpr int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// Decodes form text to where it stands, or to an earlier place in the same buffer.
class form_decoder {
public:
    explicit form_decoder(std::span<char> text) noexcept : from_(text.data()), end_(from_ + text.size()), to_(text.data()) {}

    bool at_end() const noexcept { return from_ == end_; }
    /// Only where there is a next one.
    bool next_is(char c) const noexcept { return from_ != end_ && *from_ == c; }
    void skip() noexcept { ++from_; }
    /// \pre no more was written than read
    void write(char c) noexcept { *to_++ = c; }
    /// Where the next character will be written.
    char* written() const noexcept { return to_; }

    /// Decodes up to one of the marks, or to the end.
    template <char... Marks> std::optional<form_error> decode() noexcept {
        char* const begin = to_;
        bool is_ascii = true;
        while (true) {
            copy_plain<Marks...>();
            if (from_ == end_ || ((*from_ == Marks) || ...)) break;
            char c = *from_++;
            if (c == '+') {
                c = ' ';
            } else if (c == '%') {
                const int high = end_ - from_ >= 2 ? hex_digit(from_[0]) : -1;
                const int low = high >= 0 ? hex_digit(from_[1]) : -1;
                if (low < 0) return form_error::malformed_escape;
                c = static_cast<char>(high * 16 + low);
                from_ += 2;
            }
            if (c == '\0') return form_error::nul_byte;
            is_ascii = is_ascii && static_cast<unsigned char>(c) < 0x80;
            *to_++ = c;
        }
        const std::string_view decoded(begin, static_cast<std::size_t>(to_ - begin));
        if (!is_ascii && !is_utf8(decoded)) return form_error::invalid_utf8;
        return std::nullopt;
    }

private:
    /// Copies what means itself, eight bytes at a time; may stop short of the first one that does not.
    template <char... Marks> void copy_plain() noexcept {
        constexpr bool equals_is_plain = ((Marks != '=') && ...);
        constexpr std::uint64_t each = 0x0101'0101'0101'0101, top = 0x80 * each;
        while (end_ - from_ >= 8) {
            std::uint64_t eight = 0;
            std::memcpy(&eight, from_, 8);
            // A byte below ',' is encoded or encodes something, but for a few rare ones; one above ASCII is to be
            // checked. Either sets its top bit. A subtraction borrows only behind such a byte.
            std::uint64_t other = (eight - ',' * each) | eight;
            if constexpr (!equals_is_plain) other |= (eight ^ '=' * each) - each;
            other &= top;
            if (other != 0) {
                const int plain = std::endian::native == std::endian::little ? std::countr_zero(other) / 8
                                                                             : std::countl_zero(other) / 8;
                for (int i = 0; i != plain; ++i) *to_++ = *from_++;
                return;
            }
            std::memcpy(to_, &eight, 8);
            from_ += 8;
            to_ += 8;
        }
    }

    const char* from_;
    const char* end_;
    char* to_;
};

} // namespace detail

/// Undoes the form encoding in place: `+` is a space, `%2B` a plus.
///
/// \param text  encoded text; overwritten by what it means, which is never longer
/// \return the decoded start of `text`
/// \par Errors
/// `form_error::malformed_escape`, `invalid_utf8`, `nul_byte`; `text` is then half decoded
/// \par RFC 6749 Appendix B
inline result<std::string_view, form_error> form_decode(std::span<char> text) noexcept {
    detail::form_decoder decoder(text);
    if (auto fault = decoder.decode()) return unexpected(*fault);
    return std::string_view(text.data(), static_cast<std::size_t>(decoder.written() - text.data()));
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
        if (count_pieces(body.reveal(), limits.fields) > limits.fields) return unexpected(form_error::too_many_fields);

        form parsed(std::move(body));
        detail::form_decoder decoder(parsed.body_.mutable_text());
        while (!decoder.at_end()) {
            if (decoder.next_is('&')) {
                decoder.skip();
                continue;
            }
            if (auto fault = decoder.decode<'=', '&'>()) return unexpected(*fault);
            if (decoder.next_is('=')) {
                decoder.skip();
                decoder.write(split_mark);
                if (auto fault = decoder.decode<'&'>()) return unexpected(*fault);
            }
            if (decoder.at_end()) break;
            decoder.skip();
            decoder.write(end_mark);
        }
        parsed.size_ = static_cast<std::size_t>(decoder.written() - parsed.body_.reveal().data());
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
                const std::size_t split = (std::min)(text.find(split_mark), size_);
                return {text.substr(0, split), text.substr((std::min)(split + 1, size_))};
            }
            iterator& operator++() noexcept {
                rest_.remove_prefix((std::min)(size_ + 1, rest_.size()));
                size_ = (std::min)(rest_.find(end_mark), rest_.size());
                return *this;
            }
            iterator operator++(int) noexcept { return std::exchange(*this, ++iterator(*this)); }
            friend bool operator==(const iterator& one, const iterator& other) noexcept {
                return one.rest_.size() == other.rest_.size();
            }

        private:
            friend field_range;
            explicit iterator(std::string_view rest) noexcept
                : rest_(rest), size_((std::min)(rest.find(end_mark), rest.size())) {}
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
    field_range fields() const noexcept { return field_range(body_.reveal().substr(0, size_)); }

    /// The first value of a name. \return nothing where it is absent or empty
    /// \par RFC 6749 3.2: "Parameters sent without a value MUST be treated as if they were omitted"
    std::optional<std::string_view> find(std::string_view name) const noexcept {
        for (const field& each : fields())
            if (each.name == name) return each.value.empty() ? std::nullopt : std::optional(each.value);
        return std::nullopt;
    }

    /// Whether any name but `repeatable` occurs twice, be its value empty or not.
    /// \par RFC 6749 3.2: "Request and response parameters MUST NOT be included more than once"
    bool repeats_a_name(std::string_view repeatable = {}) const {
        const auto counts = [&](const field& each) { return each.name != repeatable || repeatable.empty(); };
        // As many as a usual limit lets through, so that their names need no memory of their own.
        std::array<std::string_view, 128> few;
        std::vector<std::string_view> many;
        std::size_t count = 0;
        for (const field& each : fields()) {
            if (!counts(each)) continue;
            if (count == few.size()) many.assign(few.begin(), few.end());
            if (count >= few.size()) many.push_back(each.name);
            else few[count] = each.name;
            ++count;
        }
        const std::span<std::string_view> names = many.empty() ? std::span(few).first(count) : std::span(many);
        // Sorting keeps a form of thousands of fields from costing the square of their number.
        std::sort(names.begin(), names.end());
        return std::adjacent_find(names.begin(), names.end()) != names.end();
    }

private:
    explicit form(secret body) noexcept : body_(std::move(body)) {}

    /// \return how many pieces are no empty ones, as far as the limit and one more
    static std::size_t count_pieces(std::string_view text, std::size_t limit) noexcept {
        std::size_t count = 0;
        while (count <= limit) {
            text.remove_prefix((std::min)(text.find_first_not_of('&'), text.size()));
            if (text.empty()) break;
            ++count;
            text.remove_prefix((std::min)(text.find('&'), text.size()));
        }
        return count;
    }

    // Two bytes that no decoded text holds, for UTF-8 has no 0xFF and a NUL is refused: so the fields need no memory but
    // the body's own.
    static constexpr char split_mark = '\xFF';
    static constexpr char end_mark = '\0';

    secret body_;
    std::size_t size_ = 0;
};

} // namespace regrant::inline v0
