// tests/examples/beast_awaitable.cpp - the token endpoint on one thread of Boost.Beast that never waits.
// SPDX-License-Identifier: MIT
#include <regrant/host/asio.hpp>
#include <regrant/host/beast.hpp>

#include "demo_parts.hpp"

#include <boost/asio.hpp>

#include <string_view>
#include <utility>

namespace {

namespace asio = boost::asio;
using namespace regrant;

struct service {
    example::demo_parts parts;
    // RSA and whatever the store waits for happen here; the thread of the event loop goes on.
    asio::thread_pool pool{2};
    host::pooled_store<memory_store> store{parts.store, pool};
    host::pooled_issuer<example::demo_parts::issuer_type> issuer{parts.issuer, pool};
    async_token_endpoint<decltype(store), client_list, decltype(issuer), no_hooks, example::source> endpoint{
        store, parts.clients, issuer, parts.keyring(), parts.settings(), parts.hooks, parts.random};

    asio::awaitable<http_reply> operator()(std::string_view path, http_request request) {
        const instant now = parts.told.now();
        if (path == "/oauth2/token") co_return co_await endpoint.respond(std::move(request), now);
        if (path == "/demo/login" && request.method == "POST") co_return co_await log_in(std::move(request), now);
        if (path == "/oauth2/jwks" && request.method == "GET") co_return parts.jwks();
        if (path == "/.well-known/openid-configuration" && request.method == "GET") co_return parts.metadata();
        if (path == "/health" && request.method == "GET")
            co_return http_reply{http_status::ok, {{"Content-Type", "text/plain"}}, "ok"};
        co_return http_reply{static_cast<http_status>(404)};
    }

    asio::awaitable<http_reply> log_in(http_request request, instant now) {
        const auto form = form::parse(std::move(request.body));
        if (!form) co_return to_reply(refusal{reason::malformed_escape});
        const login who{form->find("client_id").value_or(""), form->find("sub").value_or(""), "openid profile email"};
        auto tokens = co_await endpoint.issue(who, now);
        co_return example::demo_parts::login_reply(tokens, parts.told.proxies.client_of(request));
    }
};

} // namespace

int main(int count, char** words) {
    service serving{example::demo_parts(example::parse(count, words))};
    asio::io_context loop(1);
    asio::ip::tcp::acceptor acceptor(loop, {asio::ip::address_v4::loopback(), serving.parts.told.port});
    example::demo_parts::listening_on(acceptor.local_endpoint().port());
    const auto answer = [&](std::string_view path, http_request request) { return serving(path, std::move(request)); };
    asio::co_spawn(loop, host::serve_port(acceptor, answer), asio::detached);
    asio::signal_set signals(loop, SIGINT, SIGTERM);
    signals.async_wait([&](auto, int) { loop.stop(); });
    loop.run();
    serving.pool.join(); // before the frames it may look at are gone
}
