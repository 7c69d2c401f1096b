"""Peak memory and processor time of a backend and its parallel workers, by sampling /proc.

hwm is the sum of VmHWM, each process at its highest; pages of shared memory that several
have touched count more than once.  own is the highest sum, at one moment, of memory that
is only theirs (RssAnon) and of dynamic shared memory (what /dev/shm grew by): what the
build takes beyond shared_buffers.  cpu is the seconds of processor time of them all, which
a busy machine changes less than the time on the clock; the last moments of a worker, after
the last sample that sees it, are missing.
"""
import os
import re
import threading


def status(pid):
    """Fields of /proc/PID/status in bytes; {} if it is gone."""
    try:
        with open(f"/proc/{pid}/status") as file:
            text = file.read()
    except OSError:
        return {}
    return {name: int(value) * 1024
            for name, value in re.findall(r"^(VmHWM|RssAnon|RssShmem):\s+(\d+) kB", text, re.M)}


def processor(pid):
    """Seconds, of user and system, that a process has run; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def nanoseconds(pid):
    """The same, in finer steps, as of when it last waited; it must be there."""
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0])


def workers_of(leader):
    """Parallel workers, by the title the server gives them."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                title = file.read()
        except OSError:
            continue
        if f"parallel worker for PID {leader} ".encode() in title.replace(b"\0", b" ") + b" ":
            found.append(int(pid))
    return found


def shared_memory():
    stat = os.statvfs("/dev/shm")
    return (stat.f_blocks - stat.f_bfree) * stat.f_frsize


class Sampler:
    """with Sampler(pid) as s: ... ; then s.hwm, s.own, s.cpu"""

    def __init__(self, leader, interval=0.02):
        self.leader = leader
        self.interval = interval
        self.highest = {}
        self.ran = {}
        self.own = 0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    @property
    def hwm(self):
        return sum(self.highest.values())

    @property
    def cpu(self):
        return sum(self.ran.values()) - self.before

    def sample(self):
        own = max(0, shared_memory() - self.shared)
        for pid in [self.leader, *workers_of(self.leader)]:
            fields = status(pid)
            self.highest[pid] = max(self.highest.get(pid, 0), fields.get("VmHWM", 0))
            self.ran[pid] = max(self.ran.get(pid, 0), processor(pid))
            own += fields.get("RssAnon", 0)
        self.own = max(self.own, own)

    def work(self):
        while not self.stopped.wait(self.interval):
            self.sample()
            self.interval = min(self.interval * 1.05, 0.25)

    def __enter__(self):
        self.shared = shared_memory()
        self.before = processor(self.leader)
        self.sample()
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.stopped.set()
        self.thread.join()
        self.sample()
