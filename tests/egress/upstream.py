#!/usr/bin/env python3
"""banger-resolve, the real process, against name servers that misbehave. As root: makes network and mount namespaces of its own.

    unshare --net --mount tests/egress/upstream.py [build/banger-resolve]
"""
import array, os, socket, struct, subprocess, sys, tempfile, threading, time

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else "build/banger-resolve"
REQUEST, REPLY, ADDRESS = "I256s", "iIII", "III"
passed = failed = 0


def check(name, good, got=""):
    global passed, failed
    print(("ok " if good else "not ok ") + name + ("" if good else f"    got: {got}"), flush=True)
    passed, failed = passed + bool(good), failed + (not good)


# --- names on the wire -------------------------------------------------------------
def wire(name):
    return b"".join(bytes([len(l)]) + l.encode() for l in name.split(".") if l) + b"\0"


def rr(owner, kind, data, ttl=60):
    return owner + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def ip(text):
    return socket.inet_aton(text)


P = b"\xc0\x0c"  # the question's name


def message(query, answers=(), flags=0x8180, number=None, question=None, raw=b""):
    end = query.index(b"\0", 12) + 5
    return (struct.pack(">6H", struct.unpack(">H", query[:2])[0] if number is None else number, flags, 1, len(answers), 0, 0)
            + (question or query[12:end]) + b"".join(answers) + raw)


# --- the servers: first label of the name says how they answer -----------------------
seen = []


def asked(query):
    name, at = [], 12
    while query[at]:
        name.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    return name


A = rr(P, 1, ip("203.0.113.7"))


def answers(query, tcp):
    """The datagrams (or one TCP message) that come back."""
    name = asked(query)
    how = name[0]
    flood = [message(query, [A], number=n) for n in range(0, 65536, 257)]
    many = [rr(P, 1, bytes([203, 0, n >> 8, n & 255])) for n in range(100)]
    table = {
        "good": [message(query, [A])],
        "wrongid": flood[:50] + [message(query, [A], number=(struct.unpack(">H", query[:2])[0] ^ 1))],
        "wrongidthengood": flood[:50] + [message(query, [rr(P, 1, ip("203.0.113.9"))])],
        "wrongname": [message(query, [A], question=wire("evil.example") + b"\0\1\0\1")],
        "wrongtype": [message(query, [A], question=query[12:query.index(b"\0", 12) + 1] + b"\0\x1c\0\1")],
        "garbage": [b"\0" * 11, b"\xff" * 600, query[:2] + b"\x81\x80" + b"\xff" * 8, os.urandom(300)],
        "loop": [message(query, [rr(b"\xc0" + bytes([query.index(b"\0", 12) + 5]), 1, ip("1.1.1.1"))])],
        "aliasloop": [message(query, [rr(P, 5, P)])],
        "nx": [message(query, flags=0x8183)],
        "servfail": [message(query, [A], flags=0x8182)],
        "ttl0": [message(query, [rr(P, 1, ip("203.0.113.7"), 0)])],
        "ttl31": [message(query, [rr(P, 1, ip("203.0.113.7"), 1 << 31)])],
        "private": [message(query, [rr(P, 1, ip("10.0.0.1"))])],
        "own": [message(query, [rr(P, 1, ip("198.51.100.1")), rr(P, 1, ip("127.0.0.9"))])],
        "beside": [message(query, [rr(wire("evil.example"), 1, ip("203.0.113.66")), A])],
        "cut": [message(query, flags=0x8380)] if not tcp else [message(query, [A])],
        "cutforever": [message(query, flags=0x8380)],
        "many": [message(query, many)],
        "huge": [message(query, flags=0x8380)] if not tcp else [message(query, [rr(P, 16, b"\xff" + b"x" * 255)] * 200)],
        "chain": [message(query, [rr(P, 5, wire("good.example.org"), 5)])],
        "endless": [message(query, [rr(P, 5, b"\7endless" + bytes([len(str(time.monotonic_ns()))]) + str(time.monotonic_ns()).encode() + b"\7example\3org\0")])],
        "noedns": [message(query, flags=0x8181)] if query[11] else [message(query, [A])],
        "silent": [],
    }
    return table.get(how, [message(query, flags=0x8183)])


def serve_udp(at, only_tcp=False, down=False):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((at, 53))
    while True:
        query, peer = s.recvfrom(2048)
        seen.append((at, "udp", asked(query), peer[1], query[:2]))
        if asked(query)[0] == "slow":
            threading.Timer(0.7, s.sendto, (message(query, [A]), peer)).start()
        if asked(query)[0] == "second" and at == "127.0.0.53":
            continue
        for datagram in answers(query, False) if asked(query)[0] not in ("slow", "second") else [message(query, [A])] if asked(query)[0] == "second" else []:
            s.sendto(datagram[:4000], peer)


def serve_tcp(at):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((at, 53))
    s.listen(64)
    while True:
        c, _ = s.accept()
        try:
            size = struct.unpack(">H", c.recv(2))[0]
            query = c.recv(size)
            seen.append((at, "tcp", asked(query), 0, query[:2]))
            for m in answers(query, True)[:1]:
                c.sendall(struct.pack(">H", len(m)) + m)
        except (OSError, struct.error):
            pass
        c.close()


# --- banger-resolve -------------------------------------------------------------------
class Resolve:
    def __init__(self):
        self.control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        null = os.open("/dev/null", os.O_RDWR)
        fd = other.fileno()

        def place():
            high = [os.dup(x) for x in (null, null, fd, fd)]
            high = [os.dup2(x, 100 + i) for i, x in enumerate(high)]
            for i, x in enumerate(high):
                os.dup2(x, i)
            os.closerange(4, 200)

        self.process = subprocess.Popen([PROGRAM], preexec_fn=place, close_fds=False, env={})
        other.close()

    def begin(self, name, kind=1):
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.sendmsg([struct.pack(REQUEST, kind, name.encode())],
                             [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))])
        theirs.close()
        return mine

    @staticmethod
    def end(mine):
        mine.settimeout(14)
        data = mine.recv(65536)
        mine.close()
        if not data:
            return None
        error, rcode, count, size = struct.unpack_from(REPLY, data)
        addresses = [struct.unpack_from(ADDRESS, data, 16 + 12 * i) for i in range(count)]
        got = [(socket.inet_ntoa(struct.pack(">I", a)), ttl, own) for a, ttl, own in addresses]
        return error, rcode, got, data[16 + 12 * 64:]

    def ask(self, name, kind=1):
        return self.end(self.begin(name, kind))


def main():
    for command in ("ip link set lo up", "ip link add d0 type veth peer name d1", "ip addr add 198.51.100.1/24 dev d0", "ip link set d0 up", "ip link set d1 up",
                    "ip route add default via 198.51.100.2", "mount --make-rprivate /"):
        subprocess.run(command.split(), check=True)
    conf = tempfile.NamedTemporaryFile("w", delete=False)
    conf.write("# two stubs\nsearch example\nnameserver 127.0.0.53\nnameserver 127.0.0.54\n")
    conf.close()
    os.chmod(conf.name, 0o644)
    subprocess.run(["mount", "--bind", conf.name, os.path.realpath("/etc/resolv.conf")], check=True)
    for at in ("127.0.0.53", "127.0.0.54"):
        threading.Thread(target=serve_udp, args=(at,), daemon=True).start()
        threading.Thread(target=serve_tcp, args=(at,), daemon=True).start()
    time.sleep(0.2)
    r = Resolve()
    seven = [("203.0.113.7", 60, 0)]

    def gives(name, what, addresses, rcode=0, error=0, kind=1):
        got = r.ask(name + ".example.org", kind)
        check(what, got and got[0] == error and got[1] == rcode and got[2] == addresses, got)

    gives("good", "an address", seven)
    gives("slow", "a slow server", seven)
    gives("nx", "NXDOMAIN is passed on", [], rcode=3)
    gives("ttl0", "a TTL of 0", [("203.0.113.7", 0, 0)])
    gives("ttl31", "a TTL of 2^31 counts as 0 (RFC 2181)", [("203.0.113.7", 0, 0)])
    gives("private", "a private address is told as it is: the engine decides", [("10.0.0.1", 60, 0)])
    gives("own", "the host's own addresses are marked", [("198.51.100.1", 60, 1), ("127.0.0.9", 60, 1)])
    gives("beside", "an address beside the chain does not count", seven)
    gives("chain", "an alias is asked for where the server does not follow it", [("203.0.113.7", 5, 0)])
    gives("cut", "a cut answer is asked for over TCP", seven)
    gives("noedns", "a server that knows no EDNS", seven)
    gives("wrongidthengood", "answers with other ids are not taken, the right one is", [("203.0.113.9", 60, 0)])
    gives("second", "a silent server: the second one is asked", seven)
    gives("servfail", "SERVFAIL is passed on, and no address with it", [], rcode=2)
    got = r.ask("many.example.org")
    check("a hundred addresses: 64 are taken", got and got[0] == 0 and len(got[2]) == 64, got and len(got[2]))
    got = r.ask("huge.example.org", 16)
    check("an answer that is too long is an error", got and got[0] == 90, got and got[0])
    got = r.ask("good.example.org", 1)
    check("the message has the question and one answer", got[3][4:8] == b"\0\1\0\1" and wire("good.example.org") in got[3], got[3])

    started = time.monotonic()
    bad = ["wrongid", "wrongname", "wrongtype", "garbage", "loop", "aliasloop", "cutforever", "endless", "silent"]
    sockets = {name: r.begin(name + ".example.org") for name in bad}
    got = r.ask("good.example.org")
    check("while nine bad ones are under way another is answered", got and got[2] == seven and time.monotonic() - started < 2, got)
    for name, mine in sockets.items():
        got = r.end(mine)
        check(f"{name}: no address, an error", got and (got[0] or got[1] == 3) and not got[2], got)
    check("all within its patience", time.monotonic() - started < 12, time.monotonic() - started)

    threads = [r.begin(f"good.n{i}.example.org") for i in range(200)]
    check("two hundred at once", all((r.end(m) or [1])[0] == 0 for m in threads))
    ports = {s[3] for s in seen if s[1] == "udp" and s[2][:1] == ["good"]}
    numbers = {s[4] for s in seen if s[1] == "udp" and s[2][:1] == ["good"]}
    check("each with a port and an id of its own", len(ports) > 150 and len(numbers) > 150, (len(ports), len(numbers)))

    # What the half that parses may do: no socket of its own, no file.
    children = subprocess.run(["ps", "--ppid", str(r.process.pid), "-o", "pid="], capture_output=True, text=True).stdout.split()
    check("two processes", len(children) == 1, children)
    for pid in children + [str(r.process.pid)]:
        status = open(f"/proc/{pid}/status").read()
        check("confined: seccomp and no_new_privs", "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status)

    with open(conf.name, "a") as f:
        f.write("# changed\n")
    try:
        check("resolv.conf changes: it ends", r.process.wait(5) == 0, r.process.returncode)
    except subprocess.TimeoutExpired:
        check("resolv.conf changes: it ends", False)
    again = Resolve()
    check("and another reads it anew", again.ask("good.example.org")[2] == seven)
    again.control.close()
    try:
        check("the engine goes: it ends", again.process.wait(5) == 0, again.process.returncode)
    except subprocess.TimeoutExpired:
        check("the engine goes: it ends", False)
    os.unlink(conf.name)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed != 0


sys.exit(main())
