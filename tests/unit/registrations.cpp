#include <regrant/registrations.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace {

using regrant::auth_method;
using regrant::client;
using regrant::parse_registrations;
using regrant::rotation;

regrant::instant at(std::int64_t seconds) { return regrant::instant(std::chrono::seconds(seconds)); }

/// The one client of a good text.
client only(std::string_view json) {
    auto made = parse_registrations(json);
    REQUIRE_MESSAGE(made.has_value(), json);
    REQUIRE(made->size() == 1);
    return made->front();
}

bool keeps(const client& of, std::size_t place, std::string_view secret) {
    return of.secrets.at(place).hash.sha256 == regrant::hash_client_secret(secret)->sha256;
}

} // namespace

TEST_CASE("a client that says little is confidential, sends Basic and rotates (7591 2, R37)") {
    const client made = only(R"([{"client_id":"web","client_secret":"s","scope":"openid email"}])");
    CHECK(made.client_id == "web");
    CHECK(made.policy.method() == auth_method::client_secret_basic);
    CHECK(made.policy.rotation() == rotation::rotate);
    CHECK(made.scope.text() == "openid email");
    CHECK(made.grant_types == std::vector<std::string>{"refresh_token"});
    CHECK(made.allowed_origins.empty());
    CHECK(made.audience.empty());
    CHECK(made.decoding == regrant::basic_decoding::strict);
    CHECK_FALSE(made.not_before.has_value());
    REQUIRE(made.secrets.size() == 1);
    CHECK_FALSE(made.secrets[0].expires_at.has_value());
}

TEST_CASE("every member of a registration is read (7591 2)") {
    const client made = only(R"([{"client_id":"web","client_secret":"s","client_secret_expires_at":4294967297,
        "token_endpoint_auth_method":"client_secret_post","rotate":false,"scope":"openid",
        "grant_types":["authorization_code","refresh_token"],"allowed_origins":["https://app.example"],
        "audience":"https://api.example","not_before":4294967298,"lenient_basic":true}])");
    CHECK(made.policy.method() == auth_method::client_secret_post);
    CHECK(made.policy.rotation() == rotation::echo);
    CHECK(made.grant_types == std::vector<std::string>{"authorization_code", "refresh_token"});
    CHECK(made.allowed_origins == std::vector<std::string>{"https://app.example"});
    CHECK(made.audience == "https://api.example");
    CHECK(made.decoding == regrant::basic_decoding::lenient);
    // Times past 2106 (R99).
    CHECK(made.not_before == at(4294967298));
    CHECK(made.secrets.at(0).expires_at == at(4294967297));
}

TEST_CASE("of a client's secrets their hashes are kept, one or two at a time (R31)") {
    const client one = only(R"([{"client_id":"web","client_secret":"a+b%c:d","scope":"x"}])");
    CHECK(keeps(one, 0, "a+b%c:d"));
    const client two = only(R"([{"client_id":"web","client_secret":["old","new"],"scope":"x"}])");
    REQUIRE(two.secrets.size() == 2);
    CHECK(keeps(two, 0, "old"));
    CHECK(keeps(two, 1, "new"));
}

TEST_CASE("hashes stand in a registration instead of secrets, with what they cost in bounds (R31)") {
    constexpr std::string_view slow =
        "$scrypt$ln=14,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$JbN2hANm9NOw4h5BRHZnbjzQ6Jr0QwNWojTOC2WgIbU";
    const auto json = [](std::string_view members) {
        return R"([{"client_id":"web","scope":"x",)" + std::string(members) + "}]";
    };
    const client one = only(json(R"("client_secret_hash":")" + std::string(slow) + '"'));
    REQUIRE(one.secrets.size() == 1);
    REQUIRE(one.secrets.at(0).hash.slow);
    CHECK(one.secrets.at(0).hash.slow->cost == regrant::slow_cost::scrypt(14, 8, 1));

    const client both = only(json(R"("client_secret":"new","client_secret_hash":[{"hash":"$sha256$4MuAClzNpMsbKteZDeCCqqHkDncYmMC8so/LI8Jh5CI",
                                  "expires_at":4294967297}])"));
    REQUIRE(both.secrets.size() == 2);
    CHECK(keeps(both, 0, "new"));
    CHECK(keeps(both, 1, "generated"));
    CHECK(both.secrets.at(1).expires_at == at(4294967297));

    for (const std::string& bad :
         {std::string(R"("client_secret_hash":"hunter2")"), std::string(R"("client_secret_hash":7)"),
          std::string(R"("client_secret_hash":"")"),
          std::string(R"("client_secret_hash":"$scrypt$ln=30,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$JbN2hANm9NOw4h5BRHZnbjzQ6Jr0QwNWojTOC2WgIbU")"),
          R"("client_secret_hash":{"secret":")" + std::string(slow) + R"("})",
          R"("client_secret":{"hash":")" + std::string(slow) + R"("})",
          R"("client_secret":["a","b"],"client_secret_hash":")" + std::string(slow) + '"'}) {
        CAPTURE(bad);
        const auto made = parse_registrations(json(bad));
        REQUIRE_FALSE(made);
        CHECK(made.error().message.find("web") != std::string::npos);
        CHECK(made.error().message.find("hunter2") == std::string::npos);
    }
}

TEST_CASE("a secret that expires at 0 does not expire (7591 3.2.1, R31)") {
    const client made =
        only(R"([{"client_id":"web","client_secret":"s","client_secret_expires_at":0,"scope":"x"}])");
    CHECK_FALSE(made.secrets.at(0).expires_at.has_value());
}

TEST_CASE("a secret in an object expires with the client's where it does not say when itself (7591 3.2.1, R31)") {
    const client made = only(R"([{"client_id":"web","client_secret":[{"secret":"old"},{"secret":"new","expires_at":9}],
                                 "client_secret_expires_at":5,"scope":"x"}])");
    REQUIRE(made.secrets.size() == 2);
    CHECK(made.secrets[0].expires_at == regrant::instant(std::chrono::seconds(5)));
    CHECK(made.secrets[1].expires_at == regrant::instant(std::chrono::seconds(9)));
}

TEST_CASE("a public client has no secret and must rotate (R37, 9700 2.2.2)") {
    const client made = only(R"([{"client_id":"spa","token_endpoint_auth_method":"none","scope":"x"}])");
    CHECK(made.policy.is_public());
    CHECK(made.secrets.empty());

    const auto echoes =
        parse_registrations(R"([{"client_id":"spa","token_endpoint_auth_method":"none","rotate":false,"scope":"x"}])");
    REQUIRE_FALSE(echoes);
    CHECK(echoes.error().message.find("spa") != std::string::npos);
    CHECK_FALSE(parse_registrations(
        R"([{"client_id":"spa","token_endpoint_auth_method":"none","client_secret":"s","scope":"x"}])"));
}

TEST_CASE("a registration that makes no sense is refused by its client's name (7591 2)") {
    for (const std::string_view members :
         {R"("scope":"x")", R"("client_secret":"","scope":"x")", R"("client_secret":[],"scope":"x")",
          R"("client_secret":["a",""],"scope":"x")", R"("client_secret":["a","b","c"],"scope":"x")",
          R"("client_secret":["a",1],"scope":"x")", R"("client_secret":7,"scope":"x")",
          R"("client_secret":null,"scope":"x")",
          R"("client_secret":"s")", R"("client_secret":"s","scope":"")", R"("client_secret":"s","scope":"a  b")",
          R"("client_secret":"s","scope":["a"])",
          R"("client_secret":"s","scope":"x","token_endpoint_auth_method":"private_key_jwt")",
          R"("client_secret":"s","scope":"x","token_endpoint_auth_method":"NONE")",
          R"("client_secret":"s","scope":"x","token_endpoint_auth_method":1)",
          R"("client_secret":"s","scope":"x","rotate":"no")", R"("client_secret":"s","scope":"x","lenient_basic":1)",
          R"("client_secret":"s","scope":"x","grant_types":"refresh_token")",
          R"("client_secret":"s","scope":"x","allowed_origins":[1])",
          R"("client_secret":"s","scope":"x","audience":["a"])",
          R"("client_secret":"s","scope":"x","not_before":-1)", R"("client_secret":"s","scope":"x","not_before":1.5)",
          R"("client_secret":"s","scope":"x","not_before":"1")",
          R"("client_secret":"s","scope":"x","not_before":9223372036854775807)",
          R"("client_secret":"s","scope":"x","client_secret_expires_at":-1)",
          R"("client_secret":{"secret":"s","expires_at":"soon"},"scope":"x")",
          R"("client_secret":"s","scope":"x","client_secret_expires_at":1e300)"}) {
        CAPTURE(members);
        const auto made = parse_registrations(R"([{"client_id":"the-bad-one",)" + std::string(members) + "}]");
        REQUIRE_FALSE(made);
        CHECK_MESSAGE(made.error().message.find("the-bad-one") != std::string::npos, made.error().message);
    }
}

TEST_CASE("a client needs an id of printable ASCII (6749 A.1)") {
    for (const std::string_view id : {R"("")", "1", "null", R"("a\nb")", R"("\u0000")", "\"\xC3\xA9\""})
        CHECK_FALSE(parse_registrations(R"([{"client_secret":"s","scope":"x","client_id":)" + std::string(id) + "}]"));
    CHECK_FALSE(parse_registrations(R"([{"client_secret":"s","scope":"x"}])"));
}

TEST_CASE("text that is not one JSON array of objects is refused, and throws nothing (8259)") {
    for (const std::string_view json : {"", "{}", "null", "[", "[1]", "[null]", "[[]]", "[] []", "[{}]x", "[1e999]",
                                        "[{\"client_id\":\"\xFF\"}]"})
        CHECK_FALSE(parse_registrations(json));
    CHECK(parse_registrations(" [] ")->empty());
}

TEST_CASE("what is no JSON is told by line, column, what was found and what is expected (R247, 8259)") {
    struct {
        std::string_view json, position, words;
    } const rows[] = {
        {"", "line 1, column 1", "the text is empty"},
        {" \n ", "line 2, column 2", "the text is empty"},
        {"[{\"client_id\": \"web\",\n  \"scope\": \"x\",\n}]", "line 3, column 1", "found } behind a comma"},
        {"[{}\n,]", "line 2, column 2", "found ] behind a comma"},
        {"[ // ours\n{}]", "line 1, column 3", "JSON has no comments"},
        {"# ours\n[]", "line 1, column 1", "JSON has no comments"},
        {"[{\"client_id\": \"web,\n\"scope\": \"x\"}]", "line 1, column 21", "a closing quote is missing"},
        {"[{\"a\": \"\xC3\xA4\" \"b\": 1}]", "line 1, column 12", "expected a comma"},
        {"[{'a': 1}]", "line 1, column 3", "double quotes"},
        {"[{\"a\" = 1}]", "line 1, column 7", "a colon"},
        {"[{a: 1}]", "line 1, column 3", "double quotes"},
        {"[{\"a\": 1", "line 1, column 9", "a closing bracket is missing"},
        {"[{\"a\": \"x", "line 1, column 10", "a closing quote is missing"},
        {"[{\"a\": 1, \"a\": 2}]", "line 1", "the member \"a\" stands twice"},
        {"[{\"a\": \"M\xFCller\"}]", "line 1, column 10", "not UTF-8"},
        {"[{\"a\": 01}]", "line 1, column 8", "a number"},
        {"[{\"a\": 1e999}]", "line 1", "too large"},
        {"[] []", "line 1, column 4", "behind the value"},
        {"\xEF\xBB\xBF[,]", "line 1, column 2", "found ,"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.json);
        const auto refused = parse_registrations(row.json);
        REQUIRE_FALSE(refused);
        CAPTURE(refused.error().message);
        CHECK(refused.error().message.starts_with(row.position));
        CHECK(refused.error().message.find(row.words) != std::string::npos);
        CHECK(refused.error().message.find("JSON array of registrations") != std::string::npos);
    }
}

TEST_CASE("a byte order mark in front is accepted (R247)") {
    CHECK(only("\xEF\xBB\xBF[{\"client_id\":\"web\",\"client_secret\":\"s\",\"scope\":\"x\"}]").client_id == "web");
}

TEST_CASE("one object in place of an array is told with what to do (R247)") {
    const auto message = [](std::string_view json) {
        const auto refused = parse_registrations(json);
        REQUIRE_FALSE(refused);
        return refused.error().message;
    };
    CHECK(message(R"({"client_id":"web"})").find("put it in brackets") != std::string::npos);
    CHECK(message(R"({"clients":[]})").find("take the array out of it") != std::string::npos);
    CHECK(message("1").find("expected one JSON array of registrations") != std::string::npos);
    CHECK(message(R"([{"client_id":"web","client_secret":"s","scope":"x"},{"scope":"x"}])").starts_with("registration 2: "));
    CHECK(message("[1]").starts_with("registration 1: expected a JSON object"));
}

TEST_CASE("no message about registrations holds a piece of a secret (R247, R248)") {
    const std::string good = R"([{"client_id":"web","client_secret":"hunter2","scope":"x"}])";
    for (std::size_t size = 0; size != good.size(); ++size) {
        const auto cut = parse_registrations(good.substr(0, size));
        REQUIRE_FALSE(cut);
        CHECK(cut.error().message.find("hun") == std::string::npos);
        const auto swapped = parse_registrations(good.substr(0, size) + "\n" + good.substr(size + 1));
        if (!swapped) CHECK(swapped.error().message.find("unter") == std::string::npos);
    }
}

TEST_CASE("a hash that was pasted as a client_secret is refused, and told where it belongs (R31)") {
    for (const std::string_view hash :
         {"$2b$12$KIXQ4S0uE9e0m2", "$2y$10$abc", "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", "$6$salt$hash", "$y$j9T$x$y",
          "$scrypt$ln=15,r=8,p=1$c2FsdA$aGFzaA", "$pbkdf2-sha256$i=600000$c2FsdA$aGFzaA", "{SSHA}c2FsdA==", "{bcrypt}$2a$10$x",
          "pbkdf2_sha256$600000$salt$hash"}) {
        CAPTURE(hash);
        const auto refused = parse_registrations(R"([{"client_id":"web","scope":"x","client_secret":")" +
                                                 std::string(hash) + "\"}]");
        REQUIRE_FALSE(refused);
        CHECK(refused.error().message.find("client_secret_hash") != std::string::npos);
        CHECK(refused.error().message.find(hash) == std::string::npos);
    }
    for (const std::string_view secret : {"$ecret", "$abc$def", "{", "{}", "{not a word}x", "{word}", "a{SSHA}b", "2b$12$x"}) {
        CAPTURE(secret);
        CHECK(parse_registrations(R"([{"client_id":"web","scope":"x","client_secret":")" + std::string(secret) + "\"}]"));
    }
}

TEST_CASE("a member that stands twice is refused: which one counts would be a guess (8259 4)") {
    CHECK_FALSE(parse_registrations(
        R"([{"client_id":"web","client_secret":"s","scope":"x","rotate":true,"rotate":false}])"));
}

TEST_CASE("metadata for somebody else is passed over, and clients keep their order (7591 2)") {
    const auto made = parse_registrations(
        R"([{"client_id":"b","client_secret":"s","scope":"x","client_name":"B","contacts":["b@example"],"jwks":{}},
            {"client_id":"a","token_endpoint_auth_method":"none","scope":"x","redirect_uris":["https://a"]}])");
    REQUIRE(made);
    REQUIRE(made->size() == 2);
    CHECK((*made)[0].client_id == "b");
    CHECK((*made)[1].client_id == "a");
}

TEST_CASE("no secret stands in the words of a fault (R76)") {
    const auto made = parse_registrations(R"([{"client_id":"web","client_secret":"hunter2"}])");
    REQUIRE_FALSE(made);
    CHECK(made.error().message.find("hunter2") == std::string::npos);
}
