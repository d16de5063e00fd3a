#!/usr/bin/env python3
"""Breaks one rule of the library at a time: the endpoint target must find each within a minute.

    tests/fuzz/negative.py             all of them
    tests/fuzz/negative.py NAME...     only those whose name contains one of the words
    tests/fuzz/negative.py --bare ...  without the committed corpus, from nothing

Each is compiled against a copy of include/, without the sanitizers: it is the oracle that must notice. A rule that is
broken and not noticed, or that does not compile, fails the run.
"""
# SPDX-License-Identifier: MIT
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
SECONDS = 60

# name, header, the clause it breaks, then pairs of (as it is, as it is wrong)
WRONGS = [
    ("the retry window ends a moment late", "refresh_flow", "R49",
     ("instant::duration::zero()) < rules->retry_window", "instant::duration::zero()) <= rules->retry_window")),
    ("a retry restarts the window", "refresh_flow", "R49",
     ("login.current, login.current, login.used_at}", "login.current, login.current, now}")),
    ("a row from the future keeps its window", "refresh_flow", "R49",
     ("if (login.used_at > now + rules->max_skew) return false;", "")),
    ("reuse is judged before the client", "refresh_flow", "R33",
     ("if (login.client_id() != asking.client_id) return",
      "if (presented < login.current) return unexpected(reason::replayed);\n"
      "    if (login.client_id() != asking.client_id) return")),
    ("a replay does not end the family", "refresh_flow", "R38",
     ("if (!order && order.error() == reason::replayed) return revoking_family(std::move(so_far_));", "")),
    ("a lost race is not tried again", "refresh_flow", "R47", ("most_reloads = 3;", "most_reloads = 0;")),
    ("the absolute limit ends a moment late", "refresh_flow", "R43",
     ("now >= (std::min)(login.expires_at", "now > (std::min)(login.expires_at")),
    ("scope is judged before the account", "refresh_flow", "R46",
     ("    if (standing == account_standing::denied) return unexpected(refused(reason::account_denied));\n"
      "    auto scope = judge_scope(so_far_);\n    if (!scope) return unexpected(refused(scope.error()));\n",
      "    auto scope = judge_scope(so_far_);\n    if (!scope) return unexpected(refused(scope.error()));\n"
      "    if (standing == account_standing::denied) return unexpected(refused(reason::account_denied));\n")),
    ("one generation too many is healed", "policy", "R53",
     ("return generations_behind <= generations_;", "return generations_behind <= generations_ + 1ULL;")),
    ("the last generation wraps", "refresh_flow", "R53",
     ("if (presented == last_generation && rotates) return unexpected(reason::generations_exhausted);", "")),
    ("the words of a scope stand as they were asked for", "refresh_flow", "R57",
     ("answered = answered.common_with(*asked);", "answered = *asked;")),
    ("a scope beyond the granted one is answered", "refresh_flow", "R56",
     ("if (!answered.holds_all_of(*asked)) return", "if (false) return")),
    ("empty parameters are dropped before duplicates are counted", "form", "R5",
     ("return each.name != repeatable || repeatable.empty(); };",
      "return !each.value.empty() && (each.name != repeatable || repeatable.empty()); };")),
    ("a NUL is a character", "form", "R4",
     ("if (byte - 1 >= 0xFE)", "if (byte >= 0xFF)")),
    ("a surrogate is UTF-8", "detail/utf8", "R4", ("(lead != 0xED || byte(1) <= 0x9F)", "true")),
    ("one byte too many is read", "form", "R9",
     ("if (body.size() > limits.body_bytes)", "if (body.size() > limits.body_bytes + 1)")),
    ("a 405 has no Allow header", "http_reply", "R1", ('{"Allow", settings', '{"X-Allow", settings')),
    ("a HEAD is answered with a body", "token_endpoint", "R1", ("if (is_head) reply.body.clear();", "(void)is_head;")),
    ("a client that posts its secret is told 401", "client_authentication", "R21",
     ("method == auth_method::client_secret_basic ? challenge::basic", "true ? challenge::basic")),
    ("a secret works at the moment it expires", "client_authentication", "R31",
     ("now_ < *each.expires_at", "now_ <= *each.expires_at")),
    ("two mechanisms are accepted", "client_authentication", "R16",
     ("if (authorization.is_repeated() || request.client_secret())", "if (authorization.is_repeated())")),
    ("a semicolon in quotes ends a parameter", "token_request", "R3",
     ("!text.empty() && text.front() != '\"'; text",
      "!text.empty() && text.front() != '\"' && text.front() != ';'; text")),
    ("an escaped secret may stand in the query", "token_request", "R8",
     ("const auto name = form_decode(text.mutable_text());",
      "const result<std::string_view, form_error> name = text.reveal();")),
    ("an unregistered origin may read", "token_endpoint", "R115",
     ("if (seen.client) return (*seen.client)->allows_origin(origin);", "")),
    ("expires_in is rounded up", "jwt_issuer", "R67",
     ("minted.expires_in = std::chrono::floor<", "minted.expires_in = std::chrono::ceil<")),
]

COMPILER = ["clang++", "-std=c++20", "-O0", "-w", "-fsanitize=fuzzer",
            f"-fsanitize-coverage-ignorelist={TOP / 'tests/fuzz/uncounted.txt'}"]


def story(text):
    """The mismatch, and the last of the steps that led to it."""
    found = re.search(r"^MISMATCH (.*)$", text, re.M)
    if not found:
        return None
    steps = re.findall(r"^  (?! )(.*)$", text[found.end():].split("\n==", 1)[0], re.M)
    return f"{found[1][:150]}, after {len(steps)} steps"


def judge(wrong, bare):
    name, header, clause, *changes = wrong
    with tempfile.TemporaryDirectory() as folder:
        room = pathlib.Path(folder)
        shutil.copytree(TOP / "include", room / "include")
        broken = room / "include/regrant" / f"{header}.hpp"
        text = broken.read_text()
        for as_is, to_be in changes:
            if as_is not in text:
                return f"FAIL {name}: the text to change is gone from {header}.hpp"
            text = text.replace(as_is, to_be)
        broken.write_text(text)
        launcher = ["ccache"] if shutil.which("ccache") else []
        source, made, program = TOP / "tests/fuzz/endpoint.cpp", room / "endpoint.o", room / "endpoint"
        built = subprocess.run([*launcher, *COMPILER, f"-I{room / 'include'}", "-c", source, "-o", made],
                               capture_output=True, text=True)
        if built.returncode != 0:
            return f"FAIL {name}: does not compile\n{built.stderr[:600]}"
        subprocess.run(["clang++", "-fsanitize=fuzzer", made, "-o", program, "-lcrypto"], check=True)
        (room / "corpus").mkdir()
        folders = [str(room / "corpus")] + ([] if bare else [str(TOP / "tests/fuzz/corpus/endpoint")])
        begun = time.monotonic()
        done = subprocess.run([program, "-max_len=300", f"-max_total_time={SECONDS}", "-timeout=30",
                               f"-artifact_prefix={room}/", *folders], capture_output=True, text=True, errors="replace")
        taken = time.monotonic() - begun
        found = story(done.stderr)
        if done.returncode == 0 or found is None:
            return f"FAIL {name}: not noticed in {taken:.0f} s ({clause})\n{done.stderr[-600:]}"
        return f"ok   {name} ({clause}): found in {taken:.1f} s: {found}"


def main():
    words = sys.argv[1:]
    bare = words[:1] == ["--bare"]
    words = words[bare:]
    chosen = [wrong for wrong in WRONGS if not words or any(word.replace("_", " ") in wrong[0] for word in words)]
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for line in pool.map(lambda wrong: judge(wrong, bare), chosen):
            print(line, flush=True)
            passed, failed = passed + line.startswith("ok"), failed + line.startswith("FAIL")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
