// tests/stores/redis_test.cpp - the Redis store against real servers; redis_server.py runs it.
// SPDX-License-Identifier: MIT
#include <regrant/store/redis.hpp>

#include "redis_scene.hpp"
#include "scene.hpp"

#include <regrant/client_list.hpp>
#include <regrant/testing/store_conformance.hpp>
#include <regrant/token_endpoint.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace regrant;
using namespace scene;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

static_assert(token_store<redis_store> && can_revoke_subject<redis_store> && can_list_subject<redis_store> &&
              can_reap<redis_store>);
static_assert(std::is_nothrow_move_constructible_v<redis_store> && !std::is_copy_constructible_v<redis_store>);

redis_store opened(const std::string& url, const redis_settings& settings = {}) {
    auto store = redis_store::open(url, patient(settings));
    for (int late = 0; late != 20 && !store && is_late(store.error()); ++late)
        store = redis_store::open(url, patient(settings));
    INFO((store ? std::string() : store.error().message));
    REQUIRE(store.has_value());
    return *std::move(store);
}

std::string why_not(const std::string& url, redis_settings settings = {}) {
    const auto store = redis_store::open(url, std::move(settings));
    REQUIRE(!store.has_value());
    CAPTURE(store.error().message);
    CHECK(store.error().message.find("hunter2") == std::string::npos);
    return store.error().message;
}

template <class Act> void at_once(unsigned threads, Act act) {
    std::barrier start(static_cast<std::ptrdiff_t>(threads));
    std::vector<std::thread> all;
    for (unsigned i = 0; i != threads; ++i)
        all.emplace_back([&, i] {
            start.arrive_and_wait();
            act(i);
        });
    for (std::thread& each : all) each.join();
}

/// An issuer without keys: these tests are about refresh tokens.
struct plain_issuer {
    result<minted_tokens, outage> mint(const mint_order&) { return minted_tokens{secret("access"), {}, 300s}; }
};

struct answer_seen {
    http_status status;
    std::string successor;
    std::optional<reason> why;
};

struct endpoint_over {
    explicit endpoint_over(redis_store& over) : store(over), endpoint(over, clients, issuer, ring()) {}

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
    std::string login(std::string_view subject = "alice") {
        auto answer = endpoint.issue({"web", subject, "profile"});
        INFO((answer ? std::string() : answer.error().detail));
        REQUIRE(answer.has_value());
        return std::string(answer->refresh_token.reveal());
    }
    answer_seen refresh(const std::string& token) {
        http_request request;
        request.method = "POST";
        request.header("Content-Type", "application/x-www-form-urlencoded");
        request.body = secret("grant_type=refresh_token&client_id=web&refresh_token=" + token);
        const http_reply reply = endpoint.respond(std::move(request));
        constexpr std::string_view name = "\"refresh_token\":\"";
        const std::size_t at = reply.body.find(name);
        if (reply.status != http_status::ok || at == std::string::npos) return {reply.status, {}, {}};
        return {reply.status, reply.body.substr(at + name.size(), token_keyring::token_characters), {}};
    }
    grant row_of(const std::string& token) {
        const auto opened = ring().open(token);
        REQUIRE((opened.has_value() && opened->has_value()));
        return found(store, (*opened)->key);
    }

    bool has_reached(const std::string& token, generation wanted) {
        const auto opened = ring().open(token);
        if (!opened || !*opened) return false;
        const auto row = store.find((*opened)->key);
        return row && *row && (*row)->current >= wanted;
    }

    redis_store& store;
    client_list clients = registered();
    plain_issuer issuer;
    token_endpoint<redis_store, client_list, plain_issuer> endpoint;
};

const char* const two_engines[] = {"REGRANT_REDIS", "REGRANT_REDIS_CLUSTER"};

} // namespace

TEST_SUITE("redis_store") {

TEST_CASE("a store that makes no sense is refused when it is opened") {
    const std::string url = environment("REGRANT_REDIS");
    CHECK(says(why_not(url, {.timeout = 0ms}), "timeout"));
    CHECK(says(why_not(url, {.timeout = 2h}), "timeout"));
    CHECK(says(why_not(url, {.connections = 0}), "connections"));
    CHECK(says(why_not(url + "/99"), "DB index is out of range"));
    // Valkey 9 lets a cluster have several.
    const std::string no_such_database = why_not(environment("REGRANT_REDIS_CLUSTER") + "/99");
    if (no_such_database.find("DB index is out of range") == no_such_database.npos)
        CHECK(says(no_such_database, "cluster mode"));
    if (raw_server(url).knows("WAITAOF")) (void)opened(url, {.durability = redis_durability::awaited});
    else CHECK(says(why_not(url, {.durability = redis_durability::awaited}), "WAITAOF"));
    CHECK(says(why_not("redis://127.0.0.1:1"), "Connection refused"));
}

TEST_CASE("every operation does what the reference model does, on one server as on a cluster (R38, R43, R49)") {
    for (const char* const engine : two_engines) {
        CAPTURE(engine);
        redis_store store = opened(environment(engine));
        const std::string subject = fresh_subject();
        grant row = fresh_row(subject);
        row.auth_time = std::chrono::sys_seconds(1'800'000'000s);
        CHECK(!good(store.find(row.key)));
        CHECK(!advanced(store, row.key, 0, 1));
        good(store.revoke(row.key));
        CHECK(!good(store.find(row.key)));
        CHECK(inserted(store, row));
        CHECK(testing::difference(found(store, row.key), row) == "");

        grant other = fresh_row("mallory");
        other.key = row.key;
        CHECK(!inserted(store, other));
        CHECK(testing::difference(found(store, row.key), row) == "");
        CHECK(good(store.revoke_subject("mallory")) == 0);
        CHECK(good(store.list_subject("mallory")).empty());

        CHECK(advanced(store, row.key, 0, 1, row.used_at + 5ms));
        CHECK(!advanced(store, row.key, 0, 1));
        CHECK(found(store, row.key).used_at == row.used_at + 5ms);
        CHECK(advanced(store, row.key, 1, 1, row.used_at));
        CHECK(found(store, row.key).used_at == row.used_at + 5ms);
        // What Lua would print as 4.2949672950000e+09.
        CHECK(advanced(store, row.key, 1, 4'294'967'294U));
        CHECK(!advanced(store, row.key, 4'294'967'295U, 2));
        CHECK(advanced(store, row.key, 4'294'967'294U, 4'294'967'295U));
        CHECK(found(store, row.key).current == last_generation);
        CHECK(advanced(store, row.key, 4'294'967'295U, 0, instant(1'800'000'000'000ms + 3650 * 24h)));
        CHECK(found(store, row.key).used_at == instant(1'800'000'000'000ms + 3650 * 24h));

        CHECK(good(store.list_subject(subject)).size() == 1);
        CHECK(good(store.revoke_subject(subject)) == 1);
        CHECK(good(store.revoke_subject(subject)) == 0);
        CHECK(!advanced(store, row.key, 0, 1));
        CHECK(found(store, row.key).state == revocation::revoked);
        CHECK(good(store.reap(row.expires_at)) == 0);
    }
}

TEST_CASE("the conformance kit passes on one server (R38, R45, R47, R50, R51, R53)") {
    redis_store store = opened(environment("REGRANT_REDIS"));
    raw_server raw(environment("REGRANT_REDIS"));
    conformance_options options;
    options.rounds = 20;
    options.fault = [&] { raw({"CLIENT", "KILL", "TYPE", "normal"}); };
    options.set_back = [&](const row_key& key, generation to) {
        raw({"SETRANGE", name_of(key), "2", detail::redis_bytes(to)});
    };
    const auto report = check_store([&]() -> redis_store& { return store; }, options);
    INFO(report.describe());
    CHECK(report.passed());
}

TEST_CASE("the conformance kit passes on a cluster of three, with a store for each thread (R38, R45, R47, R50)") {
    std::vector<std::unique_ptr<redis_store>> stores;
    conformance_options options;
    options.rounds = 20;
    const auto report = check_store(
        [&]() -> redis_store& {
            stores.push_back(std::make_unique<redis_store>(opened(environment("REGRANT_REDIS_CLUSTER"))));
            return *stores.back();
        },
        options);
    INFO(report.describe());
    CHECK(report.passed());
}

TEST_CASE("64 threads with one token get one successor, and make one generation (R47)") {
    for (const char* const engine : two_engines) {
        redis_store store = opened(environment(engine));
        endpoint_over over(store);
        for (int round = 0; round != 3; ++round) {
            const std::string token = over.login();
            std::mutex mutex;
            std::map<std::string, int> successors;
            at_once(64, [&](unsigned) {
                const auto answer = over.refresh(token);
                const std::lock_guard lock(mutex);
                ++successors[answer.successor];
            });
            CHECK(successors.size() == 1);
            CHECK(successors.begin()->first.size() == token_keyring::token_characters);
            CHECK(over.row_of(token).current == generation{1});
        }
    }
}

TEST_CASE("a row and its index entry expire a day after the family's end, never before (R38, R43)") {
    redis_store store = opened(environment("REGRANT_REDIS"));
    raw_server raw(environment("REGRANT_REDIS"));
    const std::string subject = fresh_subject();
    const std::string index = "regrant:s:" + base64url(*sha256(subject));
    grant longer = fresh_row(subject), shorter = fresh_row(subject);
    longer.expires_at = longer.issued_at + 90 * 24h;
    CHECK(inserted(store, longer));
    CHECK(inserted(store, shorter));
    const auto end_of = [](const grant& row) {
        return std::to_string((row.expires_at + 24h).time_since_epoch().count());
    };
    CHECK(raw({"PEXPIRETIME", name_of(longer.key)}) == end_of(longer));
    CHECK(raw({"PEXPIRETIME", name_of(shorter.key)}) == end_of(shorter));
    CHECK(raw({"PEXPIRETIME", index}) == end_of(longer));
    CHECK(advanced(store, shorter.key, 0, 1));
    good(store.revoke(shorter.key));
    CHECK(raw({"PEXPIRETIME", name_of(shorter.key)}) == end_of(shorter));

    // A row that has ended already is kept for a while all the same.
    grant over = fresh_row(subject);
    over.expires_at = instant(1s);
    CHECK(inserted(store, over));
    CHECK(std::stoll(raw({"PTTL", name_of(over.key)})) > 86'000'000);
    CHECK(good(store.reap(instant(1s))) == 0);
    CHECK(good(store.reap(instant(1001ms))) == 1);
    CHECK(good(store.list_subject(subject)).size() == 2);

    // Entries past their end leave the index with the next login.
    raw({"ZADD", index, "1000", "an old one"});
    CHECK(inserted(store, fresh_row(subject)));
    CHECK(raw({"ZSCORE", index, "an old one"}).empty());
    CHECK(raw({"EXISTS", "regrant:s:" + subject}) == "0");
}

TEST_CASE("revoke_subject covers every login answered before it began, amid logins (R45, R50)") {
    for (const char* const engine : two_engines) {
        // Each login is a trip or two to a disk that other work may keep busy.
        redis_store store = opened(environment(engine), {});
        const std::string subject = fresh_subject();
        std::mutex mutex;
        std::vector<row_key> answered;
        std::vector<std::jthread> logins;
        for (int i = 0; i != 4; ++i)
            logins.emplace_back([&](const std::stop_token& over) {
                for (int made = 0; made != 100 && !over.stop_requested(); ++made) {
                    const grant row = fresh_row(subject);
                    if (store.insert(row)) {
                        const std::lock_guard lock(mutex);
                        answered.push_back(row.key);
                    }
                    std::this_thread::sleep_for(2ms);
                }
            });
        bool covered = true;
        for (int round = 0; round != 5; ++round) {
            std::vector<row_key> before;
            CHECK(eventually([&] {
                const std::lock_guard lock(mutex);
                before = answered;
                return before.size() > 5U * static_cast<unsigned>(round);
            }));
            good(store.revoke_subject(subject));
            for (const row_key& key : before) covered = covered && found(store, key).state == revocation::revoked;
        }
        logins.clear();
        CHECK(covered);
    }
}

/// How often the servers have read from their clients.
long reads_of(std::string_view engine) {
    std::vector<std::unique_ptr<raw_server>> nodes;
    if (engine == "REGRANT_REDIS") nodes.push_back(std::make_unique<raw_server>(environment("REGRANT_REDIS")));
    else nodes = operator_of_cluster().nodes;
    long all = 0;
    for (const auto& each : nodes) {
        constexpr std::string_view name = "total_reads_processed:";
        const std::string told = (*each)({"INFO", "stats"});
        REQUIRE(says(told, name));
        all += std::stol(told.substr(told.find(name) + name.size()));
    }
    return all;
}

TEST_CASE("revoke_subject sends a user's 300 logins in a few goes, and ends and counts each (R45, R50)") {
    for (const char* const engine : two_engines) {
        redis_store store = opened(environment(engine), {});
        const std::string subject = fresh_subject();
        std::set<decltype(row_key::bytes)> made;
        for (int i = 0; i != 300; ++i) {
            const grant row = fresh_row(subject);
            CHECK(inserted(store, row));
            made.insert(row.key.bytes);
        }
        const long before = reads_of(engine);
        CHECK(good(store.revoke_subject(subject)) == 300);
        CHECK(reads_of(engine) - before < 60); // a long go may be read in parts
        CHECK(good(store.revoke_subject(subject)) == 0);
        for (const grant& row : good(store.list_subject(subject))) {
            CHECK(row.state == revocation::revoked);
            made.erase(row.key.bytes);
        }
        CHECK(made.empty());
    }
}

TEST_CASE("scripts that a server has forgotten are taught again") {
    redis_store store = opened(environment("REGRANT_REDIS"));
    raw_server raw(environment("REGRANT_REDIS"));
    const grant row = fresh_row();
    CHECK(inserted(store, row));
    for (std::uint32_t i = 0; i != 3; ++i) {
        CHECK(raw({"SCRIPT", "FLUSH"}) == "OK");
        CHECK(advanced(store, row.key, i, i + 1));
    }
    CHECK(raw({"SCRIPT", "FLUSH"}) == "OK");
    good(store.revoke(row.key));
    CHECK(found(store, row.key).state == revocation::revoked);
}

TEST_CASE("revoke_subject ends all logins on servers that have forgotten the scripts (R45, R50)") {
    for (const char* const engine : two_engines) {
        redis_store store = opened(environment(engine));
        const std::string subject = fresh_subject();
        std::vector<row_key> made;
        for (int i = 0; i != 5; ++i) {
            const grant row = fresh_row(subject);
            CHECK(inserted(store, row));
            made.push_back(row.key);
        }
        if (engine == two_engines[0]) raw_server(environment(engine))({"SCRIPT", "FLUSH"});
        else
            for (const auto& node : operator_of_cluster().nodes) (*node)({"SCRIPT", "FLUSH"});
        CHECK(good(store.revoke_subject(subject)) == 5);
        for (const row_key& key : made) CHECK(found(store, key).state == revocation::revoked);
    }
}

TEST_CASE("a connection that is cut amid a user's logins is an outage, or nothing is missed (R45, R50, R51)") {
    const std::string url = environment("REGRANT_REDIS");
    cutting_proxy proxy(raw_server(url).address().port);
    redis_store through = opened("redis://127.0.0.1:" + std::to_string(proxy.port()), {.connections = 1});
    redis_store direct = opened(url);
    cut_amid_a_users_logins(proxy, through, direct);
}

TEST_CASE("a key on its way between two servers of a cluster is followed, and afterwards found at once") {
    redis_store store = opened(environment("REGRANT_REDIS_CLUSTER"));
    operator_of_cluster cluster;
    const std::string subject = fresh_subject();
    grant stays = fresh_row(subject), moves = fresh_row(subject), comes = fresh_row(subject);
    CHECK(inserted(store, moves));
    const std::string key = name_of(moves.key);
    const std::string slot = std::to_string(detail::redis_slot(key));
    const auto in_same_slot = [&](grant& row) {
        while (detail::redis_slot(name_of(row.key)) != detail::redis_slot(key)) row.key = fresh_key();
    };
    in_same_slot(stays);
    in_same_slot(comes);
    CHECK(inserted(store, stays));

    const std::size_t at = cluster.owner(key);
    raw_server &from = *cluster.nodes[at], &to = *cluster.nodes[(at + 1) % 3], &third = *cluster.nodes[(at + 2) % 3];
    const std::string from_id = from({"CLUSTER", "MYID"}), to_id = to({"CLUSTER", "MYID"});
    CHECK(to({"CLUSTER", "SETSLOT", slot, "IMPORTING", from_id}) == "OK");
    CHECK(from({"CLUSTER", "SETSLOT", slot, "MIGRATING", to_id}) == "OK");
    CHECK(from({"MIGRATE", "127.0.0.1", to.port(), key, "0", "5000"}) == "OK");
    CHECK(from({"GETEX", key}).starts_with("ASK "));
    // The other server may never have seen the scripts.
    CHECK(to({"SCRIPT", "FLUSH"}) == "OK");
    CHECK(advanced(store, moves.key, 0, 1));
    CHECK(found(store, moves.key).current == generation{1});
    CHECK(advanced(store, stays.key, 0, 1));
    CHECK(inserted(store, comes));
    CHECK(advanced(store, comes.key, 0, 1));
    CHECK(good(store.list_subject(subject)).size() == 3);

    CHECK(from({"MIGRATE", "127.0.0.1", to.port(), name_of(stays.key), "0", "5000"}) == "OK");
    for (raw_server* const each : {&to, &from, &third})
        CHECK((*each)({"CLUSTER", "SETSLOT", slot, "NODE", to_id}) == "OK");
    CHECK(from({"GETEX", key}).starts_with("MOVED "));
    for (const grant* const row : {&moves, &stays, &comes}) CHECK(advanced(store, row->key, 1, 2));
    CHECK(good(store.revoke_subject(subject)) == 3);
    // A store opened before the move and one opened after it agree.
    redis_store later = opened(environment("REGRANT_REDIS_CLUSTER"));
    CHECK(found(later, moves.key).state == revocation::revoked);
}

TEST_CASE("a cluster that lost a server answers with an outage for its slots, and goes on with the others (R51)") {
    const std::string folder = environment("REGRANT_REDIS_FOLDER") + "/three";
    redis_store store = opened(environment("REGRANT_REDIS_CLUSTER"));
    // Else the others would stop, too, as soon as they find that a server is gone.
    for (const auto& node : operator_of_cluster().nodes)
        CHECK((*node)({"CONFIG", "SET", "cluster-require-full-coverage", "no"}) == "OK");
    std::vector<grant> rows;
    for (int i = 0; i != 30; ++i) rows.push_back(fresh_row());
    for (const grant& row : rows) CHECK(inserted(store, row));
    serve("kill '" + folder + "/3'");
    int reached = 0, outages = 0;
    for (const grant& row : rows) {
        const auto begun = clock_type::now();
        const auto answer = store.advance(row.key, generation{0}, generation{1}, current_time());
        CHECK(clock_type::now() - begun < busy);
        ++(answer ? reached : outages);
    }
    CHECK(outages > 0);
    CHECK(reached > 0);
    serve("start '" + folder + "/3'");
    for (const grant& row : rows) {
        auto answer = store.find(row.key);
        CHECK(eventually([&] { return (answer = store.find(row.key)).has_value(); }));
        REQUIRE((answer.has_value() && answer->has_value()));
        CHECK(eventually([&] {
            return store.advance(row.key, (*answer)->current, next((*answer)->current), current_time()).has_value();
        }));
    }
    for (const auto& node : operator_of_cluster().nodes)
        CHECK((*node)({"CONFIG", "SET", "cluster-require-full-coverage", "yes"}) == "OK");
}

TEST_CASE("killed amid a load, a server forgets no rotation and no revoke, and nobody is logged out (R51, R53)") {
    server own("killed");
    constexpr auto timeout = 1s;
    redis_store store = opened(own.url, {.timeout = timeout});
    endpoint_over over(store);
    std::atomic<bool> done{false};
    std::atomic<unsigned> answered{0}, outages{0}, logged_out{0}, late{0}, lost{0};
    std::vector<std::thread> clients;
    for (int i = 0; i != 8; ++i)
        clients.emplace_back([&, token = over.login()]() mutable {
            std::uint32_t acknowledged = 0;
            while (!done) {
                const auto begun = clock_type::now();
                const auto answer = over.refresh(token);
                // Each call has the timeout to itself.
                if (clock_type::now() - begun > 2 * timeout + busy) ++late;
                if (answer.status == http_status::ok) {
                    token = answer.successor;
                    ++acknowledged;
                    ++answered;
                } else if (answer.status == http_status::service_unavailable) {
                    ++outages;
                    std::this_thread::sleep_for(10ms);
                } else {
                    ++logged_out;
                    return;
                }
            }
            if (!eventually([&] { return over.has_reached(token, generation{acknowledged}); })) ++lost;
        });
    std::vector<std::string> ended;
    std::atomic<unsigned> revoked{0};
    std::thread revoker([&] {
        while (!done) {
            auto login = over.endpoint.issue({"web", "bob", "profile"});
            if (!login) continue;
            const std::string token(login->refresh_token.reveal());
            if (!over.endpoint.revoke(token)) continue;
            ended.push_back(token);
            ++revoked;
        }
    });
    for (int i = 0; i != 2; ++i) {
        const unsigned answered_before = answered, revoked_before = revoked;
        CHECK(eventually([&] { return answered > answered_before + 50 && revoked > revoked_before; }));
        own.kill();
        const unsigned outages_before = outages;
        CHECK(eventually([&] { return outages > outages_before; }));
        own.start();
    }
    const unsigned before = answered;
    CHECK(eventually([&] { return answered > before; }));
    done = true;
    for (std::thread& each : clients) each.join();
    revoker.join();
    MESSAGE(answered.load() << " refreshes, " << outages.load() << " outages, "
             << ended.size() << " revokes, killed twice");
    CHECK(logged_out == 0);
    CHECK(late == 0);
    CHECK(lost == 0);
    for (const std::string& token : ended)
        CHECK(status_in_the_end([&] { return over.refresh(token); }) == http_status::bad_request);
}

TEST_CASE("a server that hangs is an outage when the time is up, and the call may have acted (R51)") {
    server own("hung");
    redis_store patient = opened(own.url);
    CHECK(given_time([&](std::chrono::milliseconds timeout) {
        redis_store store = opened(own.url, {.timeout = timeout, .connections = 2});
        const grant row = fresh_row();
        if (!store.insert(row)) return false; // it has a connection now; a late answer may cost it that
        REQUIRE(::kill(own.pid(), SIGSTOP) == 0);
        std::mutex mutex;
        std::string words;
        at_once(6, [&](unsigned) {
            const auto begun = clock_type::now();
            const auto answer = store.advance(row.key, generation{0}, generation{1}, current_time());
            const auto took = clock_type::now() - begun;
            const std::lock_guard lock(mutex);
            CHECK(!answer.has_value());
            CHECK(took < timeout + busy);
            if (!answer) words += answer.error().detail + '\n';
        });
        REQUIRE(::kill(own.pid(), SIGCONT) == 0);
        INFO(words);
        // It reads what stands in its socket: once for all six.
        CHECK(eventually([&] { return found(patient, row.key).current == generation{1}; }));
        return words.find("no answer within the timeout") != words.npos &&
               words.find("every connection was in use for too long") != words.npos;
    }));
}

TEST_CASE("with fewer connections to the server than the store may open no call fails for it (R241)") {
    server own("few", "'maxclients 5'");
    const grant row = fresh_row();
    {
        redis_store store = opened(own.url, {.connections = 16});
        CHECK(inserted(store, row));
        std::atomic<int> failed = 0;
        at_once(12, [&](unsigned) {
            for (int i = 0; i != 40; ++i) failed += store.find(row.key).has_value() ? 0 : 1;
        });
        CHECK(failed == 0);
    }
    // With none open it is refused before it asks anything, and says so.
    redis_store late = opened(own.url, {.connections = 1});
    raw_server admin(own.url);
    CHECK(admin({"CONFIG", "SET", "maxclients", "2"}) == "OK");
    CHECK(admin({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}) != "");
    raw_server second(own.url);
    CHECK(second({"PING"}) == "PONG");
    const auto refused = late.advance(row.key, generation{0}, generation{1}, current_time());
    REQUIRE_FALSE(refused.has_value());
    CHECK(says(refused.error().detail, "max number of clients"));
    CHECK(refused.error().detail.find("acted") == std::string::npos);
    CHECK(admin({"CONFIG", "SET", "maxclients", "5"}) == "OK");
    CHECK(eventually([&] { return late.find(row.key).has_value(); }));
    CHECK(found(late, row.key).current == generation{0});
}

TEST_CASE("a network that loses all connections in silence costs one timeout, not one for each (R242)") {
    server own("silent");
    raw_server raw(own.url);
    cutting_proxy proxy(raw.address().port);
    const std::string behind = "redis://127.0.0.1:" + std::to_string(proxy.port());
    const grant row = fresh_row();
    redis_store direct = opened(own.url);
    CHECK(inserted(direct, row));
    // A busy machine may let a call fail that is only late.
    CHECK(given_time([&](std::chrono::milliseconds timeout) {
        redis_store store = opened(behind, {.timeout = 2 * timeout, .connections = 6});
        // Calls that all wait for the server need a connection each.
        CHECK(raw({"CLIENT", "PAUSE", "300", "ALL"}) == "OK");
        std::atomic<int> failed = 0;
        at_once(6, [&](unsigned) { failed += store.find(row.key).has_value() ? 0 : 1; });
        if (failed != 0) return false;
        proxy.swallow();
        for (int i = 0; i != 12; ++i) failed += store.find(row.key).has_value() ? 0 : 1;
        return failed == 1;
    }));
}

TEST_CASE("a server whose memory is full ends logins all the same (R44, R50, R244)") {
    server own("full");
    redis_store store = opened(own.url);
    const std::string subject = fresh_subject();
    const grant row = fresh_row(subject), other = fresh_row(subject), live = fresh_row();
    for (const grant* each : {&row, &other, &live}) CHECK(inserted(store, *each));
    raw_server raw(own.url);
    CHECK(raw({"CONFIG", "SET", "maxmemory", "1"}) == "OK");
    const auto refused = store.advance(live.key, generation{0}, generation{1}, current_time());
    REQUIRE_FALSE(refused.has_value());
    CHECK(says(refused.error().detail, "OOM"));
    good(store.revoke(row.key));
    good(store.revoke(row.key));
    CHECK(good(store.revoke_subject(subject)) == 1);
    CHECK(raw({"CONFIG", "SET", "maxmemory", "0"}) == "OK");
    for (const grant* each : {&row, &other}) {
        CHECK_FALSE(advanced(store, each->key, 0, 1));
        const auto left = good(store.find(each->key));
        CHECK((!left || left->state == revocation::revoked));
    }
    CHECK(good(store.list_subject(subject)).empty());
    CHECK(advanced(store, live.key, 0, 1));
}

TEST_CASE("a Unix socket leads to the server, with a password and to a database (R244)") {
    server own("socket", on_unix_socket + " 'requirepass hunter2'");
    CHECK(says(why_not(own.socket_url()), "NOAUTH"));
    const std::string at = own.socket_url().substr(7), whole = "unix://:hunter2@" + at + "?db=3";
    CHECK(says(why_not("unix://:hunter22@" + at), at));
    CHECK(says(why_not("unix://:hunter2@" + at + "s"), "No such file"));
    redis_store store = opened(whole);
    const grant row = fresh_row("alice");
    CHECK(inserted(store, row));
    CHECK(advanced(store, row.key, 0, 1));
    CHECK(found(store, row.key).current == generation{1});
    CHECK_FALSE(good(opened("unix://:hunter2@" + at).find(row.key)));
    redis_store over_tcp = opened("redis://:hunter2@" + own.url.substr(8) + "/3");
    CHECK(good(over_tcp.revoke_subject("alice")) == 1);
    CHECK(found(store, row.key).state == revocation::revoked);
    own.kill();
    const auto gone = store.find(row.key);
    REQUIRE_FALSE(gone);
    CHECK(says(gone.error().detail, "Redis " + at));
    own.start();
    CHECK(eventually([&] { return store.find(row.key).has_value(); }));
}

TEST_CASE("TLS keeps a server's secrets from all whose certificate is not good (R244)") {
    behind_tls("tls", why_not, [](const std::string& url, const redis_settings& settings) {
        redis_store store = opened(url, settings);
        const std::string subject = fresh_subject();
        std::vector<grant> rows;
        for (int i = 0; i != 100; ++i) rows.push_back(fresh_row(subject));
        for (const grant& row : rows) CHECK(inserted(store, row));
        CHECK(advanced(store, rows[0].key, 0, 1));
        // More than one record of TLS.
        CHECK(good(store.list_subject(subject)).size() == rows.size());
        CHECK(good(store.revoke_subject(subject)) == rows.size());
    });
}

TEST_CASE("the conformance kit passes over TLS (R38, R45, R51, R244)") {
    const std::string at = certificates();
    server own("tls_kit", "tls=good");
    const auto tls = redis_tls({.ca_file = at + "ca.pem"});
    REQUIRE(tls.has_value());
    redis_store store = opened("rediss://localhost:" + own.tls_port(), {.tls = *tls});
    raw_server raw(own.url);
    conformance_options options;
    options.rounds = 5;
    options.fault = [&] { raw({"CLIENT", "KILL", "TYPE", "normal"}); };
    const auto report = check_store([&]() -> redis_store& { return store; }, options);
    INFO(report.describe());
    CHECK(report.passed());
    raw({"CONFIG", "RESETSTAT"});
    const grant row = fresh_row();
    CHECK(inserted(store, row));
    for (std::uint32_t i = 0; i != 50; ++i) CHECK(advanced(store, row.key, i, i + 1));
    // Connections are used again: what TLS itself sends does not end them.
    CHECK(says(raw({"INFO", "stats"}), "total_connections_received:0\r"));
}

TEST_CASE("a connection that is cut amid TLS is an outage, or nothing is missed (R45, R50, R51, R244)") {
    const std::string at = certificates();
    server own("tls_cut", "tls=good");
    const auto tls = redis_tls({.ca_file = at + "ca.pem"});
    REQUIRE(tls.has_value());
    cutting_proxy proxy(static_cast<std::uint16_t>(std::stoi(own.tls_port())));
    redis_store through = opened("rediss://127.0.0.1:" + std::to_string(proxy.port()), {.timeout = 2s, .tls = *tls}),
                direct = opened(own.url);
    cut_amid_a_users_logins(proxy, through, direct);
}

TEST_CASE("a Sentinel is told from the server that it watches (R244)") {
    server own("watched");
    raw_server raw(own.url);
    const sentinel watching("watching", raw.port());
    CHECK(says(why_not(watching.url), "it is a Sentinel; redis+sentinel://"));
}

TEST_CASE("a store with Sentinels follows a failover, and nobody is logged out by it (R51, R244)") {
    follows_a_failover("failover", [](const std::string& url, const redis_settings& settings, auto use) {
        redis_store store = opened(url, settings);
        endpoint_over over(store);
        std::string token = over.login();
        // While there is no master the answer is 503, and never that the token is worth nothing.
        use(store, [&] {
            const auto answer = over.refresh(token);
            if (answer.status == http_status::service_unavailable) return false;
            REQUIRE(answer.status == http_status::ok);
            token = answer.successor;
            return true;
        });
    });
}

TEST_CASE("a master that was cut off is left though it still answers, and Sentinels may rest meanwhile (R51, R244)") {
    leaves_a_master_that_was_cut_off("blocking", [](const std::string& url, auto use) {
        redis_store store = opened(url);
        use(store);
    });
}

TEST_CASE("of Sentinels that are gone, or know nothing, it is said why no master was found (R244)") {
    server own("unknown_master");
    raw_server raw(own.url);
    const sentinel watching("unknown_sentinel", raw.port(), "'requirepass hunter2'");
    const std::string at = watching.url.substr(8), gone = "127.0.0.1:1", wrong = own.url.substr(8);
    CHECK(says(why_not("redis+sentinel://" + gone + "/main"), "Sentinel " + gone + ": Connection refused"));
    CHECK(says(why_not("redis+sentinel://" + wrong + "/main"), "Sentinel " + wrong + ": ERR unknown command"));
    const std::string all = why_not("redis+sentinel://" + gone + "," + at + "/main");
    CHECK(says(all, "Sentinel " + gone + ": Connection refused; Sentinel " + at + ": NOAUTH"));
    redis_settings settings{.sentinel_password = std::make_shared<const secret>("hunter2")};
    CHECK(says(why_not("redis+sentinel://" + at + "/other", settings), "it knows no master by the name of other"));
    (void)opened("redis+sentinel://" + gone + "," + wrong + "," + at + "/main", settings);
    settings.sentinel_user = "nobody";
    CHECK(says(why_not("redis+sentinel://" + at + "/main", settings), "WRONGPASS"));
    settings.sentinel_user = "default";
    (void)opened("redis+sentinel://" + at + "/main", settings);
    // Its master has become a replica, and the Sentinel does not know that yet.
    CHECK(raw({"REPLICAOF", "127.0.0.1", "1"}) == "OK");
    CHECK(says(why_not("redis+sentinel://" + at + "/main", settings), "it is not a master"));
}

TEST_CASE("over TLS a store verifies Sentinels as well as the master that they name (R244)") {
    const std::string at = certificates();
    server own("tls_watched", "tls=good");
    const sentinel good("tls_sentinel", own.tls_port(), "tls=good 'tls-replication yes'"),
        bad("tls_elsewhere", own.tls_port(), "tls=elsewhere 'tls-replication yes'");
    const auto tls = redis_tls({.ca_file = at + "ca.pem"});
    REQUIRE(tls.has_value());
    const auto url = [](const sentinel& by) { return "rediss+sentinel://localhost:" + by.tls_port() + "/main"; };
    redis_store store = opened(url(good), {.tls = *tls});
    const grant row = fresh_row();
    CHECK(inserted(store, row));
    CHECK(says(why_not(url(bad), {.tls = *tls}), "hostname mismatch"));
}

TEST_CASE("a prefix with characters that patterns take for themselves is meant literally (R43)") {
    const std::string odd = "a[b]c*?^-\\:" + std::to_string(::getpid()) + ':';
    redis_store store = opened(environment("REGRANT_REDIS"), {.prefix = odd});
    grant row = fresh_row();
    row.expires_at = current_time() + 1h;
    CHECK(inserted(store, row));
    CHECK(good(store.reap(row.expires_at + 1ms)) == 1);
    CHECK_FALSE(good(store.find(row.key)).has_value());
}

TEST_CASE("all who wait for a connection to a server that dies are told so, not only those that it held up (R51)") {
    server own("woken");
    const detail::redis_access access{{}, 2, 1s};
    detail::redis_node node(detail::redis_url::parse(own.url)->at, access);
    constexpr auto timeout = 2 * busy; // who is not told does not finish in half of it
    std::vector<detail::redis_node::loan> held;
    for (int i = 0; i != 2; ++i) {
        auto taken = node.take(clock_type::now() + timeout);
        REQUIRE(taken.has_value());
        held.push_back(*std::move(taken));
    }
    const auto took = time_of([&] {
        std::vector<std::thread> all;
        for (int i = 0; i != 12; ++i)
            all.emplace_back([&] { CHECK(!node.take(clock_type::now() + timeout).has_value()); });
        std::this_thread::sleep_for(200ms); // most of them wait by now; who comes later is told so, too
        own.kill();
        for (auto& each : held) each->close();
        held.clear();
        for (std::thread& each : all) each.join();
    });
    CHECK(took < timeout / 2);
}

TEST_CASE("who comes too late to connect makes nobody else wait (R51)") {
    const detail::redis_access access{{}, 2, 1s};
    detail::redis_node node(raw_server(environment("REGRANT_REDIS")).address(), access);
    CHECK(says(node.take(clock_type::now() - 1ms).error(), "no time was left"));
    CHECK(node.take(clock_type::now() + 30s).has_value());
}

TEST_CASE("a call that comes too late costs no connection that is idle (R51)") {
    raw_server raw(environment("REGRANT_REDIS"));
    detail::redis_cluster cluster(raw.address(), {{}, 4, 1s}, {});
    const auto borrow_all = [&] {
        std::vector<detail::redis_node::loan> held;
        for (int i = 0; i != 4; ++i) {
            auto taken = cluster.routes().seed().take(clock_type::now() + 30s);
            REQUIRE(taken.has_value());
            held.push_back(*std::move(taken));
        }
    };
    const auto accepted = [&] {
        constexpr std::string_view name = "total_connections_received:";
        const std::string told = raw({"INFO", "stats"});
        return std::stol(told.substr(told.find(name) + name.size()));
    };
    borrow_all();
    const long before = accepted();
    std::vector<detail::redis_request> asked;
    asked.push_back({"key", detail::redis_command({"GET", "key"})});
    CHECK(says(cluster.ask(asked[0], clock_type::now()).error().detail, "no time was left"));
    CHECK(says(cluster.ask_each(asked, clock_type::now()).front()->error().detail, "no time was left"));
    borrow_all();
    CHECK(accepted() == before);
}

TEST_CASE("a port where nobody speaks Redis does not hold open up longer than the timeout") {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&at), size) == 0);
    REQUIRE(::listen(listener, 8) == 0);
    REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    const auto begun = clock_type::now();
    CHECK(says(why_not("redis://:hunter2@127.0.0.1:" + std::to_string(ntohs(at.sin_port)),
                       {.timeout = 400ms, .connect_timeout = unhurried}),
               "no answer within the timeout"));
    CHECK(clock_type::now() - begun < 400ms + busy);
    ::close(listener);
}

TEST_CASE("a server set back heals the newest tokens, and who was revoked before stays revoked (R53)") {
    server own("set_back");
    const fs::path files = fs::path(own.folder) / "appendonlydir", copy = fs::path(own.folder) / "copy";
    redis_store store = opened(own.url);
    endpoint_over over(store);
    std::string token = over.login();
    const std::string thrown_out = over.login();
    REQUIRE(over.endpoint.revoke(thrown_out).has_value());
    own.kill();
    fs::copy(files, copy, fs::copy_options::recursive);
    own.start();
    // The first try after a restart may still meet the pause.
    for (int i = 0; i != 5;) {
        const auto answer = over.refresh(token);
        if (answer.status == http_status::service_unavailable) continue;
        REQUIRE(answer.status == http_status::ok);
        token = answer.successor;
        ++i;
    }
    own.kill();
    fs::remove_all(files);
    fs::rename(copy, files);
    own.start();
    CHECK(over.row_of(token).current == generation{0});
    const auto healed = over.refresh(token);
    REQUIRE(healed.status == http_status::ok);
    CHECK(over.row_of(token).current == generation{6});
    CHECK(over.refresh(healed.successor).status == http_status::ok);
    CHECK(over.refresh(thrown_out).status == http_status::bad_request);
}

TEST_CASE("a chain of 100,000 refreshes of one family leaves one key that is no larger (R47)") {
    server own("chain", "'appendfsync everysec'");
    CHECK(says(why_not(own.url), "set appendfsync always"));
    redis_store store = opened(own.url, {.durability = redis_durability::everysec});
    raw_server raw(own.url);
    const grant row = fresh_row();
    CHECK(inserted(store, row));
    CHECK(advanced(store, row.key, 0, 1));
    const std::string size = raw({"MEMORY", "USAGE", name_of(row.key)}), keys = raw({"DBSIZE"});
    const auto begun = clock_type::now();
    for (std::uint32_t i = 1; i != 100'000; ++i)
        if (!advanced(store, row.key, i, i + 1)) FAIL("refused at " << i);
    const auto took = std::chrono::duration<double>(clock_type::now() - begun).count();
    MESSAGE((100'000 / took) << " advances a second on one connection");
    CHECK(found(store, row.key).current == generation{100'000});
    CHECK(raw({"MEMORY", "USAGE", name_of(row.key)}) == size);
    CHECK(raw({"DBSIZE"}) == keys);
}

TEST_CASE("8192 families of as many users: what they take") {
    server own("memory", "'appendfsync everysec'");
    redis_store store = opened(own.url, {.durability = redis_durability::everysec});
    raw_server raw(own.url);
    const auto used = [&] {
        const std::string info = raw({"INFO", "memory"});
        return std::stod(info.substr(info.find("used_memory:") + 12));
    };
    const double before = used();
    constexpr int families = 8192; // the table of keys has grown to that then
    std::size_t row_bytes = 0, index_bytes = 0;
    for (int i = 0; i != families; ++i) {
        const std::string subject = base64url(fresh_key().bytes).substr(0, 36);
        grant row(fresh_key(), {"web-client-of-example", subject, "openid profile email offline_access"});
        row.issued_at = row.used_at = current_time();
        row.expires_at = row.issued_at + 90 * 24h;
        REQUIRE(inserted(store, row));
        row_bytes = std::stoul(raw({"MEMORY", "USAGE", name_of(row.key)}));
        index_bytes = std::stoul(raw({"MEMORY", "USAGE", "regrant:s:" + base64url(*sha256(subject))}));
    }
    const double each = (used() - before) / families;
    MESSAGE("MEMORY USAGE " << row_bytes << " + index " << index_bytes << " bytes; used_memory grows by " << each
                            << " bytes a family: " << ((1 << 30) / each / 1e6) << " million families a GiB");
    CHECK(each < 700);
}

TEST_CASE("two processes on one server make one line of generations (R47)") {
    redis_store store = opened(environment("REGRANT_REDIS"));
    endpoint_over over(store);
    std::array<int, 2> to{}, from{};
    REQUIRE((::pipe(to.data()) == 0 && ::pipe(from.data()) == 0));
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(to[0], 0);
        ::dup2(from[1], 1);
        for (const int each : {to[0], to[1], from[0], from[1]}) ::close(each);
        ::execl("/proc/self/exe", "worker", "--no-skip", "--test-case=the other process", static_cast<char*>(nullptr));
        ::_exit(1);
    }
    ::close(to[0]);
    ::close(from[1]);
    std::FILE* const orders = ::fdopen(to[1], "w");
    std::FILE* const answers = ::fdopen(from[0], "r");
    std::string token = over.login();
    constexpr std::uint32_t rounds = 100;
    for (std::uint32_t round = 0; round != rounds; ++round) {
        std::fprintf(orders, "%s\n", token.c_str());
        std::fflush(orders);
        std::mutex mutex;
        std::set<std::string> successors;
        at_once(4, [&](unsigned) {
            const auto answer = over.refresh(token);
            const std::lock_guard lock(mutex);
            successors.insert(answer.successor);
        });
        std::array<char, 256> line{};
        do REQUIRE(std::fgets(line.data(), static_cast<int>(line.size()), answers) != nullptr);
        while (std::string_view(line.data()).rfind("> ", 0) != 0);
        successors.insert(std::string(line.data() + 2, std::string_view(line.data()).size() - 3));
        REQUIRE(successors.size() == 1);
        token = *successors.begin();
        REQUIRE(token.size() == token_keyring::token_characters);
    }
    std::fclose(orders);
    int status = -1;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    std::fclose(answers);
    CHECK(over.row_of(token).current == generation{rounds});
}

TEST_CASE("the other process" * doctest::skip()) {
    redis_store store = opened(environment("REGRANT_REDIS"));
    endpoint_over over(store);
    std::array<char, 256> line{};
    while (std::fgets(line.data(), static_cast<int>(line.size()), stdin) != nullptr) {
        const std::string token(line.data(), token_keyring::token_characters);
        std::mutex mutex;
        std::set<std::string> successors;
        at_once(4, [&](unsigned) {
            const auto answer = over.refresh(token);
            const std::lock_guard lock(mutex);
            successors.insert(answer.successor);
        });
        std::printf("> %s\n", successors.size() == 1 ? successors.begin()->c_str() : "not one");
        std::fflush(stdout);
    }
}

TEST_CASE("a server that does not know AUTH, and quotes what it was sent, does not put a password in a message (R76)") {
    const server unknowing("unknowing", "'rename-command AUTH \"\"'");
    const std::string why = why_not("redis://login:hunter2@" + unknowing.url.substr(8));
    CHECK(says(why, "unknown command"));
    CHECK(why.find("login") == std::string::npos);
    CHECK(why.find("hunter2") == std::string::npos);
}

TEST_CASE("a wrong password, a missing right, a replica, eviction or no file: the store is not opened") {
    server primary("primary", "'requirepass hunter2' 'repl-diskless-sync-delay 0'");
    raw_server nobody(primary.url);
    const std::string at = primary.url.substr(8);
    CHECK(says(why_not(primary.url), "NOAUTH"));
    CHECK(says(why_not("redis://:hunter22@" + at), "WRONGPASS"));
    CHECK(says(why_not("redis://login:hunter2@" + at), "WRONGPASS"));
    CHECK(says(why_not("redis://:hunter2@" + environment("REGRANT_REDIS").substr(8)), "AUTH"));
    const std::string root = "redis://:hunter2@" + at;
    redis_store store = opened(root);

    detail::redis_access access{{}, 1, 1s};
    access.greeting.push_back(detail::redis_command({"AUTH", "hunter2"}));
    detail::redis_node node(detail::redis_url::parse(primary.url)->at, access);
    const auto tell = [&](std::initializer_list<std::string_view> words) {
        const auto answer = detail::redis_cluster::ask(node, detail::redis_command(words), clock_type::now() + 5s);
        REQUIRE(answer.has_value());
        CAPTURE(std::string((**answer).text()));
        CHECK(!(**answer).is_error());
        return std::string((**answer).text());
    };
    SUBCASE("rights") {
        // What the class promises to need, and no more.
        tell({"ACL", "SETUSER", "login", "on", ">hunter2%", "resetkeys", "~regrant:*", "nocommands", "+getex", "+set",
              "+eval", "+evalsha", "+script|load", "+getrange", "+setrange", "+del", "+zadd", "+zrange",
              "+zremrangebyscore", "+pexpireat", "+time", "+scan"});
        const std::string login = "redis://login:hunter2%25@" + at;
        CHECK(says(why_not(login), "INFO"));
        tell({"ACL", "SETUSER", "login", "+info"});
        CHECK(says(why_not(login), "CONFIG GET"));
        tell({"ACL", "SETUSER", "login", "+config|get"});
        redis_store limited = opened(login);
        const grant row = fresh_row("carol");
        CHECK(inserted(limited, row));
        CHECK(advanced(limited, row.key, 0, 1));
        CHECK(good(limited.list_subject("carol")).size() == 1);
        CHECK(good(limited.revoke_subject("carol")) == 1);
        CHECK(good(limited.reap(row.expires_at + 1ms)) == 1);
        CHECK(says(why_not(login, {.prefix = "other:"}), "NOPERM"));
    }
    SUBCASE("settings") {
        tell({"CONFIG", "SET", "maxmemory-policy", "volatile-lru"});
        CHECK(says(why_not(root), "noeviction"));
        CHECK(says(why_not(root, {.durability = redis_durability::unchecked}), "noeviction"));
        tell({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
        tell({"CONFIG", "SET", "no-appendfsync-on-rewrite", "yes"});
        CHECK(says(why_not(root), "set no-appendfsync-on-rewrite no"));
        CHECK(says(why_not(root, {.durability = redis_durability::everysec}), "set no-appendfsync-on-rewrite no"));
        tell({"CONFIG", "SET", "no-appendfsync-on-rewrite", "no"});
        tell({"CONFIG", "SET", "appendfsync", "no"});
        CHECK(says(why_not(root), "set appendfsync always"));
        CHECK(says(why_not(root, {.durability = redis_durability::everysec}), "set appendfsync everysec"));
        (void)opened(root, {.durability = redis_durability::unchecked});
        tell({"CONFIG", "SET", "appendfsync", "everysec"});
        (void)opened(root, {.durability = redis_durability::everysec});
        tell({"CONFIG", "SET", "appendonly", "no"});
        CHECK(says(why_not(root), "set appendonly yes"));
        CHECK(says(why_not(root, {.durability = redis_durability::everysec}), "set appendonly yes"));
        (void)opened(root, {.durability = redis_durability::unchecked});
    }
    SUBCASE("memory") {
        tell({"CONFIG", "SET", "maxmemory", "1"});
        const auto full = store.insert(fresh_row());
        REQUIRE(!full.has_value());
        CHECK(says(full.error().detail, "OOM"));
        tell({"CONFIG", "SET", "maxmemory", "0"});
        CHECK(inserted(store, fresh_row()));
    }
    SUBCASE("replicas") {
        std::string second_url;
        {
            server second("second", "'replicaof 127.0.0.1 " + nobody.port() + "' 'masterauth hunter2'");
            second_url = second.url;
            CHECK(says(why_not(second.url), "replica"));
            CHECK(says(why_not(second.url, {.durability = redis_durability::unchecked}), "replica"));
            redis_store acknowledged = opened(root, {.replicas = 1});
            // It may still be catching up.
            CHECK(eventually([&] { return acknowledged.insert(fresh_row()).has_value(); }));
            const grant row = fresh_row();
            CHECK(inserted(acknowledged, row));
            redis_store impatient = opened(root, {.replicas = 1, .timeout = 2s});
            REQUIRE(::kill(second.pid(), SIGSTOP) == 0);
            // A busy machine may be late to ask.
            CHECK(given_time([&](std::chrono::milliseconds timeout) {
                redis_store asked = opened(root, {.replicas = 1, .timeout = timeout});
                const auto begun = clock_type::now();
                const auto revoked = asked.revoke(row.key);
                CHECK(clock_type::now() - begun < timeout + busy);
                REQUIRE(!revoked.has_value());
                INFO(revoked.error().detail);
                return revoked.error().detail.find("0 of 1 replicas") != std::string::npos;
            }));
            // Not yet, though the row is revoked here already: the replica still does not know.
            CHECK(!impatient.revoke(row.key).has_value());
            CHECK(advanced(store, fresh_row().key, 0, 1) == false);
            REQUIRE(::kill(second.pid(), SIGCONT) == 0);
            good(acknowledged.revoke(row.key));
        }
        // A primary that is demoted while the store is open answers no find from memory.
        server third("third");
        redis_store demoted = opened(third.url);
        const grant row = fresh_row();
        CHECK(inserted(demoted, row));
        raw_server raw(third.url);
        CHECK(raw({"REPLICAOF", "127.0.0.1", "1"}) == "OK");
        const auto stale = demoted.find(row.key);
        REQUIRE(!stale.has_value());
        CHECK(says(stale.error().detail, "READONLY"));
        CHECK(says(demoted.advance(row.key, generation{0}, generation{1}, current_time()).error().detail, "READONLY"));
        CHECK(says(demoted.list_subject("alice").error().detail, "READONLY"));
        CHECK(raw({"REPLICAOF", "NO", "ONE"}) == "OK");
        CHECK(advanced(demoted, row.key, 0, 1));
    }
}

} // TEST_SUITE
