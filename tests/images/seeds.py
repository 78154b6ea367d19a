#!/usr/bin/env python3
"""Makes the fuzz targets' seeds that reach the rarer ways of refusing an archive, a base image or a saved image:
fuzz/seeds/{tar,layers,subtree,load,bundle,package,docker,run_config,tree,toml}/made-*. Usage: seeds.py (as root: devices)."""
import gzip, hashlib, io, json, lzma, os, shutil, struct, subprocess, sys, tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from parts import END, entry, folder, header, pad, pax, tar  # noqa: E402

SEEDS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../fuzz/seeds")
CUT = b"LAYER-ENDS"


def seed(target, name, data):
    assert len(data) <= 65536, (target, name, len(data))
    with open(f"{SEEDS}/{target}/made-{name}", "wb") as f:
        f.write(data)


# --- archives ---------------------------------------------------------------------------
acl = "user::rwx,user:1000:r--,user:7:r-x,group::r-x,group:2000:r--,group:5:rwx,mask::rwx,other::r--"
seed("tar", "acl", tar(pax({"SCHILY.acl.access": acl}, "a", b"x"),
                       pax({"SCHILY.acl.default": acl, "SCHILY.acl.access": acl}, "d/", kind=b"5", mode=0o755)))
seed("tar", "acl-many", tar(pax({"SCHILY.acl.access": "user::rwx,group::r--,other::r--,mask::r--," +
                                 ",".join(f"user:{i}:r--" for i in range(1, 140))}, "a", b"x")))
seed("tar", "acl-nfs", tar(pax({"SCHILY.acl.ace": "owner@:rwxp--aARWcCos:-------:allow"}, "a", b"x")))
seed("tar", "xattrs", tar(pax({"SCHILY.xattr.user.b": "1", "SCHILY.xattr.user.a": "22", "SCHILY.xattr.user.c": "333",
                               "LIBARCHIVE.xattr.user.b": "NDQ0NA", "SCHILY.xattr.darwin.x": "no"}, "a", b"x")))
seed("tar", "end-mark", entry("a", b"x" * 600))
seed("tar", "second-header", entry("a", b"x") + b"\x07" * 512 + END)
seed("tar", "short-data", entry("a", b"x" * 2000)[:1024])
seed("tar", "sockets", tar(header("s", b"s"), header("?", b"?")))
long = tar(entry("a", b"x")) + bytes(3 << 20)
seed("tar", "sum-at-the-end", gzip.compress(long, 9)[:-8] + bytes(8))
seed("layers", "whiteout-long", tar(pax({"path": "a/" * 2100 + ".wh.b"}, "w")))
seed("layers", "up", tar(folder("d"), folder("d/e"), header("d/l", b"2", link="../d/e/.."), header("r", b"2", link="/d")) +
     CUT + tar(entry("d/l/x", b"1"), entry("r/y", b"2"), entry("d/l/../z", b"3")))
seed("layers", "opaque-twice", tar(folder("d"), folder("d/e"), entry("d/e/f", b"1"), entry("d/g", b"2"), folder("d/h"),
                                   entry("d/h/i", b"4")) +
     CUT + tar(folder("d"), folder("d/e"), entry("d/e/new", b"3"), entry("d/.wh..wh..opq"), entry("d/.wh..wh..opq"),
               entry("d/.wh.g"), entry(".wh.d")))
seed("layers", "gone-twice", tar(folder("d"), entry("d/a", b"1"), entry("d/b", b"2"), folder("d/c"), entry("d/c/x", b"1")) +
     CUT + tar(entry("d/.wh.a"), entry("d/.wh.c")) + CUT + tar(entry(".wh.d")) + CUT + tar(entry("d", b"file")))
seed("layers", "hard-odd", tar(entry("a", b"1"), header("h", b"1", link="a" * 90 + "/" + "b" * 9)))
seed("layers", "hard-top", tar(entry("a", b"1"), header("./", b"1", link="a")))
seed("layers", "hard-long", tar(entry("a", b"1"), pax({"linkpath": "b" * 300}, "h", kind=b"1")))
digest = hashlib.sha256(b"other").digest()
layer = tar(entry("a", b"1"))
seed("layers", "stream-diff", struct.pack("<IIQ", 0x53474942, 1, len(layer)) + digest + layer +
     struct.pack("<IIQ", 0x53474942, 2, 0) + bytes(32))
seed("layers", "stream-many", b"".join(struct.pack("<IIQ", 0x53474942, 1, 0) + hashlib.sha256(b"").digest()
                                       for _ in range(1030)) + struct.pack("<IIQ", 0x53474942, 2, 0) + bytes(32))


def zstd(data, *options):
    return subprocess.run(["zstd", "-q", "-c", *(options or ("-19", "--check"))], input=data, check=True, stdout=subprocess.PIPE).stdout


seed("layers", "limit-packed", b"LIMIT\n" + tar(entry("a", b"x" * 3000)))
seed("layers", "limit-unpacked", b"LIMIT\n" + zstd(tar(entry("a", b"x" * 3000))))
seed("layers", "window", struct.pack("<IBB", 0xfd2fb528, 0, 27 - 10 << 3) + b"\1\0\0")


# --- base images --------------------------------------------------------------------------
def image(name, *commands, kind=("-t", "ext4", "-O", "^has_journal,^metadata_csum,^resize_inode,^64bit"), make=None,
          patch=None, blocks=120, inodes=32, inode=256):
    """A file system of 1 KiB blocks with a folder /root, then debugfs's commands, then a change of the bytes."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as top:
        root = os.path.join(top, "root")
        os.mkdir(root, 0o755)
        with open(os.path.join(root, "f"), "wb") as f:
            f.write(b"x" * 1500)
        os.symlink("t", os.path.join(root, "l"))
        os.mkdir(os.path.join(root, "d"))
        if make:
            make(root)
        path = os.path.join(top, "image")
        subprocess.run(["mke2fs", "-q", "-F", *kind, "-b", "1024", "-m", "0", "-N", str(inodes), "-I", str(inode), "-U",
                        "clear", "-d", root, path, str(blocks)], check=True, stderr=subprocess.DEVNULL)
        # mke2fs made `root` the top: what is in it goes into a folder of that name too.
        text = "".join(c + "\n" for c in ("mkdir root", "link f root/f", "link l root/l", *commands))
        subprocess.run(["debugfs", "-w", "-f", "-", path], input=text.encode(), check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        with open(path, "rb") as f:
            seed("subtree", name, (patch or bytes)(f.read(65536)).rstrip(b"\0"))


def attributes(root):
    entries = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in
                                               ((1, 7, 0xffffffff), (2, 4, 1000), (4, 5, 0xffffffff), (16, 7, 0xffffffff),
                                                (32, 4, 0xffffffff)))
    os.setxattr(os.path.join(root, "f"), "system.posix_acl_access", entries)
    os.setxattr(os.path.join(root, "d"), "system.posix_acl_default", entries)
    os.setxattr(os.path.join(root, "f"), "user.a", b"b" * 20)
    os.mknod(os.path.join(root, "c"), 0o20600, os.makedev(5, 1))
    os.mknod(os.path.join(root, "b"), 0o60600, os.makedev(300, 0x12345))
    os.mkfifo(os.path.join(root, "p"))
    os.symlink("s" * 200, os.path.join(root, "long"))


def many(root):
    for i in range(140):
        os.mknod(os.path.join(root, f"n{i}"), 0o100644)


OLD = ("-t", "ext2", "-O", "^resize_inode")
image("attributes", "link c root/c", "link b root/b", "link long root/long", make=attributes)
image("many", make=many, inodes=170, inode=128)
image("block-outside", "sif f block[0] 0xffffff", kind=OLD)
image("block-cut", "sif f block[0] 900", kind=OLD, blocks=1000)
image("extent-outside", "sif f block[5] 0xffffff")
image("extent-overlap", "sif f block[0] 0x2f30a", "sif f block[4] 1", "sif f block[6] 0", "sif f block[7] 1", "sif f block[8] 40")
image("extent-magic", "sif f block[0] 0")
image("extent-depth", "sif f block[1] 0x10004", "sif f block[4] 0xffffff")
image("file-huge", "sif f size 0x7fff00000000")
image("no-type", "sif f mode 0")
image("encrypted", "sif f flags 0x80800")
image("link-empty", "sif l size 0")
image("link-long", "sif l size 5000")
image("link-short", "sif l block[0] 0")
image("attributes-bad", "sif f file_acl 0xffffff")
def nowhere(data):
    at = data.index(b"nowhere")
    return data[:at - 8] + struct.pack("<I", 9999) + data[at - 4:]


image("no-inode", "link f root/nowhere", patch=nowhere)
image("two-names", "link d root/d")
image("name-twice", "link f root/name-a", "link f root/name-b", patch=lambda data: data.replace(b"name-b", b"name-a"))
image("no-root", "unlink root/f", "unlink root/l", "rmdir root")
image("root-file", "unlink root/f", "unlink root/l", "rmdir root", "link f root")
image("root-nowhere", "unlink root/f", "unlink root/l", "rmdir root", "link f nowhere", patch=nowhere)
image("link-outside", "link long root/long", "sif long block[5] 0xffffff", make=attributes)
image("not-clean", "feature needs_recovery")
# Each of these files says three times that it has the 115 first blocks of the image: together more than may be.
again = [f"sif f{i} {field}" for i in range(78) for field in
         ["size 353280", "flags 0x80000", "block[0] 0x3f30a", "block[1] 4", "block[2] 0"] +
         [f"block[{3 + 3 * k + at}] {value}" for k in range(3) for at, value in enumerate((k * 115, 115, 1))]]
image("larger", *again, inodes=110, inode=128,
      make=lambda root: [os.mknod(os.path.join(root, f"f{i}"), 0o100644) for i in range(78)])
image("inline", "link i root/i", make=lambda root: open(os.path.join(root, "i"), "w").write("in the inode"),
      kind=("-t", "ext4", "-O", "^has_journal,^metadata_csum,^resize_inode,inline_data"))


# --- saved images as folders: 'F', then files: name, NUL, size (2 bytes), content -------------------
def layout(files):
    return b"F" + b"".join(name.encode() + b"\0" + struct.pack("<H", len(data)) + data for name, data in files.items())


def oci(layers, **more):
    """A layout's files."""
    files = {}

    def put(data):
        name = hashlib.sha256(data).hexdigest()
        files["blobs/sha256/" + name] = data
        return {"digest": "sha256:" + name, "size": len(data)}
    kind = "application/vnd.oci.image."
    packed = [{"mediaType": kind + "layer.v1.tar", **put(data)} for data in layers]
    config = put(json.dumps({"os": "linux", "architecture": "amd64", "config": {},
                             "rootfs": {"type": "layers", "diff_ids": [d["digest"] for d in packed]}}).encode())
    manifest = put(json.dumps({"schemaVersion": 2, "config": {"mediaType": kind + "config.v1+json", **config},
                               "layers": packed}).encode())
    files["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [
        {"mediaType": kind + "manifest.v1+json", **manifest}]}).encode()
    files.update(more)
    return files


whole = oci([tar(entry("a", b"1")), tar(entry("b", b"2"))])
seed("load", "folder", layout(whole))
seed("load", "folder-empty", layout({"other": b""}))
seed("load", "folder-index", layout({"index.json": b""}))
gone = dict(whole)
del gone[next(iter(gone))]
seed("load", "folder-gone", layout(gone))
is_link = dict(whole)
first = next(iter(is_link))
is_link[first] = b""
seed("load", "folder-link", layout({**{k: v for k, v in is_link.items() if k != first}, first + "@": b"index.json"}))
seed("load", "folder-folder", layout({**{k: v for k, v in is_link.items() if k != first}, first + "/x": b""}))
seed("load", "document-cut", tar(entry("index.json", b"{" * 2000))[:1024])
seed("load", "names-long", tar(pax({"path": "a/" * 700 + "b"}, "x", b"1"), entry("oci-layout", b"{}")))
damaged = dict(whole)
blob = next(name for name in damaged if name.startswith("blobs/"))
damaged[blob] = damaged[blob].replace(b"1", b"2")
seed("load", "folder-layer-damaged", layout(damaged))
seed("load", "packed-skips", gzip.compress(tar(entry("x", bytes(900000)), entry("oci-layout", b"{}")), 9))
seed("load", "packed-cut", gzip.compress(tar(entry("oci-layout", b"{}")), 9)[:-9])
seed("load", "packed-limit", zstd(bytes(25 << 20)))
seed("load", "packed-many", zstd(entry("a") * 8200 + END))
seed("load", "packed-document", zstd(tar(entry("index.json", b" " * (5 << 20)))))
seed("load", "xz", lzma.compress(tar(entry("oci-layout", b"{}"))))
images = [{"Config": "c.json", "RepoTags": ["a:1"], "Layers": []}, {"Config": "c.json", "RepoTags": ["b:2"], "Layers": []}]
saved = tar(entry("manifest.json", json.dumps(images).encode()), entry("c.json", b"{}"))
seed("load", "tag", b"Tb:2\n" + saved)
seed("load", "tag-none", b"Tc:3\n" + saved)

# --- TOML ----------------------------------------------------------------------------------------------
for number, text in enumerate((b'a = "\x01"', b"\x80 = 1", b'a = "\xc3("', b"n" * 70 + b" = 1", b"= 1", b'a = "\\u00e9 \\U0001f600"',
                               b'a = "\\uD800"', b'a = "\\uZZZZ"', b'a = "\\q"', b'a = "' + b"x" * 5000 + b'"', b'a = "x', b"a = ?",
                               b"a = 99999999999999999999", b"a = -x", b"[a", b"[[a]", b"[]", b"[a] x", b"a 1", b"a = 1 2", b"a = tru",
                               b"a = 1\na = 2", b"[a]\n[a]", b"# only\n\n")):
    seed("toml", f"{number:02}", text)

# --- bundles and packages ----------------------------------------------------------------------------
with open(f"{SEEDS}/bundle/plain", "rb") as f:
    plain = f.read()


seed("bundle", "damaged-behind", plain + zstd(bytes(3 << 20))[:-4] + b"sum!")
seed("bundle", "cut-behind", plain + zstd(bytes(3 << 20))[:-6])
seed("bundle", "no-second-header", b"\0" + zstd(entry("manifest.json", b"{}") + b"\x07" * 512 + END))
with open(f"{SEEDS}/bundle/whole", "rb") as f:
    seed("bundle", "full", b"\x20" + f.read()[1:])
seed("bundle", "ratio", b"\x10" + zstd(tar(entry("rootfs.ext4", b"x" * 400000))))


def ar(**members):
    out = b"!<arch>\n"
    for name, data in members.items():
        out += b"%-16s%-12d%-6d%-6d%-8o%-10d`\n" % (name.replace("_", ".").encode(), 0, 0, 0, 0o644, len(data)) + data + b"\n" * (len(data) & 1)
    return out


big = tar(entry("./usr/share/doc/x", b"text"), entry("./lib/modules/6.1/kernel/virtio.ko", bytes((16 << 20) + 1)))
seed("package", "large-module", b"\0" + ar(data_tar_xz=lzma.compress(big, preset=1)))
seed("package", "ar-junk", b"\0!<arch>\nnothing like a header, and long enough for one that is sixty bytes")
seed("package", "tar-junk", b"\0" + bytes(257) + b"ustar" + b"\x07" * 600)
sparse = pax({"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": "600,4", "GNU.sparse.numblocks": "1",
              "GNU.sparse.size": "604"}, "lib/modules/6.1/kernel/virtio.ko", b"data")
seed("package", "sparse-module", b"\0" + tar(sparse))
with open(f"{SEEDS}/package/module-virtio.ko", "rb") as f:
    seed("package", "other-release", f.read().replace(b"license=GPL", b"vermagic=5 "))
seed("package", "limit", b"\xff" + tar(entry("./usr/share/doc/x", b"text" * 500)))

# --- docker's configuration: the host, then the text; what the engine has of an image -----------------------------
def docker(name, login):
    seed("docker", name, b"r.example\n" + json.dumps({"auths": {"r.example": login}}).encode())


docker("auth-long", {"auth": "QUFB" * 3000})
docker("auth-nul", {"auth": "QUEAQTpB"})
docker("auth-no-digit", {"auth": "QU*B"})
docker("name-long", {"username": "u" * 300})
docker("password-quoted", {"username": "u", "password": '"\\'})
seed("run_config", "word-long", json.dumps({"user": "u" * 300}).encode())
seed("run_config", "words-many", json.dumps({"cmd": ["a"] * 4097}, separators=(",", ":")).encode())
seed("run_config", "long", b" " * 65536)

# --- trees: entries are type, mode, sizes of name and target, zero, ns, s, size -----------------------------------
def node(kind, name=b"", target=b"", size=0, mode=0o644):
    return struct.pack("<IIIIIIqQ", kind, mode, len(name), len(target), 0, 5, 1700000000, size) + name + target


TOTAL, FILE, LINK, FOLDER, LEAVE, END_OF_TREE = 1, 2, 3, 4, 5, 8
chunk = struct.pack("<I", 7) + b"content" + struct.pack("<I", 0)
seed("tree", "end-first", node(TOTAL) + node(END_OF_TREE))
seed("tree", "total-in-folder", node(TOTAL) + node(FOLDER, mode=0o755) + node(TOTAL, b"x"))
seed("tree", "all", node(TOTAL, size=7) + node(FOLDER, mode=0o755) + node(FILE, b"f", size=7) + chunk +
     node(LINK, b"l", b"f") + node(FOLDER, b"d", mode=0o700) + node(LEAVE) + node(LEAVE) + node(END_OF_TREE))
seed("tree", "only-file", node(TOTAL, size=7) + node(FILE, size=7) + chunk + node(END_OF_TREE))
seed("tree", "only-link", node(TOTAL) + node(LINK, target=b"to") + node(END_OF_TREE))
seed("tree", "answer", node(END_OF_TREE))
seed("tree", "answer-not", node(FILE, b"f"))
