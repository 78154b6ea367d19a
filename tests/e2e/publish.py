"""What a client of a published port sees. Usage: publish.py CHECK ADDRESS PORT"""
import os
import socket
import sys

check, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in address else socket.AF_INET


def connect():
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(20)
    s.connect((address, port))
    return s


def read_all(s):
    parts = []
    while part := s.recv(65536):
        parts.append(part)
    return b"".join(parts)


if check == "echo":  # the answer comes when the client's half is closed
    data = os.urandom(4 << 20)
    with connect() as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        sys.exit(read_all(s) != data)
elif check == "datagram":
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect((address, port))
        for size in (1, 100, 1400, 4000):
            data = os.urandom(size)
            s.send(data)
            if s.recv(65536) != data:
                sys.exit(1)
elif check == "line":  # the echo of one line
    with connect() as s:
        s.sendall(b"hello\n")
        sys.exit(s.recv(100) != b"hello\n")
elif check == "reset":  # nobody listens in the guest
    try:
        with connect() as s:
            sys.exit(s.recv(1) != b"never")
    except ConnectionResetError:
        pass
elif check == "hold":  # a connection that goes on: a line when told, until told no more
    with connect() as s:
        print("connected", flush=True)
        for line in sys.stdin:
            s.sendall(line.encode())
            print(s.recv(100).decode(), end="", flush=True)
elif check == "bind":  # the port is free, or taken
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
        s.listen()
        print("bound", flush=True)
        sys.stdin.read()
