#include <regrant/token_store.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace {

using regrant::advance_outcome;
using regrant::generation;
using regrant::grant;
using regrant::insert_outcome;
using regrant::instant;
using regrant::outage;
using regrant::result;
using regrant::row_key;

struct fits {
    result<insert_outcome, outage> insert(const grant& row);
    result<std::optional<grant>, outage> find(const row_key& key);
    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next, instant now);
    result<void, outage> revoke(const row_key& key);
};
struct overwrites : fits {
    result<void, outage> insert(const grant& row);
};
struct finds_or_invents : fits {
    result<grant, outage> find(const row_key& key);
};
struct takes_its_own_time : fits {
    result<advance_outcome, outage> advance(const row_key& key, generation expected, generation next);
};
struct sets_blindly : fits {
    result<void, outage> advance(const row_key& key, generation expected, generation next, instant now);
};
struct revokes_and_hopes : fits {
    void revoke(const row_key& key);
};
struct changes_the_grant : fits {
    result<insert_outcome, outage> insert(grant& row);
};
struct with_extras : fits {
    result<std::size_t, outage> revoke_subject(std::string_view subject);
    result<std::vector<grant>, outage> list_subject(std::string_view subject);
    result<std::size_t, outage> reap(instant now);
};

} // namespace

TEST_CASE("four promises make a token store, and each alone is missed (R36)") {
    static_assert(regrant::token_store<fits>);
    static_assert(!regrant::token_store<const fits>);
    static_assert(!regrant::can_insert<overwrites> && !regrant::token_store<overwrites>);
    static_assert(!regrant::can_insert<changes_the_grant>);
    static_assert(!regrant::can_find<finds_or_invents> && !regrant::token_store<finds_or_invents>);
    static_assert(!regrant::can_advance<takes_its_own_time> && !regrant::token_store<takes_its_own_time>);
    static_assert(!regrant::can_advance<sets_blindly>);
    static_assert(!regrant::can_revoke<revokes_and_hopes> && !regrant::token_store<revokes_and_hopes>);
    static_assert(!regrant::token_store<int>);
}

TEST_CASE("what a store can do beyond them is optional (R44, R45)") {
    static_assert(regrant::can_revoke_subject<with_extras> && !regrant::can_revoke_subject<fits>);
    static_assert(regrant::can_list_subject<with_extras> && !regrant::can_list_subject<fits>);
    static_assert(regrant::can_reap<with_extras> && !regrant::can_reap<fits>);
    static_assert(regrant::token_store<with_extras>);
}
