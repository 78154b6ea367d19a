"""A work disk that grows, cut off anywhere: a real guest boots with a disk that `vm set` has made larger, on a file
whose writes are logged (logdisk.c), and has its file system follow. Then

  for cuts anywhere in that log   the disk as the cut leaves it (disklog.py) is mounted by the agent's own code on this
                                  kernel (grown.c): what was written before is there, e2fsck finds nothing, and it
                                  has its whole size, where this machine lets root resize (CAP_SYS_RESOURCE)
  for a write of it cut in two    the same, where the kernel refuses the disk until e2fsck has been there
  for those before it has grown   the same, with a guest that boots from it and has it grow
  and at some places of the log   the VMM is killed when the guest has come there, and the next start makes it good

  grow.py CUTS       how many of the first, spread at random (SEED), and one of the others; 0: all cuts, and some kills
"""
import hashlib, random, signal, sys
from disklog import *
from world import *

CUTS = int(sys.argv[1])
SEED = int(os.environ.get("SEED", time.time()))
KILLS = 8
VM, SMALL, LARGE = "grow", "64M", "1200M"
SIZE = 1200 << 20
SUPER, COUNT = 1024, 1024 + 4  # an ext4's superblock, and in it how many blocks there are
FIRST, BACKING, TARGET = (f"{WORLD}/{name}" for name in ("first.img", "backing.img", "target"))
WRITE = "seq 50000 >/root/numbers; head -c 8M /dev/urandom >/root/noise; sync"
SUMS = "cd /root && find . -maxdepth 1 -type f -exec sha256sum {} +"
MOUNTED = "df --output=size -B1 /root | tail -n 1"


def inside(script):
    return must("vm", "exec", VM, "--", "sh", "-c", script).strip()


def work():
    return f"{STATE}/vms/{read_database()[VM]['slot']:03x}/work.ext4"


def replace(image):
    """The VM's work disk is a copy of that."""
    run("cp", "--sparse=always", image, work() + ".new")
    shutil.chown(work() + ".new", "alice", "alice")
    os.rename(work() + ".new", work())


def sums_of(folder):
    found = {}
    for name in os.listdir(folder):
        if os.path.isfile(f"{folder}/{name}"):
            with open(f"{folder}/{name}", "rb") as f:
                found[name] = hashlib.file_digest(f, "sha256").hexdigest()
    return found


def parsed(sums):
    return {line.split()[1].removeprefix("./"): line.split()[0] for line in sums.splitlines()}


# --- recording --------------------------------------------------------------------------------


class Logged:
    """The VM's work disk is BACKING's bytes while this lasts, and its writes are in LOG."""

    def __enter__(self):
        run("cp", "--sparse=always", FIRST, BACKING)
        shutil.chown(BACKING, "alice", "alice")
        self.path = work()
        run(WORLD + "/logdisk", BACKING, LOG, self.path)

    def __exit__(self, *_):
        end = time.monotonic() + 10
        while subprocess.run(["umount", self.path], capture_output=True).returncode:
            if time.monotonic() > end:
                raise Problem("the logged disk stays busy")
            time.sleep(0.02)


def record():
    """{position in the log: what is in which file from then on}"""
    must("vm", "create", "--quiet", "--name", VM, "--memory", "512M", "--disk-size", SMALL)
    inside(WRITE)
    promised = {0: parsed(inside(SUMS))}
    must("vm", "stop", VM)
    must("vm", "set", VM, "--disk-size", LARGE)
    run("cp", "--sparse=always", work(), FIRST)
    with Logged():
        must("vm", "start", VM)
        inside("echo grown >/root/after; sync")
        promised[os.stat(LOG).st_size] = parsed(inside(SUMS))
        room = int(inside(MOUNTED))
        must("vm", "stop", VM)
    if room < SIZE * 9 // 10:
        raise Problem(f"undisturbed the disk has {room} bytes for files, not nearly {SIZE}")
    return promised


def growing(all_of_them):
    """The entry at which the superblock on the disk says the last size: all that makes it larger is before."""
    last, count = 0, None
    with open(FIRST, "rb") as f, open(LOG, "rb") as log:
        f.seek(COUNT)
        count = f.read(4)
        for i, (_, flush, offset, place, length) in enumerate(all_of_them):
            if flush or not offset <= COUNT < offset + length:
                continue
            log.seek(place + COUNT - offset)
            if (now := log.read(4)) != count:
                last, count = i + 1, now
    if not last:
        raise Problem("the superblock never grew")
    return last


# --- cuts -------------------------------------------------------------------------------------


def may_resize():
    """CAP_SYS_RESOURCE, which a container's root may lack."""
    return int(re.search("CapEff:\t(.*)", open("/proc/self/status").read())[1], 16) >> 24 & 1


def check_size(image):
    with open(image, "rb") as f:
        f.seek(SUPER)
        super_block = f.read(1024)
    size = int.from_bytes(super_block[4:8], "little") << (10 + super_block[24])
    if size != SIZE:
        raise Problem(f"it has {size} bytes, not {SIZE}")


def check_sums(have, promised):
    """Whatever else there is: a file that was being written when the cut came."""
    bad = [name for name, wanted in promised.items() if have.get(name) != wanted]
    if bad:
        raise Problem(f"{bad} are not what they were")


def at(promised, position):
    return promised[max(p for p in promised if p <= position)]


def mend_here(promised):
    """As a guest would at boot."""
    loop = run("losetup", "--find", "--show", NOW)
    try:
        run(WORLD + "/grown", loop, TARGET)
        try:
            check_sums(sums_of(TARGET), promised)
        finally:
            run("umount", TARGET)
    finally:
        run("losetup", "--detach", loop)
    if may_resize():
        check_size(NOW)
    check_whole(NOW)


def check_whole(image):
    r = subprocess.run(["e2fsck", "-fn", image], capture_output=True, text=True)
    if r.returncode:
        raise Problem(f"e2fsck: {r.stdout[-300:]}")


def mend_by_guest(promised):
    """The VM is stopped, and its disk is as it was left."""
    must("vm", "start", VM)
    check_sums(parsed(inside(SUMS)), promised)
    if int(inside(MOUNTED)) < SIZE * 9 // 10:
        raise Problem(f"the guest has {inside(MOUNTED)} bytes for files")
    inside("echo more >/root/more; sync")
    must("vm", "stop", VM)
    check_whole(work())


def cut(mender, index, way, promised):
    try:
        mender(promised)
    except (Problem, subprocess.SubprocessError, OSError) as e:
        print(f"    cut at {index}, of what was not flushed {way} there: {e}", flush=True)
        return False
    return True


def cuts(promised, rng):
    all_of_them = entries()
    grown = growing(all_of_them)
    places = distinct(all_of_them)
    if CUTS:
        places = sorted(rng.sample(places, min(CUTS, len(places))))
    run("cp", "--sparse=always", FIRST, BEFORE)
    bad = sum(not cut(mend_here, index, way, at(promised, position)) for index, way, position in each_cut(places, all_of_them, rng))
    print(f"{'not ok' if bad else 'ok'} a growing disk cut off: {len(places)} cuts among {len(all_of_them)} writes and flushes, of which "
          f"{grown} are before it had its size; {'' if may_resize() else 'not resized here, '}{bad} bad", flush=True)
    return not bad


def boots(promised, rng):
    all_of_them = entries()
    grown = growing(all_of_them)
    places = [place for place in distinct(all_of_them) if place[0] <= grown]
    if CUTS:
        places = rng.sample(places, 1)
    run("cp", "--sparse=always", FIRST, BEFORE)
    bad = 0
    for index, way, position in each_cut(places, all_of_them, rng):
        replace(NOW)
        bad += not cut(mend_by_guest, index, way, at(promised, position))
    print(f"{'not ok' if bad else 'ok'} guests that boot from a disk so cut off: {len(places)}; {bad} bad", flush=True)
    return not bad


def refused(image):
    """Whether the kernel does not even look into its journal."""
    loop = run("losetup", "--find", "--show", image)
    r = subprocess.run(["mount", "-o", "ro,noload", loop, TARGET], capture_output=True)
    if r.returncode == 0:
        run("umount", TARGET)
    run("losetup", "--detach", loop)
    return r.returncode != 0


def torn(promised):
    """Of the write that has the superblock with the last size its first block alone: what the agent has e2fsck for."""
    all_of_them = entries()
    last = growing(all_of_them) - 1
    first = iter([True])
    run("cp", "--sparse=always", FIRST, NOW)
    with open(LOG, "rb") as log, open(NOW, "r+b", buffering=0) as disk:
        for entry in all_of_them[:last]:
            apply(log, disk.fileno(), entry)
        apply(log, disk.fileno(), all_of_them[last], lambda: next(first, False))
    how = "refused at first" if refused(NOW) else "not refused"
    replace(NOW)
    good = cut(mend_here, last + 1, "the first block", promised[0])
    if not CUTS:
        good = cut(mend_by_guest, last + 1, "the first block", promised[0]) and good
    print(f"{'ok' if good else 'not ok'} that write cut in two: the disk is {how}", flush=True)
    return good


# --- kills ------------------------------------------------------------------------------------


def vmms():
    return [pid for pid, _, program in processes() if program == VMM]


def start_until(position):
    """Starts the VM, and kills its VMM when its disk's log has come there. Whether it had."""
    starting = subprocess.Popen([*AS_ALICE, "banger", "vm", "start", VM], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while starting.poll() is None and os.stat(LOG).st_size < position:
        time.sleep(0.001)
    for pid in vmms():
        os.kill(pid, signal.SIGKILL)
    return starting.wait() != 0


def killed_at(position, promised):
    with Logged():
        early = start_until(position)
        have = settled({VM}, cache=False)
    replace(BACKING)
    mend_by_guest(promised)
    return early


def kills(promised, rng, count):
    all_of_them = entries()
    grown = growing(all_of_them)
    positions = [all_of_them[rng.randrange(grown)][0] for _ in range(count)]
    bad = early = 0
    for position in positions:
        try:
            early += killed_at(position, promised[0])
        except (Problem, subprocess.SubprocessError, OSError) as e:
            bad += 1
            print(f"    the VMM killed after {position} bytes of the log: {e}", flush=True)
            cli("vm", "kill", VM)
    print(f"{'not ok' if bad else 'ok'} the VMM killed while the disk grows: {count} times, {early} before the guest was ready; "
          f"{bad} bad", flush=True)
    return not bad


def main():
    rng = random.Random(SEED)
    print(f"SEED={SEED}")
    os.mkdir(TARGET)
    begin = time.monotonic()
    promised = record()
    print(f"    recorded in {time.monotonic() - begin:.0f} s", flush=True)
    results = [cuts(promised, rng), torn(promised)]
    if not CUTS or rng.random() < 0.5:
        results.append(boots(promised, rng))
    if not CUTS or len(results) == 2:
        results.append(kills(promised, rng, 1 if CUTS else KILLS))
    must("vm", "delete", "-f", VM)
    settled(cache=False)
    print(f"    {time.monotonic() - begin:.0f} s")
    print(f"{results.count(True)} passed, {results.count(False)} failed, 0 skipped")
    return 0 if all(results) else 1


sys.exit(main())
