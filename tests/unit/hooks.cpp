#include <regrant/hooks.hpp>

#include <regrant/client_secret_matcher.hpp>
#include <regrant/hash_client_secret.hpp>

#include <doctest/doctest.h>

namespace {

using regrant::account_standing;
using regrant::client;
using regrant::decision;
using regrant::grant;
using regrant::outage;
using regrant::result;

struct both {
    result<account_standing, outage> check_account(const grant& login, const client& asking);
    void observe(const decision& made) noexcept;
};
struct as_constants {
    result<account_standing, outage> check_account(const grant&, const client&) const;
    void observe(decision) const noexcept;
};
struct slips {
    bool check_account(const grant& login, const client& asking);
    void observe(const decision& made);
};
struct more_slips {
    result<account_standing, outage> check_account(grant& login, const client& asking);
    void observe() noexcept;
};
struct cannot_fail {
    account_standing check_account(const grant& login, const client& asking);
};

} // namespace

TEST_CASE("a host may check the account, observe, do both or nothing (R46)") {
    static_assert(regrant::can_check_account<both> && regrant::can_observe<both>);
    static_assert(regrant::can_check_account<as_constants> && regrant::can_observe<const as_constants>);
    static_assert(!regrant::can_check_account<regrant::no_hooks> && !regrant::can_observe<regrant::no_hooks>);
}

TEST_CASE("a hook with a slip in its signature is none (R46)") {
    static_assert(!regrant::can_check_account<slips>);
    static_assert(!regrant::can_check_account<more_slips>);
    static_assert(!regrant::can_check_account<cannot_fail>);
    static_assert(!regrant::can_check_account<const both>);
    // An observer that throws would take a good answer away.
    static_assert(!regrant::can_observe<slips>);
    static_assert(!regrant::can_observe<more_slips>);
}

TEST_CASE("without a hook for it a slow hash is computed where the request is (R31)") {
    using regrant::secret_match;
    const auto kept = *regrant::hash_client_secret_slowly("chosen", regrant::slow_cost::pbkdf2_sha256(100'000));
    const regrant::client_secret_matcher matcher{{}};
    regrant::no_hooks none;
    CHECK(*regrant::detail::match_slowly(none, {"chosen", {}, {kept}}, matcher) == secret_match::as_meant);
    CHECK(*regrant::detail::match_slowly(none, {"chosen!", {}, {kept}}, matcher) == secret_match::neither);
}
