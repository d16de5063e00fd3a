// regrant/detail/cpp20.hpp - ends the compilation where the language is older than C++20.
// ground
// SPDX-License-Identifier: MIT
#pragma once

#if __cplusplus < 202002L && (!defined(_MSVC_LANG) || _MSVC_LANG < 202002L)
#error "regrant needs C++20: compile with -std=c++20 or later"
// There is no such header: compilers that go on after #error stop here, before a hundred errors more.
#include <regrant_needs_cxx20>
#endif
