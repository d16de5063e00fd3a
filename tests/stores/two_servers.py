#!/usr/bin/env python3
"""Two example servers on one store refresh the same logins at once: one line of generations.

Run by postgresql_server.py or redis_server.py, which say in the environment where the store is.
"""
# SPDX-License-Identifier: MIT
import os
import pathlib
import re
import sys
import threading
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "server"))
from _support import Server, check, finish  # noqa: E402

LOGINS, ROUNDS = 4, 25


def store_url():
    """What --store takes: PostgreSQL's address comes as NAME=VALUE words."""
    if "REGRANT_REDIS" in os.environ:
        return os.environ["REGRANT_REDIS"]
    words = dict(re.findall(r"(\w+)=(\S+)", os.environ["REGRANT_POSTGRESQL"]))
    return "postgresql:///?" + urllib.parse.urlencode(words)


class Login:
    """A user with a tab on each server; both start each round with the same token."""

    def __init__(self, servers, name):
        self.servers, self.token = servers, servers[0].login(sub=name)
        self.lines, self.refused = [self.token], []

    def refresh_on_both(self):
        for _ in range(ROUNDS):
            answers = [None, None]

            def tab(i):
                answers[i] = self.servers[i].refresh(self.token)

            tabs = [threading.Thread(target=tab, args=(i,)) for i in range(2)]
            for each in tabs:
                each.start()
            for each in tabs:
                each.join()
            self.refused += [a for a in answers if a.status != 200]
            successors = {a.json.get("refresh_token") for a in answers}
            if len(successors) != 1:
                self.refused.append(successors)
            self.token = answers[0].json.get("refresh_token", self.token)
            self.lines.append(self.token)


with Server(store=store_url()) as one, Server(store=store_url(), folder=one.folder) as other:
    logins = [Login((one, other), f"user {i}") for i in range(LOGINS)]
    threads = [threading.Thread(target=login.refresh_on_both) for login in logins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check("two servers on one store give both tabs the same successor, each time (R47, R48)",
          not any(login.refused for login in logins), [login.refused[:3] for login in logins])
    check("and make one line of generations (R48)",
          all(len(set(login.lines)) == ROUNDS + 1 for login in logins), [len(set(login.lines)) for login in logins])
    check("a logout on one server is one on the other (R44, R45, R50)",
          one.post("/demo/logout", {"sub": "user 0"}).status == 204
          and other.refresh(logins[0].token).is_error(400, "invalid_grant"))
    check("and a replay on one ends the login on the other (R38, 9700 4.14.2)",
          one.refresh(logins[1].lines[0]).is_error(400, "invalid_grant")
          and other.refresh(logins[1].token).is_error(400, "invalid_grant"))
finish()
