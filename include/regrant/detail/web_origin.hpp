// regrant/detail/web_origin.hpp - tells an origin as browsers send it from other text.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "cpp20.hpp"

#include <algorithm>
#include <string_view>

namespace regrant::inline v0::detail {

/// Whether a text is `scheme://host[:port]` in lower case, the port where it is not the scheme's own: what is written
/// in another way equals no Origin header (RFC 6454 6.2). `null` is none either, for anybody's pages can send it.
constexpr bool is_web_origin(std::string_view text) noexcept {
    const auto is_of = [](std::string_view part, std::string_view marks) {
        return !part.empty() && std::all_of(part.begin(), part.end(), [&](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || marks.find(c) != marks.npos;
        });
    };
    const std::size_t mark = (std::min)(text.find("://"), text.size());
    const std::string_view scheme = text.substr(0, mark);
    const std::string_view rest = text.substr((std::min)(mark + 3, text.size()));
    const bool has_needless_port = rest.ends_with(':') || (scheme == "https" && rest.ends_with(":443")) ||
                                   (scheme == "http" && rest.ends_with(":80"));
    return is_of(scheme, "+-.") && is_of(rest, "-._:[]") && !has_needless_port;
}

} // namespace regrant::inline v0::detail
