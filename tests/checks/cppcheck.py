#!/usr/bin/env python3
# tests/checks/cppcheck.py - cppcheck over every header, with what cppcheck.txt beside this file suppresses, and why.
# SPDX-License-Identifier: MIT
"""Looks at programs that include the headers; the frameworks' and libraries' own headers stay unread.

  cppcheck.py              check the headers
  cppcheck.py --self-test  show that faults in a header are found, and that suppressions hide nothing else
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
INCLUDE = TOP / "include"


def cppcheck(include, folder):
    """The names of what was looked at, and the complaints about the headers of an include folder."""
    units = {}
    for header in sorted(path.relative_to(include).as_posix() for path in include.rglob("*.hpp")):
        # Two hosts never meet in one program, and names of theirs are alike.
        wing = re.match(r"regrant/(host/\w+|store|testing)", header)
        units.setdefault(wing[1].replace("/", "_") if wing else "core", []).append(header)
    for name, headers in units.items():
        (folder / f"{name}.cpp").write_text("".join(f"#include <{header}>\n" for header in headers))
    done = subprocess.run(["cppcheck", "-j2", "--std=c++20", "--language=c++", "--inconclusive", "--quiet",
                           "--enable=warning,performance,portability,style,information",
                           "--template={file}:{line}: {severity}: {message} [{id}]",
                           f"--suppressions-list={TOP / 'tests/checks/cppcheck.txt'}", "-D__cplusplus=202002L",
                           f"-I{include}", *(str(folder / f"{name}.cpp") for name in units)],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    return list(units), done.stderr.replace(f"{include}/", "")


def check():
    with tempfile.TemporaryDirectory() as folder:
        units, found = cppcheck(TOP / "include", Path(folder))
    print("FAILED" if found else "ok    ", "cppcheck: all headers, as", ", ".join(units))
    print(found, end="")
    return [not found]


def self_test():
    faults = {
        "uninitMemberVar": "struct one { one() {} int number; };\n",
        "nullPointer": "inline int f() { int* at = nullptr; return *at; }\n",
        "memleak": "inline void f() { char* kept = new char[8]; kept[0] = 'a'; }\n",
        "arrayIndexOutOfBounds": "inline int f() { int few[2] = {1, 2}; return few[2]; }\n",
        "operatorEqVarError": "class one { public: one& operator=(const one&) { return *this; } int number = 0; };\n",
        "unreadVariable": "inline void f() { int number = 1; number = 2; }\n",
    }
    with tempfile.TemporaryDirectory() as folder:
        include = Path(folder) / "include"
        for name, text in faults.items():
            header = include / f"regrant/{name}.hpp"
            header.parent.mkdir(parents=True, exist_ok=True)
            header.write_text(f"#pragma once\nnamespace {name}_ {{\n{text}}}\n")
        _, said = cppcheck(include, Path(folder))
    outcomes = [re.search(rf"^regrant/{name}.hpp:3: .*\[{name}\]$", said, re.M) is not None for name in faults]
    for name, good in zip(faults, outcomes):
        print("ok    " if good else "FAILED", "cppcheck: finds", name, "in a header")
    # None of those that name a file matched here.
    outcomes.append("unmatchedSuppression" in said)
    print("ok    " if outcomes[-1] else "FAILED", "cppcheck: a suppression that nothing matches is told")
    if not all(outcomes):
        print(said, end="")
    return outcomes


if __name__ == "__main__":
    outcomes = self_test() if sys.argv[1:] == ["--self-test"] else check()
    print(f"{outcomes.count(True)} passed, {outcomes.count(False)} failed")
    sys.exit(not all(outcomes))
