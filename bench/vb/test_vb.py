"""Tests of the harness: readers, exact answers, recall, parsers, what is written.

Needs python3-numpy and python3-h5py; no server, no charts.
"""
import gzip
import os
import re
import struct
import tempfile
import time
import unittest
from unittest import mock

import numpy as np

from vb import (attributes, awake, data, exact, figures, filters, load, measure, memory, methods, pgbench,
                readme, store, toast)

RNG = np.random.default_rng(5)


class Folder(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.addCleanup(self.place.cleanup)

    def file(self, name, contents=None):
        path = os.path.join(self.place.name, name)
        if contents is not None:
            with (gzip.open if name.endswith(".gz") else open)(path, "wb") as out:
                out.write(contents)
        return path


class Readers(Folder):
    rows = RNG.integers(0, 200, (7, 5)).astype(np.float32)

    def bin(self, element):
        return struct.pack("<II", 7, 5) + self.rows.astype(element).tobytes()

    def test_bin(self):
        for suffix, element in ((".u8bin", "u1"), (".f16bin", "<f2"), (".f32bin", "<f4")):
            for packed in ("", ".gz"):
                path = self.file("x" + suffix + packed, self.bin(element))
                read = data.read_vectors(path)
                self.assertEqual(read.dtype, np.float32)
                np.testing.assert_array_equal(read, self.rows)
                np.testing.assert_array_equal(data.read_vectors(path, 3), self.rows[:3])

    def test_fvecs(self):
        raw = b"".join(struct.pack("<i", 5) + row.astype("<f4").tobytes() for row in self.rows)
        path = self.file("x.fvecs", raw)
        np.testing.assert_array_equal(data.read_vectors(path), self.rows)
        np.testing.assert_array_equal(data.read_vectors(path, 2), self.rows[:2])

    def test_hdf5(self):
        import h5py
        path = self.file("x.hdf5")
        with h5py.File(path, "w") as out:
            out["train"], out["test"] = self.rows, self.rows[:2] + 1
            out.attrs["distance"] = "angular"
        np.testing.assert_array_equal(data.read_vectors(path, 4), self.rows[:4])
        found = data.load_file("x", path, {})
        self.assertEqual((found.n, found.dim, found.metric), (7, 5, "cosine"))
        np.testing.assert_array_equal(found.query, self.rows[:2] + 1)

    def test_damaged(self):
        for name, raw in (("a.f32bin", self.bin("<f4")[:-1]), ("b.u8bin", struct.pack("<II", 9, 0)),
                          ("c.fvecs", struct.pack("<iff", 2, 1, 2) + b"xxxx"),
                          ("d.fvecs", struct.pack("<iffiff", 2, 1, 2, 3, 1, 2)),
                          ("e.fvecs", struct.pack("<i", -1)), ("f.txt", b"1 2 3")):
            with self.assertRaises(ValueError, msg=name):
                data.read_vectors(self.file(name, raw))

    def test_queries_beside_or_held_out(self):
        base = self.file("s.base.f32bin", self.bin("<f4"))
        held = data.load_file("s", base, {"queries": "2"})
        self.assertEqual((held.n, len(held.query)), (5, 2))
        self.file("s.query.f32bin", struct.pack("<II", 1, 5) + self.rows[:1].tobytes())
        beside = data.load_file("s", base, {})
        self.assertEqual((beside.n, len(beside.query), beside.metric), (7, 1, "l2"))
        self.assertNotEqual(held.key, beside.key)

    def test_labels(self):
        base = self.file("base.f32bin", self.bin("<f4"))
        self.file("query.f32bin", struct.pack("<II", 2, 5) + self.rows[:2].tobytes())
        lines = lambda words: ("id\tkind\tgroup\n" + "".join(
            f"{i}\t{word}\tx y\n" for i, word in enumerate(words))).encode()
        names = self.file("base.meta.tsv", lines("babacab"))
        self.file("query.meta.tsv", lines("cz"))
        self.file("base.u8", bytes([3, 1, 3, 1, 9, 1, 3]))
        self.file("query.u8", bytes([9, 0]))
        with mock.patch.object(data.paths, "here", lambda path: path):
            found = data.load_file("s", base, {"labels": names + ":kind+group"}).labels
            self.assertEqual([x.tolist() for x in found["kind"]], [[1, 0, 1, 0, 2, 0, 1], [2, -1]])
            self.assertEqual([x.tolist() for x in found["group"]], [[0] * 7, [0, 0]])
            found = data.load_file("s", base, {"labels": self.file("base.u8")}).labels
            self.assertEqual([x.tolist() for x in found["label"]], [[1, 0, 1, 0, 2, 0, 1], [2, -1]])
            for wrong in (names, names + ":colour"):
                with self.assertRaises(SystemExit):
                    data.load_file("s", base, {"labels": wrong})

    def test_labels_of_rows_held_out(self):
        base = self.file("s.base.f32bin", self.bin("<f4"))
        labels = self.file("s.base.u8", bytes([3, 1, 3, 1, 9, 1, 4]))
        with mock.patch.object(data.paths, "here", lambda path: path):
            found = data.load_file("s", base, {"labels": labels, "queries": "2"}).labels["label"]
        self.assertEqual([x.tolist() for x in found], [[1, 0, 1, 0, 2], [0, -1]])

    def test_names(self):
        self.assertEqual([data.number(t) for t in ("10k", "1M", "250", "1.5k")],
                         [10000, 1000000, 250, 1500])
        self.assertEqual(data.parse("a.fvecs,metric=ip,limit=10"),
                         ("a.fvecs", {"metric": "ip", "limit": "10"}))
        self.assertEqual(data.parse("a.f32bin,labels=b.tsv:x+y")[1], {"labels": "b.tsv:x+y"})
        for wrong in ("x,colour=red", "x,metric=l3"):
            with self.assertRaises(SystemExit):
                data.parse(wrong)


class Generated(Folder):
    def test_smaller_is_the_beginning_of_larger(self):
        big, small = np.empty((300, 16), np.float32), np.empty((40, 16), np.float32)
        with mock.patch.object(data.Mixture, "CHUNK", 128):
            data.Mixture(16, 3).fill(big, 0)
            data.Mixture(16, 3).fill(small, 0)
        np.testing.assert_array_equal(big[:40], small)
        np.testing.assert_allclose(np.linalg.norm(big, axis=1), 1, rtol=1e-5)
        self.assertEqual(len(np.unique(big, axis=0)), 300)

    def test_clustered(self):
        """The nearest row is far nearer than a random one: it is no uniform noise."""
        found = data.load("gen:4kx64,queries=50", self.place.name)
        far = exact.nearest(found.base, found.query, "l2", 1)[1]
        other = np.linalg.norm(found.query - found.base[:50], axis=1)
        self.assertLess(np.median(far), 0.6 * np.median(other))
        self.assertEqual(data.load("gen:4kx64,queries=50", self.place.name).key, found.key)


class Exact(unittest.TestCase):
    base = RNG.standard_normal((500, 12)).astype(np.float32)
    query = RNG.standard_normal((9, 12)).astype(np.float32)

    def naive(self, q, metric):
        x, q = self.base.astype(np.float64), q.astype(np.float64)
        return {"l2": np.sqrt(((x - q) ** 2).sum(axis=1)), "ip": -(x * q).sum(axis=1),
                "cosine": 1 - (x * q).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (q * q).sum())
                }[metric]

    def test_nearest(self):
        with mock.patch.object(exact, "BLOCK", 64):
            for metric in data.METRICS:
                ids, far = exact.nearest(self.base, self.query, metric, 10)
                for i, q in enumerate(self.query):
                    d = self.naive(q, metric)
                    np.testing.assert_array_equal(ids[i], np.argsort(d)[:10], err_msg=metric)
                    np.testing.assert_allclose(far[i], np.sort(d)[:10], rtol=1e-12, atol=1e-12)

    def test_fewer_rows_than_k(self):
        ids, far = exact.nearest(self.base[:3], self.query, "l2", 5)
        self.assertTrue((ids[:, 3:] == -1).all() and np.isinf(far[:, 3:]).all())

    def set(self):
        return data.DataSet("x", self.base, self.query, "l2", "", "k")

    def test_recall(self):
        ids, far = exact.nearest(self.base, self.query, "l2", 10)
        found = [list(row) for row in ids]
        self.assertEqual(exact.recall(self.set(), found, far, 10), 1)
        far_away = int(np.argmax(self.naive(self.query[0], "l2")))
        found[0][3] = far_away
        self.assertAlmostEqual(exact.recall(self.set(), found, far, 10), 1 - 0.1 / 9)
        found = [[row[0]] * 10 for row in ids]		# the same row again and again
        self.assertAlmostEqual(exact.recall(self.set(), found, far, 10), 0.1)
        self.assertEqual(exact.recall(self.set(), [[]] * 9, far, 10), 0)

    def test_recall_of_ties(self):
        base = np.array([[1, 0], [0, 1], [-1, 0], [5, 5]], np.float32)
        ties = data.DataSet("x", base, np.zeros((1, 2), np.float32), "l2", "", "k")
        far = exact.nearest(base, ties.query, "l2", 2)[1]
        self.assertEqual(exact.recall(ties, [[1, 2]], far, 2), 1)
        self.assertEqual(exact.recall(ties, [[1, 3]], far, 2), 0.5)


    def test_nearest_of(self):
        """Rows that differ from query to query; fewer than k, more than k and its margin."""
        wanted = [lambda i: np.arange(i, 500, 3), lambda i: np.arange(i)]
        with mock.patch.object(exact, "BLOCK", 64):
            for metric in data.METRICS:
                far = exact.nearest_of(self.base, self.query, metric, 5, wanted)
                for i, q in enumerate(self.query):
                    d = self.naive(q, metric)
                    np.testing.assert_allclose(far[0, i], np.sort(d[i::3])[:5], rtol=1e-9)
                    few = np.sort(d[:i])[:5]
                    np.testing.assert_allclose(far[1, i, :len(few)], few, rtol=1e-9)
                    self.assertTrue(np.isinf(far[1, i, len(few):]).all())


class Filters(unittest.TestCase):
    """Rows along a line, so that the attribute is the place on it."""
    line = np.linspace(0, 100, 1000)[RNG.permutation(1000)]
    set = data.DataSet("x", np.outer(line, [3, 4]).astype(np.float32),
                       np.outer([1, 50, 98], [3, 4]).astype(np.float32), "l2", "", "k")
    set.labels["l"] = (np.repeat([0, 1], 500), np.array([1, -1, 0]))
    own = attributes.Attributes(set, 3)

    def test_attribute(self):
        a = self.own.columns["a"]
        self.assertEqual(sorted(a.tolist()), list(range(0, 1000000, 1000)))
        self.assertIn(np.argsort(a).tolist(), (np.argsort(self.line).tolist(),
                                               np.argsort(-self.line).tolist()))

    def test_kinds(self):
        nearest = exact.nearest(self.set.base, self.set.query, "l2", 20)[0]
        place = mock.Mock(attributes=self.own, data=self.set)
        near = {}
        for f in self.own.by_width(0.1):
            told = filters.about(place, f, nearest)
            self.assertAlmostEqual(told["selectivity"], 0.1, 2)
            near[f.kind] = told["near"]
        self.assertEqual((near["correlated"], near["anti-correlated"]), (1, 0))
        self.assertEqual([f.kind for f in self.own.by_width(1)], ["uncorrelated"])

    def test_labels(self):
        own, other = self.own.by_label("l")
        self.assertEqual((own.ids.tolist(), own.low.tolist()), ([0, 2], [1, 0]))
        self.assertEqual(other.low.tolist(), [0, 1])
        self.assertEqual(own.condition("$2", "$3"), " WHERE l_l = $2")
        self.assertEqual(self.own.rows_of(own)(0).tolist(), list(range(500, 1000)))

    def test_choose(self):
        """What pgbench computes is the value of each number."""
        for values in ([7], [5, 5], [3, 1, 4, 1, 5], list(range(40, 240))):
            text = re.sub(r"case when :n < (\d+) then", r"(n < \1 and [", filters.choose(values))
            text = text.replace(" else ", "] or [").replace(" end", "])[0]")
            for n, value in enumerate(values):
                found = eval(text, {"n": n})		# noqa: of our own making
                self.assertEqual(found, value, text)

    def test_script(self):
        f = self.own.by_width(0.01)[1]
        place = filters.Place(mock.Mock(data=self.set), self.own, {})
        lines = filters.script(place, f).splitlines()
        self.assertEqual(lines[:2], ["\\set n random(0, 2)", "\\set i :n"])
        self.assertEqual(lines[4], "SELECT id FROM s_k WHERE a >= :low AND a < :high ORDER BY v <-> "
                         "(SELECT v FROM q_k WHERE id = :i) LIMIT 10;")
        self.assertIn("(v vector_l2_ops, f, a, l_l)", place.index_sql("hnsw_columns", "vecext")[
            "x_k_hnsw_columns"])

    def test_best(self):
        """The cheapest that reaches the recall; out of reach, the highest recall."""
        def probe(reach):
            def answer(place, way, f, far, settings):
                ef, strict = settings["hnsw.ef_search"], settings.get(
                    "hnsw.iterative_scan") == "strict_order"
                return {"settings": settings, "cpu_us": ef * (0.9 if strict else 1),
                        "recall": min(1, ef / reach)}
            return answer
        ways = {way.name: way for way in filters.ways(
            {"vecext": {"hnsw", "ivfflat"}, "pgvector": {"hnsw"}})}
        self.assertEqual(len(ways), 6)
        theirs, ours = ways["pgvector/hnsw iterative"], ways["vecext/hnsw columns"]
        with mock.patch.object(filters, "probe", probe(150)):
            found = filters.best(None, theirs, None, None)["settings"]
            self.assertEqual((found["hnsw.ef_search"], found["hnsw.iterative_scan"]),
                             (160, "strict_order"))
            found = filters.best(None, ours, None, None)["settings"]
            self.assertEqual(found, {"hnsw.ef_search": 160})
        filters.later(list(ways.values()), {ours.name: found})
        self.assertEqual(ours.choices[0][0], found)
        self.assertEqual(ways[filters.ALL].choices[0][0], {"hnsw.ef_search": 160,
                                                           "ivfflat.probes": 1})
        with mock.patch.object(filters, "probe", probe(4000)):
            self.assertEqual(filters.best(None, theirs, None, None)["recall"], 0.25)

    def test_cpu_ratio(self):
        first = [1000] * filters.FIRST
        a, b = {"cpu_each": first + [6, 6, 90]}, {"cpu_each": first + [2, 4]}
        self.assertEqual(filters.cpu_ratio(a, b), 2)


class Loading(unittest.TestCase):
    def test_records(self):
        rows = np.array([[1.5, -2], [0, 3]], np.float32)
        expected = b"".join(
            struct.pack(">hiiiiihhff", 3, 4, 7 + i, 4, 9, 12, 2, 0, *row)
            for i, row in enumerate(rows.tolist()))
        self.assertEqual(load.records(7, rows, np.array([9, 9])), expected)
        expected = b"".join(
            struct.pack(">hiiiiiiihhff", 4, 4, 7 + i, 4, 9, 4, i, 12, 2, 0, *row)
            for i, row in enumerate(rows.tolist()))
        self.assertEqual(load.records(7, rows, np.array([[9, 9], [0, 1]])), expected)

    def test_stream(self):
        rows, f = RNG.standard_normal((20, 3)).astype(np.float32), np.arange(20)
        with mock.patch.object(load, "CHUNK", 8):
            stream, got = load.Stream(rows, f), b""
            while piece := stream.read(37):
                got += piece
        self.assertEqual(got, b"PGCOPY\n\xff\r\n\0" + bytes(8) + load.records(0, rows, f) +
                         b"\xff\xff")

    def test_filter_values(self):
        f = load.filter_values(1000)
        self.assertEqual(np.count_nonzero(f < load.FILTER_RANGE // 100), 10)
        np.testing.assert_array_equal(f, load.filter_values(1000))


class Load(Folder):
    OUTPUT = ("pgbench (17.5)\nnumber of transactions actually processed: 200\n"
              "number of failed transactions: {} (0.000%)\nlatency average = 0.2 ms\n"
              "initial connection time = 3.1 ms\ntps = 4321.5 (without initial connection time)\n")

    def test_tps(self):
        self.assertEqual(pgbench.read_tps(self.OUTPUT.format(0)), 4321.5)
        for wrong in (self.OUTPUT.format(3), "pgbench: error"):
            with self.assertRaises(RuntimeError):
                pgbench.read_tps(wrong)

    def test_log(self):
        path = self.file("log", b"0 0 250 0 1700000000 5\n0 1 150 0 1700000000 900\n")
        np.testing.assert_array_equal(pgbench.read_log(path), [250, 150])
        self.assertEqual(pgbench.read_log(self.file("empty", b"")).size, 0)

    def test_figures(self):
        a = [pgbench.Slice(tps, np.arange(1, 101)) for tps in (10, 30, 20)]
        b = [pgbench.Slice(tps, np.arange(1, 101)) for tps in (5, 5, 20)]
        found = pgbench.figures(a)
        self.assertEqual((found["qps"], found["p50_us"], found["transactions"]), (20, 50.5, 300))
        self.assertAlmostEqual(found["p99_us"], np.percentile(np.tile(np.arange(1, 101), 3), 99))
        self.assertEqual(pgbench.ratio(a, b), {"median": 2, "min": 1, "max": 6})

    def test_awake(self):
        def children():
            with open(f"/proc/self/task/{os.getpid()}/children") as file:
                return file.read().split()
        before = children()
        with awake.processors():
            time.sleep(0.5)
            new = [int(pid) for pid in children() if pid not in before]
            self.assertEqual(len(new), os.cpu_count())
            self.assertEqual({os.sched_getscheduler(pid) for pid in new}, {os.SCHED_IDLE})
        self.assertEqual(children(), before)
        with awake.processors(False):
            self.assertEqual(children(), before)

    def test_memory(self):
        with memory.Sampler(os.getpid(), 0.001) as sampler:
            block = np.ones(20 << 20, np.uint8)
            sampler.sample()
        self.assertGreater(sampler.own, block.nbytes)
        self.assertGreater(sampler.hwm, block.nbytes)
        begun = time.process_time()
        with memory.Sampler(os.getpid()) as sampler:
            while time.process_time() < begun + 0.2:
                pass
        self.assertAlmostEqual(sampler.cpu, 0.2, delta=0.1)
        self.assertEqual(memory.status(1 << 30), {})


class Methods(unittest.TestCase):
    set = data.DataSet("x", np.ones((400, 4), np.float32), np.ones((1, 4), np.float32), "cosine",
                       "", "k")

    def test_sql(self):
        plain, half, bit = (methods.Method("pgvector", kind, **more) for kind, more in (
            ("hnsw", {}), ("hnsw-half", {"type_name": "halfvec"}),
            ("hnsw-bit", {"type_name": "bit", "rerank": True})))
        self.assertEqual(plain.index_sql(self.set),
                         "CREATE INDEX i_k_hnsw ON t_k USING hnsw (v vector_cosine_ops)")
        self.assertEqual(plain.query_sql(self.set, 10, 40, "$1", " WHERE f < 5"),
                         "SELECT id FROM t_k WHERE f < 5 ORDER BY v <=> "
                         "(SELECT v FROM q_k WHERE id = $1) LIMIT 10")
        self.assertIn("((v::halfvec(4)) halfvec_cosine_ops)", half.index_sql(self.set))
        self.assertIn("LIMIT 40) c ORDER BY v <=> ", bit.query_sql(self.set, 10, 40, "1"))
        self.assertIn("<~>", bit.query_sql(self.set, 10, 40, "1"))
        self.assertIsNotNone(bit.unfit(self.set))
        self.assertIsNone(plain.unfit(self.set))
        self.assertIn("lists = 20", methods.Ivf("vecext", "ivfflat").index_sql(self.set))

    def test_toast(self):
        """The distance is one expression, selected and ordered by."""
        found = toast.statements(self.set, "$1")
        self.assertEqual(found["id, distance"],
                         "SELECT id, v <=> (SELECT v FROM q_k WHERE id = $1) AS d FROM t_k "
                         "ORDER BY d LIMIT 10")
        sides = list(toast.sides([methods.Method(peer, "hnsw") for peer in ("vecext", "pgvector")]))
        self.assertEqual([name for name, _, _ in sides], [
            "vecext/hnsw", "vecext/hnsw, distance_reuse off", "pgvector/hnsw"])
        self.assertEqual(sides[1][2]["vecext.enable_distance_reuse"], "off")

    def test_chosen(self):
        kept, missing = methods.chosen(["hnsw", "pgvector/ivfflat"], {
            "vecext": {"hnsw"}, "pgvector": {"hnsw", "ivfflat"}})
        self.assertEqual([[m.name for m in pair] for pair in kept],
                         [["vecext/hnsw", "pgvector/hnsw"], ["pgvector/ivfflat"]])
        self.assertEqual(missing, [])
        _, missing = methods.chosen(None, {"vecext": {"hnsw"}})
        self.assertTrue(any("vecext/ivfflat" in line for line in missing))
        self.assertTrue(any("not installed" in line for line in missing))

    def test_smallest_value(self):
        bench = mock.Mock(data=self.set)
        method = methods.Method("vecext", "hnsw")
        with mock.patch.object(measure, "recall", lambda b, m, value, k: {
                "recall": min(1, value / 200)}):
            found = measure.smallest_value(bench, method, 10, 0.95, {10: 0.05, 160: 0.8})
            self.assertTrue(0.95 <= found["recall"] <= 0.97 and 190 <= found["value"] <= 194)
            self.assertEqual(measure.smallest_value(bench, method, 10, 0.04, {})["value"], 10)
        with mock.patch.object(measure, "recall", lambda *_: {"recall": 0.9}):
            self.assertIsNone(measure.smallest_value(bench, method, 10, 0.95, {})["value"])


class Results(Folder):
    def test_store(self):
        kept = store.Store(self.file("run"))
        what = {"axis": "build", "data": "x", "workers": 1}
        self.assertIsNone(kept.get(what))
        kept.put(what, {"seconds": 2})
        again = store.Store(self.file("run"))
        self.assertEqual(again.get({"workers": 1, "data": "x", "axis": "build"})["figures"],
                         {"seconds": 2})
        self.assertEqual(len(again.all()), 1)
        with open(self.file("run") + "/x.json.new", "w") as file:
            file.write("{")			# what an interrupted write leaves
        self.assertEqual(len(again.all()), 1)

    def test_progress(self):
        progress = store.Progress()
        progress.plan(100)
        self.assertAlmostEqual(progress.left(), 100)
        progress.step(50, 100)		# twice as slow as planned
        self.assertGreater(progress.left(), 80)
        progress.step(60, 60)
        self.assertEqual(progress.left(), 0)

    @staticmethod
    def run_of(qps, finished=1):
        both = ["vecext/hnsw", "pgvector/hnsw"]
        what = lambda axis, **more: dict({"axis": axis, "data": "x", "key": "k", "methods": both,
                                          "libraries": ["a", "b"]}, **more)
        side = lambda n: {"qps": n, "p50_us": 1, "p95_us": 2, "p99_us": 3}
        cells = [
            {"what": what("target", k=10, target=0.95, clients=1, values=[20, 40]),
             "figures": {both[0]: side(qps), both[1]: side(100),
                         "ratio": {"median": qps / 100, "min": 1, "max": 9}}},
            {"what": what("build", workers=1), "figures": {
                name: {"seconds": 2.5, "bytes": 3000000, "own": 1} for name in both}},
            {"what": dict(what("recall", k=10, value=40), methods=both[:1]),
             "figures": {"recall": 0.97}},
            {"what": what("speed", k=10, value=40, clients=1),
             "figures": {name: side(qps) for name in both}}]
        return {"format": 1, "name": "r", "started": 0, "finished": finished, "cells": cells,
                "command": "bench/run --data x", "versions": {"PostgreSQL": "17.5", "pgvector": "0.8"},
                "machine": {"cpu": "C", "cores": 2, "load": 1.6},
                "data": [{"key": "k", "name": "x", "rows": 1000, "dim": 4, "metric": "l2",
                          "source": "x", "queries": 1}]}

    @staticmethod
    def run_with_filters():
        """A run of two ways: 100 % and 1 %, of three kinds, and a label."""
        run = Results.run_of(600)
        ways = ["vecext/hnsw columns", readme.THEIRS]
        ratio = lambda x: {"median": x, "min": x, "max": x}

        def cell(kind, column, qps, **more):
            side = lambda n: {"recall": 0.97, "qps": n, "p50_us": 9, "cpu_us": 1e6 / n, "filled": 1,
                              "settings": {"hnsw.ef_search": 40}, "to_reference": ratio(n / 900)}
            f = {ways[0]: side(qps), ways[1]: side(qps / 20), "selectivity": 0.01, "near": 0.1,
                 "ratio": {ways[0]: {ways[1]: ratio(20)}}, "cpu_ratio": {ways[0]: {ways[1]: 21}}}
            return {"what": dict({"axis": "filter", "data": "x", "key": "k", "methods": ways,
                                  "libraries": [], "kind": kind, "column": column}, **more),
                    "figures": dict(f, selectivity=more.get("width", 0.2))}
        run["cells"] += [cell("none", "", 900), cell("uncorrelated", "f", 800, width=1)]
        run["cells"] += [cell(kind, "a", 300, width=0.01) for kind in readme.KINDS]
        run["cells"].append(cell("correlated", "l_x", 200))
        return run

    def test_filters(self):
        found = figures.Figures([self.run_with_filters()])
        cells, before = found.filters("k")
        self.assertEqual([(w["kind"], w.get("width")) for w, _ in cells], [
            ("uncorrelated", 1), ("uncorrelated", 0.01), ("correlated", 0.01),
            ("anti-correlated", 0.01), ("correlated", None)])
        clock, cpu = found.slowdown("vecext/hnsw columns", cells[1][1], before)
        self.assertAlmostEqual(clock, 3)
        self.assertAlmostEqual(cpu, 3)
        self.assertIn("| x, 1,000 × 4 | vecext/hnsw columns | 300 (0.97) : 15 (0.97) = **20×** |",
                      readme.readme_text(found))
        old = self.run_of(600)		# filters as they were measured before
        old["cells"].append({"what": {"axis": "filter", "key": "k", "selectivity": 0.5},
                             "figures": {}})
        self.assertEqual(figures.Figures([old]).filters("k"), ([], None))
        self.assertNotIn("filter", readme.readme_text(figures.Figures([old])))

    def test_later_run_counts(self):
        found = figures.Figures([self.run_of(700, 2), self.run_of(500, 1)])
        self.assertEqual(found.targets("k")[0.95, "vecext/hnsw"][1]["qps"], 700)
        self.assertEqual(found.curves("k", 10, 1), {"vecext/hnsw": [(0.97, 700)]})

    def test_readme(self):
        part = readme.readme_text(figures.Figures([self.run_of(600)]))
        self.assertIn("| x, 1,000 × 4 | hnsw | 600 : 100 = **6.0×** | – : – | 2.5 : 2.5 | 3 : 3 |",
                      part.replace("not reached", "–"))
        self.assertIn("bench/run --data x", part)
        text = f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n"
        new = readme.replace_part(text, part)
        self.assertTrue(new.startswith("before\n") and new.endswith("after\n"))
        self.assertNotIn("old", new)
        self.assertEqual(readme.replace_part(new, part), new)
        with self.assertRaises(SystemExit):
            readme.replace_part("nothing", part)

    def test_command(self):
        self.assertEqual(readme.anywhere("bench/run --data /a/b/c.u8bin --data gen:1kx8 --out /o --cache /c"),
                         "bench/run --data b/c.u8bin --data gen:1kx8")
        self.assertEqual(readme.anywhere("bench/run --data /a/b/c.u8bin,labels=/a/b/l.tsv:x,limit=9 -x"),
                         "bench/run --data b/c.u8bin,labels=b/l.tsv:x,limit=9 -x")

    def test_short(self):
        self.assertEqual([readme.short(x) for x in (None, 12345.6, 12.345, 0.01234)],
                         ["–", "12,346", "12.3", "0.0123"])


if __name__ == "__main__":
    unittest.main()
