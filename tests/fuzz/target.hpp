// tests/fuzz/target.hpp - what every fuzz target needs: its input as text, and a way to say what does not hold.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fuzz {

inline void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}

inline std::string text(const std::uint8_t* bytes, std::size_t size) {
    return {reinterpret_cast<const char*>(bytes), size};
}

} // namespace fuzz

/// Stacks of allocations cost a third of the speed; they are wanted for a report alone, with ASAN_OPTIONS.
extern "C" inline __attribute__((used, visibility("default"))) const char* __asan_default_options() {
    return "malloc_context_size=1:quarantine_size_mb=16";
}
