// tests/fuzz/json_out.cpp - whatever texts go into an answer, its body is JSON that means them, in clean headers.
// SPDX-License-Identifier: MIT
//
// The input: fields of an answer, a newline between two.
#include "plain_json.hpp"
#include "target.hpp"

#include <regrant/http_reply.hpp>
#include <regrant/json_writer.hpp>
#include <regrant/token_response.hpp>

namespace {

/// Each byte that belongs to no character becomes U+FFFD.
std::string mended(const std::string& text) {
    std::string made;
    for (std::size_t i = 0; i < text.size();) {
        std::size_t length = 4;
        while (length > 1 && (i + length > text.size() || !plain::is_utf8(text.substr(i, length)) ||
                              plain::is_utf8(text.substr(i, 1))))
            --length;
        const std::string one = text.substr(i, length);
        made += plain::is_utf8(one) ? one : "\xEF\xBF\xBD";
        i += one.size();
    }
    return made;
}

plain::json read(const std::string& body) {
    for (const char c : body) fuzz::require(c >= 0x20 || c < 0, "no control byte (R71)");
    fuzz::require(body.find('\x7F') == std::string::npos, "no DEL (R71)");
    const auto value = plain::json_reader::read(body, 8);
    fuzz::require(value.has_value(), "the body is JSON");
    return *value;
}

void is_text(const plain::json& in, std::size_t at, const std::string& name, const std::string& text) {
    fuzz::require(at < in.members.size() && in.members[at].name == name, "the member in its place (R65)");
    fuzz::require(in.members[at].value.text == mended(text), "the member's text");
}

void write_all(const std::vector<std::string>& texts, regrant::solidus slashes) {
    std::string body;
    regrant::json_writer json(body, slashes);
    json.begin_object();
    json.key("all").begin_array();
    for (const std::string& text : texts) json.value(text);
    json.end_array();
    json.key("deep").begin_object().key(texts[0]).value(std::int64_t{-1}).end_object();
    json.key("end").value(true);
    json.end_object();
    const plain::json value = read(body);
    fuzz::require(value.members.size() == 3 && value.members[0].value.items.size() == texts.size(), "as many values");
    for (std::size_t i = 0; i < texts.size(); ++i)
        fuzz::require(value.members[0].value.items[i].text == mended(texts[i]), "each text");
    fuzz::require(value.members[1].value.members[0].name == mended(texts[0]), "a key is a text too");
    fuzz::require(value.members[1].value.members[0].value.number == -1 && value.members[2].value.truth, "the others");
    const bool has_bare_slash = body.find('/') != std::string::npos && body.find("\\/") == std::string::npos;
    fuzz::require(slashes == regrant::solidus::plain || !has_bare_slash, "a slash is escaped where it was asked for");
}

void answer(const std::vector<std::string>& texts) {
    const auto nth = [&](std::size_t i) { return i < texts.size() ? texts[i] : std::string(); };
    regrant::token_response made{regrant::secret(nth(0)), regrant::secret(nth(1)), nth(2), std::nullopt,
                                 std::chrono::seconds(static_cast<std::int64_t>(texts.size()) - 2)};
    if (texts.size() > 3) made.id_token = regrant::secret(nth(3));
    const plain::json value = read(regrant::to_reply(made).body);
    is_text(value, 0, "access_token", nth(0));
    is_text(value, 1, "refresh_token", nth(1));
    is_text(value, 2, "scope", nth(2));
    if (made.id_token) is_text(value, 3, "id_token", nth(3));
    const std::size_t at = made.id_token ? 4 : 3;
    is_text(value, at, "token_type", "Bearer");
    fuzz::require(value.members.size() == at + 2 && value.members[at + 1].name == "expires_in", "and no more (R65)");
    fuzz::require(value.members[at + 1].value.number == static_cast<double>(made.expires_in.count()), "the lifetime");
}

/// Every refusal under a realm, which must stay one quoted-string (RFC 9110 5.6.4) in one line.
void refuse(const std::string& realm) {
    regrant::reply_settings settings;
    settings.realm = realm;
    settings.descriptions = regrant::error_descriptions::on;
    const regrant::refusal refused{regrant::reason::secret_wrong, realm, std::nullopt, regrant::challenge::basic};
    const auto reply = regrant::to_reply(refused, settings);
    std::string rest(reply.header("WWW-Authenticate"));
    fuzz::require(rest.starts_with("Basic realm=\"") && rest.ends_with('"') && rest.size() >= 14, "a challenge (R21)");
    rest = rest.substr(13, rest.size() - 14);
    std::string meant;
    for (std::size_t i = 0; i < rest.size(); ++i) {
        fuzz::require(rest[i] != '"' && (rest[i] >= 0x20 || rest[i] < 0) && rest[i] != 0x7F,
                      "no end and no line in it");
        if (rest[i] == '\\') fuzz::require(++i < rest.size(), "no half pair");
        meant += rest[i];
    }
    std::string clean = realm;
    std::erase_if(clean, [](char c) { return (c >= 0 && c < 0x20) || c == 0x7F; });
    fuzz::require(meant == clean, "the realm");
    fuzz::require(read(reply.body).members.size() == 2, "code and description alone (R73)");
    fuzz::require(reply.body == regrant::to_json(refused, settings.descriptions), "whatever the realm and the detail");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const std::vector<std::string> texts = plain::split(fuzz::text(bytes, size), '\n');
    write_all(texts, regrant::solidus::plain);
    write_all(texts, regrant::solidus::escaped);
    answer(texts);
    refuse(texts[0]);
    return 0;
}
