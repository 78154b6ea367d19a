#!/usr/bin/env python3
"""Requests to bangerd on its socket, timed: client.py COMMAND [NUMBER...], as the account.

fill N        records idle-0000 … until there are N, none started; prints a line of figures
start M       starts M of them (idle-0000 …)
stop M        stops them
empty         deletes all
cycle K       K times create, start, stop, delete of one more VM; prints each step's p50 and p99
soak M R      R times start and stop, the M VMs in turn
up NAME EGRESS  makes one and starts it; with --no-start before NAME it is not started
down NAME    stops it
together M    starts M one after another, stops them, starts them all at once; prints both times
members NAME...  the first VM of a list with these members alone
"""
import json, os, socket, statistics, sys, threading, time

SOCKET = os.path.expanduser("~/.local/state/banger/run/bangerd.sock")
MACHINE = {"image": "r", "kernel": None, "vcpus": 1, "memory_mib": 128, "disk": 64 << 20, "egress": "nat"}


def request(op, **args):
    """The result; seconds it took are left in request.took (per thread)."""
    began = time.monotonic()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(SOCKET)
        s.sendall((json.dumps({"op": op, "args": args}) + "\n").encode())
        for line in s.makefile("rb"):
            answer = json.loads(line)
            if "ok" in answer:
                request.took = time.monotonic() - began
                if not answer["ok"]:
                    sys.exit(f"{op} {args.get('name', '')}: {answer['error']}")
                return answer.get("result")
    sys.exit(f"{op}: bangerd hung up")


def timed(op, **args):
    request(op, **args)
    return request.took


def name(i):
    return f"idle-{i:04d}"


def create(which, **more):
    return timed("vm.create", name=which, start=False, **{**MACHINE, **more})


def row(what, times):
    times = sorted(t * 1000 for t in times)
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    print(f"{what:8} {len(times):5} requests  p50 {statistics.median(times):8.2f} ms  p99 {p99:8.2f} ms  "
          f"{1000 * len(times) / sum(times):8.1f} /s", flush=True)


def have():
    return len(request("vm.list")["vms"])


def fill(n):
    times = [create(name(i)) for i in range(have(), n)]
    if times:
        row("create", times)


def each(op, m):
    row(op.split(".")[1], [timed(op, name=name(i)) for i in range(m)])


def empty():
    vms = request("vm.list")["vms"]
    if vms:
        row("delete", [timed("vm.delete", name=vm["name"]) for vm in vms])


def cycle(k):
    steps = {"create": [], "start": [], "stop": [], "delete": []}
    for i in range(k):
        which = f"cycle-{i:04d}"
        steps["create"].append(create(which))
        for step in ("start", "stop", "delete"):
            steps[step].append(timed("vm." + step, name=which))
    for step, times in steps.items():
        row(step, times)
    whole = statistics.median(map(sum, zip(*steps.values()))) * 1000
    print(f"cycle {whole:.2f}")


def soak(m, rounds):
    steps = {"start": [], "stop": []}
    for i in range(rounds):
        for step, times in steps.items():
            times.append(timed("vm." + step, name=name(i % m)))
    for step, times in steps.items():
        row(step, times)


def together(m):
    time.sleep(2)  # what was stopped before is gone from the kernel by then
    one = sum(timed("vm.start", name=name(i)) for i in range(m))
    each("vm.stop", m)
    time.sleep(2)
    began = time.monotonic()
    threads = [threading.Thread(target=request, args=("vm.start",), kwargs={"name": name(i)}) for i in range(m)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(f"together {1000 * one:.2f} {1000 * (time.monotonic() - began):.2f}", flush=True)
    each("vm.stop", m)


def up(which, egress, start=True):
    request("vm.create", name=which, start=start, **{**MACHINE, "egress": egress})


def main():
    MACHINE["kernel"] = request("image.show", name="r")["kernel"]
    command = sys.argv[1]
    if command == "up":
        return up(*sys.argv[-2:], start=sys.argv[2] != "--no-start")
    if command == "members":
        return print(json.dumps(request("vm.list", members=sys.argv[2:])["vms"][0]))
    if command == "down":
        return request("vm.stop", name=sys.argv[2])
    numbers = list(map(int, sys.argv[2:]))
    {"fill": fill, "start": lambda m: each("vm.start", m), "stop": lambda m: each("vm.stop", m), "empty": empty,
     "cycle": cycle, "soak": soak, "together": together}[command](*numbers)


main()
