/* Signals as events: those that end or resize are blocked and read from a
 * descriptor, so every wait is one poll and every exit path can tidy up. */
#ifndef BANGER_CLI_SIGNALS_H
#define BANGER_CLI_SIGNALS_H

/* Blocks INT, TERM, HUP, QUIT, TSTP, CONT and WINCH for the process (call before
 * threads start) and returns the descriptor to poll; the same one each time. */
int signals_open(void);

/* The next pending signal's number, 0 when there is none. */
int signals_next(void);

/* The first of INT, TERM, HUP, QUIT that came, 0 so far none; any thread. */
int signals_ending(void);
/* Notes that `number` asks this process to end. */
void signals_note(int number);

/* Restores the mask that signals_open found, before an exec. */
void signals_restore(void);

#endif
