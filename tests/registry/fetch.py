"""Runs build/banger-fetch as the engine would, and reads what it sends."""
import hashlib
import json
import os
import select
import shutil
import struct
import tempfile
import time

PROGRAM = os.environ.get("FETCH", "build/banger-fetch")
MAGIC, LAYER, END = 0x53474942, 1, 2


class Result:
    """lines: all messages; last: the last one; layers: [(size, sha256 of the bytes, diff_id)]; whole: STREAM_END
    came; raw: bytes on the pipe; config: of descriptor 6; rss: KiB at most; seconds."""


def start(request, cache, reader=None):
    text = json.dumps(request).encode()
    plan = os.memfd_create("plan")
    os.write(plan, text)
    os.lseek(plan, 0, 0)
    messages, messages_in = os.pipe()
    pipe, pipe_in = os.pipe()
    config = tempfile.TemporaryFile()
    folder = os.open(cache, os.O_RDONLY | os.O_DIRECTORY)
    pid = os.fork()
    if pid == 0:
        null = os.open("/dev/null", os.O_RDWR)
        fds = [null, null, messages_in, plan, folder, pipe_in, config.fileno()]
        high = []
        for fd in fds:
            copy = fd
            while copy < 20:
                copy = os.dup(copy)
            high.append(copy)
        for number, fd in enumerate(high):
            os.dup2(fd, number)
        os.closerange(len(fds), 256)
        os.execve(PROGRAM, ["banger-fetch"], {})
    for fd in (plan, messages_in, pipe_in, folder):
        os.close(fd)
    return pid, messages, pipe, config


def peak(pid):
    """KiB at most so far (wait4's number is that of the parent, where that is larger)."""
    try:
        with open(f"/proc/{pid}/status") as f:
            if not f.readline().endswith("\tbanger-fetch\n"):
                return 0
            return next((int(line.split()[1]) for line in f if line.startswith("VmHWM")), 0)
    except OSError:
        return 0


def parse_stream(raw):
    layers, at, whole = [], 0, False
    while at + 48 <= len(raw):
        magic, kind, size, diff_id = struct.unpack_from("<IIQ32s", raw, at)
        assert magic == MAGIC, "a header out of place"
        at += 48
        if kind == END:
            whole = at == len(raw)
            break
        body = raw[at:at + size]
        layers.append((size, hashlib.sha256(body).hexdigest(), diff_id.hex()))
        at += size
    return layers, whole


def run(request, cache, keep_reading=True):
    """keep_reading False: the pipe's reader goes away after the first bytes."""
    result = Result()
    result.rss = 0
    began = time.monotonic()
    pid, messages, pipe, config = start(request, cache)
    raw, text = bytearray(), bytearray()
    open_fds = {messages, pipe}
    while open_fds:
        readable = select.select(list(open_fds), [], [], 0.05)[0]
        result.rss = max(result.rss, peak(pid))
        for fd in readable:
            data = os.read(fd, 1 << 20)
            if not data:
                open_fds.discard(fd)
                os.close(fd)
            elif fd == messages:
                text += data
            else:
                raw += data
                if not keep_reading:
                    open_fds.discard(fd)
                    os.close(fd)
    _, status = os.waitpid(pid, 0)
    result.status = os.waitstatus_to_exitcode(status)
    result.seconds = time.monotonic() - began
    result.text = text.decode("utf-8", "replace")
    result.lines = [json.loads(line) for line in result.text.splitlines()]
    result.last = result.lines[-1] if result.lines else {}
    result.raw = bytes(raw)
    result.layers, result.whole = ([], False) if request.get("mode") == "file" else parse_stream(raw)
    config.seek(0)
    result.config = config.read()
    return result


def image(reference, hosts, **more):
    """A request for an image; `hosts`: endpoints, or names of hosts."""
    endpoints = [h if isinstance(h, dict) else {"host": h} for h in hosts]
    return {"mode": "image", "reference": reference, "platform": "linux/amd64", "endpoints": endpoints,
            "limit": 1 << 32, "patience": 6, **more}


class Cache:
    """A fresh cache folder, removed at the end."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="banger-cache.")
        return self.path

    def __exit__(self, *unused):
        shutil.rmtree(self.path)
