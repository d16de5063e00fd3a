#!/usr/bin/env python3
# single_include/generate.py - makes the single header, and one header per wing beside it, from include/regrant.
# SPDX-License-Identifier: MIT
"""Inlines regrant's own headers once each, in the order they are included, and leaves everything else in its place.

  generate.py              write single_include/regrant/
  generate.py --check      exit 1 if what is written there is not what would be written now
  generate.py --self-test  show that every refusal below refuses

Whatever the script does not understand is an error: a wrong guess would be a wrong header.
"""
import argparse
import re
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
GUARD = "REGRANT_SINGLE_HEADER_V0"
GROUND = "regrant/detail/cpp20.hpp"

DIRECTIVE = re.compile(r"\s*#\s*(\w+)\s*(.*?)\s*$")
INCLUDE = re.compile(r'[<"]([^>"]+)[>"](\s*//.*)?$')
PRAGMA = re.compile(r'once$|(push|pop)_macro\s*\("\w+"\)$|GCC unroll \d+$|'
                    r'(GCC|clang) diagnostic (push|pop|ignored "[^"]+")$')
KNOWN = {"if", "ifdef", "ifndef", "else", "elif", "endif", "define", "undef", "error", "warning", "include", "pragma"}
TOKEN = re.compile(r"""//|/\*|\*/|\bR"[^(\s]*\(|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])+'""")


class Puzzled(Exception):
    """Something in a header that this script does not understand."""


def code_lines(path):
    """Yields (number, line, is it code); not code: what begins inside a block comment or a raw string."""
    inside, raw_end, blank = False, None, False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        began_inside, skip_to = inside or raw_end, 0
        if raw_end:
            if blank and not line:
                raise Puzzled(f"{path}:{number}: blank lines in a raw string, of which only one would be left")
            skip_to, blank = line.find(raw_end) + 1, not line
            if not skip_to:
                yield number, line, False
                continue
            skip_to, raw_end = skip_to - 1 + len(raw_end), None
        for token in TOKEN.finditer(line):
            text = token.group()
            if token.start() < skip_to:
                continue
            if inside:
                inside = text != "*/"
            elif text == "//":
                break
            elif text == "/*":
                inside = True
            elif text.startswith("R"):
                raw_end, blank = ")" + text[2:-1] + '"', False
                skip_to = line.find(raw_end, token.end()) + 1
                if not skip_to:
                    break
                skip_to, raw_end = skip_to - 1 + len(raw_end), None
        yield number, line, not began_inside


def question(include):
    """What detail/cpp20.hpp asks and says: the whole of a generated file stands in the #else of it."""
    lines = (include / GROUND).read_text(encoding="utf-8").splitlines()
    asked = next((i for i, line in enumerate(lines) if line.startswith("#if")), None)
    if asked is None or not lines[asked + 1].startswith("#error"):
        raise Puzzled(f"{GROUND}: no #if with an #error in its first line")
    return [lines[asked], lines[asked + 1], "#else"]


class Writer:
    """Inlines headers of one output file. `elsewhere` holds the headers that another file brings already."""

    def __init__(self, include, elsewhere=frozenset()):
        self.include, self.elsewhere = include, elsewhere | {include / GROUND}
        self.question = question(include)
        self.done, self.system, self.chain = [], set(), []

    def own_header(self, directive, includer):
        """The header of ours that an include names, or None if it is a foreign one."""
        name = INCLUDE.match(directive).group(1)
        for base in [includer.parent] * directive.startswith('"') + [self.include]:
            if (base / name).is_file():
                return (base / name).resolve()
        if name.startswith("regrant/") or directive.startswith('"'):
            raise Puzzled(f"there is no header {name}")
        return None

    def answered(self, path):
        """The lines of a header, without the question after C++20 where it is asked round all of them."""
        lines = list(code_lines(path))
        texts = [line for _, line, _ in lines]
        if self.question[0] not in texts:
            return lines
        start = texts.index(self.question[0])
        if texts[start:start + 3] != self.question or texts[-1] != "#endif":
            raise Puzzled(f"{path}:{start + 1}: asks for C++20, but not round all that follows")
        return lines[:start - texts[start - 1].startswith("//")] + lines[start + 3:-1]

    def inline(self, path):
        """The text of a header with its own headers before it, or nothing if it came earlier."""
        if path in self.done or path in self.elsewhere:
            return []
        if path in self.chain:
            raise Puzzled(f"{path} includes itself by way of others")
        self.chain.append(path)
        before, text, conditions, pushed = [], [], 0, 0
        for number, line, is_code in self.answered(path):
            match = DIRECTIVE.match(line) if is_code else None
            if not match:
                # The floor and the licence are said once, at the top of the file.
                if number > 4 or not re.match(r"// (floor \d+|wing|roof|SPDX-License-Identifier: .*)$", line):
                    text.append(line)
                continue
            word, rest = match.groups()
            where = f"{path}:{number}"
            if word not in KNOWN:
                raise Puzzled(f"{where}: unknown directive #{word}")
            if word == "pragma":
                if not PRAGMA.match(rest):
                    raise Puzzled(f"{where}: unknown pragma: {rest}")
                if rest == "once":
                    continue
                pushed += rest.startswith("push_macro") - rest.startswith("pop_macro")
            elif word == "include":
                if not INCLUDE.match(rest):
                    raise Puzzled(f"{where}: cannot tell what is included: {rest}")
                try:
                    own = self.own_header(rest, path)
                except Puzzled as problem:
                    raise Puzzled(f"{where}: {problem}") from None
                if own and (conditions or pushed):
                    raise Puzzled(f"{where}: a header of our own is included under a condition")
                if own and any(t.strip() and not t.lstrip().startswith(("//", "#include")) for t in text):
                    raise Puzzled(f"{where}: a header of our own is included after code")
                if own:
                    before += self.inline(own)
                    continue
                # Under a condition, or with macros pushed aside, an include means what it means only there.
                if not conditions and not pushed:
                    if rest in self.system:
                        continue
                    self.system.add(rest)
            conditions += word in ("if", "ifdef", "ifndef")
            conditions -= word == "endif"
            text.append(line)
        if conditions or pushed:
            raise Puzzled(f"{path}: an #if or a push_macro is left open")
        self.chain.pop()
        self.done.append(path)
        return before + self.finish(path, text)

    def finish(self, path, text):
        return [""] + text


class WingWriter(Writer):
    """Guards each header by itself, because two wings may bring the same one."""

    def finish(self, path, text):
        name = path.relative_to(self.include / "regrant").with_suffix("").as_posix()
        guard = GUARD + "_" + re.sub(r"\W", "_", name).upper()
        return ["", f"#ifndef {guard}", f"#define {guard}", ""] + text + ["", f"#endif // {guard}"]


def page(lines):
    """The lines as a file, runs of blank lines made one."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines).strip("\n")) + "\n"


def preamble(version, what):
    return [f"// regrant {version} - {what}.",
            "// Generated by single_include/generate.py from include/regrant: change the headers there, not this file.",
            "// SPDX-License-Identifier: MIT",
            "#pragma once"]


def generate(top):
    """The files to write, as {path below single_include/regrant: text}."""
    include = (top / "include").resolve()
    version_text = (include / "regrant/version.hpp").read_text(encoding="utf-8")
    numbers = re.findall(r"^#define REGRANT_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", version_text, re.M)
    if len(numbers) != 3:
        raise Puzzled("version.hpp does not define the three parts of the version")
    version, number = ".".join(numbers), int("%d%03d%03d" % tuple(map(int, numbers)))

    core = Writer(include)
    body = core.inline(include / "regrant/regrant.hpp")
    # Two copies at two paths escape #pragma once; the same version is taken once, two versions are a mistake.
    files = {"regrant.hpp": page(
        preamble(version, "the whole library in one header") + core.question
        + [f"#if defined({GUARD}) && {GUARD} + 0 != {number}",
           "#error \"two versions of regrant's single header in one unit\"", "#endif",
           f"#ifndef {GUARD}", f"#define {GUARD} {number}"] + body + ["", f"#endif // {GUARD}", "#endif"])}

    for wing in sorted([*include.glob("regrant/store/*.hpp"), *include.glob("regrant/host/*.hpp"),
                        *include.glob("regrant/testing/store_*.hpp")]):
        name = wing.relative_to(include / "regrant").as_posix()
        text = WingWriter(include, frozenset(core.done)).inline(wing)
        files[name] = page(preamble(version, f"{name} for use with the single header")
                           + core.question + ["", '#include "../regrant.hpp"'] + text + ["#endif"])
    return files


def stale(top, files):
    """What differs between the files and those on disk, one line each."""
    target = top / "single_include/regrant"
    complaints = []
    for name, text in files.items():
        path = target / name
        if not path.is_file():
            complaints.append(f"{name}: missing")
        elif (old := path.read_text(encoding="utf-8")) != text:
            olds, news = old.split("\n") + ["<end of file>"], text.split("\n") + ["<end of file>"]
            line = next(i for i, (a, b) in enumerate(zip(olds, news)) if a != b)
            complaints.append(f"{name}:{line + 1}: stale: there is {olds[line]!r}, there should be {news[line]!r}")
    known = {target / name for name in files}
    complaints += [f"{p.relative_to(target)}: made from nothing" for p in target.rglob("*.hpp") if p not in known]
    return complaints


def write(top, files):
    for name, text in files.items():
        path = top / "single_include/regrant" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


ASKED = '#if __cplusplus < 202002L\n#error "old"\n'
SAMPLE = {
    "detail/cpp20.hpp": "#pragma once\n" + ASKED + "#include <no_such_header>\n#endif\n",
    "version.hpp": "// regrant/version.hpp - v.\n// floor 0\n// SPDX-License-Identifier: MIT\n#pragma once\n"
                   "#define REGRANT_VERSION_MAJOR 0\n#define REGRANT_VERSION_MINOR 1\n#define REGRANT_VERSION_PATCH 0\n",
    "a.hpp": "#pragma once\n#include <regrant/detail/cpp20.hpp>\n#include <regrant/version.hpp>\n#include <string>\n/// #include <regrant/none.hpp>\nint a();\n",
    "json.hpp": "#pragma once\n#include <string>\n#pragma push_macro(\"X\")\n#define X\n#include <string>\n"
                "#if __has_include(<picojson.h>)\n#include <picojson.h>\n#endif\n#pragma pop_macro(\"X\")\n",
    "regrant.hpp": "#pragma once\n// asked\n" + ASKED + '#else\n#include <regrant/a.hpp>\n#include "json.hpp"\n'
                   "#include <regrant/version.hpp>\n#endif\n",
    "store/part.hpp": "#pragma once\n#include <regrant/a.hpp>\nint part();\n",
    "store/wing.hpp": "#pragma once\n#include <regrant/store/part.hpp>\n#include <sqlite3.h>\n"
                      'auto s = R"(\n#include <regrant/none.hpp>\n)"; /* " */ int wing();\n',
}
REFUSED = {
    "an own header under a condition": "#if 1\n#include <regrant/version.hpp>\n#endif\n",
    "an own header among pushed macros": '#pragma push_macro("X")\n#include <regrant/version.hpp>\n#pragma pop_macro("X")\n',
    "an own header after code": "int early();\n#include <regrant/version.hpp>\n",
    "an include through a macro": "#include WHICH\n",
    "a missing header": "#include <regrant/none.hpp>\n",
    "a missing quoted header": '#include "none.hpp"\n',
    "an unknown pragma": "#pragma pack(1)\n",
    "an unknown directive": "#include_next <string>\n",
    "an open condition": "#if 1\n",
    "a header that includes itself": "#include <regrant/a.hpp>\n",
    "blank lines in a raw string": 'auto s = R"(\n\n\n)";\n',
    "a question after C++20 that is not asked round everything": ASKED + "#else\n#endif\nint a();\n",
    "another question than that of detail/cpp20.hpp":
        ASKED.replace("202002L", "202302L") + "#else\n#include <regrant/version.hpp>\n#endif\n",
}


def self_test():
    failed = passed = 0

    def check(name, good):
        nonlocal failed, passed
        passed, failed = passed + bool(good), failed + (not good)
        print(("ok    " if good else "FAILED"), "generate:", name)

    def tree(folder, **changed):
        for name, text in {**SAMPLE, **{k.replace("__", "/") + ".hpp": v for k, v in changed.items()}}.items():
            path = Path(folder) / "include/regrant" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return Path(folder)

    with tempfile.TemporaryDirectory() as folder:
        top = tree(folder)
        files = generate(top)
        roof, wing = files["regrant.hpp"], files["store/wing.hpp"]
        check("each header once, lower ones first", roof.count("int a();") == 1 and roof.count("VERSION_MAJOR") == 1
              and roof.index("VERSION_MAJOR") < roof.index("int a();"))
        check("one #pragma once", roof.count("#pragma once") == 1 and wing.count("#pragma once") == 1)
        check("a system header once, and again where macros are pushed", roof.count("#include <string>") == 2)
        check("picojson stays between its macros",
              roof.index("#define X\n") < roof.index("#include <picojson.h>") < roof.index("pop_macro"))
        check("a doc comment stays as it is", "/// #include <regrant/none.hpp>" in roof)
        check("a question after C++20 round the whole of each file, and nothing of detail/cpp20.hpp beside it",
              all(text.count("#error \"old\"") == 1 and "\n#pragma once\n" + ASKED + "#else\n" in text
                  and text.endswith("#endif\n") and "no_such_header" not in text for text in files.values()))
        check("a raw string stays as it is", "R\"(\n#include <regrant/none.hpp>\n)\";" in wing)
        check("a wing leans on the single header", '#include "../regrant.hpp"' in wing and "int a();" not in wing)
        check("a wing brings its own parts", wing.index("int part();") < wing.index("int wing();"))
        check("a missing file is stale", stale(top, files))
        write(top, files)
        check("what was just written is not stale", not stale(top, files))
        tree(folder, a=SAMPLE["a.hpp"] + "int b();\n")
        check("a changed part makes it stale", "int b();" in "".join(stale(top, generate(top))))
    for name, text in REFUSED.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                generate(tree(folder, a=text))
                check("refuses " + name, False)
            except Puzzled:
                check("refuses " + name, True)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    parser.add_argument("--self-test", action="store_true", help="test this script")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    try:
        files = generate(TOP)
    except Puzzled as problem:
        print(f"generate.py: {str(problem).replace(str(TOP) + '/', '')}", file=sys.stderr)
        return 1
    if not arguments.check:
        write(TOP, files)
        return 0
    complaints = stale(TOP, files)
    print(*(complaints or [f"ok    single_include: {len(files)} files are up to date"]), sep="\n")
    print(f"{len(files) - min(len(files), len(complaints))} passed, {len(complaints)} failed")
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
