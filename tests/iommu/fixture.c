/* SPDX-License-Identifier: MIT */
#include "tests/iommu/fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "softvfio/file.h"

/* Far from real descriptors, so that those are told apart. */
#define FIRST_FD 1000
#define NR_FDS	 8

static pthread_mutex_t fd_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sv_file *fds[NR_FDS];
static atomic_uint nr_files;
static struct sv_config config = { .kernel = SV_KERNEL_LATEST };
static bool by_faults;

const struct sv_config *sv_config(void)
{
	return &config;
}

void test_set_kernel(enum sv_kernel kernel)
{
	config.kernel = kernel;
}

unsigned int test_open_files(void)
{
	return nr_files;
}

struct sv_file *sv_file_new(const struct sv_file_ops *ops, void *priv)
{
	struct sv_file *f = calloc(1, sizeof(*f));

	if (f) {
		f->ops = ops;
		f->priv = priv;
		atomic_init(&f->refs, 1);
		nr_files++;
	}
	return f;
}

struct sv_file *sv_file_ref(struct sv_file *f)
{
	f->refs++;
	return f;
}

void sv_file_put(struct sv_file *f)
{
	if (--f->refs)
		return;
	if (f->ops->release)
		f->ops->release(f);
	free(f);
	nr_files--;
}

struct sv_file *sv_file_get(int fd)
{
	struct sv_file *f = NULL;

	pthread_mutex_lock(&fd_lock);
	if (fd >= FIRST_FD && fd < FIRST_FD + NR_FDS && fds[fd - FIRST_FD])
		f = sv_file_ref(fds[fd - FIRST_FD]);
	pthread_mutex_unlock(&fd_lock);
	return f;
}

int test_install(struct sv_file *f)
{
	int i;

	for (i = 0; fds[i]; i++)
		assert_true(i < NR_FDS - 1);
	fds[i] = f;
	return FIRST_FD + i;
}

int test_open(void)
{
	struct sv_file *f = NULL;

	assert_int_equal(sv_iommufd_open(&f), 0);
	return test_install(f);
}

void test_close(int fd)
{
	struct sv_file *f = fds[fd - FIRST_FD];

	fds[fd - FIRST_FD] = NULL;
	sv_file_put(f);
}

int sv_file_install(struct sv_file *f, int oflags)
{
	(void)oflags;
	return test_install(f);
}

long test_ioctl(int fd, unsigned long request, void *arg)
{
	struct sv_file *f = sv_file_get(fd);
	long r = f->ops->ioctl(f, request, arg);

	sv_file_put(f);
	return r;
}

void test_by_faults(bool faults)
{
	by_faults = faults;
}

void test_device_init(struct test_device *d, bool dirty, uint64_t page)
{
	*d = (struct test_device){
		.config = { .iommu_dirty = dirty,
			    .iommu_faults = by_faults,
			    .iommu_page = page },
	};
	d->dev.config = &d->config;
	pthread_rwlock_init(&d->lock, NULL);
}

void test_device_fini(struct test_device *d)
{
	sv_iommufd_unbind(&d->dev);
	pthread_rwlock_destroy(&d->lock);
}

static struct test_device *test_device(struct sv_device *dev)
{
	return (struct test_device *)dev;
}

void sv_device_set_attachment(struct sv_device *dev, struct sv_attachment *a)
{
	pthread_rwlock_wrlock(&test_device(dev)->lock);
	dev->attachment = a;
	pthread_rwlock_unlock(&test_device(dev)->lock);
}

static int dma(struct test_device *d, uint64_t iova, size_t len, bool write,
	       bool mark_first, int (*fn)(void *ctx, const struct sv_target *t),
	       void *ctx)
{
	int err = -EFAULT;

	pthread_rwlock_rdlock(&d->lock);
	if (d->dev.attachment)
		err = sv_attachment_access(d->dev.attachment, iova, len, write,
					   mark_first, fn, ctx);
	pthread_rwlock_unlock(&d->lock);
	return err;
}

struct piece {
	const uint8_t *from;
	uint8_t *to;
	size_t len;
};

static int copy_piece(void *ctx, const struct sv_target *t)
{
	const struct piece *p = ctx;

	if (p->to)
		memcpy(p->to, t->ptr, p->len);
	else
		memcpy(t->ptr, p->from, p->len);
	return 0;
}

/* Page by page, as a device's host does. */
static int dma_copy(struct test_device *d, uint64_t iova, struct piece p,
		    bool write, bool mark_first)
{
	size_t left = p.len;
	int err = 0;

	while (left && !err) {
		p.len = PAGE - iova % PAGE < left ? PAGE - iova % PAGE : left;
		err = dma(d, iova, p.len, write, mark_first, copy_piece, &p);
		iova += p.len;
		left -= p.len;
		if (p.to)
			p.to += p.len;
		else
			p.from += p.len;
	}
	return err;
}

int test_dma(struct test_device *d, uint64_t iova, const void *buf, size_t len,
	     bool mark_first)
{
	struct piece p = { .from = buf, .len = len };

	return dma_copy(d, iova, p, true, mark_first);
}

int test_dma_read(struct test_device *d, uint64_t iova, void *buf, size_t len)
{
	struct piece p = { .to = buf, .len = len };

	return dma_copy(d, iova, p, false, false);
}

int test_dma_call(struct test_device *d, uint64_t iova, bool mark_first,
		  int (*fn)(void *ctx, const struct sv_target *t), void *ctx)
{
	return dma(d, iova, 8, true, mark_first, fn, ctx);
}

uint8_t *test_memory(size_t len, size_t align)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	uint8_t *all, *at, *p;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	all = mmap(NULL, len + align, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(all, MAP_FAILED);
	at = (uint8_t *)(((uintptr_t)all + align - 1) & ~(align - 1));
	p = mmap(at, len, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0);
	assert_ptr_equal(p, at);
	close(fd);
	if (at > all)
		munmap(all, (size_t)(at - all));
	if (all + align > at)
		munmap(at + len, (size_t)(all + align - at));
	return p;
}

uint32_t test_ioas(int fd)
{
	struct iommu_ioas_alloc a = { .size = sizeof(a) };

	assert_int_equal(test_ioctl(fd, IOMMU_IOAS_ALLOC, &a), 0);
	return a.out_ioas_id;
}

uint32_t test_hwpt(int fd, uint32_t dev, uint32_t ioas, uint32_t flags)
{
	struct iommu_hwpt_alloc a = {
		.size = sizeof(a), .flags = flags, .dev_id = dev, .pt_id = ioas
	};

	assert_int_equal(test_ioctl(fd, IOMMU_HWPT_ALLOC, &a), 0);
	return a.out_hwpt_id;
}

uint32_t test_bind(int fd, struct test_device *d)
{
	uint32_t id = 0;

	assert_int_equal(sv_iommufd_bind(fd, &d->dev, &id), 0);
	return id;
}

void test_attach(struct test_device *d, uint32_t pt)
{
	assert_int_equal(sv_iommufd_attach(&d->dev, &pt), 0);
}

void test_map(int fd, uint32_t ioas, const void *va, uint64_t len,
	      uint64_t iova)
{
	uint64_t at = iova;

	assert_int_equal(try_map(fd, ioas, FIXED | RW, va, len, &at), 0);
	assert_int_equal(at, iova);
}

void test_tracking(int fd, uint32_t hwpt, bool on)
{
	struct iommu_hwpt_set_dirty_tracking a = {
		.size = sizeof(a),
		.hwpt_id = hwpt,
		.flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
	};

	assert_int_equal(test_ioctl(fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &a), 0);
}

long try_map(int fd, uint32_t ioas, uint32_t flags, const void *va,
	     uint64_t len, uint64_t *iova)
{
	struct iommu_ioas_map a = { .size = sizeof(a),
				    .flags = flags,
				    .ioas_id = ioas,
				    .user_va = (uintptr_t)va,
				    .length = len,
				    .iova = *iova };
	long r = test_ioctl(fd, IOMMU_IOAS_MAP, &a);

	*iova = a.iova;
	return r;
}

long try_unmap(int fd, uint32_t ioas, uint64_t iova, uint64_t *len)
{
	struct iommu_ioas_unmap a = {
		.size = sizeof(a), .ioas_id = ioas, .iova = iova, .length = *len
	};
	long r = test_ioctl(fd, IOMMU_IOAS_UNMAP, &a);

	*len = a.length;
	return r;
}

long try_copy(int fd, uint32_t dst, uint32_t src, uint32_t flags, uint64_t len,
	      uint64_t *dst_iova, uint64_t src_iova)
{
	struct iommu_ioas_copy a = { .size = sizeof(a),
				     .flags = flags,
				     .dst_ioas_id = dst,
				     .src_ioas_id = src,
				     .length = len,
				     .dst_iova = *dst_iova,
				     .src_iova = src_iova };
	long r = test_ioctl(fd, IOMMU_IOAS_COPY, &a);

	*dst_iova = a.dst_iova;
	return r;
}

long try_destroy(int fd, uint32_t id)
{
	struct iommu_destroy a = { .size = sizeof(a), .id = id };

	return test_ioctl(fd, IOMMU_DESTROY, &a);
}

long try_dirty(int fd, uint32_t hwpt, uint32_t flags, uint64_t iova,
	       uint64_t len, uint64_t page_size, void *bitmap)
{
	struct iommu_hwpt_get_dirty_bitmap a = {
		.size = sizeof(a),
		.hwpt_id = hwpt,
		.flags = flags,
		.iova = iova,
		.length = len,
		.page_size = page_size,
		.data = (uintptr_t)bitmap,
	};

	return test_ioctl(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &a);
}

long try_option(int fd, uint32_t id, uint16_t op, uint64_t *val)
{
	struct iommu_option a = { .size = sizeof(a),
				  .option_id = IOMMU_OPTION_HUGE_PAGES,
				  .op = op,
				  .object_id = id,
				  .val64 = *val };
	long r = test_ioctl(fd, IOMMU_OPTION, &a);

	*val = a.val64;
	return r;
}
