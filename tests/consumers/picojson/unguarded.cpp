// tests/consumers/picojson/unguarded.cpp - the clash that regrant keeps away: picojson in the mode that is not the host's.
// SPDX-License-Identifier: MIT
#if defined(HOST_USES_INT64)
#undef HOST_USES_INT64
#else
#define HOST_USES_INT64
#endif
#include "host.hpp"

/// In regrant_alone.cpp's stead, and without regrant's private copy.
bool regrant_alone() { return host_has_its_mode(); }
