/* SPDX-License-Identifier: MIT */
/*
 * The driver for the nic, and the server behind it, which answers every packet
 * to its sender: as tools/spoor/guest_nic.c, which says why.
 *
 * Its state is the control page.  Each half second it asks the device whether
 * it is still set up and has heard the doorbells; a packet that the device
 * announced, and that is not in memory, is given up.
 */
#include "bench/qemu/guest/work.h"
#include "models/nic_regs.h"

#define WATCH_NS 500000000ull
#define POLL_NS	 5000000ull
#define BATCH	 256u

struct control {
	uint64_t rx_consumed, rx_told;
	uint64_t tx_produced, tx_told, tx_consumed;
};

static volatile struct control *control(const struct work *w)
{
	return hw_at((uint32_t)w->word->ctl);
}

/* The rings have half of "ring" each. */
static volatile struct nic_slot *rx_slot(const struct work *w, uint64_t n)
{
	return hw_at(
		(uint32_t)(w->word->ring_base +
			   NIC_SLOT_INDEX(n, w->nic.slots) * NIC_SLOT_LEN));
}

static volatile struct nic_slot *tx_slot(const struct work *w, uint64_t n)
{
	return hw_at(
		(uint32_t)(w->word->ring_base + w->word->ring / 2 +
			   NIC_SLOT_INDEX(n, w->nic.slots) * NIC_SLOT_LEN));
}

/* From nothing, or after the device was reset. */
static void boot(struct work *w)
{
	volatile struct control *c = control(w);
	uint32_t regs = w->pci.regs;

	pci_set_up(&w->pci, w->index);
	hw_write64(regs + NIC_REG_RX_BASE, w->word->ring_base);
	hw_write32(regs + NIC_REG_RX_SLOTS, w->nic.slots);
	hw_write64(regs + NIC_REG_TX_BASE,
		   w->word->ring_base + w->word->ring / 2);
	hw_write32(regs + NIC_REG_TX_SLOTS, w->nic.slots);
	/* Old packets must not be taken for new ones with the same number. */
	for (uint32_t i = 0; i < w->nic.slots; i++)
		rx_slot(w, i)->count = 0;
	*c = (struct control){ 0 };
	hw_write32(regs + NIC_REG_ENABLE, 1);
	w->status->port = hw_read32(regs + NIC_REG_UDP_PORT);
}

/* Is there room in the transmit ring?  Asks the device if it seems full. */
static bool tx_room(struct work *w)
{
	volatile struct control *c = control(w);
	uint64_t consumed;

	if (c->tx_produced - c->tx_consumed < w->nic.slots)
		return true;
	consumed = hw_read64(w->pci.regs + NIC_REG_TX_CONSUMED);
	/* A device that is not there reads as ones. */
	if (consumed > c->tx_produced)
		return false;
	c->tx_consumed = consumed;
	return c->tx_produced - consumed < w->nic.slots;
}

static void copy_packet(volatile struct nic_slot *to,
			volatile const struct nic_slot *from)
{
	uint32_t len = from->len;
	volatile const uint32_t *in;
	volatile uint32_t *out;

	if (len > NIC_PAYLOAD_MAX)
		len = NIC_PAYLOAD_MAX;
	/* Payloads are aligned in their slots; the tail copies padding. */
	in = (volatile const void *)from->payload;
	out = (volatile void *)to->payload;
	for (uint32_t i = 0; i < (len + 3) / 4; i++)
		out[i] = in[i];
	to->len = len;
	to->addr = from->addr;
	to->port = from->port;
}

static unsigned int answer(struct work *w)
{
	volatile struct control *c = control(w);
	unsigned int done = 0;

	while (done < BATCH) {
		uint64_t next = c->rx_consumed + 1, out = c->tx_produced + 1;

		if (rx_slot(w, next)->count != next || !tx_room(w))
			break;
		copy_packet(tx_slot(w, out), rx_slot(w, next));
		tx_slot(w, out)->count = out;
		c->tx_produced = out;
		c->rx_consumed = next;
		w->status->submitted++;
		w->status->done++;
		done++;
	}
	return done;
}

static void tell(struct work *w)
{
	volatile struct control *c = control(w);

	if (c->tx_told != c->tx_produced) {
		hw_write64(w->pci.regs + NIC_REG_TX_PRODUCED, c->tx_produced);
		c->tx_told = c->tx_produced;
	}
	if (c->rx_told != c->rx_consumed) {
		hw_write64(w->pci.regs + NIC_REG_RX_CONSUMED, c->rx_consumed);
		c->rx_told = c->rx_consumed;
	}
}

/*
 * The next packet was announced, but its slot holds another, for two looks: its
 * write was lost on a migration's way.  Those after it are worth having.
 */
static void skip_lost(struct work *w)
{
	volatile struct control *c = control(w);
	uint64_t next = c->rx_consumed + 1;
	uint64_t produced = hw_read64(w->pci.regs + NIC_REG_RX_PRODUCED);

	if (produced < next || produced - next >= w->nic.slots ||
	    rx_slot(w, next)->count == next) {
		w->nic.stuck = 0;
	} else if (w->nic.stuck != next) {
		w->nic.stuck = next;
	} else {
		c->rx_consumed = next;
		w->status->errors++;
	}
}

static void look_after(struct work *w)
{
	volatile struct control *c = control(w);
	uint32_t regs = w->pci.regs;

	if (!hw_read32(regs + NIC_REG_ENABLE)) {
		boot(w);
		w->status->errors++;
		return;
	}
	c->tx_told = hw_read64(regs + NIC_REG_TX_PRODUCED);
	c->rx_told = hw_read64(regs + NIC_REG_RX_CONSUMED);
	w->status->port = hw_read32(regs + NIC_REG_UDP_PORT);
	skip_lost(w);
}

void nic_start(struct work *w, uint64_t seed)
{
	(void)seed;
	w->pci = pci_find((uint32_t)w->word->slot, NIC_MAGIC, true);
	w->nic.slots = (uint32_t)(w->word->ring / 2 / NIC_SLOT_LEN);
	boot(w);
}

uint64_t nic_turn(struct work *w, uint64_t now)
{
	unsigned int answered;

	if (now > w->nic.watch) {
		look_after(w);
		w->nic.watch = now + WATCH_NS;
	}
	answered = answer(w);
	tell(w);
	return answered ? now : now + POLL_NS;
}
