#include "attack.h"
const struct attack rights_attacks[] = {{NULL, NULL}};
const struct attack descriptor_attacks[] = {{NULL, NULL}};
const struct attack peer_attacks[] = {{NULL, NULL}};
const struct attack filter_attacks[] = {{NULL, NULL}};
const struct attack world_attacks[] = {{NULL, NULL}};
const struct attack netlink_attacks[] = {{NULL, NULL}};
const struct attack race_attacks[] = {{NULL, NULL}};
const struct attack name_attacks[] = {{NULL, NULL}};
const struct attack guest_attacks[] = {{NULL, NULL}};
const struct attack jail_attacks[] = {{NULL, NULL}};
