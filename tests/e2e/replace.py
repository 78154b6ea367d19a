#!/usr/bin/env python3
"""replace.py NAME < root.tar: has the daemon put another kernel in the place of NAME, and removes NAME before
all of it has come; prints what is said of that."""
import json
import os
import socket
import subprocess
import sys
import time

name, state = sys.argv[1], os.path.expanduser("~/.local/state/banger")
sock = socket.socket(socket.AF_UNIX)
sock.connect(state + "/run/bangerd.sock")
come, to = os.pipe()
agent = os.open("/usr/local/libexec/banger/banger-agent", os.O_RDONLY)
args = {"name": name, "source": "test", "replace": True}
socket.send_fds(sock, [json.dumps({"op": "kernel.import", "args": args}).encode() + b"\n"], [come, agent])
with open(to, "wb") as pipe:
    pipe.write(sys.stdin.buffer.read())
    while not any(entry.endswith(".tmp") for entry in os.listdir(state + "/kernels")):
        time.sleep(0.05)
    subprocess.run(["banger", "kernel", "rm", name], check=True, stdout=subprocess.DEVNULL)
os.close(come)
print(json.loads(sock.makefile().readlines()[-1]).get("error", "it was taken"))
