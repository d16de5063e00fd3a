// regrant/jwks.hpp - the JWK Set that resource servers fetch.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "json_writer.hpp"
#include "jwk.hpp"

#include <span>
#include <string>

namespace regrant::inline v0 {

/// Writes the set: the keys that sign now, those that will, and those whose tokens still live (R102).
///
/// \par RFC 7517 5
inline std::string jwks(std::span<const jwk> keys) {
    std::string text;
    json_writer json(text);
    json.begin_object();
    json.key("keys").begin_array();
    for (const jwk& key : keys) write(json, key);
    json.end_array();
    json.end_object();
    return text;
}

} // namespace regrant::inline v0
