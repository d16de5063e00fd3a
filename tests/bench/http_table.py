# tests/bench/http_table.py - the servers' figures as a Markdown table; tests/bench/run pipes them in.
# SPDX-License-Identifier: MIT
import statistics
import sys

NAMES = {"beast": "Beast host", "httplib": "cpp-httplib host", "hand_built": "hand-built cpp-httplib server",
         "oidc": "oidc-provider"}


def main():
    bounds, runs = [], {}
    for line in sys.stdin:
        name, *figures = line.split()
        if name == "bound":
            bounds.append(1 / float(figures[0]))  # openssl speed tells signatures a second
        else:
            count, wall, cpu, median, p99 = map(float, figures)
            runs.setdefault(name, []).append((cpu / count, count / wall, median, p99))
    bound = 2 * statistics.median(bounds)
    cpu = {name: statistics.median(r[0] for r in all_) for name, all_ in runs.items()}
    rate = {name: statistics.median(r[1] for r in all_) for name, all_ in runs.items()}

    print("\n### Over HTTP, 8 connections, server and load on a core each\n")
    print("The bound is twice `openssl speed`'s time of a signature, on the servers' core, before, between and after "
          f"them: {bound * 1e6:.0f} us of CPU time a refresh ({min(bounds) * 2e6:.0f}..{max(bounds) * 2e6:.0f}).\n")
    print("| server | CPU us a refresh | refreshes/s | bound / CPU time | p50 us | p99 us | p99 / p50 |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name in NAMES:
        p50, p99 = (statistics.median(r[i] for r in runs[name]) for i in (2, 3))
        print(f"| {NAMES[name]} | {cpu[name] * 1e6:.0f} | {rate[name]:.0f} | {bound / cpu[name]:.3f} | {p50:.0f} | "
              f"{p99:.0f} | {p99 / p50:.2f} |")
    print("\n| what | figure | goal | |\n|---|---:|---:|---|")

    def at_least(what, figure, goal):
        print(f"| {what} | {figure:.3f} | >= {goal} | {'pass' if figure >= goal else '**short**'} |")

    at_least("Beast host against the bound, CPU time", bound / cpu["beast"], 0.96)
    at_least("cpp-httplib host against the bound, CPU time", bound / cpu["httplib"], 0.92)
    at_least("cpp-httplib host over oidc-provider, CPU time", cpu["oidc"] / cpu["httplib"], 1.9)
    at_least("cpp-httplib host over the hand-built server, CPU time", cpu["hand_built"] / cpu["httplib"], 1.12)
    for name in ("beast", "httplib"):
        worst = statistics.median(r[3] / r[2] for r in runs[name])
        print(f"| {NAMES[name]}: p99 over p50 | {worst:.2f} | <= 2.3 | {'pass' if worst <= 2.3 else '**short**'} |")


if __name__ == "__main__":
    main()
