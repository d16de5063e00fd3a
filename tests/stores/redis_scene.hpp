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
    explicit server(const std::string& name, const std::string& options = "")
        : folder(environment("REGRANT_REDIS_FOLDER") + "/" + name), url(serve("start '" + folder + "' " + options)) {}
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
    CHECK(says(why_not(by_name, tls({.ca_file = at + "ca.pem", .server_name = "elsewhere.example"})), "hostname mismatch"));
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
