// regrant/token_endpoint.hpp - answers POST /oauth2/token over a store that answers at once.
// floor 6
// SPDX-License-Identifier: MIT
#pragma once

#include "begin_family.hpp"
#include "client_authentication.hpp"
#include "client_registry.hpp"
#include "client_secret_matcher.hpp"
#include "clock.hpp"
#include "decision.hpp"
#include "detail/caught.hpp"
#include "detail/swapped.hpp"
#include "endpoint_settings.hpp"
#include "error.hpp"
#include "hooks.hpp"
#include "http_reply.hpp"
#include "http_request.hpp"
#include "login.hpp"
#include "random.hpp"
#include "refresh_grant.hpp"
#include "result.hpp"
#include "token_keyring.hpp"
#include "token_request.hpp"
#include "token_store.hpp"

#include <cstddef>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace regrant::inline v0 {

/// The token endpoint: one call per HTTP request.
///
///     regrant::token_endpoint endpoint(store, registry, issuer, std::move(keyring));
///     regrant::http_reply reply = endpoint.respond(std::move(request));
///
/// Store, registry, issuer, hooks and random source outlive it. `respond` may be called from many threads at once if
/// theirs may. Nothing is thrown out of it.
template <class Store, class Registry, class Issuer, class Hooks = no_hooks, class Random = const system_random>
class token_endpoint {
public:
    token_endpoint(Store& store, Registry& registry, Issuer& issuer, token_keyring keyring,
                   endpoint_settings settings = {})
        requires std::is_same_v<Hooks, no_hooks> && std::is_same_v<Random, const system_random>
        : token_endpoint(store, registry, issuer, std::move(keyring), std::move(settings), nobody()) {}

    token_endpoint(Store& store, Registry& registry, Issuer& issuer, token_keyring keyring,
                   endpoint_settings settings, Hooks& hooks)
        requires std::is_same_v<Random, const system_random>
        : token_endpoint(store, registry, issuer, std::move(keyring), std::move(settings), hooks, system()) {}

    token_endpoint(Store& store, Registry& registry, Issuer& issuer, token_keyring keyring,
                   endpoint_settings settings, Hooks& hooks, Random& random)
        : store_(store), registry_(registry), issuer_(issuer), keys_(std::move(keyring)),
          settings_(std::move(settings)), matcher_(settings_.secrets), hooks_(hooks), random_(random) {
        detail::explain_token_store<Store>();
        detail::explain_client_registry<Registry>();
        detail::explain_token_issuer<Issuer>();
        detail::explain_hooks<Hooks>();
    }

    /// Answers a request to the token endpoint, whatever it is.
    ///
    /// \param request  taken over: its text is decoded where it stands, and wiped
    /// \param now      the one reading of the clock
    /// \par RFC 6749 3.2, 5, 6
    template <class S = Store> http_reply respond(http_request request, instant now = current_time()) {
        // Memory that runs out even while an error is put into words leaves a bare 503.
        return detail::caught([&] { return judged(request, now); },
                              [](const char*) { return http_reply{http_status::service_unavailable}; });
    }

    /// Issues the first tokens of a login; the host has authenticated the user, and the client where it is
    /// confidential.
    ///
    /// \par Errors
    /// as `begin_family`; `invalid_client` for an unknown client
    template <class S = Store>
    result<token_response, refusal> issue(const login& who, instant now = current_time()) {
        decision made{now, request_kind::login};
        const auto keyring = keys_.now();
        made.client_id = who.client_id;
        auto answer = detail::caught(
            [&]() -> result<token_response, refusal> {
                auto known = registry_.find(who.client_id);
                if (!known) return unavailable(reason::registry_unavailable, known.error());
                if (!*known) return unexpected(refusal{reason::client_unknown});
                return begin_family(store_, issuer_, *keyring, settings_.policy, random_, **known, who, now, made);
            },
            failed<answer_type>());
        tell(made, answer);
        return answer;
    }

    /// Logs one login out, named by any refresh token of its family. A token that is not ours is nothing to end.
    ///
    /// Answers when the revoke is durable: a refresh that starts afterwards fails (R50).
    /// \param now  for the decision that is observed
    template <class S = Store>
    result<void, outage> revoke(std::string_view refresh_token, instant now = current_time()) {
        decision made{now, request_kind::revoke};
        auto answer = detail::caught(
            [&]() -> result<void, refusal> {
                const auto keyring = keys_.now();
                auto opened = keyring->open(refresh_token);
                if (!opened) return unavailable(reason::crypto_unavailable, opened.error());
                if (!*opened) return result<void, refusal>();
                made.row = (*opened)->key;
                made.generation = (*opened)->lineage.generation;
                auto revoked = store_.revoke((*opened)->key);
                if (!revoked) return unavailable(reason::store_unavailable, revoked.error());
                made.written = write_kind::revoke;
                return result<void, refusal>();
            },
            failed<result<void, refusal>>());
        tell(made, answer);
        if (!answer) return unexpected(outage{std::move(answer).error().detail});
        return result<void, outage>();
    }

    /// Logs a user out everywhere: after a password change, say.
    /// \param now  for the decision that is observed
    /// \return how many families it ended
    template <class S = Store>
        requires can_revoke_subject<S>
    result<std::size_t, outage> revoke_subject(std::string_view subject, instant now = current_time()) {
        decision made{now, request_kind::revoke_subject};
        auto answer = detail::caught(
            [&]() -> result<std::size_t, refusal> {
                auto ended = store_.revoke_subject(subject);
                if (!ended) return unavailable(reason::store_unavailable, ended.error());
                made.families_ended = *ended;
                if (*ended != 0) made.written = write_kind::revoke;
                return *ended;
            },
            failed<result<std::size_t, refusal>>());
        tell(made, answer);
        if (!answer) return unexpected(outage{std::move(answer).error().detail});
        return *answer;
    }

    /// Goes on with another keyring, while requests are answered: each sees the one that it began with.
    ///
    /// To roll over, first give all servers one that has the new key behind; then one that has it in front, which
    /// mints with it; and when the last family that the old key sealed has reached its absolute limit, one without that
    /// (R54).
    void replace_keyring(token_keyring keyring) { keys_.replace(std::move(keyring)); }

private:
    using answer_type = result<token_response, refusal>;

    /// What is known of a request when it is answered, well or badly. Owns the text its decision looks at.
    struct visit {
        decision made;
        std::optional<authenticated_client> client{};
        std::optional<token_request> asked{};
        secret client_id{};
    };

    static Hooks& nobody() noexcept {
        static Hooks none;
        return none;
    }
    static Random& system() noexcept {
        static Random source;
        return source;
    }

    unexpected<refusal> unavailable(reason why, outage& cause) const {
        return unexpected(refusal{why, std::move(cause.detail), settings_.policy.retry_after()});
    }

    template <class Answer> auto failed() const {
        return [this](const char* what) -> Answer {
            // Memory that has run out leaves no room for the words.
            return detail::caught(
                [&]() -> Answer {
                    outage cause{what};
                    return unavailable(reason::exception_caught, cause);
                },
                [&](const char*) -> Answer {
                    outage wordless;
                    return unavailable(reason::exception_caught, wordless);
                });
        };
    }

    http_reply judged(http_request& request, instant now) {
        const secret origin(request.origin.text());
        if (settings_.replies.cross_origin == cross_origin::on && request.is_preflight())
            return preflight(origin.reveal());
        const bool is_head = request.method == "HEAD";
        visit seen{{now}};
        auto answer = detail::caught([&] { return answer_to(request, seen, now); }, failed<answer_type>());
        http_reply reply = answer ? to_reply(*answer) : to_reply(answer.error(), settings_.replies);
        const bool is_readable = may_read(origin.reveal(), seen);
        if (is_readable) expose_to(reply, origin.reveal());
        // RFC 9110 9.3.2: "The HEAD method is identical to GET except that the server MUST NOT send content"
        if (is_head) reply.body.clear();
        tell(seen.made, answer);
        return reply;
    }

    template <class Answer> void tell(decision& made, const Answer& answer) noexcept {
        if (!answer) {
            made.refused = answer.error().why;
            made.detail = answer.error().detail;
        }
        detail::observe(hooks_, made);
    }

    answer_type answer_to(http_request& request, visit& seen, instant now) {
        request.peer = settings_.proxies.client_of(request);
        auto asked = token_request::parse(std::move(request), settings_.limits);
        if (!asked) return unexpected(std::move(asked).error());
        const token_request& asking = seen.asked.emplace(std::move(*asked));
        auto client = authenticate(asking, seen, now);
        if (!client) return unexpected(std::move(client).error());
        seen.client = *client;
        const auto keyring = keys_.now();
        refresh_grant grant(store_, issuer_, *keyring, settings_.policy, hooks_);
        const refresh_request refresh{*std::move(client), asking.refresh_token(), asking.scope()};
        return grant.respond(refresh, now, seen.made);
    }

    result<authenticated_client, refusal> authenticate(const token_request& asked, visit& seen, instant now) {
        using namespace client_authentication;
        auto identifying = begin(asked, now);
        if (!identifying) return unexpected(std::move(identifying).error());
        seen.made.client_id = identifying->ask();
        // What HTTP Basic sent is decoded within the steps, which end before the decision is told.
        if (asked.authorization().is_present()) {
            seen.client_id = secret(identifying->ask());
            seen.made.client_id = seen.client_id.reveal();
        }

        auto known = registry_.find(identifying->ask());
        if (!known) return unavailable(reason::registry_unavailable, known.error());
        auto identified = std::move(*identifying).with(std::move(*known));
        if (auto* refused = std::get_if<refusal>(&identified)) return unexpected(std::move(*refused));
        if (auto* authenticated = std::get_if<authenticated_client>(&identified)) return std::move(*authenticated);

        auto& admitting = *std::get_if<admitting_attempt>(&identified);
        auto admitted = detail::admit(hooks_, admitting.ask());
        if (!admitted) return unavailable(reason::throttle_unavailable, admitted.error());
        auto proving = std::move(admitting).with(*admitted);
        if (!proving) return unexpected(std::move(proving).error());

        const secret_check check = proving->ask();
        auto match = matcher_.at_once(check, now);
        if (!match) {
            match = detail::match_slowly(hooks_, check, matcher_);
            if (*match) matcher_.remember(check, **match, now);
        }
        if (!*match) return unavailable(reason::crypto_unavailable, match->error());
        auto settling = std::move(*proving).with(**match);
        auto settled = detail::settle(hooks_, settling.ask(), settling.outcome());
        if (!settled) return unavailable(reason::throttle_unavailable, settled.error());
        return std::move(settling).with(attempt_settled{});
    }

    http_reply preflight(std::string_view origin) {
        const bool is_known = is_anybodys(origin);
        if (is_known) return preflight_reply(origin, settings_.replies);
        return http_reply{http_status::no_content};
    }

    /// Until a client has proven who it is, any client's origin will do; then it must be the client's own (R115). Its
    /// mere name must not count: who tries names would see which are registered (R20).
    bool may_read(std::string_view origin, const visit& seen) {
        if (settings_.replies.cross_origin == cross_origin::off || origin.empty()) return false;
        if (seen.client) return (*seen.client)->allows_origin(origin);
        return is_anybodys(origin);
    }

    /// A registry that does not answer allows nobody.
    bool is_anybodys(std::string_view origin) {
        return detail::caught(
            [&]() -> bool {
                const auto allowed = registry_.allows_origin(origin);
                return allowed && *allowed;
            },
            [](const char*) { return false; });
    }

    Store& store_;
    Registry& registry_;
    Issuer& issuer_;
    detail::swapped<token_keyring> keys_;
    endpoint_settings settings_;
    client_secret_matcher matcher_;
    Hooks& hooks_;
    Random& random_;
};

} // namespace regrant::inline v0
