// regrant/authenticated_client.hpp - a client that has proven who it is.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "client.hpp"

#include <utility>

namespace regrant::inline v0 {

/// The ticket into the refresh grant: there is none without an authenticated client.
///
/// `client_authentication` hands it out; a host that authenticates clients in its own way vouches for one.
class authenticated_client {
public:
    /// \pre known is not null, and the caller has authenticated it as RFC 6749 3.2.1 asks
    static authenticated_client vouched(client_ptr known) noexcept { return authenticated_client(std::move(known)); }

    const client& operator*() const noexcept { return *client_; }
    const client* operator->() const noexcept { return client_.get(); }

private:
    explicit authenticated_client(client_ptr known) noexcept : client_(std::move(known)) {}
    client_ptr client_;
};

} // namespace regrant::inline v0
