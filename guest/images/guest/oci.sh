#!/bin/sh
# oci.sh ROOT: the folder as an OCI archive on standard output, for `banger image load` and any
# other tool: one layer, run by a shell.
set -eu
if [ $# -ne 1 ] || [ ! -d "$1" ]; then
    echo 'usage: oci.sh ROOT > image.tar' >&2
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
blobs=$work/blobs/sha256
mkdir -p "$blobs"

# blob FILE: under its digest; prints "DIGEST SIZE".
blob() {
    sum=$(sha256sum "$1" | cut -d' ' -f1)
    size=$(stat -c %s "$1")
    mv "$1" "$blobs/$sum"
    echo "$sum $size"
}
descriptor() { printf '{"mediaType":"application/vnd.oci.image.%s","digest":"sha256:%s","size":%s}' "$1" "$2" "$3"; }

tar -C "$1" --sort=name --numeric-owner --xattrs --xattrs-include='security.capability' -cf "$work/layer" .
# shellcheck disable=SC2046 # digest and size
{
    set -- $(blob "$work/layer")
    layer=$(descriptor layer.v1.tar "$@")
    printf '{"architecture":"amd64","os":"linux","config":{"Cmd":["/bin/sh"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$1" > "$work/config"
    config=$(descriptor config.v1+json $(blob "$work/config"))
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' "$config" "$layer" > "$work/manifest"
    printf '{"schemaVersion":2,"manifests":[%s]}' "$(descriptor manifest.v1+json $(blob "$work/manifest"))" > "$work/index.json"
}
printf '{"imageLayoutVersion":"1.0.0"}' > "$work/oci-layout"
tar -C "$work" -c oci-layout index.json blobs
