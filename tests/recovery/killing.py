"""A command of alice's while one of banger's processes is killed at one of its steps (killer.c)."""
from world import *

KILLER = WORLD + "/killer"
SLOW = 6  # seconds after which a trial that ends well is told


def traced(role, step, command, given=None):
    """(exit status, {role: steps}, killed, what it said)"""
    report = WORLD + "/report"
    stdin = {"input": given} if given else {"stdin": subprocess.DEVNULL}
    r = subprocess.run([KILLER, str(UID), report, role, str(step), *AS_ALICE, "banger", *command],
                       capture_output=True, text=True, **stdin)
    steps, killed = {}, None
    for line in open(report):
        words = line.split()
        if words[0] == "killed":
            killed = words[1:]
        else:
            steps[words[0]] = int(words[1])
    return r.returncode, steps, killed, r.stderr


def sample(places, every, rng):
    """One in so many, but at least one."""
    return places if every <= 1 else sorted(rng.sample(places, min(len(places), max(1, len(places) // every))))


def told(ok, name, tally, counts, begin):
    steps = ", ".join(f"{role} ({n})" for role, n in counts.items())
    print(f"{'ok' if ok else 'not ok'} {name}: {tally['killed']} kills at the steps of {steps}; {tally['bad']} bad, "
          f"{tally['unreached']} not reached, {time.monotonic() - begin:.0f} s", flush=True)


def slowly(name, role, step, begin, waited):
    if time.monotonic() - begin > SLOW:
        print(f"    {name}, {role} killed at step {step}: right after {time.monotonic() - begin:.0f} s: {'; '.join(waited)}", flush=True)
