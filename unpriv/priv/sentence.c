#include "priv.h"

#include "../../policy/policy.h"

static const char *const sentences[POLICY_REASONS] = {
    [POLICY_ALLOWED] = "allowed",
    [POLICY_NO_FILE] = "there is no policy file, so nothing is allowed: an administrator has to write " BANGER_POLICY
                       " (`make install` does)",
    [POLICY_UNSAFE] =
        "the policy " BANGER_POLICY " is not trusted: it must be a regular file of at most 64 KiB, and it and "
        "its folder must belong to root and be writable by nobody else",
    [POLICY_BAD_LINE] = "a line of the policy " BANGER_POLICY " cannot be read, so nothing is allowed: correct it",
    [POLICY_NOT_LISTED] =
        "this account is in no `allow` line of " BANGER_POLICY
        ": join the group banger (`usermod -aG banger NAME`), log in again and run `banger daemon stop`",
    [POLICY_DENIED] =
        "a `deny` line of " BANGER_POLICY " names this account or one of its groups: an administrator has to "
        "remove it",
    [POLICY_SPECIAL] = "banger does not serve root or the account nobody: use an ordinary account",
    [POLICY_NO_SUBNET] = "no `pool` or `subnet` line of " BANGER_POLICY
                         " gives this account's uid a subnet: add `subnet A.B.C.D/22 uid N`",
    [POLICY_SLOT] = "this account has as many VMs as the policy allows: delete one, or raise `slots` in " BANGER_POLICY,
    [POLICY_NO_NAT] = "the policy does not let guests reach out: set `nat yes` and an `uplink` line in " BANGER_POLICY
                      ", or use no egress",
    [POLICY_NO_VMM] = "the policy has no such VMM: add a `vmm NAME /absolute/binary FOLDER...` line to " BANGER_POLICY,
    [POLICY_MEMORY] =
        "the VM asks for more memory than the policy allows: ask for less, or raise `memory-max` in " BANGER_POLICY,
    [POLICY_VCPUS] =
        "the VM asks for more processors than the policy allows: ask for fewer, or raise `vcpus-max` in " BANGER_POLICY,
    [POLICY_DESCRIPTOR] =
        "a descriptor is not of the kind the operation takes: bangerd and banger-helper are of different "
        "versions, install both again",
    [POLICY_CIDR] = "the range is one that guests never reach (private, loopback, link-local, multicast), or has "
                    "host bits set: an administrator can open a private one by `private allow` in " BANGER_POLICY,
    [POLICY_OVERLAY] =
        "the snapshot's overlay could become full: it must be reserved (fallocate) beforehand, on ext4, xfs or tmpfs",
    [POLICY_DISK] = "a disk is larger than the policy allows: make it smaller, or raise `disk-max` in " BANGER_POLICY,
    [POLICY_NOT_RECORDED] =
        "what cannot be recorded is not done, and this account's audit file cannot be written: end a stopped "
        "banger-helper, or have an administrator free space in /var/log/banger or run `banger audit rotate`",
};

const char *priv_sentence(uint32_t reason) {
    return reason < POLICY_REASONS ? sentences[reason] : "the policy refuses it";
}
