/* SPDX-License-Identifier: MIT */
/*
 * The devices of this process: finding, opening and closing them, and what
 * they are attached to.
 *
 * Invariant: a device is open through its group (any number of times) or
 * through one bound cdev file, never both.  The model is made at the first
 * open and never freed: its counters are wanted at the exit, when threads of
 * the program may still run.
 *
 * Threads: the table is made once and read only afterwards; open.lock guards
 * who has a device open.
 */
#include "softvfio/device_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "softvfio/inject.h"

struct entry {
	struct sv_device dev;
	struct sv_device_state st;
};

static pthread_once_t table_once = PTHREAD_ONCE_INIT;
static struct entry *table;
static unsigned int nr_entries;

static void init_entry(struct entry *e, const struct sv_config_device *config)
{
	struct sv_device_state *st = &e->st;
	pthread_rwlockattr_t attr;

	e->dev.config = config;
	e->dev.state = st;
	st->dev = &e->dev;
	pthread_mutex_init(&st->open.lock, NULL);
	/*
	 * Detaching must not wait for ever on devices whose DMA overlaps; no
	 * DMA nests in another of the same device.
	 */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(
		&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&st->attach_lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&st->lock, NULL);
	pthread_mutex_init(&st->config.lock, NULL);
	pthread_mutex_init(&st->irqs.lock, NULL);
	pthread_mutex_init(&st->states.lock, NULL);
	st->mig.state = VFIO_DEVICE_STATE_RUNNING;
	st->config.msix_bar = -1;
	st->irqs.type = -1;
	st->irqs.intx = -1;
	st->irqs.req = -1;
}

static void init_table(void)
{
	const struct sv_config *config = sv_config();
	unsigned int i;

	if (!config || !config->nr_devices)
		return;
	table = calloc(config->nr_devices, sizeof(*table));
	if (!table)
		return;
	for (i = 0; i < config->nr_devices; i++)
		init_entry(&table[i], &config->devices[i]);
	nr_entries = config->nr_devices;
}

struct sv_device *sv_device_by_index(unsigned int index)
{
	unsigned int i;

	pthread_once(&table_once, init_table);
	for (i = 0; i < nr_entries; i++) {
		if (table[i].dev.config->index == index)
			return &table[i].dev;
	}
	return NULL;
}

struct sv_device *sv_device_by_address(const char *address)
{
	unsigned int i;

	pthread_once(&table_once, init_table);
	for (i = 0; i < nr_entries; i++) {
		if (!strcmp(table[i].dev.config->address, address))
			return &table[i].dev;
	}
	return NULL;
}

struct sv_device *sv_device_by_name(const char *name)
{
	unsigned int i;

	pthread_once(&table_once, init_table);
	for (i = 0; i < nr_entries; i++) {
		if (!strcmp(table[i].dev.config->model.name, name))
			return &table[i].dev;
	}
	return NULL;
}

bool sv_kernel_is_6_1(void)
{
	return sv_config()->kernel == SV_KERNEL_6_1;
}

unsigned int sv_device_caps(const struct sv_device *dev)
{
	unsigned int caps = dev->config->migration;

	/* No-IOMMU devices have no ops for migration nor for logging. */
	if (dev->config->noiommu || !(caps & SV_MIG_STOP_COPY))
		return 0;
	if (sv_kernel_is_6_1())
		caps &= ~SV_MIG_PRE_COPY;
	return caps;
}

bool sv_device_has_log(const struct sv_device *dev)
{
	return dev->config->model.log.present && !dev->config->noiommu;
}

static int make_model(struct sv_device_state *st)
{
	struct sv_device *dev = st->dev;
	struct model *m;
	char text[256];
	int r;

	if (sv_model(dev))
		return 0;
	r = model_create(&m, &dev->config->model, &sv_model_host, st);
	if (r) {
		snprintf(text, sizeof(text), "%s: %s", dev->config->model.name,
			 model_errmsg());
		sv_note_push(text);
		return r;
	}
	__atomic_store_n(&dev->model, m, __ATOMIC_RELEASE);
	sv_states_add(st, VFIO_DEVICE_STATE_RUNNING);
	return 0;
}

int sv_device_first_open(struct sv_open_device *od)
{
	struct sv_device_state *st = od->st;
	int r;

	if (!st->open.count) {
		r = make_model(st);
		if (r)
			return r;
		r = sv_irq_open(st);
		if (r)
			return r;
		sv_config_init(st);
		st->open.by_group = od->by_group;
	}
	st->open.count++;
	atomic_store(&od->granted, true);
	return 0;
}

void sv_device_close(struct sv_open_device *od)
{
	struct sv_device_state *st = od->st;

	atomic_store(&od->granted, false);
	if (--st->open.count)
		return;
	sv_ioeventfd_close(st);
	/*
	 * The model first: once it is quiet nothing of its own can run into
	 * the closed doors behind it and be counted as a fault.
	 */
	pthread_mutex_lock(&st->lock);
	sv_migration_reset(st);
	st->low_power = false;
	pthread_mutex_unlock(&st->lock);
	sv_config_init(st);
	sv_irq_close(st);
	/* A group's, too, if it was in an iommufd. */
	if (st->dev->binding)
		sv_iommufd_unbind(st->dev);
}

static void release_device(struct sv_file *f)
{
	struct sv_open_device *od = f->priv;
	struct sv_device_state *st = od->st;
	bool was_open = false;

	pthread_mutex_lock(&st->open.lock);
	if (atomic_load(&od->granted)) {
		sv_device_close(od);
		was_open = true;
	}
	pthread_mutex_unlock(&st->open.lock);
	/* Not under open.lock: the group may go now, with its container. */
	if (was_open && od->by_group)
		sv_group_device_closed(st->dev);
	else if (was_open)
		sv_group_unclaim_cdev(st->dev);
	pthread_mutex_destroy(&od->pos_lock);
	free(od);
}

const struct sv_file_ops sv_device_file_ops = {
	.name = "vfio-device",
	.ioctl = sv_device_ioctl,
	.read = sv_device_read,
	.write = sv_device_write,
	.pread = sv_device_pread,
	.pwrite = sv_device_pwrite,
	.mmap = sv_device_mmap,
	.release = release_device,
};

static int new_file(struct sv_device *dev, bool by_group, struct sv_file **ret)
{
	SPOOR_AUTO_HEAP struct sv_open_device *od = calloc(1, sizeof(*od));
	struct sv_file *f;

	if (!od)
		return -ENOMEM;
	od->st = sv_device_state(dev);
	od->by_group = by_group;
	pthread_mutex_init(&od->pos_lock, NULL);
	f = sv_file_new(&sv_device_file_ops, od);
	if (!f)
		return -ENOMEM;
	SPOOR_STEAL(od);
	*ret = f;
	return 0;
}

int sv_device_open_cdev(struct sv_device *dev, struct sv_file **ret)
{
	if (sv_kernel_is_6_1() || dev->config->noiommu)
		return -ENOENT;
	return new_file(dev, false, ret);
}

int sv_device_open_group(struct sv_device *dev, struct sv_file *iommufd,
			 struct sv_file **ret)
{
	struct sv_device_state *st = sv_device_state(dev);
	struct sv_open_device *od;
	struct sv_file *f;
	int r;

	r = new_file(dev, true, &f);
	if (r)
		return r;
	od = f->priv;
	pthread_mutex_lock(&st->open.lock);
	if (st->open.count && !st->open.by_group)
		r = -EBUSY;
	else
		r = sv_device_first_open(od);
	if (!r && iommufd && st->open.count == 1) {
		r = sv_iommufd_compat_bind(iommufd, dev);
		if (r)
			sv_device_close(od);
	}
	pthread_mutex_unlock(&st->open.lock);
	if (r) {
		sv_file_put(f);
		return r;
	}
	*ret = f;
	return 0;
}

void sv_device_set_attachment(struct sv_device *dev, struct sv_attachment *a)
{
	struct sv_device_state *st = sv_device_state(dev);

	pthread_rwlock_wrlock(&st->attach_lock);
	dev->attachment = a;
	pthread_rwlock_unlock(&st->attach_lock);
}
