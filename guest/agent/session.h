/* Sessions: commands that go on without the client that started them. Each has a folder below
 * agent_session_base and, while it runs, a keeper: a process of this program that is the command's parent, writes
 * what it says to logs of a bounded size, and passes signals on. The folder is all there is to know:
 *
 *     lock                 locked by the keeper for its whole life (fcntl(2), an open file description's)
 *     state                what is known, as text lines (struct agent_session), replaced by a rename
 *     stdout stdout.1      the log, at most SESSION_LOG_MAX bytes each; the second is the older
 *     stderr stderr.1      the same
 *     stdin                a FIFO, where the command's input is a pipe and still open
 *     control              a FIFO to the keeper, for struct agent_session_order
 *     attach               locked by the one client that is attached; holds what it calls itself
 *
 * The folders lie on the work disk, not in /run: what a session wrote is there when the guest has ended, and takes
 * no memory. A session itself ends with its guest, and is found then by its lock, which nobody has. Nothing is flushed:
 * the machine may lose its power with less on the disk, and a folder without a state is no session and goes with the
 * next start. */
#ifndef BANGER_GUEST_SESSION_H
#define BANGER_GUEST_SESSION_H

#include "agent.h"

#define SESSIONS_MAX         64 /* folders; to make room the session that ended first goes */
#define SESSION_NAME_MAX     64
#define SESSION_LOG_MAX      (2u << 20)
#define SESSION_TEXT_MAX     3200 /* of a command or a folder: 1,023 bytes and what escaping makes of them */
#define SESSION_LIST_TEXT    600  /* of these in a list, whose answer is bounded */
#define SESSION_REQUIRED_MAX 32

/* Where the folders are; tests have their own. */
extern const char *agent_session_base;

/* One session. Texts are printable ASCII, other bytes and '%' as %HH. */
struct agent_session {
    char name[SESSION_NAME_MAX];
    enum {
        SESSION_RUNNING,
        SESSION_EXITED,
        SESSION_KILLED,
        SESSION_LOST
    } state;   /* LOST: its guest ended, or its keeper */
    int piped; /* its input is a pipe */
    long long pid;
    long long code;           /* exit status, or the signal that killed it */
    long long started, ended; /* seconds since 1970; 0: not yet, or nobody knows */
    char folder[SESSION_TEXT_MAX], command[SESSION_TEXT_MAX];
    char attached[128]; /* who is, or "" */
};

/* What a keeper is asked for. Written in one piece, fewer than PIPE_BUF bytes: pipe(7) keeps it whole. */
struct agent_session_order {
    uint32_t signal;      /* for its process group; 0: closes its input */
    uint32_t kill_within; /* milliseconds after which KILL follows by itself; 0: it does not */
};

/* --- session_table.c: the folders ------------------------------------------------------- */

/* A DNS label. */
int agent_session_name_good(const char *name);
/* Bytes to text as above. Cut where it would be too long. */
void agent_session_escape(const char *bytes, char *text, size_t size);
/* The command as a shell would take it, escaped and cut. */
void agent_session_command(char *const argv[], char text[SESSION_TEXT_MAX]);

/* The folder (O_DIRECTORY, the caller's) of the session of that name, and the session as it is by now; or a
 * negative errno. */
int agent_session_open(const char *name, struct agent_session *session);
/* All, by name; the number, or a negative errno. `list` has room for SESSIONS_MAX. */
int agent_session_all(struct agent_session *list);
/* 1 while it has a keeper. */
int agent_session_kept(int folder);
/* Its state file, anew. 0 or a negative errno. */
int agent_session_save(int folder, const struct agent_session *session);
/* As lines "key value", the first "session NAME"; texts cut at `most` bytes. */
void agent_session_print(FILE *to, const struct agent_session *session, size_t most);

/* Makes the folder for a new session, with its FIFOs, in place of an ended one of that name; where there are too many
 * the one that ended first goes. Only one process does this at a time, until *guard is closed. The folder, the
 * caller's; else -1 and `why` says in a sentence. */
int agent_session_make(const struct agent_session *session, int *guard, char *why, size_t size);
/* Takes that back. */
void agent_session_remove(const char *name);
/* Locks a file of the folder for this open file description: the descriptor; -EAGAIN: somebody else has it. */
int agent_session_lock(int folder, const char *file);

/* --- session_keep.c ------------------------------------------------------------------------- */

/* Starts the command with a keeper in `folder`, and fills the session's pid; the keeper closes `guard`. 0, or 126 or
 * 127 and `reason` is a line that says why; nothing runs then. */
int agent_session_start(int folder, int guard, struct agent_session *session, struct agent_open *open, char *reason,
                        size_t size);

/* --- session_follow.c ------------------------------------------------------------------------ */

/* Writes the log of that stream ("stdout", "stderr") to descriptor 1; with `follow` also what comes, until the session
 * ends. 0 or a negative errno. */
int agent_session_logs(int folder, const char *stream, int follow);
/* Descriptor 0 to its input, what it writes from now on to 1 and 2, until it has ended. 0 or a negative errno. */
int agent_session_attach(int folder);

/* --- service_session.c: the service "session", its words after its name ---------------------------
 *
 *     start NAME pipe|detached [REQUIRED...]   descriptor 0 has an OPEN: the command. Prints the session
 *     list | show NAME                         prints sessions
 *     stop NAME MILLISECONDS | kill NAME SIGNAL   prints the session, which may not have ended yet: its keeper ends it
 *     logs NAME stdout|stderr FOLLOW | send NAME CLOSE | attach NAME WHO
 *
 * What cannot be done is one line on descriptor 2 and status 1; of the last three, whose output is the user's,
 * "banger: " goes before the line and the status is 125. */

#endif
