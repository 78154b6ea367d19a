/* The only file of an image: says what it was started with, and does what its words say. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static void tell(int argc, char **argv) {
    char path[4096] = "?";
    gid_t groups[32];
    int count = getgroups(32, groups);
    printf("words");
    for (int i = 1; i < argc; i++)
        printf(" %s", argv[i]);
    printf("\nfolder %s\nuser %u:%u", getcwd(path, sizeof path), getuid(), getgid());
    for (int i = 0; i < count; i++)
        printf(" %u", groups[i]);
    printf("\n");
    for (char **entry = environ; *entry; entry++)
        printf("env %s\n", *entry);
}

/* A grandchild whose parent is gone: process 1 is to reap it. */
static int orphan(void) {
    if (fork() == 0) {
        if (fork() == 0)
            usleep(20000);
        _exit(0);
    }
    usleep(300000);
    return 0;
}

static int zombies(void) {
    char path[300], line[512], *end;
    int count = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc));) {
        snprintf(path, sizeof path, "/proc/%.200s/stat", entry->d_name);
        FILE *file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "r") : NULL;
        if (file && fgets(line, sizeof line, file) && (end = strrchr(line, ')')))
            count += end[2] == 'Z';
        if (file)
            fclose(file);
    }
    printf("%d\n", count);
    return 0;
}

/* "drwxr-xr-x" in octal for each path, "-" for none. */
static int modes(int argc, char **argv) {
    struct stat about;
    for (int i = 2; i < argc; i++) {
        if (stat(argv[i], &about))
            printf("- ");
        else
            printf("%o ", about.st_mode);
    }
    printf("\n");
    return 0;
}

static int show(const char *path) {
    char text[4096];
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(text, 1, sizeof text, file) : 0;
    return !file || fwrite(text, 1, size, stdout) != size;
}

int main(int argc, char **argv) {
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "exit") == 0 && argc > 2)
        return atoi(argv[2]);
    if (strcmp(verb, "signal") == 0 && argc > 2)
        return raise(atoi(argv[2]));
    if (strcmp(verb, "sleep") == 0)
        return (int) sleep(60);
    if (strcmp(verb, "orphan") == 0)
        return orphan();
    if (strcmp(verb, "zombies") == 0)
        return zombies();
    if (strcmp(verb, "modes") == 0)
        return modes(argc, argv);
    if (strcmp(verb, "show") == 0 && argc > 2)
        return show(argv[2]);
    tell(argc, argv);
    return 0;
}
