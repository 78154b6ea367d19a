#!/usr/bin/env python3
"""Awkward layers, put into images by umoci and skopeo: what banger-import makes of each form is
one and the same file, clean under e2fsck, and holds what `umoci unpack` says, file by
file, as the kernel and debugfs see it. Usage: oracle.py (as root)"""
import io, os, re, shutil, stat, subprocess, sys, tempfile
sys.path.insert(0, os.path.dirname(__file__))
import parts
from parts import *

began = time.time_ns()
where = tempfile.mkdtemp(prefix="banger-oracle-", dir="/var/tmp")
path = lambda name: os.path.join(where, name)


def sh(*argv, **more):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    if done.returncode:
        raise RuntimeError("%s: %s" % (" ".join(argv), done.stdout.decode(errors="replace")[-2000:]))
    return done.stdout


def by_gnu_tar(*options):
    """What tar(1) itself makes of sparse files, attributes and lists of names that take access."""
    top = path("gnu")
    shutil.rmtree(top, ignore_errors=True)
    os.makedirs(top + "/sparse")
    for name, pieces in (("holes", ((0, 5000), (1 << 20, 70000), (3 << 20, 1))), ("empty", ()), ("end", ((0, 4096),))):
        with open(top + "/sparse/" + name, "wb") as f:
            for at, size in pieces:
                f.seek(at)
                f.write(b"s" * size)
            f.truncate(4 << 20)
    with open(top + "/sparse/attr", "w") as f:
        f.write("x")
    os.setxattr(top + "/sparse/attr", "user.colour", b"green\0\xff")
    os.setxattr(top + "/sparse/attr", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    os.setxattr(top + "/sparse", "trusted.x", b"y")
    return sh("tar", "-C", top, "--mtime=@1234567890.5", "--owner=3:70000", "--group=4:80000", *options, "-cf", "-", "sparse")


LONG = b"n" * 255
base = [folder("./"), folder("bin"), folder("usr"), folder("usr/lib"), header("lib", b"2", link="usr/lib"),
        entry("bin/sh", b"#!sh" * 3000, mode=0o755), entry("bin/su", b"su", mode=0o4755), folder("tmp", mtime=5), header("var", b"5", mode=0o1777),
        header("bin/ash", b"1", link="bin/sh"), header("usr/lib/ash", b"1", link="./bin/sh"),
        header("short", b"2", link="a/dangling/link"), pax({"linkpath": b"t/" * 300}, "long", kind=b"2", link="t"),
        header("fifo", b"6"), header("null", b"3", major=1, minor=3, mode=0o666), header("disk", b"4", major=259, minor=300),
        pax({"uid": "4000000000", "gid": "70000", "mtime": "1500000000.123456789"}, "owned", b"o"),
        pax({"mtime": "-5"}, "before", b"1970"), entry(b"caf\xe9-\xff", b"latin"), entry("ä", b"utf"),
        pax({"path": LONG + b"/" + LONG}, data=b"deep"), folder("many"), entry("gone", b"g"), folder("goes"), entry("goes/a", b"a"),
        folder("opaque"), entry("opaque/lower", b"l"), folder("opaque/both"), entry("opaque/both/lower", b"l"),
        folder("later"), entry("later/lower", b"l"), folder("later/sub"), entry("later/sub/lower", b"l"), entry("later/same", b"old"),
        entry("to-folder", b"f"), folder("to-file"), entry("to-file/x", b"x"), folder("to-link"), entry("to-link/y", b"y"),
        entry("linked", b"first"), header("linked2", b"1", link="linked"), folder("attributes"), entry("attributes/x", b"kept"),
        entry("zero", b""), entry("big", os.urandom(1 << 20)), entry("zeros", b"\0" * (1 << 20)), entry("GONE", b"another case")]
base += [entry("many/file-%05d" % i, b"%d" % i) for i in range(3000)]
second = [entry(".wh.gone"), entry(".wh.goes"), folder("opaque"), entry("opaque/.wh..wh..opq"), entry("opaque/upper", b"u"),
          folder("opaque/both"), entry("opaque/both/upper", b"u"), entry("lib/new", b"through the link"), header("hard", b"1", link="bin/sh"),
          entry("linked", b"second"), folder("to-folder"), entry("to-folder/x", b"x"), entry("to-file", b"file"),
          header("to-link", b"2", link="usr"), header("attributes", b"5", mode=0o700, uid=7, gid=8, mtime=77),
          entry("many/file-00007", b"changed"), entry("many/.wh.file-00008"), entry(".wh.never-there"), entry("none/.wh.there")]
third = [folder("later"), entry("later/upper", b"u"), folder("later/sub"), entry("later/sub/upper", b"u"), entry("later/same", b"new"),
         entry("later/.wh..wh..opq"), folder("goes"), entry("goes/b", b"again"), entry("gone", b"again"), header("deep-link", b"1", link="later/upper")]
layers = [tar(*base), by_gnu_tar("--format=gnu"), tar(*second), by_gnu_tar("--sparse", "--format=posix", "--xattrs", "--xattrs-include=*"),
          tar(*third), END * 10]


def make_layout():
    sh("umoci", "init", "--layout", path("layout"))
    sh("umoci", "new", "--image", path("layout") + ":t")
    for i, data in enumerate(layers):
        with open(path("layer"), "wb") as f:
            f.write(data)
        sh("umoci", "raw", "add-layer", "--image", path("layout") + ":t", path("layer"))
    sh("umoci", "config", "--image", path("layout") + ":t", "--config.env", "A=b", "--config.cmd", "sh", "--architecture", "amd64", "--os", "linux")
    for form in ("oci-archive:%s:t" % path("oci.tar"), "docker-archive:%s:x:t" % path("docker.tar"), "dir:%s" % path("dir")):
        sh("skopeo", "--insecure-policy", "copy", "oci:%s:t" % path("layout"), form)
    sh("umoci", "unpack", "--image", path("layout") + ":t", path("bundle"))


def describe(top):
    """{path: what can be told of it}."""
    found = {}
    for folder_, folders, files in os.walk(os.fsencode(top)):
        for name in [b"."] + folders + files if folder_ == os.fsencode(top) else folders + files:
            whole = os.path.join(folder_, name)
            key = os.path.relpath(whole, os.fsencode(top))
            if key.startswith(b"lost+found"):
                continue
            st = os.lstat(whole)
            what = {"mode": oct(st.st_mode), "owner": (st.st_uid, st.st_gid), "mtime": st.st_mtime_ns,
                    "attributes": sorted((a, os.getxattr(whole, a, follow_symlinks=False)) for a in os.listxattr(whole, follow_symlinks=False)
                                         if not a.startswith("user.rootlesscontainers"))}
            if not stat.S_ISDIR(st.st_mode):
                what["links"] = st.st_nlink
            if stat.S_ISREG(st.st_mode):
                what["content"] = sha(open(whole, "rb").read())
            if stat.S_ISLNK(st.st_mode):
                what["target"] = os.readlink(whole)
            if stat.S_ISBLK(st.st_mode) or stat.S_ISCHR(st.st_mode):
                what["device"] = st.st_rdev
            found[key] = what
    return found


def differences(wanted, got):
    lines = ["%r is missing" % k for k in sorted(wanted.keys() - got.keys())] + ["%r is too many" % k for k in sorted(got.keys() - wanted.keys())]
    for key in sorted(wanted.keys() & got.keys()):
        lines += ["%r: %s is %r, not %r" % (key, what, got[key].get(what), wanted[key][what])
                  for what in wanted[key] if wanted[key][what] != got[key].get(what)
                  and not (what == "mtime" and wanted[key][what] >= began)]  # umoci's own doing
    return lines


def debugfs(image, wanted):
    """As debugfs tells it, of what has a name that its command line can hold."""
    plain = [k for k in wanted if re.fullmatch(rb"[A-Za-z0-9._/-]+", k) and k != b"." and len(k) < 250]
    text = sh("debugfs", "-f", "/dev/stdin", image, input="".join("stat /%s\n" % k.decode() for k in plain).encode()).decode(errors="replace")
    blocks = re.split(r"debugfs: stat /", text)[1:]
    lines = [] if len(blocks) == len(plain) else ["%d of %d answers" % (len(blocks), len(plain))]
    for key, block in zip(plain, blocks):
        w = wanted[key]
        mode = int(re.search(r"Mode: +(\d+)", block).group(1), 8)
        owner = tuple(int(n) & 0xffffffff for n in re.search(r"User: *(-?\d+) +Group: *(-?\d+)", block).groups())
        links = int(re.search(r"Links: (\d+)", block).group(1))
        if mode != int(w["mode"], 8) & 0o7777 or owner != w["owner"] or links != w.get("links", links):
            lines.append("%r: debugfs says %o %s %d" % (key, mode, owner, links))
    return lines


def image_of(name, mode, source, **more):
    config = tempfile.TemporaryFile()
    r = run(mode, source, out=path(name), config=config, **more)
    config.seek(0)
    check("%s is imported" % name, r.ok, r.last)
    with open(path(name), "rb") as f:
        return sha(f.read()) if r.ok else name, config.read().decode()


def main():
    make_layout()
    first, config = image_of("folder.ext4", LOAD, path("layout"))
    wanted = '{"env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","A=b"],"cmd":["sh"],"architecture":"amd64"}'
    check("the configuration is told", config.replace('"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",', "") ==
          wanted.replace('"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",', ""), config)
    same = {"again.ext4": (LOAD, path("layout"), {}), "oci.ext4": (LOAD, path("oci.tar"), {}), "docker.ext4": (LOAD, path("docker.tar"), {"tag": "x:t"}),
            "zstd.ext4": (LAYERS, stream(*[layer(zstd(l), l) for l in layers]), {}), "plain.ext4": (LAYERS, stream(*[layer(l) for l in layers]), {}),
            "members.ext4": (LAYERS, stream(*[layer(b"".join(gzip.compress(l[i:i + 50000]) for i in range(0, len(l), 50000)) + b"\0" * 700, l)
                                              for l in layers]), {})}
    for name, (mode, source, more) in same.items():
        digest, _ = image_of(name, mode, source, **more)
        check("%s has the same bytes" % name, digest == first)
        os.unlink(path(name))
    fsck = subprocess.run(["e2fsck", "-fn", path("folder.ext4")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check("e2fsck finds nothing", fsck.returncode == 0, fsck.stdout.decode())
    expected = describe(path("bundle/rootfs"))
    check("umoci unpacks more than 3,000 files", len(expected) > 3000, len(expected))
    os.mkdir(path("mount"))
    mounted = subprocess.run(["mount", "-o", "loop,ro", path("folder.ext4"), path("mount")], stderr=subprocess.PIPE)
    if mounted.returncode:
        print("SKIP the kernel's opinion: it mounts nothing here: %s" % mounted.stderr.decode().strip())
        parts.skipped += 1
    else:
        try:
            lines = differences(expected, describe(path("mount")))
        finally:
            sh("umount", path("mount"))
        check("the kernel sees what umoci unpacked", not lines, *lines[:40])
    lines = debugfs(path("folder.ext4"), expected)
    check("debugfs sees what umoci unpacked", not lines, *lines[:40])


if os.geteuid() != 0:
    print("SKIP images' layers: umoci unpacks owners and devices as root only\n0 passed, 0 failed, 1 skipped")
    sys.exit(0)
try:
    main()
finally:
    shutil.rmtree(where)
sys.exit(summary())
