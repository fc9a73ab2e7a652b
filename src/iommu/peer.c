/* SPDX-License-Identifier: MIT */
/*
 * Peers' BARs in a space: what lets one device reach another.
 *
 * A device that cannot quiesce must not reach one that is stopped, so BARs are
 * taken out (blocked) and put back.  A BAR's memory belongs to its device:
 * before the device closes, every space that maps it lets go; each device
 * lists those spaces in reached_by.
 *
 * Invariant: a space is in dev->reached_by once for each of its peers[] of
 * that device.  Threads: one at a time for a space and its devices.
 */
#include "iommu/space_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "device/device_priv.h"

static void unlink_space(struct spoor_device *dev, const struct spoor_space *s)
{
	size_t i;

	for (i = 0; i < dev->nr_reached_by; i++) {
		if (dev->reached_by[i] != s)
			continue;
		dev->reached_by[i] = dev->reached_by[--dev->nr_reached_by];
		return;
	}
}

static void remove_peer(struct spoor_space *s, size_t i)
{
	unlink_space(s->peers[i].dev, s);
	s->nr_peers--;
	memmove(&s->peers[i], &s->peers[i + 1],
		(s->nr_peers - i) * sizeof(*s->peers));
}

/* Room for one more on both sides, so that nothing fails after the map. */
static int make_room(struct spoor_space *s, struct spoor_device *dev)
{
	struct spoor_space_peer *peers;
	struct spoor_space **by;

	peers = realloc(s->peers, (s->nr_peers + 1) * sizeof(*peers));
	if (peers)
		s->peers = peers;
	by = realloc(dev->reached_by, (dev->nr_reached_by + 1) * sizeof(*by));
	if (by)
		dev->reached_by = by;
	if (!peers || !by)
		return spoor_fail(ENOMEM, "space %s: map BAR: out of memory",
				  s->name);
	return 0;
}

/* iommufd before dma-buf imports pins pages only, and a BAR has none. */
static int map_bar(struct spoor_space *s, const struct spoor_space_peer *p)
{
	int err = s->ops->map(s, &p->range, p->hva, 0);

	if (s->opts.backend == SPOOR_SPACE_IOMMUFD &&
	    (err == -EFAULT || err == -EINVAL))
		return spoor_fail(
			EOPNOTSUPP,
			"space %s: this kernel's iommufd refuses BAR %u of %s "
			"(error %d): use a type1 space for peer-to-peer",
			s->name, p->index, p->dev->name, -err);
	return err;
}

int spoor_space_map_peer(struct spoor_space *s, struct spoor_device *peer,
			 unsigned int index, uint64_t iova)
{
	struct spoor_space_peer p = { .dev = peer, .index = index };
	struct spoor_device_region region;
	int err;

	err = spoor_device_region(peer, index, &region);
	if (err)
		return err;
	if (!region.mmap || !region.size)
		return spoor_fail(EOPNOTSUPP,
				  "space %s: BAR %u of %s cannot be mapped",
				  s->name, index, peer->name);
	p.range = (struct spoor_range){ .iova = iova, .len = region.size };
	if (!spoor_range_valid(&p.range) ||
	    !spoor_range_aligned(&p.range, 4096))
		return spoor_fail(
			EINVAL,
			"space %s: map BAR %u of %s at 0x%llx+0x%llx: not 4 "
			"KiB aligned, or past 2^64",
			s->name, index, peer->name, (unsigned long long)iova,
			(unsigned long long)region.size);
	if (spoor_space_is_mapped(s, &p.range))
		return spoor_fail(EEXIST,
				  "space %s: map BAR %u of %s at 0x%llx: part "
				  "of it is mapped already",
				  s->name, index, peer->name,
				  (unsigned long long)iova);
	err = make_room(s, peer);
	if (err)
		return err;
	err = spoor_device_region_map(peer, index, &p.hva);
	if (err)
		return err;
	err = map_bar(s, &p);
	if (err)
		return err;
	s->peers[s->nr_peers++] = p;
	peer->reached_by[peer->nr_reached_by++] = s;
	peer->let_go = spoor_space_forget;
	return 0;
}

int spoor_space_block_peer(struct spoor_space *s, struct spoor_device *peer,
			   bool blocked)
{
	size_t i;

	for (i = 0; i < s->nr_peers; i++) {
		struct spoor_space_peer *p = &s->peers[i];
		int err;

		if (p->dev != peer || p->blocked == blocked)
			continue;
		err = blocked ? s->ops->unmap(s, &p->range) : map_bar(s, p);
		if (err)
			return err;
		p->blocked = blocked;
	}
	return 0;
}

struct spoor_device *spoor_space_reaches_peer(const struct spoor_space *s,
					      const struct spoor_device *dev)
{
	size_t i;

	for (i = 0; i < s->nr_peers; i++)
		if (s->peers[i].dev != dev && !s->peers[i].blocked)
			return s->peers[i].dev;
	return NULL;
}

int spoor_space_unmap_peers(struct spoor_space *s, const struct spoor_range *r)
{
	size_t i = 0;

	while (i < s->nr_peers) {
		const struct spoor_space_peer *p = &s->peers[i];
		int err;

		if (!spoor_range_inside(&p->range, r)) {
			i++;
			continue;
		}
		err = p->blocked ? 0 : s->ops->unmap(s, &p->range);
		if (err)
			return err;
		remove_peer(s, i);
	}
	return 0;
}

void spoor_space_drop_peers(struct spoor_space *s)
{
	while (s->nr_peers)
		remove_peer(s, s->nr_peers - 1);
}

/* The device's own BARs, in one space. */
static void let_go(struct spoor_space *s, const struct spoor_device *dev)
{
	size_t i = 0;

	while (i < s->nr_peers) {
		if (s->peers[i].dev != dev) {
			i++;
			continue;
		}
		/* If it fails the device closes all the same: the kernel
		 * revokes what is left. */
		if (!s->peers[i].blocked)
			(void)s->ops->unmap(s, &s->peers[i].range);
		remove_peer(s, i);
	}
}

void spoor_space_forget(struct spoor_device *dev)
{
	struct spoor_space *s = dev->space;
	size_t i;

	while (dev->nr_reached_by)
		let_go(dev->reached_by[0], dev);
	free(dev->reached_by);
	dev->reached_by = NULL;
	if (!s)
		return;
	for (i = 0; i < s->nr_devices && s->devices[i] != dev; i++)
		;
	if (i < s->nr_devices) {
		s->nr_devices--;
		memmove(&s->devices[i], &s->devices[i + 1],
			(s->nr_devices - i) * sizeof(struct spoor_device *));
	}
	s->ops->detach(s, dev);
	dev->space = NULL;
}
