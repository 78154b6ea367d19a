#include "metrics_port.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../../common/log.h"
#include "../metrics/place.h"
#include "../store/store.h"
#include "engine.h"
#include "metrics.h"
#include "monitor.h"
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define KEY_PLACE    "metrics_listen_addr"
#define KEY_INTERVAL "metrics_poll_interval"
#define TOKEN_BYTES  32
#define END_MS       5000
#define LEAST_MS     500 /* between two texts, whatever banger-metrics asks for */

static const struct service service = {"banger-metrics", monitor_metrics};

/* Guards what follows; `changed` is the news of another place or interval, of which `turn` is the number. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int64_t place;
static int64_t interval_s;
static unsigned turn;
static int kept;         /* the keeper runs */
static int control = -1; /* -1 while none listens */
static struct metrics_hello said;

/* --- the token ------------------------------------------------------------------------ */

static int is_token(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return 0;
    }
    return size >= METRICS_TOKEN_MIN;
}

/* The file's, without what is blank at its end: 0, -ENOENT without one, or another negative errno. */
static int read_token(char token[METRICS_TOKEN_SIZE], struct err *e) {
    cleanup_fd int fd = openat(engine.state, METRICS_TOKEN_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_sys(e, errno, "cannot read %s/" METRICS_TOKEN_FILE, engine.state_path);
    ssize_t n = io_read_some(fd, token, METRICS_TOKEN_SIZE);
    while (n > 0 && strchr(" \t\r\n", token[n - 1]))
        n--;
    if (n < 0 || n == METRICS_TOKEN_SIZE || !is_token(token, (size_t) n))
        return err_set(e, EINVAL,
                       "%s/" METRICS_TOKEN_FILE " holds no secret of %d to %d characters: delete it, and there will be "
                       "another",
                       engine.state_path, METRICS_TOKEN_MIN, METRICS_TOKEN_SIZE - 1);
    memset(token + n, 0, (size_t) (METRICS_TOKEN_SIZE - n));
    return 0;
}

/* Whole or not at all: a file that was cut off would have to be deleted by hand. */
static int make_token(char token[METRICS_TOKEN_SIZE], struct err *e) {
    static const char passing[] = METRICS_TOKEN_FILE ".new";
    unsigned char bytes[TOKEN_BYTES];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t) sizeof(bytes))
        return err_sys(e, EIO, "there are no random bytes for a secret");
    memset(token, 0, METRICS_TOKEN_SIZE);
    for (size_t i = 0; i < sizeof(bytes); i++)
        (void) snprintf(token + 2 * i, 3, "%02x", bytes[i]);
    token[2 * sizeof(bytes)] = '\n';
    cleanup_fd int fd = openat(engine.state, passing, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : io_write(fd, token, 2 * sizeof(bytes) + 1);
    if (r == 0 && (fdatasync(fd) || renameat(engine.state, passing, engine.state, METRICS_TOKEN_FILE)))
        r = -errno;
    token[2 * sizeof(bytes)] = '\0';
    return r ? err_sys(e, -r, "cannot write %s/" METRICS_TOKEN_FILE, engine.state_path) : 0;
}

static int get_token(char token[METRICS_TOKEN_SIZE], struct err *e) {
    struct err missing = {0};
    int r = read_token(token, &missing);
    if (r == -ENOENT)
        return make_token(token, e);
    if (r)
        *e = missing;
    return r;
}

/* --- one banger-metrics --------------------------------------------------------------- */

/* Keeps what was said, once in the log. */
static void note(const struct metrics_hello *hello, const struct err *e) {
    (void) pthread_mutex_lock(&lock);
    const int news = e->code && strcmp(said.text, e->text) != 0;
    said = *hello;
    said.error = e->code;
    (void) snprintf(said.text, sizeof(said.text), "%.*s", METRICS_SAID_SIZE - 1, e->text);
    (void) pthread_mutex_unlock(&lock);
    if (news)
        log_warn(0, "metrics have no port: %s", e->text);
}

/* One text, for a byte that asked for it. */
static int give(int sock) {
    struct err e = {0};
    char wish = 0;
    if (io_read(sock, &wish, 1))
        return -1;
    cleanup_free char *text = metrics_text(&e);
    uint32_t size = text && strlen(text) <= METRICS_TEXT_MAX ? (uint32_t) strlen(text) : 0;
    if (size == 0)
        log_error(0, "no metrics: %s", text ? "they are too long" : e.text);
    if (io_write(sock, &size, sizeof(size)) || (size && io_write(sock, text, size)))
        return -1;
    (void) poll(NULL, 0, LEAST_MS);
    return 0;
}

/* Until it ends, or has to because of a change. */
static void serve(int sock, unsigned mine) {
    (void) pthread_mutex_lock(&lock);
    const int current = turn == mine;
    control = current ? sock : -1;
    (void) pthread_mutex_unlock(&lock);
    while (current && io_wait(sock, POLLIN, -1) == 0 && give(sock) == 0)
        continue;
    (void) pthread_mutex_lock(&lock);
    control = -1;
    (void) pthread_mutex_unlock(&lock);
}

static int greet(int sock, const struct metrics_setup *setup, struct metrics_hello *hello, struct err *e) {
    int r = io_write(sock, setup, sizeof(*setup));
    if (r)
        return err_sys(e, -r, "cannot tell banger-metrics where to listen");
    r = service_hello(&service, sock, hello, sizeof(*hello), e);
    if (r)
        return r;
    hello->text[METRICS_SAID_SIZE - 1] = '\0';
    return hello->error ? err_set(e, hello->error, "%s", hello->text) : 0;
}

static void keep_one(struct metrics_setup *setup, unsigned mine) {
    struct err e = {0};
    struct metrics_hello hello = {0};
    cleanup_fd int sock = -1;
    cleanup_fd int pidfd = -1;
    int r = get_token(setup->token, &e);
    if (r == 0)
        r = service_start(&service, &sock, &pidfd, &e);
    if (r == 0)
        r = greet(sock, setup, &hello, &e);
    note(&hello, &e);
    if (r == 0)
        serve(sock, mine);
    if (pidfd >= 0 && (pidfd_send_signal(pidfd, SIGKILL, NULL, 0) == 0 || errno == ESRCH))
        (void) io_wait(pidfd, POLLIN, END_MS);
}

/* --- the keeper ----------------------------------------------------------------------- */

/* Waits for a place to listen at; which turn it is of. */
static unsigned wait_place(struct metrics_setup *setup) {
    (void) pthread_mutex_lock(&lock);
    while (place == 0)
        (void) pthread_cond_wait(&changed, &lock);
    const unsigned mine = turn;
    *setup = (struct metrics_setup){
        .address = (uint32_t) (place >> 16), .port = (uint32_t) (place & 0xffff), .interval_s = (uint32_t) interval_s};
    (void) pthread_mutex_unlock(&lock);
    return mine;
}

/* 1 where a change ended it. */
static int nap(int ms, unsigned mine) {
    struct timespec until;
    (void) clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (until.tv_nsec / 1000000 + ms) / 1000;
    until.tv_nsec = (until.tv_nsec / 1000000 + ms) % 1000 * 1000000;
    (void) pthread_mutex_lock(&lock);
    while (turn == mine && pthread_cond_timedwait(&changed, &lock, &until) == 0)
        continue;
    const int other = turn != mine;
    (void) pthread_mutex_unlock(&lock);
    return other;
}

static void *keeper(void *arg) {
    int pause = 0;
    (void) arg;
    for (;;) {
        struct metrics_setup setup;
        const unsigned mine = wait_place(&setup);
        const long long began = io_now_ms();
        keep_one(&setup, mine);
        pause = service_nap(pause, io_now_ms() - began);
        if (nap(pause, mine))
            pause = 0;
    }
    return NULL;
}

/* --- settings ------------------------------------------------------------------------- */

/* `lock` is held. */
static void take(int64_t new_place, int64_t new_interval) {
    place = new_place;
    interval_s = new_interval;
    turn++;
    memset(&said, 0, sizeof(said));
    if (control >= 0)
        (void) shutdown(control, SHUT_RDWR);
    (void) pthread_cond_broadcast(&changed);
    if (kept || place == 0)
        return;
    int r = service_keep(keeper);
    kept = r == 0;
    if (r)
        log_error(0, "metrics have no port: no thread for it (%s)", strerror(-r));
}

int metrics_port_set(int64_t new_place, int64_t new_interval, struct err *e) {
    (void) pthread_mutex_lock(&lock);
    const int64_t p = new_place < 0 ? place : new_place, i = new_interval < 0 ? interval_s : new_interval;
    const int same = p == place && i == interval_s;
    int r = 0;
    if (!metrics_place_good(p))
        r = err_set(e, EINVAL, "\"metrics_listen\" is no port of the loopback");
    if (r == 0 && !same)
        take(p, i);
    (void) pthread_mutex_unlock(&lock);
    if (r || same)
        return r;
    r = store_setting_set(KEY_PLACE, p, e);
    return r ? r : store_setting_set(KEY_INTERVAL, i, e);
}

void metrics_port_begin(void) {
    struct err e = {0};
    int64_t p = 0, i = 0;
    if (store_setting_get(KEY_PLACE, &p, &e) || store_setting_get(KEY_INTERVAL, &i, &e))
        log_error(0, "%s", e.text);
    (void) pthread_mutex_lock(&lock);
    take(metrics_place_good(p) ? p : 0, i < METRICS_INTERVAL_MIN ? METRICS_INTERVAL_MIN : i);
    (void) pthread_mutex_unlock(&lock);
}

void metrics_port_status(struct metrics_port *status) {
    (void) pthread_mutex_lock(&lock);
    status->place = place;
    status->pid = control >= 0 ? said.pid : 0;
    status->error = said.error;
    memcpy(status->text, said.text, sizeof(status->text));
    (void) pthread_mutex_unlock(&lock);
}
