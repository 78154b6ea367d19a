#!/bin/sh
# A published port's throughput against socat doing the same.
exec tests/netns/run.sh build publish "${ROUNDS:-7}"
