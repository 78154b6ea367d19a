#!/bin/sh
# NET_UP through the helper against `ip` and `nft`, and NET_DOWN's reply against
# NET_UP: the rows that tests/netns/run.sh measures with its own world.
exec tests/netns/run.sh build bench 30
