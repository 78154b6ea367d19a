/* Progress on stderr: on a terminal one live line a stage, otherwise one plain
 * line for each finished stage (and one every 5 s of a long one). */
#ifndef BANGER_CLI_PROGRESS_H
#define BANGER_CLI_PROGRESS_H

#include <stdint.h>
#include <stdio.h>

struct progress {
    FILE *out;  /* NULL: quiet, nothing is ever said */
    FILE *json; /* JSON lines go there in place of all else, or NULL */
    int live;   /* a terminal: redraw */
    int colour;
    char stage[32], text[128];
    int64_t done, total;               /* bytes or steps; total 0: unknown */
    long long started, printed, drawn; /* io_now_ms */
};

/* `quiet`: nothing at all, warnings included. */
void progress_open(struct progress *p, FILE *out, int quiet);
/* From now on JSON lines: {"progress":{"stage","text","done","total","rate"}} (bytes, and bytes a second since
 * the stage began), {"note":..}, {"warning":..}. */
void progress_json(struct progress *p, FILE *out);
/* The state of a stage; a new stage's name finishes the one before. done == total > 0 finishes it too. */
void progress_update(struct progress *p, const char *stage, const char *text, int64_t done, int64_t total);
/* Redraws the live line when it is time to. */
void progress_tick(struct progress *p);
/* A line of its own, above the live line. */
void progress_line(struct progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void progress_warn(struct progress *p, const char *text);
/* Ends the stage under way: as done, or (`failed`) clears its line. */
void progress_finish(struct progress *p, int failed);

#endif
