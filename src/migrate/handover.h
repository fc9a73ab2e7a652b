/* SPDX-License-Identifier: MIT */
/*
 * READY, COMMIT, DONE: the machine runs on exactly one side.  The outcomes are
 * in docs/hand-over.md, the protocol's model in model/.
 *
 * Threads: the run's own.
 */
#ifndef SPOOR_MIGRATE_HANDOVER_H
#define SPOOR_MIGRATE_HANDOVER_H

#include <stdbool.h>

#include "migrate/machine_priv.h"
#include "migrate/verify.h"

enum spoor_handover {
	SPOOR_HANDOVER_NOT, /* COMMIT was not sent: this side runs on */
	SPOOR_HANDOVER_LOST, /* the same; pages were lost */
	SPOOR_HANDOVER_SENT, /* COMMIT was sent, DONE not seen */
	SPOOR_HANDOVER_DONE, /* it runs there */
};

/* Source: from COMPLETE sent to the end.  *ret says how far it came. */
int spoor_handover_give(struct spoor_run *run, enum spoor_handover *ret);

/*
 * Destination: everything is loaded and verified; READY, then wait.  Returns 0
 * with COMMIT; *ret_ready says whether READY may have been seen, *ret_abort
 * whether the source took it back.
 */
int spoor_handover_take(struct spoor_run *run, bool *ret_ready,
			bool *ret_abort);
/* Destination: DONE, with who did not start. */
void spoor_handover_done(struct spoor_run *run);

#endif /* SPOOR_MIGRATE_HANDOVER_H */
