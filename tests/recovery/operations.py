"""What is tried: each operation with what must be there before it, and what must be after it."""
from world import *

IMAGE = "127.0.0.1:5001/team/app:1"  # in the registry of setup.sh


def new(name, port):
    return ["vm", "create", "--quiet", "--name", name, "--image", "r", "--memory", "128M", "--disk-size", "64M", "--publish", str(port) + ":80"]


NEW = new("v", 7001)

# --- what is there before ----------------------------------------------------------------


def base():
    """A VM that is stopped and one that runs, in which nobody has any business; no tap waits."""
    pool(0)
    have = vms()
    for name in set(have) - {"keep", "live", "v"}:  # a build's, whose guest never became ready
        must("vm", "delete", "-f", name)
    if "keep" not in have:
        must(*new("keep", 7003), "--no-start")
    elif have["keep"]["state"] == "running":
        must("vm", "kill", "keep")
    if "live" not in have:
        must(*new("live", 7002))
    elif have["live"]["state"] != "running":
        must("vm", "start", "live")


def pool(size):
    """So many taps wait."""
    if pool_size() != size:
        with open(CONFIG, "w") as f:
            f.write(f"tap_pool_size = {size}\n")
    must("daemon", "status")
    end = time.monotonic() + SETTLE
    while len(waiting()) != size:
        if time.monotonic() > end:
            raise Problem(f"taps wait in the slots {sorted(waiting())}, not {size}")
        time.sleep(0.02)


def taps_ready(then):
    def before():
        then()
        pool(2)
    return before


def with_ipv6():
    """Another VM, which base() removes."""
    must(*new("six", 7006), "--ipv6", "--no-start")


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


def cut_off_growing():
    """As `vm set` leaves a disk when it is killed between the record and the file."""
    fresh()
    size = work_size("v")
    must("vm", "set", "v", "--disk-size", "80M")
    os.truncate(f"{STATE}/vms/{read_database()['v']['slot']:03x}/work.ext4", size)


def running():
    have = vms()
    if "v" not in have:
        must(*NEW)
    elif have["v"]["state"] != "running":
        must("vm", "start", "v")


def logged_in(then):
    """With a host key, as ssh keeps it."""
    def before():
        then()
        folder = STATE + "/ssh/hosts"
        subprocess.run([*AS_ALICE, "sh", "-c", 'mkdir -p -m 0700 "$1" && echo key >"$1/v.vm"', "sh", folder], check=True)
    return before


def no_daemon():
    stopped()
    cli("daemon", "stop")


def others_running():
    """One to prune, and no other."""
    stopped()
    must("vm", "start", "keep")


def publishing(*ports):
    def before():
        running()
        have = state_of("ports", "v").split()
        if set(have) - set(ports):
            must("vm", "publish", "v", "--remove", *(set(have) - set(ports)))
        if set(ports) - set(have):
            must("vm", "publish", "v", *(set(ports) - set(have)))
    return before


def reaching(rules):
    def before():
        running()
        if state_of("egress", "v") != rules:
            must("vm", "set", "v", "--egress", rules)
    return before


def no_image(name="new"):
    if any(i["name"] == name for i in listed("image")):
        must("image", "delete", name)


def nothing_pulled():
    no_image()
    must("image", "cache", "prune")


def layers_here():
    no_image()
    if not blobs():
        pulled()
        no_image()


def pulled():
    if not any(i["name"] == "new" for i in listed("image")):
        must("image", "pull", "--quiet", "--name", "new", "--size", "32M", IMAGE)


def same_image_here():
    no_image()
    if not any(i["name"] == "same" for i in listed("image")):
        must("image", "pull", "--quiet", "--name", "same", "--size", "32M", IMAGE)


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


def no_bundle():
    remove("bundle")


def bundle_there():
    no_image("tools")


def remove(name):
    if os.path.exists(f"{HOME}/{name}"):
        os.unlink(f"{HOME}/{name}")


# --- what can be looked at ------------------------------------------------------------------


def blobs():
    return sorted(os.listdir(CACHE)) if os.path.isdir(CACHE) else []


def state_of(what, name):
    if what == "ports":
        return " ".join(f"{p['host_port']}:{p['guest_port']}" + ("/udp" if p["protocol"] == "udp" else "")
                        for p in vms()[name]["publish"])
    if what == "egress":
        return json.loads(must("vm", "egress", name, "--json"))["egress"]
    if what == "disk":
        return f"{work_size(name) >> 20}M"
    if what == "blobs":
        return len(blobs())
    if what == "file":
        return "there" if os.path.exists(f"{HOME}/{name}") else None
    for record in listed(what):
        if record["name"] == name:
            return record.get("state", "there")
    return None


V, SIX, NEW_IMAGE, NEW_KERNEL, PORTS, REACH, DISK = ("vm", "v"), ("vm", "six"), ("image", "new"), ("kernel", "new"), ("ports", "v"), ("egress", "v"), ("disk", "v")
RUN = ["vm", "run", "--rm", "--quiet", "--name", "v", "--image", "r", "--memory", "128M"]
PULL = ["image", "pull", "--quiet", "--name", "new", "--size", "32M", IMAGE]
LISTS = "allow=192.0.2.0/24,198.51.100.7", "allow=203.0.113.0/24"

# name: (before, command, what it is about, where it must be after a success; None: gone)
OPERATIONS = {
    "create": (without, NEW, V, "running"),
    "create --no-start": (without, [*NEW, "--no-start"], V, "stopped"),
    "start": (stopped, ["vm", "start", "v"], V, "running"),
    "create from the pool": (taps_ready(without), NEW, V, "running"),
    "start with IPv6": (with_ipv6, ["vm", "start", "six"], SIX, "running"),
    "start of a disk that is to grow": (cut_off_growing, ["vm", "start", "v"], DISK, "80M"),
    "stop": (running, ["vm", "stop", "v"], V, "stopped"),
    "restart": (running, ["vm", "restart", "v"], V, "running"),
    "set": (fresh, ["vm", "set", "v", "--memory", "160M", "--disk-size", "80M"], V, "stopped"),
    "kill": (running, ["vm", "kill", "v"], V, "stopped"),
    "delete": (logged_in(stopped), ["vm", "delete", "-f", "v"], V, None),
    "delete a running one": (logged_in(running), ["vm", "delete", "-f", "v"], V, None),
    "prune": (others_running, ["vm", "prune", "-f"], V, None),
    "run": (without, [*RUN, "--", "true"], V, None),
    "run a repository": (without, [*RUN, "./repo", "--", "true"], V, None),
    "exec": (running, ["vm", "exec", "v", "--", "true"], V, "running"),
    "publish the first": (publishing(), ["vm", "publish", "v", "7004:80", "7005:53/udp"], PORTS, "7004:80 7005:53/udp"),
    "publish another": (publishing("7004:80"), ["vm", "publish", "v", "7005:53/udp"], PORTS, "7004:80 7005:53/udp"),
    "unpublish": (publishing("7004:80"), ["vm", "publish", "v", "--remove", "7004:80"], PORTS, ""),
    "egress nat": (reaching("none"), ["vm", "set", "v", "--egress", "nat"], REACH, "nat"),
    "egress list": (reaching("nat"), ["vm", "set", "v", "--egress", LISTS[0]], REACH, LISTS[0]),
    "egress another list": (reaching(LISTS[0]), ["vm", "set", "v", "--egress", LISTS[1]], REACH, LISTS[1]),
    "egress none": (reaching(LISTS[0]), ["vm", "set", "v", "--egress", "none"], REACH, "none"),
    "daemon start": (no_daemon, ["vm", "list"], V, "stopped"),
    "daemon stop": (stopped, ["daemon", "stop"], V, "stopped"),
    "daemon stop with a pool": (taps_ready(stopped), ["daemon", "stop"], V, "stopped"),
    "image register": (no_image, ["image", "register", "--name", "new", "--rootfs", "root.ext4", "--kernel-ref", "k"], NEW_IMAGE, "there"),
    "image promote": (image_registered, ["image", "promote", "new"], NEW_IMAGE, "there"),
    "image load": (no_image, ["image", "load", "saved.tar", "--name", "new"], NEW_IMAGE, "there"),
    "image pull": (nothing_pulled, PULL, NEW_IMAGE, "there"),
    "image pull of layers that are here": (layers_here, PULL, NEW_IMAGE, "there"),
    "image pull of an image that is here": (same_image_here, PULL, NEW_IMAGE, "there"),
    "image pull of a bundle": (bundle_there, ["image", "pull", "--quiet", "tools"], ("image", "tools"), "there"),
    "image build": (no_image, ["image", "build", "--quiet", "--name", "new", "--from-image", "r", "--script", "script.sh", "--no-nat"], NEW_IMAGE, "there"),
    "image bundle": (no_bundle, ["image", "bundle", "--name", "r", "--out", "bundle"], ("file", "bundle"), "there"),
    "image delete": (image_there, ["image", "delete", "new"], NEW_IMAGE, None),
    "image cache prune": (layers_here, ["image", "cache", "prune"], ("blobs", ""), 0),
    "kernel import": (no_kernel, ["kernel", "import", "new", "--from", "kernel"], NEW_KERNEL, "there"),
    "kernel import --force": (kernel_there, ["kernel", "import", "new", "--force", "--from", "kernel"], NEW_KERNEL, "there"),
    "kernel rm": (kernel_there, ["kernel", "rm", "new"], NEW_KERNEL, None),
}
