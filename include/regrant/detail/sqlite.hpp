// regrant/detail/sqlite.hpp - the one room where SQLite lives.
// floor 2
// SPDX-License-Identifier: MIT
#pragma once

#include "../clock.hpp"
#include "../error.hpp"
#include "../lineage.hpp"
#include "../result.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <unistd.h>
#endif

namespace regrant::inline v0::detail {

struct sqlite_free {
    void operator()(sqlite3* connection) const noexcept { sqlite3_close(connection); }
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};
using sqlite_statement = std::unique_ptr<sqlite3_stmt, sqlite_free>;

/// What the first page of a file says it is.
struct sqlite_header {
    enum class kind : std::uint8_t { unreadable, empty, foreign, sqlite } what;
    std::uint32_t application_id = 0;
    std::uint32_t user_version = 0;
};

/// Makes the file where there is none, for its owner's eyes alone: SQLite gives -wal and -shm the same mode. Takes an
/// empty file away again that was made in vain.
class sqlite_file {
public:
    explicit sqlite_file(std::string path) : path_(std::move(path)) {
        // To close a file drops all locks this process has on it, so no other store may open it in between.
        static std::mutex alone;
        const std::lock_guard lock(alone);
#if defined(__unix__) || defined(__APPLE__)
        const int made = ::open(path_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
        made_ = made >= 0;
        if (!made_ && errno != EEXIST) fault = std::error_code(errno, std::generic_category()).message();
        if (made_) ::close(made);
#else
        std::FILE* const made = std::fopen(path_.c_str(), "wbx");
        made_ = made != nullptr;
        if (made_) std::fclose(made);
#endif
        std::error_code unseen;
        if (fault.empty() && !std::filesystem::is_regular_file(path_, unseen))
            fault = unseen ? unseen.message() : "is no regular file";
    }
    ~sqlite_file() {
        std::error_code ignored;
        if (made_ && std::filesystem::file_size(path_, ignored) == 0) std::filesystem::remove(path_, ignored);
    }
    sqlite_file(const sqlite_file&) = delete;
    sqlite_file& operator=(const sqlite_file&) = delete;

    /// Why there is no file to open; empty if there is one.
    std::string fault{};

private:
    std::string path_;
    bool made_ = false;
};

/// A mutex that is waited for until a deadline. Not `std::timed_mutex`: the thread sanitizers of g++ 12 and clang 14
/// do not know the call it waits by, and a host's tests would drown in false alarms.
class sqlite_gate {
public:
    bool try_lock() {
        const std::lock_guard lock(mutex_);
        return !std::exchange(is_taken_, true);
    }
    bool try_lock_until(std::chrono::steady_clock::time_point until) {
        std::unique_lock lock(mutex_);
        if (!opened_.wait_until(lock, until, [&] { return !is_taken_; })) return false;
        return is_taken_ = true;
    }
    void unlock() {
        {
            const std::lock_guard lock(mutex_);
            is_taken_ = false;
        }
        opened_.notify_one();
    }

private:
    std::mutex mutex_;
    std::condition_variable opened_;
    bool is_taken_ = false;
};

/// A connection with its statements, for one thread at a time. It stays where it is: SQLite keeps its address.
class sqlite_connection {
public:
    using time_point = std::chrono::steady_clock::time_point;

    sqlite_connection() = default;
    sqlite_connection(const sqlite_connection&) = delete;
    sqlite_connection& operator=(const sqlite_connection&) = delete;

    /// Held by whoever uses the connection.
    sqlite_gate in_use;
    /// When whoever uses it gives up waiting for locks of other connections.
    time_point deadline{};

    bool is_open() const noexcept { return db_ != nullptr; }
    sqlite3* raw() const noexcept { return db_.get(); }
    std::string message() const { return std::string("SQLite: ") + sqlite3_errmsg(db_.get()); }

    /// Opens a file that is there already; no byte of it is read yet.
    bool open(const std::string& path) {
        sqlite3* opened = nullptr;
        const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
        const int code = sqlite3_open_v2(path.c_str(), &opened, flags, nullptr);
        db_.reset(opened);
        return code == SQLITE_OK && sqlite3_busy_handler(opened, wait, this) == SQLITE_OK;
    }

    /// Reads the first page as bytes. A query would recover, and so change, a file that is not ours; opening the file
    /// a second time and closing it would drop the locks of every connection this process has to it.
    sqlite_header header() {
        using enum sqlite_header::kind;
        constexpr std::string_view magic("SQLite format 3\0", 16);
        sqlite3_file* file = nullptr;
        sqlite3_int64 size = 0;
        std::array<unsigned char, 100> page{};
        if (sqlite3_file_control(raw(), "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || file == nullptr ||
            file->pMethods == nullptr || file->pMethods->xFileSize(file, &size) != SQLITE_OK)
            return {unreadable};
        if (size == 0) return {empty};
        const int code = file->pMethods->xRead(file, page.data(), static_cast<int>(page.size()), 0);
        if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) return {unreadable};
        if (std::memcmp(page.data(), magic.data(), magic.size()) != 0) return {foreign};
        const auto word = [&](std::size_t at) {
            std::uint32_t read = 0;
            for (std::size_t i = at; i != at + 4; ++i) read = read << 8 | page[i];
            return read;
        };
        return {sqlite, word(68), word(60)};
    }

    /// Runs statements that give no rows anyone wants.
    bool run(const char* sql) {
        // Some of what is run at opening meets a lock without asking the handler.
        for (int times = 0;; ++times) {
            const int code = sqlite3_exec(raw(), sql, nullptr, nullptr, nullptr);
            if (code != SQLITE_BUSY || wait(this, times) == 0) return code == SQLITE_OK;
        }
    }

    /// The first column of the first row.
    std::optional<std::string> ask(std::string_view sql) {
        const sqlite_statement asked = compile(sql);
        if (!asked || sqlite3_step(asked.get()) != SQLITE_ROW) return std::nullopt;
        const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(asked.get(), 0));
        return text == nullptr ? std::nullopt : std::optional<std::string>(text);
    }

    bool prepare(std::span<const char* const> queries) {
        for (const char* const sql : queries)
            if (statements_.push_back(compile(sql)); !statements_.back()) return false;
        return true;
    }
    sqlite3_stmt* statement(std::size_t number) const noexcept { return statements_[number].get(); }

private:
    /// SQLite's own handler counts its sleeps alone; this one ends at the deadline, whoever was waited for before.
    static int wait(void* self, int times) noexcept {
        using namespace std::chrono;
        const auto left = static_cast<sqlite_connection*>(self)->deadline - steady_clock::now();
        if (left <= left.zero()) return 0;
        std::this_thread::sleep_for((std::min<steady_clock::duration>)(left, milliseconds((std::min)(times + 1, 20))));
        return 1;
    }

    sqlite_statement compile(std::string_view sql) {
        sqlite3_stmt* made = nullptr;
        sqlite3_prepare_v3(raw(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &made, nullptr);
        return sqlite_statement(made);
    }

    std::unique_ptr<sqlite3, sqlite_free> db_;
    std::vector<sqlite_statement> statements_;
};

/// One use of a prepared statement: bound in order, run, reset. It holds the connection meanwhile.
class sqlite_call {
public:
    using gate = std::unique_lock<sqlite_gate>;

    /// \param held  may have come away empty from waiting; then the call is an outage
    sqlite_call(gate held, sqlite_connection& at, std::size_t query, sqlite_connection::time_point until) noexcept
        : held_(std::move(held)), at_(at), code_(held_ ? SQLITE_OK : SQLITE_BUSY) {
        if (!held_) return;
        at_.deadline = until;
        statement_ = at_.statement(query);
    }
    ~sqlite_call() {
        if (statement_ == nullptr) return;
        sqlite3_reset(statement_);
        sqlite3_clear_bindings(statement_);
    }
    sqlite_call(const sqlite_call&) = delete;
    sqlite_call& operator=(const sqlite_call&) = delete;

    // What is bound outlives the call, so nothing is copied.
    sqlite_call& bind(const row_key& key) noexcept {
        return bound([&](int at) { return sqlite3_bind_blob(statement_, at, key.bytes.data(), 32, SQLITE_STATIC); });
    }
    sqlite_call& bind(std::string_view text) noexcept {
        // A null pointer would bind NULL.
        const char* start = text.empty() ? "" : text.data();
        return bound([&](int at) {
            return sqlite3_bind_text64(statement_, at, start, text.size(), SQLITE_STATIC, SQLITE_UTF8);
        });
    }
    sqlite_call& bind(std::int64_t number) noexcept {
        return bound([&](int at) { return sqlite3_bind_int64(statement_, at, number); });
    }
    sqlite_call& bind(std::optional<std::int64_t> number) noexcept {
        if (number) return bind(*number);
        return bound([&](int at) { return sqlite3_bind_null(statement_, at); });
    }
    sqlite_call& bind(instant when) noexcept { return bind(std::int64_t{when.time_since_epoch().count()}); }
    sqlite_call& bind(generation which) noexcept { return bind(std::int64_t{static_cast<std::uint32_t>(which)}); }

    /// Runs a write to its end; it is committed then.
    /// \return how many rows it changed
    result<std::size_t, outage> write() {
        if (auto row = next(); !row) return unexpected(std::move(row).error());
        return static_cast<std::size_t>(sqlite3_changes(at_.raw()));
    }

    /// \return null after the last row
    result<sqlite3_stmt*, outage> next() {
        if (code_ == SQLITE_OK || code_ == SQLITE_ROW) code_ = sqlite3_step(statement_);
        if (code_ == SQLITE_ROW) return statement_;
        if (code_ == SQLITE_DONE) return nullptr;
        if (!held_) return unexpected(outage{"SQLite: earlier calls kept this one waiting past the busy timeout"});
        return unexpected(outage{at_.message()});
    }

private:
    template <class Bind> sqlite_call& bound(Bind&& bind_at) noexcept {
        if (code_ == SQLITE_OK) code_ = bind_at(++bound_);
        return *this;
    }

    gate held_;
    sqlite_connection& at_;
    sqlite3_stmt* statement_ = nullptr;
    int bound_ = 0;
    int code_;
};

} // namespace regrant::inline v0::detail
