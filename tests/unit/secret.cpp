#include <regrant/secret.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace {

using regrant::secret;
using namespace std::string_view_literals;

struct any_stream {};

template <class T> concept printable = requires(any_stream& to, const T& what) { to << what; };

} // namespace

TEST_CASE("a secret is neither copied, printed nor compared with == (R31)") {
    static_assert(!std::is_copy_constructible_v<secret> && !std::is_copy_assignable_v<secret>);
    static_assert(std::is_nothrow_move_constructible_v<secret> && std::is_nothrow_move_assignable_v<secret>);
    static_assert(!printable<secret>);
    static_assert(!std::equality_comparable<secret>);
    static_assert(!std::is_convertible_v<secret, std::string_view>);
    static_assert(!std::is_convertible_v<const char*, secret>);
}

TEST_CASE("a secret shows its text where it is asked to, NUL bytes and all") {
    const secret one("a\0b"sv);
    CHECK(one.reveal() == "a\0b"sv);
    CHECK(one.size() == 3);
    CHECK_FALSE(one.empty());
    CHECK(one.bytes()[1] == std::byte{0});

    const secret none;
    CHECK(none.empty());
    CHECK(none.reveal().empty());
    CHECK(secret("").empty());
}

TEST_CASE("views into a secret stay valid when it moves, be it ever so short") {
    secret from("x");
    const std::string_view view = from.reveal();
    secret to(std::move(from));
    CHECK(to.reveal().data() == view.data());
    secret last;
    last = std::move(to);
    CHECK(last.reveal().data() == view.data());
    CHECK(view == "x");
}

TEST_CASE("a clone has a buffer of its own") {
    secret one("text");
    const secret other = one.clone();
    one.mutable_text()[0] = 'T';
    CHECK(one.reveal() == "Text");
    CHECK(other.reveal() == "text");
    CHECK(secret().clone().empty());
}

TEST_CASE("a secret keeps its text while it grows") {
    secret grown;
    std::string expected;
    for (int i = 0; i != 300; ++i) {
        grown.append("ab");
        *grown.grow(1) = '.';
        expected += "ab.";
    }
    CHECK(grown.reveal() == expected);
    grown.append("");
    CHECK(grown.reveal() == expected);

    secret roomy("ab");
    roomy.reserve(1000);
    CHECK(roomy.reveal() == "ab");
    const char* where = roomy.reveal().data();
    roomy.append(std::string(998, 'c'));
    CHECK(roomy.reveal().data() == where);
}

TEST_CASE("two secrets are the same when every byte is (R31)") {
    const std::string text = "0123456789abcdef012"; // words of eight, and a rest
    const secret one(text);
    CHECK(same_secret(one, secret(text)));
    CHECK(same_secret(secret(), secret("")));
    CHECK_FALSE(same_secret(one, secret(text + '0')));
    CHECK_FALSE(same_secret(one, secret(text.substr(1))));
    CHECK_FALSE(same_secret(one, secret()));
    for (std::size_t i = 0; i != text.size(); ++i)
        for (const int bit : {0x01, 0x80}) {
            std::string other = text;
            other[i] = static_cast<char>(static_cast<unsigned char>(other[i]) ^ bit);
            CHECK_FALSE(same_secret(one, secret(other)));
        }
}

TEST_CASE("wiped memory holds nothing but zeros") {
    std::array<char, 65> memory;
    memory.fill('x');
    regrant::wipe(memory.data(), 64);
    CHECK(std::count(memory.begin(), memory.end(), '\0') == 64);
    CHECK(memory.back() == 'x');
    regrant::wipe(nullptr, 0);
}
