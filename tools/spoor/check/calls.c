/* SPDX-License-Identifier: MIT */
/*
 * The calls, as they are made; each leaves a line of text.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "check.h"

#define NAME(state) spoor_device_state_name((enum spoor_device_state)(state))

void check_note(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->calls[c->nr_calls++ % CHECK_NR_CALLS], CHECK_CALL_LEN, fmt,
		  ap);
	va_end(ap);
}

/* "0", "EINVAL" */
static const char *answer(int r)
{
	return r < 0 ? strerrorname_np(-r) : "0";
}

int check_feature(struct check *c, uint32_t flags, void *payload, size_t len)
{
	uint64_t buf[1 + 8] = { 0 };
	struct vfio_device_feature *f = (void *)buf;
	int r;

	f->argsz = (uint32_t)(sizeof(*f) + len);
	f->flags = flags;
	if (len)
		memcpy(f->data, payload, len);
	r = ioctl(c->fd, VFIO_DEVICE_FEATURE, f) < 0 ? -errno : 0;
	if (len)
		memcpy(payload, f->data, len);
	return r;
}

int check_get(struct check *c, uint32_t *ret_state)
{
	struct vfio_device_feature_mig_state s = { .data_fd = -1 };
	int r = check_feature(c,
			      VFIO_DEVICE_FEATURE_GET |
				      VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
			      &s, sizeof(s));

	check_note(c, "GET state: %s, %s", answer(r),
		   r ? "-" : NAME(s.device_state));
	if (r)
		return r;
	*ret_state = s.device_state;
	if (s.data_fd != -1)
		check_note(c, "GET gave data_fd %d", s.data_fd);
	return s.data_fd == -1 ? 0 : -EBADMSG;
}

int check_set(struct check *c, uint32_t state, int *ret_fd)
{
	struct vfio_device_feature_mig_state s = { .device_state = state,
						   .data_fd = -1 };
	int r = check_feature(c,
			      VFIO_DEVICE_FEATURE_SET |
				      VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
			      &s, sizeof(s));

	if (state <= VFIO_DEVICE_STATE_PRE_COPY_P2P)
		check_note(c, "SET %s: %s%s", NAME(state), answer(r),
			   !r && s.data_fd >= 0 ? ", a data fd" : "");
	else
		check_note(c, "SET state %u: %s", state, answer(r));
	if (ret_fd)
		*ret_fd = r ? -1 : s.data_fd;
	else if (!r && s.data_fd >= 0)
		close(s.data_fd);
	return r;
}

void check_drop_fd(struct check *c)
{
	if (c->data_fd >= 0)
		close(c->data_fd);
	c->data_fd = -1;
}

int check_go(struct check *c, uint32_t state)
{
	int fd, r = check_set(c, state, &fd);

	if (r || fd < 0)
		return r;
	check_drop_fd(c);
	c->data_fd = fd;
	return 0;
}

ssize_t check_read(struct check *c, int fd, void *buf, size_t len)
{
	ssize_t n = read(fd, buf, len);

	if (n < 0)
		n = -errno;
	if (n < 0)
		check_note(c, "read(data, %zu): %s", len, answer((int)n));
	else
		check_note(c, "read(data, %zu): %zd", len, n);
	return n;
}

ssize_t check_write(struct check *c, int fd, const void *buf, size_t len)
{
	ssize_t n = write(fd, buf, len);

	if (n < 0)
		n = -errno;
	if (n < 0)
		check_note(c, "write(data, %zu): %s", len, answer((int)n));
	else
		check_note(c, "write(data, %zu): %zd", len, n);
	return n;
}

int check_precopy_info(struct check *c, int fd, uint32_t argsz,
		       struct vfio_precopy_info *ret)
{
	struct vfio_precopy_info info = { .argsz = argsz };
	int r = ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info) < 0 ? -errno : 0;

	check_note(c, "GET_PRECOPY_INFO: %s, initial %llu, dirty %llu",
		   answer(r), (unsigned long long)info.initial_bytes,
		   (unsigned long long)info.dirty_bytes);
	if (!r)
		*ret = info;
	return r;
}

int check_reset(struct check *c)
{
	int r = ioctl(c->fd, VFIO_DEVICE_RESET) < 0 ? -errno : 0;

	check_note(c, "RESET: %s", answer(r));
	c->at.ready = false;
	return r;
}

int check_log_start(struct check *c,
		    const struct vfio_device_feature_dma_logging_range *ranges,
		    uint32_t nr, uint64_t page_size, uint64_t *ret_page_size)
{
	struct vfio_device_feature_dma_logging_control l = {
		.page_size = page_size,
		.num_ranges = nr,
		.ranges = (uintptr_t)ranges,
	};
	int r = check_feature(c,
			      VFIO_DEVICE_FEATURE_SET |
				      VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
			      &l, sizeof(l));

	check_note(c,
		   "LOGGING_START %u ranges from 0x%llx, page size %llu: %s, "
		   "page size %llu",
		   nr, (unsigned long long)ranges[0].iova,
		   (unsigned long long)page_size, answer(r),
		   (unsigned long long)l.page_size);
	if (!r && ret_page_size)
		*ret_page_size = l.page_size;
	return r;
}

int check_log_stop(struct check *c)
{
	int r = check_feature(c,
			      VFIO_DEVICE_FEATURE_SET |
				      VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
			      NULL, 0);

	check_note(c, "LOGGING_STOP: %s", answer(r));
	return r;
}

static int report(struct check *c, uint64_t iova, uint64_t len,
		  uint64_t *bitmap)
{
	struct vfio_device_feature_dma_logging_report l = {
		.iova = iova,
		.length = len,
		.page_size = CHECK_PAGE,
		.bitmap = (uintptr_t)bitmap,
	};
	int r = check_feature(c,
			      VFIO_DEVICE_FEATURE_GET |
				      VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
			      &l, sizeof(l));

	check_note(c, "LOGGING_REPORT 0x%llx+0x%llx: %s",
		   (unsigned long long)iova, (unsigned long long)len,
		   answer(r));
	return r;
}

int check_log_report(struct check *c, uint64_t iova, uint64_t len,
		     uint64_t *bitmap)
{
	int r = report(c, iova, len, bitmap), back;

	if (r != -EBUSY || !c->caps)
		return r;
	r = check_set(c, VFIO_DEVICE_STATE_STOP, NULL);
	if (r)
		return r;
	r = report(c, iova, len, bitmap);
	back = check_set(c, VFIO_DEVICE_STATE_RUNNING, NULL);
	return r ? r : back;
}

int check_log_all(struct check *c, uint64_t *ret_page_size)
{
	const struct vfio_device_feature_dma_logging_range all = {
		CHECK_DATA, CHECK_DATA_LEN
	};

	return check_log_start(c, &all, 1, CHECK_PAGE, ret_page_size);
}
