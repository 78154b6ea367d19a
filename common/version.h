/* The build's stamp, and where install puts things (set by the Makefile). */
#ifndef BANGER_COMMON_VERSION_H
#define BANGER_COMMON_VERSION_H

/* BANGER_VERSION "0.1.0", BANGER_COMMIT "abcdef012345" or "unknown". */
#define BANGER_STAMP BANGER_VERSION " (" BANGER_COMMIT ")"

/* BANGER_BINDIR     banger, bangerd
 * BANGER_LIBEXECDIR banger-helper, banger-jail, banger-import, banger-fetch, banger-agent
 * BANGER_DATADIR    recipes (images/, kernel/)
 * BANGER_POLICY     the policy file */

#endif
