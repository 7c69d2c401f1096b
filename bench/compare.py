#!/usr/bin/env python3
"""Time the same statements on two databases in turn, and print paired ratios.

usage: compare.py [-n RUNS] [--warmup N] FILE A B

A and B are connection strings for psql ("dbname=x host=/tmp ...").  FILE holds
statements, one a line: a name, a tab, the SQL.  Where the name is "-", the SQL is
run once on both sides and not timed; it may end in \\gset.  One run times A then
B, the next B then A, so that a drift of the machine hits both; the median of the
ratios A/B of the runs is what to quote.  The time is psql's \\timing: planning,
execution and the transfer of the result.
"""
import argparse
import re
import statistics
import subprocess

MARK = "compare-mark"


class Session:
    """One psql process, fed statement by statement."""

    def __init__(self, conninfo):
        self.psql = subprocess.Popen(
            ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", conninfo],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.run("\\timing on")

    def run(self, sql):
        """Run one statement; return its milliseconds, None if it has no time."""
        end = "" if "\\" in sql else ";"
        self.psql.stdin.write(f"{sql}{end}\n\\echo {MARK}\n")
        self.psql.stdin.flush()
        elapsed = None
        for line in self.psql.stdout:
            if line.startswith(MARK):
                return elapsed
            found = re.match(r"Time: ([0-9.]+) ms", line)
            if found:
                elapsed = float(found.group(1))
        raise SystemExit("psql ended on: " + sql[:200])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=11, help="timed runs")
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("file")
    parser.add_argument("a")
    parser.add_argument("b")
    args = parser.parse_args()

    a, b = Session(args.a), Session(args.b)
    print(f"{'statement':32} {'A ms':>10} {'B ms':>10} {'A/B':>7}   (min..max)")
    for line in open(args.file):
        line = line.rstrip("\n")
        if not line or line.startswith("#"):
            continue
        name, sql = line.split("\t", 1)
        if name == "-":
            a.run(sql)
            b.run(sql)
            continue
        times = []
        for i in range(args.warmup + args.n):
            if i % 2:
                tb, ta = b.run(sql), a.run(sql)
            else:
                ta, tb = a.run(sql), b.run(sql)
            if i >= args.warmup:
                times.append((ta, tb))
        ratios = [x / y for x, y in times]
        print(f"{name:32} {statistics.median(t[0] for t in times):10.3f}"
              f" {statistics.median(t[1] for t in times):10.3f}"
              f" {statistics.median(ratios):7.2f}   ({min(ratios):.2f}..{max(ratios):.2f})", flush=True)


if __name__ == "__main__":
    main()
