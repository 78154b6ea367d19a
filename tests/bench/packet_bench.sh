#!/bin/sh
# A guest's packet through 250 VMs' rules, against through one's.
exec tests/netns/run.sh build packet 60
