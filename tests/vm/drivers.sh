# The suites' own programs, compiled on the host. Suites compile theirs with `gcc`; in
# the guest that is tests/vm/shim/gcc, which gives the one named after the first source
# that has one here.
# shellcheck shell=bash

# compile_drivers FOLDER
compile_drivers() {
    local flags=(-std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra '-DBANGER_LIBEXECDIR="/usr/local/libexec/banger"'
        '-DBANGER_POLICY="/etc/banger/policy.conf"')
    local name lab=(tests/netns/lab.c common/fdpass.c common/io.c)
    make -s build/common.a
    gcc "${flags[@]}" -o "$1/net_main" tests/netns/net_main.c "${lab[@]}"
    gcc "${flags[@]}" -o "$1/up_bench" tests/vm/up_bench.c "${lab[@]}"
    for name in jail_probe jail_named jail_hog; do
        gcc "${flags[@]}" -static -s -o "$1/$name" "tests/netns/guest/$name.c" tests/netns/guest/jail_try.c
    done
    gcc "${flags[@]}" -o "$1/jail_main" tests/netns/jail_*.c unpriv/vmm/{qemu,qmp,args,tsc,kvm}.c unpriv/priv/{priv,sentence}.c unpriv/daemon/cgroup.c \
        policy/policy.c build/common.a -lcjson -lpthread
}
