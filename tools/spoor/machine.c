/* SPDX-License-Identifier: MIT */
/*
 * Making a machine: spaces, devices attached to them, memory and peers' BARs
 * mapped, interrupts, and the library's machine over it all.  Undone in the
 * opposite order by machine_close(), however far it came.
 */
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <spoor/error.h>

#include "cmd.h"
#include "layout.h"
#include "machine.h"
#include "models/edu_regs.h"

/* VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_BAR2_REGION_INDEX */
#define MSIX_INDEX 2u
#define NIC_MEMORY 2u

int machine_fail(struct machine *m, int exit_code, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->error, sizeof(m->error), fmt, ap);
	va_end(ap);
	m->exit_code = exit_code;
	return r;
}

/* What a machine lacks is 77; what went wrong is 1. */
static int missing_or_failed(const struct machine *m, int r)
{
	bool hardware = !machine_has_models(m->mf);

	return hardware && (r == -ENOENT || r == -ENODEV || r == -EACCES ||
			    r == -EPERM || r == -EOPNOTSUPP)
		       ? 77
		       : 1;
}

/* A container without a group has no IOMMU to map into: none is opened. */
static bool used(const struct machine_file *mf, size_t space)
{
	for (size_t i = 0; i < mf->nr_devices; i++)
		if (mf->devices[i].space == space)
			return true;
	return false;
}

static int open_space(struct machine *m, size_t i)
{
	const struct mf_space *s = &m->mf->spaces[i];
	struct spoor_space_opts opts = {
		.size = sizeof(opts),
		.backend = s->backend == MF_TYPE1 ? SPOOR_SPACE_TYPE1
						  : SPOOR_SPACE_IOMMUFD,
		.dirty_tracking = s->dirty_tracking,
		.iommu_page = s->iommu_page,
	};
	int r = spoor_space_open(&m->spaces[i], s->name, &opts);

	if (r)
		return machine_fail(m, missing_or_failed(m, r), r,
				    "space %s: %s", s->name, spoor_errmsg());
	return 0;
}

static int open_irq(struct machine *m, size_t i)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return machine_fail(m, 1, -errno, "eventfd: %s",
				    strerror(errno));
	m->irqs[i] = fd;
	/* Without a vector the driver polls by time. */
	if (spoor_device_set_irq(m->devices[i], MSIX_INDEX, 0, fd) &&
	    m->mf->devices[i].model == MF_NIC)
		return machine_fail(m, 1, -EIO, "%s: %s",
				    m->mf->devices[i].name, spoor_errmsg());
	return 0;
}

/*
 * Config space is the VMM's to carry: a destination's device must be able to
 * reach memory when it is told to run, as the source's was.
 */
static int enable_device(struct machine *m, size_t i)
{
	uint16_t le = htole16(CONFIG_CMD_MEMORY | CONFIG_CMD_MASTER);
	int r = spoor_device_region_write(m->devices[i], CONFIG_REGION,
					  CONFIG_COMMAND, &le, sizeof(le));

	if (r)
		return machine_fail(m, 1, r, "%s: %s", m->mf->devices[i].name,
				    spoor_errmsg());
	return open_irq(m, i);
}

/* Of hardware the guest has one driver. */
static int check_edu(struct machine *m, size_t i)
{
	uint16_t ids[2];
	int r = spoor_device_region_read(m->devices[i], CONFIG_REGION, 0, ids,
					 sizeof(ids));

	if (r)
		return machine_fail(m, 1, r, "%s: %s", m->mf->devices[i].name,
				    spoor_errmsg());
	if (le16toh(ids[0]) == EDU_VENDOR && le16toh(ids[1]) == EDU_DEVICE)
		return 0;
	return machine_fail(m, 1, -EINVAL,
			    "%s: has \"work\", but is %04x:%04x: of hardware "
			    "the guest can drive an edu (%04x:%04x) only",
			    m->mf->devices[i].name, le16toh(ids[0]),
			    le16toh(ids[1]), EDU_VENDOR, EDU_DEVICE);
}

static int open_device(struct machine *m, size_t i)
{
	const struct mf_device *d = &m->mf->devices[i];
	struct spoor_device_opts opts = {
		.size = sizeof(opts),
		.name = d->name,
		.p2p_stops_all = d->p2p_stops == 1,
	};
	struct spoor_device_info info;
	char spec[128];
	int r;

	if (d->model == MF_NO_MODEL)
		snprintf(spec, sizeof(spec), "%s", d->vfio);
	else
		snprintf(spec, sizeof(spec), "/dev/vfio/devices/vfio%zu", i);
	r = spoor_device_open(&m->devices[i], spec, &opts);
	if (!r)
		spoor_device_get_info(m->devices[i], &info);
	/* A blocker of every plan, and it cannot even be attached. */
	if (!r && info.noiommu)
		return machine_fail(m, EXIT_REFUSED, -EPERM,
				    "refused: %s: it is in a No-IOMMU group, "
				    "where nothing tracks and nothing "
				    "migrates; put it behind an IOMMU, or "
				    "unplug it first",
				    d->name);
	if (!r)
		r = spoor_space_attach(m->spaces[d->space], m->devices[i]);
	if (r)
		return machine_fail(m, missing_or_failed(m, r), r, "%s: %s",
				    d->name, spoor_errmsg());
	r = d->model == MF_NO_MODEL && d->work.present ? check_edu(m, i) : 0;
	if (r || (d->model == MF_NO_MODEL && !d->work.present))
		return r;
	return enable_device(m, i);
}

/* Memory, and in a space with "p2p" the BARs of other devices. */
static int map_space(struct machine *m, size_t s)
{
	const struct machine_file *mf = m->mf;
	int r;

	if (!m->spaces[s] || !mf->nr_memory)
		return 0;
	r = spoor_space_map_memory(m->spaces[s], m->memory);
	for (size_t i = 0; i < mf->nr_devices && !r && mf->spaces[s].p2p; i++)
		if (mf->devices[i].model == MF_NIC)
			r = spoor_space_map_peer(
				m->spaces[s], m->devices[i], NIC_MEMORY,
				LAYOUT_PEER_BASE + i * LAYOUT_PEER_STEP);
	if (r)
		return machine_fail(m, 1, r, "space %s: %s", mf->spaces[s].name,
				    spoor_errmsg());
	return 0;
}

static int open_all(struct machine *m)
{
	const struct machine_file *mf = m->mf;
	int r = 0;

	for (size_t i = 0; i < mf->nr_spaces && !r; i++)
		if (used(mf, i))
			r = open_space(m, i);
	for (size_t i = 0; i < mf->nr_devices && !r; i++)
		r = open_device(m, i);
	for (size_t i = 0; i < mf->nr_spaces && !r; i++)
		r = map_space(m, i);
	return r;
}

static int register_all(struct machine *m)
{
	const struct machine_file *mf = m->mf;
	int r = spoor_machine_new(&m->machine, m->memory, &machine_hooks, m);

	for (size_t i = 0; i < mf->nr_spaces && !r; i++)
		if (used(mf, i))
			r = spoor_machine_add_space(m->machine, m->spaces[i]);
	for (size_t i = 0; i < mf->nr_devices && !r; i++)
		r = spoor_machine_add_device(m->machine, m->devices[i],
					     m->spaces[mf->devices[i].space]);
	if (r)
		return machine_fail(m, 1, r, "%s", spoor_errmsg());
	return 0;
}

int machine_open(struct machine *m, const struct machine_file *mf,
		 bool contents)
{
	int r;

	*m = (struct machine){ .mf = mf, .exit_code = 1 };
	m->spaces = calloc(mf->nr_spaces + 1, sizeof(*m->spaces));
	m->devices = calloc(mf->nr_devices + 1, sizeof(*m->devices));
	m->irqs = calloc(mf->nr_devices + 1, sizeof(*m->irqs));
	if (!m->spaces || !m->devices || !m->irqs)
		return machine_fail(m, 1, -ENOMEM, "out of memory");
	for (size_t i = 0; i < mf->nr_devices; i++)
		m->irqs[i] = -1;
	r = machine_memory_open(m, contents);
	if (!r)
		r = open_all(m);
	if (!r)
		r = register_all(m);
	return r;
}

void machine_close(struct machine *m)
{
	m->machine = spoor_machine_free(m->machine);
	for (size_t i = 0; m->devices && i < m->mf->nr_devices; i++)
		spoor_device_free(m->devices[i]);
	for (size_t i = 0; m->irqs && i < m->mf->nr_devices; i++)
		if (m->irqs[i] >= 0)
			close(m->irqs[i]);
	for (size_t i = 0; m->spaces && i < m->mf->nr_spaces; i++)
		spoor_space_free(m->spaces[i]);
	machine_memory_close(m);
	free(m->devices);
	free(m->irqs);
	free(m->spaces);
	free(m->layout);
	*m = (struct machine){ .mf = NULL };
}
