#!/usr/bin/env python3
# tests/bench/compile_cost.py - what a unit pays for including regrant, beside what the foreign headers cost alone.
# SPDX-License-Identifier: MIT
"""Compiles units that include one thing and use nothing, in interleaved rounds, and writes COMPILE_COST.md beside itself.

  compile_cost.py [ROUNDS]   9 rounds unless said otherwise; wants a machine with little else to do

Seconds are the compiler's CPU time (-fsyntax-only would hide what a back end pays, so it is -c). "Foreign headers alone"
is a unit with every header that the roof includes and that is not regrant's: OpenSSL's, picojson's, the standard library's.
"""
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
INCLUDE = TOP / "include"
TARGET = Path(__file__).with_name("COMPILE_COST.md")


def closure(name, seen=None):
    """The foreign headers that one of ours reaches, in the order they are included."""
    seen = {} if seen is None else seen
    path = (INCLUDE / "regrant" / name).resolve()
    if path in seen:
        return []
    seen[path] = True
    found = []
    for mark, other in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)', path.read_text(encoding="utf-8"), re.M):
        if mark == '"':
            found += closure((path.parent / other).resolve(), seen)
        elif other.startswith("picojson"):
            found.append("picojson.h")
        elif other != "regrant_needs_cxx20":
            found.append(other)
    return list(dict.fromkeys(found))


def include(*names):
    # picojson lies at one of two paths.
    return "".join("#if __has_include(<picojson.h>)\n#include <picojson.h>\n#else\n#include <picojson/picojson.h>\n#endif\n"
                   if n == "picojson.h" else f"#include <{n}>\n" for n in names)


UNITS = {  # name -> (text, include folder)
    "roof: `<regrant/regrant.hpp>`": (include("regrant/regrant.hpp"), INCLUDE),
    "its foreign headers alone": (include(*closure("regrant.hpp")), INCLUDE),
    "single header": (include("regrant/regrant.hpp"), TOP / "single_include"),
    "roof, precompiled": (include("regrant/regrant.hpp"), INCLUDE),
    "`token_endpoint.hpp` alone": (include("regrant/token_endpoint.hpp"), INCLUDE),
    "its foreign headers alone ": (include(*closure("token_endpoint.hpp")), INCLUDE),
    "`token_store.hpp` alone": (include("regrant/token_store.hpp"), INCLUDE),
    "its foreign headers alone  ": (include(*closure("token_store.hpp")), INCLUDE),
    "OpenSSL's `evp.h` + picojson": (include("openssl/evp.h", "picojson.h"), INCLUDE),
    "`<string>` + `<map>` + `<chrono>`": (include("string", "map", "chrono"), INCLUDE),
}
FOREIGN = list(UNITS)[1]
PRECOMPILED = list(UNITS)[3]
HEAVY, BARE = list(UNITS)[-2:]


def cpu_seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime


def precompile(base, folder):
    """As CMake's target_precompile_headers does it: what it makes, and the options of a unit that uses it."""
    header = folder / "all.hpp"
    header.write_text(UNITS[PRECOMPILED][0])
    made = header.with_suffix(".pch" if "clang" in base[0] else ".hpp.gch")
    subprocess.run([*base, f"-I{INCLUDE}", "-x", "c++-header", header, "-o", made], check=True)
    return ["-include-pch", made] if "clang" in base[0] else ["-Winvalid-pch", "-Werror", "-include", header]


def measure(compiler, rounds, folder):
    """name -> (median seconds, lines)"""
    base, times, lines = [compiler, "-std=c++20"], {name: [] for name in UNITS}, {}
    precompiled = precompile(base, folder)
    for number, (name, (text, path)) in enumerate(UNITS.items()):
        (folder / f"{number}.cpp").write_text(text)
        out = subprocess.run([*base, "-E", "-P", f"-I{path}", folder / f"{number}.cpp"], check=True, capture_output=True)
        lines[name] = out.stdout.count(b"\n")
    for round_ in range(rounds + 1):
        for number, (name, (_, path)) in enumerate(UNITS.items()):
            more = precompiled if name == PRECOMPILED else []
            seconds = cpu_seconds([*base, *more, f"-I{path}", "-c", folder / f"{number}.cpp", "-o", folder / "unit.o"])
            if round_:  # the first one warms the caches
                times[name].append(seconds)
    return {name: (statistics.median(times[name]), lines[name]) for name in UNITS}


def table(compiler, found):
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    yield f"## {version}"
    yield ""
    yield "| a unit that includes | CPU seconds | preprocessed lines | seconds / its foreign headers | / evp.h + picojson | / bare unit |"
    yield "|---|---:|---:|---:|---:|---:|"
    foreign = {}
    for name in UNITS:
        if name.startswith("its foreign"):
            foreign[list(UNITS)[list(UNITS).index(name) - 1]] = name
    foreign[list(UNITS)[2]] = foreign[PRECOMPILED] = FOREIGN
    for name, (seconds, lines) in found.items():
        own = f"{seconds / found[foreign[name]][0]:.2f}" if name in foreign else ""
        yield (f"| {name.strip()} | {seconds:.2f} | {lines} | {own} | {seconds / found[HEAVY][0]:.2f} "
               f"| {seconds / found[BARE][0]:.2f} |")
    yield ""


def main():
    rounds = int(sys.argv[1]) if sys.argv[1:] else 9
    reached = closure("token_store.hpp")
    text = ["# What including regrant costs a unit", "",
            "Written by `tests/bench/compile_cost.py`. Units include one thing and use nothing; -std=c++20, no optimisation, -c.",
            f"Medians of {rounds} interleaved rounds of the compiler's user CPU time, on one machine: the ratios are what can be compared.",
            "\"Its foreign headers alone\" is a unit with all headers the line above reaches that are not regrant's.",
            "Aim: the roof at most 1.3 times its foreign headers.",
            f"`token_store.hpp` reaches OpenSSL: {'yes' if any('openssl' in h for h in reached) else 'no'}; "
            f"picojson: {'yes' if 'picojson.h' in reached else 'no'}.", ""]
    with tempfile.TemporaryDirectory() as folder:
        for compiler in filter(shutil.which, ("g++", "clang++")):
            text += table(compiler, measure(compiler, rounds, Path(folder)))
    TARGET.write_text("\n".join(text).rstrip() + "\n", encoding="utf-8")
    print(*text, sep="\n")


if __name__ == "__main__":
    main()
