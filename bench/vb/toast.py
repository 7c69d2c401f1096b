"""The axis of TOAST: does a query read and compare again what the index has compared?

For rows whose vectors lie in TOAST, three statements: the id alone, the distance too, the
vector itself.  Besides time: reads of the TOAST table in each query, counted by the server.
"""
import numpy as np

from vb import measure, memory, methods, pgbench

K = 10
EF = 40
CPU_SECONDS = 0.3			# of a backend for each figure of processor time
BUFFER_QUERIES = 20


def statements(data, query):
    operator = methods.OPERATORS[data.metric]
    near = f"v {operator} (SELECT v FROM q_{data.key} WHERE id = {query})"
    table = f"t_{data.key}"
    return {"id": f"SELECT id FROM {table} ORDER BY {near} LIMIT {K}",
            "id, distance": f"SELECT id, {near} AS d FROM {table} ORDER BY d LIMIT {K}",
            "id, vector": f"SELECT id, v FROM {table} ORDER BY {near} LIMIT {K}"}


def sides(pair):
    """(name, method, settings); ours also without handing the distance up."""
    for method in pair:
        yield method.name, method, method.settings(EF)
        if method.peer == "vecext":
            yield (method.name + ", distance_reuse off", method,
                   dict(method.settings(EF), **{"vecext.enable_distance_reuse": "off"}))


def reads_of_toast(db, data):
    """Scans of the TOAST table's index so far: one for each value that was read."""
    return db.one("SELECT coalesce(idx_scan, 0) FROM pg_stat_all_tables WHERE relid = "
                  "(SELECT reltoastrelid FROM pg_class WHERE oid = %s::regclass)",
                  f"t_{data.key}")


def ask_many(db, data, statement, settings):
    """Processor time, reads of TOAST and of buffers a query, and the plan."""
    db.run("DISCARD ALL")
    for name, value in settings.items():
        db.run(f"SET {name} = '{value}'")
    db.run(f"PREPARE q(integer) AS {statements(data, '$1')[statement]}")
    pid = db.one("SELECT pg_backend_pid()")
    asked = 0
    for i in range(20):			# plans, caches
        db.run("EXECUTE q(%s)", i % len(data.query))
    db.run("SELECT pg_stat_force_next_flush()")
    before, began = reads_of_toast(db, data), memory.nanoseconds(pid)
    while memory.nanoseconds(pid) - began < CPU_SECONDS * 1e9:
        for i in range(50):
            db.run("EXECUTE q(%s)", (asked + i) % len(data.query))
        asked += 50
    cpu = (memory.nanoseconds(pid) - began) / 1e9
    db.run("SELECT pg_stat_force_next_flush()")
    reads = reads_of_toast(db, data) - before
    hits = []
    for i in range(BUFFER_QUERIES):
        plan = db.one("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE q(%s)", i)
        hits.append(plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"])
    return {"cpu_us": 1e6 * cpu / asked, "toast_reads": reads / asked,
            "buffers": float(np.mean(hits)), "plan": measure.plan_of(db)}


def measure_statement(bench, pair, statement):
    data = bench.data
    out, slices = {}, {}
    for name, method, settings in sides(pair):
        out[name] = ask_many(bench.db(method), data, statement, settings)
        if method.index_name(data) not in out[name]["plan"]:
            raise RuntimeError(f"{name}: the plan does not use the index:\n{out[name]['plan']}")
        slices[name] = []
    script = (f"\\set i random(0, {len(data.query) - 1})\n"
              f"{statements(data, ':i')[statement]};\n")
    for number in range(bench.profile.rounds):
        order = list(sides(pair))
        for name, method, settings in order if number % 2 == 0 else order[::-1]:
            slices[name].append(pgbench.run(method.peer, script, settings, seed=1 + number,
                                            seconds=bench.profile.slice_seconds))
    for name in out:
        out[name].update(pgbench.figures(slices[name]))
        if name != pair[0].name:
            out[name]["ours_over_this"] = pgbench.ratio(slices[pair[0].name], slices[name])
    return out


def measure_toast(bench, pair):
    """{statement: {side: figures}}; an error where the vectors are not in TOAST."""
    data = bench.data
    for method in pair:
        size = bench.db(method).one(
            "SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = %s::regclass",
            f"t_{data.key}")
        if not size or size < data.n * data.dim:
            raise RuntimeError(f"vectors of {data.dim} dimensions are not in TOAST")
        measure.warm(bench, method)
    return {statement: measure_statement(bench, pair, statement)
            for statement in statements(data, "0")}
