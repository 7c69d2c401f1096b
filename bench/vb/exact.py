"""Exact nearest rows, once per data set, and recall against them.

A row that was found counts when it is as near as the k-th exact one: which of two rows
at the same distance is returned is no merit.
"""
import os

import numpy as np

BLOCK = 16384
MARGIN = 32			# candidates beyond k by float32, ranked again in float64


def unit(x):
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return x / np.where(length > 0, length, 1)


def distances(base, query, ids, metric):
    """Distances in float64 of the rows ids to one query."""
    x = np.asarray(base[ids], np.float64)
    q = np.asarray(query, np.float64)
    if metric == "l2":
        return np.linalg.norm(x - q, axis=1)
    if metric == "ip":
        return -(x @ q)
    return 1 - unit(x) @ unit(q)


def score(block, query, metric):
    """float32 scores of queries x rows in the order of the distance."""
    if metric == "l2":
        return np.einsum("ij,ij->i", block, block) - 2 * (query @ block.T)
    if metric == "cosine":
        block = unit(block)
    return -(query @ block.T)


def nearest(base, query, metric, k):
    """ids (queries x k, by distance, -1 where there are fewer rows) and distances."""
    keep = k + MARGIN
    best = np.empty((len(query), 0), np.float32)
    ids = np.empty((len(query), 0), np.int64)
    for at in range(0, len(base), BLOCK):
        block = np.asarray(base[at:at + BLOCK], np.float32)
        best = np.concatenate([best, score(block, query, metric)], axis=1)
        here = np.broadcast_to(np.arange(at, at + len(block)), (len(query), len(block)))
        ids = np.concatenate([ids, here], axis=1)
        if best.shape[1] > keep:
            part = np.argpartition(best, keep, axis=1)[:, :keep]
            best = np.take_along_axis(best, part, axis=1)
            ids = np.take_along_axis(ids, part, axis=1)
    found = np.full((len(query), k), -1, np.int64)
    far = np.full((len(query), k), np.inf)
    for i, q in enumerate(query):
        d = distances(base, q, ids[i], metric)
        order = np.argsort(d, kind="stable")[:k]
        found[i, :len(order)] = ids[i][order]
        far[i, :len(order)] = d[order]
    return found, far


def cached(data, k, cache, part="", rows=None):
    """nearest() over a data set, or over some of its rows, from the cache if it is there."""
    path = os.path.join(cache, f"exact-{data.key}-{k}{part}.npz")
    if not os.path.exists(path):
        base = data.base if rows is None else data.base[rows]
        ids, far = nearest(base, data.query, data.metric, k)
        if rows is not None:
            ids = np.where(ids < 0, -1, rows[ids])
        with open(path + ".new", "wb") as file:
            np.savez(file, ids=ids, far=far)
        os.rename(path + ".new", path)
    with np.load(path) as file:
        return file["ids"], file["far"]


def nearest_of(base, query, metric, k, wanted):
    """For filters that differ from query to query: the distances (inf where fewer rows
    qualify) of the k nearest rows under each.  wanted is a list of filters, each a function
    of the number of a query that returns the rows that qualify."""
    far = np.full((len(wanted), len(query), k), np.inf)
    block = max(1, (1 << 25) // len(base))
    for at in range(0, len(query), block):
        part = query[at:at + block]
        scores = np.concatenate([score(np.asarray(base[r:r + BLOCK], np.float32), part, metric)
                                 for r in range(0, len(base), BLOCK)], axis=1)
        for i, row in enumerate(scores, at):
            for number, rows_of in enumerate(wanted):
                rows = rows_of(i)
                if len(rows) > k + MARGIN:
                    rows = rows[np.argpartition(row[rows], k + MARGIN)[:k + MARGIN]]
                d = np.sort(distances(base, query[i], rows, metric))[:k]
                far[number, i, :len(d)] = d
    return far


def recall(data, found, far, k):
    """Part of the k nearest that was found: mean over the queries of found.

    found[i] are the ids returned for query i, far[i] the exact distances of it.  Where
    fewer than k rows qualify, all of them are the answer.
    """
    parts = []
    for i, ids in enumerate(found):
        ids = np.unique(np.asarray(ids[:k], np.int64))
        exact = far[i][:k]
        exact = exact[np.isfinite(exact)]
        if len(exact) == 0:
            continue
        limit = exact[-1] + 1e-6 * abs(exact[-1]) + 1e-7
        hits = 0
        if len(ids):
            hits = np.count_nonzero(distances(data.base, data.query[i], ids, data.metric) <= limit)
        parts.append(min(hits, len(exact)) / len(exact))
    return float(np.mean(parts)) if parts else 1.0
