// tests/consumers/picojson/host.hpp - how a host takes picojson in: with PICOJSON_USE_INT64 as jwt-cpp does, or without.
// SPDX-License-Identifier: MIT
#if defined(HOST_USES_INT64) && !defined(PICOJSON_USE_INT64)
#define PICOJSON_USE_INT64
#endif
#if __has_include(<picojson.h>)
#include <picojson.h>
#else
#include <picojson/picojson.h>
#endif

#include <cstdint>
#include <string>

#if defined(HOST_USES_INT64) != defined(PICOJSON_USE_INT64) || !defined(PICOJSON_ASSERT) || !defined(picojson_h)
#error "the host's macros are not as the host left them"
#endif

/// Whether a value made, copied and written in this unit is what the host's mode makes of it.
static bool host_has_its_mode() {
    picojson::value read;
    if (!picojson::parse(read, std::string(R"({"n":[9007199254740993,2.5,"a/b",true,null],"o":{"k":-7}})")).empty()) return false;
    const picojson::value copy(read);
    const picojson::value& number = copy.get("n").get(0);
#if defined(HOST_USES_INT64)
    return number.is<std::int64_t>() && number.get<std::int64_t>() == 9007199254740993 &&
           copy.serialize() == R"({"n":[9007199254740993,2.5,"a\/b",true,null],"o":{"k":-7}})" &&
           picojson::value(std::int64_t{5}).serialize() == "5";
#else
    return number.is<double>() && number.get<double>() == 9007199254740992.0 &&
           copy.serialize() == R"({"n":[9007199254740992,2.5,"a\/b",true,null],"o":{"k":-7}})" &&
           picojson::value(5.0).serialize() == "5";
#endif
}
