/* SPDX-License-Identifier: MIT */
/*
 * HELLO, WELCOME and REFUSE, from both sides.
 *
 * Threads: the run's own.
 */
#ifndef SPOOR_MIGRATE_OPENING_H
#define SPOOR_MIGRATE_OPENING_H

#include <stdbool.h>

#include "migrate/machine_priv.h"
#include "wire/hello.h"

/* Source: offer, and wait.  *ret_refused: the destination said REFUSE. */
int spoor_opening_offer(struct spoor_run *run, bool *ret_refused);
/* Destination: wait for HELLO and compare.  *ret_refused: it does not fit. */
int spoor_opening_receive(struct spoor_run *run, bool *ret_refused,
			  bool *ret_verify);
int spoor_opening_welcome(struct spoor_run *run);
/* With the text of the run's error. */
void spoor_opening_refuse(struct spoor_run *run, int err);

#endif /* SPOOR_MIGRATE_OPENING_H */
