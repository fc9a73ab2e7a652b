/* SPDX-License-Identifier: MIT */
/*
 * What stat says of device nodes: character devices, with the number that
 * sysfs names.  Recognised by inode, so every way to a node gives the same.
 * Threads: no state.
 */
#include "softvfio/interpose.h"

#include <string.h>
#include <sys/sysmacros.h>

#define AS_STAT(st64) ((struct stat *)(void *)(st64))

static int node_answer(int r, struct stat *st)
{
	const struct sv_node *node =
		r == 0 && sv_tree_peek() ? sv_tree_node(st) : NULL;

	if (node) {
		st->st_mode = S_IFCHR | (st->st_mode & 07777);
		st->st_rdev = node->rdev;
	}
	return r;
}

/* An open device: what its node says.  Others of ours (a device's data, a
 * device of a group) are anonymous files in the kernel as well. */
static int fd_answer(int r, int fd, struct stat *st)
{
	struct sv_file *f = r == 0 ? sv_file_get(fd) : NULL;

	if (!f)
		return node_answer(r, st);
	if (sv_open_file(f)->rdev) {
		st->st_mode = S_IFCHR | 0600;
		st->st_rdev = sv_open_file(f)->rdev;
		st->st_size = 0;
	}
	sv_file_put(f);
	return r;
}

static bool is_fd_itself(const char *path, int flags)
{
	return (flags & AT_EMPTY_PATH) && (!path || !*path);
}

SV_EXPORT int stat(const char *path, struct stat *st)
{
	char buf[PATH_MAX];

	return node_answer(REAL(stat)(sv_path(path, buf), st), st);
}

SV_EXPORT int stat64(const char *path, struct stat64 *st)
{
	char buf[PATH_MAX];

	return node_answer(REAL(stat64)(sv_path(path, buf), st), AS_STAT(st));
}

SV_EXPORT int lstat(const char *path, struct stat *st)
{
	char buf[PATH_MAX];

	return node_answer(REAL(lstat)(sv_path(path, buf), st), st);
}

SV_EXPORT int lstat64(const char *path, struct stat64 *st)
{
	char buf[PATH_MAX];

	return node_answer(REAL(lstat64)(sv_path(path, buf), st), AS_STAT(st));
}

SV_EXPORT int fstat(int fd, struct stat *st)
{
	return fd_answer(REAL(fstat)(fd, st), fd, st);
}

SV_EXPORT int fstat64(int fd, struct stat64 *st)
{
	return fd_answer(REAL(fstat64)(fd, st), fd, AS_STAT(st));
}

SV_EXPORT int fstatat(int dirfd, const char *path, struct stat *st, int flags)
{
	char buf[PATH_MAX];
	int r = REAL(fstatat)(dirfd, sv_path(path, buf), st, flags);

	return is_fd_itself(path, flags) ? fd_answer(r, dirfd, st)
					 : node_answer(r, st);
}

SV_EXPORT int fstatat64(int dirfd, const char *path, struct stat64 *st,
			int flags)
{
	char buf[PATH_MAX];
	int r = REAL(fstatat64)(dirfd, sv_path(path, buf), st, flags);

	return is_fd_itself(path, flags) ? fd_answer(r, dirfd, AS_STAT(st))
					 : node_answer(r, AS_STAT(st));
}

SV_EXPORT int __xstat(int version, const char *path, struct stat *st)
{
	char buf[PATH_MAX];

	return node_answer(REAL(__xstat)(version, sv_path(path, buf), st), st);
}

SV_EXPORT int __xstat64(int version, const char *path, struct stat64 *st)
{
	char buf[PATH_MAX];

	return node_answer(REAL(__xstat64)(version, sv_path(path, buf), st),
			   AS_STAT(st));
}

SV_EXPORT int __lxstat(int version, const char *path, struct stat *st)
{
	char buf[PATH_MAX];

	return node_answer(REAL(__lxstat)(version, sv_path(path, buf), st), st);
}

SV_EXPORT int __lxstat64(int version, const char *path, struct stat64 *st)
{
	char buf[PATH_MAX];

	return node_answer(REAL(__lxstat64)(version, sv_path(path, buf), st),
			   AS_STAT(st));
}

SV_EXPORT int __fxstat(int version, int fd, struct stat *st)
{
	return fd_answer(REAL(__fxstat)(version, fd, st), fd, st);
}

SV_EXPORT int __fxstat64(int version, int fd, struct stat64 *st)
{
	return fd_answer(REAL(__fxstat64)(version, fd, st), fd, AS_STAT(st));
}

SV_EXPORT int __fxstatat(int version, int dirfd, const char *path,
			 struct stat *st, int flags)
{
	char buf[PATH_MAX];
	int r = REAL(__fxstatat)(version, dirfd, sv_path(path, buf), st, flags);

	return is_fd_itself(path, flags) ? fd_answer(r, dirfd, st)
					 : node_answer(r, st);
}

SV_EXPORT int __fxstatat64(int version, int dirfd, const char *path,
			   struct stat64 *st, int flags)
{
	char buf[PATH_MAX];
	int r = REAL(__fxstatat64)(version, dirfd, sv_path(path, buf), st,
				   flags);

	return is_fd_itself(path, flags) ? fd_answer(r, dirfd, AS_STAT(st))
					 : node_answer(r, AS_STAT(st));
}

SV_EXPORT int statx(int dirfd, const char *path, int flags, unsigned int mask,
		    struct statx *stx)
{
	char buf[PATH_MAX];
	/* The inode is what nodes are known by, whatever was asked for. */
	int r = REAL(statx)(dirfd, sv_path(path, buf), flags, mask | STATX_INO,
			    stx);
	struct stat st;

	if (r || (!sv_tree_peek() && !sv_fd_any()))
		return r;
	st = (struct stat){
		.st_dev = makedev(stx->stx_dev_major, stx->stx_dev_minor),
		.st_ino = stx->stx_ino,
		.st_mode = stx->stx_mode,
		.st_size = (off_t)stx->stx_size,
		.st_rdev = makedev(stx->stx_rdev_major, stx->stx_rdev_minor),
	};
	if (is_fd_itself(path, flags))
		fd_answer(0, dirfd, &st);
	else
		node_answer(0, &st);
	stx->stx_mode = (uint16_t)st.st_mode;
	stx->stx_size = (uint64_t)st.st_size;
	stx->stx_rdev_major = major(st.st_rdev);
	stx->stx_rdev_minor = minor(st.st_rdev);
	return r;
}
