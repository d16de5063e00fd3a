#!/usr/bin/env python3
# tests/hosts/check_host.py - whether a web server passes requests to a token endpoint, and its answers back, unharmed.
# SPDX-License-Identifier: MIT
"""Talks to a running server over raw sockets, so that nothing is put right on the way. Needs Python alone.

  check_host.py URL --client-id ID --client-secret SECRET --refresh-token TOKEN [option...]
  check_host.py URL --demo            a server of tests/examples, with the demo's clients and paths
  check_host.py --list                the checks, a line each

URL is the token endpoint's; without a path it is /oauth2/token. The server should serve nobody else meanwhile. Each
refresh token that is answered is used for the next request; with --login-url every check begins with a login instead.
A check whose options are not given is left out. What a host is known to fail is told by --expect-fail, and is a
failure once it passes.
"""
import argparse
import base64
import email.utils
import gzip
import json
import re
import socket
import statistics
import sys
import threading
import time
import urllib.parse
import zlib

FORM = "Content-Type: application/x-www-form-urlencoded"
MEMBERS = ["access_token", "refresh_token", "scope", "id_token", "token_type", "expires_in"]
DEMO = {"client_id": "TENANT_CLIENT_ID", "client_secret": "TENANT_CLIENT_SECRET", "basic_client_id": "BASIC_CLIENT_ID",
        "basic_client_secret": "a+b%c:d", "login_url": "/demo/login", "origin": "https://spa.example",
        "jwks_url": "/oauth2/jwks", "metadata_url": "/.well-known/openid-configuration"}


class Seen(Exception):
    """What was seen instead of what should have been."""


def expect(good, *seen):
    if not good:
        raise Seen(", ".join(each if isinstance(each, str) else repr(each) for each in seen))


# --- HTTP as bytes ---

class Answer:
    def __init__(self, status, headers, body, head=b""):
        self.status, self.headers, self.body, self.head = status, headers, body, head

    def header(self, name):
        """All values of a header, joined."""
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())

    @property
    def json(self):
        try:
            answer = json.loads(self.body)
        except ValueError:
            return {}
        return answer if isinstance(answer, dict) else {}

    @property
    def closes(self):
        return "close" in self.header("Connection").lower()

    def __repr__(self):
        headers = {key: value for key, value in self.headers if key.lower() not in ("date", "server")}
        return f"{self.status} {headers} {self.body[:120]!r}"


class Line:
    """One connection. Reading is strict: what RFC 9112 does not allow is `Seen`."""

    def __init__(self, address, timeout, local=None, probe=b""):
        self.timeout, self.probe = timeout, probe
        self.socket = socket.create_connection(address, timeout, (local, 0) if local else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.waiting, self.at_once = b"", False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, text):
        """A server may have answered and closed before it has all; its answer is still there to be read."""
        try:
            self.socket.sendall(text)
        except OSError:
            pass

    def more(self):
        """Whether something came; no means that the server has closed."""
        try:
            if self.at_once:  # the system forgets it
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            piece = self.socket.recv(65536)
        except socket.timeout:
            raise Seen(f"it did not finish in {self.socket.gettimeout():g} s" + (
                f" after {self.waiting[-80:]!r}" if self.waiting else "")) from None
        except OSError:
            piece = b""
        self.waiting += piece
        return bool(piece)

    def take(self, size):
        while len(self.waiting) < size:
            expect(self.more(), f"closed {size - len(self.waiting)} bytes early")
        text, self.waiting = self.waiting[:size], self.waiting[size:]
        return text

    def take_to(self, mark, what):
        while mark not in self.waiting:
            expect(len(self.waiting) < 100_000, f"no end of {what}")
            expect(self.more(), f"closed amid {what}: {self.waiting[:80]!r}" if self.waiting else "closed, no answer")
        text, _, self.waiting = self.waiting.partition(mark)
        return text

    def chunks(self):
        body = b""
        while True:
            size = self.take_to(b"\r\n", "a chunk's size").partition(b";")[0].strip()
            expect(size and all(digit in b"0123456789abcdefABCDEF" for digit in size), f"chunk of size {size!r}")
            body += self.take(int(size, 16))
            if int(size, 16) == 0:
                while self.take_to(b"\r\n", "trailers"):
                    pass
                return body
            expect(self.take(2) == b"\r\n", "a chunk that is longer than it says")

    def read(self, method="POST", final=True, at_once=False):
        """The next answer; `100 Continue` is passed over where the final one is wanted. `at_once` acknowledges each
        packet without delay."""
        self.at_once = at_once and hasattr(socket, "TCP_QUICKACK")
        head = self.take_to(b"\r\n\r\n", "the head of an answer")
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        expect(len(words) >= 2 and words[0] in ("HTTP/1.1", "HTTP/1.0") and words[1].isdigit() and len(words[1]) == 3,
               f"no status line: {first!r}")
        expect(all(re.match(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:", line) for line in lines), f"a header without a name: {lines}")
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        answer = Answer(int(words[1]), headers, b"", head)
        if answer.status == 100 and final:
            return self.read(method)
        lengths = [value for name, value in headers if name.lower() == "content-length"]
        coding = answer.header("Transfer-Encoding").lower()
        expect(len(lengths) < 2 and all(length.isdigit() for length in lengths), f"Content-Length: {lengths}")
        expect(not (lengths and coding), "Content-Length beside Transfer-Encoding")
        expect(coding in ("", "chunked"), f"Transfer-Encoding: {coding}")
        if method == "HEAD" or answer.status in (100, 204, 304):
            expect(answer.status not in (100, 204) or not coding, f"{answer.status} with Transfer-Encoding")
        elif coding:
            answer.body = self.chunks()
        elif lengths:
            answer.body = self.take(int(lengths[0]))
        else:
            expect(answer.closes or words[0] == "HTTP/1.0", f"neither length nor chunks, nor a close: {headers}")
            while self.more():
                pass
            answer.body, self.waiting = self.waiting, b""
        return answer

    def is_closed(self):
        """Whether the server hangs up, and says nothing before it does.

        A server that stays open answers the probe, so that nobody waits for a close that never comes. One that closes
        says so before it reads the probe, or never reads it."""
        expect(not self.waiting, f"behind the answer came {self.waiting[:80]!r}")
        if self.is_ended():
            return True
        self.send(self.probe)
        try:
            return not self.more()
        except Seen:  # open, and it takes the probe for the rest of something
            raise Seen(f"neither a close nor an answer: it did not finish in {self.timeout:g} s") from None

    def is_ended(self):
        """Whether the close is here already. Bytes behind the answer are `Seen`."""
        self.socket.setblocking(False)
        try:
            piece = self.socket.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            piece = b""
        finally:
            self.socket.settimeout(self.timeout)
        self.waiting += piece
        expect(not piece, f"behind the answer came {piece[:80]!r}")
        return True


def request(body=b"", *lines, method="POST", target, length=True, version="HTTP/1.1"):
    own = [f"Content-Length: {len(body)}"] if length else []
    head = [f"{method} {target} {version}", "Host: localhost", *lines, *own, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def in_chunks(body, extension=b"", trailers=b"", size=100):
    pieces = [body[at:at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces) \
        + b"0" + extension + b"\r\n" + trailers + b"\r\n"


def quote(text):
    return urllib.parse.quote_plus(text, safe="")


# --- who talks to whom ---

class Client:
    """A client of the token endpoint and its newest refresh token."""

    def __init__(self, host, id_, secret, token, by_basic):
        self.host, self.id, self.secret, self.token, self.by_basic = host, id_, secret, token, by_basic
        self.logs_in = not token

    def login(self):
        if self.logs_in:
            target = self.host.target_of(self.host.told.login_url)
            body = f"client_id={quote(self.id)}&sub=alice".encode()
            answer = self.host.ask(request(body, FORM, target=target), client=self)
            expect(answer.status == 200 and answer.json.get("refresh_token"), "the login failed:", answer)

    def form(self, extra="", token=None, secret=None):
        """The body of a refresh as the API page shows it."""
        fields = [f"client_id={quote(self.id)}", f"client_secret={quote(secret or self.secret)}"]
        fields = [] if self.by_basic else fields
        fields += ["grant_type=refresh_token", f"refresh_token={quote(token or self.token)}"]
        return "&".join(fields).encode() + (extra if isinstance(extra, bytes) else extra.encode())

    def authorization(self, secret=None, scheme="Basic"):
        pair = f"{quote(self.id)}:{quote(secret or self.secret)}"
        return f"Authorization: {scheme} " + base64.b64encode(pair.encode()).decode()

    def refresh(self, *lines, body=None, **more):
        """A whole request, good unless told otherwise."""
        own = [self.authorization()] if self.by_basic else []
        return request(self.form() if body is None else body, FORM, *own, *lines, target=self.host.target, **more)

    def follow(self, answer):
        self.token = answer.json.get("refresh_token", self.token) if answer.status == 200 else self.token
        return answer


class Host:
    def __init__(self, told):
        self.told = told
        url = urllib.parse.urlsplit(told.url if "//" in told.url else "http://" + told.url)
        if url.scheme != "http" or not url.hostname:
            sys.exit("URL must begin with http://; put TLS off for the check")
        self.address = (url.hostname, url.port or 80)
        self.target = url.path.rstrip("/") or "/oauth2/token"
        self.post = Client(self, told.client_id, told.client_secret, told.refresh_token, False)
        self.basic = Client(self, told.basic_client_id, told.basic_client_secret, told.basic_refresh_token, True)

    def target_of(self, url):
        parts = urllib.parse.urlsplit(url)
        return (parts.path or "/") + ("?" + parts.query if parts.query else "")

    def connect(self, timeout=None, local=None):
        """`local` is the address to come from, where it matters."""
        probe = request(method="GET", target=self.target, length=False)
        return Line(self.address, timeout or self.told.timeout, local, probe)

    def ask(self, text, method="POST", client=None):
        """One request on a connection of its own; nothing may follow its answer."""
        with self.connect() as line:
            line.send(text)
            answer = line.read(method)
            expect(not line.waiting, f"behind the answer came {line.waiting[:80]!r}")
        return (client or self.post).follow(answer)


def is_dressed(answer):
    kind = answer.header("Content-Type").replace(" ", "").lower()
    expect(kind == "application/json;charset=utf-8", f"Content-Type: {answer.header('Content-Type')!r}")
    expect(answer.header("Cache-Control").lower() == "no-store", f"Cache-Control: {answer.header('Cache-Control')!r}")
    expect(answer.header("Pragma").lower() == "no-cache", f"Pragma: {answer.header('Pragma')!r}")


def is_refresh(answer):
    is_whole = answer.json.get("refresh_token") and answer.json.get("token_type") == "Bearer"
    expect(answer.status == 200 and is_whole, answer)
    return answer


def is_error(answer, status, error="invalid_request"):
    expect(answer.status == status and answer.json.get("error") == error, answer)
    is_dressed(answer)
    return answer


CHECKS = {}

# What a failure means. Checks that are named in neither are "wrong": some clients are answered wrongly.
# Another client's request may be answered, a secret or a token leaks, or a client can stop the server.
DANGEROUS = {"no-echo", "secret-in-query", "token-in-query", "two-authorizations", "page-headers", "form-duplicates",
             "body-cut-short", "chunks-cut-short", "length-negative", "length-twice", "length-signed",
             "length-of-words", "framing-with-blank", "framing-without-value", "framing-without-colon",
             "header-with-nul", "chunk-sizes-odd", "length-beside-chunks", "chunk-size-foreign", "odd-fields",
             "odd-lengths", "odd-chunks", "odd-hosts", "odd-start-lines", "content-codings", "get-with-body",
             "head-with-body", "options-with-body", "preflight-with-body", "pipelined", "eight-at-once",
             "cross-origin-error", "preflight-stranger", "jwks", "keep-alive-after-413", "method-head"}
# No client notices.
COSMETIC = {"answer-date", "version-foreign", "header-of-all-bytes", "method-unknown", "answer-time"}


def class_of(name):
    return "dangerous" if name in DANGEROUS else "cosmetic" if name in COSMETIC else "wrong"


def sentence_of(name):
    return " ".join(CHECKS[name][0].__doc__.split())


def check(needs="post"):
    """Makes a function a check: its name is the check's, its docstring says what must hold."""
    def keep(function):
        CHECKS[function.__name__.replace("_", "-")] = function, needs.split()
        return function
    return keep


# --- answers ---

@check()
def page_request(host):
    """The API page's request gets exactly the page's members in the page's order (R65)."""
    answer = is_refresh(host.ask(host.post.refresh()))
    wanted = [name for name in MEMBERS if name != "id_token" or "openid" in answer.json.get("scope", "").split()]
    expect(list(answer.json) == wanted, list(answer.json))
    expect(isinstance(answer.json["expires_in"], int), answer.json["expires_in"])
    expect(answer.body[:1] == b"{" and answer.body[-1:] == b"}", answer.body[:3], answer.body[-3:])


@check()
def page_headers(host):
    """Content-Type, Cache-Control: no-store and Pragma: no-cache arrive, once each (6749 5.1)."""
    answer = is_refresh(host.ask(host.post.refresh()))
    is_dressed(answer)
    for name in ("Content-Type", "Cache-Control", "Pragma"):
        expect(sum(key.lower() == name.lower() for key, _ in answer.headers) == 1, f"{name} more than once")


@check()
def answer_date(host):
    """Good answers and errors say when they were made, once (9110 6.6.1: "MUST generate a Date header field")."""
    for body in (host.post.form(), host.post.form(token="MOCK_REFRESH_TOKEN")):
        answer = host.ask(host.post.refresh(body=body))
        dates = [value for name, value in answer.headers if name.lower() == "date"]
        expect(len(dates) == 1, f"Date: {dates}")
        told = email.utils.parsedate_tz(dates[0])
        seconds = email.utils.mktime_tz(told) if told else 0
        expect(email.utils.formatdate(seconds, usegmt=True) == dates[0], f"no IMF-fixdate: {dates[0]!r}")
        expect(abs(seconds - time.time()) < 60, f"another time: {dates[0]!r}")


@check()
def answer_length(host):
    """A good answer and an error end where they say, and nothing follows (R71, 9112 6)."""
    for body in (host.post.form(), host.post.form(token="MOCK_REFRESH_TOKEN")):
        with host.connect() as line:
            line.send(host.post.refresh("Connection: close", body=body))
            answer = host.post.follow(line.read())
            json.loads(answer.body)
            expect(line.is_closed(), "asked to close, it stays open")


@check()
def page_error(host):
    """An unknown refresh token gets 400 invalid_grant, dressed as all errors are (R32, R73)."""
    is_error(host.ask(host.post.refresh(body=host.post.form(token="MOCK_REFRESH_TOKEN"))), 400, "invalid_grant")


@check()
def no_echo(host):
    """No error repeats what was sent (R73, R76)."""
    mark = "zqxjk7351"
    for text in (host.post.refresh(body=host.post.form(token=mark)),
                 host.post.refresh(body=host.post.form(secret=mark)),
                 host.post.refresh(body=f"grant_type={mark}&client_id={mark}&refresh_token={mark}".encode()),
                 host.post.refresh(body=host.post.form(f"&{mark}=1&{mark}=2")),
                 host.post.refresh(f"X-{mark}: {mark}", body=b"&%"),
                 request(b"{}", f"Content-Type: text/{mark}", target=host.target),
                 request(host.post.form(), FORM, target=host.target + f"?client_secret={mark}"),
                 request(method="GET", target=host.target + f"?{mark}", length=False)):
        answer = host.ask(text)
        expect(answer.status >= 400, answer)
        expect(mark.encode() not in answer.head + answer.body, answer)


# --- the form ---

@check()
def form_plus_is_space(host):
    """A `+` in the body is a space: `x+y` and `x%20y` are one name, which occurs twice (R4, R7)."""
    is_error(host.ask(host.post.refresh(body=host.post.form("&x+y=1&x%20y=2"))), 400)


@check()
def form_escaped_plus(host):
    """`%2B` in the body is a plus: `x+y` and `x%2By` are two names (R4)."""
    is_refresh(host.ask(host.post.refresh(body=host.post.form("&x+y=1&x%2By=2"))))


@check()
def form_scope(host):
    """A scope with `+` between its words is understood (R4, R57)."""
    scope = is_refresh(host.ask(host.post.refresh())).json.get("scope", "")
    answer = is_refresh(host.ask(host.post.refresh(body=host.post.form("&scope=" + "+".join(scope.split())))))
    expect(sorted(answer.json.get("scope", "").split()) == sorted(scope.split()), scope, answer.json.get("scope"))


@check()
def form_hex_case(host):
    """Escapes in lower and in upper case mean the same (R4)."""
    for hexadecimal in ("%%%02x", "%%%02X"):
        token = "".join(hexadecimal % each for each in host.post.token.encode())
        plain = host.post.form().rpartition(b"=")[0]
        is_refresh(host.ask(host.post.refresh(body=plain + b"=" + token.encode())))


@check()
def form_double_escape(host):
    """`%2541` is decoded once: to `%41`, not to `A` (R4)."""
    token = host.post.token
    plain = host.post.form().rpartition(b"=")[0]
    twice = "".join("%%25%02X" % each for each in token.encode()).encode()
    is_error(host.ask(host.post.refresh(body=plain + b"=" + twice)), 400, "invalid_grant")


@check()
def form_empty_pieces(host):
    """Empty pieces between `&` are skipped, the first `=` splits (R4)."""
    is_refresh(host.ask(host.post.refresh(body=b"&&" + host.post.form("&x=a=b&&=&"))))


@check()
def form_broken_escape(host):
    """A cut or foreign escape gets 400 (R4)."""
    for bad in ("&x=%", "&x=%4", "&x=%zz"):
        is_error(host.ask(host.post.refresh(body=host.post.form(bad))), 400)


@check()
def form_not_utf8(host):
    """Bytes that are not UTF-8 get 400, escaped or not (R4)."""
    for bad in (b"&x=%FF", b"&x=\xff\xfe"):
        is_error(host.ask(host.post.refresh(body=host.post.form(bad))), 400)


@check()
def form_escaped_nul(host):
    """`%00` gets 400 (R4)."""
    is_error(host.ask(host.post.refresh(body=host.post.form("&x=%00"))), 400)


@check()
def form_raw_nul(host):
    """A NUL byte neither ends the body nor gets through: 400 (R4)."""
    is_error(host.ask(host.post.refresh(body=host.post.form(b"&x=\0y"))), 400)
    is_error(host.ask(host.post.refresh(body=host.post.form(b"\0"))), 400)


@check()
def form_duplicates(host):
    """A parameter that occurs twice gets 400, known or not, with equal values too (R7)."""
    for twice in ("&grant_type=refresh_token", "&client_id=" + quote(host.post.id), "&x=1&x=1", "&x=&x=1"):
        is_error(host.ask(host.post.refresh(body=host.post.form(twice))), 400)


@check()
def empty_body(host):
    """An empty body gets 400 (R10)."""
    is_error(host.ask(host.post.refresh(body=b"")), 400)


# --- the client ---

@check("basic")
def basic_escapes(host):
    """Basic credentials arrive as they were sent, and are form-decoded (R18)."""
    is_refresh(host.ask(host.basic.refresh(), client=host.basic))


@check("basic")
def basic_scheme_case(host):
    """`bAsIc` is Basic too (R24)."""
    text = request(host.basic.form(), FORM, host.basic.authorization(scheme="bAsIc"), target=host.target)
    is_refresh(host.ask(text, client=host.basic))


@check("basic")
def basic_wrong_secret(host):
    """A wrong secret in the header gets 401 invalid_client with a challenge (R20, R21)."""
    text = request(host.basic.form(), FORM, host.basic.authorization("wrong"), target=host.target)
    answer = is_error(host.ask(text), 401, "invalid_client")
    expect(answer.header("WWW-Authenticate").lower().startswith("basic realm="), answer)


@check()
def post_wrong_secret(host):
    """A wrong secret in the body gets 400 invalid_client without a challenge (R20, R21)."""
    answer = is_error(host.ask(host.post.refresh(body=host.post.form(secret="wrong"))), 400, "invalid_client")
    expect(not answer.header("WWW-Authenticate"), answer)


@check("basic")
def two_authorizations(host):
    """Two Authorization headers get 400 invalid_request, be they alike or not (R16)."""
    for second in (host.basic.authorization(), host.basic.authorization("other"), "Authorization: Bearer x"):
        is_error(host.ask(host.basic.refresh(second)), 400)


@check("basic")
def authorization_and_secret(host):
    """Authorization beside a client_secret gets 400 invalid_request (R16)."""
    is_error(host.ask(host.basic.refresh(body=host.basic.form("&client_secret=x"))), 400)
    is_error(host.ask(host.post.refresh(host.basic.authorization())), 400)


@check()
def authorization_empty(host):
    """An Authorization that is not Basic, or is empty, does not count beside credentials in the body (R16, R24)."""
    for value in ("", " Bearer x"):
        is_refresh(host.ask(host.post.refresh("Authorization:" + value)))


@check()
def secret_in_query(host):
    """A client_secret in the query gets 400, escaped or not (R8)."""
    for query in ("?client_secret=x", "?a=b&client%5Fsecret=x"):
        is_error(host.ask(request(host.post.form(), FORM, target=host.target + query)), 400)


@check()
def token_in_query(host):
    """A refresh_token in the query gets 400, and is not taken from there (R8)."""
    target = f"{host.target}?refresh_token={quote(host.post.token)}"
    is_error(host.ask(request(host.post.form(), FORM, target=target)), 400)
    body = host.post.form().rpartition(b"&")[0]
    is_error(host.ask(request(body, FORM, target=target)), 400)


@check()
def other_query(host):
    """Nothing else in the query counts (R8)."""
    target = host.target + "?grant_type=password&client_id=nobody&scope=none"
    is_refresh(host.ask(request(host.post.form(), FORM, target=target)))


# --- methods and origins ---

def method_check(method):
    def run(host):
        for body in (b"", host.post.form()) if method not in ("GET", "OPTIONS") else (b"",):
            lines = [FORM] if body else []
            answer = host.ask(request(body, *lines, method=method, target=host.target, length=bool(body)), method)
            is_error(answer, 405)
            expect("POST" in [word.strip() for word in answer.header("Allow").split(",")], answer)
    run.__name__ = "method_" + method.lower()
    run.__doc__ = f"{method} gets 405 with Allow, in JSON (R1)."
    check()(run)


for each_method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS"):
    method_check(each_method)


@check()
def method_head(host):
    """HEAD gets 405 without a body, and the connection is sound behind it (R1)."""
    with host.connect() as line:
        line.send(request(method="HEAD", target=host.target, length=False))
        answer = line.read("HEAD")
        expect(answer.status == 405 and "POST" in answer.header("Allow"), answer)
        goes_on(host, line, answer)


@check()
def method_unknown(host):
    """A method of no standard is refused with 405, 501 or 400 (R1)."""
    answer = host.ask(request(method="BREW", target=host.target, length=False))
    expect(answer.status in (400, 405, 501), answer)


def preflight(host, origin):
    return host.ask(request(b"", f"Origin: {origin}", "Access-Control-Request-Method: POST",
                            "Access-Control-Request-Headers: content-type", method="OPTIONS", target=host.target,
                            length=False), "OPTIONS")


@check("post origin")
def preflight_known(host):
    """A preflight from a registered origin gets 204 and the CORS headers, once each (R116)."""
    answer = preflight(host, host.told.origin)
    expect(answer.status == 204 and answer.body == b"", answer)
    for name, value in (("Access-Control-Allow-Origin", host.told.origin), ("Access-Control-Allow-Methods", "POST"),
                        ("Vary", "Origin")):
        expect(answer.header(name) == value, answer)
    allowed = answer.header("Access-Control-Allow-Headers").lower()
    expect("authorization" in allowed and "content-type" in allowed, answer)


@check("post origin")
def preflight_stranger(host):
    """A preflight from elsewhere gets 204 without CORS headers (R116)."""
    answer = preflight(host, "https://stranger.invalid")
    expect(answer.status == 204 and not answer.header("Access-Control-Allow-Origin"), answer)


@check("post origin")
def cross_origin_error(host):
    """An error to a registered origin may be read there, one to a stranger may not (R115)."""
    answer = is_error(host.ask(host.post.refresh(f"Origin: {host.told.origin}", body=b"x=1")), 400)
    expect(answer.header("Access-Control-Allow-Origin") == host.told.origin, answer)
    expect(answer.header("Vary") == "Origin", answer)
    answer = is_error(host.ask(host.post.refresh("Origin: https://stranger.invalid", body=b"x=1")), 400)
    expect(not answer.header("Access-Control-Allow-Origin"), answer)


# --- headers ---

def typed(host, *types):
    return host.ask(request(host.post.form(), *types, target=host.target))


@check()
def media_type_missing(host):
    """No media type gets 415 (R2)."""
    is_error(typed(host), 415)


@check()
def media_type_wrong(host):
    """Another media type gets 415 (R2)."""
    for wrong in ("application/json", "text/plain", "application/x-www-form-urlencoded2", "application", ""):
        is_error(typed(host, "Content-Type: " + wrong), 415)


@check()
def media_type_multipart(host):
    """A multipart form gets 415, well-formed or not (R2)."""
    part = b"--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nrefresh_token\r\n--x--\r\n"
    for body in (part, b"--x", b"grant_type=refresh_token"):
        is_error(host.ask(request(body, "Content-Type: multipart/form-data; boundary=x", target=host.target)), 415)
    is_error(host.ask(request(part, "Content-Type: multipart/form-data", target=host.target)), 415)


@check()
def media_type_case(host):
    """The media type compares without regard to case (R3)."""
    is_refresh(typed(host, "Content-Type: Application/X-WWW-Form-URLEncoded"))


@check()
def media_type_charset(host):
    """charset=UTF-8 is accepted in any case (R3)."""
    for charset in ("charset=UTF-8", "Charset=utf-8", 'charset="UTF-8"'):
        is_refresh(typed(host, f"{FORM} ; {charset}"))


@check()
def media_type_other_charset(host):
    """Another charset is accepted for an ASCII form, and gets 415 for others (R3)."""
    is_refresh(typed(host, FORM + "; charset=ISO-8859-1"))
    is_error(host.ask(request(host.post.form("&x=%E4"), FORM + "; charset=ISO-8859-1", target=host.target)), 415)


@check()
def media_type_twice(host):
    """Content-Type sent twice with two values is no success (9110 5.3)."""
    for types in ([FORM, "Content-Type: text/plain"], ["Content-Type: text/plain", FORM]):
        answer = typed(host, *types)
        expect(400 <= answer.status < 500, answer)


@check("basic")
def header_names(host):
    """Header names count in lower, upper and mixed case (9110 5.1)."""
    for change in (str.lower, str.upper, str.title, str.swapcase):
        lines = [f"{change(name)}:{rest}" for name, _, rest in
                 (line.partition(":") for line in (FORM, host.basic.authorization(),
                                                   f"Content-Length: {len(host.basic.form())}"))]
        text = request(host.basic.form(), *lines, target=host.target, length=False)
        is_refresh(host.ask(text, client=host.basic))


@check()
def header_spaces(host):
    """Blanks around a header's value do not belong to it (9112 5.1)."""
    body = host.post.form()
    is_refresh(host.ask(request(body, "Content-Type:application/x-www-form-urlencoded",
                                f"Content-Length: \t{len(body)} ", target=host.target, length=False)))


@check()
def length_with_zeros(host):
    """A Content-Length may begin with zeros (9110 8.6: 1*DIGIT)."""
    body = host.post.form()
    is_refresh(host.ask(host.post.refresh(f"Content-Length: 00{len(body)}", body=body, length=False)))


@check()
def range_ignored(host):
    """A Range does not cut the answer to a POST (9110 14.2)."""
    answer = is_refresh(host.ask(host.post.refresh("Range: bytes=0-3")))
    expect(not answer.header("Content-Range"), answer)


# --- bodies ---

def padded(client, size):
    start = client.form("&pad=")
    return start + b"y" * (size - len(start))


def send_slowly(line, text):
    """Byte by byte for a second, however many that are on a busy machine, then the rest: hosts have a limit of time."""
    last, at = time.monotonic() + 1, 0
    while at < len(text) and time.monotonic() < last:
        line.send(text[at:at + 1])
        time.sleep(1 / len(text))
        at += 1
    line.send(text[at:])


def chunked(host, text, *lines):
    return host.post.refresh("Transfer-Encoding: chunked", *lines, body=text, length=False)


@check()
def body_6k(host):
    """A body of 6 KiB is read whole (R6, R9)."""
    is_refresh(host.ask(host.post.refresh(body=padded(host.post, 6 * 1024))))


@check()
def body_12k(host):
    """A body of 12 KiB is read whole (R6, R9)."""
    is_refresh(host.ask(host.post.refresh(body=padded(host.post, 12 * 1024))))


@check()
def body_12k_token_last(host):
    """What stands at the end of 12 KiB counts (R9)."""
    is_refresh(host.ask(host.post.refresh(body=b"pad=" + b"y" * 12_000 + b"&" + host.post.form())))


@check()
def body_64k(host):
    """A body of 64 KiB gets 413 in JSON (R9)."""
    is_error(host.ask(host.post.refresh(body=padded(host.post, 64 * 1024))), 413)


@check()
def body_1m(host):
    """The 413 to a body of 1 MiB reaches a client that first sends all of it (R9)."""
    is_error(host.ask(host.post.refresh(body=padded(host.post, 1024 * 1024))), 413)


@check()
def fields_100(host):
    """100 fields are accepted (R9)."""
    extra = "".join(f"&f{number}=1" for number in range(96))
    is_refresh(host.ask(host.post.refresh(body=host.post.form(extra))))


@check()
def fields_101(host):
    """More than 100 fields get 413 (R9)."""
    extra = "".join(f"&f{number}=1" for number in range(97))
    is_error(host.ask(host.post.refresh(body=host.post.form(extra))), 413)


@check()
def body_in_chunks(host):
    """A chunked body is read, and the connection is sound behind it (9112 7.1)."""
    with host.connect() as line:
        line.send(chunked(host, in_chunks(host.post.form())))
        goes_on(host, line, host.post.follow(is_refresh(line.read())))


@check()
def chunk_extensions(host):
    """Chunk extensions are passed over (9112 7.1.1)."""
    is_refresh(host.ask(chunked(host, in_chunks(host.post.form(), b';name=value;other="a b"'))))


@check()
def chunk_trailers(host):
    """Fields behind the last chunk are passed over, and the connection is sound behind them (9112 7.1.2)."""
    with host.connect() as line:
        line.send(chunked(host, in_chunks(host.post.form(), trailers=b"X-Trailer: 1\r\nX-Other: 2\r\n")))
        goes_on(host, line, host.post.follow(is_refresh(line.read())))


@check()
def chunks_byte_by_byte(host):
    """A chunked body is read that comes byte by byte, and one of the last chunk alone is an empty body (9112 7.1)."""
    for body in (host.post.form(), b""):
        text = in_chunks(body)
        with host.connect() as line:
            line.send(chunked(host, text)[:-len(text)])
            send_slowly(line, text)
            answer = host.post.follow(line.read())
            if body:
                is_refresh(answer)
            else:
                is_error(answer, 400)


@check()
def chunked_12k(host):
    """12 KiB in chunks are read whole (R9)."""
    is_refresh(host.ask(chunked(host, in_chunks(padded(host.post, 12 * 1024), size=1000))))


@check()
def chunked_64k(host):
    """64 KiB in chunks get 413 (R9)."""
    is_error(host.ask(chunked(host, in_chunks(padded(host.post, 64 * 1024), size=4000))), 413)


def cut_short(host, make):
    """Sends a request that breaks off, by a token whose predecessor is good as long as nobody uses the token."""
    predecessor = host.post.token
    host.post.follow(is_refresh(host.ask(host.post.refresh())))
    with host.connect() as line:
        line.send(make())
        line.socket.shutdown(socket.SHUT_WR)
        try:
            answer = line.read()
        except Seen as seen:
            expect("closed" in str(seen), str(seen))
        else:
            expect(answer.status >= 400, answer)
    if host.post.logs_in:  # where it was used, this is a replay, which ends the login
        again = host.ask(host.post.refresh(body=host.post.form(token=predecessor)))
        expect(again.status == 200, "no answer, and yet the token was used")


@check()
def body_cut_short(host):
    """A body that ends before its length is no request, whatever it says (9112 8)."""
    cut_short(host, lambda: host.post.refresh(f"Content-Length: {len(host.post.form()) + 1}", length=False))


@check()
def chunks_cut_short(host):
    """Chunks without a last one are no request (9112 8)."""
    cut_short(host, lambda: chunked(host, in_chunks(host.post.form())[:-5]))


@check()
def slow_body(host):
    """A body that comes byte by byte for a second is waited for."""
    with host.connect() as line:
        body = host.post.form()
        head = host.post.refresh(body=body)[:-len(body)]
        line.send(head)
        send_slowly(line, body)
        host.post.follow(is_refresh(line.read()))


def in_two(host, at):
    """Sends a good request with a pause at a place in it."""
    text = host.post.refresh()
    with host.connect() as line:
        line.send(text[:at(text)])
        time.sleep(0.5)
        line.send(text[at(text):])
        host.post.follow(is_refresh(line.read()))


@check()
def body_in_two_pieces(host):
    """A body in two pieces with a pause between them is one body."""
    in_two(host, lambda text: text.index(b"grant_type") + 5)


@check()
def body_after_head(host):
    """A body that comes half a second after the head is waited for."""
    in_two(host, lambda text: text.index(b"\r\n\r\n") + 4)


@check()
def header_in_two_pieces(host):
    """A request that is split amid a header's name is one request."""
    in_two(host, lambda text: text.index(b"Content-Type") + 7)


@check()
def expect_continue(host):
    """A client that expects 100 Continue hears something before it sends the body, and gets its answer
    (9110 10.1.1)."""
    with host.connect() as line:
        body = host.post.form()
        line.send(host.post.refresh("Expect: 100-continue", body=body)[:-len(body)])
        try:
            first, late = line.read(final=False), False
        except Seen as seen:
            expect("did not finish" in str(seen), str(seen))
            first, late = None, True
        if first is None or first.status == 100:
            line.send(body)
            host.post.follow(is_refresh(line.read()))
        else:
            expect(first.status == 417, first)
        expect(not late, "answered, but 100 Continue did not come before the body")


# --- where a request ends ---

def misframed(host, *lines, body=None, statuses=(400,)):
    """Sends a request whose end is not clear; what follows it must not be answered, so the connection must close."""
    with host.connect() as line:
        line.send(host.post.refresh(*lines, body=body, length=False))
        answer = host.post.follow(line.read())
        expect(answer.status in statuses, answer)
        expect(line.is_closed(), f"behind an answer of {answer.status} the connection stays open")


@check()
def length_negative(host):
    """A negative Content-Length gets 400 and a close (9112 6.3)."""
    misframed(host, "Content-Length: -1")


@check()
def length_twice(host):
    """Two different Content-Lengths get 400 and a close, in either order (9112 6.3)."""
    right = f"Content-Length: {len(host.post.form())}"
    misframed(host, right, "Content-Length: 3")
    misframed(host, "Content-Length: 3", right)


@check()
def length_signed(host):
    """A Content-Length with a sign gets 400 and a close (9112 6.3)."""
    misframed(host, f"Content-Length: +{len(host.post.form())}")


@check()
def length_of_words(host):
    """A Content-Length that is no number, or begins as one, gets 400 and a close (9112 6.3)."""
    misframed(host, "Content-Length: all")
    misframed(host, f"Content-Length: {len(host.post.form())}x")


def left_behind(host, *lines, body=None):
    """A request whose framing some would see and some not: what came as its body must not be answered."""
    body = body or host.post.refresh(body=host.post.form(token="MOCK_REFRESH_TOKEN"))
    with host.connect() as line:
        line.send(host.post.refresh(*lines, body=body, length=False)[:-len(body)])
        time.sleep(0.2)  # what came with the head might be thrown away with it
        line.send(body)
        answer = host.post.follow(line.read())
        expect(answer.status in (200, 400, 501), answer)
        goes_on(host, line, answer)


@check()
def framing_with_blank(host):
    """A blank between a name and its colon gets 400, and what follows is not answered (9112 5.1)."""
    for name in ("Content-Length ", "Content-Length\t"):
        left_behind(host, f"{name}: {len(host.post.refresh(body=host.post.form(token='MOCK_REFRESH_TOKEN')))}")
    left_behind(host, "Transfer-Encoding : chunked", body=in_chunks(host.post.form()))


@check()
def framing_without_value(host):
    """A Content-Length or Transfer-Encoding without a value does not make the body a request (9112 6.3)."""
    left_behind(host, "Content-Length:")
    left_behind(host, "Transfer-Encoding:")


@check()
def framing_without_colon(host):
    """A line without a colon does not make the body a request (9112 5)."""
    left_behind(host, "Content-Length 500")


@check()
def header_with_nul(host):
    """A NUL or CR in a header's value gets 400 and a close (9110 5.5)."""
    for value in ("a\0b", "a\rContent-Length: 1"):
        with host.connect() as line:
            line.send(host.post.refresh("X-Text: " + value))
            answer = line.read()
            expect(answer.status == 400 and line.is_closed(), f"{value!r}: {answer}")


@check()
def chunk_sizes_odd(host):
    """Behind a chunk's size with a prefix or a sign, or a chunk without its end, nothing is answered (9112 7.1)."""
    body = host.post.form()
    for odd in (b"0x%x\r\n%s\r\n", b"+%x\r\n%s\r\n", b"%x\r\n%sab"):
        with host.connect() as line:
            line.send(chunked(host, odd % (len(body), body)))
            time.sleep(0.2)
            line.send(b"0\r\n\r\n" + host.post.refresh())
            answer = host.post.follow(line.read())
            expect(answer.status in (200, 400), answer)
            expect(line.is_closed(), f"behind an answer of {answer.status} the connection stays open")


@check()
def header_of_all_bytes(host):
    """The bytes 0x80 to 0xFF in a header neither end it nor harm the next request (9110 5.5: obs-text)."""
    for first in range(0x80, 0x100, 0x20):
        text = "".join(map(chr, range(first, first + 0x20)))
        with host.connect() as line:
            line.send(host.post.refresh("X-Text: " + text))
            goes_on(host, line, host.post.follow(line.read()))


@check()
def length_beside_chunks(host):
    """Content-Length beside chunks: refused, or read as chunks; the connection is closed (9112 6.3)."""
    misframed(host, "Content-Length: 5", "Transfer-Encoding: chunked", body=in_chunks(host.post.form()),
              statuses=(200, 400))


@check()
def chunk_size_foreign(host):
    """A chunk with a size that is no number gets 400 and a close (9112 7.1)."""
    misframed(host, "Transfer-Encoding: chunked", body=b"zz\r\n" + host.post.form() + b"\r\n0\r\n\r\n")


# Heads and bodies that servers repair in different ways. Whoever stands in front of the host may see another request,
# so the host must repair nothing. {length} is that of a good body, {form} the body, {chunks} the body in chunks.
ODD_FIELDS = {
    "folded coding beside a length": ("Transfer-Encoding:\r\n chunked\r\nContent-Length: 6", "{form}"),
    "folded coding by a tab": ("Transfer-Encoding:\r\n\tchunked\r\nContent-Length: 6", "{form}"),
    "folded length": ("Content-Length:\r\n {length}", "{form}"),
    "folded value": ("X: a\r\n b\r\nContent-Length: {length}", "{form}"),
    "line of blanks": ("X: a\r\n \r\nContent-Length: {length}", "{form}"),
    "length without a colon": ("Content-Length {length}", "{form}"),
    "coding without a colon": ("Transfer-Encoding chunked\r\nContent-Length: {length}", "{form}"),
    "name alone": ("Transfer-Encoding\r\nContent-Length: {length}", "{form}"),
    "empty name": (": chunked\r\nContent-Length: {length}", "{form}"),
    "vertical tab in a name": ("Transfer-Encoding\x0b: chunked\r\nContent-Length: {length}", "{form}"),
    "vertical tab in front of a name": ("\x0bTransfer-Encoding: chunked\r\nContent-Length: {length}", "{form}"),
    "form feed in a name": ("Content-Length\x0c: 3\r\nContent-Length: {length}", "{form}"),
    "NUL in a name": ("Transfer-Encoding\0: chunked\r\nContent-Length: {length}", "{form}"),
    "blank behind a name": ("Transfer-Encoding : chunked\r\nContent-Length: {length}", "{form}"),
    "tab behind a name": ("Content-Length\t: 3\r\nContent-Length: {length}", "{form}"),
    "quotes around a name": ('"Transfer-Encoding": chunked\r\nContent-Length: {length}', "{form}"),
    "brackets in a name": ("Transfer[Encoding]: chunked\r\nContent-Length: {length}", "{form}"),
    "byte above 0x7F in a name": ("Transfer\xadEncoding: chunked\r\nContent-Length: {length}", "{form}"),
    "CR in a name": ("X\rTransfer-Encoding: chunked\r\nContent-Length: {length}", "{form}"),
    "CR in a value": ("X: a\rTransfer-Encoding: chunked\r\nContent-Length: {length}", "{form}"),
    "LF ends a line": ("X: a\nTransfer-Encoding: chunked\r\nContent-Length: {length}", "{form}"),
    "two CR end a line": ("X: a\r\r\nContent-Length: {length}", "{form}"),
    "LF CR ends the head": ("Content-Length: {length}\n\rX: a", "{form}"),
    "NUL in a value": ("X: a\0b\r\nContent-Length: {length}", "{form}"),
}
ODD_LENGTHS = {
    "empty length": ("Content-Length:", "{form}"),
    "length behind a form feed": ("Content-Length: \x0c{length}", "{form}"),
    "length behind a vertical tab": ("Content-Length: \x0b{length}", "{form}"),
    "length in front of a form feed": ("Content-Length: {length}\x0c", "{form}"),
    "hexadecimal length": ("Content-Length: 0x10", "{form}"),
    "length with a point": ("Content-Length: {length}.0", "{form}"),
    "length with an exponent": ("Content-Length: 1e1", "{form}"),
    "two numbers": ("Content-Length: {length} 3", "{form}"),
    "list of lengths": ("Content-Length: 3, {length}", "{form}"),
    "length beyond 64 bits": ("Content-Length: 18446744073709551621", "{form}"),
    "lengths that differ": ("Content-Length: 3\r\nContent-Length: {length}", "{form}"),
    "empty coding": ("Transfer-Encoding:\r\nContent-Length: {length}", "{form}"),
    "identity": ("Transfer-Encoding: identity\r\nContent-Length: {length}", "{form}"),
    "unknown coding": ("Transfer-Encoding: xchunked\r\nContent-Length: {length}", "{form}"),
    "coding behind a vertical tab": ("Transfer-Encoding: \x0bchunked\r\nContent-Length: {length}", "{form}"),
    "chunked twice": ("Transfer-Encoding: chunked, chunked", "{chunks}"),
    "chunked in two lines": ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "{chunks}"),
    "chunked in front of another": ("Transfer-Encoding: chunked, gzip", "{chunks}"),
    "another in front of chunked": ("Transfer-Encoding: gzip, chunked", "{chunks}"),
}
ODD_CHUNKS = {
    "text behind a size": "{size} abc\r\n{form}\r\n0\r\n\r\n",
    "prefix": "0x{size}\r\n{form}\r\n0\r\n\r\n",
    "sign": "+{size}\r\n{form}\r\n0\r\n\r\n",
    "blank in front": " {size}\r\n{form}\r\n0\r\n\r\n",
    "underscore": "0_{size}\r\n{form}\r\n0\r\n\r\n",
    "LF behind a size": "{size}\n{form}\r\n0\r\n\r\n",
    "CR in an extension": "{size};a\rb\r\n{form}\r\n0\r\n\r\n",
    "LF in an extension": "{size};a\nb\r\n{form}\r\n0\r\n\r\n",
    "form feed behind a size": "{size}\x0c\r\n{form}\r\n0\r\n\r\n",
    "no end of a chunk": "{size}\r\n{form}ab0\r\n\r\n",
    "LF ends a chunk": "{size}\r\n{form}\n0\r\n\r\n",
    "size beyond 64 bits": "10000000000000005\r\n{form}\r\n0\r\n\r\n",
    "empty size": "\r\n{form}\r\n0\r\n\r\n",
    "extension alone": ";a=b\r\n{form}\r\n0\r\n\r\n",
}
ODD_HOSTS = {
    "no Host": "", "two Hosts": "Host: a\r\nHost: a\r\n", "two different Hosts": "Host: a\r\nHost: b\r\n",
    "blank in Host": "Host: a b\r\n", "slash in Host": "Host: a/b\r\n", "user in Host": "Host: a@b\r\n",
    "port of letters": "Host: a:b\r\n", "open bracket in Host": "Host: [::1\r\n", "list in Host": "Host: a, b\r\n",
}
ODD_START_LINES = ("POST  {target} HTTP/1.1", "POST {target}  HTTP/1.1", "POST {target} HTTP/1.1 ", "POST {target} http/1.1",
                   "POST {target} HTTP/1.1x", "POST {target} a HTTP/1.1", "POST\t{target} HTTP/1.1", "P(ST {target} HTTP/1.1",
                   "POST {target}\x01 HTTP/1.1", "POST {target}\x0cHTTP/1.1")


def refused_and_closed(host, text):
    """Sends bytes that are no sound request, and another request behind them. What is wrong with what comes back."""
    with host.connect() as line:
        line.send(text.encode("latin-1") + line.probe)
        try:
            answer = line.read()
        except Seen as seen:
            return None if str(seen) == "closed, no answer" else str(seen)
        if not 400 <= answer.status <= 501 or answer.status == 405:
            return f"answered {answer.status} {answer.body[:60]!r}"
        try:
            return None if line.is_closed() else f"behind a {answer.status} the connection stays open"
        except Seen as seen:
            return f"behind a {answer.status}: {seen}"


def each_refused(host, texts):
    wrong = []
    for name, text in texts.items():
        seen = refused_and_closed(host, text)
        if seen:
            wrong.append(f"{name}: {seen}")
    expect(not wrong, f"{len(wrong)} of {len(texts)} are repaired: " + "; ".join(wrong))


def odd(host, head, body, first="POST {target} HTTP/1.1", fields="Host: a\r\n"):
    form = host.post.form(token="MOCK_REFRESH_TOKEN").decode()
    chunks = in_chunks(form.encode()).decode()
    head = head.replace("{length}", str(len(form)))
    body = body.replace("{form}", form).replace("{chunks}", chunks).replace("{size}", f"{len(form):x}")
    return first.replace("{target}", host.target) + f"\r\n{fields}{FORM}\r\n{head}\r\n\r\n{body}"


@check()
def odd_fields(host):
    """Fields that servers repair in different ways are refused, and nothing behind them is answered (9112 5, 5.2)."""
    each_refused(host, {name: odd(host, *shape) for name, shape in ODD_FIELDS.items()})


@check()
def odd_lengths(host):
    """Lengths and codings that servers read in different ways are refused, and nothing behind them is answered
    (9112 6.1, 6.3)."""
    each_refused(host, {name: odd(host, *shape) for name, shape in ODD_LENGTHS.items()})


@check()
def odd_chunks(host):
    """Chunks that servers read in different ways are refused, and nothing behind them is answered (9112 7.1)."""
    each_refused(host, {name: odd(host, "Transfer-Encoding: chunked", body) for name, body in ODD_CHUNKS.items()})


@check()
def odd_hosts(host):
    """A request without Host, with two or with an invalid one gets 400 (9112 3.2)."""
    each_refused(host, {name: odd(host, "Content-Length: {length}", "{form}", fields=lines)
                        for name, lines in ODD_HOSTS.items()})


@check()
def odd_start_lines(host):
    """A request line that servers split in different ways is refused (9112 3)."""
    each_refused(host, {line: odd(host, "Content-Length: {length}", "{form}", first=line)
                        for line in ODD_START_LINES})


@check()
def escaped_slash(host):
    """A path with an escape or a fragment is another path than the endpoint's (RFC 3986 2.2, RFC 9112 3.2)."""
    at = host.target.rfind("/") + 1
    for target in (host.target[:at - 1] + "%2F" + host.target[at:], f"{host.target}#x",
                   host.target[:at] + f"%{ord(host.target[at]):x}" + host.target[at + 1:]):
        answer = host.ask(request(host.post.form(token="MOCK_REFRESH_TOKEN"), FORM, target=target))
        expect(answer.status in (400, 404) and answer.json.get("error") != "invalid_grant", target, answer)


@check()
def empty_line_first(host):
    """An empty line in front of a request is left out or refused, and alike whether it comes in one piece (9112 2.2)."""
    answered = {}
    for pieces in ((b"\r\n",), (b"\r", b"\n"), (b"\r", b"\n", b"")):
        with host.connect() as line:
            for piece in pieces[:-1]:
                line.send(piece)
                time.sleep(0.05)
            line.send(pieces[-1] + host.post.refresh())
            answered[pieces] = host.post.follow(line.read()).status
    expect(set(answered.values()) in ({200}, {400}), answered)


@check()
def content_codings(host):
    """A body with a Content-Encoding gets 415, whether or not it is what it says; `identity` is none (9110 15.5.16)."""
    zipped = gzip.compress(host.post.form())
    for coding, body in (("gzip", zipped), ("GZIP", zipped), ("deflate", zlib.compress(host.post.form())), ("br", b"x"),
                         ("gzip", host.post.form()), ("x-unknown", host.post.form()), ("gzip, identity", zipped)):
        answer = host.ask(host.post.refresh(f"Content-Encoding: {coding}", body=body))
        is_error(answer, 415)
        expect(answer.header("Accept-Encoding") == "identity", answer)
    is_refresh(host.ask(host.post.refresh("Content-Encoding: identity")))
    is_refresh(host.ask(host.post.refresh("Content-Encoding:")))


# --- connections ---

def goes_on(host, line, answer):
    """Whether a good request behind an answer is answered right, or finds the connection closed."""
    expect(not line.waiting, f"behind the answer came {line.waiting[:80]!r}")
    if answer.closes:
        expect(line.is_closed(), "Connection: close, and yet it stays open")
        return False
    line.send(host.post.refresh())
    try:
        second = line.read()
    except Seen as seen:
        expect(str(seen) == "closed, no answer", "the second request: " + str(seen))
        return False
    host.post.follow(is_refresh(second))
    return True


@check()
def keep_alive(host):
    """Three refreshes on one connection are answered, unless a close is announced (9112 9.3)."""
    with host.connect() as line:
        line.send(host.post.refresh())
        answer = host.post.follow(is_refresh(line.read()))
        for _ in range(2):
            expect(goes_on(host, line, answer) or answer.closes, "closed without a word")


@check()
def close_asked(host):
    """`close` is understood in any case and beside other options (9110 7.6.1, 9112 9.6)."""
    for option in ("CLOSE", "TE, close", "close , TE"):
        with host.connect() as line:
            line.send(host.post.refresh(f"Connection: {option}", "TE: trailers"))
            host.post.follow(is_refresh(line.read()))
            expect(line.is_closed(), f"asked to {option}, it stays open")


@check()
def version_foreign(host):
    """A version that the server does not speak is not given back (9110 2.5)."""
    for version in ("HTTP/2.0", "HTTP/1.9"):
        with host.connect() as line:
            line.send(host.post.refresh(version=version))
            host.post.follow(line.read())


def keep_alive_check(status, needs, make):
    def run(host):
        with host.connect() as line:
            line.send(make(host))
            answer = line.read()
            expect(answer.status == status, answer)
            goes_on(host, line, answer)
    run.__name__ = f"keep_alive_after_{status}"
    run.__doc__ = f"Behind a {status} the connection is sound, or closed (9112 9.3)."
    check(needs)(run)


keep_alive_check(400, "post", lambda host: host.post.refresh(body=b"%"))
keep_alive_check(401, "post basic", lambda host: request(host.basic.form(), FORM, host.basic.authorization("wrong"),
                                                         target=host.target))
keep_alive_check(405, "post", lambda host: request(host.post.form(), FORM, method="PUT", target=host.target))
keep_alive_check(413, "post", lambda host: host.post.refresh(body=padded(host.post, 64 * 1024)))
keep_alive_check(415, "post", lambda host: request(host.post.form(), "Content-Type: text/plain", target=host.target))


def body_behind(method, *lines):
    def run(host):
        with host.connect() as line:
            body = host.post.refresh(body=host.post.form(token="MOCK_REFRESH_TOKEN"))
            line.send(request(body, *lines, method=method, target=host.target)[:-len(body)])
            time.sleep(0.2)  # what came with the head might be thrown away with it
            line.send(body)
            answer = line.read(method)
            expect(answer.status in (204, 400, 405), answer)
            goes_on(host, line, answer)
    return run


for each_method in ("GET", "HEAD", "OPTIONS"):
    behind = body_behind(each_method)
    behind.__name__ = f"{each_method.lower()}_with_body"
    behind.__doc__ = f"The body of {each_method} is not taken for a request (9112 9.3)."
    check()(behind)


@check("post origin")
def preflight_with_body(host):
    """The body of a preflight is not taken for a request (9112 9.3)."""
    body_behind("OPTIONS", f"Origin: {host.told.origin}", "Access-Control-Request-Method: POST")(host)


@check()
def pipelined(host):
    """A second request that came with the first is answered right, or the connection is closed (9112 9.3.2)."""
    with host.connect() as line:
        line.send(host.post.refresh() + host.post.refresh(body=host.post.form(token="MOCK_REFRESH_TOKEN")))
        host.post.follow(is_refresh(line.read()))
        try:
            second = line.read()
        except Seen as seen:
            expect(str(seen) == "closed, no answer", "the second request: " + str(seen))
        else:
            is_error(second, 400, "invalid_grant")


@check()
def http_1_0(host):
    """HTTP/1.0 is answered without chunks, and closed (9112 9.3)."""
    with host.connect() as line:
        line.send(host.post.refresh(version="HTTP/1.0"))
        answer = host.post.follow(is_refresh(line.read()))
        expect(not answer.header("Transfer-Encoding"), answer)
        expect(line.is_closed(), "it stays open")


@check()
def eight_at_once(host):
    """8 connections at once with one token get one and the same successor (R48)."""
    text, answers = host.post.refresh(), []
    lines = [host.connect() for _ in range(8)]

    def ask(line):
        with line:
            line.send(text)
            try:
                answers.append(line.read())
            except Seen as seen:
                answers.append(Answer(0, [], str(seen).encode()))
    threads = [threading.Thread(target=ask, args=(line,)) for line in lines]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for answer in answers:
        is_refresh(answer)
    successors = {answer.json["refresh_token"] for answer in answers}
    expect(len(answers) == 8 and len(successors) == 1, f"{len(successors)} successors")
    host.post.follow(answers[0])


@check()
def answer_time(host):
    """No answer waits for its client's delayed acknowledgement, 40 ms: clients that acknowledge at once are answered no
    sooner."""
    differences = []
    while not differences or (differences[-1] >= 20 and len(differences) < 8):
        # By turns, so that a busy machine slows both alike.
        lines, taken = {True: host.connect(), False: host.connect()}, {True: [], False: []}
        for number in range(100):
            at_once = number % 2 == 0
            line, text = lines[at_once], host.post.refresh()
            begun = time.monotonic()
            line.send(text)
            answer = host.post.follow(is_refresh(line.read(at_once=at_once)))
            taken[at_once].append(time.monotonic() - begun)
            if answer.closes:
                line.socket.close()
                lines[at_once] = host.connect()
        for line in lines.values():
            line.socket.close()
        differences.append((statistics.median(taken[False]) - statistics.median(taken[True])) * 1000)
    expect(differences[-1] < 20, "later by " + ", ".join(f"{each:.1f} ms" for each in differences))


# --- public documents ---

def document(host, url):
    answer = host.ask(request(method="GET", target=host.target_of(url), length=False), "GET")
    expect(answer.status == 200 and answer.header("Content-Type").startswith("application/json"), answer)
    expect(answer.header("Access-Control-Allow-Origin") == "*" and "max-age=" in answer.header("Cache-Control"), answer)
    return answer.json


@check("jwks_url")
def jwks(host):
    """The JWK Set is public, may be kept for a while, and holds public members alone (R100, R114)."""
    keys = document(host, host.told.jwks_url).get("keys")
    expect(keys and all(key.get("kty") and key.get("kid") for key in keys), keys)
    expect(not any(set(key) & {"d", "p", "q", "dp", "dq", "qi", "k"} for key in keys), "private members")


@check("jwks_url")
def jwks_for_caches(host):
    """What caches may keep is not coded for one client, unless Vary tells (9110 12.5.5)."""
    answer = host.ask(request(b"", "Accept-Encoding: gzip, br", method="GET", target=host.target_of(host.told.jwks_url),
                              length=False), "GET")
    coding, vary = answer.header("Content-Encoding"), answer.header("Vary").lower()
    expect(answer.status == 200 and (not coding or "accept-encoding" in vary), f"{coding} with Vary: {vary!r}")


@check("metadata_url")
def metadata(host):
    """The metadata are public, may be kept for a while, and name the endpoint (R114)."""
    found = document(host, host.told.metadata_url)
    expect(found.get("issuer") and found.get("token_endpoint", "").endswith(host.target)
           and "refresh_token" in found.get("grant_types_supported", []), found)


# --- running them ---

def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?")
    for name, told in (("client-id", "a client that sends its secret in the body"), ("client-secret", "its secret"),
                       ("refresh-token", "a token of it to start from"),
                       ("basic-client-id", "a client that uses HTTP Basic"), ("basic-client-secret", "its secret"),
                       ("basic-refresh-token", "a token of it to start from"),
                       ("login-url", "where POST of client_id and sub gives tokens, instead of the two above"),
                       ("origin", "an origin that is registered"), ("jwks-url", "the JWK Set"),
                       ("metadata-url", "the metadata")):
        parser.add_argument("--" + name, default="", help=told)
    parser.add_argument("--timeout", type=float, default=60,
                        help="seconds after which something did not finish (default 60)")
    parser.add_argument("--demo", action="store_true", help="the demo's clients and paths")
    parser.add_argument("--list", action="store_true", help="say which checks there are")
    parser.add_argument("--expect-fail", action="append", default=[], metavar="NAME", help="a check known to fail")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="run this check; may be repeated")
    told = parser.parse_args()
    for name in [*told.expect_fail, *told.only]:
        if name not in CHECKS:
            parser.error(f"there is no check {name}; --list names them")
    if told.demo:
        for name, value in DEMO.items():
            setattr(told, name, getattr(told, name) or value)
    if not told.url and not told.list:
        parser.error("URL is missing")
    return told


def lacking(host, needs):
    """The option that a check needs and that was not given."""
    told = host.told
    for need in needs:
        if need in ("post", "basic"):
            client = getattr(host, need)
            prefix = "basic-" if client.by_basic else ""
            if not client.id or not client.secret:
                return f"--{prefix}client-id and --{prefix}client-secret"
            if not client.token and not told.login_url:
                return f"--{prefix}refresh-token or --login-url"
        elif not getattr(told, need):
            return "--" + need.replace("_", "-")
    return None


def run(host, function, needs):
    """What was seen that is wrong; nothing where all is well."""
    try:
        for need in needs:
            if need in ("post", "basic"):
                getattr(host, need).login()
        function(host)
    except Seen as seen:
        return str(seen)
    except ConnectionRefusedError:
        raise
    except OSError as error:
        return str(error)
    return None


def absence(host):
    """Why nobody can be talked to; nothing where somebody listens."""
    try:
        host.connect().socket.close()
    except OSError as error:
        return f"cannot connect to {host.address[0]} port {host.address[1]}: {error.strerror or error}"
    return None


def main():
    told = parse_options()
    if told.list:
        for name, (function, _) in CHECKS.items():
            print(f"{name:24} {class_of(name):9} {sentence_of(name)}")
        return 0
    host = Host(told)
    passed = failed = known = 0
    absent = absence(host)
    if absent:
        print(f"FAIL server: {absent}\n0 passed, 1 failed", flush=True)
        return 1
    for name, (function, needs) in CHECKS.items():
        if told.only and name not in told.only:
            continue
        missing = lacking(host, needs)
        if missing:
            print(f"skip {name}: needs {missing}", flush=True)
            continue
        is_known = name in told.expect_fail
        try:
            seen = run(host, function, needs)
        except ConnectionRefusedError:
            failed += 1
            print(f"FAIL {name}: dangerous. The server is gone: it refuses connections since this check", flush=True)
            break
        if seen is None and not is_known:
            passed += 1
            print("ok", name, flush=True)
        elif seen is not None and is_known:
            known += 1
            print(f"known {name}: {seen}", flush=True)
        else:
            failed += 1
            print(f"FAIL {name}: " + (f"{class_of(name)}. {sentence_of(name)} Seen: {seen}" if seen else
                                      "it passes, though it is said to be known to fail"), flush=True)
    if known:
        print(f"{known} known failures")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed + known else 0


if __name__ == "__main__":
    sys.exit(main())
