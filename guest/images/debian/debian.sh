#!/bin/sh
# Makes banger's default image: debian.sh SUITE writes a root file system as a tar
# stream to standard output, and what it is doing to standard error.
#
# It runs mmdebstrap as the calling account, in a user namespace of its own. Packages
# come from the host's own apt sources where they have the suite, else from
# where mmdebstrap takes it by default; BANGER_DEBIAN_MIRROR (a URL) overrides both.
# BANGER_DEBIAN_EXTRA names further packages. BANGER_DEBIAN_OPTIONS is a list, with commas,
# of docker, jq, mise, opencode, claude and pi; the last four come by npm (extras.sh says
# with which commands). SOURCE_DATE_EPOCH is respected.
set -eu

die() {
    printf 'debian.sh: %s\n' "$1" >&2
    exit 1
}

# Apt's sources of a suite, its updates and its security fixes, as one-line entries:
# both formats that apt reads, and nothing of what else the host may have enabled.
host_sources() {
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ ! -r "$file" ] || awk -v suite="$1" '
            $1 == "deb" {
                at = 2
                if ($2 ~ /^\[/) { while (at < NF && $at !~ /\]$/) at++; at++ }
                s = $(at + 1)
                if (s == suite || s == suite "-updates" || s == suite "-security") print
            }' "$file"
    done
    for file in /etc/apt/sources.list.d/*.sources; do
        [ ! -r "$file" ] || awk -v suite="$1" '
            function flush_stanza(   i, j, uris, suites, m, n, option) {
                if (types ~ /(^| )deb( |$)/ && tolower(enabled) != "no") {
                    m = split(uri, uris, " "); n = split(suitelist, suites, " ")
                    option = signed ~ /^ *\// ? "[signed-by=" trim(signed) "] " : ""
                    for (i = 1; i <= m; i++) for (j = 1; j <= n; j++)
                        if (suites[j] == suite || suites[j] == suite "-updates" || suites[j] == suite "-security")
                            print "deb " option uris[i] " " suites[j] " " trim(components)
                }
                types = uri = suitelist = components = signed = enabled = field = ""
            }
            function trim(s) { gsub(/^ +| +$/, "", s); return s }
            /^#/ { next }
            /^[ \t]*$/ { flush_stanza(); next }
            /^[^ \t]/ { field = tolower($1); sub(/^[^:]*:/, "") ; sub(/^[ \t]+/, "") }
            {
                if (field == "types:") types = types " " $0
                else if (field == "uris:") uri = uri " " $0
                else if (field == "suites:") suitelist = suitelist " " $0
                else if (field == "components:") components = components " " $0
                else if (field == "signed-by:") signed = signed " " $0
                else if (field == "enabled:") enabled = trim($0)
            }
            END { flush_stanza() }' "$file"
    done
}

check_host() {
    command -v mmdebstrap > /dev/null ||
        die 'mmdebstrap is not installed, and the Debian image is made with it: run "apt install mmdebstrap" as root'
    [ "$(id -u)" -ne 0 ] || return 0
    command -v newuidmap > /dev/null ||
        die 'newuidmap is not installed, and an image is made under user ids of your own: run "apt install uidmap" as root'
    me=$(id -un)
    for map in /etc/subuid /etc/subgid; do
        grep -qs -e "^$me:" -e "^$(id -u):" "$map" ||
            die "$map has no range of ids for you: run \"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $me\" as root, with a range that nobody has yet"
    done
}

# The options' packages, each with a comma before it; in `extras` what extras.sh is to install, in `modules` the
# package of the kernel (the catalog's debian-cloud) whose modules docker wants.
extras='' modules=''
options() {
    more=
    for option in $(echo "${BANGER_DEBIAN_OPTIONS:-}" | tr ',' ' '); do
        case $option in
        docker)
            modules=linux-image-cloud-amd64
            more=$more,docker.io,iptables,apparmor,kmod
            ;;
        jq) more=$more,jq ;;
        mise | opencode | claude | pi)
            extras="$extras $option"
            more=$more,nodejs,npm
            ;;
        *) die "\"$option\" in BANGER_DEBIAN_OPTIONS is none of docker, jq, mise, opencode, claude and pi" ;;
        esac
    done
}

main() {
    [ $# -eq 1 ] || die 'usage: debian.sh SUITE > image.tar'
    suite=$1
    case $suite in
    '' | *[!a-z0-9.-]* | [!a-z]*) die "\"$suite\" is no name of a Debian suite; bookworm or trixie would be one" ;;
    esac
    here=$(cd "$(dirname "$0")" && pwd)
    if [ ! -r "$here/packages" ] || [ ! -d "$here/tree" ]; then
        die "$here lacks the recipe's files; install banger again"
    fi
    check_host

    include=$(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$here/packages" | tr -s ' \n' ',,')${BANGER_DEBIAN_EXTRA:-}
    options
    include=${include%,}$more
    # sync-in keeps the owners and modes that the recipe's files happen to have here.
    laid=$(cd "$here/tree" && find . | sort | tr '\n' ' ')
    # shellcheck disable=SC2016 # "$1" is the hook's
    set -- --mode=unshare --variant=minbase --format=tar --include="${include%,}" \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-include=/usr/share/doc/*/copyright' --dpkgopt='path-exclude=/usr/share/locale/*/LC_MESSAGES/*' \
        --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/lintian/*' \
        --aptopt='Acquire::Languages "none"' --aptopt='Apt::Install-Recommends "false"' \
        --customize-hook="sync-in '$here/tree' /" \
        --customize-hook="cd \"\$1\" && chown -h 0:0 $laid && chmod u=rwX,go=rX $laid" \
        ${modules:+"--customize-hook=copy-in '$here/../guest/modules.sh' /tmp" "--customize-hook=chroot \"\$1\" sh -c '. /tmp/modules.sh; kernel_modules $modules' && rm \"\$1/tmp/modules.sh\""} \
        ${extras:+"--customize-hook=copy-in '$here/extras.sh' /tmp" "--customize-hook=chroot \"\$1\" sh /tmp/extras.sh$extras && rm \"\$1/tmp/extras.sh\""} \
        --customize-hook='chroot "$1" sh /usr/lib/banger/finish && rm -r "$1/usr/lib/banger"' \
        "$suite" -
    if [ -n "${BANGER_DEBIAN_MIRROR:-}" ]; then
        set -- "$@" "$BANGER_DEBIAN_MIRROR"
    else
        sources=$(host_sources "$suite")
        IFS='
'
        # shellcheck disable=SC2086 # one argument a line
        set -- "$@" $sources
        unset IFS
    fi
    umask 022
    cd /
    exec mmdebstrap "$@"
}

main "$@"
