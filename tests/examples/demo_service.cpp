// tests/examples/demo_service.cpp - the demo's parts behind a door that needs no template.
// SPDX-License-Identifier: MIT
#include "demo_service.hpp"

#include "demo_parts.hpp"

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string_view>
#include <utility>

namespace example {

struct demo_service::parts : demo_parts {
    using demo_parts::demo_parts;
    regrant::token_bucket_throttle throttle = must(regrant::token_bucket_throttle::make(limits()));
    regrant::token_endpoint<regrant::memory_store, regrant::client_list, issuer_type, regrant::token_bucket_throttle,
                            source>
        endpoint{store, clients, issuer, keyring(), settings(), throttle, random};

    /// Tests guess wrong more often than any client.
    regrant::throttle_settings limits() const {
        if (told.is_throttled) return {};
        const regrant::failure_limit much{1'000'000, std::chrono::milliseconds(1)};
        return {.per_client = much, .per_address = much, .per_known_address = much};
    }
};

namespace {

/// Whoever tests a host asks what it is made of.
void answer_what_it_is(int count, char** words, std::string_view framework) {
    if (count != 2 || std::string_view(words[1]) != "--framework") return;
    std::cout << framework << '\n' << std::flush;
    std::exit(0);
}

} // namespace

demo_service::demo_service(int count, char** words, std::string_view framework)
    : parts_((answer_what_it_is(count, words, framework), new parts(parse(count, words)))) {}
demo_service::~demo_service() = default;

std::uint16_t demo_service::port() const noexcept { return parts_->told.port; }
void demo_service::listening_on(std::uint16_t port) const { demo_parts::listening_on(port); }

regrant::http_reply demo_service::token(regrant::http_request request) {
    return parts_->endpoint.respond(std::move(request), parts_->told.now());
}

regrant::http_reply demo_service::login(regrant::http_request request) {
    using namespace regrant;
    auto form = form::parse(std::move(request.body));
    if (!form) return to_reply(refusal{reason::malformed_escape});
    const std::string_view client = form->find("client_id").value_or("");
    const std::string_view user = form->find("sub").value_or("");
    auto tokens = parts_->endpoint.issue({client, user, "openid profile email"}, parts_->told.now());
    return demo_parts::login_reply(tokens, parts_->told.proxies.client_of(request));
}

regrant::http_reply demo_service::jwks() const { return parts_->jwks(); }
regrant::http_reply demo_service::metadata() const { return demo_parts::metadata(); }

} // namespace example
