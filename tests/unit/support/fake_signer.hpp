// A signer that signs nothing: each signature is the bytes it is told to give.
#pragma once

#include <regrant/jwt.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace support {

struct fake_signer {
    std::string id = "key-1";
    std::string gives = "signed";
    bool works = true;

    std::string_view key_id() const { return id; }

    regrant::result<void, regrant::outage> sign(std::span<const std::string_view> inputs,
                                                std::span<regrant::signature> signatures) const {
        for (std::size_t i = 0; i != inputs.size(); ++i) {
            for (std::size_t j = 0; j != gives.size(); ++j)
                signatures[i].bytes[j] = static_cast<std::byte>(gives[j]);
            signatures[i].size_bytes = gives.size();
        }
        if (!works) return regrant::unexpected(regrant::outage{"the HSM is away"});
        return {};
    }
};

} // namespace support
