#!/usr/bin/env python3
# tests/checks/floors.py - the rules of the house about include/regrant: floors, rooms, preambles, sizes, tests.
# SPDX-License-Identifier: MIT
"""One check per rule, each naming every header that breaks it.

  floors.py              check this tree
  floors.py --self-test  break each rule once in a copy of the tree and show that its check fails
"""
import re
import shutil
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
LONGEST = 400

# Foreign headers and the only places that may include them.
ROOMS = {
    "openssl/*": ["detail/openssl.hpp", "detail/openssl_kdf.hpp", "store/redis_tls.hpp"],
    "picojson*": ["detail/json.hpp"],
    "coroutine": ["detail/task.hpp", "async_*.hpp"],
    "sqlite3.h": ["detail/sqlite.hpp"],
    "libpq-fe.h": ["detail/libpq.hpp", "detail/libpq_options.hpp"],
    "hiredis/*": ["detail/hiredis.hpp"],
    "poll.h": ["detail/libpq*.hpp", "host/pistache.hpp", "host/httplib_stream.hpp"],
    "sys/socket.h": ["detail/hiredis.hpp", "host/fastcgi.hpp", "host/pistache.hpp", "host/httplib_stream.hpp",
                     "host/httplib_pool.hpp"],
    "sys/un.h": ["detail/redis_url.hpp"],
    "sys/mman.h": ["detail/process.hpp"],
    "sys/resource.h": ["host/restinio.hpp"],
    "sys/types.h": ["host/httplib_stream.hpp"],
    "netdb.h": ["host/httplib_stream.hpp"],
    "sys/time.h": ["host/fastcgi.hpp"],
    "fcntl.h": ["detail/sqlite.hpp", "detail/hiredis.hpp", "detail/libpq.hpp"],
    "unistd.h": ["detail/process.hpp", "detail/sqlite.hpp", "host/fastcgi.hpp", "host/httplib_stream.hpp"],
    "httplib.h": ["host/httplib.hpp", "host/httplib_pool.hpp", "host/httplib_stream.hpp"],
    "boost/*": ["host/asio.hpp", "host/beast*.hpp", "store/async_*.hpp"],
    "restinio/*": ["host/restinio.hpp"],
    "Poco/*": ["host/poco.hpp"],
    "pistache/*": ["host/pistache.hpp"],
    "fcgi*": ["host/fastcgi.hpp"],
    "netinet/*": ["host/*.hpp"],
}
# What must not be reached from a header, however far the includes go.
PURE = ["detail/openssl.hpp", "detail/json.hpp", "<thread>", "<mutex>"]
OUT_OF_REACH = {
    "token_endpoint.hpp": ["detail/json.hpp"],
    "token_store.hpp": ["detail/openssl.hpp", "detail/json.hpp"],
    "refresh_flow.hpp": PURE,
    "client_authentication.hpp": PURE,
}
# Headers whose name is a field term that does not stand in their code, and what does.
CALLED = {"hash": "sha256"}
ROOF, WING, GROUND = 90, 99, -1


class Header:
    """One header: its lines, its rank in the house, and what it includes."""

    def __init__(self, path, include):
        self.name = path.relative_to(include).as_posix()
        self.lines = path.read_text(encoding="utf-8").splitlines()
        self.own, self.foreign, self.missing = [], [], []
        includes = re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)', "\n".join(self.lines), re.M)
        for mark, name in includes:
            near = (path.parent / name).resolve()
            if mark == '"' and near.is_file() and include in near.parents:
                self.own.append(near.relative_to(include).as_posix())
            elif name.startswith("regrant/") or mark == '"':
                found = (include.parent / name).is_file()
                (self.own if found else self.missing).append(name.removeprefix("regrant/"))
            else:
                self.foreign.append(name)
        self.first = self.own[0] if self.own and includes[0][1] not in self.foreign else None

    @property
    def is_wing(self):
        return self.name.startswith(("store/", "host/", "testing/"))

    @property
    def is_public(self):
        return "detail" not in Path(self.name).parts

    @property
    def rank(self):
        """The floor as a number, or None where line 2 does not say it."""
        line = self.lines[1] if len(self.lines) > 1 else ""
        if line == "// roof" and self.name == "regrant.hpp":
            return ROOF
        if line == "// wing" and self.is_wing:
            return WING
        if line == "// ground" and self.name == "detail/cpp20.hpp":
            return GROUND
        match = re.fullmatch(r"// floor (\d)", line)
        return int(match.group(1)) if match and not self.is_wing and self.name != "regrant.hpp" else None

    @property
    def test(self):
        # A host's wing is tested by its example, which all of tests/hosts is run against.
        if self.name == "host/asio.hpp":
            return "tests/examples/beast_awaitable.cpp"
        if self.name.startswith("host/httplib_"):
            return "tests/examples/httplib.cpp"
        if self.name.startswith("host/"):
            return "tests/examples/" + self.name.removeprefix("host/").replace(".hpp", ".cpp")
        return "tests/unit/" + self.name.replace("/", "_").replace(".hpp", ".cpp")

    def bears_its_name(self):
        """Whether code or comments below the preamble have a word of the file's name (basic_auth: basic or auth)."""
        text = "\n".join(line for line in self.lines[2:] if not re.match(r"\s*#\s*include", line))
        return any(CALLED.get(word, word) in text.lower() for word in Path(self.name).stem.split("_"))


def closure(name, headers):
    """All that a header reaches: own headers by name, foreign ones as <name>."""
    seen, waiting = set(), [name]
    while waiting:
        header = headers.get(waiting.pop())
        if header:
            new = set(header.own) - seen
            seen |= new | {f"<{f}>" for f in header.foreign}
            waiting += new
    return seen


def rules(top):
    """Yields (rule, complaints) for the tree below `top`."""
    include = (top / "include/regrant").resolve()
    headers = {h.name: h for h in (Header(p, include) for p in sorted(include.rglob("*.hpp")))}
    everyone = list(headers.values())

    yield "line 1 names the header and says in one sentence what it is", [
        h.name for h in everyone
        if not re.fullmatch(rf"// regrant/{re.escape(h.name)} - \S.*[^.]\.", h.lines[0] if h.lines else "")]
    yield "the sentence has no 'and': one header, one thing", [
        h.name for h in everyone if h.lines and " and " in h.lines[0]]
    yield "line 2 states the floor, the wing or the roof", [h.name for h in everyone if h.rank is None]
    yield "line 3 is the licence, line 4 #pragma once", [
        h.name for h in everyone if h.lines[2:4] != ["// SPDX-License-Identifier: MIT", "#pragma once"]]
    yield "every header of ours that is included exists", [
        f"{h.name}: {name}" for h in everyone for name in h.missing]

    def asks_first(header):
        for _ in headers:
            if header and header.rank != GROUND:
                header = headers.get(header.first)
        return header is not None and header.rank == GROUND

    yield "what a header includes first leads down to the ground, which asks for C++20", [
        h.name for h in everyone if not asks_first(h)]

    known = [(h, headers[name]) for h in everyone for name in h.own if name in headers]
    yield "includes lead strictly downwards", [
        f"{h.name} (floor {h.rank}) includes {low.name} (floor {low.rank})" for h, low in known
        if None not in (h.rank, low.rank) and not low.rank < h.rank and not (h.is_wing and low.is_wing)]
    yield "the roof covers every public header of the core", [
        h.name for h in everyone
        if h.is_public and not h.is_wing and h.name != "regrant.hpp" and h.name not in closure("regrant.hpp", headers)]

    def may_include(header, name):
        for pattern, places in ROOMS.items():
            if fnmatch(name, pattern):
                return any(fnmatch(header.name, place) for place in places)
        return re.fullmatch(r"[a-z_0-9]+", name) is not None  # the standard library's names have no dot or slash

    yield "foreign headers keep to their one room", [
        f"{h.name}: <{name}>" for h in everyone for name in h.foreign if not may_include(h, name)]
    for name, forbidden in OUT_OF_REACH.items():
        reached = closure(name, headers)
        yield f"{name} exists, apart from {', '.join(forbidden)}", (
            [f"{name} reaches {f}" for f in forbidden if f in reached] if name in headers else [f"no {name}"])

    yield f"no header is longer than {LONGEST} lines", [
        f"{h.name}: {len(h.lines)}" for h in everyone if len(h.lines) > LONGEST]
    yield "a public header is about what its name says", [
        h.name for h in everyone if h.is_public and h.rank != ROOF and not h.bears_its_name()]

    public = [h for h in everyone if h.is_public]
    yield "every public header has a test of its name", [
        f"{h.name}: {h.test}" for h in public if not (top / h.test).is_file()]

    def first_include(path):
        match = re.search(r'^\s*#\s*include\s*[<"]([^>"]+)', path.read_text(encoding="utf-8"), re.M)
        return match.group(1) if match else "nothing"

    yield "that test includes the header before anything else", [
        f"{h.test} begins with {first_include(top / h.test)}" for h in public
        if (top / h.test).is_file() and first_include(top / h.test) != "regrant/" + h.name
        and not h.name.startswith("host/httplib_")]  # parts of host/httplib.hpp


def check(top):
    passed = failed = 0
    for rule, complaints in rules(top):
        print("FAILED" if complaints else "ok    ", "floors:", rule)
        for complaint in complaints:
            print("         ", complaint)
        passed, failed = passed + (not complaints), failed + bool(complaints)
    return passed, failed


def self_test():
    """Breaks a copy of the tree in one place at a time; the rule named must gain a complaint by it."""
    def line(number, old, new):
        def edit(text):
            lines = text.split("\n")
            assert old in lines[number - 1], f"line {number} of the victim has no {old!r}"
            lines[number - 1] = lines[number - 1].replace(old, new)
            return "\n".join(lines)
        return edit

    def add(text_to_add):
        return lambda text: text + text_to_add + "\n"

    victim, its_test = "include/regrant/version.hpp", "tests/unit/version.cpp"
    breaks = [
        ("line 1 names", victim, line(1, "version.hpp", "versions.hpp")),
        ("the sentence has no 'and'", victim, line(1, ".hpp - ", ".hpp - this and ")),
        ("line 2 states", victim, line(2, "// floor 0", "// ground floor")),
        ("line 2 states", victim, line(2, "// floor 0", "// wing")),
        ("line 3 is", victim, line(3, "MIT", "BSL-1.0")),
        ("line 3 is", victim, line(4, "#pragma once", "")),
        ("every header of ours", victim, add("#include <regrant/no_such.hpp>")),
        ("includes lead", victim, add("#include <regrant/regrant.hpp>")),
        ("includes lead", victim, add('#include "error.hpp"')),
        ("what a header includes first", victim, lambda text: text.replace("#include", "#include <string>\n#include", 1)),
        ("what a header includes first", "include/regrant/scope.hpp", lambda text: text.replace('"detail/cpp20.hpp"', "<span>")),
        ("the roof covers", "include/regrant/new_thing.hpp", add("// regrant/new_thing.hpp - a thing.\n// floor 0")),
        ("foreign headers", victim, add("#include <openssl/evp.h>")),
        ("foreign headers", victim, add("#include <picojson.h>")),
        ("foreign headers", victim, add("#include <coroutine>")),
        ("foreign headers", victim, add("#include <sqlite3.h>")),
        ("foreign headers", victim, add("#include <sys/random.h>")),
        ("token_endpoint.hpp exists", "include/regrant/token_endpoint.hpp", add("#include <regrant/detail/json.hpp>")),
        ("token_store.hpp exists", "include/regrant/token_store.hpp", add('#include "detail/openssl.hpp"')),
        ("refresh_flow.hpp exists", "include/regrant/refresh_flow.hpp", add("#include <mutex>")),
        ("client_authentication.hpp exists", "include/regrant/client_authentication.hpp", add("#include <thread>")),
        ("token_endpoint.hpp exists", "include/regrant/token_endpoint.hpp", None),
        ("no header is longer", victim, add("\n" * LONGEST)),
        ("a public header is about", victim, lambda text: re.sub("(?i)version", "edition", text)),
        ("every public header has", its_test, None),
        ("that test includes", its_test, lambda text: "#include <string>\n" + text),
    ]
    passed = failed = 0
    for rule, name, edit in breaks:
        with tempfile.TemporaryDirectory() as folder:
            top = Path(folder)
            for part in ("include", "tests/unit", "tests/examples"):
                shutil.copytree(TOP / part, top / part)
            before = dict(rules(top))
            path = top / name
            if edit:
                path.write_text(edit(path.read_text(encoding="utf-8") if path.exists() else ""), encoding="utf-8")
            else:
                path.unlink()
            caught = any(len(after) > len(before[r]) for r, after in rules(top) if r.startswith(rule))
        passed, failed = passed + caught, failed + (not caught)
        print("ok    " if caught else "FAILED", f"floors: '{rule} ...' fails when {name} breaks it")
    return passed, failed


if __name__ == "__main__":
    passed, failed = self_test() if sys.argv[1:] == ["--self-test"] else check(TOP)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)
