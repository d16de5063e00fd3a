// tests/unit/store_sqlite.cpp - the SQLite store: its promises, its file, its ends.
// SPDX-License-Identifier: MIT
#include <regrant/store/sqlite.hpp>

#include <regrant/client_list.hpp>
#include <regrant/memory_store.hpp>
#include <regrant/testing/store_conformance.hpp>
#include <regrant/token_endpoint.hpp>

#include <doctest/doctest.h>

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <csignal>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>

/// What SQLite asks for when a commit must last; it is counted, or its process dies instead.
static std::atomic<unsigned> syncs{0};
static std::atomic<bool> dies_at_a_sync{false};
extern "C" int fdatasync(int file) {
    ++syncs;
    if (dies_at_a_sync) kill(getpid(), SIGKILL);
    return static_cast<int>(syscall(SYS_fdatasync, file));
}
#endif

namespace {

using namespace regrant;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

static_assert(token_store<sqlite_store> && can_revoke_subject<sqlite_store> && can_list_subject<sqlite_store> &&
              can_reap<sqlite_store>);
static_assert(std::is_nothrow_move_constructible_v<sqlite_store> && !std::is_copy_constructible_v<sqlite_store>);

/// A directory for one test, gone with it.
struct temporary_directory {
    temporary_directory() {
        std::random_device random;
        do path = fs::temp_directory_path() / ("regrant-sqlite-" + std::to_string(random()));
        while (!fs::create_directory(path));
    }
    ~temporary_directory() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
    std::string file(const char* name = "tokens.db") const { return (path / name).string(); }
    std::size_t entries() const {
        return static_cast<std::size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
    }
    fs::path path;
};

/// The file as some other program sees it.
struct raw_database {
    explicit raw_database(const std::string& path) { REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK); }
    ~raw_database() { sqlite3_close(db); }
    raw_database(const raw_database&) = delete;
    raw_database& operator=(const raw_database&) = delete;
    void run(const char* sql) {
        const int code = sqlite3_exec(db, sql, nullptr, nullptr, nullptr);
        INFO(sql << ": " << sqlite3_errmsg(db));
        REQUIRE(code == SQLITE_OK);
    }
    sqlite3* db = nullptr;
};

std::string bytes_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void write_bytes(const std::string& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// More than any call takes on a busy machine, where the timeout is not what is tried.
constexpr std::chrono::milliseconds unhurried = 1min;

sqlite_store opened(const std::string& path, sqlite_settings settings = {}) {
    if (settings.busy_timeout == sqlite_settings{}.busy_timeout) settings.busy_timeout = unhurried;
    auto store = sqlite_store::open(path, settings);
    INFO((store ? std::string() : store.error().message));
    REQUIRE(store.has_value());
    return *std::move(store);
}

sqlite_settings impatient(std::chrono::milliseconds timeout) { return {sqlite_synchronous::full, timeout}; }

row_key key_of(unsigned number) {
    row_key key;
    for (std::size_t i = 0; i != key.bytes.size(); ++i) key.bytes[i] = static_cast<std::byte>(number * 7 + i);
    key.bytes[0] = static_cast<std::byte>(number);
    key.bytes[1] = static_cast<std::byte>(number >> 8);
    return key;
}

const instant noon(std::chrono::milliseconds(1'800'000'000'123));

grant row_of(unsigned number, std::string_view subject = "alice") {
    grant row(key_of(number), {"web", subject, "openid profile"});
    row.issued_at = row.used_at = noon;
    row.expires_at = noon + 24h;
    return row;
}

grant found(sqlite_store& store, const row_key& key) {
    auto row = store.find(key);
    INFO((row ? std::string() : row.error().detail));
    REQUIRE(row.has_value());
    REQUIRE(row->has_value());
    return **row;
}

void check_same(const grant& one, const grant& other) {
    CHECK(one.key == other.key);
    CHECK(one.client_id() == other.client_id());
    CHECK(one.subject() == other.subject());
    CHECK(one.scope() == other.scope());
    CHECK(one.audience() == other.audience());
    CHECK(one.confirmation() == other.confirmation());
    CHECK(one.rotation == other.rotation);
    CHECK(one.issued_at == other.issued_at);
    CHECK(one.expires_at == other.expires_at);
    CHECK(one.auth_time == other.auth_time);
    CHECK(one.current == other.current);
    CHECK(one.used_at == other.used_at);
    CHECK(one.state == other.state);
}

bool is_advanced(const result<advance_outcome, outage>& outcome) {
    INFO((outcome ? std::string() : outcome.error().detail));
    REQUIRE(outcome.has_value());
    return *outcome == advance_outcome::advanced;
}

/// Lets many threads do something at once. \return how many said yes
template <class Act> unsigned at_once(unsigned threads, Act act) {
    std::barrier start(static_cast<std::ptrdiff_t>(threads));
    std::atomic<unsigned> yes{0};
    std::vector<std::thread> all;
    for (unsigned i = 0; i != threads; ++i)
        all.emplace_back([&, i] {
            start.arrive_and_wait();
            if (act(i)) ++yes;
        });
    for (std::thread& each : all) each.join();
    return yes;
}

/// An issuer without keys: these tests are about refresh tokens.
struct plain_issuer {
    result<minted_tokens, outage> mint(const mint_order&) { return minted_tokens{secret("access"), {}, 300s}; }
};

struct endpoint_over {
    explicit endpoint_over(sqlite_store& store) : endpoint(store, clients, issuer, ring()) {}

    static token_keyring ring() {
        std::vector<token_key> keys;
        keys.push_back({token_key_id{1}, secret("0123456789abcdef0123456789abcdef")});
        return *token_keyring::make(std::move(keys));
    }
    static client_list registered() {
        std::vector<client> all;
        all.push_back({"web", client_policy::of<auth_method::none>(), {}, *scope::parse("profile")});
        return *client_list::make(std::move(all));
    }
    std::string login() {
        auto answer = endpoint.issue({"web", "alice", "profile"});
        REQUIRE(answer.has_value());
        return std::string(answer->refresh_token.reveal());
    }
    /// \return the successor, or nothing where the answer is not 200
    std::string refresh(const std::string& token) {
        http_request request;
        request.method = "POST";
        request.header("Content-Type", "application/x-www-form-urlencoded");
        request.body = secret("grant_type=refresh_token&client_id=web&refresh_token=" + token);
        const http_reply reply = endpoint.respond(std::move(request));
        constexpr std::string_view name = "\"refresh_token\":\"";
        const std::size_t at = reply.body.find(name);
        if (reply.status != http_status::ok || at == std::string::npos) return {};
        return reply.body.substr(at + name.size(), token_keyring::token_characters);
    }

    client_list clients = registered();
    plain_issuer issuer;
    token_endpoint<sqlite_store, client_list, plain_issuer> endpoint;
};

} // namespace

TEST_SUITE("sqlite_store") {

TEST_CASE("every field of a grant comes back as it went in, past 2038 and with any text (R99, R82)") {
    const temporary_directory dir;
    auto store = opened(dir.file());
    using namespace std::string_view_literals;
    grant full(key_of(1), {"web client"sv, "\xC3\xA9l\xC3\xA8ve \0 \xF0\x9F\x94\x91"sv, "openid profile"sv,
                           "https://api.example/'\";--"sv, "\xFF\xFE\0\x01 opaque"sv});
    full.rotation = rotation::echo;
    full.issued_at = instant(std::chrono::sys_days(2106y / 2 / 8)) + 1ms;
    full.expires_at = instant(std::chrono::sys_days(9999y / 12 / 31)) + 999ms;
    full.auth_time = std::chrono::sys_days(2250y / 1 / 1) + 7s;
    full.current = last_generation;
    full.used_at = instant(std::chrono::sys_days(2106y / 3 / 1)) + 2ms;
    full.state = revocation::revoked;
    const grant plain(key_of(2), {"", "", ""});
    CHECK(*store.insert(full) == insert_outcome::inserted);
    CHECK(*store.insert(plain) == insert_outcome::inserted);
    check_same(found(store, full.key), full);
    check_same(found(store, plain.key), plain);
    CHECK_FALSE(found(store, plain.key).auth_time.has_value());

    grant early = row_of(3);
    early.issued_at = instant(-1ms);
    early.auth_time = std::chrono::sys_seconds(-1s);
    CHECK(*store.insert(early) == insert_outcome::inserted);
    check_same(found(store, early.key), early);
}

TEST_CASE("insert never touches a row that is there (R50)") {
    const temporary_directory dir;
    auto store = opened(dir.file());
    CHECK(*store.insert(row_of(1)) == insert_outcome::inserted);
    CHECK(store.revoke(key_of(1)).has_value());
    CHECK(*store.insert(row_of(1, "mallory")) == insert_outcome::already_there);
    CHECK(found(store, key_of(1)).subject() == "alice");
    CHECK(found(store, key_of(1)).state == revocation::revoked);
}

TEST_CASE("a missing row is found missing, never advances, and is no error to revoke (R53)") {
    const temporary_directory dir;
    auto store = opened(dir.file());
    CHECK_FALSE(store.find(key_of(1))->has_value());
    CHECK_FALSE(is_advanced(store.advance(key_of(1), first_generation, generation{1}, noon)));
    CHECK(store.revoke(key_of(1)).has_value());
    CHECK_FALSE(store.find(key_of(1))->has_value());
}

TEST_CASE("advance moves a row that stands where it was seen, and no other (R47, R48)") {
    const temporary_directory dir;
    auto store = opened(dir.file());
    REQUIRE(store.insert(row_of(1)).has_value());
    REQUIRE(store.insert(row_of(2)).has_value());
    CHECK(is_advanced(store.advance(key_of(1), generation{0}, generation{1}, noon + 1s)));
    CHECK_FALSE(is_advanced(store.advance(key_of(1), generation{0}, generation{1}, noon + 2s)));
    CHECK(found(store, key_of(1)).current == generation{1});
    CHECK(found(store, key_of(1)).used_at == noon + 1s);
    // A confirm is a write that leaves the generation; a heal jumps.
    CHECK(is_advanced(store.advance(key_of(1), generation{1}, generation{1}, noon + 1s)));
    CHECK(is_advanced(store.advance(key_of(1), generation{1}, last_generation, noon + 1s)));
    CHECK(found(store, key_of(1)).current == last_generation);
    check_same(found(store, key_of(2)), row_of(2));
}

TEST_CASE("advance never turns a row's time back (R49)") {
    const temporary_directory dir;
    auto store = opened(dir.file());
    REQUIRE(store.insert(row_of(1)).has_value());
    CHECK(is_advanced(store.advance(key_of(1), generation{0}, generation{1}, noon - 1h)));
    CHECK(found(store, key_of(1)).used_at == noon);
    CHECK(is_advanced(store.advance(key_of(1), generation{1}, generation{2}, noon + 1ms)));
    CHECK(found(store, key_of(1)).used_at == noon + 1ms);
}

TEST_CASE("a revoked family never advances (R44, R50)") {
    for (const auto how : {sqlite_synchronous::full, sqlite_synchronous::normal}) {
        const temporary_directory dir;
        auto store = opened(dir.file(), {how});
        REQUIRE(store.insert(row_of(1)).has_value());
        CHECK(is_advanced(store.advance(key_of(1), generation{0}, generation{1}, noon)));
        CHECK(store.revoke(key_of(1)).has_value());
        CHECK_FALSE(is_advanced(store.advance(key_of(1), generation{1}, generation{2}, noon)));
        CHECK_FALSE(is_advanced(store.advance(key_of(1), generation{1}, generation{1}, noon)));
        CHECK(store.revoke(key_of(1)).has_value());
        CHECK(found(store, key_of(1)).current == generation{1});
        CHECK(found(store, key_of(1)).state == revocation::revoked);
    }
}

TEST_CASE("revoke_subject ends every family of its subject and no other's (R44, R45, R50)") {
    const temporary_directory dir;
    auto store = opened(dir.file());
    for (unsigned i = 0; i != 5; ++i) REQUIRE(store.insert(row_of(i)).has_value());
    REQUIRE(store.insert(row_of(5, "alice2")).has_value());
    REQUIRE(store.insert(row_of(6, std::string_view("alice\0", 6))).has_value());
    REQUIRE(store.insert(row_of(7, "")).has_value());
    REQUIRE(store.revoke(key_of(0)).has_value());
    CHECK(*store.revoke_subject("alice") == 4);
    CHECK(*store.revoke_subject("alice") == 0);
    CHECK(*store.revoke_subject("nobody") == 0);
    for (unsigned i = 0; i != 5; ++i) CHECK(found(store, key_of(i)).state == revocation::revoked);
    for (unsigned i = 5; i != 8; ++i) CHECK(found(store, key_of(i)).state == revocation::live);
    CHECK(*store.revoke_subject(std::string_view()) == 1);
}

TEST_CASE("list_subject gives all rows of a subject, whole (R44)") {
    const temporary_directory dir;
    auto store = opened(dir.file());
    for (unsigned i = 0; i != 3; ++i) REQUIRE(store.insert(row_of(i)).has_value());
    REQUIRE(store.insert(row_of(3, "bob")).has_value());
    auto rows = store.list_subject("alice");
    REQUIRE(rows.has_value());
    REQUIRE(rows->size() == 3);
    std::sort(rows->begin(), rows->end(), [](const grant& a, const grant& b) { return a.key < b.key; });
    for (unsigned i = 0; i != 3; ++i) check_same((*rows)[i], row_of(i));
    CHECK(store.list_subject("nobody")->empty());
}

TEST_CASE("reap forgets what has expired, and never a row that may still recognise a replay (R38)") {
    const temporary_directory dir;
    auto store = opened(dir.file(), {sqlite_synchronous::normal});
    for (unsigned i = 0; i != 6; ++i) {
        grant row = row_of(i);
        row.expires_at = noon + std::chrono::milliseconds(i);
        REQUIRE(store.insert(row).has_value());
    }
    REQUIRE(store.revoke(key_of(4)).has_value());
    CHECK(*store.reap(noon) == 0);
    CHECK(*store.reap(noon + 3ms) == 3);
    for (unsigned i = 0; i != 3; ++i) CHECK_FALSE(store.find(key_of(i))->has_value());
    // At its very last millisecond, revoked, or used long ago: it stays.
    for (unsigned i = 3; i != 6; ++i) CHECK(store.find(key_of(i))->has_value());
}

TEST_CASE("reap removes more than one batch holds (R38)") {
    const temporary_directory dir;
    auto store = opened(dir.file());
    {
        raw_database other(dir.file());
        other.run("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 699) "
                  "INSERT INTO family SELECT randomblob(32), 'web', 's' || i, 'openid', '', '', 0, 0, i, NULL, 0, 0, 0 "
                  "FROM n");
    }
    CHECK(*store.reap(instant(600ms)) == 600);
    CHECK(*store.reap(instant(600ms)) == 0);
    CHECK(store.list_subject("s599")->empty());
    CHECK(store.list_subject("s600")->size() == 1);
}

TEST_CASE("a reopened store keeps everything, under any spelling of its path (R51)") {
    const temporary_directory dir;
    grant row = row_of(1);
    row.auth_time = std::chrono::floor<std::chrono::seconds>(noon);
    {
        auto store = opened(dir.file());
        REQUIRE(store.insert(row).has_value());
        REQUIRE(store.insert(row_of(2)).has_value());
        CHECK(is_advanced(store.advance(row.key, generation{0}, generation{1}, noon + 5s)));
        REQUIRE(store.revoke(key_of(2)).has_value());
        auto moved = std::move(store);
        CHECK(moved.find(row.key)->has_value());
    }
    row.current = generation{1};
    row.used_at = noon + 5s;
    auto store = opened((dir.path / "." / "tokens.db").string());
    check_same(found(store, row.key), row);
    CHECK(found(store, key_of(2)).state == revocation::revoked);
}

TEST_CASE("a second store on the same file sees every write at once (R47, R50)") {
    const temporary_directory dir;
    auto one = opened(dir.file());
    auto other = opened(dir.file(), {sqlite_synchronous::normal});
    REQUIRE(one.insert(row_of(1)).has_value());
    for (std::uint32_t i = 0; i != 10; ++i) {
        auto& writer = i % 2 == 0 ? one : other;
        auto& reader = i % 2 == 0 ? other : one;
        CHECK(is_advanced(writer.advance(key_of(1), generation{i}, generation{i + 1}, noon)));
        CHECK(found(reader, key_of(1)).current == generation{i + 1});
    }
    REQUIRE(other.revoke(key_of(1)).has_value());
    CHECK_FALSE(is_advanced(one.advance(key_of(1), generation{10}, generation{11}, noon)));
}

TEST_CASE("of 64 threads that advance one row exactly one wins, over two stores too (R47, R48)") {
    const temporary_directory dir;
    auto one = opened(dir.file());
    auto other = opened(dir.file(), {sqlite_synchronous::normal});
    REQUIRE(one.insert(row_of(1)).has_value());
    for (std::uint32_t round = 0; round != 5; ++round) {
        std::atomic<unsigned> outages{0};
        const unsigned winners = at_once(64, [&](unsigned i) {
            auto& store = i % 2 == 0 ? one : other;
            const auto outcome = store.advance(key_of(1), generation{round}, generation{round + 1}, noon);
            if (!outcome) ++outages;
            return outcome && *outcome == advance_outcome::advanced;
        });
        CHECK(winners == 1);
        CHECK(outages == 0);
    }
    CHECK(found(one, key_of(1)).current == generation{5});
}

TEST_CASE("nothing advances after a revoke has returned, whoever races it (R50)") {
    const temporary_directory dir;
    auto one = opened(dir.file());
    auto other = opened(dir.file(), {sqlite_synchronous::normal});
    for (unsigned round = 0; round != 5; ++round) {
        REQUIRE(one.insert(row_of(round)).has_value());
        std::atomic<bool> is_revoked{false};
        const unsigned late = at_once(9, [&](unsigned i) {
            if (i == 0) {
                std::this_thread::sleep_for(2ms);
                if (!one.revoke(key_of(round))) return true;
                is_revoked = true;
                return false;
            }
            auto& store = i % 2 == 0 ? one : other;
            bool broken = false;
            for (bool last = false; !last;) {
                last = is_revoked;
                const auto seen = store.find(key_of(round));
                if (!seen || !*seen) return true;
                const auto outcome = store.advance(key_of(round), (*seen)->current, next((*seen)->current), noon);
                broken = broken || !outcome || (last && *outcome == advance_outcome::advanced);
            }
            return broken;
        });
        CHECK(late == 0);
        CHECK(found(one, key_of(round)).state == revocation::revoked);
    }
}

TEST_CASE("64 refreshes with one token get one successor and make one generation (R47, R48)") {
    const temporary_directory dir;
    auto store = opened(dir.file());
    endpoint_over server(store);
    const std::string token = server.login();
    std::vector<std::string> successors(64);
    CHECK(at_once(64, [&](unsigned i) { return !(successors[i] = server.refresh(token)).empty(); }) == 64);
    CHECK(std::set(successors.begin(), successors.end()).size() == 1);
    const auto rows = store.list_subject("alice");
    REQUIRE(rows->size() == 1);
    CHECK(rows->front().current == generation{1});
    CHECK_FALSE(server.refresh(successors[0]).empty());
    // Two behind by now: a replay, and the end of the family.
    CHECK(server.refresh(token).empty());
    CHECK(found(store, rows->front().key).state == revocation::revoked);
}

TEST_CASE("a locked file is an outage soon after the busy timeout, for a queue of writers too; reads go on (R51)") {
    const temporary_directory dir;
    REQUIRE(opened(dir.file()).insert(row_of(1)).has_value());
    raw_database other(dir.file());
    other.run("BEGIN IMMEDIATE");
    // Far below two timeouts: the wait for the queue and the wait for the file are one. A busy machine may be late, so
    // it is tried again with more time.
    bool waits_once = false;
    for (auto timeout = 1500ms; timeout < 30s && !waits_once; timeout *= 3) {
        CAPTURE(timeout.count());
        auto store = opened(dir.file(), impatient(timeout));
        std::vector<std::chrono::steady_clock::duration> took(12);
        const unsigned outages = at_once(12, [&](unsigned i) {
            const auto write = [&] {
                switch (i % 4) {
                case 0: return store.advance(key_of(1), generation{0}, generation{1}, noon).has_value();
                case 1: return store.insert(row_of(2)).has_value();
                case 2: return store.revoke(key_of(1)).has_value();
                default: return store.revoke_subject("alice").has_value();
                }
            };
            std::this_thread::sleep_for(10ms * i);
            const auto begun = std::chrono::steady_clock::now();
            const bool written = write();
            took[i] = std::chrono::steady_clock::now() - begun;
            return !written;
        });
        CHECK(outages == 12);
        for (const auto each : took) CHECK(each >= timeout - 10ms);
        waits_once = std::all_of(took.begin(), took.end(), [&](auto each) { return each < 2 * timeout - 100ms; });
    }
    CHECK(waits_once);
    auto store = opened(dir.file(), impatient(1500ms));
    CHECK(found(store, key_of(1)).current == first_generation);
    CHECK(sqlite_store::open(dir.file(), impatient(50ms)).has_value());
    const auto refused = store.reap(noon + 48h);
    REQUIRE_FALSE(refused.has_value());
    CHECK_FALSE(refused.error().detail.empty());
    other.run("COMMIT");
    auto patient = opened(dir.file());
    CHECK(is_advanced(patient.advance(key_of(1), generation{0}, generation{1}, noon)));
}

TEST_CASE("a call that does not return keeps the next ones waiting until their deadline alone (R51)") {
    detail::sqlite_gate gate;
    detail::sqlite_connection unused;
    REQUIRE(gate.try_lock());
    const auto begun = std::chrono::steady_clock::now();
    {
        detail::sqlite_call call(std::unique_lock(gate, begun + 30ms), unused, 0, begun + 30ms);
        CHECK_FALSE(call.bind("text").bind(key_of(1)).write().has_value());
    }
    CHECK(std::chrono::steady_clock::now() - begun >= 30ms);
    CHECK_FALSE(gate.try_lock());
    gate.unlock();
    CHECK(gate.try_lock());
}

TEST_CASE("a writer waits for another process to finish (R51)") {
    const temporary_directory dir;
    auto store = opened(dir.file());
    REQUIRE(store.insert(row_of(1)).has_value());
    raw_database other(dir.file());
    other.run("BEGIN IMMEDIATE");
    std::thread waiting([&] { CHECK(store.revoke(key_of(1)).has_value()); });
    std::this_thread::sleep_for(60ms);
    other.run("COMMIT");
    waiting.join();
    CHECK(found(store, key_of(1)).state == revocation::revoked);
}

TEST_CASE("a damaged row is an outage, not a crash (R51)") {
    for (const char* damage : {"UPDATE family SET state = 7", "UPDATE family SET rotation = 'x'",
                               "UPDATE family SET current = 4294967296", "UPDATE family SET current = -1",
                               "UPDATE family SET used_at = 9223372036854775807", "UPDATE family SET issued_at = 1.5",
                               "UPDATE family SET subject = x'00'", "UPDATE family SET auth_time = 'never'"}) {
        const temporary_directory dir;
        auto store = opened(dir.file());
        REQUIRE(store.insert(row_of(1)).has_value());
        {
            raw_database other(dir.file());
            other.run("PRAGMA ignore_check_constraints = 1");
            other.run(damage);
        }
        CAPTURE(damage);
        const auto row = store.find(key_of(1));
        REQUIRE_FALSE(row.has_value());
        CHECK(row.error().detail.find("damaged") != std::string::npos);
        if (std::string_view(damage).find("subject") == std::string_view::npos)
            CHECK_FALSE(store.list_subject("alice").has_value());
    }
    const temporary_directory dir;
    auto store = opened(dir.file());
    grant absurd = row_of(1);
    absurd.expires_at = instant::max();
    CHECK_FALSE(store.insert(absurd).has_value());
    CHECK_FALSE(store.find(key_of(1))->has_value());
}

TEST_CASE("a file damaged while it is open is an outage, not a crash (R51)") {
    const temporary_directory dir;
    auto store = opened(dir.file());
    for (unsigned i = 0; i != 20; ++i) REQUIRE(store.insert(row_of(i)).has_value());
    raw_database(dir.file()).run("PRAGMA wal_checkpoint(TRUNCATE)");
    std::string bytes = bytes_of(dir.file());
    std::fill(bytes.begin() + 4096, bytes.end(), '\xA5');
    {
        // Written in place: to shorten it first would be another kind of damage.
        std::fstream file(dir.file(), std::ios::binary | std::ios::in | std::ios::out);
        file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    // What is cached may still answer; nothing may crash.
    auto again = sqlite_store::open(dir.file(), impatient(100ms));
    if (again) {
        CHECK_FALSE(again->find(key_of(1)).has_value());
        CHECK_FALSE(again->advance(key_of(1), generation{0}, generation{1}, noon).has_value());
    }
    for (unsigned i = 0; i != 20; ++i) static_cast<void>(store.find(key_of(i)));
    static_cast<void>(store.reap(noon + 48h));
}

TEST_CASE("a file that is no store of ours is refused and stays as it was (R51)") {
    const auto refused = [](const std::string& path, std::string_view why) {
        const auto store = sqlite_store::open(path, impatient(50ms));
        REQUIRE_FALSE(store.has_value());
        INFO(store.error().message);
        CHECK(store.error().message.find(why) != std::string::npos);
        CHECK(store.error().message.find(path) != std::string::npos);
    };
    const temporary_directory dir;
    const std::string path = dir.file();
    const auto refused_unchanged = [&](std::string_view why) {
        const std::string before = bytes_of(path), log = bytes_of(path + "-wal");
        const std::size_t entries = dir.entries();
        refused(path, why);
        CHECK(bytes_of(path) == before);
        CHECK(bytes_of(path + "-wal") == log);
        CHECK(dir.entries() == entries);
    };

    SUBCASE("text (R51)") {
        write_bytes(path, "not a database, but somebody's notes\n");
        refused_unchanged("no regrant token store");
    }
    SUBCASE("another program's database (R51)") {
        raw_database(path).run("CREATE TABLE songs (title)");
        refused_unchanged("no regrant token store");
    }
    SUBCASE("another program's database with a log that is not worked in yet (R51)") {
        const std::string original = dir.file("songs.db");
        raw_database other(original);
        other.run("PRAGMA journal_mode = WAL; CREATE TABLE songs (title); INSERT INTO songs VALUES ('a')");
        fs::copy_file(original, path);
        fs::copy_file(original + "-wal", path + "-wal");
        refused_unchanged("no regrant token store");
    }
    SUBCASE("another program's application id (R51)") {
        raw_database(path).run("PRAGMA application_id = 7");
        refused_unchanged("no regrant token store");
    }
    SUBCASE("a newer version of regrant (R51)") {
        static_cast<void>(opened(path));
        raw_database(path).run("PRAGMA user_version = 2; PRAGMA wal_checkpoint(TRUNCATE)");
        refused_unchanged("newer");
    }
    SUBCASE("a version that no regrant has written (R51)") {
        static_cast<void>(opened(path));
        raw_database(path).run("PRAGMA user_version = 0; PRAGMA wal_checkpoint(TRUNCATE)");
        refused_unchanged("does not know");
    }
    SUBCASE("a file cut short (R51)") {
        static_cast<void>(opened(path));
        fs::resize_file(path, 4096);
        refused(path, "SQLite:");
        CHECK(fs::file_size(path) == 4096);
    }
    SUBCASE("a file overwritten behind its first page (R51)") {
        static_cast<void>(opened(path));
        std::string bytes = bytes_of(path);
        std::fill(bytes.begin() + 100, bytes.end(), '\x5A');
        write_bytes(path, bytes);
        refused(path, "SQLite:");
    }
    SUBCASE("a directory (R51)") {
        fs::create_directory(path);
        refused(path, "no regular file");
        CHECK(fs::is_directory(path));
    }
#if defined(__unix__) || defined(__APPLE__)
    SUBCASE("a pipe (R51)") {
        REQUIRE(mkfifo(path.c_str(), 0600) == 0);
        refused(path, "no regular file");
    }
#endif
    SUBCASE("a directory that is not there (R51)") { refused((dir.path / "none" / "tokens.db").string(), "none"); }
    SUBCASE("no path at all (R51)") {
        refused("", "empty");
        refused(std::string("a\0b", 3), "NUL");
    }
    SUBCASE("a path through a file (R51)") {
        write_bytes(path, "x");
        refused(path + "/tokens.db", path);
    }
    SUBCASE("a timeout out of range (R51)") {
        CHECK_FALSE(sqlite_store::open(path, impatient(-1ms)).has_value());
        CHECK_FALSE(sqlite_store::open(path, impatient(std::chrono::milliseconds::max())).has_value());
        CHECK(dir.entries() == 0);
    }
    SUBCASE("a store that cannot be finished leaves no file behind (R51)") {
        fs::create_directory(path + "-journal");
        write_bytes(path + "-journal/x", "x");
        refused(path, "SQLite:");
        CHECK_FALSE(fs::exists(path));
    }
    SUBCASE("a path is a path, whatever SQLite reads in it (R51)") {
        const fs::path before = fs::current_path();
        fs::current_path(dir.path);
        for (const char* name : {":memory:", "file:x?mode=memory", "plain.db"}) {
            static_cast<void>(opened(name));
            CHECK(fs::is_regular_file(dir.path / name));
        }
        fs::current_path(before);
    }
}

TEST_CASE("an empty file becomes a store, and many may open a new one at once (R51)") {
    const temporary_directory dir;
    write_bytes(dir.file(), "");
    CHECK(*opened(dir.file()).insert(row_of(1)) == insert_outcome::inserted);
    for (int round = 0; round != 3; ++round) {
        const std::string path = dir.file(("new" + std::to_string(round)).c_str());
        std::vector<std::string> messages(8);
        CHECK(at_once(8, [&](unsigned i) {
                  auto store = sqlite_store::open(path);
                  if (!store) messages[i] = store.error().message;
                  return store && store->insert(row_of(i)).has_value();
              }) == 8);
        for (const std::string& message : messages) CHECK(message == "");
        auto store = opened(path);
        CHECK(store.list_subject("alice")->size() == 8);
    }
}

TEST_CASE("a dump of the file holds no token and no byte of a family (R36)") {
    const temporary_directory dir;
    auto store = opened(dir.file());
    endpoint_over server(store);
    std::vector<std::string> tokens{server.login()};
    for (int i = 0; i != 3; ++i) tokens.push_back(server.refresh(tokens.back()));
    const auto dump = bytes_of(dir.file()) + bytes_of(dir.file() + "-wal") + bytes_of(dir.file() + "-shm");
    REQUIRE(dump.find("alice") != std::string::npos);
    const auto ring = endpoint_over::ring();
    for (const std::string& token : tokens) {
        REQUIRE(token.size() == token_keyring::token_characters);
        const auto line = ring.open(token);
        const auto family = (*line)->lineage.family.bytes();
        const std::string raw(reinterpret_cast<const char*>(family.data()), family.size());
        // Any four bytes in a row would be too many, but may stand in a file this small by chance alone.
        for (std::size_t i = 0; i + 6 <= raw.size(); ++i) CHECK(dump.find(raw.substr(i, 6)) == std::string::npos);
        for (std::size_t i = 0; i + 12 <= token.size(); ++i)
            CHECK(dump.find(token.substr(i, 12)) == std::string::npos);
    }
}

#if defined(__unix__) || defined(__APPLE__)

TEST_CASE("the file and what stands beside it are for their owner's eyes alone (R36)") {
    const temporary_directory dir;
    const mode_t before = umask(0);
    auto store = opened(dir.file());
    REQUIRE(store.insert(row_of(1)).has_value());
    umask(before);
    unsigned seen = 0;
    for (const auto& entry : fs::directory_iterator(dir.path)) {
        CAPTURE(entry.path().string());
        CHECK((entry.status().permissions() & fs::perms::all) == (fs::perms::owner_read | fs::perms::owner_write));
        ++seen;
    }
    CHECK(seen == 3);
}

TEST_CASE("a file that may not be written is refused (R51)" * doctest::skip(geteuid() == 0)) {
    const temporary_directory dir;
    static_cast<void>(opened(dir.file()));
    fs::permissions(dir.file(), fs::perms::owner_read);
    const auto store = sqlite_store::open(dir.file(), impatient(50ms));
    REQUIRE_FALSE(store.has_value());
    CHECK(store.error().message.find("may not be written") != std::string::npos);
    fs::permissions(dir.file(), fs::perms::none);
    CHECK_FALSE(sqlite_store::open(dir.file(), impatient(50ms)).has_value());
}

TEST_CASE("a killed server loses nothing it has answered: the token goes on where it was (R51, R53)") {
    const temporary_directory dir;
    std::string token;
    {
        auto store = opened(dir.file());
        token = endpoint_over(store).login();
    }
    const auto ring = endpoint_over::ring();
    const auto number = [&](const std::string& text) { return (*ring.open(text))->lineage.generation; };
    for (unsigned round = 0; round != 6; ++round) {
        const auto how = round % 2 == 0 ? sqlite_synchronous::full : sqlite_synchronous::normal;
        int ends[2];
        REQUIRE(pipe(ends) == 0);
        // No thread of ours lives at this point, and no store is open.
        const pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            auto store = sqlite_store::open(dir.file(), {how});
            if (!store) _exit(1);
            endpoint_over server(*store);
            while (true) {
                token = server.refresh(token);
                if (token.empty() || write(ends[1], token.data(), token.size()) < 0) _exit(2);
            }
        }
        close(ends[1]);
        // Let it answer a while, end it in the middle of a stride, then take what was still on its way.
        std::string stream;
        char piece[4096];
        ssize_t got = 0;
        const std::size_t enough = token.size() * (5 + 17 * round);
        while (stream.size() < enough && (got = read(ends[0], piece, sizeof piece)) > 0)
            stream.append(piece, static_cast<std::size_t>(got));
        std::this_thread::sleep_for(std::chrono::microseconds(300 * round));
        REQUIRE(kill(child, SIGKILL) == 0);
        while ((got = read(ends[0], piece, sizeof piece)) > 0) stream.append(piece, static_cast<std::size_t>(got));
        close(ends[0]);
        int status = 0;
        REQUIRE(waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status));
        REQUIRE(stream.size() >= enough);
        REQUIRE(stream.size() % token.size() == 0);

        const generation before = number(token);
        token = stream.substr(stream.size() - token.size());
        auto store = opened(dir.file(), {how});
        const grant row = found(store, (*ring.open(token))->key);
        CHECK(number(token) > before);
        CHECK(row.current >= number(token));
        CHECK(distance(number(token), row.current) <= 1);
        CHECK(row.state == revocation::live);
        endpoint_over server(store);
        token = server.refresh(token);
        REQUIRE_FALSE(token.empty());
        CHECK(number(token) == found(store, row.key).current);
    }
}

TEST_CASE("a store says whether it holds any row (R249)") {
    const temporary_directory dir;
    auto store = opened(dir.file());
    CHECK(*store.is_empty());
    const grant row = row_of(1, "alice");
    REQUIRE(store.insert(row));
    CHECK_FALSE(*store.is_empty());
    REQUIRE(store.revoke(row.key));
    CHECK_FALSE(*store.is_empty());
    REQUIRE(store.reap(row.expires_at + 1ms));
    CHECK(*store.is_empty());
    memory_store forgetful;
    static_assert(can_tell_emptiness<memory_store> && can_tell_emptiness<sqlite_store>);
    CHECK(*forgetful.is_empty());
    REQUIRE(forgetful.insert(row));
    CHECK_FALSE(*forgetful.is_empty());
}

#if defined(__linux__)
TEST_CASE("an insert or a revoke is synced before it is answered, with normal as with full; an advance with full alone "
          "(R50, R51)") {
    const auto syncs_of = [](const auto& act) {
        syncs = 0;
        act();
        return syncs.load();
    };
    for (const auto synchronous : {sqlite_synchronous::full, sqlite_synchronous::normal}) {
        const temporary_directory dir;
        auto store = opened(dir.file(), {synchronous});
        const grant row = row_of(1, "alice");
        CHECK(syncs_of([&] { REQUIRE(store.insert(row)); }) >= 1);
        const unsigned advanced = syncs_of([&] { REQUIRE(store.advance(row.key, first_generation, generation{1}, row.used_at)); });
        CHECK((advanced == 0) == (synchronous == sqlite_synchronous::normal));
        CHECK(syncs_of([&] { REQUIRE(store.revoke(row.key)); }) >= 1);
        CHECK(syncs_of([&] { REQUIRE(store.revoke(row.key)); }) >= 1); // it may not have been synced
        REQUIRE(store.insert(row_of(2, "alice")));
        CHECK(syncs_of([&] { REQUIRE(store.revoke_subject("alice")); }) >= 1);
        CHECK(syncs_of([&] { REQUIRE(store.find(row.key)); }) == 0);
    }
}

TEST_CASE("a revoke whose process died before its sync is on the disk before it is answered (R44, R50)") {
    const temporary_directory dir;
    {
        auto store = opened(dir.file());
        REQUIRE(store.insert(row_of(1)).has_value());
    }
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        auto store = sqlite_store::open(dir.file());
        // The log's own head is synced first of all.
        if (!store || !store->insert(row_of(2))) _exit(1);
        dies_at_a_sync = true;
        static_cast<void>(store->revoke(key_of(1)));
        _exit(2);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    // SQLite believes what it finds in the log, and nothing that is asked of the row afterwards changes it.
    auto store = opened(dir.file());
    REQUIRE(found(store, key_of(1)).state == revocation::revoked);
    syncs = 0;
    CHECK(store.revoke(key_of(1)).has_value());
    CHECK(syncs.load() > 0);
    syncs = 0;
    CHECK(*store.revoke_subject(row_of(1).subject()) == 1); // the other row's
    CHECK(*store.revoke_subject(row_of(1).subject()) == 0);
    CHECK(syncs.load() > 1);
}
#endif

TEST_CASE("several processes that make one store, then rotate one row in it, never win the same generation (R47, R48)") {
    const temporary_directory dir;
    constexpr std::uint32_t processes = 4, each_wins = 25;
    std::vector<pid_t> children;
    for (std::uint32_t i = 0; i != processes; ++i) {
        const pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            auto store = sqlite_store::open(dir.file(), {sqlite_synchronous::normal});
            if (!store || !store->insert(row_of(1))) _exit(1);
            for (std::uint32_t wins = 0; wins != each_wins;) {
                const auto seen = store->find(key_of(1));
                if (!seen || !*seen) _exit(2);
                const auto outcome = store->advance(key_of(1), (*seen)->current, next((*seen)->current), noon);
                if (!outcome) _exit(3);
                if (*outcome == advance_outcome::advanced) ++wins;
            }
            _exit(0);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = 0;
        REQUIRE(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 0);
    }
    auto store = opened(dir.file());
    CHECK(found(store, key_of(1)).current == generation{processes * each_wins});
}

#endif

TEST_CASE("the conformance kit passes, over two stores on one file, with rows set back (R38, R47, R50, R51, R53)") {
    for (const auto synchronous : {sqlite_synchronous::full, sqlite_synchronous::normal}) {
        const temporary_directory dir;
        // Every other thread has a store of its own, as two processes would.
        auto one = opened(dir.file(), {synchronous}), other = opened(dir.file(), {synchronous});
        raw_database raw(dir.file());
        sqlite3_busy_timeout(raw.db, 60'000);
        conformance_options options;
        options.rounds = 10;
        options.set_back = [&](const row_key& key, generation to) {
            std::string sql = "UPDATE family SET current = " + std::to_string(static_cast<std::uint32_t>(to)) +
                              " WHERE key = x'";
            for (const std::byte each : key.bytes) {
                sql += "0123456789abcdef"[std::to_integer<unsigned>(each) >> 4];
                sql += "0123456789abcdef"[std::to_integer<unsigned>(each) & 15];
            }
            raw.run((sql + "'").c_str());
        };
        bool odd = false;
        const auto report = check_store([&]() -> sqlite_store& { return (odd = !odd) ? one : other; }, options);
        INFO(report.describe());
        CHECK(report.passed());
        CHECK(report.count(check_outcome::passed) > 40);
    }
}

} // TEST_SUITE
