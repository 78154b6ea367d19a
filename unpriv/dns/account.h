/* Where an account's names are answered. Read from the policy, before banger-dns confines itself. */
#ifndef BANGER_DNS_ACCOUNT_H
#define BANGER_DNS_ACCOUNT_H

#include "../../common/err.h"
#include "../../policy/policy.h"
#include "proto.h"

/* The n-th account (from 0) of the policy's pool and subnet lines, taken in their order, has
 * 127.0.0.1 for n = 0, else 127.(42 + n / 256).(n % 256).1; host byte order. 0 without one. */
uint32_t account_address(const struct policy *policy, uid_t uid);

/* `name` as what stands before ".vm", lower case; "" where it cannot stand there. */
void account_label(const char *name, char out[DNS_USER_SIZE]);

#endif
