// tests/examples/server.cpp - a token endpoint to try regrant on: cpp-httplib in front, a store behind.
// SPDX-License-Identifier: MIT
//
// Where to look: `routes` joins regrant to the web server by way of `regrant/host/httplib.hpp`; `key_files.hpp` keeps
// the two keys; `options.hpp` reads the command line.

#include "key_files.hpp"
#include "options.hpp"
#include "prometheus.hpp"

#include <regrant/host/httplib.hpp>
#include <regrant/regrant.hpp>
#include <regrant/store/postgresql.hpp>
#include <regrant/store/redis.hpp>
#include <regrant/store/sqlite.hpp>

#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace example {

using regrant::http_reply;
using regrant::http_request;
using regrant::http_status;
using regrant::reason;
using regrant::refusal;
using regrant::unexpected;

using issuer_type = regrant::jwt_issuer<regrant::signing_key>;

/// The two clients of the demonstration.
constexpr std::string_view demo_clients = R"([
    {"client_id": "TENANT_CLIENT_ID", "client_secret": "TENANT_CLIENT_SECRET",
     "token_endpoint_auth_method": "client_secret_post", "scope": "openid profile email offline_access"},
    {"client_id": "SPA_CLIENT_ID", "token_endpoint_auth_method": "none",
     "scope": "openid profile email offline_access"}])";

/// Counts every decision for `GET /metrics`, and tells the operator what ought not to happen.
struct watching_hooks {
    prometheus_counters counters{};

    void observe(const regrant::decision& made) noexcept {
        counters.observe(made);
        const auto words = [](std::string_view text) { return static_cast<int>(text.size()); };
        if (made.asked == regrant::request_kind::refresh && made.written == regrant::write_kind::revoke)
            std::fprintf(stderr, "warning: a replayed refresh token of client %.*s has ended its login\n",
                         words(made.client_id), made.client_id.data());
        else if (made.refused && form_of(*made.refused).status == http_status::service_unavailable)
            std::fprintf(stderr, "warning: answered 503, %.*s: %.*s\n", words(to_string(*made.refused)),
                         to_string(*made.refused).data(), words(made.detail), made.detail.data());
    }
};

// --- what the example adds to the token endpoint: a stand-in for the login that a real host has ---

result<regrant::form, refusal> demo_form(http_request request) {
    if (!regrant::form_charset_of(request.content_type.text()))
        return unexpected(refusal{reason::media_type_not_form});
    auto form = regrant::form::parse(std::move(request.body));
    if (!form && form.error() == regrant::form_error::too_large) return unexpected(refusal{reason::body_too_large});
    if (!form) return unexpected(refusal{reason::malformed_escape});
    if (form->repeats_a_name()) return unexpected(refusal{reason::parameter_repeated});
    return *std::move(form);
}

/// Logs in whoever says so.
http_reply log_in(auto& endpoint, const regrant::client_list& clients, http_request request) {
    auto form = demo_form(std::move(request));
    if (!form) return to_reply(form.error());
    const std::string_view client_id = form->find("client_id").value_or("");
    const auto known = clients.find(client_id);
    const std::string_view all = known && *known ? std::string_view((*known)->scope.text()) : "";
    auto tokens = endpoint.issue({client_id, form->find("sub").value_or(""), form->find("scope").value_or(all)});
    return tokens ? to_reply(*tokens) : to_reply(tokens.error());
}

/// Logs a user out everywhere.
http_reply log_out(auto& endpoint, http_request request) {
    auto form = demo_form(std::move(request));
    if (!form) return to_reply(form.error());
    const auto subject = form->find("sub");
    if (!subject) return to_reply(refusal{reason::subject_missing});
    const auto ended = endpoint.revoke_subject(*subject);
    return ended ? http_reply{http_status::no_content} : to_reply(refusal{reason::store_unavailable});
}

// --- what is where ---

void publish(httplib::Server& server, const std::string& path, std::string json) {
    server.Get(path, [document = regrant::public_document(std::move(json))](const httplib::Request&,
                                                                            httplib::Response& to) {
        regrant::host::send(document, to);
    });
}

/// For a collector on this machine alone; others see that nothing is there.
void publish_metrics(httplib::Server& server, const prometheus_counters& counters,
                     const regrant::trusted_proxies& proxies) {
    server.Get("/metrics", [&](const httplib::Request& from, httplib::Response& to) {
        const std::string peer = proxies.client_of(regrant::host::to_request(from));
        if (!peer.starts_with("127.") && peer != "::1") {
            to.status = 404;
            return regrant::host::answer_error(to);
        }
        to.set_content(counters.text(), "text/plain; version=0.0.4");
    });
}

void routes(httplib::Server& server, auto& endpoint, const regrant::client_list& clients, const issuer_type& issuer) {
    namespace host = regrant::host;
    using request = const httplib::Request&;
    using response = httplib::Response&;
    using body = const httplib::ContentReader&;

    const std::string token_path = "/oauth2/token";
    host::mount(server, token_path, [&endpoint](http_request from) { return endpoint.respond(std::move(from)); });
    server.Post("/demo/login", [&endpoint, &clients](request from, response to, body read) {
        host::send(log_in(endpoint, clients, host::to_request(from, to, read)), to);
    });
    server.Post("/demo/logout", [&endpoint](request from, response to, body read) {
        host::send(log_out(endpoint, host::to_request(from, to, read)), to);
    });

    const regrant::jwk keys[] = {issuer.key().public_jwk()};
    publish(server, "/oauth2/jwks", regrant::jwks(keys));
    std::string base = issuer.settings().issuer;
    if (base.ends_with('/')) base.pop_back();
    const regrant::server_metadata metadata{issuer.settings().issuer, base + token_path, base + "/oauth2/jwks",
                                            base + "/demo/login"};
    publish(server, "/.well-known/openid-configuration",
            to_json(metadata, regrant::metadata_document::openid_configuration));
    publish(server, "/.well-known/oauth-authorization-server",
            to_json(metadata, regrant::metadata_document::oauth_authorization_server));

    const auto nowhere = [](response to) {
        to.status = 404;
        host::answer_error(to);
    };
    const auto nowhere_with_body = [nowhere](request from, response to, body read) {
        (void)host::to_request(from, to, read);
        nowhere(to);
    };
    server.Get(".*", [nowhere](request, response to) { nowhere(to); });
    server.Options(".*", [nowhere](request, response to) { nowhere(to); });
    server.Post(".*", nowhere_with_body).Put(".*", nowhere_with_body);
    server.Patch(".*", nowhere_with_body).Delete(".*", nowhere_with_body);
}

// --- starting and stopping ---

/// Serves until a signal comes. The signals are blocked in all threads.
int run(httplib::Server& server, auto& store, const options& told, const sigset_t& signals) {
    server.set_read_timeout(5).set_write_timeout(5).set_keep_alive_timeout(5);
    std::atomic<bool> is_over = false;
    std::thread listening([&] {
        server.listen_after_bind();
        is_over = true;
        ::kill(::getpid(), SIGTERM); // wakes the loop below if this was not its doing
    });
    while (!server.is_running() && !is_over) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::cout << "listening on " << told.url() << std::endl;

    constexpr std::timespec hour{3600, 0};
    do {
        if (const auto forgotten = store.reap(regrant::current_time()); !forgotten)
            std::cerr << "warning: dead logins could not be removed: " << forgotten.error().detail << '\n';
    } while (::sigtimedwait(&signals, nullptr, &hour) < 0);
    const bool was_over = is_over;
    server.stop();
    listening.join();
    if (was_over) std::cerr << "regrant_server: the port could not be listened on any longer\n";
    return was_over ? 1 : 0;
}

int serve(httplib::Server& server, auto& store, const regrant::client_list& clients, issuer_type& issuer,
          regrant::token_keyring ring, const regrant::policy& policy, const options& told, const sigset_t& signals) {
    regrant::endpoint_settings settings{policy};
    settings.proxies = told.proxies;
    if (clients.has_origins()) settings.replies.cross_origin = regrant::cross_origin::on;
    watching_hooks hooks;
    regrant::token_endpoint endpoint(store, clients, issuer, std::move(ring), std::move(settings), hooks);
    publish_metrics(server, hooks.counters, told.proxies); // before the routes, whose last one takes all paths
    routes(server, endpoint, clients, issuer);
    if (!told.is_loopback())
        std::cerr << "warning: anybody who reaches " << told.host << " may log in as anybody at /demo/login\n";
    return run(server, store, told, signals);
}

result<std::vector<regrant::client>, setup_error> load_clients(const std::string& file) {
    if (file.empty()) return regrant::parse_registrations(demo_clients);
    auto text = read_file(file);
    if (!text) return unexpected(std::move(text).error());
    if (!*text) return fault(file, "there is no such file");
    auto clients = regrant::parse_registrations((*text)->reveal());
    if (!clients) return fault(file, clients.error().message);
    if (const auto unknown = regrant::unknown_members((*text)->reveal()))
        for (const std::string& each : *unknown) std::cerr << "warning: " << file << ": " << each << '\n';
    return clients;
}

/// Where the store is, from the first that says so: an option, a file, the environment.
result<std::string, setup_error> store_of(const options& told) {
    if (!told.store.empty()) return told.store;
    auto uri = read_secret(told.store_file, "REGRANT_STORE");
    if (!uri) return unexpected(std::move(uri).error());
    if (!*uri) return std::string("sqlite:regrant.db");
    if (is_store((*uri)->reveal())) return std::string((*uri)->reveal());
    return fault(told.store_file.empty() ? "REGRANT_STORE" : told.store_file, "a store is " + std::string(store_forms));
}

/// What is sealed by a lost key is refused, so nobody whose login is in the store comes back.
void warn_of_new_key(auto& store, const std::string& token_key_file) {
    if (const auto empty = store.is_empty(); empty && !*empty)
        std::cerr << "warning: " << token_key_file << " was missing and has been made, but the store holds logins: their "
                  << "refresh tokens were sealed by another key and are refused\n";
}

/// What `--check` prints when nothing is wrong.
int tell(const options& told, std::size_t clients, const issuer_type& issuer, bool makes_signing_key,
         bool makes_token_key) {
    const auto state = [](bool is_made) { return is_made ? ": missing, a start makes it\n" : ": good\n"; };
    std::cout << "clients: " << clients << (told.clients_file.empty() ? ", built in" : " in " + told.clients_file)
              << "\nsigning key " << told.signing_key_file << state(makes_signing_key) << "token key "
              << told.token_key_file << state(makes_token_key) << "issuer: " << issuer.settings().issuer << '\n';
    return 0;
}

/// All that may be wrong is looked at before anything is made.
result<int, setup_error> start(options told, const sigset_t& signals) {
    auto registrations = load_clients(told.clients_file);
    if (!registrations) return unexpected(std::move(registrations).error());
    const std::size_t registered = registrations->size();
    const auto clients = regrant::client_list::make(*std::move(registrations));
    if (!clients) return unexpected(clients.error());
    const auto policy = regrant::policy::make(told.lifetimes);
    if (!policy) return unexpected(policy.error());
    const auto passphrase = read_secret(told.passphrase_file, "REGRANT_SIGNING_KEY_PASSPHRASE");
    if (!passphrase) return unexpected(passphrase.error());
    const auto signing = load_signing_key(told.signing_key_file, *passphrase);
    if (!signing) return unexpected(signing.error());
    auto ring = load_token_keys(told.token_key_file);
    if (!ring) return unexpected(std::move(ring).error());

    const auto where = store_of(told);
    if (!where) return unexpected(where.error());

    regrant::host::httplib_server server({.ready_threads = told.threads});
    if (!told.check) {
        const auto port = regrant::host::bind(server, told.host, static_cast<std::uint16_t>(told.port));
        if (!port) return unexpected(setup_error{"cannot listen on " + told.url()});
        told.port = *port;
    }
    told.tokens.issuer = told.issuer.empty() ? told.url() : told.issuer;
    auto issuer = issuer_type::make(told.tokens, signing->key);
    if (!issuer) return unexpected(std::move(issuer).error());
    if (told.check) return tell(told, registered, *issuer, signing->made.has_value(), ring->made.has_value());

    auto signing_file = signing->write(told.signing_key_file);
    if (!signing_file) return unexpected(std::move(signing_file).error());
    auto token_file = ring->write(told.token_key_file);
    if (!token_file) return unexpected(std::move(token_file).error());
    const auto serve_from = [&](auto& store) -> result<int, setup_error> {
        if (ring->made) warn_of_new_key(store, told.token_key_file);
        for (auto* file : {&*signing_file, &*token_file})
            if (*file)
                if (auto shown = (*file)->publish(); !shown) return unexpected(std::move(shown).error());
        return serve(server, store, *clients, *issuer, std::move(ring->key), *policy, told, signals);
    };
    const auto serve_if_open = [&](auto store) -> result<int, setup_error> {
        if (!store) return unexpected(std::move(store).error());
        return serve_from(*store);
    };
    if (where->starts_with("sqlite:")) return serve_if_open(regrant::sqlite_store::open(where->substr(7)));
    if (is_postgresql(*where)) return serve_if_open(regrant::postgresql_store::open(*where));
    if (where->starts_with("redis:")) return serve_if_open(regrant::redis_store::open(*where));
    regrant::memory_store store;
    return serve_from(store);
}

} // namespace example

int main(int count, char** words) {
    const auto told = example::parse_options(std::span(words, static_cast<std::size_t>(count)).subspan(1));
    if (told && told->help) {
        std::cout << example::usage;
        return 0;
    }
    ::umask(S_IRWXG | S_IRWXO);
    // All threads inherit this, so that only the one that asks for the signals gets them.
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int each : {SIGTERM, SIGINT}) {
        std::signal(each, SIG_DFL); // a shell has its background jobs ignore SIGINT
        ::sigaddset(&signals, each);
    }
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    const auto ended = told ? example::start(*told, signals) : regrant::unexpected(told.error());
    if (ended) return *ended;
    std::cerr << "regrant_server: " << ended.error().message << '\n';
    return 2;
}
