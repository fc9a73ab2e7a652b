/* SPDX-License-Identifier: MIT */
/*
 * IOAS_MAP, MAP_FILE, COPY and UNMAP.
 *
 * A mapping is made whole before it is seen: address checked, memory pinned
 * if a page table needs it, dirty tables allocated, and only then, under the
 * write lock, put into the list.  Unmapping takes areas out under the same
 * lock and so waits for DMA that is using them.
 *
 * Threads: the context's lock is held throughout.
 */
#include "softvfio/iommufd.h"

#include <errno.h>
#include <stdlib.h>

#define MAP_FLAGS                                                              \
	(IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |                \
	 IOMMU_IOAS_MAP_READABLE)

static unsigned int prot_of(uint32_t flags)
{
	return (flags & IOMMU_IOAS_MAP_READABLE ? SV_PROT_READ : 0) |
	       (flags & IOMMU_IOAS_MAP_WRITEABLE ? SV_PROT_WRITE : 0);
}

void ioas_area_free(struct sv_area *area)
{
	if (!area)
		return;
	dirty_tables_free(area->priv);
	free(area->priv);
	sv_area_free(area);
}

static struct sv_area *area_new(uint64_t va, uint64_t length, unsigned int prot)
{
	struct sv_area *area = calloc(1, sizeof(*area));
	struct ioas_area *ia = calloc(1, sizeof(*ia));

	if (!area || !ia) {
		free(area);
		free(ia);
		return NULL;
	}
	area->priv = ia;
	area->va = va;
	area->last = length - 1;
	area->prot = prot;
	ia->writable = prot & SV_PROT_WRITE;
	return area;
}

/* Several areas that are mapped as one: pieces of a copy. */
struct pieces {
	struct sv_area **areas;
	size_t nr, room;
};

static void pieces_free(struct pieces *p)
{
	while (p->nr)
		ioas_area_free(p->areas[--p->nr]);
	free(p->areas);
}

static int pieces_add(struct pieces *p, struct sv_area *area)
{
	if (p->nr == p->room) {
		size_t room = p->room ? p->room * 2 : 4;
		struct sv_area **grown =
			reallocarray(p->areas, room, sizeof(struct sv_area *));

		if (!grown)
			return -ENOMEM;
		p->areas = grown;
		p->room = room;
	}
	p->areas[p->nr++] = area;
	return 0;
}

/* Give the area what the page tables of its IOAS need. */
static int prepare(const struct iommufd_ioas *ioas, struct sv_area *area)
{
	const struct iommufd_hwpt *hwpt;
	int err;

	if (!ioas->hwpts)
		return 0;
	err = sv_area_pin(area, false);
	for (hwpt = ioas->hwpts; !err && hwpt; hwpt = hwpt->next)
		err = dirty_table_add(area, hwpt);
	return err;
}

static int insert_all(struct iommufd_ioas *ioas, struct pieces *p)
{
	int err = 0;
	size_t i;

	pthread_rwlock_wrlock(&ioas->list.lock);
	for (i = 0; i < p->nr && !err; i++)
		err = sv_area_insert(&ioas->list, p->areas[i]);
	if (err)
		for (i--; i--;)
			sv_area_remove_at(
				&ioas->list,
				sv_area_index(&ioas->list, p->areas[i]->iova));
	else
		p->nr = 0; /* taken */
	pthread_rwlock_unlock(&ioas->list.lock);
	return err;
}

/*
 * Map @p, which begins at 0, at *iova or wherever there is room.  Whatever is
 * not taken stays the caller's.
 */
static int map_pieces(struct iommufd_ioas *ioas, bool fixed, struct pieces *p,
		      uint64_t *iova)
{
	uint64_t length = p->areas[p->nr - 1]->last + 1;
	uint64_t mask = ioas_alignment(ioas) - 1;
	uint64_t at = *iova;
	size_t i;
	int err;

	if (length & mask)
		return -EINVAL;
	err = fixed ? ioas_check_iova(ioas, at, length)
		    : ioas_pick_iova(ioas, p->areas[0]->va, length, &at);
	for (i = 0; !err && i < p->nr; i++) {
		struct sv_area *area = p->areas[i];
		const struct ioas_area *ia = area->priv;

		area->iova += at;
		area->last += at;
		/* A copy may not write what its source does not. */
		if (area->prot & SV_PROT_WRITE && !ia->writable)
			err = -EPERM;
		else if ((area->iova | area->va | (area->last + 1)) & mask)
			err = -EINVAL;
	}
	for (i = 0; !err && i < p->nr; i++)
		err = prepare(ioas, p->areas[i]);
	if (!err)
		err = insert_all(ioas, p);
	if (!err)
		*iova = at;
	return err;
}

/* One area, taken. */
static int map_area(struct iommufd_ioas *ioas, bool fixed, struct sv_area *area,
		    uint64_t *iova)
{
	struct pieces p = { .areas = &area, .nr = 1, .room = 1 };
	int err = map_pieces(ioas, fixed, &p, iova);

	if (err)
		ioas_area_free(area);
	return err;
}

/* Is [start, start+length) something that can be mapped at all? */
static int check_span(uint64_t start, uint64_t length)
{
	uint64_t end;

	if (!length || length > UINT64_MAX - SV_PAGE_SIZE)
		return -EINVAL;
	return __builtin_add_overflow(start, length, &end) ? -EOVERFLOW : 0;
}

int ioas_map_user(struct iommufd_ioas *ioas, uint32_t flags, uint64_t va,
		  uint64_t length, uint64_t *iova)
{
	struct sv_area *area;
	int err = check_span(va, length);

	if (err)
		return err;
	area = area_new(va, length, prot_of(flags));
	if (!area)
		return -ENOMEM;
	return map_area(ioas, flags & IOMMU_IOAS_MAP_FIXED_IOVA, area, iova);
}

int iommufd_ioas_map(struct iommufd_cmd *cmd)
{
	struct iommu_ioas_map *arg = &cmd->u.map;
	struct iommufd_ioas *ioas;
	int err;

	if (arg->flags & ~(uint32_t)MAP_FLAGS || arg->__reserved)
		return -EOPNOTSUPP;
	if (arg->iova == UINT64_MAX || arg->length == UINT64_MAX)
		return -EOVERFLOW;
	if (!prot_of(arg->flags))
		return -EINVAL;
	ioas = iommufd_ioas_find(cmd->ctx, arg->ioas_id);
	if (!ioas)
		return -ENOENT;
	err = ioas_map_user(ioas, arg->flags, arg->user_va, arg->length,
			    (uint64_t *)&arg->iova);
	/* A reply that cannot be given does not undo the mapping. */
	return err ? err : iommufd_respond(cmd);
}

int iommufd_ioas_map_file(struct iommufd_cmd *cmd)
{
	struct iommu_ioas_map_file *arg = &cmd->u.map_file;
	struct iommufd_ioas *ioas;
	struct ioas_area *ia;
	struct sv_area *area;
	int err;

	if (arg->flags & ~(uint32_t)MAP_FLAGS)
		return -EOPNOTSUPP;
	if (arg->iova == UINT64_MAX || arg->length == UINT64_MAX)
		return -EOVERFLOW;
	if (!prot_of(arg->flags))
		return -EINVAL;
	ioas = iommufd_ioas_find(cmd->ctx, arg->ioas_id);
	if (!ioas)
		return -ENOENT;
	err = check_span(arg->start, arg->length);
	if (err)
		return err;
	area = area_new(arg->start, arg->length, prot_of(arg->flags));
	if (!area)
		return -ENOMEM;
	err = sv_backing_pin_file(&area->backing, arg->fd, arg->start,
				  arg->length, area->prot);
	if (err) {
		ioas_area_free(area);
		return err;
	}
	/* The program may close its descriptor: pinned as long as mapped. */
	ia = area->priv;
	ia->file = true;
	err = map_area(ioas, arg->flags & IOMMU_IOAS_MAP_FIXED_IOVA, area,
		       (uint64_t *)&arg->iova);
	return err ? err : iommufd_respond(cmd);
}

struct sv_area *ioas_piece_of(const struct sv_area *src, uint64_t iova,
			      uint64_t last, uint64_t at, unsigned int prot)
{
	uint64_t first = src->iova > iova ? src->iova : iova;
	uint64_t end = src->last < last ? src->last : last;
	const struct ioas_area *from = src->priv;
	uint64_t skip = first - src->iova;
	struct ioas_area *ia;
	struct sv_area *area;

	area = area_new(src->va + skip, end - first + 1, prot);
	if (!area)
		return NULL;
	ia = area->priv;
	ia->file = from->file;
	ia->writable = from->writable;
	area->iova = at;
	area->last += at;
	if (src->backing) {
		area->backing = sv_backing_ref(src->backing);
		area->offset = src->offset + skip;
	}
	return area;
}

/* [iova, last], which must be mapped without a hole.  -ENOENT */
static int collect(struct iommufd_ioas *ioas, uint64_t iova, uint64_t last,
		   unsigned int prot, struct pieces *p)
{
	size_t i = sv_area_index(&ioas->list, iova);
	uint64_t at = iova;

	for (;; i++) {
		const struct sv_area *src;
		struct sv_area *area;

		if (i == ioas->list.nr || ioas->list.areas[i]->iova > at)
			return -ENOENT;
		src = ioas->list.areas[i];
		area = ioas_piece_of(src, at, last, at - iova, prot);
		if (!area)
			return -ENOMEM;
		if (pieces_add(p, area)) {
			ioas_area_free(area);
			return -ENOMEM;
		}
		if (src->last >= last)
			return 0;
		at = src->last + 1;
	}
}

int iommufd_ioas_copy(struct iommufd_cmd *cmd)
{
	struct iommu_ioas_copy *arg = &cmd->u.copy;
	struct iommufd_ioas *src, *dst;
	struct pieces p = { .nr = 0 };
	uint64_t last;
	int err;

	if (arg->flags & ~(uint32_t)MAP_FLAGS)
		return -EOPNOTSUPP;
	if (arg->length == UINT64_MAX || arg->src_iova == UINT64_MAX ||
	    arg->dst_iova == UINT64_MAX)
		return -EOVERFLOW;
	if (!prot_of(arg->flags))
		return -EINVAL;
	src = iommufd_ioas_find(cmd->ctx, arg->src_ioas_id);
	if (!src)
		return -ENOENT;
	if (!arg->length)
		return -EINVAL;
	if (__builtin_add_overflow(arg->src_iova, arg->length - 1, &last))
		return -EOVERFLOW;
	/* An emulated device's first access may be pinning just now. */
	pthread_rwlock_rdlock(&src->list.lock);
	err = collect(src, arg->src_iova, last, prot_of(arg->flags), &p);
	pthread_rwlock_unlock(&src->list.lock);
	dst = iommufd_ioas_find(cmd->ctx, arg->dst_ioas_id);
	if (!dst && !err)
		err = -ENOENT;
	if (!err)
		err = map_pieces(dst, arg->flags & IOMMU_IOAS_MAP_FIXED_IOVA,
				 &p, (uint64_t *)&arg->dst_iova);
	pieces_free(&p);
	return err ? err : iommufd_respond(cmd);
}

/*
 * Areas are unmapped whole.  Those before one that [iova, last] cuts go all
 * the same; -ENOENT tells of the cut one.
 */
static int unmap_range(struct iommufd_ioas *ioas, uint64_t iova, uint64_t last,
		       struct pieces *gone, uint64_t *ret_unmapped)
{
	size_t first = sv_area_index(&ioas->list, iova);
	uint64_t unmapped = 0;
	size_t end, i;
	int err = 0;

	for (end = first; end < ioas->list.nr; end++) {
		const struct sv_area *area = ioas->list.areas[end];

		if (area->iova > last)
			break;
		if (area->iova < iova || area->last > last) {
			err = -ENOENT;
			break;
		}
	}
	if (end > first) {
		gone->areas = calloc(end - first, sizeof(struct sv_area *));
		if (!gone->areas)
			return -ENOMEM;
	}
	for (i = end; i-- > first;) {
		struct sv_area *area = sv_area_remove_at(&ioas->list, i);

		unmapped += area->last - area->iova + 1;
		gone->areas[gone->nr++] = area;
	}
	*ret_unmapped = unmapped;
	return err;
}

int ioas_unmap_span(struct iommufd_ioas *ioas, uint64_t iova, uint64_t length,
		    uint64_t *ret_unmapped)
{
	struct pieces gone = { .nr = 0 };
	uint64_t last;
	int err;

	if (!length)
		return -EINVAL;
	if (__builtin_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	pthread_rwlock_wrlock(&ioas->list.lock);
	err = unmap_range(ioas, iova, last, &gone, ret_unmapped);
	pthread_rwlock_unlock(&ioas->list.lock);
	pieces_free(&gone);
	return err;
}

int ioas_unmap_all(struct iommufd_ioas *ioas, uint64_t *ret_unmapped)
{
	struct pieces gone = { .nr = 0 };
	int err;

	pthread_rwlock_wrlock(&ioas->list.lock);
	err = unmap_range(ioas, 0, UINT64_MAX, &gone, ret_unmapped);
	pthread_rwlock_unlock(&ioas->list.lock);
	pieces_free(&gone);
	return err;
}

int iommufd_ioas_unmap(struct iommufd_cmd *cmd)
{
	struct iommu_ioas_unmap *arg = &cmd->u.unmap;
	bool all = !arg->iova && arg->length == UINT64_MAX;
	struct iommufd_ioas *ioas;
	uint64_t unmapped = 0;
	int err;

	ioas = iommufd_ioas_find(cmd->ctx, arg->ioas_id);
	if (!ioas)
		return -ENOENT;
	if (all)
		err = ioas_unmap_all(ioas, &unmapped);
	else if (arg->iova == UINT64_MAX || arg->length == UINT64_MAX)
		err = -EOVERFLOW;
	else
		err = ioas_unmap_span(ioas, arg->iova, arg->length, &unmapped);
	/* There was nothing: if all was meant, nothing is left. */
	if (!err && !unmapped && !all)
		err = -ENOENT;
	if (err)
		return err;
	arg->length = unmapped;
	return iommufd_respond(cmd);
}
