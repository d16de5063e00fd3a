// regrant/regrant.hpp - everything of the core, in reading order.
// roof
// SPDX-License-Identifier: MIT
#pragma once

#include "version.hpp"

#include "token_endpoint.hpp"

#include "client_list.hpp"
#include "jwks.hpp"
#include "jwt_issuer.hpp"
#include "memory_store.hpp"
#include "parse_claim.hpp"
#include "registrations.hpp"
#include "server_metadata.hpp"
#include "signing_key.hpp"
