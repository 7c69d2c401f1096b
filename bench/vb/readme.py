"""The part of the top README that bench/report --readme writes: tables and charts."""
import re
import time

BEGIN = "<!-- bench: written by bench/report --readme -->"
END = "<!-- bench: end -->"
CHARTS = "bench/charts"


def short(number):
    """Three digits that count."""
    if number is None:
        return "–"
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"


def times(ratio):
    if ratio is None:
        return "–"
    return f"{ratio['median']:.2f}× ({ratio['min']:.2f}–{ratio['max']:.2f})"


def when(run):
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(run["started"]))


def readme_pair(figures, key, kind):
    """One row of the README's table: an index of ours beside the peer's of the same kind."""
    ours, theirs = f"vecext/{kind}", f"pgvector/{kind}"
    targets, builds = figures.targets(key), figures.best_builds(key)
    writes = figures.writes(key)
    if ours not in builds or theirs not in builds:
        return None
    cells = []
    for target in (0.95, 0.99):
        a, b = targets.get((target, ours)), targets.get((target, theirs))
        if a and b and a[2]:
            cells.append(f"{short(a[1]['qps'])} : {short(b[1]['qps'])} = **{a[2]['median']:.1f}×**")
        else:
            cells.append(" : ".join(short(x[1]["qps"]) if x else "not reached" for x in (a, b)))
    pair = lambda f: " : ".join(short(f(side)) for side in (ours, theirs))
    cells.append(pair(lambda side: builds[side]["seconds"]))
    cells.append(pair(lambda side: builds[side]["bytes"] / 1e6))
    if ours in writes and theirs in writes:
        cells.append(pair(lambda side: writes[side]["insert_1"]["ms_p50"]))
        cells.append(pair(lambda side: writes[side]["insert_1"]["wal_bytes_per_row"] / 1000))
        cells.append(pair(lambda side: writes[side]["vacuum"]["seconds"]))
    else:
        cells += ["–"] * 3
    data = figures.data[key]
    return f"| {data['name']}, {data['rows']:,} × {data['dim']} | {kind} | " + " | ".join(cells) + " |"


KINDS = ("uncorrelated", "correlated", "anti-correlated")
THEIRS = "pgvector/hnsw iterative"


def filter_keys(figures):
    """Data sets with figures under filters, of which the first has its chart in the README."""
    return [key for key in figures.keys() if figures.filters(key)[0]]


def filter_line(figures, key, way, part=0.01):
    """One row of the README's table of filters: q/s beside the peer's at one selectivity."""
    found = {what["kind"]: f for what, f in figures.filters(key)[0] if what.get("width") == part}
    cells = []
    for kind in KINDS:
        f = found.get(kind)
        if not f or way not in f or THEIRS not in f:
            cells.append("–")
            continue
        sides = " : ".join(f"{short(f[side]['qps'])} ({f[side]['recall']:.2f})"
                           for side in (way, THEIRS))
        cells.append(f"{sides} = **{f['ratio'][way][THEIRS]['median']:.0f}×**")
    data = figures.data[key]
    return f"| {data['name']}, {data['rows']:,} × {data['dim']} | {way} | {' | '.join(cells)} |"


def filter_part(figures):
    """The README's table and chart of filters; nothing if none was measured."""
    keys = filter_keys(figures)
    if not keys:
        return []
    return ["Under a filter that 1 % of the rows pass: q/s (recall@10) of ours and of pgvector's hnsw "
            "by iterative scans, at the quickest of its settings that reach recall 0.95:", "",
            f"| data | index | {' | '.join(KINDS)} |", "|---|---|---|---|---|",
            *(filter_line(figures, key, way) for key in keys
              for way in ("vecext/hnsw columns", "vecext/ivfflat columns", "vecext/hnsw + btree")),
            "", f"![recall and queries per second over selectivity]({CHARTS}/filter.svg)", ""]


def loads(runs):
    """Lowest and highest load average, of what else ran and of the runs before."""
    found = [run["machine"]["load"] for run in runs]
    return f"{min(found):.0f} to {max(found):.0f}"


def anywhere(command):
    """A command without the folders of the machine it ran on."""
    command = re.sub(r" --(?:out|cache|root) \S+", "", command)
    return re.sub(r"(?<=[ =])/[^\s,]*?/([^/\s,]+/[^/\s,]+)(?=[ ,]|$)", r"\1", command).rstrip()


def readme_text(figures):
    """What stands between the markers."""
    rows = [readme_pair(figures, key, kind) for key in figures.keys()
            for kind in ("hnsw", "ivfflat")]
    rows = [row for row in rows if row]
    if not rows:
        raise SystemExit("bench: no run has an index of both vecext and pgvector")
    run = figures.runs[-1]
    versions = run["versions"]
    out = [BEGIN, "",
           f"vecext {versions.get('vecext', '?')} : pgvector {versions.get('pgvector', '?')} in one "
           f"PostgreSQL {versions['PostgreSQL'].split()[0]}, the same rows, settings and number of "
           f"processes; {run['machine']['cpu']}, {run['machine']['cores']} cores, {when(run)[:10]}. "
           "Queries per second of one client at equal recall@10, and the median of their paired "
           f"ratios. Load of the machine when runs began: {loads(figures.runs)}; ratios stand that, "
           "absolute figures do not.", "",
           "| data | index | q/s, recall 0.95 | q/s, recall 0.99 | build s | index MB | "
           "insert ms | kB WAL a row | VACUUM of 2 %, s |",
           "|---|---|---|---|---|---|---|---|---|", *rows, "",
           f"![queries per second over recall]({CHARTS}/recall.svg)", "",
           f"![cost of builds and writes]({CHARTS}/cost.svg)", "",
           *filter_part(figures),
           "Made by", ""]
    out += [f"    {line}" for line in dict.fromkeys(anywhere(run["command"])
                                                    for run in figures.runs)]
    return "\n".join(out + ["", END])


def replace_part(text, part):
    """The README with what is between the markers replaced; it must have them."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise SystemExit(f"bench: README.md has no such lines: {BEGIN} and {END}")
    return text[:text.index(BEGIN)] + part + text[text.index(END) + len(END):]
