/* The link where the VMM has no virtio-serial: a vsock port that the host connects to. */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* 1 when there is a device: without one the kernel knows no address of this machine. */
static int has_device(void) {
    unsigned cid = VMADDR_CID_ANY;
    int fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    int failed = ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid);
    (void) close(fd);
    return !failed && cid > VMADDR_CID_HOST && cid != VMADDR_CID_ANY;
}

int agent_vsock_listen(void) {
    const struct sockaddr_vm any = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = MUX_VSOCK_PORT};
    int fd = has_device() ? socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
    if (fd < 0 || (bind(fd, (const struct sockaddr *) &any, sizeof any) == 0 && listen(fd, 8) == 0))
        return fd;
    (void) close(fd);
    return -1;
}

int agent_vsock_accept(int listener) {
    struct sockaddr_vm peer = {0};
    socklen_t size = sizeof peer;
    int fd = accept4(listener, (struct sockaddr *) &peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 || (peer.svm_family == AF_VSOCK && peer.svm_cid == VMADDR_CID_HOST))
        return fd;
    (void) close(fd); /* a program of the guest's own */
    return -1;
}
