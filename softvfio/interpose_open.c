/* SPDX-License-Identifier: MIT */
/*
 * Opening: paths of the tree, and the device nodes in it.
 *
 * Invariant: the file that stands for a node is never handed out, but for
 * O_PATH, where it is what a path means.  Threads: no state.
 */
#include "softvfio/interpose.h"

#include <stdarg.h>

#include "softvfio/device.h"
#include "softvfio/iommu.h"

typedef int open_fn(const char *path, int flags, ...);
typedef int openat_fn(int dirfd, const char *path, int flags, ...);

static bool takes_mode(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

static int open_kind(const struct sv_node *node, struct sv_file **ret)
{
	struct sv_device *dev;

	switch (node->kind) {
	case SV_NODE_CONTAINER:
		return sv_container_open(ret);
	case SV_NODE_IOMMU:
		return sv_iommufd_open(ret);
	case SV_NODE_GROUP:
		return sv_group_open(ret, node->nr);
	case SV_NODE_CDEV:
		dev = sv_device_by_index(node->nr);
		return dev ? sv_device_open_cdev(dev, ret) : -ENODEV;
	}
	return -ENODEV;
}

static int open_node(const struct sv_node *node, int flags)
{
	struct sv_file *f;
	int r;
	SV_NOT_CANCELLED();

	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	if (sv_process_is_orphan() || sv_process_is_borrowed())
		return -ENODEV;
	r = open_kind(node, &f);
	if (r)
		return r;
	sv_open_file(f)->rdev = node->rdev;
	r = sv_file_install(f, flags);
	if (r < 0) {
		sv_file_put(f);
		return r;
	}
	if (!(flags & O_CLOEXEC))
		REAL(fcntl)(r, F_SETFD, 0);
	return r;
}

/* Which node does this path mean, links followed?  NULL: none. */
static const struct sv_node *node_at(int dirfd, const char *path)
{
	struct stat st;

	if (REAL(fstatat)(dirfd, path, &st, 0))
		return NULL;
	return sv_tree_node(&st);
}

static int open_at(int dirfd, const char *path, int flags, mode_t mode)
{
	const struct sv_node *node = NULL;
	int saved = errno;

	if (!(flags & O_PATH))
		node = node_at(dirfd, path);
	errno = saved;
	if (node)
		return (int)sv_result(open_node(node, flags));
	return sv_fd_fresh(REAL(openat)(dirfd, path, flags, mode));
}

/* Could a relative path from here end in the tree? */
static bool may_be_in_tree(int dirfd, const char *path)
{
	return dirfd != AT_FDCWD && path && path[0] != '/' && sv_tree_peek();
}

static int do_open(open_fn *real, const char *path, int flags, mode_t mode)
{
	char buf[PATH_MAX];
	const char *p = sv_path(path, buf);

	if (p != path)
		return open_at(AT_FDCWD, p, flags, mode);
	return sv_fd_fresh(real(path, flags, mode));
}

static int do_openat(openat_fn *real, int dirfd, const char *path, int flags,
		     mode_t mode)
{
	char buf[PATH_MAX];
	const char *p = sv_path(path, buf);

	if (p != path || may_be_in_tree(dirfd, path))
		return open_at(dirfd, p, flags, mode);
	return sv_fd_fresh(real(dirfd, path, flags, mode));
}

int sv_open(const char *path, int flags)
{
	return do_open(REAL(open), path, flags, 0);
}

#define GET_MODE(mode, flags)                                                  \
	do {                                                                   \
		va_list ap;                                                    \
                                                                               \
		va_start(ap, flags);                                           \
		if (takes_mode(flags))                                         \
			(mode) = va_arg(ap, mode_t);                           \
		va_end(ap);                                                    \
	} while (0)

SV_EXPORT int open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	GET_MODE(mode, flags);
	return do_open(REAL(open), path, flags, mode);
}

SV_EXPORT int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;

	GET_MODE(mode, flags);
	return do_open(REAL(open64), path, flags, mode);
}

SV_EXPORT int openat(int dirfd, const char *path, int flags, ...)
{
	mode_t mode = 0;

	GET_MODE(mode, flags);
	return do_openat(REAL(openat), dirfd, path, flags, mode);
}

SV_EXPORT int openat64(int dirfd, const char *path, int flags, ...)
{
	mode_t mode = 0;

	GET_MODE(mode, flags);
	return do_openat(REAL(openat64), dirfd, path, flags, mode);
}

/* Fortified: without a mode; the real one ends programs that need one. */
SV_EXPORT int __open_2(const char *path, int flags)
{
	if (takes_mode(flags))
		return REAL(__open_2)(path, flags);
	return do_open(REAL(open), path, flags, 0);
}

SV_EXPORT int __open64_2(const char *path, int flags)
{
	if (takes_mode(flags))
		return REAL(__open64_2)(path, flags);
	return do_open(REAL(open64), path, flags, 0);
}

SV_EXPORT int __openat_2(int dirfd, const char *path, int flags)
{
	if (takes_mode(flags))
		return REAL(__openat_2)(dirfd, path, flags);
	return do_openat(REAL(openat), dirfd, path, flags, 0);
}

SV_EXPORT int __openat64_2(int dirfd, const char *path, int flags)
{
	if (takes_mode(flags))
		return REAL(__openat64_2)(dirfd, path, flags);
	return do_openat(REAL(openat64), dirfd, path, flags, 0);
}

/* "r+e" and the like, for the descriptor below a stream. */
static int stream_flags(const char *mode)
{
	int flags = mode[0] == 'r' ? O_RDONLY : O_WRONLY;

	for (const char *p = mode; *p && *p != ','; p++) {
		if (*p == '+')
			flags = (flags & ~O_ACCMODE) | O_RDWR;
		if (*p == 'e')
			flags |= O_CLOEXEC;
		if (*p == 'x')
			flags |= O_CREAT | O_EXCL;
	}
	return flags;
}

typedef FILE *fopen_fn(const char *path, const char *mode);

/*
 * A stream over a device: fileno() is the device.  libc reads and writes
 * streams below the names that we define, so they find it empty and sealed.
 */
static FILE *do_fopen(fopen_fn *real, const char *path, const char *mode)
{
	char buf[PATH_MAX];
	const char *p = sv_path(path, buf);
	const struct sv_node *node = p != path ? node_at(AT_FDCWD, p) : NULL;
	FILE *stream;
	int fd;

	if (!node) {
		stream = real(p, mode);
		if (stream)
			sv_fd_fresh(fileno(stream));
		return stream;
	}
	fd = (int)sv_result(open_node(node, stream_flags(mode)));
	if (fd < 0)
		return NULL;
	stream = fdopen(fd, mode);
	if (!stream) {
		int saved = errno;

		close(fd);
		errno = saved;
	}
	return stream;
}

SV_EXPORT FILE *fopen(const char *path, const char *mode)
{
	return do_fopen(REAL(fopen), path, mode);
}

SV_EXPORT FILE *fopen64(const char *path, const char *mode)
{
	return do_fopen(REAL(fopen64), path, mode);
}
