// tests/fuzz/oracle.hpp - a second token endpoint, slow and plain, that says what each request must be answered.
// Written from REQUIREMENTS alone (R1..R116, in the order of its last section); it includes nothing of the library.
// It knows refresh tokens by their text: what it has not seen handed out is forged.
// SPDX-License-Identifier: MIT
#pragma once

#include "oracle_world.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace oracle {

class endpoint {
public:
    oracle::rules rules{};
    std::map<std::string, client> clients{};
    std::vector<family> families{};
    std::map<std::string, token> tokens{};
    /// The first mints, all are accepted.
    std::vector<int> ring{1};
    std::set<std::string> denied_subjects{};
    oracle::weather weather{};
    oracle::rival rival{};

    prediction answer(const request& asked, millis now) {
        now_ = now;
        made_ = {};
        known_ = nullptr;
        is_proven_ = false;
        const words origins = asked.values("origin");
        const std::string origin = origins.empty() ? "" : origins.front();
        // R115: a preflight is an OPTIONS request with both headers (Fetch 3.2.2).
        if (rules.cross_origin && asked.method == "OPTIONS" && !origins.empty() &&
            !asked.values("access-control-request-method").empty()) {
            made_.status = 204;
            made_.is_preflight = made_.without_body = true;
            if (is_anybodys(origin)) made_.readable_by = origin;
            return made_;
        }
        judge(asked);
        // R115: once the client has proven who it is its own origins count, before any client's.
        if (rules.cross_origin && !origin.empty() &&
            (is_proven_ ? holds(known_->origins, origin) : is_anybodys(origin)))
            made_.readable_by = origin;
        made_.without_body = asked.method == "HEAD";
        return made_;
    }

    /// Whether a login is granted, and with which error it is not; a granted one adds a family.
    std::string log_in(const std::string& client_id, const std::string& subject, const std::string& scope,
                       std::optional<std::int64_t> auth_time, bool random_works, millis now) {
        if (weather.registry_down) return "temporarily_unavailable";
        const auto found = clients.find(client_id);
        if (found == clients.end()) return "invalid_client";
        if (subject.empty()) return "invalid_request";
        if (!found->second.may_refresh) return "unauthorized_client";
        const auto asked = plain::scope_words(scope);
        if (!asked) return "invalid_scope";
        for (const std::string& word : *asked)
            if (!holds(found->second.scope, word)) return "invalid_scope";
        // R35, R52
        if (!random_works || weather.signer_down) return "temporarily_unavailable";
        families.push_back({client_id, subject, *asked, found->second.mode, now, now + rules.absolute, auth_time});
        families.back().used_at = now;
        return "";
    }

    void revoke(const std::string& text) {
        if (const auto known = opened(text)) end(families[known->family]);
    }

    std::size_t revoke_subject(const std::string& subject) {
        std::size_t ended = 0;
        for (family& each : families)
            if (each.subject == subject && each.life == life::live) {
                end(each);
                ++ended;
            }
        return ended;
    }

    /// The token that stands in a text: none unless it was handed out, and sealed by a key of the ring (R39, R54).
    std::optional<token> opened(const std::string& text) const {
        const auto found = tokens.find(text);
        if (found == tokens.end() || std::find(ring.begin(), ring.end(), found->second.key) == ring.end()) return {};
        return found->second;
    }

private:
    static void end(family& each) {
        if (each.life == life::live) each.life = life::revoked;
    }

    void refuse(int status, const std::string& error) { made_.status = status, made_.error = error; }
    /// R51
    void unavailable() {
        refuse(503, "temporarily_unavailable");
        made_.retry_after = true;
    }
    /// R20, R21
    void unauthenticated() { refuse(made_.challenge ? 401 : 400, "invalid_client"); }

    bool is_anybodys(const std::string& origin) const {
        if (weather.registry_down) return false;
        for (const auto& [id, each] : clients)
            if (holds(each.origins, origin)) return true;
        return false;
    }

    void judge(const request& asked) {
        if (asked.method != "POST") { // R1
            made_.allow = rules.cross_origin ? "POST, OPTIONS" : "POST";
            return refuse(405, "invalid_request");
        }
        const words types = asked.values("content-type"); // R2, R3
        const auto charset = types.empty() ? std::nullopt : plain::form_charset_of(types.front());
        if (!charset || types != words(types.size(), types.front())) return refuse(415, "invalid_request");
        if (asked.body.size() > rules.body_bytes || plain::form_pieces(asked.body).size() > rules.fields) // R9
            return refuse(413, "invalid_request");
        for (const plain::field& each : query_fields(asked.query)) // R8
            if (each.name == "client_secret" || each.name == "refresh_token" || each.name == "client_assertion")
                return refuse(400, "invalid_request");
        const plain::form form = plain::form_parse(asked.body); // R4
        if (*charset != "utf-8" && !form.faults.escape && !form.faults.nul) { // R3
            bool is_ascii = !form.faults.utf8;
            for (const plain::field& each : form.fields)
                for (const char c : each.name + each.value) is_ascii = is_ascii && static_cast<unsigned char>(c) < 0x80;
            if (!is_ascii) return refuse(415, "invalid_request");
        }
        if (form.faults.any()) return refuse(400, "invalid_request");
        for (std::size_t i = 0; i < form.fields.size(); ++i) // R7
            for (std::size_t k = 0; k < i; ++k)
                if (form.fields[i].name == form.fields[k].name && form.fields[i].name != "resource")
                    return refuse(400, "invalid_request");
        std::map<std::string, std::string> sent; // R5, R6
        for (const plain::field& each : form.fields)
            if (!each.value.empty()) sent[each.name] = each.value;

        if (sent.count("grant_type") == 0) return refuse(400, "invalid_request"); // R10
        if (sent["grant_type"] != "refresh_token") return refuse(400, "unsupported_grant_type"); // R11
        if (sent.count("refresh_token") == 0) return refuse(400, "invalid_request"); // R12
        is_proven_ = authenticate(asked, sent);
        if (!is_proven_) return;
        made_.challenge = false;
        if (!known_->may_refresh) return refuse(400, "unauthorized_client"); // R30
        refresh(sent["refresh_token"], sent.count("scope") != 0 ? std::optional(sent["scope"]) : std::nullopt);
    }

    /// What of a query can be read; R8 looks at three names alone.
    static std::vector<plain::field> query_fields(const std::string& query) {
        std::vector<plain::field> fields;
        for (const std::string& piece : plain::form_pieces(query)) {
            const plain::decoded name = plain::form_decode(piece.substr(0, piece.find('=')));
            if (!name.faults.any()) fields.push_back({name.text, ""});
        }
        return fields;
    }

    bool look_up(const std::string& id) {
        if (weather.registry_down) {
            unavailable();
            return false;
        }
        const auto found = clients.find(id);
        if (found != clients.end()) known_ = &found->second;
        return true;
    }

    /// R31: a secret works before the moment it expires.
    bool is_secret(const std::string& text) const {
        for (const kept_secret& each : known_->secrets)
            if (each.text == text && (!each.expires_at || now_ < *each.expires_at)) return true;
        return false;
    }

    /// Whether the client is who it says; else the refusal is made.
    bool authenticate(const request& asked, std::map<std::string, std::string>& sent) {
        const words authorizations = asked.values("authorization");
        const bool names_itself = sent.count("client_id") != 0;
        const bool sends_secret = sent.count("client_secret") != 0;
        // R24: another scheme is ignored where the body names the client.
        const bool sends_basic = authorizations.size() == 1 &&
                                 plain::lower(authorizations.front().substr(0, authorizations.front().find(' '))) == "basic";
        bool good = false;
        if (authorizations.size() > 1 || (sends_basic && sends_secret)) { // R16
            refuse(400, "invalid_request");
            return false;
        }
        if (sends_basic || (authorizations.size() == 1 && !names_itself)) {
            made_.challenge = true;
            const auto basic = plain::basic_parse(authorizations.front()); // R24
            if (!basic) return unauthenticated(), false;
            const plain::decoded user = plain::form_decode(basic->user); // R18
            const plain::decoded password = plain::form_decode(basic->password);
            const std::string id = user.faults.any() ? basic->user : user.text;
            if (names_itself && sent["client_id"] != id) { // R16
                made_.challenge = false;
                refuse(400, "invalid_request");
                return false;
            }
            if (!look_up(id)) return made_.challenge = false;
            good = known_ != nullptr && known_->method == method::basic &&
                   ((!user.faults.any() && !password.faults.any() && is_secret(password.text)) ||
                    (known_->lenient && is_secret(basic->password))); // R19
        } else {
            if (!names_itself) return unauthenticated(), false; // R25
            if (!look_up(sent["client_id"])) return false;
            if (sends_secret)
                good = known_ != nullptr && known_->method == method::post && is_secret(sent["client_secret"]);
            else good = known_ != nullptr && known_->method == method::none;
        }
        if (!good) unauthenticated();
        return good;
    }

    void refresh(const std::string& text, const std::optional<std::string>& asked_scope) {
        const auto presented = opened(text); // R13, R32, R39
        if (!presented) return refuse(400, "invalid_grant");
        bool lost_a_race = false;
        for (int loads = 0; loads != 4; ++loads) { // R47: it loads again, at most three times
            made_.reads_store = true;
            if (weather.find_down) return unavailable();
            family& row = families[presented->family];
            if (row.life == life::missing) return refuse(400, "invalid_grant"); // R53
            if (row.client_id != known_->id) return refuse(400, "invalid_grant"); // R33
            if (row.life == life::revoked) return refuse(400, "invalid_grant"); // R32
            if ((rules.not_before && row.issued_at < *rules.not_before) ||
                (known_->not_before && row.issued_at < *known_->not_before)) // R44
                return refuse(400, "invalid_grant");
            if (now_ >= row.expires_at || now_ >= row.issued_at + rules.absolute)
                return refuse(400, "invalid_grant");                                   // R43
            if (now_ >= row.used_at + rules.idle) return refuse(400, "invalid_grant"); // R42

            // R37 and R41: an echoing family rotates for a client that is public by now.
            const bool rotates = row.mode == mode::rotate || known_->method == method::none;
            std::uint32_t following = presented->generation;
            millis stamp = std::max(row.used_at, now_);
            if (presented->generation < row.current) {
                // No clause says what a lost rotation is to a client that echoes again: a replay, it is here.
                const bool is_predecessor = rotates && presented->generation + 1 == row.current;
                if (!is_predecessor || !window_is_open(row)) return replayed(row, lost_a_race); // R38
                following = row.current; // R47
                stamp = row.used_at;     // R49: a retry does not restart the window
            } else {
                if (presented->generation - row.current > rules.heal) return refuse(400, "invalid_grant"); // R53
                if (rotates) {
                    if (presented->generation == 0xFFFFFFFF) return refuse(400, "invalid_grant");
                    following = presented->generation + 1;
                }
            }

            if (weather.account_down) return unavailable(); // R46
            if (denied_subjects.count(row.subject) != 0) return refuse(400, "invalid_grant");
            const auto scope = judge_scope(row, asked_scope);
            if (!scope) return refuse(400, "invalid_scope");
            if (weather.signer_down) return unavailable(); // R52

            ++made_.advances;
            if (weather.advance_down) return unavailable();
            const bool overtaken = act(row);
            if (!overtaken) {
                row.current = following;
                row.used_at = stamp;
                if (weather.advance_unheard) return unavailable();
                // R41 and R54 leave open whether an echoed token keeps the seal of an older key: it is sealed anew.
                made_.good = {{presented->family, following, ring.front()}, *scope, presented->family};
                return;
            }
            if (weather.advance_unheard) return unavailable();
            lost_a_race = true;
        }
        unavailable();
    }

    /// R38; a token that lost a race is two behind without anybody's fault (R47).
    void replayed(family& row, bool lost_a_race) {
        if (lost_a_race) return refuse(400, "invalid_grant");
        ++made_.revokes;
        if (weather.revoke_down) return unavailable();
        end(row);
        refuse(400, "invalid_grant");
    }

    /// R49
    bool window_is_open(const family& row) const {
        if (rules.window == 0 || row.used_at > now_ + rules.skew) return false;
        return std::max<millis>(now_ - row.used_at, 0) < rules.window;
    }

    /// R55, R56, R57, R59, R61; the words stand in the order of the grant.
    std::optional<words> judge_scope(const family& row, const std::optional<std::string>& asked) const {
        std::optional<words> wanted = row.scope;
        if (asked) wanted = plain::scope_words(*asked);
        if (!wanted) return std::nullopt;
        for (const std::string& word : *wanted)
            if (!holds(row.scope, word)) return std::nullopt;
        words answered;
        for (const std::string& word : row.scope)
            if (holds(*wanted, word) && holds(known_->scope, word)) answered.push_back(word);
        if (answered.empty()) return std::nullopt;
        return answered;
    }

    /// Lets the rival act on a row; whether the conditional write behind it then fails.
    bool act(family& row) {
        if (rival.does == rival::deed::nothing || made_.advances > rival.times) return false;
        if (rival.does == rival::deed::refresh) {
            if (row.mode == mode::echo || row.current == 0xFFFFFFFF) return false;
            ++row.current;
            row.used_at = std::max(row.used_at, now_);
        } else if (rival.does == rival::deed::revocation) {
            end(row);
        } else if (rival.does == rival::deed::loss) {
            row.life = life::missing;
        }
        return true;
    }

    millis now_ = 0;
    prediction made_{};
    const client* known_ = nullptr;
    bool is_proven_ = false;
};

} // namespace oracle
