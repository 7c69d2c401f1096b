"""Keeping processors from sleep while queries are timed.

An idle virtual processor is given up to its host, and a query that waits for it to come
back, once in the client and once in the server, is timed with these waits: some 80 us on
the machine that README's figures are of.  A process for each core that runs only when
nothing else would (SCHED_IDLE) is what idle=poll is on a machine of one's own.
"""
import contextlib
import os
import subprocess
import sys

SPIN = """
import os, sys
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
parent = int(sys.argv[1])
while os.getppid() == parent:
    for _ in range(100000):
        pass
"""


@contextlib.contextmanager
def processors(wanted=True):
    """with processors(): ...; nothing if not wanted"""
    spinners = []
    try:
        for _ in range(os.cpu_count() if wanted else 0):
            spinners.append(subprocess.Popen([sys.executable, "-c", SPIN, str(os.getpid())]))
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()
