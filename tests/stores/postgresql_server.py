#!/usr/bin/env python3
# tests/stores/postgresql_server.py - real PostgreSQL servers of one's own, to be killed and started again.
# SPDX-License-Identifier: MIT
"""Runs PostgreSQL from the packaged binaries in a scratch folder, on a free port of the loopback interface.

  postgresql_server.py with COMMAND...        a server and a standby of it for as long as the command runs
  postgresql_server.py --folder FOLDER ACTION  what the command may do to a server meanwhile

The command gets REGRANT_POSTGRESQL and REGRANT_POSTGRESQL_STANDBY (connection strings), REGRANT_POSTGRESQL_CONTROL and
REGRANT_POSTGRESQL_STANDBY_CONTROL (command lines that wait for an action: kill, start, freeze, thaw, promote or
freeze-wal-writer). `kill` is SIGKILL for the server and all its processes, in the middle of whatever they do.
"""
import glob
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path


def binaries():
    """The folder of the newest server programs that are installed."""
    found = glob.glob("/usr/lib/postgresql/*/bin/postgres") + glob.glob("/usr/pgsql-*/bin/postgres")
    if found:
        return Path(max(found, key=lambda path: [int(part) for part in path.replace("-", "/").split("/") if part.isdigit()])).parent
    on_path = shutil.which("postgres")
    if on_path is None:
        raise SystemExit("PostgreSQL's server is not installed (Debian, Ubuntu: postgresql)")
    return Path(on_path).resolve().parent


def unprivileged():
    """How to run as somebody else than root, as whom PostgreSQL does not run."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def processes():
    """Pairs of a process and its parent."""
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            text = Path(path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        yield int(path.split("/")[2]), int(text.rpartition(")")[2].split()[1])


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class Server:
    """One server in one folder; what it knows stands in the folder, so any process can control it."""

    def __init__(self, folder):
        self.folder, self.data, self.bin = Path(folder), Path(folder) / "data", binaries()

    @property
    def port(self):
        return int((self.folder / "port").read_text(encoding="ascii"))

    @property
    def connection_string(self):
        return f"host=127.0.0.1 port={self.port} dbname=postgres user=postgres"

    def tool(self, name, *arguments):
        done = subprocess.run([self.bin / name, *map(str, arguments)], **unprivileged(), cwd="/", text=True, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise SystemExit(f"{name} failed:\n{done.stdout}")

    def make(self, settings):
        self.tool("initdb", "--pgdata", self.data, "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C",
                  "--no-sync", "--no-instructions")
        # Everybody is trusted, but one whom the tests make.
        rules = self.data / "pg_hba.conf"
        rules.write_text("host all needs_password 127.0.0.1/32 scram-sha-256\n" + rules.read_text(encoding="utf-8"),
                         encoding="utf-8")
        self.settle(settings)

    def make_standby_of(self, primary, settings):
        self.tool("pg_basebackup", "--pgdata", self.data, "--host=127.0.0.1", f"--port={primary.port}",
                  "--username=postgres", "--write-recovery-conf", "--checkpoint=fast", "--no-sync")
        self.settle(settings)

    def settle(self, settings):
        (self.folder / "port").write_text(str(free_port()), encoding="ascii")
        with open(self.data / "postgresql.auto.conf", "a", encoding="ascii") as conf:
            for name, value in settings.items():
                conf.write(f"{name} = '{value}'\n")

    def start(self, timeout=300):
        """Starts it and waits until it answers, crash recovery included."""
        until = time.monotonic() + timeout
        while True:
            with open(self.folder / "log", "ab") as log:
                server = subprocess.Popen(
                    [self.bin / "postgres", "-D", self.data, "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
                     "-c", "unix_socket_directories="], **unprivileged(), cwd="/", stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, start_new_session=True)
            (self.folder / "pid").write_text(str(server.pid), encoding="ascii")
            while server.poll() is None:
                ready = subprocess.run([self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"],
                                       check=False)
                if ready.returncode == 0:
                    # A dead server that nobody waits for would still bear its number, and forbid the next one.
                    threading.Thread(target=server.wait, daemon=True).start()
                    return
                if time.monotonic() > until:
                    self.kill()
                    break
                time.sleep(0.02)
            # It ends at once where a process of a killed server still holds the shared memory.
            if time.monotonic() > until:
                raise SystemExit(f"PostgreSQL did not start in {timeout} s:\n{(self.folder / 'log').read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)

    def all_processes(self):
        """The server and its children, by what started them."""
        try:
            first = int((self.folder / "pid").read_text(encoding="ascii"))
        except OSError:
            return []
        return [pid for pid in [first] + [child for child, parent in processes() if parent == first] if is_alive(pid)]

    def signal_all(self, which):
        every = self.all_processes()
        for pid in every:
            try:
                os.kill(pid, which)
            except ProcessLookupError:
                pass
        return every

    def kill(self):
        # Stopped first, so that none of them starts or ends another meanwhile.
        self.signal_all(signal.SIGSTOP)
        every = self.signal_all(signal.SIGKILL)
        while any(is_alive(pid) for pid in every):
            time.sleep(0.01)
        (self.folder / "pid").unlink(missing_ok=True)

    def stop(self):
        """For good, and as the server likes it: killed it would leave its shared memory behind."""
        every = self.all_processes()
        self.thaw()
        if every:
            os.kill(every[0], signal.SIGQUIT)
        until = time.monotonic() + 60
        while any(is_alive(pid) for pid in every) and time.monotonic() < until:
            time.sleep(0.01)
        self.kill()

    def promote(self):
        self.tool("pg_ctl", "promote", "--pgdata", self.data, "--wait")

    def freeze(self):
        self.signal_all(signal.SIGSTOP)

    def freeze_wal_writer(self):
        """What writes to the disk now and then, of its own accord, what no commit waits for."""
        for pid in self.all_processes():
            if b"walwriter" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGSTOP)
                return
        raise SystemExit("there is no WAL writer")

    def thaw(self):
        self.signal_all(signal.SIGCONT)


def make_folder(parent, name):
    folder = Path(parent) / name
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, unprivileged()["user"], unprivileged()["group"])
    return folder


class Servers:
    """A primary and a standby of it, for a `with` statement. What they hold is gone afterwards."""

    # A kill takes what the server holds in its own memory; what it gave to the kernel stays, synced or not. Advances
    # that wait for no disk stay in its memory for long, so that a kill does lose some.
    settings = {"fsync": "off", "wal_writer_delay": "10s", "max_connections": 200, "shared_buffers": "64MB",
                "autovacuum_naptime": "5s"}

    def __enter__(self):
        self.scratch = tempfile.mkdtemp(prefix="regrant-postgresql-")
        os.chmod(self.scratch, 0o755)
        self.primary = self.standby = None
        try:
            self.primary = Server(make_folder(self.scratch, "primary"))
            self.primary.make(self.settings)
            self.primary.start()
            self.standby = Server(make_folder(self.scratch, "standby"))
            self.standby.make_standby_of(self.primary, {})
            self.standby.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for each in (self.standby, self.primary):
            if each is not None:
                each.stop()
        shutil.rmtree(self.scratch, ignore_errors=True)


def environment(servers):
    def control(server):
        return shlex.join([sys.executable, os.path.abspath(__file__), "--folder", str(server.folder)])

    return {"REGRANT_POSTGRESQL": servers.primary.connection_string,
            "REGRANT_POSTGRESQL_STANDBY": servers.standby.connection_string,
            "REGRANT_POSTGRESQL_CONTROL": control(servers.primary),
            "REGRANT_POSTGRESQL_STANDBY_CONTROL": control(servers.standby)}


def main(arguments):
    if len(arguments) == 3 and arguments[0] == "--folder" and arguments[2] in (
            "kill", "start", "freeze", "thaw", "promote", "freeze-wal-writer"):
        getattr(Server(arguments[1]), arguments[2].replace("-", "_"))()
        return 0
    if len(arguments) < 2 or arguments[0] != "with":
        print(__doc__)
        return 2
    # An interrupt ends the command; the servers are ended by leaving the block.
    for which in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(which, lambda *_: sys.exit(1))
    with Servers() as servers:
        return subprocess.run(arguments[1:], env={**os.environ, **environment(servers)}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
