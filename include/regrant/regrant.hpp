// regrant/regrant.hpp - everything of the core, in reading order.
// roof
// SPDX-License-Identifier: MIT
#pragma once

// Asked here too: an older compiler gets this one line and nothing else.
#if __cplusplus < 202002L && (!defined(_MSVC_LANG) || _MSVC_LANG < 202002L)
#error "regrant needs C++20: compile with -std=c++20 or later"
#else

#include "version.hpp"

#include "token_endpoint.hpp"

#include "async_token_endpoint.hpp"

#include "client_list.hpp"
#include "jwks.hpp"
#include "jwt_issuer.hpp"
#include "memory_store.hpp"
#include "parse_claim.hpp"
#include "registrations.hpp"
#include "request_framing.hpp"
#include "server_metadata.hpp"
#include "signing_key.hpp"
#include "signing_ring.hpp"
#include "token_bucket_throttle.hpp"
#include "trusted_proxies.hpp"
#include "unknown_members.hpp"

#endif
