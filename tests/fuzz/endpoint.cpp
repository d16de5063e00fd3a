// tests/fuzz/endpoint.cpp - whatever the sequence of logins, requests, revokes, faults and clock steps, the token
// endpoint answers, and leaves its rows, as a second model of R1..R116 says it must.
// SPDX-License-Identifier: MIT
//
// The input is read as letters, each with what it needs behind it; `pick` takes '0' for the first choice. A run that
// differs is done again with its story told, so a crash file shows what happened.
#include "endpoint_draft.hpp"

#include <cstdlib>

namespace {

using scene::script;
using scene::twin;

class play {
public:
    play(script& from, bool tells) : from_(from), tells_(tells) {}

    void run() {
        for (int steps = 0; !from_.at_end() && steps < 60; ++steps) step(from_.next());
    }

private:
    void tell(const std::string& what) const {
        if (tells_) std::fprintf(stderr, "  %.400s\n", what.c_str());
    }

    void step(char letter) {
        constexpr std::string_view common = "RRRRRMMMMMMTTLLI";
        if (std::string_view("LRMTVSPKCFBXGAI").find(letter) == std::string_view::npos)
            letter = common[static_cast<unsigned char>(letter) % common.size()];
        switch (letter) {
        case 'L': return log_in();
        case 'R': return send(0);
        case 'M': return send(1 + from_.pick(4));
        case 'T': return pass_time();
        case 'V': return revoke();
        case 'S': return revoke_subject();
        case 'P': return change_rules();
        case 'K': return change_ring();
        case 'C': return change_client();
        case 'F': return change_weather();
        case 'B': return roll_back();
        case 'X': return lose_row();
        case 'G': return leap();
        case 'A': return deny_account();
        default: return meet_rival();
        }
    }

    void log_in() {
        const std::string& id = from_.one_of(client_ids);
        const std::string& subject = from_.one_of(subjects);
        const std::string& scope = from_.one_of(granted_scopes);
        const auto auth_time = from_.pick(3) == 1 ? std::optional<std::int64_t>(1'636'000'000) : std::nullopt;
        const bool random_works = from_.pick(16) != 1;
        tell("login of " + subject + " with " + id + " for '" + scope + '\'');
        twin_.log_in(id, subject, scope, auth_time, random_works);
    }

    void send(std::size_t changes) {
        scene::draft draft(twin_, from_);
        for (std::size_t i = 0; i < changes; ++i) draft.change();
        const oracle::request asked = draft.finished();
        tell(asked.method + " ?" + asked.query);
        for (const oracle::header& each : asked.headers) tell("    " + each.name + ": " + each.value);
        tell("    " + asked.body);
        const std::string answered = twin_.send(asked);
        tell("    -> " + answered);
        twin_.plainly.weather = {};
        twin_.plainly.rival = {};
    }

    void pass_time() {
        const oracle::rules& rules = twin_.plainly.rules;
        const oracle::millis steps[] = {1,
                                        750,
                                        1000,
                                        rules.window - 1,
                                        rules.window,
                                        rules.window + 1,
                                        10'000,
                                        rules.idle,
                                        rules.idle - 1,
                                        rules.absolute - 1,
                                        rules.absolute,
                                        -1,
                                        -1000,
                                        -30'000,
                                        -60'000,
                                        -60'001,
                                        -86'400'000,
                                        3'600'000};
        twin_.now += steps[from_.pick(std::size(steps))];
        tell("the clock says " + std::to_string(twin_.now));
    }

    void revoke() {
        const std::string token = scene::any_token(twin_, from_);
        tell("revoke of " + token);
        twin_.revoke(token);
        twin_.plainly.weather = {};
    }

    void revoke_subject() {
        const std::string& subject = from_.one_of(subjects);
        tell("revoke of all of " + subject);
        twin_.revoke_subject(subject);
    }

    void change_rules() {
        oracle::rules& rules = twin_.plainly.rules;
        switch (from_.pick(10)) {
        case 0: rules.window = from_.one_of(std::vector<oracle::millis>{0, 1000, 30'000, 600'000}); break;
        case 1: rules.heal = from_.one_of(std::vector<std::uint32_t>{0, 1, 8, 0xFFFFFFFF}); break;
        case 2: rules.cross_origin = !rules.cross_origin; break;
        case 3: twin_.describes = !twin_.describes; break;
        case 4: rules.not_before = twin_.now + from_.one_of(around); break;
        case 5: rules.not_before.reset(); break;
        case 6: rules.idle = from_.one_of(std::vector<oracle::millis>{1000, 60'000, 2'592'000'000}); break;
        case 7: rules.absolute = from_.one_of(std::vector<oracle::millis>{2000, 60'000, 7'776'000'000}); break;
        case 8: rules.fields = from_.one_of(std::vector<std::size_t>{100, 4, 5, 0}); break;
        default: rules.body_bytes = from_.one_of(std::vector<std::size_t>{16384, 200, 300, 0}); break;
        }
        if (from_.pick(4) == 1) rules.skew = from_.one_of(std::vector<oracle::millis>{0, 1000, 60'000});
        tell("other rules: window " + std::to_string(rules.window) + ", heal " + std::to_string(rules.heal) +
             ", idle " + std::to_string(rules.idle) + ", absolute " + std::to_string(rules.absolute) + ", skew " +
             std::to_string(rules.skew) + ", not before " + std::to_string(rules.not_before.value_or(0)) +
             (rules.cross_origin ? ", cross origin" : "") + ", bytes " + std::to_string(rules.body_bytes) +
             ", fields " + std::to_string(rules.fields));
        twin_.rebuild();
    }

    void change_ring() {
        twin_.plainly.ring = from_.one_of(std::vector<std::vector<int>>{{1}, {1, 2}, {2, 1}, {2}});
        tell("the ring mints with " + std::to_string(twin_.plainly.ring.front()));
        twin_.rebuild();
    }

    void change_client() {
        const std::string& id = from_.one_of(client_ids);
        if (twin_.plainly.clients.count(id) == 0) return;
        oracle::client& changed = twin_.plainly.clients.at(id);
        const bool has_secrets = changed.method != oracle::method::none;
        switch (from_.pick(8)) {
        case 7: change_method(changed); break;
        case 0: changed.scope = plain::scope_words(from_.one_of(granted_scopes)).value_or(oracle::words{}); break;
        case 1: changed.may_refresh = !changed.may_refresh; break;
        case 2: changed.not_before = twin_.now + from_.one_of(around); break;
        case 3: changed.not_before.reset(); break;
        case 4: changed.lenient = !changed.lenient; break;
        case 5:
            if (has_secrets) changed.mode = from_.pick(2) == 0 ? oracle::mode::rotate : oracle::mode::echo;
            break;
        default:
            if (!has_secrets) break;
            changed.secrets.resize(1);
            changed.secrets.front().expires_at = twin_.now + from_.one_of(around);
            if (from_.pick(2) == 1) changed.secrets.push_back({"new secret", {}});
            break;
        }
        tell("client " + id + " is registered anew, with scope '" + plain::joined(changed.scope) + "', " +
             (changed.may_refresh ? "may" : "may not") + " refresh, not before " +
             std::to_string(changed.not_before.value_or(0)));
        twin_.reregister(id);
    }

    void change_method(oracle::client& changed) {
        using oracle::method;
        changed.method = from_.one_of(std::vector<method>{method::none, method::post, method::basic});
        if (changed.method == method::none) {
            changed.secrets.clear();
            changed.mode = oracle::mode::rotate;
        } else if (changed.secrets.empty()) {
            changed.secrets = {{"s"}};
        }
    }

    void change_weather() {
        oracle::weather& weather = twin_.plainly.weather;
        bool* const all[] = {&weather.find_down,    &weather.advance_down, &weather.advance_unheard,
                             &weather.revoke_down,  &weather.account_down, &weather.signer_down,
                             &weather.registry_down};
        const std::size_t which = from_.pick(std::size(all));
        *all[which] = true;
        tell("fault " + std::to_string(which) + " until a request is over");
    }

    void meet_rival() {
        using deed = oracle::rival::deed;
        twin_.plainly.rival = {
            from_.one_of(std::vector<deed>{deed::refresh, deed::refusal, deed::revocation, deed::loss}),
            1 + static_cast<int>(from_.pick(5))};
        tell("a rival comes first in the next request: deed " +
             std::to_string(static_cast<int>(twin_.plainly.rival.does)) + ", times " +
             std::to_string(twin_.plainly.rival.times));
    }

    void roll_back() {
        if (twin_.plainly.families.empty()) return;
        const std::size_t family = from_.pick(twin_.plainly.families.size());
        const oracle::family& row = twin_.plainly.families[family];
        const std::uint32_t back = std::min<std::uint32_t>(row.current, 1 + static_cast<std::uint32_t>(from_.pick(10)));
        tell("the store falls back by " + std::to_string(back));
        twin_.set_row(family, row.current - back, row.used_at);
    }

    void lose_row() {
        if (twin_.plainly.families.empty()) return;
        tell("the store loses a row");
        twin_.lose_row(from_.pick(twin_.plainly.families.size()));
    }

    /// A family grown old, and the tokens around its newest.
    void leap() {
        if (twin_.plainly.families.empty()) return;
        const std::size_t family = from_.pick(twin_.plainly.families.size());
        if (twin_.plainly.families[family].mode == oracle::mode::echo) return;
        const auto to = from_.one_of(std::vector<std::uint32_t>{0xFFFFFFFF, 0xFFFFFFFE, 20, 0x80000000});
        twin_.set_row(family, to, twin_.plainly.families[family].used_at);
        for (const std::uint32_t back : {12U, 2U, 1U, 0U})
            twin_.hand_out({family, to - back, twin_.plainly.ring.front()});
        tell("family " + std::to_string(family) + " is at generation " + std::to_string(to));
    }

    void deny_account() {
        const std::string& subject = from_.one_of(subjects);
        if (twin_.plainly.denied_subjects.erase(subject) == 0) twin_.plainly.denied_subjects.insert(subject);
        tell("the account of " + subject + " changes its standing");
    }

    static inline const std::vector<std::string> client_ids{"web", "spa",    "basic", "lenient", "echo",   "another",
                                                            "app", "machine", "a b",   "50%off",  "nobody"};
    static inline const std::vector<std::string> subjects{"alice", "bob", ""};
    static inline const std::vector<std::string> granted_scopes{
        "openid profile", "openid", "profile email", "openid profile email a!b",
        "email openid",   "",       "openid  email", "admin"};
    static inline const std::vector<oracle::millis> around{0, 1, -1, 5000, -5000};

    script& from_;
    bool tells_;
    twin twin_{};
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(bytes), size);
    try {
        script once(text);
        play(once, false).run();
    } catch (const scene::mismatch& found) {
        std::fprintf(stderr, "MISMATCH %s\n", found.what.c_str());
        try {
            script again(text);
            play(again, true).run();
        } catch (const scene::mismatch&) {
            std::abort();
        }
        std::fprintf(stderr, "and the second time not: the run is not deterministic\n");
        std::abort();
    }
    return 0;
}
