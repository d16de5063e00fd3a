// tests/fuzz/plain_json.hpp - RFC 8259 read a second time, slowly, into a tree that can be compared.
// SPDX-License-Identifier: MIT
#pragma once

#include "plain.hpp"

#include <cerrno>
#include <cmath>
#include <cstdlib>

namespace plain {

struct json_member;

struct json {
    enum class kind : std::uint8_t { null, boolean, number, text, array, object };
    kind is = kind::null;
    bool truth = false;
    double number = 0;
    std::string text{};
    std::vector<json> items{};
    /// In the order they came.
    std::vector<json_member> members;

    const json* member(const std::string& name) const;
};

struct json_member {
    std::string name;
    json value;
};

inline const json* json::member(const std::string& wanted) const {
    for (const json_member& each : members)
        if (each.name == wanted) return &each.value;
    return nullptr;
}

/// Whether two trees are the same value: members in any order.
inline bool equal(const json& a, const json& b) {
    if (a.is != b.is || a.truth != b.truth || a.number != b.number || a.text != b.text) return false;
    if (a.items.size() != b.items.size() || a.members.size() != b.members.size()) return false;
    for (std::size_t i = 0; i < a.items.size(); ++i)
        if (!equal(a.items[i], b.items[i])) return false;
    for (const auto& [name, value] : a.members) {
        const json* other = b.member(name);
        if (other == nullptr || !equal(value, *other)) return false;
    }
    return true;
}

class json_reader {
public:
    /// One JSON text: UTF-8 without a mark in front, no member twice, at most `deepest` arrays and objects within each
    /// other, no lone half of a surrogate pair, no number beyond a double.
    static std::optional<json> read(const std::string& text, int deepest) {
        if (!is_utf8(text)) return std::nullopt;
        json_reader reader(text);
        json value;
        if (!reader.take_value(value, deepest)) return std::nullopt;
        reader.skip_blanks();
        if (reader.at_ != text.size()) return std::nullopt;
        return value;
    }

private:
    explicit json_reader(const std::string& text) : text_(text) {}

    char front() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool take(char c) {
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    bool take(const std::string& word) {
        if (text_.compare(at_, word.size(), word) != 0) return false;
        at_ += word.size();
        return true;
    }
    void skip_blanks() {
        while (at_ < text_.size() && std::string(" \t\r\n").find(text_[at_]) != std::string::npos) ++at_;
    }

    bool take_value(json& to, int depth) {
        skip_blanks();
        switch (front()) {
        case '{': return depth > 0 && take_object(to, depth - 1);
        case '[': return depth > 0 && take_array(to, depth - 1);
        case '"': to.is = json::kind::text; return take_text(to.text);
        case 't': to.truth = true; [[fallthrough]];
        case 'f': to.is = json::kind::boolean; return take(to.truth ? "true" : "false");
        case 'n': return take("null");
        default: to.is = json::kind::number; return take_number(to.number);
        }
    }

    bool take_object(json& to, int depth) {
        to.is = json::kind::object;
        take('{');
        skip_blanks();
        if (take('}')) return true;
        do {
            skip_blanks();
            json_member member;
            if (!take_text(member.name) || to.member(member.name) != nullptr) return false;
            skip_blanks();
            if (!take(':') || !take_value(member.value, depth)) return false;
            to.members.push_back(member);
            skip_blanks();
        } while (take(','));
        return take('}');
    }

    bool take_array(json& to, int depth) {
        to.is = json::kind::array;
        take('[');
        skip_blanks();
        if (take(']')) return true;
        do {
            to.items.emplace_back();
            if (!take_value(to.items.back(), depth)) return false;
            skip_blanks();
        } while (take(','));
        return take(']');
    }

    std::size_t digits() {
        const std::size_t from = at_;
        while (front() >= '0' && front() <= '9') ++at_;
        return at_ - from;
    }

    bool take_number(double& to) {
        const std::size_t from = at_;
        take('-');
        if (!take('0') && digits() == 0) return false;
        if (take('.') && digits() == 0) return false;
        if (take('e') || take('E')) {
            if (!take('+')) take('-');
            if (digits() == 0) return false;
        }
        to = std::strtod(text_.substr(from, at_ - from).c_str(), nullptr);
        return std::isfinite(to);
    }

    bool take_text(std::string& to) {
        if (!take('"')) return false;
        while (at_ < text_.size() && front() != '"') {
            if (static_cast<unsigned char>(front()) < 0x20) return false;
            if (!take('\\')) {
                to += text_[at_++];
                continue;
            }
            const std::string plain_escapes = "\"\\/bfnrt";
            const std::string meant = "\"\\/\b\f\n\r\t";
            if (take('u')) {
                if (!take_point(to)) return false;
            } else {
                const std::size_t which = at_ < text_.size() ? plain_escapes.find(text_[at_++]) : std::string::npos;
                if (which == std::string::npos) return false;
                to += meant[which];
            }
        }
        return take('"');
    }

    bool take_unit(std::uint32_t& to) {
        const std::string all = "0123456789abcdef";
        to = 0;
        for (int i = 0; i < 4; ++i) {
            const std::size_t digit = at_ < text_.size() ? all.find(lower(text_[at_++])) : std::string::npos;
            if (digit == std::string::npos) return false;
            to = to * 16 + static_cast<std::uint32_t>(digit);
        }
        return true;
    }

    bool take_point(std::string& to) {
        std::uint32_t point = 0;
        if (!take_unit(point)) return false;
        if (point >= 0xDC00 && point <= 0xDFFF) return false;
        if (point >= 0xD800 && point <= 0xDBFF) {
            std::uint32_t low = 0;
            if (!take("\\u") || !take_unit(low) || low < 0xDC00 || low > 0xDFFF) return false;
            point = 0x10000 + (point - 0xD800) * 0x400 + (low - 0xDC00);
        }
        const auto put = [&](std::uint32_t byte) { to += static_cast<char>(byte); };
        if (point < 0x80) return put(point), true;
        if (point < 0x800) return put(0xC0 | point >> 6), put(0x80 | (point & 63)), true;
        if (point < 0x10000)
            return put(0xE0 | point >> 12), put(0x80 | (point >> 6 & 63)), put(0x80 | (point & 63)), true;
        put(0xF0 | point >> 18), put(0x80 | (point >> 12 & 63)), put(0x80 | (point >> 6 & 63)),
            put(0x80 | (point & 63));
        return true;
    }

    const std::string& text_;
    std::size_t at_ = 0;
};

} // namespace plain
