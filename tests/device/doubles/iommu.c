/* SPDX-License-Identifier: MIT */
/*
 * Double of the IOMMU side: one attachment, whose table maps PAGES pages of
 * memory at BASE (the last one read only) and DEV_PEER's BAR 2 at PEER.
 */
#include "../harness.h"

struct sv_attachment {
	int unused;
};

static struct sv_attachment the_attachment;
struct fake_attachment_state ram;
unsigned int nr_unbinds;
int fail_bind, fail_attach;

struct sv_attachment *attachment(void)
{
	return &the_attachment;
}

static int access_peer(uint64_t offset,
		       int (*fn)(void *, const struct sv_target *), void *ctx)
{
	struct sv_target t = {
		.peer = sv_device_by_index(DEV_PEER),
		.bar = 2,
		.bar_offset = offset,
	};

	return fn(ctx, &t);
}

int sv_attachment_access(struct sv_attachment *a, uint64_t iova, size_t len,
			 bool write, bool mark_first,
			 int (*fn)(void *ctx, const struct sv_target *t),
			 void *ctx)
{
	struct sv_target t = { 0 };
	uint64_t page = (iova - BASE) / PAGE;
	int r;

	(void)len;
	assert_ptr_equal(a, &the_attachment);
	if (iova >= PEER && iova < PEER + 2 * PAGE)
		return access_peer(iova - PEER, fn, ctx);
	if (iova < BASE || page >= PAGES || (write && page == PAGES - 1))
		return -EFAULT;
	__atomic_add_fetch(&ram.in_flight, 1, __ATOMIC_SEQ_CST);
	if (ram.hook)
		ram.hook();
	t.ptr = ram.mem + (iova - BASE);
	if (write && mark_first)
		__atomic_store_n(&ram.dirty[page], true, __ATOMIC_SEQ_CST);
	r = fn(ctx, &t);
	if (!r && write)
		__atomic_store_n(&ram.dirty[page], true, __ATOMIC_SEQ_CST);
	__atomic_sub_fetch(&ram.in_flight, 1, __ATOMIC_SEQ_CST);
	return r;
}

int sv_attachment_pin(struct sv_attachment *a, uint64_t iova, uint64_t nr_pages,
		      bool write)
{
	(void)iova;
	(void)write;
	assert_ptr_equal(a, &the_attachment);
	ram.pins += (unsigned int)nr_pages;
	return 0;
}

int sv_attachment_unpin(struct sv_attachment *a, uint64_t iova,
			uint64_t nr_pages)
{
	(void)iova;
	assert_ptr_equal(a, &the_attachment);
	ram.pins -= (unsigned int)nr_pages;
	return 0;
}

int sv_iommufd_bind(int iommufd, struct sv_device *dev, uint32_t *ret_devid)
{
	if (fail_bind)
		return fail_bind;
	if (fcntl(iommufd, F_GETFD) < 0)
		return -EBADF;
	dev->binding = dev;
	dev->devid = 1;
	*ret_devid = 1;
	return 0;
}

int sv_iommufd_compat_bind(struct sv_file *f, struct sv_device *dev)
{
	(void)f;
	dev->binding = dev;
	return 0;
}

int sv_iommufd_attach(struct sv_device *dev, uint32_t *pt_id)
{
	if (fail_attach)
		return fail_attach;
	sv_device_set_attachment(dev, &the_attachment);
	*pt_id += 1;
	return 0;
}

int sv_iommufd_detach(struct sv_device *dev)
{
	sv_device_set_attachment(dev, NULL);
	return 0;
}

void sv_iommufd_unbind(struct sv_device *dev)
{
	sv_device_set_attachment(dev, NULL);
	dev->binding = NULL;
	nr_unbinds++;
}

atomic_uint nr_group_closes;

void sv_group_device_closed(struct sv_device *dev)
{
	(void)dev;
	atomic_fetch_add(&nr_group_closes, 1);
}

int sv_group_claim_cdev(struct sv_device *dev)
{
	(void)dev;
	return 0;
}

/* Whatever is called a group is the one of the device that it holds. */
bool sv_group_file_owns(const struct sv_file *f, const struct sv_device *dev)
{
	return !strcmp(f->ops->name, "group") && f->priv == dev;
}

void sv_group_unclaim_cdev(struct sv_device *dev)
{
	(void)dev;
}
