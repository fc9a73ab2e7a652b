/* SPDX-License-Identifier: MIT */
/*
 * The life of a space, and which devices are in it.
 *
 * Invariant: devices[] are exactly the devices whose dev->space is this space.
 * A failed attach leaves the device as it was.
 * Threads: one at a time per space.
 */
#include "iommu/space_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "device/device_priv.h"

static const struct spoor_space_ops *
backend_ops(enum spoor_space_backend backend)
{
	switch (backend) {
	case SPOOR_SPACE_IOMMUFD:
		return &spoor_space_iommufd_ops;
	case SPOOR_SPACE_TYPE1:
		return &spoor_space_type1_ops;
	}
	return NULL;
}

int spoor_space_open(struct spoor_space **ret, const char *name,
		     const struct spoor_space_opts *opts)
{
	struct spoor_space *s;
	int err;

	if (!opts || opts->size < sizeof(opts->size) + sizeof(opts->backend) ||
	    !backend_ops(opts->backend))
		return spoor_fail(EINVAL,
				  "space %s: unknown backend, or no options",
				  name ? name : "");
	s = calloc(1, sizeof(*s));
	if (!s)
		return spoor_fail(ENOMEM, "space %s: out of memory",
				  name ? name : "");
	snprintf(s->name, sizeof(s->name), "%s", name ? name : "");
	memcpy(&s->opts, opts,
	       opts->size < sizeof(s->opts) ? opts->size : sizeof(s->opts));
	s->opts.size = sizeof(s->opts);
	s->fd = -1;
	s->ops = backend_ops(s->opts.backend);
	err = s->ops->open(s);
	if (err) {
		free(s);
		return err;
	}
	*ret = s;
	return 0;
}

void spoor_space_get_info(const struct spoor_space *s,
			  struct spoor_space_info *ret)
{
	size_t i;

	*ret = (struct spoor_space_info){
		.name = s->name,
		.backend = s->opts.backend,
		.nr_devices = s->nr_devices,
	};
	for (i = 0; i < s->nr_peers; i++)
		ret->p2p |= !s->peers[i].blocked;
}

int spoor_space_attach(struct spoor_space *s, struct spoor_device *dev)
{
	struct spoor_device **devices;
	int err;

	if (dev->space || dev->fd >= 0)
		return spoor_fail(EBUSY, "%s: attached already%s%s", dev->name,
				  dev->space ? " to space " : "",
				  dev->space ? dev->space->name : "");
	if (dev->noiommu)
		return spoor_fail(EOPNOTSUPP,
				  "%s: group %d is a No-IOMMU group: nothing "
				  "tracks or contains its DMA, it cannot "
				  "migrate; enable the IOMMU (intel_iommu=on, "
				  "amd_iommu=on) and bind the device again",
				  dev->name, dev->group);
	devices = realloc(s->devices, (s->nr_devices + 1) * sizeof(*devices));
	if (!devices)
		return spoor_fail(ENOMEM, "%s: attach: out of memory",
				  dev->name);
	s->devices = devices;
	err = s->ops->attach(s, dev);
	if (err)
		return err;
	err = spoor_device_learn(dev);
	if (err) {
		s->ops->detach(s, dev);
		return err;
	}
	dev->space = s;
	dev->let_go = spoor_space_forget;
	devices[s->nr_devices++] = dev;
	return 0;
}

struct spoor_space *spoor_space_free(struct spoor_space *s)
{
	if (!s)
		return NULL;
	spoor_space_drop_peers(s);
	s->ops->close(s);
	if (s->fd >= 0)
		close(s->fd);
	free(s->hwpts);
	free(s->groups);
	free(s->devices);
	free(s->mappings);
	free(s->peers);
	free(s);
	return NULL;
}
