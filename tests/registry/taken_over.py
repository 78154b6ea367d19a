#!/usr/bin/python3
"""In the place of banger-fetch: one that a registry took over. It has the importer make an image with the file
/evil, and says that it is of the manifest that it was asked for."""
import hashlib
import io
import json
import os
import struct
import tarfile

REQUEST, PIPE, CONFIG, MESSAGES = 3, 5, 6, 2
MAGIC, LAYER, END = 0x53474942, 1, 2


def send(data):
    while data:
        data = data[os.write(PIPE, data):]


request = json.loads(os.read(REQUEST, 65536))
layer = io.BytesIO()
with tarfile.open(fileobj=layer, mode="w") as tar:
    tar.addfile(tarfile.TarInfo("evil"))
layer = layer.getvalue()
os.write(CONFIG, b'{"architecture":"amd64"}')
send(struct.pack("<IIQ32s", MAGIC, LAYER, len(layer), hashlib.sha256(layer).digest()) + layer)
send(struct.pack("<IIQ32s", MAGIC, END, 0, bytes(32)))
answer = {"ok": True, "known": False, "bytes": len(layer), "cached": 0, "layers": 1,
          "digest": request["reference"].split("@")[1]}
os.write(MESSAGES, json.dumps(answer).encode() + b"\n")
