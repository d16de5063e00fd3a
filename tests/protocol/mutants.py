#!/usr/bin/env python3
"""Makes small wrong changes to the rules, one at a time, and shows which test catches each.

Every mutant names the clause that it breaks; it counts as caught when a test whose name cites that clause fails. A
mutant that survives, or that does not compile, fails the run: the mend is a test, not a shorter list.

    tests/protocol/mutants.py             all of them
    tests/protocol/mutants.py NAME...     only those whose name contains one of the words
    tests/protocol/mutants.py --explorer NAME...
                                          by the explorer alone, with its counterexample
Whichever are chosen, all must find the text that they change.
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

TOP = pathlib.Path(__file__).resolve().parents[2]
FLOW = ("unit/refresh_flow", "protocol/explorer")
CLIENT = ("unit/client_authentication", "unit/token_endpoint")
KEYS = ("unit/token_keyring",)
WIRE = ("unit/token_request", "unit/token_endpoint")

# name, header, the clause it breaks, the programs that should notice, then pairs of (as it is, as it is wrong)
MUTANTS = [
    ("a window of zero is open at age zero", "refresh_flow", "R49", FLOW,
     ("duration::zero()) < rules->retry_window", "duration::zero()) <= rules->retry_window")),
    ("a row from the future keeps its window", "refresh_flow", "R49", FLOW,
     ("if (login.used_at > now + rules->max_skew) return false;", "")),
    ("a row at exactly max_skew has no window", "refresh_flow", "R49", FLOW,
     ("login.used_at > now + rules->max_skew", "login.used_at >= now + rules->max_skew")),
    ("a negative age opens even a window of zero", "refresh_flow", "R49", FLOW,
     ("(std::max)(now - login.used_at, instant::duration::zero())", "(now - login.used_at)")),
    ("a retry restarts the window", "refresh_flow", "R49", FLOW,
     ("login.current, login.current, login.used_at}", "login.current, login.current, now}")),
    ("any client may use the token", "refresh_flow", "R33", FLOW,
     ("if (login.client_id() != asking.client_id) return", "if (false) return")),
    ("reuse is judged before the client", "refresh_flow", "R33", FLOW,
     ("if (login.client_id() != asking.client_id) return",
      "if (presented < login.current) return unexpected(reason::replayed);\n"
      "    if (login.client_id() != asking.client_id) return")),
    ("a bound token works without its key", "refresh_flow", "9700 2.2.2", FLOW,
     ("if (!login.confirmation().empty() &&", "if (false &&")),
    ("a revoked family is judged like a live one", "refresh_flow", "R32", FLOW,
     ("if (login.state == revocation::revoked) return", "if (false) return")),
    ("the policy's not_before is not looked at", "refresh_flow", "R44", FLOW,
     ("if (login.issued_at < rules->not_before.value_or((instant::min)()) ||\n        ", "if (")),
    ("the client's not_before is not looked at", "refresh_flow", "R44", FLOW,
     ("||\n        login.issued_at < asking.not_before.value_or((instant::min)()))", ")")),
    ("the absolute limit ends a millisecond late", "refresh_flow", "R43", FLOW,
     ("now >= (std::min)(login.expires_at", "now > (std::min)(login.expires_at")),
    ("a shortened absolute limit spares old logins", "refresh_flow", "R43", FLOW,
     ("(std::min)(login.expires_at, login.issued_at + rules->absolute_lifetime)", "login.expires_at")),
    ("the idle limit ends a millisecond late", "refresh_flow", "R42", FLOW,
     ("now >= login.used_at + rules->idle_lifetime", "now > login.used_at + rules->idle_lifetime")),
    ("the idle limit counts from the login", "refresh_flow", "R42", FLOW,
     ("now >= login.used_at + rules->idle_lifetime", "now >= login.issued_at + rules->idle_lifetime")),
    ("two generations back is repeatable", "refresh_flow", "R38", FLOW,
     ("distance(presented, login.current) == 1", "distance(presented, login.current) <= 2")),
    ("an echoing client's older token is repeatable", "refresh_flow", "R41", FLOW,
     ("rotates && distance(presented, login.current) == 1", "distance(presented, login.current) == 1")),
    ("an echoing client's generation is not compared", "refresh_flow", "R41", FLOW,
     ("if (presented < login.current) {", "if (rotates && presented < login.current) {")),
    ("the predecessor is never repeatable", "refresh_flow", "R47", FLOW,
     ("distance(presented, login.current) == 1;", "distance(presented, login.current) == 0;")),
    ("the last generation wraps", "refresh_flow", "R53", FLOW,
     ("if (presented == last_generation && rotates) return", "if (false) return")),
    ("healing knows no limit", "refresh_flow", "R53", FLOW,
     ("if (!rules->heal.allows(distance(login.current, presented))) return", "if (false) return")),
    ("a healed row moves by one", "refresh_flow", "R53", FLOW,
     ("return write_order{write_kind::heal, login.key, login.current, following, now};",
      "return write_order{write_kind::heal, login.key, login.current, next(login.current), now};")),
    ("a row behind its token is a replay", "refresh_flow", "R53", FLOW,
     ("return unexpected(reason::row_too_far_behind);", "return unexpected(reason::replayed);")),
    ("an echoing client's token rotates", "refresh_flow", "R41", FLOW,
     ("const generation following = rotates ? next(presented) : presented;",
      "const generation following = next(presented);")),
    ("a replay does not end the family", "refresh_flow", "R38", FLOW,
     ("if (!order && order.error() == reason::replayed) return revoking_family(std::move(so_far_));", "")),
    ("a lost race is told as a replay", "refresh_flow", "R47", FLOW,
     ("order.error() == reason::replayed ? reason::race_lost : order.error()", "order.error()")),
    ("a lost race is not tried again", "refresh_flow", "R47", FLOW,
     ("most_reloads = 3;", "most_reloads = 0;")),
    ("a lost race is tried for ever", "refresh_flow", "R47", FLOW,
     ("most_reloads = 3;", "most_reloads = 300;")),
    ("a write that was refused is answered 200", "refresh_flow", "R50", FLOW,
     ("if (outcome == advance_outcome::advanced) {", "if (outcome <= advance_outcome::refused) {")),
    ("a denied account refreshes", "refresh_flow", "R46", FLOW,
     ("if (standing == account_standing::denied) return", "if (false) return")),
    ("a client may use any grant type", "refresh_flow", "R30", FLOW,
     ('if (!request.client->may_use("refresh_token")) return', "if (false) return")),
    ("a scope beyond the granted one is answered", "refresh_flow", "R56", FLOW,
     ("if (!answered.holds_all_of(*asked)) return", "if (false) return")),
    ("a malformed scope counts as absent", "refresh_flow", "R59", FLOW,
     ("if (!asked) return unexpected(reason::scope_malformed);", "if (!asked) return answered;")),
    ("a narrowed scope is not narrowed", "refresh_flow", "R57", FLOW,
     ("answered = answered.common_with(*asked);", "")),
    ("a withdrawn scope stays", "refresh_flow", "R61", FLOW,
     ("answered = answered.common_with(so_far.request->client->scope);", "")),
    ("an empty scope is answered", "refresh_flow", "R61", FLOW,
     ("if (answered.empty()) return", "if (false) return")),
    ("scope is judged before the account", "refresh_flow", "R46", FLOW,
     ("    if (standing == account_standing::denied) return unexpected(refused(reason::account_denied));\n"
      "    auto scope = judge_scope(so_far_);\n    if (!scope) return unexpected(refused(scope.error()));\n",
      "    auto scope = judge_scope(so_far_);\n    if (!scope) return unexpected(refused(scope.error()));\n"
      "    if (standing == account_standing::denied) return unexpected(refused(reason::account_denied));\n")),

    ("an expired secret works", "client_authentication", "R31", CLIENT,
     ("(!each.expires_at || now_ < *each.expires_at)", "true")),
    ("a secret works at the moment it expires", "client_authentication", "R31", CLIENT,
     ("now_ < *each.expires_at", "now_ <= *each.expires_at")),
    ("only the first secret works", "client_authentication", "R31", CLIENT,
     ("slot != check.stored.size()", "slot == 0")),
    ("any method will do", "client_authentication", "R17", CLIENT,
     ("if (known_->policy.method() != sent_.method) return", "if (false) return")),
    ("every client is lenient", "client_authentication", "R19", CLIENT,
     ("&& known_->decoding == basic_decoding::lenient", "")),
    ("no client is lenient", "client_authentication", "R19", CLIENT,
     ("known_->decoding == basic_decoding::lenient", "false")),
    ("a wrong secret works", "client_authentication", "R20", CLIENT,
     ("if (!by_the_book && !leniently) return", "if (false) return")),
    ("two mechanisms are accepted", "client_authentication", "R16", CLIENT,
     ("if (authorization.is_repeated() || (is_basic && request.client_secret()))", "if (authorization.is_repeated())")),
    ("two Authorization headers are accepted", "client_authentication", "R16", CLIENT,
     ("authorization.is_repeated() || ", "")),
    ("another client_id beside Basic is accepted", "client_authentication", "R16", CLIENT,
     ("if (request.client_id() && *request.client_id() != sent.client_id)", "if (false)")),
    ("a confidential client needs no secret", "client_authentication", "R20", CLIENT,
     ("if (!known->policy.is_public()) return", "if (false) return")),
    ("an unknown client is not checked", "client_authentication", "R20", CLIENT,
     ("if (sent_.method != auth_method::none) return", "if (sent_.method != auth_method::none && known) return")),
    ("a Basic failure is not challenged", "client_authentication", "R21", CLIENT,
     ("method == auth_method::client_secret_basic ? challenge::basic", "false ? challenge::basic")),

    ("the seal leaves the generation out", "token_keyring", "R39", KEYS,
     ("bytes.data(), signed_bytes);",
      "bytes.data(), signed_bytes - 4);\n        std::memset(text.data() + text.size() - 4, 0, 4);")),
    ("half the seal is compared", "token_keyring", "R39", KEYS,
     ("same_bytes(mac, std::span(bytes).template last<mac_bytes>())",
      "same_bytes(std::span(mac).template first<16>(), std::span(bytes).template last<mac_bytes>().template first<16>())")),
    ("a wrong seal is accepted", "token_keyring", "R39", KEYS,
     ("if (!ours) return nothing(unopened::not_ours);", "")),
    ("two keys may share an id", "token_keyring", "R54", KEYS,
     ("if (ring.find(key.id) != nullptr)", "if (false)")),
    ("the last key mints", "token_keyring", "R54", KEYS,
     ("keys_.front()", "keys_.back()")),
    ("the row's key is the family itself", "token_keyring", "R36", KEYS,
     ("return row_key{*hashed};", "row_key plain; for (std::size_t i = 0; i != family_id::size_bytes; ++i) "
      "plain.bytes[i] = family.bytes()[i]; return plain;")),
    ("a short token key is accepted", "token_keyring", "R54", KEYS,
     ("least_bytes = 32", "least_bytes = 16")),

    ("any method is a POST", "token_request", "R1", WIRE,
     ('if (request.method != "POST") return', "if (false) return")),
    ("any media type is a form", "token_request", "R2", WIRE,
     ("if (request.content_type.differs() || !charset) return", "if (false) return")),
    ("a repeated name takes the first value", "token_request", "R7", WIRE,
     ('if (parsed->repeats_a_name("resource")) return', "if (false) return")),
    ("resource may not repeat", "token_request", "R7", WIRE,
     ('repeats_a_name("resource")', "repeats_a_name()")),
    ("secrets may stand in the query", "token_request", "R8", WIRE,
     ("if (has_secret(request.query.reveal())) return", "if (false) return")),
    ("any grant type is a refresh", "token_request", "R11", WIRE,
     ('if (*asked.grant_type_ != "refresh_token") return', "if (false) return")),

    ("a row of any time is inserted over", "memory_store", "R50", ("unit/memory_store",),
     ("rows_.emplace(row.key, row)", "rows_.insert_or_assign(row.key, row)")),
    ("a revoked row advances", "memory_store", "R50", ("unit/memory_store",),
     ("row.state == revocation::revoked || row.current != expected", "row.current != expected")),
    ("a moved row advances", "memory_store", "R47", ("unit/memory_store",),
     ("row.state == revocation::revoked || row.current != expected", "row.state == revocation::revoked")),
    ("a row's time goes back", "memory_store", "R49", ("unit/memory_store",),
     ("row.used_at = (std::max)(row.used_at, now);", "row.used_at = now;")),
    ("reap takes the living", "memory_store", "R38", ("unit/memory_store",),
     ("entry.second.expires_at < now", "entry.second.used_at < now")),

    ("a grant rotates whatever its client is", "login", "R41", ("unit/login", "unit/token_endpoint"),
     ("row.rotation = asking.policy.rotation();", "")),
    ("a login may exceed the client's scope", "login", "R59", ("unit/begin_family",),
     ("if (!asking.scope.holds_all_of(*granted)) return", "if (false) return")),
    ("a row is written before it is signed", "begin_family", "R52", ("unit/begin_family", "protocol/faults"),
     ("    auto minted = issuer.mint(minting->ask());",
      "    (void)store.insert(minting->ask().login);\n    auto minted = issuer.mint(minting->ask());")),
]

FLAGS = ["-std=c++20", "-O0", "-w"]
LIBRARIES = ["-lcrypto", "-lpthread"]
COMPILER = [os.environ.get("CXX", "g++")]
if shutil.which("ccache"):
    COMPILER.insert(0, "ccache")


def compile_object(source, include, target):
    command = [*COMPILER, *FLAGS, "-I", str(include), "-I", str(TOP / "tests/unit"), "-c", str(source), "-o", str(target)]
    return subprocess.run(command, capture_output=True, text=True)


def failing_tests(program, include, room, main_object):
    """Builds and runs one program; gives the names of the tests that fail, or None if it does not compile."""
    made = room / "program.o"
    built = compile_object(TOP / "tests" / (program + ".cpp"), include, made)
    if built.returncode != 0:
        return None, built.stderr
    objects = [str(made)] + ([] if program == "protocol/explorer" else [str(main_object)])
    subprocess.run(["g++", *objects, "-o", str(room / "program"), *LIBRARIES], check=True)
    try:
        done = subprocess.run([str(room / "program")], capture_output=True, text=True, timeout=600)
        output = done.stdout
        crashed = done.returncode not in (0, 1)
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode()
        crashed = True
    names = re.findall(r"^(?:TEST CASE:|     broken:) *(.*)", output, re.MULTILINE)
    # doctest prints a message of a passing test under its name too.
    failed = [name for name in dict.fromkeys(names) if "ERROR" in output or "broken:" in output]
    return failed + (["(the program ended badly)"] if crashed else []), output


def cites(name, clause):
    """Whether a test name cites R47 as R47, R45/R47 or R44-R50."""
    if not re.fullmatch(r"R\d+", clause):
        return clause in name
    wanted = int(clause[1:])
    for first, last in re.findall(r"R(\d+)(?:\s*-\s*R?(\d+))?", name):
        if int(first) <= wanted <= int(last or first):
            return True
    return False


def judge(mutant, include, main_object, by_explorer):
    name, header, clause, programs, *changes = mutant
    if by_explorer:
        programs = ("protocol/explorer",)
    text = (include / "regrant" / f"{header}.hpp").read_text()
    for as_is, wrong in changes:
        if as_is not in text:
            return f"FAIL {name}: the text to change is gone from {header}.hpp"
        text = text.replace(as_is, wrong)
    with tempfile.TemporaryDirectory() as folder:
        room = pathlib.Path(folder)
        shutil.copytree(include, room / "include")
        (room / "include/regrant" / f"{header}.hpp").write_text(text)
        noticed = []
        for program in programs:
            failed, output = failing_tests(program, room / "include", room, main_object)
            if failed is None:
                return f"FAIL {name}: does not compile\n{output[:600]}"
            noticed += failed
            citing = [test for test in failed if cites(test, clause)]
            if citing:
                # Of the explorer's counterexamples the one that belongs to the promise.
                trace = output.split(citing[0], 1)[1].split("FAIL", 1)[0].split("\nok ", 1)[0]
                return f"ok   {name}: {citing[0]}" + (trace.rstrip() if by_explorer else "")
        if noticed:
            return f"FAIL {name}: noticed, but by no test that cites {clause}: {noticed[0]}"
        return f"FAIL {name}: survives ({clause})"


def lost():
    """Mutants whose text is gone from its header: they would show nothing, though nobody breaks the rule."""
    return [name for name, header, _, _, *changes in MUTANTS
            if any(as_is not in (TOP / f"include/regrant/{header}.hpp").read_text() for as_is, _ in changes)]


def main():
    gone = lost()
    print(f"FAIL these find nothing to change: {'; '.join(gone)}" if gone else
          f"ok   each of {len(MUTANTS)} mutants finds what it changes", flush=True)
    words = sys.argv[1:]
    by_explorer = words[:1] == ["--explorer"]
    words = words[by_explorer:]
    chosen = [m for m in MUTANTS if not words or any(word.replace("_", " ") in m[0] for word in words)]
    with tempfile.TemporaryDirectory() as folder:
        main_object = pathlib.Path(folder) / "main.o"
        built = compile_object(TOP / "tests/unit/main.cpp", TOP / "include", main_object)
        if built.returncode != 0:
            sys.exit(built.stderr)
        passed, failed = (0, 1) if gone else (1, 0)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for line in pool.map(lambda m: judge(m, TOP / "include", main_object, by_explorer), chosen):
                print(line, flush=True)
                passed, failed = passed + line.startswith("ok"), failed + line.startswith("FAIL")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
