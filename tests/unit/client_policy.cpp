#include <regrant/client_policy.hpp>

#include <doctest/doctest.h>

#include <string_view>

using regrant::auth_method;
using regrant::client_policy;
using regrant::rotation;

// That an unsafe one in code does not compile is seen by tests/checks/must_not_compile.py.

TEST_CASE("a public client that does not rotate is refused when it is read at run time (R37, 9700 2.2.2)") {
    CHECK_FALSE(client_policy::checked(auth_method::none, rotation::echo).has_value());
    for (const auto method : {auth_method::client_secret_basic, auth_method::client_secret_post, auth_method::none}) {
        const auto made = client_policy::checked(method, rotation::rotate);
        REQUIRE(made);
        CHECK(made->method() == method);
        CHECK(made->rotation() == rotation::rotate);
    }
    for (const auto method : {auth_method::client_secret_basic, auth_method::client_secret_post}) {
        const auto made = client_policy::checked(method, rotation::echo);
        REQUIRE(made);
        CHECK(made->rotation() == rotation::echo);
    }
}

TEST_CASE("a client rotates unless told otherwise, and is public without a secret (6749 2.1)") {
    constexpr client_policy spa = client_policy::of<auth_method::none>();
    static_assert(spa.rotation() == rotation::rotate && spa.is_public());
    constexpr client_policy web = client_policy::of<auth_method::client_secret_post>();
    static_assert(web.rotation() == rotation::rotate && !web.is_public());
    static_assert(!client_policy::of<auth_method::client_secret_basic>().is_public());
}

TEST_CASE("an authentication method is spelled as it is registered (7591 2)") {
    static_assert(to_string(auth_method::client_secret_basic) == std::string_view("client_secret_basic"));
    static_assert(to_string(auth_method::client_secret_post) == std::string_view("client_secret_post"));
    static_assert(to_string(auth_method::none) == std::string_view("none"));
}
