/* SPDX-License-Identifier: MIT */
/*
 * The shared memory of stamps.h.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stamps.h"

int stamps_create(size_t nr)
{
	int fd = memfd_create("spoor-stamps", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)((nr + 1) * sizeof(struct stamps)))) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

struct stamps *stamps_map(int fd, size_t nr)
{
	void *p =
		mmap(NULL, (nr + 1) * sizeof(struct stamps),
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

void stamps_unmap(struct stamps *s, size_t nr)
{
	if (s)
		munmap(s, (nr + 1) * sizeof(struct stamps));
}
