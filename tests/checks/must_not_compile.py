#!/usr/bin/env python3
"""Compiles what must not compile, on g++ and clang++, and holds the first error line against the message it owes."""
# SPDX-License-Identifier: MIT
import concurrent.futures
import pathlib
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]

STORE = """
#include <regrant/token_endpoint.hpp>
#include <regrant/client_list.hpp>
#include <regrant/memory_store.hpp>
using namespace regrant;
struct issuer { result<minted_tokens, outage> mint(const mint_order&); };
%s
void use(store& s, client_list& c, issuer& i, token_keyring k, hooks h) {
    token_endpoint endpoint(s, c, i, std::move(k), {}, h);
    (void)endpoint.respond({});
}
"""

ASYNC = """
#include <regrant/async_token_endpoint.hpp>
#include <regrant/client_list.hpp>
#include <regrant/memory_store.hpp>
using namespace regrant;
template <class T> struct task {
    struct promise_type {
        task get_return_object();
        std::suspend_never initial_suspend();
        std::suspend_never final_suspend() noexcept;
        void return_value(T);
        void unhandled_exception();
    };
    bool await_ready();
    void await_suspend(std::coroutine_handle<>);
    T await_resume();
};
template <class T> using answer = task<result<T, outage>>;
%s
void use(store& s, client_list& c, issuer& i, token_keyring k) {
    async_token_endpoint endpoint(s, c, i, std::move(k));
    (void)endpoint.respond({});
}
"""
ASYNC_STORE = """struct store {
    answer<insert_outcome> insert(const grant&);
    answer<std::optional<grant>> find(const row_key&);
    answer<advance_outcome> advance(const row_key&, generation, generation, instant);
    answer<void> revoke(const row_key&);
};
"""
ASYNC_ISSUER = "struct issuer { answer<minted_tokens> mint(const mint_order&); };"

ASYNC_HOOKS = (ASYNC % (ASYNC_STORE + ASYNC_ISSUER + "struct hooks { %s };")).replace(
    "token_keyring k) {", "token_keyring k, hooks h) {").replace("std::move(k));", "std::move(k), {}, h);")

# name, what must not compile, what the first error line says
CASES = [
    ("a store without advance is told its signature",
     STORE % """struct store {
    result<insert_outcome, outage> insert(const grant&);
    result<std::optional<grant>, outage> find(const row_key&);
    result<void, outage> revoke(const row_key&);
};
using hooks = no_hooks;""",
     "a token_store needs: result<advance_outcome, outage> advance(const row_key&, generation expected"),
    ("a store whose find gives a bare grant is told its signature",
     STORE % """struct store : memory_store { result<grant, outage> find(const row_key&); };
using hooks = no_hooks;""",
     "a token_store needs: result<std::optional<grant>, outage> find(const row_key&)"),
    ("a store that answers at once is no async store, and is told so",
     ASYNC % ("using store = memory_store;" + ASYNC_ISSUER),
     "an async_token_store needs: task<result<std::optional<grant>, outage>> find(const row_key&)"),
    ("an async store without revoke is told its signature",
     ASYNC % (ASYNC_STORE.replace("    answer<void> revoke(const row_key&);\n", "") + ASYNC_ISSUER),
     "an async_token_store needs: task<result<void, outage>> revoke(const row_key&)"),
    ("an issuer whose task gives bare tokens is told what is needed",
     ASYNC % (ASYNC_STORE + "struct issuer { task<minted_tokens> mint(const mint_order&); };"),
     "an async endpoint's issuer needs: result<minted_tokens, outage> mint(const mint_order&)"),
    ("a hook with a slip in its signature is not passed over (R46)",
     STORE % """using store = memory_store;
struct hooks { account_standing check_account(const grant&, const client&); };""",
     "the hook is: result<account_standing, outage> check_account"),
    ("a hook that is a template of the wrong signature is not passed over (R46)",
     STORE % """using store = memory_store;
struct hooks { account_standing check_account(const auto&, const auto&); };""",
     "the hook is: result<account_standing, outage> check_account"),
    ("an event hook that may throw is refused (R75)",
     STORE % """using store = memory_store;
struct hooks { void observe(const decision&); };""",
     "the hook is: void observe(const decision& made) noexcept"),
    ("a throttle without settle is not passed over (R26)",
     STORE % """using store = memory_store;
struct hooks { result<admission, outage> admit(const attempt&); };""",
     "the hooks of a throttle are: result<admission, outage> admit(const attempt& tried); result<void, outage> settle("),
    ("a throttle that answers yes or no is told its signature (R26)",
     STORE % """using store = memory_store;
struct hooks {
    bool admit(const attempt&);
    result<void, outage> settle(const attempt&, attempt_outcome);
};""",
     "the hooks of a throttle are: result<admission, outage> admit(const attempt& tried); result<void, outage> settle("),
    ("an awaited throttle with a slip is told its signature, though its account check is good (R26)",
     ASYNC_HOOKS % """answer<account_standing> check_account(const grant&, const client&);
    answer<bool> admit(const attempt&);
    answer<void> settle(const attempt&, attempt_outcome);""",
     "the hooks of a throttle are: result<admission, outage> admit(const attempt& tried); result<void, outage> settle("),
    ("an awaited event hook that may throw is refused (R75)",
     ASYNC_HOOKS % """answer<account_standing> check_account(const grant&, const client&);
    void observe(const decision&);""",
     "the hook is: void observe(const decision& made) noexcept"),
    ("a slow match with a slip in its signature is not passed over (R31)",
     STORE % """using store = memory_store;
struct hooks { result<secret_match, outage> match_slowly(const secret_check&); };""",
     "the hook is: result<secret_match, outage> match_slowly(const secret_check& check, const client_secret_matcher&"),
    ("an awaited slow match that gives a bare answer is told its signature (R31)",
     ASYNC_HOOKS % "task<secret_match> match_slowly(const secret_check&, const client_secret_matcher&);",
     "the hook is: result<secret_match, outage> match_slowly(const secret_check& check, const client_secret_matcher&"),
    ("a public client in code that does not rotate (R37, 9700 2.2.2)",
     """#include <regrant/client.hpp>
regrant::client spa{"spa", regrant::client_policy::of<regrant::auth_method::none, regrant::rotation::echo>()};""",
     "a public client must rotate its refresh token (RFC 9700 2.2.2)"),
    ("a secret that is printed (R75)",
     """#include <regrant/secret.hpp>
#include <ostream>
void print(std::ostream& to, const regrant::secret& s) { to << s; }""",
     ("deleted",)),
    ("secrets that are compared with == (R31)",
     """#include <regrant/secret.hpp>
bool same(const regrant::secret& a, const regrant::secret& b) { return a == b; }""",
     ("deleted",)),
    ("a secret that is copied without a word (R31)",
     """#include <regrant/secret.hpp>
regrant::secret copy(const regrant::secret& s) { return s; }""",
     ("deleted",)),
    ("a lifetime that is a naked number (R99)",
     """#include <regrant/policy.hpp>
regrant::policy_settings naked() { regrant::policy_settings s; s.retry_window = 30; return s; }""",
     ("no match for", "no viable overloaded")),
    ("a step of the refresh grant that is taken twice (R52)",
     """#include <regrant/refresh_flow.hpp>
auto twice(regrant::refresh_flow::writing_generation& step) { return step.with(regrant::advance_outcome::advanced); }""",
     ("discards qualifiers", "is an lvalue")),
]


# What the cases include is compiled once for each compiler.
HEADERS = ["async_token_endpoint", "client", "client_list", "memory_store", "policy", "refresh_flow", "secret", "token_endpoint"]


def precompiled(compiler, folder):
    """\return the options that take all headers in, or nothing where they do not compile"""
    header, made = folder / "all.hpp", folder / f"all.{compiler}.gch"
    header.write_text("#include <ostream>\n" + "".join(f"#include <regrant/{name}.hpp>\n" for name in HEADERS))
    done = subprocess.run([compiler, "-std=c++20", f"-I{TOP / 'include'}", "-x", "c++-header", header, "-o", made], check=False)
    if done.returncode != 0:
        return None
    if compiler.startswith("clang"):
        return ["-include-pch", made]
    return ["-Winvalid-pch", "-include", made.with_suffix("")]


def judge(case, compiler, headers):
    name, source, expected = case
    done = subprocess.run([compiler, "-std=c++20", f"-I{TOP / 'include'}", *headers, "-fsyntax-only", "-x", "c++", "-"],
                          input=source, capture_output=True, text=True)
    first = next((line for line in done.stderr.splitlines() if "error:" in line), "it compiles")
    good = done.returncode != 0 and any(words in first for words in ([expected] if isinstance(expected, str) else expected))
    return f"ok   {compiler}: {name}" if good else f"FAIL {compiler}: {name}\n     {first}"


def main():
    compilers = [each for each in ("g++", "clang++") if shutil.which(each)]
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        headers = dict(zip(compilers, pool.map(lambda each: precompiled(each, pathlib.Path(folder)), compilers)))
        missing = [each for each in compilers if headers[each] is None]
        jobs = [(case, compiler, headers[compiler]) for case in CASES for compiler in compilers if compiler not in missing]
        lines = [f"FAIL {each}: the headers compile" for each in missing] + list(pool.map(lambda job: judge(*job), jobs))
    print("\n".join(lines))
    failed = sum(line.startswith("FAIL") for line in lines)
    print(f"{len(lines) - failed} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
