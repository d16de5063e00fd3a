#!/usr/bin/env python3
# tests/stores/redis_server.py - Redis servers on loopback for the tests, each in a folder of its own.
# SPDX-License-Identifier: MIT
"""
  redis_server.py run COMMAND...           one server and a cluster of three, then COMMAND, then everything is gone
  redis_server.py start FOLDER [OPTION...] a server that keeps an append-only file; prints its URL. Again: restarts it.
  redis_server.py cluster FOLDER           three servers as a cluster; prints the URL of one
                                           Option tls=NAME: a port for TLS besides, with certificate NAME.
  redis_server.py certificates FOLDER      makes certificates for the servers below it: see the function
  redis_server.py sentinel FOLDER PORT [OPTION...]   a Sentinel that watches the server at PORT by the name of main and
                                           may promote another alone; prints its URL
  redis_server.py kill FOLDER              SIGKILL
  redis_server.py stop FOLDER              ends it in peace

COMMAND finds REGRANT_REDIS and REGRANT_REDIS_CLUSTER (URLs), REGRANT_REDIS_SERVER (this script) and
REGRANT_REDIS_FOLDER (for more servers) in its environment.
"""
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE = 300
BUS = 10000  # a cluster's servers speak to each other on port + 10000


def free_port():
    while True:
        port = random.randrange(20000, 32000)
        try:
            for each in (port, port + BUS):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", each))
            return port
        except OSError:
            pass


def answers(port):
    """Whether a server there has loaded its file."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as line:
            line.settimeout(1)
            line.sendall(b"PING\r\n")
            return line.recv(64).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False


def is_alive(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return True  # no /proc here
    except OSError:
        return False


def until(true, what):
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            sys.exit(f"{what} within {PATIENCE} s")
        time.sleep(0.01)


PRIMARY = ["save \"\"", "appendonly yes", "appendfsync always"]


def certificates(folder):
    """NAME.pem and NAME.key for good, expired, elsewhere (another host's) and client; ca.pem, which signed these;
    other.pem, which signed none; locked.key, the client's key behind a passphrase."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    for authority in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", f"/CN={authority}", "-keyout", f"{authority}.key", "-out", f"{authority}.pem")
    here = "DNS:localhost,IP:127.0.0.1"
    for name, days, hosts in (("good", 30, here), ("expired", -1, here), ("elsewhere", 30, "DNS:elsewhere.example"),
                              ("client", 30, "DNS:client.example")):
        (folder / f"{name}.ext").write_text(f"subjectAltName={hosts}\n", encoding="utf-8")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                str(days), "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    openssl("ec", "-in", "client.key", "-aes256", "-passout", "pass:hunter2", "-out", "locked.key")


def with_tls(folder, option):
    """What option tls=NAME stands for."""
    if not option.startswith("tls="):
        return [option]
    at = folder.parent / option.removeprefix("tls=")
    return [f"tls-port {free_port()}", f"tls-cert-file {at}.pem", f"tls-key-file {at}.key",
            f"tls-ca-cert-file {folder.parent / 'ca.pem'}", "tls-auth-clients no"]


def start(folder, options=(), kind=PRIMARY, flags=()):
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "redis.conf"
    if not config.exists():
        options = [line for option in options for line in with_tls(folder, option)]
        lines = [f"port {free_port()}", "bind 127.0.0.1", f"dir {folder}", *kind, "daemonize no", "logfile redis.log"]
        config.write_text("\n".join(lines + options) + "\n", encoding="utf-8")
    port = int(config.read_text(encoding="utf-8").split()[1])
    with open(os.devnull, "r+b") as nothing:
        # In this process group, so that whoever ends the tests ends it too.
        server = subprocess.Popen([shutil.which("redis-server") or "valkey-server", str(config), *flags],
                                  stdin=nothing, stdout=nothing, stderr=nothing)
    (folder / "pid").write_text(str(server.pid), encoding="utf-8")
    until(lambda: answers(port) or server.poll() is not None, f"no answer from the server in {folder}")
    if server.poll() is not None:
        sys.exit(f"the server in {folder} ended: {(folder / 'redis.log').read_text(encoding='utf-8')[-2000:]}")
    return port


def end(folder, how=signal.SIGTERM):
    try:
        pid = int((folder / "pid").read_text(encoding="utf-8"))
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, how)
    except (OSError, ValueError):
        return
    try:
        os.waitpid(pid, 0)
    except OSError:  # somebody else started it
        until(lambda: not is_alive(pid), f"server {pid} is still there")
    (folder / "pid").unlink()


def cluster(folder):
    ports = [start(folder / str(i), ["cluster-enabled yes", "cluster-node-timeout 2000"]) for i in (1, 2, 3)]
    tool = shutil.which("redis-cli") or "valkey-cli"
    subprocess.run([tool, "--cluster", "create", *(f"127.0.0.1:{port}" for port in ports), "--cluster-yes"],
                   check=True, stdout=subprocess.DEVNULL)
    for port in ports:
        until(lambda port=port: "cluster_state:ok" in subprocess.run(
            [tool, "-p", str(port), "cluster", "info"], capture_output=True, text=True, check=False).stdout,
            "the cluster did not form")
    return ports[0]


def url(port):
    return f"redis://127.0.0.1:{port}"


def run(command):
    folder = Path(tempfile.mkdtemp(prefix="regrant-redis-"))
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda *_: sys.exit(1))
    try:
        there = dict(os.environ, REGRANT_REDIS_SERVER=os.path.abspath(__file__), REGRANT_REDIS_FOLDER=str(folder),
                     REGRANT_REDIS=url(start(folder / "one")), REGRANT_REDIS_CLUSTER=url(cluster(folder / "three")))
        return subprocess.run(command, env=there, check=False).returncode
    finally:
        for pid in folder.rglob("pid"):
            end(pid.parent, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def main(verb="help", *rest):
    if verb == "run" and rest:
        return run(rest)
    folder = Path(rest[0]).resolve() if rest else None
    if verb == "start" and folder:
        print(url(start(folder, rest[1:])))
    elif verb == "certificates" and folder:
        certificates(folder)
    elif verb == "sentinel" and len(rest) > 1:
        watch = [f"sentinel monitor main 127.0.0.1 {rest[1]} 1", "sentinel down-after-milliseconds main 1000",
                 "sentinel failover-timeout main 3000"]
        print(url(start(folder, rest[2:], kind=watch, flags=["--sentinel"])))
    elif verb == "cluster" and folder:
        print(url(cluster(folder)))
    elif verb in ("kill", "stop") and folder:
        end(folder, signal.SIGKILL if verb == "kill" else signal.SIGTERM)
    else:
        sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
