#include <regrant/result.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace {

using regrant::result;
using regrant::unexpected;

struct fault {
    std::string words;
};

} // namespace

TEST_CASE("a result holds a value or an error (the names of std::expected)") {
    const result<int, fault> good = 7;
    REQUIRE(good.has_value());
    CHECK(static_cast<bool>(good));
    CHECK(*good == 7);

    const result<int, fault> bad = unexpected(fault{"full"});
    REQUIRE_FALSE(bad.has_value());
    CHECK_FALSE(static_cast<bool>(bad));
    CHECK(bad.error().words == "full");
}

TEST_CASE("a result works where value and error have one type") {
    const result<std::string, std::string> good = std::string("text");
    const result<std::string, std::string> bad = unexpected(std::string("text"));
    CHECK(good.has_value());
    CHECK_FALSE(bad.has_value());
}

TEST_CASE("an error of another type is converted into the result's") {
    const result<int, std::string> bad = unexpected("full");
    REQUIRE_FALSE(bad);
    CHECK(bad.error() == "full");
}

TEST_CASE("a value that cannot be copied is moved in and out") {
    result<std::unique_ptr<int>, fault> held = std::make_unique<int>(3);
    REQUIRE(held);
    CHECK(*held->get() == 3);
    const std::unique_ptr<int> out = *std::move(held);
    CHECK(*out == 3);

    result<int, std::unique_ptr<int>> bad = unexpected(std::make_unique<int>(4));
    REQUIRE_FALSE(bad);
    const std::unique_ptr<int> why = std::move(bad).error();
    CHECK(*why == 4);
}

TEST_CASE("a value is changed in place and by assignment") {
    result<std::string, fault> held = std::string("a");
    *held += 'b';
    held->push_back('c');
    CHECK(*held == "abc");
    held = unexpected(fault{"gone"});
    REQUIRE_FALSE(held);
    held.error().words += '!';
    CHECK(held.error().words == "gone!");
}

TEST_CASE("a result is copied and assigned whatever the two hold, itself too") {
    using text = result<std::string, fault>;
    const std::string words(40, 'w'); // on the heap, so that a sanitizer sees a slip
    const text good = words, bad = unexpected(fault{words + "!"});
    const auto same = [](const text& one, const text& other) {
        return one.has_value() == other.has_value() && (one ? *one == *other : one.error().words == other.error().words);
    };
    for (const text* from : {&good, &bad})
        for (const text* to : {&good, &bad}) {
            text copied = *to;
            CHECK(same(copied, *to));
            copied = *from;
            CHECK(same(copied, *from));
            text moved = *to;
            moved = text(*from);
            CHECK(same(moved, *from));
        }
    text own = words;
    text& alias = own;
    own = std::move(alias);
    CHECK(same(own, good));
    own = alias;
    CHECK(same(own, good));

    using held = result<std::unique_ptr<int>, fault>;
    static_assert(!std::is_copy_constructible_v<held> && !std::is_copy_assignable_v<held>);
    static_assert(std::is_nothrow_move_constructible_v<held> && std::is_nothrow_move_assignable_v<held>);
}

TEST_CASE("nothing found is a value and no error") {
    const result<std::optional<int>, fault> none = std::nullopt;
    REQUIRE(none.has_value());
    CHECK_FALSE(none->has_value());
}

TEST_CASE("a deed without a value is done unless it says why not") {
    const result<void, fault> done;
    CHECK(done.has_value());
    const result<void, fault> failed = unexpected(fault{"full"});
    REQUIRE_FALSE(failed);
    CHECK(failed.error().words == "full");
}

TEST_CASE("a result can be a constant") {
    constexpr result<int, int> good = 7;
    constexpr result<int, int> bad = unexpected(8);
    static_assert(good && *good == 7);
    static_assert(!bad && bad.error() == 8);
    static_assert(result<void, int>().has_value());
}

TEST_CASE("a result of another type is no truth value: its error would be lost (LWG 3836)") {
    CHECK_FALSE(std::is_convertible_v<result<int, fault>, result<bool, fault>>);
    CHECK_FALSE(std::is_convertible_v<result<void, fault>, result<bool, fault>>);
}

TEST_CASE("an error is never taken for a value") {
    static_assert(!std::is_constructible_v<result<int, fault>, fault>);
    static_assert(!std::is_constructible_v<result<int, fault>, unexpected<int*>>);
}
