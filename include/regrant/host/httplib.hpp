// regrant/host/httplib.hpp - a request in, an answer out, for cpp-httplib.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../form.hpp"
#include "../http_reply.hpp"
#include "../http_request.hpp"
#include "../secret.hpp"

#include <httplib.h>

#include <cstddef>
#include <string>
#include <utility>

namespace regrant::inline v0::host {

inline http_request to_request(const httplib::Request& from) {
    http_request request;
    request.method = from.method;
    request.query = secret(query_of(from.target));
    for (const auto& [name, value] : from.headers) request.header(name, value);
    return request;
}

inline void send(http_reply reply, httplib::Response& to) {
    to.status = static_cast<int>(reply.status);
    for (const auto& [name, value] : reply.headers) to.set_header(std::string(name), value);
    to.body = std::move(reply.body);
}

} // namespace regrant::inline v0::host
