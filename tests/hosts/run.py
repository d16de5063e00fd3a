#!/usr/bin/env python3
# tests/hosts/run.py - checks the example of every web framework that was built, and that all answer alike.
# SPDX-License-Identifier: MIT
"""Starts each regrant_host_NAME, runs check_host.py on it, then sends all of them one sequence of requests with clock,
keys and random numbers fixed: status, headers and bodies must be the same byte for byte.

  run.py [--built FOLDER] [NAME...]   FOLDER holds the programs, by default build/gcc/tests; those built, or these
  run.py --all                        one that was not built counts as failed
  run.py --known                      the known failures as a table for README
"""
import argparse
import base64
import concurrent.futures
import contextlib
import importlib
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

import check_host

HERE = Path(__file__).resolve().parent
AT_ONCE = 4
# Seconds after which something did not finish. Nothing else may be concluded from it: the machine may be busy.
LONG = 300

# What a host fails and we cannot mend: the check, the first version that fails it and the first that was seen to pass,
# or the first that was never tried, and why. What a host of another version fails is a failure; what it passes is none.
KNOWN = {
    "httplib": [
        ("alike: JWK Set", (0, 11), (0, 54), "compresses it for who can read that, so caches must be told by Vary"),
        ("alike: metadata", (0, 11), (0, 54), "compresses them for who can read that, so caches must be told by Vary"),
        ("alike: HEAD", (0, 11), (0, 54), "adds `Accept-Ranges: bytes` to every answer to a HEAD"),
        ("many-pipelined", (0, 41), (0, 54), "announces and makes a close behind every answer of 400 and above"),
    ],
    "poco": [
        ("http-1-0-expect", (1, 11), (1, 12), "sends `100 Continue` to HTTP/1.0, too"),
    ],
    "fastcgi": [
        # What stands in front of nginx may see another request; the program behind it gets one record for each.
        ("odd-fields", (1, 22), (1, 23), "drops fields whose names are no tokens, and accepts two CR at a line's end"),
        ("odd-chunks", (1, 22), (1, 23), "accepts a line feed alone, and text behind a chunk's size"),
        ("odd-hosts", (1, 22), (1, 23), "accepts a user, a port of letters and an open bracket in Host"),
        ("odd-start-lines", (1, 22), (1, 23), "accepts several spaces between the parts of a request line"),
        ("slow-bodies", (1, 22), (1, 23), "waits for a body as long as its bytes come; it holds no thread of the program"),
        ("header-spaces", (1, 22), (1, 23), "takes a tab before a header's value for a part of it, and answers 400"),
    ],
}
NAMED = {"httplib": "cpp-httplib", "poco": "Poco", "fastcgi": "nginx"}


def version_of(program):
    """The version of the framework, or of the web server in front; () where it is not told."""
    name = program.name.removeprefix(PREFIX)
    if name in FRONTS:
        said = importlib.import_module(FRONTS[name]).version()
    else:
        said = subprocess.run([program, "--framework"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+(\.\d+)+", said)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def known_of(name, version):
    """The checks that this version is known to fail."""
    return {check for check, first, below, _ in KNOWN.get(name, []) if first <= version < below}


# Hosts that are no web server themselves: a module of this folder whose in_front_of(port) is a context manager
# that gives an object with http_url.
FRONTS = {"fastcgi": "nginx"}

# Hosts whose example has no throttle: it would have to be awaited.
UNTHROTTLED = {"beast_awaitable"}

PREFIX = "regrant_host_"
# What stands in tests/examples and is no host.
OTHERS = {"server", "demo_service", "quick_start"}


# --- starting and stopping ---

@contextlib.contextmanager
def started(program, *options, descriptors=None):
    """A running example: its process and its URL; it may have so many descriptors."""
    name = program.name.removeprefix(PREFIX)
    limited = ("sh", "-c", f'ulimit -n {descriptors} && exec "$0" "$@"') if descriptors else ()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([*limited, program, "--port", "0", *options], stdout=subprocess.PIPE, stderr=log,
                                   text=True)
        try:
            line = process.stdout.readline()
            found = re.fullmatch(r"listening on (http://127\.0\.0\.1:(\d+))\n", line)
            if not found:
                log.seek(0)
                raise RuntimeError(f"{name} did not start: {line!r} {log.read()[-500:]!r}")
            if name in FRONTS:
                with importlib.import_module(FRONTS[name]).in_front_of(int(found[2])) as front:
                    yield process, front.http_url
            else:
                yield process, found[1]
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


class Report:
    """What a host passed and failed."""

    def __init__(self, program):
        self.name, self.passed, self.known, self.failures = program.name.removeprefix(PREFIX), 0, 0, []
        self.known_to_fail = known_of(self.name, version_of(program))
        self.unseen = set(self.known_to_fail)

    def add(self, check, seen):
        """`seen` is what was wrong, None where all was well."""
        is_known = check in self.unseen
        self.unseen.discard(check)
        if seen is None and not is_known:
            self.passed += 1
        elif seen is not None and is_known:
            self.known += 1
        else:
            self.failures.append(f"{check}: {seen or 'it passes, though KNOWN says it fails'}")


def ended_by(process):
    """How SIGTERM ended it, None where all was well: it may leave in order or drop dead, but not crash or stay."""
    process.send_signal(signal.SIGTERM)
    try:
        status = process.wait(LONG)
    except subprocess.TimeoutExpired:
        return f"it did not finish in {LONG} s"
    return None if status in (0, -signal.SIGTERM) else f"status {status}"


def run_checks(program, report):
    """check_host.py on one host, and what a host adds of its own."""
    with started(program) as (process, url):
        known = [word for name in report.known_to_fail if name in check_host.CHECKS
                 for word in ("--expect-fail", name)]
        done = subprocess.run([sys.executable, HERE / "check_host.py", url, "--demo", "--timeout", str(LONG), *known], capture_output=True,
                              text=True, check=False, timeout=12 * LONG)
        lines = done.stdout.splitlines()
        for line in lines:
            verdict, _, rest = line.partition(" ")
            name, _, seen = rest.partition(": ")
            if verdict in ("ok", "known", "FAIL", "skip"):
                report.unseen.discard(name)
            report.passed += verdict == "ok"
            report.known += verdict == "known"
            if verdict in ("FAIL", "skip"):
                report.failures.append(f"{name}: {seen}")
        if not lines or not re.fullmatch(r"\d+ passed, \d+ failed", lines[-1]):
            report.failures.append(f"check_host.py did not end: {done.stdout[-300:]} {done.stderr[-1000:]}")
        for check, *told in ((other_routes, url), (told_peer, url), (long_start_lines, url), (absolute_form, url),
                             (http_1_0_expect, url), (http_1_0_chunks, url), (many_pipelined, url), (bare_line_feeds, url),
                             (endless_chunk_line, url, process), (endless_headers, url, process), (held_connections, url),
                             (unread_answers, url, process)):
            report.add(NAMES.get(check.__name__, check.__name__.replace("_", "-")), tried(check, *told))
        head = f"POST /oauth2/token HTTP/1.1\r\nHost: a\r\n{FORM}\r\nContent-Length: 1000\r\n".encode()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for name, seen in zip(("slow-headers", "slow-bodies"), pool.map(
                    lambda begun: slow_for_ever(url, begun), (head, head + b"\r\n"))):
                report.add(name, seen)
        report.add("sigterm", ended_by(process))
    for check in (behind_a_proxy, throttled_behind_a_proxy, taken_port, answer_that_throws, few_descriptors):
        report.add(check.__name__.replace("_", "-"), tried(check, program))


# Checks that are not called like their functions.
NAMES = {"told_peer": "peer"}


def tried(check, *told):
    """What was seen that is wrong, None where all was well."""
    try:
        return check(*told)
    except check_host.Seen as seen:
        return str(seen)


def told_peer(url):
    """Whether the host tells from where it is called, which throttles count by (R26): the client's own address, not the
    one that it listens at, and not what the client says of itself."""
    local = "127.0.0.2"
    lies = ("X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "Remote-Addr: 192.0.2.1", "Peer: 192.0.2.1")
    answer = ask(url, "POST", "/demo/login", FORM, *lies, body=b"client_id=TENANT_CLIENT_ID&sub=alice", local=local)
    peer = answer.header("Peer")
    return None if answer.status == 200 and peer == local else f"{peer!r} instead of {local!r}: {answer}"


def behind_a_proxy(program):
    """Whether the client's address is the rightmost hop that no trusted proxy is, and a stranger's word is not taken
    (R246, 7239 7.4)."""
    with started(program, "--trusted-proxy", "127.0.0.2,10.0.0.0/8") as (_, url):
        for local, told, wanted in (("127.0.0.2", ("192.0.2.66, 203.0.113.9, 10.1.1.1",), "203.0.113.9"),
                                    ("127.0.0.2", ("192.0.2.66", "::ffff:203.0.113.9"), "203.0.113.9"),
                                    ("127.0.0.2", (), "127.0.0.2"), ("127.0.0.3", ("203.0.113.9",), "127.0.0.3")):
            lines = [f"X-Forwarded-For: {hops}" for hops in told]
            answer = ask(url, "POST", "/demo/login", FORM, *lines, body=b"client_id=TENANT_CLIENT_ID&sub=alice",
                         local=local)
            if answer.header("Peer") != wanted:
                return f"{answer.header('Peer')!r} instead of {wanted!r} from {local} with {lines}"
    return None


def throttled_behind_a_proxy(program):
    """Whether 25 wrong guesses of a stranger behind nginx lock out the stranger alone, and no other client (R26, R246)."""
    if program.name.removeprefix(PREFIX) in UNTHROTTLED:
        return None
    with started(program, "--trusted-proxy", "127.0.0.1", "--throttle") as (_, url), \
            importlib.import_module("nginx").proxy_to(urllib.parse.urlsplit(url).port) as front:
        def guess(local, secret, number=0):
            body = f"client_id=TENANT_CLIENT_ID&client_secret={secret}&grant_type=refresh_token&refresh_token=x"
            lie = f"X-Forwarded-For: 203.0.113.{number}"  # a stranger cannot change who it is
            return ask(front, "POST", "/oauth2/token", FORM, lie, body=body.encode(), local=local)
        for number in range(25):
            last = guess("127.0.0.2", "wrong", number)
        if last.status != 429:
            return f"25 wrong guesses of one client are not limited: {last}"
        other = guess("127.0.0.3", "TENANT_CLIENT_SECRET")
        return None if other.json == {"error": "invalid_grant"} else f"another client is locked out: {other}"


def taken_port(program):
    """Whether a port that is in use is refused: two servers on one would each get some of the requests."""
    with subprocess.Popen([program, "--port", "0"], stdout=subprocess.PIPE, text=True) as first:
        try:
            port = first.stdout.readline().strip().rpartition(":")[2]
            return second_start([program, "--port", port])
        finally:
            first.kill()


def second_start(command, limit=LONG):
    """What is wrong with a server that is started on a port in use. It says that it listens, or it ends: the first of
    the two decides, however long it takes."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as second:
        ends = []
        late = threading.Timer(limit, lambda: (ends.append("late"), second.kill()))
        late.start()
        said = second.stdout.readline()  # empty once it has ended
        if said:
            second.kill()
        status = second.wait()
        late.cancel()
    if said:
        return f"a second one serves the same port: {said!r}"
    if ends:
        return f"the second one did not finish in {limit} s"
    return "a second one ends as if all were well" if status == 0 else None


def answer_that_throws(program):
    """Whether a client is told that the server is at fault, in no words of its own, and is answered again (R51)."""
    with started(program, "--clock", "none") as (_, url):
        for _ in range(20):  # more than any has threads
            answer = ask(url, "POST", "/oauth2/token", FORM, body=(TENANT + "x").encode())
            if answer.status not in (500, 503) or b"clock" in answer.head + answer.body:
                return f"{answer}"
            if not answer.json.get("error") or answer.header("Cache-Control") != "no-store":
                return f"undressed: {answer}"
    return None


def few_descriptors(program):
    """Whether a host that has run out of descriptors serves again when connections have been closed, and loses none."""
    with started(program, descriptors=64) as (process, url):
        at, used = urllib.parse.urlsplit(url), Path(f"/proc/{process.pid}/fd")
        wrong, before = other_routes(url), len(list(used.iterdir()))
        with contextlib.ExitStack() as connections:
            for _ in range(100):
                line = connections.enter_context(socket.create_connection((at.hostname, at.port), LONG))
                line.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            # The host has run out when it holds as many as it may, or leaves connections waiting on purpose.
            last = time.monotonic() + 1
            while len(list(used.iterdir())) < 64 and time.monotonic() < last:
                time.sleep(0.02)
        wrong, last = wrong or other_routes(url), time.monotonic() + LONG
        while not wrong and len(list(used.iterdir())) > before:
            if time.monotonic() > last:
                return f"after {LONG} s {len(list(used.iterdir()))} descriptors are open where {before} were"
            time.sleep(0.02)
        return wrong


def long_start_lines(url):
    """Whether a request line that no parser has room for is refused in JSON, too (RFC 9112 3)."""
    for start in (b"A" * 100 + b" /oauth2/token HTTP/1.1", b"POST /oauth2/token " + b"H" * 100,
                  b"POST /" + b"x" * 20_000 + b" HTTP/1.1"):
        with host_at(url).connect() as line:
            line.send(start + b"\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            answer = line.read("POST")
        if answer.status not in (400, 405, 414, 431) or answer.json != {"error": "invalid_request"}:
            return f"{start[:30]}: {answer}"
    return None


def absolute_form(url):
    """Whether a target in absolute form is understood (9112 3.2.2: "a server MUST accept the absolute-form in
    requests")."""
    body = (TENANT + "x").encode()
    for target in ("http://localhost/oauth2/token", "http://localhost:80/oauth2/token?a=/b"):
        answer = ask(url, "POST", target, FORM, body=body)
        if answer.status != 400 or answer.json != {"error": "invalid_grant"}:
            return f"{target}: {answer}"
    answer = ask(url, "GET", "http://localhost/health")
    return None if answer.status == 200 else f"{answer}"


def http_1_0_expect(url):
    """Whether HTTP/1.0 gets no 100 Continue (9110 15.2: "A server MUST NOT send a 1xx response to an HTTP/1.0
    client"), and its answer all the same."""
    body = (TENANT + "x").encode()
    text = check_host.request(body, FORM, "Expect: 100-continue", method="POST", target="/oauth2/token",
                              version="HTTP/1.0")
    with host_at(url).connect() as line:
        line.send(text[:-len(body)])
        time.sleep(0.2)
        line.send(body)
        answer = line.read("POST", final=False)
    return None if answer.json == {"error": "invalid_grant"} else f"{answer}"


def http_1_0_chunks(url):
    """Whether HTTP/1.0 with chunks is taken for what it is (9112 6.1: "MUST treat the message as if the framing is
    faulty ... and close the connection after processing the message")."""
    chunks = check_host.in_chunks((TENANT + "x").encode())
    with host_at(url).connect() as line:
        line.send(check_host.request(chunks, FORM, "Transfer-Encoding: chunked", "Connection: keep-alive",
                                     method="POST", target="/oauth2/token", version="HTTP/1.0", length=False))
        answer = line.read("POST")
        return None if answer.status == 400 and line.is_closed() else f"it stays open behind {answer}"


def many_pipelined(url):
    """Whether twenty requests that come at once are answered, one after the other (9112 9.3.2)."""
    bodies = [(TENANT + "x" * (number % 2)).encode() for number in range(20)]
    with host_at(url).connect() as line:
        line.send(b"".join(check_host.request(body, FORM, target="/oauth2/token") for body in bodies))
        for number in range(20):
            try:
                answer = line.read()
            except check_host.Seen as seen:
                return f"behind {number} answers: {seen}"
            if answer.json != {"error": "invalid_grant" if number % 2 else "invalid_request"}:
                return f"the answer behind {number} others is {answer}"
    return None


def bare_line_feeds(url):
    """Whether a line feed alone is a line's end or refused, in a header and behind a chunk's size (9110 5.5: "a recipient
    of CR, LF, or NUL within a field value MUST either reject the message or replace each of those characters with SP"):
    who is in front may take what follows it for a header, or for the chunk."""
    body = (TENANT + "x").encode()
    chunks = check_host.in_chunks(body, b";a\nb")
    for name, text in (("header", check_host.request(body, FORM, "X: a\nTransfer-Encoding: chunked", method="POST",
                                                     target="/oauth2/token")),
                       ("chunk", check_host.request(chunks, FORM, "Transfer-Encoding: chunked", method="POST",
                                                    target="/oauth2/token", length=False))):
        with host_at(url).connect() as line:
            line.send(text)
            answer = line.read("POST")
            if answer.status != 400 or answer.json == {"error": "invalid_grant"} or not line.is_closed():
                return f"{name}: {answer}"
    return None


def endless_chunk_line(url, process):
    """Whether the line of a chunk that never ends is cut off or passed over, and not kept (9112 7.1.1: "A recipient ...
    ought to limit the total length of chunk extensions received")."""
    return kept_of(url, process, check_host.request(b"", FORM, "Transfer-Encoding: chunked", method="POST",
                                                    target="/oauth2/token", length=False) + b"5;", b"a" * 65536)


def endless_headers(url, process):
    """Whether headers that never end are cut off or passed over, and not kept (9110 5.4: "A server that receives a
    request header field line, field value, or set of fields larger than it wishes to process MUST respond with an
    appropriate 4xx")."""
    return kept_of(url, process, b"GET /oauth2/token HTTP/1.1\r\nHost: a\r\n", (b"X: " + b"a" * 59 + b"\r\n") * 1024)


def held_connections(url):
    """Whether 40 clients that have sent part of a head keep nobody waiting: they hold more threads than a small pool
    has. They are open still when others have been answered, so nobody waited for their time to be over."""
    answered = 0
    # On a busy machine all may be cut off before others have been answered, which shows nothing: then once more.
    for _ in range(10):
        with contextlib.ExitStack() as lines:
            held = [lines.enter_context(host_at(url).connect()) for _ in range(40)]
            for line in held:
                line.send(b"POST /oauth2/token HTTP/1.1\r\nHos")
            while answered < 20:
                answer = ask(url, "GET", "/health")
                if answer.status != 200:
                    return f"{answer}"
                if all(line.is_ended() for line in held):
                    break
                answered += 1
    return None if answered == 20 else f"answered only after all 40 were cut off, but for {answered} of 20"


def unread_answers(url, process):
    """Whether answers that a client does not read are not kept, however many requests it sends."""
    kept = resident_bytes(process)
    text = check_host.request(method="GET", target="/oauth2/token", length=False) * 200
    with host_at(url).connect() as line:
        line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.socket.settimeout(1)
        with contextlib.suppress(OSError):  # cut off, or not read: then no more fits into the buffers
            for _ in range(4000):
                line.socket.sendall(text)
        kept = resident_bytes(process) - kept
    return f"{kept >> 20} MiB of answers are kept" if kept > 16 << 20 else None


def kept_of(url, process, begun, piece):
    """What a host keeps of a request that goes on and on."""
    kept = resident_bytes(process)
    with host_at(url).connect() as line:
        line.send(begun)
        for _ in range(1000):
            line.send(piece)
        kept = resident_bytes(process) - kept
    return f"{kept >> 20} MiB of 62 are kept" if kept > 16 << 20 else None


def slow_for_ever(url, begun, slow_bytes=120):
    """Whether a client that sends a byte now and then is cut off or answered after a while: it may hold a thread.

    The bytes are counted, of which a host with a limit of 15 s takes 30; who is late, because the machine is busy, more."""
    with host_at(url).connect() as line:
        line.send(begun)
        line.socket.settimeout(0.5)
        for _ in range(slow_bytes):
            try:
                line.socket.sendall(b"x")
                line.socket.recv(65536)
                return None
            except socket.timeout:
                pass
            except OSError:
                return None
    return f"it did not finish in {slow_bytes} bytes, one in half a second"


def resident_bytes(process):
    return int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def other_routes(url):
    """Whether the host's own routes go on beside the endpoint."""
    for path, wanted in (("/health", (200, b"ok")), ("/nowhere", (404, None))):
        answer = ask(url, "GET", path)
        if answer.status != wanted[0] or wanted[1] not in (None, answer.body.strip()):
            return f"GET {path}: {answer}"
        if path == "/health" and answer.header("Pragma"):
            return f"GET {path} is dressed as the endpoint's: {answer}"
    return None


# --- all alike ---

def host_at(url):
    told = argparse.Namespace(url=url, timeout=LONG, client_id="", client_secret="", refresh_token="",
                              basic_client_id="", basic_client_secret="", basic_refresh_token="")
    return check_host.Host(told)


def ask(url, method, path, *lines, body=None, local=None):
    with host_at(url).connect(local=local) as line:
        line.send(check_host.request(body or b"", *lines, method=method, target=path, length=body is not None))
        return line.read(method)


FORM = check_host.FORM
TENANT = "client_id=TENANT_CLIENT_ID&client_secret=TENANT_CLIENT_SECRET&grant_type=refresh_token&refresh_token="
BASIC = "Authorization: Basic " + base64.b64encode(b"BASIC_CLIENT_ID:a%2Bb%25c%3Ad").decode()
WRONG = "Authorization: Basic " + base64.b64encode(b"BASIC_CLIENT_ID:wrong").decode()
SPA, STRANGER = "Origin: https://spa.example", "Origin: https://stranger.invalid"
PREFLIGHT = "Access-Control-Request-Method: POST"


def sequence(url):
    """Yields (name, answer) of requests of all kinds, each on a connection of its own."""
    def post(body, *lines, path="/oauth2/token"):
        return ask(url, "POST", path, *(lines if any(line.startswith("Content-Type") for line in lines)
                                        else (FORM, *lines)), body=body.encode())

    def token_of(answer):
        return answer.json.get("refresh_token", "")

    first = post("client_id=TENANT_CLIENT_ID&sub=alice", path="/demo/login")
    yield "login", first
    second = post(TENANT + token_of(first))
    yield "refresh", second
    yield "lost answer", post(TENANT + token_of(first))
    third = post(TENANT + token_of(second))
    yield "successor", third
    yield "replay", post(TENANT + token_of(first))
    yield "after a replay", post(TENANT + token_of(third))
    login = post("client_id=BASIC_CLIENT_ID&sub=bob", path="/demo/login")
    yield "login for Basic", login
    yield "Basic", post("grant_type=refresh_token&refresh_token=" + token_of(login), BASIC)
    yield "wrong Basic", post("grant_type=refresh_token&refresh_token=x", WRONG)
    yield "two Authorization headers", post("grant_type=refresh_token&refresh_token=x", BASIC, BASIC)
    login = post("client_id=SPA_CLIENT_ID&sub=carol", path="/demo/login")
    yield "login of a page", login
    yield "from a page", post("client_id=SPA_CLIENT_ID&grant_type=refresh_token&refresh_token=" + token_of(login), SPA)
    yield "from a foreign page", post("client_id=SPA_CLIENT_ID&grant_type=refresh_token&refresh_token=x", STRANGER)
    yield "unknown token", post(TENANT + "MOCK_REFRESH_TOKEN")
    yield "wrong secret", post((TENANT + "x").replace("SECRET&", "SECRETS&"))
    yield "foreign grant_type", post("grant_type=password&refresh_token=x")
    yield "cut escape", post(TENANT + "x&y=%4")
    yield "repeated name", post(TENANT + "x&y=1&y=1")
    yield "secret in the query", post(TENANT + "x", path="/oauth2/token?client_secret=x")
    yield "JSON", post("{}", "Content-Type: application/json")
    yield "64 KiB", post("x=" + "y" * 65536)
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
        yield method, ask(url, method, "/oauth2/token", body=b"" if method[0] in "PD" else None)
    yield "GET from a page", ask(url, "GET", "/oauth2/token", SPA)
    yield "preflight", ask(url, "OPTIONS", "/oauth2/token", SPA, PREFLIGHT)
    yield "foreign preflight", ask(url, "OPTIONS", "/oauth2/token", STRANGER, PREFLIGHT)
    yield "JWK Set", ask(url, "GET", "/oauth2/jwks")
    yield "metadata", ask(url, "GET", "/.well-known/openid-configuration")


# The connection is the host's own; nor need it say how long a body would be that it does not send.
OWN = {"date", "server", "connection", "keep-alive", "transfer-encoding"}


def as_compared(name, answer):
    own = OWN | {"content-length"} if name == "HEAD" or answer.status == 204 else OWN
    headers = sorted((key.lower(), value) for key, value in answer.headers if key.lower() not in own)
    return answer.status, headers, answer.body


def answers_of(program, key):
    """Answers by name, as they are compared; a text where there is none."""
    with started(program, "--fixed", key) as (_, url):
        found = {}
        try:
            for name, answer in sequence(url):
                found[name] = as_compared(name, answer)
        except (check_host.Seen, OSError) as seen:
            return found, f"stopped behind {list(found)[-1:]}: {seen}"
        return found, None


def difference(one, other):
    parts = [f"{what} {right!r} instead of {left!r}"
             for what, left, right in zip(("status", "headers", "body"), one, other) if left != right]
    return "; ".join(parts)[:600]


def compare(programs, reports):
    """Every host's answers against those most hosts give. \return what is wrong with all of them, or None"""
    if len(programs) < 2:
        return None
    with tempfile.TemporaryDirectory(prefix="regrant-") as folder:
        key = Path(folder) / "key.pem"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            all_found = list(pool.map(lambda program: answers_of(program, key), programs))
    for report, (found, stopped) in zip(reports, all_found):
        if stopped:
            report.failures.append("the sequence: " + stopped)
        for name, answer in found.items():
            check = "alike: " + name
            others = [other[name] for each, (other, _) in zip(reports, all_found)
                      if name in other and check not in each.known_to_fail] or [answer]
            model = max(others, key=others.count)
            report.add(check, None if answer == model else difference(model, answer))
    # Without this all of them might ignore --fixed, and nothing would have been compared.
    tokens = {repr(found.get("refresh", ())[2:]) for found, _ in all_found}
    return None if len(tokens) == 1 and "access_token" in tokens.pop() else "the hosts do not give the same tokens"


def table():
    print("| host | does not pass | because |\n|---|---|---|")
    for host, failures in KNOWN.items():
        for name, first, below, why in failures:
            last = (below[0], below[1] - 1)
            versions = " to ".join(".".join(map(str, each)) for each in dict.fromkeys((first, last)))
            print(f"| {host} | `{name}` | {NAMED[host]} {versions} {why} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--built", type=Path, default=HERE.parent.parent / "build/gcc/tests")
    parser.add_argument("--known", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("names", nargs="*")
    told = parser.parse_args()
    if told.known:
        table()
        return 0
    wanted = told.names or sorted({path.stem for path in (HERE.parent / "examples").glob("*.cpp")} - OTHERS)
    programs, not_built = [], []
    for name in wanted:
        program = told.built.resolve() / (PREFIX + name)
        (programs if program.is_file() else not_built).append(program)
    reports = [Report(program) for program in programs]
    for program in not_built:
        print(f"{program.name} is not built")
    if not programs:
        sys.exit(1)

    def guarded(program, report):
        try:
            run_checks(program, report)
        except Exception as error:  # one host that breaks must not hide the others
            report.failures.append(f"{type(error).__name__}: {error}")
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(guarded, programs, reports))
    # Hosts that did not even start are left out.
    alive = [(program, report) for program, report in zip(programs, reports) if report.passed]
    wrong = compare([program for program, _ in alive], [report for _, report in alive]) if alive else None
    for report in reports:
        report.failures += [f"{name}: KNOWN names it, and no check of that name ran" for name in sorted(report.unseen)
                            if len(alive) > 1 or not name.startswith("alike: ")]
        print(f"{report.name}: {report.passed} good, {report.known} known, {len(report.failures)} bad")
        for failure in report.failures:
            print(f"    FAIL {failure}")
    if wrong:
        print("    FAIL " + wrong)
    failed = sum(len(report.failures) for report in reports) + bool(wrong)
    failed += len(not_built) if told.all or told.names else 0
    print(f"{sum(report.passed for report in reports)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
