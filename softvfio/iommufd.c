/* SPDX-License-Identifier: MIT */
/*
 * /dev/iommu: contexts, their table of objects, and how arguments come in.
 *
 * Every argument begins with its size.  A program may be older than us (what
 * it does not know is zero) or newer (what we do not know must be zero:
 * -E2BIG); it must know a request's mandatory part (-EINVAL).
 *
 * Threads: one lock per context, held through each ioctl; see iommufd.h.
 */
#include "softvfio/iommufd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "softvfio/config.h"
#include "base/cleanup.h"

#define CMD_BASE 0x80

struct cmd_op {
	int (*fn)(struct iommufd_cmd *cmd);
	unsigned long request;
	uint32_t size, min_size;
	enum sv_kernel since;
};

static int destroy(struct iommufd_cmd *cmd)
{
	struct iommufd_object *obj =
		iommufd_object_find(cmd->ctx, cmd->u.destroy.id);

	if (!obj)
		return -ENOENT;
	if (obj->users)
		return -EBUSY;
	if (obj->kind == IOMMUFD_HWPT)
		iommufd_hwpt_free(cmd->ctx, IOMMUFD_OBJECT(iommufd_hwpt, obj));
	else if (obj->kind == IOMMUFD_FAULT)
		iommufd_fault_free(cmd->ctx, obj);
	else
		iommufd_ioas_free(cmd->ctx, IOMMUFD_OBJECT(iommufd_ioas, obj));
	return 0;
}

/* @last: the last member that every program must know. */
#define OP(nr, handler, type, last, kernel)                                    \
	[_IOC_NR(nr) - CMD_BASE] = {                                           \
		.fn = (handler),                                               \
		.request = (nr),                                               \
		.size = sizeof(type),                                          \
		.min_size = offsetof(type, last) + sizeof(((type *)0)->last),  \
		.since = (kernel),                                             \
	}

static const struct cmd_op ops[] = {
	OP(IOMMU_DESTROY, destroy, struct iommu_destroy, id, SV_KERNEL_6_12),
	OP(IOMMU_IOAS_ALLOC, iommufd_ioas_alloc, struct iommu_ioas_alloc,
	   out_ioas_id, SV_KERNEL_6_12),
	OP(IOMMU_IOAS_ALLOW_IOVAS, iommufd_ioas_allow,
	   struct iommu_ioas_allow_iovas, allowed_iovas, SV_KERNEL_6_12),
	OP(IOMMU_IOAS_COPY, iommufd_ioas_copy, struct iommu_ioas_copy, src_iova,
	   SV_KERNEL_6_12),
	OP(IOMMU_IOAS_IOVA_RANGES, iommufd_ioas_ranges,
	   struct iommu_ioas_iova_ranges, out_iova_alignment, SV_KERNEL_6_12),
	OP(IOMMU_IOAS_MAP, iommufd_ioas_map, struct iommu_ioas_map, iova,
	   SV_KERNEL_6_12),
	OP(IOMMU_IOAS_MAP_FILE, iommufd_ioas_map_file,
	   struct iommu_ioas_map_file, iova, SV_KERNEL_LATEST),
	OP(IOMMU_IOAS_UNMAP, iommufd_ioas_unmap, struct iommu_ioas_unmap,
	   length, SV_KERNEL_6_12),
	OP(IOMMU_OPTION, iommufd_option, struct iommu_option, val64,
	   SV_KERNEL_6_12),
	OP(IOMMU_VFIO_IOAS, iommufd_vfio_ioas, struct iommu_vfio_ioas,
	   __reserved, SV_KERNEL_6_12),
	OP(IOMMU_HWPT_ALLOC, iommufd_hwpt_alloc, struct iommu_hwpt_alloc,
	   __reserved, SV_KERNEL_6_12),
	OP(IOMMU_GET_HW_INFO, iommufd_get_hw_info, struct iommu_hw_info,
	   __reserved, SV_KERNEL_6_12),
	OP(IOMMU_HWPT_SET_DIRTY_TRACKING, iommufd_hwpt_set_dirty,
	   struct iommu_hwpt_set_dirty_tracking, __reserved, SV_KERNEL_6_12),
	OP(IOMMU_HWPT_GET_DIRTY_BITMAP, iommufd_hwpt_get_dirty,
	   struct iommu_hwpt_get_dirty_bitmap, data, SV_KERNEL_6_12),
	OP(IOMMU_HWPT_INVALIDATE, iommufd_hwpt_invalidate,
	   struct iommu_hwpt_invalidate, __reserved, SV_KERNEL_6_12),
	OP(IOMMU_FAULT_QUEUE_ALLOC, iommufd_fault_alloc,
	   struct iommu_fault_alloc, out_fault_fd, SV_KERNEL_6_12),
};

static enum sv_kernel kernel(void)
{
	const struct sv_config *config = sv_config();

	return config ? config->kernel : SV_KERNEL_LATEST;
}

/* What the program knows and we do not must be zero. */
static int check_tail(const uint8_t *user, uint32_t from, uint32_t to)
{
	while (from < to) {
		uint8_t buf[512];
		size_t n = to - from < sizeof(buf) ? to - from : sizeof(buf);
		size_t i;
		int err = sv_copy_in(buf, user + from, n);

		if (err)
			return err;
		for (i = 0; i < n; i++)
			if (buf[i])
				return -E2BIG;
		from += (uint32_t)n;
	}
	return 0;
}

static long iommufd_ioctl(struct sv_file *f, unsigned long request, void *arg)
{
	struct iommufd_cmd cmd = { .ctx = f->priv, .file = f, .user = arg };
	unsigned long nr = _IOC_NR(request) - CMD_BASE;
	const struct cmd_op *op;
	uint32_t known;
	int err;

	if (nr >= sizeof(ops) / sizeof(ops[0])) {
		SPOOR_LOCKED(&cmd.ctx->lock);
		return iommufd_compat_ioctl(cmd.ctx, (uint32_t)request, arg);
	}
	err = sv_copy_in(&cmd.user_size, arg, sizeof(cmd.user_size));
	if (err)
		return err;
	op = &ops[nr];
	/* The request is an int to the kernel: what is above is not looked at. */
	if (!op->fn || (uint32_t)request != (uint32_t)op->request ||
	    kernel() < op->since)
		return -ENOTTY;
	if (cmd.user_size < op->min_size)
		return -EINVAL;
	cmd.size = op->size;
	known = cmd.user_size < op->size ? cmd.user_size : op->size;
	err = check_tail(cmd.user, op->size, cmd.user_size);
	if (!err)
		err = sv_copy_in(&cmd.u, arg, known);
	if (err)
		return err;
	SPOOR_LOCKED(&cmd.ctx->lock);
	return op->fn(&cmd);
}

int iommufd_respond(const struct iommufd_cmd *cmd)
{
	uint32_t len = cmd->user_size < cmd->size ? cmd->user_size : cmd->size;

	return sv_copy_out(cmd->user, &cmd->u, len);
}

int iommufd_object_add(struct iommufd_ctx *ctx, struct iommufd_object *obj,
		       enum iommufd_kind kind)
{
	size_t i;

	for (i = 0; i < ctx->nr_slots && ctx->objects[i]; i++)
		;
	if (i == ctx->nr_slots) {
		size_t room = i ? i * 2 : 16;
		struct iommufd_object **grown = reallocarray(
			ctx->objects, room, sizeof(struct iommufd_object *));

		if (!grown)
			return -ENOMEM;
		memset(grown + i, 0,
		       (room - i) * sizeof(struct iommufd_object *));
		ctx->objects = grown;
		ctx->nr_slots = room;
	}
	obj->kind = kind;
	obj->id = (uint32_t)i + 1;
	ctx->objects[i] = obj;
	ctx->nr_objects++;
	return 0;
}

void iommufd_object_remove(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	ctx->objects[obj->id - 1] = NULL;
	ctx->nr_objects--;
}

struct iommufd_object *iommufd_object_find(const struct iommufd_ctx *ctx,
					   uint32_t id)
{
	return id && id <= ctx->nr_slots ? ctx->objects[id - 1] : NULL;
}

/*
 * Bound devices and open fault queues hold the file, so neither is left; a
 * page table uses its space and goes first.
 */
static void iommufd_release(struct sv_file *f)
{
	struct iommufd_ctx *ctx = f->priv;
	struct iommufd_object *obj;
	size_t i;

	for (i = 0; i < ctx->nr_slots; i++) {
		obj = ctx->objects[i];
		if (obj && obj->kind == IOMMUFD_HWPT)
			iommufd_hwpt_free(ctx,
					  IOMMUFD_OBJECT(iommufd_hwpt, obj));
	}
	for (i = 0; i < ctx->nr_slots; i++) {
		obj = ctx->objects[i];
		if (obj && obj->kind == IOMMUFD_FAULT)
			iommufd_fault_free(ctx, obj);
		else if (obj)
			iommufd_ioas_free(ctx,
					  IOMMUFD_OBJECT(iommufd_ioas, obj));
	}
	free(ctx->objects);
	pthread_mutex_destroy(&ctx->lock);
	free(ctx);
}

static const struct sv_file_ops iommufd_file_ops = {
	.name = "iommufd",
	.ioctl = iommufd_ioctl,
	.release = iommufd_release,
};

struct iommufd_ctx *iommufd_ctx_of(const struct sv_file *f)
{
	return f->ops == &iommufd_file_ops ? f->priv : NULL;
}

int sv_iommufd_open(struct sv_file **ret)
{
	struct iommufd_ctx *ctx;
	struct sv_file *f;

	if (kernel() < SV_KERNEL_6_12)
		return -ENOENT;
	ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	pthread_mutex_init(&ctx->lock, NULL);
	f = sv_file_new(&iommufd_file_ops, ctx);
	if (!f) {
		pthread_mutex_destroy(&ctx->lock);
		free(ctx);
		return -ENOMEM;
	}
	*ret = f;
	return 0;
}
