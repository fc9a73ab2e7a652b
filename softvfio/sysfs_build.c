/* SPDX-License-Identifier: MIT */
/* See sysfs_build.h.  Threads: as there. */
#include "softvfio/sysfs_build.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdarg.h>
#include <string.h>

#include "softvfio/real.h"

static bool format(struct sv_builder *b, char *path, const char *fmt,
		   va_list ap) __attribute__((format(printf, 3, 0)));

static bool format(struct sv_builder *b, char *path, const char *fmt,
		   va_list ap)
{
	if (!b->err && vsnprintf(path, PATH_MAX, fmt, ap) >= PATH_MAX)
		b->err = -ENAMETOOLONG;
	return !b->err;
}

static void make_dirs(struct sv_builder *b, char *path)
{
	for (char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdirat(b->fd, path, 0755) && errno != EEXIST)
			b->err = -errno;
		*p = '/';
	}
}

void sv_add_dir(struct sv_builder *b, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	bool ok;

	va_start(ap, fmt);
	ok = format(b, path, fmt, ap);
	va_end(ap);
	if (!ok)
		return;
	make_dirs(b, path);
	if (!b->err && mkdirat(b->fd, path, 0755) && errno != EEXIST)
		b->err = -errno;
}

static int make_file(struct sv_builder *b, char *path, mode_t mode)
{
	int fd;

	make_dirs(b, path);
	if (b->err)
		return -1;
	fd = REAL(openat)(b->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			  0600);
	if (fd < 0 || fchmod(fd, mode))
		b->err = -errno;
	return fd;
}

static void write_file(struct sv_builder *b, char *path, const void *bytes,
		       size_t len)
{
	int fd = make_file(b, path, 0444);

	if (!b->err && REAL(write)(fd, bytes, len) != (ssize_t)len)
		b->err = -EIO;
	if (fd >= 0)
		REAL(close)(fd);
}

void sv_add_bytes(struct sv_builder *b, const void *bytes, size_t len,
		  const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	bool ok;

	va_start(ap, fmt);
	ok = format(b, path, fmt, ap);
	va_end(ap);
	if (ok)
		write_file(b, path, bytes, len);
}

void sv_add_link(struct sv_builder *b, const char *target, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	bool ok;

	va_start(ap, fmt);
	ok = format(b, path, fmt, ap);
	va_end(ap);
	if (!ok)
		return;
	make_dirs(b, path);
	/* Devices of one group link the same things twice. */
	if (!b->err && symlinkat(target, b->fd, path) && errno != EEXIST)
		b->err = -errno;
}

void sv_add_node(struct sv_builder *b, enum sv_node_kind kind, unsigned int nr,
		 dev_t rdev, mode_t mode, const char *name)
{
	struct sv_tree *t = b->tree;
	struct sv_node *grown;
	char path[PATH_MAX];
	struct stat st;
	int fd;

	if (b->err)
		return;
	snprintf(path, sizeof(path), "dev/%s", name);
	grown = reallocarray(t->nodes, t->nr_nodes + 1, sizeof(*grown));
	if (!grown) {
		b->err = -ENOMEM;
		return;
	}
	t->nodes = grown;
	fd = make_file(b, path, mode);
	if (!b->err && REAL(fstat)(fd, &st))
		b->err = -errno;
	if (fd >= 0)
		REAL(close)(fd);
	if (!b->err)
		t->nodes[t->nr_nodes++] = (struct sv_node){
			.kind = kind, .nr = nr, .rdev = rdev, .ino = st.st_ino
		};
}
