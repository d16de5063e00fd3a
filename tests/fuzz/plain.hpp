// tests/fuzz/plain.hpp - the wire's small formats read a second time, slowly, from their standards alone.
// Includes nothing of the library, so that no mistake of it is believed.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace plain {

inline char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

inline std::string lower(std::string_view text) {
    std::string made;
    for (const char c : text) made += lower(c);
    return made;
}

inline std::vector<std::string> split(const std::string& text, char mark) {
    std::vector<std::string> pieces(1);
    for (const char c : text) {
        if (c == mark) pieces.emplace_back();
        else pieces.back() += c;
    }
    return pieces;
}

/// RFC 3629: reads code points and looks at each, where the library looks at ranges of bytes.
inline bool is_utf8(const std::string& text) {
    std::size_t i = 0;
    while (i < text.size()) {
        const auto lead = static_cast<unsigned char>(text[i]);
        std::size_t more = 0;
        std::uint32_t point = lead;
        if (lead >= 0x80) {
            if ((lead & 0xE0) == 0xC0) more = 1, point = lead & 0x1FU;
            else if ((lead & 0xF0) == 0xE0) more = 2, point = lead & 0x0FU;
            else if ((lead & 0xF8) == 0xF0) more = 3, point = lead & 0x07U;
            else return false;
        }
        for (std::size_t k = 1; k <= more; ++k) {
            if (i + k >= text.size()) return false;
            const auto next = static_cast<unsigned char>(text[i + k]);
            if ((next & 0xC0) != 0x80) return false;
            point = point << 6 | (next & 0x3FU);
        }
        const std::uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (point < least[more] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return false;
        i += more + 1;
    }
    return true;
}

/// R4 makes errors of what the WHATWG URL standard guesses at.
struct form_faults {
    bool escape = false, nul = false, utf8 = false;
    bool any() const { return escape || nul || utf8; }
};

/// One name or value (WHATWG URL, application/x-www-form-urlencoded parsing).
struct decoded {
    std::string text{};
    form_faults faults{};
};

inline decoded form_decode(const std::string& text) {
    const std::string digits = "0123456789abcdef";
    decoded made;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '+') c = ' ';
        else if (c == '%') {
            const std::size_t high = i + 2 < text.size() ? digits.find(lower(text[i + 1])) : std::string::npos;
            const std::size_t low = i + 2 < text.size() ? digits.find(lower(text[i + 2])) : std::string::npos;
            if (high == std::string::npos || low == std::string::npos) made.faults.escape = true;
            else {
                c = static_cast<char>(high * 16 + low);
                i += 2;
            }
        }
        if (c == '\0') made.faults.nul = true;
        made.text += c;
    }
    made.faults.utf8 = !is_utf8(made.text);
    return made;
}

struct field {
    std::string name;
    std::string value;
};

struct form {
    std::vector<field> fields{};
    form_faults faults{};
};

/// The pieces between `&` that are not empty: what a limit on fields counts.
inline std::vector<std::string> form_pieces(const std::string& body) {
    std::vector<std::string> pieces = split(body, '&');
    std::erase(pieces, std::string());
    return pieces;
}

inline form form_parse(const std::string& body) {
    form made;
    for (const std::string& piece : form_pieces(body)) {
        const std::size_t mark = piece.find('=');
        const decoded name = form_decode(piece.substr(0, mark));
        const decoded value = form_decode(mark == std::string::npos ? std::string() : piece.substr(mark + 1));
        for (const form_faults& each : {name.faults, value.faults}) {
            made.faults.escape |= each.escape;
            made.faults.nul |= each.nul;
            made.faults.utf8 |= each.utf8;
        }
        made.fields.push_back({name.text, value.text});
    }
    return made;
}

/// Encodes all but letters and digits, so that one text has one form here.
inline std::string form_encode(const std::string& text) {
    const char digits[] = "0123456789ABCDEF";
    std::string made;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) made += c;
        else if (c == ' ') made += '+';
        else ((made += '%') += digits[byte >> 4]) += digits[byte & 15];
    }
    return made;
}

inline const std::string base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648 4.
inline std::string base64_encode(const std::string& text) {
    std::string made;
    for (std::size_t i = 0; i < text.size(); i += 3) {
        std::uint32_t bits = 0;
        for (std::size_t k = 0; k < 3; ++k)
            bits = bits * 256 + (i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U);
        for (std::size_t k = 0; k < 4; ++k)
            made += i + k > text.size() ? '=' : base64_digits[bits >> (18 - 6 * k) & 63];
    }
    return made;
}

/// The bytes whose encoding is this very text, if any: RFC 4648 3.5 lets a decoder refuse every other text.
inline std::optional<std::string> base64_decode(const std::string& text) {
    std::string made;
    std::uint32_t bits = 0;
    int held = 0;
    for (const char c : text) {
        if (c == '=') break;
        const std::size_t value = base64_digits.find(c);
        if (value == std::string::npos) return std::nullopt;
        bits = (bits << 6 | static_cast<std::uint32_t>(value)) & 0xFFFF;
        held += 6;
        if (held >= 8) {
            held -= 8;
            made += static_cast<char>(bits >> held & 0xFF);
        }
    }
    if (base64_encode(made) != text) return std::nullopt;
    return made;
}

/// base64url without padding (RFC 7515 2).
inline std::optional<std::string> base64url_decode(std::string text) {
    std::replace(text.begin(), text.end(), '-', '+');
    std::replace(text.begin(), text.end(), '_', '/');
    while (text.size() % 4 != 0) text += '=';
    return base64_decode(text);
}

/// What is behind `Basic` in an Authorization header; nothing for any other text (RFC 7617 2, RFC 9110 11.1).
struct basic {
    std::string user;
    std::string password;
};

inline std::optional<basic> basic_parse(const std::string& header) {
    if (lower(header.substr(0, 6)) != "basic ") return std::nullopt;
    std::string rest = header.substr(6);
    while (rest.starts_with(' ')) rest.erase(0, 1);
    const auto text = base64_decode(rest);
    if (!text || text->find(':') == std::string::npos || text->starts_with(':')) return std::nullopt;
    return basic{text->substr(0, text->find(':')), text->substr(text->find(':') + 1)};
}

/// The words of RFC 6749 3.3, each once; nothing where the text keeps not to the grammar.
inline std::optional<std::vector<std::string>> scope_words(const std::string& text) {
    std::vector<std::string> words;
    for (const std::string& word : split(text, ' ')) {
        if (word.empty()) return std::nullopt;
        for (const char c : word)
            if (!(c == 0x21 || (c >= 0x23 && c <= 0x5B) || (c >= 0x5D && c <= 0x7E))) return std::nullopt;
        if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
    }
    return words;
}

inline std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) (text += text.empty() ? "" : " ") += word;
    return text;
}

inline bool is_token_text(const std::string& text) {
    const std::string marks = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || marks.find(c) != std::string::npos;
    });
}

inline std::string trimmed(std::string text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && blank(text.back())) text.pop_back();
    while (!text.empty() && blank(text.front())) text.erase(0, 1);
    return text;
}

/// RFC 9110 8.3.1: the charset of a form, "utf-8" where none is named; nothing for another media type (R2, R3).
///
///     media-type = type "/" subtype *( OWS ";" OWS [ token "=" ( token / quoted-string ) ] )
inline std::optional<std::string> form_charset_of(const std::string& text) {
    const std::size_t end = text.find(';');
    if (lower(trimmed(text.substr(0, end))) != "application/x-www-form-urlencoded") return std::nullopt;
    std::string rest = end == std::string::npos ? "" : text.substr(end);
    std::string charset = "utf-8";
    while (!rest.empty()) {
        // It starts with the semicolon.
        rest = trimmed(rest.substr(1));
        if (rest.empty() || rest.front() == ';') continue;
        const std::size_t equals = rest.find_first_of("=;");
        if (equals == std::string::npos || rest[equals] != '=') return std::nullopt;
        const std::string name = rest.substr(0, equals);
        if (!is_token_text(name)) return std::nullopt;
        rest.erase(0, equals + 1);
        std::string value;
        if (rest.starts_with('"')) {
            std::size_t i = 1;
            for (; i < rest.size() && rest[i] != '"'; ++i) {
                if (rest[i] == '\\') ++i;
                if (i < rest.size()) value += rest[i];
            }
            if (i >= rest.size()) return std::nullopt;
            rest = trimmed(rest.substr(i + 1));
        } else {
            value = trimmed(rest.substr(0, rest.find(';')));
            if (!is_token_text(value)) return std::nullopt;
            rest.erase(0, std::min(rest.find(';'), rest.size()));
        }
        if (!rest.empty() && rest.front() != ';') return std::nullopt;
        if (lower(name) == "charset" && (charset == "utf-8" || lower(value) != "utf-8")) charset = lower(value);
    }
    return charset;
}

} // namespace plain
