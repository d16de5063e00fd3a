// tests/examples/httplib_glue.hpp - between cpp-httplib and regrant: a request in, an answer out.
// SPDX-License-Identifier: MIT
#pragma once

#include <regrant/form.hpp>
#include <regrant/http_reply.hpp>
#include <regrant/http_request.hpp>
#include <regrant/secret.hpp>

#include <httplib.h>
#include <strings.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace example {

// --- what every host needs: the request without its body, and the answer ---

inline regrant::http_request to_request(const httplib::Request& from) {
    regrant::http_request request;
    request.method = from.method;
    request.query = regrant::secret(regrant::query_of(from.target));
    for (const auto& [name, value] : from.headers) request.header(name, value);
    return request;
}

/// Asks for the connection to be closed behind the answer: what follows in it may not be a request.
inline void close_after(httplib::Response& to) {
    if (!to.has_header("Connection")) to.set_header("Connection", "close");
}

inline void send(regrant::http_reply reply, httplib::Response& to) {
    to.status = static_cast<int>(reply.status);
    for (const auto& [name, value] : reply.headers) to.set_header(std::string(name), value);
    if (!to.has_header("Connection") || reply.body.empty()) {
        to.body = std::move(reply.body);
        return;
    }
    // httplib closes a connection early only where a body's provider gives up: after all of the body, here.
    to.headers.erase("Content-Type");
    const std::size_t size = reply.body.size();
    const std::string type(reply.header("Content-Type"));
    to.set_content_provider(size, type, [body = std::move(reply.body)](std::size_t, std::size_t, auto& sink) {
        sink.write(body.data(), body.size());
        return false;
    });
}

// --- what httplib 0.11 needs beside: it lets through what is no sound HTTP ---

enum class framing { no_body, sound, broken };

/// Whether it is clear where the body ends (RFC 9112 6.3): httplib looks at the first Content-Length alone,
/// takes any text for a number, and without one reads on until the client hangs up.
inline framing framing_of(const httplib::Request& from) {
    const std::size_t lengths = from.get_header_value_count("Content-Length");
    const std::size_t codings = from.get_header_value_count("Transfer-Encoding");
    if (lengths + codings == 0) return framing::no_body;
    if (lengths + codings > 1) return framing::broken;
    const std::string length = from.get_header_value("Content-Length");
    const bool is_number = !length.empty() && length.size() < 16 &&
                           std::all_of(length.begin(), length.end(), [](char c) { return c >= '0' && c <= '9'; });
    // httplib passes over the chunks of a DELETE.
    const bool is_chunked =
        ::strcasecmp(from.get_header_value("Transfer-Encoding").c_str(), "chunked") == 0 && from.method != "DELETE";
    return (lengths == 1 ? is_number : is_chunked) ? framing::sound : framing::broken;
}

/// The whole request. A body that did not arrive in one piece counts as none, which no token request survives
/// (R10); of one beyond the limit comes as much as it takes to be refused (R9).
inline regrant::http_request to_request(const httplib::Request& from, httplib::Response& to,
                                        const httplib::ContentReader& read) {
    constexpr std::size_t needed_bytes = regrant::form_limits{}.body_bytes + 1;
    // Most clients read our answer only when they are done sending, so we bear with them for a while.
    constexpr std::size_t borne_bytes = std::size_t{64} * 1024 * 1024;
    regrant::http_request request = to_request(from);
    regrant::secret body;
    std::size_t received = 0;
    const auto receive = [&](const char* piece, std::size_t size) {
        body.append(std::string_view(piece, std::min(size, needed_bytes - body.size())));
        received += size;
        return received < borne_bytes;
    };
    bool is_whole = false;
    switch (framing_of(from)) {
    case framing::no_body: is_whole = true; break;
    case framing::broken: break;
    case framing::sound:
        // httplib insists on taking multipart bodies apart; nobody here wants them.
        is_whole = from.is_multipart_form_data() ? read([](const auto&) { return true; }, receive) : read(receive);
        break;
    }
    if (!is_whole) close_after(to);
    if (is_whole || body.size() == needed_bytes) request.body = std::move(body);
    return request;
}

/// Answers what httplib refuses by itself, in the words of RFC 6749 5.2; closes the connection, for httplib
/// may have left the rest of the request in it.
inline void answer_error(httplib::Response& to) {
    close_after(to);
    regrant::http_reply reply{static_cast<regrant::http_status>(to.status)};
    reply.headers = {
        {"Content-Type", "application/json;charset=UTF-8"}, {"Cache-Control", "no-store"}, {"Pragma", "no-cache"}};
    reply.body = to.status < 500 ? R"({"error":"invalid_request"})" : R"({"error":"server_error"})";
    send(std::move(reply), to);
}

/// Whether an answer is regrant's own already, for httplib has its error handler look at each.
inline bool is_answered(const httplib::Response& to) { return to.has_header("Cache-Control"); }

/// Gives each connection a thread. So many stay ready; when all are held by connections that are slow or
/// idle, more come, up to `most_threads`, so that nobody waits for them.
class growing_pool : public httplib::TaskQueue {
public:
    static constexpr std::size_t most_threads = 512;
    /// How long open requests may take when the server ends: longer than any of its timeouts.
    static constexpr std::chrono::seconds grace{15};

    explicit growing_pool(std::size_t ready) {
        const std::lock_guard lock(mutex_);
        for (std::size_t i = 0; i != ready; ++i) add_thread();
    }

    // Later versions of httplib want to know whether there was room.
    using enqueued = decltype(std::declval<httplib::TaskQueue&>().enqueue(nullptr));
    enqueued enqueue(std::function<void()> connection) override {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(connection));
        if (waiting_.size() > free_ && threads_.size() < most_threads) add_thread();
        changed_.notify_one();
        return enqueued(true);
    }

    void shutdown() override {
        {
            std::unique_lock lock(mutex_);
            is_ending_ = true;
            changed_.notify_all();
            // Who sends a byte now and then could keep us forever. All that was answered is stored by now.
            if (!ended_.wait_for(lock, grace, [&] { return running_ == 0; })) std::_Exit(EXIT_SUCCESS);
        }
        for (std::thread& each : threads_) each.join();
    }

private:
    void add_thread() {
        try {
            threads_.emplace_back([this] { work(); });
            ++running_, ++free_;
        } catch (const std::system_error&) {
            // The machine has no more; then it waits for one of those there are.
        }
    }

    void work() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [&] { return is_ending_ || !waiting_.empty(); });
            if (waiting_.empty()) break;
            const auto connection = std::move(waiting_.front());
            waiting_.pop_front();
            --free_;
            lock.unlock();
            connection();
            lock.lock();
            ++free_;
        }
        if (--running_ == 0) ended_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable changed_, ended_;
    std::deque<std::function<void()>> waiting_;
    std::vector<std::thread> threads_;
    std::size_t running_ = 0, free_ = 0;
    bool is_ending_ = false;
};

} // namespace example
