"""alice's daemon and all it has made: looked at from outside and compared with what it says."""
import hashlib, json, os, pwd, re, shutil, sqlite3, subprocess, tempfile, time

HOME = "/home/alice"
STATE = HOME + "/.local/state/banger"
CONFIG = HOME + "/.config/banger/config.toml"
CACHE = HOME + "/.cache/banger/blobs/sha256"
WORLD = os.environ["WORLD"]
VMM = os.environ.get("VMM", "idle-vmm")  # its program
UID = pwd.getpwnam("alice").pw_uid
AS_ALICE = ["setpriv", "--reuid", "alice", "--regid", "alice", "--init-groups", "env", "-i", "--default-signal=INT",
            "-C", HOME, "HOME=" + HOME, "LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin"]
SETTLE = 20  # seconds until nothing may be under way any longer


def cli(*args, timeout=120):
    return subprocess.run([*AS_ALICE, "banger", *args], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


def must(*args):
    r = cli(*args)
    if r.returncode:
        raise Problem(f"banger {' '.join(args)}: status {r.returncode}: {r.stderr.strip()[-400:]}")
    return r.stdout


class Problem(Exception):
    pass


def listed(what):
    return json.loads(must(what, "list", "--json"))[what + "s"]


def vms():
    return {vm["name"]: vm for vm in listed("vm")}


def pool_size():
    """How many taps alice wants to wait for new VMs."""
    return int(open(CONFIG).read().split("=")[1]) if os.path.exists(CONFIG) else 0


def waiting():
    """The slots in which a tap waits: their folders are empty."""
    found = set()
    for name in filter(re.compile("[0-9a-f]{3}").fullmatch, os.listdir(STATE + "/vms") if os.path.isdir(STATE + "/vms") else []):
        try:
            found |= set() if os.listdir(f"{STATE}/vms/{name}") else {int(name, 16)}
        except FileNotFoundError:
            continue
    return found


def processes():
    """(pid, parent, program) of each of the account's."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat("/proc/" + pid).st_uid != UID and f"\nUid:\t{UID}\t" not in open(f"/proc/{pid}/status").read():
                continue
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            program = "zombie" if fields[0] == "Z" else os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            found.append((int(pid), int(fields[1]), program))
        except OSError:
            continue
    return found


def end_all():
    """All of the account's processes, with SIGKILL."""
    for _ in range(3):
        for pid, _, program in processes():
            try:
                os.kill(pid, 9)
            except OSError:
                pass
        time.sleep(0.05)


def descriptors(pid):
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            continue
    return found


# --- what there should be -------------------------------------------------------------


def check_processes(running, problems):
    all_of_them = processes()
    expected = {"bangerd": 2, "banger-helper": 4, "banger-jail": len(running), VMM: len(running), "banger-dns": 1}
    if any(vm["publish"] for vm in running):
        expected["banger-forward"] = 1
    count = {}
    for pid, parent, program in all_of_them:
        count[program] = count.get(program, 0) + 1
    for program in sorted(set(count) | set(expected)):
        have, want = count.get(program, 0), expected.get(program, 0)
        if have != want and not (program == "banger-helper" and have == 0) and not (program == "banger-forward" and want == 0):
            problems.append(f"{have} processes of {program}, not {want}")
    pids = {pid for pid, _, _ in all_of_them}
    for vm in running:
        if vm["pid"] not in pids:
            problems.append(f"{vm['name']}: pid {vm['pid']} is not there")


def check_network(running, slots, pool, problems):
    if len(pool) != pool_size():
        problems.append(f"taps wait in the slots {sorted(pool)}, not {pool_size()}")
    wanted = {f"bt{UID:08x}{slot:03x}" for slot in {slots[vm["name"]] for vm in running} | pool}
    links = {link["ifname"] for link in json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, text=True).stdout)}
    have = {name for name in links if name.startswith(f"bt{UID:08x}")}
    if have != wanted:
        problems.append(f"taps {sorted(have)}, not {sorted(wanted)}")
    bridge = f"bgr{UID:08x}" in links
    if bridge != bool(wanted):
        problems.append(f"bridge {'left' if bridge else 'missing'}")
    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True).stdout
    named = set(re.findall(rf"bt{UID:08x}[0-9a-f]{{3}}", rules))
    if named != wanted:
        problems.append(f"rules for {sorted(named)}, not {sorted(wanted)}")


def check_egress(running, records, problems):
    """What the rules let each guest reach is what its record says."""
    found = subprocess.run(["nft", "-j", "list", "sets", "inet"], capture_output=True, text=True)
    sets = [entry["set"] for entry in json.loads(found.stdout or "{}").get("nftables", []) if "set" in entry]
    elements = {s["name"]: s.get("elem", []) for s in sets if s["table"] == "banger"}
    for vm in running:
        address = vm["address"]
        of = {name: [e["concat"][1] for e in elements.get(name, []) if address in e["concat"]] for name in ("nat", "listers")}
        listed = sorted(cidr(e["concat"][1]) for e in elements.get("listed", []) if e["concat"][0] == address)
        record = records[vm["name"]]
        wanted = sorted(record["rules"].removeprefix("allow=").split(",")) if record["egress"] == 2 else []
        if bool(of["nat"]) != (record["egress"] == 1) or bool(of["listers"]) != (record["egress"] == 2) or listed != wanted:
            problems.append(f"{vm['name']}: may reach {of} and {listed}, its record says {record['egress']} and {wanted}")


def cidr(element):
    return f"{element['prefix']['addr']}/{element['prefix']['len']}" if isinstance(element, dict) else element


def listening(pid):
    """(protocol, port) of each of its sockets that is open to anybody."""
    inodes = {f[8:-1] for f in descriptors(pid) if f.startswith("socket:[")}
    found = set()
    for protocol in ("tcp", "udp"):
        for family in ("", "6"):
            for line in open(f"/proc/{pid}/net/{protocol}{family}").readlines()[1:]:
                fields = line.split()
                if fields[9] in inodes and fields[3] in ("0A", "07"):
                    found.add((protocol, int(fields[1].rsplit(":", 1)[1], 16)))
    return found


def check_ports(running, problems):
    wanted = {(p["protocol"], p["host_port"]) for vm in running for p in vm["publish"]}
    have = set()
    for pid, _, program in processes():
        if program == "banger-forward":
            have |= listening(pid)
    if have != wanted:
        problems.append(f"ports {sorted(have)} are published, not {sorted(wanted)}")


def check_cache(problems):
    """Whole blobs under their digest's name, and beginnings that the next pull goes on with."""
    for name in os.listdir(CACHE) if os.path.isdir(CACHE) else []:
        if not re.fullmatch("[0-9a-f]{64}(\\.part)?", name):
            problems.append(f"the blob cache has {name}")
        elif not name.endswith(".part"):
            with open(f"{CACHE}/{name}", "rb") as f:
                if hashlib.file_digest(f, "sha256").hexdigest() != name:
                    problems.append(f"the blob {name} is another")


def check_host_keys(found, problems):
    """What ssh has accepted goes with the VM: another may have its name and address next."""
    folder = STATE + "/ssh/hosts"
    left = [host for host in (os.listdir(folder) if os.path.isdir(folder) else []) if host.split(".")[0] not in found]
    if left:
        problems.append(f"host keys of {left} are left")


def check_folders(slots, pool, images, kernels, problems):
    def compare(folder, wanted):
        path = f"{STATE}/{folder}"
        have = set(os.listdir(path)) if os.path.isdir(path) else set()
        if have != set(wanted):
            problems.append(f"{folder}/ has {sorted(have)}, not {sorted(wanted)}")
    compare("vms", {f"{slot:03x}" for slot in pool | set(slots.values())})
    compare("images", {i["id"] for i in images if i["kind"] != "registered"})
    compare("kernels", {k["id"] for k in kernels})
    odd = set(os.listdir(STATE)) - {"banger.db", "banger.db-wal", "bangerd.log", "bangerd.log.1", "run", "images", "kernels", "vms", "ssh", "lost+found"}
    if odd:
        problems.append(f"in the state folder: {sorted(odd)}")
    if set(os.listdir(STATE + "/run")) - {"lock", "bangerd.sock"}:
        problems.append(f"run/ has {os.listdir(STATE + '/run')}")


def check_descriptors(running, problems):
    for pid, parent, program in processes():
        if program != "bangerd":
            continue
        open_files = descriptors(pid)
        engine = b"\0engine\0" in open(f"/proc/{pid}/cmdline", "rb").read()
        threads = len(os.listdir(f"/proc/{pid}/task"))
        if not engine and (len(open_files) > 16 or any("pidfd" in f or "/vms" in f for f in open_files)):
            problems.append(f"the monitor has {len(open_files)} descriptors: {sorted(open_files)}")
        if engine and len(open_files) > 24 + 8 * len(running) + pool_size():
            problems.append(f"the engine has {len(open_files)} descriptors: {sorted(open_files)}")
        # After helpers that died soon the engine takes its time to tell the next what guests may reach, in threads.
        if threads > (12 + 3 * len(running) if engine else 1):
            problems.append(f"{'the engine' if engine else 'the monitor'} has {threads} threads")


def read_database(folder=STATE):
    """The VMs' records by name; raises Problem where SQLite or its keys are damaged."""
    copy = tempfile.mkdtemp(dir=WORLD)
    try:
        for name in ("banger.db", "banger.db-wal"):
            if os.path.exists(f"{folder}/{name}"):
                shutil.copy(f"{folder}/{name}", copy)
        db = sqlite3.connect(copy + "/banger.db")
        result = db.execute("PRAGMA integrity_check").fetchall()
        if result != [("ok",)] or db.execute("PRAGMA foreign_key_check").fetchall():
            raise Problem(f"the database: {result}")
        db.row_factory = sqlite3.Row
        rows = db.execute("SELECT name, slot, disk, remove, egress, coalesce(rules, '') AS rules FROM vms LEFT JOIN egress ON vm = id").fetchall()
        db.close()
        return {row["name"]: dict(row) for row in rows}
    finally:
        shutil.rmtree(copy)


def look(may_have_failed, cache=True):
    """Everything that is not as it should be, as sentences."""
    problems = []
    found = vms()
    running = [vm for vm in found.values() if vm["state"] == "running"]
    for vm in found.values():
        if vm["state"] not in ("running", "stopped") and not (vm["state"] == "failed" and vm["name"] in may_have_failed):
            problems.append(f"{vm['name']} is {vm['state']}")
    records = read_database()
    slots = {name: record["slot"] for name, record in records.items()}
    doomed = [name for name, record in records.items() if record["remove"]]
    if set(slots) != set(found):
        problems.append(f"the database has {sorted(slots)}, the list {sorted(found)}")
    if doomed:
        problems.append(f"{doomed} are to be removed")
    check_processes(running, problems)
    pool = waiting()
    check_network(running, slots, pool, problems)
    check_egress(running, records, problems)
    check_ports(running, problems)
    check_host_keys(found, problems)
    if cache:
        check_cache(problems)
    check_folders(slots, pool, listed("image"), listed("kernel"), problems)
    check_descriptors(running, problems)
    return problems


def settled(may_have_failed=frozenset(), cache=True):
    """Looks until nothing is wrong; raises Problem with what still is. Returns what was wrong at the last look but one."""
    end = time.monotonic() + SETTLE
    problems = last = []
    while True:
        last = problems or last
        try:
            problems = look(may_have_failed, cache)
        except (Problem, sqlite3.Error, OSError, subprocess.TimeoutExpired) as e:
            problems = [str(e)]
        if not problems:
            return last
        if time.monotonic() > end:
            raise Problem("; ".join(problems))
        time.sleep(0.05)


def work_size(name):
    return os.stat(f"{STATE}/vms/{read_database()[name]['slot']:03x}/work.ext4").st_size


def check_disks(name):
    """They are whole, and the work disk is no larger than its record says: one that is smaller grows at the next start."""
    record = read_database()[name]
    for disk in ("root.ext4", "work.ext4"):
        r = subprocess.run(["e2fsck", "-fn", f"{STATE}/vms/{record['slot']:03x}/{disk}"], capture_output=True, text=True)
        if r.returncode:
            raise Problem(f"{name}'s {disk}: {r.stdout[-300:]}")
    if work_size(name) > record["disk"]:
        raise Problem(f"{name}'s disk has {work_size(name)} bytes, its record says {record['disk']}")
