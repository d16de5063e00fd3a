// tests/bench/load.cpp - refreshes over HTTP, one chain for each connection, as fast as the server answers.
// SPDX-License-Identifier: MIT
//
//   regrant_load PORT CONNECTIONS SECONDS|xCOUNT [PID] [FAMILIES]
//
// Prints one line: refreshes, wall seconds, the server's CPU seconds (of PID), median and 99th percentile in
// microseconds. Each connection walks through its share of the families, so that they are refreshed in turn. With no
// family it asks for /health instead: what a host costs by itself.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using steady = std::chrono::steady_clock;

[[noreturn]] void give_up(const std::string& why) {
    std::fprintf(stderr, "load: %s\n", why.c_str());
    std::_Exit(1);
}

class connection {
public:
    explicit connection(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)), port_(port) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const int on = 1;
        ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) give_up("cannot connect");
    }
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;
    ~connection() { ::close(socket_); }

    /// \return the body of a 200, a view that lives until the next call; empty where the server has hung up
    std::string_view post(std::string_view path, std::string_view body) { return ask("POST ", path, body); }
    std::string_view get(std::string_view path) { return ask("GET ", path, {}); }

private:
    std::string_view ask(std::string_view method, std::string_view path, std::string_view body) {
        std::string text(method);
        ((text += path) += " HTTP/1.1\r\nHost: 127.0.0.1:") += std::to_string(port_);
        text += "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ";
        ((text += std::to_string(body.size())) += "\r\n\r\n") += body;
        if (::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) return {};
        answer_.clear();
        std::size_t head = std::string::npos, length = 0;
        while (head == std::string::npos || answer_.size() < head + length) {
            char piece[8192];
            const ssize_t size = ::recv(socket_, piece, sizeof piece, 0);
            if (size <= 0) return {};
            answer_.append(piece, static_cast<std::size_t>(size));
            if (head != std::string::npos) continue;
            head = answer_.find("\r\n\r\n");
            if (head == std::string::npos) continue;
            head += 4;
            for (char& each : answer_)
                if (&each < answer_.data() + head && each >= 'A' && each <= 'Z') each = static_cast<char>(each | 0x20);
            const std::size_t at = answer_.find("content-length: ");
            if (at == std::string::npos || at > head) give_up("an answer without a length");
            length = std::strtoul(answer_.c_str() + at + 16, nullptr, 10);
        }
        if (answer_.compare(9, 3, "200") != 0) give_up("refused: " + answer_);
        return std::string_view(answer_).substr(head);
    }

    int socket_;
    std::uint16_t port_;
    std::string answer_;
};

std::string refresh_token_in(std::string_view json) {
    constexpr std::string_view name = "\"refresh_token\":\"";
    const std::size_t at = json.find(name);
    if (at == std::string_view::npos) give_up("an answer without a refresh token: " + std::string(json));
    json.remove_prefix(at + name.size());
    return std::string(json.substr(0, json.find('"')));
}

/// User and system time of a process (proc(5), fields 14 and 15).
double cpu_seconds(const std::string& process) {
    std::ifstream file("/proc/" + process + "/stat");
    std::string text((std::istreambuf_iterator<char>(file)), {});
    std::istringstream fields(text.substr(text.rfind(')') + 2));
    std::string skipped;
    for (int i = 3; i != 14; ++i) fields >> skipped;
    double user = 0, system = 0;
    fields >> user >> system;
    return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

} // namespace

int main(int count, char** words) {
    if (count < 4) give_up("usage: regrant_load PORT CONNECTIONS SECONDS|xCOUNT [PID] [FAMILIES]");
    const auto port = static_cast<std::uint16_t>(std::strtoul(words[1], nullptr, 10));
    const std::size_t connections = std::strtoul(words[2], nullptr, 10);
    const bool counts = words[3][0] == 'x';
    const std::size_t most = counts ? std::strtoul(words[3] + 1, nullptr, 10) : SIZE_MAX;
    const double seconds = counts ? 1e9 : std::strtod(words[3], nullptr);
    const std::string process = count > 4 ? words[4] : "self";
    const std::size_t families = count > 5 ? std::strtoul(words[5], nullptr, 10) : connections;

    std::vector<std::vector<std::uint32_t>> latencies(connections);
    std::atomic<std::size_t> ready = 0, done = 0;
    std::atomic<bool> go = false, stop = false;
    std::vector<std::thread> all;
    for (std::size_t number = 0; number != connections; ++number)
        all.emplace_back([&, number] {
            std::vector<std::string> tokens;
            auto line = std::make_unique<connection>(port);
            for (std::size_t i = number; i < families; i += connections) {
                const std::string body = "client_id=TENANT_CLIENT_ID&sub=user" + std::to_string(i);
                std::string_view answer = line->post("/demo/login", body);
                // Some servers end a connection after a number of requests.
                if (answer.empty()) answer = (line = std::make_unique<connection>(port))->post("/demo/login", body);
                tokens.push_back(refresh_token_in(answer));
            }
            ++ready;
            while (!go) std::this_thread::yield();
            for (std::size_t turn = 0; !stop && done++ < most; ++turn) {
                if (tokens.empty()) {
                    if (line->get("/health").empty()) line = std::make_unique<connection>(port);
                    latencies[number].push_back(0);
                    continue;
                }
                std::string& token = tokens[turn % tokens.size()];
                const std::string body = "client_id=TENANT_CLIENT_ID&client_secret=TENANT_CLIENT_SECRET"
                                         "&grant_type=refresh_token&refresh_token=" +
                                         token;
                const auto begin = steady::now();
                std::string_view answer = line->post("/oauth2/token", body);
                if (answer.empty()) answer = (line = std::make_unique<connection>(port))->post("/oauth2/token", body);
                token = refresh_token_in(answer);
                latencies[number].push_back(static_cast<std::uint32_t>(
                    std::chrono::duration_cast<std::chrono::microseconds>(steady::now() - begin).count()));
            }
        });
    while (ready != connections) std::this_thread::yield();
    const double cpu_before = cpu_seconds(process);
    const auto begin = steady::now();
    go = true;
    if (!counts) std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    if (!counts) stop = true;
    for (std::thread& each : all) each.join();
    const std::chrono::duration<double> took = steady::now() - begin;
    const double cpu = cpu_seconds(process) - cpu_before;

    std::vector<std::uint32_t> merged;
    for (const auto& each : latencies) merged.insert(merged.end(), each.begin(), each.end());
    if (merged.empty()) give_up("nothing was answered");
    std::sort(merged.begin(), merged.end());
    std::printf("%zu %.3f %.3f %u %u\n", merged.size(), took.count(), cpu, merged[merged.size() / 2],
                merged[merged.size() * 99 / 100]);
    return 0;
}
