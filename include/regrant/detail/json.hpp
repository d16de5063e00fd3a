// regrant/detail/json.hpp - the one room where picojson lives, in a copy that no other unit shares.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

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

/// Builds values as picojson does, but lets no member stand twice: picojson would keep the last one in silence.
class strict_json_context : public regrant_picojson::default_parse_context {
public:
    using default_parse_context::default_parse_context;

    /// By way of a `secret`, which leaves none of its text behind when it grows.
    template <class Iterator> bool parse_string(regrant_picojson::input<Iterator>& in) {
        secret text;
        if (!regrant_picojson::_parse_string(text, in)) return false;
        *out_ = json_value(std::string(text.reveal()));
        return true;
    }
    template <class Iterator> bool parse_object_item(regrant_picojson::input<Iterator>& in, const std::string& name) {
        auto& object = out_->template get<regrant_picojson::object>();
        if (object.count(name) != 0) return false;
        // picojson counts the depth of arrays alone.
        strict_json_context context(&object[name], depths_ - 1);
        return regrant_picojson::_parse(context, in);
    }
    template <class Iterator> bool parse_array_item(regrant_picojson::input<Iterator>& in, std::size_t) {
        auto& array = out_->template get<regrant_picojson::array>();
        array.emplace_back();
        strict_json_context context(&array.back(), depths_);
        return regrant_picojson::_parse(context, in);
    }
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

/// Does so when it goes: a registration holds secrets.
struct wipes_texts {
    explicit wipes_texts(json_value& of) noexcept : value(of) {}
    wipes_texts(const wipes_texts&) = delete;
    wipes_texts& operator=(const wipes_texts&) = delete;
    ~wipes_texts() { wipe_texts(value); }
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

/// Whether all numbers of a JSON text keep to the grammar: picojson takes what strtod takes, `01` and `1.` too.
constexpr bool has_strict_numbers(std::string_view text) noexcept {
    bool in_string = false;
    while (!text.empty()) {
        std::size_t length = 1;
        if (in_string && text[0] == '\\') length = std::min<std::size_t>(2, text.size());
        else if (text[0] == '"') in_string = !in_string;
        else if (!in_string && (text[0] == '-' || (text[0] >= '0' && text[0] <= '9'))) {
            length = (std::min)(text.find_first_not_of("+-.0123456789eE"), text.size());
            if (!is_json_number(text.substr(0, length))) return false;
        }
        text.remove_prefix(length);
    }
    return true;
}

/// Reads one JSON text (RFC 8259): UTF-8 throughout, nothing behind it, no member twice, nested at most 32 deep.
///
/// \return nothing for anything else; no exception leaves
inline std::optional<json_value> parse_json(std::string_view text) {
    constexpr std::size_t deepest = 32;
    if (!is_utf8(text) || !has_strict_numbers(text)) return std::nullopt;
    try {
        json_value value;
        const wipes_texts unless_moved(value);
        strict_json_context context(&value, deepest);
        regrant_picojson::input<const char*> in(text.data(), text.data() + text.size());
        if (!regrant_picojson::_parse(context, in)) return std::nullopt;
        in.skip_ws();
        if (in.getc() != -1) return std::nullopt;
        return value;
    } catch (const std::exception&) {
        // A number past the range of double makes picojson throw.
        return std::nullopt;
    }
}

} // namespace regrant::inline v0::detail
