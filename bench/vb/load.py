"""Tables of a data set, by binary COPY: t_KEY (id, f, v) and q_KEY (id, v).

f is a number below a million without relation to the vector: WHERE f < 10000 selects
1 % of the rows.
"""
import time

import numpy as np

FILTER_RANGE = 1000000
CHUNK = 8192


def filter_values(n):
    """The column f of rows 0 .. n-1, the same for the same n."""
    return np.random.default_rng([7, n]).permutation(n) * FILTER_RANGE // n


def records(first, rows, ints):
    """Rows in COPY's binary format: id, a column or columns of integers (columns x rows) and
    the vector, with their lengths, big-endian."""
    dim, ints = rows.shape[1], np.atleast_2d(ints)
    integers = [(f"{part}{i}", ">i4") for i in range(len(ints)) for part in ("size", "int")]
    out = np.empty(len(rows), np.dtype([
        ("fields", ">i2"), ("id_size", ">i4"), ("id", ">i4"), *integers,
        ("v_size", ">i4"), ("dim", ">i2"), ("unused", ">i2"), ("v", ">f4", (dim,))]))
    out["fields"], out["id_size"] = 2 + len(ints), 4
    out["id"] = np.arange(first, first + len(rows))
    for i, column in enumerate(ints):
        out[f"size{i}"], out[f"int{i}"] = 4, column
    out["v_size"], out["dim"], out["unused"], out["v"] = 4 + 4 * dim, dim, 0, rows
    return out.tobytes()


class Stream:
    """What copy_expert reads: header, records in chunks, trailer."""

    def __init__(self, rows, ints):
        self.pieces = self.make(rows, np.atleast_2d(ints))
        self.left = b""

    @staticmethod
    def make(rows, ints):
        yield b"PGCOPY\n\xff\r\n\0" + bytes(8)
        for at in range(0, len(rows), CHUNK):
            part = np.asarray(rows[at:at + CHUNK])
            yield records(at, part, ints[:, at:at + CHUNK])
        yield b"\xff\xff"

    def read(self, size=8192):
        while not self.left:
            piece = next(self.pieces, None)
            if piece is None:
                return b""
            self.left = memoryview(piece)
        out, self.left = self.left[:size], self.left[size:]
        return bytes(out)


def copy(database, table, rows, ints, columns="f"):
    with database.connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {table} (id, {columns}, v) FROM STDIN (FORMAT binary)",
                           Stream(rows, ints), size=1 << 16)


def load(database, data):
    """Create and fill the tables unless they are there; seconds of COPY, or None."""
    table, queries = f"t_{data.key}", f"q_{data.key}"
    if database.one("SELECT to_regclass(%s)", queries):
        restore(database, data)
        if database.one(f"SELECT count(*) FROM {table}") == data.n:
            return None
    for name in (table, queries):
        database.run(f"DROP TABLE IF EXISTS {name}")
        database.run(f"CREATE TABLE {name} (id integer, f integer, v vector({data.dim}))")
    started = time.monotonic()
    copy(database, table, data.base, filter_values(data.n))
    seconds = time.monotonic() - started
    database.run(f"VACUUM (ANALYZE, FREEZE) {table}")
    # queries come from the row, whatever the type's default is
    stage = f"{queries}_stage"
    database.run(f"DROP TABLE IF EXISTS {stage}")
    database.run(f"ALTER TABLE {queries} RENAME TO {stage}")
    database.run(f"ALTER TABLE {stage} ALTER v SET STORAGE "
                 f"{'plain' if data.dim < 1900 else 'external'}")
    copy(database, stage, data.query, np.arange(len(data.query)))
    database.run(f"CREATE UNIQUE INDEX ON {stage} (id)")
    database.run(f"VACUUM (ANALYZE) {stage}")
    database.run(f"ALTER TABLE {stage} RENAME TO {queries}")	# the sign that all is there
    return seconds


def restore(database, data):
    """Put back the rows that a measurement had taken out and not put back; w_KEY has them."""
    table, aside = f"t_{data.key}", f"w_{data.key}"
    if database.one("SELECT to_regclass(%s)", aside):
        for (index,) in database.run("SELECT indexrelid::regclass::text FROM pg_index "
                                     "WHERE indrelid = %s::regclass", table):
            database.run(f"DROP INDEX {index}")
        database.run(f"INSERT INTO {table} SELECT id, f, v FROM {aside} w WHERE NOT EXISTS "
                     f"(SELECT FROM {table} t WHERE t.id = w.id)")
        database.run(f"DROP TABLE {aside}")
        database.run(f"VACUUM (ANALYZE) {table}")
