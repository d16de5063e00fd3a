#include <regrant/store/redis.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

// What needs a server is in tests/stores/redis_test.cpp.

namespace {

using namespace regrant;
using namespace std::chrono_literals;

row_key some_key() {
    row_key key;
    for (std::size_t i = 0; i != key.bytes.size(); ++i) key.bytes[i] = static_cast<std::byte>(i);
    return key;
}

} // namespace

TEST_CASE("a row is packed into bytes that give it back whole, and damaged ones are known (R82, R99)") {
    grant row(some_key(), {"web", std::string(300, 's') + '\0' + "\xC3\xA9", "", "https://api.example", "key"});
    row.rotation = rotation::echo;
    row.issued_at = instant(-1ms);
    row.expires_at = instant(std::chrono::milliseconds(std::int64_t{1} << 53));
    row.auth_time = std::chrono::sys_seconds(-5s);
    row.current = last_generation;
    row.used_at = instant(1'800'000'000'250ms);
    row.state = revocation::revoked;
    const std::string bytes = detail::redis_pack(row);
    const auto read = detail::redis_unpack(row.key, bytes);
    REQUIRE(read.has_value());
    CHECK(read->client_id() == row.client_id());
    CHECK(read->subject() == row.subject());
    CHECK(read->scope() == row.scope());
    CHECK(read->audience() == row.audience());
    CHECK(read->confirmation() == row.confirmation());
    CHECK(read->rotation == row.rotation);
    CHECK(read->issued_at == row.issued_at);
    CHECK(read->expires_at == row.expires_at);
    CHECK(read->auth_time == row.auth_time);
    CHECK(read->current == row.current);
    CHECK(read->used_at == row.used_at);
    CHECK(read->state == row.state);
    row.auth_time.reset();
    CHECK(!detail::redis_unpack(row.key, detail::redis_pack(row))->auth_time.has_value());
    for (std::size_t size = 0; size != bytes.size(); ++size)
        CHECK(!detail::redis_unpack(row.key, std::string_view(bytes).substr(0, size)).has_value());
    CHECK(!detail::redis_unpack(row.key, bytes + "x").has_value());
    // Layout, state, rotation; and times that are none: used_at, issued_at, expires_at, auth_time.
    for (const std::size_t at : {0U, 1U, 14U, 6U, 15U, 23U, 31U}) {
        std::string broken = bytes;
        broken[at] = 'x';
        CHECK(!detail::redis_unpack(row.key, broken).has_value());
    }
}

TEST_CASE("a size of a row's text that takes more bytes than any size does is damage (R82)") {
    const grant row(some_key(), {"", "", "", "", ""});
    const std::string numbers = detail::redis_pack(row).substr(0, detail::redis_row_numbers_bytes);
    const auto with_size_of = [&](std::size_t continued) {
        return detail::redis_unpack(row.key, numbers + std::string(continued, '\x80') + std::string(5, '\0'));
    };
    CHECK(with_size_of(0));
    CHECK(with_size_of(4));
    for (const std::size_t continued : {5U, 9U, 10U, 20U}) CHECK_FALSE(with_size_of(continued));
}

TEST_CASE("a key's slot in a cluster is that of its hash tag") {
    CHECK(detail::redis_slot("foo") == 12182);
    CHECK(detail::redis_slot("{user1000}.following") == detail::redis_slot("user1000"));
    CHECK(detail::redis_slot("foo{}bar") != detail::redis_slot(""));
    CHECK(detail::redis_slot("foo{{bar}}zap") == detail::redis_slot("{bar"));
}

TEST_CASE("a server that redirects to nowhere is an outage in its words, and is not asked again (R51)") {
    struct node {
        detail::redis_address at;
        const detail::redis_address& address() const { return at; }
        std::string named(std::string_view words) const { return "Redis at " + at.text() + ": " + std::string(words); }
    };
    // A server of a cluster that does not know another's address calls it "?".
    for (const std::string words : {"MOVED 12182 ?:7001", "ASK 12182 elsewhere", "MOVED 12182 host:port"}) {
        detail::redis_routes<node> routes({"127.0.0.1", 7000},
                                          [](const auto& at) { return std::make_unique<node>(node{at}); });
        const detail::redis_request asked{"foo", detail::redis_command({"GET", "foo"})};
        detail::redis_course course(routes, asked);
        CHECK(course.goes_on());
        redisReply answer{};
        answer.type = REDIS_REPLY_ERROR;
        std::string text = words;
        answer.str = text.data();
        answer.len = text.size();
        CHECK_FALSE(course.accepts(detail::redis_value(&answer)));
        CHECK_FALSE(course.goes_on());
        CHECK(course.outcome().detail == "Redis at 127.0.0.1:7000: " + words);
    }
}

TEST_CASE("a URL names user, password, host, port, database, and nothing of a broken one is repeated (R76)") {
    const auto whole = detail::redis_url::parse("redis://lo%67in:p%40ss%3A%2F@[::1]:7000/3");
    REQUIRE(whole.has_value());
    CHECK(whole->user == "login");
    CHECK(whole->password->reveal() == "p@ss:/");
    CHECK(whole->at.text() == "::1:7000");
    CHECK(whole->database == 3);
    const auto least = detail::redis_url::parse("valkey://h/");
    REQUIRE(least.has_value());
    CHECK((least->at.port == 6379 && least->at.host == "h" && !least->password && least->database == 0));
    for (const char* const broken :
         {"", "redis", "hunter2", "http://hunter2@h", "redis://", "redis://:hunter2@", "redis://hunter2@:1",
          "redis://a:hunter2@h:0", "redis://a:hunter2@h:65536", "redis://a:hunter2@h:12x", "redis://a:hunter2@h:",
          "redis://a:hunter2@h/x", "redis://a:hunter2@h/-1", "redis://a:hunter2@h/1/2", "redis://a:hunter2%zz@h",
          "redis://a:hunter2%4@h", "redis://a:hunter2@[::1", "redis://a:hunter2@[::1]7", "redis://a:hunter2@h?db=1",
          "redis://a:hunter2@h,i", "redis://a:hunter2/@h", "redis://a:hunter2#@h", "redis://a:hunter2?@h",
          "redis://hunter2%2F", "unix:hunter2", "unix://hunter2", "unix://:hunter2@h/s", "unix://:hunter2%4@/s",
          "unix:///hunter2?db=x", "unix:///hunter2?x=1", "unix:///hunter2%4", "redis+sentinel://:hunter2@h",
          "redis+sentinel://:hunter2@h,/m", "redis+sentinel://:hunter2@h/m/x"}) {
        CAPTURE(broken);
        const auto store = redis_store::open(broken);
        REQUIRE_FALSE(store.has_value());
        CHECK(store.error().message.find("the URL of the Redis server") != std::string::npos);
        CHECK(store.error().message.find("hunter2") == std::string::npos);
    }
}

TEST_CASE("a URL of a Unix socket names its path, user, password and database (R244)") {
    const auto whole = detail::redis_url::parse("unix://login:p%40ss@/run/red%20is/redis.sock?db=3");
    REQUIRE(whole.has_value());
    CHECK(whole->at.how == detail::redis_address::kind::local_socket);
    CHECK(whole->at.host == "/run/red is/redis.sock");
    CHECK(whole->at.text() == "/run/red is/redis.sock");
    CHECK(whole->user == "login");
    CHECK(whole->password->reveal() == "p@ss");
    CHECK(whole->database == 3);
    for (const char* const least : {"unix:///a@b", "redis+unix:///a@b", "redis+socket:///a@b", "valkey+unix:///a@b"}) {
        const auto read = detail::redis_url::parse(least);
        REQUIRE(read.has_value());
        CHECK((read->at.host == "/a@b" && !read->password && read->database == 0));
    }
}

TEST_CASE("a URL of Sentinels names each of them, the master, and its user, password and database (R244)") {
    const auto whole = detail::redis_url::parse("redis+sentinel://login:p%40ss@s1:26380,[::1]:1,s3/my%20master/7");
    REQUIRE(whole.has_value());
    CHECK(whole->at.how == detail::redis_address::kind::master);
    CHECK(whole->at.text() == "master my master");
    REQUIRE(whole->sentinels.size() == 3);
    CHECK(whole->sentinels[0].text() == "s1:26380");
    CHECK(whole->sentinels[1].text() == "::1:1");
    CHECK(whole->sentinels[2].text() == "s3:26379");
    CHECK(whole->user == "login");
    CHECK(whole->password->reveal() == "p@ss");
    CHECK(whole->database == 7);
    CHECK(!whole->has_tls);
    for (const char* const least : {"rediss+sentinel://s/m", "valkeys+sentinel://s/m/"}) {
        const auto read = detail::redis_url::parse(least);
        REQUIRE(read.has_value());
        CHECK((read->has_tls && read->at.host == "m" && read->database == 0 && read->sentinels.size() == 1));
    }
    CHECK(detail::redis_url::parse("rediss://h")->has_tls);
    CHECK(detail::redis_url::parse("valkeys://h")->has_tls);
}

TEST_CASE("a URL that is not understood says which part is wrong (R244)") {
    struct {
        const char *url, *words;
    } const rows[] = {
        {"/run/redis.sock", "write unix:// before it"},
        {"h:6379", "does not begin with redis://"},
        {"redis-sentinel://h/main", "does not begin with redis://"},
        {"redis:///run/redis.sock", "written unix:///path"},
        {"redis:///3", "names no host"},
        {"redis://h,i", "a list of hosts"},
        {"redis://%2Frun%2Fredis.sock", "percent escape in its host"},
        {"redis://h/main", "number of a database"},
        {"redis://h/65536", "number of a database"},
        {"redis://h:x", "port"},
        {"redis://[::1", "bracket"},
        {"redis://h?db=1", "written as a path"},
        {"redis://h#1", "%23"},
        {"redis://:a/b@h", "%2F"},
        {"redis://:%4@h", "escape before its @"},
        {"unix://", "no path"},
        {"unix:///", "no path"},
        {"unix:///a%00b", "no path"},
        {"unix:///%zz", "in the path of the Unix socket"},
        {"unix://run/redis.sock", "write unix:///path"},
        {"unix:///s?database=1", "?db="},
        {"unix:///s?db=", "?db="},
        {"redis+sentinel://h", "names no master"},
        {"redis+sentinel://h/", "names no master"},
        {"redis+sentinel:///main", "names no host"},
        {"redis+sentinel://h,/main", "names no host"},
        {"redis+sentinel://h:0/main", "port"},
        {"redis+sentinel://h/main/x", "behind the master"},
        {"redis+sentinel://h/%4", "name of the master"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.url);
        const auto refused = detail::redis_url::parse(row.url);
        REQUIRE_FALSE(refused);
        CAPTURE(refused.error().message);
        CHECK(refused.error().message.find(row.words) != std::string::npos);
    }
    const auto longest = detail::redis_url::parse("unix:///" + std::string(200, 'a'));
    REQUIRE_FALSE(longest);
    CHECK(longest.error().message.find("too long") != std::string::npos);
}
