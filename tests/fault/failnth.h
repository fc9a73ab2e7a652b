/* SPDX-License-Identifier: MIT */
/*
 * Do something at the nth call that libspoor makes, counted from arming or
 * from when it has sent a frame: how many calls it takes to copy memory that is
 * being written varies, how many it takes from there on hardly does.
 */
#ifndef TESTS_FAULT_FAILNTH_H
#define TESTS_FAULT_FAILNTH_H

#include <stdbool.h>

#include "tests/fault/watch.h"

enum failnth_act {
	FAILNTH_COUNT, /* only count */
	FAILNTH_FAIL, /* the nth call fails with errno err, undone */
	FAILNTH_KILL, /* the nth call kills the process instead */
	FAILNTH_SHORT, /* half is sent, and the next sendmsg fails */
	FAILNTH_CALL, /* something else happens just before it */
};

/* Which calls count; a call may be of several kinds. */
enum failnth_kind {
	FAILNTH_SYSCALLS = 1,
	FAILNTH_ALLOCS = 2,
	FAILNTH_SENDS = 4, /* sendmsg */
	FAILNTH_WAITS = 8, /* may be interrupted, and are then repeated */
};

struct failnth {
	enum failnth_act act;
	unsigned int kinds, nth; /* nth 0: none */
	unsigned int after; /* a frame of this type was sent; 0: at once */
	int err;
	void (*call)(void *opaque);
	void *opaque;
};

/* @watch is told what happens, also of a process that is killed. */
void failnth_arm(const struct failnth *f, struct watch *watch);
void failnth_disarm(void);
/* Pieces of heap that libspoor and its VMM got and did not give back. */
long failnth_heap(void);

#endif /* TESTS_FAULT_FAILNTH_H */
