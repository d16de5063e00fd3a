// regrant/jwt.hpp - claims in, a signed compact JWT out.
// floor 2
// SPDX-License-Identifier: MIT
#pragma once

#include "base64.hpp"
#include "error.hpp"
#include "json_writer.hpp"
#include "result.hpp"
#include "secret.hpp"

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace regrant::inline v0 {

/// An RSA signature of a key of up to 8192 bits.
struct signature {
    static constexpr std::size_t most_bytes = 1024;

    std::array<std::byte, most_bytes> bytes;
    std::size_t size_bytes = 0;

    /// Empty for a size that no signature has.
    std::span<const std::byte> view() const noexcept {
        return std::span(bytes).first(size_bytes <= most_bytes ? size_bytes : 0);
    }
};

/// Whoever signs RS256: a key in memory, an HSM, a batching engine.
///
/// `sign(inputs, signatures)` signs all inputs of one answer at once, the i-th into the i-th place; both spans have
/// the same size. Called from many threads at once.
template <class Signer>
concept signer =
    requires(const Signer& one, std::span<const std::string_view> inputs, std::span<signature> signatures) {
        { one.key_id() } -> std::convertible_to<std::string_view>;
        { one.sign(inputs, signatures) } -> std::same_as<result<void, outage>>;
    };

/// The claims of a JWT in the order they are added.
///
/// \par RFC 7519 4
class jwt_claims {
public:
    explicit jwt_claims(solidus slashes = solidus::plain) : slashes_(slashes) {}

    jwt_claims& add(std::string_view name, std::string_view text) {
        return with(name, [&](json_writer& json) { json.value(text); });
    }
    /// A number, or `true` or `false`.
    template <std::integral Value> jwt_claims& add(std::string_view name, Value value) {
        return with(name, [&](json_writer& json) { json.value(value); });
    }
    /// A NumericDate (RFC 7519 2).
    jwt_claims& add(std::string_view name, std::chrono::sys_seconds time) {
        return add(name, std::int64_t{time.time_since_epoch().count()});
    }
    jwt_claims& add_array(std::string_view name, std::span<const std::string_view> texts) {
        return with(name, [&](json_writer& json) {
            json.begin_array();
            for (const std::string_view text : texts) json.value(text);
            json.end_array();
        });
    }
    /// A value that is JSON already.
    jwt_claims& add_json(std::string_view name, std::string_view json_text) {
        return with(name, [&](json_writer& json) { json.raw(json_text); });
    }

    /// The JSON object.
    std::string json() const { return '{' + members_ + '}'; }

private:
    template <class Write> jwt_claims& with(std::string_view name, Write write) {
        if (!members_.empty()) members_ += ',';
        json_writer json(members_, slashes_);
        json.key(name);
        write(json);
        return *this;
    }

    std::string members_;
    solidus slashes_;
};

/// The first segment of every token of one type that a key signs, so that it is made once.
///
/// \param type  the `typ` parameter: `JWT`, or `at+jwt` for an access token of RFC 9068
/// \par RFC 7515 4
inline std::string jwt_header_segment(std::string_view key_id, std::string_view type) {
    return base64url(
        jwt_claims().add("kid", key_id).add("typ", type).add("alg", "RS256").json());
}

/// What is signed: header and claims, with a dot between (RFC 7515 5.1).
inline secret jwt_signing_input(std::string_view header_segment, const jwt_claims& claims) {
    const std::string json = claims.json();
    secret input;
    input.reserve(header_segment.size() + base64url_size(json.size()) + base64url_size(signature::most_bytes) + 2);
    input.append(header_segment);
    input.append(".");
    base64url_encode(std::as_bytes(std::span(json)), input.grow(base64url_size(json.size())));
    return input;
}

/// Turns signing inputs into compact JWTs, all with one call of the signer.
///
/// \param inputs  one or two, as an answer has tokens; unchanged where signing fails
template <signer Signer> result<void, outage> sign_jwts(const Signer& with, std::span<secret> inputs) {
    constexpr std::size_t most = 2;
    if (inputs.size() > most) return unexpected(outage{"an answer has at most two tokens"});
    std::array<std::string_view, most> texts;
    std::array<signature, most> signatures;
    for (std::size_t i = 0; i != inputs.size(); ++i) texts[i] = inputs[i].reveal();
    if (auto done = with.sign(std::span(texts).first(inputs.size()), std::span(signatures).first(inputs.size())); !done)
        return done;
    for (std::size_t i = 0; i != inputs.size(); ++i) {
        const auto bytes = signatures[i].view();
        // An unsigned token must not leave, whatever a signer answers.
        if (bytes.empty()) return unexpected(outage{"the signer gave no signature, or one that is too long"});
        inputs[i].append(".");
        base64url_encode(bytes, inputs[i].grow(base64url_size(bytes.size())));
    }
    return {};
}

/// Makes one JWT.
///
///     auto key = regrant::signing_key::from_pem(pem);
///     auto jwt = regrant::encode_jwt(*key, regrant::jwt_claims().add("sub", "alice"));
///
/// \par Errors
/// the signer's outage
/// \par RFC 7515 7.1, RFC 7518 3.3
template <signer Signer>
result<secret, outage> encode_jwt(const Signer& with, const jwt_claims& claims, std::string_view type = "JWT") {
    secret token = jwt_signing_input(jwt_header_segment(with.key_id(), type), claims);
    if (auto done = sign_jwts(with, std::span(&token, 1)); !done) return unexpected(std::move(done).error());
    return token;
}

} // namespace regrant::inline v0
