// regrant/request_framing.hpp - where an HTTP/1.1 request ends, judged strictly on its bytes.
// floor 2
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/ascii.hpp"
#include "secret.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <charconv>
#include <string_view>
#include <system_error>

namespace regrant::inline v0 {

/// Whether a text is a field name.
///
/// \par RFC 9110 5.1: field-name = token; RFC 9112 5.1: "No whitespace is allowed between the field name and colon"
constexpr bool is_field_name(std::string_view text) noexcept {
    return !detail::take_token(text).empty() && text.empty();
}

/// Whether a field value has visible characters, blanks, tabs and bytes from 0x80 only.
///
/// \par RFC 9110 5.5: CR, LF and NUL must be refused; the other control characters "are also invalid".
constexpr bool is_field_value(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return c == '\t' || (byte >= 0x20 && byte != 0x7F);
    });
}

/// Whether a text is a value of the Host field, `uri-host [":" port]`; it may be empty.
///
/// \par RFC 9112 3.2, RFC 3986 3.2.2
constexpr bool is_host(std::string_view text) noexcept {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    const auto is_hex = [&](char c) {
        return is_digit(c) || (detail::lower(c) >= 'a' && detail::lower(c) <= 'f');
    };
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos || end == 1) return false;
        const std::string_view literal = text.substr(1, end - 1);
        if (!std::all_of(literal.begin(), literal.end(), [&](char c) { return is_hex(c) || c == ':' || c == '.'; }))
            return false;
        text.remove_prefix(end + 1);
    } else {
        constexpr std::string_view marks = "-._~!$&'()*+,;=";
        while (!text.empty() && text.front() != ':') {
            const char c = text.front();
            const bool is_escape = c == '%' && text.size() > 2 && is_hex(text[1]) && is_hex(text[2]);
            if (!is_escape && !is_digit(c) && !(detail::lower(c) >= 'a' && detail::lower(c) <= 'z') &&
                marks.find(c) == marks.npos)
                return false;
            text.remove_prefix(is_escape ? 3 : 1);
        }
    }
    if (text.empty()) return true;
    return text.front() == ':' && std::all_of(text.begin() + 1, text.end(), is_digit);
}

/// Follows the bytes of a connection from request to request, and stops where it is unclear what a byte belongs to.
///
/// Web frameworks repair requests: they drop lines without a colon, unfold lines, skip characters in numbers. Another
/// server in front of them may repair differently and see another request ("request smuggling", RFC 9112 11.2). This
/// class repairs nothing. What it accepts, every server reads alike.
///
/// A request is broken if its request line or a field is malformed, a line ends with LF or CR alone, a line is folded,
/// Host is missing in HTTP/1.1, is repeated or invalid, Content-Length is no number, a coding other than `chunked` is
/// used, two of these fields are present, a chunk is malformed, or its head is longer than `max_head_bytes`.
///
///     request_framing framing;
///     while (framing.at() != request_framing::step::over && framing.at() != request_framing::step::broken)
///         framing.take(receive());
class request_framing {
public:
    static constexpr std::size_t max_head_bytes = std::size_t{32} * 1024;
    /// A chunk's size with its extensions.
    static constexpr std::size_t max_line_bytes = 4096;

    enum class step : std::uint8_t {
        start_line, fields, content, chunk_size, chunk, chunk_end, trailer, over, broken
    };

    step at() const noexcept { return step_; }
    bool is_broken() const noexcept { return step_ == step::broken; }
    bool is_over() const noexcept { return step_ == step::over; }
    /// Whether nothing of a request has come, apart from empty lines in front of it.
    bool is_idle() const noexcept { return step_ == step::start_line && line_.empty(); }
    bool has_head() const noexcept { return step_ > step::fields && step_ != step::broken; }
    bool is_chunked() const noexcept { return codings_ != 0; }
    bool has_length() const noexcept { return lengths_ != 0; }
    bool is_http_1_0() const noexcept { return is_http_1_0_; }

    /// Takes bytes up to the end of the head, or of the body once the head is there.
    ///
    /// \param keep  called with each piece of the body, chunks taken apart
    /// \return how many bytes were taken; the next call starts behind them
    template <class Keep> std::size_t take(std::string_view text, Keep&& keep) {
        const bool had_head = has_head();
        std::size_t taken = 0;
        while (taken != text.size() && step_ < step::over && has_head() == had_head) {
            std::string_view rest = text.substr(taken);
            if (step_ == step::content || step_ == step::chunk) {
                rest = rest.substr(0, static_cast<std::size_t>((std::min)(std::uint64_t{rest.size()}, left_)));
                keep(rest);
                if ((left_ -= rest.size()) == 0) step_ = step_ == step::chunk ? step::chunk_end : step::over;
                taken += rest.size();
                continue;
            }
            const std::size_t end = rest.find('\n');
            rest = rest.substr(0, end == std::string_view::npos ? end : end + 1);
            taken += rest.size();
            const bool is_head = !has_head();
            head_bytes_ += is_head ? rest.size() : 0;
            if (line_.size() + rest.size() > (is_head ? max_head_bytes : max_line_bytes) ||
                head_bytes_ > max_head_bytes) {
                step_ = step::broken;
            } else {
                line_.append(rest);
                if (end != std::string_view::npos) end_line();
            }
        }
        return taken;
    }
    std::size_t take(std::string_view text) {
        return take(text, [](std::string_view) {});
    }

    /// Takes all bytes, over the ends of requests.
    /// \return whether all were clear
    bool follow(std::string_view text) {
        while (!text.empty() && !is_broken()) {
            if (is_over()) begin_next();
            text.remove_prefix(take(text));
        }
        return !is_broken();
    }

    /// Begins the request behind the one that is over.
    void begin_next() { *this = request_framing(); }

private:
    void end_line() {
        const secret whole = std::move(line_);
        line_ = secret();
        const std::string_view text = whole.reveal();
        step_ = text.ends_with("\r\n") ? step_behind(text.substr(0, text.size() - 2)) : step::broken;
    }

    step step_behind(std::string_view line) noexcept {
        switch (step_) {
        case step::start_line:
            // RFC 9112 2.2: "SHOULD ignore at least one empty line (CRLF) received prior to the request-line"
            if (line.empty()) return step::start_line;
            return is_request_line(line) ? step::fields : step::broken;
        case step::fields:
            if (line.empty()) return step_behind_head();
            return is_field(line) ? step::fields : step::broken;
        case step::chunk_size: return step_behind_size(line);
        case step::chunk_end: return line.empty() ? step::chunk_size : step::broken;
        case step::trailer: return line.empty() ? step::over : is_field_line(line) ? step::trailer : step::broken;
        case step::content:
        case step::chunk:
        case step::over:
        case step::broken: break;
        }
        return step::broken;
    }

    /// RFC 9112 3: request-line = method SP request-target SP HTTP-version
    bool is_request_line(std::string_view line) noexcept {
        constexpr std::string_view version = " HTTP/1.";
        if (detail::take_token(line).empty() || !line.starts_with(' ')) return false;
        line.remove_prefix(1);
        const std::string_view target = line.substr(0, line.find(' '));
        line.remove_prefix(target.size());
        if (target.empty() || !is_field_value(target) || target.find('\t') != target.npos) return false;
        if (line.size() != version.size() + 1 || !line.starts_with(version)) return false;
        is_http_1_0_ = line.back() == '0';
        return line.back() >= '0' && line.back() <= '9';
    }

    /// RFC 9112 5: field-line = field-name ":" OWS field-value OWS
    static bool is_field_line(std::string_view line) noexcept {
        const std::size_t colon = line.find(':');
        return colon != line.npos && is_field_name(line.substr(0, colon)) && is_field_value(line.substr(colon + 1));
    }

    bool is_field(std::string_view line) noexcept {
        if (!is_field_line(line)) return false;
        const std::string_view name = line.substr(0, line.find(':'));
        const std::string_view value = detail::trim_blanks(line.substr(name.size() + 1));
        if (detail::equal_but_case(name, "host")) return ++hosts_ == 1 && is_host(value);
        if (detail::equal_but_case(name, "content-length")) {
            // RFC 9110 8.6: Content-Length = 1*DIGIT
            const char* const end = value.data() + value.size();
            const auto read = std::from_chars(value.data(), end, left_);
            return ++lengths_ == 1 && !value.empty() && read.ec == std::errc() && read.ptr == end;
        }
        if (detail::equal_but_case(name, "transfer-encoding"))
            return ++codings_ == 1 && detail::equal_but_case(value, "chunked");
        return true;
    }

    /// RFC 9112 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that
    /// lacks a Host header field"; 6.1: chunks in HTTP/1.0 are faulty; 6.3: a length beside chunks "might indicate an
    /// attempt to perform request smuggling".
    step step_behind_head() const noexcept {
        if (hosts_ == 0 && !is_http_1_0_) return step::broken;
        if (codings_ != 0) return lengths_ != 0 || is_http_1_0_ ? step::broken : step::chunk_size;
        return lengths_ != 0 && left_ != 0 ? step::content : step::over;
    }

    /// RFC 9112 7.1: chunk-size [ chunk-ext ], where chunk-ext = *( BWS ";" BWS chunk-ext-name ... )
    step step_behind_size(std::string_view line) noexcept {
        const auto read = std::from_chars(line.data(), line.data() + line.size(), left_, 16);
        if (read.ec != std::errc()) return step::broken;
        line.remove_prefix(static_cast<std::size_t>(read.ptr - line.data()));
        const std::string_view extension = detail::trim_blanks(line);
        if (!is_field_value(line) || (!line.empty() && !extension.starts_with(';'))) return step::broken;
        return left_ == 0 ? step::trailer : step::chunk;
    }

    secret line_{};
    std::uint64_t left_ = 0;
    std::size_t head_bytes_ = 0;
    std::size_t hosts_ = 0, lengths_ = 0, codings_ = 0;
    bool is_http_1_0_ = false;
    step step_ = step::start_line;
};

/// Calls `take(name, value)` for each field of a head that `request_framing` has accepted, in the order they came.
template <class Take> void each_field(std::string_view head, Take&& take) {
    for (std::size_t at = head.find("\r\n"); at != head.npos && at + 2 < head.size();) {
        const std::size_t next = head.find("\r\n", at + 2);
        const std::string_view line = head.substr(at + 2, next - at - 2);
        const std::size_t colon = line.find(':');
        if (colon != line.npos) take(line.substr(0, colon), detail::trim_blanks(line.substr(colon + 1)));
        at = next;
    }
}

} // namespace regrant::inline v0
