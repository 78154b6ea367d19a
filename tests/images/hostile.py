#!/usr/bin/env python3
"""Archives that somebody made to do harm, one by one: each is refused with one sentence
that names the entry, in bounded memory. Nothing but banger-import is run. Usage: hostile.py"""
import gzip, lzma, os, shutil, struct, sys, tempfile
sys.path.insert(0, os.path.dirname(__file__))
from parts import *

MIB = 1 << 20


def one(name, words, *entries, below=None, **more):
    """A layer of these entries (over another one) is refused."""
    layers = ([layer(tar(*below))] if below else []) + [layer(tar(*entries))]
    refused(name, words, LAYERS, stream(*layers), **more)


def blob(name, words, data, plain=b"", **more):
    refused(name, words, LAYERS, stream(layer(data, plain)), **more)


# --- names and links ---------------------------------------------------------------
one("name begins with ..", ('"../x"', '".."'), entry("../x"))
one("name climbs in the middle", ('"a/../../x"', '".."'), entry("a/../../x"))
one("name ends in ..", ('"a/.."', '".."'), folder("a/.."))
one("name is ..", ('".."', "leaves"), folder(".."))
one("absolute name that climbs", ('"/../x"', "leaves"), entry("/../x"))
one("hard link out of the root", ('"x"', '".."'), header("x", b"1", link="../../etc/shadow"))
one("hard link to the host's file", ('"x"', "links to"), header("x", b"1", link="/etc/shadow"))
one("hard link to itself", ('"x"', "links to"), header("x", b"1", link="x"))
one("hard link to a folder", ('"e"', "hard link to a folder"), folder("d"), header("e", b"1", link="d"))
one("hard link to what a whiteout removed", ('"y"', "links to"), entry(".wh.x"), header("y", b"1", link="x"), below=[entry("x")])
one("hard link through a file", ('"y"', "as a folder"), entry("x"), header("y", b"1", link="x/z"))
one("symbolic link to nothing", ('"x"', "to nothing"), header("x", b"2"))
one("symbolic link to 5,000 bytes", ('"x"', "longer than 4095"), pax({"linkpath": b"l" * 5000}, "x", kind=b"2", link="l"))
one("file through a link to /", ('"l/passwd"', "symbolic link, as a folder"), header("l", b"2", link="/etc"), entry("l/passwd"))
one("file through a link to ..", ('"l/x"', "symbolic link, as a folder"), header("l", b"2", link="../../.."), entry("l/x"))
one("link replaced behind the back", ('"d/x"', "as a folder"), folder("d"), header("d", b"2", link="/etc"), entry("d/x"))
one("lower layer's links in a ring", ('"a/x"', "40 symbolic links"), entry("a/x"), below=[header("a", b"2", link="b"), header("b", b"2", link="a")])
one("lower layer's links that multiply", ('"l9/x"', "40 symbolic links"), entry("l9/x"),
    below=[folder("l0")] + [header("l%d" % i, b"2", link="l%d/../l%d/../l%d" % (i - 1, i - 1, i - 1)) for i in range(1, 10)])
one("file as a folder", ('"f/x"', "which is a file"), entry("f"), entry("f/x"))
one("lower layer's file as a folder", ('"f/x"', "which is a file"), entry("f/x"), below=[entry("f")])
one("file over a folder with files", ('"d"', "already a folder"), entry("d/f"), entry("d"))
one("link over a folder with files", ('"d"', "already a folder"), entry("d/f"), header("d", b"2", link="x"))
one("hard link over a folder with files", ('"d"', "already a folder"), entry("x"), entry("d/f"), header("d", b"1", link="x"))
one("top that is a link", "top of the tree", header("./", b"2", link="x"))
one("top that is a file", '"."', entry("."))
one("lost+found that is a file", "lost+found", entry("lost+found"))
one("name without a byte", "no name", entry(b""))
one("name of 256 bytes", ("nnn", "longer than 255"), pax({"path": b"n" * 256}))
one("path of 5,000 bytes", "path is longer than 4095", pax({"path": (b"n" * 99 + b"/") * 50}))
one("folders 300 deep", "nested deeper than 256", pax({"path": b"d/" * 300 + b"f"}))
one("depth through lower layers' links", "nested deeper than 256", pax({"path": b"l/" + b"e/" * 200 + b"f"}),
    below=[pax({"path": b"d/" * 200 + b"f"}), pax({"linkpath": b"d/" * 200}, "l", kind=b"2", link="d")])
one("escape sequences in a name", "?[31m", entry(b"../\x1b[31mred\n{\"ok\":true}"))
one("name that is no UTF-8", '"..', entry(b"../\xff\xfe\x80"))
one("name with a C1 control", "..", entry(b"../\xc2\x9b31m"))

# --- attributes ----------------------------------------------------------------------
one("owner beyond 32 bits", ('"x"', "owner"), pax({"uid": b"8589934592"}))
one("owner below zero", ('"x"', "owner"), pax({"uid": b"-5"}))
one("device beyond Linux's", ('"x"', "device number"), header("x", b"3", major=0o7777777, minor=1))
one("attribute of 20,000 bytes", ('"x"', "extended attributes"), pax({"SCHILY.xattr.user.a": b"v" * 20000}))
one("attribute of 6,000 bytes", "extended attributes", pax({"SCHILY.xattr.user.a": b"v" * 6000}))
one("500 attributes", "extended attributes", pax({"SCHILY.xattr.user.%03d" % i: b"v" * 40 for i in range(500)}))

# --- headers that lie -------------------------------------------------------------------
one("wrong checksum", "not a tar", header("x")[:148] + b"123456\0 " + header("x")[156:])
one("wrong checksum in the middle", "damaged", entry("a"), header("x")[:148] + b"123456\0 " + header("x")[156:])
one("size below zero", "", entry("a"), header("x", raw_size=b"\xff" * 12))
one("size of 8 EiB", "", entry("a"), header("x", raw_size=b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7))
one("size of 20 TiB", ('"x"', "16 TiB"), header("x", raw_size=b"\x80" + b"\0" * 5 + b"\x14\0\0\0\0\0"))
one("size that is no number", "", entry("a"), header("x", raw_size=b"zzzzzzzzzzz\0") + b"data" * 128)
one("pax record longer than its header", "", entry("p", b"9999 path=x\n", kind=b"x"), entry("../x"))
one("pax record without an end", "", entry("p", b"12 path=xyzzy", kind=b"x"), entry("../x"))
one("pax size that is no number", "", entry("p", b"abc path=x\n", kind=b"x"), entry("../x"))
one("pax header of 64 MiB", "", header("p", b"x", size=64 * MIB), b"\0" * 1024)
one("long name of 1 TiB", "", header("././@LongLink", b"L", raw_size=b"\x80" + b"\0" * 5 + b"\x01\0\0\0\0\0"), b"x" * 512)
one("long name that climbs", '".."', entry("././@LongLink", b"../" * 50 + b"x\0", kind=b"L"), entry("x"))
one("sparse pieces that go back", "", pax({"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.name": "s", "GNU.sparse.size": "65536",
    "GNU.sparse.map": "32768,512,0,512"}, "s", b"d" * 1024), entry("../x"))
one("sparse piece beyond the end", "", pax({"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.name": "s", "GNU.sparse.size": "4096",
    "GNU.sparse.map": "8388608,512"}, "s", b"d" * 512), entry("../x"))
one("sparse map of letters", "", pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s", "GNU.sparse.realsize": "4096"},
    "s", b"abc\n" * 128), entry("../x"))
one("sparse file of 1 EiB", "16 TiB", pax({"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.name": "s", "GNU.sparse.size": str(1 << 60),
    "GNU.sparse.map": "0,512"}, "s", b"d" * 512))

# --- whiteouts ---------------------------------------------------------------------------
one("whiteout of nothing", ('".wh."', "without a name"), entry(".wh."))
one("whiteout of .", ('"d/.wh.."', "without a name"), entry("d/.wh.."))
one("whiteout of ..", ('"d/.wh..."', "without a name"), entry("d/.wh..."))
one("whiteout that climbs", ('"../.wh.x"', '".."'), entry("../.wh.x"))
one("opaque mark that climbs", "leaves", entry("d/../../.wh..wh..opq"), below=[folder("d")])
one("whiteout in a file", "as a folder", entry("f/.wh.x"), below=[entry("f")])
one("whiteout through this layer's link", "as a folder", header("l", b"2", link="/"), entry("l/.wh.x"))

# --- cut short -----------------------------------------------------------------------------
whole = tar(entry("a", b"text"), entry("b", b"y" * 5000))
for name, cut in (("a header", 300), ("data", 1800), ("a file", 4000)):
    blob("plain layer cut in %s" % name, "", whole[:cut], whole)
packed = gzip.compress(whole)
blob("gzip cut in its header", "cut short", packed[:5], whole)
blob("gzip cut in the middle", "cut short", packed[:len(packed) // 2], whole)
blob("gzip cut in its end", "cut short", packed[:-3], whole)
blob("gzip with a wrong checksum", "checksum", packed[:-8] + b"\0\1\2\3" + packed[-4:], whole)
blob("gzip with a wrong length", "checksum", packed[:-4] + b"\xff\xff\0\0", whole)
blob("gzip with a turned bit", "", packed[:40] + bytes([packed[40] ^ 16]) + packed[41:], whole)
blob("gzip and more", "no gzip", packed + b"\0" * 512 + b"more", whole)
blob("gzip and other bytes", "damaged", packed + b"more" * 8, whole)
blob("gzip and a little more", "cut short", packed + b"\x1f", whole)
blob("gzip packed some other way", "way of packing", b"\x1f\x8b\x07" + packed[3:], whole)
blob("gzip in gzip", "not a tar", gzip.compress(packed), packed)
blob("xz", "", lzma.compress(whole), whole)
squeezed = zstd(whole)
blob("zstd cut in the middle", "cut short", squeezed[:-9], whole)
blob("zstd with a turned bit", "", squeezed[:30] + bytes([squeezed[30] ^ 4]) + squeezed[31:], whole)
blob("zstd and other bytes", "damaged", squeezed + b"more", whole)
blob("zstd with a window of 2 GiB", "more than 16 MiB", squeezed[:4] + b"\x00\xa8" + squeezed[6:], whole)
blob("a page of the web", "not a tar", b"<html>404 not found</html>" + b" " * 600, b"x")

# --- bombs ---------------------------------------------------------------------------------
zeros = zstd(header("x", size=2048 * MIB) + b"", "-19")


def flood(kind, size):
    """A stream whose only layer is a file of zeros, packed while it is made."""
    tool = subprocess.Popen(["sh", "-c", "head -c %d /dev/zero | %s" % (size, kind)], stdout=subprocess.PIPE)
    data = tool.stdout.read()
    tool.wait()
    return data


gz = gzip.compress(header("x", size=256 * MIB)) + flood("gzip -1", 256 * MIB)
blob("gzip of 256 MiB of zeros, 64 allowed", "unpacks to more than the 64 MiB", gz, limit=64 * MIB)
blob("zstd of 1 GiB of zeros", "1100 times", zstd(header("x", size=1024 * MIB)) + flood("zstd -q", 1024 * MIB))
blob("larger than allowed", "larger than the 1 MiB", tar(entry("x", os.urandom(3 * MIB))), limit=MIB)
refused("does not fit on its disk", "does not fit", ROOTFS, lambda: iter([header("x", size=48 * MIB)] + [b"noise" * 209716] * 48), size=32 * MIB)
refused("disk too small for ext4", "too small", LAYERS, stream(layer(tar(entry("x")))), size=20 * MIB)


def links(count):
    yield header("f")
    for i in range(count):
        yield header("l%d" % i, b"1", link="f")
    yield END


refused("file with 65,001 names", ("more than 65000 names"), ROOTFS, lambda: links(65001))


def many(count):
    base = bytearray(header("f000000000"))
    total = sum(base[:148]) + 256 + sum(base[156:])
    for first in range(0, count, 1000):
        piece = bytearray()
        for i in range(first, first + 1000):
            digits = b"%09d" % i
            base[1:10] = digits
            base[148:154] = b"%06o" % (total + sum(digits) - 9 * 48)
            piece += base
        yield bytes(piece)
    yield END


r = run(ROOTFS, lambda: many(1000100))
check("1,000,100 files", not r.ok and "more than 1000000 files" in r.error, r.last)
where = tempfile.mkdtemp(prefix="banger-hostile-", dir="/var/tmp")
r = run(ROOTFS, lambda: many(200000), out=os.path.join(where, "many.ext4"))
check("200,000 files in 64 MiB", r.ok and r.rss <= RSS_MOST, "%d KiB, %s" % (r.rss, r.last))

# --- the stream between fetch and import -----------------------------------------------------
good = layer(tar(entry("x")))
refused("stream without an end", "ended too early", LAYERS, good)
refused("stream that stops in a header", "ended too early", LAYERS, good + b"BIGS")
refused("stream that stops in a blob", "ended too early", LAYERS, good[:-700])
refused("empty stream", "ended too early", LAYERS, b"")
refused("stream of something else", "another version", LAYERS, b"GET / HTTP/1.1" + b"\0" * 100)
refused("stream with an unknown part", "another version", LAYERS, good + struct.pack("<IIQ", MAGIC, 7, 0) + b"\0" * 32)
refused("blob of 2^63 bytes", "another version", LAYERS, struct.pack("<IIQ", MAGIC, 1, 1 << 63) + b"\0" * 32)
refused("digest of another layer", "digest", LAYERS, stream(layer(tar(entry("x")), b"another")))
refused("1,025 layers", "more than 1024 layers", LAYERS, stream(*[layer(END) for _ in range(1025)]))
refused("empty archive", "empty", ROOTFS, b"")
refused("archive of zeros", "empty", ROOTFS, b"\0" * 10240)
refused("archive without an end mark", "no end mark", ROOTFS, entry("x"))

# --- saved images ----------------------------------------------------------------------------


def describe(data, **more):
    return dict(digest="sha256:" + sha(data), size=len(data), **more)


def layout(layers=None, config=None, manifest=None, index=None, drop=(), **swap):
    """Files of an OCI layout of one image; parts can be told otherwise. Keys of `swap` are digests."""
    layers = [tar(entry("x", b"x"))] if layers is None else layers
    config = config if config is not None else json.dumps({"os": "linux", "architecture": "amd64", "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(l) for l in layers]}}).encode()
    manifest = manifest(config, layers) if callable(manifest) else json.dumps({"schemaVersion": 2,
        "config": describe(config), "layers": [describe(l) for l in layers]}).encode()
    index = index(manifest) if callable(index) else json.dumps({"schemaVersion": 2, "manifests": [describe(manifest)]}).encode()
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index}
    for data in [config, manifest, *layers]:
        files["blobs/sha256/" + sha(data)] = data
    for name in drop:
        del files[name(files) if callable(name) else name]
    return files


def archive(files):
    path = os.path.join(where, "image.tar")
    with open(path, "wb") as f:
        f.write(tar(*[entry(name, data) if not isinstance(data, str) else header(name, b"2", link=data) for name, data in files.items()]))
    return path


def load(name, words, files, **more):
    refused("load: " + name, words, LOAD, archive(files) if isinstance(files, dict) else files, **more)


def raw(data):
    path = os.path.join(where, "raw")
    with open(path, "wb") as f:
        f.write(data)
    return path


r = run(LOAD, archive(layout()))
check("load: the same, unharmed", r.ok, r.last)
deep = b'{"manifests":' + b"[" * 4000 + b"]" * 4000 + b"}"
load("empty file", "not a tar", raw(b""))
load("text", "not a tar", raw(b"hello" * 300))
saved = open(archive(layout()), "rb").read()
r = run(LOAD, raw(gzip.compress(saved)))
check("load: packed as a whole", r.ok, r.last)
load("packed twice", "unpack it first", raw(gzip.compress(gzip.compress(saved))))
load("packed with xz", "unpack it first", raw(lzma.compress(saved)))
load("packed archive that is none", "list of manifests", raw(gzip.compress(tar(entry("index.json", b"{}")))))
load("packed archive cut short", "cut short", raw(gzip.compress(saved)[:-40]))
load("packed archive with a wrong sum", "checksum", raw(gzip.compress(saved)[:-8] + bytes(8)))
refused("load: packed archive of 256 MiB of zeros", "allowed", LOAD, raw(gzip.compress(bytes(256 << 20), 1)), limit=128 << 20)
load("archive of something else", "neither index.json", {"etc/passwd": b"root"})
load("index that is no JSON", "not a JSON object", layout(index=lambda m: b"<html>"))
load("index with a NUL", "not a JSON object", layout(index=lambda m: b'{"manifests":[]}\0'))
load("index nested 4,000 deep", "nested deeper", layout(index=lambda m: deep))
load("index of a million values", "larger", layout(index=lambda m: b'{"manifests":[' + b"1," * 1000000 + b"1]}"))
load("index of 5 MiB", "larger than 4 MiB", layout(index=lambda m: b" " * (5 << 20)))
load("index without manifests", "list of manifests", layout(index=lambda m: b"{}"))
load("index of nothing", "there is: nothing", layout(index=lambda m: b'{"manifests":[]}'))
load("digest that climbs", "digest", layout(index=lambda m: b'{"manifests":[{"digest":"sha256:../../../../etc/passwd","size":1}]}'))
load("sha512", "sha256", layout(index=lambda m: b'{"manifests":[{"digest":"sha512:' + b"0" * 128 + b'","size":1}]}'))
load("manifest that is not there", "has no", layout(index=lambda m: b'{"manifests":[{"digest":"sha256:' + b"0" * 64 + b'","size":1}]}'))
load("size that lies", "not as long", layout(index=lambda m: json.dumps({"manifests": [dict(describe(m), size=5)]}).encode()))
load("size below zero", "has no size", layout(index=lambda m: json.dumps({"manifests": [dict(describe(m), size=-1)]}).encode()))
load("other platform only", "linux/s390x", layout(index=lambda m: json.dumps({"manifests": [describe(m, platform={"os": "linux", "architecture": "s390x"})]}).encode()))
load("configuration of another platform", "not for linux/amd64", layout(config=json.dumps({"os": "windows", "architecture": "amd64", "rootfs": {"diff_ids": ["sha256:" + sha(tar(entry("x", b"x")))]}}).encode()))
load("tag that is not there", "no image sid", layout(), tag="sid")
load("manifest without layers", "list of layers", layout(manifest=lambda c, l: b'{"schemaVersion":2}'))
load("manifest of Docker's old kind", "schema 1", layout(manifest=lambda c, l: b'{"schemaVersion":1,"fsLayers":[]}'))
load("more layers than the configuration", "damaged", layout(manifest=lambda c, l: json.dumps({"config": describe(c), "layers": [describe(l[0])] * 2}).encode()))
load("configuration that is a list", "not a JSON object", layout(config=b"[]"))
load("configuration with a number for a name", '"User"', layout(config=json.dumps({"config": {"User": 7}, "rootfs": {"diff_ids": ["sha256:" + sha(tar(entry("x", b"x")))]}}).encode()))
load("environment of 100 KiB", "64 KiB", layout(config=json.dumps({"config": {"Env": ["A=" + "b" * 100000]}, "rootfs": {"diff_ids": ["sha256:" + sha(tar(entry("x", b"x")))]}}).encode()))
changed = layout()
changed["blobs/sha256/" + sha(tar(entry("x", b"x")))] = tar(entry("x", b"y"))
load("layer that was changed", "digest", changed)
longer = layout()
longer["blobs/sha256/" + sha(tar(entry("x", b"x")))] += b"\0" * 512
load("layer that grew", "not as long", longer)
load("8,200 files", "8192", dict(layout(), **{"f%d" % i: b"" for i in range(8200)}))
load("archive cut short", "", raw(open(archive(layout()), "rb").read()[:5000]))
save = layout()
inner = [name for name in save if name.startswith("blobs")]
plain = tar(entry("x", b"x"))
docker = {"c.json": json.dumps({"rootfs": {"diff_ids": ["sha256:" + sha(plain)]}}).encode(), "l/layer.tar": plain}


def saved(manifest, **more):
    return dict(docker, **{"manifest.json": json.dumps(manifest).encode(), **more})


r = run(LOAD, archive(saved([{"Config": "c.json", "Layers": ["l/layer.tar"]}])))
check("load: docker save, unharmed", r.ok, r.last)
load("docker: an object for a list", "JSON list", saved({"Config": "c.json"}))
load("docker: no image", "no image", saved([]))
load("docker: two images", "several", saved([{"Config": "c.json", "Layers": []}] * 2))
load("docker: tag that is not there", "no image x:1", saved([{"Config": "c.json", "RepoTags": ["y:1"], "Layers": []}]), tag="x:1")
load("docker: no configuration", "names no configuration", saved([{"Layers": []}]))
load("docker: configuration out of the archive", "has no", saved([{"Config": "../../etc/passwd", "Layers": []}]))
load("docker: fewer layers", "damaged", saved([{"Config": "c.json", "Layers": []}]))
load("docker: a layer's name is a number", "no name", saved([{"Config": "c.json", "Layers": [1]}]))
load("docker: a layer that is a link out", "has no", saved([{"Config": "c.json", "Layers": ["k/layer.tar"]}], **{"k/layer.tar": "../../../etc/passwd"}))
load("docker: a layer that is a ring of links", "has no", saved([{"Config": "c.json", "Layers": ["k"]}], k="j", j="k"))
load("docker: another layer", "digest", dict(saved([{"Config": "c.json", "Layers": ["l/layer.tar"]}]), **{"l/layer.tar": tar(entry("x", b"y"))}))


def in_folder(files, change):
    path = os.path.join(where, "layout")
    shutil.rmtree(path, ignore_errors=True)
    for name, data in files.items():
        os.makedirs(os.path.dirname(os.path.join(path, name)), exist_ok=True)
        with open(os.path.join(path, name), "wb") as f:
            f.write(data)
    change(path)
    return path


def to_link(path):
    blobs = os.path.join(path, "blobs")
    os.rename(blobs, path + "-blobs")
    os.symlink(path + "-blobs", blobs)


def index_to(target):
    def change(path):
        os.unlink(os.path.join(path, "index.json"))
        target(os.path.join(path, "index.json"))
    return change


r = run(LOAD, in_folder(layout(), lambda p: None))
check("load: a folder, unharmed", r.ok, r.last)
load("folder: a link for the index", "no plain file", in_folder(layout(), index_to(lambda p: os.symlink("/etc/passwd", p))))
load("folder: a pipe for the index", "no plain file", in_folder(layout(), index_to(os.mkfifo)))
load("folder: a link for the blobs", "no plain file", in_folder(layout(), to_link))
load("folder: nothing in it", "neither", in_folder({"x/y": b""}, lambda p: None))
load("folder: blobs that are gone", "cannot be read", in_folder(layout(), lambda p: shutil.rmtree(os.path.join(p, "blobs"))))
shutil.rmtree(where)
sys.exit(summary())
