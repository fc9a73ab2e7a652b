/* SPDX-License-Identifier: MIT */
/*
 * A device's PCI configuration space: a type 0 header, power management, and
 * MSI or MSI-X.
 *
 * Invariant: bytes is what a read returns, writable which bits a write
 * changes; BARs therefore size themselves: the bits below their length are not
 * writable.  The enable bit of messages shows whether vectors are set up, which is
 * SET_IRQS' business, not a guest's.
 *
 * Threads: config.lock.  memory and bus mastering are derived and kept where
 * their users look, changed before the write returns.
 */
#include "softvfio/device_priv.h"

#include <errno.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "base/cleanup.h"
#include "softvfio/ids.h"

#define PM_CAP	     0x40u
#define MSI_CAP	     0x40u /* a conventional device: no PM */
#define MSIX_CAP     0x50u
#define MSIX_BAR_LEN 4096u
#define MSIX_PBA     0x800u
static_assert(SV_MAX_VECTORS * PCI_MSIX_ENTRY_SIZE <= MSIX_PBA, "table fits");

static void put16(uint8_t *bytes, unsigned int at, uint32_t v)
{
	bytes[at] = (uint8_t)v;
	bytes[at + 1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *bytes, unsigned int at, uint32_t v)
{
	put16(bytes, at, v);
	put16(bytes, at + 2, v >> 16);
}

static uint32_t get16(const uint8_t *bytes, unsigned int at)
{
	return bytes[at] | (uint32_t)bytes[at + 1] << 8;
}

/* PCI lengths are powers of two; a whole page at least, as VFIO maps pages. */
static uint64_t bar_len(uint64_t size)
{
	if (!size)
		return 0;
	if (size <= 4096)
		return 4096;
	return 1ull << (64 - __builtin_clzll(size - 1));
}

/* A BAR above 2 GiB takes the next slot for its upper half. */
static bool is_wide(const struct sv_pci_config *c, unsigned int bar)
{
	return c->bar_len[bar] > 1ull << 31;
}

/* The host's own BAR for the table: the last one that the model leaves. */
static int pick_msix_bar(const struct sv_pci_config *c)
{
	unsigned int i;

	for (i = MODEL_NR_BARS; i-- > 0;) {
		if (!c->bar_len[i] && !(i && is_wide(c, i - 1)))
			return (int)i;
	}
	return -1;
}

static void init_bar(struct sv_pci_config *c, unsigned int i, bool prefetch)
{
	unsigned int at = PCI_BASE_ADDRESS_0 + 4 * i;
	uint64_t len = c->bar_len[i];
	uint32_t type = prefetch ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0;

	if (!len)
		return;
	if (is_wide(c, i)) {
		type |= PCI_BASE_ADDRESS_MEM_TYPE_64;
		put32(c->writable, at + 4, (uint32_t)(~(len - 1) >> 32));
	}
	put32(c->bytes, at, type);
	put32(c->writable, at,
	      (uint32_t) ~(len - 1) & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK);
}

static void init_bars(struct sv_pci_config *c, const struct model_shape *shape)
{
	unsigned int i;

	for (i = 0; i < MODEL_NR_BARS; i++)
		c->bar_len[i] = bar_len(shape->bars[i].size);
	c->msix_bar = c->nr_vectors && !c->msi ? pick_msix_bar(c) : -1;
	if (c->msix_bar >= 0)
		c->bar_len[c->msix_bar] = MSIX_BAR_LEN;
	for (i = 0; i < MODEL_NR_BARS; i++)
		init_bar(c, i, shape->bars[i].memory && (int)i != c->msix_bar);
}

/*
 * 64 bits of address, no masks.  A guest may write address and data; whether
 * messages are sent, and how many, is SET_IRQS' business.
 */
static void init_msi(struct sv_pci_config *c)
{
	uint8_t *b = c->bytes, *w = c->writable;
	uint32_t log2 = (uint32_t)__builtin_ctz(c->nr_vectors);

	b[PCI_CAPABILITY_LIST] = MSI_CAP;
	b[MSI_CAP] = PCI_CAP_ID_MSI;
	put16(b, MSI_CAP + PCI_MSI_FLAGS, PCI_MSI_FLAGS_64BIT | log2 << 1);
	/* vfio-pci keeps what is written to the low byte; see limit_msi(). */
	w[MSI_CAP + PCI_MSI_FLAGS] = 0xff & ~PCI_MSI_FLAGS_ENABLE;
	put32(w, MSI_CAP + PCI_MSI_ADDRESS_LO, ~3u);
	put32(w, MSI_CAP + PCI_MSI_ADDRESS_HI, ~0u);
	put16(w, MSI_CAP + PCI_MSI_DATA_64, 0xffff);
}

static void init_caps(struct sv_pci_config *c)
{
	uint8_t *b = c->bytes;

	if (c->msi && !c->nr_vectors)
		return;
	put16(b, PCI_STATUS, PCI_STATUS_CAP_LIST);
	if (c->msi) {
		init_msi(c);
		return;
	}
	b[PCI_CAPABILITY_LIST] = PM_CAP;
	b[PM_CAP] = PCI_CAP_ID_PM;
	put16(b, PM_CAP + PCI_PM_PMC, 3);
	put16(b, PM_CAP + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
	put16(c->writable, PM_CAP + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
	if (c->msix_bar < 0)
		return;
	b[PM_CAP + PCI_CAP_LIST_NEXT] = MSIX_CAP;
	b[MSIX_CAP] = PCI_CAP_ID_MSIX;
	put16(b, MSIX_CAP + PCI_MSIX_FLAGS, c->nr_vectors - 1);
	put32(b, MSIX_CAP + PCI_MSIX_TABLE, (uint32_t)c->msix_bar);
	put32(b, MSIX_CAP + PCI_MSIX_PBA, MSIX_PBA | (uint32_t)c->msix_bar);
}

static void init_header(struct sv_pci_config *c, const char *model,
			const struct model_shape *shape)
{
	uint8_t *b = c->bytes;

	memset(b, 0, sizeof(c->bytes));
	memset(c->writable, 0, sizeof(c->writable));
	put16(b, PCI_VENDOR_ID, shape->vendor_id);
	put16(b, PCI_DEVICE_ID, shape->device_id);
	put16(b, PCI_SUBSYSTEM_VENDOR_ID, sv_pci_subsystem_vendor_id(model));
	put16(b, PCI_SUBSYSTEM_ID, sv_pci_subsystem_id(model));
	/* Enabling the device, as the driver does at open, turns memory on. */
	put16(b, PCI_COMMAND, PCI_COMMAND_MEMORY);
	put16(c->writable, PCI_COMMAND,
	      PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
		      PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	b[PCI_REVISION_ID] = sv_pci_revision(model);
	b[PCI_CLASS_PROG] = (uint8_t)sv_pci_class(model);
	put16(b, PCI_CLASS_DEVICE, sv_pci_class(model) >> 8);
	c->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	c->writable[PCI_LATENCY_TIMER] = 0xff;
	c->writable[PCI_INTERRUPT_LINE] = 0xff;
	b[PCI_INTERRUPT_PIN] = 1;
}

static void init(struct sv_pci_config *c, const struct sv_config_device *dev)
{
	struct model_shape shape;

	model_shape(dev->model.model, &shape);
	c->msi = shape.msi;
	c->nr_vectors = sv_nr_vectors(&shape);
	init_header(c, dev->model.model, &shape);
	init_bars(c, &shape);
	init_caps(c);
}

void sv_pci_at_rest(const struct sv_config_device *dev,
		    struct sv_pci_at_rest *ret)
{
	struct sv_pci_config c;

	init(&c, dev);
	memcpy(ret->config, c.bytes, sizeof(ret->config));
	memcpy(ret->bar_len, c.bar_len, sizeof(ret->bar_len));
}

/* config.lock held: what the bytes mean for accesses and DMA. */
static void apply(struct sv_device_state *st)
{
	struct sv_pci_config *c = &st->config;
	uint32_t command = get16(c->bytes, PCI_COMMAND);
	bool awake = st->config.msi || (get16(c->bytes, PM_CAP + PCI_PM_CTRL) &
					PCI_PM_CTRL_STATE_MASK) != 3;

	atomic_store(&c->memory, awake && (command & PCI_COMMAND_MEMORY));
	sv_set_bus_master(st, awake && (command & PCI_COMMAND_MASTER));
	sv_irq_block_intx(st, command & PCI_COMMAND_INTX_DISABLE);
}

void sv_config_init(struct sv_device_state *st)
{
	SPOOR_LOCKED(&st->config.lock);

	init(&st->config, st->dev->config);
	apply(st);
}

uint64_t sv_bar_len(const struct sv_device_state *st, unsigned int bar)
{
	return st->config.bar_len[bar];
}

static void read_config(struct sv_device_state *st, uint8_t *buf, size_t len,
			size_t pos)
{
	uint8_t bytes[SV_CONFIG_LEN];

	memcpy(bytes, st->config.bytes, sizeof(bytes));
	if (sv_irq_messages_on(st)) {
		if (st->config.msi)
			bytes[MSI_CAP + PCI_MSI_FLAGS] |= PCI_MSI_FLAGS_ENABLE;
		else
			bytes[MSIX_CAP + PCI_MSIX_FLAGS + 1] |=
				PCI_MSIX_FLAGS_ENABLE >> 8;
	}
	memcpy(buf, bytes + pos, len);
}

/* A guest may not ask for more messages than the device has. */
static void limit_msi(struct sv_device_state *st)
{
	uint8_t *flags = &st->config.bytes[MSI_CAP + PCI_MSI_FLAGS];
	uint32_t log2 = (uint32_t)__builtin_ctz(st->config.nr_vectors);

	if (((uint32_t)*flags & PCI_MSI_FLAGS_QSIZE) >> 4 > log2)
		*flags = (uint8_t)((*flags & ~PCI_MSI_FLAGS_QSIZE) | log2 << 4);
}

static void write_config(struct sv_device_state *st, const uint8_t *buf,
			 size_t len, size_t pos)
{
	struct sv_pci_config *c = &st->config;
	size_t i;

	for (i = 0; i < len; i++) {
		uint8_t mask = c->writable[pos + i];

		c->bytes[pos + i] = (uint8_t)((c->bytes[pos + i] & ~mask) |
					      (buf[i] & mask));
	}
	if (st->config.msi && st->config.nr_vectors)
		limit_msi(st);
	apply(st);
}

ssize_t sv_config_rw(struct sv_device_state *st, void *buf, size_t len,
		     uint64_t pos, bool write)
{
	struct sv_pci_config *c = &st->config;
	uint8_t bytes[SV_CONFIG_LEN];

	/* Never short: past the end is a fault. */
	if (pos >= SV_CONFIG_LEN || len > SV_CONFIG_LEN - pos)
		return -EFAULT;
	if (write) {
		if (sv_copy_in(bytes, buf, len))
			return -EFAULT;
		pthread_mutex_lock(&c->lock);
		write_config(st, bytes, len, pos);
		pthread_mutex_unlock(&c->lock);
		return (ssize_t)len;
	}
	pthread_mutex_lock(&c->lock);
	read_config(st, bytes, len, pos);
	pthread_mutex_unlock(&c->lock);
	return sv_copy_out(buf, bytes, len) ? -EFAULT : (ssize_t)len;
}
