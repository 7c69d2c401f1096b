"""bench/run: the command line, the plan, and the JSON of a run."""
import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import sys
import time

from vb import data as datasets
from vb import (attributes, exact, filters, load, measure, methods, outside, paths, server,
                toast)
from vb.store import Progress, Store, write_json

TARGETS = (0.90, 0.95, 0.99)
AXES = {
    "exact": "q/s without an index",
    "build": "seconds, memory and bytes of indexes, over workers",
    "recall": "recall over the search parameter",
    "speed": "q/s and latency over the search parameter, 1 and N clients",
    "target": "q/s at the smallest parameter that reaches recall 0.90, 0.95, 0.99",
    "cold": "the first hundred queries after a restart",
    "small": "q/s with shared_buffers a quarter of the index",
    "filter": "recall and q/s under WHERE, over selectivity, for three kinds of correlation",
    "toast": "what reading and computing the distance again costs, of rows in TOAST",
    "write": "VACUUM after deleting 2 %, inserts by 1 and 2 clients",
    "outside": "hnswlib and FAISS",
}


class Profile:
    """How much is measured."""

    def __init__(self, args):
        self.quick = args.profile == "quick"
        cores = int(os.environ.get("VB_THREADS", os.cpu_count()))
        self.rounds = args.rounds or (2 if self.quick else 5)
        self.slice_seconds = args.seconds or (1 if self.quick else 2)
        self.keep_awake = args.keep_awake
        self.seconds_of_builds = 3 if self.quick else 20
        self.recall_queries = args.recall_queries or (200 if self.quick else 1000)
        self.filter_queries = 100 if self.quick else 200
        self.k = [10] if self.quick else [10, 100]
        self.clients_more = args.clients if args.clients is not None else [cores]
        self.clients_more = [c for c in self.clients_more if c > 1]
        self.clients_of_targets = [] if self.quick and args.clients is None else self.clients_more
        self.workers = args.workers if args.workers is not None else \
            ([cores - 1] if self.quick else list(range(cores)))
        self.selectivities = args.selectivities or [1, .5, .1, .05, .01, .001, .0001]
        self.most_inserts = 500 if self.quick else 4000
        self.data = ["siftsmall"]
        self.methods = ["vecext/hnsw", "pgvector/hnsw", "exact", "vecext/ivfflat",
                        "pgvector/ivfflat", "hnswlib/hnsw"] if self.quick else None
        rarely = ("small", "filter", "toast") if self.quick else ("toast",)
        self.axes = [a for a in AXES if a not in rarely]

    def describe(self):
        return {key: value for key, value in vars(self).items() if key != "data"}


def arguments():
    parser = argparse.ArgumentParser(
        prog="bench/run", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measure vecext beside its peers; one JSON file per run.",
        epilog="axes:\n" + "\n".join(f"  {name:9} {text}" for name, text in AXES.items()) +
        "\n\n" + datasets.__doc__.split("\n\n", 1)[1])
    whole = lambda text: [int(x) for x in text.split(",")] if text else []
    words = lambda text: text.split(",")
    parser.add_argument("--profile", choices=("quick", "full"), default="quick")
    parser.add_argument("--data", action="append", default=[], metavar="SET",
                        help="siftsmall, gen:200kx768 or PATH; may be repeated")
    parser.add_argument("--growth", type=words, metavar="ROWS,...",
                        help="generated sets of these sizes, such as 10k,100k,1M")
    parser.add_argument("--dim", type=int, default=128, help="dimensions of --growth (128)")
    parser.add_argument("--methods", type=words, metavar="NAME,...",
                        help="such as vecext/hnsw,pgvector/hnsw or hnsw or vecext/*")
    parser.add_argument("--axes", type=words, metavar="NAME,...", help="see below")
    parser.add_argument("--clients", type=whole, metavar="N,...",
                        help="besides 1; the number of cores")
    parser.add_argument("--workers", type=whole, metavar="N,...",
                        help="parallel workers of builds; the last stays (0 .. cores - 1)")
    parser.add_argument("--rounds", type=int, help="slices of each side (quick 2, full 5)")
    parser.add_argument("--seconds", type=int, help="of a slice (quick 1, full 2)")
    parser.add_argument("--recall-queries", type=int, metavar="N",
                        help="that recall is measured by (quick 200, full 1000)")
    parser.add_argument("--values", type=whole, metavar="N,...",
                        help="values of ef_search to try instead of the profile's")
    parser.add_argument("--selectivities", type=lambda t: [float(x) / 100 for x in t.split(",")],
                        metavar="PERCENT,...", help="of filters (100,50,10,5,1,0.1,0.01)")
    parser.add_argument("--plans", choices=("auto", "force_custom_plan"), default="auto",
                        help="plan_cache_mode under filters, whose bounds are parameters")
    parser.add_argument("--targets", type=lambda t: [float(x) for x in t.split(",")],
                        default=list(TARGETS), metavar="RECALL,...")
    parser.add_argument("--shared-buffers", default=None, help="(a quarter of memory)")
    parser.add_argument("--reuse", action="store_true",
                        help="take indexes of earlier runs of the same library, with the "
                        "figures of their builds")
    parser.add_argument("--from-disk", action="store_true",
                        help="cold start: out of the operating system's cache too")
    parser.add_argument("--keep-awake", action="store_true",
                        help="idle processors do not sleep while queries are timed")
    parser.add_argument("--name", help="of the run (profile and data)")
    parser.add_argument("--out", help="folder of results (build/bench of the checkout)")
    parser.add_argument("--cache", help="folder of data and exact answers (build/bench/cache)")
    parser.add_argument("--psql", metavar="DATABASE", help="only psql, with the server as it is")
    return parser.parse_args()


def machine():
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    return {"cpu": model.group(1).strip() if model else platform.machine(),
            "cores": os.cpu_count(), "memory": server.memory(),
            "kernel": platform.release(), "load": os.getloadavg()[0]}


def file_hash(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:12]


def versions(opened, databases):
    import numpy
    db = next(iter(databases.values()))
    out = {"PostgreSQL": db.one("SHOW server_version"), "numpy": numpy.__version__,
           "vecext commit": os.environ.get("VB_COMMIT", "unknown")}
    for name, (_, version) in opened.items():
        out[name] = version
    if "vecext" in databases:
        out["vecext SIMD"] = databases["vecext"].one("SELECT vecext_simd()")
    return out


def library(peer):
    """What tells one build of a peer's library from another."""
    folder = f"/usr/lib/postgresql/{server.VERSION}/lib"
    return file_hash(os.path.join(folder, methods.EXTENSIONS[peer] + ".so"))


def rough_size(text):
    """Rows and dimensions of a data set that was not read yet; a guess for files."""
    name, options = datasets.parse(text)
    rows, dim = 60000, 400
    if name.startswith("gen:"):
        rows, dim = (datasets.number(x) for x in name[4:].split("x"))
    elif name == "siftsmall":
        rows, dim = 10000, 128
    return argparse.Namespace(n=datasets.number(options.get("limit", str(rows))), dim=dim)


def expected_build(size):
    """Seconds for a pair, roughly."""
    return 2 + size.n * (size.dim + 200) * 8e-7


class Run:
    """Everything that is measured, in order, skipping what is there."""

    def __init__(self, args):
        self.args = args
        self.profile = Profile(args)
        names = args.data + [f"gen:{rows}x{args.dim}" for rows in args.growth or ()]
        self.names = names or self.profile.data
        self.axes = args.axes or self.profile.axes
        if set(self.axes) - set(AXES):
            raise SystemExit(f"bench: no axis {', '.join(set(self.axes) - set(AXES))}")
        self.out = paths.here(args.out) if args.out else paths.BUILD
        self.cache = paths.here(args.cache) if args.cache else os.path.join(self.out, "cache")
        self.name = args.name or re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(
            [args.profile, *(os.path.basename(n) for n in self.names)]))[:80]
        self.folder = os.path.join(self.out, self.name + ".part")
        self.store = Store(self.folder)
        self.progress = Progress()
        self.problems = []
        self.ready = None
        buffers = args.shared_buffers or server.megabytes(server.memory() // 4)
        self.server = server.Server({"shared_buffers": buffers})

    # ------------------------------------------------------------------ one cell

    def cell(self, what, expected, function, need=None):
        """Measure unless it is there, with the indexes of a pair if it needs them.  A failure
        is noted in the run and said at the end."""
        found = self.store.get(what)
        if found:
            self.progress.step(expected, expected)
            return found["figures"]
        self.progress.say(self.title(what))
        started = time.monotonic()
        try:
            if need:
                self.need_indexes(need)
            figures = function()
        except Exception as error:		# noqa: the others can still be measured
            if os.environ.get("VB_DEBUG"):
                raise
            text = f"{self.title(what)}: {type(error).__name__}: {str(error).strip()}"
            self.problems.append(text)
            print("bench: " + text, file=sys.stderr)
            for db in self.databases.values():
                db.reconnect()
            self.ready = None
            figures = None
        else:
            self.store.put(what, figures)
        self.progress.step(expected, time.monotonic() - started)
        return figures

    @staticmethod
    def title(what):
        rest = [f"{key} {value}" for key, value in what.items()
                if key not in ("axis", "data", "methods", "key", "libraries", "plans") and value]
        methods_ = [] if what["axis"] == "filter" else [",".join(what.get("methods", []))]
        return " ".join([what["data"], what["axis"], *methods_, *rest])

    def what(self, axis, pair=(), **more):
        """What names a cell: of these methods, these libraries, this data."""
        names = [method.name for method in pair]
        peers = sorted({method.peer for method in pair})
        if self.profile.keep_awake and axis in ("speed", "target"):
            more["keep_awake"] = True
        return dict({"axis": axis, "data": self.data.name, "key": self.data.key, "methods": names,
                     "libraries": [self.libraries[peer] for peer in peers]}, **more)

    # ------------------------------------------------------------------ a pair of methods

    def build(self, pair):
        """Builds by each number of workers; the last stays for what follows."""
        for workers in self.profile.workers:
            what, note = self.build_names(pair, workers)
            if self.store.get(what):
                continue
            if workers == self.profile.workers[-1] and self.args.reuse:
                noted = [measure.comment(self.bench, method) for method in pair]
                if all(n and n["note"] == note for n in noted):
                    self.store.put(what, dict(noted[0]["figures"], reused=True))
                    continue
            if self.cell(what, expected_build(self.data), lambda: self.build_now(pair, workers)) is None:
                return False
        return True

    def build_names(self, pair, workers):
        what = self.what("build", pair, workers=workers)
        return what, {"library": what["libraries"], "methods": what["methods"], "workers": workers}

    def build_now(self, pair, workers):
        for method in pair:
            if not self.args.reuse:
                measure.drop_indexes(self.bench.db(method), self.data)
        figures = measure.build_pair(self.bench, pair, workers)
        for method in pair:
            measure.comment(self.bench, method,
                            {"note": self.build_names(pair, workers)[1], "figures": figures})
        return figures

    def need_indexes(self, pair):
        """Called before a cell is measured: the indexes as the last build left them, and no
        other that the planner could take."""
        if self.ready == pair:
            return
        workers = self.profile.workers[-1]
        note = self.build_names(pair, workers)[1]
        noted = [measure.comment(self.bench, method) for method in pair]
        if not all(n and n["note"] == note for n in noted):
            self.progress.say(f"{self.data.name}: building again, the indexes are not there")
            self.build_now(pair, workers)
        for method in pair:
            measure.show_only(self.bench, method)
        self.ready = pair

    def recalls(self, pair, method, k):
        """{value: recall} over the values of the profile, up to where it is as good as 1."""
        known = {}
        for value in self.values(method):
            if k > value and method.param == "hnsw.ef_search" and k > 10:
                continue
            figures = self.cell(self.what("recall", (method,), k=k, value=value), 0.5,
                                lambda: measure.recall(self.bench, method, value, k), need=pair)
            if figures is None:
                continue
            known[value] = figures["recall"]
            if figures["recall"] > 0.9995 and not self.profile.quick:
                break
        return known

    def values(self, method):
        if self.args.values and method.param == "hnsw.ef_search":
            return self.args.values
        return method.values(self.data, self.profile.quick)

    def speeds(self, pair, known, k):
        """Each value of the parameter, both sides in turn."""
        shared = sorted({value for method in pair for value in known[method.name]})
        for value in shared:
            chosen = [(m, value) for m in pair if value in known[m.name]]
            for clients in [1, *self.profile.clients_more]:
                what = self.what("speed", [m for m, _ in chosen], k=k, value=value,
                                 clients=clients)
                self.cell(what, self.expected_slices(chosen),
                          lambda: measure.speed(self.bench, chosen, k, clients), need=pair)

    def expected_slices(self, chosen):
        return len(chosen) * self.profile.rounds * (self.profile.slice_seconds + 0.2)

    def targets(self, pair, known, k):
        """Both sides at the value that reaches a recall; {target: [(method, value)...]}."""
        reached = {}
        for target in self.args.targets:
            chosen = []
            for method in pair:
                what = self.what("value", (method,), k=k, target=target)
                figures = self.cell(what, 1, lambda: measure.smallest_value(
                    self.bench, method, k, target, known[method.name]), need=pair)
                if figures and figures["value"] is not None:
                    chosen.append((method, figures["value"]))
            if not chosen:
                continue
            reached[target] = chosen
            for clients in [1, *self.profile.clients_of_targets]:
                what = self.what("target", [m for m, _ in chosen], k=k, target=target,
                                 values=[v for _, v in chosen], clients=clients)
                self.cell(what, self.expected_slices(chosen),
                          lambda: measure.speed(self.bench, chosen, k, clients), need=pair)
        return reached

    def measure_pair(self, pair):
        """All axes of methods that are measured in turn."""
        self.ready = None
        if not self.build(pair):
            return
        reached = {}
        for k in self.profile.k:
            if not {"recall", "speed", "target"} & set(self.axes):
                break
            known = {method.name: self.recalls(pair, method, k) for method in pair}
            if "speed" in self.axes:
                self.speeds(pair, known, k)
            if "target" in self.axes:
                reached = reached or self.targets(pair, known, k)
        at = reached.get(0.95) or [(m, 40 if m.param == "hnsw.ef_search" else 8) for m in pair]
        main = self.main(pair)
        if main:
            self.more(pair, at)
        if main and "write" in self.axes:
            what = self.what("write", pair)
            self.cell(what, self.data.n * 2e-4 + 20,
                      lambda: measure.write(self.bench, pair, at[0][1]), need=pair)
            self.ready = None

    @staticmethod
    def main(pair):
        """Is it one whose other costs are measured too?"""
        return pair[0].kind in ("hnsw", "ivfflat")

    def more(self, pair, at):
        """Axes at one value of the parameter."""
        names, values = [m for m, _ in at], [v for _, v in at]
        if "cold" in self.axes:
            self.cell(self.what("cold", names, values=values, from_disk=self.args.from_disk), 6,
                      lambda: measure.cold(self.bench, at, self.args.from_disk), need=pair)
        if "small" in self.axes:
            self.cell(self.what("small", names, values=values), self.expected_slices(at) + 6,
                      lambda: measure.small_memory(self.bench, at, 1), need=pair)

    # ------------------------------------------------------------------ filters, TOAST

    def filter_cells(self):
        """All ways without a filter first, then under each."""
        ways = filters.ways(self.available, self.args.plans)
        if not ways or ways[0].peer != "vecext":
            return
        own = attributes.Attributes(self.data, self.profile.filter_queries)
        place = filters.Place(self.bench, own, self.libraries)
        self.progress.say(f"{self.data.name}: tables and indexes with attributes, exact answers")
        for way in ways:
            place.load(self.databases[way.peer])
            place.build(self.databases[way.peer], way)
        wanted = own.all(self.profile.selectivities)
        far = filters.answers(self.data, self.cache, own, wanted)
        nearest, all_far = exact.cached(self.data, max(measure.RECALL_AT), self.cache)
        nothing = attributes.Nothing(own.ids)
        before = self.filter_cell(ways, nothing, lambda: filters.measure_filter(
            place, ways, nothing, all_far[own.ids, :filters.K]))
        if before is None:
            return
        filters.later(ways, {way.name: before[way.name]["settings"] for way in ways})
        for f, answer in zip(wanted, far):
            self.filter_cell(ways, f, lambda: dict(
                filters.measure_filter(place, ways, f, answer, before),
                **filters.about(place, f, nearest)))

    def filter_cell(self, ways, f, function):
        what = dict(self.what("filter", ways), plans=self.args.plans, **f.what())
        return self.cell(what, self.expected_filter(len(ways)), function)

    def expected_filter(self, ways):
        return (ways + 1) * self.profile.rounds * (self.profile.slice_seconds + 0.2) + 8

    def toast_cell(self):
        pair = [methods.Method(peer, "hnsw") for peer in self.databases
                if "hnsw" in self.available[peer]]
        self.cell(self.what("toast", pair), 30, lambda: toast.measure_toast(self.bench, pair), need=pair)

    # ------------------------------------------------------------------ a data set

    def exact(self, pair):
        for method in pair:
            measure.drop_indexes(self.bench.db(method), self.data)
        what = self.what("exact", pair, k=10)
        self.cell(what, self.expected_slices(pair), lambda: measure.speed(
            self.bench, [(method, None) for method in pair], 10, 1))

    def outside_cells(self):
        """(name, threads) of what is measured outside the server."""
        wanted = self.args.methods or self.profile.methods
        cores = 1 + max(self.profile.workers, default=0)
        for name in sorted(outside.available()[0]):
            if wanted and not any(methods.matches(name, w) for w in wanted):
                continue
            for threads in sorted({1, cores}, reverse=True):
                if threads == cores or not self.profile.quick:
                    yield name, threads, threads == cores

    def expected_outside(self, data):
        return outside.expected(data, self.profile, 1 + len(self.profile.clients_more))

    def outside_peers(self):
        for name, threads, search in self.outside_cells():
            what = dict(self.what("outside"), name=name, threads=threads)
            self.cell(what, self.expected_outside(self.data), lambda: outside.measure(
                self.data, name, threads, self.profile, self.cache, self.bench.far, search))

    def fitting(self, pair):
        kept = []
        for method in pair:
            reason = method.unfit(self.data)
            if reason:
                self.left_out.add(f"{method.name} on {self.data.name}: {reason}")
            else:
                kept.append(method)
        return tuple(kept)

    def measure_data(self, text, pairs):
        self.progress.say(f"{text}: reading, exact answers")
        self.data = datasets.load(text, self.cache)
        self.described.append(self.data.describe())
        self.bench = measure.Bench(self.server, self.databases, self.data, self.cache,
                                   self.profile)
        for name, db in self.databases.items():
            started = time.monotonic()
            seconds = load.load(db, self.data)
            if seconds is not None:
                self.progress.say(f"{text}: loaded into {name} in {seconds:.1f} s")
                self.store.put(dict(self.what("load"), peer=name), {
                    "copy_seconds": seconds, "all_seconds": time.monotonic() - started,
                    "table_bytes": db.one("SELECT pg_table_size(%s)", f"t_{self.data.key}")})
        for pair in pairs:
            pair = self.fitting(pair)
            if not pair:
                continue
            if pair[0].am is None:
                if "exact" in self.axes:
                    self.exact(pair)
            elif set(self.axes) - {"exact", "outside", "filter", "toast"}:
                self.measure_pair(pair)
        if "filter" in self.axes:
            self.filter_cells()
        if "toast" in self.axes:
            self.toast_cell()
        if "outside" in self.axes:
            self.outside_peers()

    def plan(self, pairs):
        """A rough sum of what cell() will be told, for the time left."""
        axes, profile = set(self.axes), self.profile
        clients = 1 + len(profile.clients_more)
        for text in self.names:
            size = rough_size(text)
            for pair in pairs:
                slices = len(pair) * profile.rounds * (profile.slice_seconds + 0.2)
                if pair[0].am is None:
                    self.progress.plan(slices if "exact" in axes else 0)
                    continue
                values = len(methods.EF_QUICK if profile.quick else methods.EF[:10])
                many = values * clients * len(profile.k) * ("speed" in axes)
                many += len(self.args.targets) * (1 if profile.quick else clients) * \
                    ("target" in axes)
                if self.main(pair):
                    many += ("small" in axes)
                    self.progress.plan(6 * ("cold" in axes) +
                                       (20 + size.n * 2e-4) * ("write" in axes))
                self.progress.plan(many * slices + len(profile.workers) * expected_build(size))
            if "filter" in axes:
                self.progress.plan((3 * len(profile.selectivities) - 1) * self.expected_filter(6) +
                                   4 * expected_build(size))
            if "outside" in axes:
                self.progress.plan(len(list(self.outside_cells())) * self.expected_outside(size))

    def everything(self):
        started = time.time()
        self.server.prepare()
        self.server.start()
        opened = server.open_databases(self.server, methods.EXTENSIONS)
        self.databases = {name: db for name, (db, _) in opened.items()}
        self.libraries = {name: library(name) for name in self.databases}
        self.described = []
        self.left_out = set()
        self.available = {name: {row[0] for row in db.run("SELECT amname FROM pg_am")}
                          for name, db in self.databases.items()}
        wanted = self.args.methods or self.profile.methods
        pairs, missing = methods.chosen(wanted, self.available)
        self.left_out.update(missing)
        if "outside" in self.axes:
            self.left_out.update(outside.available()[1])
        for line in sorted(self.left_out):
            print("bench: left out: " + line, file=sys.stderr)
        self.plan(pairs)
        for text in self.names:
            self.measure_data(text, pairs)
        db = next(iter(self.databases.values()))
        settings = dict(db.run("SELECT name, current_setting(name) FROM pg_settings "
                               "WHERE source IN ('command line', 'configuration file')"))
        result = {"format": 1, "name": self.name, "started": started, "finished": time.time(),
                  "command": os.environ.get("VB_COMMAND", " ".join(sys.argv)),
                  "machine": machine(), "versions": versions(opened, self.databases),
                  "libraries": self.libraries, "settings": settings,
                  "profile": self.profile.describe(), "data": self.described,
                  "left_out": sorted(self.left_out), "problems": self.problems,
                  "cells": self.store.all()}
        return result

    def finish(self, result):
        """One JSON; the cells stay if something failed, so that the same command tries again."""
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(result["started"]))
        path = os.path.join(self.out, f"{self.name}-{stamp}.json")
        write_json(path, result)
        print(paths.there(path))
        for line in self.problems:
            print("FAILED " + line, file=sys.stderr)
        if not self.problems:
            shutil.rmtree(self.folder)
        return 1 if self.problems else 0


def psql(database):
    srv = server.Server({"shared_buffers": server.megabytes(server.memory() // 4)})
    srv.prepare()
    srv.start()
    try:
        return os.spawnvpe(os.P_WAIT, server.BIN + "psql", ["psql", database],
                           dict(os.environ, PGHOST=server.SOCKET, PGUSER="postgres"))
    finally:
        srv.stop()


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if args.psql:
        return psql(args.psql)
    run = Run(args)
    try:
        return run.finish(run.everything())
    except KeyboardInterrupt:
        print("bench: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    finally:
        run.server.stop()


if __name__ == "__main__":
    sys.exit(main())
