"""The private PostgreSQL server: one cluster per folder, a database per peer."""
import glob
import hashlib
import os
import shutil
import subprocess
import time

from vb import paths

VERSION = os.environ.get("VB_PG", "17")
BIN = f"/usr/lib/postgresql/{VERSION}/bin/"
DATA = os.path.join(paths.STATE, "data")
SOCKET = os.path.join(paths.STATE, "socket")
LOG = os.path.join(paths.STATE, "server.log")

# What is not measured here is out of the way: disks, checkpoints, autovacuum, JIT.
SETTINGS = {
    "listen_addresses": "''",
    "unix_socket_directories": f"'{SOCKET}'",
    "fsync": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "jit": "off",
    "max_wal_size": "'8GB'",
    "checkpoint_timeout": "'1h'",
    "max_connections": "100",
    "max_worker_processes": "32",
    "max_parallel_workers": "16",
}


def memory():
    """Bytes of memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def megabytes(size):
    return f"{max(1, int(size) >> 20)}MB"


class Server:
    """Starts as 'postgres', with the settings above and those given."""

    def __init__(self, settings):
        self.settings = dict(SETTINGS, **settings)
        self.process = None

    def as_postgres(self, *command):
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]

    def prepare(self):
        for folder in (SOCKET, os.path.join(paths.STATE, "tmp")):
            os.makedirs(folder, exist_ok=True)
            shutil.chown(folder, "postgres", "postgres")
        if os.path.exists(os.path.join(DATA, "PG_VERSION")):
            return
        shutil.rmtree(DATA, ignore_errors=True)
        os.makedirs(DATA, 0o700)
        shutil.chown(DATA, "postgres", "postgres")
        subprocess.run(self.as_postgres(BIN + "initdb", "-D", DATA, "-U", "postgres", "-A", "trust",
                                        "--no-sync", "--locale=C", "-E", "UTF8"),
                       check=True, stdout=subprocess.DEVNULL)

    def start(self, **changed):
        """Start, with some settings other than usual."""
        arguments = []
        for name, value in dict(self.settings, **changed).items():
            value = str(value).strip("'")
            arguments += ["-c", f"{name}={value}"]
        pid_file = os.path.join(DATA, "postmaster.pid")
        if os.path.exists(pid_file):		# of a run that was killed, in another process table
            os.unlink(pid_file)
        with open(LOG, "ab") as log:
            self.process = subprocess.Popen(self.as_postgres(BIN + "postgres", "-D", DATA, *arguments),
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        import psycopg2
        for _ in range(6000):
            if self.process.poll() is not None:
                raise SystemExit(f"bench: the server did not start: {LOG} in the folder")
            try:
                self.connect("postgres").close()
                return
            except psycopg2.OperationalError:
                time.sleep(0.02)
        raise SystemExit("bench: the server does not answer")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(2)		# fast shutdown
            self.process.wait()
        self.process = None

    def restart(self, **changed):
        self.stop()
        self.start(**changed)

    def connect(self, database):
        import psycopg2		# here: the tests of the harness do without
        connection = psycopg2.connect(host=SOCKET, user="postgres", dbname=database)
        connection.autocommit = True
        return connection


class Database:
    """One connection, and the few calls that the harness needs."""

    def __init__(self, server, name):
        self.server = server
        self.name = name
        self.connection = server.connect(name)

    def run(self, sql, *values):
        """Rows of a statement, None if it has none."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else None

    def one(self, sql, *values):
        rows = self.run(sql, *values)
        return rows[0][0] if rows else None

    def timed(self, sql):
        started = time.monotonic()
        self.run(sql)
        return time.monotonic() - started

    def close(self):
        self.connection.close()

    def reconnect(self):
        self.close()
        self.connection = self.server.connect(self.name)


def script_hash(extension):
    """What tells the SQL of one build of an extension from another: its scripts."""
    digest = hashlib.sha256()
    folder = f"/usr/share/postgresql/{VERSION}/extension"
    for path in sorted(glob.glob(os.path.join(folder, extension + "--*.sql"))):
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:12]


def drop_if_older(admin, name, extension):
    """A database whose extension another script made lacks what is new in it."""
    made_by = admin.one("SELECT shobj_description(oid, 'pg_database') FROM pg_database "
                        "WHERE datname = %s", name)
    if made_by != script_hash(extension):
        admin.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def open_databases(server, extensions):
    """{database: (Database, version of its extension)}; those that can be installed."""
    opened = {}
    admin = Database(server, "postgres")
    for name, extension in extensions.items():
        if not admin.one("SELECT 1 FROM pg_available_extensions WHERE name = %s", extension):
            continue
        drop_if_older(admin, name, extension)
        if not admin.one("SELECT 1 FROM pg_database WHERE datname = %s", name):
            admin.run(f'CREATE DATABASE "{name}"')
            admin.run(f'COMMENT ON DATABASE "{name}" IS \'{script_hash(extension)}\'')
        database = Database(server, name)
        database.run(f"CREATE EXTENSION IF NOT EXISTS {extension}")
        database.run("CREATE EXTENSION IF NOT EXISTS pg_prewarm")
        version = database.one("SELECT extversion FROM pg_extension WHERE extname = %s", extension)
        opened[name] = (database, version)
    admin.close()
    return opened
