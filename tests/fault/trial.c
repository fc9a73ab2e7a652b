/* SPDX-License-Identifier: MIT */
/*
 * One trial: two processes, each with a softvfio of its own, and the relay
 * between them.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fault/fault.h"

#define LIMIT_S 30

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static pid_t spawn(struct trial *t, enum side side, int fd, const int other[3])
{
	pid_t pid = fork();

	need(pid >= 0, "fork");
	if (pid)
		return pid;
	for (int i = 0; i < 3; i++)
		close(other[i]);
	alarm(LIMIT_S);
	side_run(side, fd, t->machine, &t->fault, &t->reports[side]);
	exit(0);
}

static void note_fired(struct trial *t)
{
	const struct watch *w = &t->reports[t->fault.side].watch;

	switch (t->fault.kind) {
	case FAULT_NTH:
		t->fired = atomic_load(&w->fired);
		break;
	case FAULT_STATE:
		t->fired = atomic_load(&w->state_failed);
		break;
	case FAULT_FRAME:
		t->fired = t->relay.fired;
		break;
	default:
		t->fired = false;
	}
}

void trial_run(struct trial *t)
{
	static const struct frame_fault pass = { .act = FRAME_PASS };
	static struct report *reports;
	int a[2], b[2];
	pid_t pid[2];

	if (!reports)
		reports =
			mmap(NULL, 2 * sizeof(*reports), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(reports != MAP_FAILED, "mmap");
	memset(reports, 0, 2 * sizeof(*reports));
	t->reports = reports;
	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, a), "socketpair");
	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, b), "socketpair");
	fflush(NULL);
	pid[SOURCE] = spawn(t, SOURCE, a[1], (int[]){ a[0], b[0], b[1] });
	pid[DESTINATION] =
		spawn(t, DESTINATION, b[1], (int[]){ a[0], a[1], b[0] });
	close(a[1]);
	close(b[1]);
	relay_run(&t->relay, a[0], b[0],
		  t->fault.kind == FAULT_FRAME ? &t->fault.frame : &pass,
		  LIMIT_S * 1000L);
	close(a[0]);
	close(b[0]);
	for (int i = 0; i < 2; i++)
		waitpid(pid[i], &t->status[i], 0);
	note_fired(t);
}
