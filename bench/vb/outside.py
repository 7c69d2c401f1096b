"""hnswlib and FAISS, outside the server: the same rows and queries, in memory.

Each library and number of threads is a process of its own (python3 -m vb.outside), so
that VmHWM is that of one build.  Queries are asked one call for all, by one thread or by
as many as there are clients; latencies are those of single calls.
"""
import json
import math
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

from vb import exact, memory
from vb.methods import EF, EF_QUICK, PROBES, PROBES_QUICK

M, EF_CONSTRUCTION = 16, 200


class Hnswlib:
    title = f"hnswlib HNSW (M {M}, efConstruction {EF_CONSTRUCTION})"
    values = EF
    values_quick = EF_QUICK

    def build(self, base, metric, threads):
        import hnswlib
        self.index = hnswlib.Index(space=metric, dim=base.shape[1])
        self.index.init_index(max_elements=len(base), M=M, ef_construction=EF_CONSTRUCTION,
                              random_seed=1)
        self.index.add_items(base, num_threads=threads)

    def set(self, value, threads):
        self.index.set_ef(value)
        self.threads = threads

    def search(self, query, k):
        return self.index.knn_query(query, k=k, num_threads=self.threads)[0]

    def size(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "index")
            self.index.save_index(path)
            return os.path.getsize(path)

    def version(self):
        import importlib.metadata
        return importlib.metadata.version("hnswlib")


class Faiss:
    """index_factory strings; cosine is the inner product of unit vectors."""

    def build(self, base, metric, threads):
        import faiss
        self.faiss = faiss
        faiss.omp_set_num_threads(threads)
        self.unit = metric == "cosine"
        base = exact.unit(base) if self.unit else np.ascontiguousarray(base)
        kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        self.index = faiss.index_factory(base.shape[1], self.factory(*base.shape), kind)
        self.before_training()
        self.index.train(base)
        self.index.add(base)

    def before_training(self):
        pass

    def set(self, value, threads):
        self.faiss.omp_set_num_threads(threads)
        self.set_value(value)

    def search(self, query, k):
        return self.index.search(exact.unit(query) if self.unit else query, k)[1]

    def size(self):
        return self.faiss.serialize_index(self.index).nbytes

    def version(self):
        return self.faiss.__version__


class FaissHnsw(Faiss):
    title = f"FAISS HNSW (M {M}, efConstruction {EF_CONSTRUCTION})"
    values = EF
    values_quick = EF_QUICK

    def factory(self, n, dim):
        return f"HNSW{M},Flat"

    def before_training(self):
        self.index.hnsw.efConstruction = EF_CONSTRUCTION

    def set_value(self, value):
        self.index.hnsw.efSearch = value


class FaissIvf(Faiss):
    title = "FAISS IVF-Flat (4 sqrt(n) lists)"
    values = PROBES
    values_quick = PROBES_QUICK
    lists = 4

    def factory(self, n, dim):
        return f"IVF{max(16, round(self.lists * math.sqrt(n)))},Flat"

    def before_training(self):
        """A sample of 64 rows a list: FAISS takes all there are up to 256, which for a few
        hundred thousand rows is minutes of training for the same recall."""
        self.faiss.extract_index_ivf(self.index).cp.max_points_per_centroid = 64

    def set_value(self, value):
        self.index.nprobe = value


class FaissIvfSame(FaissIvf):
    """As many lists as ours and pgvector's have."""
    title = "FAISS IVF-Flat (sqrt(n) lists)"
    lists = 1


class FaissPq(FaissIvf):
    title = "FAISS IVF-PQ (fast-scan, 4 bits for 2 dimensions, the best 8 k ranked by the vectors)"

    def factory(self, n, dim):
        codes = next(m for m in range(dim // 2, 0, -1) if dim % m == 0)
        return f"IVF{max(16, round(self.lists * math.sqrt(n)))},PQ{codes}x4fs,RFlat"

    def set_value(self, value):
        self.index.k_factor = 8
        self.faiss.downcast_index(self.index.base_index).nprobe = value


PEERS = {"hnswlib/hnsw": ("hnswlib", Hnswlib), "faiss/hnsw": ("faiss", FaissHnsw),
         "faiss/ivfflat": ("faiss", FaissIvf), "faiss/ivfflat_sqrt": ("faiss", FaissIvfSame),
         "faiss/ivfpq": ("faiss", FaissPq)}


def available():
    """Names whose module is there, and what is missing."""
    import importlib.util
    there = {name for name, (module, _) in PEERS.items() if importlib.util.find_spec(module)}
    return there, [f"{name}: no python3-{PEERS[name][0]} in this Debian"
                   for name in PEERS if name not in there]


def median_rate(peer, query, k, rounds, least):
    """Queries per second, the median of some passes; a pass repeats the queries until it
    has taken long enough to be timed."""
    rates = []
    for _ in range(rounds):
        asked, started = 0, time.perf_counter()
        while asked == 0 or time.perf_counter() - started < least:
            found = peer.search(query, k)
            asked += len(query)
        rates.append(asked / (time.perf_counter() - started))
    return float(np.median(rates)), rates, found


def one_by_one(peer, query, k):
    micros = []
    for q in query:
        started = time.perf_counter()
        peer.search(q[None, :], k)
        micros.append((time.perf_counter() - started) * 1e6)
    p50, p95, p99 = (float(x) for x in np.percentile(micros, [50, 95, 99]))
    return {"p50_us": p50, "p95_us": p95, "p99_us": p99}


def work(spec):
    """In the process of its own: build, and search if asked to."""
    base = np.load(spec["base"])
    query = np.load(spec["query"])
    peer = PEERS[spec["name"]][1]()
    before = memory.status("self")["RssAnon"]
    started = time.perf_counter()
    peer.build(base, spec["metric"], spec["threads"])
    out = {"seconds": time.perf_counter() - started, "bytes": peer.size(),
           "own": memory.status("self")["VmHWM"] - before, "version": peer.version(),
           "title": peer.title, "searches": []}
    values = peer.values_quick if spec["quick"] else peer.values
    for k in spec["k"] if spec["search"] else ():
        for value in values:
            if value > 4 * math.sqrt(len(base)) and values is not EF and values is not EF_QUICK:
                continue
            for clients in spec["clients"]:
                peer.set(value, clients)
                rate, rates, found = median_rate(peer, query, k, spec["rounds"], spec["least"])
                cell = {"k": k, "value": value, "clients": clients, "qps": rate,
                        "qps_slices": rates}
                if clients == 1:
                    cell.update(one_by_one(peer, query[:200], k))
                out["searches"].append(cell)
                cell["found"] = np.asarray(found).tolist()
    return out


def environment(threads):
    """FAISS has threads of its own above the BLAS; those that wait must not spin."""
    return dict(os.environ, OMP_WAIT_POLICY="passive", OPENBLAS_NUM_THREADS="1",
                OMP_NUM_THREADS=str(threads))


def expected(data, profile, clients):
    """Seconds, roughly."""
    passes = 10 * len(profile.k) * clients * profile.rounds * profile.slice_seconds / 4
    return 3 + data.n * (data.dim + 200) * 1e-6 + (3 if profile.quick else passes)


def measure(data, name, threads, profile, cache, far, search):
    """One library by so many threads; recall by the exact answers of the harness."""
    paths_ = {}
    for part in ("base", "query"):
        paths_[part] = os.path.join(cache, f"outside-{data.key}-{part}.npy")
        if not os.path.exists(paths_[part]):
            np.save(paths_[part], np.ascontiguousarray(getattr(data, part), np.float32))
    spec = dict(paths_, name=name, metric=data.metric, threads=threads, quick=profile.quick,
                search=search, k=profile.k, clients=[1, *profile.clients_more],
                rounds=profile.rounds, least=profile.slice_seconds / 4)
    done = subprocess.run([sys.executable, "-m", "vb.outside"], input=json.dumps(spec),
                          capture_output=True, text=True, env=environment(threads))
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-500:]}")
    out = json.loads(done.stdout.splitlines()[-1])
    for cell in out["searches"]:
        cell["recall"] = exact.recall(data, cell.pop("found"), far, cell["k"])
    return out


if __name__ == "__main__":
    print(json.dumps(work(json.load(sys.stdin))))
