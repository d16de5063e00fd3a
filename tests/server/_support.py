# tests/server/_support.py - starts the example server in a folder of its own, talks to it, and counts checks.
# SPDX-License-Identifier: MIT
import atexit
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

BINARY = os.environ.get("REGRANT_SERVER") or sys.exit("REGRANT_SERVER must name the server's binary")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# Seconds after which something did not finish. Nothing else may be concluded from it: the machine may be busy.
LONG = 300
TENANT = {"client_id": "TENANT_CLIENT_ID", "client_secret": "TENANT_CLIENT_SECRET"}

_passed, _failed = 0, 0
_lock = threading.Lock()
_running = set()


def check(name, good, *seen):
    """Counts one check; what was seen is printed where it failed."""
    global _passed, _failed
    with _lock:
        if good:
            _passed += 1
            print("ok", name, flush=True)
        else:
            _failed += 1
            print("FAIL", name, *seen, flush=True)
    return good


def finish():
    print(f"{_passed} passed, {_failed} failed", flush=True)
    sys.exit(1 if _failed or not _passed else 0)


@atexit.register
def _stop_all():
    for process in list(_running):
        process.kill()
        process.wait()


def new_folder():
    """An empty directory that is removed in the end."""
    folder = tempfile.TemporaryDirectory(prefix="regrant-")
    atexit.register(folder.cleanup)
    return folder.name


def run(*options, folder=None, timeout=LONG):
    """Runs the server where it should stop by itself: (exit status, stdout, stderr)."""
    done = subprocess.run([BINARY, *options], cwd=folder or new_folder(), capture_output=True, text=True,
                          timeout=timeout)
    return done.returncode, done.stdout, done.stderr


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name):
        """All values of a header, joined."""
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return {}

    def error(self):
        return self.json.get("error") if isinstance(self.json, dict) else None

    def is_error(self, status, error="invalid_request"):
        """The answer the token endpoint gives to an error, by all that RFC 6749 5.2 wants of it."""
        return (self.status == status and self.body == b'{"error":"%s"}' % error.encode() and self.is_dressed())

    def is_dressed(self):
        return (self.header("Content-Type") == "application/json;charset=UTF-8"
                and self.header("Cache-Control") == "no-store" and self.header("Pragma") == "no-cache")

    def __repr__(self):
        return f"[{self.status} {dict(self.headers)} {self.body[:200]!r}]"


class Server:
    """The example server on a free port, in memory unless told otherwise; without --store where that is None."""

    def __init__(self, *options, folder=None, listen="127.0.0.1:0", store="memory:"):
        self.folder = folder or new_folder()
        self.log = os.path.join(self.folder, "stderr.txt")
        named = [] if store is None else ["--store", store]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([BINARY, "--listen", listen, *named, *options],
                                            cwd=self.folder, stdout=subprocess.PIPE, stderr=log)
        _running.add(self.process)
        self.line = self.process.stdout.readline().decode().strip()
        if not self.line.startswith("listening on "):
            self.kill()
            with open(self.log, encoding="utf-8") as log:
                raise RuntimeError("the server did not start: " + log.read())
        self.url = self.line.removeprefix("listening on ")
        self.port = urllib.parse.urlsplit(self.url).port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def errors(self):
        with open(self.log, encoding="utf-8") as log:
            return log.read()

    def kill(self):
        self.end(signal.SIGKILL)

    def end(self, by=signal.SIGTERM, timeout=LONG):
        """Sends a signal and waits. Returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        status = self.process.wait(timeout)
        self.process.stdout.close()
        _running.discard(self.process)
        return status

    def request(self, method, path, body=None, headers=None, timeout=LONG):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)) as connection:
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            return Reply(reply.status, reply.getheaders(), reply.read())

    def post(self, path, fields, headers=None):
        body = fields if isinstance(fields, (str, bytes)) else urllib.parse.urlencode(fields)
        return self.request("POST", path, body, {**FORM, **(headers or {})})

    def login(self, sub="alice", scope="openid profile", client_id="TENANT_CLIENT_ID"):
        """Logs a user in; returns the refresh token."""
        reply = self.post("/demo/login", {"client_id": client_id, "sub": sub, "scope": scope})
        if reply.status != 200:
            raise RuntimeError(f"the login failed: {reply}")
        return reply.json["refresh_token"]

    def refresh(self, token, client=TENANT, headers=None, **more):
        return self.post("/oauth2/token", {"grant_type": "refresh_token", "refresh_token": token, **client, **more},
                         headers)

    def connect(self, timeout=LONG):
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def raw(self, text, timeout=LONG):
        """Sends bytes as they are; returns the first answer, and what came behind it before the server hung up or a
        moment passed."""
        with self.connect(timeout) as line:
            line.sendall(text)
            reply = read_reply(line)
            line.settimeout(0.1)
            rest = b""
            with contextlib.suppress(OSError):
                while piece := line.recv(65536):
                    rest += piece
            return reply, rest


def read_reply(line, has_body=True):
    """Reads one answer from a socket."""
    text = b""
    while b"\r\n\r\n" not in text:
        piece = line.recv(65536)
        if not piece:
            return Reply(0, [], text)
        text += piece
    head, _, body = text.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    reply = Reply(int(first.split()[1]), [tuple(each.split(": ", 1)) for each in lines], body)
    size = int(reply.header("Content-Length") or 0) if has_body else 0
    while len(reply.body) < size:
        piece = line.recv(65536)
        if not piece:
            break
        reply.body += piece
    return reply


def until(condition, seconds=LONG):
    """Waits for something to become true. False: it did not finish."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
