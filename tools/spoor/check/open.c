/* SPDX-License-Identifier: MIT */
/*
 * The device under check: opened, attached, memory mapped, a peer beside it;
 * and brought back to where it began.  Opening goes through the library, which
 * knows cdevs, groups and both kinds of address space; what is checked does
 * not.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <spoor/error.h>
#include <spoor/memory.h>

#include "check.h"

#define COMMAND	     4u
#define COMMAND_BITS 0x6u /* memory, bus master */
#define PEER_BAR_MAX (64u << 20)

static int fail(struct check *c, int r, const char *what)
{
	snprintf(c->why, sizeof(c->why), "%s: %s", what, spoor_errmsg());
	return r;
}

static int add_memory(struct check *c, uint64_t iova, uint64_t len,
		      uint8_t **ret)
{
	struct spoor_region region = { .range = { iova, len } };
	int fd = memfd_create("spoor-check", MFD_CLOEXEC), r;

	if (fd < 0 || ftruncate(fd, (off_t)len) ||
	    (region.hva = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED,
			       fd, 0)) == MAP_FAILED) {
		r = -errno;
		snprintf(c->why, sizeof(c->why), "memory: %s", strerror(-r));
		if (fd >= 0)
			close(fd);
		return r;
	}
	/* Present, so that no call fails for want of a page. */
	memset(region.hva, 0, len);
	region.fd = fd;
	*ret = region.hva;
	r = spoor_memory_add(c->memory, &region);
	close(fd);
	return r ? fail(c, r, "memory") : 0;
}

static int open_memory(struct check *c)
{
	int r;

	if (c->memory)
		return 0;
	r = spoor_memory_new(&c->memory);
	if (!r)
		r = add_memory(c, CHECK_CONTROL, CHECK_CONTROL_LEN,
			       &c->control);
	return r ? r : add_memory(c, CHECK_DATA, CHECK_DATA_LEN, &c->data);
}

int check_enable(struct check *c, struct spoor_device *dev)
{
	uint16_t le = htole16(COMMAND_BITS);

	(void)c;
	return spoor_device_region_write(dev, VFIO_PCI_CONFIG_REGION_INDEX,
					 COMMAND, &le, sizeof(le));
}

static int open_one(struct check *c, const char *spec,
		    struct spoor_device **ret)
{
	const struct spoor_device_opts opts = { .size = sizeof(opts) };
	int r = spoor_device_open(ret, spec, &opts);

	if (!r)
		r = spoor_space_attach(c->space, *ret);
	return r ? r : check_enable(c, *ret);
}

/* The first BAR that is memory. */
static int map_peer(struct check *c)
{
	struct spoor_device_region region;
	void *bar;
	int r;

	for (unsigned int i = 0; i < 6; i++) {
		if (spoor_device_region(c->peer, i, &region) || !region.mmap ||
		    !region.size || region.size > PEER_BAR_MAX)
			continue;
		r = spoor_space_map_peer(c->space, c->peer, i, CHECK_PEER);
		if (!r)
			r = spoor_device_region_map(c->peer, i, &bar);
		if (r)
			return r;
		c->peer_bar = bar;
		c->peer_bar_len = region.size;
		return 0;
	}
	return -ENODEV;
}

/* Without it only the rules about peers cannot be tried. */
static void open_peer(struct check *c)
{
	snprintf(c->peer_why, sizeof(c->peer_why),
		 "there is no second device to write to (--peer)");
	if (!c->peer_spec)
		return;
	if (!open_one(c, c->peer_spec, &c->peer) && !map_peer(c))
		return;
	snprintf(c->peer_why, sizeof(c->peer_why), "no peer: %s",
		 spoor_errmsg());
	c->peer = spoor_device_free(c->peer);
}

static int open_in(struct check *c, enum spoor_space_backend backend)
{
	const struct spoor_space_opts opts = { .size = sizeof(opts),
					       .backend = backend };
	int r = spoor_space_open(&c->space, "check", &opts);

	if (!r)
		r = open_one(c, c->spec, &c->dev);
	if (r)
		return fail(c, r, c->spec);
	r = spoor_space_map_memory(c->space, c->memory);
	if (r)
		return fail(c, r, c->spec);
	c->backend = backend;
	c->have_backend = true;
	open_peer(c);
	c->fd = spoor_device_fd(c->dev);
	return 0;
}

static void close_devices(struct check *c)
{
	check_drop_fd(c);
	c->peer_bar = NULL;
	c->dev = spoor_device_free(c->dev);
	c->peer = spoor_device_free(c->peer);
	c->space = spoor_space_free(c->space);
	c->fd = -1;
}

/* iommufd, as new programs use; type1 where that is missing or refuses BARs. */
static int open_devices(struct check *c)
{
	int r;

	if (c->have_backend)
		return open_in(c, (enum spoor_space_backend)c->backend);
	if (!c->peer_spec) {
		r = open_in(c, SPOOR_SPACE_IOMMUFD);
		if (!r)
			return 0;
		close_devices(c);
	}
	return open_in(c, SPOOR_SPACE_TYPE1);
}

/* Some kernels take START and then refuse every REPORT. */
static void try_log(struct check *c)
{
	uint64_t bits[CHECK_BITMAP_WORDS] = { 0 };
	int r;

	c->log_why[0] = 0;
	c->has_log = !check_feature(
		c,
		VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET |
			VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		NULL, 0);
	if (!c->has_log)
		return;
	r = check_log_all(c, NULL);
	if (r) {
		snprintf(c->log_why, sizeof(c->log_why),
			 "LOGGING_START of %llu MiB is refused: %s",
			 CHECK_DATA_LEN >> 20, strerror(-r));
		return;
	}
	r = check_log_report(c, CHECK_DATA, CHECK_DATA_LEN, bits);
	if (r)
		snprintf(c->log_why, sizeof(c->log_why),
			 "LOGGING_START is taken and REPORT refused: %s%s",
			 strerror(-r),
			 r == -EOPNOTSUPP
				 ? " (a kernel without CONFIG_IOMMUFD?)"
				 : "");
	check_log_stop(c);
}

static void learn(struct check *c)
{
	struct vfio_device_feature_migration mig = { 0 };
	struct vfio_device_info info = { .argsz = sizeof(info) };

	c->caps = 0;
	if (!check_feature(
		    c, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION,
		    &mig, sizeof(mig)))
		c->caps = (uint32_t)mig.flags;
	if (!ioctl(c->fd, VFIO_DEVICE_GET_INFO, &info))
		c->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	if (c->caps && check_get(c, &c->begin_state))
		c->begin_state = UINT32_MAX;
	check_find_exerciser(c);
	try_log(c);
}

int check_open(struct check *c)
{
	int r;

	c->fd = c->data_fd = c->at.socket = -1;
	r = open_memory(c);
	if (!r)
		r = open_devices(c);
	if (r)
		return r;
	learn(c);
	return 0;
}

void check_close(struct check *c)
{
	close_devices(c);
	c->memory = spoor_memory_free(c->memory);
	if (c->control)
		munmap(c->control, CHECK_CONTROL_LEN);
	if (c->data)
		munmap(c->data, CHECK_DATA_LEN);
	if (c->at.socket >= 0)
		close(c->at.socket);
}

static int reopen(struct check *c)
{
	check_note(c, "close and open the device");
	c->at.ready = false;
	close_devices(c);
	return open_devices(c);
}

int check_recover(struct check *c)
{
	uint32_t state = VFIO_DEVICE_STATE_RUNNING;
	int r;

	check_drop_fd(c);
	if (c->has_log)
		check_log_stop(c);
	if (c->can_reset && !check_reset(c))
		return check_enable(c, c->dev);
	if (!c->caps)
		return 0;
	r = check_get(c, &state);
	if (!r && state != VFIO_DEVICE_STATE_RUNNING)
		r = check_set(c, VFIO_DEVICE_STATE_RUNNING, NULL);
	return r ? reopen(c) : 0;
}

int check_fresh(struct check *c)
{
	int r = check_recover(c);

	if (r || !c->ex)
		return r;
	memset(c->data, 0, CHECK_DATA_LEN);
	r = c->ex->setup(c);
	/* It may be at work on what a rule gave it, and slow. */
	if (r == -ETIMEDOUT && !reopen(c))
		r = c->ex->setup(c);
	c->at.ready = !r;
	return r;
}
