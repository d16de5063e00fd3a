# tests/server/clients_test.py - clients that we did not write refresh against the server: curl and requests-oauthlib.
# SPDX-License-Identifier: MIT
import json
import os
import subprocess

from _support import Server, check, finish, new_folder

# The library insists on https, as a client should; here all stays on one machine.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
from requests_oauthlib import OAuth2Session  # noqa: E402

BASIC = [{"client_id": "basic", "client_secret": "a+b%c:d e", "token_endpoint_auth_method": "client_secret_basic",
          "scope": "openid profile"},
         {"client_id": "plain", "client_secret": "0123456789abcdef", "token_endpoint_auth_method": "client_secret_basic",
          "scope": "openid profile"},
         {"client_id": "TENANT_CLIENT_ID", "client_secret": "TENANT_CLIENT_SECRET",
          "token_endpoint_auth_method": "client_secret_post", "scope": "openid profile"},
         {"client_id": "SPA_CLIENT_ID", "token_endpoint_auth_method": "none", "scope": "openid profile"}]


def curl(*options, body=None):
    done = subprocess.run(["curl", "-sS", "--max-time", "20", "-w", "\n%{http_code}", *options], capture_output=True,
                          text=True, input=body, check=False)
    answer, _, status = done.stdout.rpartition("\n")
    return int(status or 0), answer and json.loads(answer), done.stderr


def with_curl(server):
    url = server.url + "/oauth2/token"
    token = server.login()
    status, answer, seen = curl(url, "-d", "client_id=TENANT_CLIENT_ID", "-d", "client_secret=TENANT_CLIENT_SECRET",
                                "-d", "grant_type=refresh_token", "-d", f"refresh_token={token}")
    check("curl refreshes as the API page shows (R17, R65)", status == 200 and answer["token_type"] == "Bearer", seen)
    token = server.login(client_id="plain")
    status, answer, seen = curl(url, "-u", "plain:0123456789abcdef", "-d", "grant_type=refresh_token",
                                "--data-urlencode", f"refresh_token={token}")
    check("curl refreshes with HTTP Basic (R17)", status == 200, seen)
    token = answer["refresh_token"]
    status, answer, seen = curl(url, "--http1.0", "-u", "plain:0123456789abcdef", "-d", "grant_type=refresh_token",
                                "-d", f"refresh_token={token}")
    check("curl refreshes over HTTP/1.0", status == 200, seen)
    status, answer, seen = curl(url, "-u", "plain:wrong", "-d", "grant_type=refresh_token", "-d", "refresh_token=x")
    check("curl with a wrong secret gets 401 (R20, R21)",
          status == 401 and answer == {"error": "invalid_client"}, status, answer)
    token = server.login()
    status, answer, seen = curl(url, "-H", "Transfer-Encoding: chunked", "-d", "client_id=TENANT_CLIENT_ID", "-d",
                                "client_secret=TENANT_CLIENT_SECRET", "-d", "grant_type=refresh_token", "-d",
                                f"refresh_token={token}")
    check("curl refreshes with a body in chunks", status == 200, status, answer)
    status, answer, seen = curl(url, "-H", "Expect: 100-continue", "-d", "@-", body="a=" + "b" * 2_000_000)
    check("curl with a body beyond the limit reads the 413 (R9)",
          status == 413 and answer == {"error": "invalid_request"}, status, answer, seen)
    status, answer, seen = curl(url, "-F", "grant_type=refresh_token")
    check("curl with a multipart form reads the 415 (R2)", status == 415, status, answer, seen)


def with_requests_oauthlib(server):
    url = server.url + "/oauth2/token"
    for what, client_id, more in (
            ("client_secret_post", "TENANT_CLIENT_ID",
             {"client_id": "TENANT_CLIENT_ID", "client_secret": "TENANT_CLIENT_SECRET"}),
            ("client_secret_basic", "plain", {"auth": ("plain", "0123456789abcdef")}),
            ("no secret", "SPA_CLIENT_ID", {"client_id": "SPA_CLIENT_ID"})):
        first = server.login(client_id=client_id)
        session = OAuth2Session(client_id, token={"refresh_token": first, "access_token": "old", "token_type": "Bearer"})
        answers = [session.refresh_token(url, **more) for _ in range(3)]
        check(f"requests-oauthlib refreshes with {what}, three times in a row (R17, R25, R47)",
              all(answer["token_type"] == "Bearer" and answer["expires_in"] > 200 for answer in answers)
              and len({first, *(answer["refresh_token"] for answer in answers)}) == 4, answers)
        check(f"and finds the scope it was granted, with {what} (R55)",
              list(answers[-1]["scope"]) == ["openid", "profile"], answers[-1])
        try:
            session.refresh_token(url, refresh_token=first, **more)
            error = None
        except Exception as caught:
            error = getattr(caught, "error", caught)
        check(f"and understands that a replay is refused, with {what} (R38)", error == "invalid_grant", error)


folder = new_folder()
with open(os.path.join(folder, "clients.json"), "w", encoding="utf-8") as file:
    json.dump(BASIC, file)
with Server("--clients", "clients.json", folder=folder) as running:
    with_curl(running)
    with_requests_oauthlib(running)
finish()
