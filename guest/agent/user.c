#include "agent.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 8192 };

/* A decimal number of at most 32 bits that fills the whole string. */
static int number(const char *text, unsigned *out) {
    if (text[0] < '0' || text[0] > '9')
        return -EINVAL;
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || *end || value >= UINT_MAX)
        return -EINVAL;
    *out = (unsigned) value;
    return 0;
}

/* Splits a line at its colons, in place. The number of fields. */
static size_t fields(char *line, char *field[], size_t max) {
    size_t count = 0;
    line[strcspn(line, "\n")] = '\0';
    while (line && count < max)
        field[count++] = strsep(&line, ":");
    return count;
}

/* The next whole line; longer ones are no entries of ours. */
static int line_next(FILE *file, char *line) {
    while (fgets(line, LINE, file)) {
        if (strchr(line, '\n') || feof(file))
            return 1;
        for (int c = 0; c != EOF && c != '\n';)
            c = getc(file);
    }
    return 0;
}

static void copy(char *to, size_t size, const char *from) {
    (void) snprintf(to, size, "%s", from);
}

/* name:password:uid:gid:gecos:home:shell */
static int passwd_find(FILE *file, const char *name, struct agent_user *user) {
    char line[LINE], *field[7];
    unsigned wanted = 0, uid = 0, gid = 0;
    int numeric = number(name, &wanted) == 0, found = 0;
    while (file && !found && line_next(file, line)) {
        if (fields(line, field, 7) < 7 || number(field[2], &uid) || number(field[3], &gid))
            continue;
        found = strcmp(field[0], name) == 0 || (numeric && uid == wanted);
    }
    if (!found)
        return -ENOENT;
    user->uid = uid;
    user->gid = gid;
    copy(user->name, sizeof user->name, field[0]);
    copy(user->home, sizeof user->home, field[5][0] ? field[5] : "/");
    copy(user->shell, sizeof user->shell, field[6][0] ? field[6] : "/bin/sh");
    return 0;
}

/* One that the file does not list: root by its name, others by number; the group is root's, as containers have it. */
static int unlisted(const char *name, struct agent_user *user) {
    unsigned uid = 0;
    int root = strcmp(name, "root") == 0;
    if (!root && number(name, &uid) < 0)
        return -ENOENT;
    user->uid = uid;
    user->gid = 0;
    copy(user->name, sizeof user->name, root ? "root" : name);
    copy(user->home, sizeof user->home, uid == 0 ? "/root" : "/");
    copy(user->shell, sizeof user->shell, "/bin/sh");
    return 0;
}

static int listed(char *members, const char *name) {
    for (const char *member = NULL; (member = strsep(&members, ",")) != NULL;)
        if (strcmp(member, name) == 0)
            return 1;
    return 0;
}

/* name:password:gid:member,member */
static void groups_find(FILE *file, struct agent_user *user) {
    char line[LINE], *field[4];
    unsigned gid = 0;
    while (file && user->group_count < AGENT_GROUPS_MAX && line_next(file, line))
        if (fields(line, field, 4) == 4 && number(field[2], &gid) == 0 && gid != user->gid &&
            listed(field[3], user->name))
            user->groups[user->group_count++] = gid;
}

/* The one group that was named; it is the only one then. */
static int group_find(FILE *file, const char *name, struct agent_user *user) {
    char line[LINE], *field[4];
    unsigned wanted = 0, gid = 0;
    int numeric = number(name, &wanted) == 0;
    while (file && line_next(file, line)) {
        if (fields(line, field, 4) < 3 || number(field[2], &gid))
            continue;
        if (strcmp(field[0], name) == 0 || (numeric && gid == wanted)) {
            user->gid = gid;
            return 0;
        }
    }
    if (!numeric)
        return -ENOENT;
    user->gid = wanted;
    return 0;
}

int agent_user_read(FILE *passwd, FILE *group, const char *name, struct agent_user *user) {
    char wanted[64];
    const char *colon = strchrnul(name, ':');
    *user = (struct agent_user){0};
    if ((size_t) (colon - name) >= sizeof wanted)
        return -ENOENT;
    (void) snprintf(wanted, sizeof wanted, "%.*s", (int) (colon - name), name);
    if (!wanted[0])
        copy(wanted, sizeof wanted, "root");
    if (passwd_find(passwd, wanted, user) < 0 && unlisted(wanted, user) < 0)
        return -ENOENT;
    int named = colon[0] && colon[1];
    if (named && group_find(group, colon + 1, user) < 0)
        return -ENOENT;
    user->groups[0] = user->gid;
    user->group_count = 1;
    if (!named)
        groups_find(group, user);
    return 0;
}

int agent_user_find(const char *name, struct agent_user *user) {
    FILE *passwd = fopen("/etc/passwd", "re"), *group = fopen("/etc/group", "re");
    int code = agent_user_read(passwd, group, name, user);
    if (passwd)
        (void) fclose(passwd);
    if (group)
        (void) fclose(group);
    return code;
}
