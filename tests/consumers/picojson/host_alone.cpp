// tests/consumers/picojson/host_alone.cpp - a unit of the host's that knows no regrant.
// SPDX-License-Identifier: MIT
#include "host.hpp"

bool host_alone() { return host_has_its_mode(); }
