// regrant/detail/key_text.hpp - tells what a text holds that is no usable private key.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "cpp20.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace regrant::inline v0::detail {

/// How a PEM text is encrypted, if at all.
struct pem_encryption {
    bool is_encrypted = false;
    /// What RFC 1421's DEK-Info names, for the format before PKCS#8.
    std::string cipher{};
};

/// The text of the first `-----BEGIN ...-----` line, empty where there is none.
constexpr std::string_view pem_label(std::string_view text) noexcept {
    constexpr std::string_view begin = "-----BEGIN ";
    const std::size_t at = text.find(begin);
    if (at == text.npos) return {};
    text.remove_prefix(at + begin.size());
    return text.substr(0, text.find("-----"));
}

inline pem_encryption encryption_of(std::string_view pem) {
    constexpr std::string_view info = "DEK-Info: ";
    const bool is_old = pem.find("Proc-Type: 4,ENCRYPTED") != pem.npos;
    const std::size_t at = pem.find(info);
    if (is_old && at != pem.npos) {
        const std::string_view rest = pem.substr(at + info.size());
        return {true, std::string(rest.substr(0, rest.find_first_of(",\r\n")))};
    }
    return {is_old || pem_label(pem) == "ENCRYPTED PRIVATE KEY"};
}

/// Says what a text is instead of a private key in PEM. It quotes the label alone, which is no secret.
inline std::string describe_key_text(std::string_view text) {
    const std::size_t start = text.find_first_not_of(" \t\r\n");
    const std::string expected = "; expected an RSA private key in PEM (-----BEGIN PRIVATE KEY-----)";
    if (start == text.npos) return "the text is empty" + expected;
    const std::string_view label = pem_label(text);
    if (!label.empty()) {
        const std::string found = "found " + std::string(label.substr(0, 64));
        if (label.ends_with("PUBLIC KEY")) return found + ", which cannot sign" + expected;
        if (label.ends_with("CERTIFICATE") || label.ends_with("CERTIFICATE REQUEST"))
            return found + "; its private key stands in another file" + expected;
        if (label == "OPENSSH PRIVATE KEY")
            return found + "; ssh-keygen -p -m PKCS8 -f COPY converts a copy of it" + expected;
        if (label.ends_with("PARAMETERS")) return found + " in front of the key; leave them out" + expected;
        if (!label.ends_with("PRIVATE KEY")) return found + expected;
        if (text.find("-----END " + std::string(label) + "-----") == text.npos)
            return found + " without its last line; the text is cut";
        return found + ", but what stands in it is damaged";
    }
    text.remove_prefix(start);
    if (text.starts_with("PuTTY-User-Key-File")) return "found a key of PuTTY; puttygen exports it" + expected;
    if (text.starts_with("ssh-") || text.starts_with("ecdsa-")) return "found a public key of SSH" + expected;
    if (text.starts_with('{')) return "found a JSON text, perhaps a JWK" + expected;
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
        return "found a text in UTF-16; save it in UTF-8" + expected;
    if (text.starts_with('\x30')) return "found DER instead of PEM; openssl pkey -inform DER converts it" + expected;
    return "found no -----BEGIN line" + expected;
}

} // namespace regrant::inline v0::detail
