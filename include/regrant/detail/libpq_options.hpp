// regrant/detail/libpq_options.hpp - a connection string of libpq, taken apart.
// floor 1
// SPDX-License-Identifier: MIT
#pragma once

#include "../error.hpp"
#include "../result.hpp"
#include "../secret.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace regrant::inline v0::detail {

/// A connection string taken apart, with defaults of ours where it is silent.
class libpq_options {
public:
    /// libpq quotes what it cannot read, and that may be a piece of a password; so its words are never passed on.
    static result<libpq_options, setup_error> parse(const std::string& text, std::chrono::milliseconds timeout) {
        const auto refuse = [](const char* why) { return unexpected(setup_error{why}); };
        if (text.find('\0') != text.npos) return refuse("the connection string holds a NUL");
        char* why = nullptr;
        const std::unique_ptr<PQconninfoOption, free> parsed(PQconninfoParse(text.c_str(), &why));
        if (why != nullptr) {
            wipe(why, std::strlen(why));
            PQfreemem(why);
        }
        if (!parsed) return refuse("libpq cannot read the connection string");

        const bool is_uri = text.starts_with("postgresql://") || text.starts_with("postgres://");
        libpq_options read;
        // A primary alone sees every earlier write; `primary` came with libpq 14.
        const char* const session = PQlibVersion() >= 140000 ? "primary" : "read-write";
        // Whichever of the hosts is there, those before it that are not leave time to reach it.
        std::int64_t hosts = 1;
        for (const PQconninfoOption* each = parsed.get(); each->keyword != nullptr; ++each)
            if (each->val != nullptr && std::string_view(each->keyword).starts_with("host"))
                hosts = std::max<std::int64_t>(
                    hosts, 1 + std::count(each->val, each->val + std::strlen(each->val), ','));
        const std::string unanswered = std::to_string(std::max<std::int64_t>(timeout.count() / (hosts + 1), 1));
        for (const PQconninfoOption* each = parsed.get(); each->keyword != nullptr; ++each) {
            const std::string_view keyword = each->keyword;
            const std::string_view value = each->val == nullptr ? "" : each->val;
            // A password that was not percent-encoded goes on in one of these, and would be quoted in messages.
            const bool looks_wrong =
                (keyword == "host" && has_credentials(value)) ||
                (is_uri && keyword == "dbname" && value.find('@') != value.npos) ||
                (keyword == "dbname" && value.find("://") != value.npos) ||
                (keyword == "port" && value.find_first_not_of("0123456789, ") != value.npos);
            if (looks_wrong)
                return refuse("the connection string has a host, port or dbname that makes no sense; in a URI the "
                              "user and the password are percent-encoded");
            if (each->val != nullptr) read.add(keyword, value);
            else if (keyword == "target_session_attrs") read.add(keyword, session);
            else if (keyword == "fallback_application_name") read.add(keyword, "regrant");
            else if (keyword == "tcp_user_timeout") read.add(keyword, unanswered);
            else if (keyword == "keepalives_idle") read.add(keyword, "30");
            else if (keyword == "keepalives_interval") read.add(keyword, "10");
            else if (keyword == "keepalives_count") read.add(keyword, "3");
        }
        return read;
    }

    PGconn* begin_connecting() const {
        std::vector<const char*> keywords, values;
        for (std::size_t i = 0; i != keywords_.size(); ++i) {
            keywords.push_back(keywords_[i].c_str());
            values.push_back(values_[i].reveal().data());
        }
        keywords.push_back(nullptr);
        values.push_back(nullptr);
        return PQconnectStartParams(keywords.data(), values.data(), 0);
    }

private:
    struct free {
        void operator()(PQconninfoOption* first) const noexcept {
            for (PQconninfoOption* each = first; each->keyword != nullptr; ++each)
                if (each->val != nullptr) wipe(each->val, std::strlen(each->val));
            PQconninfoFree(first);
        }
    };
    /// Whether one of the hosts of a list has an `@` within. In front it names an abstract socket.
    static constexpr bool has_credentials(std::string_view hosts) noexcept {
        for (std::size_t at = hosts.find('@'); at != hosts.npos; at = hosts.find('@', at + 1))
            if (at != 0 && hosts[at - 1] != ',') return true;
        return false;
    }
    void add(std::string_view keyword, std::string_view value) {
        keywords_.emplace_back(keyword);
        values_.emplace_back(value);
        values_.back().append(std::string_view("\0", 1));
    }
    std::vector<std::string> keywords_;
    std::vector<secret> values_;
};

} // namespace regrant::inline v0::detail
