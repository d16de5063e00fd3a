#include <regrant/decision.hpp>

#include <doctest/doctest.h>

#include <string_view>

using regrant::write_kind;

TEST_CASE("what was written has a name for the log (R75)") {
    CHECK(to_string(write_kind::insert) == "insert");
    CHECK(to_string(write_kind::rotate) == "rotate");
    CHECK(to_string(write_kind::repeat) == "repeat");
    CHECK(to_string(write_kind::echo) == "echo");
    CHECK(to_string(write_kind::heal) == "heal");
    CHECK(to_string(write_kind::revoke) == "revoke");
}

TEST_CASE("what was asked has a name for the log (R75)") {
    using regrant::request_kind;
    CHECK(to_string(request_kind::refresh) == "refresh");
    CHECK(to_string(request_kind::login) == "login");
    CHECK(to_string(request_kind::revoke) == "revoke");
    CHECK(to_string(request_kind::revoke_subject) == "revoke_subject");
}

TEST_CASE("a decision says nothing that was not put into it (R75)") {
    const regrant::decision made{regrant::instant(std::chrono::seconds(1))};
    CHECK(made.at == regrant::instant(std::chrono::seconds(1)));
    CHECK(made.asked == regrant::request_kind::refresh);
    CHECK_FALSE(made.refused.has_value());
    CHECK_FALSE(made.row.has_value());
    CHECK_FALSE(made.generation.has_value());
    CHECK_FALSE(made.written.has_value());
    CHECK(made.detail.empty());
    CHECK(made.client_id.empty());
    CHECK(made.races_lost == 0);
    CHECK(made.families_ended == 0);
}
