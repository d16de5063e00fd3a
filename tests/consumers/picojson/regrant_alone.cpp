// tests/consumers/picojson/regrant_alone.cpp - a unit that includes regrant and no picojson.
// SPDX-License-Identifier: MIT
#include "ours.hpp"

bool regrant_alone() { return regrant_has_its_mode(); }
