/* SPDX-License-Identifier: MIT */
/*
 * Devices in iommufd: binding, attaching, and what their IOMMU can do.
 *
 * A physical device is attached to a page table, which marks what it writes;
 * an emulated one reaches its IOAS directly and marks nothing: its driver
 * knows what it wrote.  A bound device holds the context's file, so contexts
 * outlive their descriptor as long as a device is bound.
 *
 * Threads: the binding lock guards sv_device.binding, whichever context it
 * leads to, and is taken before the context's lock.  Attachments are replaced
 * by a new object and freed when the device has let go of the old one, which
 * sv_device_set_attachment() waits for.
 */
#include "softvfio/iommufd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "softvfio/device.h"
#include "base/cleanup.h"

struct iommufd_attachment {
	struct sv_attachment base; /* first: DMA hands us this */
	struct iommufd_hwpt *hwpt; /* NULL: an emulated device */
	struct iommufd_ioas *ioas;
};

struct iommufd_binding {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	struct sv_file *file; /* a reference */
	struct sv_device *dev;
	struct iommufd_attachment *at; /* NULL: not attached */
};

static pthread_mutex_t binding_lock = PTHREAD_MUTEX_INITIALIZER;

static void mark_hwpt(struct sv_attachment *a, struct sv_area *area,
		      uint64_t iova, size_t len)
{
	const struct iommufd_attachment *at = (struct iommufd_attachment *)a;

	(void)len; /* within 4K, so within one entry */
	if (!at->hwpt->faults)
		dirty_mark(at->hwpt, area, iova);
}

static bool writable(struct sv_attachment *a, struct sv_area *area,
		     uint64_t iova)
{
	const struct iommufd_attachment *at = (struct iommufd_attachment *)a;

	return !at->hwpt->faults || dirty_marked(at->hwpt, area, iova);
}

static void write_fault(struct sv_attachment *a, uint64_t iova)
{
	const struct iommufd_attachment *at = (struct iommufd_attachment *)a;

	hwpt_fault_write(at->hwpt, iova);
}

static void mark_nothing(struct sv_attachment *a, struct sv_area *area,
			 uint64_t iova, size_t len)
{
	(void)a;
	(void)area;
	(void)iova;
	(void)len;
}

/*
 * Pinned areas stay pinned as long as they are mapped, so holding pages needs
 * no more than that they are there.
 */
static int check_pages(struct sv_attachment *a, uint64_t iova,
		       uint64_t nr_pages, bool write)
{
	uint64_t len, last, at = iova;
	size_t i;

	if (!nr_pages || iova & SV_PAGE_MASK ||
	    __builtin_mul_overflow(nr_pages, SV_PAGE_SIZE, &len) ||
	    __builtin_add_overflow(iova, len - 1, &last))
		return -EINVAL;
	for (i = sv_area_index(a->list, iova); i < a->list->nr; i++) {
		const struct sv_area *area = a->list->areas[i];

		if (area->iova > at)
			break;
		if (write && !(area->prot & SV_PROT_WRITE))
			return -EPERM;
		if (area->last >= last)
			return 0;
		at = area->last + 1;
	}
	return -ENOENT;
}

static int pin_pages(struct sv_attachment *a, uint64_t iova, uint64_t nr_pages,
		     bool write)
{
	int err;

	pthread_rwlock_rdlock(&a->list->lock);
	err = check_pages(a, iova, nr_pages, write);
	pthread_rwlock_unlock(&a->list->lock);
	return err;
}

static int unpin_pages(struct sv_attachment *a, uint64_t iova,
		       uint64_t nr_pages)
{
	return pin_pages(a, iova, nr_pages, false);
}

static const struct sv_attachment_ops device_ops = {
	.mark = mark_hwpt,
	.writable = writable,
	.write_fault = write_fault,
};
static const struct sv_attachment_ops access_ops = {
	.mark = mark_nothing,
	.pin = pin_pages,
	.unpin = unpin_pages,
};

static struct iommufd_binding *binding_find(const struct iommufd_ctx *ctx,
					    uint32_t id)
{
	struct iommufd_object *obj = iommufd_object_find(ctx, id);

	return obj && obj->kind == IOMMUFD_DEVICE
		       ? IOMMUFD_OBJECT(iommufd_binding, obj)
		       : NULL;
}

struct sv_device *iommufd_device_find(const struct iommufd_ctx *ctx,
				      uint32_t id)
{
	struct iommufd_binding *b = binding_find(ctx, id);

	return b ? b->dev : NULL;
}

static int file_of(int fd, struct sv_file **ret)
{
	struct sv_file *f;

	if (fd < 0)
		return -EINVAL;
	f = sv_file_get(fd);
	if (!f)
		return fcntl(fd, F_GETFD) < 0 ? -EBADF : -EBADFD;
	if (!iommufd_ctx_of(f)) {
		sv_file_put(f);
		return -EBADFD;
	}
	*ret = f;
	return 0;
}

static int bind_locked(struct sv_file *f, struct sv_device *dev,
		       uint32_t *ret_devid)
{
	struct iommufd_ctx *ctx = iommufd_ctx_of(f);
	struct iommufd_binding *b;
	int err;

	if (dev->binding || dev->config->noiommu)
		return -EINVAL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->ctx = ctx;
	b->file = f;
	b->dev = dev;
	b->obj.users = 1; /* the device's file: DESTROY is refused */
	SPOOR_LOCKED(&ctx->lock);
	err = iommufd_object_add(ctx, &b->obj,
				 dev->config->emulated ? IOMMUFD_ACCESS
						       : IOMMUFD_DEVICE);
	if (err) {
		free(b);
		return err;
	}
	dev->binding = b;
	dev->devid = b->obj.id;
	*ret_devid = b->obj.id;
	return 0;
}

int sv_iommufd_bind(int iommufd, struct sv_device *dev, uint32_t *ret_devid)
{
	struct sv_file *f;
	int err = file_of(iommufd, &f);

	if (err)
		return err;
	pthread_mutex_lock(&binding_lock);
	err = bind_locked(f, dev, ret_devid);
	pthread_mutex_unlock(&binding_lock);
	if (err)
		sv_file_put(f);
	return err;
}

int sv_iommufd_compat_file(int fd, struct sv_file **ret)
{
	struct iommufd_ioas *ioas;
	struct iommufd_ctx *ctx;
	struct sv_file *f;
	int err = file_of(fd, &f);

	if (err)
		return err;
	ctx = iommufd_ctx_of(f);
	pthread_mutex_lock(&ctx->lock);
	err = iommufd_compat_ioas(ctx, &ioas);
	pthread_mutex_unlock(&ctx->lock);
	if (err)
		sv_file_put(f);
	else
		*ret = f;
	return err;
}

int sv_iommufd_compat_bind(struct sv_file *f, struct sv_device *dev)
{
	struct iommufd_ctx *ctx = iommufd_ctx_of(f);
	uint32_t id;
	int err;

	pthread_mutex_lock(&binding_lock);
	err = bind_locked(sv_file_ref(f), dev, &id);
	pthread_mutex_unlock(&binding_lock);
	if (err) {
		sv_file_put(f);
		return err;
	}
	pthread_mutex_lock(&ctx->lock);
	id = ctx->compat_ioas ? ctx->compat_ioas->obj.id : 0;
	pthread_mutex_unlock(&ctx->lock);
	err = id ? sv_iommufd_attach(dev, &id) : -ENODEV;
	if (err)
		sv_iommufd_unbind(dev);
	return err;
}

/* What an attachment holds is given up; it is no longer the device's. */
static void release_attachment(struct iommufd_ctx *ctx,
			       struct iommufd_attachment *at)
{
	if (!at)
		return;
	if (at->hwpt) {
		at->ioas->nr_devices--;
		at->hwpt->obj.users--;
		if (at->hwpt->automatic && !at->hwpt->obj.users)
			iommufd_hwpt_free(ctx, at->hwpt);
	} else {
		at->ioas->nr_accesses--;
		at->ioas->obj.users--;
		ioas_unpin_unused(at->ioas);
	}
	free(at);
}

/* The device takes @at, which holds what it needs, or NULL. */
static void switch_to(struct iommufd_binding *b, struct iommufd_attachment *at)
{
	struct iommufd_attachment *old = b->at;

	b->at = at;
	sv_device_set_attachment(b->dev, at ? &at->base : NULL);
	release_attachment(b->ctx, old);
}

static struct iommufd_attachment *
attachment_new(struct iommufd_binding *b, struct iommufd_ioas *ioas,
	       const struct sv_attachment_ops *ops)
{
	struct iommufd_attachment *at = calloc(1, sizeof(*at));

	if (at) {
		at->base.ops = ops;
		at->base.dev = b->dev;
		at->base.list = &ioas->list;
		at->ioas = ioas;
	}
	return at;
}

static int attach_access(struct iommufd_binding *b, uint32_t pt_id)
{
	struct iommufd_ioas *ioas = iommufd_ioas_find(b->ctx, pt_id);
	struct iommufd_attachment *at;
	int err;

	if (!ioas)
		return -ENOENT;
	if (b->at && b->at->ioas == ioas)
		return 0;
	err = ioas_admit(ioas, IOAS_JOIN_ACCESS);
	if (err)
		return err;
	at = attachment_new(b, ioas, &access_ops);
	if (!at)
		return -ENOMEM;
	ioas->nr_accesses++;
	ioas->obj.users++;
	switch_to(b, at);
	return 0;
}

static int attach_hwpt(struct iommufd_binding *b, struct iommufd_ioas *ioas,
		       struct iommufd_hwpt *hwpt, uint32_t *pt_id)
{
	/* A table in place of another is filled before it is looked at. */
	const bool fill_first = b->at && !hwpt;
	struct iommufd_attachment *at;
	int err = 0;

	at = attachment_new(b, ioas, &device_ops);
	if (!at)
		return -ENOMEM;
	if (!fill_first)
		err = ioas_admit(ioas, IOAS_JOIN_DEVICE);
	if (!err && !hwpt)
		err = iommufd_hwpt_new(b->ctx, ioas, b->dev, false, true,
				       &hwpt);
	if (!err && fill_first) {
		err = ioas_admit(ioas, IOAS_JOIN_DEVICE);
		if (err)
			iommufd_hwpt_free(b->ctx, hwpt);
	}
	if (err) {
		free(at);
		return err;
	}
	at->hwpt = hwpt;
	hwpt->obj.users++;
	ioas->nr_devices++;
	switch_to(b, at);
	*pt_id = hwpt->obj.id;
	return 0;
}

static int attach_device(struct iommufd_binding *b, uint32_t *pt_id)
{
	struct iommufd_object *obj = iommufd_object_find(b->ctx, *pt_id);
	struct iommufd_hwpt *hwpt;
	struct iommufd_ioas *ioas;

	if (!obj)
		return -ENOENT;
	switch (obj->kind) {
	case IOMMUFD_IOAS:
		ioas = IOMMUFD_OBJECT(iommufd_ioas, obj);
		hwpt = ioas->auto_hwpt;
		break;
	case IOMMUFD_HWPT:
		hwpt = IOMMUFD_OBJECT(iommufd_hwpt, obj);
		ioas = hwpt->ioas;
		/* Its IOMMU would write, and nobody would know. */
		if (hwpt->dirty && !b->dev->config->iommu_dirty)
			return -EINVAL;
		break;
	case IOMMUFD_DEVICE:
	case IOMMUFD_ACCESS:
	case IOMMUFD_FAULT:
	default:
		return -EINVAL;
	}
	if (hwpt && b->at && b->at->hwpt == hwpt) {
		*pt_id = hwpt->obj.id;
		return 0;
	}
	return attach_hwpt(b, ioas, hwpt, pt_id);
}

int sv_iommufd_attach(struct sv_device *dev, uint32_t *pt_id)
{
	SPOOR_LOCKED(&binding_lock);
	struct iommufd_binding *b = dev->binding;
	int err;

	if (!b)
		return -EINVAL;
	pthread_mutex_lock(&b->ctx->lock);
	if (b->obj.kind == IOMMUFD_ACCESS)
		err = attach_access(b, *pt_id);
	else
		err = attach_device(b, pt_id);
	pthread_mutex_unlock(&b->ctx->lock);
	return err;
}

int sv_iommufd_detach(struct sv_device *dev)
{
	SPOOR_LOCKED(&binding_lock);
	struct iommufd_binding *b = dev->binding;

	if (!b)
		return -EINVAL;
	pthread_mutex_lock(&b->ctx->lock);
	if (b->at)
		switch_to(b, NULL);
	pthread_mutex_unlock(&b->ctx->lock);
	return 0;
}

void sv_iommufd_unbind(struct sv_device *dev)
{
	struct sv_file *f = NULL;
	struct iommufd_binding *b;

	pthread_mutex_lock(&binding_lock);
	b = dev->binding;
	if (b) {
		pthread_mutex_lock(&b->ctx->lock);
		if (b->at)
			switch_to(b, NULL);
		iommufd_object_remove(b->ctx, &b->obj);
		pthread_mutex_unlock(&b->ctx->lock);
		dev->binding = NULL;
		dev->devid = 0;
		f = b->file;
		free(b);
	}
	pthread_mutex_unlock(&binding_lock);
	/* Perhaps the last: the context goes, with nothing locked. */
	if (f)
		sv_file_put(f);
}

/* Our IOMMU has no details to tell: the program's buffer reads as zero. */
static int zero_user(uint8_t *user, uint32_t len)
{
	static const uint8_t zeros[512];
	int err = 0;

	while (len && !err) {
		uint32_t n = len < sizeof(zeros) ? len : sizeof(zeros);

		err = sv_copy_out(user, zeros, n);
		user += n;
		len -= n;
	}
	return err;
}

int iommufd_get_hw_info(struct iommufd_cmd *cmd)
{
	struct iommu_hw_info *arg = &cmd->u.hw_info;
	const uint8_t *reserved = arg->__reserved;
	struct sv_device *dev;
	int err;

	/* What 6.16 answers in was reserved before. */
	if (sv_config()->kernel == SV_KERNEL_LATEST)
		arg->out_max_pasid_log2 = 0;
	if (arg->flags || arg->out_max_pasid_log2 || reserved[0] ||
	    reserved[1] || reserved[2])
		return -EOPNOTSUPP;
	dev = iommufd_device_find(cmd->ctx, arg->dev_id);
	if (!dev)
		return -ENOENT;
	err = zero_user((uint8_t *)(uintptr_t)arg->data_uptr, arg->data_len);
	if (err)
		return err;
	arg->data_len = 0;
	arg->out_data_type = IOMMU_HW_INFO_TYPE_NONE;
	arg->out_capabilities =
		dev->config->iommu_dirty ? IOMMU_HW_CAP_DIRTY_TRACKING : 0;
	return iommufd_respond(cmd);
}
