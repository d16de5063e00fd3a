// tests/bench/peers.cpp - other libraries doing what parts of this one do.
// SPDX-License-Identifier: MIT
#include "peers.hpp"

#include <Poco/Net/HTMLForm.h>
#include <boost/url.hpp>
#include <cjose/cjose.h>
#include <httplib.h>
#include <jwt.h>
#include <nlohmann/json.hpp>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <uriparser/Uri.h>

#if __has_include(<picojson.h>)
#include <picojson.h>
#else
#include <picojson/picojson.h>
#endif

#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace bench::peers {

std::size_t uriparser(const std::string& body) {
    UriQueryListA* list = nullptr;
    int count = 0;
    if (uriDissectQueryMallocExA(&list, &count, body.data(), body.data() + body.size(), URI_TRUE,
                                 URI_BR_DONT_TOUCH) != URI_SUCCESS)
        return 0;
    uriFreeQueryListA(list);
    return static_cast<std::size_t>(count);
}

std::size_t boost_url(const std::string& body) {
    const auto parsed = boost::urls::parse_query(body);
    if (!parsed) return 0;
    boost::urls::encoding_opts form;
    form.space_as_plus = true;
    fields all;
    for (const auto& each : *parsed) all.emplace_back(each.key.decode(form), each.value.decode(form));
    return all.size();
}

std::size_t cpp_httplib(const std::string& body) {
    httplib::Params all;
    httplib::detail::parse_query_text(body, all);
    return all.size();
}

std::size_t poco(const std::string& body) {
    std::istringstream text(body);
    Poco::Net::HTMLForm form;
    form.setFieldLimit(0);
    form.setValueLengthLimit(1 << 20);
    form.read(text);
    return form.size();
}

namespace {

constexpr long iat = 1636449231;

class libjwt_encoder final : public jwt_encoder {
public:
    explicit libjwt_encoder(std::string pem) : pem_(std::move(pem)) {}
    std::size_t encode() override {
        jwt_t* jwt = nullptr;
        jwt_new(&jwt);
        jwt_add_header(jwt, "kid", "d49bc505-5572-4ed6-9e48-388c3d44bb46");
        jwt_add_grant(jwt, "sub", "MOCK_USERNAME");
        jwt_add_grant(jwt, "aud", "TENANT_CLIENT_ID");
        jwt_add_grant_int(jwt, "nbf", iat);
        jwt_add_grants_json(jwt, R"({"scope":["openid"]})");
        jwt_add_grant(jwt, "iss", "https://TENANT.PORTAL.DOMAIN");
        jwt_add_grant_int(jwt, "exp", iat + 300);
        jwt_add_grant_int(jwt, "iat", iat);
        jwt_add_grant(jwt, "jti", "5a18f141-e341-4338-85d6-b4e41a867765");
        jwt_set_alg(jwt, JWT_ALG_RS256, reinterpret_cast<const unsigned char*>(pem_.c_str()),
                    static_cast<int>(pem_.size()));
        char* text = jwt_encode_str(jwt);
        const std::size_t size = text == nullptr ? 0 : std::char_traits<char>::length(text);
        std::free(text);
        jwt_free(jwt);
        return size;
    }

private:
    std::string pem_;
};

std::string number_of(const EVP_PKEY* key, const char* name) {
    BIGNUM* number = nullptr;
    if (EVP_PKEY_get_bn_param(key, name, &number) != 1) std::exit(2);
    std::string bytes(static_cast<std::size_t>(BN_num_bytes(number)), '\0');
    BN_bn2bin(number, reinterpret_cast<unsigned char*>(bytes.data()));
    BN_clear_free(number);
    return bytes;
}

class cjose_encoder final : public jwt_encoder {
public:
    explicit cjose_encoder(const std::string& pem) {
        BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
        EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
        BIO_free(bio);
        if (key == nullptr) std::exit(2);
        std::string parts[] = {number_of(key, OSSL_PKEY_PARAM_RSA_E),         number_of(key, OSSL_PKEY_PARAM_RSA_N),
                               number_of(key, OSSL_PKEY_PARAM_RSA_D),         number_of(key, OSSL_PKEY_PARAM_RSA_FACTOR1),
                               number_of(key, OSSL_PKEY_PARAM_RSA_FACTOR2),   number_of(key, OSSL_PKEY_PARAM_RSA_EXPONENT1),
                               number_of(key, OSSL_PKEY_PARAM_RSA_EXPONENT2),
                               number_of(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1)};
        EVP_PKEY_free(key);
        cjose_jwk_rsa_keyspec spec{};
        unsigned char** const to[] = {&spec.e, &spec.n, &spec.d, &spec.p, &spec.q, &spec.dp, &spec.dq, &spec.qi};
        std::size_t* const sizes[] = {&spec.elen, &spec.nlen, &spec.dlen, &spec.plen,
                                      &spec.qlen, &spec.dplen, &spec.dqlen, &spec.qilen};
        for (std::size_t i = 0; i != std::size(parts); ++i) {
            *to[i] = reinterpret_cast<unsigned char*>(parts[i].data());
            *sizes[i] = parts[i].size();
        }
        cjose_err fault{};
        key_ = cjose_jwk_create_RSA_spec(&spec, &fault);
        header_ = cjose_header_new(&fault);
        if (key_ == nullptr || header_ == nullptr) std::exit(2);
        cjose_header_set(header_, CJOSE_HDR_ALG, CJOSE_HDR_ALG_RS256, &fault);
        cjose_header_set(header_, CJOSE_HDR_KID, "d49bc505-5572-4ed6-9e48-388c3d44bb46", &fault);
    }
    ~cjose_encoder() override {
        cjose_header_release(header_);
        cjose_jwk_release(key_);
    }
    // cjose signs bytes; what people write them with is another library.
    std::size_t encode() override {
        const nlohmann::json claims{{"sub", "MOCK_USERNAME"},
                                    {"aud", "TENANT_CLIENT_ID"},
                                    {"nbf", iat},
                                    {"scope", nlohmann::json::array({"openid"})},
                                    {"iss", "https://TENANT.PORTAL.DOMAIN"},
                                    {"exp", iat + 300},
                                    {"iat", iat},
                                    {"jti", "5a18f141-e341-4338-85d6-b4e41a867765"}};
        const std::string text = claims.dump();
        cjose_err fault{};
        cjose_jws_t* jws = cjose_jws_sign(key_, header_, reinterpret_cast<const unsigned char*>(text.data()),
                                          text.size(), &fault);
        const char* token = nullptr;
        std::size_t size = 0;
        if (jws != nullptr && cjose_jws_export(jws, &token, &fault)) size = std::char_traits<char>::length(token);
        cjose_jws_release(jws);
        return size;
    }

private:
    cjose_jwk_t* key_ = nullptr;
    cjose_header_t* header_ = nullptr;
};

} // namespace

std::unique_ptr<jwt_encoder> libjwt(const std::string& pem) { return std::make_unique<libjwt_encoder>(pem); }
std::unique_ptr<jwt_encoder> cjose(const std::string& pem) { return std::make_unique<cjose_encoder>(pem); }

std::string picojson_text(const answer& from) {
    picojson::object all;
    all["access_token"] = picojson::value(from.access_token);
    all["refresh_token"] = picojson::value(from.refresh_token);
    all["scope"] = picojson::value("openid");
    all["id_token"] = picojson::value(from.id_token);
    all["token_type"] = picojson::value("Bearer");
    all["expires_in"] = picojson::value(299.0);
    return picojson::value(all).serialize();
}

std::string nlohmann_text(const answer& from) {
    const nlohmann::json all{{"access_token", from.access_token}, {"refresh_token", from.refresh_token},
                             {"scope", "openid"},                 {"id_token", from.id_token},
                             {"token_type", "Bearer"},            {"expires_in", 299}};
    return all.dump();
}

} // namespace bench::peers
