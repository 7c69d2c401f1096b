"""What is measured in the server: how each peer builds, asks, and turns recall up.

To add an extension: a line in EXTENSIONS, its methods in PAIRS.  A peer that is not
installed, or an access method that it does not have, is left out and named.
"""
import math

# database -> extension; one database each, since they share names of types
EXTENSIONS = {"vecext": "vecext", "pgvector": "vector"}

OPERATORS = {"l2": "<->", "cosine": "<=>", "ip": "<#>"}
EF = [10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 450, 640, 1000]
EF_QUICK = [10, 20, 40, 80]
PROBES = [1, 2, 4, 8, 16, 32, 64, 128, 256]
PROBES_QUICK = [2, 8, 32]

# an index that is measured is also used
FORCED = {"enable_seqscan": "off", "max_parallel_workers_per_gather": 0}
FORCED_VECEXT = dict(FORCED, **{"vecext.enable_topk": "off"})


class Method:
    """One way to index and search a column v.

    kind is what it is compared as; expression, of %s, is what is indexed in the place of
    v; param the setting that buys recall, and values those to try.
    """
    am = "hnsw"
    param = "hnsw.ef_search"

    def __init__(self, peer, kind, options="", type_name="vector", rerank=False, title=None):
        self.peer = peer
        self.kind = kind
        self.options = options
        self.type_name = type_name
        self.rerank = rerank
        self.name = f"{peer}/{kind}"
        self.title = title or self.name

    def expression(self, value, data):
        if self.type_name == "halfvec":
            return f"({value}::halfvec({data.dim}))"
        if self.type_name == "bit":
            return f"(binary_quantize({value})::bit({data.dim}))"
        return value

    def operator(self, data):
        return "<~>" if self.type_name == "bit" else OPERATORS[data.metric]

    def opclass(self, data):
        if self.type_name == "bit":
            return "bit_hamming_ops"
        return f"{self.type_name}_{data.metric}_ops"

    def index_name(self, data):
        return f"i_{data.key}_{self.kind.replace('-', '_')}"

    def with_clause(self, data):
        return f" WITH ({self.options})" if self.options else ""

    def index_sql(self, data):
        return (f"CREATE INDEX {self.index_name(data)} ON t_{data.key} USING {self.am} "
                f"({self.expression('v', data)} {self.opclass(data)}){self.with_clause(data)}")

    def query_sql(self, data, k, value, query, where=""):
        """The k nearest ids to the query with this id (an expression)."""
        q = f"(SELECT {self.expression('v', data)} FROM q_{data.key} WHERE id = {query})"
        near = f"{self.expression('v', data)} {self.operator(data)} {q}"
        if not self.rerank:
            return f"SELECT id FROM t_{data.key}{where} ORDER BY {near} LIMIT {k}"
        return (f"SELECT id FROM (SELECT id, v FROM t_{data.key}{where} ORDER BY {near} "
                f"LIMIT {max(value, k)}) c ORDER BY v {OPERATORS[data.metric]} "
                f"(SELECT v FROM q_{data.key} WHERE id = {query}) LIMIT {k}")

    def settings(self, value):
        forced = FORCED_VECEXT if self.peer == "vecext" else FORCED
        return dict(forced, **({self.param: value} if self.param else {}))

    def values(self, data, quick):
        return EF_QUICK if quick else EF

    def most(self, data):
        """The largest value of the parameter."""
        return 1000

    def filter_settings(self):
        """So that LIMIT is filled under a filter, as far as the peer can."""
        return {"hnsw.iterative_scan": "strict_order"}

    def unfit(self, data):
        """Why the method cannot be used with the data, or None."""
        if self.type_name == "bit" and data.base[:1000].min() >= 0:
            return "no element is negative: every bit would be set"
        limit = {"vector": 2000, "halfvec": 4000}.get(self.type_name)
        if self.peer == "pgvector" and limit and data.dim > limit:
            return f"pgvector indexes at most {limit} dimensions of {self.type_name}"
        return None


class Ivf(Method):
    """Inverted lists: as many as the root of the number of rows."""
    am = "ivfflat"
    param = "ivfflat.probes"

    def lists(self, data):
        return max(10, round(math.sqrt(data.n)))

    def with_clause(self, data):
        return f" WITH (lists = {self.lists(data)}{', ' if self.options else ''}{self.options})"

    def values(self, data, quick):
        return [p for p in (PROBES_QUICK if quick else PROBES) if p <= self.lists(data)]

    def most(self, data):
        return self.lists(data)

    def filter_settings(self):
        return {"ivfflat.iterative_scan": "relaxed_order"}


class Exact(Method):
    """No index: every row is looked at, by one process."""
    am = None
    param = None

    def index_sql(self, data):
        return None

    def settings(self, value):
        return {"enable_indexscan": "off", "max_parallel_workers_per_gather": 0}

    def values(self, data, quick):
        return [None]


def pairs():
    """Methods that are measured in turn, slice by slice; the first is ours."""
    return [
        (Method("vecext", "hnsw"), Method("pgvector", "hnsw")),
        (Method("vecext", "hnsw-half", "refine = half"),
         Method("pgvector", "hnsw-half", type_name="halfvec", title="pgvector/hnsw over halfvec")),
        (Method("vecext", "hnsw-int8", "refine = int8"),
         Method("pgvector", "hnsw-bit", type_name="bit", rerank=True,
                title="pgvector/hnsw over binary_quantize, reranked")),
        (Method("vecext", "hnsw-heap", "refine = heap"),),
        (Ivf("vecext", "ivfflat"), Ivf("pgvector", "ivfflat")),
        (Ivf("vecext", "ivfflat-half", type_name="halfvec"),
         Ivf("pgvector", "ivfflat-half", type_name="halfvec")),
        (Exact("vecext", "exact"), Exact("pgvector", "exact")),
    ]


def chosen(wanted, available):
    """The pairs whose methods are wanted (names or beginnings, None for all) and whose
    access methods are in the databases, {peer: set of names}; and what was left out."""
    kept, missing = [], []
    for pair in pairs():
        here = []
        for method in pair:
            if wanted and not any(matches(method.name, w) for w in wanted):
                continue
            if method.peer not in available:
                missing.append(f"{method.name}: the extension is not installed")
            elif method.am and method.am not in available[method.peer]:
                missing.append(f"{method.name}: no access method {method.am}")
            else:
                here.append(method)
        if here:
            kept.append(tuple(here))
    return kept, missing


def matches(name, wanted):
    """"hnsw", "pgvector/hnsw" and "pgvector" name a method; "hnsw*" all that begin so."""
    peer, kind = name.split("/")
    if wanted.endswith("*"):
        return name.startswith(wanted[:-1]) or kind.startswith(wanted[:-1])
    return wanted in (name, kind, peer)
