"""Figures on disk: one file per measured cell, and from them one JSON per run."""
import hashlib
import json
import os
import sys
import time


def write_json(path, value):
    """Atomically: a file is whole or not there."""
    with open(path + ".new", "w") as file:
        json.dump(value, file, indent=1, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)


class Store:
    """Cells of a run, by what was measured; what is there is not measured again."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)

    def path(self, what):
        text = json.dumps(what, sort_keys=True)
        return os.path.join(self.folder, f"{what['axis']}-"
                            f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json")

    def get(self, what):
        try:
            with open(self.path(what)) as file:
                return json.load(file)
        except FileNotFoundError:
            return None

    def put(self, what, figures):
        cell = {"what": what, "figures": figures, "at": time.time()}
        write_json(self.path(what), cell)
        return cell

    def all(self):
        cells = []
        for name in sorted(os.listdir(self.folder)):
            if name.endswith(".json"):
                with open(os.path.join(self.folder, name)) as file:
                    cells.append(json.load(file))
        return sorted(cells, key=lambda cell: cell["at"])


class Progress:
    """Lines with the time that is left: what is planned, scaled by what was needed so far."""

    def __init__(self):
        self.planned = 0.0
        self.done = 0.0
        self.spent = 0.0
        self.started = time.monotonic()

    def plan(self, seconds):
        self.planned += seconds

    def left(self):
        """Seconds, or None before anything is known; estimates are trusted at first."""
        rest = max(0.0, self.planned - self.done)
        factor = (self.spent + 20) / (self.done + 20)
        return rest * factor

    def step(self, expected, spent):
        self.done += expected
        self.spent += spent

    def say(self, text):
        left = self.left()
        shown = f"{left / 60:.0f} min" if left >= 120 else f"{left:.0f} s"
        elapsed = time.monotonic() - self.started
        print(f"[{elapsed:6.0f} s, {shown:>7} left] {text}", file=sys.stderr, flush=True)
