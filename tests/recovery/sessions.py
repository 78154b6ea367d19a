"""Kills each of banger's processes at each of its steps during each operation on a session of a real guest
(killer.c), and looks afterwards: at the host (world.py), and into the guest, where the session is what it was or
what it was to be, another one has gone on, and nothing is left of clients that are gone. Then the same works again.

  sessions.py EVERY [OPERATION...]      EVERY: one step in so many, at random (SEED); 1: all
                                        RECOVERY_SESSIONS: so many operations, at random (default all)
                                        ROLE, AT: as for kill.py
"""
import random, sys
from killing import *

EVERY = int(sys.argv[1])
SEED = int(os.environ.get("SEED", time.time()))
MOST = int(os.environ.get("RECOVERY_SESSIONS", 100))
BOX = "box"
FOLDERS = "/root/.cache/banger/sessions"
# Of those that make no step during an operation on a session, and yet may end in its midst: at a step of another.
# One step in so many: a VM whose jail is killed takes seconds to boot again.
BYSTANDERS = {"monitor": 1, "helper": 4, "jail": 8}
# Its last word is what a process of the guest can be found by.
TALK = ["sh", "-c", 'while read -r l; do echo "got $l"; [ "$l" != end ] || exit 5; done', "in-a-session"]
BRIEF = ["sh", "-c", "echo begun; sleep 0.7; echo over", "in-a-session"]

# --- the session, and what else is in the guest ------------------------------------------------

# The agent and its services are this program, whose file is gone since the guest's start.
LOOK = """
find /proc/[0-9]*/exe -lname '/init (deleted)' 2>/dev/null | while read -r exe; do
    words=$(tr '\\0' ' ' <${exe%exe}cmdline)
    echo "agent $words"
    if [ "$words" = 'banger-agent ' ]; then
        set -- ${exe%exe}fd/*
        echo "descriptors $#"
    fi
done
echo "commands $(grep -lazs 'in-a-sessio[n]' /proc/[0-9]*/cmdline | wc -l)"
cd FOLDERS
for f in *; do [ ! -e "$f/state" ] || echo "session $f"; [ ! -d "$f" ] || echo "folder $f"; done
echo "wrote $(echo $(cat s/stdout 2>/dev/null))"
echo "by $(tail -n 1 by/stdout)"
""".replace("FOLDERS", FOLDERS)
CLEAR = """
cd FOLDERS/s 2>/dev/null || exit 0
kill -9 -$(sed -n 's/^pid //p' state) 2>/dev/null
for i in $(seq 200); do grep -q '^state running' state || break; sleep 0.05; done
cd .. && rm -rf s
""".replace("FOLDERS", FOLDERS)


def session(*words):
    return ["vm", "session", words[0], BOX, *words[1:]]


def sessions():
    return {s["name"]: s for s in json.loads(must(*session("list", "--json")))["sessions"]}


class Inside:
    """All that is to be seen in the guest, at one time."""

    def __init__(self):
        lines = must("vm", "exec", BOX, "--", "sh", "-c", LOOK).splitlines()
        self.found = sessions()
        self.running = [s for s in self.found.values() if s["state"] == "running"]
        self.agents = self.all_of("agent", lines)
        self.descriptors = int(self.one_of("descriptors", lines))
        self.commands = int(self.one_of("commands", lines))
        self.folders, self.whole = self.all_of("folder", lines), self.all_of("session", lines)
        self.wrote, self.by_said = self.one_of("wrote", lines), self.one_of("by", lines)

    @staticmethod
    def all_of(key, lines):
        return [line.removeprefix(key + " ") for line in lines if line.startswith(key + " ")]

    def one_of(self, key, lines):
        return (self.all_of(key, lines) or ["0"])[0]

    def state(self):
        """What has become of the session s, with what it wrote."""
        s = self.found.get("s")
        if not s:
            return "absent"
        how = {"exited": f" {s['exit_code']}", "killed": f" {s['signal']}"}.get(s["state"], "")
        return f"{s['state']}{how}: {self.wrote}".rstrip()


class Bystander:
    """A session that nobody has any business with, from the beginning on."""

    def __init__(self):
        must(*session("start", "--name", "by", "--stdin-mode", "pipe", "-q", "--", *TALK))
        self.pid, self.said = sessions()["by"]["pid"], 0
        self.descriptors = Inside().descriptors  # of the guest's agent, at rest

    def talk(self):
        self.said += 1
        must(*session("send", "by", str(self.said)))

    def problems(self, inside):
        s = inside.found.get("by", {"state": "gone", "pid": 0})
        if (s["state"], s["pid"]) != ("running", self.pid):
            yield f"the other session is {s['state']} with pid {s['pid']}, not running with {self.pid}"
        if self.said and inside.by_said != f"got {self.said}":
            yield f"the other session was sent {self.said} and said {inside.by_said}"


def problems_inside(inside, by, wanted, fresh):
    """`fresh`: a start has succeeded since anything was killed, and cleared away what another that was cut off left."""
    running = len(inside.running)
    if inside.state() not in wanted:
        yield f"s is {inside.state()}, not {' or '.join(wanted)}"
    if len(inside.agents) != 1 + running:
        yield f"{running} sessions run, and of the agent's program {inside.agents}"
    if inside.commands != running:
        yield f"{running} sessions run, and {inside.commands} commands"
    if inside.descriptors != by.descriptors:
        yield f"the agent has {inside.descriptors} descriptors, not {by.descriptors}"
    if set(inside.folders if fresh else inside.whole) != set(inside.found):
        yield f"folders {inside.folders}, sessions {sorted(inside.found)}"
    for s in inside.running:
        if s["attached"]:
            yield f"{s['name']} is attached to {s['attached']}"
    yield from by.problems(inside)


def settle_inside(by, wanted, fresh):
    end = time.monotonic() + SETTLE
    while problems := list(problems_inside(Inside(), by, wanted, fresh)):
        if time.monotonic() > end:
            raise Problem("in the guest: " + "; ".join(problems))
        time.sleep(0.1)


# --- the operations ---------------------------------------------------------------------------


def absent():
    must("vm", "exec", BOX, "--", "sh", "-c", CLEAR)


def of_that_name():
    talking()
    must(*session("kill", "s"))


def talking():
    absent()
    must(*START)


def brief():
    absent()
    must(*session("start", "--name", "s", "-q", "--", *BRIEF))


START = session("start", "--name", "s", "--stdin-mode", "pipe", "-q", "--", *TALK)

# name: (before, command, its input, its exit status, what the session must be after a success, what else it may be
# where one was killed)
OPERATIONS = {
    "session start": (absent, START, None, 0, "running:", {"absent"}),
    "session start of a name in use before": (of_that_name, START, None, 0, "running:", {"absent", "killed 9:"}),
    "session send": (talking, session("send", "s", "one"), None, 0, "running: got one", {"running:"}),
    "session send --close": (talking, session("send", "s", "--close"), "one\n", 0, "exited 0: got one",
                             {"running:", "running: got one", "exited 0:"}),
    "session attach": (talking, session("attach", "s"), "end\n", 5, "exited 5: got end", {"running:"}),
    "session logs -f": (brief, session("logs", "s", "-f"), None, 0, "exited 0: begun over", set()),
    "session stop": (talking, session("stop", "s"), None, 0, "killed 15:", {"running:"}),
    "session kill": (talking, session("kill", "s"), None, 0, "killed 9:", {"running:"}),
}

# --- one trial --------------------------------------------------------------------------------


def again(name, by):
    before, command, given, status, wanted, _ = OPERATIONS[name]
    before()
    r = subprocess.run([*AS_ALICE, "banger", *command], capture_output=True, text=True, input=given or "", timeout=60)
    if r.returncode != status:
        raise Problem(f"tried again: status {r.returncode}: {r.stderr.strip()[-300:]}")
    settle_inside(by, {wanted}, command is START)


def trial(name, role, step, by):
    before, command, given, status, wanted, may = OPERATIONS[name]
    before()
    got, steps, killed, words = traced(role, step, command, given)
    if got == 200:
        raise Problem("it does not end")
    if killed is None and got != status:
        raise Problem(f"status {got}: {words.strip()[-300:]}")
    if role.endswith("/jail") and killed:
        return steps, killed, booted()
    waited = settled(cache=False)
    by.talk()
    settle_inside(by, {wanted} if got == status else {wanted} | may, False)
    again(name, by)
    return steps, killed, waited


def booted():
    """The VM has ended under its sessions, whose ends and logs may not have come to its disk."""
    waited = settled({BOX}, cache=False)
    must("vm", "start", BOX)
    found = sessions()
    for s in found.values():
        if s["state"] == "running":
            raise Problem(f"its VM ended, and session {s['name']} runs with pid {s['pid']}")
    if "by" in found and found["by"]["state"] != "lost":
        raise Problem(f"its VM ended, and the session that ran is {found['by']['state']}")
    return waited


class Guest:
    """The VM, booted anew where a trial has ended it or gone wrong."""

    def __init__(self):
        self.by = None

    def ready(self):
        if self.by:
            return
        if vms().get(BOX, {}).get("state") != "running":
            must("vm", "start", BOX)
        if sessions().get("by", {}).get("state") == "running":
            must(*session("kill", "by"))
        absent()
        self.by = Bystander()

    def attempt(self, name, role, step, tally):
        begin = time.monotonic()
        try:
            self.ready()
            steps, killed, waited = trial(name, role, step, self.by)
            tally["killed" if killed else "unreached"] += 1
            if role.endswith("/jail"):
                self.by = None
            else:
                slowly(name, role, step, begin, waited)
            return steps
        except (Problem, subprocess.TimeoutExpired, OSError) as e:
            tally["bad"] += 1
            print(f"    {name}, {role} killed at step {step}: {e}", flush=True)
            self.by = None
            return {}


def places_of(counts, rng):
    places = [(role, step) for role, count in counts.items() for step in range(count)]
    places += [(f"engine/{victim}", step) for victim, every in BYSTANDERS.items() for step in range(0, counts["engine"], every)]
    if os.environ.get("AT"):
        return [(role, int(step)) for role, step in (place.split(":") for place in os.environ["AT"].split(","))]
    return sample([place for place in places if os.environ.get("ROLE", place[0]) == place[0]], EVERY, rng)


def operation(name, box, rng):
    tally = {"killed": 0, "unreached": 0, "bad": 0}
    begin = time.monotonic()
    counts = box.attempt(name, "none", 0, tally)
    tally["unreached"] = 0
    if not counts:
        print(f"not ok {name}: undisturbed", flush=True)
        return False
    for role, step in places_of(counts, rng):
        box.attempt(name, role, step, tally)
    told(not tally["bad"], name, tally, counts, begin)
    return not tally["bad"]


def main():
    rng = random.Random(SEED)
    print(f"SEED={SEED}")
    must("vm", "create", "--quiet", "--name", BOX, "--memory", "512M", "--disk-size", "64M")
    box = Guest()
    some = rng.sample(list(OPERATIONS), min(MOST, len(OPERATIONS)))
    results = [operation(name, box, rng) for name in sys.argv[2:] or some]
    must("vm", "delete", "-f", BOX)
    settled(cache=False)
    print(f"{results.count(True)} passed, {results.count(False)} failed, 0 skipped")
    return 0 if all(results) else 1


sys.exit(main())
