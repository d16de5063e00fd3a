#!/usr/bin/env python3
# tests/hardening/soak.py - good, bad and concurrent traffic for as long as told; every answer is checked, memory too.
# SPDX-License-Identifier: MIT
"""usage: soak.py MINUTES [STORE...]    half of the time for each of memory: and sqlite:, or the stores named
       soak.py --self-test          shows that a wrong answer of any kind is seen, and a leak

Needs REGRANT_SERVER, as tests/server does.
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
from _support import FORM, LONG, TENANT, Server, check, finish, read_reply  # noqa: E402

MEMBERS = ["access_token", "refresh_token", "scope", "id_token", "token_type", "expires_in"]
SPA = {"client_id": "SPA_CLIENT_ID"}
# What a login may cost for good where the store keeps its row in memory.
ROW_KIB = {"memory:": 1}
# What malloc, and SQLite's cache, may keep on top of that once each thread has had its turn.
SLACK_KIB = 4096
# Connections come and go while they are counted.
SLACK_COUNT = 12
# What a soak is to see at least. A busy machine goes on past its time for that, until it has not finished in so long.
LEAST = {"answers": 500, "verified": 5, "samples": 12}
# The server closes connections that are idle for 5 s. One that was asked within so many seconds is not idle.
IDLE = 3


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def generation(token):
    return int.from_bytes(decode(token)[18:22], "big")


class Traffic:
    """What all workers share: where to send, until when, and what was wrong."""

    def __init__(self, server, seconds):
        self.server, self.end = server, time.monotonic() + seconds
        self.samples = []
        self.lock, self.answers, self.logins, self.reopened, self.verified = threading.Lock(), {}, 0, 0, 0
        self.wrong = []
        key = server.request("GET", "/oauth2/jwks").json["keys"][0]
        self.modulus, self.exponent = (int.from_bytes(decode(key[name]), "big") for name in "ne")

    def has_enough(self):
        return (sum(self.answers.values()) >= LEAST["answers"] and self.verified >= LEAST["verified"]
                and len(self.samples) >= LEAST["samples"])

    def is_on(self):
        now = time.monotonic()
        return len(self.wrong) < 20 and (now < self.end or now < self.end + LONG and not self.has_enough())

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
        self.line = http.client.HTTPConnection("127.0.0.1", traffic.server.port, timeout=LONG)
        self.asked = 0

    def run(self):
        while self.traffic.is_on():
            self.take_turn()
        self.line.close()

    def take_turn(self):
        try:
            self.act(self)
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            self.traffic.saw(self.act.__name__, False, repr(error))
            self.line.close()

    def another(self, number):
        """One with a connection of its own, for what happens beside."""
        return Worker(self.traffic, self.act, f"{self.number}.{number}")

    def ask(self, path, fields, method="POST", headers=FORM):
        """One request on this worker's connection; (status, body as JSON or text)."""
        body = urllib.parse.urlencode(fields) if isinstance(fields, dict) else fields
        for attempt in (1, 2):
            was_open = self.line.sock is not None
            # From the last question, not from its answer: the server may have sent that long before it was read.
            quiet, self.asked = time.monotonic() - self.asked, time.monotonic()
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
                    self.traffic.reopened += quiet < IDLE
        if path.startswith("/oauth2/token") and reply.getheader("Cache-Control") != "no-store":
            return "it may be stored", text
        try:
            return reply.status, json.loads(text) if text else None
        except ValueError:
            return reply.status, text

    def login(self, client=TENANT):
        sub = f"user{self.number}-{self.random.getrandbits(40):x}"
        with self.traffic.lock:
            self.traffic.logins += 1
        status, body = self.ask("/demo/login", {"client_id": client["client_id"], "sub": sub, "scope": "openid profile"})
        if not self.traffic.saw("login", status == 200 and list(body) == MEMBERS, status, body):
            raise ValueError("nobody is logged in")
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
        tabs = [worker.another(tab) for tab in range(4)]

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
    with socket.create_connection(("127.0.0.1", worker.traffic.server.port), LONG) as line:
        for at in range(0, len(head + body), 40):
            line.sendall((head + body)[at:at + 40])
            time.sleep(0.1)
        reply = read_reply(line)
    worker.traffic.saw("slow", reply.status == 200 and generation(reply.json["refresh_token"]) == 1, reply)
    with socket.create_connection(("127.0.0.1", worker.traffic.server.port), LONG) as line:
        line.sendall(head + body[:10])
        time.sleep(0.5)
    worker.good("refresh after a request that was cut", reply.json["refresh_token"])


KINDS = {chain: 4, race: 1, replay: 1, logout: 1, wrong_credentials: 2, malformed: 2, slow: 3}


# --- what it costs the server ---

def sample(traffic, begun):
    """What the server's process has now, and what it was asked until now."""
    at = f"/proc/{traffic.server.process.pid}"
    with open(f"{at}/status", encoding="ascii") as status:
        lines = dict(line.split(":", 1) for line in status)
    now = {name: int(lines[name].split()[0]) for name in ("VmRSS", "VmHWM", "Threads")}
    with traffic.lock:
        answers, logins = sum(traffic.answers.values()), traffic.logins
    return {**now, "files": len(os.listdir(f"{at}/fd")), "time": time.monotonic() - begun, "answers": answers,
            "logins": logins}


def growth(samples, name):
    """From the first tenth to the last; the highest of each, for what comes and goes is not always there to be seen."""
    few = max(3, len(samples) // 10)
    return max(each[name] for each in samples[-few:]) - max(each[name] for each in samples[:few])


def slope(samples):
    """KiB of VmRSS for each minute, by least squares."""
    middle, mean = (sum(each[name] for each in samples) / len(samples) for name in ("time", "VmRSS"))
    spread = sum((each["time"] - middle) ** 2 for each in samples)
    return 60 * sum((each["time"] - middle) * (each["VmRSS"] - mean) for each in samples) / spread if spread else 0.0


def growths(samples, row_kib):
    """What must stay flat: its name, by how much it grew, by how much it might."""
    kib = SLACK_KIB + row_kib * growth(samples, "logins")
    return [("VmRSS", growth(samples, "VmRSS"), kib), ("VmHWM", growth(samples, "VmHWM"), kib),
            ("Threads", growth(samples, "Threads"), SLACK_COUNT), ("files", growth(samples, "files"), SLACK_COUNT)]


def soak(store, seconds):
    with Server(store=store) as server:
        traffic = Traffic(server, seconds)
        workers = [Worker(traffic, act, f"{act.__name__}{number}") for act, times in KINDS.items() for number in range(times)]
        for worker in workers:
            worker.start()
        begun, samples = time.monotonic(), traffic.samples
        warm = begun + min(seconds * 0.4, 120)
        while traffic.is_on():
            time.sleep(min(1.0, seconds / 30))
            if time.monotonic() > warm:
                samples.append(sample(traffic, begun))
        for worker in workers:
            worker.join(LONG)
        count = sum(traffic.answers.values())
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(traffic.answers.items()))
        print(f"--- {store} {seconds:.0f} s, {count} answers: {kinds}")
        check(f"{store} {count} answers are as they must be, none a 5xx", not traffic.wrong, traffic.wrong[:5])
        check(f"{store} {traffic.verified} signatures verify, and all of it is done",
              traffic.wrong or traffic.has_enough(), f"it did not finish in {LONG} s more: {len(samples)} samples")
        check(f"{store} all workers ended", not [worker for worker in workers if worker.is_alive()])
        check(f"{store} {traffic.reopened} connections were closed that were not idle", traffic.reopened == 0)
        with open(server.log, encoding="utf-8") as log:
            said = log.read()
        if traffic.wrong or not traffic.has_enough():
            check(f"{store} the soak went its whole time", False, said[-2000:])
            return
        first, last = samples[0], samples[-1]
        print(f"--- {store} from {first['time']:.0f} s to {last['time']:.0f} s, {last['answers'] - first['answers']} "
              f"answers and {last['logins'] - first['logins']} new logins: VmRSS {first['VmRSS']} to {last['VmRSS']} KiB, "
              f"slope {slope(samples):+.0f} KiB/min, VmHWM {last['VmHWM']} KiB, {last['Threads']} threads, "
              f"{last['files']} files")
        for name, grown, may in growths(samples, ROW_KIB.get(store, 0)):
            check(f"{store} {name} stays flat: {grown:+} of {may} that it may grow with new logins", grown <= may)
        check(f"{store} the operator was told of replays and of no 503",
              "answered 503" not in said and "has ended its login" in said, said[-2000:])
        check(f"{store} it ends in peace", server.end() == 0)


# --- whether all that would be seen ---

class Alteration:
    """Alters the nth answer, and says whether that was seen before eight more had come."""

    def __init__(self, nth, alter):
        self.nth, self.alter, self.count, self.was_seen = nth, alter, 0, None


class Altered(Worker):
    """Gets one of its answers altered, or of those of the ones beside it."""

    def __init__(self, traffic, act, number, alteration):
        super().__init__(traffic, act, number)
        self.alteration = alteration

    def another(self, number):
        return Altered(self.traffic, self.act, f"{self.number}.{number}", self.alteration)

    def ask(self, *args, **more):
        status, body = super().ask(*args, **more)
        one = self.alteration
        with self.traffic.lock:
            one.count += 1
            place = one.count
            if place > one.nth + 8 and one.was_seen is None:
                one.was_seen = bool(self.traffic.wrong)
        if place > one.nth + 8:
            raise ValueError("enough is known")
        return one.alter(status, body) if place == one.nth else (status, body)


def another_body(status, body):
    if isinstance(body, dict) and "error" in body:
        return status, {"error": "server_error"}
    return status, {name: text for name, text in (body or {"a": "b"}).items() if name != "id_token"}


def another_token(status, body):
    """The successor with its last byte wrong."""
    token = body["refresh_token"]
    return status, {**body, "refresh_token": token[:-2] + ("BA" if token[-2] == "A" else "AA")}


def altered_answers(server, act, most, alter):
    """Which of the first answers of a turn can be altered unseen; none should."""
    unseen, altered = [], 0
    for nth in range(1, most + 1):
        traffic, one = Traffic(server, 60), Alteration(nth, alter)
        worker = Altered(traffic, act, f"{act.__name__}{nth}", one)
        worker.take_turn()
        worker.line.close()
        if one.count < nth:
            break
        altered += 1
        if not (bool(traffic.wrong) if one.was_seen is None else one.was_seen):
            unseen.append(nth)
    return altered, unseen


def series(**of):
    """Ten minutes of samples, from functions of the second."""
    flat = {"VmRSS": 20000, "VmHWM": 21000, "Threads": 30, "files": 40}
    return [{**{name: of.get(name, lambda t, kib=kib: kib)(t) for name, kib in flat.items()},
             "time": t, "answers": 1000 * t, "logins": 10 * t} for t in range(120, 600)]


def self_test():
    def fails(samples, row_kib=0):
        return [name for name, grown, may in growths(samples, row_kib) if grown > may]

    check("soak: what is flat is flat", not fails(series()))
    check("soak: what goes up and down is flat", not fails(series(VmRSS=lambda t: 20000 + 3000 * (t % 7))))
    check("soak: rows of the memory store may be kept", not fails(series(VmRSS=lambda t: 20000 + 10 * t), 1))
    check("soak: but not those of a database", fails(series(VmRSS=lambda t: 20000 + 10 * t)) == ["VmRSS"])
    check("soak: 50 bytes leaked by each answer are seen",
          fails(series(VmRSS=lambda t: 20000 + 50 * t), 1) == ["VmRSS"])
    check("soak: a peak that climbs is seen", fails(series(VmHWM=lambda t: 21000 + 20 * t)) == ["VmHWM"])
    check("soak: threads that never end are seen", fails(series(Threads=lambda t: 30 + t // 20)) == ["Threads"])
    check("soak: sockets that are never closed are seen", fails(series(files=lambda t: 30 + t // 20)) == ["files"])
    with Server() as server:
        for act, most in ((chain, 12), (race, 12), (replay, 6), (logout, 4), (wrong_credentials, 12), (malformed, 15),
                          (slow, 2)):
            for what, alter in (("a 500", lambda _, body: (500, body)), ("another body", another_body)):
                altered, unseen = altered_answers(server, act, most, alter)
                check(f"soak: {what} is seen, whichever of {altered} answers to {act.__name__} it is",
                      altered > 1 and not unseen, unseen)
        for act in (chain, race):
            altered, unseen = altered_answers(server, act, 8, another_token)
            check(f"soak: another successor is seen in {act.__name__}", altered > 1 and not unseen, unseen)
        traffic = Traffic(server, 60)
        _, token = Worker(traffic, chain, "signed").login()
        answer = server.refresh(token).json
        jwt = answer["access_token"]
        check("soak: an altered signature is seen", traffic.is_signed(jwt) and not traffic.is_signed("x" + jwt))
        server.kill()
        Worker(traffic, chain, "alone").take_turn()
        check("soak: a server that is gone is seen", traffic.wrong)


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        finish()
    try:
        minutes = float(sys.argv[1])
    except (IndexError, ValueError):
        sys.exit(__doc__)
    stores = sys.argv[2:] or ["memory:", "sqlite:soak.db"]
    for store in stores:
        soak(store, minutes * 60 / len(stores))
    finish()


main()
