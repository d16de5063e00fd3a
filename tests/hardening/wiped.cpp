// tests/hardening/wiped.cpp - no block of memory that is given back still holds a token, a family or a secret.
// SPDX-License-Identifier: MIT
//
// Each story runs twice with the same clock, keys and random numbers. The first run tells which bytes are secret; in the
// second every block that `operator delete` or OpenSSL's free function is handed is searched for them. What the host owns,
// the request it made and the answer it was given, is the host's to wipe: it lives through the search here.
#include <regrant/async_token_endpoint.hpp>
#include <regrant/base64.hpp>
#include <regrant/client_list.hpp>
#include <regrant/jwt_issuer.hpp>
#include <regrant/memory_store.hpp>
#include <regrant/registrations.hpp>
#include <regrant/signing_key.hpp>
#include <regrant/token_endpoint.hpp>

#include "../unit/support/flow_awaited.hpp"
#include "../unit/support/flow_http.hpp"

#include <doctest/doctest.h>

#include <openssl/crypto.h>

#include <execinfo.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace regrant;
using namespace std::chrono_literals;

/// What is searched for, in a place of its own that is never given back.
class needles {
public:
    void clear() noexcept { count_ = hits_ = 0; }
    void add(std::string_view name, std::string_view bytes) {
        REQUIRE(count_ != all_.size());
        REQUIRE(bytes.size() == window);
        std::memcpy(all_[count_].bytes, bytes.data(), window);
        all_[count_].name = name;
        ++count_;
    }
    /// \return how many there are of a secret: its beginning, middle and end, for a cut one is bad enough
    void add_all(std::string_view name, std::string_view secret) {
        REQUIRE(secret.size() >= window);
        for (const std::size_t at : {std::size_t{0}, (secret.size() - window) / 2, secret.size() - window})
            add(name, secret.substr(at, window));
    }

    /// Called with a block on its way out. Allocates nothing.
    void look_into(const void* block, std::size_t size) noexcept {
        if (block == nullptr || size < window) return;
        for (std::size_t i = 0; i != count_; ++i)
            if (::memmem(block, size, all_[i].bytes, window) != nullptr) found(all_[i].name, size);
    }
    std::size_t hits() const noexcept { return hits_; }

private:
    static constexpr std::size_t window = 12;
    struct needle {
        char bytes[window];
        std::string_view name;
    };

    void found(std::string_view name, std::size_t size) noexcept {
        if (++hits_ > 4) return;
        char line[160];
        const int length = std::snprintf(line, sizeof line, "found: %.*s in a block of %zu bytes, given back by\n",
                                         static_cast<int>(name.size()), name.data(), size);
        if (::write(2, line, static_cast<std::size_t>(length)) < 0) return;
        void* frames[24];
        ::backtrace_symbols_fd(frames, ::backtrace(frames, 24), 2);
    }

    std::array<needle, 128> all_{};
    std::size_t count_ = 0;
    std::size_t hits_ = 0;
};

needles& searched() noexcept {
    static needles those;
    return those;
}
bool is_searching = false; // one thread

void give_back(void* block) noexcept {
    if (is_searching) {
        is_searching = false; // the search itself may not be searched
        searched().look_into(block, ::malloc_usable_size(block));
        is_searching = true;
    }
    std::free(block);
}

/// Empty to its end: what the last owner left in a block, be it this test, must not be taken for the next one's.
void* taken(std::size_t size) noexcept {
    void* block = std::malloc(size == 0 ? 1 : size);
    if (block != nullptr) std::memset(block, 0, ::malloc_usable_size(block));
    return block;
}

void* openssl_malloc(std::size_t size, const char*, int) { return taken(size); }
void openssl_free(void* block, const char*, int) { give_back(block); }
void* openssl_realloc(void* block, std::size_t size, const char*, int) {
    void* fresh = taken(size);
    if (fresh == nullptr || block == nullptr) return fresh;
    std::memcpy(fresh, block, (std::min)(size, ::malloc_usable_size(block)));
    give_back(block);
    return fresh;
}
// Before OpenSSL allocates anything; later it refuses.
const bool openssl_is_watched = CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) == 1;

} // namespace

void* operator new(std::size_t size) {
    if (void* block = taken(size)) return block;
    throw std::bad_alloc();
}
void operator delete(void* block) noexcept { give_back(block); }
void operator delete(void* block, std::size_t) noexcept { give_back(block); }

namespace {

constexpr instant now{1'636'449'231'250ms};
constexpr std::string_view generated_secret = "R3m9Zt-Yq1x_0pLw7VbKc5Df";
constexpr std::string_view chosen_secret = "correct horse battery staple";
constexpr std::string_view wrong_secret = "a secret that is the wrong one";

/// Counts, so that two runs draw the same numbers.
struct counting_random {
    std::shared_ptr<std::uint32_t> drawn = std::make_shared<std::uint32_t>(0);

    result<void, outage> fill(std::span<std::byte> to) const {
        std::uint32_t number = ++*drawn * 0x9E3779B1U;
        for (std::byte& each : to) each = static_cast<std::byte>((number = number * 1664525 + 1013904223) >> 24);
        return {};
    }
};

const signing_key& key() {
    static const signing_key made = *signing_key::generate();
    return made;
}

token_keyring ring() {
    std::vector<token_key> keys;
    keys.push_back({token_key_id{1}, secret("0123456789abcdef0123456789ABCDEF")});
    return *token_keyring::make(std::move(keys));
}

const client_list& clients() {
    static const client_list made = *client_list::make(*parse_registrations(
        R"([{"client_id":"web","client_secret":")" + std::string(generated_secret) +
        R"(","scope":"openid profile","token_endpoint_auth_method":"client_secret_post"},
           {"client_id":"basic","client_secret":")" + std::string(generated_secret) + R"(","scope":"openid profile"},
           {"client_id":"slow","client_secret_hash":")" +
        to_text(*hash_client_secret_slowly(chosen_secret, slow_cost::scrypt(14, 8, 1))) +
        R"(","scope":"openid profile","token_endpoint_auth_method":"client_secret_post"},
           {"client_id":"echo","client_secret":")" + std::string(generated_secret) +
        R"(","scope":"openid profile","rotate":false,"token_endpoint_auth_method":"client_secret_post"}])"));
    return made;
}

using issuer_type = jwt_issuer<signing_key, no_extra_claims, counting_random>;

/// The refreshes of a story, on an endpoint that is searched while it answers, or not.
class host {
public:
    enum class search : std::uint8_t { off, on };

    explicit host(search how, jwt_settings tokens) : how_(how), issuer_(*issuer_type::make(std::move(tokens), key(), {}, random_)) {}
    virtual ~host() = default;
    host(const host&) = delete;
    host& operator=(const host&) = delete;

    std::string log_in(std::string_view client_id) {
        auto tokens = [&] {
            const searching while_it_lasts(how_);
            return issue({client_id, "alice", "openid profile"});
        }();
        REQUIRE(tokens);
        std::string token(tokens->refresh_token.reveal());
        kept.push_back("{\"refresh_token\":\"" + token + "\",\"access_token\":\"" +
                       std::string(tokens->access_token.reveal()) + "\",\"id_token\":\"" +
                       std::string(tokens->id_token ? tokens->id_token->reveal() : "") + "\"}");
        return token;
    }

    /// \return the successor, where there is one
    std::string refresh(std::string_view token, std::string_view who, flow::headers more = {}) {
        http_request request = flow::post(flow::refresh_form(token, who), more);
        http_reply reply;
        {
            const searching while_it_lasts(how_);
            reply = respond(std::move(request));
        }
        kept.push_back(std::move(reply.body));
        constexpr std::string_view name = "\"refresh_token\":\"";
        const std::size_t at = kept.back().find(name);
        return at == std::string::npos ? "" : kept.back().substr(at + name.size(), token_keyring::token_characters);
    }

    void revoke(std::string_view token) {
        const searching while_it_lasts(how_);
        CHECK(end(token));
    }

    /// The answers, which belong to the host.
    std::vector<std::string> kept{};
    memory_store store{};

protected:
    struct searching {
        explicit searching(search how) { is_searching = how == search::on; }
        searching(const searching&) = delete;
        searching& operator=(const searching&) = delete;
        ~searching() { is_searching = false; }
    };

    virtual http_reply respond(http_request request) = 0;
    virtual result<token_response, refusal> issue(const login& who) = 0;
    virtual result<void, outage> end(std::string_view token) = 0;

    search how_;
    counting_random random_{};
    issuer_type issuer_;
};

class blocking_host : public host {
public:
    blocking_host(search how, jwt_settings tokens) : host(how, std::move(tokens)) {}

private:
    http_reply respond(http_request request) override { return endpoint_.respond(std::move(request), now); }
    result<token_response, refusal> issue(const login& who) override { return endpoint_.issue(who, now); }
    result<void, outage> end(std::string_view token) override { return endpoint_.revoke(token, now); }

    no_hooks hooks_{};
    token_endpoint<memory_store, const client_list, issuer_type, no_hooks, counting_random> endpoint_{
        store, clients(), issuer_, ring(), {}, hooks_, random_};
};

class awaiting_host : public host {
public:
    awaiting_host(search how, jwt_settings tokens) : host(how, std::move(tokens)) {}

private:
    http_reply respond(http_request request) override { return endpoint_.respond(std::move(request), now).run(); }
    result<token_response, refusal> issue(const login& who) override { return endpoint_.issue(who, now).run(); }
    result<void, outage> end(std::string_view token) override { return endpoint_.revoke(token, now).run(); }

    no_hooks hooks_{};
    flow::awaited_store<memory_store> awaited_{store};
    async_token_endpoint<flow::awaited_store<memory_store>, const client_list, issuer_type, no_hooks, counting_random>
        endpoint_{awaited_, clients(), issuer_, ring(), {}, hooks_, random_};
};

const std::string as_web = "&client_id=web&client_secret=" + std::string(generated_secret);
const std::string as_echo = "&client_id=echo&client_secret=" + std::string(generated_secret);
constexpr std::string_view as_slow = "&client_id=slow&client_secret=correct+horse+battery+staple";

/// All ways through the endpoint.
void tell(host& at) {
    const std::string first = at.log_in("web");
    const std::string second = at.refresh(first, as_web);
    CHECK(at.refresh(first, as_web) == second); // a lost answer
    const std::string third = at.refresh(second, as_web);
    CHECK(at.refresh(third, as_web + "&scope=profile") != "");
    CHECK(at.refresh(third, "&client_id=web&client_secret=" + std::string("a+secret+that+is+the+wrong+one")) == "");
    CHECK(at.refresh(third, "&client_id=who&client_secret=" + std::string(generated_secret)) == "");
    CHECK(at.refresh(third, as_web + "&scope=beyond") == "");
    CHECK(at.refresh(third + "A", as_web) == "");
    CHECK(at.refresh(first, as_web) == ""); // a replay
    const std::string echoed = at.log_in("echo");
    CHECK(at.refresh(echoed, as_echo) == echoed);
    const std::string slow = at.log_in("slow");
    const std::string slower = at.refresh(slow, as_slow);
    CHECK(at.refresh(slower, as_slow) != "");
    const std::string basic = at.log_in("basic");
    const std::string header = flow::basic("basic", generated_secret);
    CHECK(at.refresh(basic, "", {{"Authorization", header}}) != "");
    at.revoke(basic);
}

/// Every value of a member of the answers.
std::vector<std::string> members(const host& at, std::string_view name) {
    const std::string begins = '"' + std::string(name) + "\":\"";
    std::vector<std::string> values;
    for (const std::string& each : at.kept)
        if (const std::size_t found = each.find(begins); found != std::string::npos) {
            const std::string rest = each.substr(found + begins.size());
            values.push_back(rest.substr(0, rest.find('"')));
        }
    return values;
}

/// A JWT's first segment is public; its claims are the user's, and its signature makes it a token.
void search_for_jwts(std::string_view name, const std::vector<std::string>& tokens) {
    for (const std::string& each : tokens) {
        if (each.empty()) continue;
        searched().add(name, each.substr(each.rfind('.') + 1, 12));
        searched().add(name, each.substr(each.size() - 12));
    }
}

void search_for_all(const host& told) {
    searched().clear();
    searched().add_all("the client's secret", generated_secret);
    searched().add_all("the chosen secret", chosen_secret);
    searched().add_all("a wrong secret", wrong_secret);
    searched().add_all("the Authorization header", flow::basic("basic", generated_secret).substr(14));
    auto tokens = members(told, "refresh_token");
    std::sort(tokens.begin(), tokens.end());
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    CHECK(tokens.size() >= 8);
    for (const std::string& each : tokens) {
        std::array<std::byte, 54> bytes{};
        REQUIRE(base64url_decode(each, bytes));
        const std::string_view raw(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        searched().add("a family", raw.substr(2, 12));
        searched().add("the end of a family", raw.substr(6, 12));
        searched().add("a refresh token", each.substr(4, 12));
        searched().add("a refresh token's seal", each.substr(60, 12));
        searched().add("a refresh token's seal, decoded", raw.substr(24, 12));
    }
    search_for_jwts("an access token", members(told, "access_token"));
    search_for_jwts("an id_token", members(told, "id_token"));
}

template <class Host> std::size_t hits_of(const jwt_settings& tokens) {
    Host told(host::search::off, tokens);
    tell(told);
    search_for_all(told);
    Host searched_one(host::search::on, tokens);
    tell(searched_one);
    CHECK(searched_one.kept == told.kept); // or other secrets would be looked for than there are
    return searched().hits();
}

jwt_settings ciam() { return {"https://id.example"}; }
jwt_settings rfc9068() {
    return {.issuer = "https://id.example", .profile = token_profile::rfc9068, .audience = "https://api.example",
            .at_hash = access_token_hash::on};
}

} // namespace

TEST_CASE("a block that holds a secret when it is given back is found: the search itself works") {
    REQUIRE(openssl_is_watched);
    searched().clear();
    searched().add_all("planted on purpose", generated_secret);
    is_searching = true;
    delete new std::array<char, 64>{};
    is_searching = false;
    CHECK(searched().hits() == 0);
    {
        auto planted = std::make_unique<std::string>("in the middle of " + std::string(generated_secret));
        is_searching = true;
        planted.reset();
        is_searching = false;
    }
    CHECK(searched().hits() == 3);
    void* block = OPENSSL_malloc(64);
    std::memcpy(block, generated_secret.data(), generated_secret.size());
    is_searching = true;
    OPENSSL_free(block);
    is_searching = false;
    CHECK(searched().hits() == 6);
    // A `secret` wipes itself.
    is_searching = true;
    { const secret wiped(generated_secret); }
    is_searching = false;
    CHECK(searched().hits() == 6);
}

TEST_CASE("a secret wipes what was truncated, what it grew out of and what it was given in exchange (R31)") {
    searched().clear();
    searched().add_all("what was cut off", generated_secret);
    is_searching = true;
    {
        secret cut("front " + std::string(6, 'x'));
        cut.append(generated_secret);
        cut.truncate(6);
    }
    {
        secret grown(generated_secret);
        for (int i = 0; i != 100; ++i) grown.append("more and more");
    }
    {
        secret first(generated_secret), second("another");
        first = std::move(second);
        first.truncate(0);
    }
    is_searching = false;
    CHECK(searched().hits() == 0);
}

TEST_CASE("no memory is given back with a token, a family or a secret in it (R31, R36, R75)") {
    CHECK(hits_of<blocking_host>(ciam()) == 0);
    CHECK(hits_of<blocking_host>(rfc9068()) == 0);
}

TEST_CASE("nor are the frames of coroutines (R31, R36, R75)") {
    CHECK(hits_of<awaiting_host>(ciam()) == 0);
    CHECK(hits_of<awaiting_host>(rfc9068()) == 0);
}

TEST_CASE("nor is a client's secret when the registrations were read, or refused (R31)") {
    const std::string one = R"({"client_id":"web","scope":"openid","client_secret":")" + std::string(generated_secret) + '"';
    const std::string good = '[' + one + "}]";
    const std::string two = '[' + one + R"(},{"client_id":"spa","scope":"openid","client_secret":[{"secret":")" +
                            std::string(chosen_secret) + R"("}]}])";
    searched().clear();
    searched().add_all("the client's secret", generated_secret);
    searched().add_all("the second client's secret", chosen_secret);
    for (const std::string& json : {good, two, one + '}', '[' + one + R"(,"rotate":1}])", '[' + one + "}] and more",
                                    '[' + one + R"(,"client_secret":"twice"}])"}) {
        is_searching = true;
        const auto read = parse_registrations(json);
        is_searching = false;
        CHECK(read.has_value() == (json == good || json == two));
    }
    CHECK(searched().hits() == 0);
}
