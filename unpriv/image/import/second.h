/* The second thread of banger-import: it fetches and unpacks while the first one reads the
 * archive. It is started before seccomp closes thread creation, which is why it waits
 * for its work; it has the same confinement. */
#ifndef BANGER_IMAGE_IMPORT_SECOND_H
#define BANGER_IMAGE_IMPORT_SECOND_H

#include "../../../common/err.h"

/* Starts the thread when it is not there yet. 0 or a negative errno. */
int second_start(struct err *e);
/* Has it run `work`. One at a time: second_wait() comes before the next. */
void second_run(void (*work)(void *context), void *context);
/* Until the work is done. */
void second_wait(void);

#endif
