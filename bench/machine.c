/* SPDX-License-Identifier: MIT */
/* A machine for the designs; see machine.h. */
#include "bench/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "models/mdev_regs.h"
#include "softvfio/softvfio.h"

#define NIC	 "model=nic log=1 iommu_page=4096"
#define EMULATED "model=mdev emulated=1"

static const struct {
	const char *name, *keys;
} devices[] = {
	{ "nic0", NIC },
	{ "nic1", NIC },
	{ "nic2", NIC },
	{ "nic3", NIC },
	{ "nic4", NIC },
	{ "nic5", NIC },
	{ "nic6", NIC },
	{ "nic7", NIC },
	[BENCH_MDEV] = { "mdev", EMULATED },
	[BENCH_MDEV_ONCE] = { "once", EMULATED " pin_dirty=mark-once" },
	[BENCH_DSA] = { "dsa", "model=dsa" },
	[BENCH_NIC_COARSE] = { "coarse", NIC " log_min_page=65536" },
	[BENCH_NIC_FINE] = { "fine", NIC " log_max_page=16384" },
	[BENCH_NIC_QUIET] = { "quiet", NIC " log_read_while_running=0" },
	[BENCH_NIC_FAILS] = { "fails", NIC " log_fail_after=2" },
};
#define NR_DEVICES (sizeof(devices) / sizeof(devices[0]))

static void address_of(unsigned int index, char *ret, size_t len)
{
	snprintf(ret, len, "0000:%02x:00.0", index + 1);
}

void bench_need_devices(char **argv)
{
	char config[NR_DEVICES * 160], address[32];
	size_t at = 0;

	if (softvfio_nr_devices())
		return;
	for (unsigned int i = 0; i < NR_DEVICES; i++) {
		address_of(i, address, sizeof(address));
		at += (size_t)snprintf(config + at, sizeof(config) - at,
				       "device name=%s index=%u group=%u "
				       "address=%s migration=stop-copy,p2p "
				       "state_size=4096 %s\n",
				       devices[i].name, i, i, address,
				       devices[i].keys);
	}
	setenv("SOFTVFIO_CONFIG", config, 1);
	execv("/proc/self/exe", argv);
	perror("bench: /proc/self/exe");
	exit(1);
}

const char *bench_device_name(const struct bench_machine *m, unsigned int n)
{
	return devices[m->spec.devices[n].device].name;
}

bool bench_device_emulated(const struct bench_machine *m, unsigned int n)
{
	enum bench_device d = m->spec.devices[n].device;

	return d == BENCH_MDEV || d == BENCH_MDEV_ONCE;
}

bool bench_device_logs(const struct bench_machine *m, unsigned int n)
{
	return !bench_device_emulated(m, n) &&
	       m->spec.devices[n].device != BENCH_DSA;
}

int bench_device_pin(struct bench_machine *m, unsigned int n, uint64_t len)
{
	const struct {
		uint64_t offset, value, len;
	} writes[] = {
		{ MDEV_REG_WRITE_BASE, BENCH_IOVA, 8 },
		{ MDEV_REG_WRITE_LEN, len, 8 },
		{ MDEV_REG_COMPLETION, BENCH_IOVA, 8 },
		{ MDEV_REG_ENABLE, 1, 4 },
	};
	int err = 0;

	for (unsigned int i = 0; i < 4 && !err; i++)
		err = spoor_device_region_write(
			m->devices[n], 0, writes[i].offset, &writes[i].value,
			writes[i].len);
	return err;
}

/* Sparse: what nobody writes takes no memory. */
static int open_memory(struct bench_machine *m)
{
	void *memory = mmap(NULL, m->spec.len, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	m->memory = memory;
	return 0;
}

static int open_device(struct bench_machine *m, unsigned int n)
{
	struct spoor_space *space = m->spaces[m->spec.devices[n].space];
	const uint16_t command = 6; /* memory, bus master */
	char address[32];
	int err;

	address_of(m->spec.devices[n].device, address, sizeof(address));
	err = spoor_device_open(&m->devices[n], address, NULL);
	if (!err)
		err = spoor_space_attach(space, m->devices[n]);
	if (!err)
		err = spoor_device_region_write(m->devices[n], 7, 4, &command,
						sizeof(command));
	return err;
}

static int map_memory(struct bench_machine *m, struct spoor_space *space)
{
	const uint64_t cut = m->spec.first;
	const struct spoor_range first = { .iova = BENCH_IOVA, .len = cut };
	const struct spoor_range rest = { .iova = BENCH_IOVA + cut,
					  .len = m->spec.len - cut };
	int err = cut ? spoor_space_map(space, &first, m->memory, 0) : 0;

	return err ? err : spoor_space_map(space, &rest, m->memory + cut, 0);
}

int bench_machine_open(struct bench_machine *m, const struct bench_spec *spec)
{
	const struct spoor_space_opts opts = { .size = sizeof(opts),
					       .backend = SPOOR_SPACE_TYPE1 };
	int err;

	*m = (struct bench_machine){ .spec = *spec };
	err = open_memory(m);
	for (unsigned int i = 0; i < spec->nr_spaces && !err; i++)
		err = spoor_space_open(&m->spaces[i], i ? "second" : "first",
				       &opts);
	for (unsigned int i = 0; i < spec->nr_devices && !err; i++)
		err = open_device(m, i);
	for (unsigned int i = 0; i < spec->nr_spaces && !err; i++)
		err = map_memory(m, m->spaces[i]);
	return err;
}

void bench_machine_close(struct bench_machine *m)
{
	for (unsigned int i = 0; i < m->spec.nr_devices; i++)
		m->devices[i] = spoor_device_free(m->devices[i]);
	for (unsigned int i = 0; i < m->spec.nr_spaces; i++)
		m->spaces[i] = spoor_space_free(m->spaces[i]);
	if (m->memory)
		munmap(m->memory, m->spec.len);
	m->memory = NULL;
}
