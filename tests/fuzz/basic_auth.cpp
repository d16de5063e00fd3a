// tests/fuzz/basic_auth.cpp - Basic credentials are read as RFC 7617 writes them, and decode(encode(x)) == x.
// SPDX-License-Identifier: MIT
#include "plain.hpp"
#include "target.hpp"

#include <regrant/basic_auth.hpp>

namespace {

using regrant::basic_credentials;

/// The header as it came.
void read(const std::string& header) {
    const auto parsed = basic_credentials::parse(header);
    const auto plainly = plain::basic_parse(header);
    const bool is_basic = plain::lower(header.substr(0, header.find(' '))) == "basic";
    fuzz::require(parsed.has_value() == plainly.has_value(), "accepted or refused alike (R24)");
    if (!parsed)
        return fuzz::require((parsed.error() == regrant::reason::scheme_unknown) == !is_basic, "for the same reason");

    const plain::decoded user = plain::form_decode(plainly->user);
    const plain::decoded password = plain::form_decode(plainly->password);
    fuzz::require(parsed->client_id_is_encoded() == !user.faults.any(), "the user is form-encoded or not");
    fuzz::require(parsed->client_id() == (user.faults.any() ? plainly->user : user.text), "the user (R18)");
    fuzz::require(parsed->client_secret().has_value() == !password.faults.any(), "the password is form-encoded or not");
    if (!password.faults.any()) fuzz::require(*parsed->client_secret() == password.text, "the password (R18)");
    fuzz::require(parsed->raw_client_secret() == plainly->password, "the password as it was sent (R19)");
}

/// User and password, encoded as a client does it.
void come_back(const std::string& user, const std::string& password) {
    if (user.empty() || !plain::is_utf8(user) || !plain::is_utf8(password)) return;
    if ((user + password).find('\0') != std::string::npos) return;
    const auto parsed = basic_credentials::parse(
        "Basic " + plain::base64_encode(plain::form_encode(user) + ':' + plain::form_encode(password)));
    fuzz::require(parsed.has_value() && parsed->client_id() == user && parsed->client_secret() == password,
                  "what was encoded comes back (R18)");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const std::string input = fuzz::text(bytes, size);
    read(input);
    read("Basic " + input);
    read("basic " + plain::base64_encode(input));
    const std::size_t split = input.find('|');
    come_back(input.substr(0, split), split == std::string::npos ? "" : input.substr(split + 1));

    // The same for bytes of any kind.
    const auto decoded = regrant::base64_decode(input);
    const auto plainly = plain::base64_decode(input);
    fuzz::require(decoded.has_value() == plainly.has_value(), "base64 is accepted or refused alike");
    if (decoded) fuzz::require(decoded->reveal() == *plainly, "base64 means the same bytes");
    const auto back = regrant::base64_decode(plain::base64_encode(input));
    fuzz::require(back.has_value() && back->reveal() == input, "base64 comes back");
    fuzz::require(plain::base64url_decode(regrant::base64url(input)) == input, "base64url comes back");
    return 0;
}
