// tests/fuzz/registrations.cpp - registrations that are accepted give the clients, each one safe, that a plain
// reading of RFC 7591 gives.
// SPDX-License-Identifier: MIT
#include "plain_json.hpp"
#include "target.hpp"

#include <regrant/client_list.hpp>
#include <regrant/registrations.hpp>

namespace {

using kind = plain::json::kind;

std::string text_of(const plain::json& object, const std::string& name, const std::string& otherwise) {
    const plain::json* found = object.member(name);
    return found == nullptr ? otherwise : found->text;
}

std::vector<std::string> texts_of(const plain::json& object, const std::string& name,
                                  const std::vector<std::string>& otherwise) {
    const plain::json* found = object.member(name);
    if (found == nullptr) return otherwise;
    std::vector<std::string> texts;
    for (const plain::json& each : found->items) texts.push_back(each.text);
    return texts;
}

bool is_text(const plain::json& object, const std::string& name) {
    const plain::json* found = object.member(name);
    return found == nullptr || found->is == kind::text;
}

std::optional<regrant::instant> time_of(const plain::json* found) {
    if (found == nullptr) return std::nullopt;
    return regrant::instant(std::chrono::seconds(static_cast<std::int64_t>(found->number)));
}

void is_secret(const regrant::client_secret& made, const plain::json& given, const plain::json* expiry) {
    fuzz::require(given.is == kind::text && !given.text.empty(), "a secret is a text");
    fuzz::require(made.hash.sha256 == regrant::hash_client_secret(given.text)->sha256, "it is kept as its hash (R31)");
    const bool expires = expiry != nullptr && expiry->number != 0;
    fuzz::require(made.expires_at == (expires ? time_of(expiry) : std::nullopt), "with its expiry (7591 3.2.1)");
}

void are_secrets(const regrant::client& made, const plain::json& object) {
    const plain::json* given = object.member("client_secret");
    if (given == nullptr) return fuzz::require(made.secrets.empty(), "no secret from nowhere");
    const std::vector<plain::json> all = given->is == kind::array ? given->items : std::vector<plain::json>{*given};
    fuzz::require(all.size() == made.secrets.size() && all.size() <= 2, "each of at most two secrets (R31)");
    const plain::json* const common = object.member("client_secret_expires_at");
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i].is == kind::object) {
            fuzz::require(all[i].member("secret") != nullptr, "an object names its secret");
            const plain::json* const own = all[i].member("expires_at");
            is_secret(made.secrets[i], *all[i].member("secret"), own != nullptr ? own : common);
        } else {
            is_secret(made.secrets[i], all[i], common);
        }
    }
}

void is_client(const regrant::client& made, const plain::json& object) {
    fuzz::require(object.is == kind::object, "a client is an object");
    for (const char* name : {"client_id", "token_endpoint_auth_method", "scope", "audience"})
        fuzz::require(is_text(object, name), "these are texts");
    fuzz::require(made.client_id == text_of(object, "client_id", "") && !made.client_id.empty(), "the client_id");
    for (const char c : made.client_id) fuzz::require(c >= 0x20 && c <= 0x7E, "is of VSCHAR (6749 A.1)");

    const std::string method = text_of(object, "token_endpoint_auth_method", "client_secret_basic");
    fuzz::require(to_string(made.policy.method()) == method, "the method (7591 2)");
    const plain::json* rotates = object.member("rotate");
    const bool rotate = rotates == nullptr || rotates->truth;
    fuzz::require((made.policy.rotation() == regrant::rotation::rotate) == rotate, "the rotation");
    fuzz::require(method != "none" || (rotate && made.secrets.empty()),
                  "a public client rotates, without a secret (R37)");
    fuzz::require(method == "none" || !made.secrets.empty(), "a confidential one has a secret");
    are_secrets(made, object);

    const auto words = plain::scope_words(text_of(object, "scope", ""));
    fuzz::require(words.has_value() && made.scope.text() == plain::joined(*words), "the scope (R59)");
    fuzz::require(made.grant_types == texts_of(object, "grant_types", {"refresh_token"}), "the grant types");
    fuzz::require(made.allowed_origins == texts_of(object, "allowed_origins", {}), "the origins");
    fuzz::require(made.audience == text_of(object, "audience", ""), "the audience");
    fuzz::require(made.not_before == time_of(object.member("not_before")), "the time before which all is dead (R44)");
    const plain::json* lenient = object.member("lenient_basic");
    const bool is_lenient = lenient != nullptr && lenient->truth;
    fuzz::require((made.decoding == regrant::basic_decoding::lenient) == is_lenient, "lenient or not (R19)");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const std::string input = fuzz::text(bytes, size);
    const auto clients = regrant::parse_registrations(input);
    if (!clients) {
        fuzz::require(!clients.error().message.empty(), "a refusal says why");
        return 0;
    }
    const auto plainly = plain::json_reader::read(input.starts_with("\xEF\xBB\xBF") ? input.substr(3) : input, 32);
    fuzz::require(plainly.has_value() && plainly->is == kind::array, "one JSON array");
    fuzz::require(plainly->items.size() == clients->size(), "each registration");
    std::vector<std::string> ids;
    bool unique = true;
    for (std::size_t i = 0; i < clients->size(); ++i) {
        is_client((*clients)[i], plainly->items[i]);
        unique = unique && std::find(ids.begin(), ids.end(), (*clients)[i].client_id) == ids.end();
        ids.push_back((*clients)[i].client_id);
    }
    const auto list = regrant::client_list::make(*clients);
    fuzz::require(list.has_value() == unique, "a list of them takes each id once");
    for (const std::string& id : ids)
        if (unique) fuzz::require((*list->find(id))->client_id == id, "and finds it");
    return 0;
}
