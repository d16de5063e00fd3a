// tests/unit/main.cpp - the entry point of the unit tests; every other file in this folder adds cases to it.
// SPDX-License-Identifier: MIT
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
