#include <regrant/client_registry.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string_view>

namespace {

using regrant::client;
using regrant::client_ptr;
using regrant::outage;
using regrant::result;

struct fits {
    result<client_ptr, outage> find(std::string_view client_id) const;
    result<bool, outage> allows_origin(std::string_view origin) const;
};
struct copies_clients : fits {
    result<std::optional<client>, outage> find(std::string_view client_id) const;
};
struct never_away : fits {
    bool allows_origin(std::string_view origin) const;
};
struct finds_only {
    result<client_ptr, outage> find(std::string_view client_id);
};

} // namespace

TEST_CASE("a registry finds clients and judges origins (R115)") {
    static_assert(regrant::client_registry<fits> && regrant::client_registry<const fits>);
    static_assert(!regrant::can_find_client<copies_clients> && !regrant::client_registry<copies_clients>);
    static_assert(!regrant::can_judge_origin<never_away> && !regrant::client_registry<never_away>);
    static_assert(regrant::can_find_client<finds_only> && !regrant::client_registry<finds_only>);
    static_assert(!regrant::can_find_client<const finds_only>);
}
