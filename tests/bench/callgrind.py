# tests/bench/callgrind.py - reads what callgrind counted.
# SPDX-License-Identifier: MIT
import collections
import os
import re
import subprocess
import tempfile

NAME = re.compile(r"\((\d+)\)(?: (.*))?")


def self_costs(path):
    """Instructions of each function without what it calls, as {(object, file, function): count}."""
    costs = collections.Counter()
    names = {"ob": {}, "fl": {}, "fn": {}}
    at = {"ob": "", "fl": "", "fn": ""}
    of_call = False
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            key, equals, value = line.rstrip("\n").partition("=")
            kind = {"fi": "fl", "fe": "fl"}.get(key, key)
            if equals and kind in names:
                number, name = NAME.match(value).groups()
                if name is not None:
                    names[kind][number] = name
                at[kind] = names[kind].get(number, "")
            elif equals and key in ("cob", "cfi", "cfl", "cfn"):
                number, name = NAME.match(value).groups()
                if name is not None:
                    names[{"cob": "ob", "cfn": "fn"}.get(key, "fl")][number] = name
            elif key == "calls":
                of_call = True  # the next line is the cost of what is called
            elif line[0].isdigit() or line[0] in "+-*":
                if not of_call:
                    costs[at["ob"], at["fl"], at["fn"]] += int(line.split()[1])
                of_call = False
    return costs


def measured(program, name, function):
    """Self costs of `program --measure name`, counted within one function of it alone."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind.out")
        done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                               f"--toggle-collect={function}", program, "--measure", name],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"valgrind failed:\n{done.stderr}")
        return self_costs(out)
