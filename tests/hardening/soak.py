#!/usr/bin/env python3
# tests/hardening/soak.py - good, bad and concurrent traffic for as long as told; every answer is checked, memory too.
# SPDX-License-Identifier: MIT
"""usage: soak.py MINUTES [STORE...]

Half of the time for each of memory: and sqlite:, or the stores named. Needs REGRANT_SERVER, as tests/server does.
"""
import base64
import hashlib
import http.client
import json
import os
import random
import socket
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
from _support import FORM, TENANT, Server, check, finish, read_reply  # noqa: E402

MEMBERS = ["access_token", "refresh_token", "scope", "id_token", "token_type", "expires_in"]
SPA = {"client_id": "SPA_CLIENT_ID"}
# What a login may cost for good: its row, which the memory store keeps.
ROW_KIB = 1
# What malloc may keep on top of that, once each thread has had its turn.
SLACK_KIB = 4096


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def generation(token):
    return int.from_bytes(decode(token)[18:22], "big")


class Traffic:
    """What all workers share: where to send, until when, and what was wrong."""

    def __init__(self, server, seconds):
        self.server, self.end = server, time.monotonic() + seconds
        self.lock, self.answers, self.logins, self.reopened, self.verified = threading.Lock(), {}, 0, 0, 0
        self.wrong = []
        key = server.request("GET", "/oauth2/jwks").json["keys"][0]
        self.modulus, self.exponent = (int.from_bytes(decode(key[name]), "big") for name in "ne")

    def is_on(self):
        return time.monotonic() < self.end and len(self.wrong) < 20

    def saw(self, kind, good, *what):
        with self.lock:
            self.answers[kind] = self.answers.get(kind, 0) + 1
            if not good:
                self.wrong.append((kind, *what))
        return good

    def is_signed(self, jwt):
        """RFC 8017 8.2.2, in whole numbers."""
        text, _, signature = jwt.rpartition(".")
        made = pow(int.from_bytes(decode(signature), "big"), self.exponent, self.modulus)
        prefix = bytes.fromhex("3031300d060960864801650304020105000420")
        ends = prefix + hashlib.sha256(text.encode()).digest()
        size = (self.modulus.bit_length() + 7) // 8
        meant = b"\0\1" + b"\xff" * (size - len(ends) - 3) + b"\0" + ends
        with self.lock:
            self.verified += 1
        return made == int.from_bytes(meant, "big")


class Worker(threading.Thread):
    def __init__(self, traffic, act, number):
        super().__init__(daemon=True)
        self.traffic, self.act, self.number = traffic, act, number
        self.random = random.Random(number)
        self.line = http.client.HTTPConnection("127.0.0.1", traffic.server.port, timeout=30)

    def run(self):
        while self.traffic.is_on():
            try:
                self.act(self)
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
                self.traffic.saw(self.act.__name__, False, repr(error))
                self.line.close()
        self.line.close()

    def ask(self, path, fields, method="POST", headers=FORM):
        """One request on this worker's connection; (status, body as JSON or text)."""
        body = urllib.parse.urlencode(fields) if isinstance(fields, dict) else fields
        for attempt in (1, 2):
            was_open = self.line.sock is not None
            try:
                self.line.request(method, path, body, headers)
                reply = self.line.getresponse()
                text = reply.read()
                break
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                # RFC 9112 9.3.1: a server may close an idle connection while a request is on its way.
                self.line.close()
                if not was_open or attempt == 2:
                    raise
                with self.traffic.lock:
                    self.traffic.reopened += 1
        try:
            return reply.status, json.loads(text) if text else None
        except ValueError:
            return reply.status, text

    def login(self, client=TENANT):
        sub = f"user{self.number}-{self.random.getrandbits(40):x}"
        with self.traffic.lock:
            self.traffic.logins += 1
        status, body = self.ask("/demo/login", {"client_id": client["client_id"], "sub": sub, "scope": "openid profile"})
        self.traffic.saw("login", status == 200, status, body)
        return sub, body["refresh_token"]

    def refresh(self, token, client=TENANT):
        return self.ask("/oauth2/token", {"grant_type": "refresh_token", "refresh_token": token, **client})

    def good(self, kind, token, client=TENANT):
        """A refresh that must work; returns the successor."""
        status, body = self.refresh(token, client)
        fine = (status == 200 and list(body) == MEMBERS and body["token_type"] == "Bearer"
                and body["scope"] == "openid profile" and body["expires_in"] in (299, 300)
                and generation(body["refresh_token"]) == generation(token) + 1)
        if fine and self.random.random() < 0.05:
            fine = self.traffic.is_signed(body["access_token"]) and self.traffic.is_signed(body["id_token"])
        if not self.traffic.saw(kind, fine, status, body):
            raise ValueError("the chain is broken")
        return body["refresh_token"]

    def bad(self, kind, seen, status, error):
        return self.traffic.saw(kind, seen == (status, {"error": error}), seen, "instead of", status, error)


# --- the kinds of traffic, each a turn that a worker takes again and again ---

def chain(worker):
    """One login, refreshed two hundred times, with an answer lost now and then."""
    client = worker.random.choice([TENANT, SPA])
    _, token = worker.login(client)
    for _ in range(200):
        if not worker.traffic.is_on():
            return
        following = worker.good("refresh", token, client)
        if worker.random.random() < 0.1:
            again = worker.good("retry", token, client)
            worker.traffic.saw("retry gives the same successor", again == following)
        token = following


def race(worker):
    """Four requests with one token at once."""
    _, token = worker.login()
    for _ in range(50):
        if not worker.traffic.is_on():
            return
        got = []
        tabs = [Worker(worker.traffic, race, f"{worker.number}.{tab}") for tab in range(4)]

        def one(tab):
            try:
                got.append(tab.good("race", token))
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
                worker.traffic.saw("race", False, repr(error))
            finally:
                tab.line.close()

        threads = [threading.Thread(target=one, args=(tab,), daemon=True) for tab in tabs]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        if not worker.traffic.saw("a race makes one successor", len(got) == 4 and len(set(got)) == 1, got):
            return
        token = got[0]


def replay(worker):
    _, first = worker.login()
    second = worker.good("refresh", first)
    third = worker.good("refresh", second)
    worker.bad("replay", worker.refresh(first), 400, "invalid_grant")
    worker.bad("after a replay", worker.refresh(third), 400, "invalid_grant")
    time.sleep(0.3)


def logout(worker):
    sub, token = worker.login()
    token = worker.good("refresh", token)
    seen = worker.ask("/demo/logout", {"sub": sub})
    worker.traffic.saw("logout", seen == (204, None), seen)
    worker.bad("after a logout", worker.refresh(token), 400, "invalid_grant")
    time.sleep(0.3)


def wrong_credentials(worker):
    _, token = worker.login()
    for _ in range(50):
        bad = worker.bad
        bad("wrong secret", worker.refresh(token, {**TENANT, "client_secret": "guess"}), 400, "invalid_client")
        bad("unknown client", worker.refresh(token, {"client_id": "nobody", "client_secret": "x"}), 400, "invalid_client")
        bad("another client's token", worker.refresh(token, SPA), 400, "invalid_grant")
        bad("wrong Basic", worker.ask("/oauth2/token", {"grant_type": "refresh_token", "refresh_token": token},
                                      headers={**FORM, "Authorization": "Basic eDp5"}), 401, "invalid_client")
        forged = token[:-1] + ("A" if token[-1] != "A" else "B")
        bad("forged token", worker.refresh(forged), 400, "invalid_grant")
        bad("wider scope", worker.ask("/oauth2/token", {"grant_type": "refresh_token", "refresh_token": token,
                                                        "scope": "openid admin", **TENANT}), 400, "invalid_scope")
        time.sleep(0.02)
    worker.good("refresh after all that", token)


def malformed(worker):
    form, ask, bad = "grant_type=refresh_token&refresh_token=x&client_id=SPA_CLIENT_ID", worker.ask, worker.bad
    path = "/oauth2/token"
    bad("64 KiB", ask(path, form + "&pad=" + "x" * 65536), 413, "invalid_request")
    bad("just too long", ask(path, (form + "&pad=").ljust(16385, "x")), 413, "invalid_request")
    bad("as long as may be", ask(path, (form + "&pad=").ljust(16384, "x")), 400, "invalid_grant")
    bad("too many fields", ask(path, form + "".join(f"&a{n}=1" for n in range(100))), 413, "invalid_request")
    bad("a parameter twice", ask(path, form + "&client_id=SPA_CLIENT_ID"), 400, "invalid_request")
    bad("half an escape", ask(path, form + "&a=%4"), 400, "invalid_request")
    bad("no UTF-8", ask(path, form + "&a=%ff"), 400, "invalid_request")
    bad("a NUL", ask(path, form + "&a=%00"), 400, "invalid_request")
    bad("another grant", ask(path, form.replace("refresh_token&", "password&", 1)), 400, "unsupported_grant_type")
    bad("nothing", ask(path, ""), 400, "invalid_request")
    bad("a secret in the query", ask(path + "?client_secret=x", form), 400, "invalid_request")
    bad("JSON", ask(path, "{}", headers={"Content-Type": "application/json"}), 415, "invalid_request")
    bad("PUT", ask(path, form, "PUT"), 405, "invalid_request")
    bad("GET", ask(path, None, "GET", {}), 405, "invalid_request")
    junk = bytes(worker.random.randrange(256) for _ in range(300))
    status, body = ask(path, junk)
    worker.traffic.saw("junk", status == 400 and body == {"error": "invalid_request"}, status, body, junk)
    time.sleep(0.1)


def slow(worker):
    """A good request in small pieces, and one that is never finished."""
    _, token = worker.login()
    body = urllib.parse.urlencode({"grant_type": "refresh_token", "refresh_token": token, **TENANT}).encode()
    head = (b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body))
    with socket.create_connection(("127.0.0.1", worker.traffic.server.port), 30) as line:
        for at in range(0, len(head + body), 40):
            line.sendall((head + body)[at:at + 40])
            time.sleep(0.1)
        reply = read_reply(line)
    worker.traffic.saw("slow", reply.status == 200 and generation(reply.json["refresh_token"]) == 1, reply)
    with socket.create_connection(("127.0.0.1", worker.traffic.server.port), 30) as line:
        line.sendall(head + body[:10])
        time.sleep(0.5)
    worker.good("refresh after a request that was cut", reply.json["refresh_token"])


KINDS = {chain: 4, race: 1, replay: 1, logout: 1, wrong_credentials: 2, malformed: 2, slow: 3}


# --- memory ---

def memory_of(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        lines = dict(line.split(":", 1) for line in status)
    return {name: int(lines[name].split()[0]) for name in ("VmRSS", "VmHWM", "Threads")}


def slope(samples):
    """KiB for each minute, by least squares."""
    middle = sum(t for t, _ in samples) / len(samples)
    mean = sum(kib for _, kib in samples) / len(samples)
    spread = sum((t - middle) ** 2 for t, _ in samples)
    return 60 * sum((t - middle) * (kib - mean) for t, kib in samples) / spread if spread else 0.0


def soak(store, seconds):
    with Server(store=store) as server:
        traffic = Traffic(server, seconds)
        workers = [Worker(traffic, act, f"{act.__name__}{number}") for act, times in KINDS.items() for number in range(times)]
        for worker in workers:
            worker.start()
        begun, samples, logins_at_warm = time.monotonic(), [], None
        warm = begun + seconds * 0.4
        while traffic.is_on():
            time.sleep(min(1.0, seconds / 30))
            if time.monotonic() > warm:
                logins_at_warm = traffic.logins if logins_at_warm is None else logins_at_warm
                samples.append((time.monotonic() - begun, memory_of(server.process)["VmRSS"]))
        for worker in workers:
            worker.join(40)
        seen, count = memory_of(server.process), sum(traffic.answers.values())
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(traffic.answers.items()))
        print(f"--- {store} {seconds:.0f} s, {count} answers: {kinds}")
        check(f"{store} {count} answers are as they must be, none a 5xx", not traffic.wrong and count > 100, traffic.wrong[:5])
        check(f"{store} {traffic.verified} signatures verify", traffic.verified > 4)
        check(f"{store} all workers ended", not [worker for worker in workers if worker.is_alive()])
        if traffic.wrong or len(samples) < 6:
            with open(server.log, encoding="utf-8") as log:
                check(f"{store} the soak went its whole time", False, log.read()[-2000:])
            return
        grown = sum(kib for _, kib in samples[-3:]) / 3 - sum(kib for _, kib in samples[:3]) / 3
        logins = traffic.logins - logins_at_warm
        print(f"--- {store} VmRSS {samples[-1][1]} KiB, {grown:+.0f} KiB over the last 60 % with {logins} new logins, "
              f"slope {slope(samples):+.0f} KiB/min, VmHWM {seen['VmHWM']} KiB, {seen['Threads']} threads, "
              f"{traffic.reopened} idle connections closed by the server")
        check(f"{store} memory stays flat but for the rows of new logins", grown < SLACK_KIB + ROW_KIB * logins,
              f"{grown:.0f} KiB for {logins} logins")
        with open(server.log, encoding="utf-8") as log:
            check(f"{store} no answer was a 503", "answered 503" not in log.read())
        check(f"{store} it ends in peace", server.end() == 0)


def main():
    try:
        minutes = float(sys.argv[1])
    except (IndexError, ValueError):
        sys.exit(__doc__)
    stores = sys.argv[2:] or ["memory:", "sqlite:soak.db"]
    for store in stores:
        soak(store, minutes * 60 / len(stores))
    finish()


main()
