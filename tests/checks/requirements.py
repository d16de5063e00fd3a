#!/usr/bin/env python3
# tests/checks/requirements.py - which tests stand for which line of requirements.txt.
# SPDX-License-Identifier: MIT
"""Lists every requirement with the tests that cite it in their names, and fails on one that none cites.

A name cites by number: "... (R38, RFC 9700 4.14.2)", "R47/R48", "R78-R81". Names are those of TEST_CASE and
SUBCASE in tests/unit, of check(...) calls and test functions in Python files, of `check "..."` lines in shell scripts.

  requirements.py              check this tree
  requirements.py --self-test  show that a removed citation is missed
"""
import ast
import re
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
LIST = Path(__file__).with_suffix(".txt")

CASE = re.compile(r'\b(?:TEST_CASE|TEST_CASE_TEMPLATE|TEST_CASE_FIXTURE|SUBCASE)\s*\(\s*(?:[\w:]+\s*,\s*)?'
                  r'((?:"(?:\\.|[^"\\])*"\s*)+)([^)\n]*)')
STRING = re.compile(r'"((?:\\.|[^"\\])*)"')
SHELL_CHECK = re.compile(r"""^\s*check\s+(?:"([^"]*)"|'([^']*)')""", re.M)


def cpp_names(text):
    for strings, decorators in CASE.findall(re.sub(r"^\s*//[^\n]*|/\*.*?\*/", "", text, flags=re.M | re.S)):
        if "skip" not in decorators:
            yield "".join(STRING.findall(strings))


def python_names(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and (getattr(node.func, "id", "") or getattr(node.func, "attr", "")) == "check":
            # An f-string comes in pieces.
            yield "".join(c.value for a in node.args[:1] for c in ast.walk(a)
                          if isinstance(c, ast.Constant) and isinstance(c.value, str))
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            yield ast.get_docstring(node) or ""


def shell_names(text):
    for double, single in SHELL_CHECK.findall(text):
        yield double or single


def test_names(tests):
    """Yields (file, name) of every test."""
    for path in sorted(p for p in tests.rglob("*") if p.is_file() and tests / "checks" not in p.parents):
        name = path.relative_to(tests).as_posix()
        if path.suffix == ".cpp" and name.startswith(("unit/", "protocol/", "stores/")):
            names = cpp_names
        elif path.suffix == ".py":
            names = python_names
        elif path.suffix == ".sh" or (not path.suffix and re.match(rb"#!.*sh\n", path.read_bytes())):
            names = shell_names
        else:
            continue
        yield from ((name, test) for test in names(path.read_text(encoding="utf-8")))


def cited(name):
    """The requirement numbers in a test's name."""
    for first, last in re.findall(r"\bR(\d+)(?:\s*-\s*R?(\d+))?\b", name):
        yield from range(int(first), int(last or first) + 1)


def check(tests, listed):
    """Prints one line per requirement; returns how many passed and failed."""
    titles = dict(line.split(" ", 1) for line in listed.splitlines() if line)
    tests_of = {r: [] for r in titles}
    strangers = []
    for path, name in test_names(tests):
        for number in cited(name):
            if f"R{number}" in tests_of:
                tests_of[f"R{number}"].append(f"{path}: {name}")
            elif not re.search(r"R\d+\s*-", name):  # a range may have holes
                strangers.append(f"{path}: R{number}, which requirements.txt does not have: {name}")
    missing = [r for r, found in tests_of.items() if not found]
    for requirement, found in tests_of.items():
        state = "ok    " if found else "FAILED"
        print(state, "requirements:", requirement, titles[requirement])
        for line in found or ["no test cites it"]:
            print("         ", line)
    for stranger in strangers:
        print("FAILED requirements:", stranger)
    return sum(map(bool, tests_of.values())), missing, strangers


def self_test():
    """A small tree in which every form of citation is the only one for its requirement."""
    sample = {
        "unit/a.cpp": 'TEST_CASE("one (R1, RFC 9700 4.14.2)") { SUBCASE("two "\n  "(R2/R3)") {} }\n'
                      'TEST_CASE_FIXTURE(kit, "four to six (R4-R6)") {}\n',
        "server/b.py": 'def main():\n    check(f"seven {1} (R7)", True)\n    kit.check("eight (R8)", True)\n'
                       'def test_nine():\n    """R9 in words"""\n',
        "demo": '#!/usr/bin/env bash\ncheck "ten (R10)" true\n',
        "other.sh": "#!/bin/sh\n  check 'eleven (R11)' true\n",
    }
    listed = "".join(f"R{n} title\n" for n in range(1, 12))
    edits = [  # (file, old, new, what must be missing then)
        ("unit/a.cpp", "", "", []),
        ("unit/a.cpp", "R1,", "", ["R1"]),
        ("unit/a.cpp", "R2/", "", ["R2"]),
        ("unit/a.cpp", "R2/R3", "", ["R2", "R3"]),
        ("unit/a.cpp", "R4-R6", "R4", ["R5", "R6"]),
        ("unit/a.cpp", "TEST_CASE_FIXTURE", "// TEST_CASE_FIXTURE", ["R4", "R5", "R6"]),
        ("unit/a.cpp", '4.14.2)")', '4.14.2)" * doctest::skip())', ["R1"]),
        ("server/b.py", "R7", "", ["R7"]),
        ("server/b.py", "    kit", "    # kit", ["R8"]),
        ("server/b.py", "R9", "", ["R9"]),
        ("demo", "R10", "", ["R10"]),
        ("demo", "check ", "# check ", ["R10"]),
        ("other.sh", "R11", "R111", ["R11", "a stranger"]),
    ]
    outcomes = []
    for victim, old, new, expected in edits:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in sample.items():
                path = Path(folder) / name
                path.parent.mkdir(exist_ok=True)
                path.write_text(text.replace(old, new) if name == victim and old else text, encoding="utf-8")
            sys.stdout, screen = open("/dev/null", "w"), sys.stdout
            _, missing, strangers = check(Path(folder), listed)
            sys.stdout.close()
            sys.stdout = screen
        good = missing + ["a stranger"] * len(strangers) == expected
        outcomes.append(good)
        print("ok    " if good else "FAILED", f"requirements: {old!r} -> {new!r} in {victim}: misses {missing}")
    return sum(outcomes), outcomes.count(False)


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        passed, failed = self_test()
    else:
        passed, missing, strangers = check(TESTS, LIST.read_text(encoding="utf-8"))
        failed = len(missing) + len(strangers)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)
