/* SPDX-License-Identifier: MIT */
/*
 * VFIO_DEVICE_FEATURE: the frame common to all features, then each one.
 *
 * Invariant: checks come in Linux's order: header, flags, is the feature
 * there, is the operation, is the payload long enough; what is behind the
 * payload is never looked at.
 *
 * Threads: nothing of its own; each feature locks for itself.
 */
#include "softvfio/device_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"

#define GET   VFIO_DEVICE_FEATURE_GET
#define SET   VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE

struct feature {
	uint32_t ops; /* GET, SET */
	uint32_t len;
	bool (*present)(const struct sv_device *dev);
	int (*run)(struct sv_device_state *st, uint32_t flags, void *user);
};

static bool can_migrate(const struct sv_device *dev)
{
	return sv_device_caps(dev) != 0;
}

static bool can_tell_size(const struct sv_device *dev)
{
	return sv_device_caps(dev) != 0 && !sv_kernel_is_6_1();
}

static bool has_low_power(const struct sv_device *dev)
{
	return !dev->config->emulated;
}

static int get_migration(struct sv_device_state *st, uint32_t flags, void *user)
{
	struct vfio_device_feature_migration mig = {
		.flags = sv_device_caps(st->dev),
	};

	(void)flags;
	return sv_copy_out(user, &mig, sizeof(mig)) ? -EFAULT : 0;
}

/*
 * A failed transition still writes the frame, with no file.  When the frame
 * cannot be written the transition has happened all the same; only the new
 * file is gone.
 */
static int mig_state(struct sv_device_state *st, uint32_t flags, void *user)
{
	struct vfio_device_feature_mig_state mig;
	struct sv_file *f = NULL;
	int fd, r = 0;

	if (sv_copy_in(&mig, user, sizeof(mig)))
		return -EFAULT;
	if (flags & GET)
		mig.device_state = sv_migration_get(st);
	else
		r = sv_migration_set(st, mig.device_state, &f);
	mig.data_fd = -1;
	if (!f) {
		if (sv_copy_out(user, &mig, sizeof(mig)))
			return -EFAULT;
		return r;
	}
	fd = sv_file_install(f, mig.device_state == VFIO_DEVICE_STATE_RESUMING
					? O_WRONLY
					: O_RDONLY);
	if (fd < 0) {
		sv_file_put(f);
		return fd;
	}
	mig.data_fd = fd;
	if (sv_copy_out(user, &mig, sizeof(mig))) {
		close(fd);
		return -EFAULT;
	}
	return 0;
}

static int get_data_size(struct sv_device_state *st, uint32_t flags, void *user)
{
	struct vfio_device_feature_mig_data_size size = { 0 };

	(void)flags;
	pthread_mutex_lock(&st->lock);
	size.stop_copy_length = model_stop_copy_length(sv_model(st->dev));
	pthread_mutex_unlock(&st->lock);
	return sv_copy_out(user, &size, sizeof(size)) ? -EFAULT : 0;
}

static int log_start(struct sv_device_state *st, uint32_t flags, void *user)
{
	(void)flags;
	return sv_log_start(st, user);
}

static int log_stop(struct sv_device_state *st, uint32_t flags, void *user)
{
	(void)flags;
	(void)user;
	return sv_log_stop(st);
}

static int log_report(struct sv_device_state *st, uint32_t flags, void *user)
{
	(void)flags;
	return sv_log_report(st, user);
}

/*
 * Entry only permits sleep.  A device in software never does sleep, so no
 * wake-up is ever due to the eventfd, which need not be kept.
 */
static int enter_low_power(struct sv_device_state *st)
{
	SPOOR_LOCKED(&st->lock);

	if (st->low_power)
		return -EINVAL;
	st->low_power = true;
	return 0;
}

static int low_power_entry(struct sv_device_state *st, uint32_t flags,
			   void *user)
{
	(void)flags;
	(void)user;
	return enter_low_power(st);
}

static int low_power_wakeup(struct sv_device_state *st, uint32_t flags,
			    void *user)
{
	struct vfio_device_low_power_entry_with_wakeup entry;
	int fd;

	(void)flags;
	if (sv_copy_in(&entry, user, sizeof(entry)))
		return -EFAULT;
	if (entry.wakeup_eventfd < 0)
		return -EINVAL;
	fd = sv_eventfd_dup(entry.wakeup_eventfd);
	if (fd < 0)
		return fd;
	sv_fd_end(fd);
	return enter_low_power(st);
}

static int low_power_exit(struct sv_device_state *st, uint32_t flags,
			  void *user)
{
	SPOOR_LOCKED(&st->lock);

	(void)flags;
	(void)user;
	st->low_power = false;
	return 0;
}

static const struct feature features[] = {
	[VFIO_DEVICE_FEATURE_MIGRATION] = {
		.ops = GET,
		.len = sizeof(struct vfio_device_feature_migration),
		.present = can_migrate,
		.run = get_migration,
	},
	[VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE] = {
		.ops = GET | SET,
		.len = sizeof(struct vfio_device_feature_mig_state),
		.present = can_migrate,
		.run = mig_state,
	},
	[VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY] = {
		.ops = SET,
		.present = has_low_power,
		.run = low_power_entry,
	},
	[VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP] = {
		.ops = SET,
		.len = sizeof(struct vfio_device_low_power_entry_with_wakeup),
		.present = has_low_power,
		.run = low_power_wakeup,
	},
	[VFIO_DEVICE_FEATURE_LOW_POWER_EXIT] = {
		.ops = SET,
		.present = has_low_power,
		.run = low_power_exit,
	},
	[VFIO_DEVICE_FEATURE_DMA_LOGGING_START] = {
		.ops = SET,
		.len = sizeof(struct vfio_device_feature_dma_logging_control),
		.present = sv_device_has_log,
		.run = log_start,
	},
	[VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP] = {
		.ops = SET,
		.present = sv_device_has_log,
		.run = log_stop,
	},
	[VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT] = {
		.ops = GET,
		.len = sizeof(struct vfio_device_feature_dma_logging_report),
		.present = sv_device_has_log,
		.run = log_report,
	},
	[VFIO_DEVICE_FEATURE_MIG_DATA_SIZE] = {
		.ops = GET,
		.len = sizeof(struct vfio_device_feature_mig_data_size),
		.present = can_tell_size,
		.run = get_data_size,
	},
};

static const struct feature *find(struct sv_device_state *st, uint32_t index)
{
	if (index >= sizeof(features) / sizeof(*features) ||
	    !features[index].present || !features[index].present(st->dev))
		return NULL;
	return &features[index];
}

long sv_device_feature(struct sv_device_state *st, void *arg)
{
	struct vfio_device_feature head;
	const struct feature *feature;
	uint32_t op;

	if (sv_copy_in(&head, arg, sizeof(head)))
		return -EFAULT;
	if (head.argsz < sizeof(head))
		return -EINVAL;
	if (head.flags & ~(VFIO_DEVICE_FEATURE_MASK | GET | SET | PROBE))
		return -EINVAL;
	op = head.flags & (GET | SET);
	if (!(head.flags & PROBE) && op == (GET | SET))
		return -EINVAL;
	feature = find(st, head.flags & VFIO_DEVICE_FEATURE_MASK);
	if (!feature)
		return -ENOTTY;
	if (op & ~feature->ops)
		return -EINVAL;
	if (head.flags & PROBE)
		return 0;
	if (!op || head.argsz - sizeof(head) < feature->len)
		return -EINVAL;
	return feature->run(st, head.flags, (uint8_t *)arg + sizeof(head));
}
