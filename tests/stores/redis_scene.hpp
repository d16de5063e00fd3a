// tests/stores/redis_scene.hpp - the Redis servers that the tests of its stores use, seen from outside.
// SPDX-License-Identifier: MIT
#pragma once

#include <regrant/base64.hpp>
#include <regrant/detail/redis_cluster.hpp>
#include <regrant/detail/redis_node.hpp>
#include <regrant/store/redis_tls.hpp>
#include <regrant/token_store.hpp>

#include "cutting_proxy.hpp"
#include "scene.hpp"

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace scene {

using namespace regrant;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

inline std::string environment(const char* name) {
    const char* const found = std::getenv(name);
    INFO("run it by: python3 tests/stores/redis_server.py run <this program>");
    REQUIRE(found != nullptr);
    return found;
}

/// Runs redis_server.py. \return what it says, without the end of the line
inline std::string serve(const std::string& what) {
    const std::string command = "python3 '" + environment("REGRANT_REDIS_SERVER") + "' " + what;
    std::FILE* const out = ::popen(command.c_str(), "r");
    REQUIRE(out != nullptr);
    std::string said;
    std::array<char, 256> part{};
    while (std::fgets(part.data(), static_cast<int>(part.size()), out) != nullptr) said += part.data();
    INFO(command);
    REQUIRE(::pclose(out) == 0);
    return said.substr(0, said.find('\n'));
}

/// A server of its own for one test.
struct server {
    explicit server(const std::string& name, const std::string& options = "") : server(name, "start", options) {}
    server(const std::string& name, const std::string& verb, const std::string& options)
        : folder(environment("REGRANT_REDIS_FOLDER") + "/" + name),
          url(serve(verb + " '" + folder + "' " + options)) {}
    ~server() {
        if (!folder.empty()) serve("stop '" + folder + "'");
    }
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    void kill() const { serve("kill '" + folder + "'"); }
    void start() const { serve("start '" + folder + "'"); }
    pid_t pid() const {
        pid_t read = 0;
        std::ifstream(folder + "/pid") >> read;
        REQUIRE(read > 1);
        return read;
    }

    /// The same server by its Unix socket, if its options were `on_unix_socket`.
    std::string socket_url() const { return "unix://" + folder + "/redis.sock"; }

    /// The port for TLS, if one of its options was `tls=...`.
    std::string tls_port() const {
        std::ifstream config(folder + "/redis.conf");
        std::string word, port;
        while (config >> word && word != "tls-port") {}
        config >> port;
        return port;
    }

    std::string folder, url;
};

/// Settings with more time than any call takes on a busy machine, where a test does not set them by itself.
inline redis_settings patient(redis_settings settings) {
    const redis_settings defaults;
    if (settings.timeout == defaults.timeout) settings.timeout = unhurried;
    if (settings.connect_timeout == defaults.connect_timeout) settings.connect_timeout = unhurried;
    return settings;
}

/// Watches the server at a port.
struct sentinel : server {
    sentinel(const std::string& name, const std::string& port, const std::string& options = "")
        : server(name, "sentinel", port + " " + options) {}
};

/// Makes certificates for the servers that are started from now on. \return where they are, with a / behind
inline std::string certificates() {
    const std::string folder = environment("REGRANT_REDIS_FOLDER");
    static const bool made = (serve("certificates '" + folder + "'"), true);
    REQUIRE(made);
    return folder + "/";
}

inline const std::string on_unix_socket = "'unixsocket redis.sock'";

/// One server as an operator sees it, with neither cluster nor pool.
class raw_server {
public:
    explicit raw_server(std::string_view url) : raw_server(detail::redis_url::parse(url)->at) {}
    explicit raw_server(detail::redis_address at) : at_(std::move(at)), access_{{}, 1, unhurried}, node_(at_, access_) {}

    /// \return text, a number as digits, or an error's words
    std::string operator()(std::initializer_list<std::string_view> words) {
        const auto answer = detail::redis_cluster::ask(node_, detail::redis_command(words), clock_type::now() + unhurried);
        INFO((answer ? std::string() : answer.error().detail));
        REQUIRE(answer.has_value());
        const detail::redis_value value = **answer;
        return value.is_integer() ? std::to_string(value.integer()) : std::string(value.text());
    }
    bool knows(std::string_view command) {
        const auto answer = detail::redis_cluster::ask(node_, detail::redis_command({"COMMAND", "INFO", command}),
                                                       clock_type::now() + unhurried);
        REQUIRE((answer.has_value() && (**answer).size() == 1));
        return (**answer)[0].is_array();
    }
    const detail::redis_address& address() const { return at_; }
    std::string port() const { return std::to_string(at_.port); }

private:
    detail::redis_address at_;
    detail::redis_access access_;
    detail::redis_node node_;
};

inline bool says(const std::string& text, std::string_view words) {
    INFO("\"" << text << "\" should say \"" << std::string(words) << "\"");
    const bool found = text.find(words) != text.npos;
    CHECK(found);
    return found;
}

inline row_key fresh_key() {
    static std::mutex alone;
    static std::mt19937_64 random{std::random_device{}()};
    const std::lock_guard lock(alone);
    row_key key;
    for (std::byte& each : key.bytes) each = static_cast<std::byte>(random());
    return key;
}

inline grant fresh_row(std::string_view subject = "alice") {
    grant row(fresh_key(), {"web", subject, "openid profile"});
    row.issued_at = row.used_at = current_time();
    row.expires_at = row.issued_at + 24h;
    return row;
}

inline std::string fresh_subject() { return "user " + base64url(fresh_key().bytes); }

inline std::string name_of(const row_key& key) { return "regrant:f:" + base64url(key.bytes); }

template <class T> T good(result<T, outage> answer) {
    INFO((answer ? std::string() : answer.error().detail));
    REQUIRE(answer.has_value());
    return *std::move(answer);
}
inline void good(const result<void, outage>& answer) {
    INFO((answer ? std::string() : answer.error().detail));
    REQUIRE(answer.has_value());
}

template <class Store> bool inserted(Store& store, const grant& row) {
    return good(store.insert(row)) == insert_outcome::inserted;
}
template <class Store> grant found(Store& store, const row_key& key) {
    auto row = good(store.find(key));
    REQUIRE(row.has_value());
    return *std::move(row);
}
template <class Store>
bool advanced(Store& store, const row_key& key, std::uint32_t from, std::uint32_t to, instant now = current_time()) {
    return good(store.advance(key, generation{from}, generation{to}, now)) == advance_outcome::advanced;
}

/// A server behind TLS: used with a good certificate, refused with any other.
/// \param why_not  opens a store, (url, settings), that must be refused. \return why
/// \param use      opens a store, (url, settings), and uses it
template <class WhyNot, class Use> void behind_tls(const std::string& name, WhyNot why_not, Use use) {
    const std::string at = certificates();
    server own(name, "tls=good 'requirepass hunter2'");
    detail::redis_access access{{}, 1, 1s};
    access.greeting.push_back(detail::redis_command({"AUTH", "hunter2"}));
    detail::redis_node operated(detail::redis_url::parse(own.url)->at, access);
    const auto tell = [&](std::initializer_list<std::string_view> words) {
        const auto answer = detail::redis_cluster::ask(operated, detail::redis_command(words), clock_type::now() + 10s);
        REQUIRE(answer.has_value());
        CAPTURE(std::string((**answer).text()));
        REQUIRE(!(**answer).is_error());
        return std::string((**answer).text());
    };
    const auto with_certificate = [&](const std::string& which) {
        tell({"CONFIG", "SET", "tls-cert-file", at + which + ".pem", "tls-key-file", at + which + ".key"});
        tell({"CONFIG", "RESETSTAT"});
    };
    const auto tls = [](redis_tls_settings settings) {
        auto made = redis_tls(std::move(settings));
        INFO((made ? std::string() : made.error().message));
        REQUIRE(made.has_value());
        return redis_settings{.tls = *std::move(made)};
    };
    const std::string port = own.tls_port(), by_name = "rediss://:hunter2@localhost:" + port,
                      by_number = "rediss://:hunter2@127.0.0.1:" + port;
    const auto right = tls({.ca_file = at + "ca.pem"});
    use(by_name, right);
    use(by_number, right);
    CHECK(says(why_not("rediss://:wrong@localhost:" + port, right), "WRONGPASS"));

    // A server that is not who it should be hears not a word, and no password above all.
    with_certificate("good");
    CHECK(says(why_not(by_name, tls({.ca_file = at + "other.pem"})), "self-signed certificate in certificate chain"));
    CHECK(says(why_not(by_name, tls({})), "self-signed certificate in certificate chain")); // the system's authorities
    CHECK(says(why_not(by_name, tls({.ca_file = at + "ca.pem", .server_name = "elsewhere.example"})),
               "hostname mismatch"));
    CHECK(says(why_not(by_name, tls({.ca_file = at + "ca.pem", .server_name = "127.0.0.2"})), "IP address mismatch"));
    with_certificate("expired");
    CHECK(says(why_not(by_name, right), "certificate has expired"));
    with_certificate("elsewhere");
    CHECK(says(why_not(by_name, right), "must be for localhost, is refused: hostname mismatch"));
    CHECK(says(why_not(by_number, right), "must be for 127.0.0.1, is refused: IP address mismatch"));
    const std::string heard = tell({"INFO", "commandstats"});
    CAPTURE(heard);
    for (const char* const command : {"cmdstat_auth", "cmdstat_ping", "cmdstat_getex", "cmdstat_hello"})
        CHECK(heard.find(command) == heard.npos);
    use(by_name, tls({.ca_file = at + "ca.pem", .server_name = "elsewhere.example"}));

    with_certificate("good");
    CHECK(says(why_not("rediss://:hunter2@" + own.url.substr(8), right), "TLS handshake: no answer"));
    tell({"CONFIG", "SET", "tls-auth-clients", "yes"});
    CHECK(!why_not(by_name, right).empty());
    use(by_name, tls({.ca_file = at + "ca.pem", .certificate_file = at + "client.pem", .key_file = at + "client.key"}));
    use(by_name, tls({.ca_file = at + "ca.pem", .certificate_file = at + "client.pem", .key_file = at + "locked.key",
                      .key_passphrase = secret("hunter2")}));
    for (const char* const key : {"locked.key", "good.key"}) {
        const auto refused = redis_tls({.ca_file = at + "ca.pem", .certificate_file = at + "client.pem",
                                        .key_file = at + key, .key_passphrase = secret("hunter3")});
        REQUIRE_FALSE(refused.has_value());
        CHECK(says(refused.error().message, "key_file " + at + key));
    }
}

/// A primary with a replica, and a Sentinel that promotes the replica: when told to, and when the primary is dead.
/// \param run  opens a store and calls what it is given with it and with something that refreshes one login, which
///             returns false for an outage: (url, settings, use(store, refresh))
template <class Run> void follows_a_failover(const std::string& name, Run run) {
    const std::string options = "'requirepass hunter2' 'masterauth hunter2' 'repl-diskless-sync-delay 0'";
    const server one(name + "_one", options);
    const auto to = [](const server& at) { return at.url.substr(8); };
    const auto port = [&](const server& of) { return to(of).substr(to(of).rfind(':') + 1); };
    server two(name + "_two", options + " 'replicaof 127.0.0.1 " + port(one) + "'");
    detail::redis_access access{{}, 1, 1s};
    access.greeting.push_back(detail::redis_command({"AUTH", "hunter2"}));
    const auto tell = [&](const server& at, std::initializer_list<std::string_view> words) {
        detail::redis_node node(detail::redis_url::parse(at.url)->at, access);
        const auto answer = detail::redis_cluster::ask(node, detail::redis_command(words), clock_type::now() + 10s);
        return answer ? std::string((**answer).text()) : answer.error().detail;
    };
    const auto is_replica = [&](const server& at) {
        return eventually([&] {
            return tell(at, {"INFO", "replication"}).find("master_link_status:up") != std::string::npos;
        });
    };
    REQUIRE(is_replica(two));
    const sentinel watching(name + "_sentinel", port(one), "'sentinel auth-pass main hunter2' 'requirepass hunter3'");
    const auto fail_over = [&] {
        detail::redis_access to_sentinel{{}, 1, 1s};
        to_sentinel.greeting.push_back(detail::redis_command({"AUTH", "hunter3"}));
        detail::redis_node node(detail::redis_url::parse(watching.url)->at, to_sentinel);
        return eventually([&] {
            const auto answer = detail::redis_cluster::ask(
                node, detail::redis_command({"SENTINEL", "FAILOVER", "main"}), clock_type::now() + 10s);
            return answer && (**answer).text() == "OK";
        });
    };
    const auto is_primary = [&](const server& at) {
        return eventually([&] { return tell(at, {"INFO", "replication"}).find("role:master") != std::string::npos; });
    };

    // A replica whose link is up may still wait for what its primary was told in the meantime.
    const auto has_all = [&](const server& replica, const server& primary) {
        const auto offset = [&](const server& of, std::string_view word) {
            const std::string info = tell(of, {"INFO", "replication"});
            const std::size_t found = info.find(word);
            return found == info.npos ? -1 : std::atoll(info.c_str() + found + word.size());
        };
        return eventually(
            [&] { return offset(primary, "master_repl_offset:") == offset(replica, "slave_repl_offset:"); });
    };

    const std::string url = "redis+sentinel://:hunter2@127.0.0.1:1," + to(watching) + "/main/2";
    const redis_settings settings{.timeout = 2s, .sentinel_password = std::make_shared<const secret>("hunter3")};
    run(url, settings, [&](auto& store, auto refresh) {
        const grant before = fresh_row(), ended = fresh_row();
        CHECK(inserted(store, before));
        CHECK(inserted(store, ended));
        good(store.revoke(ended.key));
        const auto goes_on = [&](const std::string& after) {
            CAPTURE(after);
            CHECK(eventually(refresh));
            const auto row = store.find(before.key);
            REQUIRE(row.has_value());
            REQUIRE(row->has_value());
            CHECK(found(store, ended.key).state == revocation::revoked);
            // What is idle now, and what is opened anew.
            for (int i = 0; i != 3; ++i) CHECK(refresh());
        };
        CHECK(refresh());

        // Planned: the old primary is a replica from then on.
        REQUIRE(has_all(two, one));
        REQUIRE(fail_over());
        REQUIRE(is_primary(two));
        // What the old one answers until it knows is lost, and heals up to 8 generations.
        int amid = 0;
        CHECK(eventually([&] {
            if (++amid <= 6) refresh();
            return tell(one, {"INFO", "replication"}).find("role:slave") != std::string::npos;
        }));
        goes_on("a failover that was asked for");
        CHECK(is_replica(one));

        // Back, to a server that no longer keeps the promise.
        CHECK(tell(one, {"CONFIG", "SET", "appendfsync", "everysec"}) == "OK");
        REQUIRE(has_all(one, two));
        REQUIRE(fail_over());
        REQUIRE(is_primary(one));
        CHECK(eventually([&] {
            const auto refused = store.find(before.key);
            return !refused && refused.error().detail.find("set appendfsync always") != std::string::npos;
        }));
        CHECK_FALSE(refresh());
        CHECK(is_replica(two));
        CHECK(tell(one, {"CONFIG", "SET", "appendfsync", "always"}) == "OK");
        goes_on("a new primary that is fit again");

        // Killed, when the replica has everything.
        CHECK(is_replica(two));
        REQUIRE(has_all(two, one));
        one.kill();
        const auto gone = store.find(before.key);
        REQUIRE_FALSE(gone.has_value());
        CHECK(says(gone.error().detail, "Redis master main at " + to(one)));
        CHECK_FALSE(refresh());
        goes_on("a primary that was killed");
        CHECK(inserted(store, fresh_row()));
        two.kill();
        CHECK_FALSE(refresh());
    });
}

/// A primary that goes on answering though its Sentinel names another.
/// \param run  opens a store by its URL and calls what it is given with it: (url, use(store))
template <class Run> void leaves_a_master_that_was_cut_off(const std::string& name, Run run) {
    const server one(name + "_cut_off", ""), two(name + "_chosen", "");
    raw_server second(two.url);
    const sentinel watching(name + "_chooser", raw_server(one.url).port());
    raw_server chooser(watching.url);
    run("redis+sentinel://" + watching.url.substr(8) + "/main", [&](auto& store) {
        const grant row = fresh_row();
        CHECK(inserted(store, row));
        CHECK(advanced(store, row.key, 0, 1));
        CHECK(chooser({"SENTINEL", "REMOVE", "main"}) == "OK");
        CHECK(chooser({"SENTINEL", "MONITOR", "main", "127.0.0.1", second.port(), "1"}) == "OK");
        // The other has another history; what matters is that it is asked.
        CHECK(eventually([&] {
            const auto answer = store.find(row.key);
            return answer && !*answer;
        }));
        CHECK(inserted(store, fresh_row()));
        // A Sentinel that has gone is missed by nobody as long as there is the master.
        watching.kill();
        const grant later = fresh_row();
        for (const auto until = clock_type::now() + 3s; clock_type::now() < until; std::this_thread::sleep_for(100ms))
            CHECK(store.find(later.key).has_value());
    });
}

/// A user's logins are listed and ended while the connection is cut, at every so many bytes of the answers.
/// \param through  a store behind the proxy
/// \param direct   one that is not, on the same server
template <class Through, class Direct>
void cut_amid_a_users_logins(cutting_proxy& proxy, Through& through, Direct& direct) {
    constexpr std::size_t logins = 12;
    int outages = 0;
    bool was_cut = true;
    for (std::int64_t bytes = 0; was_cut; bytes += bytes / 2 + 1) {
        CAPTURE(bytes);
        const std::string subject = fresh_subject();
        std::vector<grant> rows;
        for (std::size_t i = 0; i != logins; ++i) rows.push_back(fresh_row(subject));
        for (const grant& row : rows) CHECK(inserted(direct, row));

        proxy.cut_after(bytes);
        const auto listed = through.list_subject(subject);
        CHECK((!listed || listed->size() == logins));
        was_cut = proxy.has_cut();
        proxy.cut_no_more();
        CHECK(eventually([&] { return through.find(rows[0].key).has_value(); }));

        proxy.cut_after(bytes);
        bool ended = through.revoke_subject(subject).has_value();
        was_cut = proxy.has_cut() || was_cut;
        proxy.cut_no_more();
        if (!ended) ++outages;
        ended = ended || eventually([&] { return through.revoke_subject(subject).has_value(); });
        CHECK(ended);
        for (const grant& row : rows) CHECK(found(direct, row.key).state == revocation::revoked);
    }
    MESSAGE(outages << " outages");
    CHECK(outages > 0);
}

/// The cluster's map, as an operator moves it.
struct operator_of_cluster {
    operator_of_cluster() {
        const auto seed = detail::redis_url::parse(environment("REGRANT_REDIS_CLUSTER"))->at;
        detail::redis_access access{{}, 1, unhurried};
        detail::redis_node node(seed, access);
        const auto map = detail::redis_cluster::ask(node, detail::redis_command({"CLUSTER", "SLOTS"}),
                                                    clock_type::now() + unhurried);
        REQUIRE(map.has_value());
        std::set<std::uint16_t> ports;
        for (std::size_t i = 0; i != (**map).size(); ++i)
            ports.insert(static_cast<std::uint16_t>((**map)[i][2][1].integer()));
        for (const std::uint16_t port : ports)
            nodes.push_back(std::make_unique<raw_server>(detail::redis_address{"127.0.0.1", port}));
        REQUIRE(nodes.size() == 3);
    }
    /// Which server has a key.
    std::size_t owner(const std::string& key) {
        for (std::size_t i = 0; i != nodes.size(); ++i)
            if (!(*nodes[i])({"GETEX", key}).starts_with("MOVED ")) return i;
        FAIL("nobody has the slot");
        return 0;
    }
    std::vector<std::unique_ptr<raw_server>> nodes;
};

} // namespace scene
