// regrant/client_list.hpp - a client_registry in memory.
// floor 4
// SPDX-License-Identifier: MIT
#pragma once

#include "client.hpp"
#include "client_registry.hpp"
#include "error.hpp"
#include "result.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

/// Registrations that do not change while the server runs. Lookups take no lock, and as long for a hundred thousand
/// clients as for one.
class client_list {
public:
    /// \par Errors
    /// a registration that makes no sense (see `fault_of`); an id given twice
    static result<client_list, setup_error> make(std::vector<client> clients) {
        client_list list;
        for (client& each : clients) {
            if (auto fault = fault_of(each)) return unexpected(std::move(*fault));
            list.origins_.insert(each.allowed_origins.begin(), each.allowed_origins.end());
            std::string id = each.client_id;
            if (!list.clients_.emplace(id, std::make_shared<const client>(std::move(each))).second)
                return unexpected(setup_error{"two clients are registered as \"" + id + "\""});
        }
        return list;
    }

    result<client_ptr, outage> find(std::string_view client_id) const {
        const auto found = clients_.find(client_id);
        return found == clients_.end() ? client_ptr() : found->second;
    }

    result<bool, outage> allows_origin(std::string_view origin) const {
        return origins_.contains(origin);
    }

    /// Whether any page of another origin may call: what `reply_settings::cross_origin` is switched on for.
    bool has_origins() const noexcept { return !origins_.empty(); }

private:
    /// Lets texts be looked up by a view.
    struct text_hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
    };

    client_list() = default;
    std::unordered_map<std::string, client_ptr, text_hash, std::equal_to<>> clients_;
    /// Those of all clients.
    std::unordered_set<std::string, text_hash, std::equal_to<>> origins_;
};

} // namespace regrant::inline v0
