"""Kills each of banger's processes at each of its steps during each operation (killer.c), and looks
afterwards (world.py): nothing lost, nothing left, everything true, and the same works again.

  kill.py EVERY [OPERATION...]      EVERY: one step in so many, at random (SEED); 1: all
                                    ROLE: of that process alone
"""
import os, random, sys, time
from world import *

EVERY = int(sys.argv[1])
SEED = int(os.environ.get("SEED", time.time()))
SLOW = 6  # seconds after which a trial that ends well is told
KILLER = WORLD + "/killer"
NEW = ["vm", "create", "--quiet", "--name", "v", "--image", "r", "--memory", "128M", "--disk-size", "64M"]


def traced(role, step, command):
    """(exit status, {role: steps}, killed)"""
    report = WORLD + "/report"
    r = subprocess.run([KILLER, str(UID), report, role, str(step), *AS_ALICE, "banger", *command],
                       capture_output=True, text=True, stdin=subprocess.DEVNULL)
    steps, killed = {}, None
    for line in open(report):
        words = line.split()
        if words[0] == "killed":
            killed = words[1:]
        else:
            steps[words[0]] = int(words[1])
    return r.returncode, steps, killed, r.stderr


# --- what is there before ----------------------------------------------------------------


def base():
    """A VM that is stopped and one that runs, in which nobody has any business."""
    have = vms()
    if "keep" not in have:
        must(*["keep" if w == "v" else w for w in NEW], "--no-start")
    if "live" not in have:
        must(*["live" if w == "v" else w for w in NEW])
    elif have["live"]["state"] != "running":
        must("vm", "start", "live")


def without():
    if "v" in vms():
        must("vm", "delete", "-f", "v")


def stopped():
    have = vms()
    if "v" not in have:
        must(*NEW, "--no-start")
    elif have["v"]["state"] == "running":
        must("vm", "kill", "v")


def fresh():
    without()
    stopped()


def running():
    have = vms()
    if "v" not in have:
        must(*NEW)
    elif have["v"]["state"] != "running":
        must("vm", "start", "v")


def no_daemon():
    stopped()
    cli("daemon", "stop")


def no_image():
    if any(i["name"] == "new" for i in listed("image")):
        must("image", "delete", "new")


def image_registered():
    no_image()
    must("image", "register", "--name", "new", "--rootfs", "root.ext4", "--kernel-ref", "k")


def image_there():
    if not any(i["name"] == "new" for i in listed("image")):
        must("image", "load", "saved.tar", "--name", "new")


def no_kernel():
    if any(k["name"] == "new" for k in listed("kernel")):
        must("kernel", "rm", "new")


def kernel_there():
    if not any(k["name"] == "new" for k in listed("kernel")):
        must("kernel", "import", "new", "--from", "kernel")


def state_of(what, name):
    for record in listed(what):
        if record["name"] == name:
            return record.get("state", "there")
    return None


# name: (before, command, what it is about, where it must be after a success; None: gone)
OPERATIONS = {
    "create": (without, NEW, ("vm", "v"), "running"),
    "create --no-start": (without, [*NEW, "--no-start"], ("vm", "v"), "stopped"),
    "start": (stopped, ["vm", "start", "v"], ("vm", "v"), "running"),
    "stop": (running, ["vm", "stop", "v"], ("vm", "v"), "stopped"),
    "restart": (running, ["vm", "restart", "v"], ("vm", "v"), "running"),
    "set": (fresh, ["vm", "set", "v", "--memory", "160M", "--disk-size", "80M"], ("vm", "v"), "stopped"),
    "kill": (running, ["vm", "kill", "v"], ("vm", "v"), "stopped"),
    "delete": (stopped, ["vm", "delete", "-f", "v"], ("vm", "v"), None),
    "delete a running one": (running, ["vm", "delete", "-f", "v"], ("vm", "v"), None),
    "run": (without, ["vm", "run", "--rm", "--quiet", "--name", "v", "--image", "r", "--memory", "128M", "--", "true"], ("vm", "v"), None),
    "exec": (running, ["vm", "exec", "v", "--", "true"], ("vm", "v"), "running"),
    "daemon start": (no_daemon, ["vm", "list"], ("vm", "v"), "stopped"),
    "daemon stop": (stopped, ["daemon", "stop"], ("vm", "v"), "stopped"),
    "image register": (no_image, ["image", "register", "--name", "new", "--rootfs", "root.ext4", "--kernel-ref", "k"], ("image", "new"), "there"),
    "image promote": (image_registered, ["image", "promote", "new"], ("image", "new"), "there"),
    "image load": (no_image, ["image", "load", "saved.tar", "--name", "new"], ("image", "new"), "there"),
    "image delete": (image_there, ["image", "delete", "new"], ("image", "new"), None),
    "kernel import": (no_kernel, ["kernel", "import", "new", "--from", "kernel"], ("kernel", "new"), "there"),
    "kernel import --force": (kernel_there, ["kernel", "import", "new", "--force", "--from", "kernel"], ("kernel", "new"), "there"),
    "kernel rm": (kernel_there, ["kernel", "rm", "new"], ("kernel", "new"), None),
}
MAY_GO = {"create", "create --no-start", "run", "image register", "image load", "kernel import", "delete", "delete a running one", "image delete", "kernel rm"}


def prepare(before):
    base()
    before()


def after(name, role, status, killed):
    """What holds however the operation ended. A guest that never became ready leaves a VM that says so."""
    before, command, about, wanted = OPERATIONS[name]
    waited = settled({"v"} if role in ("jail", "jail-child", "vmm", "vmm-worker", "worker-child") else set())
    have = state_of(*about)
    if status == 0 and killed is None and have != wanted:
        raise Problem(f"it said it had succeeded, and {about[1]} is {have}")
    if have is None and name not in MAY_GO:
        raise Problem(f"{about[1]} is lost")
    for vm in ("keep", "live"):
        if state_of("vm", vm) is None:
            raise Problem(f"{vm} is lost")
    if about[0] == "vm" and have in ("stopped", "failed"):
        check_disks(about[1])
    return waited


def again(name):
    """The same, undisturbed."""
    before, command, about, wanted = OPERATIONS[name]
    prepare(before)
    must(*command)
    have = state_of(*about)
    if have != wanted:
        raise Problem(f"tried again, {about[1]} is {have}")


def trial(name, role, step):
    before, command, about, wanted = OPERATIONS[name]
    prepare(before)
    status, steps, killed, words = traced(role, step, command)
    if status == 200:
        raise Problem("it does not end")
    waited = after(name, role, status, killed)
    again(name)
    return steps, killed, waited


def attempt(name, role, step, tally):
    begin = time.monotonic()
    try:
        steps, killed, waited = trial(name, role, step)
        tally["killed" if killed else "unreached"] += 1
        if time.monotonic() - begin > SLOW:
            print(f"    {name}, {role} killed at step {step}: right after {time.monotonic() - begin:.0f} s: {'; '.join(waited)}", flush=True)
        return steps
    except (Problem, subprocess.TimeoutExpired, OSError) as e:
        tally["bad"] += 1
        print(f"    {name}, {role} killed at step {step}: {e}", flush=True)
        mend()
        return {}


def mend():
    """After a failure the next trial begins from nothing."""
    cli("daemon", "stop")
    end_all()


def operation(name, rng):
    tally = {"killed": 0, "unreached": 0, "bad": 0}
    begin = time.monotonic()
    counts = attempt(name, "none", 0, tally)
    tally["unreached"] = 0
    if not counts:
        print(f"not ok {name}: undisturbed", flush=True)
        return False
    places = [(role, step) for role, count in counts.items() for step in range(count)
              if os.environ.get("ROLE", role) == role]
    if EVERY > 1:
        places = sorted(rng.sample(places, min(len(places), max(1, len(places) // EVERY))))
    for role, step in places:
        attempt(name, role, step, tally)
    ok = tally["bad"] == 0
    print(f"{'ok' if ok else 'not ok'} {name}: {tally['killed']} kills at the steps of "
          f"{', '.join(f'{r} ({n})' for r, n in counts.items())}; {tally['bad']} bad, {tally['unreached']} not reached, "
          f"{time.monotonic() - begin:.0f} s", flush=True)
    return ok


def main():
    rng = random.Random(SEED)
    print(f"SEED={SEED}")
    names = sys.argv[2:] or OPERATIONS
    results = []
    for name in names:
        results.append(operation(name, rng))
        if len(results) == 1 and not results[0] and EVERY > 1:
            break  # nothing works: the rest would only take long to say so
    print(f"{results.count(True)} passed, {len(results) - results.count(True)} failed, 0 skipped")
    return 0 if all(results) else 1


sys.exit(main())
