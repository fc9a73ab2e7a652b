/* SPDX-License-Identifier: MIT */
/*
 * The life of the process: start, fork, end.  Invariant: a fork finds none of
 * the shim's locks held by a thread that the child does not have; the tree is
 * removed by the process that made it and by no other.
 * Threads: fork handlers run in the forking thread; the rest is atomic.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "softvfio/config.h"
#include "softvfio/device.h"
#include "softvfio/export.h"
#include "softvfio/real.h"
#include "softvfio/shim.h"

static atomic_bool used, orphan;
static _Atomic pid_t owner;

bool sv_process_is_orphan(void)
{
	return atomic_load(&orphan);
}

bool sv_process_is_borrowed(void)
{
	return atomic_load(&owner) != getpid();
}

void sv_process_note_use(void)
{
	atomic_store(&used, true);
}

bool sv_process_used(void)
{
	return atomic_load(&used);
}

static void before_fork(void)
{
	sv_config_fork_lock();
	sv_tree_fork_lock();
	sv_fd_fork_lock();
	sv_bar_map_lock();
}

static void after_fork_in_parent(void)
{
	sv_bar_map_unlock();
	sv_fd_fork_unlock();
	sv_tree_fork_unlock();
	sv_config_fork_unlock();
}

static void after_fork_in_child(void)
{
	atomic_store(&owner, getpid());
	/* What the parent never used has no threads and no state to miss. */
	if (atomic_load(&used))
		atomic_store(&orphan, true);
	sv_bar_map_fork_child();
	sv_bar_map_unlock();
	sv_fd_fork_child(atomic_load(&orphan));
	sv_fd_kept_fork_child();
	sv_fd_fork_unlock();
	sv_tree_fork_child();
	sv_tree_fork_unlock();
	sv_config_fork_unlock();
}

/*
 * Registered before any other room of softvfio can: handlers run last come,
 * first served before the fork, so the shim's locks are the innermost.
 */
void sv_process_start(void)
{
	atomic_store(&owner, getpid());
	if (pthread_atfork(before_fork, after_fork_in_parent,
			   after_fork_in_child))
		sv_die("out of memory");
}

/* A preloaded program learns at its start that its configuration is bad. */
__attribute__((constructor)) static void start(void)
{
	if (sv_config())
		sv_fds_open();
}

__attribute__((destructor)) static void stop(void)
{
	/* A wrapper that used no device must not write over its child's. */
	if (sv_config() && sv_process_used() && !sv_process_is_orphan())
		sv_stats_write();
	sv_tree_remove();
}

/*
 * Programs that leave without destructors: no counters, whose locks a signal
 * handler could find held, but the tree goes; that takes system calls only.
 */
SV_EXPORT _Noreturn void _exit(int status)
{
	sv_tree_remove();
	REAL(_exit)(status);
	__builtin_unreachable();
}

SV_EXPORT _Noreturn void _Exit(int status)
{
	sv_tree_remove();
	REAL(_Exit)(status);
	__builtin_unreachable();
}
