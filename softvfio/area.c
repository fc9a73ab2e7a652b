/* SPDX-License-Identifier: MIT */
/*
 * Areas and what backs them; see area.h for the invariant and the locks.
 */
#include "softvfio/area.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static struct sv_backing *backing_new(uint64_t va, uint64_t len)
{
	struct sv_backing *b = calloc(1, sizeof(*b));

	if (b) {
		atomic_init(&b->refs, 1);
		b->va = va;
		b->len = len;
	}
	return b;
}

int sv_backing_pin(struct sv_backing **ret, const void *va, uint64_t len,
		   unsigned int prot, bool allow_bar)
{
	struct sv_bar_mapping bar;
	struct sv_backing *b;
	void *ptr = NULL;
	int alias = 0;
	int err;

	b = backing_new((uintptr_t)va, len);
	if (!b)
		return -ENOMEM;
	if (!sv_find_bar_mapping(va, len, &bar)) {
		if (!allow_bar) {
			free(b);
			return -EFAULT;
		}
		b->bar = bar;
		*ret = b;
		return 0;
	}
	err = sv_alias_map(va, len, !!(prot & SV_PROT_WRITE), &ptr, &alias);
	if (err) {
		free(b);
		return err;
	}
	b->ptr = ptr;
	b->alias = alias;
	*ret = b;
	return 0;
}

int sv_backing_pin_file(struct sv_backing **ret, int fd, uint64_t start,
			uint64_t len, unsigned int prot)
{
	int mode = prot & SV_PROT_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;
	struct sv_backing *b;
	void *room, *ptr;
	struct stat st;

	if (fstat(fd, &st))
		return -EBADF;
	/* What lies past the end could only be touched to death. */
	if (start > (uint64_t)st.st_size || len > (uint64_t)st.st_size - start)
		return -EINVAL;
	b = backing_new(start, len);
	if (!b)
		return -ENOMEM;
	room = sv_reserve(NULL, len);
	ptr = room == MAP_FAILED ? room
				 : mmap(room, len, mode, MAP_SHARED | MAP_FIXED,
					fd, (off_t)(start & ~SV_PAGE_MASK));
	if (ptr == MAP_FAILED) {
		int err = -errno;

		if (room != MAP_FAILED)
			munmap(room, len);
		free(b);
		return err == -EACCES ? -EFAULT : err;
	}
	b->ptr = ptr;
	b->alias = true;
	*ret = b;
	return 0;
}

int sv_area_pin(struct sv_area *area, bool allow_bar)
{
	if (area->backing)
		return 0;
	area->offset = 0;
	return sv_backing_pin(&area->backing, (const void *)area->va,
			      area->last - area->iova + 1, area->prot,
			      allow_bar);
}

struct sv_backing *sv_backing_ref(struct sv_backing *b)
{
	atomic_fetch_add(&b->refs, 1);
	return b;
}

void sv_backing_put(struct sv_backing *b)
{
	if (!b || atomic_fetch_sub(&b->refs, 1) != 1)
		return;
	if (b->alias)
		sv_alias_unmap(b->ptr, b->len);
	free(b);
}

void sv_area_list_init(struct sv_area_list *l)
{
	pthread_rwlockattr_t attr;

	*l = (struct sv_area_list){ .nr = 0 };
	/* An unmap must not starve behind devices that never pause. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(
		&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&l->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

void sv_area_list_destroy(struct sv_area_list *l)
{
	free(l->areas);
	pthread_rwlock_destroy(&l->lock);
}

size_t sv_area_index(const struct sv_area_list *l, uint64_t iova)
{
	size_t low = 0, high = l->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->areas[mid]->last < iova)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct sv_area *sv_area_find(const struct sv_area_list *l, uint64_t iova)
{
	size_t i = sv_area_index(l, iova);

	return i < l->nr && l->areas[i]->iova <= iova ? l->areas[i] : NULL;
}

bool sv_area_overlaps(const struct sv_area_list *l, uint64_t iova,
		      uint64_t last)
{
	size_t i = sv_area_index(l, iova);

	return i < l->nr && l->areas[i]->iova <= last;
}

int sv_area_insert_room(struct sv_area_list *l, size_t more)
{
	size_t room = l->room ? l->room : 16;
	struct sv_area **grown;

	if (more <= l->room - l->nr)
		return 0;
	while (more > room - l->nr)
		room *= 2;
	grown = reallocarray(l->areas, room, sizeof(struct sv_area *));
	if (!grown)
		return -ENOMEM;
	l->areas = grown;
	l->room = room;
	return 0;
}

int sv_area_insert(struct sv_area_list *l, struct sv_area *area)
{
	size_t i = sv_area_index(l, area->iova);

	if (sv_area_insert_room(l, 1))
		return -ENOMEM;
	memmove(&l->areas[i + 1], &l->areas[i],
		(l->nr - i) * sizeof(struct sv_area *));
	l->areas[i] = area;
	l->nr++;
	return 0;
}

struct sv_area *sv_area_remove_at(struct sv_area_list *l, size_t index)
{
	struct sv_area *area = l->areas[index];

	l->nr--;
	memmove(&l->areas[index], &l->areas[index + 1],
		(l->nr - index) * sizeof(struct sv_area *));
	return area;
}

void sv_area_free(struct sv_area *area)
{
	if (!area)
		return;
	sv_backing_put(area->backing);
	free(area);
}
