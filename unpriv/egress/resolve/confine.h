/* What each half of banger-resolve gives up, for good. 0 or a negative errno. */
#ifndef BANGER_EGRESS_RESOLVE_CONFINE_H
#define BANGER_EGRESS_RESOLVE_CONFINE_H

/* No file, and of the network what it takes to make a socket and hand it over. */
int confine_dialler(void);
/* No file, no socket but those it is handed; threads. */
int confine_parser(void);

#endif
