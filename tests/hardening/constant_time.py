#!/usr/bin/env python3
# tests/hardening/constant_time.py - counts the instructions of secret checks, which must not tell right from wrong.
# SPDX-License-Identifier: MIT
"""Compiles constant_time.cpp, runs it under callgrind, and compares the counts of its functions.

Then the same over copies of the library that compare secrets as one must not: each has to be caught. Instructions are
counted, not cycles: that finds branches and loops that depend on a secret, not caches.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
# Which text was found is told by a branch at the end.
FEW = 8
# An unknown client takes a shorter way through the registry, and nobody's registration has to be held meanwhile: 199
# instructions of 19 805 when this was written, some 40 ns.
LOOKUP = 300

# What one must not do: its name, the header, what is replaced there, by what.
SAME_BYTES = "    std::uint64_t difference = 0;\n"
MUTANTS = [
    ("a memcmp", "secret.hpp", SAME_BYTES, "    return std::memcmp(one.data(), other.data(), one.size()) == 0;\n" + SAME_BYTES),
    ("a loop that stops at the first difference", "secret.hpp", SAME_BYTES,
     "    for (std::size_t i = 0; i != one.size(); ++i) if (one[i] != other[i]) return false;\n" + SAME_BYTES),
    ("a check that is spared for unknown clients", "hash_client_secret.hpp", "    const auto matches = [&](const secret_hash&",
     "    if (check.stored[0].sha256 == secret_hash{}.sha256) return secret_match::neither;\n"
     "    const auto matches = [&](const secret_hash&"),
    ("a second hash that is compared only where the first differs", "hash_client_secret.hpp", "found |= same_bytes(presented.",
"found = found || same_bytes(presented."),
    ("no decoy for the second place", "hash_client_secret.hpp", "            const slow_hash& kept = stored.slow",
     "            if (!stored.slow) continue;\n            const slow_hash& kept = stored.slow"),
]
passed = failed = 0


def check(name, good, *seen):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print("ok    " if good else "FAILED", "constant time:", name, *([] if good else seen), flush=True)


def counts(include, folder, *options):
    """The instructions of each function, by its name."""
    binary = folder / "constant_time"
    launcher = ["ccache"] if shutil.which("ccache") else []
    subprocess.run([*launcher, "g++", "-std=c++20", "-O2", "-g0", *options, f"-I{include}", "-c", "-o", f"{binary}.o",
                    str(TOP / "tests/hardening/constant_time.cpp")], check=True)
    subprocess.run(["g++", "-o", str(binary), f"{binary}.o", "-lcrypto"], check=True)
    done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", "--collect-atstart=no",
                           "--toggle-collect=counted_*", str(binary)],
                          capture_output=True, text=True, env={**os.environ, "LD_BIND_NOW": "1"}, check=False)
    if done.returncode != 0:
        sys.exit(f"valgrind failed: {done.stderr}")
    # main's calls, each with the cost of all that was done below it. A name is written once, then its number stands for it.
    text = (folder / "out").read_text(encoding="utf-8")
    names = dict(re.findall(r"^c?fn=\((\d+)\) counted_(\w+)$", text, re.M))
    calls = re.findall(r"^cfn=\((\d+)\).*\ncalls=1 .*\n\S+ (\d+)$", text, re.M)
    return {names[number]: int(cost) for number, cost in calls if number in names}


def spread(found, *names):
    return max(found[n] for n in names) - min(found[n] for n in names)


MATCHES = ("match_right", "match_second", "match_first_byte_wrong", "match_last_byte_wrong", "match_unknown_client")


SLOW = ("slowly_right", "slowly_wrong", "slowly_wrong_of_two", "slowly_slow_and_fast", "slowly_fast_wrong",
        "slowly_unknown_client")
# Another slow hash would be 45 000 even at the ten rounds that are counted here.
SLOW_FEW = 40


def shows(found):
    """Whether the counts of secret checks tell anything."""
    return (spread(found, *MATCHES) > FEW or spread(found, *SLOW) > SLOW_FEW or
            spread(found, "match_first_byte_wrong", "match_last_byte_wrong", "match_unknown_client") != 0)


def counts_of_mutant(mutant):
    """Nothing where the place to be replaced is not there once."""
    _, header, old, new = mutant
    with tempfile.TemporaryDirectory() as folder:
        include = Path(folder) / "include"
        shutil.copytree(TOP / "include", include)
        path = include / "regrant" / header
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(old, new), encoding="utf-8")
        return counts(include, Path(folder), "-DMATCHES_ALONE") if text.count(old) == 1 else None


def main():
    with tempfile.TemporaryDirectory() as folder:
        found = counts(TOP / "include", Path(folder))
    for name, count in found.items():
        print(f"       {count:8} instructions: {name}")
    check("every function was counted", len(found) == 17 and all(count > 100 for count in found.values()), found)
    check("right or wrong, first or second, known or not: a secret's check costs the same (R20, R31)", not shows(found))
    check("as many slow hashes are computed for a known client as for an unknown one, right or wrong (R20)",
          spread(found, *SLOW) <= SLOW_FEW)
    check("where a wrong secret differs does not show in the endpoint (R20)",
          spread(found, "respond_first_byte_wrong", "respond_last_byte_wrong") <= FEW)
    check("an unknown client shows by no more than the registry's look-up (R20)",
          spread(found, "respond_first_byte_wrong", "respond_unknown_client", "respond_wrong_method") <= LOOKUP)
    ratio = found["at_once_remembered"] / found["at_once_fast"]
    check(f"a remembered slow secret costs {ratio:.2f} of a fast check, not more than twice and a bit (R31)", ratio <= 2.2)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for (name, *_), broken in zip(MUTANTS, pool.map(counts_of_mutant, MUTANTS)):
            check(f"{name} would be seen (R20, R31)", broken and shows(broken), broken or "its place is not known")
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
