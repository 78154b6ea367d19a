#include "vmm.h"

#include <pthread.h>
#include <time.h>
#include <x86intrin.h>

#define TSC_TRIES 16
#define TSC_NS    100000000 /* between the two readings */

static uint64_t raw_ns(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return (uint64_t) t.tv_sec * 1000000000u + (uint64_t) t.tv_nsec;
}

/* Both clocks at one moment: of some tries the one that was interrupted least. */
static void read_both(uint64_t *tsc, uint64_t *ns) {
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < TSC_TRIES; i++) {
        uint64_t before = raw_ns(), ticks = __rdtsc(), after = raw_ns();
        if (after - before < best) {
            best = after - before;
            *tsc = ticks;
            *ns = before + best / 2;
        }
    }
}

static uint64_t measured_khz;

static void measure(void) {
    uint64_t tsc[2] = {0, 0}, ns[2] = {0, 0};
    read_both(&tsc[0], &ns[0]);
    struct timespec wait = {.tv_nsec = TSC_NS};
    (void) clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
    read_both(&tsc[1], &ns[1]);
    uint64_t took = ns[1] - ns[0];
    measured_khz = took ? ((tsc[1] - tsc[0]) * 1000000u + took / 2) / took : 0;
}

uint64_t vmm_tsc_khz(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void) pthread_once(&once, measure);
    return measured_khz;
}
