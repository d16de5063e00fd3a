// regrant/client_registry.hpp - where the token endpoint looks clients up.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "client.hpp"
#include "error.hpp"
#include "result.hpp"

#include <concepts>
#include <string_view>

namespace regrant::inline v0 {

/// `find(client_id)` gives the client, or null where nobody is registered by that id.
template <class Registry>
concept can_find_client = requires(Registry& registry, std::string_view client_id) {
    { registry.find(client_id) } -> std::same_as<result<client_ptr, outage>>;
};

/// `allows_origin(origin)` says whether any client registered the origin: a preflight names none (R115).
template <class Registry>
concept can_judge_origin = requires(Registry& registry, std::string_view origin) {
    { registry.allows_origin(origin) } -> std::same_as<result<bool, outage>>;
};

/// Registrations in a list, a file, a database. Called from many threads at once.
template <class Registry>
concept client_registry = can_find_client<Registry> && can_judge_origin<Registry>;

namespace detail {

/// Tells the author of a registry what to write; each message is a signature.
template <class Registry> constexpr void explain_client_registry() {
    static_assert(can_find_client<Registry>,
                  "a client_registry needs: result<client_ptr, outage> find(std::string_view client_id)");
    static_assert(can_judge_origin<Registry>,
                  "a client_registry needs: result<bool, outage> allows_origin(std::string_view origin)");
}

} // namespace detail

} // namespace regrant::inline v0
