#include <regrant/version.hpp>

#include <doctest/doctest.h>

TEST_CASE("the version is the same for #if and for code (semantic versioning 2.0.0)") {
    static_assert(regrant::library_version.major == REGRANT_VERSION_MAJOR);
    static_assert(regrant::library_version.minor == REGRANT_VERSION_MINOR);
    static_assert(regrant::library_version.patch == REGRANT_VERSION_PATCH);
#if REGRANT_VERSION_MAJOR * 1000000 + REGRANT_VERSION_MINOR * 1000 + REGRANT_VERSION_PATCH == 0
    FAIL("version 0.0.0 is nobody's release");
#endif
}
