/* SPDX-License-Identifier: MIT */
/*
 * A run of a machine: its processes, its clients, and what is heard of them.
 *
 * Threads: the parent's main thread; clients and link have their own.
 */
#ifndef SPOOR_TOOL_SESSION_H
#define SPOOR_TOOL_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "gaps.h"
#include "link.h"
#include "output.h"
#include "side.h"
#include "udp_client.h"

struct session {
	const struct opts *o;
	struct machine_file *mf;
	const char *only; /* show but this device's facts; NULL: all */
	struct output out;
	struct side source, destination;
	bool has_source, has_destination;

	int signals; /* signalfd */
	unsigned int interrupts;
	int control_listen; /* --control, -1: none */
	struct lines_text {
		int fd;
		char buf[256];
		size_t len;
		bool eof;
	} control, input; /* connected control socket; stdin while held */
	const char *order; /* "resume" or "discard", from a person */
	bool held; /* that is what is asked for */
	bool unattended; /* nobody is asked: what is held is given up */

	int stamps_fd;
	struct stamps *stamps; /* source's devices, then destination's */
	struct udp_client **clients; /* one a device, or NULL */
	struct udp_counts *counts;

	int connection; /* not yet given to a side, -1: none */
	struct link *link;
	json_t *plan;
	json_t *warnings; /* texts, as told by the sides; NULL: none */
	struct gaps_window window;
	uint64_t paused_ns, running_ns; /* as the sides said; 0: not yet */
};

/* Signals blocked, control socket open.  0 or an exit code, said on stderr. */
int session_open(struct session *s, const struct opts *o,
		 struct machine_file *mf);
/* Ends and releases everything; safe at any stage. */
void session_close(struct session *s);

/* Ends children and clients, but keeps what they told. */
void session_stop(struct session *s);
/* Then another source can be started. */
void session_end_source(struct session *s);

typedef bool (*session_until)(const struct session *s);
/*
 * Serves everyone until @until says so (true), or the time has come, a second
 * interrupt asks to give up, or an interrupt came where @interruptible.
 */
bool session_wait(struct session *s, session_until until, uint64_t until_ns,
		  bool interruptible);
uint64_t session_now(void);

/* A unix socket at --control. */
int session_control_open(struct session *s);
void session_control_close(struct session *s);

/* Waits for somebody to say; "resume", "discard", or NULL: nobody can. */
const char *session_hold(struct session *s, const char *why);

/* session_result.c */
struct verdict {
	int exit;
	const char *running;
	const json_t *base; /* figures: a side's result, or NULL */
	bool hold; /* to be asked */
	char error[700];
};

void verdict_of(const struct session *s, struct verdict *v);
json_t *verdict_json(struct session *s, const struct verdict *v);

#endif /* SPOOR_TOOL_SESSION_H */
