/* SPDX-License-Identifier: MIT */
/*
 * nic: a network card whose cable is a UDP socket.  Packets are DMAed into the
 * receive ring and out of the transmit ring, in order.
 *
 * Invariant: the socket is bound exactly while the card is enabled and not
 * STOPPED, so that only the side that runs answers.  The port register is the
 * port last bound: with port 0 in the configuration it is asked for again,
 * after a stop and at the destination.
 * Threads: ring counters are registers, under lock; the socket changes with
 * the worker parked, and is the worker's otherwise.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "models/model_priv.h"
#include "models/nic_regs.h"
#include "models/udp.h"

#define NIC_BATCH 32u
#define PIN_RX	  0u

struct nic {
	int sock; /* fd + 1, so that 0 is none */
	uint16_t announced; /* port, in this process */
};

struct ring {
	uint64_t base, produced, consumed;
	uint32_t slots;
};

static const struct model_reg regs[] = {
	{ NIC_REG_RX_BASE, 8, MODEL_REG_RW },
	{ NIC_REG_RX_SLOTS, 4, MODEL_REG_RW },
	{ NIC_REG_TX_BASE, 8, MODEL_REG_RW },
	{ NIC_REG_TX_SLOTS, 4, MODEL_REG_RW },
	{ NIC_REG_ENABLE, 4, MODEL_REG_CONTROL },
	{ NIC_REG_RX_CONSUMED, 8, MODEL_REG_RW },
	{ NIC_REG_TX_PRODUCED, 8, MODEL_REG_RW },
	{ NIC_REG_RX_PRODUCED, 8, MODEL_REG_RO },
	{ NIC_REG_TX_CONSUMED, 8, MODEL_REG_RO },
	{ NIC_REG_UDP_PORT, 4, MODEL_REG_RO },
	{ NIC_REG_RX_DROPPED, 8, MODEL_REG_RO },
};

static int nic_check(const struct model_config *config)
{
	struct udp_peer at;

	if (config->udp[0] && !udp_parse(config->udp, &at))
		return model_fail(EINVAL, "%s: udp \"%s\" is not ADDRESS:PORT",
				  config->name, config->udp);
	return 0;
}

static void announce(struct model *m, uint16_t port)
{
	struct nic *nic = m->priv;
	char text[MODEL_NAME_MAX + 32];

	if (nic->announced == port || !m->host_ops->note)
		return;
	nic->announced = port;
	snprintf(text, sizeof(text), "%s: UDP port %u", m->config.name, port);
	m->host_ops->note(m->host, text);
}

/* Worker parked. */
static int plug_in(struct model *m)
{
	struct nic *nic = m->priv;
	struct udp_peer at;
	uint16_t port = 0;
	bool chosen;
	int fd;

	if (nic->sock || !m->config.udp[0] || !udp_parse(m->config.udp, &at))
		return 0;
	chosen = !at.port;
	pthread_mutex_lock(&m->lock);
	if (chosen)
		at.port = htons((uint16_t)model_reg32(m, NIC_REG_UDP_PORT));
	pthread_mutex_unlock(&m->lock);
	fd = udp_bind(&at, &port);
	if (fd < 0)
		return model_fail(-fd, "%s: cannot bind UDP port %u of %s: %s",
				  m->config.name, ntohs(at.port), m->config.udp,
				  strerrordesc_np(-fd));
	fd = model_keep_fd(m, fd);
	nic->sock = fd + 1;
	pthread_mutex_lock(&m->lock);
	model_set_reg32(m, NIC_REG_UDP_PORT, port);
	pthread_mutex_unlock(&m->lock);
	if (chosen)
		announce(m, port);
	return 0;
}

static void unplug(struct model *m)
{
	struct nic *nic = m->priv;

	if (!nic->sock)
		return;
	m->wait_fd = -1;
	model_count(&m->counters.backlog_dropped, udp_drain(nic->sock - 1));
	model_end_fd(m, nic->sock - 1);
	nic->sock = 0;
}

static int turn_on(struct model *m)
{
	uint64_t base, len;
	int rc = 0;

	pthread_mutex_lock(&m->lock);
	base = model_reg64(m, NIC_REG_RX_BASE);
	len = (uint64_t)model_reg32(m, NIC_REG_RX_SLOTS) * NIC_SLOT_LEN;
	pthread_mutex_unlock(&m->lock);
	if (m->config.pins_gratuitous)
		rc = model_pin(m, PIN_RX, base, len, true);
	if (rc)
		return rc;
	rc = plug_in(m);
	if (rc)
		model_unpin(m, PIN_RX);
	return rc;
}

static void nic_release(struct model *m)
{
	unplug(m);
	model_unpin(m, PIN_RX);
}

static int nic_written(struct model *m, unsigned int offset, uint64_t old)
{
	uint64_t value;
	bool on;

	if (offset == NIC_REG_TX_PRODUCED) {
		/* More than the ring holds was never produced. */
		value = model_reg64(m, offset);
		if (value - model_reg64(m, NIC_REG_TX_CONSUMED) >
		    model_reg32(m, NIC_REG_TX_SLOTS))
			model_set_reg64(m, offset, old);
		return 0;
	}
	if (offset != NIC_REG_ENABLE)
		return 0;
	pthread_mutex_lock(&m->lock);
	on = model_reg32(m, NIC_REG_ENABLE);
	pthread_mutex_unlock(&m->lock);
	if (on && !old)
		return turn_on(m);
	if (!on && old)
		nic_release(m);
	return 0;
}

static struct ring rx_ring(struct model *m)
{
	SPOOR_LOCKED(&m->lock);

	return (struct ring){
		.base = model_reg64(m, NIC_REG_RX_BASE),
		.slots = model_reg32(m, NIC_REG_RX_SLOTS),
		.produced = model_reg64(m, NIC_REG_RX_PRODUCED),
		.consumed = model_reg64(m, NIC_REG_RX_CONSUMED),
	};
}

static struct ring tx_ring(struct model *m)
{
	SPOOR_LOCKED(&m->lock);

	if (!model_reg32(m, NIC_REG_ENABLE))
		return (struct ring){ 0 };
	return (struct ring){
		.base = model_reg64(m, NIC_REG_TX_BASE),
		.slots = model_reg32(m, NIC_REG_TX_SLOTS),
		.produced = model_reg64(m, NIC_REG_TX_PRODUCED),
		.consumed = model_reg64(m, NIC_REG_TX_CONSUMED),
	};
}

static uint64_t slot_iova(const struct ring *r, uint64_t nr)
{
	return r->base + NIC_SLOT_INDEX(nr, r->slots) * NIC_SLOT_LEN;
}

/* Is there a free slot?  The driver may have freed one since we looked. */
static bool rx_room(struct model *m, struct ring *r)
{
	if (r->slots && r->produced - r->consumed >= r->slots) {
		SPOOR_LOCKED(&m->lock);
		r->consumed = model_reg64(m, NIC_REG_RX_CONSUMED);
	}
	return r->slots && r->produced - r->consumed < r->slots;
}

/* One packet from the socket to memory; false: it was dropped. */
static bool deliver(struct model *m, struct ring *r, struct nic_slot *slot,
		    uint32_t len, const struct udp_peer *from)
{
	uint64_t nr = r->produced + 1;

	slot->stamp = 0;
	slot->count = htole64(nr);
	slot->len = htole32(len);
	slot->addr = from->addr;
	slot->port = from->port;
	slot->zero = 0;
	slot->zero2 = 0;
	if (model_dma_write(m, slot_iova(r, nr), slot, NIC_SLOT_PAYLOAD + len))
		return false;
	r->produced = nr;
	state_touch(m, nr << 16 | len);
	return true;
}

static void rx_done(struct model *m, const struct ring *r, uint64_t dropped)
{
	uint64_t before;

	pthread_mutex_lock(&m->lock);
	before = model_reg64(m, NIC_REG_RX_PRODUCED);
	model_set_reg64(m, NIC_REG_RX_PRODUCED, r->produced);
	model_set_reg64(m, NIC_REG_RX_DROPPED,
			model_reg64(m, NIC_REG_RX_DROPPED) + dropped);
	pthread_mutex_unlock(&m->lock);
	if (before != r->produced)
		model_irq(m, 0);
}

static enum model_work receive(struct model *m, int fd)
{
	struct ring r = rx_ring(m);
	enum model_work rest = MODEL_WORK_MORE;
	struct udp_peer from = { 0 };
	struct nic_slot slot;
	uint64_t dropped = 0;
	ssize_t len;

	for (unsigned int i = 0; i < NIC_BATCH; i++) {
		bool room = rx_room(m, &r);

		/* A packet that cannot be put down yet stays in the socket. */
		if (room && model_dma_held(m, slot_iova(&r, r.produced + 1),
					   NIC_SLOT_LEN)) {
			rest = MODEL_WORK_HELD;
			break;
		}
		len = udp_receive(fd, slot.payload, NIC_PAYLOAD_MAX, &from);
		if (len < 0) {
			rest = MODEL_WORK_NONE;
			break;
		}
		if (!room || len > (ssize_t)NIC_PAYLOAD_MAX ||
		    !deliver(m, &r, &slot, (uint32_t)len, &from))
			dropped++;
	}
	rx_done(m, &r, dropped);
	return rest;
}

static void put_on_wire(const struct nic *nic, const struct nic_slot *slot)
{
	struct udp_peer to = { .addr = slot->addr, .port = slot->port };
	uint32_t len = le32toh(slot->len);

	if (nic->sock && len <= NIC_PAYLOAD_MAX)
		udp_send(nic->sock - 1, slot->payload, len, &to);
}

static enum model_work transmit(struct model *m)
{
	const struct nic *nic = m->priv;
	enum model_work rest = MODEL_WORK_NONE;
	struct ring r = tx_ring(m);
	uint64_t first = r.consumed;
	struct nic_slot slot;
	int rc;

	while (r.slots && r.consumed != r.produced) {
		if (r.consumed - first == NIC_BATCH) {
			rest = MODEL_WORK_MORE;
			break;
		}
		rc = model_dma_read(m, slot_iova(&r, r.consumed + 1), &slot,
				    sizeof(slot));
		if (rc == -EAGAIN) {
			rest = MODEL_WORK_HELD;
			break;
		}
		r.consumed++;
		if (!rc)
			put_on_wire(nic, &slot);
		state_touch(m, r.consumed);
	}
	if (r.consumed == first)
		return rest;
	pthread_mutex_lock(&m->lock);
	model_set_reg64(m, NIC_REG_TX_CONSUMED, r.consumed);
	pthread_mutex_unlock(&m->lock);
	model_irq(m, 0);
	return rest;
}

static enum model_work nic_work(struct model *m)
{
	const struct nic *nic = m->priv;
	enum model_work rx = MODEL_WORK_NONE, tx;

	if (nic->sock)
		rx = receive(m, nic->sock - 1);
	/* While it may not put packets down it must not wake for them. */
	m->wait_fd = rx == MODEL_WORK_HELD ? -1 : nic->sock - 1;
	tx = transmit(m);
	if (rx == MODEL_WORK_MORE || tx == MODEL_WORK_MORE)
		return MODEL_WORK_MORE;
	return MODEL_WORK_NONE;
}

static int nic_resume(struct model *m)
{
	uint32_t on;

	pthread_mutex_lock(&m->lock);
	on = model_reg32(m, NIC_REG_ENABLE);
	pthread_mutex_unlock(&m->lock);
	return on ? turn_on(m) : 0;
}

static int nic_load(struct model *m, struct model_cursor *c)
{
	if (c->pos != c->end)
		return model_fail(EINVAL, "nic: private state of other length");
	nic_release(m);
	return 0;
}

static void nic_save(struct model *m, struct model_cursor *c)
{
	/* All there is are registers. */
	(void)m;
	(void)c;
}

const struct model_ops model_nic = {
	.name = "nic",
	.magic = NIC_MAGIC,
	.device_id = 0x5001,
	.nr_vectors = 1,
	.mem_bar_len = NIC_BAR_MEM_LEN,
	.migrates = true,
	.priv_size = sizeof(struct nic),
	.regs = regs,
	.nr_regs = sizeof(regs) / sizeof(regs[0]),
	.check = nic_check,
	.release = nic_release,
	.written = nic_written,
	.work = nic_work,
	.resume = nic_resume,
	.quiesce = unplug,
	.save = nic_save,
	.load = nic_load,
};
