#!/usr/bin/env python3
"""Does the planner choose the fastest plan?

For each cell of a grid (rows, selectivity, k, width of the vector, index, btree or
not) the plan that the planner chooses and every alternative, forced by settings, are
timed; the cell's figure is the chosen plan's time over the best one's.

The time is CPU time of the backend (/proc/PID/schedstat), which other load of the
machine disturbs little; of an executed prepared statement with a generic plan, so
planning is not in it.  Each query runs some times and its least time counts.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import time
from operator import mul

MARK = "grid-mark"
SCHEMA = "vecext_grid"
QUERIES = 24			# query vectors of each cell
LATENT = 16			# dimensions that the rows really have

# Settings that force a plan: what is not named is as the server has it.
OFF = {"vecext.enable_topk": "off", "enable_seqscan": "off", "enable_bitmapscan": "off",
       "enable_indexscan": "off", "enable_sort": "off", "vecext.enable_bitmap": "off"}
ALTERNATIVES = {
    "topk": ("vecext.enable_topk", "enable_seqscan"),
    "sort": ("enable_seqscan", "enable_sort"),
    "index": ("enable_indexscan",),
    "btree": ("enable_indexscan", "enable_sort"),
    "bitmap": ("enable_bitmapscan", "enable_sort"),
    "vecbitmap": ("enable_bitmapscan", "vecext.enable_bitmap"),
    "vecset": ("enable_bitmapscan", "vecext.enable_bitmap", "enable_indexscan"),
}
# and those that are set
ON = {"vecset": {"vecext.bitmap_strategy": "restricted"}}
# what VectorBitmap says of its strategy
STRATEGIES = {"exact distances": "vecbitmap", "index scan of the set": "vecset",
              "index scan, filtered": "vecindex"}


class Session:
    """One psql process, fed statement by statement."""

    def __init__(self, conninfo):
        self.psql = subprocess.Popen(
            ["psql", "-XqAt", "-v", "VERBOSITY=verbose", conninfo],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.pid = int(self.run("SELECT pg_backend_pid()")[0])
        self.schedstat = f"/proc/{self.pid}/schedstat"
        self.run("LOAD 'vecext'")
        self.settings = set(self.run("SELECT name FROM pg_settings"))
        if not os.access(self.schedstat, os.R_OK):
            raise SystemExit("grid: the server's processes are not of this machine")

    def send(self, sql):
        self.psql.stdin.write(f"{sql};\n\\echo {MARK}\n")
        self.psql.stdin.flush()
        lines = []
        for line in self.psql.stdout:
            if line.startswith(MARK):
                return lines
            lines.append(line.rstrip("\n"))
        raise SystemExit("psql ended on: " + sql[:200])

    def run(self, sql):
        """Lines of the result; an error ends the program."""
        lines = self.send(sql)
        if any(line.startswith("ERROR:") for line in lines):
            raise SystemExit("\n".join(lines[:5]) + "\n" + sql[:300])
        return lines

    def copy(self, table, lines):
        self.psql.stdin.write(f"COPY {table} FROM stdin;\n" + "\n".join(lines) + "\n\\.\n")
        self.run("SELECT 1")

    def set(self, settings):
        self.run("RESET ALL; SET client_min_messages = error; "
                 f"SET search_path = {SCHEMA}, public; SET max_parallel_workers_per_gather = 0; "
                 "SET plan_cache_mode = force_generic_plan; SET jit = off; "
                 "SET statement_timeout = '20s'; SET max_parallel_maintenance_workers = 1; " +
                 "".join(f"SET {name} = {value}; " for name, value in settings.items()
                         if name in self.settings))

    def cpu(self):
        with open(self.schedstat) as file:
            return int(file.read().split()[0]) / 1e6

    def timed(self, sql):
        """Milliseconds of CPU, rows; (None, 0) if it took too long."""
        before = self.cpu()
        lines = self.send(sql)
        after = self.cpu()
        if any(line.startswith("ERROR:  57014") for line in lines):
            return None, 0
        if lines and lines[0].startswith("ERROR:"):
            raise SystemExit("\n".join(lines[:5]) + "\n" + sql)
        return after - before, len(lines)


# --- tables ---------------------------------------------------------------


def make_parts(db, dim):
    """Centers and noise, whose sums are the rows: quick to make, of LATENT dimensions
    mapped at random into dim, as embeddings are."""
    if db.run(f"SELECT to_regclass('{SCHEMA}.noise_{dim}')")[0]:
        return
    draw = random.Random(dim)
    basis = [[draw.gauss(0, 1) for _ in range(dim)] for _ in range(LATENT)]
    for name, count, scale in (("center", 256, 1.0), ("noise", 1024, 0.35)):
        lines = []
        for i in range(count):
            latent = [draw.gauss(0, scale) for _ in range(LATENT)]
            lines.append("%d\t[%s]" % (i, ",".join("%.5g" % sum(map(mul, latent, column))
                                                   for column in zip(*basis))))
        db.run(f"CREATE TABLE {name}_{dim} (id integer PRIMARY KEY, v vector({dim}))")
        db.copy(f"{name}_{dim}", lines)
    db.run(f"CREATE TABLE query_{dim} AS SELECT i AS id, "
           f"{row_of(dim, '-1000 - i')}::vector({dim}) AS v "
           f"FROM generate_series(1, {QUERIES}) i")


def row_of(dim, number):
    """SQL of the vector of a row."""
    return (f"(SELECT c.v + x.v + y.v FROM center_{dim} c, noise_{dim} x, noise_{dim} y "
            f"WHERE c.id = hashint4({number}) & 255 AND x.id = hashint4({number} + 1) & 1023 "
            f"AND y.id = hashint4({number} + 2000000000) & 1023)")


def table_name(rows, dim):
    return f"t{rows}_{dim}"


def make_table(db, rows, dim):
    """id, a and b: the same permutation, one with a btree; v."""
    name = table_name(rows, dim)
    if db.run(f"SELECT to_regclass('{SCHEMA}.{name}')")[0]:
        return
    make_parts(db, dim)
    db.run("SET statement_timeout = 0")
    db.run(f"CREATE TABLE {name} (id integer, a integer, b integer, v vector({dim}))")
    db.run(f"INSERT INTO {name} SELECT i, r, r, {row_of(dim, 'i')} FROM (SELECT i, "
           f"row_number() OVER (ORDER BY hashint4(i)) - 1 AS r FROM generate_series(1, {rows}) i) s "
           "ORDER BY i")
    db.run(f"CREATE INDEX ON {name} (a)")
    db.run(f"VACUUM ANALYZE {name}")


def make_index(db, rows, dim, am):
    name = table_name(rows, dim)
    if db.run(f"SELECT to_regclass('{SCHEMA}.{name}_v')")[0]:
        if db.run("SELECT amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam "
                  f"WHERE c.oid = '{name}_v'::regclass")[0] == am:
            return
        db.run(f"DROP INDEX {name}_v")
    db.run("SET statement_timeout = 0; SET maintenance_work_mem = '1GB'")
    db.run(f"CREATE INDEX {name}_v ON {name} USING {am} (v vector_l2_ops)")
    db.run(f"VACUUM ANALYZE {name}")
    # into the cache, as a table in use is
    db.run(f"SET enable_indexscan = off; SET vecext.enable_topk = off; SELECT count(v <-> v) FROM {name}")


# --- plans -----------------------------------------------------------------


def nodes(plan):
    yield plan
    for below in plan.get("Plans", []):
        if below.get("Parent Relationship") != "InitPlan":
            yield from nodes(below)


def kind_of(plan):
    """Which of ALTERNATIVES, or what else, a plan is."""
    found = list(nodes(plan))
    custom = [n.get("Custom Plan Provider") for n in found]
    for node in found:
        if node.get("Custom Plan Provider") == "VectorBitmap":
            return STRATEGIES[node["Strategy"]]
    for node in found:
        if "Order By" in node and node["Node Type"] == "Index Scan":
            return "index"
    if "VectorTopK" in custom:
        return "topk"
    types = [n["Node Type"] for n in found]
    if "Bitmap Heap Scan" in types:
        return "bitmap"
    if "Index Scan" in types:
        return "btree"
    return "sort" if "Sort" in types else "other"


class Cell:
    def __init__(self, db, sql, number):
        self.db = db
        self.sql = sql
        self.name = f"g{number}"

    def plan(self, settings):
        """Kind, cost and estimated rows of the plan under the settings, and prepare it."""
        self.db.set(settings)
        self.db.send(f"DEALLOCATE {self.name}")
        self.db.run(f"PREPARE {self.name}(int) AS {self.sql}")
        text = "\n".join(self.db.run(f"EXPLAIN (FORMAT JSON) EXECUTE {self.name}(1)"))
        plan = json.loads(text)[0]["Plan"]
        return kind_of(plan), plan["Total Cost"]

    def measure(self, best):
        """Milliseconds and rows: mean of the queries, the least of some runs each."""
        least = [None] * QUERIES
        rows = 0
        spent = 0
        for turn in range(6):
            for i in range(QUERIES):
                took, n = self.db.timed(f"EXECUTE {self.name}({i + 1})")
                if took is None:
                    return None, 0
                rows += n if turn == 0 else 0
                spent += took
                least[i] = took if turn == 0 else min(took, least[i])
                # an alternative that is far behind need not be known exactly
                if turn == 0 and best is not None and i >= 3 and spent > best * 8 * (i + 1):
                    return spent / (i + 1), rows * QUERIES / (i + 1)
            if turn >= 1 and spent > 40 or spent > 400:
                break
        return sum(least) / QUERIES, rows

    def again(self, chosen, valid, settings_of):
        """Where the chosen plan seems slow, the machine may have been: in turn with the best."""
        best = min(valid, key=valid.get)
        if chosen not in valid or valid[chosen] < valid[best] * 1.3:
            return
        for name in (chosen, best):
            self.plan(settings_of[name])
            valid[name] = min(valid[name], self.measure(None)[0])

    def run(self, alternatives):
        chosen, cost = self.plan({})
        out = {"chosen": chosen, "plans": {}}
        ms, wanted = self.measure(None)
        out["plans"][chosen] = {"ms": ms, "rows": wanted, "cost": cost}
        out["chosen_ms"] = ms
        best = ms
        settings_of = {chosen: {}}
        for name in alternatives:
            if name == chosen:
                continue
            settings = {**OFF, **ON.get(name, {})}
            for on in ALTERNATIVES[name]:
                settings.pop(on)
            kind, cost = self.plan(settings)
            if kind != name:
                continue			# there is no such plan
            ms, rows = self.measure(best)
            out["plans"][name] = {"ms": ms, "rows": rows, "cost": cost}
            settings_of[name] = settings
            if ms is not None and (best is None or ms < best):
                best = ms
        # a plan that returns fewer rows than another is no alternative
        most = max(p["rows"] for p in out["plans"].values())
        valid = {n: p["ms"] for n, p in out["plans"].items()
                 if p["ms"] is not None and p["rows"] == most}
        self.again(chosen, valid, settings_of)
        out["chosen_ms"] = valid.get(chosen, out["chosen_ms"])
        out["best"] = min(valid, key=valid.get)
        out["best_ms"] = valid[out["best"]]
        if out["chosen_ms"] is None or chosen not in valid:
            out["ratio"] = float("inf") if out["chosen_ms"] is None else -1
        else:
            out["ratio"] = out["chosen_ms"] / out["best_ms"]
        return out


# --- the grid --------------------------------------------------------------


def cells(args):
    for dim in args.dims:
        for rows in args.rows:
            if rows * dim > args.most:
                continue
            for am in args.ams:
                for selectivity in args.selectivities:
                    if rows * selectivity < 0.999:
                        continue
                    for attribute in ("-",) if selectivity == 1 else ("a", "b"):
                        for k in args.ks:
                            yield dim, rows, am, selectivity, attribute, k


def sql_of(dim, rows, selectivity, attribute, k):
    where = "" if attribute == "-" else f"WHERE {attribute} < {round(rows * selectivity)} "
    return (f"SELECT id FROM {table_name(rows, dim)} {where}"
            f"ORDER BY v <-> (SELECT v FROM query_{dim} WHERE id = $1) LIMIT {k}")


def partition_cells(db, args, out):
    """Partitions with an index each: the choice is between all indexes and all scans."""
    for count, rows, dim in args.partitions:
        name = f"p{count}x{rows}_{dim}"
        if not db.run(f"SELECT to_regclass('{SCHEMA}.{name}')")[0]:
            make_parts(db, dim)
            db.run(f"CREATE TABLE {name} (id integer, a integer, b integer, v vector({dim})) "
                   "PARTITION BY LIST (a)")
            for i in range(count):
                db.run(f"CREATE TABLE {name}_{i} PARTITION OF {name} FOR VALUES IN ({i})")
            db.run("SET statement_timeout = 0")
            db.run(f"INSERT INTO {name} SELECT i, i % {count}, i, {row_of(dim, 'i')} "
                   f"FROM generate_series(1, {count * rows}) i")
        for am in args.ams:
            db.set({})
            db.run(f"DROP INDEX IF EXISTS {name}_v")
            db.run(f"SET statement_timeout = 0; CREATE INDEX {name}_v ON {name} "
                   f"USING {am} (v vector_l2_ops); VACUUM ANALYZE {name}")
            for k in args.ks:
                if k > 100:
                    continue
                cell = Cell(db, f"SELECT id FROM {name} ORDER BY v <-> "
                            f"(SELECT v FROM query_{dim} WHERE id = $1) LIMIT {k}", len(out))
                result = cell.run(("topk", "index"))
                result.update(dim=dim, rows=rows, am=am, selectivity=1, attribute=f"{count} parts", k=k)
                out.append(result)
                show(result)


def show(cell):
    plans = "  ".join(f"{name} {plan['ms']:.3f} [{plan['cost']:.0f}]" if plan["ms"] is not None
                      else f"{name} - [{plan['cost']:.0f}]" for name, plan in cell["plans"].items())
    wrong = "  <--" if not 0 <= cell["ratio"] <= 1.5 else ""
    print(f"{cell['dim']:5} {cell['rows']:8} {cell['am']:8} {cell['selectivity']:<8g}"
          f"{cell['attribute']:8} {cell['k']:6} {cell['chosen']:9} {cell['ratio']:7.2f}"
          f"  best {cell['best']:9} {plans}{wrong}", flush=True)


def summary(out):
    good = [c for c in out if 0 <= c["ratio"] <= 1.5]
    print(f"\n{len(good)} of {len(out)} cells within 1.5 x the best: "
          f"{100.0 * len(good) / max(1, len(out)):.1f} %")
    for key in ("dim", "rows", "am", "selectivity", "attribute", "k"):
        for value in sorted({c[key] for c in out}, key=str):
            of = [c for c in out if c[key] == value]
            n = len([c for c in of if 0 <= c["ratio"] <= 1.5])
            print(f"  {key:12} {value!s:10} {n:4} of {len(of):4}")
    total = sum(c["chosen_ms"] or 0 for c in out)
    best = sum(c["best_ms"] for c in out)
    print(f"all chosen plans {total:.0f} ms, all best ones {best:.0f} ms")


def numbers(text, kind=float):
    return [kind(float(word)) for word in text.split(",") if word]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--server", help="connection string for psql")
    parser.add_argument("--rows", default="100,1e3,1e4,1e5", help="1e6 is for those with time")
    parser.add_argument("--selectivities", default="1,0.1,0.01,1e-3,1e-4,1e-5")
    parser.add_argument("--ks", default="1,10,100,1000,10000")
    parser.add_argument("--dims", default="64,1536", help="64 lies in the row, 1536 in TOAST")
    parser.add_argument("--ams", default="hnsw,ivfflat")
    parser.add_argument("--partitions", default="64x300x64,256x300x64,64x3000x64,16x20000x64",
                        help="COUNTxROWSxDIM,...")
    parser.add_argument("--most", type=float, default=1.6e8, help="leave out larger rows * dims")
    parser.add_argument("--json", default="build/bench/grid.json")
    parser.add_argument("--report", help="print a JSON file again, measure nothing")
    parser.add_argument("--drop", action="store_true", help="drop the tables at the end")
    args = parser.parse_args()
    if args.report:
        with open(args.report) as file:
            out = json.load(file)["cells"]
        for cell in out:
            show(cell)
        summary(out)
        return
    args.rows = numbers(args.rows, int)
    args.selectivities = numbers(args.selectivities)
    args.ks = numbers(args.ks, int)
    args.dims = numbers(args.dims, int)
    args.ams = args.ams.split(",")
    args.partitions = [tuple(int(n) for n in word.split("x"))
                       for word in args.partitions.split(",") if word]
    db = Session(args.server)
    db.run(f"CREATE EXTENSION IF NOT EXISTS vecext; CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    out = []
    started = time.time()
    made = None
    for dim, rows, am, selectivity, attribute, k in cells(args):
        if made != (dim, rows, am):
            db.set({})
            make_table(db, rows, dim)
            make_index(db, rows, dim, am)
            made = (dim, rows, am)
        result = Cell(db, sql_of(dim, rows, selectivity, attribute, k), len(out)).run(ALTERNATIVES)
        result.update(dim=dim, rows=rows, am=am, selectivity=selectivity, attribute=attribute, k=k)
        out.append(result)
        show(result)
    db.set({})
    partition_cells(db, args, out)
    summary(out)
    os.makedirs(os.path.dirname(args.json) or ".", exist_ok=True)
    with open(args.json, "w") as file:
        json.dump({"seconds": time.time() - started, "command": sys.argv,
                   "version": db.run("SELECT version()")[0], "cells": out}, file, indent=1)
    if args.drop:
        db.set({})
        db.run(f"DROP SCHEMA {SCHEMA} CASCADE")


if __name__ == "__main__":
    main()
