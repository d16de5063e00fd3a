// tests/fuzz/refresh_token.cpp - a keyring opens the very texts it sealed, to what was sealed, and no other.
// SPDX-License-Identifier: MIT
//
// The input: a line of edits to a sealed token, then any text. An edit is a letter and two bytes, see `edited`.
#include "plain.hpp"
#include "target.hpp"

#include <regrant/token_keyring.hpp>

#include <array>
#include <span>
#include <utility>

namespace {

using regrant::token_keyring;

token_keyring ring_of(std::initializer_list<std::uint8_t> ids) {
    std::vector<regrant::token_key> keys;
    for (const std::uint8_t id : ids)
        keys.push_back({regrant::token_key_id{id}, regrant::secret(std::string(32, static_cast<char>('A' + id)))});
    return *token_keyring::make(std::move(keys));
}

regrant::lineage line_of(const std::string& seed) {
    std::array<std::byte, 16> family{};
    std::uint32_t generation = 0;
    for (std::size_t i = 0; i < seed.size(); ++i) {
        family[i % 16] ^= static_cast<std::byte>(seed[i]);
        generation = generation * 31 + static_cast<unsigned char>(seed[i]);
    }
    return {regrant::family_id(std::span<const std::byte, 16>(family)), regrant::generation{generation}};
}

std::string sealed(const token_keyring& ring, const regrant::lineage& line) {
    const auto token = ring.seal(line);
    fuzz::require(token.has_value() && token->reveal().size() == token_keyring::token_characters, "it seals");
    return std::string(token->reveal());
}

std::string edited(std::string token, const std::string& edits) {
    for (std::size_t i = 0; i + 2 < edits.size(); i += 3) {
        const std::size_t at = static_cast<unsigned char>(edits[i + 1]) % (token.size() + 1);
        switch (edits[i]) {
        case 'c': token.resize(at); break;
        case 'i': token.insert(at, 1, edits[i + 2]); break;
        case 'd': token.erase(at, 1); break;
        case 'a': token += edits[i + 2]; break;
        case 'h': token = token.substr(at) + token.substr(0, at); break;
        default:
            if (at < token.size()) token[at] = edits[i + 2];
            break;
        }
    }
    return token;
}

/// Whether an opened token is a lineage.
bool is(const regrant::opened_token& opened, const regrant::lineage& line) {
    const auto key = token_keyring::row_key_of(line.family);
    return regrant::same_bytes(opened.lineage.family.bytes(), line.family.bytes()) &&
           opened.lineage.generation == line.generation && key && opened.key == *key;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    static const token_keyring first = ring_of({1});
    static const token_keyring both = ring_of({2, 1});
    static const token_keyring other = ring_of({3});
    const std::string input = fuzz::text(bytes, size);
    const std::size_t split = input.find('\n');
    const std::string edits = input.substr(0, split);
    const std::string rest = split == std::string::npos ? "" : input.substr(split + 1);

    const regrant::lineage line = line_of(rest);
    const std::string good = sealed(first, line);
    fuzz::require(sealed(first, line) == good, "the same lineage seals to the same text (R47)");
    for (const token_keyring* ring : {&first, &both}) {
        const auto opened = ring->open(good);
        fuzz::require(opened.has_value() && opened->has_value() && is(**opened, line), "what was sealed opens");
    }
    const auto foreign = other.open(good);
    fuzz::require(foreign.has_value() && !foreign->has_value(), "an unknown key opens nothing (R54)");

    const std::string bad = edited(good, edits);
    for (const std::string& text : {bad, rest, edits}) {
        const auto opened = first.open(text);
        fuzz::require(opened.has_value(), "opening needs nobody");
        fuzz::require(opened->has_value() == (text == good), "another text is none of ours (R39)");
    }
    // The bytes of one token under the seal of another.
    const regrant::lineage neighbour{line.family, next(line.generation)};
    const std::string second = sealed(first, neighbour);
    for (const std::size_t cut : {std::size_t{28}, std::size_t{29}, std::size_t{30}}) {
        const std::string mixed = good.substr(0, cut) + second.substr(cut);
        const auto opened = first.open(mixed);
        fuzz::require(opened.has_value() && opened->has_value() == (mixed == good || mixed == second),
                      "no mixture (R39)");
    }
    return 0;
}
