#!/usr/bin/env python3
"""Breaks one rule of the driver or store at a time: the explorer must find a counterexample, and a short one."""
# SPDX-License-Identifier: MIT
import subprocess
import sys

LONGEST = 12  # moves in a trace that a person still reads

RULES = [
    ("skipped-confirm", "a 200's token is the row's newest"),
    ("expected-plus-one", "a 200's token is the row's newest"),
    ("heal-revives", "a revoked family stays revoked"),
    ("reap-early", "is not forgotten"),
    ("revoke-forgotten", "a replay ends the family"),
]

failed = 0
for rule, promise in RULES:
    done = subprocess.run([sys.argv[1], "--wrong", rule], capture_output=True, text=True)
    moves = done.stdout.count("\n       ")
    good = done.returncode == 1 and promise in done.stdout and 0 < moves <= LONGEST
    failed += not good
    print(f"{'ok  ' if good else 'FAIL'} {rule} is found after {moves} moves")
    if rule == RULES[0][0] or not good:
        print(done.stdout)
print(f"{len(RULES) - failed} passed, {failed} failed")
sys.exit(failed != 0)
