#!/usr/bin/env python3
# tests/hardening/coverage.py - adds up what each program reached of include/; tests/hardening/coverage calls it.
# SPDX-License-Identifier: MIT
"""coverage.py FOLDER INCLUDE PROGRAMS [--lines]    FOLDER holds PROGRAM.lcov and PROGRAM.json of each, by llvm-cov

What a template's text says is reached if it is for any type that fills it, in any of the programs. A branch is one way
out of a condition: each condition has two. What is to be counted the first program says, which are the unit tests: of
what a program does not use it says nothing exact. Of a host's header all that include it say so.
"""
import json
import re
import sys
from pathlib import Path

LEAST = 98  # percent of lines, of the core and of all
GROUPS = {
    "stores and the kit that tests them":
        r"store/|testing/|detail/(sqlite|libpq|hiredis|postgresql|redis|connection_pool)",
    "hosts": r"host/",
}


def group_of(file):
    return next((name for name, pattern in GROUPS.items() if re.search(pattern, file)), "core")


class Counts:
    """How often each line and each way out of a condition was reached."""

    def __init__(self, include):
        self.include, self.texts = include, {}
        self.lines, self.branches = {}, {}  # by (file, line) and by (file, line, column, way)

    def text_of(self, file, line):
        if file not in self.texts:
            self.texts[file] = Path(self.include + file).read_text(encoding="utf-8").splitlines()
        return self.texts[file][line - 1].strip()

    def add(self, lcov, files, defines):
        """One program's; `defines` says whether what it knows of a file is to be counted there."""
        def count(found, key, times):
            # llvm-cov takes a comment between two statements for the end of the first.
            if (key in found or defines(key[0])) and not self.text_of(*key[:2]).startswith("//"):
                found[key] = found.get(key, 0) + times

        at = ""
        for record in lcov.splitlines():
            kind, _, rest = record.partition(":")
            if kind == "SF":
                at = rest.removeprefix(self.include)
            elif kind == "DA":
                line, times = rest.split(",")[:2]
                count(self.lines, (at, int(line)), int(times))
        for file in files:
            at = file["filename"].removeprefix(self.include)
            for line, column, _, _, taken, not_taken, *_ in file["branches"]:
                if not re.search(r"if constexpr|while \(true\)", self.text_of(at, line)):  # those are no branches
                    for way, times in enumerate((taken, not_taken)):
                        count(self.branches, (at, line, column, way), times)

    def row(self, name, within):
        """\\return the share of lines, and what to print of the files that are within"""
        text, shares = f"{name:<42}", []
        for counts in (self.lines, self.branches):
            times = [number for key, number in counts.items() if within(key[0])]
            reached = sum(map(bool, times))
            shares.append(100 * reached / len(times) if times else 100.0)
            text += f" {reached:5}/{len(times):<5} {shares[-1]:6.2f} %"
        return shares[0], text

    def unreached(self):
        found = {key: "line" for key, times in self.lines.items() if not times}
        for file, line, _, way in sorted(key for key, times in self.branches.items() if not times):
            found.setdefault((file, line), "never " + ("true", "false")[way])
        return sorted(found.items())


def main(folder, include, programs, *options):
    counts = Counts(include)
    for number, name in enumerate(programs.split()):
        lcov = Path(folder, f"{name}.lcov").read_text(encoding="utf-8")
        told = json.loads(Path(folder, f"{name}.json").read_text(encoding="utf-8"))
        counts.add(lcov, told["data"][0]["files"], lambda file, first=number == 0: first or group_of(file) == "hosts")
    print(f"{'header':<42} {'lines':^20} {'branches':^20}")
    files = sorted({key[0] for key in counts.lines})
    for _, text in sorted(counts.row(name, lambda file, name=name: file == name) for name in files):
        print(text)
    for name in GROUPS:
        print(counts.row(name, lambda file, name=name: group_of(file) == name)[1])
    core, text = counts.row("core", lambda file: group_of(file) == "core")
    print(text)
    everything, text = counts.row("all of include/", lambda _: True)
    print(text)
    if "--lines" in options:
        for (file, line), what in counts.unreached():
            print(f"{file}:{line}: {what}: {counts.text_of(file, line)}")
    return min(core, everything) < LEAST


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
