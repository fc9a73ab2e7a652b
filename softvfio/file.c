/* SPDX-License-Identifier: MIT */
/*
 * Open files: their references, and the placeholders that descriptors are.
 * Invariant: a file is released once, by whoever drops the last reference,
 * with no lock of the shim held.  Threads: any.
 */
#include "softvfio/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "softvfio/real.h"
#include "softvfio/shim.h"

/* Only ever touched by the one thread of a fresh child. */
static struct sv_open_file *retired;

struct sv_file *sv_file_new(const struct sv_file_ops *ops, void *priv)
{
	struct sv_open_file *of = calloc(1, sizeof(*of));

	if (!of)
		return NULL;
	of->file.ops = ops;
	of->file.priv = priv;
	of->oflags = O_RDWR;
	atomic_init(&of->file.refs, 1);
	return &of->file;
}

struct sv_file *sv_file_ref(struct sv_file *f)
{
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	return f;
}

void sv_file_put(struct sv_file *f)
{
	/* acq_rel: the release sees what every other user did to the file. */
	if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (f->ops->release) {
		SV_NOT_CANCELLED();
		f->ops->release(f);
	}
	free(sv_open_file(f));
}

void sv_file_retire(struct sv_file *f)
{
	struct sv_open_file *of = sv_open_file(f);

	if (of->is_retired)
		return; /* by another of its descriptors */
	of->is_retired = true;
	of->retired = retired;
	retired = of;
}

/* Opened again for its access mode: a memfd is always read-write. */
static int reopen(int fd, int access_mode)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = REAL(open)(path, access_mode | O_CLOEXEC);
	if (again < 0)
		return fd; /* no procfs: only F_GETFL tells the difference */
	REAL(close)(fd);
	return again;
}

/*
 * A memfd: poll finds it ready, epoll refuses it, as with VFIO's own.  Sealed,
 * so that a write that went around us fails instead of vanishing.
 */
static int open_placeholder(const char *what, int oflags)
{
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "softvfio:%s", what);
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	REAL(fcntl)
	(fd, F_ADD_SEALS,
	 F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL);
	if ((oflags & O_ACCMODE) != O_RDWR)
		fd = reopen(fd, oflags & O_ACCMODE);
	if (oflags & O_NONBLOCK)
		REAL(fcntl)(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

int sv_file_install(struct sv_file *f, int oflags)
{
	int fd, r;

	/* The table is the parent's, the number would be the child's. */
	if (sv_process_is_borrowed())
		return -ENODEV;
	fd = open_placeholder(f->ops->name ? f->ops->name : "", oflags);
	if (fd < 0)
		return fd;
	sv_process_note_use();
	sv_open_file(f)->oflags = oflags & O_ACCMODE;
	r = sv_fd_set(fd, f);
	if (r) {
		REAL(close)(fd);
		return r;
	}
	return fd;
}

/* -- what the parent's files are to a forked child ---------------------- */

static long dead_ioctl(struct sv_file *f, unsigned long request, void *arg)
{
	(void)f;
	(void)request;
	(void)arg;
	return -ENODEV;
}

static ssize_t dead_read(struct sv_file *f, void *buf, size_t len)
{
	(void)f;
	(void)buf;
	(void)len;
	return -ENODEV;
}

static ssize_t dead_write(struct sv_file *f, const void *buf, size_t len)
{
	(void)f;
	(void)buf;
	(void)len;
	return -ENODEV;
}

static ssize_t dead_pread(struct sv_file *f, void *buf, size_t len, off_t off)
{
	(void)off;
	return dead_read(f, buf, len);
}

static ssize_t dead_pwrite(struct sv_file *f, const void *buf, size_t len,
			   off_t off)
{
	(void)off;
	return dead_write(f, buf, len);
}

static int dead_mmap(struct sv_file *f, size_t len, int prot, int flags,
		     off_t off, int *ret_fd, off_t *ret_off)
{
	(void)f;
	(void)len;
	(void)prot;
	(void)flags;
	(void)off;
	(void)ret_fd;
	(void)ret_off;
	return -ENODEV;
}

static const struct sv_file_ops dead_ops = {
	.name = "dead",
	.ioctl = dead_ioctl,
	.read = dead_read,
	.write = dead_write,
	.pread = dead_pread,
	.pwrite = dead_pwrite,
	.mmap = dead_mmap,
};

struct sv_file *sv_file_dead(void)
{
	/* Its own reference is never dropped. */
	static struct sv_open_file dead = {
		.file = { .ops = &dead_ops, .refs = 1 },
		.oflags = O_RDWR,
		.is_retired = true, /* nothing to keep */
	};

	return sv_file_ref(&dead.file);
}
