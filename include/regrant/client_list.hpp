// regrant/client_list.hpp - a client_registry in memory.
// floor 4
// SPDX-License-Identifier: MIT
#pragma once

#include "client.hpp"
#include "client_registry.hpp"
#include "error.hpp"
#include "result.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regrant::inline v0 {

/// Registrations that do not change while the server runs. Lookups take no lock.
class client_list {
public:
    /// \par Errors
    /// a registration that makes no sense (see `fault_of`); an id given twice
    static result<client_list, setup_error> make(std::vector<client> clients) {
        client_list list;
        for (client& each : clients) {
            if (auto fault = fault_of(each)) return unexpected(std::move(*fault));
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
        for (const auto& [id, each] : clients_)
            if (each->allows_origin(origin)) return true;
        return false;
    }

    /// Whether any page of another origin may call: what `reply_settings::cross_origin` is switched on for.
    bool has_origins() const noexcept {
        for (const auto& [id, each] : clients_)
            if (!each->allowed_origins.empty()) return true;
        return false;
    }

private:
    client_list() = default;
    std::map<std::string, client_ptr, std::less<>> clients_;
};

} // namespace regrant::inline v0
