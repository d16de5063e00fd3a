// regrant/jwt.hpp - claims in, a signed compact JWT out.
// floor 2
// SPDX-License-Identifier: MIT
#pragma once

#include "base64.hpp"
#include "detail/utf8.hpp"
#include "error.hpp"
#include "json_writer.hpp"
#include "result.hpp"
#include "scope.hpp"
#include "secret.hpp"

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
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
    explicit jwt_claims(solidus slashes = solidus::plain) : slashes_(slashes) {
        text_.reserve(usual_token_bytes);
        text_.push_back('{');
    }
    jwt_claims(const jwt_claims& other) : jwt_claims(other.slashes_) {
        text_.truncate(0);
        text_.append(other.text_.reveal());
        is_utf8_ = other.is_utf8_;
    }
    jwt_claims(jwt_claims&&) noexcept = default;
    jwt_claims& operator=(jwt_claims other) noexcept {
        text_ = std::move(other.text_);
        slashes_ = other.slashes_;
        is_utf8_ = other.is_utf8_;
        return *this;
    }
    ~jwt_claims() = default;

    jwt_claims& add(json_name name, std::string_view text) {
        return with(name, [&](writer& json) { json.value(text); });
    }
    /// A number, or `true` or `false`.
    template <std::integral Value> jwt_claims& add(json_name name, Value value) {
        return with(name, [&](writer& json) { json.value(value); });
    }
    /// A NumericDate (RFC 7519 2).
    jwt_claims& add(json_name name, std::chrono::sys_seconds time) {
        return add(name, std::int64_t{time.time_since_epoch().count()});
    }
    jwt_claims& add_array(json_name name, std::span<const std::string_view> texts) {
        return with(name, [&](writer& json) {
            json.begin_array();
            for (const std::string_view text : texts) json.value(text);
            json.end_array();
        });
    }
    /// The words of a scope.
    jwt_claims& add_words(json_name name, const scope& words) {
        return with(name, [&](writer& json) {
            json.begin_array();
            words.for_each([&](std::string_view word) { json.value(word); });
            json.end_array();
        });
    }
    /// A value that is JSON already.
    jwt_claims& add_json(json_name name, std::string_view json_text) {
        is_utf8_ = is_utf8_ && detail::is_utf8(json_text);
        return with(name, [&](writer& json) { json.raw(json_text); });
    }

    /// The JSON object.
    std::string json() const { return std::string(text_.reveal()) + '}'; }
    /// Whether every name and value was UTF-8. Claims that were not are never signed: what stands in `json` for two of
    /// them could read alike.
    bool is_utf8() const noexcept { return is_utf8_; }

private:
    using writer = basic_json_writer<secret>;
    friend result<secret, outage> jwt_signing_input(std::string_view header_segment, jwt_claims claims);

    /// Room for all of a token of usual claims, signed by a key of 2048 bits: the token is made where its claims stand.
    static constexpr std::size_t usual_token_bytes = 1000;

    template <class Write> jwt_claims& with(json_name name, Write write) {
        writer json(text_, slashes_, text_.size() == 1 ? json_place::first : json_place::following);
        json.key(name);
        write(json);
        is_utf8_ = is_utf8_ && !json.has_replaced();
        return *this;
    }

    secret text_;
    solidus slashes_;
    bool is_utf8_ = true;
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
/// \par Errors
/// a name or value of the claims that is not UTF-8 (RFC 7519 7.1)
inline result<secret, outage> jwt_signing_input(std::string_view header_segment, jwt_claims claims) {
    constexpr std::size_t usual_signature_bytes = 256;
    if (!claims.is_utf8()) return unexpected(outage{"a claim's name or value is not UTF-8"});
    secret input = std::move(claims.text_);
    input.push_back('}');
    const std::size_t json_bytes = input.size();
    const std::size_t input_bytes = header_segment.size() + 1 + base64url_size(json_bytes);
    const std::size_t token_bytes = input_bytes + 1 + base64url_size(usual_signature_bytes);
    // The claims step back to the end of the token's room; base64 then grows towards them and does not overtake them.
    input.grow(token_bytes - json_bytes);
    const std::span<char> room = input.mutable_text();
    char* const json = room.data() + (token_bytes - json_bytes);
    std::memmove(json, room.data(), json_bytes);
    header_segment.copy(room.data(), header_segment.size());
    room[header_segment.size()] = '.';
    base64url_encode(std::as_bytes(std::span(json, json_bytes)), room.data() + header_segment.size() + 1);
    input.truncate(input_bytes);
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
    // An unsigned token must not leave, whatever a signer answers.
    for (std::size_t i = 0; i != inputs.size(); ++i)
        if (signatures[i].view().empty())
            return unexpected(outage{"the signer gave no signature, or one that is too long"});
    for (std::size_t i = 0; i != inputs.size(); ++i) {
        const auto bytes = signatures[i].view();
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
/// the signer's outage; a claim or key id that is not UTF-8
/// \par RFC 7515 7.1, RFC 7518 3.3
template <signer Signer>
result<secret, outage> encode_jwt(const Signer& with, jwt_claims claims, std::string_view type = "JWT") {
    if (!detail::is_utf8(with.key_id())) return unexpected(outage{"the key id is not UTF-8"});
    auto token = jwt_signing_input(jwt_header_segment(with.key_id(), type), std::move(claims));
    if (!token) return token;
    if (auto done = sign_jwts(with, std::span(&*token, 1)); !done) return unexpected(std::move(done).error());
    return token;
}

} // namespace regrant::inline v0
