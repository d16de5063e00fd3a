// tests/consumers/picojson/host_after.cpp - regrant, then the host's picojson.
// SPDX-License-Identifier: MIT
#include "ours.hpp"
#if defined(picojson_h) || defined(PICOJSON_ASSERT) || defined(PICOJSON_USE_INT64) || defined(PICOJSON_USE_LOCALE)
#error "regrant leaves a macro of picojson behind"
#endif
#include "host.hpp"

bool host_after() { return regrant_has_its_mode() && host_has_its_mode(); }
