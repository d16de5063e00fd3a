#!/usr/bin/env python3
# tests/hosts/nginx.py - nginx in front of a FastCGI program, from the nginx.conf.in that a user would take over.
# SPDX-License-Identifier: MIT
"""Runs nginx without root's rights, in a scratch folder, on free ports of the loopback interface.

  nginx.py --self-test PROGRAM    starts PROGRAM (regrant_host_fastcgi) and nginx, asks over HTTP/2 and HTTP/1.1

As a module: `with nginx.in_front_of(fastcgi_port) as server:` gives server.http_url, server.https_url and
server.certificate, a file to trust.
"""
import contextlib
import http.client
import json
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

HERE = Path(__file__).resolve().parent
API_PAGE_CLIENT = {"client_id": "TENANT_CLIENT_ID", "client_secret": "TENANT_CLIENT_SECRET"}


def unprivileged():
    """Whom root becomes for nginx; others stay who they are."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("www-data" if "www-data" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def program_of():
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if program is None:
        raise SystemExit("nginx is not installed (Debian, Ubuntu: nginx-light)")
    return program


def version():
    """What nginx says of itself: `nginx version: nginx/1.22.1`."""
    return subprocess.run([program_of(), "-v"], capture_output=True, text=True, check=False).stderr


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def is_open(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Nginx:
    """One nginx in one folder."""

    def __init__(self, folder, fastcgi_port):
        self.folder, self.fastcgi_port, self.process = Path(folder), fastcgi_port, None
        self.certificate = self.folder / "certificate.pem"
        self.http_port = self.https_port = 0

    @property
    def http_url(self):
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def https_url(self):
        return f"https://localhost:{self.https_port}"

    def make_certificate(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(self.folder / "key.pem"),
             "-out", str(self.certificate)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def write_configuration(self):
        self.http_port, self.https_port = free_ports(2)
        values = {"folder": self.folder, "fastcgi_port": self.fastcgi_port, "http_port": self.http_port,
                  "https_port": self.https_port}
        text = (HERE / "nginx.conf.in").read_text(encoding="utf-8")
        filled = re.sub(r"@(\w+)@", lambda name: str(values[name[1]]), text)
        (self.folder / "nginx.conf").write_text(filled, encoding="utf-8")

    def start(self):
        program = program_of()
        who = unprivileged()
        self.make_certificate()
        # Somebody else may take a port between our looking and nginx's binding it; then others are tried.
        for _ in range(5):
            self.write_configuration()
            if who:
                for path in [self.folder, *self.folder.iterdir()]:
                    os.chown(path, who["user"], who["group"])
            self.process = subprocess.Popen(
                [program, "-p", str(self.folder), "-e", str(self.folder / "error.log"),
                 "-c", str(self.folder / "nginx.conf")], stderr=subprocess.PIPE, **who)
            deadline = time.monotonic() + 300
            while time.monotonic() < deadline and self.process.poll() is None:
                if is_open(self.http_port) and is_open(self.https_port):
                    return
                time.sleep(0.02)
            self.stop()
        raise RuntimeError("nginx does not start:\n" + self.error_log())

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(300)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stderr.close()

    def error_log(self):
        path = self.folder / "error.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


@contextlib.contextmanager
def in_front_of(fastcgi_port):
    """An nginx for as long as the `with` lasts; its folder goes with it."""
    with tempfile.TemporaryDirectory(prefix="regrant-nginx-") as folder:
        server = Nginx(folder, fastcgi_port)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def proxy_to(port):
    """The URL of an nginx that passes HTTP on to a port, and adds its caller to X-Forwarded-For."""
    with tempfile.TemporaryDirectory(prefix="regrant-proxy-") as folder:
        server = Proxy(folder, port)
        server.start()
        try:
            yield server.http_url
        finally:
            server.stop()


class Proxy(Nginx):
    """An nginx that speaks HTTP to what is behind it."""

    def make_certificate(self):
        pass

    def write_configuration(self):
        self.http_port, = free_ports(1)
        self.https_port = self.http_port
        (self.folder / "nginx.conf").write_text(f"""
            daemon off;
            pid {self.folder}/nginx.pid;
            events {{}}
            http {{
                access_log off;
                client_body_temp_path {self.folder}/body;
                proxy_temp_path {self.folder}/proxy;
                fastcgi_temp_path {self.folder}/fastcgi;
                uwsgi_temp_path {self.folder}/uwsgi;
                scgi_temp_path {self.folder}/scgi;
                server {{
                    listen 127.0.0.1:{self.http_port};
                    location / {{
                        proxy_pass http://127.0.0.1:{self.fastcgi_port};
                        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                    }}
                }}
            }}""", encoding="utf-8")


class Program:
    """A host example: started on a free port, stopped by its process id."""

    def __init__(self, path):
        self.path, self.process, self.port = path, None, 0

    def __enter__(self):
        self.process = subprocess.Popen([self.path, "--port", "0"], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", line)
        if not found:
            self.__exit__()
            raise RuntimeError(f"{self.path} does not start: {line!r}")
        self.port = int(found[1])
        return self

    def terminate(self):
        """Returns the exit status, None for one that does not end."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(300)
        except subprocess.TimeoutExpired:
            return None

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


# --- the self-test ---


class Tally:
    passed = failed = 0

    def expect(self, name, found, wanted):
        if found == wanted:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {name}\n  wanted {wanted!r}\n  found  {found!r}")


class Answer:
    """What came back, from curl or from http.client."""

    def __init__(self, status, headers, body, version=""):
        self.status, self.headers, self.body, self.version = status, headers, body, version

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return self.body

    @property
    def in_short(self):
        """What any error of the token endpoint must show."""
        return self.status, self.json, self.all("Content-Type"), self.all("Cache-Control")


def refusal(status, error="invalid_request"):
    return status, {"error": error}, ["application/json;charset=UTF-8"], ["no-store"]


def curl(server, url, *arguments, body=""):
    """Secrets go to curl on its standard input, so that they stand in no process list."""
    ran = subprocess.run(
        ["curl", "-sS", "-q", "--http2", "--cacert", str(server.certificate), "--max-time", "300", "--data-binary",
         "@-", "-D", "-", "-w", "%{stderr}%{http_version}", *arguments, url],
        input=body.encode(), capture_output=True, check=False)
    head, _, rest = ran.stdout.decode(errors="replace").rpartition("\r\n\r\n")
    lines = head.rpartition("\r\n\r\n")[2].split("\r\n")
    status = int(lines[0].split()[1]) if lines[0] else 0
    return Answer(status, [tuple(line.split(": ", 1)) for line in lines[1:]], rest, ran.stderr.decode())


def ask(server, method, path, headers=(), body=None, chunked=False):
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=300)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if chunked:
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders(iter([body[:7], body[7:]]), encode_chunked=True)
        else:
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
        got = connection.getresponse()
        return Answer(got.status, got.getheaders(), got.read().decode(errors="replace"))
    finally:
        connection.close()


def raw(server, text):
    """The first line of what comes for bytes that no client library would send, and the body."""
    with socket.create_connection(("127.0.0.1", server.http_port), 300) as connection:
        connection.sendall(text)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    status = int(lines[0].split()[1]) if lines[0] else 0
    return Answer(status, [tuple(line.split(": ", 1)) for line in lines[1:]], body.decode(), lines[0])


FORM = ("Content-Type", "application/x-www-form-urlencoded")
TOKEN = "/oauth2/token"
MEMBERS = ["access_token", "refresh_token", "scope", "id_token", "token_type", "expires_in"]


def form(**fields):
    return urllib.parse.urlencode(fields)


def check_tls(tally, server):
    login = curl(server, server.https_url + "/demo/login", body=form(client_id="TENANT_CLIENT_ID", sub="somebody"))
    token = login.json["refresh_token"]
    page = form(**API_PAGE_CLIENT, grant_type="refresh_token", refresh_token=token)
    answer = curl(server, server.https_url + TOKEN, body=page)
    tally.expect("the API page's request goes over HTTP/2", answer.version, "2")
    tally.expect("it is answered 200 (R65)", answer.status, 200)
    tally.expect("with the API page's members in its order (R65)", list(answer.json), MEMBERS)
    tally.expect("and told not to be stored, once", answer.all("cache-control"), ["no-store"])
    tally.expect("a body of 64 KiB over HTTP/2 is a JSON 413 (R9)",
                 curl(server, server.https_url + TOKEN, body="a=" + "b" * 65534).in_short, refusal(413))
    tally.expect("two Authorization headers over HTTP/2 are refused (R16)",
                 curl(server, server.https_url + TOKEN, "-H", "Authorization: Basic QTpC", "-H",
                      "Authorization: Basic QTpC", body=form(grant_type="refresh_token", refresh_token="x")).in_short,
                 refusal(400))
    get = curl(server, server.https_url + TOKEN, "-G")
    tally.expect("GET over HTTP/2 is 405 (R1)", (get.in_short, get.all("allow")), (refusal(405), ["POST, OPTIONS"]))


def check_http(tally, server):
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE"):
        answer = ask(server, method, TOKEN)
        tally.expect(f"{method} is 405 with Allow (R1)", (answer.in_short, answer.all("Allow")),
                     (refusal(405), ["POST, OPTIONS"]))
    head = ask(server, "HEAD", TOKEN)
    tally.expect("HEAD is 405 without a body (R1)", (head.status, head.body, head.all("Content-Length")),
                 (405, "", []))
    with_secret = form(**API_PAGE_CLIENT, grant_type="refresh_token", refresh_token="x")
    tally.expect("a body of 16 KiB is read (R9)",
                 ask(server, "POST", TOKEN, [FORM], (with_secret + "&z=").ljust(16384, "z").encode()).in_short,
                 refusal(400, "invalid_grant"))
    for size in (16385, 32768, 32769, 65536, 1 << 20):
        tally.expect(f"one of {size} bytes is a JSON 413 (R9)",
                     ask(server, "POST", TOKEN, [FORM], b"a" * size).in_short, refusal(413))
    tally.expect("a chunked body is read", ask(server, "POST", TOKEN, [FORM], with_secret.encode(), True).in_short,
                 refusal(400, "invalid_grant"))
    tally.expect("a chunked body of 64 KiB is a JSON 413 (R9)",
                 ask(server, "POST", TOKEN, [FORM], b"a" * 65536, True).in_short, refusal(413))
    tally.expect("a NUL in the body arrives as one, and is refused (R4)",
                 ask(server, "POST", TOKEN, [FORM], with_secret.encode() + b"&a=\0").in_short, refusal(400))
    tally.expect("the media type counts once though it comes twice (R2)",
                 ask(server, "POST", TOKEN, [("content-TYPE", FORM[1])], with_secret.encode()).in_short,
                 refusal(400, "invalid_grant"))
    tally.expect("two media types are no media type (R2)",
                 ask(server, "POST", TOKEN, [FORM, ("Content-Type", "text/plain")], with_secret.encode()).status, 415)
    tally.expect("a name with an underscore is another header",
                 ask(server, "POST", TOKEN, [("Content_Type", FORM[1])], with_secret.encode()).in_short, refusal(415))
    tally.expect("a wrong Basic secret is 401 (R21)",
                 ask(server, "POST", TOKEN, [FORM, ("AUTHORIZATION", "Basic QTpC")],
                     form(grant_type="refresh_token", refresh_token="x").encode()).in_short,
                 refusal(401, "invalid_client"))
    for one, other in (("QTpC", "QTpC"), ("QTpC", "QTpD")):
        tally.expect(f"Authorization headers {one} and {other} are refused (R16)",
                     ask(server, "POST", TOKEN, [FORM, ("Authorization", f"Basic {one}"),
                                                 ("authorization", f"Basic {other}")],
                         form(grant_type="refresh_token", refresh_token="x").encode()).in_short, refusal(400))
    tally.expect("a secret in the query is refused (R8)",
                 ask(server, "POST", TOKEN + "?a=1&client%5Fsecret=x", [FORM], with_secret.encode()).in_short,
                 refusal(400))
    tally.expect("another query is not looked at (R8)",
                 ask(server, "POST", TOKEN + "?a=%zz&a", [FORM], with_secret.encode()).in_short,
                 refusal(400, "invalid_grant"))
    tally.expect("what is no HTTP is a JSON 400", raw(server, b"\0\r\n\r\n").in_short, refusal(400))
    tally.expect("a transfer coding that nginx does not know is a JSON 400 (9112 6.1)",
                 raw(server, b"POST /oauth2/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n").in_short,
                 refusal(400))
    tally.expect("a version that nginx does not know is a JSON 400 (9110 2.5)",
                 raw(server, b"GET /oauth2/token HTTP/2.0\r\nHost: a\r\n\r\n").in_short, refusal(400))
    tally.expect("a header too large is a JSON 400",
                 ask(server, "POST", TOKEN, [FORM, ("Authorization", "a" * 9000)], b"").in_short, refusal(400))
    late = raw(server, b"POST /oauth2/token HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\n"
                       b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b")
    tally.expect("Expect: 100-continue is answered first", late.version, "HTTP/1.1 100 Continue")
    tally.expect("the status line has its second space (RFC 9112 4)",
                 raw(server, b"GET /oauth2/token HTTP/1.0\r\n\r\n").version, "HTTP/1.1 405 Error")
    health = ask(server, "GET", "/health")
    tally.expect("another route is the host's", (health.status, health.body, health.all("Cache-Control")),
                 (200, "ok", []))
    tally.expect("what is nowhere is 404", ask(server, "GET", "/nowhere").status, 404)


def check_end(tally, program, server):
    tally.expect("SIGTERM ends the program cleanly", program.terminate(), 0)
    down = ask(server, "POST", TOKEN, [FORM], b"a=b")
    tally.expect("nginx then says 503 in JSON, and when to try again (R51)", (down.in_short, down.all("Retry-After")),
                 (refusal(503, "temporarily_unavailable"), ["5"]))
    log = (server.folder / "access.log").read_text(encoding="utf-8")
    tally.expect("the log knows requests, and no query", ("POST /oauth2/token" in log, "client" in log), (True, False))


def spoken_to(program, body, parameters):
    """The program's answer to another web server, which speaks FastCGI as its specification, section 3, has it."""
    def record(kind, content):
        return struct.pack("!BBHHBx", 1, kind, 1, len(content), 0) + content

    def pair(name, value):
        return struct.pack("!BB", len(name), len(value)) + name.encode() + value.encode()

    begin, params, stdin, stdout = 1, 4, 5, 6
    text = b"".join(pair(name, value) for name, value in parameters)
    with socket.create_connection(("127.0.0.1", program.port), 300) as connection:
        connection.sendall(record(begin, struct.pack("!HB5x", 1, 0)) + record(params, text) + record(params, b"") +
                           record(stdin, body) + record(stdin, b""))
        received = b""
        while piece := connection.recv(65536):
            received += piece
    said = b""
    while received:
        _, kind, _, size, padding = struct.unpack("!BBHHBx", received[:8])
        said += received[8:8 + size] if kind == stdout else b""
        received = received[8 + size + padding:]
    head, _, body = said.decode().partition("\r\n\r\n")
    return int(head.split()[1]), body


def check_other_servers(tally, program):
    body = form(**API_PAGE_CLIENT, grant_type="refresh_token", refresh_token="x").encode()
    post = [("REQUEST_METHOD", "POST"), ("SCRIPT_NAME", TOKEN)]
    length = [("CONTENT_LENGTH", str(len(body)))]
    answered = (400, '{"error":"invalid_grant"}')
    tally.expect("CONTENT_TYPE alone will do, as from Apache",
                 spoken_to(program, body, post + length + [("CONTENT_TYPE", FORM[1])]), answered)
    tally.expect("beside HTTP_CONTENT_TYPE it does not count",
                 spoken_to(program, body, post + length + [("CONTENT_TYPE", "text/plain"),
                                                           ("HTTP_CONTENT_TYPE", FORM[1])]), answered)
    tally.expect("a body without a length is read to its end",
                 spoken_to(program, body, post + [("CONTENT_TYPE", FORM[1])]), answered)
    tally.expect("a body that was cut is none (9112 8)",
                 spoken_to(program, body, post + [("CONTENT_TYPE", FORM[1]), ("CONTENT_LENGTH", str(len(body) + 1))]),
                 (400, '{"error":"invalid_request"}'))


def check_end_while_stalled(tally, path):
    with Program(path) as program, socket.create_connection(("127.0.0.1", program.port)):
        time.sleep(0.2)
        tally.expect("SIGTERM ends the program though a web server keeps a connection", program.terminate(), 0)


def self_test(path):
    tally = Tally()
    check_end_while_stalled(tally, path)
    with Program(path) as program, in_front_of(program.port) as server:
        check_tls(tally, server)
        check_http(tally, server)
        check_other_servers(tally, program)
        check_end(tally, program, server)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "--self-test":
        raise SystemExit(__doc__)
    sys.exit(self_test(sys.argv[2]))
