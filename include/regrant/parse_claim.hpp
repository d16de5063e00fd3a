// regrant/parse_claim.hpp - a claim of the host's own from JSON text.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/json.hpp"
#include "error.hpp"
#include "extra_claims.hpp"
#include "result.hpp"

#include <string>
#include <string_view>

namespace regrant::inline v0 {

/// Takes any JSON value for a claim: an object, an array, a number.
///
///     auto address = regrant::parse_claim("address", R"({"country":"DE"})");
///
/// The value is written anew, with the members of objects sorted. Whole numbers from -2^63 to 2^63-1 keep every digit;
/// any other number becomes the double next to it (RFC 8259 6). `extra_claim` itself takes a larger `std::uint64_t`.
/// \par Errors
/// text that is not one JSON value: not UTF-8, something behind it, a member twice, nested over 32 deep
inline result<extra_claim, setup_error> parse_claim(std::string_view name, std::string_view json) {
    const auto value = detail::read_json(json);
    if (!value)
        return unexpected(setup_error{"the claim \"" + std::string(name) + "\" is not one JSON value: " +
                                      detail::json_position(json, value.error().at) + ": " + value.error().what});
    return extra_claim::from_json(name, value->serialize());
}

} // namespace regrant::inline v0
