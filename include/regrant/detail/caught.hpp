// regrant/detail/caught.hpp - keeps exceptions of hosts' hooks from leaving the library.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "cpp20.hpp"

#include <exception>
#include <type_traits>

namespace regrant::inline v0::detail {

/// Calls `act`; where anything is thrown, gives `otherwise(what)` instead.
///
/// The library throws nothing of its own, but memory can run out, and a host's store or hook may throw.
template <class Act, class Otherwise>
    requires std::is_convertible_v<std::invoke_result_t<Otherwise&, const char*>, std::invoke_result_t<Act&>>
auto caught(Act&& act, Otherwise&& otherwise) -> decltype(act()) {
#if defined(__cpp_exceptions)
    try {
        return act();
    } catch (const std::exception& thrown) {
        return otherwise(thrown.what());
    } catch (...) {
        return otherwise("something was thrown that is no std::exception");
    }
#else
    static_cast<void>(otherwise);
    return act();
#endif
}

} // namespace regrant::inline v0::detail
