/* SPDX-License-Identifier: MIT */
/*
 * The guest's memory map.  Invariant: regions are sorted by guest address;
 * neither their guest addresses nor their hva overlap; backings[i] belongs to
 * regions[i]: a second mapping and a descriptor of its backing file if it has
 * one, its hva and -1 otherwise.
 *
 * Threads: built by one, then read only.
 */
#include "memory/memory_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/range.h"

#define PAGE UINT64_C(4096)

struct backing {
	void *alias;
	int fd; /* our own: the caller may close its one */
	bool tells_holes;
};

struct spoor_memory {
	struct spoor_region *regions;
	struct backing *backings;
	size_t nr, room;
};

int spoor_memory_new(struct spoor_memory **ret)
{
	struct spoor_memory *m = calloc(1, sizeof(*m));

	if (!m)
		return spoor_fail(ENOMEM, "memory: out of memory");
	*ret = m;
	return 0;
}

static struct spoor_range hva_range(const struct spoor_region *r)
{
	return (struct spoor_range){ .iova = (uintptr_t)r->hva,
				     .len = r->range.len };
}

/* The backing file must hold the region: beyond its end lies a SIGBUS. */
static int check_file(const struct spoor_region *r)
{
	struct spoor_range in_file = { .iova = r->offset, .len = r->range.len };
	struct stat st;

	if (fstat(r->fd, &st))
		return spoor_fail_errno("memory at 0x%" PRIx64
					": backing file %d",
					r->range.iova, r->fd);
	if (!spoor_range_valid(&in_file) ||
	    !spoor_range_aligned(&in_file, PAGE))
		return spoor_fail(
			EINVAL,
			"memory at 0x%" PRIx64 ": offset 0x%" PRIx64
			" of its backing file is unaligned or too far",
			r->range.iova, r->offset);
	/* Devices (dax) have no size to check. */
	if (S_ISREG(st.st_mode) &&
	    spoor_range_last(&in_file) >= (uint64_t)st.st_size)
		return spoor_fail(EINVAL,
				  "memory at 0x%" PRIx64 "+0x%" PRIx64
				  ": its backing file ends at 0x%" PRIx64
				  ", before offset 0x%" PRIx64,
				  r->range.iova, r->range.len,
				  (uint64_t)st.st_size,
				  spoor_range_last(&in_file));
	return 0;
}

static int check_region(const struct spoor_region *r)
{
	struct spoor_range hva = hva_range(r);

	if (r->flags & ~SPOOR_REGION_READONLY)
		return spoor_fail(EINVAL,
				  "memory at 0x%" PRIx64 ": unknown flags 0x%x",
				  r->range.iova, r->flags);
	if (!spoor_range_valid(&r->range))
		return spoor_fail(EINVAL,
				  "memory at 0x%" PRIx64 "+0x%" PRIx64
				  " is empty or past 2^64",
				  r->range.iova, r->range.len);
	if (!spoor_range_aligned(&r->range, PAGE))
		return spoor_fail(EINVAL,
				  "memory at 0x%" PRIx64 "+0x%" PRIx64
				  " is not aligned to 4 KiB",
				  r->range.iova, r->range.len);
	if (!r->hva || !spoor_range_valid(&hva) ||
	    !spoor_range_aligned(&hva, PAGE))
		return spoor_fail(EINVAL,
				  "memory at 0x%" PRIx64
				  ": host address %p is no 4 KiB page, or its "
				  "end wraps",
				  r->range.iova, r->hva);
	return r->fd >= 0 ? check_file(r) : 0;
}

/* @ret_at: where @r belongs. */
static int check_overlaps(const struct spoor_memory *m,
			  const struct spoor_region *r, size_t *ret_at)
{
	struct spoor_range hva = hva_range(r);
	size_t at = 0, i;

	for (i = 0; i < m->nr; i++) {
		const struct spoor_region *old = &m->regions[i];
		struct spoor_range old_hva = hva_range(old);

		if (spoor_range_overlaps(&old->range, &r->range))
			return spoor_fail(EEXIST,
					  "memory at 0x%" PRIx64 "+0x%" PRIx64
					  " overlaps the region at 0x%" PRIx64
					  "+0x%" PRIx64,
					  r->range.iova, r->range.len,
					  old->range.iova, old->range.len);
		if (spoor_range_overlaps(&old_hva, &hva))
			return spoor_fail(EEXIST,
					  "memory at 0x%" PRIx64 "+0x%" PRIx64
					  ": host address %p is in use by the "
					  "region at 0x%" PRIx64 "+0x%" PRIx64,
					  r->range.iova, r->range.len, r->hva,
					  old->range.iova, old->range.len);
		if (old->range.iova < r->range.iova)
			at = i + 1;
	}
	*ret_at = at;
	return 0;
}

static int make_room(struct spoor_memory *m)
{
	size_t room = m->room ? 2 * m->room : 8;
	struct spoor_region *regions;
	struct backing *backings;

	if (m->nr < m->room)
		return 0;
	/* One may grow without the other: room is what both have. */
	regions = reallocarray(m->regions, room, sizeof(*regions));
	if (regions)
		m->regions = regions;
	backings = reallocarray(m->backings, room, sizeof(*backings));
	if (backings)
		m->backings = backings;
	if (!regions || !backings)
		return spoor_fail(ENOMEM,
				  "memory of %zu regions: out of memory", room);
	m->room = room;
	return 0;
}

/*
 * Where memory is the file, a page that was stored to is no hole from then on.
 * Other file systems may learn of it when it is written back.
 */
static bool tells_holes(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) &&
	       (fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC);
}

static int open_backing(const struct spoor_region *r, struct backing *ret)
{
	SPOOR_AUTO_FD fd = -1;
	void *p;

	if (r->fd < 0) {
		*ret = (struct backing){ .alias = r->hva, .fd = -1 };
		return 0;
	}
	fd = fcntl(r->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return spoor_fail_errno("memory at 0x%" PRIx64
					": dup of backing file %d",
					r->range.iova, r->fd);
	/* Writable even for a read-only region: a destination fills it. */
	p = mmap(NULL, r->range.len, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		 (off_t)r->offset);
	if (p == MAP_FAILED)
		return spoor_fail_errno(
			"memory at 0x%" PRIx64 "+0x%" PRIx64
			": mmap of backing file %d at 0x%" PRIx64,
			r->range.iova, r->range.len, r->fd, r->offset);
	*ret = (struct backing){ .alias = p,
				 .fd = SPOOR_STEAL_FD(fd),
				 .tells_holes = tells_holes(r->fd) };
	return 0;
}

int spoor_memory_add(struct spoor_memory *m, const struct spoor_region *region)
{
	struct backing backing;
	size_t at = 0;
	int ret;

	ret = check_region(region);
	if (ret)
		return ret;
	ret = check_overlaps(m, region, &at);
	if (ret)
		return ret;
	ret = make_room(m);
	if (ret)
		return ret;
	ret = open_backing(region, &backing);
	if (ret)
		return ret;

	memmove(&m->regions[at + 1], &m->regions[at],
		(m->nr - at) * sizeof(*m->regions));
	memmove(&m->backings[at + 1], &m->backings[at],
		(m->nr - at) * sizeof(*m->backings));
	m->regions[at] = *region;
	m->backings[at] = backing;
	m->nr++;
	return 0;
}

size_t spoor_memory_regions(const struct spoor_memory *m,
			    const struct spoor_region **ret)
{
	*ret = m->regions;
	return m->nr;
}

uint64_t spoor_memory_size(const struct spoor_memory *m)
{
	uint64_t size = 0;
	size_t i;

	/* Regions are disjoint in host addresses: no overflow. */
	for (i = 0; i < m->nr; i++)
		size += m->regions[i].range.len;
	return size;
}

/* The region that holds all of a range, or m->nr. */
static size_t find(const struct spoor_memory *m,
		   const struct spoor_range *range)
{
	size_t low = 0, high = m->nr;

	if (!spoor_range_valid(range))
		return m->nr;
	/* The last region that begins at or before the range. */
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->regions[mid].range.iova <= range->iova)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || !spoor_range_inside(range, &m->regions[low - 1].range))
		return m->nr;
	return low - 1;
}

void *spoor_memory_at(const struct spoor_memory *m,
		      const struct spoor_range *range)
{
	const size_t i = find(m, range);

	if (i == m->nr)
		return NULL;
	return (char *)m->backings[i].alias +
	       (range->iova - m->regions[i].range.iova);
}

bool spoor_memory_is_hole(const struct spoor_memory *m,
			  const struct spoor_range *range)
{
	const size_t i = find(m, range);
	uint64_t offset;
	off_t data;

	if (i == m->nr || !m->backings[i].tells_holes)
		return false;
	offset =
		m->regions[i].offset + (range->iova - m->regions[i].range.iova);
	data = lseek(m->backings[i].fd, (off_t)offset, SEEK_DATA);
	/* ENXIO: no data from here to the end of the file. */
	if (data < 0)
		return errno == ENXIO;
	return (uint64_t)data >= offset + range->len;
}

struct spoor_memory *spoor_memory_free(struct spoor_memory *m)
{
	size_t i;

	if (!m)
		return NULL;
	for (i = 0; i < m->nr; i++) {
		if (m->backings[i].fd < 0)
			continue;
		munmap(m->backings[i].alias, m->regions[i].range.len);
		close(m->backings[i].fd);
	}
	free(m->regions);
	free(m->backings);
	free(m);
	return NULL;
}
