"""A disk whose writes are logged (logdisk.c), and what a cut anywhere in that log leaves of it: what was flushed
before is there; of what was written since, all, nothing, or a random half of the blocks."""
import os, struct, subprocess
from world import Problem, WORLD

BLOCK = 4096
BEFORE, NOW, LOG = (f"{WORLD}/{name}" for name in ("before.img", "now.img", "writes"))
ENTRY = struct.Struct("<QQQ")
WAYS = {"nothing": 0.0, "half": 0.5, "all": 1.0}


def run(*command):
    r = subprocess.run(command, capture_output=True, text=True)
    if r.returncode:
        raise Problem(f"{' '.join(command)}: {r.stderr.strip()}")
    return r.stdout.strip()


def entries():
    """(position behind it, is a flush, offset, place of its bytes, length)"""
    found, at, end = [], 0, os.stat(LOG).st_size
    with open(LOG, "rb") as f:
        while at < end:
            f.seek(at)
            flush, offset, length = ENTRY.unpack(f.read(ENTRY.size))
            found.append((at + ENTRY.size + length, flush, offset, at + ENTRY.size, length))
            at = found[-1][0]
    return found


def distinct(all_of_them):
    """(index, way) of each cut that leaves another disk: with nothing unflushed all ways are one, and half of a block is none."""
    found, blocks = [(0, "all")], 0
    for i, (_, flush, _, _, length) in enumerate(all_of_them):
        blocks = 0 if flush else blocks + (length + BLOCK - 1) // BLOCK
        found += [(i + 1, way) for way in WAYS if way == "all" or blocks > (way == "half")]
    return found


def apply(log, disk, entry, keep=lambda: True):
    _, _, offset, place, length = entry
    log.seek(place)
    bytes_of_it = log.read(length)
    for at in range(0, length, BLOCK):
        if keep():
            os.pwrite(disk, bytes_of_it[at:at + BLOCK], offset + at)


def each_cut(places, all_of_them, rng):
    """(index, way, position in the log) of each place, in their order, with the disk NOW as the cut leaves it.
    BEFORE, the disk before the first entry, is changed."""
    with open(LOG, "rb") as log, open(BEFORE, "r+b", buffering=0) as flushed:
        done = 0
        for index, way in places:
            last = max([i + 1 for i in range(index) if all_of_them[i][1]], default=0)
            for entry in all_of_them[done:last]:
                apply(log, flushed.fileno(), entry)
            done = max(done, last)
            run("cp", "--sparse=always", BEFORE, NOW)
            with open(NOW, "r+b", buffering=0) as disk:
                for entry in all_of_them[last:index]:
                    if not entry[1]:
                        apply(log, disk.fileno(), entry, lambda: rng.random() < WAYS[way])
            yield index, way, all_of_them[index - 1][0] if index else 0
