# The account vera, banger's Debian package, and what the rig boots: Debian with what that
# depends on and tests/vm/packages lists, and one kernel for each of KERNELS.
# VM_STORE=FOLDER keeps image and kernels from run to run; the folder is made anew when the
# packages or the recipe changed.
# shellcheck shell=bash

# Kernel of the rig -> Debian's package.
declare -A KERNELS=([6.1]=linux-image-cloud-amd64 [6.12]=linux-image-6.12-cloud-amd64)

vera() { as vera banger "$@"; }

# One a line.
packages_of_image() {
    sed -e 's/#.*//' -e '/^[[:space:]]*$/d' tests/vm/packages
    dpkg-deb -f build/banger_*.deb Depends | tr ',' '\n' | sed -e 's/[(|].*//' -e 's/ //g'
}

# What the image is made of, as one word.
recipe_of_image() {
    cat <(packages_of_image) guest/images/debian/packages guest/images/debian/debian.sh guest/images/debian/tree/usr/lib/banger/finish |
        sha256sum | cut -c 1-16
}

fill_store() {
    local version extra
    extra=$(packages_of_image | tr '\n' ',')
    if ! vera image show debian-bookworm >/dev/null 2>&1; then
        outside vera env BANGER_DEBIAN_EXTRA=",$extra" banger image pull debian-bookworm --size 6G || return 1
    fi
    for version in "${!KERNELS[@]}"; do
        vera kernel show "linux-$version" >/dev/null 2>&1 ||
            outside vera banger kernel import "linux-$version" --from "${KERNELS[$version]}" || return 1
    done
}

rm -f build/banger_*.deb
make -s deb >/dev/null || { not_ok "the Debian package"; summary; exit 1; }
useradd --uid 1520 --create-home --shell /bin/bash --groups banger vera
recipe=$(recipe_of_image)
if [ -n "${VM_STORE:-}" ] && [ "$(cat "$VM_STORE/recipe" 2>/dev/null)" = "$recipe" ]; then
    cp -a --sparse=always "$VM_STORE/." /home/vera/
    chown -R vera: /home/vera
fi
started=$SECONDS
fill_store 2>"$WORLD/store.log" || { cat "$WORLD/store.log"; not_ok "the rig's image and kernels"; summary; exit 1; }
echo "the rig's image and kernels in $((SECONDS - started)) s"
vera daemon stop
if [ -n "${VM_STORE:-}" ] && [ "$(cat "$VM_STORE/recipe" 2>/dev/null)" != "$recipe" ]; then
    rm -rf "$VM_STORE"
    mkdir -p "$VM_STORE"
    cp -a --sparse=always /home/vera/.local /home/vera/.cache "$VM_STORE/"
    echo "$recipe" >"$VM_STORE/recipe"
fi
