#include <regrant/client_list.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using regrant::client;
using regrant::client_list;

client public_client(std::string id) {
    return {std::move(id), regrant::client_policy::of<regrant::auth_method::none>()};
}

} // namespace

TEST_CASE("a client list is a registry that answers even as a constant") {
    static_assert(regrant::client_registry<client_list>);
    static_assert(regrant::client_registry<const client_list>);
    static_assert(!std::is_default_constructible_v<client_list>);
}

TEST_CASE("a client is found by its whole id, and nobody by another (R20, R25)") {
    const auto list = client_list::make({public_client("spa"), public_client("app")});
    REQUIRE(list);
    const auto found = list->find("spa");
    REQUIRE(found);
    REQUIRE(*found != nullptr);
    CHECK((*found)->client_id == "spa");
    for (const std::string_view id : {"", "sp", "spaa", "SPA", "spa "}) {
        const auto unknown = list->find(id);
        REQUIRE(unknown);
        CHECK(*unknown == nullptr);
    }
}

TEST_CASE("an origin is allowed where any client registered it (R115)") {
    auto spa = public_client("spa");
    spa.allowed_origins = {"https://app.example", "https://beta.example"};
    const auto list = client_list::make({public_client("app"), spa});
    REQUIRE(list);
    CHECK(*list->allows_origin("https://beta.example"));
    CHECK_FALSE(*list->allows_origin("https://evil.example"));
    CHECK_FALSE(*list->allows_origin(""));
    CHECK(list->has_origins());
    CHECK_FALSE(client_list::make({public_client("app")})->has_origins());
}

TEST_CASE("a client that makes no sense, or an id given twice, is told when the list is made (R37)") {
    auto with_secret = public_client("spa");
    with_secret.secrets.resize(1);
    CHECK_FALSE(client_list::make({with_secret}));
    const auto twice = client_list::make({public_client("spa"), public_client("app"), public_client("spa")});
    REQUIRE_FALSE(twice);
    CHECK(twice.error().message.find("spa") != std::string::npos);
    CHECK(client_list::make({}));
}
