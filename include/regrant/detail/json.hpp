// regrant/detail/json.hpp - the one room where picojson lives, in a copy that no other unit shares.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "../result.hpp"
#include "../secret.hpp"
#include "utf8.hpp"

// What picojson includes must come first: inside its renamed copy these would be renamed with it.
#include <algorithm>
#include <cerrno>
#include <cfloat>
#include <cinttypes>
#include <clocale>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iostream>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// PICOJSON_USE_INT64 changes picojson::value itself, so a program with units of both kinds aborts. This copy has
// another namespace and always the same mode; the host's own include works before it and behind it, in either mode.
#pragma push_macro("picojson_h")
#pragma push_macro("picojson")
#pragma push_macro("PICOJSON_USE_INT64")
#pragma push_macro("PICOJSON_ASSERT")
#pragma push_macro("PICOJSON_USE_LOCALE")
#pragma push_macro("PICOJSON_USE_RVALUE_REFERENCE")
#pragma push_macro("PICOJSON_NOEXCEPT")
#pragma push_macro("SNPRINTF")
#pragma push_macro("__STDC_FORMAT_MACROS")
#pragma push_macro("min")
#pragma push_macro("max")
#undef picojson_h
#undef picojson
#undef PICOJSON_USE_INT64
#undef PICOJSON_ASSERT
#undef PICOJSON_USE_LOCALE
#undef PICOJSON_USE_RVALUE_REFERENCE
#undef PICOJSON_NOEXCEPT
#undef SNPRINTF
#undef __STDC_FORMAT_MACROS
#undef min
#undef max
#define picojson regrant_picojson
#define PICOJSON_USE_INT64 1
#define PICOJSON_USE_LOCALE 1
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuseless-cast"
#endif
#endif
#if __has_include(<picojson.h>)
#include <picojson.h>
#else
#include <picojson/picojson.h>
#endif
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
#undef picojson_h
#undef picojson
#undef PICOJSON_USE_INT64
#undef PICOJSON_ASSERT
#undef PICOJSON_USE_LOCALE
#undef PICOJSON_USE_RVALUE_REFERENCE
#undef PICOJSON_NOEXCEPT
#undef SNPRINTF
#undef __STDC_FORMAT_MACROS
#pragma pop_macro("max")
#pragma pop_macro("min")
#pragma pop_macro("__STDC_FORMAT_MACROS")
#pragma pop_macro("SNPRINTF")
#pragma pop_macro("PICOJSON_NOEXCEPT")
#pragma pop_macro("PICOJSON_USE_RVALUE_REFERENCE")
#pragma pop_macro("PICOJSON_USE_LOCALE")
#pragma pop_macro("PICOJSON_ASSERT")
#pragma pop_macro("PICOJSON_USE_INT64")
#pragma pop_macro("picojson")
#pragma pop_macro("picojson_h")

namespace regrant::inline v0::detail {

using json_value = regrant_picojson::value;

/// Where a text stops being JSON, and why.
struct json_fault {
    /// Bytes from the start.
    std::size_t at = 0;
    /// What was found there and what is expected; no value of the text is quoted, for it may be a secret.
    std::string what{};
};

/// Builds values as picojson does, but lets no member stand twice: picojson would keep the last one in silence.
class strict_json_context : public regrant_picojson::default_parse_context {
public:
    strict_json_context(json_value* out, std::size_t depths, json_fault& fault)
        : default_parse_context(out, depths), fault_(fault) {}

    /// By way of a `secret`, which leaves none of its text behind when it grows.
    template <class Iterator> bool parse_string(regrant_picojson::input<Iterator>& in) {
        secret text;
        if (!regrant_picojson::_parse_string(text, in)) return false;
        *out_ = json_value(std::string(text.reveal()));
        return true;
    }
    template <class Iterator> bool parse_object_item(regrant_picojson::input<Iterator>& in, const std::string& name) {
        auto& object = out_->template get<regrant_picojson::object>();
        if (object.count(name) != 0) {
            fault_.what = "the member \"" + name + "\" stands twice";
            return false;
        }
        // picojson counts the depth of arrays alone.
        strict_json_context context(&object[name], depths_ - 1, fault_);
        return regrant_picojson::_parse(context, in);
    }
    template <class Iterator> bool parse_array_item(regrant_picojson::input<Iterator>& in, std::size_t) {
        auto& array = out_->template get<regrant_picojson::array>();
        array.emplace_back();
        strict_json_context context(&array.back(), depths_, fault_);
        return regrant_picojson::_parse(context, in);
    }

private:
    json_fault& fault_;
};

// NOLINTBEGIN(bugprone-exception-escape): get() throws for another type alone, and each was asked for its type

/// Overwrites all text of a value.
inline void wipe_texts(json_value& value) noexcept {
    if (value.is<std::string>()) wipe(value.get<std::string>().data(), value.get<std::string>().size());
    if (value.is<regrant_picojson::array>())
        for (json_value& each : value.get<regrant_picojson::array>()) wipe_texts(each);
    if (value.is<regrant_picojson::object>())
        for (auto& [name, each] : value.get<regrant_picojson::object>()) wipe_texts(each);
}

/// Wipes the value's strings on destruction; a registration holds secrets.
struct wipe_on_exit {
    explicit wipe_on_exit(json_value& of) noexcept : value(of) {}
    wipe_on_exit(const wipe_on_exit&) = delete;
    wipe_on_exit& operator=(const wipe_on_exit&) = delete;
    ~wipe_on_exit() { wipe_texts(value); }
    json_value& value;
};

// NOLINTEND(bugprone-exception-escape)

/// RFC 8259 6: number = [ minus ] int [ frac ] [ exp ]
constexpr bool is_json_number(std::string_view text) noexcept {
    const auto digits = [&] {
        const std::size_t count = (std::min)(text.find_first_not_of("0123456789"), text.size());
        text.remove_prefix(count);
        return count;
    };
    if (text.starts_with('-')) text.remove_prefix(1);
    const bool leads_with_zero = text.starts_with('0');
    const std::size_t whole = digits();
    if (whole == 0 || (leads_with_zero && whole != 1)) return false;
    if (text.starts_with('.')) {
        text.remove_prefix(1);
        if (digits() == 0) return false;
    }
    if (text.starts_with('e') || text.starts_with('E')) {
        text.remove_prefix(1);
        if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
        if (digits() == 0) return false;
    }
    return text.empty();
}

/// Where the first number stands that does not keep to the grammar: picojson takes what strtod takes, `01` and `1.` too.
constexpr std::optional<std::size_t> find_malformed_number(std::string_view text) noexcept {
    bool in_string = false;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t length = 1;
        const char c = text[at];
        if (in_string && c == '\\') length = 2;
        else if (c == '"') in_string = !in_string;
        else if (!in_string && (c == '-' || (c >= '0' && c <= '9'))) {
            length = (std::min)(text.find_first_not_of("+-.0123456789eE", at), text.size()) - at;
            if (!is_json_number(text.substr(at, length))) return at;
        }
        at += length;
    }
    return std::nullopt;
}

/// Where the first byte stands that is not UTF-8.
constexpr std::optional<std::size_t> find_malformed_utf8(std::string_view text) noexcept {
    for (std::size_t at = 0; at != text.size();) {
        const std::size_t length = utf8_sequence(text.substr(at));
        if (length == 0) return at;
        at += length;
    }
    return std::nullopt;
}

/// Says what a person most likely meant where picojson went no further.
inline std::string explain_json_fault(std::string_view text, std::size_t at) {
    constexpr std::string_view blanks = " \t\r\n";
    if (text.find_first_not_of(blanks) == text.npos) return "the text is empty";
    bool in_string = false;
    for (std::size_t i = 0; i < at && i < text.size(); ++i) {
        if (in_string && text[i] == '\\') ++i;
        else if (text[i] == '"') in_string = !in_string;
    }
    if (at >= text.size())
        return in_string ? "the text ends within a string: a closing quote is missing"
                         : "the text ends too early: a closing bracket is missing";
    const char c = text[at];
    // A letter may be the first of a secret.
    const bool is_mark = std::string_view("{}[],:=/#'\"").find(c) != std::string_view::npos;
    const std::string found = is_mark ? std::string("found ") + c
                              : static_cast<unsigned char>(c) < 0x20 ? "found a control character"
                                                                     : "found text";
    if (in_string)
        return found + " within a string: a closing quote is missing before it, or it must be escaped by a backslash";
    const std::size_t last = at == 0 ? text.npos : text.find_last_not_of(blanks, at - 1);
    const char before = last == text.npos ? '\0' : text[last];
    if (c == '/' || c == '#') return found + ": JSON has no comments";
    if ((c == '}' || c == ']') && before == ',') return found + " behind a comma: JSON has no comma before a closing bracket";
    if (c == '\'') return found + ": names and strings stand in double quotes";
    if (c == '=') return found + ": a colon stands between a name and its value";
    if (before == '}' || before == ']' || before == '"')
        return found + ": expected a comma, a colon or a closing bracket before it";
    return found + ": expected a value or a name in double quotes";
}

/// Reads one JSON text (RFC 8259): UTF-8 throughout, nothing behind it, no member twice, nested at most 32 deep. Memory
/// that runs out is thrown.
inline result<json_value, json_fault> read_json(std::string_view text) {
    constexpr std::size_t max_depth = 32;
    const auto fault = [](std::size_t at, std::string what) { return unexpected(json_fault{at, std::move(what)}); };
    if (const auto at = find_malformed_utf8(text)) return fault(*at, "found a byte that is not UTF-8");
    json_value value;
    const wipe_on_exit unless_moved(value);
    json_fault known;
    strict_json_context context(&value, max_depth, known);
    regrant_picojson::input<const char*> in(text.data(), text.data() + text.size());
    bool is_whole = false;
    try {
        is_whole = regrant_picojson::_parse(context, in);
    } catch (const std::overflow_error&) {
        known.what = "a number is too large";
    }
    if (is_whole) in.skip_ws();
    const auto at = static_cast<std::size_t>(in.cur() - text.data());
    const auto number = find_malformed_number(text.substr(0, is_whole ? text.size() : (std::min)(at + 1, text.size())));
    if (number && known.what.empty()) return fault(*number, "a number is not written as JSON has it");
    if (!is_whole) return fault(at, known.what.empty() ? explain_json_fault(text, at) : std::move(known.what));
    if (at != text.size()) return fault(at, "found more text behind the value");
    return value;
}

/// "line 3, column 17", both counted from 1, columns in characters.
inline std::string json_position(std::string_view text, std::size_t at) {
    const std::string_view before = text.substr(0, at);
    const std::size_t line_start = before.rfind('\n') + 1; // npos + 1 is 0
    const auto is_start = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
    const std::string_view line = before.substr(line_start);
    return "line " + std::to_string(1 + std::count(before.begin(), before.end(), '\n')) + ", column " +
           std::to_string(1 + std::count_if(line.begin(), line.end(), is_start));
}

} // namespace regrant::inline v0::detail
