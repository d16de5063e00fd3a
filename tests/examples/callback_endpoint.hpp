// tests/examples/callback_endpoint.hpp - the token endpoint for a host whose store calls back: the steps by hand.
// SPDX-License-Identifier: MIT
//
// For a server that has neither threads to spare nor coroutines. Each step of `refresh_flow` says what it needs; the
// host fetches that in its own way, and goes on where the answer arrives.
#pragma once

#include <regrant/client_authentication.hpp>
#include <regrant/client_secret_matcher.hpp>
#include <regrant/decision.hpp>
#include <regrant/endpoint_settings.hpp>
#include <regrant/error.hpp>
#include <regrant/http_reply.hpp>
#include <regrant/http_request.hpp>
#include <regrant/refresh_flow.hpp>
#include <regrant/token_keyring.hpp>
#include <regrant/token_request.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace example {

/// Called with the answer, once, sooner or later.
template <class T> using then = std::function<void(regrant::result<T, regrant::outage>)>;

/// Answers token requests over `Store`, whose `find`, `advance` and `revoke` take a `then` as their last argument.
/// Registry, issuer and hooks answer at once, as in most servers. Nothing here is thread-safe: it is for one loop.
template <class Store, class Registry, class Issuer, class Hooks> struct callback_endpoint {
    Store& store;
    Registry& registry;
    Issuer& issuer;
    const regrant::token_keyring& keyring;
    const regrant::endpoint_settings& settings;
    Hooks& hooks;
    const regrant::client_secret_matcher& matcher;

    /// \param done  called with the reply, once
    void respond(regrant::http_request request, regrant::instant now, std::function<void(regrant::http_reply)> done) {
        std::make_shared<exchange>(*this, std::move(done), now)->begin(std::move(request));
    }

private:
    /// One request on its way. It lives as long as somebody may call it back.
    struct exchange : std::enable_shared_from_this<exchange> {
        exchange(callback_endpoint& by, std::function<void(regrant::http_reply)> to, regrant::instant at)
            : host(by), done(std::move(to)), now(at), made{at} {}

        callback_endpoint& host;
        std::function<void(regrant::http_reply)> done;
        regrant::instant now;
        regrant::decision made;
        regrant::secret origin{}, client_id{};
        bool is_head = false;
        std::optional<regrant::token_request> asked{};
        std::optional<regrant::authenticated_client> client{};
        std::optional<regrant::refresh_request> refresh{};

        // --- the steps, in the order they are taken ---

        void begin(regrant::http_request request) {
            origin = regrant::secret(request.origin.text());
            if (host.settings.replies.cross_origin == regrant::cross_origin::on && request.is_preflight())
                return done(is_anybodys() ? regrant::preflight_reply(origin.reveal(), host.settings.replies)
                                          : regrant::http_reply{regrant::http_status::no_content});
            is_head = request.method == "HEAD";
            guarded([&] {
                request.peer = host.settings.proxies.client_of(request);
                auto parsed = regrant::token_request::parse(std::move(request), host.settings.limits);
                if (!parsed) return refuse(std::move(parsed).error());
                asked = *std::move(parsed);
                authenticate();
            });
        }

        void authenticate() {
            using namespace regrant::client_authentication;
            auto identifying = regrant::client_authentication::begin(*asked, now);
            if (!identifying) return refuse(std::move(identifying).error());
            client_id = regrant::secret(identifying->ask());
            made.client_id = client_id.reveal();
            auto known = host.registry.find(identifying->ask());
            if (!known) return unavailable(regrant::reason::registry_unavailable, known.error());
            auto identified = (*std::move(identifying)).with(*std::move(known));
            if (auto* refused = std::get_if<regrant::refusal>(&identified)) return refuse(std::move(*refused));
            if (auto* good = std::get_if<regrant::authenticated_client>(&identified)) return open(std::move(*good));
            auto& admitting = *std::get_if<admitting_attempt>(&identified);
            auto admitted = host.hooks.admit(admitting.ask());
            if (!admitted) return unavailable(regrant::reason::throttle_unavailable, admitted.error());
            auto proving = std::move(admitting).with(*admitted);
            if (!proving) return refuse(std::move(proving).error());
            const regrant::secret_check check = proving->ask();
            auto match = host.matcher.at_once(check, now);
            if (!match) {
                match = host.hooks.match_slowly(check, host.matcher);
                if (*match) host.matcher.remember(check, **match, now);
            }
            if (!*match) return unavailable(regrant::reason::crypto_unavailable, match->error());
            auto settling = (*std::move(proving)).with(**match);
            auto settled = host.hooks.settle(settling.ask(), settling.outcome());
            if (!settled) return unavailable(regrant::reason::throttle_unavailable, settled.error());
            auto proven = std::move(settling).with(attempt_settled{});
            if (!proven) return refuse(std::move(proven).error());
            open(*std::move(proven));
        }

        void open(regrant::authenticated_client by) {
            client = by;
            refresh.emplace(regrant::refresh_request{std::move(by), asked->refresh_token(), asked->scope()});
            auto opening = regrant::refresh_flow::begin(*refresh, host.settings.policy, now);
            if (!opening) return refuse(std::move(opening).error());
            auto opened = host.keyring.open(opening->ask());
            if (!opened) return unavailable(regrant::reason::crypto_unavailable, opened.error());
            if (*opened) {
                made.row = (*opened)->key;
                made.generation = (*opened)->lineage.generation;
            }
            auto loading = (*std::move(opening)).with(*opened);
            if (!loading) return refuse(std::move(loading).error());
            load(*std::move(loading));
        }

        void load(regrant::refresh_flow::loading_grant loading) {
            const regrant::row_key key = loading.ask();
            host.store.find(key, later<std::optional<regrant::grant>>(
                std::move(loading), [this](auto step, std::optional<regrant::grant> found) {
                    auto judged = std::move(step).with(std::move(found));
                    if (auto* refused = std::get_if<regrant::refusal>(&judged)) return refuse(std::move(*refused));
                    if (auto* revoking = std::get_if<regrant::refresh_flow::revoking_family>(&judged))
                        return revoke(std::move(*revoking));
                    mint(std::move(*std::get_if<regrant::refresh_flow::checking_account>(&judged)));
                }));
        }

        void revoke(regrant::refresh_flow::revoking_family revoking) {
            const regrant::row_key key = revoking.ask();
            host.store.revoke(key, later<void>(std::move(revoking), [this](auto step) {
                made.written = regrant::write_kind::revoke;
                refuse(std::move(step).with(regrant::refresh_flow::family_revoked{}));
            }));
        }

        void mint(regrant::refresh_flow::checking_account checking) {
            auto standing = host.hooks.check_account(checking.ask(), **client);
            if (!standing) return unavailable(regrant::reason::account_unavailable, standing.error());
            auto sealing = std::move(checking).with(*standing);
            if (!sealing) return refuse(std::move(sealing).error());
            auto successor = host.keyring.seal(sealing->ask());
            if (!successor) return unavailable(regrant::reason::crypto_unavailable, successor.error());
            auto minting = (*std::move(sealing)).with(*std::move(successor));
            auto minted = host.issuer.mint(minting.ask());
            if (!minted) return unavailable(regrant::reason::issuer_unavailable, minted.error());
            write(std::move(minting).with(*std::move(minted)));
        }

        void write(regrant::refresh_flow::writing_generation writing) {
            const regrant::refresh_flow::write_order order = writing.ask();
            host.store.advance(order.key, order.expected, order.next, order.at, later<regrant::advance_outcome>(
                std::move(writing), [this, kind = order.kind](auto step, regrant::advance_outcome outcome) {
                    auto written = std::move(step).with(outcome);
                    if (auto* refused = std::get_if<regrant::refusal>(&written)) return refuse(std::move(*refused));
                    if (auto* answer = std::get_if<regrant::token_response>(&written)) {
                        made.written = kind;
                        return finish(std::move(*answer));
                    }
                    ++made.races_lost;
                    reload(std::move(*std::get_if<regrant::refresh_flow::reloading_grant>(&written)));
                }));
        }

        void reload(regrant::refresh_flow::reloading_grant reloading) {
            const regrant::row_key key = reloading.ask();
            host.store.find(key, later<std::optional<regrant::grant>>(
                std::move(reloading), [this](auto step, std::optional<regrant::grant> found) {
                    auto writing = std::move(step).with(std::move(found));
                    if (!writing) return refuse(std::move(writing).error());
                    write(*std::move(writing));
                }));
        }

        // --- what every step needs ---

        /// Goes on with a step where its answer arrives: `act(step, answer)`. The step waits in shared ownership, for
        /// a `std::function` is copied.
        template <class T, class Step, class Act> then<T> later(Step step, Act act) {
            return [self = this->shared_from_this(), kept = std::make_shared<Step>(std::move(step)),
                    act](regrant::result<T, regrant::outage> answer) {
                self->guarded([&] {
                    if (!answer) return self->unavailable(regrant::reason::store_unavailable, answer.error());
                    if constexpr (std::is_void_v<T>) act(std::move(*kept));
                    else act(std::move(*kept), *std::move(answer));
                });
            };
        }

        /// Memory may run out, and a host's part may throw: that is an outage too.
        template <class Act> void guarded(Act act) {
            try {
                act();
            } catch (const std::exception& thrown) {
                regrant::outage cause{thrown.what()};
                unavailable(regrant::reason::exception_caught, cause);
            } catch (...) {
                regrant::outage cause{"something was thrown that is no std::exception"};
                unavailable(regrant::reason::exception_caught, cause);
            }
        }

        void unavailable(regrant::reason why, regrant::outage& cause) {
            refuse(regrant::refusal{why, std::move(cause.detail), host.settings.policy.retry_after()});
        }

        void refuse(regrant::refusal refused) { finish(regrant::unexpected(std::move(refused))); }

        void finish(regrant::result<regrant::token_response, regrant::refusal> answer) {
            auto reply = answer ? to_reply(*answer) : to_reply(answer.error(), host.settings.replies);
            if (may_read()) regrant::expose_to(reply, origin.reveal());
            if (is_head) reply.body.clear();
            if (!answer) {
                made.refused = answer.error().why;
                made.detail = answer.error().detail;
            }
            host.hooks.observe(made);
            // Once: what the host throws out of it is not answered again.
            if (const auto tell = std::exchange(done, nullptr)) tell(std::move(reply));
        }

        bool may_read() {
            if (host.settings.replies.cross_origin == regrant::cross_origin::off || origin.empty()) return false;
            return client ? (*client)->allows_origin(origin.reveal()) : is_anybodys();
        }

        bool is_anybodys() {
            try {
                const auto allowed = host.registry.allows_origin(origin.reveal());
                return allowed && *allowed;
            } catch (...) {
                return false;
            }
        }
    };
};

} // namespace example
