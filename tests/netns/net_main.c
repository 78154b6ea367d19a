/* The helper's network part against the kernel: real taps, bridges and rules. Run by
 * tests/netns/run.sh as root in an empty network namespace. */
#include "net_world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int log_sock;

/* --- who may start it ----------------------------------------------------------- */

static void no_new_privs(void) {
    (void) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void own_user_namespace(void) {
    (void) unshare(CLONE_NEWUSER);
}

static void refuses_to_start(const char *name, const char *path, uid_t uid, void (*prepare)(void), const char *says) {
    char text[1024];
    struct lab_helper h = lab_start(path, uid, 1, prepare);
    lab_errors(&h, text, sizeof(text));
    check(strstr(text, says) != NULL, "start: %s", name);
    if (!strstr(text, says))
        printf("# it said: %s\n", text);
}

static void test_start(void) {
    lab_sh("cp " LAB_HELPER " /etc/banger/copy && chmod 755 /etc/banger/copy");
    refuses_to_start("a copy has no capabilities and says so", "/etc/banger/copy", ALICE, NULL, "make install");
    refuses_to_start("no_new_privs is named", LAB_HELPER, ALICE, no_new_privs, "no_new_privs");
    refuses_to_start("own user namespace refused", LAB_HELPER, ALICE, own_user_namespace, "user namespace");
    refuses_to_start("root refused", LAB_HELPER, 0, NULL, "root");
    lab_sh("rm /etc/banger/copy");
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 0, NULL);
    char text[256];
    lab_errors(&h, text, sizeof(text));
    check(strstr(text, "Permission denied") != NULL, "start: outside of the group it cannot even be started");
}

static void test_policy(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    check(ask(&h, WIRE_NET_LIST, 0, 0) == DENIED(POLICY_NO_FILE), "policy: no file, nothing allowed");
    lab_policy(RULES);
    check(ask(&h, WIRE_NET_LIST, 0, 0) == DENIED(POLICY_NOT_LISTED), "policy: an account it does not name");
    lab_policy(POLICY);
    check(ask(&h, WIRE_NET_LIST, 0, 0) == 0, "policy: counts as soon as it is written");
    lab_policy(POLICY "deny uid 61000\n");
    check(ask(&h, WIRE_NET_LIST, 0, 0) == DENIED(POLICY_DENIED), "policy: deny wins");
    lab_policy(POLICY "nonsense\n");
    struct wire_reply reply = {0};
    check(lab_call(&h, WIRE_NET_LIST, 0, 0, &reply, NULL) == 0 && reply.reason == POLICY_BAD_LINE && reply.step == 7,
          "policy: a bad line voids all of it and is named");
    lab_policy(POLICY);
    lab_sh("chmod 666 /etc/banger/policy.conf");
    check(ask(&h, WIRE_NET_LIST, 0, 0) == DENIED(POLICY_UNSAFE), "policy: writable by others is void");
    lab_sh("chmod 644 /etc/banger/policy.conf; chmod 777 /etc/banger");
    lab_sh("touch /etc/banger/policy.conf");
    check(ask(&h, WIRE_NET_LIST, 0, 0) == DENIED(POLICY_UNSAFE), "policy: in a folder others can write is void");
    lab_sh("chmod 755 /etc/banger; mv /etc/banger/policy.conf /etc/banger/p; ln -s p /etc/banger/policy.conf");
    check(ask(&h, WIRE_NET_LIST, 0, 0) == DENIED(POLICY_UNSAFE), "policy: a link is void");
    lab_sh("rm /etc/banger/*");
    lab_policy(POLICY);
    check(ask(&h, WIRE_NET_UP, 4, 0) == DENIED(POLICY_SLOT), "policy: slot 4 of 4 (0..3) denied");
    lab_end(&h);
}

/* --- malformed requests ------------------------------------------------------------ */

static int survives(const void *data, size_t size, int fd) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    struct wire_reply reply;
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec iov = {(void *) data, size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        msg.msg_control = control;
        msg.msg_controllen = sizeof(control);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    (void) sendmsg(h.net, &msg, MSG_NOSIGNAL);
    int alive = recv(h.net, &reply, sizeof(reply), 0) > 0;
    lab_end(&h);
    return alive;
}

static void test_malformed(void) {
    const struct wire_request good = {.version = WIRE_VERSION, .size = sizeof(good), .op = WIRE_NET_LIST};
    struct wire_request r[12];
    unsigned char longer[sizeof(good) + 1] = {0};
    for (size_t i = 0; i < 12; i++)
        r[i] = good;
    r[0].version = 1, r[1].size = 439, r[2].op = 0, r[3].op = 99, r[4].op = WIRE_VMM_SPAWN, r[5].slot = 1;
    r[6].kind = 1, r[7].memory_mib = 1, r[8].vcpus = 1, r[9].reserved[2] = 1;
    r[10].op = WIRE_NET_UP, r[10].slot = SLOT_MAX, r[11].op = WIRE_NET_EGRESS, r[11].kind = 4;
    memcpy(longer, &good, sizeof(good));
    check(survives(&good, sizeof(good), -1), "wire: the good request is answered");
    for (int i = 0; i < 12; i++)
        check(!survives(&r[i], sizeof(r[i]), -1), "wire: bad field %d ends the helper", i);
    check(!survives(&good, sizeof(good) - 1, -1), "wire: a byte short ends the helper");
    check(!survives(longer, sizeof(longer), -1), "wire: a byte long ends the helper");
    check(!survives(&good, sizeof(good), 0), "wire: a descriptor that is not asked for ends the helper");
}

/* --- up, down, list ------------------------------------------------------------------ */

static void test_up_down(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    check(slots(&h) == 0, "list: empty at first");
    struct guest g = lab_up(&h, ALICE, 0);
    check(g.fd >= 0, "up: a tap");
    check(g.address == 0xac100002 && g.gateway == 0xac100001, "up: the pool's first subnet");
    check(lab_try("ip -4 addr show dev bgr0000ee48 | grep -q '172.16.0.1/22'"), "up: the bridge has the gateway");
    check(lab_try("ip -6 addr show dev bgr0000ee48 | grep -q inet6 && exit 1; exit 0"), "up: and no IPv6 address");
    check(lab_try("ip -d link show dev bt0000ee48000 | tr '\\n' ' ' | grep -q 'persist off.*bridge_slave'"),
          "up: tap in the bridge");
    check(lab_try("test $(cat /proc/sys/net/ipv4/conf/bgr0000ee48/forwarding) = 0"), "up: forwards nothing");
    check(ask(&h, WIRE_NET_UP, 0, 0) == FAILED(EEXIST), "up: a live slot is EEXIST");
    struct lab_helper h2 = lab_start(LAB_HELPER, ALICE, 1, NULL);
    check(ask(&h2, WIRE_NET_UP, 0, 0) == FAILED(EEXIST), "up: also for another helper of the account");
    struct guest g3 = lab_up(&h2, ALICE, 3);
    check(slots(&h) == 9, "list: both helpers' slots");
    check(guest_resolve(&g), "up: EEXIST left the live slot alone");
    check(ask(&h, WIRE_NET_DOWN, 0, 0) == 0 && slots(&h) == 9, "down: the tap lives on with its descriptor");
    struct frame f = frame_icmp(g3.mac, g.mac, g.address, g3.address);
    guest_send(&g, &f);
    check(!guest_gets(&g3, &f), "down: but passes nothing");
    close(g.fd);
    check(slots(&h) == 8, "down: and is gone with it");
    check(ask(&h, WIRE_NET_DOWN, 0, 0) == 0, "down: twice is no error");
    (void) poll(NULL, 0, 1500);
    check(lab_try("ip link show bgr0000ee48 >/dev/null"), "down: the bridge stays while a VM is there");
    (void) ioctl(g3.fd, TUNSETPERSIST, 1);
    close(g3.fd);
    check(slots(&h) == 8, "list: a tap that its user made persistent");
    check(ask(&h2, WIRE_NET_DOWN, 3, 0) == 0, "down: the last");
    (void) poll(NULL, 0, 1500);
    check(slots(&h) == 0, "down: also a persistent tap goes");
    check(!lab_try("ip link show bgr0000ee48 2>/dev/null"), "down: the bridge went with the last VM");
    check(!lab_try("nft list table inet banger | grep -q bgr"), "down: no rule names the account any more");
    lab_end(&h2);
    g = lab_up(&h, ALICE, 0);
    check(g.fd >= 0 && guest_resolve(&g), "up: again after that");
    close(g.fd);
    (void) ask(&h, WIRE_NET_DOWN, 0, 0);
    lab_end(&h);
    check(!lab_try("ip link show bgr0000ee48 2>/dev/null"), "end: what was to be removed is removed first");
}

/* --- what guests may say ---------------------------------------------------------------- */

static void dropped(const struct guest *from, const struct guest *to, struct frame f, const char *what) {
    guest_send(from, &f);
    check(!guest_gets(to, &f), "spoof: %s dropped", what);
}

static void test_spoof(struct guest *a, struct guest *b) {
    static const uint8_t bpdu[6] = {1, 0x80, 0xc2, 0, 0, 0};
    static const uint8_t stp[38] = {0x42, 0x42, 3};
    static const uint8_t other[6] = {2, 9, 9, 9, 9, 9};
    static const uint8_t ipv6[40] = {0x60, 0, 0, 0, 0, 0, 59, 64};
    struct frame good = frame_icmp(b->mac, a->mac, a->address, b->address);
    check(guest_resolve(a) && guest_resolve(b), "spoof: control: both ports are up");
    guest_send(a, &good);
    check(guest_gets(b, &good), "spoof: control: a good frame reaches the other guest of the account");
    struct frame ask = frame_arp(a->mac, a->mac, a->address, b->address);
    guest_send(a, &ask);
    check(guest_gets(b, &ask), "spoof: control: good ARP too");
    dropped(a, b, frame_icmp(b->mac, other, a->address, b->address), "foreign MAC");
    dropped(a, b, frame_icmp(b->mac, b->mac, a->address, b->address), "the neighbour's MAC");
    dropped(a, b, frame_icmp(b->mac, a->mac, a->address + 9, b->address), "foreign address");
    dropped(a, b, frame_icmp(b->mac, a->mac, 0, b->address), "no address");
    dropped(a, b, frame_arp(a->mac, a->mac, a->gateway, a->gateway), "ARP for the gateway");
    dropped(a, b, frame_arp(a->mac, other, a->address, b->address), "ARP with another MAC inside");
    dropped(a, b, frame_arp(other, a->mac, a->address, b->address), "ARP with another MAC outside");
    struct frame strange = ask;
    strange.bytes[18] = 8; /* hardware address length */
    dropped(a, b, strange, "ARP with other lengths");
    dropped(a, b, frame_ether(b->mac, a->mac, 0x86dd, ipv6, sizeof(ipv6)), "IPv6");
    dropped(a, b, frame_vlan(&good), "VLAN tag");
    struct frame tagged = frame_vlan(&good);
    tagged.bytes[12] = 0x88, tagged.bytes[13] = 0xa8;
    dropped(a, b, tagged, "802.1ad tag");
    dropped(a, b, frame_ether(bpdu, a->mac, 0x0026, stp, sizeof(stp)), "STP");
    dropped(a, b, frame_ether(NULL, a->mac, 0x88b5, "x", 1), "any other type");
}

static void test_host(struct guest *a, struct guest *b) {
    static const uint8_t lldp[6] = {1, 0x80, 0xc2, 0, 0, 0x0e};
    check(guest_resolve(a), "host: control: the gateway answers ARP");
    check(!pings(a, a->gateway), "host: no ping of the gateway");
    check(!pings(a, HOST_UPLINK), "host: nor of another address of the host");
    check(!pings(a, 0x7f000001), "host: nor of its loopback");
    struct frame f = frame_icmp(lldp, a->mac, a->address, a->gateway);
    guest_send(a, &f);
    check(!guest_pinged(a, a->gateway), "host: nor by a frame for the port itself");
    struct frame ask = frame_arp(a->mac, a->mac, a->address, a->gateway);
    check(guest_arped(a, &ask, a->gateway), "host: control: the gateway's address is on its ARP");
    memcpy(ask.bytes, lldp, sizeof(lldp));
    check(!guest_arped(a, &ask, a->gateway), "host: but not for the port itself");
    ask = frame_arp(a->mac, a->mac, a->address, HOST_UPLINK);
    check(!guest_arped(a, &ask, HOST_UPLINK), "host: nor any other address of it");
    say(ALICE, a->address, "owner");
    check(guest_hears(a, "owner"), "host: control: the owner's process reaches the guest");
    struct frame reply = frame_udp(a, a->gateway, SAY_PORT, 9);
    guest_send(a, &reply);
    say(ALICE, a->address, "again");
    check(guest_hears(a, "again"), "host: control: and goes on after an answer");
    say(BOB, a->address, "takeover");
    check(!guest_hears(a, "takeover"), "host: another account does not take over the connection by its port");
    say(BOB, a->address + 1, "stranger");
    check(!guest_hears(b, "stranger"), "host: nor reaches the account's other guest");
    say(BOB, a->address, "stranger");
    check(!guest_hears(a, "stranger"), "host: another account's does not");
    say(0, a->address, "outside");
    check(!guest_hears(a, "outside"), "host: nor does the network outside");
}

static void test_accounts(struct guest *a, struct guest *b) {
    check(guest_resolve(b), "accounts: control: each has a gateway");
    struct frame direct = frame_icmp(b->mac, a->mac, a->address, b->address);
    struct frame routed = frame_icmp(a->gateway_mac, a->mac, a->address, b->address);
    guest_send(a, &direct);
    check(!guest_gets(b, &direct), "accounts: no frame passes between bridges");
    guest_send(a, &routed);
    check(!guest_pinged(a, b->address) && !guest_gets(b, &routed), "accounts: nor a routed packet");
    check(!pings(a, b->gateway), "accounts: nor one to the other's gateway");
}

static void test_egress(struct lab_helper *h, struct guest *a, struct guest *b, struct guest *other) {
    check(!pings(a, WORLD), "egress: none at first");
    check(ask(h, WIRE_NET_EGRESS, 3, WIRE_EGRESS_NAT) == FAILED(ENOENT), "egress: a slot that is not up is ENOENT");
    check(ask(h, WIRE_NET_EGRESS, 0, WIRE_EGRESS_NAT) == 0, "egress: nat");
    check(pings(a, WORLD), "egress: the world answers");
    check(!pings(b, WORLD), "egress: but not the account's other guest");
    check(!pings(a, WORLD_OWN), "egress: a private address beyond the uplink is refused");
    check(!pings(a, HOST_UPLINK) && !pings(a, a->gateway), "egress: the host still is");
    struct frame routed = frame_icmp(a->gateway_mac, a->mac, a->address, other->address);
    guest_send(a, &routed);
    check(!guest_gets(other, &routed) && !guest_pinged(a, other->address), "egress: other accounts still are");
    say(0, a->address, "outside");
    check(!guest_hears(a, "outside"), "egress: what nobody asked for does not come in");
    check(lab_try("test $(cat /proc/sys/net/ipv4/ip_forward) = 0"), "egress: the host as a whole does not forward");
    lab_sh("nsenter -t %d -n ip addr add 203.0.113.9/24 dev far", world);
    check(!lab_try("nsenter -t %d -n ping -c1 -W1 10.60.0.9 >/dev/null 2>&1", world) &&
              lab_try("nft list chain inet banger forward | grep -q guarded && "
                      "nft list set inet banger guarded | grep -q up0"),
          "egress: the uplink's network is not routed elsewhere");
    lab_policy(POLICY "private allow 10.99.0.0/16\n");
    check(ask(h, WIRE_NET_EGRESS, 0, WIRE_EGRESS_NAT) == 0 && pings(a, WORLD_OWN), "egress: private where allowed");
    lab_policy(POLICY);
    check(ask(h, WIRE_NET_EGRESS, 0, WIRE_EGRESS_NAT) == 0 && !pings(a, WORLD_OWN), "egress: and no longer after");
    check(pings(a, WORLD), "egress: control: the world answers");
    check(ask(h, WIRE_NET_EGRESS, 0, WIRE_EGRESS_NONE) == 0 && !pings(a, WORLD), "egress: none ends it at once");
    lab_policy("allow gid 61999\npool 172.16.0.0/12 61000\nnat no\nuplink default\n");
    check(ask(h, WIRE_NET_EGRESS, 0, WIRE_EGRESS_NAT) == DENIED(POLICY_NO_NAT), "egress: nat no");
    lab_policy(POLICY);
}

static void test_bounds(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    struct lab_helper bobs = lab_start(LAB_HELPER, BOB, 1, NULL);
    struct guest a = lab_up(&h, ALICE, 0);
    struct guest b = lab_up(&h, ALICE, 1);
    struct guest other = lab_up(&bobs, BOB, 0);
    if (a.fd < 0 || b.fd < 0 || other.fd < 0) {
        check(0, "bounds: three guests up");
        return;
    }
    test_spoof(&a, &b);
    test_host(&a, &b);
    test_accounts(&a, &other);
    test_egress(&h, &a, &b, &other);
    check(slots(&h) == 3 && slots(&bobs) == 1, "list: each account sees its own");
    (void) ask(&h, WIRE_NET_DOWN, 0, 0);
    (void) ask(&h, WIRE_NET_DOWN, 1, 0);
    (void) ask(&bobs, WIRE_NET_DOWN, 0, 0);
    close(a.fd);
    close(b.fd);
    close(other.fd);
    lab_end(&h);
    lab_end(&bobs);
}

/* --- when things die ----------------------------------------------------------------------- */

static void test_kill(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    struct guest g = lab_up(&h, ALICE, 2);
    kill(h.pid, SIGKILL);
    char c;
    check(recv(h.net, &c, 1, 0) <= 0, "kill: the workers end with their parent");
    lab_end(&h);
    h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    check(slots(&h) == 4 && guest_resolve(&g), "kill: the VM's network lives on, a fresh helper finds it");
    close(g.fd);
    check(slots(&h) == 4, "kill: its rules are found also without the tap");
    struct guest again = lab_up(&h, ALICE, 2);
    check(again.fd >= 0 && guest_resolve(&again), "kill: a slot of rules alone can be brought up");
    lab_sh("nft flush ruleset");
    check(slots(&h) == 4 && lab_try("nft list set bridge banger guests | grep -q bt0000ee48002"),
          "flush: list makes the tables again with the live VMs");
    (void) ask(&h, WIRE_NET_DOWN, 2, 0);
    close(again.fd);
    check(slots(&h) == 0, "kill: nothing is left");
    lab_end(&h);
    check(!lab_try("ip -o link | grep -q -e bgr -e bt0"), "kill: no interface is left");
}

static void test_foreign(void) {
    lab_sh("ip link add bgr0000ee48 type bridge && ip link set bgr0000ee48 up");
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    check(ask(&h, WIRE_NET_UP, 0, 0) == FAILED(EEXIST), "foreign: a bridge of our name is not adopted");
    check(slots(&h) == 0, "foreign: and the failure left nothing");
    lab_end(&h);
    check(lab_try("ip link show bgr0000ee48 >/dev/null"), "foreign: nor removed");
    lab_sh("ip link del bgr0000ee48");
}

static void test_privileges(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    (void) slots(&h);
    check(lab_try("test $(cat /proc/%d/task/%d/children | wc -w) = 3", h.pid, h.pid), "caps: three workers");
    check(lab_try("grep -q 'CapPrm:.0000000000000000' /proc/%d/status", h.pid), "caps: the parent has none");
    check(lab_try("for p in $(cat /proc/%d/task/%d/children); do grep Cap /proc/$p/status; done | "
                  "grep -c -e 'CapPrm:.0000000000001000' -e 'CapPrm:.0000000008200000' | grep -qx 3",
                  h.pid, h.pid),
          "caps: net has NET_ADMIN, disk and vmm SYS_ADMIN and MKNOD");
    check(
        lab_try("for p in %d $(cat /proc/%d/task/%d/children); do grep -e CapEff -e CapInh -e CapAmb /proc/$p/status; "
                "done | grep -v 0000000000000000 && exit 1; exit 0",
                h.pid, h.pid, h.pid),
        "caps: nothing effective, inheritable or ambient while idle");
    check(lab_try("p=$(cut -d' ' -f1 /proc/%d/task/%d/children); grep -q 'Seccomp:.2' /proc/$p/status && "
                  "test \"$(ls -A /proc/$p/root/ | tr '\\n' ' ')\" = 'dev policy ' && ! touch /proc/$p/root/dev/x "
                  "2>/dev/null",
                  h.pid, h.pid),
          "caps: the net worker has a filter and an empty, read-only root");
    pid_t pid = fork();
    if (pid == 0) {
        char path[64];
        (void) snprintf(path, sizeof(path), "/proc/%d/environ", h.pid);
        if (setresgid(ALICE, ALICE, ALICE) || setresuid(ALICE, ALICE, ALICE))
            _exit(2);
        _exit(open(path, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES ? 0 : 1);
    }
    int status;
    check(waitpid(pid, &status, 0) == pid && status == 0, "caps: the account cannot look into it");
    lab_end(&h);
}

static void open_log(void) {
    struct sockaddr_un where = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    log_sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(log_sock, (struct sockaddr *) &where, sizeof(where)) || chmod("/dev/log", 0666))
        exit(2);
}

static void test_log(void) {
    char line[512] = "";
    while (recv(log_sock, line, sizeof(line), 0) > 0)
        ;
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    (void) ask(&h, WIRE_NET_UP, 9, 0);
    ssize_t n = recv(log_sock, line, sizeof(line) - 1, 0);
    line[n > 0 ? n : 0] = '\0';
    char want[256];
    (void) snprintf(want, sizeof(want),
                    "uid=61000 pid=%d op=0000000000000007 operation=net_up slot=9 verdict=denied reason=8", getpid());
    check(strncmp(line, "<86>banger-helper[", 18) == 0 && strstr(line, want),
          "log: one line a decision, before the reply");
    check(recv(log_sock, line, sizeof(line), 0) < 0, "log: and only one");
    lab_end(&h);
}

int main(void) {
    (void) signal(SIGPIPE, SIG_IGN);
    open_log();
    make_world();
    test_start();
    test_policy();
    test_malformed();
    test_up_down();
    test_bounds();
    test_named();
    test_lists();
    test_mending();
    test_foreign_tables();
    test_bulk();
    test_matrix();
    test_ipv6();
    test_upgrade();
    test_kill();
    test_foreign();
    test_privileges();
    test_log();
    kill(world, SIGKILL);
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed != 0;
}
