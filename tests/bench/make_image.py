#!/usr/bin/env python3
"""An OCI layout of this machine's /usr, chosen by a hash of each path so that every kind of
file has its share. Usage: make_image.py FOLDER LAYERS FILES MIB [EVERY]
FILES of at most 64 KiB, then larger ones up to MIB; with EVERY only each EVERYth of them.
MIB 0: made-up files of a few bytes, a hundred in a folder."""
import hashlib, io, json, os, subprocess, sys, tarfile

top, count, files, room = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) << 20
every = int(sys.argv[5]) if len(sys.argv) > 5 else 1
found = []
for folder, folders, names in os.walk("/usr") if room else ():
    folders[:] = [f for f in folders if os.path.join(folder, f) not in ("/usr/local", "/usr/src")]
    for name in names:
        path = os.path.join(folder, name)
        st = os.lstat(path)
        found.append((hashlib.sha1(os.fsencode(path)).digest(), path, st.st_size))
found.sort()
small = [f for f in found if f[2] <= 65536][:files]
room -= sum(f[2] for f in small)
for f in found:
    if f[2] > 65536 and f[2] < min(room, 32 << 20):
        room -= f[2]
        small.append(f)
# Of each size its share: a tenth of the files is a tenth of the bytes too.
small = sorted(sorted(small, key=lambda f: f[2])[every // 2 :: every])
blobs = os.path.join(top, "blobs/sha256")
os.makedirs(blobs, exist_ok=True)


def made_up(tar):
    for i in range(files):
        text = b"%d\n" % i
        entry = tarfile.TarInfo("made/%d/%d" % (i // 100, i))
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))


class Counted:
    """Hashes what goes by."""

    def __init__(self, to):
        self.to, self.hash = to, hashlib.sha256()

    def write(self, data):
        self.hash.update(data)
        return self.to.write(data)


def put(data):
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(blobs, digest), "wb") as f:
        f.write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


diff_ids, layers = [], []
for i in range(count):
    path = os.path.join(top, "layer")
    with open(path, "wb") as out:
        gzip = subprocess.Popen(["gzip", "-n4"], stdin=subprocess.PIPE, stdout=out)
        counted = Counted(gzip.stdin)
        with tarfile.open(fileobj=counted, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for _, name, _ in sorted(small[i::count], key=lambda f: f[1]):
                tar.add(name, recursive=False)
            if not found:
                made_up(tar)
        gzip.stdin.close()
        gzip.wait()
    diff_ids.append("sha256:" + counted.hash.hexdigest())
    digest = subprocess.run(["sha256sum", path], stdout=subprocess.PIPE, check=True).stdout.split()[0].decode()
    layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:" + digest, "size": os.path.getsize(path)})
    os.rename(path, os.path.join(blobs, digest))
config = put(json.dumps({"os": "linux", "architecture": "amd64", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode())
config["mediaType"] = "application/vnd.oci.image.config.v1+json"
manifest = put(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": layers}).encode())
manifest.update(mediaType="application/vnd.oci.image.manifest.v1+json", annotations={"org.opencontainers.image.ref.name": "t"})
with open(os.path.join(top, "index.json"), "w") as f:
    json.dump({"schemaVersion": 2, "manifests": [manifest]}, f)
with open(os.path.join(top, "oci-layout"), "w") as f:
    f.write('{"imageLayoutVersion":"1.0.0"}')
