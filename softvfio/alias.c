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
#include <pthread.h>
#include <stdatomic.h>
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

/*
 * The kernel pins without an address of the program's.  Ours need some, and
 * mmap() would give out the holes that the program left on purpose, such as
 * the guard behind a buffer: what should fault would be our memory.  So they
 * go, one after another, to the middle of a range so large that nothing else
 * is near; each begins at a multiple of its size, so that huge pages fit.
 * Where that is taken or cannot be had, the kernel chooses.
 */
#define FAR_RANGE (1ull << 42)
#define FAR_ALIGN (1ull << 30)

static pthread_once_t far_once = PTHREAD_ONCE_INIT;
static uintptr_t far_start; /* 0: none */
static atomic_ullong far_next;

static void find_far(void)
{
	void *p =
		REAL(mmap)(NULL, FAR_RANGE, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return;
	REAL(munmap)(p, FAR_RANGE);
	far_start = ((uintptr_t)p + FAR_RANGE / 2) & ~(FAR_ALIGN - 1);
}

static void *far_address(const void *like, size_t len)
{
	uintptr_t size = len > FAR_ALIGN / 2
				 ? (len + FAR_ALIGN - 1) & ~(FAR_ALIGN - 1)
				 : 1ull << 21;
	uintptr_t at;

	pthread_once(&far_once, find_far);
	while (size < len)
		size <<= 1;
	/* Twice the room: an unaligned start keeps its place in a huge page. */
	at = atomic_fetch_add(&far_next, size * 2) % (FAR_RANGE / 4);
	at = (at + size - 1) & ~((size < FAR_ALIGN ? size : FAR_ALIGN) - 1);
	if (!far_start)
		return NULL;
	return (void *)(far_start + at + ((uintptr_t)like & ((1ul << 21) - 1)));
}

void *sv_reserve(const void *like, size_t len)
{
	return REAL(mmap)(far_address(like, len), len, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static int map_piece(const struct area *a, uintptr_t to)
{
	void *p = REAL(mremap)((void *)a->start, 0, a->end - a->start,
			       MREMAP_MAYMOVE | MREMAP_FIXED, (void *)to);

	return p == MAP_FAILED ? -errno : 0;
}

static int map_pieces(const struct areas *as, void **ret)
{
	size_t len = as->end - as->start;
	void *base = sv_reserve((void *)as->start, len);
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
		r = map_pieces(&as, &base);
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
