/* What a receiver of a tree makes under a name of its own before it takes another's place: a file or a link. Whoever is
 * killed in between leaves it, and the next receiver that comes into the folder removes it. */
#ifndef BANGER_COMMON_TREE_MADE_H
#define BANGER_COMMON_TREE_MADE_H

#define TREE_MADE_SIZE 32

/* A name that nothing has: ".banger-cp-" and 16 hex digits. */
void tree_made_name(char name[TREE_MADE_SIZE]);

/* Holds the file for as long as it is open, so that nobody takes it for left. 0, or -ESTALE where somebody has already:
 * it has no name any more. */
int tree_made_hold(int file);

/* Removes from the folder this account's files with such names that nobody holds, and its links. A link cannot be held:
 * whoever misses his makes another. */
void tree_made_sweep(int dir);

#endif
