#include "account.h"

#include <string.h>

#define FIRST  0x7f000001u /* 127.0.0.1 */
#define OTHERS 0x7f2a0001u /* 127.42.0.1 */
#define MOST   ((256ull - 42) * 256)

uint32_t account_address(const struct policy *policy, uid_t uid) {
    uint64_t before = 0;
    for (uint32_t i = 0; i < policy->net_count; i++) {
        const struct policy_net *net = &policy->nets[i];
        if (uid >= net->uid && uid - net->uid < net->count) {
            const uint64_t number = before + (uid - net->uid);
            return number == 0 ? FIRST : number < MOST ? OTHERS + ((uint32_t) number << 8) : 0;
        }
        before += net->count;
    }
    return 0;
}

/* Its dots part labels, of which none is empty or longer than 63 bytes: the whole is shorter than that. */
void account_label(const char *name, char out[DNS_USER_SIZE]) {
    static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
    const size_t length = strlen(name);
    out[0] = '\0';
    if (length == 0 || length >= DNS_USER_SIZE || name[0] == '.' || name[length - 1] == '.' || strstr(name, ".."))
        return;
    for (size_t i = 0; i <= length; i++)
        out[i] = (char) (name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    if (strspn(out, good) != length)
        out[0] = '\0';
}
