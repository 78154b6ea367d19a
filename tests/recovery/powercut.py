"""A machine that loses power: alice's state folder and blob cache are on a disk whose writes are logged
(logdisk.c) while every operation runs. Then, for cuts anywhere in that log, the disk is made anew as the cut
leaves it (disklog.py). It is mounted (its own journal is replayed), the daemon started, and looked at.

  powercut.py CUTS        how many cuts, spread at random (SEED); 0: at each write and flush
"""
import hashlib, os, random, sys, uuid
from disklog import *
from operations import *

CUTS = int(sys.argv[1])
SEED = int(os.environ.get("SEED", time.time()))
FS = os.environ.get("FS", "ext4")
SIZE = 400 << 20
LOCAL = HOME + "/.local"  # the disk; ~/.cache is a link into it
DISK, BOOT = f"{WORLD}/disk", f"{WORLD}/boot-id"


def mount(image):
    loop = run("losetup", "--find", "--show", image)
    run("mount", loop, LOCAL)
    return loop


def unmount(loop):
    end = time.monotonic() + 10
    while subprocess.run(["umount", LOCAL], capture_output=True).returncode:
        if time.monotonic() > end:
            raise Problem("the disk stays busy")
        time.sleep(0.02)
    run("losetup", "--detach", loop)


def boot():
    """This run of the machine is another than all before."""
    with open(BOOT, "w") as f:
        f.write(f"{uuid.uuid4()}\n")


def reboot():
    """What the kernel has of the account is gone too."""
    end_all()
    boot()
    subprocess.run(["nft", "flush", "ruleset"])
    for link in json.loads(run("ip", "-j", "link")):
        if link["ifname"].startswith(("bgr", "bt")):
            subprocess.run(["ip", "link", "del", link["ifname"]], capture_output=True)


def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


# --- the operations, and what each has promised ------------------------------------------------


class Promises:
    """(position in the log, what, name, the digests of its files, or None once it is gone); from `begun` on it may go."""

    def __init__(self):
        self.made = []
        self.pulled = None  # the digest of what IMAGE is at another size

    def add(self, what, name, files):
        self.made.append((os.stat(LOG).st_size, what, name, files))

    def vm(self, name):
        slot = read_database()[name]["slot"]
        self.add("vm", name, {f"vms/{slot:03x}/{d}": digest(f"{STATE}/vms/{slot:03x}/{d}") for d in ("root.ext4", "work.ext4")})

    def asset(self, what, name):
        record = next(r for r in listed(what) if r["name"] == name)
        folder = f"{what}s/{record['id']}"
        self.add(what, name, {f"{folder}/{f}": digest(f"{STATE}/{folder}/{f}") for f in os.listdir(f"{STATE}/{folder}")})

    def going(self, what, name):
        """It may be there or not from now on."""
        self.add(what, name, "either")

    def at(self, position):
        now = {}
        for made, what, name, files in self.made:
            if made <= position:
                now[what, name] = files
        return now


def pull_otherwise(name):
    """Of the cached layers, whatever images are there: its file's digest."""
    must("image", "pull", "--quiet", "--name", name, "--size", "48M", IMAGE)
    path = next(i["path"] for i in listed("image") if i["name"] == name)
    return digest(path)


def operations(p):
    new = ["vm", "create", "--quiet", "--image", "r", "--memory", "128M", "--disk-size", "64M", "--name"]
    must("kernel", "import", "k", "--quiet", "--from", "kernel")
    p.asset("kernel", "k")
    must("image", "register", "--quiet", "--name", "r", "--rootfs", "root.ext4", "--kernel-ref", "k")
    must("image", "promote", "--quiet", "r")
    p.asset("image", "r")
    must("image", "load", "--quiet", "saved.tar", "--name", "l")
    p.asset("image", "l")
    must(*PULL)
    p.asset("image", "new")
    must(*[word if word != "new" else "same" for word in PULL])
    p.asset("image", "same")
    p.pulled = pull_otherwise("large")
    p.asset("image", "large")
    must("image", "pull", "--quiet", "tools")
    p.asset("image", "tools")
    p.going("image", "large")
    must("image", "delete", "large")
    p.add("image", "large", None)
    must(*new, "a", "--no-start")
    p.vm("a")
    must(*new, "b")
    p.vm("b")
    must("vm", "publish", "b", "7001:80")
    must("vm", "set", "b", "--egress", LISTS[0])
    must("vm", "set", "b", "--egress", LISTS[1])
    must("vm", "stop", "b")
    p.add("vm", "b", {})
    must("vm", "set", "b", "--disk-size", "80M")
    must("vm", "start", "b")
    must("vm", "run", "--rm", "--quiet", "--image", "r", "--memory", "128M", "--", "true")
    p.going("kernel", "k")
    must("kernel", "import", "k", "--force", "--quiet", "--from", "kernel")
    p.asset("kernel", "k")
    p.going("image", "l")
    must("image", "delete", "l")
    p.add("image", "l", None)
    must(*new, "c")
    p.vm("c")
    p.going("vm", "a")
    must("vm", "delete", "-f", "a")
    p.add("vm", "a", None)
    must("vm", "kill", "b")
    must("daemon", "stop")


def record():
    """The promises, and where the log's entries begin."""
    run("truncate", "-s", str(SIZE), BEFORE)
    run(f"mkfs.{FS}", "-q", BEFORE)
    loop = mount(BEFORE)
    for folder in (LOCAL, LOCAL + "/state", STATE, LOCAL + "/cache"):
        os.makedirs(folder, 0o700, exist_ok=True)
        shutil.chown(folder, "alice", "alice")
    unmount(loop)
    run("cp", "--sparse=always", BEFORE, NOW)
    open(DISK, "w").close()
    boot()
    run("mount", "--bind", BOOT, "/proc/sys/kernel/random/boot_id")
    run(WORLD + "/logdisk", NOW, LOG, DISK)
    loop = mount(DISK)
    p = Promises()
    operations(p)
    reboot()
    unmount(loop)
    run("umount", DISK)
    os.unlink(NOW)
    return p


# --- cuts ---------------------------------------------------------------------------------------


def check_promises(promised):
    have = {(what, r["name"]) for what in ("vm", "image", "kernel") for r in listed(what)}
    for (what, name), files in promised.items():
        if files == "either":
            continue
        if ((what, name) in have) != (files is not None):
            raise Problem(f"{what} {name} {'is lost' if files is not None else 'is there again'}")
        for path, wanted in (files or {}).items():
            if not os.path.exists(f"{STATE}/{path}") or digest(f"{STATE}/{path}") != wanted:
                raise Problem(f"{what} {name}: {path} is not what it was")


def check_words():
    """No VM is said to have ended, or to have been cut off, while the machine ran."""
    for line in must("events", "--since", "0", "--json").splitlines():
        event = json.loads(line)
        if event["kind"] == "vm.mended" and "the machine" not in event["text"] and "may reach" not in event["text"]:
            raise Problem(f"it is said of {event['name']}: {event['text']}")


def check_cut(promised, pulled):
    settled(cache=False)  # nobody promised anything of it
    check_promises(promised)
    check_words()
    for vm in vms():
        check_disks(vm)
    for image in listed("image"):
        if image["kind"] != "registered" and subprocess.run(["e2fsck", "-fn", image["path"]], capture_output=True).returncode:
            raise Problem(f"image {image['name']} is not whole")
    for name in sorted(vms()):
        must("vm", "start", name)
        if work_size(name) != read_database()[name]["disk"]:
            raise Problem(f"{name}'s disk has {work_size(name)} bytes after a start, its record says {read_database()[name]['disk']}")
        must("vm", "kill", name)
    if pull_otherwise("after") != pulled:
        raise Problem("a pull with the cache that the cut left gives another image")
    settled(cache=False)


def cut(index, way, promised, pulled):
    loop = mount(NOW)
    try:
        check_cut(promised, pulled)
    except (Problem, subprocess.SubprocessError, OSError) as e:
        print(f"    cut at {index}, of what was not flushed {way} there: {e}", flush=True)
        return False
    finally:
        reboot()
        unmount(loop)
    return True


def cuts(p, rng):
    all_of_them = entries()
    places = distinct(all_of_them)[1:]
    if CUTS:
        places = sorted(rng.sample(places, min(CUTS, len(places))))
    bad = sum(not cut(index, way, p.at(position), p.pulled) for index, way, position in each_cut(places, all_of_them, rng))
    flushes = sum(1 for e in all_of_them if e[1])
    print(f"{'not ok' if bad else 'ok'} power lost on {FS}: {len(places)} cuts among {len(all_of_them) - flushes} writes and {flushes} "
          f"flushes; {bad} bad", flush=True)
    return bad


def main():
    rng = random.Random(SEED)
    print(f"SEED={SEED}")
    begin = time.monotonic()
    p = record()
    bad = cuts(p, rng)
    print(f"    {time.monotonic() - begin:.0f} s")
    print(f"{int(not bad)} passed, {int(bool(bad))} failed, 0 skipped")
    return 1 if bad else 0


sys.exit(main())
