"""The policy and its decision a second time, from banger-policy(5) and wire.h's text. A case is a line of JSON; the
answer is the number of the policy's bad line (0: none) and each request's reason. fuzz_model.c compares."""
import json, re, stat, sys
from ipaddress import IPv4Network as cidr
from types import SimpleNamespace

MOST = 2**32 - 1
SPECIAL = [cidr(x) for x in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")]
REFUSED = SPECIAL + [cidr(x) for x in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16",
                                       "198.18.0.0/15")]
LIMITS = {"slots": (0, 1000), "memory-max": (1, MOST), "vcpus-max": (1, 65535), "disk-max": (1, MOST)}
N, C, PATH = r"(0|[1-9]\d{0,9})", r"(\d+(?:\.\d+){3}/(?:0|[1-9]\d?))", r"(?:/(?!\.{1,2}(?:/| |$))[^/ ]+)+"
LINES = [re.compile(x, re.A) for x in (rf"(allow|deny) (uid|gid) {N}", rf"(pool) {C} {N}", rf"(subnet) {C} uid {N}",
         rf"(slots|memory-max|vcpus-max|disk-max) {N}", r"(nat) (yes|no)", r"(uplink) ([^./: ][^/: ]{0,14})",
         rf"(private) allow {C}", rf"(vmm) ([^ ]{{1,31}}) ({PATH}(?: {PATH}){{0,8}})")]
FILES = (0xef53, 0x58465342, 0x01021994, 0x9123683e, 0xf2f52010, 0x794c7630, 0x6969, 0xfe534d42, 0xff534d42, 0x65735546,
         0x2fc12fc1, 0xca451a4e)
ROLES = "memfd reg:2 reg:2 reg:2 dir reg:0 reg:0 reg|blk:2 reg:2 listen listen tun:2".split()

def read_line(p, words):
    key, *rest = next(filter(None, (line.fullmatch(" ".join(words)) for line in LINES))).groups()
    if key in ("allow", "deny"):
        assert int(rest[1]) < MOST
        p["rules"].append((key, rest[0], int(rest[1])))
    elif key in ("pool", "subnet"):
        net, uid = cidr(rest[0]), int(rest[1])
        assert (8 if key == "pool" else 22) <= net.prefixlen <= 22 and not any(net.overlaps(x) for x in SPECIAL)
        uids = range(uid, uid + (1 << 22 - net.prefixlen))
        assert 0 < uid and uids.stop <= MOST
        assert not any(net.overlaps(n) or uid in u or u.start in uids for n, u in p["nets"])
        p["nets"].append((net, uids))
    elif key in LIMITS:
        p[key], p["once"] = int(rest[0]), p["once"] + [key]
        assert LIMITS[key][0] <= p[key] <= LIMITS[key][1]
    elif key == "nat":
        p["nat"], p["once"] = rest[0] == "yes", p["once"] + [key]
    elif key == "private":
        assert not any(cidr(rest[0]).overlaps(n) for n in p["private"])
        p["private"].append(cidr(rest[0]))
    else:
        assert rest[0] not in p[key] and all(len(x) < 256 for x in rest[-1].split(" "))
        p[key].append(rest[0])
    assert len(set(p["once"])) == len(p["once"]) and len(p["rules"]) <= 256 and len(p["nets"]) <= 64
    assert len(p["uplink"]) <= 8 and len(p["private"]) <= 16 and len(p["vmm"]) <= 8

def parse(text):
    p = {key: [] for key in ("rules", "nets", "uplink", "private", "vmm", "once")}
    p.update({"nat": False, "slots": 32, "memory-max": MOST, "vcpus-max": MOST, "disk-max": MOST})
    for n, line in enumerate(re.sub(r"\n$", "", text).split("\n"), 1):
        words = re.findall(r"[^ \t]+", line.split("#")[0])
        try:
            assert len(line) <= 1024 and not re.search(r"[\0-\x08\x0a-\x1f]", line) and len(words) <= 11
            read_line(p, words) if words else None
        except (AssertionError, ValueError, StopIteration):
            return p, n
    return p, 0

def fits(fd, role, uid):
    names, _, access = role.partition(":")
    kinds = {stat.S_IFDIR: "cgroup" if fd.magic == 0x63677270 else "dir", stat.S_IFBLK: "blk",
             stat.S_IFREG: "reg" if fd.magic in FILES else "",
             stat.S_IFCHR: "tun" if fd.rdev == 10 << 8 | 200 else "", stat.S_IFSOCK: "listen"}
    kind = kinds.get(stat.S_IFMT(fd.mode), "")
    if kind == "reg" and fd.seals >= 0 and names == "memfd":
        return not fd.flags & 0o10000000 and (fd.flags & 3 == 0 or fd.seals & (8 | 16))
    if kind not in names.split("|") or (kind in ("dir", "cgroup") and fd.uid != uid):
        return False
    if kind == "listen":
        return (fd.domain, fd.type, fd.listening) == (1, 1, 1) and not fd.flags & 0o10000000
    return fd.flags & 3 == int(access or 0) and (kind in ("dir", "cgroup") or not fd.flags & 0o10000000)

def reachable(p, c):
    try:
        net = cidr((c.address, c.prefix))
        return c.prefix > 0 and c.lifetime <= 86400 and (any(net.subnet_of(n) for n in p["private"]) or
                                                         not any(net.overlaps(x) for x in REFUSED))
    except ValueError:
        return False

def first(checks): return next((reason for wrong, reason in checks if wrong), 0)

def snapshot(p, uid, base, over):
    chunks = -(-base.size // 4096)
    same = (base.dev, base.ino) == (over.dev, over.ino)
    return first([x for fd, role in ((base, "reg:0"), (over, "reg:2")) for x in (
                  (not fits(fd, role, uid) or fd.uid != uid, 13), (fd.magic not in FILES[:3], 15))] +
                 [(same or base.size == 0 or base.size % 512 or over.flags & 0o2000, 13), (base.size > p["disk-max"] << 20, 16),
                  (over.size < (chunks + chunks // 256 + 3) * 4096 or over.reserved < over.size, 15)])

def spawn(p, uid, r):
    vmm = p["vmm"][r.kind] if r.kind < len(p["vmm"]) else None
    roles = ROLES[:(12, 9, 3)[r.style]] + ["cgroup"] * r.cgroup
    checks = [(r.style < 2 and (vmm is None or (vmm == "firecracker") != (r.style == 1)), 10),
              (r.memory > p["memory-max"] or r.style < 2 and r.memory == 0, 11),
              (r.vcpus > p["vcpus-max"] or r.style < 2 and r.vcpus == 0, 12)]
    for i, (fd, role) in enumerate(zip(r.fds, roles)):
        checks += [(not fits(fd, role, uid), 13), (i in (7, 8) and role[0] == "r" and fd.size > p["disk-max"] << 20, 16)]
    return first(checks)

def decide(p, bad, uid, gids, r):
    rules = {key for key, what, n in p["rules"] if n in ([uid] if what == "uid" else gids)}
    no = first([(bad, 3), (uid in (0, 65534, MOST), 6), ("deny" in rules, 5), (not rules, 4),
                (not any(uid in uids for _, uids in p["nets"]), 7), (r.slot >= p["slots"] and r.op not in (2, 6), 8)])
    if no or r.op not in (3, 5, 8):
        return no
    if r.op == 3:
        return first([(r.kind and not (p["nat"] and p["uplink"]), 9), (not all(reachable(p, c) for c in r.cidrs), 14)])
    return snapshot(p, uid, *r.fds) if r.op == 5 else spawn(p, uid, r)

for case in map(lambda line: json.loads(line, object_hook=lambda d: SimpleNamespace(**d)), sys.stdin):
    policy, line = parse(bytes.fromhex(case.policy).decode("latin-1"))
    print(line, *[decide(policy, line, case.uid, case.gids, r) for r in case.requests], flush=True)
