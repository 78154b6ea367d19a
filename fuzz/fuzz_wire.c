/* Fuzzes the helper's check of a request's form, and the decision over what passes:
 * first byte worker and descriptor count, then the message, then the descriptors. */
#include "../common/fdpass.h"
#include "../priv-helper/helper.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct policy policy;
static const char text[] = "allow gid 990\npool 172.16.0.0/12 1000\nnat yes\nuplink default\nslots 500\n"
                           "vmm qemu /usr/bin/qemu /usr\nmemory-max 4096\nvcpus-max 8\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const gid_t gids[] = {990};
    static const struct policy_who who = {.uid = 1000, .gids = gids, .gid_count = 1};
    struct wire_request request = {0};
    struct policy_fd fds[FDPASS_MAX] = {0};
    if (policy.slots == 0 && policy_parse(&policy, text, sizeof(text) - 1))
        abort();
    if (size < 1)
        return 0;
    enum wire_worker worker = (enum wire_worker)(data[0] >> 6) % WIRE_WORKERS;
    size_t count = data[0] & 0x0f;
    size_t message = size - 1 < sizeof(request) ? size - 1 : sizeof(request);
    memcpy(&request, data + 1, message);
    if (!worker_request_ok(&request, message, count, worker))
        return 0;
    if (message != sizeof(request) || request.version != WIRE_VERSION || request.slot >= SLOT_MAX ||
        wire_request_fds(&request) != count || (worker == WIRE_VMM) != (request.op == WIRE_VMM_SPAWN) ||
        (worker == WIRE_NET) != (request.op < WIRE_SNAP_UP))
        abort();
    size_t left = size - 1 - sizeof(request);
    memcpy(fds, data + 1 + sizeof(request), left < sizeof(fds) ? left : sizeof(fds));
    enum policy_reason reason = policy_decide(&policy, &who, &request, fds);
    if (reason == POLICY_ALLOWED && request.op != WIRE_NET_DOWN && request.op != WIRE_SNAP_DOWN && request.slot >= 500)
        abort();
    if (reason == POLICY_ALLOWED && request.op == WIRE_VMM_SPAWN && (request.memory_mib > 4096 || request.vcpus > 8))
        abort();
    return 0;
}
