// regrant/detail/process.hpp - tells a process from one it was forked from.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "cpp20.hpp"

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

namespace regrant::inline v0::detail {

/// Another one in a forked child.
inline long process_number() noexcept {
#if __has_include(<unistd.h>)
    return static_cast<long>(::getpid());
#else
    return 0;
#endif
}

} // namespace regrant::inline v0::detail
