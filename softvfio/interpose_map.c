/* SPDX-License-Identifier: MIT */
/*
 * Mapping BARs, and forgetting them.  Threads: see bar_map.c.  Allocators call
 * these very early and very often: without a BAR mapped, one load and a branch.
 */
#include "softvfio/interpose.h"

#include <stdarg.h>

#include "softvfio/device.h"

typedef void *mmap_fn(void *va, size_t len, int prot, int flags, int fd,
		      off_t off);

static bool any_bar(void)
{
	return atomic_load_explicit(&sv_bar_map_count, memory_order_relaxed);
}

/* MAP_FIXED takes the place of a BAR; any other mapping finds room beside. */
static void *map_other(mmap_fn *real, void *va, size_t len, int prot, int flags,
		       int fd, off_t off)
{
	void *p;

	if (!any_bar() || !(flags & MAP_FIXED))
		return real(va, len, prot, flags, fd, off);
	sv_bar_map_lock();
	p = real(va, len, prot, flags, fd, off);
	if (p != MAP_FAILED)
		sv_bar_map_cut(p, len);
	sv_bar_map_unlock();
	return p;
}

static int check_access(struct sv_file *f, int prot, int flags)
{
	int type = flags & MAP_TYPE;

	if (!sv_readable(f))
		return -EACCES;
	if ((prot & PROT_WRITE) && !sv_writable(f) && type != MAP_PRIVATE)
		return -EACCES;
	return 0;
}

static int map_ours(mmap_fn *real, struct sv_file *f, void **va, size_t len,
		    int prot, int flags, off_t off)
{
	struct sv_bar_mapping bar;
	off_t fd_off;
	bool is_bar;
	void *p;
	int r, fd;
	SV_NOT_CANCELLED();

	r = check_access(f, prot, flags);
	if (r)
		return r;
	if (!f->ops->mmap)
		return -ENODEV;
	r = f->ops->mmap(f, len, prot, flags, off, &fd, &fd_off);
	if (r)
		return r;
	is_bar = !sv_device_mapped_bar(f, len, off, &bar);
	sv_bar_map_lock();
	p = real(*va, len, prot, flags, fd, fd_off);
	r = p == MAP_FAILED ? -errno : 0;
	if (r == 0) {
		size_t page = (size_t)sysconf(_SC_PAGESIZE);

		len = (len + page - 1) & ~(page - 1);
		if (is_bar)
			sv_bar_map_add(p, len, &bar);
		else
			sv_bar_map_cut(p, len);
		*va = p;
	}
	sv_bar_map_unlock();
	return r;
}

static void *do_mmap(mmap_fn *real, void *va, size_t len, int prot, int flags,
		     int fd, off_t off)
{
	struct sv_file *f = flags & MAP_ANONYMOUS ? NULL : sv_file_get(fd);
	int r;

	if (!f)
		return map_other(real, va, len, prot, flags, fd, off);
	r = map_ours(real, f, &va, len, prot, flags, off);
	return sv_answer(f, r) ? MAP_FAILED : va;
}

SV_EXPORT void *mmap(void *va, size_t len, int prot, int flags, int fd,
		     off_t off)
{
	return do_mmap(REAL(mmap), va, len, prot, flags, fd, off);
}

SV_EXPORT void *mmap64(void *va, size_t len, int prot, int flags, int fd,
		       off64_t off)
{
	return do_mmap(REAL(mmap64), va, len, prot, flags, fd, off);
}

static size_t whole_pages(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (len + page - 1) & ~(page - 1);
}

SV_EXPORT int munmap(void *va, size_t len)
{
	int r;

	if (!any_bar())
		return REAL(munmap)(va, len);
	sv_bar_map_lock();
	r = REAL(munmap)(va, len);
	if (r == 0)
		sv_bar_map_cut(va, whole_pages(len));
	sv_bar_map_unlock();
	return r;
}

SV_EXPORT void *mremap(void *va, size_t old_len, size_t len, int flags, ...)
{
	void *wish, *p;
	va_list ap;

	va_start(ap, flags);
	wish = va_arg(ap, void *);
	va_end(ap);
	if (!any_bar())
		return REAL(mremap)(va, old_len, len, flags, wish);
	sv_bar_map_lock();
	p = REAL(mremap)(va, old_len, len, flags, wish);
	if (p != MAP_FAILED)
		sv_bar_map_move(va, whole_pages(old_len), p, whole_pages(len));
	sv_bar_map_unlock();
	return p;
}
