/* SPDX-License-Identifier: MIT */
/*
 * What one process really did, seen below libspoor: how much of the stream it
 * took in, which devices were reset, which were found in ERROR.  It lies in
 * shared memory, so what a killed process did is known as well.
 *
 * Threads: any of the process; the judge reads it when the process has ended.
 */
#ifndef TESTS_FAULT_WATCH_H
#define TESTS_FAULT_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/live/vmm.h"

struct watch {
	int stream_fd;
	int device_fds[VMM_MAX_DEVICES]; /* -1: no such device */
	_Atomic uint64_t received; /* bytes of the stream */
	atomic_bool reset[VMM_MAX_DEVICES];
	atomic_bool error[VMM_MAX_DEVICES]; /* it went to ERROR */
	atomic_bool ran[VMM_MAX_DEVICES]; /* it was told to, and did */
	/* It went to ERROR after that: nobody has to notice. */
	atomic_bool late[VMM_MAX_DEVICES];
	atomic_bool state_failed; /* a change of state did */
	atomic_bool fired; /* the fault happened */
	char what[32]; /* the call it happened at */
};

/* After recvmsg() and ioctl(). */
void watch_received(struct watch *w, int fd, size_t len);
void watch_ioctl(struct watch *w, int fd, unsigned long request,
		 const void *arg, int ret);
/* The state of a device, asked past libspoor; -errno if it does not say. */
int watch_state(int fd);

#endif /* TESTS_FAULT_WATCH_H */
