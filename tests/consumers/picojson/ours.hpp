// tests/consumers/picojson/ours.hpp - regrant reads JSON in this unit.
// SPDX-License-Identifier: MIT
#include <regrant/parse_claim.hpp>

/// Whether regrant's own copy keeps 64-bit numbers, reads what it should and refuses what it should.
static bool regrant_has_its_mode() {
    const auto claim = regrant::parse_claim("n", R"({"n":[9007199254740993,2.5,"a/b",true,null],"o":{"k":-7}})");
    return claim && claim->json() == R"({"n":[9007199254740993,2.5,"a\/b",true,null],"o":{"k":-7}})" &&
           !regrant::parse_claim("n", "1e999") && !regrant::parse_claim("n", R"({"a":1,"a":2})");
}
