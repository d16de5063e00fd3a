// Fails every call that can fail, one at a time, in every scenario of the token endpoint: the calls are counted in a
// run without faults, not listed.
#include <regrant/regrant.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace regrant;
using namespace std::chrono_literals;

constexpr instant start{std::chrono::milliseconds{1'800'000'000'250}};

/// How a call fails. After a call that acted and then failed, nobody knows whether it acted.
enum class fault { before_acting, after_acting, thrown };

/// Counts the calls of all parts together, and picks the one that fails.
struct script {
    std::uint32_t calls = 0;
    std::uint32_t fails_at = 0;
    fault how = fault::before_acting;
    bool hit = false;

    /// \return what the call gives, or the outage in its place
    template <class Act> auto run(Act act) -> decltype(act()) {
        const bool fails = ++calls == fails_at;
        hit = hit || fails;
        if (fails && how == fault::thrown) throw std::runtime_error("secret path of the store");
        if (fails && how == fault::before_acting) return unexpected(outage{"secret path of the store"});
        auto done = act();
        if (fails) return unexpected(outage{"secret path of the store"});
        return done;
    }
};

struct scripted_store {
    script& s;
    memory_store rows{};
    std::function<void()> behind_the_back{};

    auto insert(const grant& row) {
        return s.run([&] { return rows.insert(row); });
    }
    auto find(const row_key& key) {
        auto found = s.run([&] { return rows.find(key); });
        if (behind_the_back) std::exchange(behind_the_back, {})();
        return found;
    }
    auto advance(const row_key& key, generation expected, generation next, instant now) {
        return s.run([&] { return rows.advance(key, expected, next, now); });
    }
    auto revoke(const row_key& key) {
        return s.run([&] { return rows.revoke(key); });
    }
};

struct scripted_registry {
    script& s;
    client_list clients;

    auto find(std::string_view id) {
        return s.run([&] { return clients.find(id); });
    }
    result<bool, outage> allows_origin(std::string_view origin) const { return clients.allows_origin(origin); }
};

struct scripted_signer {
    script* s;

    std::string_view key_id() const { return "key"; }
    result<void, outage> sign(std::span<const std::string_view> inputs, std::span<signature> signatures) const {
        return s->run([&]() -> result<void, outage> {
            for (std::size_t i = 0; i != inputs.size(); ++i) signatures[i].size_bytes = 256;
            return {};
        });
    }
};

struct scripted_random {
    script* s;
    std::uint8_t next = 1;

    result<void, outage> fill(std::span<std::byte> to) {
        return s->run([&]() -> result<void, outage> {
            for (std::byte& each : to) each = std::byte{next++};
            return {};
        });
    }
};

struct scripted_hooks {
    script& s;
    std::optional<reason> refused{};
    std::string detail{};

    result<account_standing, outage> check_account(const grant&, const client&) {
        return s.run([]() -> result<account_standing, outage> { return account_standing::good; });
    }
    void observe(const decision& made) noexcept {
        refused = made.refused;
        detail = std::string(made.detail);
    }
};

client registered(std::string id, client_policy policy) {
    client made{std::move(id), policy};
    made.scope = *scope::parse("openid email");
    if (!policy.is_public()) made.secrets.push_back({*hash_client_secret("s3cret")});
    return made;
}

client_list all_clients() {
    std::vector<client> clients;
    clients.push_back(registered("web", client_policy::of<auth_method::client_secret_post>()));
    clients.push_back(registered("m2m", client_policy::of<auth_method::client_secret_post, rotation::echo>()));
    return *client_list::make(std::move(clients));
}

token_keyring keys() {
    std::vector<token_key> ring;
    ring.push_back({token_key_id{1}, secret("0123456789abcdef0123456789abcdef")});
    return *token_keyring::make(std::move(ring));
}

jwt_settings rfc9068_settings() {
    jwt_settings settings{"https://id.example"};
    settings.profile = token_profile::rfc9068;
    settings.audience = "https://api.example";
    settings.at_hash = access_token_hash::on;
    return settings;
}

using issuer_type = jwt_issuer<scripted_signer, no_extra_claims, scripted_random>;

/// A whole server with one login, whose parts all fail by the script.
struct stage {
    script s{};
    scripted_store store{s};
    scripted_registry clients{s, all_clients()};
    issuer_type issuer;
    scripted_hooks hooks{s};
    scripted_random random{&s, 100};
    token_endpoint<scripted_store, scripted_registry, issuer_type, scripted_hooks, scripted_random> endpoint;
    std::string client_id = "web";
    secret first{};
    instant now = start;

    explicit stage(jwt_settings tokens = {"https://id.example"})
        : issuer(*issuer_type::make(std::move(tokens), scripted_signer{&s}, {}, scripted_random{&s})),
          endpoint(store, clients, issuer, keys(), {}, hooks, random) {}

    void log_in(std::string id) {
        client_id = std::move(id);
        first = std::move(endpoint.issue({client_id, "alice", "openid email"}, now)->refresh_token);
    }

    http_reply refresh(const secret& token) {
        http_request request;
        request.method = "POST";
        request.header("Content-Type", "application/x-www-form-urlencoded");
        request.body = secret("grant_type=refresh_token&client_secret=s3cret&client_id=" + client_id + "&refresh_token=");
        request.body.append(token.reveal());
        return endpoint.respond(std::move(request), now);
    }

    grant row() { return std::move(store.rows.list_subject("alice")->front()); }
};

/// The value of a member of an answer, which is flat and holds no escapes but in tokens' names.
std::string member(const std::string& body, std::string_view name) {
    const std::string mark = '"' + std::string(name) + "\":\"";
    const std::size_t begin = body.find(mark);
    if (begin == std::string::npos) return {};
    return body.substr(begin + mark.size(), body.find('"', begin + mark.size()) - begin - mark.size());
}

struct scenario {
    const char* name;
    http_status without_fault;
    jwt_settings tokens;
    /// Brings the stage to where the request under test is sent; \return the token to present.
    std::function<secret(stage&)> prepare;
};

std::vector<scenario> all_scenarios() {
    const jwt_settings plain{"https://id.example"};
    const auto logged_in = [](stage& at) {
        at.log_in("web");
        return at.first.clone();
    };
    return {
        {"the newest token", http_status::ok, plain, logged_in},
        {"the newest token, with at_hash", http_status::ok, rfc9068_settings(), logged_in},
        {"a lost answer", http_status::ok, plain,
         [=](stage& at) {
             secret token = logged_in(at);
             (void)at.refresh(token);
             return token;
         }},
        {"a client without rotation", http_status::ok, plain,
         [](stage& at) {
             at.log_in("m2m");
             return at.first.clone();
         }},
        {"a row that lost a write", http_status::ok, plain,
         [=](stage& at) {
             secret token(member(at.refresh(logged_in(at)).body, "refresh_token"));
             // As a store does that fell back to an older copy.
             grant row = at.row();
             row.current = first_generation;
             (void)at.store.rows.reap(instant::max());
             (void)at.store.rows.insert(row);
             return token;
         }},
        {"a race lost to another tab", http_status::ok, plain,
         [=](stage& at) {
             secret token = logged_in(at);
             const row_key key = at.row().key;
             at.store.behind_the_back = [&at, key] {
                 (void)at.store.rows.advance(key, first_generation, generation{1}, at.now);
             };
             return token;
         }},
        {"a replay", http_status::bad_request, plain,
         [=](stage& at) {
             secret token = logged_in(at);
             (void)at.refresh(secret(member(at.refresh(token).body, "refresh_token")));
             return token;
         }},
    };
}

constexpr fault all_faults[] = {fault::before_acting, fault::after_acting, fault::thrown};

} // namespace

TEST_CASE("whichever call fails, the answer is 503 and the same token works afterwards (R51, R52, R38)") {
    std::uint32_t injected = 0;
    for (const scenario& what : all_scenarios()) {
        CAPTURE(what.name);
        stage calm(what.tokens);
        const secret calm_token = what.prepare(calm);
        calm.s.calls = 0;
        const http_reply expected = calm.refresh(calm_token);
        REQUIRE(expected.status == what.without_fault);
        const std::uint32_t calls = calm.s.calls;
        REQUIRE(calls >= 3);

        for (std::uint32_t k = 1; k <= calls; ++k)
            for (const fault how : all_faults) {
                CAPTURE(k);
                CAPTURE(static_cast<int>(how));
                stage at(what.tokens);
                const secret token = what.prepare(at);
                const grant before = at.row();
                at.s = {0, k, how};
                const http_reply broken = at.refresh(token);
                REQUIRE(at.s.hit);
                ++injected;

                CHECK(broken.status == http_status::service_unavailable);
                CHECK(broken.body == R"({"error":"temporarily_unavailable"})");
                CHECK(broken.header("Retry-After") == "5");
                CHECK(broken.header("Cache-Control") == "no-store");
                REQUIRE(at.hooks.refused);
                CHECK(form_of(*at.hooks.refused).code == errc::temporarily_unavailable);
                CHECK(at.hooks.detail == "secret path of the store");

                const grant after = at.row();
                // Nothing half-done: the row is as it was, or as the whole request leaves it.
                const grant whole = calm.row();
                const bool untouched = after.current == before.current && after.state == before.state;
                const bool finished = after.current == whole.current && after.state == whole.state;
                const bool raced = after.current == generation{1} && after.state == before.state;
                CHECK((untouched || finished || raced));
                if (how == fault::before_acting && k < calls) CHECK((untouched || raced));

                at.s = {};
                const http_reply again = at.refresh(token);
                CHECK(again.status == what.without_fault);
                CHECK(member(again.body, "refresh_token") == member(expected.body, "refresh_token"));
                CHECK(at.row().current == whole.current);
                CHECK(at.row().state == whole.state);
            }
    }
    MESSAGE("faults injected and survived: " << injected);
}

TEST_CASE("a login whose parts fail gives no token and leaves no usable row (R35, R51, R52)") {
    stage calm;
    REQUIRE(calm.endpoint.issue({"web", "alice", "openid"}, start));
    const std::uint32_t calls = calm.s.calls;
    for (std::uint32_t k = 1; k <= calls; ++k)
        for (const fault how : all_faults) {
            CAPTURE(k);
            stage at;
            at.s = {0, k, how};
            const auto answer = at.endpoint.issue({"web", "alice", "openid"}, start);
            REQUIRE(at.s.hit);
            REQUIRE_FALSE(answer);
            CHECK(answer.error().status() == http_status::service_unavailable);
            // Only an insert that acted before it failed leaves a row, and its token was never told to anybody.
            const bool insert_acted = k == calls && how == fault::after_acting;
            CHECK(at.store.rows.list_subject("alice")->size() == (insert_acted ? 1 : 0));
        }
}

TEST_CASE("a logout that meets an outage says so, and is not answered as done (R44, R51)") {
    for (const fault how : all_faults) {
        stage at;
        at.log_in("web");
        at.s = {0, 1, how};
        CHECK_FALSE(at.endpoint.revoke(at.first.reveal()));
        at.s = {};
        CHECK(at.endpoint.revoke(at.first.reveal()));
        CHECK(at.refresh(at.first).body == R"({"error":"invalid_grant"})");
    }
}
