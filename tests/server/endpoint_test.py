# tests/server/endpoint_test.py - the token endpoint as it looks on the wire.
# SPDX-License-Identifier: MIT
import base64
import concurrent.futures
import contextlib
import http.client
import json
import os
import socket
import subprocess
import time

from _support import FORM, LONG, TENANT, Server, check, finish, new_folder, read_reply, until

MEMBERS = ["access_token", "refresh_token", "scope", "id_token", "token_type", "expires_in"]
CLIENTS = [
    {"client_id": "TENANT_CLIENT_ID", "client_secret": "TENANT_CLIENT_SECRET",
     "token_endpoint_auth_method": "client_secret_post", "scope": "openid profile email offline_access"},
    {"client_id": "SPA_CLIENT_ID", "token_endpoint_auth_method": "none", "scope": "openid profile",
     "allowed_origins": ["https://app.example"]},
    {"client_id": "basic", "client_secret": "a+b%c:d", "token_endpoint_auth_method": "client_secret_basic",
     "scope": "openid profile"},
    {"client_id": "other", "client_secret": "o", "token_endpoint_auth_method": "client_secret_post",
     "scope": "openid", "grant_types": ["authorization_code"], "allowed_origins": ["https://other.example"]},
]


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def head(path="/oauth2/token", method="POST", *lines):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def form_of(token):
    return (f"client_id=TENANT_CLIENT_ID&client_secret=TENANT_CLIENT_SECRET&grant_type=refresh_token"
            f"&refresh_token={token}").encode()


def request(token, *lines, path="/oauth2/token"):
    """A good refresh request; `lines` come on top."""
    body = form_of(token)
    return head(path, "POST", "Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}",
                *lines) + body


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def part(token, which):
    return json.loads(decode(token.split(".")[which]))


def the_api_page(server):
    login = server.post("/demo/login", {"client_id": "TENANT_CLIENT_ID", "sub": "alice", "scope": "openid"}).json
    token = login["refresh_token"]
    body = form_of(token)
    before = int(time.time())
    reply, rest = server.raw(b"POST /oauth2/token HTTP/1.1\r\nHost: sample.portal.tencentciam.com\r\n"
                             b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(body)
                             + body)
    after = time.time()
    answer = reply.json
    check("the API page's request gets 200 and its content type (R65, R73)",
          reply.status == 200 and reply.header("Content-Type") == "application/json;charset=UTF-8", reply)
    check("with exactly the page's members in the page's order (R65)", list(answer) == MEMBERS, list(answer))
    check("in compact JSON without a BOM or control bytes (R71, R73)",
          reply.body == json.dumps(answer, separators=(",", ":")).encode() and reply.body[:1] == b"{")
    check("the Content-Length is that of the body, and nothing follows (R71)",
          int(reply.header("Content-Length")) == len(reply.body) and rest == b"", rest)
    check("no cache may keep it (6749 5.1)", reply.is_dressed(), reply)
    check("token_type is Bearer and scope what was granted (R55, R68)",
          answer["token_type"] == "Bearer" and answer["scope"] == "openid", answer)
    access, identity = part(answer["access_token"], 1), part(answer["id_token"], 1)
    check("expires_in is an integer and never more than the token has (R67)",
          isinstance(answer["expires_in"], int) and answer["expires_in"] in (299, 300), answer["expires_in"])
    check("the access token has the page's header and claims in their order (R89, R90)",
          list(part(answer["access_token"], 0)) == ["kid", "typ", "alg"]
          and list(access) == ["sub", "aud", "nbf", "scope", "iss", "exp", "iat", "jti"]
          and access["scope"] == ["openid"] and access["aud"] == "TENANT_CLIENT_ID", access)
    check("the id_token has the page's claims in their order, and no nonce (R78, R84)",
          list(identity) == ["sub", "aud", "azp", "iss", "exp", "iat", "jti"] and identity["sub"] == "alice", identity)
    original = part(login["id_token"], 1)
    check("the id_token's iss, sub, aud and azp are those of the login, its iat is now (R78-R81, R83, OIDC 12.2)",
          all(identity[name] == original[name] for name in ("iss", "sub", "aud", "azp"))
          and before <= identity["iat"] <= after, original, identity)
    check("each token has a jti of its own, and nbf is not after iat (R104)", access["nbf"] <= access["iat"]
          and len({access["jti"], identity["jti"], original["jti"], part(login["access_token"], 1)["jti"]}) == 4)
    reply, _ = server.raw(request("MOCK_REFRESH_TOKEN"))
    check("the page's error sample, byte for byte (R32, R72, R73, R75)", reply.is_error(400, "invalid_grant"), reply)
    check("no answer names a server, a version or a file (R76)",
          not reply.header("Server") and not reply.header("X-Powered-By"), reply)
    token = server.login(scope="profile")
    check("without openid there is no id_token (R77)",
          list(server.refresh(token).json) == [m for m in MEMBERS if m != "id_token"])


def methods(server):
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
        reply = server.request(method, "/oauth2/token")
        check(f"{method} gets 405 with Allow (R1, 9110 15.5.6)",
              reply.is_error(405) and reply.header("Allow") == "POST, OPTIONS", reply)
    with server.connect() as line:
        line.sendall(head(method="HEAD"))
        reply = read_reply(line, has_body=False)
        check("a HEAD gets 405 without a body (R1, 6749 3.2)",
              reply.status == 405 and reply.header("Allow") == "POST, OPTIONS" and reply.body == b"", reply)
        line.sendall(request(server.login()))
        check("and the connection goes on behind it", read_reply(line).status == 200)
    reply = server.request("PUT", "/oauth2/token", form_of(server.login()), FORM)
    check("a PUT with a good body is refused all the same (R1)", reply.is_error(405), reply)
    reply, rest = server.raw(head("/oauth2/token", "GET", "Content-Length: 5") + b"a=b&c" + head(method="GET"))
    check("a body of a GET is not taken for a request", reply.is_error(405) and rest == b"", reply, rest)


def media_types(server):
    token = server.login()
    for wrong in ("application/json", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded2", ""):
        reply = server.post("/oauth2/token", form_of(token), {"Content-Type": wrong})
        check(f"the media type {wrong or '(empty)'} gets 415 (R2, 9110 15.5.16)", reply.is_error(415), reply)
    body = form_of(token)
    reply, _ = server.raw(head("/oauth2/token", "POST", f"Content-Length: {len(body)}") + body)
    check("no media type gets 415 (R2)", reply.is_error(415), reply)
    reply = server.post("/oauth2/token", body, {"Content-Type": "application/x-www-form-urlencoded; charset=ISO-8859-1"})
    check("another charset is accepted for an ASCII form (R3)", reply.status == 200, reply)
    reply = server.post("/oauth2/token", body, {"Content-Type": "Application/X-WWW-Form-urlencoded ; Charset=utf-8"})
    check("case and charset=UTF-8 do not matter (R3, 9110 8.3.1)", reply.status == 200, reply)
    for what, text in {
            "that is whole": b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n",
            "without its end": b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb",
            "that is none": b"grant_type=refresh_token", "that is empty": b""}.items():
        for boundary in ("; boundary=x", "; boundary=y", "; boundary=\"", ""):
            reply = server.post("/oauth2/token", text, {"Content-Type": "multipart/form-data" + boundary})
            check(f"a multipart body {what}{boundary} gets 415 (R2)", reply.is_error(415), reply)


def bodies(server):
    token = server.login()
    for what, extra in {
            "a cut escape": "&a=%2", "a foreign escape": "&a=%zz", "a byte that is no UTF-8": "&a=%FF", "a NUL": "&a=%00"
            }.items():
        check(f"{what} gets 400 (R4, 6749 App. B)",
              server.post("/oauth2/token", form_of(token) + extra.encode()).is_error(400))
    for twice in ("grant_type=refresh_token", "client_id=TENANT_CLIENT_ID", "x=1&x=1", "x=&x=1"):
        check(f"a name that occurs twice gets 400, by {twice} (R7, 6749 3.2)",
              server.post("/oauth2/token", form_of(token) + b"&" + twice.encode()).is_error(400))
    check("no grant_type gets 400 (R10)", server.post("/oauth2/token", {"refresh_token": token}).is_error(400))
    check("an empty grant_type is none (R5)",
          server.post("/oauth2/token", {"grant_type": "", "refresh_token": token}).is_error(400))
    for other in ("password", "Refresh_Token", "authorization_code"):
        check(f"the grant_type {other} is unsupported (R11)",
              server.refresh(token, grant_type=other).is_error(400, "unsupported_grant_type"))
    check("no refresh_token gets 400, before the client is looked at (R12)",
          server.post("/oauth2/token", {"grant_type": "refresh_token", "client_id": "nobody"}).is_error(400))
    check("a refresh_token outside printable ASCII is invalid_grant (R13)",
          server.refresh(token + "\u00e4").is_error(400, "invalid_grant"))
    fill = 16 * 1024 - len(form_of(token)) - 3
    check("a body of 16384 bytes is taken, and unknown names are passed over (R6, R9)",
          server.post("/oauth2/token", form_of(token) + b"&x=" + b"y" * fill).status == 200)
    token = server.login()
    check("a body of 16385 bytes gets 413 (R9, 9110 15.5.14)",
          server.post("/oauth2/token", form_of(token) + b"&x=" + b"y" * (fill + 1)).is_error(413))
    for size in (100_000, 900_000, 8_000_000):
        check(f"a body of {size} bytes gets 413 too (R9)",
              server.post("/oauth2/token", form_of(token) + b"&x=" + b"y" * size).is_error(413))
    fields = b"".join(b"&f%d=1" % i for i in range(97))
    check("101 fields get 413 (R9)", server.post("/oauth2/token", form_of(token) + fields).is_error(413))
    check("none of these has spent the token, and 100 fields are good",
          server.post("/oauth2/token", form_of(token) + fields[:-len(b"&f96=1")]).status == 200)
    reply, _ = server.raw(request(server.login(), "Range: bytes=0-3"))
    check("a Range does not cut the answer (9110 14.2)", reply.status == 200 and list(reply.json) == MEMBERS, reply)


def framing(server):
    token = server.login()
    body = form_of(token)
    form = "Content-Type: application/x-www-form-urlencoded"
    good, length = f"Content-Length: {len(body)}", len(body)
    for what, lines in {
            "two different Content-Lengths": [good, "Content-Length: 3"],
            "two different Content-Lengths, the good one last": ["Content-Length: 3", good],
            "a list of Content-Lengths": [f"Content-Length: {length}, {length + 1}"],
            "a negative Content-Length": ["Content-Length: -1"], "a word for a Content-Length": ["Content-Length: all"],
            "a Content-Length with a sign": [f"Content-Length: +{length}"],
            "a Content-Length of 2^64": ["Content-Length: 18446744073709551616"],
            "Content-Length beside chunks": [good, "Transfer-Encoding: chunked"],
            "an unknown transfer coding": ["Transfer-Encoding: gzip, chunked"],
            "neither length nor chunks": []}.items():
        reply, rest = server.raw(head("/oauth2/token", "POST", form, *lines) + body)
        check(f"{what}: 400, and what follows is no request (9112 6.3)",
              reply.is_error(400) and b" 200 " not in rest, reply, rest)
    reply, _ = server.raw(head("/oauth2/token", "POST", "Content-Type: text/plain", good, "Content-Length: 3") + body)
    check("two Content-Lengths and another media type: 400 (9112 6.3)", reply.is_error(400), reply)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:7], body[7:60], body[60:])) + b"0\r\n\r\n"
    for what, text in {"a chunk with a foreign size": b"zz\r\n" + body, "a negative chunk": b"-5\r\nabcde\r\n0\r\n\r\n",
                       "a last chunk without its end": chunks[:-2] + b"x"}.items():
        reply, _ = server.raw(head("/oauth2/token", "POST", form, "Transfer-Encoding: chunked") + text)
        check(f"{what} gets 400", reply.is_error(400), reply)
    with server.connect() as line:
        line.sendall(head("/oauth2/token", "POST", form, "Transfer-Encoding: chunked") + chunks)
        reply = read_reply(line)
        check("a body in chunks is read", reply.status == 200, reply)
        line.sendall(head("/oauth2/token", "POST", form, f"Content-Length: {len(body)}") + body)
        check("and the connection serves the next request behind it (9112 7.1)", read_reply(line).status == 200)
    big = b"%x\r\n%s\r\n" % (20000, b"x" * 20000) + b"0\r\n\r\n"
    reply, _ = server.raw(head("/oauth2/token", "POST", form, "Transfer-Encoding: chunked") + big)
    check("a body in chunks beyond the limit gets 413 (R9)", reply.is_error(413), reply)
    for what, text in {"no request": b"hello\r\n\r\n", "a header without a colon": head("/oauth2/token", "GET", "x"),
                       "a long header": head("/oauth2/token", "GET", "X: " + "y" * 9000),
                       "a long URI": head("/oauth2/token?" + "y" * 9000)}.items():
        reply, _ = server.raw(text)
        check(f"{what} gets a JSON error that tells nothing (R76)",
              reply.status in (400, 405, 414, 415) and reply.error() == "invalid_request" and reply.is_dressed(), reply)
    for path in ("/", "/oauth2", "/oauth2/token/", "/demo/login"):
        reply = server.request("GET", path)
        check(f"GET {path} gets 404 in JSON (R76)", reply.is_error(404), reply)
    reply = server.request("POST", "/elsewhere", "x" * 100_000)
    check("a POST elsewhere gets 404, and its body is borne (R76)", reply.is_error(404), reply)


def clients(server):
    token = server.login(client_id="basic")
    good = basic("basic", "a%2Bb%25c%3Ad")
    alone = {"grant_type": "refresh_token", "refresh_token": token}
    for what, headers in {"two Authorization headers": ["a%2Bb%25c%3Ad", "a%2Bb%25c%3Ad"],
                          "two different ones": ["a%2Bb%25c%3Ad", "x"]}.items():
        lines = ["Authorization: " + basic("basic", password)["Authorization"] for password in headers]
        body = f"grant_type=refresh_token&refresh_token={token}".encode()
        reply, _ = server.raw(head("/oauth2/token", "POST", "Content-Type: application/x-www-form-urlencoded",
                                   f"Content-Length: {len(body)}", *lines) + body)
        check(f"{what} get 400 (R16, 6749 2.3)", reply.is_error(400), reply)
    check("Authorization and client_secret get 400 (R16)",
          server.post("/oauth2/token", {**alone, "client_secret": "x"}, good).is_error(400))
    check("Authorization and another client_id get 400 (R16)",
          server.post("/oauth2/token", {**alone, "client_id": "other"}, good).is_error(400))
    for what, headers in {
            "a wrong secret": basic("basic", "wrong"), "an unknown client": basic("nobody", "x"),
            "a secret sent raw": basic("basic", "a+b%c:d"), "bad base64": {"Authorization": "Basic %%%"},
            "no colon": {"Authorization": "Basic YWJj"}, "an empty user": basic("", "x"),
            "a public client with an empty password": basic("SPA_CLIENT_ID", ""),
            "an unknown scheme": {"Authorization": "Bearer abc"}}.items():
        reply = server.post("/oauth2/token", alone, headers)
        check(f"{what} in a header: 401 with a challenge (R19, R20, R21, R24)",
              reply.is_error(401, "invalid_client") and reply.header("WWW-Authenticate").startswith("Basic realm="),
              reply)
    for what, who in {"a wrong secret": {**TENANT, "client_secret": "x"}, "an unknown client": {"client_id": "nobody"},
                      "no client": {}, "no secret": {"client_id": "TENANT_CLIENT_ID"},
                      "another method": {"client_id": "basic", "client_secret": "a+b%c:d"},
                      "a public client with a secret (R25)": {"client_id": "SPA_CLIENT_ID", "client_secret": "x"}}.items():
        reply = server.refresh(token, client=who)
        check(f"{what} in the body: 400 without a challenge (R20, R21)",
              reply.is_error(400, "invalid_client") and not reply.header("WWW-Authenticate"), reply)
    check("a client that may not refresh is told so (R30)",
          server.refresh(token, client={"client_id": "other", "client_secret": "o"})
          .is_error(400, "unauthorized_client"))
    check("another client's token is invalid_grant (R33)",
          server.refresh(token, client=TENANT).is_error(400, "invalid_grant"))
    reply = server.post("/oauth2/token", {**alone, "client_id": "basic"}, {"authorization": good["Authorization"]
                                                                          .replace("Basic", "bAsIc")})
    check("none of these has spent the token; a form-encoded secret works in any case of the scheme (R17, R18, R34)",
          reply.status == 200, reply)
    token = server.login(client_id="SPA_CLIENT_ID", scope="openid")
    check("a public client is known by its client_id (R25)",
          server.refresh(token, client={"client_id": "SPA_CLIENT_ID"}).status == 200)
    for name in ("client_secret", "refresh_token", "client_assertion", "client%5Fsecret"):
        reply, _ = server.raw(request(server.login(), path=f"/oauth2/token?a=b&{name}=x"))
        check(f"{name} in the query gets 400 (R8, 6749 2.3.1)", reply.is_error(400), reply)
    reply, _ = server.raw(request(server.login(), path="/oauth2/token?scope=none&client_id=x&grant_type=x"))
    check("nothing else in the query counts (R8)", reply.status == 200, reply)


def grants(server):
    first = server.login(scope="openid profile email")
    second = server.refresh(first).json["refresh_token"]
    again = server.refresh(first)
    check("a lost answer is given again with the same successor (R47)", again.json.get("refresh_token") == second)
    third = server.refresh(second).json["refresh_token"]
    check("once the successor is used, the predecessor is a replay (R38, R49, 9700 4.14.2)",
          server.refresh(first).is_error(400, "invalid_grant"))
    check("which ends the whole family (R38)", server.refresh(third).is_error(400, "invalid_grant"))
    token = server.login(scope="openid profile email")
    check("a scope beyond the grant is invalid_scope and spends nothing (R56)",
          server.refresh(token, scope="openid admin").is_error(400, "invalid_scope"))
    check("a malformed scope is invalid_scope (R59)",
          server.refresh(token, scope='openid "email"').is_error(400, "invalid_scope"))
    reply = server.refresh(token, scope="email openid")
    check("a narrowed scope is told (R57)", reply.json.get("scope") in ("email openid", "openid email"), reply)
    check("and the next refresh may ask for all again (R40)",
          server.refresh(reply.json["refresh_token"]).json.get("scope") == "openid profile email")
    dead = [server.login(sub="bob"), server.login(sub="bob", client_id="SPA_CLIENT_ID")]
    other = server.login(sub="carol")
    check("a logout gets 204", server.post("/demo/logout", {"sub": "bob"}).status == 204)
    check("it ends all logins of the user (R44, R50)",
          server.refresh(dead[0]).is_error(400, "invalid_grant")
          and server.refresh(dead[1], client={"client_id": "SPA_CLIENT_ID"}).is_error(400, "invalid_grant"))
    check("and nobody else's", server.refresh(other).status == 200)
    for flip in (0, 1, 5, 20, 30, 60, 71):
        forged = other[:flip] + ("A" if other[flip] != "A" else "B") + other[flip + 1:]
        check(f"a token altered at character {flip} is invalid_grant and revokes nothing (R39)",
              server.refresh(forged).is_error(400, "invalid_grant"))
    check("the family it names lives on (R39)", server.refresh(other).status == 200)
    token = server.login(sub="dave")
    with concurrent.futures.ThreadPoolExecutor(64) as many:
        replies = list(many.map(lambda _: server.refresh(token), range(64)))
    successors = {reply.json.get("refresh_token") for reply in replies}
    check("64 concurrent refreshes with one token get one and the same successor (R48)",
          all(reply.status == 200 for reply in replies) and len(successors) == 1, [r.status for r in replies])
    reply = server.refresh(successors.pop())
    check("which is one generation on and good (R48)", reply.status == 200
          and decode(token)[18:22] == b"\0\0\0\0" and decode(reply.json["refresh_token"])[18:22] == b"\0\0\0\2", reply)
    login = {"client_id": "TENANT_CLIENT_ID", "sub": "erin", "scope": "openid"}
    for what, change in {"an unknown client": {"client_id": "nobody"}, "a foreign scope": {"scope": "openid admin"},
                         "no sub": {"sub": ""}, "no client": {"client_id": ""}}.items():
        reply = server.post("/demo/login", {**login, **change})
        check(f"a login with {what} gets 400 in JSON", reply.status == 400 and reply.error() and reply.is_dressed(), reply)
    reply = server.post("/demo/login", login)
    check("a login answers as the token endpoint does", list(reply.json) == MEMBERS and reply.is_dressed(), reply)
    check("a logout without sub gets 400", server.post("/demo/logout", {}).is_error(400))


def browsers(server):
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    reply = server.request("OPTIONS", "/oauth2/token", headers={"Origin": "https://app.example", **ask})
    check("a preflight from a registered origin gets 204 and may send a form (R115, R116)",
          reply.status == 204 and reply.body == b"" and reply.header("Access-Control-Allow-Origin") == "https://app.example"
          and reply.header("Access-Control-Allow-Methods") == "POST" and reply.header("Vary") == "Origin"
          and reply.header("Access-Control-Allow-Headers") == "authorization, content-type, dpop", reply)
    reply = server.request("OPTIONS", "/oauth2/token", headers={"Origin": "https://evil.example", **ask})
    check("one from elsewhere gets 204 without CORS headers (R115)",
          reply.status == 204 and not reply.header("Access-Control-Allow-Origin"), reply)
    own = {"Origin": "https://app.example"}
    spa = {"client_id": "SPA_CLIENT_ID"}
    token = server.login(client_id="SPA_CLIENT_ID", scope="openid")
    for what, reply in {"an answer": server.refresh(token, spa, own), "an error": server.refresh("x", spa, own),
                        "a 405": server.request("GET", "/oauth2/token", headers=own)}.items():
        check(f"{what} to a registered origin may be read there (R115)",
              reply.header("Access-Control-Allow-Origin") == "https://app.example" and reply.header("Vary") == "Origin"
              and reply.header("Access-Control-Expose-Headers") == "WWW-Authenticate, Retry-After", reply)
    reply = server.refresh("x", spa, {"Origin": "https://other.example"})
    check("once the client is known, only its own origins count (R115)",
          not reply.header("Access-Control-Allow-Origin"), reply)


def documents(server):
    reply = server.request("GET", "/oauth2/jwks")
    (key,) = reply.json["keys"]
    check("the JWK Set holds public members alone (R100, 7517, 7518 6.3.1)",
          sorted(key) == ["alg", "e", "kid", "kty", "n", "use"] and key["alg"] == "RS256", key)
    check("the JWK Set is public and may be kept for a while (R114)",
          reply.header("Access-Control-Allow-Origin") == "*" and "max-age=" in reply.header("Cache-Control"), reply)
    answer = server.refresh(server.login()).json
    check("the tokens name the key that is published (R102)",
          all(part(answer[name], 0)["kid"] == key["kid"] for name in ("access_token", "id_token")))
    folder = new_folder()
    public = subprocess.run(["openssl", "pkey", "-in", os.path.join(server.folder, "regrant-signing.pem"), "-pubout",
                             "-out", os.path.join(folder, "public.pem")], capture_output=True, check=False)
    modulus = subprocess.run(["openssl", "rsa", "-pubin", "-in", os.path.join(folder, "public.pem"), "-noout",
                              "-modulus"], capture_output=True, text=True, check=False).stdout.strip()
    check("the published key is the signing key's public half (R100)",
          public.returncode == 0 and modulus == "Modulus=" + decode(key["n"]).hex().upper())
    for name in ("access_token", "id_token"):
        text, _, signature = answer[name].rpartition(".")
        with open(os.path.join(folder, "signature"), "wb") as file:
            file.write(decode(signature))
        verified = subprocess.run(["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature"],
                                  input=text.encode(), cwd=folder, capture_output=True, check=False)
        check(f"the {name}'s signature verifies with openssl (R97)", verified.stdout == b"Verified OK\n", verified)
        check(f"the {name} is base64url without padding (R96, 7515)", "=" not in answer[name])
    oidc = server.request("GET", "/.well-known/openid-configuration")
    oauth = server.request("GET", "/.well-known/oauth-authorization-server")
    for reply in (oidc, oauth):
        check("a metadata document is public JSON (R114)",
              reply.status == 200 and reply.header("Content-Type").startswith("application/json")
              and reply.header("Access-Control-Allow-Origin") == "*" and "max-age=" in reply.header("Cache-Control"))
    common = {"issuer": server.url, "token_endpoint": server.url + "/oauth2/token", "jwks_uri": server.url + "/oauth2/jwks"}
    check("RFC 8414's says where things are and what is supported (R114)",
          common.items() <= oauth.json.items() and oauth.json["grant_types_supported"] == ["refresh_token"]
          and "client_secret_post" in oauth.json["token_endpoint_auth_methods_supported"]
          and "response_types_supported" in oauth.json, oauth)
    check("OIDC Discovery's has its own members beside (R114)",
          oauth.json.items() <= oidc.json.items() and "authorization_endpoint" in oidc.json
          and oidc.json["subject_types_supported"] == ["public"]
          and oidc.json["id_token_signing_alg_values_supported"] == ["RS256"], oidc)


def connections(server):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)) as line:
        line.connect()
        first = line.sock
        statuses = []
        for body in (b"a=b", form_of("x"), form_of(server.login()), b"%", form_of(server.login())):
            line.request("POST", "/oauth2/token", body, FORM)
            reply = line.getresponse()
            reply.read()
            statuses.append(reply.status)
        check("a connection is used again after errors",
              statuses == [400, 400, 200, 400, 200] and line.sock is first, statuses)

    # On a busy machine all may be cut off before others have been answered, which shows nothing: then once more.
    for _ in range(5):
        held = [server.connect() for _ in range(60)]
        for number, line in enumerate(held):  # half of them silent, half of them stuck amid a request
            if number % 2:
                line.sendall(request("x")[:50 + number])
        statuses = []
        for _ in range(5):
            statuses.append(server.refresh(server.login()).status)
            # They are open still: nobody had to wait for one of them to be closed.
            still = [is_silent(line) for line in held]
            if statuses[-1] != 200 or not any(still):
                break
        if statuses == [200] * 5 and any(still) or statuses[-1] != 200:
            break
    check("60 silent and half-sent connections keep nobody waiting", statuses == [200] * 5 and any(still), statuses)
    token = server.login()
    cut = server.connect()
    cut.sendall(head("/oauth2/token", "POST", "Content-Type: application/x-www-form-urlencoded",
                     f"Content-Length: {len(form_of(token)) + 1}") + form_of(token))
    open_still = 0
    for line in held:
        line.settimeout(LONG)
        try:
            while line.recv(65536):
                pass
        except TimeoutError:
            open_still += 1
        except OSError:
            pass
        line.close()
    check("and are closed after a while", open_still == 0, f"{open_still} did not finish in {LONG} s")
    reply = read_reply(cut)
    cut.close()
    check("a body that lacks its last byte is none, whatever the rest says", reply.is_error(400), reply)
    check("and has not spent the token", server.refresh(token).json.get("refresh_token", "")[:20] == token[:20])


def is_silent(line):
    """Whether a connection is open, and nothing came on it."""
    line.setblocking(False)
    try:
        line.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def is_refused(server):
    try:
        server.connect(1).close()
    except OSError:
        return True
    return False


def stopping():
    with Server() as server:
        token = server.login()
        with server.connect() as line, server.connect() as second:
            for each, text in ((line, request(token, "Expect: 100-continue")), (second, request("x", "Expect: 100-continue"))):
                each.sendall(text[:-20])
                read_reply(each, has_body=False)  # `100 Continue`: it has the head
            server.process.terminate()
            check("after SIGTERM new connections are refused", until(lambda: is_refused(server)))
            check("but it does not end while a request is open", server.process.poll() is None)
            line.sendall(request(token)[-20:])
            second.sendall(request("x")[-20:])
            reply = read_reply(line)
            check("the open request is answered", reply.status == 200 and list(reply.json)[:1] == ["access_token"], reply)
            check("and so is one that fails", read_reply(second).is_error(400, "invalid_grant"))
        check("then it ends with status 0", server.end() == 0)
        check("and has nothing to say about it", os.path.getsize(server.log) == 0)
    with Server("--threads", "1") as server:
        check("without open requests it ends", server.end() == 0)
    with Server() as server, server.connect() as line:
        line.sendall(b"POST /oauth2/token HTTP/1.1\r\n")
        server.process.terminate()
        check("a half-open connection does not hold it",
              until(lambda: server.process.poll() is not None) and server.end() == 0)


def main():
    folder = new_folder()
    with open(os.path.join(folder, "clients.json"), "w", encoding="utf-8") as file:
        json.dump(CLIENTS, file)
    with Server("--clients", "clients.json", folder=folder) as server:
        for part_of_test in (the_api_page, methods, media_types, bodies, framing, clients, grants, browsers, documents,
                             connections):
            part_of_test(server)
        check("through all this the server has stayed up", server.end() == 0)
    with Server() as server:
        check("without registered origins Allow names POST alone, and no answer speaks of CORS (R1, R115)",
              server.request("GET", "/oauth2/token").header("Allow") == "POST"
              and not server.request("GET", "/oauth2/token", headers={"Origin": "https://app.example"})
              .header("Access-Control-Allow-Origin"))
    stopping()


main()
finish()
