/* SPDX-License-Identifier: MIT */
/*
 * The guest's driver for the nic, and the server behind it: every packet
 * received is answered to its sender with the same payload.
 *
 * Its state is the control page: how far it has read and written, and how far
 * it has told the device.  A doorbell that could not be rung is rung again
 * from there.
 *
 * Threads: one task.
 */
#include <string.h>

#include "guest.h"
#include "models/nic_regs.h"

#define NIC_CTL_MAGIC 0x6e69632d64727672ull
#define NIC_WATCH_NS  500000000ull
#define NIC_POLL_NS   5000000ull
#define NIC_BATCH     256u

struct nic_control {
	uint64_t magic;
	uint64_t rx_consumed, rx_told;
	uint64_t tx_produced, tx_told, tx_consumed;
	uint64_t replies;
};

struct nic {
	struct guest *g;
	size_t device;
	struct nic_control *c;
	struct nic_slot *rx, *tx;
	const struct layout_device *l;
	uint32_t rx_slots, tx_slots;
};

/* From nothing, or after the device was reset. */
static int boot(struct nic *n)
{
	struct guest *g = n->g;
	uint32_t port = 0;
	int r;

	r = guest_enable_device(g, n->device);
	if (!r)
		r = guest_write64(g, n->device, NIC_REG_RX_BASE, n->l->rx.iova);
	if (!r)
		r = guest_write32(g, n->device, NIC_REG_RX_SLOTS, n->rx_slots);
	if (!r)
		r = guest_write64(g, n->device, NIC_REG_TX_BASE, n->l->tx.iova);
	if (!r)
		r = guest_write32(g, n->device, NIC_REG_TX_SLOTS, n->tx_slots);
	if (r)
		return r;
	/* Old packets must not be taken for new ones with the same number. */
	for (uint32_t i = 0; i < n->rx_slots; i++)
		guest_store(&n->rx[i].count, 0);
	guest_store(&n->c->rx_consumed, 0);
	guest_store(&n->c->rx_told, 0);
	guest_store(&n->c->tx_produced, 0);
	guest_store(&n->c->tx_told, 0);
	guest_store(&n->c->tx_consumed, 0);
	r = guest_write32(g, n->device, NIC_REG_ENABLE, 1);
	if (r)
		return r;
	guest_store(&n->c->magic, NIC_CTL_MAGIC);
	if (!guest_read32(g, n->device, NIC_REG_UDP_PORT, &port) && g->announce)
		g->announce(g->opaque, n->device, (uint16_t)port);
	return 0;
}

static void copy_payload(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	/* Payloads are 8-aligned in their slots; the tail copies padding. */
	for (uint32_t i = 0; i < len; i += 8) {
		uint64_t v =
			guest_load((const uint64_t *)(const void *)(src + i));

		__atomic_store_n((uint64_t *)(void *)(dst + i), v,
				 __ATOMIC_RELAXED);
	}
}

/* Is there room in the transmit ring?  Asks the device if it seems full. */
static bool tx_room(struct nic *n)
{
	uint64_t consumed;

	if (n->c->tx_produced - n->c->tx_consumed < n->tx_slots)
		return true;
	if (guest_read64(n->g, n->device, NIC_REG_TX_CONSUMED, &consumed))
		return false;
	guest_store(&n->c->tx_consumed, consumed);
	return n->c->tx_produced - consumed < n->tx_slots;
}

static unsigned int answer(struct nic *n)
{
	struct nic_control *c = n->c;
	unsigned int done = 0;

	while (done < NIC_BATCH) {
		uint64_t next = c->rx_consumed + 1, out = c->tx_produced + 1;
		struct nic_slot *from, *to;
		uint32_t len;

		from = &n->rx[NIC_SLOT_INDEX(next, n->rx_slots)];
		if (guest_load(&from->count) != next || !tx_room(n))
			break;
		to = &n->tx[NIC_SLOT_INDEX(out, n->tx_slots)];
		len = guest_load(&from->len);
		if (len > NIC_PAYLOAD_MAX)
			len = NIC_PAYLOAD_MAX;
		copy_payload(to->payload, from->payload, len);
		guest_store(&to->len, len);
		guest_store(&to->addr, guest_load(&from->addr));
		guest_store(&to->port, guest_load(&from->port));
		guest_store(&to->count, out);
		guest_store(&c->tx_produced, out);
		guest_store(&c->rx_consumed, next);
		guest_store(&c->replies, c->replies + 1);
		done++;
	}
	return done;
}

/* Told only once the device has taken it. */
static void tell(struct nic *n)
{
	struct nic_control *c = n->c;

	if (c->tx_told != c->tx_produced &&
	    !guest_write64(n->g, n->device, NIC_REG_TX_PRODUCED,
			   c->tx_produced))
		guest_store(&c->tx_told, c->tx_produced);
	if (c->rx_told != c->rx_consumed &&
	    !guest_write64(n->g, n->device, NIC_REG_RX_CONSUMED,
			   c->rx_consumed))
		guest_store(&c->rx_told, c->rx_consumed);
}

/* A device that was reset has forgotten its rings. */
static bool was_reset(struct nic *n)
{
	uint32_t on;

	return !guest_read32(n->g, n->device, NIC_REG_ENABLE, &on) && !on;
}

void guest_nic_run(struct guest_task *t)
{
	struct guest *g = t->g;
	struct nic n = { .g = g,
			 .device = t->index,
			 .l = &g->layout->devices[t->index] };
	uint64_t watch = 0;

	n.c = guest_at(g, n.l->control.iova, MF_PAGE);
	n.rx = guest_at(g, n.l->rx.iova, n.l->rx.len);
	n.tx = guest_at(g, n.l->tx.iova, n.l->tx.len);
	n.rx_slots = (uint32_t)(n.l->rx.len / NIC_SLOT_LEN);
	n.tx_slots = (uint32_t)(n.l->tx.len / NIC_SLOT_LEN);
	while (guest_checkpoint(g)) {
		uint64_t now = guest_now();

		if (!watch)
			watch = now + NIC_WATCH_NS;
		if (guest_load(&n.c->magic) != NIC_CTL_MAGIC ||
		    (now > watch && was_reset(&n))) {
			int r = boot(&n);

			if (r) {
				guest_refused(t, r);
				guest_sleep_until(g, now + NIC_POLL_NS);
				continue;
			}
		}
		if (now > watch)
			watch = now + NIC_WATCH_NS;
		if (!t->booted)
			guest_booted(t);
		if (!answer(&n))
			guest_wait_fd(g, g->m->irqs[n.device],
				      now + NIC_POLL_NS);
		tell(&n);
	}
}
