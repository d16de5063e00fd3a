// tests/fuzz/json_in.cpp - a claim is accepted where a second, plain reader of RFC 8259 accepts it, and what is written
// anew is valid JSON of the same value.
// SPDX-License-Identifier: MIT
#include "plain_json.hpp"
#include "target.hpp"

#include <regrant/parse_claim.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const std::string input = fuzz::text(bytes, size);
    const auto plainly = plain::json_reader::read(input, 32);
    const auto claim = regrant::parse_claim("c", input);
    fuzz::require(claim.has_value() == plainly.has_value(), "accepted or refused alike");
    if (!claim) return 0;

    fuzz::require(plain::is_utf8(claim->json()), "what is written is UTF-8");
    const auto written = plain::json_reader::read(claim->json(), 32);
    fuzz::require(written.has_value(), "what is written is JSON");
    fuzz::require(plain::equal(*plainly, *written), "of the same value");
    const auto again = regrant::parse_claim("c", claim->json());
    fuzz::require(again.has_value(), "it is accepted again");
    // A double of minus zero is written -0, which is read as a whole number and written 0.
    const auto twice = plain::json_reader::read(again->json(), 32);
    fuzz::require(twice.has_value() && plain::equal(*written, *twice), "as the same value");
    return 0;
}
