#!/usr/bin/env python3
# tests/checks/twins.py - the awaiting drivers are the others with `co_await` put in, word for word.
# SPDX-License-Identifier: MIT
"""Takes `co_await` and its kin out of each async_X.hpp, and compares what is left with X.hpp.

  twins.py              check this tree
  twins.py --self-test  let a pair drift apart in several ways and show that it is seen
"""
import re
import sys
from pathlib import Path

INCLUDE = Path(__file__).resolve().parent.parent.parent / "include" / "regrant"
TWINS = ["begin_family", "refresh_grant", "token_endpoint"]


def closed(text, start, marks):
    """The text from `start`, just behind an opening mark, to the one that closes it."""
    depth, end = 1, start
    while depth:
        depth += {marks[0]: 1, marks[1]: -1}.get(text[end], 0)
        end += 1
    return text[start:end - 1]


def without_task(text):
    """task<T> and detail::task_like<Store, T> are T."""
    opening = re.compile(r"\b(?:task|detail::task_like)<(?:Store, )?")
    while match := opening.search(text):
        inner = closed(text, match.end(), "<>")
        text = text[:match.start()] + inner + text[match.end() + len(inner) + 1:]
    return text


def plain(text):
    """The code of a header as words, without what may differ between twins."""
    text = re.sub(r"//[^\n]*", "", text)
    text = text[text.index("namespace regrant"):]
    # What the awaiting one alone has to say: its task, and which parts it awaits.
    text = re.sub(r"template <class T> using task = [^;]*;\s*public:", "public:", text)
    text = re.sub(r"detail::awaited_issuer<Issuer, Store> issuer\(from\);", "", text)
    text = text.replace("Issuer& from", "Issuer& issuer")
    text = re.sub(r"detail::awaited_\w+<(\w+), Store> (\w+_);", r"\1& \2;", text)
    text = without_task(text)
    text = text.replace("co_await ", "").replace("co_return", "return")
    text = re.sub(r"\basync_|(?<=_)async_|_awaited\b", "", text)
    return re.findall(r"\w+|[^\w\s]", text)


def difference(one, other):
    """Where two texts part, or nothing."""
    one, other = plain(one), plain(other)
    for i in range(max(len(one), len(other))):
        if one[i:i + 1] != other[i:i + 1]:
            return f"'{' '.join(one[i - 5:i + 5])}' against '{' '.join(other[i - 5:i + 5])}'"
    return None


def texts(name):
    return [(INCLUDE / f"{prefix}{name}.hpp").read_text(encoding="utf-8") for prefix in ("", "async_")]


def self_test():
    plain_text, awaiting = texts("refresh_grant")
    drifts = [
        ("another refusal", "reason::issuer_unavailable", "reason::store_unavailable"),
        ("two calls swapped", "seen.written = order.kind;", ""),
        ("an operator turned", "if (!found)", "if (found)"),
        ("a step left out", "++seen.races_lost;", ""),
    ]
    yield "twins that agree pass", difference(plain_text, awaiting) is None
    for name, old, new in drifts:
        assert old in awaiting
        yield f"{name} is seen", difference(plain_text, awaiting.replace(old, new, 1)) is not None
    yield "an await in a conditional expression is seen", awaits_in_condition("x = a ? co_await b() : c;")
    yield "an await in an if's condition is seen", awaits_in_condition("if (co_await b()) co_return 1;")
    yield "an await by itself is not", not awaits_in_condition("auto x = co_await b();\nif (x ? a : b) c();")


def awaits_in_condition(text):
    """g++ 12 miscompiles both: `c ? co_await a : b` is used after it is freed, `if (co_await a) co_return b;` crashes."""
    code = re.sub(r"//[^\n]*", "", text)
    conditions = [closed(code, m.end(), "()") for m in re.finditer(r"\b(?:if|while|for|switch)\s*\(", code)]
    conditions += re.findall(r"[^;{}]*\?[^;{}]*:[^;{}]*", code)
    return any("co_await" in each for each in conditions)


def main():
    results = []
    if "--self-test" in sys.argv[1:]:
        results = [(name, None if holds else "it is not") for name, holds in self_test()]
    else:
        for name in TWINS:
            results.append((f"async_{name} is {name} with co_await", difference(*texts(name))))
        awaiting = [p for p in INCLUDE.rglob("*.hpp") if "co_await" in p.read_text(encoding="utf-8")]
        bad = [p.name for p in awaiting if awaits_in_condition(p.read_text(encoding="utf-8"))]
        results.append(("nothing is awaited in a condition (g++ 12)", ", ".join(bad) or None))
    for name, complaint in results:
        print(f"FAILED twins: {name}: {complaint}" if complaint else f"ok     twins: {name}")
    failed = sum(1 for _, complaint in results if complaint)
    print(f"{len(results) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
