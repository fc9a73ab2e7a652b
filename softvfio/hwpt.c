/* SPDX-License-Identifier: MIT */
/*
 * Page tables: made over an IOAS, filled with all that is mapped there, and
 * kept filled by every later mapping.
 *
 * Threads: the context's lock is held throughout.
 */
#include "softvfio/iommufd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "softvfio/device.h"
#include "softvfio/space_stats.h"

#define ALLOC_FLAGS                                                            \
	(IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING)

struct iommufd_hwpt *iommufd_hwpt_find(const struct iommufd_ctx *ctx,
				       uint32_t id)
{
	struct iommufd_object *obj = iommufd_object_find(ctx, id);

	return obj && obj->kind == IOMMUFD_HWPT
		       ? IOMMUFD_OBJECT(iommufd_hwpt, obj)
		       : NULL;
}

/* Write lock held: pin every area and give it a dirty table. */
static int fill(struct iommufd_ioas *ioas, const struct iommufd_hwpt *hwpt)
{
	int err = 0;
	size_t i;

	for (i = 0; i < ioas->list.nr && !err; i++) {
		err = sv_area_pin(ioas->list.areas[i], false);
		if (!err)
			err = dirty_table_add(ioas->list.areas[i], hwpt);
	}
	return err;
}

/* The tables go with @hwpt, the pins if it was the last to need them. */
static void drain(struct iommufd_ioas *ioas, const struct iommufd_hwpt *hwpt)
{
	size_t i;

	pthread_rwlock_wrlock(&ioas->list.lock);
	for (i = 0; i < ioas->list.nr; i++)
		dirty_table_remove(ioas->list.areas[i], hwpt);
	pthread_rwlock_unlock(&ioas->list.lock);
	ioas_unpin_unused(ioas);
}

static void unlink_hwpt(struct iommufd_hwpt *hwpt)
{
	struct iommufd_hwpt **at = &hwpt->ioas->hwpts;

	while (*at != hwpt)
		at = &(*at)->next;
	*at = hwpt->next;
}

static int name_stat(struct iommufd_hwpt *hwpt)
{
	char name[48];

	if (!hwpt->dirty)
		return 0;
	snprintf(name, sizeof(name), "ioas%u.hwpt%u", hwpt->ioas->obj.id,
		 hwpt->obj.id);
	hwpt->stat = sv_space_stat_new(name);
	return hwpt->stat ? 0 : -ENOMEM;
}

int iommufd_hwpt_new(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas,
		     const struct sv_device *dev, bool dirty, bool automatic,
		     struct iommufd_hwpt **ret)
{
	struct iommufd_hwpt *hwpt;
	int err = ioas_admit(ioas, IOAS_JOIN_HWPT);

	if (err)
		return err;
	hwpt = calloc(1, sizeof(*hwpt));
	if (!hwpt)
		return -ENOMEM;
	hwpt->ioas = ioas;
	hwpt->dirty = dirty;
	hwpt->automatic = automatic;
	hwpt->max_page = dev->config->iommu_page;
	pthread_rwlock_wrlock(&ioas->list.lock);
	err = fill(ioas, hwpt);
	pthread_rwlock_unlock(&ioas->list.lock);
	if (err)
		goto drain;
	err = iommufd_object_add(ctx, &hwpt->obj, IOMMUFD_HWPT);
	if (err)
		goto drain;
	err = name_stat(hwpt);
	if (!err && dirty && dev->config->iommu_faults)
		err = hwpt_fault_start(hwpt);
	if (err)
		goto remove;
	hwpt->next = ioas->hwpts;
	ioas->hwpts = hwpt;
	if (automatic)
		ioas->auto_hwpt = hwpt;
	ioas->obj.users++;
	*ret = hwpt;
	return 0;

remove:
	iommufd_object_remove(ctx, &hwpt->obj);
drain:
	drain(ioas, hwpt);
	free(hwpt);
	return err;
}

void iommufd_hwpt_free(struct iommufd_ctx *ctx, struct iommufd_hwpt *hwpt)
{
	struct iommufd_ioas *ioas = hwpt->ioas;

	iommufd_object_remove(ctx, &hwpt->obj);
	unlink_hwpt(hwpt);
	hwpt_fault_stop(hwpt);
	if (ioas->auto_hwpt == hwpt)
		ioas->auto_hwpt = NULL;
	ioas->obj.users--;
	drain(ioas, hwpt);
	free(hwpt);
}

int iommufd_hwpt_alloc(struct iommufd_cmd *cmd)
{
	struct iommu_hwpt_alloc *arg = &cmd->u.hwpt_alloc;
	const struct iommufd_object *pt;
	struct iommufd_hwpt *hwpt = NULL;
	struct sv_device *dev;
	bool dirty = arg->flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	int err;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	/* Data comes with a type, and a type with data. */
	if ((arg->data_type == IOMMU_HWPT_DATA_NONE) != !arg->data_len)
		return -EINVAL;
	dev = iommufd_device_find(cmd->ctx, arg->dev_id);
	if (!dev)
		return -ENOENT;
	pt = iommufd_object_find(cmd->ctx, arg->pt_id);
	if (!pt || (pt->kind != IOMMUFD_IOAS && pt->kind != IOMMUFD_HWPT))
		return -EINVAL;
	/* No nesting: neither parents nor children. */
	if (pt->kind != IOMMUFD_IOAS || arg->data_len ||
	    arg->flags & ~(uint32_t)ALLOC_FLAGS ||
	    arg->flags & IOMMU_HWPT_ALLOC_NEST_PARENT)
		return -EOPNOTSUPP;
	if (dirty && !dev->config->iommu_dirty)
		return -EOPNOTSUPP;
	err = iommufd_hwpt_new(cmd->ctx,
			       iommufd_ioas_find(cmd->ctx, arg->pt_id), dev,
			       dirty, false, &hwpt);
	if (err)
		return err;
	arg->out_hwpt_id = hwpt->obj.id;
	err = iommufd_respond(cmd);
	if (err)
		iommufd_hwpt_free(cmd->ctx, hwpt);
	return err;
}

int iommufd_hwpt_set_dirty(struct iommufd_cmd *cmd)
{
	const struct iommu_hwpt_set_dirty_tracking *arg = &cmd->u.set_dirty;
	bool enable = arg->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE;
	struct iommufd_hwpt *hwpt;
	struct sv_area_list *list;
	size_t i;

	if (arg->flags & ~(uint32_t)IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		return -EOPNOTSUPP;
	hwpt = iommufd_hwpt_find(cmd->ctx, arg->hwpt_id);
	if (!hwpt)
		return -ENOENT;
	if (!hwpt->dirty)
		return -EOPNOTSUPP;
	/*
	 * With the write lock no DMA is between its data and its mark: what
	 * was not marked because tracking was off has landed, and what comes
	 * after our return is marked.
	 */
	list = &hwpt->ioas->list;
	pthread_rwlock_wrlock(&list->lock);
	hwpt->tracking = enable;
	for (i = 0; enable && i < list->nr; i++)
		dirty_table_clear(dirty_table_find(list->areas[i], hwpt));
	pthread_rwlock_unlock(&list->lock);
	return 0;
}
