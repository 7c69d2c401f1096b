"""Where things are: the harness runs in a folder of its own (bench/folder.sh), in
which the files of the machine are below /host."""
import os

TOP = os.environ.get("VB_TOP", os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
HOST = "/host" if TOP.startswith("/host/") else ""
CWD = os.environ.get("VB_CWD", os.getcwd())
BUILD = os.path.join(TOP, "build", "bench")

# the server's, inside the folder; 'postgres' owns them
STATE = "/var/lib/vecext-bench"


def here(path):
    """A path as the user wrote it, as it is called here."""
    return HOST + os.path.normpath(os.path.join(CWD, path))


def there(path):
    """A path as it is called here, for the user to read."""
    return path[len(HOST):] if HOST and path.startswith(HOST + "/") else path
