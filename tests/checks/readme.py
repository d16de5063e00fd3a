#!/usr/bin/env python3
# tests/checks/readme.py - what README shows in C++ stands in this tree.
# SPDX-License-Identifier: MIT
"""Nothing is compiled here: quick_start.cpp is by the suite `demo`, and the rest is looked for by name.

  readme.py              check README.md
  readme.py --self-test  show that a line or a name that was changed is seen
"""
import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
QUICK_START = "tests/examples/quick_start.cpp"
STORE = "include/regrant/memory_store.hpp"
FEWEST_LINES = 30


def section(readme, title):
    """A section with all that is below it, or nothing where there is none of that title."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", readme, re.M | re.S)
    return found[2] if found else ""


def blocks(text, language="cpp"):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def lines_of(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def strangers(block, file):
    """The lines of a block that are not in the file, or not behind the line before; how they are indented is free."""
    left = lines_of(file)
    missing = []
    for line in lines_of(block):
        if line in left:
            left = left[left.index(line) + 1:]
        else:
            missing.append(line)
    return missing


def signatures(text):
    """The operations of a store as (result, name, types), whatever its parameters are called."""
    found = re.findall(r"^\s*(result<.*>)\s+(\w+)\(([^)]*)\)\s*[;{]", text, re.M)
    kinds = "row_key", "generation", "instant", "grant", "view"
    return [(result, name, tuple(re.search("|".join(kinds), each)[0] for each in parameters.split(",")))
            for result, name, parameters in found if parameters] + [
                (result, name, ()) for result, name, parameters in found if not parameters]


def checks(readme, text_of):
    """Yields (what is checked, what is wrong)."""
    in_server = section(readme, "In your server")
    first = "".join(blocks(in_server)[:1])
    few = [f"only {len(lines_of(first))} lines"] if len(lines_of(first)) < FEWEST_LINES else []
    yield (f"each line of the first block stands in {QUICK_START}, in this order",
           few + strangers(first, text_of(QUICK_START)))

    yield f"{QUICK_START} is named, and compiled by a line", [
        word for word in (QUICK_START, "g++ -std=c++20", "-lsqlite3", "./quick_start") if word not in in_server]

    shown = signatures("".join(blocks(section(readme, "Your own token store"))))
    there = signatures(text_of(STORE))
    yield "a store's operations are those of memory_store.hpp", (
        [f"{each} is shown, but not there" for each in shown if each not in there] +
        [f"{each} is there, but not shown" for each in there if each not in shown])

    code = "".join(blocks(readme)) + "".join(re.findall(r"`[^`\n]+`", readme))
    headers = "\n".join(path.read_text(encoding="utf-8") for path in (TOP / "include").rglob("*.hpp"))
    names = set(re.findall(r"\bregrant::(?:host::)?(\w+)", code))
    known = set(re.findall(r"\w+", re.sub(r"//[^\n]*", "", headers)))
    yield "what README calls regrant::... is declared", sorted(names - known)

    files = set(re.findall(r"`((?:tests|include|single_include)/[\w./]+)", readme))
    files |= {f"include/{name}" for name in re.findall(r"#include <(regrant/[\w./]+)>", readme)}
    yield "each file that README names is there", sorted(name for name in files if not (TOP / name).exists())


def main(argument):
    readme = (TOP / "README.md").read_text(encoding="utf-8")

    def text_of(name):
        return (TOP / name).read_text(encoding="utf-8")

    if argument == "--self-test":
        return self_test(readme, text_of)
    outcomes = []
    for name, wrong in checks(readme, text_of):
        outcomes.append(not wrong)
        print("FAILED" if wrong else "ok    ", "readme:", name)
        for each in wrong:
            print("         ", each)
    return outcomes


def self_test(readme, text_of):
    edits = [  # (file, old, new, the check that must complain)
        ("README.md", "policy::make({.retry_window", "policy::make({.retry_windows", "each line"),
        ("README.md", "my_hooks hooks;\n", "", ""),
        ("README.md", "regrant::host::httplib_server server;\n", "regrant::host::httplib_server server;\nserver.start();\n", "each line"),
        ("README.md", "#include <regrant/store/sqlite.hpp>\n\n", "\n", ""),
        ("README.md", "## In your server", "## In a server", "each line"),
        (QUICK_START, "std::chrono::seconds(20)", "std::chrono::seconds(25)", "each line"),
        (QUICK_START, "    my_hooks hooks;\n", "", "each line"),
        ("README.md", "-lsqlite3", "-lsqlite", "is named"),
        ("README.md", "find(const row_key&)", "find(const grant&)", "operations"),
        ("README.md", "reap(instant now)", "reaps(instant now)", "operations"),
        (STORE, "insert_outcome, outage>", "bool, outage>", "operations"),
        ("README.md", "regrant::can_check_account", "regrant::can_check_acount", "is declared"),
        ("README.md", "tests/examples/server.cpp", "tests/examples/servers.cpp", "is there"),
    ]
    outcomes = []
    for file, old, new, complaint in edits:
        def edited(name, file=file, old=old, new=new):
            text = readme if name == "README.md" else text_of(name)
            return text.replace(old, new) if name == file else text
        assert edited(file) != (readme if file == "README.md" else text_of(file)), f"{file} has no {old!r}"
        wrong = [name for name, found in checks(edited("README.md"), edited) if found]
        good = any(complaint in name for name in wrong) if complaint else not wrong
        outcomes.append(good)
        print("ok    " if good else "FAILED", f"readme: {old!r} -> {new!r} in {file}:",
              f"seen by '{complaint}'" if complaint else "nothing is wrong with that", "" if good else wrong)
    return outcomes


if __name__ == "__main__":
    results = main(" ".join(sys.argv[1:]))
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    sys.exit(not all(results))
