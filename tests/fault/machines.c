/* SPDX-License-Identifier: MIT */
/*
 * The small machines that are swept.  Their devices, by index, are those of
 * SOFTVFIO_CONFIG; meson.build says which machine gets which.
 */
#include <string.h>

#include "fault.h"
#include "models/nic_regs.h"
#include "softvfio/softvfio.h"

#define PEER_BAR  2u
#define PEER_IOVA 0x800000000ull

#define REGIONS                                                                \
	{                                                                      \
		{ 0x100000, 512u << 10 },                                      \
		{                                                              \
			0x100000000, 64u << 10                                 \
		}                                                              \
	}
#define NIC0                                                                   \
	{                                                                      \
		.name = "nic0", .backend = SPOOR_SPACE_IOMMUFD,                \
		.p2p_stops_all = true, .writes = true                          \
	}
#define DSA0                                                                   \
	{                                                                      \
		.name = "dsa0", .backend = SPOOR_SPACE_IOMMUFD,                \
		.p2p_stops_all = true, .writes = true                          \
	}
#define DSA1                                                                   \
	{                                                                      \
		.name = "dsa1", .backend = SPOOR_SPACE_IOMMUFD                 \
	}
#define MDEV0                                                                  \
	{                                                                      \
		.name = "mdev0", .backend = SPOOR_SPACE_TYPE1                  \
	}
#define ALL_FOUR                                                               \
	{                                                                      \
		.regions = REGIONS, .devices = { NIC0, DSA0, DSA1, MDEV0 },    \
		.cpu_writes = true                                             \
	}
#define NIC_ALONE                                                              \
	{                                                                      \
		.regions = REGIONS, .devices = { NIC0 }, .cpu_writes = true    \
	}

const struct machine machines[] = {
	/* Each tracker, with P2P states and without; all stop together. */
	{ .name = "plain", .config = ALL_FOUR },
	{ .name = "early",
	  .config = ALL_FOUR,
	  .overrides = { { .key = "dsa0.suspend", .value = "before-bulk" },
			 { .key = "dsa0.how", .value = "quiet" },
			 { .key = "nic0.suspend", .value = "after-bulk" },
			 { .key = "nic0.how", .value = "stop" } },
	  .nr_overrides = 4 },
	/* Its devices have logs that can be read only while quiet. */
	{ .name = "quiet",
	  .config = NIC_ALONE,
	  .overrides = { { .key = "nic0.tracker", .value = "device" } },
	  .nr_overrides = 1 },
	/* nic0 is gone from its peers' view while it is suspended. */
	{ .name = "p2p",
	  .config = { .regions = REGIONS,
		      .devices = { NIC0,
				   { .name = "dsa0",
				     .backend = SPOOR_SPACE_TYPE1,
				     .writes = true },
				   DSA1,
				   MDEV0 },
		      .cpu_writes = true },
	  .overrides = { { .key = "nic0.suspend", .value = "before-bulk" },
			 { .key = "nic0.how", .value = "quiet" } },
	  .nr_overrides = 2,
	  .p2p = true },
	{ .name = "sync",
	  .config = NIC_ALONE,
	  .cpu_tracker = SPOOR_PROCESS_SYNC },
	{ .name = "lossy", .config = NIC_ALONE, .spoil = true },
	{ .name = NULL },
};

const struct machine *machine_find(const char *name)
{
	for (const struct machine *m = machines; m->name; m++) {
		if (!strcmp(m->name, name))
			return m;
	}
	return NULL;
}

int machine_map_peer(const struct machine *m, struct vmm *vmm)
{
	if (!m->p2p)
		return 0;
	return spoor_space_map_peer(vmm->spaces[SPOOR_SPACE_TYPE1],
				    vmm->devices[0], PEER_BAR, PEER_IOVA);
}

bool machine_reaches_peer(void)
{
	const char text[8] = "reached";

	return !softvfio_dma_write("dsa0", PEER_IOVA, text, sizeof(text));
}
