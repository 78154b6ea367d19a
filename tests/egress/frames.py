#!/usr/bin/env python3
"""Counts the IPv6 frames of guests for SECONDS on each interface: frames.py SECONDS INTERFACE...   One line
"INTERFACE COUNT" each. A guest's are those with a guest's MAC (02:62:...) or from 2001:db8::/32: the host's own are not."""
import select, socket, sys, time

sockets = {}
for name in sys.argv[2:]:
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind((name, 0))
    sockets[s] = [name, 0]
end = time.monotonic() + float(sys.argv[1])
while (left := end - time.monotonic()) > 0:
    for s in select.select(list(sockets), [], [], left)[0]:
        frame = s.recv(65536)
        own = frame[6:8] == b"\x02\x62" or frame[22:26] == b"\x20\x01\x0d\xb8"
        sockets[s][1] += frame[12:14] == b"\x86\xdd" and own
for name, count in sockets.values():
    print(name, count)
