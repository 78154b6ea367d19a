#!/usr/bin/env python3
"""A registry that misbehaves, and what banger-fetch makes of each way of doing so.

Every case is a function on a fresh cache: it sets what the server answers, pulls, and says
what must come of it: one last line, a sentence with certain words, the exit status, nothing in the
cache but whole blobs and their beginnings, bounded memory."""
import base64
import gzip
import hashlib
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fetch  # noqa: E402

RSS_MAX = 48 << 10  # KiB
OCI = "application/vnd.oci.image."
MANIFEST, INDEX = OCI + "manifest.v1+json", OCI + "index.v1+json"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Server:
    """HTTP by hand, one thread a connection: `answer(request)` gets (method, path, headers, socket) and returns
    bytes to send, or None when it has sent them itself. Every request is kept in `seen`."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.answer = lambda request: reply(500)
        self.seen = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        connection.settimeout(20)
        try:
            with connection:
                while self.one(connection):
                    pass
        except OSError:
            pass

    def one(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            data = connection.recv(65536)
            if not data or (not head and data[0] == 0x16):  # TLS is not spoken here
                return False
            head += data
        head, rest = head.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        body = rest
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65536)
        request = (method, path, headers, connection)
        self.seen.append((method, path, headers, body))
        data = self.answer(request)
        if data is None:
            return False
        connection.sendall(data)
        return b"connection: close" not in data[:2000].lower()


def reply(status, body=b"", headers=None, length=None):
    lines = [f"HTTP/1.1 {status} X"]
    headers = dict(headers or {})
    if length is None:
        length = len(body)
    if length >= 0:
        headers.setdefault("Content-Length", str(length))
    lines += [f"{k}: {v}" for k, v in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Image:
    """A small image whose parts can be bent."""

    def __init__(self, layers=2, size=200000):
        self.layers = [hashlib.sha256(bytes([i])).digest() * (size // 32) for i in range(layers)]
        self.config = {"architecture": "amd64", "os": "linux", "config": {"Env": ["A=b"], "Cmd": ["/x"]},
                       "rootfs": {"type": "layers", "diff_ids": [digest(b) for b in self.layers]}}
        self.manifest = None
        self.close()

    def close(self):
        """Makes the documents anew out of the parts."""
        self.config_bytes = json.dumps(self.config).encode()
        self.document = {
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": OCI + "config.v1+json", "digest": digest(self.config_bytes),
                       "size": len(self.config_bytes)},
            "layers": [{"mediaType": OCI + "layer.v1.tar", "digest": digest(b), "size": len(b)} for b in self.layers]}
        return self

    def bytes(self):
        return self.manifest if self.manifest is not None else json.dumps(self.document).encode()

    def blobs(self):
        return {digest(b): b for b in [*self.layers, self.config_bytes, self.bytes()]}

    def serve(self, request):
        method, path, headers, _ = request
        if "/manifests/" in path:
            return reply(200, self.bytes(), {"Content-Type": MANIFEST})
        blob = self.blobs().get(path.rsplit("/", 1)[1])
        if blob is None:
            return reply(404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}')
        first = headers.get("range", "")
        if first.startswith("bytes="):
            at = int(first[6:].rstrip("-"))
            if at >= len(blob):
                return reply(416)
            return reply(206, blob[at:], {"Content-Range": f"bytes {at}-{len(blob) - 1}/{len(blob)}"})
        return reply(200, blob)


cases = []


def case(function):
    cases.append(function)
    return function


class Trial:
    """One case under way."""

    def __init__(self, cache):
        self.cache = cache
        self.server = Server()
        self.image = Image()
        self.server.answer = self.image.serve
        self.request = fetch.image(f"{self.server.host}/team/app:1", [self.server.host])

    def pull(self, **more):
        self.result = fetch.run({**self.request, **more}, self.cache)
        r = self.result
        lasts = [line for line in r.lines if "ok" in line]
        assert len(lasts) == 1 and "ok" in r.last, f"one last line: {r.text[-400:]}"
        assert min(r.last.get("bytes", 0), r.last.get("cached", 0)) >= 0, f"the engine takes no such numbers: {r.last}"
        assert r.rss <= RSS_MAX, f"{r.rss} KiB of memory"
        for name in os.listdir(self.cache + "/sha256"):
            path = f"{self.cache}/sha256/{name}"
            if not name.endswith(".part"):
                with open(path, "rb") as f:
                    assert digest(f.read()) == "sha256:" + name, f"{name} in the cache is not what it says"
            else:
                assert os.path.getsize(path) > 0, "an empty part was left"
        return r

    def fails(self, *words, **more):
        r = self.pull(**more)
        error = r.last.get("error", "")
        assert not r.last["ok"] and r.status == 1, f"it must fail: {r.text[-300:]}"
        assert not r.whole, "STREAM_END after a failure"
        for word in words:
            assert word in error, f"\"{error}\" has no \"{word}\""
        assert all(c.isprintable() for c in error) and "\n" not in error, repr(error)
        assert 10 < len(error) < 500, error
        return r

    def works(self, **more):
        r = self.pull(**more)
        assert r.last["ok"] and r.status == 0, r.text[-400:]
        assert r.whole and [h for _, h, _ in r.layers] == [digest(b)[7:] for b in self.image.layers], r.layers
        assert json.loads(r.config)["env"] == ["A=b"]
        assert r.last["bytes"] + r.last["cached"] == sum(len(b) for b in set(self.image.layers)), r.last
        return r

    def instead(self, part, answer):
        """`answer` for paths with `part` in them; a function, or bytes."""
        def both(request):
            if part in request[1]:
                return answer(request) if callable(answer) else answer
            return self.image.serve(request)
        self.server.answer = both

    def begun(self, data):
        """What an earlier pull of the first layer left in the cache."""
        os.makedirs(self.cache + "/sha256", mode=0o700)
        with open(f"{self.cache}/sha256/{digest(self.image.layers[0])[7:]}.part", "wb") as f:
            f.write(data)

    def layer(self, number=0):
        return "/blobs/" + digest(self.image.layers[number])


# --- what must work -------------------------------------------------------------------

@case
def an_honest_registry(t):
    r = t.works()
    assert r.last["bytes"] == 400000 - 400000 % 64 or r.last["bytes"] > 0
    again = t.works()
    assert again.last["bytes"] == 0 and again.last["cached"] == r.last["bytes"]


@case
def an_image_that_is_here_is_not_fetched(t):
    r = t.works()
    assert r.last["known"] is False, r.last
    again = t.pull(known=["sha256:" + 64 * "0", r.last["digest"]])
    assert again.last["ok"] and again.last["known"] is True and not again.raw and not again.whole, again.last
    assert again.config == r.config
    other = t.pull(known=["sha256:" + 64 * "0"] * 200)
    assert other.last["known"] is False and other.whole, other.last
    t.fails("known", known=["sha256:0"])


@case
def a_request_with_many_long_logins(t):
    """More than a client's line to the engine may be."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        dead = f"127.0.0.1:{nobody.getsockname()[1]}"
    login = {"username": 255 * "u", "password": 8191 * "p", "token": 8191 * "t"}
    t.request["endpoints"] = [{"host": dead, **login}] * 7 + [{"host": t.server.host, **login}]
    t.works(known=["sha256:" + 64 * "0"] * 128)


@case
def errors_503_and_then_ok(t):
    count = []

    def flaky(request):
        count.append(1)
        return reply(503, headers={"Retry-After": "1"}) if len(count) <= 2 else t.image.serve(request)
    t.instead("/manifests/", flaky)
    t.works()


@case
def a_connection_reset_in_a_blob_is_gone_on_from(t):
    blob = t.image.layers[0]
    ranges = []

    def cut(request):
        ranges.append(request[2].get("range"))
        if len(ranges) > 1:
            return t.image.serve(request)
        request[3].sendall(reply(200, blob[:100000], length=len(blob)))
        request[3].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.2)
        return None
    t.instead(t.layer(), cut)
    t.works()
    assert ranges[1] and int(ranges[1][6:-1]) > 0, ranges


@case
def an_earlier_pull_is_gone_on_from(t):
    blob = t.image.layers[0]
    t.begun(blob[:150000])
    r = t.works()
    assert r.last["cached"] == 150000, r.last


@case
def a_beginning_of_something_else_is_not_believed(t):
    t.begun(b"x" * 150000)
    t.works()


@case
def a_part_longer_than_the_blob_is_thrown_away(t):
    t.begun(b"x" * 900000)
    t.works()


@case
def a_range_that_is_ignored(t):
    blob = t.image.layers[0]
    count = []

    def ignoring(request):
        count.append(1)
        if len(count) == 1:
            request[3].sendall(reply(200, blob[:90000], length=len(blob)))
            return None
        return reply(200, blob)
    t.instead(t.layer(), ignoring)
    t.works()


@case
def a_range_that_is_ignored_once_it_was_cut(t):
    blob = t.image.layers[0]
    t.begun(blob[:50000])
    count = []

    def forgetful(request):
        count.append(1)
        if len(count) == 1:
            head = {"Content-Range": f"bytes 50000-{len(blob) - 1}/{len(blob)}"}
            request[3].sendall(reply(206, blob[50000:90000], head, len(blob) - 50000))
            return None
        return reply(200, blob)
    t.instead(t.layer(), forgetful)
    r = t.works()
    assert r.last["cached"] == 0, r.last


@case
def status_416_starts_anew(t):
    blob = t.image.layers[0]
    t.begun(blob[:70000])
    t.instead(t.layer(), lambda q: reply(416) if "range" in q[2] else reply(200, blob))
    t.works()


@case
def plain_http_is_found_out_by_several_layers_at_once(t):
    t.image = Image(layers=6)
    t.server.answer = t.image.serve
    os.makedirs(t.cache + "/sha256", mode=0o700)
    for document in (t.image.bytes(), t.image.config_bytes):  # of an earlier pull that was cut off
        with open(f"{t.cache}/sha256/{digest(document)[7:]}", "wb") as f:
            f.write(document)
    t.request["reference"] = f"{t.server.host}/team/app@{digest(t.image.bytes())}"
    t.works()


@case
def one_layer_twice(t):
    t.image.layers = [t.image.layers[0], t.image.layers[1], t.image.layers[0]]
    t.image.config["rootfs"]["diff_ids"] = [digest(b) for b in t.image.layers]
    t.image.close()
    t.works()
    assert sum(t.layer() in path for _, path, _, _ in t.server.seen) == 1


@case
def the_configuration_comes_beside_the_layers(t):
    asked = threading.Event()
    layer, config = t.layer(), "/blobs/" + digest(t.image.config_bytes)

    def answer(request):
        if layer in request[1]:
            asked.set()
        if config in request[1]:
            assert asked.wait(1.5), "nothing else was asked for before the configuration was there"
        return t.image.serve(request)
    t.server.answer = answer
    t.works()


@case
def an_empty_layer(t):
    t.image.layers[0] = b""
    t.image.config["rootfs"]["diff_ids"] = [digest(b) for b in t.image.layers]
    t.image.close()
    t.works()


@case
def chunks_without_a_length(t):
    blob = t.image.layers[0]
    t.instead(t.layer(), reply(200, b"%x\r\n" % len(blob) + blob + b"\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"}, -1))
    t.works()


@case
def an_index_leads_to_the_platform(t):
    inner = t.image.bytes()
    t.image.layers.append(b"")
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        {"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 7, "platform": {"os": "linux", "architecture": "arm64"}},
        {"mediaType": MANIFEST, "digest": digest(inner), "size": len(inner), "platform": {"os": "linux", "architecture": "amd64"}}]}).encode()
    t.image.layers.pop()
    t.instead("/manifests/1", reply(200, index, {"Content-Type": INDEX}))
    t.works()
    t.fails("linux/s390x", "linux/arm64", "linux/amd64", platform="linux/s390x")


@case
def a_mirror_that_fails_is_passed_over(t):
    other = Server()
    other.answer = lambda q: reply(404)
    t.request["endpoints"] = [{"host": other.host}, {"host": t.server.host}]
    t.works()
    assert other.seen


def begins_layers_of_no_image(t, server):
    """`server` has another image, whose layers are under way when it gives a configuration that is none."""
    bad, begun = Image(layers=3, size=300000), threading.Event()
    bad.layers = [hashlib.sha256(b).digest() * (len(b) // 32) for b in bad.layers]  # not those of t.image
    bad.config.pop("rootfs")
    bad.close()

    def answer(request):
        if digest(bad.config_bytes) in request[1]:
            assert begun.wait(3)
            time.sleep(0.3)
        for layer in bad.layers:
            if digest(layer) in request[1]:
                request[3].sendall(reply(200, layer[:200000], length=len(layer)))
                begun.set()
                time.sleep(3)
                return None
        return bad.serve(request)
    server.answer = answer


def has_parts(t):
    return [name for name in os.listdir(t.cache + "/sha256") if name.endswith(".part")]


@case
def layers_begun_beside_no_configuration_are_not_kept(t):
    begins_layers_of_no_image(t, t.server)
    t.fails("damaged")
    assert not has_parts(t), has_parts(t)


@case
def a_mirror_with_no_configuration_leaves_nothing(t):
    other = Server()
    begins_layers_of_no_image(t, other)
    t.request["endpoints"] = [{"host": other.host}, {"host": t.server.host}]
    t.works()
    assert not has_parts(t), has_parts(t)


@case
def a_mirror_that_loses_a_blob_is_passed_over(t):
    other = Server()
    other.answer = lambda q: reply(404) if t.layer() in q[1] else t.image.serve(q)
    t.request["endpoints"] = [{"host": other.host}, {"host": t.server.host}]
    t.works()


@case
def a_redirect_elsewhere_gets_no_login(t):
    other = Server()
    other.answer = t.image.serve
    other_name = other.host.replace("127.0.0.1", "localhost")

    def asks(request):
        if "authorization" not in request[2]:
            return reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        if "/blobs/" in request[1]:
            return reply(307, headers={"Location": f"http://{other_name}{request[1]}"})
        return t.image.serve(request)
    t.server.answer = asks
    t.request["endpoints"] = [{"host": t.server.host, "username": "u", "password": "p"}]
    t.works()
    assert any("authorization" in h for _, _, h, _ in t.server.seen)
    assert other.seen and all("authorization" not in h for _, _, h, _ in other.seen), "a login went elsewhere"


@case
def a_redirect_to_another_port_gets_no_login(t):
    other = Server()
    other.answer = t.image.serve

    def asks(request):
        if "authorization" not in request[2]:
            return reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        return reply(302, headers={"Location": f"http://{other.host}{request[1]}"})
    t.server.answer = asks
    t.request["endpoints"] = [{"host": t.server.host, "username": "u", "password": "p"}]
    t.works()
    assert other.seen and all("authorization" not in h for _, _, h, _ in other.seen), "a login went elsewhere"


@case
def two_pulls_at_once_share(t):
    blob = t.image.layers[0]
    count = []

    def slow(request):
        count.append(1)
        request[3].sendall(reply(200, length=len(blob)))
        for at in range(0, len(blob), 20000):
            request[3].sendall(blob[at:at + 20000])
            time.sleep(0.05)
        return None
    t.instead(t.layer(), slow)
    results = []
    threads = [threading.Thread(target=lambda: results.append(fetch.run(t.request, t.cache))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(r.last["ok"] and r.whole for r in results), [r.text[-200:] for r in results]
    assert len(count) == 1, "the layer was downloaded twice"


# --- `banger image cache prune` at the same time ------------------------------------------

def prune(t, dawdle_us):
    """In its HOME the cache is t.cache; each removal begins so much later."""
    program = os.path.join(os.path.dirname(fetch.PROGRAM), "banger")
    slow = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=unlinkat", "-e", f"inject=unlinkat:delay_enter={dawdle_us}"]
    return subprocess.Popen([*slow, program, "image", "cache", "prune"], env={"HOME": t.cache[:t.cache.index("/.cache")]},
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def cache_in_a_home(t, name, data):
    t.cache += "/.cache/banger/blobs"
    os.makedirs(t.cache + "/sha256", mode=0o700)
    with open(f"{t.cache}/sha256/{name}", "wb") as f:
        f.write(data)


@case
def a_part_that_is_being_removed_is_not_written(t):
    blob = t.image.layers[0]
    cache_in_a_home(t, digest(blob)[7:] + ".part", blob[:1000])

    def slow(request):
        time.sleep(2)
        return t.image.serve(request)
    t.instead(t.layer(), slow)
    pruning = prune(t, 1500000)
    time.sleep(0.7)
    t.works()
    assert pruning.wait() == 0, pruning.stderr.read()


@case
def a_blob_that_another_removed_meanwhile(t):
    cache_in_a_home(t, digest(b"x")[7:], b"x")
    slow = prune(t, 1500000)
    time.sleep(0.7)
    assert prune(t, 1).wait() == 0 and slow.wait() == 0, slow.stderr.read()
    assert not os.listdir(t.cache + "/sha256")


# --- logins ---------------------------------------------------------------------------

def with_tokens(t, realm=None, token="tok.en", **answer):
    def asks(request):
        if request[1].startswith("/token"):
            return reply(200, json.dumps(answer or {"token": token}).encode())
        if request[2].get("authorization") != "Bearer " + token:
            return reply(401, headers={"WWW-Authenticate": f'Bearer realm="{realm or f"http://{t.server.host}/token"}",'
                                                           'service="s",scope="repository:team/app:pull"'})
        return t.image.serve(request)
    t.server.answer = asks


@case
def a_token(t):
    with_tokens(t)
    t.works()
    assert [p for _, p, _, _ in t.server.seen if p.startswith("/token")] == ["/token?service=s&scope=repository%3Ateam%2Fapp%3Apull"]


@case
def a_token_for_a_login(t):
    with_tokens(t)
    t.request["endpoints"] = [{"host": t.server.host, "username": "u", "password": "p:q"}]
    t.works()
    asked = [h for _, p, h, _ in t.server.seen if p.startswith("/token")][0]
    assert asked["authorization"] == "Basic " + base64.b64encode(b"u:p:q").decode()


@case
def a_token_for_an_identity_token(t):
    with_tokens(t, access_token="tok.en")
    t.request["endpoints"] = [{"host": t.server.host, "username": "u", "token": "identity"}]
    t.works()
    method, _, headers, body = [s for s in t.server.seen if s[1].startswith("/token")][0]
    assert method == "POST" and b"refresh_token=identity" in body and "authorization" not in headers


@case
def a_token_that_gets_too_old(t):
    with_tokens(t)
    inner, count = t.server.answer, []

    def ageing(request):
        if "/blobs/" in request[1] and len(count) < 1:
            count.append(1)
            return reply(401, headers={"WWW-Authenticate": f'Bearer realm="http://{t.server.host}/token"'})
        return inner(request)
    t.server.answer = ageing
    t.works()


@case
def a_login_is_wanted(t):
    t.server.answer = lambda q: reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'})
    t.fails("without a login", "--username")


@case
def a_login_is_wrong(t):
    t.server.answer = lambda q: reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'})
    t.request["endpoints"] = [{"host": t.server.host, "username": "u", "password": "p"}]
    t.fails("does not accept the login")


@case
def a_token_server_that_refuses(t):
    with_tokens(t)
    inner = t.server.answer
    t.server.answer = lambda q: reply(401) if q[1].startswith("/token") else inner(q)
    t.fails("without a login")


@case
def a_token_with_a_line_end(t):
    with_tokens(t, token="a\r\nX-Evil: 1")
    t.fails("holds no token")


@case
def a_token_server_elsewhere_over_plain_http(t):
    with_tokens(t, realm="http://192.0.2.1/token")
    t.request["endpoints"] = [{"host": t.server.host, "username": "u", "password": "p"}]
    t.fails("plain http")


@case
def a_token_server_that_redirects_a_login(t):
    other = Server()
    with_tokens(t)
    inner = t.server.answer
    t.server.answer = lambda q: reply(302, headers={"Location": f"http://{other.host}/"}) if q[1].startswith("/token") else inner(q)
    t.request["endpoints"] = [{"host": t.server.host, "username": "u", "password": "p"}]
    t.fails("not followed")
    assert not other.seen


@case
def a_challenge_that_is_garbage(t):
    t.server.answer = lambda q: reply(401, headers={"WWW-Authenticate": 'Bearer realm="unterminated'})
    t.fails("malformed")


@case
def a_challenge_of_an_unknown_kind(t):
    t.server.answer = lambda q: reply(401, headers={"WWW-Authenticate": "Negotiate"})
    t.fails("does not know")


@case
def a_login_for_ever(t):
    t.server.answer = lambda q: (reply(200, b'{"token":"t"}') if q[1].startswith("/token") else
                                 reply(401, headers={"WWW-Authenticate": f'Bearer realm="http://{t.server.host}/token"'}))
    t.fails("login")
    assert len(t.server.seen) < 10


# --- statuses and connections ------------------------------------------------------------

@case
def status_404(t):
    t.server.answer = lambda q: reply(404, b'{"errors":[{"message":"manifest unknown"}]}')
    t.fails("does not have", "manifest unknown")


@case
def status_403(t):
    t.server.answer = lambda q: reply(403)
    t.fails("denies")


@case
def status_429(t):
    t.server.answer = lambda q: reply(429, headers={"Retry-After": "3600"})
    r = t.fails("too many requests")
    assert r.seconds < 60


@case
def status_500_for_ever(t):
    t.server.answer = lambda q: reply(500)
    t.fails("status 500")
    assert len(t.server.seen) <= 6


@case
def a_status_that_is_none(t):
    t.server.answer = lambda q: b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"
    t.fails("999")


@case
def nobody_listens(t):
    t.server.listener.close()
    spare = socket.create_server(("127.0.0.1", 0))
    host = f"127.0.0.1:{spare.getsockname()[1]}"
    spare.close()
    t.request["endpoints"] = [{"host": host}]
    t.fails("nothing answers")


@case
def a_host_without_an_address(t):
    t.request["endpoints"] = [{"host": "nosuch.invalid"}]
    t.fails("no machine is known", "nosuch.invalid")


@case
def garbage_in_place_of_http(t):
    t.server.answer = lambda q: os.urandom(4096)
    t.fails("no HTTP")


@case
def a_connection_closed_without_a_word(t):
    t.server.answer = lambda q: None
    t.fails("breaks off")


@case
def silence(t):
    def mute(request):
        time.sleep(15)
    t.server.answer = mute
    t.fails("does not get on", patience=1)


@case
def a_manifest_that_drips(t):
    def drip(request):
        request[3].sendall(reply(200, length=1000))
        for _ in range(150):
            request[3].sendall(b" ")
            time.sleep(0.1)
    t.server.answer = drip
    t.fails("does not get on", patience=1)


@case
def a_blob_that_drips(t):
    def drip(request):
        request[3].sendall(reply(200, length=len(t.image.layers[0])))
        for _ in range(150):
            request[3].sendall(b"x")
            time.sleep(0.1)
    t.instead(t.layer(), drip)
    t.fails("does not get on", patience=1)


@case
def headers_that_drip(t):
    def drip(request):
        request[3].sendall(b"HTTP/1.1 200 OK\r\n")
        for i in range(150):
            request[3].sendall(b"X-%d: y\r\n" % i)
            time.sleep(0.1)
    t.server.answer = drip
    t.fails("does not get on", patience=1)


@case
def headers_without_end(t):
    def flood(request):
        request[3].sendall(b"HTTP/1.1 200 OK\r\n")
        for i in range(100000):
            request[3].sendall(b"X-%d: %s\r\n" % (i, b"y" * 500))
    t.server.answer = flood
    t.fails("headers")


@case
def one_header_of_a_mebibyte(t):
    t.server.answer = lambda q: b"HTTP/1.1 200 OK\r\nX: " + b"y" * (1 << 20) + b"\r\n\r\n"
    t.fails()


@case
def control_characters_in_an_error(t):
    words = "\x1b[31mred\x07 \u202etxt\r\nbanger: all is well \u009b2J"
    t.server.answer = lambda q: reply(404, json.dumps({"errors": [{"message": words}]}).encode())
    r = t.fails("does not have")
    assert "\x1b" not in r.text and "\u202e" not in r.last["error"]


@case
def an_error_of_a_mebibyte(t):
    t.server.answer = lambda q: reply(400, b"x" * (1 << 20))
    t.fails("status 400")


@case
def a_redirect_in_a_circle(t):
    t.server.answer = lambda q: reply(302, headers={"Location": q[1]})
    t.fails("more than 5 times")


@case
def a_redirect_to_a_file(t):
    t.server.answer = lambda q: reply(302, headers={"Location": "file:///etc/passwd"})
    t.fails("no http address")


@case
def a_redirect_with_a_login_in_it(t):
    t.server.answer = lambda q: reply(302, headers={"Location": f"http://u:p@{t.server.host}/"})
    t.fails("no http address")


@case
def a_redirect_without_a_place(t):
    t.server.answer = lambda q: reply(302)
    t.fails("without saying where")


@case
def a_redirect_to_plain_http_elsewhere(t):
    t.server.answer = lambda q: reply(302, headers={"Location": "http://192.0.2.1/"})
    t.fails("plain http")


# --- proxies: the server is one, and speaks for far.example ---------------------------------

def behind_a_proxy(t, **endpoint):
    proxy = "http://al:se%20cret@" + t.server.host
    t.request = fetch.image("far.example/team/app:1", ["far.example"])
    t.request["endpoints"] = [{"host": "far.example", **endpoint}]
    t.request["proxies"] = {"http_proxy": proxy, "https_proxy": proxy}


def no_tunnels(answer):
    return lambda q: reply(405) if q[0] == "CONNECT" else answer(q)


@case
def a_proxy_that_connects_nowhere(t):
    behind_a_proxy(t)
    t.server.answer = no_tunnels(t.image.serve)
    r = t.fails("the proxy " + t.server.host + " gives no connection to far.example", "no_proxy")
    assert "cret" not in r.text and t.server.seen[0][:2] == ("CONNECT", "far.example:443"), t.server.seen


@case
def plain_http_through_a_proxy(t):
    behind_a_proxy(t, insecure=True, username="u", password="p")
    t.server.answer = no_tunnels(lambda q: t.image.serve(q) if "authorization" in q[2] else
                                 reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'}))
    t.works()
    plain = [q for q in t.server.seen if q[0] == "GET"]
    wanted = "Basic " + base64.b64encode(b"al:se cret").decode()
    assert all(q[1].startswith("http://far.example/v2/team/app/") for q in plain), plain
    assert all(q[2]["proxy-authorization"] == wanted for q in t.server.seen), t.server.seen
    assert all("authorization" not in q[2] for q in t.server.seen if q[0] == "CONNECT"), "a login went to the proxy"


@case
def this_machine_is_not_asked_for_through_a_proxy(t):
    other = Server()
    t.request["proxies"] = {"http_proxy": "http://al:secret@" + other.host, "https_proxy": other.host}
    t.works()
    assert not other.seen and all("proxy-authorization" not in q[2] for q in t.server.seen)


@case
def a_proxy_that_wants_a_login(t):
    behind_a_proxy(t, insecure=True)
    t.server.answer = lambda q: reply(407, headers={"Proxy-Authenticate": 'Basic realm="x"'})
    r = t.fails("does not accept the login")
    assert "cret" not in r.text
    t.request["proxies"] = {"https_proxy": t.server.host}
    t.fails("wants a login", "USER:PASSWORD@" + t.server.host)


@case
def through_a_proxy_nothing_near_it_is_asked_for(t):
    behind_a_proxy(t, insecure=True)
    for near in ("169.254.169.254", "2852039166", "[fe80::1]", "127.0.0.1", "0.0.0.0", "localhost", "[::ffff:127.0.0.1]"):
        t.server.answer = no_tunnels(lambda q: reply(302, headers={"Location": f"https://{near}/x"}))
        t.fails("that is not followed")
    assert all("far.example" in q[1] for q in t.server.seen), [q[1] for q in t.server.seen]


@case
def a_proxy_that_is_none(t):
    behind_a_proxy(t)
    os.makedirs(t.cache + "/sha256", mode=0o700)
    for bad in ("ftp://al:secret@proxy", "http://", "http://al:sec ret@proxy:1"):
        t.request["proxies"] = {"https_proxy": bad}
        r = t.fails("https_proxy names no proxy")
        assert "sec" not in r.text, r.text


@case
def a_proxy_that_does_not_answer(t):
    behind_a_proxy(t)
    gone = Server()
    gone.listener.close()
    t.request["proxies"] = {"https_proxy": f"socks5h://al:secret@{gone.host}"}
    r = t.fails(f"the proxy {gone.host} cannot be used")
    assert "secret" not in r.text


# --- documents --------------------------------------------------------------------------

def manifest_is(t, data, *words, content_type=MANIFEST):
    t.instead("/manifests/", reply(200, data if isinstance(data, bytes) else json.dumps(data).encode(),
                                   {"Content-Type": content_type}))
    return t.fails(*words)


@case
def a_manifest_of_garbage(t):
    manifest_is(t, os.urandom(5000), "not a JSON object")


@case
def a_manifest_cut_short(t):
    manifest_is(t, t.image.bytes()[:-20], "not a JSON object")


@case
def a_manifest_shorter_than_it_says(t):
    def short(request):
        request[3].sendall(reply(200, t.image.bytes()[:50], length=len(t.image.bytes())))
    t.instead("/manifests/", short)
    t.fails("breaks off")


@case
def a_manifest_that_is_always_cut_late(t):
    count = []

    def cut(request):
        count.append(1)
        if len(count) > 12:
            return t.image.serve(request)
        request[3].sendall(reply(200, t.image.bytes() + b" " * 70000, length=200000))
        return None
    t.instead("/manifests/", cut)
    t.fails("breaks off")


@case
def a_manifest_of_a_gibibyte(t):
    def endless(request):
        request[3].sendall(reply(200, length=1 << 30))
        while True:
            request[3].sendall(b" " * 65536)
    t.instead("/manifests/", endless)
    t.fails("than it may")


@case
def a_manifest_without_end(t):
    def endless(request):
        request[3].sendall(reply(200, headers={"Transfer-Encoding": "chunked"}, length=-1))
        while True:
            request[3].sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
    t.instead("/manifests/", endless)
    t.fails("than it may")


@case
def a_manifest_nested_deep(t):
    manifest_is(t, b"[" * 1000000, "nested deeper")


@case
def a_manifest_of_a_million_members(t):
    manifest_is(t, b'{"layers":[' + b"1," * 1000000 + b"1]}", "larger or nested")


@case
def a_manifest_packed_with_gzip(t):
    bomb = gzip.compress(b" " * (64 << 20), 9)
    t.instead("/manifests/", reply(200, bomb, {"Content-Encoding": "gzip", "Content-Type": MANIFEST}))
    t.fails("packed (gzip)")


@case
def a_manifest_with_a_nul(t):
    manifest_is(t, t.image.bytes() + b"\0", "not a JSON object")


@case
def a_manifest_of_another_digest(t):
    t.request["reference"] = f"{t.server.host}/team/app@sha256:{'1' * 64}"
    t.fails("another digest")


@case
def a_manifest_at_odds_with_its_header(t):
    t.instead("/manifests/", reply(200, t.image.bytes(), {"Content-Type": MANIFEST, "Docker-Content-Digest": "sha256:" + "2" * 64}))
    t.fails("another digest")


@case
def both_layers_and_manifests(t):
    manifest_is(t, {**t.image.document, "manifests": []}, "both layers and manifests")


@case
def a_manifest_that_says_index(t):
    manifest_is(t, {**t.image.document, "mediaType": INDEX}, "at odds")


@case
def a_manifest_of_schema_1(t):
    manifest_is(t, {"schemaVersion": 1, "fsLayers": []}, "schema 1")


@case
def a_manifest_of_another_thing(t):
    manifest_is(t, {**t.image.document, "mediaType": "application/vnd.x+json"}, "no image's")


@case
def an_artifact_that_is_no_image(t):
    t.image.document["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
    t.fails("no container image")


@case
def a_layer_of_an_unknown_type(t):
    t.image.document["layers"][0]["mediaType"] = "application/x-shar"
    t.fails("Layer 1", "application/x-shar")


@case
def a_layer_that_is_not_handed_out(t):
    t.image.document["layers"][0]["mediaType"] = OCI + "layer.nondistributable.v1.tar+gzip"
    t.fails("cannot be pulled")


for key in ("config", "layers"):
    def missing(t, key=key):
        del t.image.document[key]
        t.fails("damaged")
    missing.__name__ = f"a_manifest_without_{key}"
    case(missing)
for key in ("digest", "size"):
    def missing_in_layer(t, key=key):
        del t.image.document["layers"][0][key]
        t.fails()
    missing_in_layer.__name__ = f"a_layer_without_{key}"
    case(missing_in_layer)
for name, value in (("a_negative_size", -1), ("a_size_of_text", "7"), ("a_huge_size", 1e300), ("a_broken_size", 0.5)):
    def sized(t, value=value):
        t.image.document["layers"][0]["size"] = value
        t.fails()
    sized.__name__ = f"a_layer_with_{name}"
    case(sized)
for name, value in (("of_sha512", "sha512:" + "a" * 128), ("with_a_path", "sha256:../../../../etc/passwd"), ("in_capitals", "sha256:" + "A" * 64), ("of_number", 7)):
    def digested(t, value=value):
        t.image.document["layers"][0]["digest"] = value
        t.fails("digest")
    digested.__name__ = f"a_digest_{name}"
    case(digested)


@case
def layers_of_a_wrong_kind(t):
    t.image.document["layers"] = {"a": 1}
    t.fails("damaged")


@case
def no_layers(t):
    t.image.document["layers"] = []
    t.fails("no layer")


@case
def two_thousand_layers(t):
    t.image.document["layers"] *= 1000
    t.fails("1024 layers")


@case
def layers_larger_than_may_be(t):
    t.image.document["layers"][0]["size"] = 1 << 40
    t.fails("larger than")


@case
def one_layer_of_two_sizes(t):
    t.image.document["layers"][1] = {**t.image.document["layers"][0], "size": 5}
    t.fails("two sizes")


@case
def an_index_in_an_index_for_ever(t):
    index = json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": INDEX, "digest": "sha256:" + "3" * 64, "size": 1}]}).encode()
    own = [index]
    for _ in range(4):
        own.append(json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": INDEX, "digest": digest(own[-1]), "size": 1}]}).encode())
    known = {digest(i): i for i in own}
    t.server.answer = lambda q: reply(200, known.get(q[1].rsplit("/", 1)[1], own[-1]), {"Content-Type": INDEX})
    t.fails("leads to an index")


@case
def an_index_of_wrong_types(t):
    manifest_is(t, {"schemaVersion": 2, "manifests": "x"}, "damaged", content_type=INDEX)


def config_is(t, change, *words):
    change(t.image.config)
    t.image.close()
    t.fails(*words)


@case
def a_config_with_fewer_diff_ids(t):
    config_is(t, lambda c: c["rootfs"]["diff_ids"].pop(), "diff_ids")


@case
def a_config_with_diff_ids_of_numbers(t):
    config_is(t, lambda c: c["rootfs"].update(diff_ids=[1, 2]))


@case
def a_config_without_rootfs(t):
    config_is(t, lambda c: c.pop("rootfs"), "damaged")


@case
def a_config_whose_env_is_text(t):
    config_is(t, lambda c: c["config"].update(Env="A=b"), "Env")


@case
def a_config_for_another_machine(t):
    config_is(t, lambda c: c.update(architecture="s390x"), "s390x")


@case
def a_config_with_too_much_to_say(t):
    config_is(t, lambda c: c["config"].update(Env=["A=" + "x" * 70000]), "64 KiB")


@case
def a_config_larger_than_may_be(t):
    t.image.document["config"]["size"] = 2 << 20
    t.fails("1 MiB")


@case
def a_config_of_another_size(t):
    t.image.document["config"]["size"] += 1
    t.fails("its manifest says")


# --- blobs ------------------------------------------------------------------------------

@case
def a_blob_of_another_digest(t):
    blob = t.image.layers[0]
    t.instead(t.layer(), reply(200, b"x" * len(blob)))
    t.fails("another digest", "layer 1")
    assert not any(n.startswith(digest(blob)[7:]) for n in os.listdir(t.cache + "/sha256"))


@case
def the_last_byte_of_a_blob_is_wrong(t):
    blob = t.image.layers[1]
    t.instead(t.layer(1), reply(200, blob[:-1] + b"?"))
    t.fails("another digest", "layer 2")


@case
def a_blob_that_says_it_is_longer(t):
    t.instead(t.layer(), reply(200, t.image.layers[0] + b"x"))
    t.fails("it must have")


@case
def a_blob_that_says_it_is_shorter(t):
    t.instead(t.layer(), reply(200, t.image.layers[0][:-1]))
    t.fails("it must have")


@case
def a_blob_without_end(t):
    def endless(request):
        request[3].sendall(reply(200, headers={"Connection": "close"}, length=-1))
        while True:
            request[3].sendall(b"x" * 65536)
    t.instead(t.layer(), endless)
    t.fails("more than")


@case
def a_blob_that_always_ends_early(t):
    blob = t.image.layers[0]

    def early(request):
        at = int(request[2].get("range", "bytes=0-")[6:-1])
        head = reply(206, headers={"Content-Range": f"bytes {at}-{len(blob) - 1}/{len(blob)}"}, length=len(blob) - at) if at else reply(200, length=len(blob))
        request[3].sendall(head + blob[at:at + 100])
    t.instead(t.layer(), early)
    t.fails("breaks off")


@case
def a_blob_that_is_cut_late_by_a_server_without_ranges(t):
    blob, count = t.image.layers[0], []

    def cut(request):
        count.append(1)
        if len(count) > 12:
            return reply(200, blob)
        request[3].sendall(reply(200, blob[:100000 + len(count)], length=len(blob)))
        return None
    t.instead(t.layer(), cut)
    t.fails("breaks off")


@case
def another_part_than_was_asked_for(t):
    blob = t.image.layers[0]
    t.begun(blob[:70000])
    t.instead(t.layer(), reply(206, blob[10:], {"Content-Range": f"bytes 10-{len(blob) - 1}/{len(blob)}"}))
    t.fails("another part")


@case
def a_part_that_nobody_asked_for(t):
    blob = t.image.layers[0]
    t.instead(t.layer(), reply(206, blob, {"Content-Range": f"bytes 0-{len(blob) - 1}/{len(blob)}"}))
    t.fails("another part")


@case
def a_blob_that_is_not_there(t):
    t.instead(t.layer(), reply(404))
    t.fails("layer 1", "does not have")


@case
def status_416_for_ever(t):
    t.instead(t.layer(), reply(416))
    t.fails()


@case
def a_damaged_blob_in_the_cache_is_fetched_anew_where_the_request_says_to_look(t):
    t.works()
    name = f"{t.cache}/sha256/{digest(t.image.layers[0])[7:]}"
    with open(name, "r+b") as f:
        f.write(b"damage")
    r = fetch.run({**t.request, "verify": True}, t.cache)
    assert r.last["ok"] and r.last["bytes"] == len(t.image.layers[0]), r.text[-300:]
    with open(name, "rb") as f:
        assert f.read() == t.image.layers[0]
    t.works()


@case
def nobody_takes_the_stream(t):
    big = [os.urandom(4 << 20)]
    t.image.layers = big
    t.image.config["rootfs"]["diff_ids"] = [digest(b) for b in big]
    t.image.close()
    r = fetch.run(t.request, t.cache, keep_reading=False)
    assert not r.last["ok"] and r.last["code"] == 32, r.text[-300:]


@case
def a_link_in_the_cache_is_not_followed(t):
    os.makedirs(t.cache + "/sha256", mode=0o700)
    target = t.cache + "/outside"
    os.symlink(target, f"{t.cache}/sha256/{digest(t.image.layers[0])[7:]}.part")
    result = fetch.run(t.request, t.cache)
    assert not result.last["ok"] and not os.path.exists(target)


# --- one file ----------------------------------------------------------------------------

def file_request(t, data, **more):
    return {"mode": "file", "url": f"http://{t.server.host}/f", "sha256": digest(data)[7:], "limit": 1 << 20, "patience": 2, **more}


@case
def a_file(t):
    data = os.urandom(300000)
    t.server.answer = lambda q: reply(200, data)
    t.request = file_request(t, data)
    r = t.pull()
    assert r.last["ok"] and r.raw == data, r.text[-300:]
    r = t.pull()
    assert r.last["cached"] == len(data) and r.raw == data


@case
def a_file_of_another_digest(t):
    t.server.answer = lambda q: reply(200, b"other")
    t.request = file_request(t, b"data")
    t.fails("another digest")


@case
def a_file_larger_than_may_be(t):
    data = b"x" * (2 << 20)
    t.server.answer = lambda q: reply(200, data)
    t.request = file_request(t, data)
    t.fails("at most")


@case
def a_file_over_plain_http_from_elsewhere(t):
    t.request = file_request(t, b"data", url="http://192.0.2.1/f")
    r = fetch.run(t.request, t.cache)
    assert not r.last["ok"] and "plain http" in r.last["error"]


def main():
    wanted = sys.argv[1:]
    failed, passed = [], 0
    lock = threading.Lock()

    def worker(queue):
        nonlocal passed
        while True:
            with lock:
                if not queue:
                    return
                function = queue.pop(0)
            began = time.monotonic()
            try:
                with fetch.Cache() as cache:
                    function(Trial(cache))
                with lock:
                    passed += 1
                    print(f"ok hostile: {function.__name__.replace('_', ' ')}", flush=True)
            except Exception as error:  # noqa: BLE001 - a case that fails is told, and the next is tried
                with lock:
                    failed.append(function.__name__)
                    print(f"not ok hostile: {function.__name__.replace('_', ' ')}\n    {type(error).__name__}: {error}", flush=True)
            if os.environ.get("TIMES"):
                print(f"    {time.monotonic() - began:.1f} s", flush=True)
    queue = [c for c in cases if not wanted or any(w in c.__name__ for w in wanted)]
    threads = [threading.Thread(target=worker, args=(queue,)) for _ in range(int(os.environ.get("AT_ONCE", "20")))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{passed} passed, {len(failed)} failed, 0 skipped")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
