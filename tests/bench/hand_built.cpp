// tests/bench/hand_built.cpp - the same service the way it is written by hand: cpp-httplib, OpenSSL, picojson, a map.
// SPDX-License-Identifier: MIT
//
// It does much less (one flat map of tokens, no families, no retry window): what stands against regrant is its speed.
#include <httplib.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#if __has_include(<picojson.h>)
#include <picojson.h>
#else
#include <picojson/picojson.h>
#endif

#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <map>
#include <mutex>
#include <string>

namespace {

struct grant {
    std::string client_id, subject, scope;
};

std::string base64url(const std::string& bytes) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string text;
    std::uint32_t held = 0;
    int bits = 0;
    for (const char c : bytes) {
        held = held << 8 | static_cast<unsigned char>(c);
        for (bits += 8; bits >= 6; bits -= 6) text += digits[held >> (bits - 6) & 0x3F];
    }
    if (bits != 0) text += digits[held << (6 - bits) & 0x3F];
    return text;
}

std::string random_text(int bytes) {
    std::string text(static_cast<std::size_t>(bytes), '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char*>(text.data()), bytes) != 1) std::abort();
    return base64url(text);
}

std::string jwt(EVP_PKEY* key, const picojson::object& claims) {
    picojson::object header;
    header["alg"] = picojson::value("RS256");
    header["typ"] = picojson::value("JWT");
    header["kid"] = picojson::value("key-1");
    std::string token =
        base64url(picojson::value(header).serialize()) + '.' + base64url(picojson::value(claims).serialize());
    std::string signature(256, '\0');
    std::size_t size = signature.size();
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    if (EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key) != 1 ||
        EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                       reinterpret_cast<const unsigned char*>(token.data()), token.size()) != 1)
        std::abort();
    EVP_MD_CTX_free(context);
    return token + '.' + base64url(signature);
}

class service {
public:
    std::string answer(const grant& to) {
        const auto now = static_cast<double>(std::time(nullptr));
        picojson::object access, id, all;
        access["sub"] = id["sub"] = picojson::value(to.subject);
        access["aud"] = id["aud"] = id["azp"] = picojson::value(to.client_id);
        access["iss"] = id["iss"] = picojson::value("https://id.example");
        access["nbf"] = access["iat"] = id["iat"] = picojson::value(now);
        access["exp"] = picojson::value(now + 300);
        id["exp"] = picojson::value(now + 1800);
        access["scope"] = picojson::value(picojson::array{picojson::value(to.scope)});
        access["jti"] = picojson::value(random_text(16));
        id["jti"] = picojson::value(random_text(16));
        const std::string refresh_token = random_text(32);
        {
            const std::lock_guard lock(mutex_);
            tokens_[refresh_token] = to;
        }
        all["access_token"] = picojson::value(jwt(key_, access));
        all["refresh_token"] = picojson::value(refresh_token);
        all["scope"] = picojson::value(to.scope);
        all["id_token"] = picojson::value(jwt(key_, id));
        all["token_type"] = picojson::value("Bearer");
        all["expires_in"] = picojson::value(300.0);
        return picojson::value(all).serialize();
    }

    void token(const httplib::Request& from, httplib::Response& to) {
        const std::string secret = from.get_param_value("client_secret");
        const std::string expected = "TENANT_CLIENT_SECRET";
        if (from.get_param_value("client_id") != "TENANT_CLIENT_ID" || secret.size() != expected.size() ||
            CRYPTO_memcmp(secret.data(), expected.data(), secret.size()) != 0)
            return refuse(to, "invalid_client");
        if (from.get_param_value("grant_type") != "refresh_token") return refuse(to, "unsupported_grant_type");
        grant found;
        {
            const std::lock_guard lock(mutex_);
            const auto at = tokens_.find(from.get_param_value("refresh_token"));
            if (at == tokens_.end()) return refuse(to, "invalid_grant");
            found = at->second;
            tokens_.erase(at);
        }
        send(to, answer(found));
    }

    static void send(httplib::Response& to, const std::string& body) {
        to.set_header("Cache-Control", "no-store");
        to.set_header("Pragma", "no-cache");
        to.set_content(body, "application/json;charset=UTF-8");
    }

    static void refuse(httplib::Response& to, const std::string& error) {
        to.status = 400;
        picojson::object all;
        all["error"] = picojson::value(error);
        send(to, picojson::value(all).serialize());
    }

private:
    EVP_PKEY* key_ = EVP_RSA_gen(2048);
    std::mutex mutex_;
    std::map<std::string, grant> tokens_;
};

} // namespace

int main() {
    service all;
    httplib::Server server;
    server.set_tcp_nodelay(true);
    server.set_keep_alive_max_count(std::size_t{1} << 30);
    server.Post("/oauth2/token", [&](const httplib::Request& from, httplib::Response& to) { all.token(from, to); });
    server.Post("/demo/login", [&](const httplib::Request& from, httplib::Response& to) {
        service::send(to, all.answer({from.get_param_value("client_id"), from.get_param_value("sub"), "openid"}));
    });
    const int port = server.bind_to_any_port("127.0.0.1");
    std::cout << "listening on http://127.0.0.1:" << port << std::endl;
    return server.listen_after_bind() ? 0 : 1;
}
