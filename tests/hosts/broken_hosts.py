#!/usr/bin/env python3
# tests/hosts/broken_hosts.py - shows that every check of check_host.py can fail, each on a fault that web servers have.
# SPDX-License-Identifier: MIT
"""A small token endpoint in Python passes all checks. Broken in one place, it fails those that stand for the place.

  broken_hosts.py                  all of that
  broken_hosts.py --serve [FAULT]  only serves, to look at it by hand
"""
import argparse
import base64
import concurrent.futures
import email.utils
import json
import re
import socket
import socketserver
import sys
import threading
import time
import urllib.parse
import zlib

import check_host
import run

# Each fault, and the checks that must notice it.
FAULTS = {
    "members in another order": "page-request",
    "expires_in as text": "page-request",
    "no Pragma": "page-headers page-error",
    "Content-Type twice in the answer": "page-headers",
    "no Date": "answer-date",
    "Date in another form": "answer-date",
    "Content-Length one short": "answer-length page-request",
    "Content-Length one long": "answer-length",
    "a line end behind the body": "answer-length pipelined keep-alive",
    "errors as HTML": "page-error method-get",
    "errors repeat the input": "no-echo",
    "errors name the query": "no-echo",
    "plus stays plus": "form-plus-is-space form-scope",
    "plus is decoded after the escapes": "form-escaped-plus basic-escapes",
    "escapes in upper case alone": "form-hex-case",
    "decoded twice": "form-double-escape",
    "empty pieces are an error": "form-empty-pieces",
    "broken escapes are let through": "form-broken-escape",
    "any bytes are text": "form-not-utf8",
    "NUL is let through": "form-escaped-nul",
    "a NUL ends the body": "form-raw-nul",
    "the last of two parameters counts": "form-duplicates form-plus-is-space",
    "an empty body is not answered": "empty-body",
    "Basic is not form-decoded": "basic-escapes",
    "the scheme is Basic in this case alone": "basic-scheme-case",
    "401 without a challenge": "basic-wrong-secret",
    "401 for a secret in the body": "post-wrong-secret",
    "the last of two headers counts": "two-authorizations media-type-twice length-twice",
    "the first of two headers counts": "two-authorizations media-type-twice length-twice",
    "Basic hides the body's secret": "authorization-and-secret",
    "the query is lost": "secret-in-query token-in-query",
    "the query belongs to the form": "token-in-query other-query",
    "405 without Allow": "method-get method-head method-put method-delete method-patch method-options",
    "other methods are 404": "method-get method-put method-delete method-patch method-options method-head",
    "any method will do": "method-put method-delete method-patch method-unknown",
    "HEAD with a body": "method-head",
    "OPTIONS is no preflight": "preflight-known preflight-stranger",
    "every origin may": "preflight-stranger cross-origin-error",
    "errors without CORS headers": "cross-origin-error",
    "no media type is a form": "media-type-missing",
    "a media type may go on": "media-type-wrong",
    "multipart is read": "media-type-multipart",
    "the media type's case counts": "media-type-case",
    "no charset is allowed": "media-type-charset",
    "any charset is allowed": "media-type-other-charset",
    "header names' case counts": "header-names",
    "blanks belong to the value": "header-spaces",
    "a length must be as it would be written": "length-with-zeros",
    "a Range cuts any answer": "range-ignored",
    "bodies up to 4096 bytes": "body-6k body-12k body-12k-token-last",
    "bodies up to 8192 bytes": "body-12k body-12k-token-last chunked-12k",
    "bodies are cut at 8192 bytes": "body-12k-token-last",
    "bodies of any length": "body-64k body-1m chunked-64k",
    "413 without reading the body": "keep-alive-after-413",
    "hangs up on a large body": "body-1m",
    "50 fields at most": "fields-100",
    "any number of fields": "fields-101",
    "chunks are no body": "body-in-chunks chunked-12k",
    "chunk extensions are no number": "chunk-extensions",
    "trailers stay": "chunk-trailers",
    "the end of chunks stays": "body-in-chunks",
    "chunks are what one read gives": "chunks-byte-by-byte",
    "a body that is cut short counts": "body-cut-short",
    "chunks that are cut short count": "chunks-cut-short",
    "a body that is cut short counts, unanswered": "body-cut-short",
    "a body is what one read gives": "slow-body body-in-two-pieces",
    "a body is what came with the head": "slow-body body-in-two-pieces body-after-head",
    "a head is what one read gives": "header-in-two-pieces",
    "half a second for a body": "slow-body",
    "no 100 Continue": "expect-continue",
    "a negative length is none": "length-negative",
    "any number is a length": "length-signed",
    "a length is as far as digits go": "length-of-words",
    "open behind a broken length": "length-negative length-twice length-signed length-of-words",
    "length before chunks": "length-beside-chunks",
    "a blank may end a name": "framing-with-blank",
    "headers without a value do not count": "framing-without-value",
    "lines without a colon do not count": "framing-without-colon",
    "NUL and CR belong to the value": "header-with-nul",
    "0xFF ends the head": "header-of-all-bytes",
    "any number is a chunk's size": "chunk-sizes-odd",
    "any two bytes end a chunk": "chunk-sizes-odd",
    "a foreign chunk size is zero": "chunk-size-foreign",
    "closes without a word": "keep-alive",
    "the plain word close alone": "close-asked",
    "answers in the request's version": "version-foreign",
    "says close and stays": "answer-length keep-alive-after-400 http-1-0",
    "the body stays behind an error": "keep-alive-after-401 keep-alive-after-415 keep-alive-after-405",
    "garbage behind an error": "keep-alive-after-400 keep-alive-after-401 keep-alive-after-415",
    "the body of a GET stays": "get-with-body head-with-body options-with-body preflight-with-body",
    "what is pipelined is answered as the first": "pipelined",
    "HTTP/1.0 gets chunks": "http-1-0",
    "every refresh makes a token": "eight-at-once",
    "one connection at a time": "eight-at-once",
    "an answer waits for an acknowledgement": "answer-time",
    "the JWK Set is private": "jwks",
    "the JWK Set has all of the key": "jwks",
    "the JWK Set is coded without Vary": "jwks-for-caches",
    "the metadata are another server's": "metadata",
    "blanks may split a request line": "odd-start-lines",
    "lines are unfolded": "odd-fields",
    "a length has control characters around it": "odd-lengths",
    "chunk extensions have line ends": "odd-chunks",
    "any Host will do": "odd-hosts",
    "paths are decoded": "escaped-slash",
    "an empty line in two pieces is a request": "empty-line-first",
    "bodies are inflated": "content-codings",
    "any Authorization is Basic": "authorization-empty",
}

CLIENTS = {"TENANT_CLIENT_ID": "TENANT_CLIENT_SECRET", "BASIC_CLIENT_ID": "a+b%c:d"}
ORIGIN = "https://spa.example"
FORM = "application/x-www-form-urlencoded"
LIMIT = 16384
PATHS = {"/oauth2/token", "/demo/login", "/oauth2/jwks", "/.well-known/openid-configuration"}


class Refused(Exception):
    def __init__(self, status, error="invalid_request"):
        super().__init__(error)
        self.status, self.error = status, error


class Cut(Exception):
    """The client is gone, or what it sent has no clear end."""


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class Endpoint:
    """As much of a token endpoint as the checks look at."""

    def __init__(self, fault):
        self.fault, self.lock = fault, threading.Lock()
        self.families = {}  # name -> [client, generation]
        self.made = 0

    def login(self, client):
        with self.lock:
            self.made += 1
            self.families[f"F{self.made}"] = [client, 0]
            return f"F{self.made}.0"

    def refresh(self, client, token):
        family, _, number = token.partition(".")
        with self.lock:
            row = self.families.get(family)
            if not row or row[0] != client or not re.fullmatch(r"\d+", number) or not 0 <= row[1] - int(number) <= 1:
                raise Refused(400, "invalid_grant")
            if self.fault == "every refresh makes a token":
                family = f"F{len(self.families) + 1000}"
                row = self.families[family] = [client, int(number)]
            row[1] = int(number) + 1
            return f"{family}.{row[1]}"

    def decode(self, text):
        """One name or value of a form."""
        fault = self.fault
        if fault != "plus stays plus" and fault != "plus is decoded after the escapes":
            text = text.replace(b"+", b" ")
        if fault != "broken escapes are let through" and re.search(rb"%(?![0-9a-fA-F]{2})", text):
            raise Refused(400)
        digits = b"[0-9A-F]" if fault == "escapes in upper case alone" else b"[0-9a-fA-F]"
        escape = re.compile(b"%(" + digits + b"{2})")
        for _ in range(2 if fault == "decoded twice" else 1):
            text = escape.sub(lambda found: bytes([int(found[1], 16)]), text)
        if fault == "plus is decoded after the escapes":
            text = text.replace(b"+", b" ")
        if b"\0" in text and fault not in ("NUL is let through", "a NUL ends the body"):
            raise Refused(400)
        try:
            return text.decode("latin-1" if fault == "any bytes are text" else "utf-8")
        except UnicodeDecodeError:
            raise Refused(400) from None

    def form(self, body):
        if self.fault == "bodies are cut at 8192 bytes":
            body = body[:8192]
        if self.fault == "a NUL ends the body":
            body = body.partition(b"\0")[0]
        pieces = body.split(b"&")
        if self.fault == "empty pieces are an error" and body and not all(pieces):
            raise Refused(400)
        most = {"50 fields at most": 50, "any number of fields": 10 ** 9}.get(self.fault, 100)
        if sum(map(bool, pieces)) > most:
            raise Refused(413)
        found = {}
        for piece in filter(None, pieces):
            name, _, value = piece.partition(b"=")
            name, value = self.decode(name), self.decode(value)
            if name in found and self.fault != "the last of two parameters counts":
                raise Refused(400)
            found[name] = value
        return found

    def media_type(self, values):
        """Whether the form is in another charset than UTF-8."""
        if not values:
            if self.fault == "no media type is a form":
                return False
            raise Refused(415)
        if len(set(values)) > 1:
            raise Refused(415)
        kind, _, parameters = values[0].partition(";")
        kind = kind.strip() if self.fault == "the media type's case counts" else kind.strip().lower()
        charset = parameters.strip().lower().removeprefix("charset=").strip('"')
        if kind == "multipart/form-data" and self.fault == "multipart is read":
            return False
        if kind != FORM and not (self.fault == "a media type may go on" and kind.startswith(FORM)):
            raise Refused(415)
        if charset and self.fault == "no charset is allowed":
            raise Refused(415)
        return charset not in ("", "utf-8")

    def client(self, authorizations, found):
        if self.fault != "any Authorization is Basic" and "client_id" in found and len(authorizations) == 1 \
                and authorizations[0].partition(" ")[0].lower() != "basic":
            authorizations = []
        if not authorizations:
            client, secret, status = found.get("client_id", ""), found.get("client_secret", ""), 400
            if self.fault == "401 for a secret in the body":
                status = 401
        else:
            if len(authorizations) > 1 or ("client_secret" in found and self.fault != "Basic hides the body's secret"):
                raise Refused(400)
            scheme, _, pair = authorizations[0].partition(" ")
            wanted = scheme if self.fault == "the scheme is Basic in this case alone" else scheme.title()
            if wanted != "Basic":
                raise Refused(401, "invalid_client")
            client, _, secret = base64.b64decode(pair).partition(b":")
            if self.fault != "Basic is not form-decoded":
                client, secret, status = self.decode(client), self.decode(secret), 401
            else:
                client, secret, status = client.decode(), secret.decode(), 401
        if client not in CLIENTS or CLIENTS[client] != secret or (client == "BASIC_CLIENT_ID") != bool(authorizations):
            raise Refused(status, "invalid_client")
        return client

    def tokens(self, token, scope="openid profile email"):
        answer = {"access_token": "a.b.c", "refresh_token": token, "scope": scope, "id_token": "d.e.f",
                  "token_type": "Bearer", "expires_in": 299}
        if self.fault == "members in another order":
            answer = dict(sorted(answer.items()))
        if self.fault == "expires_in as text":
            answer["expires_in"] = "299"
        return answer

    def judged(self, asked):
        """The status and the JSON of a request to the token endpoint."""
        if asked.method != "POST" and self.fault != "any method will do":
            raise Refused(404 if self.fault == "other methods are 404" else 405)
        codings = ",".join(asked.all("content-encoding")).lower()
        if codings not in ("", "identity") and self.fault != "bodies are inflated":
            raise Refused(415, "encoded")
        is_foreign = self.media_type(asked.all("content-type"))
        limit = {"bodies up to 4096 bytes": 4096, "bodies up to 8192 bytes": 8192,
                 "bodies of any length": 10 ** 9}.get(self.fault, LIMIT)
        if len(asked.body) > limit:
            raise Refused(413)
        if not asked.body and self.fault == "an empty body is not answered":
            raise Cut
        query = {}
        if self.fault != "the query is lost":
            query = dict(urllib.parse.parse_qsl(asked.query))
        body = asked.body
        if codings and self.fault == "bodies are inflated":
            try:
                body = zlib.decompress(body, 47)
            except zlib.error:
                raise Refused(400) from None
        if is_foreign and self.fault != "any charset is allowed" and \
                not urllib.parse.unquote_to_bytes(body).isascii():
            raise Refused(415)
        found = self.form(body)
        if self.fault == "the query belongs to the form":
            found.update(query)
        elif {"client_secret", "refresh_token"} & set(query):
            raise Refused(400)
        if not found.get("grant_type") or not found.get("refresh_token"):
            raise Refused(400)
        if found["grant_type"] != "refresh_token":
            raise Refused(400, "unsupported_grant_type")
        client = self.client(asked.all("authorization"), found)
        scope = found.get("scope", "openid profile email").split(" ")
        if not set(scope) <= {"openid", "profile", "email"}:
            raise Refused(400, "invalid_scope")
        return 200, self.tokens(self.refresh(client, found["refresh_token"]), " ".join(scope))

    def token(self, asked):
        origin = "".join(asked.all("origin"))
        may = origin == ORIGIN or (origin and self.fault == "every origin may")
        cors = [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")] if may else []
        is_preflight = asked.method == "OPTIONS" and origin and asked.all("access-control-request-method")
        if is_preflight and self.fault != "OPTIONS is no preflight":
            more = [("Access-Control-Allow-Methods", "POST"),
                    ("Access-Control-Allow-Headers", "authorization, content-type")] if may else []
            return Reply(204, cors + more, b"")
        headers = [("Content-Type", "application/json;charset=UTF-8"), ("Cache-Control", "no-store"),
                   ("Pragma", "no-cache")]
        if self.fault == "no Pragma":
            headers.pop()
        if self.fault == "Content-Type twice in the answer":
            headers.append(headers[0])
        try:
            status, answer = self.judged(asked)
        except Refused as refused:
            status, answer = refused.status, {"error": str(refused)}
            if answer["error"] == "encoded":
                answer = {"error": "invalid_request"}
                headers.append(("Accept-Encoding", "identity"))
            if self.fault == "errors repeat the input":
                answer["error_description"] = asked.body.decode("latin-1")
            if status == 401 and self.fault != "401 without a challenge":
                headers.append(("WWW-Authenticate", 'Basic realm="broken hosts"'))
            if status == 405 and self.fault != "405 without Allow":
                headers.append(("Allow", "POST, OPTIONS"))
            if self.fault == "errors without CORS headers":
                cors = []
        body = json.dumps(answer, separators=(",", ":")).encode()
        if status != 200 and self.fault == "errors as HTML":
            headers[0], body = ("Content-Type", "text/html"), b"<h1>Error</h1>"
        if status != 200 and self.fault == "errors name the query":
            body += b" ".join([b"", asked.query.encode()])
        return Reply(status, headers + cors, body)

    def answer(self, asked):
        public = [("Content-Type", "application/json"), ("Access-Control-Allow-Origin", "*"),
                  ("Cache-Control", "public, max-age=300")]
        if asked.path == "/oauth2/token":
            return self.token(asked)
        if asked.path not in PATHS:
            return Reply(404, [], b"")
        if asked.path == "/demo/login":
            token = self.login(dict(urllib.parse.parse_qsl(asked.body.decode()))["client_id"])
            return Reply(200, [("Content-Type", "application/json")], json.dumps(self.tokens(token)).encode())
        if asked.path == "/oauth2/jwks":
            key = {"kty": "RSA", "kid": "1", "n": "AQAB", "e": "AQAB"}
            if self.fault == "the JWK Set is coded without Vary":
                public = [*public, ("Content-Encoding", "br")]
            if self.fault == "the JWK Set has all of the key":
                key["d"] = "AQAB"
            return Reply(200, public[:1] if self.fault == "the JWK Set is private" else public,
                         json.dumps({"keys": [key]}).encode())
        path = "/token" if self.fault == "the metadata are another server's" else "/oauth2/token"
        issuer = "https://id.example"
        return Reply(200, public, json.dumps({"issuer": issuer, "token_endpoint": issuer + path,
                                              "grant_types_supported": ["refresh_token"]}).encode())


class Asked:
    def __init__(self, method, target, version, headers, fault=None):
        self.method, self.version, self.headers, self.body = method, version, headers, b""
        self.path, _, self.query = target.partition("?")
        self.path = self.path.replace("%2F", "/") if fault == "paths are decoded" else self.path

    def all(self, name):
        return [value for key, value in self.headers if key == name]


class Connection(socketserver.BaseRequestHandler):
    """HTTP/1.1 as the checks look at it."""

    def handle(self):
        endpoint = self.server.endpoint
        self.fault, self.waiting, self.before, self.is_cut = endpoint.fault, b"", None, False
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request.settimeout(0.5 if self.fault == "half a second for a body" else 600)
        try:
            if self.fault == "one connection at a time":
                with self.server.turn:
                    self.one(endpoint)
                    time.sleep(1)
                    return
            while self.one(endpoint):
                pass
        except (Cut, OSError):
            pass

    def more(self):
        piece = self.request.recv(65536)
        self.waiting += piece
        return bool(piece)

    def take(self, size):
        start = time.monotonic()
        while len(self.waiting) < size:
            if self.fault == "a body is what came with the head" or \
                    (self.fault == "a body is what one read gives" and self.waiting):
                break
            if self.fault == "half a second for a body" and time.monotonic() - start > 0.5:
                raise Cut
            if not self.more():
                if "cut short count" in str(self.fault):
                    self.is_cut = True
                    break
                raise Cut
        text, self.waiting = self.waiting[:size], self.waiting[size:]
        return text

    def line(self, mark=b"\r\n"):
        while mark not in self.waiting:
            if not self.more():
                if self.fault == "chunks that are cut short count":
                    return b"0"
                raise Cut
            if self.fault == "a head is what one read gives" and mark not in self.waiting:
                raise Refused(400)
        text, _, self.waiting = self.waiting.partition(mark)
        return text

    def skip_empty_lines(self):
        while self.fault != "a head is what one read gives":  # it would read more here
            while len(self.waiting) < 2:
                if not self.more():
                    raise Cut
            if not self.waiting.startswith(b"\r\n"):
                break
            self.waiting = self.waiting[2:]

    def head(self):
        if self.fault == "an empty line in two pieces is a request":
            if not self.waiting and not self.more():
                raise Cut
            self.waiting = self.waiting.removeprefix(b"\r\n")
        elif self.fault != "the end of chunks stays":
            self.skip_empty_lines()
        first, *lines = self.line(b"\r\n\r\n").decode("latin-1").split("\r\n")
        if self.fault == "blanks may split a request line":
            first = " ".join(first.split())
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/\d\.\d", first):
            raise Refused(400)
        method, target, version = first.split(" ")
        if self.fault == "0xFF ends the head" and "\xFF" in "".join(lines):
            kept, _, rest = "\r\n".join(lines).partition("\xFF")
            lines, self.waiting = kept.split("\r\n"), rest.encode("latin-1") + b"\r\n\r\n" + self.waiting
        if self.fault == "lines are unfolded":
            lines = re.sub(r"\r\n[ \t]+", " ", "\r\n".join(lines)).split("\r\n")
        if not all(re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*", line) for line in lines) and \
                self.fault not in ("a blank may end a name", "lines without a colon do not count",
                                   "NUL and CR belong to the value", "a length has control characters around it"):
            raise Refused(400)
        headers = [line.partition(":") for line in lines]
        hosts = [value.strip() for name, _, value in headers if name.lower() == "host"]
        if self.fault != "any Host will do" and version != "HTTP/1.0" and not (
                len(hosts) == 1 and re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.~!$&'()*+,;=%-]*)(:\d*)?", hosts[0])):
            raise Refused(400)
        if self.fault == "blanks belong to the value":
            headers = [(name, value.removeprefix(" ")) for name, _, value in headers]
        else:
            headers = [(name, value.strip()) for name, _, value in headers]
        if self.fault == "header names' case counts":
            headers = [(name.lower(), value) for name, value in headers if name == name.title()]
        headers = [(name.lower(), value) for name, value in headers]
        if self.fault == "headers without a value do not count":
            headers = [(name, value) for name, value in headers if value]
        if self.fault == "the last of two headers counts":
            headers = list(dict(headers).items())
        if self.fault == "the first of two headers counts":
            headers = list(dict(reversed(headers)).items())
        return Asked(method, target, version, headers, self.fault)

    def length(self, text):
        if self.fault == "any number is a length" and re.fullmatch(r"[+-]?\d+", text):
            return int(text)
        if self.fault == "a length must be as it would be written" and text.startswith("00"):
            raise Refused(400)
        if self.fault == "a length is as far as digits go" and re.match(r"\d", text):
            return int(re.match(r"\d+", text)[0])
        if self.fault == "a negative length is none" and text.startswith("-"):
            return 0
        if not re.fullmatch(r"\d{1,18}", text):
            raise Refused(400)
        return int(text)

    def chunks(self):
        body = b""
        while True:
            text, size = self.line(), 0
            digits = text if self.fault == "chunk extensions are no number" else text.partition(b";")[0]
            if (re.search(rb"[\r\n]", text) or len(digits) > 16) and self.fault != "chunk extensions have line ends":
                raise Refused(400)
            if self.fault == "chunks are what one read gives" and not self.waiting:
                raise Refused(400)
            if re.fullmatch(rb"[0-9a-fA-F]+", digits) or (
                    self.fault == "any number is a chunk's size" and re.fullmatch(rb"(\+|0x)[0-9a-fA-F]+", digits)):
                size = int(digits, 16)
            elif self.fault != "a foreign chunk size is zero":
                raise Refused(400)
            if size == 0:
                if self.fault == "a foreign chunk size is zero":
                    self.waiting = b""
                    return body
                if self.fault not in ("the end of chunks stays", "chunks that are cut short count"):
                    while self.line() and self.fault != "trailers stay":
                        pass
                return body
            body += self.take(size)
            if self.take(2) != b"\r\n" and self.fault != "any two bytes end a chunk":
                raise Refused(400)

    def body(self, asked):
        lengths, coding = asked.all("content-length"), asked.all("transfer-encoding")
        if asked.method in ("GET", "HEAD", "OPTIONS") and self.fault == "the body of a GET stays":
            return b""
        if coding and lengths and self.fault != "length before chunks":
            raise Refused(400)
        if coding and not lengths:
            if coding != ["chunked"]:
                raise Refused(400)
            return b"" if self.fault == "chunks are no body" else self.chunks()
        if len(set(lengths)) > 1:
            raise Refused(400)
        size = self.length(lengths[0]) if lengths else 0
        if size > LIMIT and self.fault == "hangs up on a large body":
            raise Cut
        if size > LIMIT and self.fault == "413 without reading the body":
            raise Refused(413)
        is_expected = "100-continue" in asked.all("expect")
        if is_expected and self.fault != "no 100 Continue":
            self.request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.fault == "the body stays behind an error" and (
                asked.method != "POST" or not FORM in "".join(asked.all("content-type")).lower()
                or "wrong" in "".join(base64.b64decode(each.split(" ")[1]).decode() for each in
                                      asked.all("authorization"))):
            return b""
        return self.take(max(size, 0))

    def one(self, endpoint):
        """One request and its answer. Returns whether another may follow."""
        asked, is_open = None, True
        try:
            asked = self.head()
            asked.body = self.body(asked)
            if self.fault == "what is pipelined is answered as the first" and self.before:
                reply = self.before
            else:
                reply = endpoint.answer(asked)
            self.before = reply if self.waiting else None
        except Refused as refused:
            is_open = self.fault == "open behind a broken length"
            self.waiting = b""
            reply = Reply(refused.status, [("Content-Type", "application/json;charset=UTF-8"),
                                           ("Cache-Control", "no-store"), ("Pragma", "no-cache")],
                          b'{"error":"invalid_request"}')
        is_old = asked is not None and asked.version == "HTTP/1.0"
        wanted = asked.all("connection") if asked else []
        if self.fault != "the plain word close alone":
            wanted = [word.strip().lower() for each in wanted for word in each.split(",")]
        if is_old or "close" in wanted:
            is_open = False
        if self.fault == "a body that is cut short counts, unanswered" and self.is_cut:
            return False
        self.send(asked, reply, is_open, is_old)
        if self.fault == "closes without a word":
            return False
        if self.fault == "413 without reading the body" and reply.status == 413:
            self.waiting = b""
            return True
        return is_open or self.fault == "says close and stays"

    def send(self, asked, reply, is_open, is_old):
        status, headers, body = reply.status, list(reply.headers), reply.body
        if self.fault == "says close and stays" and status == 400:
            is_open = False
        if not is_open:
            headers.append(("Connection", "close"))
        if asked and self.fault == "a Range cuts any answer" and asked.all("range"):
            body = body[:4]
        date = email.utils.formatdate(usegmt=self.fault != "Date in another form")
        headers += [] if self.fault == "no Date" else [("Date", date)]
        size = len(body) + {"Content-Length one short": -1, "Content-Length one long": 1}.get(self.fault, 0)
        if is_old and self.fault == "HTTP/1.0 gets chunks":
            headers.append(("Transfer-Encoding", "chunked"))
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        elif status != 204:
            headers.append(("Content-Length", str(size)))
        if asked and asked.method == "HEAD" and self.fault != "HEAD with a body":
            body = b""
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        if self.fault == "an answer waits for an acknowledgement":
            # Head and body in two packets; the second waits for the first's acknowledgement.
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
            self.request.sendall(f"HTTP/1.1 {status} Text\r\n".encode())
            self.request.sendall(f"{head}\r\n".encode() + body)
            return
        if self.fault == "a line end behind the body" or (self.fault == "garbage behind an error" and status >= 400):
            body += b"\r\n"
        version = asked.version if asked and self.fault == "answers in the request's version" else "HTTP/1.1"
        self.request.sendall(f"{version} {status} Text\r\n{head}\r\n".encode() + body)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 64

    def __init__(self, fault=None, port=0):
        self.endpoint, self.turn = Endpoint(fault), threading.Lock()
        super().__init__(("127.0.0.1", port), Connection)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


def failures(fault, names, timeout=1.5):
    """What each of the checks saw. With a fault some see that no answer comes: then the time is what they wait for."""
    with Server(fault) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        told = argparse.Namespace(url=server.url, timeout=timeout, refresh_token="", basic_refresh_token="",
                                  **check_host.DEMO)
        host = check_host.Host(told)
        found = {name: check_host.run(host, *check_host.CHECKS[name]) for name in names}
        server.shutdown()
        return found


# What a second server may do on a port in use, a limit in seconds, and a part of what taken-port says.
SECOND_STARTS = {
    ("refuses late", "import sys, time; time.sleep(6); sys.exit(1)", run.LONG): None,
    ("refuses at once", "import sys; sys.exit(1)", run.LONG): None,
    ("serves late", "import time; time.sleep(3); print('listening', flush=True); time.sleep(600)", run.LONG): "serves",
    ("ends well", "", run.LONG): "as if all were well",
    ("does nothing", "import time; time.sleep(600)", 1): "did not finish",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", nargs="?", const="", choices=["", *FAULTS], metavar="FAULT")
    told = parser.parse_args()
    if told.serve is not None:
        with Server(told.serve or None) as server:
            print("listening on", server.url, flush=True)
            server.serve_forever()
    passed = failed = 0

    def count(good, name):
        nonlocal passed, failed
        passed, failed = passed + bool(good), failed + (not good)
        print("ok" if good else "FAIL", name, flush=True)
    for name, seen in failures(None, check_host.CHECKS, run.LONG).items():
        count(seen is None, f"a sound host passes {name}" + (f": {seen}" if seen else ""))
    noticed = set()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        all_seen = list(pool.map(lambda each: failures(each[0], each[1].split()), FAULTS.items()))
    for fault, seen_by in zip(FAULTS, all_seen):
        for name, seen in seen_by.items():
            count(seen is not None, f"{name} notices: {fault}: {str(seen)[:90]}")
            if seen is not None:
                noticed.add(name)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        all_seen = list(pool.map(lambda each: run.second_start([sys.executable, "-c", each[1]], each[2]), SECOND_STARTS))
    for ((does, *_), part), seen in zip(SECOND_STARTS.items(), all_seen):
        count(part in str(seen) if part else seen is None, f"taken-port, where the second one {does}: {seen}")
    for name in check_host.CHECKS:
        count(name in noticed, f"{name} can fail")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
