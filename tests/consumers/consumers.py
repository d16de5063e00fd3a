#!/usr/bin/env python3
# tests/consumers/consumers.py - takes regrant into small programs in every way README names.
# SPDX-License-Identifier: MIT
"""Each program issues and refreshes once; its answer is looked at. The projects are the folders beside this file.

  consumers.py          run all checks
  consumers.py WORD...  those whose name holds one of the words

All that is built lies below build/consumers and is removed at the end. Nothing is fetched from anywhere.
"""
import base64
import concurrent.futures
import functools
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import threading
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
VERSION = ".".join(re.findall(r"^#define REGRANT_VERSION_\w+ (\d+)", (TOP / "include/regrant/version.hpp").read_text(), re.M))
WARNINGS = "-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Werror".split()
COMPILERS = [c for c in ("g++", "clang++") if shutil.which(c)]
CCACHE = ["ccache"] if shutil.which("ccache") else []
# What each store needs, by pkg-config's name for it; a store whose library is missing is left out.
NEEDS = {"sqlite": "sqlite3", "postgresql": "libpq", "redis": "hiredis"}
HERE_ARE = {wing for wing, name in NEEDS.items() if subprocess.run(["pkg-config", "--exists", name]).returncode == 0}
HAS_SQLITE = "sqlite" in HERE_ARE
HAS_WING = HAS_SQLITE and (TOP / "include/regrant/store/sqlite.hpp").is_file()
HAS_LIBCXX = "clang++" in COMPILERS and subprocess.run(
    ["clang++", "-stdlib=libc++", "-fsyntax-only", "-x", "c++", "-"], input="#include <version>\n", text=True,
    stderr=subprocess.DEVNULL).returncode == 0
PUBLIC = sorted(p.relative_to(TOP / "include").as_posix() for p in (TOP / "include/regrant").rglob("*.hpp")
                if p.parent.name != "detail")
OWN_TARGETS = {"regrant", "regrant_redis_tls"} | {f"regrant_{wing}" for wing in NEEDS}

# Always the same folder, so that ccache knows the units again.
AREA = TOP / "build/consumers"
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("CXXFLAGS", "CPPFLAGS", "LDFLAGS", "PKG_CONFIG_PATH", "DESTDIR")}
ENVIRONMENT["CMAKE_GENERATOR"] = "Ninja"
if CCACHE:
    ENVIRONMENT["CMAKE_CXX_COMPILER_LAUNCHER"] = CCACHE[0]


class Failed(Exception):
    """What went wrong, for whoever reads the log."""


def expect(good, what):
    if not good:
        raise Failed(what)


def run(*command, cwd=AREA, fails=False, **more):
    """Runs a command; returns what it wrote. `fails`: it must fail."""
    done = subprocess.run([str(c) for c in command], cwd=cwd, env={**ENVIRONMENT, **more}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    expect((done.returncode != 0) == fails, f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}")
    return done.stdout


def once(function):
    """A preparation that several checks use: the first one makes it, the others wait."""
    guard, locks, made = threading.Lock(), {}, {}

    def wrapped(*arguments):
        with guard:
            lock = locks.setdefault(arguments, threading.Lock())
        with lock:
            if arguments not in made:
                made[arguments] = function(*arguments)
            return made[arguments]
    return wrapped


CHECKS = []


def check(name, function, *arguments):
    CHECKS.append((name, functools.partial(function, *arguments)))


def named(name, *arguments):
    """The decorated function is a check of that name."""
    def add(function):
        check(name, function, *arguments)
        return function
    return add


# --- what the checks are made of ---

def answers(program, cwd=AREA):
    """Runs a consumer program and looks at the answer it prints."""
    first, status, body = run(program, cwd=cwd).splitlines()
    expect(status == "200", f"it answered {status}: {body}")
    answer = json.loads(body)
    expect(list(answer) == ["access_token", "refresh_token", "scope", "id_token", "token_type", "expires_in"], body)
    header, claims, signature = answer["access_token"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(claims + "=="))
    expect(claims["sub"] == "alice" and claims["aud"] == "web" and len(signature) == 342, str(claims))
    expect(json.loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "RS256", header)
    expect(len(first) == 72 and len(answer["refresh_token"]) == 72 and answer["refresh_token"] != first, body)


def copy_of_tree(target):
    """The tree as a release holds it."""
    shutil.copytree(TOP, target, ignore=lambda folder, names: [
        n for n in names if n in (".git", "build", "__pycache__") or n.startswith("cmake-build")])
    return target


@once
def tarball():
    tree = copy_of_tree(AREA / f"regrant-{VERSION}")
    with tarfile.open(AREA / f"regrant-{VERSION}.tar.gz", "w:gz") as archive:
        archive.add(tree, arcname=tree.name)
    shutil.rmtree(tree)
    return AREA / f"regrant-{VERSION}.tar.gz"


def project(kind, name):
    """A fresh copy of one of the projects."""
    folder = AREA / name
    shutil.copytree(HERE / kind, folder)
    shutil.copy(HERE / "consumer.cpp", folder)
    return folder


def installed_lies_right(prefix, forbidden):
    """What is installed is the headers and the two packages, and names no folder of the machine it was built on."""
    there = sorted(p.relative_to(prefix).as_posix() for p in prefix.rglob("*") if p.is_file())
    headers = {p.relative_to(TOP).as_posix() for p in (TOP / "include").rglob("*.hpp")}
    expect({n for n in there if n.endswith(".hpp")} == headers, f"headers: {there}")
    for name in there:
        text = (prefix / name).read_text(errors="replace")
        expect(not any(str(word) in text for word in forbidden), f"{name} holds a path of the building machine:\n{text}")
    return {n for n in there if not n.endswith(".hpp")}


@once
def installed_by_cmake():
    """A prefix that was moved after the installation, and the name it had before."""
    build, before, after = AREA / "cmake-build", AREA / "cmake-before", AREA / "moved by cmake"
    run("cmake", "-S", TOP, "-B", build, "-DREGRANT_TESTS=OFF", f"-DCMAKE_INSTALL_PREFIX={AREA / 'elsewhere'}")
    run("cmake", "--install", build, "--prefix", before)
    before.rename(after)
    expect(not (AREA / "elsewhere").exists(), "something was installed past the prefix")
    return after, [before, build, TOP, AREA / "elsewhere"]


@once
def installed_by_meson():
    build, before, after = AREA / "meson-build", AREA / "meson-before", AREA / "moved-by-meson"
    run("meson", "setup", build, TOP, "-Dtests=false", "--prefix", before)
    run("meson", "install", "-C", build)
    before.rename(after)
    return after, [before, build, TOP]


def build_with_cmake(folder, *options):
    run("cmake", "-S", folder, "-B", folder / "out", *options)
    run("cmake", "--build", folder / "out")
    answers(folder / "out/consumer")


def build_with_meson(folder, **more):
    log = run("meson", "setup", folder / "out", folder, "--wrap-mode=nodownload", **more)
    run("meson", "compile", "-C", folder / "out")
    answers(folder / "out/consumer")
    return log


def compile_line(compiler, *more):
    return [*CCACHE, compiler, "-std=c++20", *more]


# --- CMake ---

@named("find_package finds the installed regrant after its prefix was moved, and its SQLite wing")
def _():
    prefix, _ = installed_by_cmake()
    folder = project("find_package", "find_package")
    if HAS_WING:
        shutil.copy(HERE / "wing.cpp", folder)
    build_with_cmake(folder, f"-DCMAKE_PREFIX_PATH={prefix}")
    expect(not HAS_WING or run(folder / "out/wing", cwd=folder) == "opened\n", "the wing did not open its store")


@named("CMake installs headers, a package and a .pc that name no folder of the building machine")
def _():
    others = installed_lies_right(*installed_by_cmake())
    expect(others == {f"share/cmake/regrant/regrant{n}.cmake" for n in ("Config", "ConfigVersion", "Targets")}
           | {"share/pkgconfig/regrant.pc"}, str(others))


@named("find_package takes no version that may break it, and says which component is not there")
def _():
    prefix, _ = installed_by_cmake()
    for number, wanted in enumerate(("0.0.9", "0.2", "1.0", "0.1 COMPONENTS no_such_wing")):
        folder = AREA / f"wanted-{number}"
        folder.mkdir()
        (folder / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.20)\nproject(p LANGUAGES CXX)\n"
                                               f"find_package(regrant {wanted} REQUIRED)\n")
        said = run("cmake", "-S", folder, "-B", folder / "out", f"-DCMAKE_PREFIX_PATH={prefix}", fails=True)
        expect("regrant" in said and ("no_such_wing" in said) == (number == 3), said)


@named("CMake has a store's target where that of its library is, whether a parent brings it or its own module does not")
def _():
    prefix, _ = installed_by_cmake()
    folder = project("find_package", "stores")
    (folder / "regrant").symlink_to(TOP)
    for ways, fails in (("add_library(own INTERFACE)\nadd_library(SQLite::SQLite3 ALIAS own)\nadd_subdirectory(regrant)\n"
                         "get_target_property(linked regrant::sqlite INTERFACE_LINK_LIBRARIES)\n", False),
                        ("find_package(regrant REQUIRED COMPONENTS sqlite)\n", True)):
        (folder / "FindSQLite3.cmake").write_text(f"set(SQLite3_FOUND {fails})\n")
        (folder / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.20)\nproject(p LANGUAGES CXX)\n"
                                               "set(CMAKE_MODULE_PATH ${PROJECT_SOURCE_DIR})\n" + ways)
        said = run("cmake", "-S", folder, "-B", folder / f"out-{fails}", f"-DCMAKE_PREFIX_PATH={prefix}", fails=fails)
        expect(("component 'sqlite' is not available" in said) == fails, said)


@named("a missing picojson is one CMake error that says what to install or set")
def _():
    folder = project("add_subdirectory", "no-picojson")
    (folder / "regrant").symlink_to(TOP)
    (folder / "hide.cmake").write_text("find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)\n"
                                       "set(CMAKE_FIND_USE_CMAKE_SYSTEM_PATH OFF)\nset(CMAKE_FIND_USE_SYSTEM_ENVIRONMENT_PATH OFF)\n")
    found = run("cmake", "-S", folder, "-B", folder / "out", f"-DCMAKE_PROJECT_regrant_INCLUDE={folder / 'hide.cmake'}", fails=True)
    expect(found.count("CMake Error") == 1 and "picojson-dev" in found and "REGRANT_PICOJSON_INCLUDE_DIR" in found, found)


@once
def parent():
    """A parent with regrant in a folder of its own, and what it says it holds."""
    folder = project("add_subdirectory", "add_subdirectory")
    (folder / "regrant").symlink_to(TOP)
    said = run("cmake", "-S", folder, "-B", folder / "out", f"-DCMAKE_PROJECT_consumer_INCLUDE={HERE / 'leaks.cmake'}")
    run("cmake", "--build", folder / "out")
    return folder, said


@named("add_subdirectory takes regrant in")
def _():
    answers(parent()[0] / "out/consumer")


@named("two copies of regrant in one build are no error: the first one serves")
def _():
    folder = project("add_subdirectory", "vendored-twice")
    for name in ("regrant", "second"):
        (folder / name).symlink_to(TOP)
    lists = folder / "CMakeLists.txt"
    lists.write_text(lists.read_text().replace("add_subdirectory(regrant)\n", "add_subdirectory(regrant)\n"
                                               "add_subdirectory(second)\n"))
    expect("add_subdirectory(second)" in lists.read_text(), "the second copy is not taken in")
    run("cmake", "-S", folder, "-B", folder / "out")
    run("cmake", "--build", folder / "out")
    answers(folder / "out/consumer")


@named("add_subdirectory adds no target but regrant's own, and no test")
def _():
    folder, said = parent()
    targets = {t for line in re.findall(r"BUILDSYSTEM_TARGETS: ?(.*)", said) for t in line.split(";") if t}
    expect({"consumer", "regrant"} <= targets <= {"consumer"} | OWN_TARGETS, f"targets: {targets}")
    tests = [line for line in re.findall(r"-- TESTS: ?(.*)", said) if line]
    expect(len(re.findall(r"-- TESTS:", said)) == 2 and not tests, f"tests: {tests}")
    expect("Total Tests: 0" in run("ctest", "-N", cwd=folder / "out"), "ctest lists a test")
    # `all` builds the consumer, its object, and nothing else.
    steps = run("ninja", "-C", folder / "out", "-t", "commands", "all").splitlines()
    expect(len([s for s in steps if "regrant/" in s and "consumer.cpp" not in s]) == 0, "\n".join(steps))


@named("add_subdirectory adds no install rule: the parent installs what is its own")
def _():
    folder, _ = parent()
    run("cmake", "--install", folder / "out", "--prefix", folder / "installed")
    there = sorted(p.relative_to(folder / "installed").as_posix() for p in (folder / "installed").rglob("*") if p.is_file())
    expect(there == ["bin/consumer"], str(there))


@named("add_subdirectory switches no option on, and leaves nothing in the cache but what it looked up")
def _():
    def cache(build):
        lines = (build / "CMakeCache.txt").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if re.match(r"[^#/].*:(?!INTERNAL|STATIC)\w+=", line))
    folder, _ = parent()
    bare = AREA / "bare"
    bare.mkdir()
    (bare / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.20)\nproject(consumer LANGUAGES CXX)\n")
    run("cmake", "-S", bare, "-B", bare / "out")
    added = {k: v for k, v in cache(folder / "out").items() if k not in cache(bare / "out")}
    strange = [k for k in added if not re.match(r"REGRANT_|OPENSSL_|SQLite3_|PostgreSQL_|HIREDIS_|__pkg_config_|PKG_CONFIG_|pkgcfg_lib_|CMAKE_PROJECT_consumer_INCLUDE", k)]
    expect(not strange, f"in the cache: {strange}")
    on = [k for k, v in added.items() if k.endswith(":BOOL") and v in ("ON", "TRUE", "1")]
    expect(not on and added["REGRANT_TESTS:BOOL"] == added["REGRANT_INSTALL:BOOL"] == "OFF", f"switched on: {on}")


@named("FetchContent takes regrant from FETCHCONTENT_SOURCE_DIR_REGRANT, without any download")
def _():
    folder = project("fetch_content", "fetch_content")
    build_with_cmake(folder, f"-DFETCHCONTENT_SOURCE_DIR_REGRANT={TOP}", "-DFETCHCONTENT_FULLY_DISCONNECTED=ON")
    expect("Total Tests: 0" in run("ctest", "-N", cwd=folder / "out"), "ctest lists a test")


@named("FetchContent takes regrant from the packaged tarball, and installs nothing of it")
def _():
    folder = project("fetch_content", "fetch_content-tarball")
    shutil.copy(tarball(), folder / "regrant.tar.gz")
    run("cmake", "-S", folder, "-B", folder / "out")
    (folder / "out/consumer").touch()
    run("cmake", "--install", folder / "out", "--prefix", folder / "installed")
    expect([p.name for p in (folder / "installed").rglob("*") if p.is_file()] == ["consumer"], "more was installed")


# --- Meson ---

@named("Meson takes regrant from subprojects/regrant")
def _():
    folder = project("meson", "meson-subproject")
    (folder / "subprojects").mkdir()
    (folder / "subprojects/regrant").symlink_to(TOP)
    log = build_with_meson(folder)
    expect("WARNING" not in log, log)
    what = {key: json.loads(run("meson", "introspect", folder / "out", "--" + key))
            for key in ("targets", "tests", "installed", "buildoptions")}
    targets = [t["name"] for t in what["targets"]]
    expect(targets == ["consumer"], f"targets: {targets}")
    expect(what["tests"] == [], f"tests: {what['tests']}")
    expect([Path(p).name for p in what["installed"].values()] == ["consumer"], f"installs: {what['installed']}")
    options = {o["name"]: o["value"] for o in what["buildoptions"]}
    expect(options["regrant:tests"] == "auto" and options["warning_level"] == "1" and not options["pkgconfig.relocatable"],
           "an option of the parent was changed")


@named("Meson takes regrant into a project in an older C++ that compiles its server alone as C++20")
def _():
    folder = project("meson", "meson-older")
    (folder / "subprojects").mkdir()
    (folder / "subprojects/regrant").symlink_to(TOP)
    text = (folder / "meson.build").read_text()
    (folder / "meson.build").write_text(text.replace(", default_options: ['cpp_std=c++20']", ", default_options: ['cpp_std=c++17']")
                                        .replace("install: true", "override_options: ['cpp_std=c++20']"))
    build_with_meson(folder)


@named("Meson takes regrant through a wrap-file with [provide], from the packaged tarball")
def _():
    folder = project("meson", "meson-wrap")
    (folder / "subprojects/packagecache").mkdir(parents=True)
    shutil.copy(tarball(), folder / "subprojects/packagecache")
    digest = hashlib.sha256(tarball().read_bytes()).hexdigest()
    (folder / "subprojects/regrant.wrap").write_text(
        f"[wrap-file]\ndirectory = regrant-{VERSION}\nsource_url = file://{tarball()}\n"
        f"source_filename = {tarball().name}\nsource_hash = {digest}\n\n[provide]\nregrant = regrant_dep\n")
    build_with_meson(folder)


@named("Meson installs headers and a .pc that name no folder of the building machine")
def _():
    others = installed_lies_right(*installed_by_meson())
    expect(others == {"share/pkgconfig/regrant.pc"}, str(others))


def installed_through_meson(installed):
    folder = project("meson", f"meson-{installed()[0].name.replace(' ', '-')}")
    log = build_with_meson(folder, PKG_CONFIG_PATH=str(installed()[0] / "share/pkgconfig"))
    expect(re.search(r"dependency regrant found: YES", log), log)


check("Meson's dependency('regrant') finds what Meson installed, in a moved prefix", installed_through_meson, installed_by_meson)
check("Meson's dependency('regrant') finds what CMake installed, in a moved prefix", installed_through_meson, installed_by_cmake)


# --- pkg-config ---

def through_pkg_config(installed):
    prefix, _ = installed()
    path = {"PKG_CONFIG_PATH": str(prefix / "share/pkgconfig")}
    expect(run("pkg-config", "--modversion", "regrant", **path).strip() == VERSION, "another version")
    flags, libraries = (shlex.split(run("pkg-config", what, "regrant", **path)) for what in ("--cflags", "--libs"))
    expect(libraries == ["-lcrypto"], str(libraries))
    program = AREA / f"pkg-config-{prefix.name.replace(' ', '-')}"
    run(*compile_line("g++", *flags, "-c", HERE / "consumer.cpp", "-o", program.with_suffix(".o")))
    run("g++", program.with_suffix(".o"), *libraries, "-o", program)
    answers(program)


check("the flags of Meson's regrant.pc are all it takes, in a moved prefix", through_pkg_config, installed_by_meson)
check("the flags of CMake's regrant.pc are all it takes, in a moved prefix with a space in its name",
      through_pkg_config, installed_by_cmake)


@named("CMake's regrant.pc finds the headers where a folder is given as an absolute path, or lies deeper than usual")
def _():
    prefix = AREA / "folders"
    for number, options in enumerate(({"INCLUDEDIR": prefix / "own/include"}, {"DATADIR": "lib/deep/share"},
                                      {"DATADIR": AREA / "elsewhere-share", "INCLUDEDIR": "include/regrant-0"})):
        run("cmake", "-S", TOP, "-B", AREA / f"folders-{number}", "-DREGRANT_TESTS=OFF", f"-DCMAKE_INSTALL_PREFIX={prefix}",
            *(f"-DCMAKE_INSTALL_{name}={folder}" for name, folder in options.items()))
        run("cmake", "--install", AREA / f"folders-{number}")
        beside = prefix / options.get("DATADIR", "share") / "pkgconfig"
        flags = shlex.split(run("pkg-config", "--cflags", "regrant", PKG_CONFIG_PATH=str(beside)))
        expect(any((Path(flag[2:]) / "regrant/regrant.hpp").is_file() for flag in flags), f"{options}: {flags}")
        shutil.rmtree(prefix)


# --- the single header ---

@once
def copies():
    """Two folders with a copy of the single header each."""
    for name in ("one", "two"):
        shutil.copytree(TOP / "single_include/regrant", AREA / name / "regrant")
    return AREA / "one", AREA / "two"


@once
def first_unit():
    """The consumer as a unit, with a copy of the single header by its side."""
    one, _ = copies()
    run(*compile_line("g++", f"-I{one}", "-c", HERE / "consumer.cpp", "-o", AREA / "first.o"))
    return AREA / "first.o"


def one_call(compiler):
    folder = AREA / f"one-call-{compiler}"
    folder.mkdir()
    shutil.copy(TOP / "single_include/regrant/regrant.hpp", folder)
    source = (HERE / "consumer.cpp").read_text()
    (folder / "main.cpp").write_text(source.replace("<regrant/regrant.hpp>", '"regrant.hpp"'))
    run(*compile_line(compiler, *WARNINGS, "-I.", "main.cpp", "-lcrypto"), cwd=folder)
    answers(folder / "a.out")


for each in COMPILERS:
    check(f"regrant.hpp in an empty folder, one call of {each} with all warnings", one_call, each)


@named("two units that include the single header link together, each with its own copy of it")
def _():
    _, two = copies()
    run(*compile_line("g++", f"-I{two}", "-Dmain=second_main", "-c", HERE / "consumer.cpp", "-o", AREA / "second.o"))
    for number, order in enumerate(([first_unit(), AREA / "second.o"], [AREA / "second.o", first_unit()])):
        run("g++", *order, "-lcrypto", "-o", AREA / f"two-units-{number}")
        answers(AREA / f"two-units-{number}")


@named("one unit that includes two copies of the single header, at two paths")
def _():
    one, two = copies()
    (AREA / "twice.cpp").write_text("".join(f'#include "{p}/regrant/{h}"\n' for h in ["regrant.hpp"] + [
        "store/sqlite.hpp"] * HAS_WING for p in (one, two)) + "int second_unit() { return REGRANT_VERSION_MAJOR; }\n")
    run(*compile_line("g++", "-c", AREA / "twice.cpp", "-o", AREA / "twice.o"))
    run("g++", first_unit(), AREA / "twice.o", "-lcrypto", "-o", AREA / "two-copies")
    answers(AREA / "two-copies")


@named("two versions of the single header in one unit are one error that says so")
def _():
    one, _ = copies()
    other = AREA / "other/regrant.hpp"
    other.parent.mkdir()
    text = (one / "regrant/regrant.hpp").read_text()
    number = re.search(r"#define REGRANT_SINGLE_HEADER_V0 (\d+)", text).group(1)
    other.write_text(text.replace(f"SINGLE_HEADER_V0 {number}", f"SINGLE_HEADER_V0 {number}1")
                     .replace(f"!= {number}\n", f"!= {number}1\n"))
    (AREA / "versions.cpp").write_text(f'#include "{one}/regrant/regrant.hpp"\n#include "{other}"\n')
    said = errors("g++", "-std=c++20", AREA / "versions.cpp")
    expect(len(said) == 1 and "two versions of regrant" in said[0], "\n".join(said))


if HAS_WING:
    @named("the wing of the single header, with all warnings")
    def _():
        one, _ = copies()
        for compiler in COMPILERS:
            run(*compile_line(compiler, *WARNINGS, f"-I{one}", "-c", HERE / "wing.cpp", "-o", AREA / f"wing-{compiler}.o"))
        run("g++", AREA / "wing-g++.o", "-lcrypto", "-lsqlite3", "-o", AREA / "wing-one")
        expect(run(AREA / "wing-one") == "opened\n", "the wing did not open its store")


def precompiled(compiler):
    """As CMake's target_precompile_headers does it, with the host's own picojson behind it in one unit."""
    folder = AREA / f"precompiled-{compiler}"
    folder.mkdir()
    (folder / "all.hpp").write_text("#include <regrant/regrant.hpp>\n")
    # Whatever keeps the compiler from using what it precompiled is an error.
    line = [compiler, "-std=c++20", f"-I{TOP / 'include'}", "-Winvalid-pch", "-Werror"]
    made, using = {"g++": ("all.hpp.gch", ["-include", "all.hpp"]), "clang++": ("all.pch", ["-include-pch", "all.pch"])}[compiler]
    run(*line, "-x", "c++-header", "all.hpp", "-o", made, cwd=folder)
    run(*line, *using, HERE / "consumer.cpp", "-lcrypto", "-o", "consumer", cwd=folder)
    answers(folder / "consumer")
    (folder / "main.cpp").write_text("bool host_after();\nint main() { return host_after() ? 0 : 1; }\n")
    run(*line, *using, "-DHOST_USES_INT64", HERE / "picojson/host_after.cpp", "main.cpp", "-lcrypto", "-o", "host", cwd=folder)
    run(folder / "host")


# --- the user's own build: warnings, macros, an older language ---

def errors(*compiler):
    """The error lines of a compiler call that fails."""
    said = run(*compiler, "-fsyntax-only", fails=True)
    return [line for line in said.splitlines() if re.search(r"\berror:", line)]


def no_warnings(compiler):
    """With picojson in a folder that is not a system one, so that its warnings would reach the user."""
    one, _ = copies()
    folder = AREA / f"warnings-{compiler}"
    shutil.copytree(one, folder)
    picojson = next((p for p in (Path("/usr/include/picojson.h"), Path("/usr/include/picojson/picojson.h"),
                                 Path("/usr/local/include/picojson.h")) if p.is_file()), None)
    if picojson:
        shutil.copy(picojson, folder)
    more = ("-Wold-style-cast -Wundef -Wnon-virtual-dtor -Wcast-qual -Wcast-align -Wdouble-promotion -Wformat=2 -Wextra-semi "
            "-Wswitch-enum -Wredundant-decls -Woverloaded-virtual -Wimplicit-fallthrough").split()
    if compiler == "g++":
        more += "-Wuseless-cast -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wsuggest-override".split()
    else:
        more.append("-Wrange-loop-analysis")
    run(*compile_line(compiler, *WARNINGS, *more, f"-I{folder}", "-c", HERE / "consumer.cpp", "-o", folder / "consumer.o"))


def include_all(headers):
    missing = set(NEEDS) - HERE_ARE
    return "".join(f"#include <{h}>\n" for h in headers if Path(h).stem not in missing)


def wing_flags():
    return run("pkg-config", "--cflags", *(NEEDS[w] for w in sorted(HERE_ARE))).split()


def min_and_max(compiler):
    """The macros of windows.h, defined where they do nobody else's headers harm, of which few stand them. And a char
    without a sign, as ARM has it."""
    foreign = {name for header in (TOP / "include/regrant").rglob("*.hpp")
               for name in re.findall(r"^#include <(.+)>$", header.read_text(), re.M)}
    before = "".join(f"#if __has_include(<{name}>)\n#include <{name}>\n#endif\n" for name in sorted(foreign)
                     if not name.startswith("regrant") and "picojson" not in name)
    macros = ("#define min(a, b) (((a) < (b)) ? (a) : (b))\n#define max(a, b) (((a) > (b)) ? (a) : (b))\n")
    after = "#if !defined(min) || !defined(max)\n#error \"the host's macros are gone\"\n#endif\nint i = min(1, max(2, 3));\n"
    one, _ = copies()
    for base, headers in ((TOP / "include", [h for h in PUBLIC if h == "regrant/regrant.hpp" or h.count("/") == 2]),
                          (one, ["regrant/regrant.hpp"])):
        source = AREA / f"min-max-{compiler}-{base.name}.cpp"
        source.write_text(before + macros + include_all(headers) + after)
        run(*compile_line(compiler, "-funsigned-char", f"-I{base}", *wing_flags(), "-c", source, "-o", source.with_suffix(".o")))


def older_language(compiler):
    """The roof and the single headers: one line. Any other header: that line first, then one more where it stops."""
    one, _ = copies()
    asked = "regrant needs C++20: compile with -std=c++20 or later"
    for base, header in [(one, "regrant/regrant.hpp"), *[(one, "regrant/store/sqlite.hpp")] * HAS_WING,
                         *((TOP / "include", name) for name in PUBLIC)]:
        source = AREA / f"older-{compiler}.cpp"
        source.write_text(f"#include <{header}>\n")
        said = errors(compiler, "-std=c++17", f"-I{base}", source)
        whole = header == "regrant/regrant.hpp" or base == one
        expect(asked in said[0] and len(said) == (1 if whole else 2) and (whole or "regrant_needs_cxx20" in said[1]),
               f"{header}:\n" + "\n".join(said))


for each in COMPILERS:
    check(f"{each} precompiles the roof, and the host's picojson keeps its mode behind it", precompiled, each)
    check(f"no warning of {each} from the single header and picojson included with -I", no_warnings, each)
    check(f"macros named min and max, and chars that are unsigned, do no harm ({each})", min_and_max, each)
    check(f"C++17 gets one clear #error line from every public header ({each})", older_language, each)


if platform.machine() == "x86_64":
    @named("no warning of g++ where addresses have 32 bits, from the core, the stores and the kit")
    def _():
        # Compiled no further than that takes headers for 64 bits, which glibc shares among both.
        (AREA / "gnu").mkdir()
        (AREA / "gnu/stubs-32.h").touch()
        shared = Path("/usr/include") / run("g++", "-print-multiarch").strip()
        standard = Path("/usr/include/c++") / run("g++", "-dumpversion").strip()
        (AREA / "bits.cpp").write_text(include_all(h for h in PUBLIC if "/host/" not in h and "async_" not in h))
        run("g++", "-std=c++20", "-m32", "-msse2", *WARNINGS, "-nostdinc++", "-isystem", standard,
            "-isystem", shared / standard.relative_to("/usr/include"), "-idirafter", shared, "-idirafter", AREA,
            *(flag.replace("-I", "-isystem") for flag in wing_flags()), f"-I{TOP / 'include'}", "-fsyntax-only", AREA / "bits.cpp")


if HAS_LIBCXX:
    @named("clang++ with libc++ takes the core, the stores and the kit without a warning, and the program runs")
    def _():
        (AREA / "all.hpp").write_text(include_all(h for h in PUBLIC if "/host/" not in h))
        line = compile_line("clang++", "-stdlib=libc++", *WARNINGS, f"-I{TOP / 'include'}", *wing_flags())
        run(*line, "-include", AREA / "all.hpp", "-c", HERE / "consumer.cpp", "-o", AREA / "libcxx.o")
        run("clang++", "-stdlib=libc++", AREA / "libcxx.o", "-lcrypto", "-o", AREA / "libcxx")
        answers(AREA / "libcxx")


# --- the host's own picojson ---

UNITS = ["main", "host_before", "host_after", "host_alone", "regrant_alone"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g1"]


@once
def picojson_unit(compiler, level, mode, unit):
    target = AREA / f"{compiler}{level}{''.join(mode)}-{unit}.o"
    run(*compile_line(compiler, level, *SANITIZE, *mode, f"-I{TOP / 'include'}",
                      "-c", HERE / f"picojson/{unit}.cpp", "-o", target))
    return target


def outcome(compiler, level, mode, units, order):
    """What a program of these units prints, linked in this order, or how it ended."""
    # Units that do not know the host's mode serve programs of both.
    objects = [picojson_unit(compiler, level, () if u in ("main", "regrant_alone") else mode, u) for u in units]
    program = AREA / f"clash{compiler}{level}{''.join(mode)}{order}{units[-1]}"
    run(compiler, *SANITIZE, *objects[::order], "-o", program)
    done = subprocess.run([program], capture_output=True, text=True, env={**ENVIRONMENT, "ASAN_OPTIONS": "detect_leaks=0"})
    return done.stdout if done.returncode == 0 and not done.stderr else f"{done.returncode}: {done.stdout} {done.stderr[-2000:]}"


def lives_together(compiler, level, mode):
    for order in (1, -1):
        said = outcome(compiler, level, mode, UNITS, order)
        expect(said == "1 1 1 1\n", f"link order {order}: {said}")


def is_noticed(mode):
    for order in (1, -1):
        said = outcome("g++", "-O0", mode, UNITS[:-1] + ["unguarded"], order)
        expect(said != "1 1 1 1\n", f"link order {order}: nobody noticed")


MODES = {"with PICOJSON_USE_INT64, as jwt-cpp does": ("-DHOST_USES_INT64",), "without PICOJSON_USE_INT64": ()}
for words, mode in MODES.items():
    for each in COMPILERS:
        for level in ("-O0", "-O2") if each == "g++" else ("-O2",):  # each level costs seven units with sanitizers
            check(f"a host that includes picojson {words}, before and behind regrant, in both link orders ({each} {level})",
                  lives_together, each, level, mode)
    check(f"that test notices a unit without regrant's private copy, in a host {words}", is_noticed, mode)


def main():
    words = sys.argv[1:]
    chosen = [c for c in CHECKS if not words or any(w in c[0] for w in words)]

    def judge(name, function):
        try:
            function()
            return True, f"ok     consumers: {name}"
        except Failed as problem:
            return False, f"FAILED consumers: {name}\n       " + str(problem).replace("\n", "\n       ")
        except Exception:  # a mistake in the check itself must not pass as anything else
            return False, f"FAILED consumers: {name}\n       " + traceback.format_exc().replace("\n", "\n       ")

    shutil.rmtree(AREA, ignore_errors=True)
    AREA.mkdir(parents=True)
    try:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            outcomes = []
            for good, text in pool.map(lambda c: judge(*c), chosen):
                print(text, flush=True)
                outcomes.append(good)
    finally:
        shutil.rmtree(AREA, ignore_errors=True)
    print(f"{outcomes.count(True)} passed, {outcomes.count(False)} failed")
    return not outcomes or not all(outcomes)


if __name__ == "__main__":
    sys.exit(main())
