# tests/bench/http_table.py - the servers' figures as a Markdown table; tests/bench/run pipes them in.
# SPDX-License-Identifier: MIT
import statistics
import sys

NAMES = {"beast": "Beast host", "httplib": "cpp-httplib host", "hand_built": "hand-built cpp-httplib server",
         "oidc": "oidc-provider"}


def main():
    bounds, runs, of_bound = [], {}, {}
    waiting = None  # a server's name and CPU time, until the bound behind it is told
    for line in sys.stdin:
        name, *figures = line.split()
        if name == "bound":
            bounds.append(2 / float(figures[0]))  # openssl speed tells signatures a second
            if waiting:
                of_bound.setdefault(waiting[0], []).append(statistics.mean(bounds[-2:]) / waiting[1])
            waiting = None
        else:
            count, wall, cpu, median, p99 = map(float, figures)
            runs.setdefault(name, []).append((cpu / count, count / wall, median, p99))
            waiting = name, cpu / count
    bound = statistics.median(bounds)
    cpu = {name: statistics.median(r[0] for r in all_) for name, all_ in runs.items()}
    rate = {name: statistics.median(r[1] for r in all_) for name, all_ in runs.items()}

    def spread(figures):
        ordered = sorted(figures)
        return f"{ordered[len(ordered) // 4]:.3f}..{ordered[-1 - len(ordered) // 4]:.3f}"

    print("\n### Over HTTP, 8 connections, server and load on a core each\n")
    print(f"The bound is twice `openssl speed`'s time of a signature, on the servers' core: {bound * 1e6:.0f} us of CPU time "
          f"a refresh ({min(bounds) * 1e6:.0f}..{max(bounds) * 1e6:.0f}). Each server is held against those measured right "
          "before and after it, and against the others of its turn.\n")
    print("| server | CPU us a refresh | refreshes/s | bound / CPU time | middle half | p50 us | p99 us | p99 / p50 |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, words in NAMES.items():
        p50, p99 = (statistics.median(r[i] for r in runs[name]) for i in (2, 3))
        print(f"| {words} | {cpu[name] * 1e6:.0f} | {rate[name]:.0f} | {statistics.median(of_bound[name]):.3f} | "
              f"{spread(of_bound[name])} | {p50:.0f} | {p99:.0f} | {p99 / p50:.2f} |")
    print("\nWhat a host costs by itself, asked for /health (no body, two bytes of answer), and what that leaves of the "
          "bound:\n")
    print("| host | CPU us a request | bound / (bound + that) |\n|---|---:|---:|")
    for name in ("beast", "httplib"):
        alone = cpu["alone_" + name]
        print(f"| {NAMES[name]} | {alone * 1e6:.0f} | {bound / (bound + alone):.3f} |")
    idle = bound / (bound + cpu["alone_httplib"])
    print(f"\nA cpp-httplib host that did nothing but sign would be {idle / statistics.median(of_bound['hand_built']):.3f} over "
          "the hand-built server.")
    print("\n| what | figure | middle half | goal | |\n|---|---:|---:|---:|---|")

    def at_least(what, figures, goal):
        figure = statistics.median(figures)
        print(f"| {what} | {figure:.3f} | {spread(figures)} | >= {goal} | {'pass' if figure >= goal else '**short**'} |")

    def over(name):
        return [theirs[0] / ours[0] for theirs, ours in zip(runs[name], runs["httplib"])]

    at_least("Beast host against the bound, CPU time", of_bound["beast"], 0.96)
    at_least("cpp-httplib host against the bound, CPU time", of_bound["httplib"], 0.92)
    at_least("cpp-httplib host over oidc-provider, CPU time", over("oidc"), 1.9)
    at_least("cpp-httplib host over the hand-built server, CPU time", over("hand_built"), 1.12)
    for name in ("beast", "httplib"):
        tails = [r[3] / r[2] for r in runs[name]]
        worst = statistics.median(tails)
        print(f"| {NAMES[name]}: p99 over p50 | {worst:.2f} | {spread(tails)} | <= 2.3 | "
              f"{'pass' if worst <= 2.3 else '**short**'} |")


if __name__ == "__main__":
    main()
