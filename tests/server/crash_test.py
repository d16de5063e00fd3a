# tests/server/crash_test.py - the server killed amid a stream of refreshes, and a store that is locked.
# SPDX-License-Identifier: MIT
import base64
import contextlib
import hashlib
import http.client
import os
import random
import shutil
import sqlite3
import threading
import time

from _support import LONG, Server, check, finish, new_folder, until

CLIENTS, ROUNDS = 8, 10
STORE = "sqlite:regrant.db"


class Client(threading.Thread):
    """Refreshes on and on, as a client does that keeps its token in a file: the newest it has received."""

    def __init__(self, server, token, sub):
        super().__init__()
        self.server, self.token, self.sub, self.answers, self.refused = server, token, sub, 0, None

    def run(self):
        while self.refused is None:
            try:
                reply = self.server.refresh(self.token)
            except (OSError, http.client.HTTPException):
                return
            if reply.status == 200 and "refresh_token" in reply.json:
                self.token = reply.json["refresh_token"]
                self.answers += 1
            else:
                self.refused = reply


def killed_amid_refreshes():
    folder = new_folder()
    start = lambda: Server("--retry-window", "3600", folder=folder, store=STORE)
    server = start()
    tokens = [server.login(sub=f"user{number}") for number in range(CLIENTS)]
    dead = server.login(sub="mallory")
    logged_out = server.post("/demo/logout", {"sub": "mallory"}).status == 204
    replayed = [server.login(sub="eve")]
    for _ in range(2):
        replayed.append(server.refresh(replayed[-1]).json["refresh_token"])
    server.refresh(replayed[0])
    answers, lost, refused, last = 0, 0, [], []
    for round_ in range(ROUNDS):
        clients = [Client(server, token, f"user{number}") for number, token in enumerate(tokens)]
        for client in clients:
            client.start()
        # At a moment that nobody chose, but amid answers: each round is to have some.
        enough = random.randint(CLIENTS, 12 * CLIENTS)
        check_finished(until(lambda: sum(client.answers for client in clients) >= enough
                             or any(client.refused for client in clients)), f"round {round_}")
        leaver = clients[round_ % CLIENTS] if round_ % 2 else None
        if leaver:  # answered at the last moment, and yet it must last
            logged_out = logged_out and server.post("/demo/logout", {"sub": leaver.sub}).status == 204
        server.kill()
        for client in clients:
            client.join()
        answers += sum(client.answers for client in clients)
        refused += [client.refused for client in clients if client.refused and client is not leaver]
        ahead = generations(folder)
        server = start()
        tokens = []
        for number, client in enumerate(clients):
            if client is leaver:
                last.append(client.token)
                tokens.append(server.login(sub=f"user{number}"))
                continue
            lost += ahead[row_key(client.token)] > generation(client.token)
            reply = server.refresh(client.token)
            good = reply.status == 200 and generation(reply.json["refresh_token"]) == generation(client.token) + 1
            if not good:
                refused.append(reply)
            tokens.append(reply.json["refresh_token"] if good else client.token)
    check(f"after {ROUNDS} kills amid {answers} refreshes, {lost} answers lost, every client goes on with its newest token "
          "or the one before (R47, R48, R51)", not refused and answers >= ROUNDS * CLIENTS, refused)
    check("who was logged out stays out (R50)",
          logged_out and all(server.refresh(token).is_error(400, "invalid_grant") for token in [dead, *last]))
    check("and so does a family that was replayed (R38)",
          all(server.refresh(token).is_error(400, "invalid_grant") for token in replayed))
    check("the store is sound", sqlite3.connect(os.path.join(folder, "regrant.db")).execute("PRAGMA integrity_check")
          .fetchone() == ("ok",))
    check("no key was left half made", not [name for name in os.listdir(folder) if name.startswith("regrant-")
                                            and name not in ("regrant-signing.pem", "regrant-token.key")])
    check("it still ends in peace", server.end() == 0)


def check_finished(finished, what):
    if not finished:
        check(what, False, f"it did not finish in {LONG} s")


def generation(token):
    return int.from_bytes(base64.urlsafe_b64decode(token)[18:22], "big")


def row_key(token):
    return hashlib.sha256(base64.urlsafe_b64decode(token)[2:18]).digest()


def generations(folder):
    """What a killed server has left in its store, read from a copy, so that the next one finds it as it was."""
    copy = new_folder()
    for name in ("regrant.db", "regrant.db-wal"):
        shutil.copy(os.path.join(folder, name), copy)
    with contextlib.closing(sqlite3.connect(os.path.join(copy, "regrant.db"))) as store:
        return dict(store.execute("SELECT key, current FROM family"))


def locked():
    # A machine that is so busy that nothing is answered while the store is locked shows nothing: then once more.
    for _ in range(5):
        if locked_once():
            return
    check("while the store is locked, what needs no write is answered", False, "not once in five times")


def locked_once():
    """Whether something was answered while the three that need the store waited."""
    with Server(store=STORE) as server:
        token = server.login()
        answers = {}
        line = sqlite3.connect(os.path.join(server.folder, "regrant.db"), isolation_level=None)
        line.execute("BEGIN IMMEDIATE")

        def ask(name, how):
            begun = time.monotonic()
            answers[name] = how(), time.monotonic() - begun

        asking = [threading.Thread(target=ask, args=("refresh", lambda: server.refresh(token))),
                  threading.Thread(target=ask, args=("login", lambda: server.post(
                      "/demo/login", {"client_id": "TENANT_CLIENT_ID", "sub": "bob", "scope": "openid"}))),
                  threading.Thread(target=ask, args=("logout", lambda: server.post("/demo/logout", {"sub": "bob"})))]
        for each in asking:
            each.start()
        seen = []
        while not answers:
            reply = server.refresh("x")
            if not answers:
                seen.append(reply)
        for each in asking:
            each.join()
        if not seen:
            return False
        check("while the store is locked, what needs no write is answered",
              all(reply.is_error(400, "invalid_grant") for reply in seen), seen[:3], answers)
        reply, taken = answers["refresh"]
        check("a locked store gives 503 with Retry-After (R51)",
              reply.is_error(503, "temporarily_unavailable") and reply.header("Retry-After").isdigit(), reply)
        check("after the busy timeout of 5 s, not before", taken > 4.5, f"{taken:.1f} s")
        check("Retry-After is below half the retry window (R51)", int(reply.header("Retry-After") or 99) < 15, reply)
        check("a login and a logout get 503 too, and no answer tells why (R76)",
              all(answers[name][0].is_error(503, "temporarily_unavailable") for name in ("login", "logout")), answers)
        line.execute("ROLLBACK")
        line.close()
        check("afterwards the same token works (R51)", server.refresh(token).status == 200)
        with open(server.log, encoding="utf-8") as log:
            check("the operator is told why", "warning: answered 503, store_unavailable" in log.read())
    return True


# The second one only waits, so both can go at once.
waiting = threading.Thread(target=locked)
waiting.start()
killed_amid_refreshes()
waiting.join()
finish()
