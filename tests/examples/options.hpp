// tests/examples/options.hpp - what the example server is told on its command line.
// SPDX-License-Identifier: MIT
#pragma once

#include <regrant/error.hpp>
#include <regrant/jwt_issuer.hpp>
#include <regrant/policy.hpp>
#include <regrant/result.hpp>
#include <regrant/trusted_proxies.hpp>

#include <charconv>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace example {

inline constexpr std::string_view usage = R"(usage: regrant_server [option value]...
  --listen HOST:PORT       default 127.0.0.1:8080; port 0 takes a free one
  --issuer URL             default http://HOST:PORT as listened
  --store URI              memory:, sqlite:FILE (default sqlite:regrant.db), postgresql://..., redis://...
  --store-file FILE        a file that holds the URI, so that no password stands in the process list
  --profile NAME           ciam (default) or rfc9068
  --audience URI           whom access tokens of profile rfc9068 are for
  --signing-key FILE       RSA PEM, default regrant-signing.pem, made if missing
  --signing-key-passphrase-file FILE   its passphrase, where it is encrypted
  --token-key FILE         lines of ID:BASE64URL, default regrant-token.key, made if missing
  --clients FILE           JSON array of registrations; default TENANT_CLIENT_ID and SPA_CLIENT_ID
  --access-lifetime S      default 300         --id-lifetime S        default 1800
  --idle-lifetime S        default 30 days     --absolute-lifetime S  default 90 days
  --retry-window S         default 30          --threads N            default 8
  --trusted-proxy CIDR     a reverse proxy whose X-Forwarded-For is believed; networks may be listed with commas
  --check                  look at keys and registrations, say what is wrong or right, and stop
The environment may hold REGRANT_STORE (a URI) and REGRANT_SIGNING_KEY_PASSPHRASE; an option goes first.
)";

struct options {
    std::string host = "127.0.0.1";
    int port = 8080;
    /// Empty takes the address that is listened on.
    std::string issuer{};
    /// Empty takes the environment's, else sqlite:regrant.db.
    std::string store{};
    std::string store_file{};
    /// Its issuer is filled in when the port is known.
    regrant::jwt_settings tokens{};
    regrant::policy_settings lifetimes{};
    std::string signing_key_file = "regrant-signing.pem";
    std::string passphrase_file{};
    std::string token_key_file = "regrant-token.key";
    /// Empty takes the two clients of the demonstration.
    std::string clients_file{};
    std::size_t threads = 8;
    regrant::trusted_proxies proxies{};
    bool check = false;
    bool help = false;

    bool is_loopback() const {
        const bool is_ipv4 = host.find_first_not_of("0123456789.") == std::string::npos;
        return host == "localhost" || host == "::1" || (is_ipv4 && host.starts_with("127."));
    }
    std::string url() const {
        const bool is_ipv6 = host.find(':') != std::string::npos;
        return "http://" + (is_ipv6 ? '[' + host + ']' : host) + ':' + std::to_string(port);
    }
};

/// A whole number and nothing else.
inline std::optional<int> to_number(std::string_view text, int least, int most) {
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_whole = error == std::errc() && end == text.data() + text.size();
    return is_whole && number >= least && number <= most ? std::optional(number) : std::nullopt;
}

/// HOST:PORT, or [HOST]:PORT for IPv6.
inline bool set_address(options& told, std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == 0 || colon == std::string_view::npos) return false;
    const auto port = to_number(text.substr(colon + 1), 0, 65535);
    std::string_view host = text.substr(0, colon);
    const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (is_bracketed) host = host.substr(1, host.size() - 2);
    if (!port || (!is_bracketed && host.find_first_of("[]:/") != std::string_view::npos)) return false;
    told.host = host;
    told.port = *port;
    return true;
}

/// RFC 8414 2: "a URL that uses the "https" scheme and has no query or fragment components"; http is for
/// trying it out.
inline bool is_issuer(std::string_view url) {
    const std::size_t scheme_end = url.find("://");
    if (scheme_end == std::string_view::npos) return false;
    const std::string_view scheme = url.substr(0, scheme_end), rest = url.substr(scheme_end + 3);
    if ((scheme != "http" && scheme != "https") || rest.empty() || rest.front() == '/') return false;
    for (const char c : rest)
        if (c <= 0x20 || c > 0x7E || c == '?' || c == '#' || c == '"' || c == '<' || c == '>' || c == '\\')
            return false;
    return true;
}

inline constexpr std::string_view store_forms = "memory:, sqlite:FILE, postgresql://... or redis://...";

inline bool is_postgresql(std::string_view uri) {
    return uri.starts_with("postgresql://") || uri.starts_with("postgres://");
}
inline bool is_store(std::string_view uri) {
    for (const std::string_view scheme : {"sqlite:", "postgresql://", "postgres://", "redis://"})
        if (uri.starts_with(scheme) && uri.size() > scheme.size()) return true;
    return uri == "memory:";
}

/// Sets one option. \return what its value should have been, if it is wrong; nothing for an unknown name
inline std::optional<std::string_view> set_option(options& told, std::string_view name, std::string_view value) {
    constexpr std::string_view good{};
    const auto text = [&](std::string& to) {
        to = value;
        return value.empty() ? std::string_view("something") : good;
    };
    const auto seconds = [&](std::chrono::seconds& to, int least) {
        const auto number = to_number(value, least, 2'000'000'000);
        if (number) to = std::chrono::seconds(*number);
        return number ? good : std::string_view("a number of seconds");
    };
    if (name == "--listen") return set_address(told, value) ? good : "HOST:PORT";
    if (name == "--issuer") {
        told.issuer = value;
        return is_issuer(value) ? good : "an http or https URL without query and fragment";
    }
    if (name == "--store") {
        told.store = value;
        return is_store(value) ? good : store_forms;
    }
    if (name == "--store-file") return text(told.store_file);
    if (name == "--signing-key-passphrase-file") return text(told.passphrase_file);
    if (name == "--profile") {
        told.tokens.profile = value == "rfc9068" ? regrant::token_profile::rfc9068 : regrant::token_profile::ciam;
        return value == "rfc9068" || value == "ciam" ? good : "ciam or rfc9068";
    }
    if (name == "--threads") {
        const auto number = to_number(value, 1, 256);
        if (number) told.threads = static_cast<std::size_t>(*number);
        return number ? good : "a number from 1 to 256";
    }
    if (name == "--trusted-proxy") {
        auto proxies = regrant::trusted_proxies::parse(value);
        const bool is_good = proxies && !proxies->empty();
        if (is_good) told.proxies = *std::move(proxies);
        return is_good ? good : "networks such as 127.0.0.1 or 10.0.0.0/8,2001:db8::/32";
    }
    if (name == "--audience") return text(told.tokens.audience);
    if (name == "--signing-key") return text(told.signing_key_file);
    if (name == "--token-key") return text(told.token_key_file);
    if (name == "--clients") return text(told.clients_file);
    if (name == "--access-lifetime") return seconds(told.tokens.access_lifetime, 1);
    if (name == "--id-lifetime") return seconds(told.tokens.id_lifetime, 1);
    if (name == "--idle-lifetime") return seconds(told.lifetimes.idle_lifetime, 1);
    if (name == "--absolute-lifetime") return seconds(told.lifetimes.absolute_lifetime, 1);
    if (name == "--retry-window") return seconds(told.lifetimes.retry_window, 0);
    return std::nullopt;
}

inline regrant::result<options, regrant::setup_error> parse_options(std::span<const char* const> words) {
    const auto fault = [](std::string message) {
        return regrant::unexpected(regrant::setup_error{std::move(message)});
    };
    options told;
    for (; !words.empty(); words = words.subspan(1)) {
        const std::string name = words.front();
        if (name == "--check" || name == "--help") {
            (name == "--check" ? told.check : told.help) = true;
            continue;
        }
        options unused;
        if (!set_option(unused, name, "")) return fault("there is no option " + name + "; --help lists them");
        if (words.size() == 1) return fault(name + " needs a value");
        words = words.subspan(1);
        const auto wanted = set_option(told, name, words.front());
        // A store's URI may hold a password.
        if (!wanted->empty())
            return fault(name + " takes " + std::string(*wanted) +
                         (name == "--store" ? std::string() : ", not \"" + std::string(words.front()) + '"'));
    }
    if (told.signing_key_file == told.token_key_file) return fault("the two keys need two files");
    if (!told.store.empty() && !told.store_file.empty()) return fault("--store and --store-file name one store each");
    return told;
}

} // namespace example
