// A random source that gives what it is told to, and fails when it has given all.
#pragma once

#include "bytes.hpp"

#include <regrant/random.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace support {

struct scripted_random {
    std::vector<std::byte> script{};

    explicit scripted_random(std::string_view hex = {}) : script(bytes_of(hex)) {}

    regrant::result<void, regrant::outage> fill(std::span<std::byte> to) {
        if (to.size() > script.size()) return regrant::unexpected(regrant::outage{"the script has ended"});
        const auto end = script.begin() + static_cast<std::ptrdiff_t>(to.size());
        std::copy(script.begin(), end, to.begin());
        script.erase(script.begin(), end);
        return {};
    }
};

} // namespace support
