/* Sessions in a VM (docs/sessions.md), and `vm acp`. */
#ifndef BANGER_CLI_SESSIONS_H
#define BANGER_CLI_SESSIONS_H

#include "options.h"

int command_session_start(const struct invocation *in);
int command_session_list(const struct invocation *in);
int command_session_show(const struct invocation *in);
int command_session_logs(const struct invocation *in);
int command_session_send(const struct invocation *in);
int command_session_attach(const struct invocation *in);
int command_session_stop(const struct invocation *in);
int command_session_kill(const struct invocation *in);

/* `banger vm acp`. */
int command_acp(const struct invocation *in);

extern const char session_start_details[], session_logs_details[], session_send_details[], session_attach_details[],
    session_stop_details[], acp_details[];

#endif
