"""Slices of load by pgbench, with the time of every transaction."""
import glob
import os
import re
import subprocess

import numpy as np

from vb import paths, server

TMP = os.path.join(paths.STATE, "tmp")


class Slice:
    """Transactions per second without connecting, and their microseconds."""

    def __init__(self, tps, micros):
        self.tps = tps
        self.micros = micros


def read_log(path):
    """The third column of a log of pgbench -l: microseconds of each transaction."""
    with open(path) as file:
        text = file.read()
    columns = len(text.split("\n", 1)[0].split())
    if columns < 6:
        return np.empty(0)
    return np.array(text.split(), dtype=np.float64).reshape(-1, columns)[:, 2]


def read_tps(output):
    failed = re.search(r"number of failed transactions: (\d+)", output)
    found = re.search(r"^tps = ([0-9.]+) \(without", output, re.M)
    if not found or (failed and int(failed.group(1))):
        raise RuntimeError("pgbench: " + output[-500:])
    return float(found.group(1))


def run(database, script, settings, clients=1, seconds=None, transactions=None, variables=(),
        seed=None):
    """One slice: for some seconds, or a number of transactions of each client.  The same seed
    means the same queries."""
    name = os.path.join(TMP, f"{database}.sql")
    with open(name, "w") as file:
        file.write(script)
    for old in glob.glob(os.path.join(TMP, f"log-{database}.*")):
        os.unlink(old)
    options = " ".join(f"-c {key}={value}" for key, value in settings.items())
    amount = ["-T", str(seconds)] if seconds else ["-t", str(transactions)]
    command = [server.BIN + "pgbench", "-n", "-M", "prepared", "-c", str(clients),
               "-j", str(clients), *amount, "-l", "--log-prefix", os.path.join(TMP, f"log-{database}"),
               "-f", name]
    if seed is not None:
        command += [f"--random-seed={seed}"]
    for key, value in dict(variables).items():
        command += ["-D", f"{key}={value}"]
    done = subprocess.run(command + [database], capture_output=True, text=True,
                          env=dict(os.environ, PGHOST=server.SOCKET, PGUSER="postgres",
                                   PGOPTIONS=options))
    if done.returncode:
        raise RuntimeError("pgbench: " + done.stderr[-800:])
    logs = glob.glob(os.path.join(TMP, f"log-{database}.*"))
    micros = [read_log(path) for path in logs]
    for path in logs:
        os.unlink(path)
    return Slice(read_tps(done.stdout), np.concatenate(micros))


def figures(slices):
    """Median q/s of slices, percentiles over all their transactions."""
    micros = np.concatenate([s.micros for s in slices])
    p50, p95, p99 = (float(x) for x in np.percentile(micros, [50, 95, 99]))
    return {"qps": float(np.median([s.tps for s in slices])), "qps_slices": [s.tps for s in slices],
            "mean_us": float(micros.mean()), "p50_us": p50, "p95_us": p95, "p99_us": p99,
            "transactions": int(micros.size)}


def ratio(a, b):
    """Paired ratio of the q/s of slices measured in turn: median, min, max."""
    r = np.array([x.tps for x in a]) / np.array([x.tps for x in b])
    return {"median": float(np.median(r)), "min": float(r.min()), "max": float(r.max())}
