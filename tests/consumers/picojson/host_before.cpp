// tests/consumers/picojson/host_before.cpp - the host's picojson, then regrant, then the host's again.
// SPDX-License-Identifier: MIT
#include "host.hpp"
#include "ours.hpp"
#include <picojson.h>

bool host_before() { return host_has_its_mode() && regrant_has_its_mode(); }
