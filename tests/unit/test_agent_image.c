/* What the agent reads of an image: accounts, and what busybox's init would start. */
#include "../../guest/agent/agent.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char passwd_text[] = "root:x:0:0:root:/root:/bin/ash\n"
                                  "broken:x:1\n"
                                  "word:x:one:1::/:/bin/sh\n"
                                  "www:x:33:34:www:/var/www:/sbin/nologin\n"
                                  "500:x:501:501::/home/five:\n"
                                  "bare:x:700:701:::\n";
static const char group_text[] = "root:x:0:root\n"
                                 "www:x:34:\n"
                                 "adm:x:4:www,bare\n"
                                 "again:x:34:www\n"
                                 "staff:x:50:bare,www\n";

static int look(const char *name, struct agent_user *user) {
    FILE *passwd = fmemopen((void *) passwd_text, strlen(passwd_text), "r");
    FILE *group = fmemopen((void *) group_text, strlen(group_text), "r");
    cr_assert(passwd && group);
    int code = agent_user_read(passwd, group, name, user);
    (void) fclose(passwd);
    (void) fclose(group);
    return code;
}

static const char *found(const char *name) {
    static char text[256];
    struct agent_user user;
    if (look(name, &user) < 0)
        return "none";
    int used = snprintf(text, sizeof text, "%u:%u %s %s %s", user.uid, user.gid, user.name, user.home, user.shell);
    for (size_t i = 0; i < user.group_count; i++)
        used += snprintf(text + used, sizeof text - (size_t) used, " %u", user.groups[i]);
    return text;
}

Test(agent_users, are_found_as_containers_find_them) {
    static const struct {
        const char *name, *wanted;
    } cases[] = {
        {"", "0:0 root /root /bin/ash 0"},
        {"root", "0:0 root /root /bin/ash 0"},
        {"0", "0:0 root /root /bin/ash 0"},
        {"www", "33:34 www /var/www /sbin/nologin 34 4 50"},
        {"33", "33:34 www /var/www /sbin/nologin 34 4 50"},
        {"www:adm", "33:4 www /var/www /sbin/nologin 4"},
        {"33:4", "33:4 www /var/www /sbin/nologin 4"},
        {"www:99", "33:99 www /var/www /sbin/nologin 99"},
        {"www:", "33:34 www /var/www /sbin/nologin 34 4 50"},
        {":adm", "0:4 root /root /bin/ash 4"},
        {"500", "501:501 500 /home/five /bin/sh 501"}, /* a name first */
        {"bare", "700:701 bare / /bin/sh 701 4 50"},
        {"1234", "1234:0 1234 / /bin/sh 0"},
        {"1234:1234", "1234:1234 1234 / /bin/sh 1234"},
        {"nobody", "none"},
        {"www:nobody", "none"},
        {"-1", "none"},
        {"4294967295", "none"}, /* (uid_t) -1: "leave it as it is" */
        {"33:4294967295", "none"},
        {"word", "none"},
        {"broken", "none"},
        {"www:adm:more", "none"},
        {"a-name-that-is-far-longer-than-any-account-of-an-image-would-be-of-sixty-four", "none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_str_eq(found(cases[i].name), cases[i].wanted, "%s: %s", cases[i].name, found(cases[i].name));
}

Test(agent_users, need_no_files) {
    struct agent_user user;
    cr_assert_eq(agent_user_read(NULL, NULL, "", &user), 0);
    cr_assert_str_eq(user.home, "/root");
    cr_assert_eq(user.group_count, 1);
    cr_assert_eq(agent_user_read(NULL, NULL, "1000:1001", &user), 0);
    cr_assert_eq(user.gid, 1001);
    cr_assert_eq(agent_user_read(NULL, NULL, "www", &user), -ENOENT);
    cr_assert_eq(agent_user_read(NULL, NULL, "root:www", &user), -ENOENT);
}

static int works(const char *text) {
    FILE *file = fmemopen((void *) text, strlen(text), "r");
    cr_assert(file);
    int result = agent_inittab_works(file);
    (void) fclose(file);
    return result;
}

Test(agent_inits, busybox_is_one_when_it_has_something_to_start) {
    cr_expect(works("# ::sysinit:/nothing\n::sysinit:/bin/sh -c true\n::respawn:/nothing\n"));
    cr_expect(works("si::sysinit:/bin/sh\n"));
    cr_expect_not(works("::sysinit:/sbin/no-openrc sysinit\n::sysinit:/bin/sh\n"));
    cr_expect_not(works("::sysinit:sh\n"));
    cr_expect_not(works("::sysinit:\n"));
    cr_expect_not(works("::respawn:/bin/sh\n"));
    cr_expect_not(works("x\n::\n:::\n"));
    cr_expect_not(works("::sysinit:/bin\n"));
}
