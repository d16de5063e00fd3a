#!/usr/bin/env python3
# tests/stores/pooler.py - a real PgBouncer before a real PostgreSQL server, for as long as a command runs.
# SPDX-License-Identifier: MIT
"""Runs PgBouncer on a free port of the loopback interface; `postgresql_server.py with` has started the server.

  postgresql_server.py with pooler.py COMMAND...

The command gets connection strings of one database, `pooled`, by three ways: REGRANT_POOLER_SESSIONS pools sessions,
REGRANT_POOLER_TRANSACTIONS pools transactions, REGRANT_POOLER_TIGHT pools sessions and has three of them.
REGRANT_POOLER_DIRECT goes past the pooler.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import postgresql_server

SETTINGS = """
[databases]
sessions = host=127.0.0.1 port={server} dbname=pooled user=postgres pool_mode=session pool_size=8
transactions = host=127.0.0.1 port={server} dbname=pooled user=postgres pool_mode=transaction pool_size=4
tight = host=127.0.0.1 port={server} dbname=pooled user=postgres pool_mode=session pool_size=3
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
max_client_conn = 200
query_wait_timeout = 0
"""


def main():
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    if not Path(program).exists():
        raise SystemExit("PgBouncer is not installed (Debian, Ubuntu: pgbouncer)")
    direct = os.environ["REGRANT_POSTGRESQL"]
    server = re.search(r"port=(\d+)", direct).group(1)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        port = postgresql_server.free_port()
        settings = Path(folder) / "pgbouncer.ini"
        settings.write_text(SETTINGS.format(server=server, port=port), encoding="ascii")
        with open(Path(folder) / "log", "wb") as log:
            pooler = subprocess.Popen([program, "-q", settings], **postgresql_server.unprivileged(), cwd="/",
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            pooled = f"host=127.0.0.1 port={port} user=postgres dbname="
            environment = {**os.environ, "REGRANT_POOLER_SESSIONS": pooled + "sessions",
                           "REGRANT_POOLER_TRANSACTIONS": pooled + "transactions",
                           "REGRANT_POOLER_TIGHT": pooled + "tight",
                           "REGRANT_POOLER_DIRECT": re.sub(r"dbname=\S+", "dbname=pooled", direct)}
            status = subprocess.run(sys.argv[1:], env=environment, check=False).returncode
            if pooler.poll() is not None or status != 0:
                sys.stdout.write(Path(folder, "log").read_text(encoding="utf-8", errors="replace")[-4000:])
            return status
        finally:
            pooler.send_signal(signal.SIGKILL)
            pooler.wait()


if __name__ == "__main__":
    sys.exit(main())
