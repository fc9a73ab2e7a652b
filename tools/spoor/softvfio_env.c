/* SPDX-License-Identifier: MIT */
/*
 * From a machine file to softvfio's configuration.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "softvfio/config_write.h"
#include "softvfio_env.h"

static void fill_log(const struct mf_tracker *t, struct model_log_config *log)
{
	*log = (struct model_log_config){
		.present = t->present,
		.min_page = t->min_page,
		.max_page = t->max_page,
		.max_ranges = (uint32_t)t->max_ranges,
		.address_bits_min = (uint32_t)t->address_bits[0],
		.address_bits_max = (uint32_t)t->address_bits[1],
		.queue = (uint32_t)t->queue,
		.read_while_running = t->read_while_running,
		.fail_after = t->fail_after,
		.deaf = t->deaf,
		.cost_mark_ns = t->cost_mark_ns,
		.cost_report_page_ns = t->cost_page_ns,
	};
}

static void fill_device(const struct machine_file *mf, size_t i,
			struct sv_config_device *out)
{
	const struct mf_device *d = &mf->devices[i];
	const struct mf_space *s = &mf->spaces[d->space];
	struct model_config *m = &out->model;

	snprintf(m->name, sizeof(m->name), "%s", d->name);
	snprintf(m->model, sizeof(m->model), "%s", mf_model_name(d->model));
	m->index = (unsigned int)i;
	m->p2p_stops_all = d->p2p_stops == 1;
	m->pre_copy = d->migration & MF_PRE_COPY;
	m->state_size = d->state_size;
	m->stop_ms = d->stop_ms;
	fill_log(&d->tracker, &m->log);
	if (d->model == MF_NIC)
		snprintf(m->udp, sizeof(m->udp), "%s", d->udp);
	m->dma_us = d->dma_us;
	m->dma_bits = (uint32_t)d->dma_bits;
	m->pin_dirty = (enum model_pin_dirty)d->pins.dirty;
	m->read_pins_clean = d->pins.read_pins_clean;
	m->pins_gratuitous = d->pins.gratuitous;
	m->faults = d->faults;
	out->fail[SV_CALL_LOG_START] = (uint32_t)d->fail.log_start;
	out->fail[SV_CALL_LOG_REPORT] = (uint32_t)d->fail.log_report;
	out->fail[SV_CALL_STATE_READ] = (uint32_t)d->fail.state_read;
	out->fail[SV_CALL_STATE_WRITE] = (uint32_t)d->fail.state_write;
	out->fail[SV_CALL_RUN] = (uint32_t)d->fail.run;
	out->index = (unsigned int)i;
	out->group = (unsigned int)d->group;
	snprintf(out->address, sizeof(out->address), "%s", d->address);
	out->migration = d->migration;
	out->emulated = d->model == MF_MDEV;
	out->noiommu = d->noiommu;
	out->iommu_dirty = s->dirty_tracking;
	out->iommu_faults = s->dirty_by;
	out->iommu_page = s->iommu_page;
}

_Static_assert(MF_STOP_COPY == SV_MIG_STOP_COPY && MF_P2P == SV_MIG_P2P &&
		       MF_PRE_COPY == SV_MIG_PRE_COPY,
	       "one set of bits");

char *softvfio_config_text(const struct machine_file *mf)
{
	struct sv_config_device *devs;
	char *text;

	devs = calloc(mf->nr_devices + 1, sizeof(*devs));
	if (!devs)
		return NULL;
	for (size_t i = 0; i < mf->nr_devices; i++)
		fill_device(mf, i, &devs[i]);
	text = sv_config_format(devs, (unsigned int)mf->nr_devices);
	free(devs);
	return text;
}

bool softvfio_kernel_known(const char **ret)
{
	static const char *const known[] = { "6.1", "6.12", "latest" };
	const char *name = secure_getenv("SOFTVFIO_KERNEL");

	*ret = name;
	for (size_t i = 0; name && i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(name, known[i]))
			return true;
	return !name || !*name;
}

int softvfio_find_library(char *buf, size_t len)
{
	static const char *const places[] = { "libsoftvfio.so",
					      "../lib/libsoftvfio.so",
					      "../lib/spoor/libsoftvfio.so",
					      "../libsoftvfio.so",
					      "../../libsoftvfio.so" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return -errno;
	self[n] = 0;
	slash = strrchr(self, '/');
	if (!slash)
		return -ENOENT;
	*slash = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int l = snprintf(buf, len, "%s/%s", self, places[i]);

		if (l > 0 && (size_t)l < len && !access(buf, R_OK))
			return 0;
	}
	return -ENOENT;
}

bool softvfio_can_preload(const char *library)
{
	/* "$ORIGIN" and the like are replaced. */
	return !strpbrk(library, " :$");
}
