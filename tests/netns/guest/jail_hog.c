/* In place of QEMU: takes all it can get. Argument: memory, or tasks. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STEP (16u << 20)

static void memory(void) {
    for (unsigned taken = 0;; taken += STEP) {
        char *at = mmap(NULL, STEP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED) {
            printf("no more after %u MiB\n", taken >> 20);
            return;
        }
        memset(at, 1, STEP);
        printf("%u MiB\n", (taken + STEP) >> 20);
    }
}

static void tasks(void) {
    int wait[2], count = 0;
    if (pipe2(wait, 0))
        return;
    for (pid_t pid = fork(); pid >= 0; pid = fork()) {
        char byte;
        if (pid == 0) {
            close(wait[1]);
            _exit((int) read(wait[0], &byte, 1));
        }
        if (++count == 4096)
            break;
    }
    printf("%d tasks\n", count);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 2 && strcmp(argv[1], "memory") == 0)
        memory();
    else if (argc == 2)
        tasks();
    return 3;
}
