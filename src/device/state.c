/* SPDX-License-Identifier: MIT */
/*
 * Migration states, and the data session that some of them open.
 *
 * Invariant: data_fd is the session of the state the kernel is in, or -1.  Not
 * every change into a saving state brings a new descriptor: PRE_COPY to
 * STOP_COPY goes on with the old one, and so does the same state again.
 * Threads: one at a time per device.
 */
#include "device/device_priv.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/uapi_vfio.h"

static const char *const state_names[] = {
	[SPOOR_STATE_ERROR] = "ERROR",
	[SPOOR_STATE_STOP] = "STOP",
	[SPOOR_STATE_RUNNING] = "RUNNING",
	[SPOOR_STATE_STOP_COPY] = "STOP_COPY",
	[SPOOR_STATE_RESUMING] = "RESUMING",
	[SPOOR_STATE_RUNNING_P2P] = "RUNNING_P2P",
	[SPOOR_STATE_PRE_COPY] = "PRE_COPY",
	[SPOOR_STATE_PRE_COPY_P2P] = "PRE_COPY_P2P",
};

static bool known_state(uint32_t state)
{
	return state < sizeof(state_names) / sizeof(state_names[0]);
}

const char *spoor_device_state_name(enum spoor_device_state state)
{
	return known_state((uint32_t)state) ? state_names[state] : "?";
}

static bool has_session(uint32_t state)
{
	return state == SPOOR_STATE_STOP_COPY ||
	       state == SPOOR_STATE_RESUMING || state == SPOOR_STATE_PRE_COPY ||
	       state == SPOOR_STATE_PRE_COPY_P2P;
}

static void end_session(struct spoor_device *dev)
{
	if (dev->data_fd >= 0)
		close(dev->data_fd);
	dev->data_fd = -1;
}

static int need_migration(const struct spoor_device *dev, const char *what)
{
	int err = spoor_device_need_fd(dev, what);

	if (err)
		return err;
	if (!dev->migration)
		return spoor_fail(EOPNOTSUPP,
				  "%s: %s: its driver does not migrate",
				  dev->name, what);
	return 0;
}

static int ask_state(struct spoor_device *dev, uint32_t *ret)
{
	struct vfio_device_feature_mig_state mig = { .data_fd = -1 };
	int err = spoor_device_feature(
		dev,
		VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		&mig, sizeof(mig));

	if (!err)
		*ret = mig.device_state;
	return err;
}

int spoor_device_get_state(struct spoor_device *dev,
			   enum spoor_device_state *ret)
{
	uint32_t state;
	int err = need_migration(dev, "get state");

	if (err)
		return err;
	err = ask_state(dev, &state);
	if (err) {
		errno = -err;
		return spoor_fail_errno(
			"%s: VFIO_DEVICE_FEATURE(GET MIG_DEVICE_STATE)",
			dev->name);
	}
	if (!known_state(state))
		return spoor_fail(
			EPROTO,
			"%s: the driver says it is in state %u, which is none",
			dev->name, state);
	*ret = (enum spoor_device_state)state;
	return 0;
}

int spoor_device_set_state(struct spoor_device *dev,
			   enum spoor_device_state state)
{
	struct vfio_device_feature_mig_state mig = {
		.device_state = (uint32_t)state,
		.data_fd = -1,
	};
	uint32_t now;
	int err = need_migration(dev, "set state");

	if (err)
		return err;
	if (!known_state((uint32_t)state))
		return spoor_fail(EINVAL, "%s: set state: %u is no state",
				  dev->name, (unsigned int)state);
	err = spoor_device_feature(dev,
				   VFIO_DEVICE_FEATURE_SET |
					   VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
				   &mig, sizeof(mig));
	if (err) {
		/*
		 * It may have walked some of the way, and left the state that
		 * the session belonged to.
		 */
		if (ask_state(dev, &now) != 0 || !has_session(now))
			end_session(dev);
		errno = -err;
		return spoor_fail_errno(
			"%s: VFIO_DEVICE_FEATURE(SET MIG_DEVICE_STATE %s)",
			dev->name, spoor_device_state_name(state));
	}
	if (mig.data_fd >= 0) {
		end_session(dev);
		dev->data_fd = mig.data_fd;
	} else if (!has_session((uint32_t)state)) {
		end_session(dev);
	} else if (dev->data_fd < 0) {
		/* A change that failed got as far, and its fd did not. */
		return spoor_fail(EBADF,
				  "%s: set state %s: it is there already, and "
				  "its data session is lost: go through STOP",
				  dev->name, spoor_device_state_name(state));
	}
	return 0;
}

static int need_session(const struct spoor_device *dev, const char *what)
{
	if (dev->data_fd >= 0)
		return 0;
	return spoor_fail(EBADF, "%s: %s: no data session is open", dev->name,
			  what);
}

long spoor_device_read_state(struct spoor_device *dev, void *buf, size_t len)
{
	ssize_t n;
	int err = need_session(dev, "read state");

	if (err)
		return err;
	do {
		n = read(dev->data_fd, buf, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == ENOMSG)
		return spoor_fail(ENOMSG, "%s: no more pre-copy data for now",
				  dev->name);
	if (n < 0)
		return spoor_fail_errno("%s: read %zu bytes of device state",
					dev->name, len);
	return n;
}

int spoor_device_write_state(struct spoor_device *dev, const void *buf,
			     size_t len)
{
	const char *p = buf;
	int err = need_session(dev, "write state");

	if (err)
		return err;
	while (len) {
		ssize_t n = write(dev->data_fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return spoor_fail_errno(
				"%s: write %zu bytes of device state",
				dev->name, len);
		if (n == 0)
			return spoor_fail(EIO,
					  "%s: the driver took none of %zu "
					  "bytes of device state",
					  dev->name, len);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int spoor_device_precopy_info(struct spoor_device *dev, uint64_t *ret_initial,
			      uint64_t *ret_dirty)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	int err = need_session(dev, "pre-copy info");

	if (err)
		return err;
	if (ioctl(dev->data_fd, VFIO_MIG_GET_PRECOPY_INFO, &info) < 0)
		return spoor_fail_errno("%s: VFIO_MIG_GET_PRECOPY_INFO",
					dev->name);
	*ret_initial = info.initial_bytes;
	*ret_dirty = info.dirty_bytes;
	return 0;
}

int spoor_device_state_size(struct spoor_device *dev, uint64_t *ret)
{
	struct vfio_device_feature_mig_data_size size = { 0 };
	int err = spoor_device_need_fd(dev, "state size");

	if (err)
		return err;
	err = spoor_device_feature(dev,
				   VFIO_DEVICE_FEATURE_GET |
					   VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
				   &size, sizeof(size));
	/* ENOTTY: an older kernel, or a driver that does not migrate. */
	if (err == -ENOTTY || err == -EINVAL)
		err = -EOPNOTSUPP;
	if (err) {
		errno = -err;
		return spoor_fail_errno(
			"%s: VFIO_DEVICE_FEATURE(GET MIG_DATA_SIZE)",
			dev->name);
	}
	*ret = size.stop_copy_length;
	return 0;
}
