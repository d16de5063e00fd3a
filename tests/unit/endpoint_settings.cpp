// tests/unit/endpoint_settings.cpp - what an endpoint does unless it is told otherwise.
// SPDX-License-Identifier: MIT
#include <regrant/endpoint_settings.hpp>

#include <doctest/doctest.h>

using namespace regrant;

TEST_CASE("an endpoint left alone answers as the API page: no descriptions, no other origins, 16 KiB (R9, R73, R115)") {
    const endpoint_settings plain;
    CHECK(plain.replies.descriptions == error_descriptions::off);
    CHECK(plain.replies.cross_origin == cross_origin::off);
    CHECK(plain.limits.body_bytes == 16 * 1024);
    CHECK(plain.limits.fields == 100);
}
