#!/usr/bin/env python3
# tests/checks/security_table.py - each test that README's section "Security" names is there.
# SPDX-License-Identifier: MIT
"""A name stands in quotes, behind the `file:` it is in (below tests/), or alone for unit/token_endpoint.cpp.

  security_table.py              check README.md
  security_table.py --self-test  show that a name that no test bears is seen
"""
import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def wrong_rows(readme):
    """What a row names that is not there; a row that names nothing is wrong too."""
    section = readme.split("\n## Security\n", 1)[1].split("\n## ", 1)[0].split("How far it was tried", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    wrong = [] if len(rows) >= 15 else [f"only {len(rows)} rows"]
    for row in rows:
        shown = row.split(" | ")[-1]
        named = re.findall(r'(?:`([\w./]+)`(?:: )?)?(?:"([^"]+)")?', shown)
        named = [(file, name) for file, name in named if file or name]
        if not named and shown != "the same test |":
            wrong.append(f"nothing is named: {row}")
        for file, name in named:
            path = TOP / "tests" / (file or "unit/token_endpoint.cpp")
            text = re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8")) if path.is_file() else ""
            if not text or name not in text:
                wrong.append(f"{path.relative_to(TOP)} has no {name!r}")
    return wrong


def main(argument):
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    if argument == "--self-test":
        return [bool(wrong_rows(readme.replace(was, now)))
                for was, now in (("a replay is recognised", "a replay is recognized"), ("unit/jwt.cpp", "unit/jwts.cpp"))]
    wrong = wrong_rows(readme)
    for each in wrong:
        print("FAILED", each)
    return [not wrong]


if __name__ == "__main__":
    outcomes = main(" ".join(sys.argv[1:]))
    print(f"{outcomes.count(True)} passed, {outcomes.count(False)} failed")
    sys.exit(not all(outcomes))
