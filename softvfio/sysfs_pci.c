/* SPDX-License-Identifier: MIT */
/*
 * What a PCI device's directory of sysfs says of it, all of it taken from the
 * configuration space that the device has while nobody uses it.
 *
 * Invariant: no two BARs overlap, and each is at a multiple of its length; the
 * addresses are the host's, which VFIO's users have no use for.
 * Threads: the one that makes the tree.
 */
#include <errno.h>
#include <stdio.h>
#include <linux/pci_regs.h>

#include "softvfio/device.h"
#include "softvfio/sysfs_build.h"

/* Of an entry of `resource`; the low bits are the BAR's own. */
#define RES_MEM	       0x00000200u
#define RES_PREFETCH   0x00002000u
#define RES_SIZE_ALIGN 0x00040000u
#define RES_MEM_64     0x00100000u
/* Six BARs, the ROM and as many of virtual functions. */
#define NR_RESOURCES   13

static uint32_t get(const uint8_t *config, unsigned int at, unsigned int len)
{
	uint32_t v = 0;

	while (len--)
		v = v << 8 | config[at + len];
	return v;
}

static void put32(uint8_t *config, unsigned int at, uint32_t v)
{
	for (unsigned int i = 0; i < 4; i++)
		config[at + i] = (uint8_t)(v >> 8 * i);
}

/* From 2 GiB and from 256 GiB on; a thousand devices have room. */
static uint64_t bar_address(struct sv_builder *b, uint64_t len, bool wide)
{
	static const uint64_t first[] = { 2ull << 30, 256ull << 30 },
			      end[] = { 0xfec00000, 1ull << 46 };
	uint64_t at = b->bar_end[wide] ? b->bar_end[wide] : first[wide];

	at = (at + len - 1) & ~(len - 1);
	if (at > end[wide] || len > end[wide] - at)
		b->err = -ENOSPC;
	b->bar_end[wide] = at + len;
	return at;
}

/* The BAR gets an address; its line of `resource`. */
static void place_bar(struct sv_builder *b, struct sv_pci_at_rest *rest,
		      unsigned int i, char *line, size_t size)
{
	unsigned int at = PCI_BASE_ADDRESS_0 + 4 * i;
	uint32_t type = get(rest->config, at, 4) & 0xf;
	bool wide = type & PCI_BASE_ADDRESS_MEM_TYPE_64;
	uint32_t flags = RES_MEM | RES_SIZE_ALIGN | type;
	uint64_t len = rest->bar_len[i];
	uint64_t address = bar_address(b, len, wide);

	if (type & PCI_BASE_ADDRESS_MEM_PREFETCH)
		flags |= RES_PREFETCH;
	if (wide) {
		flags |= RES_MEM_64;
		put32(rest->config, at + 4, (uint32_t)(address >> 32));
	}
	put32(rest->config, at, (uint32_t)address | type);
	snprintf(line, size, "0x%016llx 0x%016llx 0x%016llx\n",
		 (unsigned long long)address,
		 (unsigned long long)(address + len - 1),
		 (unsigned long long)flags);
}

static void add_resources(struct sv_builder *b, struct sv_pci_at_rest *rest,
			  const char *dir)
{
	enum { LINE = sizeof("0x0123456789abcdef") * 3 };
	char text[NR_RESOURCES * LINE + 1];

	for (unsigned int i = 0; i < NR_RESOURCES; i++) {
		char *line = text + (size_t)i * LINE;

		if (i < MODEL_NR_BARS && rest->bar_len[i])
			place_bar(b, rest, i, line, LINE + 1);
		else
			snprintf(line, LINE + 1, "0x%016x 0x%016x 0x%016x\n", 0,
				 0, 0);
	}
	sv_add_file(b, text, "sys/devices/%s/resource", dir);
}

static void add_number(struct sv_builder *b, const uint8_t *config,
		       unsigned int at, unsigned int len, const char *dir,
		       const char *name)
{
	char text[16];

	snprintf(text, sizeof(text), "0x%0*x\n", (int)len * 2,
		 get(config, at, len));
	sv_add_file(b, text, "sys/devices/%s/%s", dir, name);
}

static void add_modalias(struct sv_builder *b, const uint8_t *config,
			 const char *dir)
{
	char text[80];

	snprintf(text, sizeof(text),
		 "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X\n",
		 get(config, PCI_VENDOR_ID, 2), get(config, PCI_DEVICE_ID, 2),
		 get(config, PCI_SUBSYSTEM_VENDOR_ID, 2),
		 get(config, PCI_SUBSYSTEM_ID, 2),
		 get(config, PCI_CLASS_DEVICE + 1, 1),
		 get(config, PCI_CLASS_DEVICE, 1),
		 get(config, PCI_CLASS_PROG, 1));
	sv_add_file(b, text, "sys/devices/%s/modalias", dir);
}

void sv_add_pci_files(struct sv_builder *b, const struct sv_config_device *dev,
		      const char *dir)
{
	static const struct {
		const char *name;
		unsigned int at, len;
	} numbers[] = {
		{ "vendor", PCI_VENDOR_ID, 2 },
		{ "device", PCI_DEVICE_ID, 2 },
		{ "subsystem_vendor", PCI_SUBSYSTEM_VENDOR_ID, 2 },
		{ "subsystem_device", PCI_SUBSYSTEM_ID, 2 },
		{ "class", PCI_CLASS_PROG, 3 },
		{ "revision", PCI_REVISION_ID, 1 },
	};
	static const char *const zero[] = { "irq", "enable",
					    "broken_parity_status" };
	struct sv_pci_at_rest rest;

	sv_pci_at_rest(dev, &rest);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		add_number(b, rest.config, numbers[i].at, numbers[i].len, dir,
			   numbers[i].name);
	sv_add_file(b, "-1\n", "sys/devices/%s/numa_node", dir);
	for (size_t i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
		sv_add_file(b, "0\n", "sys/devices/%s/%s", dir, zero[i]);
	add_modalias(b, rest.config, dir);
	add_resources(b, &rest, dir);
	/* With the addresses that it was just given. */
	sv_add_bytes(b, rest.config, sizeof(rest.config),
		     "sys/devices/%s/config", dir);
}
