// tests/bench/bench.cpp - what the core costs beside bare signatures and other libraries, as lines of Markdown tables.
// SPDX-License-Identifier: MIT
//
//   regrant_bench [rounds]      default 25
#include "peers.hpp"
#include "rounds.hpp"
#include "scene.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>
#include <atomic>
#include <chrono>
#include <iterator>
#include <limits>
#include <memory>
#include <random>
#include <thread>

namespace {

using namespace bench;
using namespace std::chrono_literals;

// --- what people write: a fresh EVP_DigestSign ---

using pkey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

pkey load(std::string_view pem) {
    BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    if (key == nullptr) std::exit(2);
    return {key, &EVP_PKEY_free};
}

void fresh_signature(EVP_PKEY* key, std::string_view text) {
    unsigned char made[256];
    std::size_t size = sizeof made;
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    if (EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key) != 1 ||
        EVP_DigestSign(context, made, &size, reinterpret_cast<const unsigned char*>(text.data()), text.size()) != 1)
        std::exit(2);
    EVP_MD_CTX_free(context);
    keep(made);
}

/// The least a signature takes: a context that was made before, and its digest given.
class kept_signature {
public:
    explicit kept_signature(EVP_PKEY* key)
        : context_(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr), &EVP_PKEY_CTX_free) {
        if (!context_ || EVP_PKEY_sign_init(context_.get()) != 1 ||
            EVP_PKEY_CTX_set_rsa_padding(context_.get(), RSA_PKCS1_PADDING) != 1 ||
            EVP_PKEY_CTX_set_signature_md(context_.get(), EVP_sha256()) != 1)
            std::exit(2);
    }

    void operator()() {
        const unsigned char digest[32] = {};
        unsigned char made[256];
        std::size_t size = sizeof made;
        if (EVP_PKEY_sign(context_.get(), made, &size, digest, sizeof digest) != 1) std::exit(2);
        keep(made);
    }

private:
    std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context_;
};

regrant::jwt_claims page_claims() {
    const std::chrono::sys_seconds iat(1636449231s);
    const std::string_view words[] = {"openid"};
    regrant::jwt_claims claims(regrant::solidus::escaped);
    claims.add("sub", "MOCK_USERNAME")
        .add("aud", client_id)
        .add("nbf", iat)
        .add_array("scope", words)
        .add("iss", "https://TENANT.PORTAL.DOMAIN")
        .add("exp", iat + 300s)
        .add("iat", iat)
        .add("jti", "5a18f141-e341-4338-85d6-b4e41a867765");
    return claims;
}

/// One login that refreshes again and again.
template <class Scene> class chain {
public:
    explicit chain(Scene& on) : scene_(&on), token_(on.log_in()) {}

    void operator()() {
        const regrant::http_reply reply = scene_->endpoint().respond(post(refresh_body(token_)));
        if (reply.status != regrant::http_status::ok) std::exit(2);
        token_ = member(reply.body, "refresh_token");
    }

private:
    Scene* scene_;
    std::string token_;
};

using real_scene = scene<regrant::signing_key>;

void signatures(const regrant::signing_key& key, std::size_t rounds) {
    const regrant::secret pem = must(key.to_pem());
    const pkey bare = load(pem.reveal());
    real_scene scene(key);
    chain refresh(scene);
    const regrant::secret input = *regrant::jwt_signing_input(regrant::jwt_header_segment(key.key_id(), "JWT"),
                                                             page_claims());
    kept_signature kept(bare.get());
    const auto libjwt = peers::libjwt(std::string(pem.reveal()));
    const auto cjose = peers::cjose(std::string(pem.reveal()));
    if (libjwt->encode() == 0 || cjose->encode() == 0) std::exit(2);

    contest run(rounds, 0.04);
    run.add("refresh", [&] { refresh(); })
        .add("two", [&] {
            fresh_signature(bare.get(), input.reveal());
            fresh_signature(bare.get(), input.reveal());
        })
        .add("jwt", [&] { keep(*regrant::encode_jwt(key, page_claims())); })
        .add("one", [&] { fresh_signature(bare.get(), input.reveal()); })
        .add("kept", [&] { kept(); })
        .add("libjwt", [&] { keep(libjwt->encode()); })
        .add("cjose", [&] { keep(cjose->encode()); })
        .run();

    table::head("Signatures (thread CPU time)");
    auto microseconds = [&](const char* name) {
        figure f = run.cost(name);
        return figure{f.median * 1e6, f.low * 1e6, f.high * 1e6};
    };
    table::reported("two fresh EVP_DigestSign: the bound", microseconds("two"), " us");
    table::reported("whole refresh, memory store, no HTTP", microseconds("refresh"), " us");
    table::at_most("whole refresh / two fresh EVP_DigestSign", run.ratio("refresh", "two"), 1.00);
    table::at_most("one JWT / one fresh EVP_DigestSign", run.ratio("jwt", "one"), 0.99);
    table::reported("one signature of a kept context, digest given / one fresh EVP_DigestSign: what is left to reach",
                    run.ratio("kept", "one"));
    table::reported("libjwt / our JWT", run.ratio("libjwt", "jwt"));
    table::reported("cjose / our JWT", run.ratio("cjose", "jwt"));
}

// --- the form parser ---

std::string repeated(std::string_view piece, std::size_t size) {
    std::string text;
    while (text.size() + piece.size() <= size) text += piece;
    return text;
}

constexpr regrant::form_limits limits{std::size_t{1} << 20, std::size_t{1} << 20};

/// What it costs that the processor cannot guess what comes next: the same 64 pieces over and over can be learnt.
void at_random(std::size_t rounds) {
    constexpr std::string_view pieces[] = {"a", "=", "&", "+", "%41"};
    std::minstd_rand draw(1);
    std::string random, again;
    while (random.size() < 65000) random += pieces[draw() % std::size(pieces)];
    for (int i = 0; i != 64; ++i) again += pieces[draw() % std::size(pieces)];
    again = repeated(again, 65536);
    const std::string small = refresh_body(std::string(72, 'q'));
    contest run(rounds, 0.01);
    run.add("small", [&] { keep(regrant::form::parse(std::string_view(small), limits)); })
        .add("random", [&] { keep(regrant::form::parse(std::string_view(random), limits)); })
        .add("again", [&] { keep(regrant::form::parse(std::string_view(again), limits)); })
        .add("uriparser", [&] { keep(peers::uriparser(random)); })
        .add("cpp-httplib", [&] { keep(peers::cpp_httplib(random)); })
        .run();
    const auto a_byte = [&](std::string_view name, const std::string& body) {
        const double scale = static_cast<double>(small.size()) / static_cast<double>(body.size());
        const figure f = run.ratio(name, "small");
        return figure{f.median * scale, f.low * scale, f.high * scale};
    };
    table::at_most("64 KiB of a letter, =, &, + and %41 at random, ns a byte / the API page's",
                   a_byte("random", random), 2.5);
    table::reported("the same, 64 of them over and over: what a guess that fails does not cost", a_byte("again", again));
    table::reported("the same at random: uriparser / regrant", run.ratio("uriparser", "random"));
    table::reported("the same at random: cpp-httplib / regrant", run.ratio("cpp-httplib", "random"));
}

void forms(std::size_t rounds) {
    const std::string token(72, 'q');
    std::string half_escaped("client_id=");
    half_escaped += repeated("a%2B", 16) + "&client_secret=" + repeated("%25b", 24) +
                    "&grant_type=refresh%5Ftoken&refresh_token=" + repeated("T%2d", 72);
    std::string many;
    for (int i = 0; i != 7000; ++i) many += (i == 0 ? "f" : "&f") + std::to_string(i) + "=1";
    struct {
        const char* name;
        std::string body;
        double goal;
    } const bodies[] = {{"API page's body", refresh_body(token), 4},
                        {"half escaped", half_escaped, 3},
                        {"64 KiB in one value", "refresh_token=" + std::string(65522, 'q'), 10},
                        {"7,000 fields", many, 5}};

    table::head("Form parser: time of the best packaged peer over ours");
    for (const auto& each : bodies) {
        const std::string& body = each.body;
        const std::size_t expected = peers::uriparser(body);
        std::size_t ours = 0;
        const auto parsed = regrant::form::parse(std::string_view(body), limits);
        for (auto it = parsed->fields().begin(); it != parsed->fields().end(); ++it) ++ours;
        if (ours != expected || peers::boost_url(body) != expected || peers::cpp_httplib(body) != expected ||
            peers::poco(body) != expected)
            std::exit(2);
        contest run(rounds, 0.01);
        run.add("regrant", [&] { keep(regrant::form::parse(std::string_view(body), limits)); })
            .add("uriparser", [&] { keep(peers::uriparser(body)); })
            .add("Boost.URL", [&] { keep(peers::boost_url(body)); })
            .add("cpp-httplib", [&] { keep(peers::cpp_httplib(body)); })
            .add("Poco", [&] { keep(peers::poco(body)); })
            .run();
        std::string_view best = "uriparser";
        for (const std::string_view name : {"Boost.URL", "cpp-httplib", "Poco"})
            if (run.cost(name).median < run.cost(best).median) best = name;
        table::at_least(std::string(each.name) + ": " + std::string(best) + " (" +
                            std::to_string(static_cast<int>(run.cost(best).median * 1e9)) + " ns) / regrant (" +
                            std::to_string(static_cast<int>(run.cost("regrant").median * 1e9)) + " ns)",
                        run.ratio(best, "regrant"), each.goal);
    }

    const std::string small = refresh_body(token);
    contest run(rounds, 0.01);
    run.add("small", [&] { keep(regrant::form::parse(std::string_view(small), limits)); });
    struct {
        const char* name;
        std::string body;
    } const worst[] = {{"plain", std::string(65536, 'a')},
                       {"escapes", repeated("%41", 65536)},
                       {"pluses", std::string(65536, '+')},
                       {"asterisks", std::string(65536, '*')},
                       {"ampersands", std::string(65536, '&')},
                       {"equals signs", std::string(65536, '=')},
                       {"empty fields", repeated("=&", 65536)},
                       {"fields of one letter", repeated("a&", 65536)},
                       {"fields of two letters", repeated("aa&", 65536)},
                       {"fields of one raw character", repeated("\xC3\xA9&", 65536)},
                       {"fields of an escape", repeated("%41&", 65536)},
                       {"fields of a plus", repeated("+&", 65536)},
                       {"raw UTF-8", repeated("\xC3\xA9", 65536)},
                       {"escaped UTF-8", repeated("%C3%A9", 65536)},
                       {"every second escaped", repeated("a%62", 65536)},
                       {"a letter behind each raw character", repeated("\xC3\xA9" "a", 65536)},
                       {"words", repeated("word+", 65536)},
                       {"fields of five letters", repeated("aaaaa&", 65536)},
                       {"fields of six letters", repeated("aaaaaa&", 65536)},
                       {"fields of four raw bytes", repeated("\xF0\x9F\x98\x80&", 65536)},
                       {"a raw character and a plus a field", repeated("\xC3\xA9+&", 65536)},
                       {"empty fields and raw characters", repeated("\xE6\xBC\xA2&=&", 65536)}};
    for (const auto& each : worst)
        run.add(each.name, [&] { keep(regrant::form::parse(std::string_view(each.body), limits)); });
    run.run();
    figure most{};
    const char* which = "";
    for (const auto& each : worst) {
        figure f = run.ratio(each.name, "small");
        const double scale = static_cast<double>(small.size()) / static_cast<double>(each.body.size());
        f = {f.median * scale, f.low * scale, f.high * scale};
        table::reported(std::string("64 KiB of ") + each.name + ", ns a byte / the API page's", f);
        if (f.median > most.median) {
            most = f;
            which = each.name;
        }
    }
    table::at_most(std::string("the worst 64 KiB (") + which + "), ns a byte / the API page's", most, 2.5);
    at_random(rounds);
}

// --- JSON out ---

void writers(std::size_t rounds) {
    const peers::answer plain{std::string(750, 'x'), std::string(72, 'y'), std::string(720, 'z')};
    regrant::token_response answer;
    answer.access_token = regrant::secret(plain.access_token);
    answer.refresh_token = regrant::secret(plain.refresh_token);
    answer.id_token = regrant::secret(plain.id_token);
    answer.scope = "openid";
    answer.expires_in = 299s;
    contest run(rounds, 0.01);
    run.add("regrant", [&] { keep(regrant::to_json(answer)); })
        .add("nlohmann", [&] { keep(peers::nlohmann_text(plain)); })
        .add("picojson", [&] { keep(peers::picojson_text(plain)); })
        .run();
    table::head("Writer: the answer as JSON");
    table::reported("nlohmann / regrant", run.ratio("nlohmann", "regrant"));
    table::reported("picojson / regrant", run.ratio("picojson", "regrant"));
}

// --- requests that are refused ---

void refusals(const regrant::signing_key& key, std::size_t rounds) {
    real_scene scene(key);
    const std::string good = scene.log_in();
    std::string forged = good;
    forged[60] = forged[60] == 'A' ? 'B' : 'A';
    struct {
        const char* name;
        std::string body;
    } const refused[] = {{"bad form", "client_id=a&client_secret=%zz"},
                         {"no grant_type", "client_id=a&client_secret=b"},
                         {"wrong secret", refresh_body(good, "SOME_OTHER_SECRET_12")},
                         {"unknown client", "client_id=nobody&client_secret=b&grant_type=refresh_token&refresh_token=c"},
                         {"forged token", refresh_body(forged)}};
    contest run(rounds, 0.01);
    for (const auto& each : refused) {
        if (scene.endpoint().respond(post(each.body)).status != regrant::http_status::bad_request) std::exit(2);
        run.add(each.name, [&] { keep(scene.endpoint().respond(post(each.body))); });
    }
    run.run();
    table::head("Refused requests");
    for (const auto& each : refused) {
        const figure f = run.cost(each.name);
        table::at_most(each.name, {f.median * 1e6, f.low * 1e6, f.high * 1e6}, 5, " us");
    }
}

// --- two threads ---

/// How many times an act is done in a while, by all threads together. Each thread makes its own act.
template <class Make> double throughput(std::size_t threads, Make make) {
    constexpr auto slice = 200ms;
    std::atomic<bool> go = false, stop = false;
    std::atomic<std::size_t> ready = 0, done = 0;
    std::vector<std::thread> all;
    for (std::size_t i = 0; i != threads; ++i)
        all.emplace_back([&] {
            auto act = make();
            act();
            ++ready;
            while (!go) std::this_thread::yield();
            std::size_t count = 0;
            for (; !stop; ++count) act();
            done += count;
        });
    while (ready != threads) std::this_thread::yield();
    const auto begin = std::chrono::steady_clock::now();
    go = true;
    std::this_thread::sleep_for(slice);
    stop = true;
    for (std::thread& each : all) each.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    return static_cast<double>(done) / took.count();
}

template <class Make> figure two_over_one(std::size_t rounds, Make make) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i != rounds; ++i) {
        const double one = throughput(1, make);
        ratios.push_back(throughput(2, make) / one);
    }
    return spread_of(ratios);
}

void threads(const regrant::signing_key& key, std::size_t rounds) {
    table::head("Two threads over one (wall clock)");
    const std::string text(410, 'x');
    table::at_least("signing", two_over_one(rounds, [&] {
                        return [&] {
                            const std::string_view inputs[] = {text};
                            std::array<regrant::signature, 1> made;
                            keep(key.sign(inputs, made));
                        };
                    }),
                    1.9);
    real_scene scene(key);
    table::at_least("whole refresh, memory store", two_over_one(rounds, [&] { return chain<real_scene>(scene); }), 1.9);
    table::at_least("the same with ten logins' rows written beside each", two_over_one(rounds, [&] {
                        return [&scene, refresh = chain<real_scene>(scene)]() mutable {
                            refresh();
                            for (int i = 0; i != 10; ++i) {
                                regrant::row_key where{};
                                if (!regrant::system_random().fill(where.bytes)) std::exit(2);
                                keep(scene.store().insert(regrant::grant(where, {client_id, "somebody", "openid"})));
                                keep(scene.store().advance(where, regrant::first_generation, regrant::generation{1}, {}));
                                keep(scene.store().revoke(where));
                            }
                        };
                    }),
                    1.9);
}

} // namespace

int main(int count, char** words) {
    const std::size_t rounds = count > 1 ? std::strtoul(words[1], nullptr, 10) : 25;
    if (rounds == 0) return 2;
    const regrant::signing_key key = must(regrant::signing_key::generate());
    signatures(key, rounds);
    forms(rounds);
    writers(rounds);
    refusals(key, rounds);
    threads(key, (rounds + 2) / 3);
    return 0;
}
