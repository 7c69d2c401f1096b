"""Attributes of rows to filter by, and filters of three kinds of correlation with the query.

f is a number below a million without relation to the vector.  a is the place, below a
million too, of a row along the direction in which the rows differ most: what a price, a
date or a language does when it says something about the contents.  A query has a place
there as well.  With a filter of width w, it asks for

    uncorrelated      f in [0, w)
    correlated        the w about its own place in a: where its nearest rows are
    anti-correlated   the w of a at the far end from its place: where they are not

Labels of a data set are attributes too: the query's own, or another, drawn as often as
rows have it.
"""
import numpy as np

from vb import exact, load

RANGE = load.FILTER_RANGE
SAMPLE = 20000
KINDS = ("uncorrelated", "correlated", "anti-correlated")


class Filter:
    """low[i] <= column < high[i] for the query ids[i]."""

    def __init__(self, kind, column, ids, low, high, width=None):
        self.kind = kind
        self.column = column
        self.ids = np.asarray(ids)
        self.low = np.broadcast_to(low, self.ids.shape)
        self.high = np.broadcast_to(high, self.ids.shape)
        self.width = width

    def what(self):
        """What names it in a run."""
        out = {"kind": self.kind, "column": self.column}
        return dict(out, width=self.width) if self.width else out

    def condition(self, low, high):
        if self.column.startswith("l_"):		# of equal labels high is low + 1
            return f" WHERE {self.column} = {low}"
        return f" WHERE {self.column} >= {low} AND {self.column} < {high}"


class Nothing(Filter):
    """No condition; the queries are those of the others."""

    def __init__(self, ids):
        super().__init__("none", "", ids, 0, 0)

    def condition(self, low, high):
        return ""


def spread(data):
    """The direction in which rows differ most, of a sample; its sign is arbitrary, but fixed."""
    step = max(1, data.n // SAMPLE)
    rows = np.asarray(data.base[::step], np.float64)
    if data.metric == "cosine":
        rows = exact.unit(rows)
    rows = rows - rows.mean(axis=0)
    _, vectors = np.linalg.eigh(rows.T @ rows)
    longest = vectors[:, -1]
    return longest * np.sign(longest[np.abs(longest).argmax()])


def places(data):
    """a of the rows, and the places of the queries."""
    direction = spread(data)

    def along(rows):
        parts = [np.asarray(rows[at:at + exact.BLOCK], np.float64)
                 for at in range(0, len(rows), exact.BLOCK)]
        return np.concatenate([(exact.unit(p) if data.metric == "cosine" else p) @ direction
                               for p in parts])
    base, query = along(data.base), along(data.query)
    order = np.argsort(base, kind="stable")
    rank = np.empty(data.n, np.int64)
    rank[order] = np.arange(data.n)
    at = np.searchsorted(base[order], query)
    return rank * RANGE // data.n, at * RANGE // data.n


class Attributes:
    """Columns of the rows, and filters of the first queries by them."""

    def __init__(self, data, queries):
        a, self.place = places(data)
        self.columns = {"f": load.filter_values(data.n), "a": a}
        self.data = data
        self.ids = np.arange(min(queries, len(data.query)))
        for name, (base, _) in data.labels.items():
            self.columns["l_" + name] = base

    def by_width(self, part):
        """The three filters that let this part of the rows through; of all rows, one."""
        width = max(1, round(part * RANGE))
        place = self.place[self.ids]
        near = np.clip(place - width // 2, 0, RANGE - width)
        far = np.where(place < RANGE // 2, RANGE - width, 0)
        out = [Filter("uncorrelated", "f", self.ids, 0, width, part),
               Filter("correlated", "a", self.ids, near, near + width, part),
               Filter("anti-correlated", "a", self.ids, far, far + width, part)]
        return out if part < 1 else out[:1]

    def by_label(self, name):
        """The query's own label, and another."""
        base, query = self.data.labels[name]
        ids = np.flatnonzero(query >= 0)[:len(self.ids)]
        own = query[ids]
        rng = np.random.default_rng([11, self.data.n])
        other = rng.choice(base, len(ids))
        while (other == own).any() and base.min() < base.max():
            other = np.where(other == own, rng.choice(base, len(ids)), other)
        column = "l_" + name
        return [Filter("correlated", column, ids, own, own + 1),
                Filter("anti-correlated", column, ids, other, other + 1)]

    def all(self, parts):
        out = [f for part in parts for f in self.by_width(part)]
        return out + [f for name in sorted(self.data.labels) for f in self.by_label(name)]

    def rows_of(self, f):
        """The rows that qualify, as a function of the number of a query of the filter."""
        column = self.columns[f.column]
        order = np.argsort(column, kind="stable")
        values = column[order]
        low = np.searchsorted(values, f.low)
        high = np.searchsorted(values, f.high)
        return lambda i: order[low[i]:high[i]]
