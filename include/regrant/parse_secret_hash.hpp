// regrant/parse_secret_hash.hpp - the hash of a client secret as text, for files of registrations.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "base64.hpp"
#include "client.hpp"
#include "error.hpp"
#include "result.hpp"
#include "secret.hpp"
#include "slow_hash.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace regrant::inline v0 {

namespace detail {

/// The form of the Password Hashing Competition: base64 without padding.
inline std::string unpadded_base64(std::span<const std::byte> bytes) {
    std::string text = base64url(bytes);
    for (char& c : text) c = c == '-' ? '+' : c == '_' ? '/' : c;
    return text;
}

/// \return how many bytes there were; nothing for other text, and for more than `to` holds
inline std::optional<std::size_t> read_unpadded_base64(std::string_view text, std::span<std::byte> to) {
    std::string digits(text);
    for (char& c : digits) {
        if (c == '-' || c == '_') return std::nullopt;
        c = c == '+' ? '-' : c == '/' ? '_' : c;
    }
    const std::size_t size = text.size() * 3 / 4;
    if (size > to.size() || !base64url_decode(digits, to.first(size))) return std::nullopt;
    return size;
}

/// Takes the text up to the next `$` off.
inline std::string_view take_field(std::string_view& text) noexcept {
    const std::string_view field = text.substr(0, text.find('$'));
    text.remove_prefix((std::min)(text.size(), field.size() + 1));
    return field;
}

/// Reads `name=number` off the front, and the comma behind it.
inline bool take_parameter(std::string_view& text, std::string_view name, std::uint32_t& number) noexcept {
    if (!text.starts_with(name)) return false;
    text.remove_prefix(name.size());
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    // One way to write a number.
    if (read.ec != std::errc() || text.front() == '0') return false;
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
    if (text.empty()) return true;
    if (text.front() != ',') return false;
    text.remove_prefix(1);
    return !text.empty();
}

inline std::optional<slow_cost> read_cost(std::string_view algorithm, std::string_view parameters) noexcept {
    slow_cost cost = slow_cost::pbkdf2_sha256(0);
    if (algorithm == "pbkdf2-sha256") {
        if (!take_parameter(parameters, "i=", cost.iterations)) return std::nullopt;
    } else {
        cost = slow_cost::scrypt(0, 0, 0);
        if (!take_parameter(parameters, "ln=", cost.log2_n) || !take_parameter(parameters, "r=", cost.block_size) ||
            !take_parameter(parameters, "p=", cost.parallelism))
            return std::nullopt;
    }
    if (!parameters.empty()) return std::nullopt;
    return cost;
}

} // namespace detail

/// Reads what `to_text` writes:
///
///     $sha256$HASH                            of a generated secret
///     $scrypt$ln=15,r=8,p=1$SALT$HASH         of one that somebody chose (RFC 7914)
///     $pbkdf2-sha256$i=600000$SALT$HASH       likewise (RFC 8018)
///
/// SALT and HASH are base64 without padding, of 16 to 64 and of 32 bytes.
/// \par Errors
/// another form; a cost outside the bounds of `slow_cost`
inline result<secret_hash, setup_error> parse_secret_hash(std::string_view text) {
    const auto fault = [](const char* what) { return unexpected(setup_error{what}); };
    constexpr const char* form = "a hash is $sha256$HASH, $scrypt$ln=15,r=8,p=1$SALT$HASH or "
                                 "$pbkdf2-sha256$i=600000$SALT$HASH, in base64 without padding";
    if (text.empty() || text.front() != '$') return fault(form);
    text.remove_prefix(1);
    const std::string_view algorithm = detail::take_field(text);
    secret_hash made;
    if (algorithm == "sha256") {
        if (detail::read_unpadded_base64(text, made.sha256) != made.sha256.size()) return fault(form);
        return made;
    }
    if (algorithm != "scrypt" && algorithm != "pbkdf2-sha256") return fault(form);
    slow_hash slow;
    const auto cost = detail::read_cost(algorithm, detail::take_field(text));
    if (!cost) return fault(form);
    slow.cost = *cost;
    const auto salt = detail::read_unpadded_base64(detail::take_field(text), slow.salt_bytes);
    if (!salt || detail::read_unpadded_base64(text, slow.derived) != slow.derived.size()) return fault(form);
    slow.salt_size = *salt;
    if (slow.salt_size < slow_hash::least_salt_bytes) return fault("the salt of a hash has at least 16 bytes");
    if (!slow.cost.is_within_bounds())
        return fault("the cost of a hash is out of bounds: scrypt takes ln from 14 to 17, r from 8 to 16, p from 1 to "
                     "8, together N*r*p up to 2^20; pbkdf2-sha256 takes i from 100000 to 2000000");
    made.slow = std::make_shared<const slow_hash>(slow);
    return made;
}

/// Writes a hash as `parse_secret_hash` reads it.
inline std::string to_text(const secret_hash& hash) {
    if (!hash.slow) return "$sha256$" + detail::unpadded_base64(hash.sha256);
    const slow_cost& cost = hash.slow->cost;
    const std::string parameters =
        cost.algorithm == slow_algorithm::scrypt
            ? "$scrypt$ln=" + std::to_string(cost.log2_n) + ",r=" + std::to_string(cost.block_size) +
                  ",p=" + std::to_string(cost.parallelism)
            : "$pbkdf2-sha256$i=" + std::to_string(cost.iterations);
    return parameters + '$' + detail::unpadded_base64(hash.slow->salt()) + '$' +
           detail::unpadded_base64(hash.slow->derived);
}

} // namespace regrant::inline v0
