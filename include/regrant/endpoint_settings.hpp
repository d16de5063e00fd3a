// regrant/endpoint_settings.hpp - how a token endpoint behaves, beside its parts.
// floor 5
// SPDX-License-Identifier: MIT
#pragma once

#include "client_secret_matcher.hpp"
#include "form.hpp"
#include "http_reply.hpp"
#include "policy.hpp"
#include "trusted_proxies.hpp"

namespace regrant::inline v0 {

struct endpoint_settings {
    regrant::policy policy{};
    reply_settings replies{};
    form_limits limits{};
    secret_settings secrets{};
    /// Whose word about the client's address is taken; the throttle counts by that address.
    trusted_proxies proxies{};
};

} // namespace regrant::inline v0
