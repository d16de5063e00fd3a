// tests/checks/single_header.cpp - the single header in a unit that includes picojson before and after it.
// SPDX-License-Identifier: MIT
//
// Compiling is the test; the include directory is single_include/ alone.
#if __has_include(<picojson.h>)
#include <picojson.h>
#endif
#include <regrant/regrant.hpp>
#if __has_include(<sqlite3.h>) && __has_include(<regrant/store/sqlite.hpp>)
#include <regrant/store/sqlite.hpp>
#endif
#if __has_include(<picojson.h>)
#include <picojson.h>
#endif

#if !defined(REGRANT_SINGLE_HEADER_V0)
#error "this is not the single header"
#endif
static_assert(regrant::library_version.major == REGRANT_VERSION_MAJOR);
