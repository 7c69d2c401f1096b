"""The axes measured in the server.  Each function measures one cell and returns figures."""
import json
import os
import statistics
import sys
import time

import numpy as np

from vb import awake, exact, load, memory, pgbench, server

RECALL_AT = (10, 100)


class Bench:
    """What the axes share: databases, the data set, exact answers, and the profile."""

    def __init__(self, srv, databases, data, cache, profile):
        self.server = srv
        self.databases = databases
        self.data = data
        self.cache = cache
        self.profile = profile
        self.far = exact.cached(data, max(RECALL_AT), cache)[1]

    def db(self, method):
        return self.databases[method.peer]


# ----------------------------------------------------------------------------
# building

def maintenance_memory(data):
    """Enough for the graph, within a third of the machine."""
    need = 2 * data.n * (4 * data.dim + 600) + (256 << 20)
    return min(need, server.memory() // 3)


def wal_since(db, position):
    return int(db.one("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", position))


def index_size(db, method, data):
    return db.one("SELECT pg_relation_size(%s)", method.index_name(data))


def drop_indexes(db, data):
    for (name,) in db.run("SELECT indexrelid::regclass::text FROM pg_index "
                          "WHERE indrelid = %s::regclass", f"t_{data.key}"):
        db.run(f"DROP INDEX {name}")


def show_only(bench, method):
    """Keep the planner from other indexes of the table that earlier runs have left."""
    db, data = bench.db(method), bench.data
    db.run("UPDATE pg_index SET indisvalid = (indexrelid = to_regclass(%s)) "
           "WHERE indrelid = to_regclass(%s)", method.index_name(data), f"t_{data.key}")
    db.reconnect()


def build(bench, method, workers):
    """Build once: seconds, bytes, and memory beyond what is shared."""
    db, data = bench.db(method), bench.data
    db.run("CHECKPOINT")
    db.reconnect()			# the peak of a process is that of its whole life
    db.run(f"SET maintenance_work_mem = '{server.megabytes(maintenance_memory(data))}'")
    db.run(f"SET max_parallel_maintenance_workers = {workers}")
    db.run(f"ALTER TABLE t_{data.key} SET (parallel_workers = {workers})")
    wal = db.one("SELECT pg_current_wal_insert_lsn()")
    with memory.Sampler(db.one("SELECT pg_backend_pid()")) as sampler:
        seconds = db.timed(method.index_sql(data))
    figures = {"seconds": seconds, "bytes": index_size(db, method, data), "hwm": sampler.hwm,
               "own": sampler.own, "cpu": sampler.cpu, "processes": len(sampler.highest),
               "wal_bytes": wal_since(db, wal)}
    for text in db.connection.notices:		# such as: the graph does not fit
        print(f"bench: {method.name}: {text.strip()}", file=sys.stderr)
    db.run(f"ALTER TABLE t_{data.key} RESET (parallel_workers)")
    db.reconnect()
    return figures


def build_pair(bench, pair, workers):
    """Builds in turn until they have taken a while: medians, and the ratio's range."""
    rounds = []
    started = time.monotonic()
    while not rounds or (len(rounds) < 3 and time.monotonic() - started <
                         bench.profile.seconds_of_builds):
        order = pair if len(rounds) % 2 == 0 else pair[::-1]
        one = {}
        for method in order:
            bench.db(method).run(f"DROP INDEX IF EXISTS {method.index_name(bench.data)}")
            one[method.name] = build(bench, method, workers)
        rounds.append(one)
    out = {}
    for method in pair:
        runs = [one[method.name] for one in rounds]
        out[method.name] = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        out[method.name]["seconds_runs"] = [run["seconds"] for run in runs]
    if len(pair) == 2:
        r = [one[pair[1].name]["seconds"] / one[pair[0].name]["seconds"] for one in rounds]
        out["ratio"] = {"median": statistics.median(r), "min": min(r), "max": max(r)}
    return out


# ----------------------------------------------------------------------------
# recall

def prepare(db, method, data, k, value, where="", more=None):
    """A session in which EXECUTE q(id) is the statement that pgbench runs."""
    db.run("DISCARD ALL")
    for name, setting in dict(method.settings(value), **(more or {})).items():
        db.run(f"SET {name} = '{setting}'")
    db.run(f"PREPARE q(integer) AS {method.query_sql(data, k, value, '$1', where)}")


def plan_of(db):
    return "\n".join(row[0] for row in db.run("EXPLAIN (COSTS OFF) EXECUTE q(0)"))


def ask(db, queries):
    """ids for each of the first queries"""
    return [[row[0] for row in db.run("EXECUTE q(%s)", i)] for i in range(queries)]


def check_plan(db, method, data):
    """A figure of another plan than the index's would be a lie."""
    plan = plan_of(db)
    if method.am and method.index_name(data) not in plan:
        raise RuntimeError(f"{method.name}: the plan does not use the index:\n{plan}")
    return plan


def recall(bench, method, value, k):
    """Recall of all queries at one value of the parameter."""
    db, data = bench.db(method), bench.data
    prepare(db, method, data, k, value)
    check_plan(db, method, data)
    started = time.monotonic()
    found = ask(db, min(len(data.query), bench.profile.recall_queries))
    seconds = time.monotonic() - started
    return {"recall": exact.recall(data, found, bench.far, k), "queries": len(found),
            "rows": float(np.mean([len(ids) for ids in found])), "seconds": seconds}


def smallest_value(bench, method, k, target, known):
    """The smallest value of the parameter that reaches a recall, and that recall.

    known is {value: recall} of what was measured before; it grows.  The value is None
    if the recall is out of reach.
    """
    def reaches(value):
        if value not in known:
            known[value] = recall(bench, method, value, k)["recall"]
        return known[value] >= target

    low, high = 1, method.most(bench.data)
    if method.param == "hnsw.ef_search":
        low = min(10, high)
    for value in sorted(known):		# narrow by what is known already
        if known[value] >= target:
            high = min(high, value)
        elif value < high:
            low = max(low, value)
    if not reaches(high):
        return {"value": None, "recall": known[high]}
    if reaches(low):
        return {"value": low, "recall": known[low]}
    while high - low > max(1, low // 50):		# 2 % is finer than the noise
        middle = (low + high) // 2
        if reaches(middle):
            high = middle
        else:
            low = middle
    return {"value": high, "recall": known[high]}


# ----------------------------------------------------------------------------
# speed

def script(method, data, k, value, where=""):
    return (f"\\set i random(0, {len(data.query) - 1})\n"
            f"{method.query_sql(data, k, value, ':i', where)};\n")


def warm(bench, method):
    name = method.index_name(bench.data) if method.am else f"t_{bench.data.key}"
    bench.db(method).run("SELECT pg_prewarm(%s::regclass)", name)
    if method.am:
        bench.db(method).run("SELECT pg_prewarm(%s::regclass)", f"t_{bench.data.key}")


def speed(bench, chosen, k, clients, where="", more=None, rounds=None, warming=True):
    """Slices in turn, A B B A ...: chosen is [(method, value)...]; {name: figures}."""
    slices = {method.name: [] for method, _ in chosen}
    for method, value in chosen if warming else ():
        warm(bench, method)
        run_slice(bench, method, value, k, clients, where, more, transactions=20)
    with awake.processors(bench.profile.keep_awake):
        for number in range(rounds or bench.profile.rounds):
            for method, value in chosen if number % 2 == 0 else chosen[::-1]:
                slices[method.name].append(run_slice(bench, method, value, k, clients, where, more,
                                                     seconds=bench.profile.slice_seconds))
    out = {name: pgbench.figures(list_) for name, list_ in slices.items()}
    if len(chosen) == 2:
        out["ratio"] = pgbench.ratio(*(slices[method.name] for method, _ in chosen))
    return out


def run_slice(bench, method, value, k, clients, where, more, **amount):
    settings = dict(method.settings(value), **(more or {}).get(method.name, {}))
    return pgbench.run(method.peer, script(method, bench.data, k, value, where), settings,
                       clients, **amount)


# ----------------------------------------------------------------------------
# cold start, small memory

def forget_file(db, relation):
    """Put a relation's pages out of the operating system's cache."""
    path = os.path.join(server.DATA, db.one("SELECT pg_relation_filepath(%s)", relation))
    part, number = path, 0
    while os.path.exists(part):
        fd = os.open(part, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)
        number += 1
        part = f"{path}.{number}"


def reconnect_all(bench):
    for db in bench.databases.values():
        db.reconnect()


def cold(bench, chosen, from_disk):
    """The first hundred queries after a restart; with its files in no cache, if from_disk."""
    out = {}
    for method, value in chosen:
        db, data = bench.db(method), bench.data
        db.run("CHECKPOINT")
        if from_disk:
            bench.server.stop()
            bench.server.start()
            db.reconnect()
            for relation in (method.index_name(data), f"t_{data.key}"):
                forget_file(db, relation)
        else:
            bench.server.restart()
        reconnect_all(bench)
        micros = pgbench.run(method.peer, script(method, data, 10, value), method.settings(value),
                             transactions=100).micros
        out[method.name] = {"value": value, "first_us": float(micros[0]),
                            "p50_us": float(np.median(micros)),
                            "p95_us": float(np.percentile(micros, 95)),
                            "hundred_us": float(micros.sum())}
    return out


def small_memory(bench, chosen, clients):
    """Speed with shared_buffers of a quarter of the largest index, the same for all."""
    largest = max(index_size(bench.db(method), method, bench.data) for method, _ in chosen)
    buffers = max(1 << 20, largest // 4)
    bench.server.restart(shared_buffers=server.megabytes(buffers))
    reconnect_all(bench)
    try:
        out = speed(bench, chosen, 10, clients)
    finally:
        bench.server.restart()
        reconnect_all(bench)
    out["shared_buffers"] = buffers
    return out


# ----------------------------------------------------------------------------
# vacuum and insert

INSERT = """\\set n :n + 1
\\set row :first + :n * :clients + :client_id
INSERT INTO t_{key} SELECT id, f, v FROM w_{key} WHERE nr = :row;
"""


def take_out(db, data, rows):
    """Delete the given rows, keeping them in w_KEY with a number from 0; seconds of VACUUM."""
    db.run(f"CREATE TABLE w_{data.key} (nr integer PRIMARY KEY, id integer, f integer, "
           f"v vector({data.dim}))")
    db.run(f"ALTER TABLE w_{data.key} ALTER v SET STORAGE "
           f"{'plain' if data.dim < 1900 else 'external'}")
    db.run(f"INSERT INTO w_{data.key} SELECT nr - 1, id, f, v FROM t_{data.key} "
           f"JOIN unnest(%s) WITH ORDINALITY AS u (id, nr) USING (id)", rows.tolist())
    db.run(f"ANALYZE w_{data.key}")
    db.run(f"DELETE FROM t_{data.key} WHERE id = ANY (%s)", rows.tolist())
    db.run("CHECKPOINT")
    before = db.one("SELECT pg_current_wal_insert_lsn()")
    seconds = db.timed(f"VACUUM (INDEX_CLEANUP ON, TRUNCATE OFF, PARALLEL 0) t_{data.key}")
    return {"seconds": seconds, "rows": len(rows),
            "wal_bytes": wal_since(db, before)}


def insert_slice(bench, method, first, count, clients):
    """Insert rows first .. first + count - 1 of w_KEY, one a transaction."""
    db = bench.db(method)
    begin = db.one("SELECT pg_current_wal_insert_lsn()")
    part = pgbench.run(method.peer, INSERT.format(key=bench.data.key), {}, clients,
                       transactions=count // clients,
                       variables={"n": -1, "first": first, "clients": clients})
    return part, wal_since(db, begin)


def write(bench, pair, value):
    """VACUUM after deleting 2 %, then those rows back by 1 and 2 clients, in turn.

    full_page_writes is off meanwhile, so that WAL is that of a server long after a
    checkpoint; the last rows are inserted with it on, right after one.  The indexes go
    afterwards, they are no longer as built.
    """
    set_full_page_writes(bench, "off")
    try:
        return vacuum_and_insert(bench, pair, value)
    finally:
        set_full_page_writes(bench, "on")
        for method in pair:
            load.restore(bench.db(method), bench.data)
            drop_indexes(bench.db(method), bench.data)
            bench.db(method).run(f"VACUUM (ANALYZE) t_{bench.data.key}")


def vacuum_and_insert(bench, pair, value):
    data = bench.data
    rows = np.random.default_rng([9, data.n]).choice(data.n, data.n // 50, replace=False)
    out = {method.name: {} for method in pair}
    for method in pair:
        warm(bench, method)
        out[method.name]["vacuum"] = take_out(bench.db(method), data, rows)
    at = 0
    share = min(len(rows) // 3, bench.profile.most_inserts) // (2 * bench.profile.rounds) * 2
    for name, clients in (("insert_1", 1), ("insert_2", 2), ("insert_images", 1)):
        if name == "insert_images":
            set_full_page_writes(bench, "on")
            for method in pair:
                warm(bench, method)
        parts = {method.name: [] for method in pair}
        for number in range(bench.profile.rounds):
            for method in pair if number % 2 == 0 else pair[::-1]:
                parts[method.name].append(insert_slice(bench, method, at, share, clients))
            at += share
        for method in pair:
            out[method.name][name] = insert_figures(parts[method.name], clients)
    for method in pair:
        db = bench.db(method)
        db.run(f"INSERT INTO t_{data.key} SELECT id, f, v FROM w_{data.key} WHERE nr >= {at}")
        rows_now = db.one(f"SELECT count(*) FROM t_{data.key}")
        if rows_now != data.n:
            raise RuntimeError(f"{method.name}: {rows_now} rows after all were put back")
        prepare(db, method, data, 10, value)
        found = ask(db, min(len(data.query), bench.profile.recall_queries))
        out[method.name]["recall_after"] = exact.recall(data, found, bench.far, 10)
        out[method.name]["bytes_after"] = index_size(db, method, data)
    return out


def set_full_page_writes(bench, value):
    db = next(iter(bench.databases.values()))
    db.run("CHECKPOINT")
    bench.server.restart(full_page_writes=value)
    reconnect_all(bench)


def insert_figures(parts, clients):
    slices = [part for part, _ in parts]
    rows = sum(s.micros.size for s in slices)
    micros = np.concatenate([s.micros for s in slices])
    return {"rows": rows, "clients": clients, "ms_mean": float(micros.mean()) / 1000,
            "ms_p50": float(np.median(micros)) / 1000,
            "ms_p95": float(np.percentile(micros, 95)) / 1000,
            "rows_per_second": float(np.median([s.tps for s in slices])),
            "wal_bytes_per_row": sum(wal for _, wal in parts) / rows}


def comment(bench, method, text=None):
    """Read or set what is noted on an index: its figures, for later runs."""
    db, name = bench.db(method), method.index_name(bench.data)
    if text is not None:
        db.run(f"COMMENT ON INDEX {name} IS %s", json.dumps(text))
        return text
    noted = db.one("SELECT obj_description(to_regclass(%s))", name)
    return json.loads(noted) if noted else None
