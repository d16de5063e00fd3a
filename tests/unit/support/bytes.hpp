// Bytes from their hexadecimal spelling, for known answers.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// \param hex  digits of either case; anything else between them is passed over
inline std::vector<std::byte> bytes_of(std::string_view hex) {
    std::vector<std::byte> bytes;
    int high = -1;
    for (const char c : hex) {
        const std::size_t digit = std::string_view("0123456789abcdef").find(static_cast<char>(c | 0x20));
        if (digit == std::string_view::npos) continue;
        if (high < 0) high = static_cast<int>(digit);
        else bytes.push_back(static_cast<std::byte>(high * 16 + static_cast<int>(digit))), high = -1;
    }
    return bytes;
}

} // namespace support
