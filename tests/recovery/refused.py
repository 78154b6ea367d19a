"""Refuses each write of a VM's record, one at a time, during each operation on a VM (a trigger in its
database), and looks afterwards (world.py), without a new start of the daemon: the operation is undone or
has succeeded, and the same works again.

  refused.py EVERY [OPERATION...]      EVERY: one operation in so many, at random (SEED); 1: all
"""
import random, sys
from operations import *

EVERY = int(sys.argv[1])
SEED = int(os.environ.get("SEED", time.time()))
CHANGES = {"vms": "old.name = 'v'", "egress": "(SELECT name FROM vms WHERE id = old.vm) = 'v'"}
MOST = 12  # writes of an operation
OPERATIONS["create with a list"] = (without, [*NEW, "--egress", LISTS[0]], V, "running")


def database(*statements):
    """Run by alice, while no daemon has the file."""
    must("daemon", "stop")
    program = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\nfor s in sys.argv[2:]: db.execute(s)\ndb.commit()"
    subprocess.run([*AS_ALICE, "python3", "-c", program, STATE + "/banger.db", *statements], check=True)


def refuse(number):
    """The write of that number (from 1) on, once."""
    statements = ["CREATE TABLE refused (left INTEGER)", f"INSERT INTO refused VALUES ({number})"]
    for table, which in CHANGES.items():
        for change in ("INSERT", "UPDATE", "DELETE"):
            when = which.replace("old.", "new.") if change == "INSERT" else which
            statements.append(f"CREATE TRIGGER refused_{table}_{change} BEFORE {change} ON {table} WHEN {when} BEGIN "
                              "UPDATE refused SET left = left - 1; "
                              "SELECT RAISE(FAIL, 'refused') FROM refused WHERE left = 0; END")
    database(*statements)


def accept():
    """All writes from now on; whether one was refused."""
    must("daemon", "stop")
    db = sqlite3.connect(STATE + "/banger.db")
    left = db.execute("SELECT left FROM refused").fetchone()[0]
    db.close()
    database(*(f"DROP TRIGGER refused_{table}_{change}" for table in CHANGES for change in ("INSERT", "UPDATE", "DELETE")),
             "DROP TABLE refused")
    return left <= 0


def finish(ended, wanted):
    """From some step on a VM's end can only go on: the rest is done when it is asked for again."""
    have = state_of("vm", "v")
    if wanted is None and have:
        must("vm", "delete", "-f", "v")
    if wanted == "stopped" and have and have != wanted and ended.returncode:
        must("vm", "stop", "v")
    if wanted == "running" and have == "stopping" and ended.returncode:
        must("vm", "restart", "v")


def check(name, status, was):
    _, _, about, wanted = OPERATIONS[name]
    settled()
    have = state_of(*about)
    if status == 0 and have != wanted:
        raise Problem(f"it said it had succeeded, and {about[1]} is {have}")
    if have is None and was is not None and wanted is not None:
        raise Problem(f"{about[1]} is lost")
    if status and have is not None and was is None:
        raise Problem(f"{about[1]} is there, {have}")
    if about[0] in ("ports", "egress") and have not in (was, wanted):
        raise Problem(f"{about[1]} has {have}, neither {was} nor {wanted}")


def trial(name, number):
    """Whether the operation came to that write."""
    before, command, about, wanted = OPERATIONS[name]
    base()
    before()
    was = state_of(*about)
    found = vms().get("v", {}).get("state") == "running"  # start-up writes that it has found it
    refuse(number + found)
    ended = cli(*command)
    try:
        finish(ended, wanted)
        check(name, ended.returncode, was)
    finally:
        reached = accept()
    before()
    must(*command)
    if state_of(*about) != wanted:
        raise Problem(f"tried again, {about[1]} is {state_of(*about)}")
    return reached


def operation(name):
    bad = tried = 0
    for number in range(1, MOST):
        try:
            if not trial(name, number):
                break
            tried += 1
        except (Problem, subprocess.SubprocessError, OSError, sqlite3.Error) as e:
            bad += 1
            print(f"    {name}, write {number} refused: {e}", flush=True)
            cli("daemon", "stop")
            end_all()
    print(f"{'not ok' if bad else 'ok'} {name}: {tried + bad} writes refused, {bad} bad", flush=True)
    return bad == 0


def main():
    rng = random.Random(SEED)
    print(f"SEED={SEED}")
    of_v = [name for name, o in OPERATIONS.items() if o[1][0] == "vm" and o[2] in (V, PORTS, REACH) and name != "prune"]
    names = sys.argv[2:] or rng.sample(of_v, max(1, len(of_v) // EVERY))
    results = [operation(name) for name in names]
    print(f"{results.count(True)} passed, {results.count(False)} failed, 0 skipped")
    return 0 if all(results) else 1


sys.exit(main())
