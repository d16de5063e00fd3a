// tests/stores/cutting_proxy.hpp - stands before a server and cuts a connection amid what it answers.
// SPDX-License-Identifier: MIT
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace scene {

/// Whole until `cut_after`: so many bytes of answers later the connection that brings the next one is closed, once.
class cutting_proxy {
public:
    explicit cutting_proxy(std::uint16_t server) : server_(server), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in at = loopback(0);
        socklen_t size = sizeof at;
        REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&at), size) == 0);
        REQUIRE(::listen(listener_, 16) == 0);
        REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
        port_ = ntohs(at.sin_port);
        accepts_ = std::thread([this] { accept_all(); });
    }
    ~cutting_proxy() {
        is_over_ = true;
        accepts_.join();
        for (std::thread& each : pumps_) each.join();
        ::close(listener_);
    }
    cutting_proxy(const cutting_proxy&) = delete;
    cutting_proxy& operator=(const cutting_proxy&) = delete;

    std::uint16_t port() const noexcept { return port_; }
    void cut_after(std::int64_t bytes) noexcept { left_ = bytes; }
    void cut_no_more() noexcept { left_ = whole; }
    /// From now on nothing passes on the connections that are open; they stay open. Later ones are whole.
    void swallow() noexcept { ++era_; }
    /// Whether it has come to that.
    bool has_cut() const noexcept { return left_ < 0; }

private:
    static constexpr std::int64_t whole = INT64_MAX / 2;
    static constexpr int glance = 20; // milliseconds

    static sockaddr_in loopback(std::uint16_t port) noexcept {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        at.sin_port = htons(port);
        return at;
    }

    void accept_all() {
        for (pollfd waits{listener_, POLLIN, 0}; !is_over_;) {
            if (::poll(&waits, 1, glance) != 1) continue;
            const int client = ::accept(listener_, nullptr, nullptr);
            if (client >= 0) pumps_.emplace_back([this, client, era = era_.load()] { pump(client, era); });
        }
    }

    void pump(int client, int era) {
        const int server = ::socket(AF_INET, SOCK_STREAM, 0);
        const sockaddr_in at = loopback(server_);
        if (::connect(server, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0)
            while (!is_over_ && (era != era_ ? loses(client, server) : passes(client, server))) {}
        ::close(server);
        ::close(client);
    }

    /// Reads and forgets. \return whether either side is still there
    static bool loses(int client, int server) {
        std::array<pollfd, 2> waits{{{client, POLLIN, 0}, {server, POLLIN, 0}}};
        if (::poll(waits.data(), waits.size(), glance) <= 0) return true;
        std::array<char, 4096> part;
        for (const pollfd& each : waits)
            if (each.revents != 0 && ::read(each.fd, part.data(), part.size()) <= 0) return false;
        return true;
    }

    /// \return whether the connection goes on
    bool passes(int client, int server) {
        std::array<pollfd, 2> waits{{{client, POLLIN, 0}, {server, POLLIN, 0}}};
        if (::poll(waits.data(), waits.size(), glance) <= 0) return true;
        std::array<char, 4096> part;
        if (waits[0].revents != 0) {
            const ssize_t got = ::read(client, part.data(), part.size());
            if (got <= 0) return false;
            if (::send(server, part.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) != got) return false;
        }
        if (waits[1].revents == 0) return true;
        const ssize_t got = ::read(server, part.data(), part.size());
        if (got <= 0) return false;
        const std::int64_t before = left_.fetch_sub(got), may = before < 0 || before > got ? got : before;
        if (::send(client, part.data(), static_cast<std::size_t>(may), MSG_NOSIGNAL) != may) return false;
        return may == got;
    }

    std::uint16_t server_, port_ = 0;
    int listener_;
    std::atomic<bool> is_over_{false};
    std::atomic<int> era_{0};
    std::atomic<std::int64_t> left_{whole};
    std::thread accepts_;
    std::vector<std::thread> pumps_; // touched by the thread that accepts, until it has ended
};

} // namespace scene
