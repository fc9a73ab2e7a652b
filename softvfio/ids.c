/* SPDX-License-Identifier: MIT */
/* See ids.h.  No state. */
#include "softvfio/ids.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *model;
	uint16_t device;
	uint32_t pci_class;
} ids[] = {
	{ "nic", 0x5001, 0x020000 },  { "dsa", 0x5002, 0x120000 },
	{ "mdev", 0x5003, 0x120000 }, { "plain", 0x5004, 0x120000 },
	{ "edu", 0x11e8, 0x00ff00 },
};

uint16_t sv_pci_vendor_id(const char *model)
{
	/* QEMU's, for a device that is QEMU's. */
	return !strcmp(model, "edu") ? 0x1234 : 0x1d55;
}

uint16_t sv_pci_device_id(const char *model)
{
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (!strcmp(ids[i].model, model))
			return ids[i].device;
	return 0;
}

uint32_t sv_pci_class(const char *model)
{
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (!strcmp(ids[i].model, model))
			return ids[i].pci_class;
	return 0x120000;
}
