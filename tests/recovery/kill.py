"""Kills each of banger's processes at each of its steps during each operation (killer.c), and looks
afterwards (world.py): nothing lost, nothing left, everything true, and the same works again.

  kill.py EVERY [OPERATION...]      EVERY: one step in so many, at random (SEED); 1: all
                                    RECOVERY_OPERATIONS: so many, at random (default all)
                                    ROLE: of that process alone; AT=ROLE:STEP,...: these, in this order
"""
import os, random, sys, time
from killing import *
from operations import *

EVERY = int(sys.argv[1])
SEED = int(os.environ.get("SEED", time.time()))
MOST = int(os.environ.get("RECOVERY_OPERATIONS", len(OPERATIONS)))
VMMS = {"jail", "jail-child", "vmm", "vmm-worker", "worker-child"}  # whose end takes a VM along


# --- one trial --------------------------------------------------------------------------


def prepare(before):
    base()
    before()


def check_rest(name, role):
    """Nobody had any business there."""
    for vm in ("keep", "live"):
        if state_of("vm", vm) is None and not (name == "prune" and role in VMMS):
            raise Problem(f"{vm} is lost")


def after(name, role, status, killed, was):
    """What holds however the operation ended. A guest that never became ready leaves a VM that says so."""
    before, command, about, wanted = OPERATIONS[name]
    waited = settled(set(vms()) - {"keep", "live"} if role in VMMS else set())
    have = state_of(*about)
    if status == 0 and killed is None and have != wanted:
        raise Problem(f"it said it had succeeded, and {about[1]} is {have}")
    if have is None and was is not None and wanted is not None:
        raise Problem(f"{about[1]} is lost")
    if about[0] in ("ports", "egress", "disk") and have not in (was, wanted):
        raise Problem(f"{about[1]} has {have}, neither {was} nor {wanted}")
    check_rest(name, role)
    if about[0] in ("vm", "disk") and state_of("vm", about[1]) in ("stopped", "failed"):
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
    if any(blob.endswith(".part") for blob in blobs()):
        raise Problem(f"tried again, the blob cache has {blobs()}")


def trial(name, role, step):
    before, command, about, wanted = OPERATIONS[name]
    prepare(before)
    was = wanted if before is no_daemon else state_of(*about)
    status, steps, killed, words = traced(role, step, command)
    if status == 200:
        raise Problem("it does not end")
    if killed is None and status:
        raise Problem(f"status {status}: {words.strip()[-400:]}")
    waited = after(name, role, status, killed, was)
    again(name)
    return steps, killed, waited


def attempt(name, role, step, tally):
    begin = time.monotonic()
    try:
        steps, killed, waited = trial(name, role, step)
        tally["killed" if killed else "unreached"] += 1
        slowly(name, role, step, begin, waited)
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
    places = sample(places, EVERY, rng)
    if os.environ.get("AT"):
        places = [(role, int(step)) for role, step in (place.split(":") for place in os.environ["AT"].split(","))]
    for role, step in places:
        attempt(name, role, step, tally)
    ok = tally["bad"] == 0
    told(ok, name, tally, counts, begin)
    return ok


def main():
    rng = random.Random(SEED)
    print(f"SEED={SEED}")
    chosen = rng.sample(list(OPERATIONS), min(MOST, len(OPERATIONS)))
    names = sys.argv[2:] or sorted(chosen, key=list(OPERATIONS).index)
    results = []
    for name in names:
        results.append(operation(name, rng))
        if len(results) == 1 and not results[0] and EVERY > 1:
            break  # nothing works: the rest would only take long to say so
    print(f"{results.count(True)} passed, {len(results) - results.count(True)} failed, 0 skipped")
    return 0 if all(results) else 1


sys.exit(main())
