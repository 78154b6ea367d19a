"""Shared by the importer's tests: raw tar headers, layers, layouts, and a run of banger-import."""
import gzip, hashlib, io, json, os, struct, subprocess, tarfile, tempfile, threading, time

IMPORT = os.environ.get("IMPORT", "build/banger-import")
ROOTFS, WORK, LAYERS, LOAD = 1, 2, 4, 5
MAGIC = 0x53474942
RSS_MOST = 64 << 10  # KiB
END = b"\0" * 1024


def pad(data):
    return data + b"\0" * (-len(data) % 512)


def header(name, kind=b"0", size=0, link=b"", mode=0o644, uid=0, gid=0, major=0, minor=0, raw_size=None, mtime=1000000, magic=b"ustar\x0000"):
    name, link = (x.encode() if isinstance(x, str) else x for x in (name, link))
    block = bytearray(512)
    block[0:len(name[:100])] = name[:100]
    block[100:108] = b"%07o\0" % mode
    block[108:116] = b"%07o\0" % uid
    block[116:124] = b"%07o\0" % gid
    block[124:136] = raw_size if raw_size is not None else b"%011o\0" % size
    block[136:148] = b"%011o\0" % mtime
    block[156:157] = kind
    block[157:157 + len(link[:100])] = link[:100]
    block[257:265] = magic
    block[329:337] = b"%07o\0" % major
    block[337:345] = b"%07o\0" % minor
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def entry(name, data=b"", **more):
    return header(name, size=len(data), **more) + pad(data)


def folder(name, **more):
    return header(name, b"5", mode=0o755, **more)


def pax(records, name="x", data=b"", **more):
    """An entry with pax records: {key: bytes}."""
    text = b""
    for key, value in records.items():
        key, value = (x.encode() if isinstance(x, str) else x for x in (key, value))
        size = len(key) + len(value) + 3
        while len(b"%d" % size) + len(key) + len(value) + 3 != size:
            size = len(b"%d" % size) + len(key) + len(value) + 3
        text += b"%d %s=%s\n" % (size, key, value)
    return entry("pax", text, kind=b"x") + entry(name, data, **more)


def tar(*entries):
    return b"".join(entries) + END


def sha(data):
    return hashlib.sha256(data).hexdigest()


def zstd(data, *options):
    return subprocess.run(["zstd", "-qc", *options], input=data, stdout=subprocess.PIPE, check=True).stdout


def layer(blob, plain=None):
    """A layer of the stream: its blob and, where that is packed, the tar in it."""
    return struct.pack("<IIQ", MAGIC, 1, len(blob)) + hashlib.sha256(blob if plain is None else plain).digest() + blob


def stream(*layers):
    return b"".join(layers) + struct.pack("<IIQ", MAGIC, 2, 0) + b"\0" * 32


class Result:
    def __init__(self, status, lines, rss, seconds):
        self.status, self.rss, self.seconds = status, rss, seconds
        self.last = json.loads(lines[-1]) if lines else {}
        self.ok = self.last.get("ok") is True
        self.error = self.last.get("error", "")


def run(mode, source, out=None, size=0, limit=0, tag="", platform="", config=None):
    """One banger-import. `source`: bytes (through a pipe), an open file, or a path."""
    plan = tempfile.TemporaryFile()
    plan.write(struct.pack("<IIQQII256s64s", 0x42474950, mode, size, limit, 0, 0, tag.encode(), platform.encode()))
    plan.write(b"\0" * 256)
    plan.seek(0)
    feeder = None
    if isinstance(source, (bytes, bytearray)) or callable(source):
        inside, outside = os.pipe()

        def feed():
            with os.fdopen(outside, "wb", buffering=1 << 16) as f:
                try:
                    for piece in source() if callable(source) else (source,):
                        f.write(piece)
                except BrokenPipeError:
                    pass
        feeder = threading.Thread(target=feed)
    else:
        inside = os.open(source, os.O_RDONLY)
    image = os.open(out, os.O_RDWR | os.O_CREAT | os.O_TRUNC) if out else os.memfd_create("image")
    settings = config or tempfile.TemporaryFile()
    ends = os.pipe()
    if feeder:
        feeder.start()
    began = time.time()
    pid = os.fork()
    if pid == 0:
        wanted = [os.open("/dev/null", os.O_RDWR), 0, ends[1], plan.fileno(), inside, image, settings.fileno(),
                  os.memfd_create("scratch")]
        wanted[1] = wanted[0]
        import fcntl
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in wanted]
        for i, fd in enumerate(high):
            os.dup2(fd, i)
        os.closerange(len(wanted), 300)
        try:
            os.execve(IMPORT, ["banger-import"], {})
        finally:
            os._exit(127)
    os.close(ends[1])
    os.close(inside)
    os.close(image)
    with os.fdopen(ends[0]) as messages:
        lines = [line for line in messages.read().split("\n") if line]
    _, status, usage = os.wait4(pid, 0)
    if feeder:
        feeder.join()
    return Result(status, lines, usage.ru_maxrss, time.time() - began)


passed = failed = skipped = 0


def check(name, good, *why):
    global passed, failed
    print(("ok " if good else "not ok ") + name)
    for line in () if good else why:
        print("    " + str(line))
    if good:
        passed += 1
    else:
        failed += 1


def refused(name, words, mode, source, **more):
    """The import fails with one sentence that has these words, is quick, and stays small."""
    r = run(mode, source, **more)
    why = []
    if os.WEXITSTATUS(r.status) != 1 or not os.WIFEXITED(r.status) or r.last.get("ok") is not False:
        why.append("status %x, %s" % (r.status, r.last))
    for word in words if isinstance(words, tuple) else (words,):
        if word not in r.error:
            why.append("%r is not in: %s" % (word, r.error))
    if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in r.error):
        why.append("control bytes in: %r" % r.error)
    if r.rss > RSS_MOST:
        why.append("took %d KiB" % r.rss)
    check(name, not why, *why)
    return r


def summary():
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed else 0
