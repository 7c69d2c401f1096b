"""The axis of filters: ways to search under a condition, all in turn, for each filter.

Each side may set its search parameter as each filter needs it: the smallest that reaches
recall 0.95.  Ours begin at the one that does without a filter, and at no less than the
default; pgvector's may be smaller, and is sought for both orders of its iterative scan.
"""
import hashlib
import os
from types import SimpleNamespace

import numpy as np

from vb import attributes, exact, load, measure, memory, methods, pgbench, server

K = 10
TARGET = 0.95
SLOWEST = 1			# seconds of processor time that the queries of one recall may take
FEWEST = 10			# but so many queries in any case
FIRST = 6			# executions until the server has decided whether plans are generic
EF = [10, 20, 40, 80, 160, 320, 640, 1000]
ALL_TUPLES = 2147483647
ALL = "vecext/all indexes"
ITERATIVE = "pgvector/hnsw iterative"


class Way:
    """Indexes that the planner may see, and settings.  choices are values of the parameters
    to try, cheapest first, in lists of which the quickest counts; forced is the index that
    the plan has to use, if one is."""

    def __init__(self, name, peer, visible, forced=None, settings=(), choices=()):
        self.name = name
        self.peer = peer
        self.visible = visible
        self.forced = forced
        self.settings = dict({"max_parallel_workers_per_gather": 0}, **dict(settings))
        self.choices = list(choices)


def ways(have, plans="auto"):
    """Those of the access methods that there are, {peer: names}.  Ours have one list of
    choices, from the default on; later() takes off those that do not do without a filter."""
    forced = {"enable_seqscan": "off", "vecext.enable_topk": "off", "vecext.enable_bitmap": "off"}
    ef = [{"hnsw.ef_search": value} for value in EF[2:]]
    probes = [{"ivfflat.probes": value} for value in methods.PROBES]
    deep = {"hnsw.scan_mem_multiplier": 100}
    orders = [[{"hnsw.ef_search": value, "hnsw.iterative_scan": order,
                "hnsw.max_scan_tuples": ALL_TUPLES, **deep} for value in EF]
              for order in ("relaxed_order", "strict_order")]
    found = []
    if "hnsw" in have.get("vecext", ()):
        found.append(Way("vecext/hnsw columns", "vecext", ["hnsw_columns"], "hnsw_columns",
                         forced, [ef]))
        found.append(Way("vecext/hnsw + btree", "vecext", ["hnsw", "btree"], choices=[ef]))
    if "ivfflat" in have.get("vecext", ()):
        found.append(Way("vecext/ivfflat columns", "vecext", ["ivfflat_columns"],
                         "ivfflat_columns", forced, [probes]))
    if len(found) == 3:
        found.append(Way(ALL, "vecext",
                         ["hnsw_columns", "hnsw", "ivfflat_columns", "btree"],
                         choices=[joint(ef, probes)]))
    if "hnsw" in have.get("pgvector", ()):
        found.append(Way(ITERATIVE, "pgvector", ["hnsw"], "hnsw",
                         {"enable_seqscan": "off"}, orders))
        found.append(Way("pgvector/hnsw + btree", "pgvector", ["hnsw", "btree"], choices=orders))
    for way in found:
        way.settings["plan_cache_mode"] = plans
    return found


# ----------------------------------------------------------------------------
# tables and indexes

class Place:
    """The table s_KEY of a data set: id, the attributes, v; and its indexes x_KEY_NAME."""

    def __init__(self, bench, attributes_, libraries):
        self.bench = bench
        self.data = bench.data
        self.attributes = attributes_
        self.libraries = libraries
        self.table = f"s_{self.data.key}"
        digest = hashlib.sha256()
        for name, column in attributes_.columns.items():
            digest.update(name.encode() + np.ascontiguousarray(column, "<i8").tobytes())
        self.note = digest.hexdigest()[:16]

    def load(self, db):
        """The table, unless it is there with these attributes."""
        if db.one("SELECT obj_description(to_regclass(%s))", self.table) == self.note:
            return
        columns = list(self.attributes.columns)
        db.run(f"DROP TABLE IF EXISTS {self.table}")
        db.run(f"CREATE TABLE {self.table} (id integer, "
               f"{', '.join(name + ' integer' for name in columns)}, v vector({self.data.dim}))")
        load.copy(db, self.table, self.data.base, np.array(list(self.attributes.columns.values())),
                  ", ".join(columns))
        db.run(f"VACUUM (ANALYZE, FREEZE) {self.table}")
        db.run(f"COMMENT ON TABLE {self.table} IS '{self.note}'")

    def index_name(self, name):
        return f"x_{self.data.key}_{name}"

    def index_sql(self, name, peer):
        """Statements that make what a way calls by this name."""
        if name == "btree":
            return {self.index_name("b_" + c): f"({c})" for c in self.attributes.columns}
        kind, _, columns = name.partition("_")
        method = (methods.Ivf if kind == "ivfflat" else methods.Method)(peer, kind)
        more = "".join(f", {c}" for c in self.attributes.columns) if columns else ""
        return {self.index_name(name): f"USING {kind} (v {method.opclass(self.data)}{more})"
                                       f"{method.with_clause(self.data)}"}

    def build(self, db, way):
        """What the way sees and is not there, of this library and these attributes."""
        note = self.libraries[way.peer] + self.note
        db.run(f"SET maintenance_work_mem = "
               f"'{server.megabytes(measure.maintenance_memory(self.data))}'")
        db.run(f"SET max_parallel_maintenance_workers = {self.bench.profile.workers[-1]}")
        for name in way.visible:
            for index, definition in self.index_sql(name, way.peer).items():
                if db.one("SELECT obj_description(to_regclass(%s))", index) == note:
                    continue
                db.run(f"DROP INDEX IF EXISTS {index}")
                db.run(f"CREATE INDEX {index} ON {self.table} {definition}")
                db.run(f"COMMENT ON INDEX {index} IS '{note}'")

    def show(self, way):
        """Keep the planner from the indexes of other ways."""
        db = self.bench.databases[way.peer]
        names = [index for name in way.visible for index in self.index_sql(name, way.peer)]
        db.run("UPDATE pg_index SET indisvalid = relname = ANY (%s) FROM pg_class c "
               "WHERE c.oid = indexrelid AND indrelid = %s::regclass "
               "AND indisvalid IS DISTINCT FROM (relname = ANY (%s))", names, self.table, names)
        db.reconnect()
        return db

    def warm(self, way):
        db = self.bench.databases[way.peer]
        for name in [self.table] + [index for name in way.visible
                                    for index in self.index_sql(name, way.peer)]:
            db.run("SELECT pg_prewarm(%s::regclass)", name)

    def query_sql(self, f, query, low, high):
        operator = methods.OPERATORS[self.data.metric]
        return (f"SELECT id FROM {self.table}{f.condition(low, high)} ORDER BY v {operator} "
                f"(SELECT v FROM q_{self.data.key} WHERE id = {query}) LIMIT {K}")


def answers(data, cache, attributes_, filters):
    """Distances of the exact answers: one array (queries x K) for each filter."""
    name = hashlib.sha256(repr([(f.what(), f.ids.tolist(), f.low.tolist(), f.high.tolist())
                                for f in filters]).encode()).hexdigest()[:12]
    path = os.path.join(cache, f"exact-{data.key}-filters-{name}.npz")
    if not os.path.exists(path):
        out = {}
        for ids in {tuple(f.ids.tolist()) for f in filters}:		# labels may leave some out
            same = [i for i, f in enumerate(filters) if tuple(f.ids.tolist()) == ids]
            far = exact.nearest_of(data.base, data.query[list(ids)], data.metric, K,
                                   [attributes_.rows_of(filters[i]) for i in same])
            out.update({str(i): far[j] for j, i in enumerate(same)})
        with open(path + ".new", "wb") as file:
            np.savez(file, **out)
        os.rename(path + ".new", path)
    with np.load(path) as file:
        return [file[str(i)] for i in range(len(filters))]


# ----------------------------------------------------------------------------
# one way under one filter

def probe(place, way, f, far, settings):
    """Ask in one session, as long as is bearable: recall, rows, processor time, the last plan."""
    db, data = place.bench.databases[way.peer], place.data
    db.run("DISCARD ALL")
    for name, value in dict(way.settings, **settings).items():
        db.run(f"SET {name} = '{value}'")
    db.run("PREPARE q(integer, integer, integer) AS " + place.query_sql(f, "$1", "$2", "$3"))
    pid = db.one("SELECT pg_backend_pid()")
    found, cpu = [], []
    for query, low, high in zip(f.ids.tolist(), f.low.tolist(), f.high.tolist()):
        began = memory.nanoseconds(pid)
        rows = db.run("EXECUTE q(%s, %s, %s)", query, low, high)
        cpu.append((memory.nanoseconds(pid) - began) / 1000)
        found.append([row[0] for row in rows])
        if sum(cpu) > SLOWEST * 1e6 and len(found) >= FEWEST:
            break
    plan = "\n".join(row[0] for row in db.run(
        "EXPLAIN (COSTS OFF) EXECUTE q(%s, %s, %s)", query, low, high))
    if way.forced and place.index_name(way.forced) not in plan:
        raise RuntimeError(f"{way.name}: the plan does not use the index:\n{plan}")
    asked = SimpleNamespace(base=data.base, query=data.query[f.ids], metric=data.metric)
    there = np.isfinite(far[:len(found)]).sum(axis=1)
    filled = np.array([len(ids) for ids in found]) >= there
    return {"recall": exact.recall(asked, found, far, K), "plan": plan, "queries": len(found),
            "rows": float(np.mean([len(ids) for ids in found])), "filled": float(filled.mean()),
            "cpu_us": float(np.mean(cpu[FIRST:] or cpu)), "cpu_each": cpu, "settings": settings,
            "generic": bool(db.one("SELECT generic_plans > 0 FROM pg_prepared_statements"))}


def best(place, way, f, far):
    """The quickest settings that reach the recall, or else those that come nearest."""
    tried = []
    found = None

    def reaches(settings):
        tried.append(probe(place, way, f, far, settings))
        return tried[-1]["recall"] >= TARGET
    for choices in way.choices:
        if way.peer != "pgvector":
            any(reaches(settings) for settings in choices)
            continue
        low, high = 0, len(choices)		# recall grows with the parameter
        if found is not None:			# and is much the same in both orders
            low, high = max(0, found - 1), min(found + 1, high)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if reaches(choices[middle]) else (middle + 1, high)
        found = low
        if low < len(choices) and "hnsw.max_scan_tuples" in choices[low]:	# may it stop earlier?
            reaches({name: value for name, value in choices[low].items()
                     if name != "hnsw.max_scan_tuples"})
    enough = [one for one in tried if one["recall"] >= TARGET]
    if enough:
        return min(enough, key=lambda one: one["cpu_us"])
    return max(tried, key=lambda one: (one["recall"], -one["cpu_us"]))


# ----------------------------------------------------------------------------
# all ways in turn

def choose(values, first=0):
    """A pgbench expression: values[:n - first], by halves."""
    if all(value == values[0] for value in values):
        return str(values[0])
    middle = len(values) // 2
    return (f"case when :n < {first + middle} then {choose(values[:middle], first)} "
            f"else {choose(values[middle:], first + middle)} end")


def script(place, f):
    """One of the filter's queries; bounds are parameters of the statement."""
    lines = [f"\\set n random(0, {len(f.ids) - 1})"]
    for name, values in (("i", f.ids), ("low", f.low), ("high", f.high)):
        text = ":n" if name == "i" and (values == np.arange(len(values))).all() else \
            choose(values.tolist())
        lines.append(f"\\set {name} {text}")
    return "\n".join(lines) + f"\n{place.query_sql(f, ':i', ':low', ':high')};\n"


def slices_in_turn(place, jobs):
    """jobs is {name: (way, filter, settings)}; {name: slices}, A B C C B A ..., each round of
    the same queries."""
    profile = place.bench.profile
    slices = {name: [] for name in jobs}

    def one(name, seed, **amount):
        way, f, settings = jobs[name]
        place.show(way)
        return pgbench.run(way.peer, script(place, f), dict(way.settings, **settings), seed=seed,
                           **amount)
    for way in {id(way): way for way, _, _ in jobs.values()}.values():
        place.warm(way)
    for name in jobs:
        one(name, 1, transactions=5)
    for number in range(profile.rounds):
        for name in list(jobs) if number % 2 == 0 else list(jobs)[::-1]:
            slices[name].append(one(name, 2 + number, seconds=profile.slice_seconds))
    return slices


def joint(ef, probes):
    """Choices of both parameters, from two lists, rising together."""
    longer = max(len(ef), len(probes))
    return [dict(ef[min(i, len(ef) - 1)], **probes[min(i, len(probes) - 1)])
            for i in range(longer)]


def later(ways_, chosen):
    """Our choices under a filter: from what does without one; chosen is {name: settings}."""
    by_name = {way.name: way for way in ways_}
    for way in ways_:
        if way.peer == "pgvector" or way.name not in chosen or way.name == ALL:
            continue
        at = way.choices[0].index(chosen[way.name])
        way.choices = [way.choices[0][at:]]
    if ALL in by_name:
        by_name[ALL].choices = [joint(
            by_name["vecext/hnsw columns"].choices[0], by_name["vecext/ivfflat columns"].choices[0])]


def cpu_ratio(a, b):
    """Processor time of one over that of the other, for the queries that both have answered."""
    common = slice(FIRST, min(len(a["cpu_each"]), len(b["cpu_each"])))
    return float(sum(a["cpu_each"][common]) / sum(b["cpu_each"][common]))


def measure_filter(place, ways_, f, far, before=None):
    """One filter, or none: each way at its best; the reference is the first way, unfiltered, by
    the settings of before, the figures without a filter."""
    probes = {}
    for way in ways_:
        place.show(way)
        if way.peer == "pgvector" and way.forced is None and ITERATIVE in probes:
            way.choices = [[probes[ITERATIVE]["settings"]]]		# as the planner may do the same
        probes[way.name] = best(place, way, f, far)
        if before is None:
            later(ways_, {way.name: probes[way.name]["settings"]})
    jobs = {way.name: (way, f, probes[way.name]["settings"]) for way in ways_}
    first = ways_[0]
    if before is not None:
        jobs["reference"] = (first, attributes.Nothing(f.ids), before[first.name]["settings"])
    slices = slices_in_turn(place, jobs)
    out = {"queries": len(f.ids)}
    for way in ways_:
        reference = slices["reference" if before else first.name]
        out[way.name] = dict(probes[way.name], **pgbench.figures(slices[way.name]),
                             to_reference=pgbench.ratio(slices[way.name], reference))
        del out[way.name]["qps_slices"]
    out["cpu_ratio"] = {ours.name: {theirs.name: cpu_ratio(probes[theirs.name], probes[ours.name])
                                    for theirs in ways_ if theirs.peer == "pgvector"}
                        for ours in ways_ if ours.peer == "vecext"}
    for way in ways_:
        del out[way.name]["cpu_each"]
    out["ratio"] = {ours.name: {theirs.name: pgbench.ratio(slices[ours.name], slices[theirs.name])
                                for theirs in ways_ if theirs.peer == "pgvector"}
                    for ours in ways_ if ours.peer == "vecext"}
    return out


def about(place, f, nearest):
    """How many rows qualify, and which part of the hundred nearest: what the kinds mean."""
    rows_of = place.attributes.rows_of(f)
    qualify = [rows_of(i) for i in range(len(f.ids))]
    near = [np.isin(nearest[query], rows).mean() for query, rows in zip(f.ids, qualify)]
    rows = float(np.mean([len(rows) for rows in qualify]))
    return {"rows": rows, "selectivity": rows / place.data.n, "near": float(np.mean(near))}
