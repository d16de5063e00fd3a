#include <regrant/token_issuer.hpp>

#include <doctest/doctest.h>

#include <type_traits>

namespace {

using regrant::mint_order;
using regrant::minted_tokens;
using regrant::outage;
using regrant::result;

struct fits {
    result<minted_tokens, outage> mint(const mint_order& order);
};
struct never_away {
    minted_tokens mint(const mint_order& order);
};
struct changes_the_order {
    result<minted_tokens, outage> mint(mint_order& order);
};

} // namespace

TEST_CASE("an issuer mints what it is ordered, or says that it cannot (R52)") {
    static_assert(regrant::token_issuer<fits> && !regrant::token_issuer<const fits>);
    static_assert(!regrant::token_issuer<never_away>);
    static_assert(!regrant::token_issuer<changes_the_order>);
    static_assert(!regrant::token_issuer<int>);
}

TEST_CASE("an order has no nonce, and an answer no id_token, unless they are given (R77, R84)") {
    const regrant::grant login({}, {"web", "alice", "openid"});
    const regrant::client asking{"web", regrant::client_policy::of<regrant::auth_method::client_secret_post>()};
    const regrant::scope words;
    const mint_order order{login, asking, words, {}};
    CHECK(order.nonce.empty());
    CHECK_FALSE(minted_tokens().id_token.has_value());
    static_assert(!std::is_copy_constructible_v<minted_tokens>);
}
