"""What Firecracker refuses, its test server refuses too: refusals.py PROGRAM

A driver that passes against a server that takes anything proves nothing. The program is
run as it is, without a jail; nothing is started in it."""
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

program = sys.argv[1]
passed = failed = 0


def check(name, good, got=""):
    global passed, failed
    print(("ok " if good else "not ok ") + name + ("" if good else f"\n    got: {got}"))
    passed, failed = passed + bool(good), failed + (not good)


class Server:
    def __init__(self, *arguments):
        self.folder = tempfile.TemporaryDirectory()
        self.path = self.folder.name + "/api.sock"
        self.process = subprocess.Popen([program, "--api-sock", self.path, *arguments], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        while self.process.poll() is None and not os.path.exists(self.path):
            time.sleep(0.005)

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(5)
        connection.connect(self.path)
        return connection

    def raw(self, text):
        connection = self.connect()
        connection.sendall(text.encode())
        try:
            return connection.recv(65536).decode()
        except TimeoutError:
            return "nothing"

    def call(self, method, path, body=None):
        text = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
        if body is None:
            return self.raw(text + "\r\n")
        body = body if isinstance(body, str) else json.dumps(body)
        return self.raw(text + f"Content-Length: {len(body)}\r\n\r\n{body}")

    def end(self):
        self.process.kill()
        self.process.wait()


def status(reply):
    return reply.split(" ")[1].split("\r")[0] if reply.startswith("HTTP/1.1 ") else reply


def started(*arguments):
    server = Server(*arguments)
    if server.process.poll() is not None:
        return server.process.returncode
    server.end()
    return "runs"


# The command line.
check("it runs", started("--id", "web-1", "--level", "Warning") == "runs")
check("--name=value is no argument", started("--id=web") == 153)
check("nor is one twice", started("--id", "a", "--id", "b") == 153)
check("nor an unknown one", started("--vcpus", "2") == 153)
check("nor one without its value", started("--id") == 153)
check("an id has no '_'", started("--id", "a_b") == -6)
check("nor more than 64 bytes", started("--id", "a" * 65) == -6)
check("a level is one of its words", started("--level", "loud") == 152)
taken = tempfile.mkdtemp()
socket.socket(socket.AF_UNIX).bind(taken + "/api.sock")
busy = subprocess.run([program, "--api-sock", taken + "/api.sock"], stderr=subprocess.DEVNULL, check=False)
check("a socket that was left is not removed", busy.returncode == 1, busy.returncode)
os.unlink(taken + "/api.sock")

server = Server()
kernel = taken + "/kernel"
with open(kernel, "wb") as file:
    file.write(b"\x7fELF")
plain = taken + "/plain"
with open(plain, "wb") as file:
    file.write(bytes(4096))

# The transport.
reply = server.call("GET", "/version")
check("a reply has no reason phrase", reply.startswith("HTTP/1.1 200 \r\n"), reply)
reply = server.call("PUT", "/vsock", "{")
check("a body that is no JSON", status(reply) == "400" and "fault_message" in reply, reply)
reply = server.raw("HELLO\r\n\r\n")
check("what is no request", status(reply) == "400" and '"error": "' in reply and "\nAll previous" in reply, reply)
check("a long line", status(server.raw("GET /version HTTP/1.1\r\nA: " + "a" * 1100 + "\r\n\r\n")) == "400")
check("HTTP/1.0", status(server.raw("GET /version HTTP/1.0\r\n\r\n")) == "400")
check("POST", status(server.raw("POST /version HTTP/1.1\r\n\r\n")) == "400")
chunked = "PUT /vsock HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
check("chunks", status(server.raw(chunked)) == "400")
check("a large body", status(server.call("PUT", "/vsock", " " * 51201)) == "400")
held = [server.connect() for _ in range(10)]
time.sleep(0.3)
eleventh = server.connect()
reply = eleventh.recv(4096).decode()
check("an eleventh connection", reply.startswith("HTTP/1.1 503\r\n") and reply.endswith("connections\" }"), reply)
for connection in [*held, eleventh]:
    connection.close()
time.sleep(0.2)

# Bodies, each with what is wrong with it.
machine = {"vcpu_count": 1, "mem_size_mib": 128}
drive = {"drive_id": "root", "path_on_host": plain, "is_root_device": False}
boot = {"kernel_image_path": kernel}
vsock = {"guest_cid": 3, "uds_path": taken + "/v.sock"}
net = {"iface_id": "eth0", "host_dev_name": "bt0"}
bad = [
    ("GET", "/version", {}, "a GET with a body"),
    ("PUT", "/vsock", None, "a PUT without one"),
    ("PUT", "/nothing", {}, "an unknown path"),
    ("PATCH", "/vsock", vsock, "an unknown method of a path"),
    ("PUT", "/machine-config", {"vcpu_count": 1}, "a field that is missing"),
    ("PUT", "/machine-config", {**machine, "color": "red"}, "an unknown field"),
    ("PUT", "/machine-config", {**machine, "vcpu_count": 0}, "no processor"),
    ("PUT", "/machine-config", {**machine, "vcpu_count": 33}, "33 processors"),
    ("PUT", "/machine-config", {**machine, "vcpu_count": 1.5}, "half a processor"),
    ("PUT", "/machine-config", {**machine, "vcpu_count": "1"}, "a number in quotes"),
    ("PUT", "/machine-config", {**machine, "mem_size_mib": 0}, "no memory"),
    ("PUT", "/machine-config", {**machine, "vcpu_count": 3, "smt": True}, "three threads with SMT"),
    ("PUT", "/machine-config", {**machine, "huge_pages": "4K"}, "a word that is none"),
    ("PUT", "/machine-config", [machine], "a list for an object"),
    ("PUT", "/boot-source", {"boot_args": "quiet"}, "no kernel"),
    ("PUT", "/boot-source", {"kernel_image_path": "/does/not/exist"}, "a kernel that is not there"),
    ("PUT", "/boot-source", {"kernel_image_path": plain}, "a kernel that is none"),
    ("PUT", "/boot-source", {**boot, "initrd_path": "/does/not/exist"}, "an initrd that is not there"),
    ("PUT", "/boot-source", {**boot, "boot_args": "a" * 2048}, "a long command line"),
    ("PUT", "/drives/root", {"drive_id": "root", "path_on_host": plain}, "a drive without is_root_device"),
    ("PUT", "/drives/work", drive, "another id in the path"),
    ("PUT", "/drives/a-b", {**drive, "drive_id": "a-b"}, "an id with '-'"),
    ("PUT", "/drives/", {**drive, "drive_id": ""}, "no id"),
    ("PUT", "/drives/root", {**drive, "path_on_host": "/does/not/exist"}, "a drive that is not there"),
    ("PUT", "/drives/root", {**drive, "cache_type": "Writethrough"}, "a cache that it has not"),
    ("PUT", "/network-interfaces/eth0", {"iface_id": "eth0"}, "a network without a tap"),
    ("PUT", "/network-interfaces/eth0", {**net, "guest_mac": "02:00"}, "a MAC that is none"),
    ("PUT", "/network-interfaces/eth0", {**net, "host_dev_name": "a" * 16}, "a tap with a long name"),
    ("PUT", "/network-interfaces/eth0", {**net, "mtu": 67}, "a small MTU"),
    ("PUT", "/vsock", {**vsock, "guest_cid": 2}, "the host's CID"),
    ("PUT", "/vsock", {**vsock, "uds_path": kernel}, "a vsock path that is taken"),
    ("PUT", "/vsock", {"guest_cid": 3}, "a vsock without a path"),
    ("PUT", "/entropy", {"rate": 1}, "an unknown field of a device"),
    ("PUT", "/actions", {"action_type": "Stop"}, "an action that is none"),
    ("PUT", "/actions", {"action_type": "SendCtrlAltDel"}, "a key before the start"),
    ("PUT", "/actions", {"action_type": "InstanceStart"}, "a start without a kernel"),
    ("PATCH", "/vm", {"state": "Paused"}, "a pause before the start"),
    ("PATCH", "/vm", {"state": "Stopped"}, "a state that is none"),
]
for method, path, body, what in bad:
    reply = server.call(method, path, body)
    check("refused: " + what, status(reply) == "400" and "fault_message" in reply, reply)

good = [
    ("PUT", "/machine-config", machine),
    ("PUT", "/boot-source", {**boot, "boot_args": "a" * 2000}),
    ("PUT", "/drives/root", {**drive, "cache_type": "Writeback", "rate_limiter": {"ops": {"size": 1, "refill_time": 1, "x": 1}}}),
    ("PUT", "/drives/root", drive),
    ("PUT", "/vsock", vsock),
    ("PUT", "/vsock", vsock),
    ("PUT", "/entropy", {}),
]
for method, path, body in good:
    reply = server.call(method, path, body)
    check(f"taken: {path}", reply.startswith("HTTP/1.1 204 \r\n") and "Content-" not in reply, reply)

# Two requests at once, and one in two pieces.
both = "GET / HTTP/1.1\r\n\r\nGET /version HTTP/1.1\r\n\r\n"
connection = server.connect()
connection.sendall(both[:30].encode())
time.sleep(0.1)
connection.sendall(both[30:].encode())
text = ""
while text.count("HTTP/1.1 200 ") < 2:
    text += connection.recv(4096).decode()
check("requests are answered in their order", text.index("app_name") < text.index("firecracker_version"), text)

server.end()
for name in os.listdir(taken):
    os.unlink(taken + "/" + name)
os.rmdir(taken)
print(f"{passed} passed, {failed} failed, 0 skipped")
sys.exit(failed != 0)
