/* SPDX-License-Identifier: MIT */
/*
 * I/O address spaces: what they allow, their options, and who may join.
 *
 * An IOAS that nobody uses takes nearly any mapping; each HWPT, device and
 * emulated device that joins narrows it, and is refused if what is mapped
 * already does not fit.
 *
 * Threads: the context's lock is held throughout.
 */
#include "softvfio/iommufd.h"

#include <errno.h>
#include <stdlib.h>

struct iommufd_ioas *iommufd_ioas_find(const struct iommufd_ctx *ctx,
				       uint32_t id)
{
	struct iommufd_object *obj = iommufd_object_find(ctx, id);

	return obj && obj->kind == IOMMUFD_IOAS
		       ? IOMMUFD_OBJECT(iommufd_ioas, obj)
		       : NULL;
}

int iommufd_ioas_new(struct iommufd_ctx *ctx, struct iommufd_ioas **ret)
{
	struct iommufd_ioas *ioas = calloc(1, sizeof(*ioas));
	int err;

	if (!ioas)
		return -ENOMEM;
	ioas->huge = true;
	sv_area_list_init(&ioas->list);
	err = iommufd_object_add(ctx, &ioas->obj, IOMMUFD_IOAS);
	if (err) {
		sv_area_list_destroy(&ioas->list);
		free(ioas);
		return err;
	}
	*ret = ioas;
	return 0;
}

int iommufd_ioas_alloc(struct iommufd_cmd *cmd)
{
	struct iommufd_ioas *ioas;
	int err;

	if (cmd->u.ioas_alloc.flags)
		return -EOPNOTSUPP;
	err = iommufd_ioas_new(cmd->ctx, &ioas);
	if (err)
		return err;
	cmd->u.ioas_alloc.out_ioas_id = ioas->obj.id;
	err = iommufd_respond(cmd);
	if (err)
		iommufd_ioas_free(cmd->ctx, ioas);
	return err;
}

void iommufd_ioas_free(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas)
{
	if (ctx->compat_ioas == ioas)
		ctx->compat_ioas = NULL;
	iommufd_object_remove(ctx, &ioas->obj);
	while (ioas->list.nr)
		ioas_area_free(
			sv_area_remove_at(&ioas->list, ioas->list.nr - 1));
	sv_area_list_destroy(&ioas->list);
	free(ioas->allowed);
	free(ioas);
}

static uint64_t alignment_with(const struct iommufd_ioas *ioas,
			       enum ioas_joiner joiner)
{
	if (!ioas->huge || ioas->hwpts || ioas->nr_accesses ||
	    joiner == IOAS_JOIN_HWPT || joiner == IOAS_JOIN_ACCESS)
		return SV_PAGE_SIZE;
	return 1;
}

uint64_t ioas_alignment(const struct iommufd_ioas *ioas)
{
	return alignment_with(ioas, IOAS_JOIN_NONE);
}

static bool areas_aligned(const struct iommufd_ioas *ioas, uint64_t alignment)
{
	size_t i;

	for (i = 0; i < ioas->list.nr; i++) {
		const struct sv_area *area = ioas->list.areas[i];
		uint64_t len = area->last - area->iova + 1;

		if ((area->iova | len | area->va) & (alignment - 1))
			return false;
	}
	return true;
}

int ioas_admit(const struct iommufd_ioas *ioas, enum ioas_joiner joiner)
{
	struct iommu_iova_range reserved[IOAS_MAX_RESERVED];
	size_t nr = ioas_reserved(ioas, joiner, reserved);
	size_t i, j;

	for (i = 0; i < nr; i++) {
		const struct iommu_iova_range *r = &reserved[i];

		if (sv_area_overlaps(&ioas->list, r->start, r->last))
			return -EADDRINUSE;
		for (j = 0; j < ioas->nr_allowed; j++)
			if (ioas->allowed[j].start <= r->last &&
			    r->start <= ioas->allowed[j].last)
				return -EADDRINUSE;
	}
	if (!areas_aligned(ioas, alignment_with(ioas, joiner)))
		return -EADDRINUSE;
	return 0;
}

/*
 * With the last page table go the pins, and with them the right to pages
 * whose mapping the program has removed meanwhile.
 */
void ioas_unpin_unused(struct iommufd_ioas *ioas)
{
	size_t i;

	if (ioas->hwpts || ioas->nr_accesses)
		return;
	pthread_rwlock_wrlock(&ioas->list.lock);
	for (i = 0; i < ioas->list.nr; i++) {
		struct sv_area *area = ioas->list.areas[i];
		const struct ioas_area *ia = area->priv;

		if (ia->file)
			continue;
		sv_backing_put(area->backing);
		area->backing = NULL;
		area->offset = 0;
	}
	pthread_rwlock_unlock(&ioas->list.lock);
}

int iommufd_ioas_ranges(struct iommufd_cmd *cmd)
{
	struct iommu_ioas_iova_ranges *arg = &cmd->u.ranges;
	struct iommu_iova_range usable[IOAS_MAX_RESERVED + 1];
	struct iommufd_ioas *ioas;
	uint32_t room = arg->num_iovas;
	size_t nr;
	int err;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	ioas = iommufd_ioas_find(cmd->ctx, arg->ioas_id);
	if (!ioas)
		return -ENOENT;
	nr = ioas_usable(ioas, usable);
	err = sv_copy_out((void *)(uintptr_t)arg->allowed_iovas, usable,
			  (nr < room ? nr : room) * sizeof(usable[0]));
	if (err)
		return err;
	arg->num_iovas = (uint32_t)nr;
	arg->out_iova_alignment = ioas_alignment(ioas);
	err = iommufd_respond(cmd);
	if (err)
		return err;
	return arg->num_iovas > room ? -EMSGSIZE : 0;
}

/* Read the list of ranges, checked to be disjoint. */
static int load_ranges(const struct iommu_ioas_allow_iovas *arg,
		       struct iommu_iova_range **ret, size_t *ret_nr)
{
	const uint8_t *user = (const uint8_t *)(uintptr_t)arg->allowed_iovas;
	struct iommu_iova_range *list = NULL;
	size_t nr = 0, room = 0, i;
	int err = 0;

	while (nr < arg->num_iovas) {
		struct iommu_iova_range r;

		err = sv_copy_in(&r, user + nr * sizeof(r), sizeof(r));
		if (!err && r.start >= r.last)
			err = -EINVAL;
		for (i = 0; !err && i < nr; i++)
			if (r.start <= list[i].last && list[i].start <= r.last)
				err = -EINVAL;
		if (!err && nr == room) {
			struct iommu_iova_range *grown;

			room = room ? room * 2 : 8;
			grown = reallocarray(list, room, sizeof(*list));
			if (grown)
				list = grown;
			else
				err = -ENOMEM;
		}
		if (err) {
			free(list);
			return err;
		}
		list[nr++] = r;
	}
	*ret = list;
	*ret_nr = nr;
	return 0;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct iommu_iova_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Neighbours are one: what is mapped may lie in both. */
static size_t join_ranges(struct iommu_iova_range *list, size_t nr)
{
	size_t i, kept = 0;

	qsort(list, nr, sizeof(*list), compare_ranges);
	for (i = 0; i < nr; i++) {
		if (kept && list[kept - 1].last + 1 == list[i].start)
			list[kept - 1].last = list[i].last;
		else
			list[kept++] = list[i];
	}
	return kept;
}

int iommufd_ioas_allow(struct iommufd_cmd *cmd)
{
	const struct iommu_ioas_allow_iovas *arg = &cmd->u.allow;
	struct iommu_iova_range *old, *list;
	struct iommufd_ioas *ioas;
	size_t old_nr, nr;
	int err;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	ioas = iommufd_ioas_find(cmd->ctx, arg->ioas_id);
	if (!ioas)
		return -ENOENT;
	err = load_ranges(arg, &list, &nr);
	if (err)
		return err;
	if (nr)
		nr = join_ranges(list, nr);
	old = ioas->allowed;
	old_nr = ioas->nr_allowed;
	ioas->allowed = list;
	ioas->nr_allowed = nr;
	/* The areas fit already: only the new ranges can be refused. */
	err = ioas_admit(ioas, IOAS_JOIN_NONE);
	if (err) {
		ioas->allowed = old;
		ioas->nr_allowed = old_nr;
		old = list;
	}
	free(old);
	return err;
}

static int option_rlimit(struct iommufd_ctx *ctx, struct iommu_option *arg)
{
	if (arg->object_id)
		return -EOPNOTSUPP;
	if (arg->op == IOMMU_OPTION_OP_GET) {
		arg->val64 = ctx->rlimit_mode;
		return 0;
	}
	if (arg->op != IOMMU_OPTION_OP_SET)
		return -EOPNOTSUPP;
	if (!sv_privileged())
		return -EPERM;
	if (ctx->nr_objects)
		return -EBUSY;
	if (arg->val64 > 1)
		return -EINVAL;
	ctx->rlimit_mode = arg->val64;
	return 0;
}

int ioas_disable_large_pages(struct iommufd_ioas *ioas)
{
	if (!ioas->huge)
		return 0;
	/* Entries that exist are not cut. */
	if (ioas->hwpts && ioas->list.nr)
		return -EINVAL;
	if (!areas_aligned(ioas, SV_PAGE_SIZE))
		return -EADDRINUSE;
	ioas->huge = false;
	return 0;
}

static int option_huge(struct iommufd_ctx *ctx, struct iommu_option *arg)
{
	struct iommufd_ioas *ioas = iommufd_ioas_find(ctx, arg->object_id);

	if (!ioas)
		return -ENOENT;
	if (arg->op == IOMMU_OPTION_OP_GET) {
		arg->val64 = ioas->huge;
		return 0;
	}
	if (arg->op != IOMMU_OPTION_OP_SET)
		return -EOPNOTSUPP;
	if (arg->val64 > 1)
		return -EINVAL;
	if (!arg->val64)
		return ioas_disable_large_pages(ioas);
	ioas->huge = true;
	return 0;
}

int iommufd_option(struct iommufd_cmd *cmd)
{
	struct iommu_option *arg = &cmd->u.option;
	int err;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	switch (arg->option_id) {
	case IOMMU_OPTION_RLIMIT_MODE:
		err = option_rlimit(cmd->ctx, arg);
		break;
	case IOMMU_OPTION_HUGE_PAGES:
		err = option_huge(cmd->ctx, arg);
		break;
	default:
		err = -EOPNOTSUPP;
	}
	return err ? err : iommufd_respond(cmd);
}

int iommufd_vfio_ioas(struct iommufd_cmd *cmd)
{
	struct iommu_vfio_ioas *arg = &cmd->u.vfio_ioas;
	struct iommufd_ioas *ioas;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	switch (arg->op) {
	case IOMMU_VFIO_IOAS_GET:
		if (!cmd->ctx->compat_ioas)
			return -ENODEV;
		arg->ioas_id = cmd->ctx->compat_ioas->obj.id;
		return iommufd_respond(cmd);
	case IOMMU_VFIO_IOAS_SET:
		ioas = iommufd_ioas_find(cmd->ctx, arg->ioas_id);
		if (!ioas)
			return -ENOENT;
		cmd->ctx->compat_ioas = ioas;
		return 0;
	case IOMMU_VFIO_IOAS_CLEAR:
		cmd->ctx->compat_ioas = NULL;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}
