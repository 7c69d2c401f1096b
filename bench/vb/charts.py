"""SVG charts by matplotlib; each function returns a figure or None if nothing is there."""
import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: after use()

plt.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "vecext", "font.size": 9, "axes.grid": True,
    "grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False,
    "legend.frameon": False, "figure.constrained_layout.use": True})

# one color per method, everywhere; ours are blue
COLORS = {
    "vecext/hnsw": "#0b5fa5", "vecext/hnsw-half": "#3f8fd2", "vecext/hnsw-int8": "#66aee3",
    "vecext/hnsw-heap": "#9cc9ee", "vecext/ivfflat": "#1b7f79", "vecext/ivfflat-half": "#57b5af",
    "vecext/exact": "#0b5fa5",
    "pgvector/hnsw": "#c8442c", "pgvector/hnsw-half": "#e07b4f", "pgvector/hnsw-bit": "#eba983",
    "pgvector/ivfflat": "#b5830b", "pgvector/ivfflat-half": "#d9b04a", "pgvector/exact": "#c8442c",
    "vecext/hnsw columns": "#0b5fa5", "vecext/hnsw + btree": "#66aee3",
    "vecext/ivfflat columns": "#1b7f79", "vecext/all indexes": "#5a4fcf",
    "pgvector/hnsw iterative": "#c8442c", "pgvector/hnsw + btree": "#e8a33d",
    "hnswlib/hnsw": "#555555", "faiss/hnsw": "#7b4fa0", "faiss/ivfflat": "#a07fc0",
    "faiss/ivfpq": "#c5b0d9", "faiss/ivfflat_sqrt": "#c0a0d8"}
SPARE = "#888888"


def color(method):
    return COLORS.get(method, SPARE)


def in_order(methods):
    """As in COLORS, others behind."""
    order = {name: i for i, name in enumerate(COLORS)}
    return sorted(methods, key=lambda name: (order.get(name, len(order)), name))


def save(figure, path):
    figure.savefig(path, metadata={"Date": None, "Creator": "bench/report"})
    plt.close(figure)


def label_of(data):
    return f"{data['name']}: {data['rows']:,} × {data['dim']}, {data['metric']}"


def recall_axes(axes, curves, title, ylabel):
    """Recall up to 1 on a scale that shows what lies near 1; the figure on a logarithmic one."""
    lowest = 1.0
    for method in in_order(curves):
        points = curves[method]
        axes.plot([min(x, 0.99995) for x, _ in points], [y for _, y in points], marker="o",
                  markersize=3, linewidth=1.4, color=color(method), label=method,
                  linestyle="-" if method.startswith("vecext") else
                  "--" if method.startswith("pgvector") else ":")
        lowest = min(lowest, max(0.5, min((x for x, _ in points), default=1.0)))
    axes.set_xscale("logit", one_half="0.5")
    ticks = [t for t in (0.5, 0.8, 0.9, 0.95, 0.99, 0.999) if t >= lowest - 0.1]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(max(0.4, lowest - 0.1), 0.99997)
    axes.set_yscale("log")
    axes.set_title(title)
    axes.set_xlabel("recall")
    axes.set_ylabel(ylabel)


def recall_chart(figures, key, k, clients, figure="qps", ylabel="queries per second"):
    curves = figures.curves(key, k, clients, figure)
    if not curves:
        return None
    fig, axes = plt.subplots(figsize=(7, 4.4))
    many = "1 client" if clients == 1 else f"{clients} clients"
    recall_axes(axes, curves, f"{label_of(figures.data[key])}; recall@{k}, {many}", ylabel)
    axes.legend(fontsize=8)
    return fig


def recall_panels(figures, keys, k=10, clients=1):
    """One chart with a panel for each data set that has curves, and not points by chance."""
    keys = [key for key in keys
            if any(len(curve) >= 3 for curve in figures.curves(key, k, clients).values())]
    if not keys:
        return None
    columns = min(2, len(keys))
    rows = -(-len(keys) // columns)
    fig, grid = plt.subplots(rows, columns, squeeze=False,
                             figsize=(max(6.5, 4.6 * columns), 3.4 * rows + 0.5))
    handles = {}
    for axes in grid.flat[len(keys):]:
        axes.set_visible(False)
    for key, axes in zip(keys, grid.flat):
        recall_axes(axes, figures.curves(key, k, clients), label_of(figures.data[key]),
                    "queries per second")
        axes.set_xlabel(f"recall@{k}")
        for handle, label in zip(*axes.get_legend_handles_labels()):
            handles[label] = handle
    labels = in_order(handles)
    fig.legend([handles[name] for name in labels], labels, loc="outside lower center",
               ncols=min(4, len(labels)), fontsize=8)
    return fig


def short(value):
    """Three digits, or the whole number."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def bar_axes(axes, values, title):
    """Horizontal bars with their numbers; values is {method: number}."""
    methods = in_order(values)[::-1]
    bars = axes.barh(methods, [values[m] for m in methods], color=[color(m) for m in methods])
    axes.bar_label(bars, [short(values[m]) for m in methods], padding=3, fontsize=8)
    axes.set_title(title, fontsize=9)
    axes.margins(x=0.15)
    axes.grid(axis="y", visible=False)


def costs(figures, key):
    """{title: {method: number}} of what building and writing cost."""
    builds, writes = figures.best_builds(key), figures.writes(key)
    out = {
        "build, seconds": {m: f["seconds"] for m, f in builds.items()},
        "index, MB": {m: f["bytes"] / 1e6 for m, f in builds.items()},
        "peak memory of the build, MB": {m: f["own"] / 1e6 for m, f in builds.items()},
        "insert, ms a row (1 client, p50)": {m: f["insert_1"]["ms_p50"] for m, f in writes.items()},
        "insert, rows a second (2 clients)": {m: f["insert_2"]["rows_per_second"]
                                              for m, f in writes.items()},
        "insert, kB of WAL a row": {m: f["insert_1"]["wal_bytes_per_row"] / 1000
                                    for m, f in writes.items()},
        "insert, kB of WAL a row after a checkpoint": {
            m: f["insert_images"]["wal_bytes_per_row"] / 1000 for m, f in writes.items()},
        "VACUUM after deleting 2 %, seconds": {m: f["vacuum"]["seconds"]
                                               for m, f in writes.items()}}
    return {title: values for title, values in out.items() if values}


def cost_chart(figures, key, wanted=None):
    parts = {title: values for title, values in costs(figures, key).items()
             if wanted is None or title in wanted}
    if not parts:
        return None
    columns = 2
    rows = -(-len(parts) // columns)
    bars = max(len(values) for values in parts.values())
    fig, grid = plt.subplots(rows, columns, figsize=(9.2, rows * (0.9 + 0.22 * bars) + 0.4),
                             squeeze=False)
    for axes in grid.flat[len(parts):]:
        axes.set_visible(False)
    for (title, values), axes in zip(parts.items(), grid.flat):
        bar_axes(axes, values, title)
    fig.suptitle(label_of(figures.data[key]), fontsize=10)
    return fig


def workers_chart(figures, key):
    """Seconds of builds over parallel workers."""
    builds = figures.builds(key)
    if len({workers for _, workers in builds}) < 2:
        return None
    fig, axes = plt.subplots(figsize=(7, 3.6))
    for method in in_order({m for m, _ in builds}):
        points = sorted((w + 1, f["seconds"]) for (m, w), f in builds.items() if m == method)
        axes.plot(*zip(*points), marker="o", markersize=3, color=color(method), label=method)
    axes.set_xlabel("processes (or threads)")
    axes.set_ylabel("seconds of the build")
    axes.set_yscale("log")
    axes.set_xticks(sorted({w + 1 for _, w in builds}))
    axes.set_title(label_of(figures.data[key]))
    fig.legend(loc="outside right center", fontsize=8)
    return fig


def growth_chart(figures, keys, target=0.95):
    """q/s at a recall, seconds of the build and bytes a row over the number of rows."""
    lines = ({}, {}, {})
    for key in keys:
        n = figures.data[key]["rows"]
        for (at, method), (_, speed, _) in figures.targets(key).items():
            if at == target:
                lines[0].setdefault(method, []).append((n, speed["qps"]))
        for method, build in figures.best_builds(key).items():
            lines[1].setdefault(method, []).append((n, build["seconds"]))
            lines[2].setdefault(method, []).append((n, build["bytes"] / n))
    if not any(lines):
        return None
    fig, grid = plt.subplots(1, 3, figsize=(11, 3.8))
    for axes, curves, title in zip(grid, lines, (
            f"queries per second at recall@10 ≥ {target}", "seconds of the build",
            "bytes of the index a row")):
        for method in in_order(curves):
            axes.plot(*zip(*sorted(curves[method])), marker="o", markersize=3,
                      color=color(method), label=method)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("rows")
    handles = dict(zip(*(grid[1].get_legend_handles_labels()[::-1])))
    fig.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, fontsize=8)
    fig.suptitle(f"generated, {figures.data[keys[0]]['dim']} dimensions", fontsize=10)
    return fig


def filter_curves(cells, kind, figure):
    """{way: [(percent, figure)...]} of one kind; all rows qualify in every kind.  And those of
    labels, which are no curve."""
    curves, labels = {}, {}
    for what, f in cells:
        label = what["column"].startswith("l_")
        if what["kind"] == kind or (what["kind"] == "uncorrelated" and what["width"] == 1):
            for way in what["methods"]:
                (labels if label else curves).setdefault(way, []).append(
                    (100 * f["selectivity"], f[way][figure]))
    return curves, labels


def filter_axes(axes, cells, kind, figure):
    curves, labels = filter_curves(cells, kind, figure)
    for way in in_order(curves):
        axes.plot(*zip(*sorted(curves[way])), "-" if way.startswith("vecext") else "--",
                  marker="o", markersize=3, linewidth=1.4, color=color(way), label=way)
    for way in in_order(labels):
        axes.plot(*zip(*sorted(labels[way])), linestyle="", marker="D", markersize=4,
                  markerfacecolor="none", color=color(way))
    axes.set_xscale("log")
    axes.set_xticks([100, 10, 1, 0.1, 0.01], ["100 %", "10 %", "1 %", "0.1 %", "0.01 %"])
    axes.set_xticks([], minor=True)
    axes.set_xlim(140, 0.5 * min(x for curve in curves.values() for x, _ in curve))


def filter_chart(figures, key):
    """Recall and q/s over the part of the rows that a filter lets through, by correlation."""
    cells, before = figures.filters(key)
    kinds = [kind for kind in ("uncorrelated", "correlated", "anti-correlated")
             if filter_curves(cells, kind, "qps")[0]]
    if not kinds:
        return None
    fig, grid = plt.subplots(2, len(kinds), figsize=(10.5, 6.2), sharex=True, sharey="row",
                             squeeze=False, gridspec_kw={"height_ratios": [1, 1.5]})
    for (above, below), kind in zip(grid.T, kinds):
        filter_axes(above, cells, kind, "recall")
        above.axhline(0.95, color=SPARE, linewidth=0.8, linestyle=":")
        above.set_title(kind, fontsize=10)
        filter_axes(below, cells, kind, "qps")
        below.set_yscale("log")
        below.axhline(before["vecext/hnsw columns"]["qps"] / 3, color=SPARE, linewidth=0.8,
                      linestyle=":")
        below.set_xlabel("rows that qualify")
    grid[0, 0].set_ylabel("recall@10")
    lowest = grid[0, 0].get_ylim()[0]
    grid[0, 0].set_ylim(lowest, 1 + 0.05 * (1 - lowest))
    grid[0, 0].set_yticks([t for t in grid[0, 0].get_yticks() if lowest <= t <= 1])
    grid[1, 0].set_ylabel("queries per second")
    handles, labels = grid[1, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    fig.suptitle(f"{label_of(figures.data[key])}; LIMIT 10", fontsize=10)
    return fig
