#include <regrant/authenticated_client.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <type_traits>

using regrant::authenticated_client;
using regrant::client;

TEST_CASE("a host vouches for a client it has authenticated itself (6749 3.2.1)") {
    const auto known = std::make_shared<const client>(
        client{"web", regrant::client_policy::of<regrant::auth_method::client_secret_post>()});
    const auto ticket = authenticated_client::vouched(known);
    CHECK(&*ticket == known.get());
    CHECK(ticket->client_id == "web");
}

TEST_CASE("nobody becomes an authenticated client without a word (6749 3.2.1)") {
    static_assert(!std::is_default_constructible_v<authenticated_client>);
    static_assert(!std::is_constructible_v<authenticated_client, regrant::client_ptr>);
    static_assert(!std::is_constructible_v<authenticated_client, client>);
}
