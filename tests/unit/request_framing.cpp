#include <regrant/request_framing.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <string_view>

using regrant::request_framing;
using step = request_framing::step;

namespace {

using namespace std::literals;

/// What is left of a request: its body when it is over, or why it is not.
std::string read(std::string_view text, std::size_t piece) {
    request_framing framing;
    std::string body;
    std::size_t at = 0;
    while (at != text.size() && !framing.is_over() && !framing.is_broken())
        at += framing.take(text.substr(at, piece), [&](std::string_view part) { body += part; });
    if (framing.is_broken()) return "broken";
    return framing.is_over() ? body + "|" + std::string(text.substr(at)) : "unfinished";
}

/// The same, whether the bytes come at once or one by one.
std::string read(std::string_view text) {
    const std::string whole = read(text, text.size());
    CHECK(read(text, 1) == whole);
    CHECK(read(text, 7) == whole);
    return whole;
}

std::string with(std::string_view fields, std::string_view body = "") {
    return "POST /t HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n" + std::string(body);
}

} // namespace

TEST_CASE("a request ends where its length or its last chunk says (RFC 9112 6.3)") {
    CHECK(read(with("")) == "|");
    CHECK(read(with("", "GET /")) == "|GET /");
    CHECK(read(with("Content-Length: 0\r\n", "GET /")) == "|GET /");
    CHECK(read(with("Content-Length: \t005 \r\n", "abcdeGET")) == "abcde|GET");
    CHECK(read(with("content-length:5\r\n", "abcd")) == "unfinished");
    CHECK(read(with("Transfer-Encoding: Chunked\r\n", "3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\nGET")) ==
          "abc0123456789|GET");
    CHECK(read(with("Transfer-Encoding: chunked\r\n", "0 ; a\r\nX: 1\r\nY:\r\n\r\nGET")) == "|GET");
    CHECK(read("\r\n\r\nGET / HTTP/1.0\r\n\r\n") == "|");
    CHECK(read("GET / HTTP/1.1\r\nHost:\r\nX-Empty:\r\n\r\n") == "|");
}

TEST_CASE("fields that servers repair differently break a request (RFC 9112 5, 5.1, 5.2, 6.3, 11.2)") {
    for (const auto fields :
         {"Transfer-Encoding:\r\n chunked\r\nContent-Length: 6\r\n"sv, "X: a\r\n b\r\n"sv, "X: a\r\n\tb\r\n"sv, " X: a\r\n"sv,
          "Content-Length 6\r\n"sv, "Content-Length\r\n"sv, ": 6\r\n"sv, "Content-Length : 6\r\n"sv,
          "Content-Length\t: 6\r\n"sv, "Transfer-Encoding\x0b: chunked\r\n"sv, "Transfer-Encoding\0: chunked\r\n"sv,
          "Transfer\xad-Encoding: chunked\r\n"sv, "\"X\": a\r\n"sv, "(X): a\r\n"sv, "X: a\0b\r\n"sv, "X: a\rb\r\n"sv,
          "X: a\x0c\r\n"sv, "X: a\x7f\r\n"sv, "X: a\n"sv, "X: a\r\r\n"sv, "X: a\n\r\n"sv, "Content-Length:\r\n"sv,
          "Content-Length: \x0c""5\r\n"sv, "Content-Length: +5\r\n"sv, "Content-Length: -5\r\n"sv,
          "Content-Length: 0x5\r\n"sv, "Content-Length: 5 5\r\n"sv, "Content-Length: 5,5\r\n"sv,
          "Content-Length: 99999999999999999999\r\n"sv, "Content-Length: 5\r\nContent-Length: 5\r\n"sv,
          "Transfer-Encoding:\r\n"sv, "Transfer-Encoding: gzip, chunked\r\n"sv, "Transfer-Encoding: chunked, chunked\r\n"sv,
          "Transfer-Encoding: \x0b""chunked\r\n"sv, "Transfer-Encoding: identity\r\n"sv,
          "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"sv,
          "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"sv,
          "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"sv}) {
        CAPTURE(fields);
        CHECK(read(with(fields)) == "broken");
    }
    CHECK(read("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == "broken");
}

TEST_CASE("bytes from 0x80 and tabs in a value break nothing (RFC 9110 5.5)") {
    CHECK(read(with("X: \x80\xff\ta \r\nY:b\r\n")) == "|");
}

TEST_CASE("chunks are read to the letter (RFC 9112 7.1)") {
    for (const auto chunks :
         {"5 abc\r\nabcde\r\n0\r\n\r\n"sv, "0x5\r\nabcde\r\n0\r\n\r\n"sv, "+5\r\nabcde\r\n"sv, " 5\r\nabcde\r\n"sv,
          "5\nabcde\r\n"sv, "5\r\nabcdeab0\r\n\r\n"sv, "5\r\nabcde\n0\r\n\r\n"sv, "zz\r\n"sv, "\r\n"sv, ";a\r\n"sv,
          "5;a\rb\r\nabcde\r\n"sv, "5;a\nb\r\nabcde\r\n"sv, "5\x0c\r\nabcde\r\n"sv, "-1\r\n"sv,
          "11111111111111111\r\n"sv, "0\r\nX\r\n\r\n"sv, "0\r\n X: a\r\n\r\n"sv, "0\r\n\n"sv}) {
        CAPTURE(chunks);
        CHECK(read(with("Transfer-Encoding: chunked\r\n", chunks)) == "broken");
    }
}

TEST_CASE("HTTP/1.1 has one valid Host, which may be empty; HTTP/1.0 may have none (RFC 9112 3.2)") {
    const auto host = [](std::string_view lines) {
        return read("GET / HTTP/1.1\r\n" + std::string(lines) + "\r\n") == "|";
    };
    for (const auto good : {"Host: a\r\n"sv, "Host: a.example:8080\r\n"sv, "host:\r\n"sv, "Host: [::1]:80\r\n"sv, "Host: 127.0.0.1\r\n"sv,
                            "Host: a%20b\r\n"sv, "Host: a:\r\n"sv, "Host: a_b~c\r\n"sv}) {
        CAPTURE(good);
        CHECK(host(good));
    }
    for (const auto bad : {""sv, "Host: a\r\nHost: a\r\n"sv, "Host: a\r\nHost: b\r\n"sv, "Host: a b\r\n"sv, "Host: a/b\r\n"sv,
                           "Host: a@b\r\n"sv, "Host: a:b\r\n"sv, "Host: [::1\r\n"sv, "Host: []\r\n"sv, "Host: a,b c\r\n"sv,
                           "Host: a%2\r\n"sv, "Host: \xc3\xa4\r\n"sv, "Host: http://a\r\n"sv, "Host: a?b\r\n"sv}) {
        CAPTURE(bad);
        CHECK_FALSE(host(bad));
    }
    CHECK(read("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n") == "broken");
}

TEST_CASE("a request line has a method, a target and a version, one space apart (RFC 9112 3)") {
    for (const auto line : {"GET  / HTTP/1.1"sv, "GET /  HTTP/1.1"sv, "GET / HTTP/1.1 "sv, " GET / HTTP/1.1"sv, "GET /a b HTTP/1.1"sv,
                            "GET / HTTP/2.0"sv, "GET / HTTP/1.x"sv, "GET / http/1.1"sv, "GET /"sv, "G(T / HTTP/1.1"sv,
                            "GET\t/ HTTP/1.1"sv, "GET /\x01 HTTP/1.1"sv, "GET / HTTP/1.11"sv}) {
        CAPTURE(line);
        CHECK(read(std::string(line) + "\r\nHost: a\r\n\r\n") == "broken");
    }
}

TEST_CASE("a head and a chunk's line have a limit, whether they end or not (RFC 9110 5.4, 9112 7.1.1)") {
    const std::string much(request_framing::max_head_bytes, 'a');
    CHECK(read(with("X: " + much + "\r\n")) == "broken");
    std::string many;
    while (many.size() < much.size()) many += "X: a\r\n";
    CHECK(read(with(many)) == "broken");
    CHECK(read("GET /" + much) == "broken");
    CHECK(read(with("Transfer-Encoding: chunked\r\n", "5;" + much)) == "broken");
}

TEST_CASE("a connection is followed over its requests until one is broken (RFC 9112 9.3.2)") {
    request_framing framing;
    CHECK(framing.is_idle());
    CHECK(framing.follow(with("Content-Length: 3\r\n", "abc") + with("Transfer-Encoding: chunked\r\n", "0\r\n\r\n")));
    CHECK(framing.is_over());
    CHECK(framing.follow("GET / HT"));
    CHECK_FALSE(framing.is_idle());
    CHECK(framing.follow("TP/1.1\r\nHost: a\r\n\r\n"));
    CHECK(framing.is_over());
    CHECK_FALSE(framing.follow("GET / HTTP/1.1\r\n\r\n"));
    CHECK_FALSE(framing.follow("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
}

TEST_CASE("fields are given in the order they came, those without a value too (RFC 9112 5.1)") {
    std::string seen;
    regrant::each_field(with("A:\r\nB:\t b \r\na: c:d\r\n"), [&](std::string_view name, std::string_view value) {
        seen.append(name).append("=").append(value).append(";");
    });
    CHECK(seen == "Host=a;A=;B=b;a=c:d;");
}
