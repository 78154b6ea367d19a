# kernel_modules PACKAGE: into a Debian root, what containers want of a Debian kernel's modules: file systems, network,
# firewall. Neither the kernel, which is banger's to start, nor the tools that make an initramfs.
# shellcheck shell=sh
kernel_modules() (
    package=$(apt-cache depends "$1" | sed -n 's/^ *Depends: \(linux-image-\)/\1/p' | head -n 1) # of a metapackage
    package=${package:-$1}
    folder=$(mktemp -d)
    cd "$folder" && apt-get download -q -o APT::Sandbox::User=root "$package" && dpkg-deb --fsys-tarfile ./*.deb > modules.tar &&
        tar -x -f modules.tar -C / --wildcards '*/lib/modules/*/modules.*' '*/lib/modules/*/kernel/arch/*' \
            '*/lib/modules/*/kernel/crypto/*' '*/lib/modules/*/kernel/fs/*' '*/lib/modules/*/kernel/lib/*' \
            '*/lib/modules/*/kernel/net/*' '*/lib/modules/*/kernel/drivers/net/*' &&
        depmod "${package#linux-image-}"
    status=$?
    rm -rf "$folder"
    exit $status
)
