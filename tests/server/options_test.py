# tests/server/options_test.py - every option of the example server, and everything it refuses.
# SPDX-License-Identifier: MIT
import base64
import json
import os
import re
import signal
import socket
import stat
import subprocess
import time

from _support import Server, check, finish, new_folder, run

MADE = {"regrant-signing.pem", "regrant-token.key", "regrant.db", "regrant.db-wal", "regrant.db-shm"}
KEY = base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
GOOD = {"client_id": "web", "client_secret": "s3cret", "token_endpoint_auth_method": "client_secret_basic",
        "scope": "openid"}


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(text)
    return name


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def refused(folder, *options):
    """Whether these options end in a message and exit status 2, with nothing created."""
    before = sorted(os.listdir(folder))
    status, out, err = run(*options, folder=folder)
    return status == 2 and out == "" and err.startswith("regrant_server: ") and sorted(os.listdir(folder)) == before, \
        (status, out, err, os.listdir(folder))


def wrong_options():
    folder = new_folder()
    for options in (
            ["--listen", "127.0.0.1"], ["--listen", "127.0.0.1:"], ["--listen", ":8080"], ["--listen", "127.0.0.1:65536"],
            ["--listen", "127.0.0.1:-1"], ["--listen", "127.0.0.1:80x"], ["--listen", "::1:8080"], ["--listen"],
            ["--listen", "not-a-host.invalid:8080"],
            ["--issuer", "id.example"], ["--issuer", "ftp://id.example"], ["--issuer", "https://"],
            ["--issuer", "https://id.example/?a=b"], ["--issuer", "https://id.example/#a"], ["--issuer", ""],
            ["--store", "memory"], ["--store", "sqlite:"], ["--store", "redis:localhost"],
            ["--store", "sqlite:missing/folder/regrant.db"], ["--store", "sqlite:."],
            ["--profile", "jwt"], ["--profile", "CIAM"], ["--profile", "rfc9068"],
            ["--signing-key", ""], ["--signing-key", "missing/key.pem"], ["--signing-key", "."],
            ["--token-key", "missing/token.key"], ["--token-key", "."], ["--token-key", "regrant-signing.pem"],
            ["--clients", "missing.json"], ["--clients", "."],
            ["--access-lifetime", "0"], ["--access-lifetime", "-1"], ["--access-lifetime", "5m"],
            ["--access-lifetime", "99999999999999999999"], ["--id-lifetime", "0"], ["--id-lifetime", "x"],
            ["--idle-lifetime", "0"], ["--absolute-lifetime", "0"], ["--absolute-lifetime", ""],
            ["--retry-window", "-1"], ["--retry-window", "1.5"], ["--threads", "0"], ["--threads", "many"],
            ["--threads"], ["--thread", "8"], ["--check=yes"], ["check"], ["-h"]):
        good, seen = refused(folder, *options)
        check(f"refused with a message, exit 2 and nothing created: {' '.join(options)}", good, seen)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        good, seen = refused(folder, "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        check("a port that is taken is refused, and nothing created", good, seen)
    with Server() as first:
        good, seen = refused(folder, "--listen", f"127.0.0.1:{first.port}")
        check("two servers do not share a port unnoticed", good, seen)


def wrong_files():
    folder = new_folder()
    for what, text in {
            "an empty file": "", "no JSON": "client", "an object": json.dumps(GOOD), "junk after the JSON": "[] x",
            "a client that is no object": "[1]", "no client_id": json.dumps([{**GOOD, "client_id": ""}]),
            "no client_secret": json.dumps([{k: v for k, v in GOOD.items() if k != "client_secret"}]),
            "an empty client_secret": json.dumps([{**GOOD, "client_secret": ""}]),
            "three secrets": json.dumps([{**GOOD, "client_secret": ["a", "b", "c"]}]),
            "an unknown method": json.dumps([{**GOOD, "token_endpoint_auth_method": "private_key_jwt"}]),
            "a malformed scope": json.dumps([{**GOOD, "scope": "openid  email"}]),
            "a number for a scope": json.dumps([{**GOOD, "scope": 1}]),
            "one client twice": json.dumps([GOOD, GOOD]),
            "a public client with a secret": json.dumps([{**GOOD, "token_endpoint_auth_method": "none"}]),
            "a huge number": '[{"client_id":"a","not_before":1e999}]',
            "deep nesting": "[" * 100000}.items():
        good, seen = refused(folder, "--clients", write(folder, "clients.json", text))
        check(f"registrations with {what} are refused, and nothing created", good, seen)
    public = {"client_id": "spa", "token_endpoint_auth_method": "none", "scope": "openid", "rotate": False}
    good, seen = refused(folder, "--clients", write(folder, "clients.json", json.dumps([public])))
    check("a public client that does not rotate is refused when it is loaded (R37, 9700 2.2.2)", good, seen)
    check("and the message says which client", "spa" in seen[2], seen)

    for what, text in {
            "a short key": "1:" + KEY[:40] + "\n", "no key": "# nothing\n\n", "no id": KEY + "\n", "id 256": f"256:{KEY}\n",
            "a negative id": f"-1:{KEY}\n", "a word for an id": f"one:{KEY}\n", "padding": f"1:{KEY}=\n",
            "a foreign character": f"1:{KEY[:-1]}+\n", "an id alone": "1:\n"}.items():
        good, seen = refused(folder, "--token-key", write(folder, "token.key", text))
        check(f"a token key file with {what} is refused, and nothing created", good, seen)
    good, seen = refused(folder, "--token-key", write(folder, "token.key", f"1:{KEY}\n1:{KEY}\n"))
    check("a token key file with one id twice is refused (R54)", good, seen)

    for what, options in {"1024 bits": ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
                          "an elliptic curve": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]}.items():
        subprocess.run(["openssl", "genpkey", "-quiet", "-algorithm", *options, "-out", "key.pem"], cwd=folder,
                       check=True, capture_output=True)
        good, seen = refused(folder, "--signing-key", "key.pem")
        check(f"a signing key of {what} is refused (R97, 7518 3.3)", good, seen)
    good, seen = refused(folder, "--signing-key", write(folder, "key.pem", "no key\n"))
    check("a signing key that is none is refused", good, seen)
    good, seen = refused(folder, "--store", "sqlite:" + write(folder, "grants.db", "this is no database" * 100))
    check("a store that is no database is refused, and no key is made", good, seen)
    with open(os.path.join(folder, "grants.db"), encoding="utf-8") as file:
        check("and it is left as it was", file.read() == "this is no database" * 100)


def secrets():
    folder = new_folder()
    for options in (["--store", "postgresql:app:hunter2@db/x"], ["--store", "mysql://app:hunter2@db/x"],
                    ["--store", "postgres://app:hunter2@127.0.0.1:1/x"], ["--store", "redis://app:hunter2@127.0.0.1:1"],
                    ["--store-file", write(folder, "store", "mysql://app:hunter2@db/x\n")],
                    ["--store-file", write(folder, "store", "postgres://app:hunter2@127.0.0.1:1/x\n")]):
        good, seen = refused(folder, *options)
        check(f"no message repeats a password (R248): {options[0]}", good and "hunter2" not in str(seen), seen)
    good, seen = refused(folder, "--store", "memory:", "--store-file", "store")
    check("a store is named once", good, seen)
    good, seen = refused(folder, "--store-file", "missing")
    check("a store's file that is missing is refused (R250)", good, seen)
    write(folder, "store", "memory:\n")
    with Server("--store-file", "store", folder=folder, store=None) as server:
        check("a store is read from a file, so that it stands in no process list (R250)",
              server.refresh(server.login()).status == 200)
    os.environ["REGRANT_STORE"] = "sqlite:from-environment.db"
    with Server(folder=folder, store=None) as server:
        check("or from the environment (R250)", server.refresh(server.login()).status == 200)
    check("and it is the one", os.path.exists(os.path.join(folder, "from-environment.db")))
    del os.environ["REGRANT_STORE"]

    os.rename(os.path.join(folder, "regrant-token.key"), os.path.join(folder, "elsewhere.key"))
    with Server(folder=folder, store="sqlite:from-environment.db") as server:
        check("a token key that is made beside a store with logins is warned of (R249)",
              "the store holds logins" in server.errors(), server.errors())

    subprocess.run(["openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-aes256", "-pass", "pass:hunter2", "-out",
                    "encrypted.pem"], cwd=folder, check=True, capture_output=True)
    status, out, err = run("--check", "--signing-key", "encrypted.pem", folder=folder)
    check("an encrypted key without a passphrase is told so (R247)", status == 2 and "no passphrase" in err, status, err)
    write(folder, "wrong", "hunter3\n")
    status, out, err = run("--check", "--signing-key", "encrypted.pem", "--signing-key-passphrase-file", "wrong", folder=folder)
    check("a wrong passphrase is told so, and not repeated (R247, R248)",
          status == 2 and "this passphrase" in err and "hunter3" not in err, status, err)
    write(folder, "right", "hunter2\n")
    status, out, err = run("--check", "--signing-key", "encrypted.pem", "--signing-key-passphrase-file", "right", folder=folder)
    check("the right one opens the key (R250)", status == 0, status, err)


def told_by_check():
    folder = new_folder()
    misspelled = {**GOOD, "allowed_origin": [], "rotation": True}
    status, out, err = run("--check", "--clients", write(folder, "clients.json", json.dumps([misspelled])), folder=folder)
    check("--check names misspelled members and what was meant (R247)",
          status == 0 and 'did you mean "allowed_origins"?' in err and 'did you mean "rotate"?' in err
          and err.count("clients.json: client \"web\": ") == 2, status, err)
    status, out, err = run("--check", "--clients", write(folder, "clients.json", "[\n{\"client_id\": \"web\",\n}]"), folder=folder)
    check("a file that is no JSON is told by file, line and column (R247)",
          status == 2 and "clients.json: line 3, column 1: " in err, status, err)
    for option in ("--signing-key", "--token-key"):
        status, out, err = run("--check", option, "missing/some.key", folder=folder)
        check(f"--check promises no key that a start could not make (R247): {option}",
              status == 2 and "none can be made in its folder" in err, status, out, err)


def defaults():
    folder = new_folder()
    status, out, err = run("--check", folder=folder)
    check("--check without files says what a start would make, and makes nothing",
          status == 0 and out.count("a start makes it") == 2 and err == "" and os.listdir(folder) == [],
          status, out, err)
    os.umask(0)
    with Server(folder=folder, store="sqlite:regrant.db") as server:
        files = set(os.listdir(folder)) - {"stderr.txt"}
        modes = {name: stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) for name in files}
        check("it makes two keys and a store, and nothing beside", files == MADE, files)
        check("what it makes is for its owner alone", set(modes.values()) == {0o600}, modes)
        check("it says where it listens, in one line", re.fullmatch(r"listening on http://127\.0\.0\.1:\d+", server.line))
        token = server.login()
        issuer = claims(server.refresh(token).json["access_token"])["iss"]
        check("the issuer is the address it listens on", issuer == server.url, issuer)
        server.process.send_signal(signal.SIGTERM)
        check("SIGTERM ends it with status 0, and it says nothing more",
              server.end() == 0 and os.path.getsize(server.log) == 0)
    os.umask(0o022)
    with open(os.path.join(folder, "regrant-token.key"), encoding="utf-8") as file:
        key_lines = [line for line in file.read().splitlines() if not line.startswith("#")]
    check("the token key file has one line of ID:BASE64URL-OF-32-BYTES",
          len(key_lines) == 1 and re.fullmatch(r"\d+:[\w-]{43}", key_lines[0]))
    bits = subprocess.run(["openssl", "pkey", "-in", "regrant-signing.pem", "-noout", "-text"], cwd=folder,
                          capture_output=True, text=True, check=True).stdout
    check("the signing key it makes is RSA of 2048 bits", "2048 bit" in bits, bits[:100])
    status, out, err = run("--check", folder=folder)
    check("--check with good files says so", status == 0 and out.count(": good") == 2, status, out, err)
    with Server(folder=folder, store="sqlite:regrant.db") as server:
        check("after a restart the same keys and store go on", server.refresh(token).status == 200)
        server.process.send_signal(signal.SIGINT)
        check("SIGINT ends it with status 0", server.end(signal.SIGINT) == 0)


def values():
    folder = new_folder()
    other = base64.urlsafe_b64encode(bytes(range(1, 33))).decode().rstrip("=")
    write(folder, "token.key", f"# the ring\n7:{KEY}\n200:{other}  # older\r\n")
    write(folder, "clients.json", json.dumps([
        {**GOOD, "client_secret": ["old", "new"], "allowed_origins": ["https://app.example"]},
        {"client_id": "echo", "client_secret": "x", "token_endpoint_auth_method": "client_secret_post",
         "scope": "read", "rotate": False}]))
    options = ["--issuer", "https://id.example/tenant", "--profile", "rfc9068", "--audience", "https://api.example",
               "--signing-key", "k.pem", "--token-key", "token.key", "--clients", "clients.json",
               "--access-lifetime", "60", "--id-lifetime", "120", "--idle-lifetime", "3600",
               "--absolute-lifetime", "7200", "--retry-window", "0", "--threads", "2"]
    with Server(*options, folder=folder) as server:
        first = server.login(client_id="web", scope="openid")
        check("the first token key mints (R54)", base64.urlsafe_b64decode(first)[1] == 7)
        basic = lambda secret: {"Authorization": "Basic " + base64.b64encode(f"web:{secret}".encode()).decode()}
        reply = server.refresh(first, client={}, headers=basic("old"))
        access, identity = claims(reply.json["access_token"]), claims(reply.json["id_token"])
        check("--issuer, --profile and --audience reach the tokens (R91, R92, 9068 2.2)",
              access["iss"] == identity["iss"] == "https://id.example/tenant" and access["client_id"] == "web"
              and access["aud"] == "https://api.example", access)
        check("--access-lifetime and --id-lifetime reach the tokens",
              access["exp"] - access["iat"] == 60 and identity["exp"] - identity["iat"] == 120
              and reply.json["expires_in"] in (59, 60), access, identity)
        check("the second of two live secrets is good too (R31)",
              server.refresh(reply.json["refresh_token"], client={}, headers=basic("new")).status == 200)
        check("--retry-window 0 is strict single use (R49)",
              server.refresh(first, client={}, headers=basic("new")).is_error(400, "invalid_grant"))
        echo = {"client_id": "echo", "client_secret": "x"}
        token = server.login(client_id="echo", scope="read")
        check("rotate false gives the same refresh token back (R41)",
              all(server.refresh(token, client=echo).json["refresh_token"] == token for _ in range(3)))
        check("a client that is not in the file is unknown",
              server.refresh(first).is_error(400, "invalid_client"))
        metadata = server.request("GET", "/.well-known/openid-configuration").json
        check("the metadata speak of the issuer that was given (R114)",
              metadata["issuer"] == "https://id.example/tenant"
              and metadata["token_endpoint"] == "https://id.example/tenant/oauth2/token")
        check("allowed_origins switch cross-origin requests on (R115)",
              server.request("GET", "/oauth2/token").header("Allow") == "POST, OPTIONS")
    write(folder, "token.key", f"200:{other}\n7:{KEY}\n")
    with Server(*options, folder=folder, listen="0.0.0.0:0") as server:
        with open(server.log, encoding="utf-8") as log:
            check("it warns when the demo login is served on other than loopback",
                  "warning" in log.read() and server.line.startswith("listening on http://0.0.0.0:"))
        check("a ring that was turned round mints with its new first key (R54)",
              base64.urlsafe_b64decode(server.login(client_id="web", scope="openid"))[1] == 200)
    # A busy machine may need longer than a lifetime between two lines.
    for lifetime in (1, 4, 16, 64):
        with Server("--idle-lifetime", str(lifetime), "--absolute-lifetime", str(lifetime), listen="localhost:0") as server:
            token = server.login()
            first = server.refresh(token)
            if first.status != 200 and lifetime != 64:
                continue
            check("a token within its lifetime is good", first.status == 200, first)
            time.sleep(lifetime + 0.1)
            check("--idle-lifetime and --absolute-lifetime end a login (R42, R43)",
                  server.refresh(token).is_error(400, "invalid_grant"))
            break


wrong_options()
wrong_files()
secrets()
told_by_check()
defaults()
values()
finish()
