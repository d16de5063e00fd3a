// tests/bench/peers.hpp - other libraries doing what parts of this one do.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench::peers {

using fields = std::vector<std::pair<std::string, std::string>>;

// Form text to names with values, each as its pages say. \return how many fields
std::size_t uriparser(const std::string& body);
std::size_t boost_url(const std::string& body);
std::size_t cpp_httplib(const std::string& body);
std::size_t poco(const std::string& body);

/// The claims of the API page's access token as an RS256 JWT.
class jwt_encoder {
public:
    virtual ~jwt_encoder() = default;
    virtual std::size_t encode() = 0;
};
std::unique_ptr<jwt_encoder> libjwt(const std::string& pem);
std::unique_ptr<jwt_encoder> cjose(const std::string& pem);

struct answer {
    std::string access_token, refresh_token, id_token;
};
// The answer's six members as JSON text. picojson and nlohmann sort them.
std::string picojson_text(const answer& from);
std::string nlohmann_text(const answer& from);

} // namespace bench::peers
