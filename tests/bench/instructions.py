# tests/bench/instructions.py - counts instructions of a refresh under callgrind, with a signer that costs nothing.
# SPDX-License-Identifier: MIT
#
#   instructions.py PATH-OF-regrant_smoke [--table]
import sys

import callgrind

TIMES = 99  # how often smoke.cpp calls what it measures

# what, its function in smoke.cpp, most instructions: the gate, and the goal
MEASURED = [("refresh", "measured_refresh", 26_500, 15_000),
            ("jwt_input", "measured_jwt_input", 5_000, 5_000)]

# Where a refresh spends them, by object and file: what is left are the steps themselves.
TEXT = {"form.hpp", "form_bytes.hpp", "json_writer.hpp", "block.hpp"}
PLACES = [("OpenSSL around SHA-256 and HMAC", lambda place, file: "libcrypto" in place),
          ("the C library: memory, copies, searches", lambda place, file: "/libc." in place),
          ("base64url, both ways", lambda place, file: file.startswith("base64")),
          ("form text read, JSON text written", lambda place, file: file in TEXT)]


def main():
    program = sys.argv[1]
    as_table = "--table" in sys.argv
    # OpenSSL's SHA-256 has no symbol: it is what hashing much is spent in.
    sha = callgrind.measured(program, "sha256", "measured_sha256").most_common(1)[0][0]
    passed = failed = 0
    for name, function, gate, goal in MEASURED:
        costs = callgrind.measured(program, name, function)
        hashing = costs.pop(sha, 0) // TIMES
        outside = sum(costs.values()) // TIMES
        good = 0 < outside <= gate and (name != "refresh" or hashing > 0)
        passed, failed = passed + good, failed + (not good)
        if not as_table:
            print(f"{'ok' if good else 'FAILED'}     {name}: {outside:,} instructions outside RSA and SHA-256; "
                  f"gate {gate:,}, goal {goal:,}")
            continue
        verdict = "pass" if outside <= goal else "**short**"
        print(f"| {name}: instructions outside RSA and SHA-256 | {outside:,} | <= {goal:,} | {verdict} |")
        for words, is_there in PLACES:
            there = sum(count for (place, path, _), count in costs.items() if is_there(place, path.split("/")[-1])) // TIMES
            if there > 0:
                print(f"| {name}: of these {words} | {there:,} | | |")
    # R115: no look-up depends on the number of clients. Hash tables may be filled to another degree.
    few, many = (sum(callgrind.measured(program, name, "measured_lookups").values()) // TIMES
                 for name in ("lookups_of_20", "lookups_of_20000"))
    good = 0 < many <= 2 * few
    passed, failed = passed + good, failed + (not good)
    if as_table:
        print(f"| a client and an origin looked up among 20,000, instructions | {many:,} | <= 2 x {few:,} among 20 | "
              f"{'pass' if good else '**short**'} |")
    else:
        print(f"{'ok' if good else 'FAILED'}     a client and an origin looked up: {few:,} instructions among 20, "
              f"{many:,} among 20,000; gate: twice as many")
        print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
