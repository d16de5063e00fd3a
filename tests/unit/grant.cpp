#include <regrant/grant.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace {

using regrant::grant;
using regrant::grant_text;

void check_texts(const grant& row, const grant_text& text) {
    CHECK(row.client_id() == text.client_id);
    CHECK(row.subject() == text.subject);
    CHECK(row.scope() == text.scope);
    CHECK(row.audience() == text.audience);
    CHECK(row.confirmation() == text.confirmation);
}

} // namespace

TEST_CASE("a grant gives each of its texts back: empty, long, with any byte") {
    const std::string large(5000, 'x');
    const std::string odd("a\0\xFF,", 4);
    const grant_text table[] = {
        {"web", "alice", "openid email", "https://api.example", "thumbprint"},
        {"web", "alice", "openid"},
        {"", "", "", "", ""},
        {"", "", "", "", "last"},
        {"first", "", "third", "", "fifth"},
        {large, odd, large, odd, large},
    };
    for (const grant_text& text : table) check_texts(grant({}, text), text);
}

TEST_CASE("a grant owns its texts, and so does its copy") {
    std::optional<grant> first;
    {
        const std::string client_id(100, 'c');
        const std::string subject = "alice";
        first.emplace(regrant::row_key{}, grant_text{client_id, subject, "openid"});
    }
    const grant copy = *first;
    first.reset();
    check_texts(copy, {std::string(100, 'c'), "alice", "openid"});
}

TEST_CASE("a new grant is live, rotates and stands at the first generation (R37, R41)") {
    regrant::row_key where;
    where.bytes[0] = std::byte{0xAB};
    const grant row(where, {"web", "alice", "openid"});
    CHECK(row.key == where);
    CHECK(row.state == regrant::revocation::live);
    CHECK(row.rotation == regrant::rotation::rotate);
    CHECK(row.current == regrant::first_generation);
    CHECK_FALSE(row.auth_time.has_value());
}

TEST_CASE("times within 2^53 of 1970 can be stored, no others (R82, R99)") {
    using namespace std::chrono_literals;
    constexpr std::int64_t most = std::int64_t{1} << 53;
    regrant::grant row({}, {"web", "alice", "openid"});
    CHECK(regrant::has_storable_times(row));
    for (const std::int64_t count : {-most - 1, -most, most, most + 1, INT64_MIN, INT64_MAX}) {
        const bool is_storable = -most <= count && count <= most;
        const regrant::instant when(std::chrono::milliseconds{count});
        for (auto member : {&regrant::grant::issued_at, &regrant::grant::expires_at, &regrant::grant::used_at}) {
            regrant::grant changed = row;
            changed.*member = when;
            CHECK(regrant::has_storable_times(changed) == is_storable);
        }
        row.auth_time = std::chrono::sys_seconds(std::chrono::seconds(count));
        CHECK(regrant::has_storable_times(row) == is_storable);
        row.auth_time.reset();
    }
}
