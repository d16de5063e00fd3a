// tests/fuzz/endpoint_draft.hpp - bytes made into requests: a good refresh, then changed in one place or some.
// SPDX-License-Identifier: MIT
#pragma once

#include "endpoint_twin.hpp"

namespace scene {

/// The fuzzer's bytes as choices; when they are used up, every choice is the first.
class script {
public:
    explicit script(std::string_view text) noexcept : text_(text) {}

    bool at_end() const noexcept { return text_.empty(); }
    char next() noexcept {
        if (text_.empty()) return '0';
        const char c = text_.front();
        text_.remove_prefix(1);
        return c;
    }
    /// '0' is the first of `count` choices.
    std::size_t pick(std::size_t count) noexcept { return static_cast<unsigned char>(next() - '0') % count; }
    template <class T> const T& one_of(const std::vector<T>& all) { return all[pick(all.size())]; }
    std::string bytes(std::size_t count) {
        std::string taken;
        while (taken.size() < count) taken += next();
        return taken;
    }

private:
    std::string_view text_;
};

/// The newest token first.
inline std::string any_token(const twin& of, script& from) {
    const std::size_t age = from.pick(64);
    if (of.handed_out.empty()) return "none";
    return of.handed_out[of.handed_out.size() - 1 - age % of.handed_out.size()];
}

class draft {
public:
    draft(const twin& of, script& from) : twin_(of), from_(from) {
        const std::string token = any_token(of, from);
        const auto known = of.plainly.tokens.find(token);
        const std::string owner =
            known == of.plainly.tokens.end() ? "web" : of.plainly.families[known->second.family].client_id;
        fields_ = {{"grant_type", "refresh_token"}, {"refresh_token", token}};
        headers_ = {{"Content-Type", "application/x-www-form-urlencoded"}};
        prove(owner);
    }

    void change() {
        switch (from_.pick(20)) {
        case 0: asked_.method = from_.one_of(methods); break;
        case 1: headers_[0].value = from_.one_of(media_types); break;
        case 2: add_content_type(); break;
        case 3: drop_field(); break;
        case 4: double_field(); break;
        case 5: any_field().value.clear(); break;
        case 6: fields_.push_back(from_.one_of(strangers)); break;
        case 7: set("scope", from_.one_of(scopes)); break;
        case 8: alter_token(); break;
        case 9: set("refresh_token", any_token(twin_, from_)); break;
        case 10: set("client_id", from_.one_of(ids)); break;
        case 11: set("client_secret", from_.one_of(secrets)); break;
        case 12: set_authorization(); break;
        case 13: asked_.query = from_.one_of(queries); break;
        case 14: fill_body_ = 1 + from_.pick(3); break;
        case 15: fill_fields_ = 1 + from_.pick(3); break;
        case 16: splices_.push_back({from_.pick(200), from_.bytes(1 + from_.pick(6))}); break;
        case 17: set("grant_type", from_.one_of(grant_types)); break;
        case 18: add_origin(); break;
        default: prove(from_.one_of(ids)); break;
        }
    }

    oracle::request finished() {
        for (std::size_t i = 0; fill_fields_ != 0 && fields_.size() + 2 < twin_.plainly.rules.fields + fill_fields_;
             ++i)
            fields_.push_back({"f" + std::to_string(i), "x"});
        for (const plain::field& each : fields_) {
            if (!asked_.body.empty()) asked_.body += '&';
            asked_.body += escaped(each.name) + '=' + escaped(each.value);
        }
        for (const auto& [where, bytes] : splices_) asked_.body.insert(where % (asked_.body.size() + 1), bytes);
        const std::size_t limit = twin_.plainly.rules.body_bytes;
        if (fill_body_ != 0 && asked_.body.size() + 8 < limit)
            asked_.body += "&fill=" + std::string(limit + fill_body_ - 2 - asked_.body.size() - 6, 'x');
        asked_.headers = headers_;
        return asked_;
    }

private:
    /// A third of the names and values come as escapes throughout, which mean the same.
    std::string escaped(const std::string& text) const {
        if (!escapes_all_) return plain::form_encode(text);
        std::string made;
        for (const char c : text) {
            const auto byte = static_cast<unsigned char>(c);
            ((made += '%') += "0123456789abcdef"[byte >> 4]) += "0123456789abcdef"[byte & 15];
        }
        return made;
    }

    plain::field& any_field() {
        if (fields_.empty()) fields_.push_back({"a", "b"});
        return fields_[from_.pick(fields_.size())];
    }

    void set(const std::string& name, const std::string& value) {
        for (plain::field& each : fields_)
            if (each.name == name) {
                each.value = value;
                return;
            }
        fields_.push_back({name, value});
    }
    void unset(const std::string& name) {
        std::erase_if(fields_, [&](const plain::field& each) { return each.name == name; });
    }
    void drop_headers(const std::string& name) {
        std::erase_if(headers_, [&](const oracle::header& each) { return plain::lower(each.name) == name; });
    }

    /// As a client is registered to.
    void prove(const std::string& id) {
        unset("client_id");
        unset("client_secret");
        drop_headers("authorization");
        const auto found = twin_.plainly.clients.find(id);
        const bool is_basic = found != twin_.plainly.clients.end() && found->second.method == oracle::method::basic;
        const std::string secret = found == twin_.plainly.clients.end() || found->second.secrets.empty()
                                       ? ""
                                       : found->second.secrets.back().text;
        if (is_basic) {
            authorize("Basic " + plain::base64_encode(plain::form_encode(id) + ':' + plain::form_encode(secret)));
        } else {
            set("client_id", id);
            if (!secret.empty()) set("client_secret", secret);
        }
    }
    void authorize(const std::string& value) { headers_.push_back({"Authorization", value}); }

    void set_authorization() {
        const std::string& id = from_.one_of(ids);
        const std::string& secret = from_.one_of(secrets);
        const std::string raw = plain::base64_encode(id + ':' + secret);
        const std::string encoded = plain::base64_encode(plain::form_encode(id) + ':' + plain::form_encode(secret));
        switch (from_.pick(15)) {
        case 0: return authorize("Basic " + encoded);
        case 1: return authorize("Basic " + raw);
        case 2: return drop_headers("authorization"), authorize("Basic " + encoded);
        case 3: return drop_headers("authorization"), authorize("Basic " + raw);
        case 4: return drop_headers("authorization"), authorize("bASIC   " + encoded);
        case 5: return drop_headers("authorization"), authorize("Bearer " + encoded);
        case 6: return drop_headers("authorization"), authorize("Basic");
        case 7: return drop_headers("authorization"), authorize("Basic " + encoded.substr(1));
        case 8: return drop_headers("authorization"), authorize("Basic " + plain::base64_encode(id));
        case 9: return drop_headers("authorization"), authorize("Basic " + plain::base64_encode(":" + secret));
        case 10: return drop_headers("authorization"), authorize("Basic " + plain::base64_encode(id + ":"));
        case 11: return drop_headers("authorization");
        case 12: return drop_headers("authorization"), authorize("");
        case 13: return drop_headers("authorization"), authorize("Basic " + encoded + "=");
        default: return drop_headers("authorization"), authorize("Basic " + plain::base64_encode(from_.bytes(6)));
        }
    }

    void add_content_type() {
        headers_.push_back({from_.pick(2) == 0 ? "content-type" : "CONTENT-TYPE",
                            from_.pick(2) == 0 ? headers_[0].value : from_.one_of(media_types)});
    }
    void drop_field() {
        if (!fields_.empty()) fields_.erase(fields_.begin() + static_cast<std::ptrdiff_t>(from_.pick(fields_.size())));
    }
    void double_field() {
        plain::field again = any_field();
        if (const std::size_t how = from_.pick(3); how != 0) again.value = how == 1 ? "" : "other";
        const auto where = from_.pick(fields_.size() + 1);
        fields_.insert(fields_.begin() + static_cast<std::ptrdiff_t>(where), again);
        escapes_all_ = from_.pick(3) == 1;
    }

    void alter_token() {
        std::string token;
        for (const plain::field& each : fields_)
            if (each.name == "refresh_token") token = each.value;
        const std::size_t where = from_.pick(72) % (token.size() + 1);
        switch (from_.pick(7)) {
        case 0: token.resize(where); break;
        case 1: token += "="; break;
        case 2: token.insert(where, "\xC3\xA9"); break;
        case 3: token += 'A'; break;
        case 4: token.insert(where, "\x7F"); break;
        case 5: token = plain::lower(token); break;
        default:
            if (where < token.size()) token[where] = plain::base64_digits[from_.pick(62)];
            break;
        }
        set("refresh_token", token);
    }

    void add_origin() {
        headers_.push_back({"origin", from_.one_of(origins)});
        if (from_.pick(3) != 1) return;
        asked_.method = "OPTIONS";
        headers_.push_back({"Access-Control-Request-Method", "POST"});
    }

    static inline const std::vector<std::string> methods{"GET",  "HEAD", "OPTIONS", "PUT",
                                                         "post", "",     "POST ",   "DELETE"};
    static inline const std::vector<std::string> media_types{
        "application/x-www-form-urlencoded; charset=UTF-8", "application/x-www-form-urlencoded;charset=utf-8",
        "Application/X-WWW-Form-Urlencoded", "application/x-www-form-urlencoded; charset=\"utf-8\"",
        "application/x-www-form-urlencoded; charset=iso-8859-1", "application/json", "", "text/plain",
        "application/x-www-form-urlencoded2", "application/x-www-form-urlencoded; boundary=x",
        "application/x-www-form-urlencoded ; CHARSET=Utf-8", "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded; boundary=x; charset=latin1", "application/x-www-form-urlencoded;",
        "application/x-www-form-urlencoded; boundary=\";charset=latin1\"",
        "application/x-www-form-urlencoded, application/x-www-form-urlencoded"};
    static inline const std::vector<plain::field> strangers{{"resource", "https://a.example"},
                                                            {"resource", "https://b.example"},
                                                            {"foo", "bar"},
                                                            {"state", ""},
                                                            {"", "nameless"},
                                                            {"resource", ""},
                                                            {"Scope", "foo"},
                                                            {"client_secret ", "x"},
        {"foo", std::string(1, '\0')},    {"foo", "\xED\xA0\x80"}};
    static inline const std::vector<std::string> scopes{
        "openid",  "profile", "profile openid", "openid  profile", "",     "admin", "openid\tprofile", "openid openid",
        " openid", "openid ", "Openid",         "a!b email",       "a\"b", "a\\b",  "email",           "\xC3\xA9"};
    static inline const std::vector<std::string> ids{"web",     "spa", "basic",  "lenient", "echo",   "another", "app",
                                                     "machine", "a b", "50%off", "nobody",  "Web", "w\xC3\xA9" "b"};
    static inline const std::vector<std::string> secrets{"s3cret", "s",     "a+b%c:d", "50%",
                                                         "p q",    "wrong", "",        "new secret"};
    static inline const std::vector<std::string> queries{
        "state=1", "client_secret=x", "a=b&refresh_token=x", "client_assertion=x", "client_id=web&grant_type=foo",
        "client%5Fsecret=x", "xclient_secret=1", "%zz&client_secret=x", "refresh%5ftoken", "Client_Secret=x", "&&=&%"};
    static inline const std::vector<std::string> grant_types{
        "password", "Refresh_Token", "REFRESH_TOKEN", "refresh_token ", "", "client_credentials"};
    static inline const std::vector<std::string> origins{
        "https://web.example", "https://spa.example", "https://evil.example", "null", "", "https://web.example/"};

    const twin& twin_;
    script& from_;
    oracle::request asked_{};
    std::vector<plain::field> fields_{};
    std::vector<oracle::header> headers_{};
    std::vector<std::pair<std::size_t, std::string>> splices_{};
    std::size_t fill_body_ = 0;
    std::size_t fill_fields_ = 0;
    bool escapes_all_ = false;
};

} // namespace scene
