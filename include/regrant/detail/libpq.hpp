// regrant/detail/libpq.hpp - the words of an exchange with a PostgreSQL server.
// floor 2
// SPDX-License-Identifier: MIT
#pragma once

#include "../clock.hpp"
#include "../error.hpp"
#include "../lineage.hpp"
#include "../result.hpp"
#include "libpq_options.hpp"

#include <libpq-fe.h>
#include <fcntl.h>
#include <poll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace regrant::inline v0::detail {

struct libpq_free {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
    void operator()(PGresult* rows) const noexcept { PQclear(rows); }
};

/// libpq's words without the line's end.
inline std::string libpq_words(const char* message) {
    std::string words = message == nullptr ? "" : message;
    while (!words.empty() && (words.back() == '\n' || words.back() == ' ')) words.pop_back();
    for (char& each : words)
        if (each == '\n') each = ' ';
    return words;
}

/// The values of one statement in order, as PostgreSQL's binary format has them. What is bound outlives them.
class libpq_values {
public:
    static constexpr std::size_t most = 13;

    libpq_values& bind(std::string_view bytes) noexcept {
        // A null pointer would be NULL.
        return add(bytes.empty() ? "" : bytes.data(), bytes.size());
    }
    libpq_values& bind(const row_key& key) noexcept {
        return add(reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size());
    }
    libpq_values& bind(std::int64_t number) noexcept {
        std::array<char, 8>& bytes = numbers_[count_];
        for (std::size_t i = 0; i != bytes.size(); ++i)
            bytes[i] = static_cast<char>(static_cast<std::uint64_t>(number) >> (56 - 8 * i) & 0xFF);
        return add(bytes.data(), bytes.size());
    }
    libpq_values& bind(std::optional<std::int64_t> number) noexcept { return number ? bind(*number) : add(nullptr, 0); }
    libpq_values& bind(instant when) noexcept { return bind(std::int64_t{when.time_since_epoch().count()}); }
    libpq_values& bind(generation which) noexcept { return bind(std::int64_t{static_cast<std::uint32_t>(which)}); }

    libpq_values() = default;
    libpq_values(const libpq_values&) = delete;
    libpq_values& operator=(const libpq_values&) = delete;

    int send(PGconn* to, const char* statement) const noexcept {
        return PQsendQueryPrepared(to, statement, static_cast<int>(count_), starts_.data(), sizes_.data(),
                                   binary.data(), 1);
    }
    /// The same for a statement that is not prepared.
    int send_with(const std::string& sql, PGconn* to) const noexcept {
        return PQsendQueryParams(to, sql.c_str(), static_cast<int>(count_), nullptr, starts_.data(), sizes_.data(),
                                 binary.data(), 1);
    }

private:
    static constexpr std::array<int, most> binary{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

    libpq_values& add(const char* start, std::size_t size) noexcept {
        starts_[count_] = start;
        sizes_[count_++] = static_cast<int>(size);
        return *this;
    }
    std::size_t count_ = 0;
    std::array<const char*, most> starts_{};
    std::array<int, most> sizes_{};
    std::array<std::array<char, 8>, most> numbers_{};
};

/// What a statement gave.
class libpq_rows {
public:
    explicit libpq_rows(PGresult* rows = nullptr) noexcept : rows_(rows) {}

    int size() const noexcept { return PQntuples(rows_.get()); }
    bool is_null(int row, int column) const noexcept { return PQgetisnull(rows_.get(), row, column) == 1; }
    /// The bytes of a column: text, where the statement was not a prepared one.
    std::string_view bytes(int row, int column) const noexcept {
        return {PQgetvalue(rows_.get(), row, column), static_cast<std::size_t>(PQgetlength(rows_.get(), row, column))};
    }
    /// A bigint or a boolean that a prepared statement gave.
    std::optional<std::int64_t> number(int row, int column) const noexcept {
        const std::string_view raw = bytes(row, column);
        if (is_null(row, column) || (raw.size() != 8 && raw.size() != 1)) return std::nullopt;
        std::uint64_t read = 0;
        for (const char each : raw) read = read << 8 | static_cast<unsigned char>(each);
        return static_cast<std::int64_t>(read);
    }
    /// How many rows a write changed.
    std::size_t changed() const noexcept {
        std::size_t count = 0;
        for (const char* digit = PQcmdTuples(rows_.get()); *digit != '\0'; ++digit)
            count = count * 10 + static_cast<std::size_t>(*digit - '0');
        return count;
    }

private:
    std::unique_ptr<PGresult, libpq_free> rows_;
};

/// What a dialogue waits for.
enum class libpq_wait : std::uint8_t { nothing, to_read, to_write, either };

/// A connection for one thread at a time that never waits: it says what for, and somebody else does. After a failed
/// call it is only good for closing. It stays where it is: libpq keeps its address.
class libpq_dialogue {
public:
    libpq_dialogue() = default;
    libpq_dialogue(const libpq_dialogue&) = delete;
    libpq_dialogue& operator=(const libpq_dialogue&) = delete;

    // Each of these begins something, which `step` then carries on.
    result<void, outage> begin_connecting(const libpq_options& options) {
        db_.reset(options.begin_connecting());
        if (!db_) return unexpected(outage{"libpq: memory ran out"});
        // Without a receiver libpq prints what the server remarks.
        PQsetNoticeReceiver(raw(), notice, this);
        at_ = phase::starting;
        return {};
    }
    /// Statements without values; what the last one gives.
    result<void, outage> begin_run(const std::string& sql) { return begun(PQsendQuery(raw(), sql.c_str())); }
    result<void, outage> begin_preparing(const char* name, const char* sql) {
        return begun(PQsendPrepare(raw(), name, sql, 0, nullptr));
    }
    result<void, outage> begin_executing(const char* name, const libpq_values& values) {
        return begun(values.send(raw(), name));
    }
    /// One statement that is not prepared.
    result<void, outage> begin_executing_once(const std::string& sql, const libpq_values& values) {
        return begun(values.send_with(sql, raw()));
    }
    /// Goes as far as it can. \return what must have come before the next step; `nothing` when all is done
    result<libpq_wait, outage> step() {
        switch (at_) {
        case phase::starting:
            at_ = phase::connecting;
            if (PQstatus(raw()) == CONNECTION_BAD) return unexpected(broken());
            return libpq_wait::to_write;
        case phase::connecting: return connect_on();
        case phase::sent:
            if (PQconsumeInput(raw()) == 0) return unexpected(broken());
            [[fallthrough]];
        case phase::sending: break;
        }
        at_ = phase::sent;
        const int unsent = PQflush(raw());
        if (unsent < 0) return unexpected(broken());
        // A server that is not read from may stop reading.
        return unsent > 0 ? libpq_wait::either : receive();
    }
    /// What the statement gave that `step` has brought to its end.
    result<libpq_rows, outage> answer() {
        if (failed_) return unexpected(*std::move(failed_));
        if (not_replicated_) return unexpected(outage{"PostgreSQL: its wait for a standby was cancelled"});
        return std::move(last_);
    }

    /// Whether the server has not said goodbye since the last call.
    bool still_open() noexcept {
        pollfd at{socket(), POLLIN, 0};
        while (::poll(&at, 1, 0) > 0)
            if (PQconsumeInput(raw()) == 0 || PQisBusy(raw()) != 0 || PQstatus(raw()) != CONNECTION_OK) return false;
        return PQstatus(raw()) == CONNECTION_OK && !is_ended_;
    }
    /// The process that the other end says it is: the server's own, or a number of a pooler's.
    int process() const noexcept { return PQbackendPID(raw()); }
    /// libpq opens and closes it as it likes: while connecting it is another after each step.
    int socket() const noexcept { return PQsocket(raw()); }
    /// The same under a number that nobody else gets while libpq closes its own; the caller closes it.
    int copy_of_socket() const noexcept { return ::fcntl(socket(), F_DUPFD_CLOEXEC, 0); }
    /// SQLSTATE of the last failure; empty where the server did not say.
    std::string_view state() const noexcept { return state_; }
    static outage late() { return {"PostgreSQL: no answer within the timeout"}; }

private:
    enum class phase : std::uint8_t { starting, connecting, sending, sent };

    PGconn* raw() const noexcept { return db_.get(); }
    outage broken() const { return {"PostgreSQL: " + libpq_words(PQerrorMessage(raw()))}; }

    static void notice(void* self, const PGresult* said) noexcept {
        auto& at = *static_cast<libpq_dialogue*>(self);
        // Somebody cancelled the wait for a standby: the commit stands here, but not yet there, and counts as done.
        const char* by = PQresultErrorField(said, PG_DIAG_SOURCE_FUNCTION);
        if (by != nullptr && std::strcmp(by, "SyncRepWaitForLSN") == 0) at.not_replicated_ = true;
        // A server's last words to an idle connection; the end itself may come later.
        const char* how = PQresultErrorField(said, PG_DIAG_SEVERITY_NONLOCALIZED);
        if (how != nullptr && std::strcmp(how, "FATAL") == 0) at.is_ended_ = true;
    }

    outage refused(const PGresult* by) {
        const char* state = PQresultErrorField(by, PG_DIAG_SQLSTATE);
        const char* primary = PQresultErrorField(by, PG_DIAG_MESSAGE_PRIMARY);
        if (state == nullptr || primary == nullptr) return {"PostgreSQL: " + libpq_words(PQresultErrorMessage(by))};
        state_ = state;
        // The detail that follows in libpq's own form may quote the row.
        return {"PostgreSQL: " + libpq_words(primary) + " (" + state_ + ")"};
    }

    result<libpq_wait, outage> connect_on() {
        const PostgresPollingStatusType next = PQconnectPoll(raw());
        const bool goes_on = PQstatus(raw()) != CONNECTION_BAD;
        if (goes_on && next == PGRES_POLLING_READING) return libpq_wait::to_read;
        if (goes_on && next == PGRES_POLLING_WRITING) return libpq_wait::to_write;
        if (PQstatus(raw()) != CONNECTION_OK || PQsetnonblocking(raw(), 1) != 0) return unexpected(broken());
        return libpq_wait::nothing;
    }

    result<void, outage> begun(int sent) {
        if (sent == 0) return unexpected(broken());
        at_ = phase::sending;
        state_.clear();
        failed_.reset();
        not_replicated_ = false;
        return {};
    }

    result<libpq_wait, outage> receive() {
        while (PQisBusy(raw()) == 0) {
            PGresult* const one = PQgetResult(raw());
            if (one == nullptr) return libpq_wait::nothing;
            last_ = libpq_rows(one);
            const ExecStatusType status = PQresultStatus(one);
            if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && !failed_) failed_ = refused(one);
        }
        return libpq_wait::to_read;
    }

    std::unique_ptr<PGconn, libpq_free> db_;
    libpq_rows last_;
    std::optional<outage> failed_;
    std::string state_;
    phase at_ = phase::starting;
    bool not_replicated_ = false, is_ended_ = false;
};

} // namespace regrant::inline v0::detail
