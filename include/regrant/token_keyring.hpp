// regrant/token_keyring.hpp - the keys that seal a lineage into a refresh token.
// floor 2
// SPDX-License-Identifier: MIT
#pragma once

#include "base64.hpp"
#include "detail/openssl.hpp"
#include "error.hpp"
#include "hash.hpp"
#include "lineage.hpp"
#include "result.hpp"
#include "secret.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

/// The number of a token key; it stands in every token the key has sealed.
enum class token_key_id : std::uint8_t {};

/// A key of the ring as the operator keeps it.
struct token_key {
    static constexpr std::size_t least_bytes = 32;

    token_key_id id;
    /// At least 32 random bytes.
    secret bytes;
};

/// Seals lineages into refresh tokens and opens them again.
///
/// A token is base64url(version | key id | family | generation | HMAC-SHA256 over all of these): 72 characters, opaque
/// to the client. The first key mints, all keys are accepted. To roll over, add the new key at the end of every
/// server's ring first, then move it to the front; drop the old one when the last family it sealed has reached its
/// absolute limit (R54).
/// While two servers mint with two keys, a lost answer may be repeated with another text for the same token.
class token_keyring {
public:
    static constexpr std::size_t token_characters = 72;

    /// \param keys  the minting key first
    /// \par Errors
    /// no key; a key under 32 bytes; two keys with one id
    // NOLINTNEXTLINE(performance-unnecessary-value-param): taken over, so that the keys are wiped when it returns
    static result<token_keyring, setup_error> make(std::vector<token_key> keys) {
        if (keys.empty()) return unexpected(setup_error{"the token key ring is empty"});
        token_keyring ring;
        for (const token_key& key : keys) {
            const auto number = std::to_string(static_cast<unsigned>(key.id));
            if (key.bytes.size() < token_key::least_bytes)
                return unexpected(setup_error{"token key " + number + " is shorter than 32 bytes"});
            if (ring.find(key.id) != nullptr)
                return unexpected(setup_error{"two token keys have the id " + number});
            auto mac = detail::hmac_sha256::make(key.bytes.bytes());
            if (!mac) return unexpected(setup_error{"OpenSSL offers no HMAC-SHA256"});
            ring.keys_.push_back({key.id, std::move(*mac)});
        }
        return ring;
    }

    /// Seals under the first key. The same lineage always gives the same token, so a lost answer can be repeated.
    result<secret, outage> seal(const lineage& line) const {
        sealed_bytes bytes{};
        write(line, keys_.front().id, bytes);
        if (!authenticate(keys_.front(), bytes, std::span(bytes).template last<mac_bytes>()))
            return unexpected(outage{"HMAC-SHA256 failed"});
        secret token;
        base64url_encode(bytes, token.grow(token_characters));
        wipe(bytes.data(), bytes.size());
        return token;
    }

    /// Opens a token without asking anyone: a forged one costs no store access (R39).
    ///
    /// \return why not, for any text that no key of the ring sealed
    /// \par Errors
    /// `outage` when OpenSSL fails
    result<token_opening, outage> open(std::string_view token) const {
        const auto nothing = [](unopened why) { return token_opening(unexpected(why)); };
        sealed_bytes bytes{};
        if (!base64url_decode(token, bytes) || bytes[0] != version) return nothing(unopened::not_ours);
        const ring_key* key = find(token_key_id{std::to_integer<std::uint8_t>(bytes[1])});
        if (key == nullptr) return nothing(unopened::key_unknown);
        std::array<std::byte, mac_bytes> mac{};
        if (!authenticate(*key, bytes, mac)) return unexpected(outage{"HMAC-SHA256 failed"});
        const bool ours = same_bytes(mac, std::span(bytes).template last<mac_bytes>());
        // Of a forged token this is the right seal: it must not stay behind.
        wipe(mac.data(), mac.size());
        if (!ours) return nothing(unopened::not_ours);

        const lineage line = read(bytes);
        wipe(bytes.data(), bytes.size());
        auto key_of_row = row_key_of(line.family);
        if (!key_of_row) return unexpected(std::move(key_of_row).error());
        return token_opening(opened_token{line, *key_of_row});
    }

    /// Where the store keeps a family.
    static result<row_key, outage> row_key_of(const family_id& family) {
        auto hashed = sha256(family.bytes());
        if (!hashed) return unexpected(std::move(hashed).error());
        return row_key{*hashed};
    }

private:
    static constexpr std::byte version{1};
    static constexpr std::size_t signed_bytes = 2 + family_id::size_bytes + 4;
    static constexpr std::size_t mac_bytes = 32;
    using sealed_bytes = std::array<std::byte, signed_bytes + mac_bytes>;
    static_assert(base64url_size(signed_bytes + mac_bytes) == token_characters);

    struct ring_key {
        token_key_id id;
        detail::hmac_sha256 mac;
    };

    token_keyring() = default;

    const ring_key* find(token_key_id id) const noexcept {
        for (const ring_key& key : keys_)
            if (key.id == id) return &key;
        return nullptr;
    }

    static void write(const lineage& line, token_key_id id, sealed_bytes& to) noexcept {
        to[0] = version;
        to[1] = static_cast<std::byte>(id);
        std::memcpy(to.data() + 2, line.family.bytes().data(), family_id::size_bytes);
        for (std::size_t i = 0; i != 4; ++i)
            to[2 + family_id::size_bytes + i] =
                static_cast<std::byte>(static_cast<std::uint32_t>(line.generation) >> (24 - 8 * i) & 0xFF);
    }

    static lineage read(const sealed_bytes& from) noexcept {
        std::uint32_t number = 0;
        for (std::size_t i = 0; i != 4; ++i)
            number = number << 8 | std::to_integer<std::uint32_t>(from[2 + family_id::size_bytes + i]);
        return {family_id(std::span(from).template subspan<2, family_id::size_bytes>()), generation{number}};
    }

    static bool authenticate(const ring_key& key, const sealed_bytes& bytes,
                             std::span<std::byte, mac_bytes> mac) noexcept {
        // The words in front keep a seal from passing as one made for another use of the same key.
        constexpr std::string_view domain = "regrant refresh token v1";
        std::array<std::byte, domain.size() + signed_bytes> text;
        std::memcpy(text.data(), domain.data(), domain.size());
        std::memcpy(text.data() + domain.size(), bytes.data(), signed_bytes);
        const bool made = key.mac(text, mac);
        wipe(text.data(), text.size());
        return made;
    }

    std::vector<ring_key> keys_;
};

} // namespace regrant::inline v0
