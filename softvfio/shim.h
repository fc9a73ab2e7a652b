/* SPDX-License-Identifier: MIT */
/*
 * Between the files of the shim.  Nothing here is for the IOMMU or the device
 * side: they see file.h and config.h.
 *
 * Lock order, outermost first: config, tree, descriptor table, BAR list,
 * inject.  No file operation and no release is called under any of them.
 */
#ifndef SOFTVFIO_SHIM_H
#define SOFTVFIO_SHIM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "softvfio/file.h"

/*
 * A thread that is cancelled ends in the first call that is a cancellation
 * point, and its locks stay held for ever.  ioctl() is none, so nothing below
 * it may be; with our locks about, neither may what is below read() and close().
 */
static inline int sv_cancel_off(void)
{
	int old = PTHREAD_CANCEL_ENABLE;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	return old;
}

static inline void sv_cancel_restore(const int *old)
{
	pthread_setcancelstate(*old, NULL);
}

/* To the end of the block. */
#define SV_NOT_CANCELLED()                                                     \
	__attribute__((cleanup(sv_cancel_restore),                             \
		       unused)) int cancel_state_ = sv_cancel_off()

/* -- process.c ---------------------------------------------------------- */

/*
 * A child that was forked once files had been opened: its devices stayed with
 * its parent, as their threads did.  It can open none of its own.
 */
bool sv_process_is_orphan(void);
/* True in a vfork()ed child: it shares our memory, but not our descriptors. */
bool sv_process_is_borrowed(void);
/* A file was installed: from now on a fork has something to lose. */
void sv_process_note_use(void);
bool sv_process_used(void);
/* Once there is a configuration. */
void sv_process_start(void);

/* -- config.c ----------------------------------------------------------- */

/* "softvfio: ..." on stderr, _exit(2). */
_Noreturn void sv_die(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
void sv_config_fork_lock(void);
void sv_config_fork_unlock(void);

/* -- file.c ------------------------------------------------------------- */

/* What a descriptor says of itself besides its operations. */
struct sv_open_file {
	struct sv_file file; /* first: one is the other */
	int oflags; /* access mode */
	dev_t rdev; /* of the node it was opened through; 0: none */
	bool is_retired;
	struct sv_open_file *retired; /* the next; see sv_file_retire() */
};

static inline struct sv_open_file *sv_open_file(struct sv_file *f)
{
	return (struct sv_open_file *)f;
}

/* After a fork: stands for every file of the parent. */
struct sv_file *sv_file_dead(void);
/*
 * After a fork: a file whose release cannot run here.  Its memory is kept
 * reachable, for leak checkers.
 */
void sv_file_retire(struct sv_file *f);

/* -- fd_table.c --------------------------------------------------------- */

/* Number of descriptors of ours; 0 lets every call through at once. */
extern atomic_uint sv_fd_count;

static inline bool sv_fd_any(void)
{
	return atomic_load_explicit(&sv_fd_count, memory_order_relaxed);
}

/* @fd now means @f, or nothing (NULL); takes the reference if it succeeds. */
int sv_fd_set(int fd, struct sv_file *f);
/* @fd means nothing any more; what it meant, with its reference. */
struct sv_file *sv_fd_take(int fd);
/* @to is a fresh duplicate of @from; closed again if that cannot be kept. */
int sv_fd_duplicated(int from, int to);
/* A descriptor that was just made by the kernel for something else. */
int sv_fd_fresh(int fd);
/* All descriptors in [first, last] are about to be closed. */
void sv_fd_drop_range(unsigned int first, unsigned int last);
void sv_fd_fork_lock(void);
void sv_fd_fork_unlock(void);
void sv_fd_fork_child(bool orphan);

/* -- fd_kept.c; see sv_fd_keep() ----------------------------------------- */

bool sv_fd_is_kept(int fd);
/* The lowest in [first, last]; -1: none. */
int sv_fd_next_kept(unsigned int first, unsigned int last);
/* It is the program's now: ours was closed behind our back. */
void sv_fd_forget_kept(int fd);
void sv_fd_kept_fork_child(void);

/* -- bar_map.c ---------------------------------------------------------- */

extern atomic_uint sv_bar_map_count;
/* Around real calls that change mappings, when a BAR is or will be mapped. */
void sv_bar_map_lock(void);
void sv_bar_map_unlock(void);
/* With the lock held: [va, va+len) is something else now; a copy was moved. */
void sv_bar_map_cut(const void *va, size_t len);
void sv_bar_map_move(const void *from, size_t from_len, void *to,
		     size_t to_len);
void sv_bar_map_add(void *va, size_t len, const struct sv_bar_mapping *b);
void sv_bar_map_fork_child(void);

/* -- tree.c, sysfs.c ---------------------------------------------------- */

enum sv_node_kind {
	SV_NODE_CONTAINER,
	SV_NODE_IOMMU,
	SV_NODE_GROUP,
	SV_NODE_CDEV,
};

struct sv_node {
	enum sv_node_kind kind;
	unsigned int nr; /* group, or device index */
	dev_t rdev;
	ino_t ino; /* of the file that stands for it */
};

/* Immutable once published. */
struct sv_tree {
	char *root;
	dev_t st_dev;
	struct sv_node *nodes;
	size_t nr_nodes;
	struct sv_tree *retired;
};

/* Made at first need; NULL: no configuration.  Failure ends the process. */
const struct sv_tree *sv_tree(void);
/* The one there is, NULL if none was made. */
const struct sv_tree *sv_tree_peek(void);
/* Which device node does this file stand for?  NULL: none. */
const struct sv_node *sv_tree_node(const struct stat *st);
void sv_tree_remove(void);
void sv_tree_fork_lock(void);
void sv_tree_fork_unlock(void);
void sv_tree_fork_child(void);
/* sysfs.c: everything below root; 0 or -errno. */
int sv_tree_populate(struct sv_tree *t, int root_fd);

/* -- path.c ------------------------------------------------------------- */

/* The path to use instead: @path itself, or one in the tree, in @buf. */
const char *sv_path(const char *path, char *buf);
/* As a program names it: what is in the tree loses the tree's root. */
void sv_path_unroot(char *path);

/* -- interpose_open.c, fds.c -------------------------------------------- */

/* open(2) as programs have it, from within; -1 and errno. */
int sv_open(const char *path, int flags);
/* SOFTVFIO_FDS; once there is a configuration. */
void sv_fds_open(void);

/* -- stats.c ------------------------------------------------------------ */

/* 0 or -errno; 0 and nothing done without SOFTVFIO_STATS. */
int sv_stats_write_now(void);

/* -- inject.c ----------------------------------------------------------- */

void sv_inject_set_state(struct sv_device *dev, unsigned int n, int err,
			 bool to_error);
void sv_inject_set_report(struct sv_device *dev, unsigned int n);
char *sv_note_pop(void);

#endif /* SOFTVFIO_SHIM_H */
