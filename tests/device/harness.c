/* SPDX-License-Identifier: MIT */
/* Calls as a program makes them; see harness.h. */
#include "harness.h"

#include <sys/mman.h>

int dev_ioctl(int fd, unsigned long request, void *arg)
{
	struct sv_file *f = sv_file_get(fd);
	long r;

	assert_non_null(f);
	r = f->ops->ioctl(f, request, arg);
	sv_file_put(f);
	return (int)r;
}

ssize_t dev_read(int fd, void *buf, size_t len)
{
	struct sv_file *f = sv_file_get(fd);
	ssize_t r;

	assert_non_null(f);
	r = f->ops->read(f, buf, len);
	sv_file_put(f);
	return r;
}

ssize_t dev_write(int fd, const void *buf, size_t len)
{
	struct sv_file *f = sv_file_get(fd);
	ssize_t r;

	assert_non_null(f);
	r = f->ops->write(f, buf, len);
	sv_file_put(f);
	return r;
}

ssize_t dev_pread(int fd, void *buf, size_t len, uint64_t off)
{
	struct sv_file *f = sv_file_get(fd);
	ssize_t r;

	assert_non_null(f);
	r = f->ops->pread(f, buf, len, (off_t)off);
	sv_file_put(f);
	return r;
}

ssize_t dev_pwrite(int fd, const void *buf, size_t len, uint64_t off)
{
	struct sv_file *f = sv_file_get(fd);
	ssize_t r;

	assert_non_null(f);
	r = f->ops->pwrite(f, buf, len, (off_t)off);
	sv_file_put(f);
	return r;
}

int open_device(unsigned int index)
{
	struct sv_device *dev = sv_device_by_index(index);
	uint16_t command = 6;
	struct sv_file *f;
	int fd;

	assert_non_null(dev);
	assert_int_equal(sv_device_open_group(dev, NULL, &f), 0);
	fd = sv_file_install(f, O_RDWR);
	assert_true(fd >= 0);
	sv_device_set_attachment(dev, attachment());
	assert_int_equal(dev_pwrite(fd, &command, 2, CONFIG + 4), 2);
	return fd;
}

int feature(int fd, uint32_t argsz, uint32_t flags, void *payload, size_t len)
{
	struct {
		uint32_t argsz, flags;
		uint8_t data[256];
	} frame = { .argsz = argsz, .flags = flags };
	int r;

	if (payload)
		memcpy(frame.data, payload, len);
	r = dev_ioctl(fd, VFIO_DEVICE_FEATURE, &frame);
	if (payload)
		memcpy(payload, frame.data, len);
	assert_int_equal(frame.argsz, argsz);
	assert_int_equal(frame.flags, flags);
	return r;
}

int set_state(int fd, uint32_t state, int *ret_fd)
{
	struct vfio_device_feature_mig_state m = { state, 77 };
	int r;

	r = feature(fd, 16,
		    VFIO_DEVICE_FEATURE_SET |
			    VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		    &m, sizeof(m));
	/* The frame comes back in success and failure. */
	assert_int_equal(m.device_state, state);
	assert_int_not_equal(m.data_fd, 77);
	if (ret_fd)
		*ret_fd = m.data_fd;
	else
		assert_int_equal(m.data_fd, -1);
	return r;
}

int get_state(int fd)
{
	struct vfio_device_feature_mig_state m = { 99, 77 };
	int r;

	r = feature(fd, 16,
		    VFIO_DEVICE_FEATURE_GET |
			    VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		    &m, sizeof(m));
	if (r)
		return r;
	assert_int_equal(m.data_fd, -1);
	return (int)m.device_state;
}

int log_start(int fd, uint64_t page_size, uint32_t nr, const void *ranges)
{
	struct vfio_device_feature_dma_logging_control c = {
		.page_size = page_size,
		.num_ranges = nr,
		.ranges = (uintptr_t)ranges,
	};

	return feature(fd, 32,
		       VFIO_DEVICE_FEATURE_SET |
			       VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		       &c, sizeof(c));
}

int log_report(int fd, uint64_t iova, uint64_t len, uint64_t page_size,
	       void *bitmap)
{
	struct vfio_device_feature_dma_logging_report r = {
		.iova = iova,
		.length = len,
		.page_size = page_size,
		.bitmap = (uintptr_t)bitmap,
	};

	return feature(fd, 40,
		       VFIO_DEVICE_FEATURE_GET |
			       VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
		       &r, sizeof(r));
}

int log_stop(int fd)
{
	return feature(fd, 8,
		       VFIO_DEVICE_FEATURE_SET |
			       VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
		       NULL, 0);
}

int dma_write(unsigned int index, uint64_t iova, size_t len)
{
	static const uint8_t data[PAGE] = { 0xa5 };

	return model_poke_dma(sv_model(sv_device_by_index(index)), iova, data,
			      len);
}

uint8_t *guard_page(void)
{
	static uint8_t *page;

	if (!page) {
		page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(page, MAP_FAILED);
		assert_int_equal(mprotect(page + PAGE, PAGE, PROT_NONE), 0);
	}
	memset(page, 0, PAGE);
	return page;
}

void *read_only(const void *data, size_t len)
{
	static uint8_t *page;

	if (!page)
		page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	mprotect(page, PAGE, PROT_READ | PROT_WRITE);
	memcpy(page, data, len);
	mprotect(page, PAGE, PROT_READ);
	return page;
}
