"""bench/report: runs -> a static page with SVG charts; --readme writes the README's part."""
import argparse
import glob
import html
import json
import os
import re
import sys

from vb import charts, paths
from vb.figures import Figures
from vb.readme import CHARTS, filter_keys, readme_text, replace_part, short, times, when

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; }
h1, h2, h3 { line-height: 1.2; } h2 { border-top: 1px solid #ddd; padding-top: 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #e4e4e4; text-align: right; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; } code, pre { font-size: 13px; background: #f6f6f6; }
pre { padding: .6rem; overflow-x: auto; white-space: pre-wrap; }
"""


FILTER_NOTE = (
    "Each way at the cheapest of its settings that reaches recall 0.95 under the filter; ours from "
    "the value on that does without a filter. Dotted: recall 0.95, and a third of the speed "
    "of vecext/hnsw without a filter. Diamonds are labels of the data, at the mean "
    "selectivity of their filters. In the table “of the 100 nearest” is the part of the "
    "query’s nearest rows that qualify; CPU is processor time of the server’s process for the "
    "same queries, which other work on the machine changes less.")


def read_run(path):
    with open(path) as file:
        run = json.load(file)
    if run.get("format") != 1:
        raise SystemExit(f"bench: {path}: not a run of bench/run")
    return run


def newest():
    found = [path for path in glob.glob(os.path.join(paths.BUILD, "*.json"))]
    if not found:
        raise SystemExit("bench: no run in build/bench; bench/run makes one")
    return [max(found, key=os.path.getmtime)]


PEERS = ("pgvector/hnsw iterative", "pgvector/hnsw + btree")		# what ratios of filters are over

# ----------------------------------------------------------------------------
# tables

def html_table(head, rows):
    out = ["<table><tr>", *(f"<th>{html.escape(text)}</th>" for text in head), "</tr>"]
    for row in rows:
        out += ["<tr>", *(f"<td>{html.escape(str(text))}</td>" for text in row), "</tr>"]
    return "".join(out) + "</table>\n"


def target_rows(figures, key, k=10):
    """Speed at equal recall, and the paired ratio."""
    rows = []
    for clients in figures.clients() or [1]:
        found = figures.targets(key, k, clients)
        for target, method in sorted(found, key=lambda x: (x[0], charts.in_order([x[1]]))):
            value, speed, ratio = found[target, method]
            rows.append((f"recall@{k} ≥ {target}, {clients} client{'s' * (clients > 1)}", method,
                         value, short(speed["qps"]), short(speed["p50_us"]),
                         short(speed["p95_us"]), short(speed["p99_us"]),
                         times(ratio) if method.startswith("vecext") else ""))
    return rows


def build_rows(figures, key):
    rows = []
    for (method, workers), f in sorted(figures.builds(key).items()):
        rows.append((method, workers, short(f["seconds"]), short(f.get("cpu")), short(f["bytes"] / 1e6),
                     short(f["own"] / 1e6), short(f["hwm"] / 1e6 if "hwm" in f else None)))
    return rows


def write_rows(figures, key):
    rows = []
    for method, f in figures.writes(key).items():
        one, two = f["insert_1"], f["insert_2"]
        rows.append((method, short(one["ms_p50"]), short(one["rows_per_second"]),
                     short(two["rows_per_second"]), short(one["wal_bytes_per_row"] / 1000),
                     short(two["wal_bytes_per_row"] / 1000),
                     short(f["insert_images"]["wal_bytes_per_row"] / 1000),
                     short(f["vacuum"]["seconds"]),
                     f"{f['recall_after']:.3f}"))
    return rows


def one_value_rows(figures, key):
    rows = []
    for method, f in figures.exact(key).items():
        rows.append((method, "exact search, warm", short(f["qps"]), short(f["p50_us"]), ""))
    for what, cell in figures.of("small", key):
        for method in what["methods"]:
            rows.append((method, f"shared_buffers {cell['shared_buffers'] >> 20} MB",
                         short(cell[method]["qps"]), short(cell[method]["p50_us"]), ""))
    for what, cell in figures.of("cold", key):
        for method in what["methods"]:
            f = cell[method]
            cached = "no file in a cache" if what["from_disk"] else "files in the OS's cache"
            rows.append((method, f"first 100 after a restart, {cached}",
                         short(1e8 / f["hundred_us"]), short(f["p50_us"]), short(f["first_us"])))
    return rows


def filter_rows(figures, key):
    """Each way under each filter: what it finds, and what it takes beside others."""
    rows = []
    cells, before = figures.filters(key)
    for what, f in cells:
        column = f", {what['column'][2:]}" if what["column"].startswith("l_") else ""
        title = f"{100 * f['selectivity']:.3g} %, {what['kind']}{column}"
        for way in what["methods"]:
            clock, cpu = figures.slowdown(way, f, before)
            ours = way.startswith("vecext")
            parameters = " ".join(f"{name.split('.')[1]}={value}" for name, value in
                                  sorted(f[way]["settings"].items()) if "multiplier" not in name)
            ratios = [f"{times(f['ratio'][way].get(theirs))}, "
                      f"{short(f['cpu_ratio'][way].get(theirs))}×"
                      for theirs in PEERS] if ours else ["", ""]
            rows.append((title, f"{100 * f['near']:.0f} %", way, f"{f[way]['recall']:.3f}",
                         f"{100 * f[way]['filled']:.0f} %", parameters, short(f[way]["qps"]),
                         short(f[way]["p50_us"]), short(f[way]["cpu_us"]),
                         f"{clock:.2f}×, {cpu:.2f}×", *ratios))
    return rows


def toast_rows(figures, key):
    rows = []
    for _, cell in figures.of("toast", key):
        for statement, sides in cell.items():
            for side, f in sides.items():
                rows.append((statement, side, f"{f['toast_reads']:.2f}", short(f["buffers"]),
                             short(f["cpu_us"]), short(f["qps"]), short(f["p50_us"]),
                             times(f["ours_over_this"]) if "ours_over_this" in f else ""))
    return rows


TABLES = (
    ("Speed at equal recall", target_rows,
     ("", "method", "parameter", "q/s", "p50 µs", "p95 µs", "p99 µs", "ratio (min–max)")),
    ("Builds", build_rows, ("method", "workers", "seconds", "CPU s", "index MB", "own memory MB",
                            "sum of VmHWM MB")),
    ("Writing", write_rows, ("method", "insert ms, p50", "rows/s, 1 client", "rows/s, 2 clients",
                             "kB WAL a row", "2 clients", "after a checkpoint", "VACUUM s", "recall after")),
    ("Exact, small memory, cold start", one_value_rows, ("method", "", "q/s", "p50 µs",
                                                         "first µs")),
    ("Filters", filter_rows, (
        "rows that qualify", "of the 100 nearest", "way", "recall@10", "LIMIT filled", "parameters",
        "q/s", "p50 µs", "CPU µs", "× without filter: clock, CPU",
        *(f"q/s (min–max), CPU over {peer}" for peer in PEERS))),
    ("TOAST", toast_rows, ("SELECT", "", "reads of TOAST a query", "buffers a query",
                           "CPU µs", "q/s", "p50 µs", "ours over this (min–max)")),
)


# ----------------------------------------------------------------------------
# the page

class Page:
    def __init__(self, folder):
        self.folder = folder
        self.parts = []
        os.makedirs(folder, exist_ok=True)

    def add(self, text):
        self.parts.append(text)

    def heading(self, level, text):
        self.add(f"<h{level}>{html.escape(text)}</h{level}>\n")

    def table(self, title, head, rows):
        if rows:
            self.heading(3, title)
            self.add(html_table(head, rows))

    def chart(self, name, figure):
        if figure is not None:
            charts.save(figure, os.path.join(self.folder, name + ".svg"))
            self.add(f'<p><img src="{name}.svg" alt="{html.escape(name)}"></p>\n')

    def write(self):
        path = os.path.join(self.folder, "index.html")
        with open(path, "w") as file:
            file.write('<!DOCTYPE html><html lang="en"><meta charset="utf-8">'
                       f"<title>vecext: benchmarks</title><style>{STYLE}</style>\n")
            file.write("".join(self.parts))
        return path


def data_page(page, figures, key):
    data = figures.data[key]
    tag = re.sub(r"\W+", "-", data["name"]) + "-" + key[:4]
    page.heading(2, charts.label_of(data))
    page.add(f"<p>{html.escape(data['source'])}; {data['queries']} queries.</p>\n")
    for k in (10, 100):
        for clients in figures.clients() or [1]:
            page.chart(f"{tag}-recall{k}-{clients}",
                       charts.recall_chart(figures, key, k, clients))
    page.chart(f"{tag}-p95", charts.recall_chart(figures, key, 10, 1, "p95_us",
                                                 "95th percentile, microseconds"))
    page.chart(f"{tag}-costs", charts.cost_chart(figures, key))
    page.chart(f"{tag}-workers", charts.workers_chart(figures, key))
    chart = charts.filter_chart(figures, key)
    page.chart(f"{tag}-filter", chart)
    if chart:
        page.add(f"<p>{FILTER_NOTE}</p>\n")
    for title, rows, head in TABLES:
        page.table(title, head, rows(figures, key))


def run_page(page, run):
    page.heading(3, f"{run['name']}, {when(run)}")
    page.add(f"<pre>{html.escape(run['command'])}</pre>\n")
    page.add(html_table(("", ""), list(machine_rows(run))))
    for kind in ("left_out", "problems"):
        if run.get(kind):
            page.add(f"<p>{kind.replace('_', ' ').capitalize()}:</p><ul>" + "".join(
                f"<li>{html.escape(line)}</li>" for line in run[kind]) + "</ul>\n")
    page.add("<p>Settings of the server:</p><pre>" + html.escape("\n".join(
        f"{name} = {value}" for name, value in sorted(run["settings"].items()))) + "</pre>\n")


def machine_rows(run):
    machine = run["machine"]
    yield "processor", f"{machine['cpu']}, {machine['cores']} cores"
    yield "memory", f"{machine['memory'] / 2 ** 30:.1f} GiB"
    yield "kernel", machine["kernel"]
    yield from run["versions"].items()
    yield "profile", " ".join(f"{k}={v}" for k, v in run["profile"].items()
                              if k in ("quick", "rounds", "slice_seconds", "recall_queries"))


def write_page(figures, folder):
    page = Page(folder)
    page.heading(1, "vecext: benchmarks")
    page.add("<p>How figures are measured and how to read the charts: bench/README.md. Solid "
             "lines and blue are vecext, dashed other extensions, dotted libraries outside "
             "the server. A ratio is the median of slices measured in turn, with its range."
             "</p>\n")
    for number, keys in enumerate(figures.growing()):
        page.heading(2, "Growth")
        page.chart(f"growth-{number}", charts.growth_chart(figures, keys))
    for key in figures.keys():
        data_page(page, figures, key)
    page.heading(2, "Runs")
    for run in figures.runs:
        run_page(page, run)
    return page.write()


# ----------------------------------------------------------------------------
# the README

def write_readme(figures):
    path = os.path.join(paths.TOP, "README.md")
    with open(path) as file:
        text = replace_part(file.read(), readme_text(figures))
    folder = os.path.join(paths.TOP, CHARTS)
    os.makedirs(folder, exist_ok=True)
    charts.save(charts.recall_panels(figures, figures.keys()), os.path.join(folder, "recall.svg"))
    largest = max((key for key in figures.keys() if figures.best_builds(key)),
                  key=lambda key: figures.data[key]["rows"] * figures.data[key]["dim"])
    charts.save(charts.cost_chart(figures, largest), os.path.join(folder, "cost.svg"))
    filtered = filter_keys(figures)
    if filtered:
        charts.save(charts.filter_chart(figures, filtered[0]), os.path.join(folder, "filter.svg"))
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)
    return path


def main():
    parser = argparse.ArgumentParser(prog="bench/report", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", help="JSON of bench/run (the newest)")
    parser.add_argument("--readme", action="store_true", help="write the README's part too")
    parser.add_argument("--out", help="folder of the page (build/bench/report)")
    args = parser.parse_args()
    figures = Figures([read_run(path) for path in
                       [paths.here(name) for name in args.runs] or newest()])
    folder = paths.here(args.out) if args.out else os.path.join(paths.BUILD, "report")
    print(paths.there(write_page(figures, folder)))
    if args.readme:
        print(paths.there(write_readme(figures)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
