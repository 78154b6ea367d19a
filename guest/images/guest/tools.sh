# The tools that a workspace asks for, while its user begins: as far as that goes, and never in the way.
# $1 is the workspace, $2 its repository's name.
# shellcheck shell=sh
set +e
log=/root/.cache/banger/vm-run-tooling-$2.log
mkdir -p /root/.cache/banger
cd "$1" || exit 0
mise=$(command -v mise) || mise=/root/.local/bin/mise
if [ -x "$mise" ]; then
    MISE_TRUSTED_CONFIG_PATHS=$1 MISE_YES=1 "$mise" install < /dev/null > "$log" 2>&1 &
else
    echo 'this image has no mise: the tools of the workspace are not installed' > "$log"
fi
exit 0
