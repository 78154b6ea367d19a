#!/bin/sh
# Installs the Debian packages of the given kinds (build, run, test) that are
# missing; says nothing when there is nothing to do.
set -eu
here=$(dirname "$0")
missing=
for kind in "$@"; do
    for package in $(sed -n "s/^$kind //p" "$here/packages"); do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
        [ "$status" = installed ] || missing="$missing $package"
    done
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "these Debian packages are missing; ask an administrator to run: apt-get install$missing" >&2
    exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
# A list of packages that is missing or old is the usual reason for a failure: fetch it and try again.
# shellcheck disable=SC2086
if ! apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
