/* SPDX-License-Identifier: MIT */
/*
 * What one process really did; see the header.
 */
#include "tests/fault/watch.h"

#include <errno.h>

#include "base/uapi_vfio.h"

/* Linker-made: the call as it is without us. */
int __real_ioctl(int fd, unsigned long request, ...);

void watch_received(struct watch *w, int fd, size_t len)
{
	if (w && fd == w->stream_fd)
		atomic_fetch_add(&w->received, len);
}

int watch_state(int fd)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_mig_state mig;
	} ask = {
		.head = { .argsz = sizeof(ask),
			  .flags = VFIO_DEVICE_FEATURE_GET |
				   VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE },
	};

	if (__real_ioctl(fd, VFIO_DEVICE_FEATURE, &ask))
		return -errno;
	return (int)ask.mig.device_state;
}

/* The state that is asked for, or -1. */
static int state_to_be(unsigned long request, const void *arg)
{
	const struct vfio_device_feature *f = arg;
	const struct vfio_device_feature_mig_state *mig;

	if (request != VFIO_DEVICE_FEATURE ||
	    f->flags != (VFIO_DEVICE_FEATURE_SET |
			 VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE))
		return -1;
	mig = (const void *)f->data;
	return (int)mig->device_state;
}

void watch_ioctl(struct watch *w, int fd, unsigned long request,
		 const void *arg, int ret)
{
	const int saved = errno;

	for (int i = 0; w && i < VMM_MAX_DEVICES; i++) {
		if (w->device_fds[i] != fd)
			continue;
		if (request == VFIO_DEVICE_RESET && !ret)
			atomic_store(&w->reset[i], true);
		if (state_to_be(request, arg) < 0)
			continue;
		if (!ret && state_to_be(request, arg) == SPOOR_STATE_RUNNING)
			atomic_store(&w->ran[i], true);
		if (!ret)
			continue;
		atomic_store(&w->state_failed, true);
		if (watch_state(fd) == SPOOR_STATE_ERROR)
			atomic_store(&w->error[i], true);
	}
	errno = saved;
}
