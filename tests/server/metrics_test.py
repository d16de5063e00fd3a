# tests/server/metrics_test.py - the counters of GET /metrics move with each decision, and tell nothing else.
# SPDX-License-Identifier: MIT
import base64
import re

from _support import TENANT, Server, check, finish

SAMPLE = re.compile(r'[a-z_]+(\{[a-z]+="[a-z_0-9]*"(,[a-z]+="[a-z_0-9]*")*\})? \d+')


def read(server):
    """The samples by name and labels, and the text they stood in."""
    reply = server.request("GET", "/metrics")
    text = reply.body.decode()
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: int(value) for name, value in samples.items()}, text, reply


def decided(asked, outcome="good", reason=""):
    return f'regrant_decisions_total{{asked="{asked}",outcome="{outcome}",reason="{reason}"}}'


def written(asked, kind):
    return f'regrant_writes_total{{asked="{asked}",written="{kind}"}}'


def main():
    with Server() as server:
        before, text, reply = read(server)
        check("metrics are Prometheus' text format (R75)",
              reply.status == 200 and reply.header("Content-Type") == "text/plain; version=0.0.4"
              and all(line.startswith(("# HELP ", "# TYPE ")) or SAMPLE.fullmatch(line) for line in text.splitlines()),
              reply)
        check("before anything happened all counters are zero (R75)", before and not any(before.values()), before)

        tokens = [server.login(scope="openid")]

        def moves(name, act, **expected):
            """One act moves exactly these counters, each by one unless told otherwise."""
            old, _, _ = read(server)
            act()
            new, _, _ = read(server)
            moved = {key: new[key] - old.get(key, 0) for key in new if new[key] != old.get(key, 0)}
            wanted = {key: 1 for key in expected["by_one"]} | expected.get("more", {})
            check(name, moved == wanted, moved, wanted)

        def refresh(token, **client):
            reply = server.refresh(token, client or TENANT)
            tokens.append(reply.json.get("refresh_token", ""))
            return reply

        moves("a login counts as an insert (R75)", lambda: tokens.append(server.login()),
              by_one=[decided("login"), written("login", "insert")])
        first = server.login()
        moves("a refresh counts as a rotation (R75)", lambda: refresh(first),
              by_one=[decided("refresh"), written("refresh", "rotate")])
        moves("a lost answer counts as a repeat (R47/R48, R75)", lambda: refresh(first),
              by_one=[decided("refresh"), written("refresh", "repeat")])
        refresh(tokens[-1])
        moves("a replay counts as one, and as a revoke (R38, R75)", lambda: refresh(first),
              by_one=[decided("refresh", "invalid_grant", "replayed"), written("refresh", "revoke")])
        moves("what only looks revoked is no replay (R75)", lambda: refresh(first),
              by_one=[decided("refresh", "invalid_grant", "revoked")])
        moves("a wrong secret counts by its private reason (R20, R75)",
              lambda: refresh(first, client_id="TENANT_CLIENT_ID", client_secret="wrong-secret"),
              by_one=[decided("refresh", "invalid_client", "secret_wrong")])
        moves("an unknown client makes no series of its own (R20, R75)",
              lambda: refresh(first, client_id="made-up-client", client_secret="made-up-secret"),
              by_one=[decided("refresh", "invalid_client", "client_unknown")])
        moves("a forged token counts (R39, R75)", lambda: refresh("A" * 72),
              by_one=[decided("refresh", "invalid_grant", "token_not_ours")])
        server.login(sub="bob"), server.login(sub="bob")
        moves("a logout of all counts its families (R44/R45, R75)",
              lambda: server.post("/demo/logout", {"sub": "bob"}),
              by_one=[decided("revoke_subject"), written("revoke_subject", "revoke")],
              more={"regrant_families_ended_total": 2})

        _, text, _ = read(server)
        never = ["TENANT_CLIENT_SECRET", "wrong-secret", "made-up", "alice", "bob", "TENANT_CLIENT_ID"]
        for token in filter(None, [first, *tokens]):
            raw = base64.urlsafe_b64decode(token)
            family = raw[2:18]
            never += [token, token[:24], family.hex(), base64.b64encode(family).decode()[:20]]
        check("no token, family, secret, user or client stands in the metrics (R75, R76)",
              not [each for each in never if each in text], [each for each in never if each in text])
    finish()


if __name__ == "__main__":
    main()
