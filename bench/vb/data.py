"""Data sets: readers of vector files, the bundled one, and generated ones.

A data set is named on the command line by

    siftsmall                       bundled with the checkout
    gen:ROWSxDIM[,seed=N]           a mixture that behaves like embeddings; 10k, 1M are numbers
    PATH[,KEY=VALUE...]             .fvecs .u8bin .f16bin .f32bin (each also .gz) .hdf5

with keys query=PATH, metric=l2|cosine|ip, limit=ROWS, queries=N, name=TEXT,
labels=PATH[:COLUMN+COLUMN...].  Without query=, the file whose name has "query" where PATH
has "base" or "train" is taken; without one, the last rows are held out.  Without metric=,
rows of length 1 mean cosine.  Labels, for filters, are bytes in a file .u8, or columns of
a .tsv with names in its first line; those of the queries lie beside as their vectors do.
"""
import gzip
import hashlib
import json
import os

import numpy as np

from vb import paths

MAX_QUERIES = 1000
ELEMENTS = {".u8bin": np.uint8, ".f16bin": "<f2", ".f32bin": "<f4"}
METRICS = ("l2", "cosine", "ip")
SIFTSMALL = os.path.join(paths.TOP, "test", "data", "siftsmall")


class DataSet:
    """n x dim float32 rows, queries, the metric, and a key that names the contents."""

    def __init__(self, name, base, query, metric, source, key):
        self.name = name
        self.base = base
        self.query = query
        self.metric = metric
        self.source = source
        self.key = key
        self.n, self.dim = base.shape
        self.labels = {}		# name -> numbers of base, of query; -1 is in no row of base

    def describe(self):
        return {"name": self.name, "rows": self.n, "dim": self.dim, "metric": self.metric,
                "queries": len(self.query), "source": self.source, "key": self.key}


def number(text):
    """10k, 1M, 200000"""
    factor = {"k": 1000, "K": 1000, "m": 1000000, "M": 1000000}.get(text[-1:], 1)
    return int(float(text[:-1] if factor > 1 else text) * factor)


# ----------------------------------------------------------------------------
# files

def suffix_of(path):
    """The suffix that tells the format, without .gz."""
    return os.path.splitext(path[:-3] if path.endswith(".gz") else path)[1]


def read_bin(stream, element, limit):
    """uint32 n, uint32 dim, then n x dim little-endian values."""
    element = np.dtype(element)
    n, dim = (int(x) for x in np.frombuffer(stream.read(8), "<u4"))
    if n == 0 or not 0 < dim <= 16000:
        raise ValueError(f"{n} vectors of {dim} dimensions?")
    n = min(n, limit or n)
    raw = stream.read(n * dim * element.itemsize)
    if len(raw) < n * dim * element.itemsize:
        raise ValueError("the file is too short")
    return np.frombuffer(raw, element).reshape(n, dim).astype(np.float32, copy=False)


def read_fvecs(stream, limit):
    """TexMex: int32 dim before each vector."""
    head = stream.read(4)
    dim = int(np.frombuffer(head, "<i4")[0])
    if not 0 < dim <= 16000:
        raise ValueError(f"{dim} dimensions?")
    raw = head + stream.read((limit or -1) * 4 * (dim + 1) - 4 if limit else -1)
    rows = np.frombuffer(raw, "<i4")
    if rows.size % (dim + 1):
        raise ValueError("the file does not end with a vector")
    rows = rows.reshape(-1, dim + 1)
    if (rows[:, 0] != dim).any():
        raise ValueError("vectors of different dimensions")
    return rows[:, 1:].copy().view("<f4")


def read_hdf5(path, name, limit):
    """A data set of an ann-benchmarks file, None if it has none of that name; its metric."""
    import h5py
    with h5py.File(path, "r") as file:
        metric = {"angular": "cosine", "euclidean": "l2"}.get(file.attrs.get("distance"))
        if name not in file:
            return None, metric
        part = file[name]
        return part[:limit or len(part)].astype(np.float32), metric


def read_vectors(path, limit=None):
    """Any of the formats; float32."""
    suffix = suffix_of(path)
    if suffix in (".hdf5", ".h5"):
        return read_hdf5(path, "train", limit)[0]
    if suffix not in ELEMENTS and suffix != ".fvecs":
        raise ValueError(f"{path}: no format that is known")
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as stream:
        try:
            if suffix == ".fvecs":
                return read_fvecs(stream, limit)
            return read_bin(stream, ELEMENTS[suffix], limit)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def query_file(path):
    """The file of queries that lies beside a file of rows, or None."""
    folder, name = os.path.split(path)
    for word in ("base", "train"):
        other = os.path.join(folder, name.replace(word, "query"))
        if word in name and os.path.exists(other):
            return other
    return None


def read_labels(path, columns):
    """{name: labels of all rows}"""
    if suffix_of(path) == ".u8":
        return {"label": np.fromfile(path, np.uint8)}
    with (gzip.open if path.endswith(".gz") else open)(path, "rt") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    missing = set(columns) - set(rows[0])
    if missing or not columns:
        raise SystemExit(f"bench: {path}: labels={path}:COLUMN of {', '.join(rows[0])}")
    return {name: np.array([row[rows[0].index(name)] for row in rows[1:]]) for name in columns}


def numbered(base, query):
    """Labels as numbers: those of base in their order, -1 where a query has another."""
    known = np.unique(base)
    at = np.minimum(np.searchsorted(known, query), len(known) - 1)
    return (np.searchsorted(known, base).astype(np.int32),
            np.where(known[at] == query, at, -1).astype(np.int32))


def labels_of(data, option, held_out):
    """What labels= names; query files' labels lie beside, those of rows held out behind."""
    path, _, columns = option.partition(":")
    path, columns = paths.here(path), [c for c in columns.split("+") if c]
    base = read_labels(path, columns)
    if held_out:
        query = {name: all_[data.n:] for name, all_ in base.items()}
    else:
        beside = query_file(path)
        if not beside:
            raise SystemExit(f"bench: {path}: no labels of the queries beside it")
        query = read_labels(beside, columns)
    for name, all_ in base.items():
        if len(all_) < data.n or len(query[name]) < len(data.query):
            raise SystemExit(f"bench: {path}: fewer labels than vectors")
        data.labels[name] = numbered(all_[:data.n], query[name][:len(data.query)])


# ----------------------------------------------------------------------------
# generated rows

class Mixture:
    """Rows that behave like embeddings, any number of them.

    2,000 Gaussian clusters, of which the first hundred are the centres of groups, with
    heavy-tailed weights in 48 dimensions; a fixed random map (48 -> 256, tanh, -> dim);
    5 % noise; normalised.  A chunk of rows has its own seed: a smaller set is the beginning
    of a larger one.
    """
    LATENT, HIDDEN, CLUSTERS, GROUPS = 48, 256, 2000, 100
    SIGMA, NOISE, CHUNK = 0.6, 0.05, 16384

    def __init__(self, dim, seed):
        rng = np.random.default_rng([seed, dim])
        normal = lambda *shape: rng.standard_normal(shape, np.float32)
        self.dim, self.seed = dim, seed
        centre = normal(self.CLUSTERS, self.LATENT)
        group = np.arange(self.CLUSTERS) % self.GROUPS
        centre[self.GROUPS:] = 0.7 * (centre[group] + centre)[self.GROUPS:]
        self.centre = centre
        self.spread = (self.SIGMA * 1.6 * np.exp(0.35 * normal(self.CLUSTERS, 1)) *
                       np.exp(0.5 * normal(self.CLUSTERS, self.LATENT)) *
                       np.arange(1, self.LATENT + 1, dtype=np.float32) ** -0.25)
        self.into = normal(self.LATENT, self.HIDDEN) * np.float32(1.2 / self.LATENT ** 0.5)
        self.bias = normal(self.HIDDEN) * np.float32(0.3)
        self.out = normal(self.HIDDEN, dim) * np.float32(self.HIDDEN ** -0.5)
        self.mean = normal(dim) * np.float32(0.25)
        weight = (np.arange(self.CLUSTERS) + 10.0) ** -0.6
        self.upto = np.cumsum(weight / weight.sum())

    def chunk(self, stream, number, rows):
        """The first rows of one chunk; stream 0 is the base, 1 the queries."""
        rng = np.random.default_rng([self.seed, self.dim, stream, number])
        cluster = np.searchsorted(self.upto, rng.random(self.CHUNK))
        cluster = np.minimum(cluster, self.CLUSTERS - 1)
        z = rng.standard_normal((self.CHUNK, self.LATENT), np.float32)
        z = z * self.spread[cluster] + self.centre[cluster]
        x = np.tanh(z @ self.into + self.bias) @ self.out + self.mean
        noise = rng.random((self.CHUNK, self.dim), np.float32)
        x += (2 * noise - 1) * np.float32(self.NOISE * 3 ** 0.5)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        return x[:rows]

    def fill(self, out, stream):
        for number, at in enumerate(range(0, len(out), self.CHUNK)):
            out[at:at + self.CHUNK] = self.chunk(stream, number, len(out) - at)


def generate(rows, dim, seed, path):
    """Write generated rows as .npy, by way of a file that is renamed when it is whole."""
    mixture = Mixture(dim, seed)
    out = np.lib.format.open_memmap(path + ".new", "w+", np.float32, (rows, dim))
    mixture.fill(out, 0)
    out.flush()
    del out
    os.rename(path + ".new", path)


# ----------------------------------------------------------------------------
# from the command line

def parse(text):
    """NAME[,KEY=VALUE...] -> name, options"""
    name, *rest = text.split(",")
    options = dict(item.split("=", 1) for item in rest)
    unknown = set(options) - {"query", "metric", "limit", "queries", "name", "seed",
                              "labels"}
    if unknown:
        raise SystemExit(f"bench: data set {text}: no option {', '.join(sorted(unknown))}")
    if options.get("metric", "l2") not in METRICS:
        raise SystemExit(f"bench: data set {text}: metric is one of {', '.join(METRICS)}")
    return name, options


def hash_of(*parts):
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def load_generated(name, options, cache):
    rows, dim = (number(x) for x in name[4:].split("x"))
    seed = int(options.get("seed", 1))
    key = hash_of("gen", 1, rows, dim, seed, options.get("queries"), options.get("metric"))
    path = os.path.join(cache, f"gen-{rows}x{dim}-{seed}.npy")
    if not os.path.exists(path):
        generate(rows, dim, seed, path)
    query = np.empty((number(options.get("queries", str(MAX_QUERIES))), dim), np.float32)
    Mixture(dim, seed).fill(query, 1)
    return DataSet(options.get("name", name[4:]), np.load(path, mmap_mode="r"), query,
                   options.get("metric", "cosine"),
                   f"generated: {rows} x {dim}, seed {seed}", key)


def guess_metric(base):
    length = np.linalg.norm(base[:1000].astype(np.float64), axis=1)
    return "cosine" if np.abs(length - 1).max() < 1e-2 else "l2"


def load_file(name, path, options):
    limit = number(options["limit"]) if "limit" in options else None
    queries = number(options.get("queries", str(MAX_QUERIES)))
    metric = None
    if suffix_of(path) in (".hdf5", ".h5"):
        base, metric = read_hdf5(path, "train", limit)
        query = read_hdf5(path, "test", queries)[0]
        beside = None if query is None else path
    else:
        beside = paths.here(options["query"]) if "query" in options else query_file(path)
        query = read_vectors(beside, queries) if beside else None
        base = read_vectors(path, limit)
    if query is None:
        base, query = base[:-queries], base[-queries:]
    if base.shape[1] != query.shape[1]:
        raise SystemExit(f"bench: {path}: rows of {base.shape[1]} dimensions, queries of "
                         f"{query.shape[1]}")
    metric = options.get("metric") or metric or guess_metric(base)
    stat = [(os.path.basename(f), os.stat(f).st_size) for f in (path, beside or path)]
    key = hash_of("file", stat, len(base), len(query), metric,
                  hashlib.sha256(np.ascontiguousarray(base[:100])).hexdigest())
    data = DataSet(options.get("name", name), base, query, metric, paths.there(path), key)
    if "labels" in options:
        labels_of(data, options["labels"], held_out=beside is None)
    return data


def load(text, cache):
    """The data set that the user named."""
    name, options = parse(text)
    os.makedirs(cache, exist_ok=True)
    if name.startswith("gen:"):
        return load_generated(name, options, cache)
    if name == "siftsmall":
        path = os.path.join(SIFTSMALL, "siftsmall_base.fvecs")
        return load_file(name, path, dict(options, metric=options.get("metric", "l2")))
    path = paths.here(name)
    if not os.path.exists(path):
        raise SystemExit(f"bench: no data set {name}: not siftsmall, not gen:, and no such file")
    stem = os.path.basename(path).split(".")[0]
    if stem in ("base", "train", "query"):
        stem = os.path.basename(os.path.dirname(path))
    return load_file(stem, path, options)
