// tests/fuzz/endpoint_twin.hpp - does each deed on the endpoint and on its oracle; the first difference is thrown.
// SPDX-License-Identifier: MIT
#pragma once

#include "endpoint_scene.hpp"

namespace scene {

/// Reads a text from the left, and differs where it is not as it must be.
class reader {
public:
    explicit reader(std::string text) : text_(std::move(text)) {}
    void skip(const std::string& expected) {
        if (text_.compare(at_, expected.size(), expected) != 0)
            differs("'" + text_ + "' does not go on with " + expected);
        at_ += expected.size();
    }
    std::string up_to(char mark) {
        const std::size_t end = text_.find(mark, at_);
        if (end == std::string::npos) differs("'" + text_ + "' ends early");
        const std::string found = text_.substr(at_, end - at_);
        at_ = end;
        return found;
    }
    void end() const { expect(at_ == text_.size(), "'" + text_ + "' goes on"); }

private:
    std::string text_;
    std::size_t at_ = 0;
};

class twin {
public:
    oracle::endpoint plainly{};
    oracle::millis now = 1'636'449'231'250;
    bool describes = false;
    /// Every token that was handed out, in that order.
    std::vector<std::string> handed_out{};

    twin() {
        plainly.clients = {
            {"web",
             {"web", oracle::method::post, oracle::mode::rotate, {{"s3cret"}}, every_word, {"https://web.example"}}},
            {"another", {"another", oracle::method::post, oracle::mode::rotate, {{"s"}}, every_word}},
            {"basic", {"basic", oracle::method::basic, oracle::mode::rotate, {{"a+b%c:d"}}, every_word}},
            {"lenient", {"lenient", oracle::method::basic, oracle::mode::rotate, {{"a+b%c:d"}}, every_word}},
            {"50%off", {"50%off", oracle::method::basic, oracle::mode::rotate, {{"50%"}}, every_word}},
            {"a b", {"a b", oracle::method::basic, oracle::mode::echo, {{"p q"}}, every_word}},
            {"spa", {"spa", oracle::method::none, oracle::mode::rotate, {}, every_word, {"https://spa.example"}}},
            {"app", {"app", oracle::method::none, oracle::mode::rotate, {}, {"openid"}}},
            {"echo", {"echo", oracle::method::post, oracle::mode::echo, {{"s"}}, every_word}},
            {"machine", {"machine", oracle::method::post, oracle::mode::rotate, {{"s"}}, every_word, {}, false}},
        };
        plainly.clients["lenient"].lenient = plainly.clients["50%off"].lenient = true;
        for (const auto& [id, each] : plainly.clients) registry_.clients[id] = registered(each);
        rebuild();
    }
    twin(const twin&) = delete;
    twin& operator=(const twin&) = delete;

    /// After a change of rules or ring.
    void rebuild() {
        endpoint_.emplace(store_, registry_, issuer_, ring_of(plainly.ring), settings_of(plainly.rules, describes),
                          hooks_, random_);
    }
    void reregister(const std::string& id) { registry_.clients[id] = registered(plainly.clients.at(id)); }

    void log_in(const std::string& id, const std::string& subject, const std::string& scope,
                std::optional<std::int64_t> auth_time, bool random_works) {
        random_.works = random_works;
        hooks_.observed = 0;
        const std::string error = plainly.log_in(id, subject, scope, auth_time, random_works, now);
        regrant::login who{id, subject, scope};
        if (auth_time) who.auth_time = std::chrono::sys_seconds(seconds(*auth_time));
        auto issued = endpoint_->issue(who, at(now));
        same("error of a login", error, issued ? "" : std::string(to_string(issued.error().code())));
        same("decisions told", 1, hooks_.observed);
        if (issued) {
            const std::size_t family = plainly.families.size() - 1;
            const std::string text(issued->refresh_token.reveal());
            keys_.push_back((*all_keys_.open(text))->key);
            lines_.push_back((*all_keys_.open(text))->lineage);
            take({family, 0, plainly.ring.front()}, text);
            check_success({{family, 0, plainly.ring.front()}, plainly.families[family].scope, family},
                          regrant::to_json(*issued));
        }
        check_rows();
    }

    void revoke(const std::string& token) {
        const bool reaches_store = plainly.opened(token).has_value();
        const bool works = !plainly.weather.revoke_down || !reaches_store;
        if (works) plainly.revoke(token);
        same("a revoke", works, endpoint_->revoke(token).has_value());
        check_rows();
    }
    void revoke_subject(const std::string& subject) {
        same("families ended", plainly.revoke_subject(subject), *endpoint_->revoke_subject(subject));
        check_rows();
    }

    /// Puts a row, here and there, where no request would: a store that lost writes, a very old family.
    void set_row(std::size_t family, std::uint32_t generation, oracle::millis used_at) {
        plainly.families[family].current = generation;
        plainly.families[family].used_at = used_at;
        const auto row = store_.rows.find(keys_[family]);
        if (row == store_.rows.end()) return;
        row->second.current = regrant::generation{generation};
        row->second.used_at = at(used_at);
    }
    void lose_row(std::size_t family) {
        plainly.families[family].life = oracle::life::missing;
        store_.rows.erase(keys_[family]);
    }
    /// A token as the server would have sealed it some time.
    void hand_out(const oracle::token& which) {
        const regrant::lineage line{lines_[which.family].family, regrant::generation{which.generation}};
        take(which, std::string(ring_of({which.key}).seal(line)->reveal()));
    }

    /// \return what was answered, in a line
    std::string send(const oracle::request& asked) {
        regrant::http_request request;
        request.method = asked.method;
        request.query = regrant::secret(asked.query);
        request.body = regrant::secret(asked.body);
        for (const oracle::header& each : asked.headers) request.header(each.name, each.value);
        store_.finds = store_.advances = store_.revokes = hooks_.observed = 0;
        store_.clock = at(now);

        const oracle::prediction expected = plainly.answer(asked, now);
        const regrant::http_reply reply = endpoint_->respond(std::move(request), at(now));
        check(expected, reply);
        same("decisions told", expected.is_preflight ? 0 : 1, hooks_.observed);
        if (!expected.is_preflight) same("told as refused", !expected.good, hooks_.last_was_refused);
        same("advances", expected.advances, store_.advances);
        same("revokes", expected.revokes, store_.revokes);
        same("reads of the store", expected.reads_store, store_.finds != 0);
        check_rows();
        return std::to_string(expected.status) + ' ' + reply.body;
    }

private:
    static inline const oracle::words every_word{"openid", "profile", "email", "a!b"};

    void take(const oracle::token& which, const std::string& text) {
        const auto known = texts_.find(which);
        if (known != texts_.end()) return same("a token of the same generation", known->second, text);
        expect(plainly.tokens.emplace(text, which).second, "a new token has an old one's text");
        texts_[which] = text;
        handed_out.push_back(text);
        expect(text.size() >= 28 && plain::base64url_decode(text), "'" + text + "' is no token"); // R35: 160 bits
    }

    void check(const oracle::prediction& expected, const regrant::http_reply& reply) {
        same("status", expected.status, static_cast<int>(reply.status));
        std::map<std::string, std::string> headers;
        for (const regrant::http_header& each : reply.headers)
            expect(headers.emplace(each.name, each.value).second, "header twice: " + std::string(each.name));
        const auto take_header = [&](const std::string& name) {
            const auto found = headers.find(name);
            const std::string value = found == headers.end() ? "" : found->second;
            headers.erase(name);
            return value;
        };
        const std::string type = take_header("Content-Type");
        if (!expected.without_body) same<std::string>("Content-Type", "application/json;charset=UTF-8", type);
        same<std::string>("Cache-Control", expected.is_preflight ? "" : "no-store", take_header("Cache-Control"));
        same<std::string>("Pragma", expected.is_preflight ? "" : "no-cache", take_header("Pragma"));
        same<std::string>("Allow", expected.allow, take_header("Allow"));
        same<std::string>("WWW-Authenticate", expected.status == 401 ? "Basic realm=\"fuzz\"" : "",
                          take_header("WWW-Authenticate"));
        check_retry_after(expected.retry_after, take_header("Retry-After"));
        same("Access-Control-Allow-Origin", expected.readable_by.value_or(""),
             take_header("Access-Control-Allow-Origin"));
        const bool readable = expected.readable_by.has_value();
        same<std::string>("Vary", readable ? "Origin" : "", take_header("Vary"));
        const bool preflight = readable && expected.is_preflight;
        same<std::string>("exposed headers", readable && !preflight ? "WWW-Authenticate, Retry-After" : "",
                          take_header("Access-Control-Expose-Headers"));
        same<std::string>("allowed methods", preflight ? "POST" : "", take_header("Access-Control-Allow-Methods"));
        same<std::string>("allowed headers", preflight ? "authorization, content-type, dpop" : "",
                          take_header("Access-Control-Allow-Headers"));
        take_header("Access-Control-Max-Age");
        if (!headers.empty()) differs("a header nobody asked for: " + headers.begin()->first);

        if (expected.without_body) same<std::string>("body", "", reply.body);
        else if (expected.good) check_success(*expected.good, reply.body);
        else check_error(expected.error, reply.body);
    }

    /// R51: "`Retry-After` is below half the window"; a window of zero has no half.
    void check_retry_after(bool expected, const std::string& value) const {
        same("Retry-After is there", expected, !value.empty());
        if (!expected) return;
        expect(value.find_first_not_of("0123456789") == std::string::npos && value.size() < 6, "Retry-After: " + value);
        const oracle::millis wait = std::stoll(value) * 1000;
        expect(2 * wait < plainly.rules.window || wait == 0, "Retry-After is too long: " + value);
    }

    /// R73, R75, R76
    void check_error(const std::string& code, const std::string& body) {
        if (!describes) return same("body", R"({"error":")" + code + R"("})", body);
        reader json(body);
        json.skip(R"({"error":")" + code + R"(","error_description":")");
        const std::string text = json.up_to('"');
        json.skip("\"}");
        json.end();
        for (const char c : text) expect(c >= 0x20 && c <= 0x7E && c != '\\', "error_description holds " + text);
        if (code != "invalid_grant" && code != "invalid_client") return;
        same("the public text of " + code, descriptions_.emplace(code, text).first->second, text);
    }

    void check_success(const oracle::success& expected, const std::string& body) {
        const oracle::family& login = plainly.families[expected.family];
        const bool has_id = oracle::holds(expected.scope, "openid");
        const oracle::millis issued = floor_seconds(now);
        reader json(body);
        json.skip(R"({"access_token":")");
        const std::string access = json.up_to('"');
        json.skip(R"(","refresh_token":")");
        const std::string refresh = json.up_to('"');
        json.skip(R"(","scope":")" + plain::joined(expected.scope) + '"');
        if (has_id) json.skip(R"(,"id_token":")"); // R77
        const std::string id = has_id ? json.up_to('"') : "";
        json.skip(std::string(has_id ? "\"" : "") + R"(,"token_type":"Bearer","expires_in":)" +
                  std::to_string(floor_seconds((issued + 300) * 1000 - now)) + '}'); // R67
        json.end();

        std::string list;
        for (const std::string& word : expected.scope) list += (list.empty() ? "\"" : ",\"") + word + '"';
        const std::string who = R"({"sub":")" + login.subject + R"(","aud":")" + login.client_id + '"';
        const std::string iat = std::to_string(issued);
        check_jwt(access,
                  who + R"(,"nbf":)" + iat + R"(,"scope":[)" + list + R"(],"iss":"https:\/\/id.example","exp":)" +
                      std::to_string(issued + 300) + R"(,"iat":)" + iat,
                  "");
        if (has_id)
            check_jwt(id, who + R"(,"azp":")" + login.client_id + R"(","iss":"https:\/\/id.example","exp":)" +
                              std::to_string(issued + 1800) + R"(,"iat":)" + iat,
                      login.auth_time ? R"(,"auth_time":)" + std::to_string(*login.auth_time) : "");
        take(expected.refresh_token, refresh);
    }

    static oracle::millis floor_seconds(oracle::millis when) { return (when - (when % 1000 + 1000) % 1000) / 1000; }

    void check_jwt(const std::string& text, const std::string& claims, const std::string& more) {
        const oracle::words parts = plain::split(text, '.');
        expect(parts.size() == 3, "'" + text + "' is no JWT");
        same<std::string>("JWT header", R"({"kid":"key-1","typ":"JWT","alg":"RS256"})",
                          plain::base64url_decode(parts[0]).value_or("no base64url"));
        reader json(plain::base64url_decode(parts[1]).value_or("no base64url"));
        json.skip(claims + R"(,"jti":")");
        const std::string jti = json.up_to('"');
        expect(jti.size() == 36 && jtis_.insert(jti).second, "jti '" + jti + "' is not unique"); // R104
        json.skip('"' + more + '}');
        json.end();
    }

    void check_rows() const {
        std::size_t live = 0;
        for (std::size_t i = 0; i < plainly.families.size(); ++i) {
            const oracle::family& family = plainly.families[i];
            const std::string name = "family " + std::to_string(i) + ": ";
            const auto row = store_.rows.find(keys_.at(i));
            same(name + "is kept", family.life != oracle::life::missing, row != store_.rows.end());
            if (row == store_.rows.end()) continue;
            ++live;
            same(name + "generation", family.current, static_cast<std::uint32_t>(row->second.current));
            same(name + "revoked", family.life == oracle::life::revoked,
                 row->second.state == regrant::revocation::revoked);
            same(name + "used_at", family.used_at,
                 static_cast<oracle::millis>(row->second.used_at.time_since_epoch().count()));
        }
        same("rows", live, store_.rows.size());
    }

    using issuer = regrant::jwt_issuer<staged_signer, regrant::no_extra_claims, counting_random>;

    staged_store store_{plainly};
    staged_registry registry_{plainly};
    staged_hooks hooks_{plainly};
    counting_random random_{};
    issuer issuer_ = *issuer::make({"https://id.example"}, staged_signer{&plainly});
    regrant::token_keyring all_keys_ = ring_of({1, 2});
    std::optional<regrant::token_endpoint<staged_store, staged_registry, issuer, staged_hooks, counting_random>>
        endpoint_{};
    std::vector<regrant::row_key> keys_{};
    std::vector<regrant::lineage> lines_{};
    std::map<oracle::token, std::string> texts_{};
    std::map<std::string, std::string> descriptions_{};
    std::set<std::string> jtis_{};
};

} // namespace scene
