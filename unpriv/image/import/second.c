#include "second.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int started, ready;
    void (*work)(void *);
    void *context;
} second = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void *loop(void *unused) {
    (void) unused;
    (void) pthread_mutex_lock(&second.lock);
    second.ready = 1;
    (void) pthread_cond_broadcast(&second.changed);
    for (;;) {
        while (!second.work)
            (void) pthread_cond_wait(&second.changed, &second.lock);
        (void) pthread_mutex_unlock(&second.lock);
        second.work(second.context);
        (void) pthread_mutex_lock(&second.lock);
        second.work = NULL;
        (void) pthread_cond_broadcast(&second.changed);
    }
    return NULL;
}

int second_start(struct err *e) {
    pthread_t thread;
    if (second.started)
        return 0;
    int r = pthread_create(&thread, NULL, loop, NULL);
    if (r)
        return err_sys(e, r, "The importer cannot start its second thread");
    (void) pthread_detach(thread);
    second.started = 1;
    (void) pthread_mutex_lock(&second.lock); /* its own beginning makes calls that seccomp would not allow */
    while (!second.ready)
        (void) pthread_cond_wait(&second.changed, &second.lock);
    (void) pthread_mutex_unlock(&second.lock);
    return 0;
}

void second_run(void (*work)(void *context), void *context) {
    (void) pthread_mutex_lock(&second.lock);
    second.context = context;
    second.work = work;
    (void) pthread_cond_broadcast(&second.changed);
    (void) pthread_mutex_unlock(&second.lock);
}

void second_wait(void) {
    (void) pthread_mutex_lock(&second.lock);
    while (second.work)
        (void) pthread_cond_wait(&second.changed, &second.lock);
    (void) pthread_mutex_unlock(&second.lock);
}
