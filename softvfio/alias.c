/* SPDX-License-Identifier: MIT */
/*
 * Second mappings of a program's memory: what pinning is to the kernel.
 *
 * A shared mapping is mapped again with mremap(va, 0, ...), piece by piece as
 * /proc/self/maps cuts it.  The copy has page tables of its own: whatever
 * watches the program's view (userfaultfd, soft-dirty) does not see writes
 * through it, as it does not see a device's.
 *
 * Invariant: the alias holds the bytes of the range at the time of the call;
 * like a pin, it keeps them when the program unmaps its own view.
 *
 * Threads: any.  A program that changes the range meanwhile gets either
 * mapping, or -EFAULT; never memory outside of what it had there.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "softvfio/real.h"
#include "softvfio/shim.h"

struct area {
	uintptr_t start, end; /* cut to the range */
	bool shared;
};

struct areas {
	uintptr_t start, end; /* page aligned */
	bool write;
	struct area *area;
	size_t nr, room;
	uintptr_t next; /* everything below is covered */
};

static uintptr_t page_mask(void)
{
	return (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
}

static int add_area(struct areas *as, uintptr_t start, uintptr_t end,
		    bool shared)
{
	struct area *grown;

	if (as->nr == as->room) {
		size_t more = as->room ? as->room * 2 : 8;

		grown = reallocarray(as->area, more, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		as->area = grown;
		as->room = more;
	}
	as->area[as->nr++] =
		(struct area){ .start = start, .end = end, .shared = shared };
	return 0;
}

/* "start-end rwxs ..."; 0: next line, 1: all covered, or -errno. */
static int take_line(struct areas *as, const char *line)
{
	uintptr_t start, end;
	char *p;

	start = strtoull(line, &p, 16);
	if (*p++ != '-')
		return -EIO;
	end = strtoull(p, &p, 16);
	if (strlen(p) < 5)
		return -EIO;
	if (end <= as->next)
		return 0;
	if (start > as->next)
		return -EFAULT; /* a hole */
	if (p[as->write ? 2 : 1] != (as->write ? 'w' : 'r'))
		return -EFAULT;
	if (end > as->end)
		end = as->end;
	if (add_area(as, as->next, end, p[4] == 's'))
		return -ENOMEM;
	as->next = end;
	return end == as->end;
}

static int find_areas(struct areas *as)
{
	SPOOR_AUTO_HEAP char *line = NULL;
	size_t size = 0;
	FILE *maps = REAL(fopen)("/proc/self/maps", "re");
	int r = 0;

	if (!maps)
		return -errno;
	while (r == 0 && getline(&line, &size, maps) > 0)
		r = take_line(as, line);
	REAL(fclose)(maps);
	/* The file ended before the range did. */
	return r == 0 ? -EFAULT : r < 0 ? r : 0;
}

/*
 * Pages past the end of the file below are mapped and not there; the last page
 * of each area tells, for files end once.  Hardware would fault them in while
 * pinning.
 */
static int probe(const struct areas *as)
{
	char byte;

	for (size_t i = 0; i < as->nr; i++) {
		int r = sv_copy_in(&byte, (void *)(as->area[i].end - 1), 1);

		if (r)
			return r;
	}
	return 0;
}

static bool all_shared(const struct areas *as)
{
	for (size_t i = 0; i < as->nr; i++)
		if (!as->area[i].shared)
			return false;
	return true;
}

static int map_piece(const struct area *a, uintptr_t to)
{
	void *p = REAL(mremap)((void *)a->start, 0, a->end - a->start,
			       MREMAP_MAYMOVE | MREMAP_FIXED, (void *)to);

	return p == MAP_FAILED ? -errno : 0;
}

/* One area needs no reservation, so the kernel can align huge pages. */
static int map_one(const struct area *a, void **ret)
{
	void *p = REAL(mremap)((void *)a->start, 0, a->end - a->start,
			       MREMAP_MAYMOVE);

	if (p == MAP_FAILED)
		return -errno;
	*ret = p;
	return 0;
}

static int map_many(const struct areas *as, void **ret)
{
	size_t len = as->end - as->start;
	void *base =
		REAL(mmap)(NULL, len, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int r = 0;

	if (base == MAP_FAILED)
		return -errno;
	for (size_t i = 0; r == 0 && i < as->nr; i++)
		r = map_piece(&as->area[i],
			      (uintptr_t)base + as->area[i].start - as->start);
	if (r) {
		REAL(munmap)(base, len);
		return r;
	}
	*ret = base;
	return 0;
}

int sv_alias_map(const void *va, size_t len, int write, void **ret,
		 int *ret_alias)
{
	struct areas as = { .write = write };
	uintptr_t mask = page_mask(), end;
	void *base = NULL;
	int r;

	if (!len || __builtin_add_overflow((uintptr_t)va, len, &end) ||
	    end > UINTPTR_MAX - mask)
		return -EFAULT;
	as.start = as.next = (uintptr_t)va & ~mask;
	as.end = (end + mask) & ~mask;
	r = find_areas(&as);
	if (r == 0)
		r = probe(&as);
	if (r == 0 && !all_shared(&as))
		r = -EINVAL;
	if (r == 0)
		r = as.nr == 1 ? map_one(as.area, &base) : map_many(&as, &base);
	free(as.area);
	/* Private, or huge pages cut across, or no such mremap (valgrind). */
	if (r == -EINVAL) {
		*ret = (void *)va;
		*ret_alias = 0;
		return 0;
	}
	if (r)
		return r;
	/* Through a read-only alias our own mistakes cannot write either. */
	if (mprotect(base, as.end - as.start,
		     write ? PROT_READ | PROT_WRITE : PROT_READ)) {
		r = -errno;
		REAL(munmap)(base, as.end - as.start);
		return r;
	}
	*ret = (char *)base + ((uintptr_t)va & mask);
	*ret_alias = 1;
	return 0;
}

void sv_alias_unmap(void *alias, size_t len)
{
	uintptr_t mask = page_mask(), start = (uintptr_t)alias & ~mask;
	uintptr_t end = ((uintptr_t)alias + len + mask) & ~mask;

	REAL(munmap)((void *)start, end - start);
}
