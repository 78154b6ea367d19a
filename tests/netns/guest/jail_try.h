/* What the jail's two probes share: one line a result on stdout, "ok probe: NAME" or what
 * went wrong. */
#ifndef BANGER_TESTS_JAIL_TRY_H
#define BANGER_TESTS_JAIL_TRY_H

/* The call must fail. */
void refused(const char *name, long result);
void holds(const char *name, int good);

/* Descriptors from 3 on that are not within first..last; how many are is in `*inside`. */
int strangers(int first, int last, int *inside);
/* Limits, files and calls that are the same for every VMM. */
void try_limits(void);
void try_files(void);
void try_calls(void);
void try_place(void);

#endif
