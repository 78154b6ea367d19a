#!/usr/bin/env python3
"""import.py NAME CONFIG < root.tar: image.import of a tar stream with a run configuration
(JSON), through the daemon's socket as docs/protocol.md says."""
import json
import os
import socket
import sys

state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
sock = socket.socket(socket.AF_UNIX)
sock.connect(state + "/banger/run/bangerd.sock")
args = {"name": sys.argv[1], "kind": "local", "source": "test", "config": json.loads(sys.argv[2])}
request = json.dumps({"op": "image.import", "args": args}).encode() + b"\n"
socket.send_fds(sock, [request], [0])
answer = json.loads(sock.makefile().readlines()[-1])
if not answer["ok"]:
    sys.exit(answer["error"])
