// Drives requests through the real steps of refresh_flow over a model store, in every order of their store calls.
//
// A move is one atomic act: a store call, a tick of a clock, a logout, a reap, a crash, a rollback. The explorer tries
// each order of moves by replaying from the start, leaves out what leads to a state it has seen, and holds every state
// against the promises that README makes. `--wrong RULE` breaks one rule of the driver or store on purpose and must
// find a counterexample; rules inside refresh_flow.hpp are broken by tests/protocol/mutants.py.
#include <regrant/refresh_flow.hpp>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace {

using namespace regrant;
using namespace std::chrono_literals;

constexpr instant start{std::chrono::milliseconds{1'800'000'000'000}};
constexpr row_key the_row{};

enum class wrong_rule { none, skipped_confirm, expected_plus_one, heal_revives, reap_early, revoke_forgotten };

const std::pair<std::string_view, wrong_rule> wrong_rules[] = {
    {"skipped-confirm", wrong_rule::skipped_confirm},   {"expected-plus-one", wrong_rule::expected_plus_one},
    {"heal-revives", wrong_rule::heal_revives},         {"reap-early", wrong_rule::reap_early},
    {"revoke-forgotten", wrong_rule::revoke_forgotten},
};

std::uint32_t number(generation g) { return static_cast<std::uint32_t>(g); }

/// What went wrong, with the moves that lead there; the first violation ends an execution.
struct violation {
    std::string promise;
};

/// Everything requests share: the row, the clock, the ledger of what has happened.
struct world {
    std::optional<grant> row;
    instant clock = start;
    wrong_rule wrong = wrong_rule::none;

    std::uint32_t moves = 0;
    std::optional<std::uint32_t> revoke_returned{};
    bool was_revoked = false;
    bool was_missing = false;
    /// How often each generation was left for a newer one since the last rollback.
    std::map<std::uint32_t, int> left{};
    bool only_honest = false;
    std::optional<violation> broken{};
    std::vector<std::string> trace{};

    void expect(bool holds, std::string promise) {
        if (!holds && !broken) broken = violation{std::move(promise)};
    }
    void log(std::string line) { trace.push_back(std::move(line)); }

    std::optional<grant> find() const { return row; }

    advance_outcome advance(const refresh_flow::write_order& order) {
        const bool heals = order.kind == write_kind::heal;
        const bool blind = heals && wrong == wrong_rule::heal_revives;
        if (!row || row->current != order.expected) return advance_outcome::refused;
        if (row->state == revocation::revoked && !blind) return advance_outcome::refused;
        if (blind) row->state = revocation::live;
        const generation moved_to =
            wrong == wrong_rule::expected_plus_one && order.next != order.expected ? next(order.expected) : order.next;
        if (moved_to != row->current) {
            expect(row->rotation == rotation::rotate, "the row of a client without rotation never moves (R41)");
            expect(moved_to > row->current, "a row never goes back, and the last generation never wraps (R53)");
            expect(++left[number(row->current)] == 1, "one new generation per generation (R47/R48)");
        }
        row->current = moved_to;
        row->used_at = std::max(row->used_at, order.at);
        return advance_outcome::advanced;
    }

    void revoke() {
        if (row && wrong != wrong_rule::revoke_forgotten) row->state = revocation::revoked;
        if (!revoke_returned) revoke_returned = moves;
    }

    /// Promises about the store alone, in every state.
    void check() {
        expect(!(was_revoked && row && row->state == revocation::live), "a revoked family stays revoked (R44, R50)");
        expect(!(was_missing && row), "a missing family never comes back (R53)");
        expect(row || clock >= start + 1h, "a row that may still recognise a replay is not forgotten (R38)");
        if (only_honest)
            expect(!row || row->state == revocation::live, "an honest client is never logged out (R47/R48)");
        was_revoked = was_revoked || (row && row->state == revocation::revoked);
        was_missing = was_missing || !row;
    }

    std::string key() const {
        std::string text = std::to_string((clock - start).count()) + '|';
        if (row)
            text += std::to_string(number(row->current)) + ',' + std::to_string((row->used_at - start).count()) +
                    (row->state == revocation::revoked ? "x" : "o");
        for (const auto& [from, times] : left) text += ';' + std::to_string(from) + ':' + std::to_string(times);
        text += revoke_returned ? "|R" : "|";
        return text;
    }
};

/// One who acts: each call of `move` is one atomic act.
struct actor {
    std::string name;
    explicit actor(std::string known_as) : name(std::move(known_as)) {}
    virtual ~actor() = default;
    virtual bool done() const = 0;
    /// Whether it may move now; one that never may again is done.
    virtual bool ready(const world&) const { return !done(); }
    virtual void move(world&) = 0;
    /// What decides its further moves.
    virtual std::string key() const = 0;
    virtual void crash(world&) {}
};

/// Something that happens once, at any time.
struct event : actor {
    std::function<void(world&)> act;
    bool happened = false;
    event(std::string known_as, std::function<void(world&)> what) : actor(std::move(known_as)), act(std::move(what)) {}
    bool done() const override { return happened; }
    void move(world& w) override {
        happened = true;
        w.log(name);
        act(w);
    }
    std::string key() const override { return happened ? "1" : "0"; }
};

/// The newest token a client holds; its tabs share it.
struct jar {
    generation held = first_generation;
};

/// How the answer of a request fares on its way back.
enum class delivery { arrives, is_lost };

/// What a request presents, when, and what becomes of the answer.
struct request_plan {
    std::string name;
    /// The jar to read the token from when it starts; null presents `fixed`, as a thief's copy does.
    jar* from = nullptr;
    generation fixed = first_generation;
    delivery answer = delivery::arrives;
    std::chrono::milliseconds skew{0};
    /// Starts only after this one has ended.
    const actor* after = nullptr;
};

/// One request, from start to answer, through the real steps.
struct request : actor {
    request_plan plan;
    std::shared_ptr<const policy> rules;
    refresh_request asked;
    using place = std::variant<std::monostate, refresh_flow::loading_grant, refresh_flow::revoking_family,
                               refresh_flow::writing_generation, refresh_flow::reloading_grant>;
    place at{};
    bool ended = false;
    bool answered = false;
    std::uint32_t started_at_move = 0;
    generation presented{};
    generation successor{};
    instant now{};
    bool found_a_replay = false;
    std::string history{};

    request(request_plan planned, client_ptr asking, std::shared_ptr<const policy> policy)
        : actor(planned.name), plan(std::move(planned)), rules(std::move(policy)),
          asked{authenticated_client::vouched(std::move(asking)), {}} {}

    bool done() const override { return ended; }
    bool ready(const world&) const override { return !ended && (plan.after == nullptr || plan.after->done()); }
    std::string key() const override { return history; }

    void move(world& w) override {
        if (std::holds_alternative<std::monostate>(at)) return begin(w);
        if (auto* loading = std::get_if<refresh_flow::loading_grant>(&at)) return load(w, *loading);
        if (auto* revoking = std::get_if<refresh_flow::revoking_family>(&at)) return revoke(w, *revoking);
        if (auto* writing = std::get_if<refresh_flow::writing_generation>(&at)) return write(w, *writing);
        reload(w, *std::get_if<refresh_flow::reloading_grant>(&at));
    }

    void crash(world& w) override {
        if (ended || std::holds_alternative<std::monostate>(at)) return;
        end(w, "its server crashed");
    }

private:
    void note(world& w, const std::string& what) {
        history += what + ';';
        w.log(name + ": " + what);
    }

    void end(world& w, const std::string& what) {
        note(w, what);
        ended = true;
    }

    /// To start a request touches nothing shared but the jar, the clock and the order of things.
    void begin(world& w) {
        started_at_move = w.moves;
        presented = plan.from != nullptr ? plan.from->held : plan.fixed;
        now = w.clock + plan.skew;
        note(w, "starts with token " + std::to_string(number(presented)) + " at " +
                    std::to_string((now - start).count()) + " ms");
        auto opening = refresh_flow::begin(asked, *rules, now);
        constexpr std::array<std::byte, family_id::size_bytes> family{};
        at = *(*std::move(opening)).with(opened_token{{family_id(family), presented}, the_row});
    }

    void load(world& w, refresh_flow::loading_grant& loading) {
        const auto row = w.find();
        found_a_replay = row && is_replay(*row);
        auto judged = std::move(loading).with(row);
        if (auto* refused = std::get_if<refusal>(&judged))
            return end(w, "finds the row, is refused: " + std::string(to_string(refused->why)));
        if (auto* revoking = std::get_if<refresh_flow::revoking_family>(&judged)) {
            note(w, "finds the row, must revoke");
            at = std::move(*revoking);
            return;
        }
        auto checking = std::move(*std::get_if<refresh_flow::checking_account>(&judged));
        auto sealing = *std::move(checking).with(account_standing::good);
        successor = sealing.ask().generation;
        auto minting = std::move(sealing).with(secret("successor"));
        at = std::move(minting).with(minted_tokens{});
        note(w, "finds the row, wants to " +
                    std::string(to_string(std::get_if<refresh_flow::writing_generation>(&at)->ask().kind)));
    }

    void revoke(world& w, refresh_flow::revoking_family& revoking) {
        w.revoke();
        end(w, "revokes, is refused: " + std::string(to_string(std::move(revoking).with({}).why)));
        w.expect(!w.row || w.row->state == revocation::revoked, "a replay ends the family (R38, 9700 4.14.2)");
    }

    void write(world& w, refresh_flow::writing_generation& writing) {
        const auto order = writing.ask();
        const bool skips = w.wrong == wrong_rule::skipped_confirm && order.kind == write_kind::repeat;
        const auto outcome = skips ? advance_outcome::advanced : w.advance(order);
        auto written = std::move(writing).with(outcome);
        if (auto* refused = std::get_if<refusal>(&written))
            return end(w, "loses the race, is refused: " + std::string(to_string(refused->why)));
        if (auto* again = std::get_if<refresh_flow::reloading_grant>(&written)) {
            note(w, "loses the race");
            at = std::move(*again);
            return;
        }
        answered = true;
        end(w, std::string(to_string(order.kind)) + "s, is answered 200 with token " +
                   std::to_string(number(successor)));
        judge_answer(w);
        if (plan.from != nullptr && plan.answer == delivery::arrives)
            plan.from->held = std::max(plan.from->held, successor);
    }

    void reload(world& w, refresh_flow::reloading_grant& reloading) {
        auto again = std::move(reloading).with(w.find());
        if (!again) return end(w, "looks again, is refused: " + std::string(to_string(again.error().why)));
        note(w, "looks again, wants to " + std::string(to_string((*again).ask().kind)));
        at = *std::move(again);
    }

    void judge_answer(world& w) {
        w.expect(!w.revoke_returned || started_at_move <= *w.revoke_returned,
                 "no 200 for a request that starts after revoke has returned (R50)");
        w.expect(!found_a_replay, "a replay is never answered 200 (R38, R49)");
        if (!w.row) return w.expect(false, "a missing family is never answered 200 (R53)");
        w.expect(w.row->state == revocation::live, "no 200 passes its conditional call on a revoked row (R50)");
        w.expect(w.row->current == successor, "a 200's token is the row's newest at its conditional call (R47/R48)");
        const bool rotates = w.row->rotation == rotation::rotate;
        w.expect(number(successor) == number(presented) + (rotates ? 1 : 0),
                 "the successor of a token is always the same (R41, R47/R48)");
    }

    /// Said again, slowly: older than the predecessor, or the predecessor when its window is closed.
    bool is_replay(const grant& row) const {
        if (row.state == revocation::revoked || now >= start + 1h) return false;
        if (presented >= row.current) return false;
        if (row.rotation == rotation::echo) return true;
        if (number(row.current) - number(presented) > 1) return true;
        const auto window = (*rules)->retry_window;
        if (window == 0s) return true;
        if (row.used_at > now + (*rules)->max_skew) return true;
        return now > row.used_at && now - row.used_at >= window;
    }
};

/// Actors with a world, made anew for each execution.
struct cast_of_actors {
    world w;
    std::vector<std::unique_ptr<jar>> jars{};
    std::vector<std::unique_ptr<actor>> actors{};
    client_ptr asking{};
    std::shared_ptr<const policy> rules{};

    jar* new_jar(generation held) {
        jars.push_back(std::make_unique<jar>(jar{held}));
        return jars.back().get();
    }
    request* add(request_plan plan) {
        actors.push_back(std::make_unique<request>(std::move(plan), asking, rules));
        return static_cast<request*>(actors.back().get());
    }
    event* add(std::string name, std::function<void(world&)> act) {
        actors.push_back(std::make_unique<event>(std::move(name), std::move(act)));
        return static_cast<event*>(actors.back().get());
    }
    void add_crash() {
        // The row survives, the requests on their way do not.
        add("the server crashes and restarts", [this](world& w_) {
            for (auto& each : actors) each->crash(w_);
        });
    }
    void add_logout() {
        add("logout revokes the subject", [](world& w_) { w_.revoke(); });
    }
    void add_clock(std::chrono::milliseconds by) {
        add("the clock moves by " + std::to_string(by.count()) + " ms", [by](world& w_) { w_.clock += by; });
    }
    void add_rollback(std::uint32_t generations) {
        add("the store falls back " + std::to_string(generations) + " generations, revokes kept",
            [generations](world& w_) {
                if (!w_.row) return;
                const auto now_at = number(w_.row->current);
                w_.row->current = generation{now_at - std::min(now_at, generations)};
                w_.left.clear();
            });
    }
    void add_reap() {
        add("reap", [](world& w_) {
            if (w_.row && (w_.row->expires_at < w_.clock || w_.wrong == wrong_rule::reap_early)) w_.row.reset();
        });
    }
};

struct settings {
    std::chrono::seconds window = 30s;
    rotation mode = rotation::rotate;
    generation current = first_generation;
    heal_limit heal = heal_limit::at_most(8);
    bool only_honest = false;
};

struct scenario {
    std::string name;
    settings with;
    std::function<void(cast_of_actors&)> fill;
    /// A promise about how every execution ends.
    std::function<void(cast_of_actors&)> ends = [](cast_of_actors&) {};
};

/// The client asks once more, alone, with the newest token it holds.
void goes_on(cast_of_actors& c, jar* held) {
    request last({"the client goes on", held}, c.asking, c.rules);
    while (!last.done()) last.move(c.w);
    c.w.expect(last.answered, "an honest client goes on with the token it holds (R47/R48, R51)");
}

struct outcome {
    std::size_t executions = 0;
    std::size_t moves = 0;
    std::set<std::string> states{};
    std::optional<violation> broken{};
    std::vector<std::string> trace{};
};

class explorer {
public:
    explicit explorer(const scenario& what, wrong_rule wrong) : what_(what), wrong_(wrong) {}

    outcome run() {
        std::vector<std::size_t> choices;
        explore(choices);
        return std::move(found_);
    }

private:
    std::unique_ptr<cast_of_actors> stage() const {
        auto c = std::make_unique<cast_of_actors>();
        const auto& s = what_.with;
        policy_settings rules;
        rules.retry_window = s.window;
        rules.heal = s.heal;
        rules.absolute_lifetime = 1h;
        c->rules = std::make_shared<const policy>(*policy::make(rules));
        auto registered = std::make_shared<client>(
            client{"web", client_policy::of<auth_method::client_secret_post, rotation::rotate>()});
        registered->scope = *scope::parse("openid");
        c->asking = registered;
        grant row(the_row, {"web", "alice", "openid"});
        row.rotation = s.mode;
        row.current = s.current;
        row.issued_at = row.used_at = start;
        row.expires_at = start + 1h;
        c->w.row = row;
        c->w.wrong = wrong_;
        c->w.only_honest = s.only_honest;
        what_.fill(*c);
        return c;
    }

    void play(cast_of_actors& c, std::size_t choice) {
        ++c.w.moves;
        ++found_.moves;
        c.actors[choice]->move(c.w);
        c.w.check();
    }

    bool keep(const cast_of_actors& c) {
        if (!c.w.broken) return false;
        // The shortest trace is the one to read.
        if (!found_.broken || c.w.trace.size() < found_.trace.size()) {
            found_.broken = c.w.broken;
            found_.trace = c.w.trace;
        }
        return true;
    }

    void explore(std::vector<std::size_t>& choices) {
        auto c = stage();
        for (const std::size_t choice : choices) play(*c, choice);
        if (keep(*c)) return;
        std::string key = c->w.key();
        for (const auto& each : c->actors) key += '/' + each->key();
        for (const auto& each : c->jars) key += '@' + std::to_string(number(each->held));
        if (!found_.states.insert(std::move(key)).second) return;

        bool ended = true;
        for (std::size_t i = 0; i != c->actors.size(); ++i) {
            if (!c->actors[i]->ready(c->w)) continue;
            ended = false;
            choices.push_back(i);
            explore(choices);
            choices.pop_back();
        }
        if (!ended) return;
        ++found_.executions;
        what_.ends(*c);
        keep(*c);
    }

    const scenario& what_;
    wrong_rule wrong_;
    outcome found_{};
};

std::vector<scenario> all_scenarios() {
    std::vector<scenario> all;
    const auto honest = [](settings s) {
        s.only_honest = true;
        return s;
    };

    all.push_back({"a lost answer, asked for again (R47)", honest({}),
                   [](cast_of_actors& c) {
                       jar* j = c.new_jar(first_generation);
                       const auto* lost = c.add({"first", j, {}, delivery::is_lost});
                       c.add({"retry", j, {}, delivery::arrives, 0ms, lost});
                       c.add_clock(29s);
                       c.add_crash();
                   },
                   [](cast_of_actors& c) { goes_on(c, c.jars[0].get()); }});
    // Not only honest: a request that is overtaken by the use of its successor looks like a thief's (R49).
    all.push_back({"three tabs that share a jar, and may overtake each other (R48)", {},
                   [](cast_of_actors& c) {
                       jar* j = c.new_jar(first_generation);
                       c.add({"tab 1", j});
                       c.add({"tab 2", j, {}, delivery::is_lost});
                       c.add({"tab 3", j});
                   },
                   [](cast_of_actors& c) {
                       if (c.w.row->state == revocation::live) goes_on(c, c.jars[0].get());
                   }});
    all.push_back({"three requests with one token (R47/R48)", honest({}),
                   [](cast_of_actors& c) {
                       for (const char* name : {"tab 1", "tab 2", "tab 3"}) c.add({name, nullptr, first_generation});
                       c.add_clock(-10s);
                   },
                   [](cast_of_actors& c) {
                       for (const auto& each : c.actors)
                           if (const auto* r = dynamic_cast<const request*>(each.get()))
                               c.w.expect(r->answered && number(r->successor) == 1,
                                          "n concurrent refreshes all succeed with one successor (R48)");
                       c.w.expect(number(c.w.row->current) == 1, "and make exactly one new generation (R48)");
                   }});
    for (const auto window : {30s, 0s}) {
        const std::string how = window == 0s ? ", window zero" : "";
        all.push_back({"a thief and the owner with one token, then its successor" + how + " (R38, R49)",
                       {.window = window},
                       [](cast_of_actors& c) {
                           jar* j = c.new_jar(first_generation);
                           const auto* first = c.add({"owner", j});
                           c.add({"owner again", j, {}, delivery::arrives, 0ms, first});
                           c.add({"thief", nullptr, first_generation});
                       }});
        all.push_back({"logout against a refresh, a retry" + how + " (R44, R50)",
                       {.window = window},
                       [](cast_of_actors& c) {
                           c.add({"refresh", nullptr, first_generation});
                           c.add({"retry", nullptr, first_generation});
                           c.add_logout();
                           c.add({"later", nullptr, generation{1}});
                       }});
        all.push_back({"clocks that differ and jump" + how + " (R49)",
                       {.window = window},
                       [](cast_of_actors& c) {
                           c.add({"late server", nullptr, first_generation, delivery::arrives, -61s});
                           c.add({"early server", nullptr, first_generation, delivery::arrives, 61s});
                           c.add({"right server", nullptr, first_generation});
                           c.add_clock(-45s);
                       }});
        all.push_back({"a replay long after, against reap" + how + " (R38)",
                       {.window = window, .current = generation{5}},
                       [](cast_of_actors& c) {
                           c.add({"thief", nullptr, generation{2}});
                           c.add({"owner", nullptr, generation{5}});
                           c.add_reap();
                           c.add_clock(59min);
                           c.add_clock(2min);
                       }});
    }
    all.push_back({"a client without rotation (R41)", {.mode = rotation::echo, .current = generation{3}},
                   [](cast_of_actors& c) {
                       c.add({"echo", nullptr, generation{3}});
                       c.add({"echo again", nullptr, generation{3}});
                       c.add({"stale copy", nullptr, generation{2}});
                       c.add_logout();
                   }});
    all.push_back({"the store loses writes between refreshes (R53)", honest({.current = generation{4}}),
                   [](cast_of_actors& c) {
                       jar* j = c.new_jar(generation{4});
                       const auto* first = c.add({"first", j});
                       const auto* second = c.add({"second", j, {}, delivery::arrives, 0ms, first});
                       c.add({"third", j, {}, delivery::arrives, 0ms, second});
                       c.add_rollback(3);
                   },
                   [](cast_of_actors& c) { goes_on(c, c.jars[0].get()); }});
    all.push_back({"the store loses writes while two tabs refresh (R53, R48)", honest({.current = generation{4}}),
                   [](cast_of_actors& c) {
                       c.add({"tab 1", nullptr, generation{4}});
                       c.add({"tab 2", nullptr, generation{4}});
                       c.add_rollback(2);
                       c.add_crash();
                   }});
    all.push_back({"healing is switched off (R53)", {.current = generation{4}, .heal = heal_limit::off()},
                   [](cast_of_actors& c) {
                       c.add({"owner", nullptr, generation{4}});
                       c.add_rollback(2);
                   },
                   [](cast_of_actors& c) {
                       c.w.expect(c.w.row->state == revocation::live, "a row left behind is no replay (R53)");
                   }});
    all.push_back({"a rollback after logout, with the revoke kept (R44, R53)", {.current = generation{4}},
                   [](cast_of_actors& c) {
                       c.add({"owner", nullptr, generation{4}});
                       c.add({"owner again", nullptr, generation{5}});
                       c.add_logout();
                       c.add_rollback(2);
                   }});
    all.push_back({"the last generation (R53)", {.current = last_generation},
                   [](cast_of_actors& c) {
                       c.add({"last", nullptr, last_generation});
                       c.add({"predecessor", nullptr, generation{number(last_generation) - 1}});
                       c.add_rollback(1);
                   },
                   [](cast_of_actors& c) {
                       c.w.expect(number(c.w.row->current) >= number(last_generation) - 1,
                                  "the last generation never wraps (R53)");
                   }});
    all.push_back({"two servers crash amid a thief's lock-step (R38, R51)", {},
                   [](cast_of_actors& c) {
                       jar* j = c.new_jar(first_generation);
                       const auto* first = c.add({"owner", j, {}, delivery::is_lost});
                       c.add({"owner again", j, {}, delivery::arrives, 0ms, first});
                       c.add({"thief", nullptr, generation{1}});
                       c.add_crash();
                       c.add_logout();
                   }});
    return all;
}

/// \return whether every promise held
bool report(const scenario& what, wrong_rule wrong, bool print_good) {
    const outcome found = explorer(what, wrong).run();
    if (!found.broken) {
        if (print_good)
            std::printf("ok   %s: %zu states, %zu executions, %zu moves\n", what.name.c_str(), found.states.size(),
                        found.executions, found.moves);
        return true;
    }
    std::printf("FAIL %s\n     broken: %s\n", what.name.c_str(), found.broken->promise.c_str());
    for (const std::string& line : found.trace) std::printf("       %s\n", line.c_str());
    return false;
}

} // namespace

int main(int argc, char** argv) {
    const auto scenarios = all_scenarios();
    if (argc == 3 && std::string_view(argv[1]) == "--wrong") {
        for (const auto& [name, rule] : wrong_rules) {
            if (name != argv[2]) continue;
            for (const auto& each : scenarios)
                if (!report(each, rule, false)) return 1;
            std::printf("no scenario notices %s\n", argv[2]);
            return 0;
        }
        std::fprintf(stderr, "unknown rule %s\n", argv[2]);
        return 2;
    }
    int passed = 0;
    int failed = 0;
    for (const auto& each : scenarios) ++(report(each, wrong_rule::none, true) ? passed : failed);
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
