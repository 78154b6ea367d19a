/* The caller's terminal in raw mode while a guest's terminal is shown in it. */
#ifndef BANGER_CLI_TERMINAL_H
#define BANGER_CLI_TERMINAL_H

#include <stdint.h>

/* Puts descriptor 0 into raw mode; restored by terminal_restore and at exit. 0 or
 * a negative errno (-ENOTTY: not a terminal). */
int terminal_raw(void);
/* Back to the mode before terminal_raw; safe to call at any time. */
void terminal_restore(void);
/* Stops this process (SIGTSTP) with the terminal restored; raw again when it goes on. */
void terminal_suspend(void);
/* Size of the terminal at descriptor 0 or 1; 24 x 80 without one. */
void terminal_size(uint16_t *rows, uint16_t *cols);

#endif
