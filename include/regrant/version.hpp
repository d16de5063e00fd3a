// regrant/version.hpp - the version of the library.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/cpp20.hpp"

#define REGRANT_VERSION_MAJOR 0
#define REGRANT_VERSION_MINOR 1
#define REGRANT_VERSION_PATCH 0

namespace regrant::inline v0 {

/// A version by the rules of semantic versioning 2.0.0.
struct semantic_version {
    unsigned major;
    unsigned minor;
    unsigned patch;
};

/// The version of the headers this unit was compiled with.
inline constexpr semantic_version library_version{REGRANT_VERSION_MAJOR, REGRANT_VERSION_MINOR,
                                                  REGRANT_VERSION_PATCH};

} // namespace regrant::inline v0
