/* Fuzzes the agent's readers of an image's files: "NAME\n" and then a file that is taken for
 * /etc/passwd, /etc/group and /etc/inittab alike. */
#include "../guest/agent/agent.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct agent_user user;
    char name[128];
    const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
    size_t length = newline ? (size_t) (newline - data) : 0;
    if (!newline || length >= sizeof(name))
        return 0;
    memcpy(name, data, length);
    name[length] = '\0';
    size_t rest = size - length - 1;
    if (rest == 0)
        return 0;
    FILE *passwd = fmemopen((void *) (newline + 1), rest, "r");
    FILE *group = fmemopen((void *) (newline + 1), rest, "r");
    if (passwd && group) {
        int code = agent_user_read(passwd, group, name, &user);
        if (code == 0 && (user.group_count < 1 || user.group_count > AGENT_GROUPS_MAX || user.uid == (uid_t) -1 ||
                          user.groups[0] != user.gid || !memchr(user.name, 0, 64)))
            abort();
        rewind(passwd);
        (void) agent_inittab_works(passwd);
    }
    if (passwd)
        (void) fclose(passwd);
    if (group)
        (void) fclose(group);
    return 0;
}
