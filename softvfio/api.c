/* SPDX-License-Identifier: MIT */
/*
 * softvfio's own interface: see softvfio.h.  Threads: any; a model, once made,
 * lives to the exit.
 */
#include "softvfio/softvfio.h"

#include <errno.h>
#include <string.h>

#include "softvfio/config.h"
#include "softvfio/device.h"
#include "softvfio/shim.h"

/* The device side's: how a model reaches memory; its host is dev->state. */
extern const struct model_host_ops sv_model_host;

static struct model *model_of(const struct sv_device *dev)
{
	return __atomic_load_n(&dev->model, __ATOMIC_ACQUIRE);
}

static struct sv_device *find(const char *name)
{
	if (!sv_config() || sv_process_is_orphan())
		return NULL;
	return sv_device_by_name(name);
}

int softvfio_nr_devices(void)
{
	const struct sv_config *config = sv_config();

	return config ? (int)config->nr_devices : 0;
}

struct truth {
	struct softvfio_lost *ret;
	size_t cap, nr;
	const char *writer;
};

static void note_lost(void *ctx, uint64_t iova)
{
	struct truth *t = ctx;
	struct softvfio_lost *lost;

	if (t->nr < t->cap) {
		lost = &t->ret[t->nr++];
		memset(lost, 0, sizeof(*lost));
		memcpy(lost->writer, t->writer,
		       strnlen(t->writer, sizeof(lost->writer) - 1));
		lost->iova = iova;
		lost->len = 4096;
	}
}

long softvfio_truth_check(struct softvfio_lost *ret, size_t cap)
{
	const struct sv_config *config = sv_config();
	struct truth t = { .ret = ret, .cap = cap };
	long nr = 0;
	SV_NOT_CANCELLED();

	if (!config || sv_process_is_orphan())
		return -ENODEV;
	for (unsigned int i = 0; i < config->nr_devices; i++) {
		struct sv_device *dev =
			sv_device_by_index(config->devices[i].index);

		t.writer = config->devices[i].model.name;
		if (dev)
			nr += (long)sv_truth_check(dev, note_lost, &t);
	}
	return nr;
}

int softvfio_device_counters(const char *device, struct softvfio_counters *ret)
{
	struct sv_device *dev = find(device);
	struct model_counters c = { 0 };
	struct model *m;

	if (!dev)
		return -ENODEV;
	m = model_of(dev);
	if (m)
		model_counters(m, &c);
	*ret = (struct softvfio_counters){
		.dma_writes = c.dma_writes,
		.dma_bytes = c.dma_bytes,
		.marks = c.marks,
		.reports = c.reports,
		.pages_reported = c.pages_reported,
		.discarded = c.discarded,
		.dropped = c.dropped,
		.backlog_dropped = c.backlog_dropped,
		.faults = c.faults,
		.violations = c.violations,
		.peer_writes = c.peer_writes,
	};
	return 0;
}

int softvfio_write_stats(void)
{
	return sv_stats_write_now();
}

char *softvfio_next_note(void)
{
	return sv_process_is_orphan() ? NULL : sv_note_pop();
}

int softvfio_dma_write(const char *device, uint64_t iova, const void *buf,
		       size_t len)
{
	struct sv_device *dev = find(device);
	struct model *m = dev ? model_of(dev) : NULL;
	SV_NOT_CANCELLED();

	return m ? model_poke_dma(m, iova, buf, len) : -ENODEV;
}

int softvfio_dma_read(const char *device, uint64_t iova, void *buf, size_t len)
{
	struct sv_device *dev = find(device);
	char *out = buf;
	int r = 0;
	SV_NOT_CANCELLED();

	if (!dev || !model_of(dev))
		return -ENODEV;
	while (r == 0 && len) {
		size_t piece = 4096 - (size_t)(iova & 4095);

		if (piece > len)
			piece = len;
		r = sv_model_host.dma_read(dev->state, iova, out, piece);
		iova += piece;
		out += piece;
		len -= piece;
	}
	return r;
}

int softvfio_fail_state(const char *device, unsigned int n, int err,
			int to_error)
{
	struct sv_device *dev = find(device);
	SV_NOT_CANCELLED();

	if (!dev)
		return -ENODEV;
	if (n == 0 && !to_error)
		return -EINVAL;
	if (n == 0)
		sv_device_force_error(dev);
	else
		sv_inject_set_state(dev, n, err, to_error);
	return 0;
}

int softvfio_fail_report(const char *device, unsigned int n)
{
	struct sv_device *dev = find(device);

	if (!dev)
		return -ENODEV;
	sv_inject_set_report(dev, n);
	return 0;
}
