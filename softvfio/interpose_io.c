/* SPDX-License-Identifier: MIT */
/*
 * ioctl, and reading and writing, on files of ours.  The order of checks is
 * the kernel's: position, seekable, access mode, then the file.
 * Threads: no state; a reference keeps the file for the call.
 */
#include "softvfio/interpose.h"

#include <stdarg.h>

/* Answered above any file by the kernel: the placeholder does as well. */
static bool is_generic(unsigned long request)
{
	switch (request) {
	case FIOCLEX:
	case FIONCLEX:
	case FIONBIO:
	case FIOASYNC:
		return true;
	default:
		return false;
	}
}

static long do_ioctl(struct sv_file *f, unsigned long request, void *arg)
{
	SV_NOT_CANCELLED();

	return f->ops->ioctl ? f->ops->ioctl(f, request, arg) : -ENOTTY;
}

SV_EXPORT int ioctl(int fd, unsigned long request, ...)
{
	struct sv_file *f = sv_file_get(fd);
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	/* The kernel takes 32 bits; programs sign-extend them. */
	request &= UINT32_MAX;
	if (!f)
		return REAL(ioctl)(fd, request, arg);
	if (is_generic(request)) {
		sv_file_put(f);
		return REAL(ioctl)(fd, request, arg);
	}
	return (int)sv_answer(f, do_ioctl(f, request, arg));
}

static ssize_t do_read(struct sv_file *f, void *buf, size_t len)
{
	SV_NOT_CANCELLED();

	if (!sv_readable(f))
		return -EBADF;
	if (!f->ops->read || (ssize_t)len < 0)
		return -EINVAL;
	return f->ops->read(f, buf, len);
}

static ssize_t do_write(struct sv_file *f, const void *buf, size_t len)
{
	SV_NOT_CANCELLED();

	if (!sv_writable(f))
		return -EBADF;
	if (!f->ops->write || (ssize_t)len < 0)
		return -EINVAL;
	return f->ops->write(f, buf, len);
}

/* Files with no position at all, as a device's data, are streams. */
static ssize_t do_pread(struct sv_file *f, void *buf, size_t len, off_t off)
{
	SV_NOT_CANCELLED();

	if (off < 0)
		return -EINVAL;
	if (!f->ops->pread)
		return f->ops->read || f->ops->write ? -ESPIPE : -EINVAL;
	if (!sv_readable(f))
		return -EBADF;
	if ((ssize_t)len < 0)
		return -EINVAL;
	return f->ops->pread(f, buf, len, off);
}

static ssize_t do_pwrite(struct sv_file *f, const void *buf, size_t len,
			 off_t off)
{
	SV_NOT_CANCELLED();

	if (off < 0)
		return -EINVAL;
	if (!f->ops->pwrite)
		return f->ops->read || f->ops->write ? -ESPIPE : -EINVAL;
	if (!sv_writable(f))
		return -EBADF;
	if ((ssize_t)len < 0)
		return -EINVAL;
	return f->ops->pwrite(f, buf, len, off);
}

SV_EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	struct sv_file *f = sv_file_get(fd);

	return f ? sv_answer(f, do_read(f, buf, len))
		 : REAL(read)(fd, buf, len);
}

SV_EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	struct sv_file *f = sv_file_get(fd);

	return f ? sv_answer(f, do_write(f, buf, len))
		 : REAL(write)(fd, buf, len);
}

SV_EXPORT ssize_t pread(int fd, void *buf, size_t len, off_t off)
{
	struct sv_file *f = sv_file_get(fd);

	return f ? sv_answer(f, do_pread(f, buf, len, off))
		 : REAL(pread)(fd, buf, len, off);
}

SV_EXPORT ssize_t pread64(int fd, void *buf, size_t len, off64_t off)
{
	struct sv_file *f = sv_file_get(fd);

	return f ? sv_answer(f, do_pread(f, buf, len, off))
		 : REAL(pread64)(fd, buf, len, off);
}

SV_EXPORT ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
{
	struct sv_file *f = sv_file_get(fd);

	return f ? sv_answer(f, do_pwrite(f, buf, len, off))
		 : REAL(pwrite)(fd, buf, len, off);
}

SV_EXPORT ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off)
{
	struct sv_file *f = sv_file_get(fd);

	return f ? sv_answer(f, do_pwrite(f, buf, len, off))
		 : REAL(pwrite64)(fd, buf, len, off);
}

/* Fortified: the real one ends a program that overruns its buffer. */
SV_EXPORT ssize_t __read_chk(int fd, void *buf, size_t len, size_t size)
{
	struct sv_file *f = len <= size ? sv_file_get(fd) : NULL;

	return f ? sv_answer(f, do_read(f, buf, len))
		 : REAL(__read_chk)(fd, buf, len, size);
}

SV_EXPORT ssize_t __pread_chk(int fd, void *buf, size_t len, off_t off,
			      size_t size)
{
	struct sv_file *f = len <= size ? sv_file_get(fd) : NULL;

	return f ? sv_answer(f, do_pread(f, buf, len, off))
		 : REAL(__pread_chk)(fd, buf, len, off, size);
}

SV_EXPORT ssize_t __pread64_chk(int fd, void *buf, size_t len, off_t off,
				size_t size)
{
	struct sv_file *f = len <= size ? sv_file_get(fd) : NULL;

	return f ? sv_answer(f, do_pread(f, buf, len, off))
		 : REAL(__pread64_chk)(fd, buf, len, off, size);
}

SV_EXPORT off_t lseek(int fd, off_t off, int whence)
{
	struct sv_file *f = sv_file_get(fd);

	return f ? sv_answer(f, -ESPIPE) : REAL(lseek)(fd, off, whence);
}

SV_EXPORT off64_t lseek64(int fd, off64_t off, int whence)
{
	struct sv_file *f = sv_file_get(fd);

	return f ? sv_answer(f, -ESPIPE) : REAL(lseek64)(fd, off, whence);
}

/* -- scatter and gather ------------------------------------------------- */

enum { AT_FILE_POSITION = -1 };

static ssize_t one_segment(struct sv_file *f, const struct iovec *v, bool write,
			   off_t off)
{
	if (off == AT_FILE_POSITION)
		return write ? do_write(f, v->iov_base, v->iov_len)
			     : do_read(f, v->iov_base, v->iov_len);
	return write ? do_pwrite(f, v->iov_base, v->iov_len, off)
		     : do_pread(f, v->iov_base, v->iov_len, off);
}

/* One call of the file a segment, ending at the first short one. */
static ssize_t do_vector(struct sv_file *f, const struct iovec *user, int nr,
			 bool write, off_t off)
{
	ssize_t total = 0, n;
	struct iovec v;
	int r;

	if (nr < 0 || nr > IOV_MAX)
		return -EINVAL;
	for (int i = 0; i < nr; i++) {
		r = sv_copy_in(&v, &user[i], sizeof(v));
		if (r)
			return total ? total : r;
		n = one_segment(f, &v, write, off);
		if (n < 0)
			return total ? total : n;
		total += n;
		if (off != AT_FILE_POSITION)
			off += n;
		if ((size_t)n != v.iov_len)
			break;
	}
	return total;
}

SV_EXPORT ssize_t readv(int fd, const struct iovec *v, int nr)
{
	struct sv_file *f = sv_file_get(fd);

	return f ? sv_answer(f, do_vector(f, v, nr, false, AT_FILE_POSITION))
		 : REAL(readv)(fd, v, nr);
}

SV_EXPORT ssize_t writev(int fd, const struct iovec *v, int nr)
{
	struct sv_file *f = sv_file_get(fd);

	return f ? sv_answer(f, do_vector(f, v, nr, true, AT_FILE_POSITION))
		 : REAL(writev)(fd, v, nr);
}

/* AT_FILE_POSITION is no offset but for the calls with flags. */
static ssize_t do_pvector(struct sv_file *f, const struct iovec *v, int nr,
			  bool write, off_t off)
{
	return off < 0 ? -EINVAL : do_vector(f, v, nr, write, off);
}

static ssize_t do_pvector2(struct sv_file *f, const struct iovec *v, int nr,
			   bool write, off_t off, int flags)
{
	if (flags)
		return -EOPNOTSUPP;
	if (off < AT_FILE_POSITION)
		return -EINVAL;
	return do_vector(f, v, nr, write, off);
}

#define PVECTOR(name, write, off_type)                                         \
	SV_EXPORT ssize_t name(int fd, const struct iovec *v, int nr,          \
			       off_type off)                                   \
	{                                                                      \
		struct sv_file *f = sv_file_get(fd);                           \
                                                                               \
		return f ? sv_answer(f, do_pvector(f, v, nr, write, off))      \
			 : REAL(name)(fd, v, nr, off);                         \
	}
PVECTOR(preadv, false, off_t)
PVECTOR(preadv64, false, off64_t)
PVECTOR(pwritev, true, off_t)
PVECTOR(pwritev64, true, off64_t)

#define PVECTOR2(name, write, off_type)                                        \
	SV_EXPORT ssize_t name(int fd, const struct iovec *v, int nr,          \
			       off_type off, int flags)                        \
	{                                                                      \
		struct sv_file *f = sv_file_get(fd);                           \
                                                                               \
		return f ? sv_answer(f,                                        \
				     do_pvector2(f, v, nr, write, off, flags)) \
			 : REAL(name)(fd, v, nr, off, flags);                  \
	}
PVECTOR2(preadv2, false, off_t)
PVECTOR2(preadv64v2, false, off64_t)
PVECTOR2(pwritev2, true, off_t)
PVECTOR2(pwritev64v2, true, off64_t)

/* -- kernel-side copies: VFIO's files have none ------------------------- */

static bool either_is_ours(int a, int b)
{
	struct sv_file *f = sv_file_get(a);

	if (!f)
		f = sv_file_get(b);
	if (!f)
		return false;
	sv_file_put(f);
	return true;
}

SV_EXPORT ssize_t sendfile(int out, int in, off_t *off, size_t len)
{
	return either_is_ours(out, in) ? sv_result(-EINVAL)
				       : REAL(sendfile)(out, in, off, len);
}

SV_EXPORT ssize_t sendfile64(int out, int in, off64_t *off, size_t len)
{
	return either_is_ours(out, in) ? sv_result(-EINVAL)
				       : REAL(sendfile64)(out, in, off, len);
}

SV_EXPORT ssize_t splice(int in, off64_t *in_off, int out, off64_t *out_off,
			 size_t len, unsigned int flags)
{
	return either_is_ours(in, out)
		       ? sv_result(-EINVAL)
		       : REAL(splice)(in, in_off, out, out_off, len, flags);
}

SV_EXPORT ssize_t copy_file_range(int in, off64_t *in_off, int out,
				  off64_t *out_off, size_t len,
				  unsigned int flags)
{
	return either_is_ours(in, out)
		       ? sv_result(-EINVAL)
		       : REAL(copy_file_range)(in, in_off, out, out_off, len,
					       flags);
}

/* -- only regular files have a length to set ---------------------------- */

SV_EXPORT int ftruncate(int fd, off_t len)
{
	return either_is_ours(fd, fd) ? (int)sv_result(-EINVAL)
				      : REAL(ftruncate)(fd, len);
}

SV_EXPORT int ftruncate64(int fd, off64_t len)
{
	return either_is_ours(fd, fd) ? (int)sv_result(-EINVAL)
				      : REAL(ftruncate64)(fd, len);
}
