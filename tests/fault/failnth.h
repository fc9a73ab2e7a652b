/* SPDX-License-Identifier: MIT */
/*
 * Fail the nth system call that libspoor makes, counted from arming.
 */
#ifndef TESTS_FAULT_FAILNTH_H
#define TESTS_FAULT_FAILNTH_H

enum failnth_act {
	FAILNTH_COUNT, /* only count */
	FAILNTH_FAIL, /* the nth call fails with errno err, undone */
	FAILNTH_KILL, /* the nth call kills the process instead */
};

void failnth_arm(enum failnth_act act, unsigned int n, int err);
/* Stop failing; returns the number of calls made since arming. */
unsigned int failnth_disarm(void);
/* Name of the call that was failed, "" if none was. */
const char *failnth_what(void);

#endif /* TESTS_FAULT_FAILNTH_H */
