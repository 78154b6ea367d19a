#!/usr/bin/env python3
"""A token server for docker-registry: tokens.py PORT CA.PEM CA.KEY USER PASSWORD. Tokens are JWTs signed
with the authority's key by openssl; each request's scope and user are printed."""
import base64
import http.server
import json
import subprocess
import sys
import time
import urllib.parse

PORT, CERTIFICATE, KEY, USER, PASSWORD = int(sys.argv[1]), *sys.argv[2:6]


def packed(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(subject, scope):
    with open(CERTIFICATE) as f:
        chain = "".join(line.strip() for line in f if "-----" not in line)
    now = int(time.time())
    access = []
    if scope:
        kind, name, actions = scope.split(":", 2)
        access = [{"type": kind, "name": name, "actions": actions.split(",")}]
    head = packed(json.dumps({"typ": "JWT", "alg": "RS256", "x5c": [chain]}).encode())
    body = packed(json.dumps({"iss": "test", "sub": subject, "aud": "test", "exp": now + 300, "nbf": now - 10, "iat": now,
                              "jti": str(now), "access": access}).encode())
    signed = head + b"." + body
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", KEY], input=signed, capture_output=True, check=True).stdout
    return (signed + b"." + packed(signature)).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        print(query.get("scope"), query.get("account"), flush=True)
        if self.headers.get("Authorization") != "Basic " + login:
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = json.dumps({"token": token(USER, query.get("scope", [""])[0]), "expires_in": 300}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *unused):
        pass


http.server.HTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
