#!/usr/bin/env python3
# tests/checks/tidy.py - clang-tidy with the committed .clang-tidy over every header.
# SPDX-License-Identifier: MIT
"""Looks at the roof and at each wing by a program that uses them, so that templates are seen filled in too.

  tidy.py              check the headers
  tidy.py --self-test  show that a fault in a header is found, and that the committed configuration is the one that is used
"""
import concurrent.futures
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
UNITS = [TOP / "tests/consumers/consumer.cpp"]
if (TOP / "include/regrant/store/sqlite.hpp").is_file():
    UNITS.append(TOP / "tests/consumers/wing.cpp")


def tidy(unit, include):
    """The complaints about one unit and what it includes from the folder."""
    done = subprocess.run(["clang-tidy", "--quiet", "--warnings-as-errors=*", f"--config-file={TOP / '.clang-tidy'}", unit,
                           "--", "-std=c++20", f"-I{include}", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion"],
                          cwd=TOP, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    # The unit itself is not what is looked at, unless it does not compile.
    blocks = re.split(r"^(?=\S+:\d+:\d+: (?:error|warning):)", done.stdout, flags=re.M)
    found = "".join(b for b in blocks if re.match(r"\S*include/regrant/", b) or "[clang-diagnostic-error" in b)
    return found.replace(f"{TOP}/", "") or (done.stderr if done.returncode and not done.stdout else "")


def check():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda unit: tidy(unit, TOP / "include"), UNITS))
    for unit, complaints in zip(UNITS, found):
        print("FAILED" if complaints else "ok    ", "tidy: all that", unit.relative_to(TOP), "includes of regrant")
        print(complaints, end="")
    return [not complaints for complaints in found]


def self_test():
    faults = {
        "bugprone-use-after-move": "#include <string>\n#include <utility>\ninline auto f(std::string s) "
                                   "{ std::string t = std::move(s); return t.size() + s.size(); }\n",
        "performance-unnecessary-value-param": "#include <string>\ninline auto f(const std::string s) { return s.size(); }\n",
        "modernize-use-nullptr": "inline int* f(int) { return 0; }\n",
        "clang-analyzer-core.DivideZero": "inline int f(int i) { if (i == 0) return 1 / i; return i; }\n",
    }
    outcomes = []
    for name, text in faults.items():
        with tempfile.TemporaryDirectory() as folder:
            header = Path(folder) / "include/regrant/fault.hpp"
            header.parent.mkdir(parents=True)
            header.write_text("#pragma once\n" + text)
            unit = Path(folder) / "unit.cpp"
            unit.write_text("#include <regrant/fault.hpp>\nauto use() { return f({}); }\n")
            said = tidy(unit, header.parents[1])
        outcomes.append(name in said and "fault.hpp" in said)
        print("ok    " if outcomes[-1] else "FAILED", "tidy: finds", name, "in a header", "" if outcomes[-1] else said)
    return outcomes


if __name__ == "__main__":
    outcomes = self_test() if sys.argv[1:] == ["--self-test"] else check()
    print(f"{outcomes.count(True)} passed, {outcomes.count(False)} failed")
    sys.exit(not all(outcomes))
