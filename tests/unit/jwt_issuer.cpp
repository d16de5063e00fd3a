#include <regrant/jwt_issuer.hpp>

#include "support/fake_signer.hpp"
#include "support/jwt_parts.hpp"
#include "support/scripted_random.hpp"

#include <doctest/doctest.h>
#include <openssl/evp.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using regrant::access_token_hash;
using regrant::extra_claim;
using regrant::extra_claims;
using regrant::instant;
using regrant::jwt_settings;
using regrant::mint_order;
using regrant::minted_tokens;
using regrant::outage;
using regrant::result;
using regrant::token_profile;
using support::fake_signer;
using support::jwt_parts;
using support::scripted_random;
using namespace std::chrono_literals;

using claims_hook = std::function<result<extra_claims, outage>(const mint_order&)>;

constexpr std::string_view page_jtis = "5a18f141e341433885d6bb4e41a86765 013bab39f918448fa396ce77eeffdb37";

instant at(std::int64_t seconds) { return instant(std::chrono::seconds(seconds)); }

/// A login with everything an order refers to.
struct situation {
    regrant::grant login{{}, {"TENANT_CLIENT_ID", "MOCK_USERNAME", "openid"}};
    regrant::client client{"TENANT_CLIENT_ID", regrant::client_policy::of<regrant::auth_method::client_secret_post>()};
    regrant::scope scope = *regrant::scope::parse("openid");
    instant now = at(1636449231);
    std::string_view nonce{};

    mint_order order() const { return {login, client, scope, now, nonce}; }
};

jwt_settings page_settings() { return {.issuer = "https://TENANT.PORTAL.DOMAIN"}; }

jwt_settings rfc9068_settings() {
    return {.issuer = "https://id.example", .profile = token_profile::rfc9068, .audience = "https://policy.example"};
}

/// Mints with random ids and an unsigned signature; an outage is a failure of the test.
minted_tokens minted(const jwt_settings& settings, const situation& when,
                     claims_hook hook = regrant::no_extra_claims()) {
    auto issuer = regrant::jwt_issuer<fake_signer, claims_hook>::make(settings, fake_signer{}, std::move(hook));
    REQUIRE(issuer);
    auto tokens = issuer->mint(when.order());
    REQUIRE(tokens);
    return *std::move(tokens);
}

jwt_parts access_of(const minted_tokens& tokens) { return jwt_parts(tokens.access_token.reveal()); }
jwt_parts id_of(const minted_tokens& tokens) {
    REQUIRE(tokens.id_token);
    return jwt_parts(tokens.id_token->reveal());
}

std::int64_t number(const picojson::object& claims, const char* name) {
    REQUIRE(claims.count(name) == 1);
    return static_cast<std::int64_t>(claims.at(name).get<double>());
}

bool made_from(const jwt_settings& settings) {
    return regrant::jwt_issuer<fake_signer>::make(settings, fake_signer{}).has_value();
}

} // namespace

TEST_CASE("a JWT issuer is a token issuer") {
    static_assert(regrant::token_issuer<regrant::jwt_issuer<fake_signer>>);
    static_assert(regrant::token_issuer<regrant::jwt_issuer<fake_signer, claims_hook, scripted_random>>);
}

TEST_CASE("the API page's two tokens come out byte for byte (R65, R67, R89-R93)") {
    auto issuer = regrant::jwt_issuer<fake_signer, regrant::no_extra_claims, scripted_random>::make(
        page_settings(), {.id = "d49bc505-5572-4ed6-9e48-388c3d44bb46"}, {}, scripted_random(page_jtis));
    REQUIRE(issuer);
    const situation page;
    const auto tokens = issuer->mint(page.order());
    REQUIRE(tokens);
    CHECK(tokens->access_token.reveal() ==
          "eyJraWQiOiJkNDliYzUwNS01NTcyLTRlZDYtOWU0OC0zODhjM2Q0NGJiNDYiLCJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9."
          "eyJzdWIiOiJNT0NLX1VTRVJOQU1FIiwiYXVkIjoiVEVOQU5UX0NMSUVOVF9JRCIsIm5iZiI6MTYzNjQ0OTIzMSwic2NvcGUiOlsib3Blbmlk"
          "Il0sImlzcyI6Imh0dHBzOlwvXC9URU5BTlQuUE9SVEFMLkRPTUFJTiIsImV4cCI6MTYzNjQ0OTUzMSwiaWF0IjoxNjM2NDQ5MjMxLCJqdGki"
          "OiI1YTE4ZjE0MS1lMzQxLTQzMzgtODVkNi1iYjRlNDFhODY3NjUifQ.c2lnbmVk");
    REQUIRE(tokens->id_token);
    CHECK(tokens->id_token->reveal() ==
          "eyJraWQiOiJkNDliYzUwNS01NTcyLTRlZDYtOWU0OC0zODhjM2Q0NGJiNDYiLCJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9."
          "eyJzdWIiOiJNT0NLX1VTRVJOQU1FIiwiYXVkIjoiVEVOQU5UX0NMSUVOVF9JRCIsImF6cCI6IlRFTkFOVF9DTElFTlRfSUQiLCJpc3MiOiJo"
          "dHRwczpcL1wvVEVOQU5ULlBPUlRBTC5ET01BSU4iLCJleHAiOjE2MzY0NTEwMzEsImlhdCI6MTYzNjQ0OTIzMSwianRpIjoiMDEzYmFiMzkt"
          "ZjkxOC00NDhmLWEzOTYtY2U3N2VlZmZkYjM3In0.c2lnbmVk");
    CHECK(tokens->expires_in == 300s);
}

TEST_CASE("expires_in is what the token has left, rounded down; iat is now, rounded down (R67, R81)") {
    struct {
        std::chrono::milliseconds past_the_second;
        std::chrono::seconds left;
    } const table[] = {{0ms, 300s}, {1ms, 299s}, {500ms, 299s}, {999ms, 299s}};
    for (const auto& row : table) {
        situation when;
        when.now += row.past_the_second;
        const auto tokens = minted(page_settings(), when);
        CHECK(tokens.expires_in == row.left);
        const auto claims = access_of(tokens).claims();
        CHECK(number(claims, "iat") == 1636449231);
        CHECK(number(claims, "exp") == 1636449531);
        CHECK(number(id_of(tokens).claims(), "iat") == 1636449231);
        CHECK(number(id_of(tokens).claims(), "exp") == 1636449231 + 1800);
    }
}

TEST_CASE("lifetimes are the operator's, and a time goes on after 2106 (R67, R99)") {
    situation late;
    late.now = at(4294967296);
    auto settings = page_settings();
    settings.access_lifetime = 1h;
    settings.id_lifetime = 24h;
    const auto tokens = minted(settings, late);
    CHECK(tokens.expires_in == 1h);
    CHECK(number(access_of(tokens).claims(), "nbf") == 4294967296);
    CHECK(number(access_of(tokens).claims(), "exp") == 4294967296 + 3600);
    CHECK(number(id_of(tokens).claims(), "exp") == 4294967296 + 86400);
}

TEST_CASE("there is an id_token where openid is in the scope of this answer, and only there (R77, OIDC Core 12.2)") {
    struct {
        const char* scope;
        bool has_id_token;
    } const table[] = {{"openid", true},         {"email openid", true}, {"email", false},
                       {"openidx email", false}, {"OpenID", false},      {"open id", false}};
    for (const auto profile : {token_profile::ciam, token_profile::rfc9068})
        for (const auto& row : table) {
            situation when;
            when.scope = *regrant::scope::parse(row.scope);
            auto settings = rfc9068_settings();
            settings.profile = profile;
            CHECK(minted(settings, when).id_token.has_value() == row.has_id_token);
        }
}

TEST_CASE("the access token names the scope of this answer, which may be narrower than the login's (R57)") {
    situation when;
    when.login = regrant::grant({}, {"TENANT_CLIENT_ID", "MOCK_USERNAME", "openid email phone"});
    when.scope = *regrant::scope::parse("phone openid");
    CHECK(access_of(minted(page_settings(), when)).claims().at("scope").serialize() == R"(["phone","openid"])");
    CHECK(access_of(minted(rfc9068_settings(), when)).claims().at("scope").to_str() == "phone openid");
}

TEST_CASE("a refreshed id_token keeps iss, sub, aud, azp and auth_time (R78-R83, OIDC Core 12.2)") {
    for (const auto profile : {token_profile::ciam, token_profile::rfc9068}) {
        auto settings = rfc9068_settings();
        settings.profile = profile;
        situation when;
        when.login.auth_time = std::chrono::sys_seconds(1636440000s);
        const auto first = id_of(minted(settings, when)).claims();
        when.now += 24h;
        when.login.current = regrant::generation{100};
        const auto later = id_of(minted(settings, when)).claims();
        CHECK(first.at("iss").to_str() == "https://id.example");
        CHECK(first.at("sub").to_str() == "MOCK_USERNAME");
        CHECK(first.at("aud").to_str() == "TENANT_CLIENT_ID");
        CHECK(first.at("azp").to_str() == "TENANT_CLIENT_ID");
        CHECK(number(first, "auth_time") == 1636440000);
        for (const char* name : {"iss", "sub", "aud", "azp", "auth_time"}) CHECK(later.at(name) == first.at(name));
        CHECK(number(later, "iat") == number(first, "iat") + 86400);
        CHECK(later.at("jti") != first.at("jti"));
    }
}

TEST_CASE("a login without auth_time gives none (R82)") {
    for (const auto& settings : {page_settings(), rfc9068_settings()}) {
        const auto tokens = minted(settings, situation());
        CHECK(id_of(tokens).claims().count("auth_time") == 0);
        CHECK(access_of(tokens).claims().count("auth_time") == 0);
    }
}

TEST_CASE("a nonce stands in the first id_token alone (R84, OIDC Core 12.2)") {
    situation when;
    CHECK(id_of(minted(page_settings(), when)).claims().count("nonce") == 0);
    when.nonce = "n-0S6_WzA2Mj";
    const auto first = minted(page_settings(), when);
    CHECK(id_of(first).claims().at("nonce").to_str() == "n-0S6_WzA2Mj");
    CHECK(access_of(first).claims().count("nonce") == 0);
}

TEST_CASE("at_hash, switched on, is of this answer's access token (R85, OIDC Core 3.1.3.6)") {
    auto settings = rfc9068_settings();
    CHECK(id_of(minted(settings, situation())).claims().count("at_hash") == 0);
    settings.at_hash = access_token_hash::on;
    for (int refresh = 0; refresh != 2; ++refresh) {
        const auto tokens = minted(settings, situation());
        const std::string_view access = tokens.access_token.reveal();
        CHECK(jwt_parts(access).signature == "signed");
        CHECK(id_of(tokens).signature == "signed");
        unsigned char digest[32];
        REQUIRE(EVP_Digest(access.data(), access.size(), digest, nullptr, EVP_sha256(), nullptr) == 1);
        CHECK(support::base64url_bytes(id_of(tokens).claims().at("at_hash").to_str()) ==
              std::string(reinterpret_cast<const char*>(digest), 16));
    }
    situation without;
    without.scope = *regrant::scope::parse("email");
    const auto tokens = minted(settings, without);
    CHECK(access_of(tokens).signature == "signed");
    CHECK_FALSE(tokens.id_token.has_value());
}

TEST_CASE("profile rfc9068 has the claims of its standard and no other (R89-R93, 9068 2)") {
    situation when;
    when.login.auth_time = std::chrono::sys_seconds(1636440000s);
    const auto parts = access_of(minted(rfc9068_settings(), when));
    CHECK(parts.header().at("typ").to_str() == "at+jwt");
    CHECK(parts.header().at("alg").to_str() == "RS256");
    CHECK(parts.header().at("kid").to_str() == "key-1");
    const auto claims = parts.claims();
    CHECK(claims.at("iss").to_str() == "https://id.example");
    CHECK(claims.at("sub").to_str() == "MOCK_USERNAME");
    CHECK(claims.at("client_id").to_str() == "TENANT_CLIENT_ID");
    CHECK(claims.at("scope").to_str() == "openid");
    CHECK(number(claims, "iat") == 1636449231);
    CHECK(number(claims, "exp") == 1636449531);
    CHECK(number(claims, "auth_time") == 1636440000);
    const std::string known = " iss exp aud sub client_id iat nbf jti scope auth_time ";
    for (const auto& claim : claims) {
        CAPTURE(claim.first);
        CHECK(known.find(' ' + claim.first + ' ') != std::string::npos);
    }
}

TEST_CASE("the audience of rfc9068 is the grant's, else the client's, else the policy's (R89-R93, 9068 2.2)") {
    situation when;
    const auto audience = [&] { return access_of(minted(rfc9068_settings(), when)).claims().at("aud").to_str(); };
    CHECK(audience() == "https://policy.example");
    when.client.audience = "https://client.example";
    CHECK(audience() == "https://client.example");
    when.login = regrant::grant({}, {"TENANT_CLIENT_ID", "MOCK_USERNAME", "openid", "https://grant.example"});
    CHECK(audience() == "https://grant.example");
    CHECK(access_of(minted(page_settings(), when)).claims().at("aud").to_str() == "TENANT_CLIENT_ID");
}

TEST_CASE("in rfc9068 an access token cannot pass as an id_token nor the reverse (R95, 8725 3.11)") {
    const auto tokens = minted(rfc9068_settings(), situation());
    CHECK(access_of(tokens).header().at("typ").to_str() == "at+jwt");
    CHECK(id_of(tokens).header().at("typ").to_str() == "JWT");
    CHECK(access_of(tokens).claims().at("aud").to_str() != id_of(tokens).claims().at("aud").to_str());
}

TEST_CASE("in ciam scope tells an access token and azp an id_token (R95)") {
    const auto tokens = minted(page_settings(), situation());
    CHECK(access_of(tokens).claims().count("scope") == 1);
    CHECK(access_of(tokens).claims().count("azp") == 0);
    CHECK(id_of(tokens).claims().count("scope") == 0);
    CHECK(id_of(tokens).claims().count("azp") == 1);
}

TEST_CASE("custom claims follow the profile's own in the order given, each in its token (R89-R93)") {
    const auto hook = [](const mint_order& order) -> result<extra_claims, outage> {
        extra_claims extra;
        extra.access_token = {{"zeta", "z"}, {"alpha", true}};
        extra.id_token = {{"email", order.login.subject()}, extra_claim::from_json("amr", R"(["pwd"])")};
        return extra;
    };
    for (const auto& settings : {page_settings(), rfc9068_settings()}) {
        situation when;
        when.login.auth_time = std::chrono::sys_seconds(1636440000s);
        const auto tokens = minted(settings, when, hook);
        CHECK(access_of(tokens).claims_json.ends_with(R"(,"zeta":"z","alpha":true})"));
        CHECK(id_of(tokens).claims_json.ends_with(R"(,"email":"MOCK_USERNAME","amr":["pwd"]})"));
        CHECK(access_of(tokens).claims().count("email") == 0);
        CHECK(id_of(tokens).claims().count("zeta") == 0);
    }
}

TEST_CASE("a custom claim overwrites no registered one, in neither token (R98)") {
    for (const char* name : {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "client_id", "azp", "auth_time",
                             "at_hash", "nonce", "c_hash", "cnf", "act"})
        for (const bool in_id_token : {false, true}) {
            const claims_hook hook = [&](const mint_order&) -> result<extra_claims, outage> {
                extra_claims extra;
                (in_id_token ? extra.id_token : extra.access_token) = {{"role", "x"}, {name, "x"}};
                return extra;
            };
            auto issuer = regrant::jwt_issuer<fake_signer, claims_hook>::make(page_settings(), fake_signer{}, hook);
            REQUIRE(issuer);
            const auto tokens = issuer->mint(situation().order());
            REQUIRE_FALSE(tokens);
            CHECK(tokens.error().detail.find(name) != std::string::npos);
        }
}

TEST_CASE("claims that are not UTF-8 are refused, for two of them would become one in JSON (R98, 7519 7.1)") {
    using claim_list = std::vector<extra_claim>;
    for (const claim_list& odd : {claim_list{{"a\xFF", "x"}, {"a\xFE", "y"}}, claim_list{{"a", "x\xFF"}},
                                  claim_list{{"a\xFF", true}}, claim_list{extra_claim::from_json("a", "[\"\xFF\"]")}})
        for (const bool in_id_token : {false, true}) {
            const claims_hook hook = [&](const mint_order&) -> result<extra_claims, outage> {
                extra_claims extra;
                (in_id_token ? extra.id_token : extra.access_token) = odd;
                return extra;
            };
            auto issuer = regrant::jwt_issuer<fake_signer, claims_hook>::make(page_settings(), fake_signer{}, hook);
            const auto tokens = issuer->mint(situation().order());
            REQUIRE_FALSE(tokens);
            CHECK(tokens.error().detail.find("UTF-8") != std::string::npos);
        }
    // A row of another program's may hold anything.
    for (const bool is_subject : {true, false}) {
        const situation when{.login = {{}, {"TENANT_CLIENT_ID", is_subject ? "a\xFF" : "alice", "openid",
                                            is_subject ? "" : "https://\xFF"}}};
        auto issuer = regrant::jwt_issuer<fake_signer>::make(rfc9068_settings(), fake_signer{});
        CHECK_FALSE(issuer->mint(when.order()));
    }
    situation when;
    when.nonce = "n\xFF";
    auto issuer = regrant::jwt_issuer<fake_signer>::make(page_settings(), fake_signer{});
    CHECK_FALSE(issuer->mint(when.order()));
}

TEST_CASE("a custom claim is not given twice (R98, 7519 4)") {
    const claims_hook hook = [](const mint_order&) -> result<extra_claims, outage> {
        return extra_claims{.access_token = {{"role", "x"}, {"level", "y"}, {"role", "x"}}};
    };
    auto issuer = regrant::jwt_issuer<fake_signer, claims_hook>::make(page_settings(), fake_signer{}, hook);
    CHECK_FALSE(issuer->mint(situation().order()));
}

TEST_CASE("a random source that fails makes no token at all (R35)") {
    for (const std::string_view script : {"", "5a18f141e341433885d6bb4e41a86765"}) {
        auto issuer = regrant::jwt_issuer<fake_signer, regrant::no_extra_claims, scripted_random>::make(
            page_settings(), fake_signer{}, {}, scripted_random(script));
        REQUIRE(issuer);
        const auto tokens = issuer->mint(situation().order());
        REQUIRE_FALSE(tokens);
        CHECK(tokens.error().detail == "the script has ended");
    }
}

TEST_CASE("a signer or a hook that fails is an outage in its own words (R52)") {
    auto unsigned_issuer = regrant::jwt_issuer<fake_signer>::make(page_settings(), {.works = false});
    REQUIRE(unsigned_issuer);
    const auto tokens = unsigned_issuer->mint(situation().order());
    REQUIRE_FALSE(tokens);
    CHECK(tokens.error().detail == "the HSM is away");

    const claims_hook hook = [](const mint_order&) -> result<extra_claims, outage> {
        return regrant::unexpected(outage{"no directory"});
    };
    auto issuer = regrant::jwt_issuer<fake_signer, claims_hook>::make(page_settings(), fake_signer{}, hook);
    CHECK(issuer->mint(situation().order()).error().detail == "no directory");

    auto hashing = rfc9068_settings();
    hashing.at_hash = access_token_hash::on;
    auto failing = regrant::jwt_issuer<fake_signer>::make(hashing, {.works = false});
    CHECK_FALSE(failing->mint(situation().order()));
}

TEST_CASE("no two tokens have one jti (R104, 7519 4.1.7)") {
    auto issuer = regrant::jwt_issuer<fake_signer>::make(page_settings(), fake_signer{});
    REQUIRE(issuer);
    std::set<std::string> seen;
    for (int i = 0; i != 20; ++i) {
        const auto tokens = issuer->mint(situation().order());
        REQUIRE(tokens);
        CHECK(seen.insert(access_of(*tokens).claims().at("jti").to_str()).second);
        CHECK(seen.insert(id_of(*tokens).claims().at("jti").to_str()).second);
    }
}

TEST_CASE("nbf is never after iat, and before it by the backdate (R104)") {
    for (const auto profile : {token_profile::ciam, token_profile::rfc9068})
        for (const std::chrono::seconds backdate : {0s, 30s}) {
            auto settings = rfc9068_settings();
            settings.profile = profile;
            settings.backdate = backdate;
            situation when;
            when.now += 999ms;
            const auto claims = access_of(minted(settings, when)).claims();
            CHECK(number(claims, "nbf") == number(claims, "iat") - backdate.count());
        }
}

TEST_CASE("settings that make no sense are refused when the issuer is made (R89-R93, R104)") {
    CHECK(made_from(page_settings()));
    CHECK(made_from(rfc9068_settings()));
    CHECK_FALSE(made_from({.issuer = ""}));
    for (const auto bad : {std::chrono::seconds(0), std::chrono::seconds(-1), std::chrono::seconds::max()}) {
        CHECK_FALSE(made_from({.issuer = "https://a", .access_lifetime = bad}));
        CHECK_FALSE(made_from({.issuer = "https://a", .id_lifetime = bad}));
    }
    CHECK_FALSE(made_from({.issuer = "https://a", .backdate = -1s}));
    CHECK_FALSE(made_from({.issuer = "https://a", .backdate = std::chrono::seconds::max()}));
    CHECK_FALSE(made_from({.issuer = "https://a", .profile = token_profile::rfc9068}));
    CHECK_FALSE(made_from({.issuer = "https://a", .at_hash = access_token_hash::on}));
    CHECK_FALSE(made_from({.issuer = "https://\xFF"}));
    CHECK_FALSE(made_from({.issuer = "https://a", .profile = token_profile::rfc9068, .audience = "\xFF"}));
}
