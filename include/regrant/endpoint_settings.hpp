// regrant/endpoint_settings.hpp - how a token endpoint behaves, beside its parts.
// floor 4
// SPDX-License-Identifier: MIT
#pragma once

#include "form.hpp"
#include "http_reply.hpp"
#include "policy.hpp"

namespace regrant::inline v0 {

struct endpoint_settings {
    regrant::policy policy{};
    reply_settings replies{};
    form_limits limits{};
};

} // namespace regrant::inline v0
