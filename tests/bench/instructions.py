# tests/bench/instructions.py - counts instructions of a refresh under callgrind, with a signer that costs nothing.
# SPDX-License-Identifier: MIT
#
#   instructions.py PATH-OF-regrant_smoke [--table]
import sys

import callgrind

TIMES = 99  # how often smoke.cpp calls what it measures

# what, its function in smoke.cpp, most instructions: the gate, and the goal
MEASURED = [("refresh", "measured_refresh", 25_000, 15_000),
            ("jwt_input", "measured_jwt_input", 5_000, 5_000)]


def main():
    program = sys.argv[1]
    as_table = "--table" in sys.argv
    # OpenSSL's SHA-256 has no symbol: it is what hashing much is spent in.
    sha = callgrind.measured(program, "sha256", "measured_sha256").most_common(1)[0][0]
    passed = failed = 0
    for name, function, gate, goal in MEASURED:
        costs = callgrind.measured(program, name, function)
        total = sum(costs.values()) // TIMES
        hashing = costs[sha] // TIMES
        crypto = sum(count for (place, _, _), count in costs.items() if "libcrypto" in place) // TIMES
        outside = total - hashing
        good = 0 < outside <= gate and (name != "refresh" or hashing > 0)
        passed, failed = passed + good, failed + (not good)
        if as_table:
            verdict = "pass" if outside <= goal else "**short**"
            print(f"| {name}: instructions outside RSA and SHA-256 | {outside:,} | <= {goal:,} | {verdict} |")
            print(f"| {name}: of these OpenSSL's own around SHA-256 and HMAC | {crypto - hashing:,} | | |")
        else:
            print(f"{'ok' if good else 'FAILED'}     {name}: {outside:,} instructions outside RSA and SHA-256, "
                  f"{crypto - hashing:,} of them OpenSSL's; gate {gate:,}, goal {goal:,}")
    if not as_table:
        print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
