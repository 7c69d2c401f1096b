"""Cells of runs as the numbers that charts and tables show."""
from collections import defaultdict


class Figures:
    """The cells of some runs; of the same cell measured twice, the later one counts."""

    def __init__(self, runs):
        self.runs = runs
        self.data = {d["key"]: d for run in runs for d in run["data"]}
        cells = {}
        for run in sorted(runs, key=lambda run: run["finished"]):
            for cell in run["cells"]:
                what = dict(cell["what"], libraries=None)
                cells[repr(sorted(what.items()))] = cell
        self.cells = list(cells.values())

    def of(self, axis, key=None, **wanted):
        """(what, figures) of the cells of an axis, of one data set or all."""
        for cell in self.cells:
            what = cell["what"]
            if what["axis"] == axis and (key is None or what["key"] == key) and \
                    all(what.get(name) == value for name, value in wanted.items()):
                yield what, cell["figures"]

    def keys(self):
        """Data sets in the order of dimensions and rows."""
        there = {cell["what"]["key"] for cell in self.cells}
        return sorted(there & set(self.data), key=lambda key: (
            self.data[key]["dim"], self.data[key]["rows"]))

    def recalls(self, key, k):
        """{(method, value): recall}"""
        return {(what["methods"][0], what["value"]): figures["recall"]
                for what, figures in self.of("recall", key, k=k)}

    def curves(self, key, k, clients, figure="qps"):
        """{method: [(recall, figure)...]}, in the order of the parameter."""
        recall = self.recalls(key, k)
        points = defaultdict(dict)
        for what, figures in self.of("target", key, k=k, clients=clients):
            for method, value in zip(what["methods"], what["values"]):
                if (method, value) in recall:
                    points[method][value] = (recall[method, value], figures[method][figure])
        for what, figures in self.of("speed", key, k=k, clients=clients):
            for method in what["methods"]:
                if (method, what["value"]) in recall:
                    points[method][what["value"]] = (recall[method, what["value"]],
                                                     figures[method][figure])
        for what, figures in self.of("outside", key):
            for cell in figures["searches"]:
                if cell["k"] == k and cell["clients"] == clients and figure in cell:
                    points[what["name"]][cell["value"]] = (cell["recall"], cell[figure])
        return {method: [xy for _, xy in sorted(of.items())] for method, of in points.items()}

    def clients(self):
        return sorted({what["clients"] for what, _ in self.of("speed")})

    def targets(self, key, k=10, clients=1):
        """{(target, method): (value, figures, ratio to the other or None)}"""
        out = {}
        for what, figures in self.of("target", key, k=k, clients=clients):
            for method, value in zip(what["methods"], what["values"]):
                out[what["target"], method] = (value, figures[method], figures.get("ratio"))
        return out

    def builds(self, key):
        """{(method, workers): figures}; a library outside counts its threads from 0 too."""
        out = {}
        for what, figures in self.of("build", key):
            for method in what["methods"]:
                out[method, what["workers"]] = figures[method]
        for what, figures in self.of("outside", key):
            out[what["name"], what["threads"] - 1] = figures
        return out

    def best_builds(self, key):
        """{method: figures} by the most workers."""
        out = {}
        for (method, workers), figures in sorted(self.builds(key).items(), key=lambda x: x[0]):
            out[method] = figures
        return out

    def writes(self, key):
        """{method: figures} of vacuum and inserts"""
        return {method: figures[method] for what, figures in self.of("write", key)
                for method in what["methods"]}

    def exact(self, key):
        return {method: figures[method] for what, figures in self.of("exact", key)
                for method in what["methods"]}

    def filters(self, key):
        """Cells under filters, from wide to narrow by kind, and the one without."""
        cells = [(what, f) for what, f in self.of("filter", key) if "kind" in what]
        before = next((f for what, f in cells if what["kind"] == "none"), None)
        order = ("uncorrelated", "correlated", "anti-correlated")
        cells = [cell for cell in cells if cell[0]["kind"] in order] if before else []
        return sorted(cells, key=lambda cell: (
            cell[0]["column"] * cell[0]["column"].startswith("l_"), order.index(cell[0]["kind"]),
            -cell[1]["selectivity"])), before

    @staticmethod
    def slowdown(way, f, before):
        """How many times longer than without a filter: on the clock, both against slices of the
        same reference, and by processor time."""
        clock = before[way]["to_reference"]["median"] / f[way]["to_reference"]["median"]
        return clock, f[way]["cpu_us"] / before[way]["cpu_us"]

    def growing(self):
        """Lists of keys of generated sets with the same dimensions, by rows."""
        groups = defaultdict(list)
        for key in self.keys():
            if self.data[key]["source"].startswith("generated"):
                groups[self.data[key]["dim"]].append(key)
        return [keys for keys in groups.values() if len(keys) > 1]
