/* SPDX-License-Identifier: MIT */
/*
 * nic: what it writes are packets that come in, so they are sent to it; its
 * ring of buffers is put where it is to write.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "models/nic_regs.h"

#define WINDOW 16u
#define BURST  128u
#define TOKEN  0x7000ull

static int setup(struct check *c)
{
	return check_reg_write(c, NIC_REG_ENABLE, 0, 4);
}

static int send_one(struct check *c)
{
	const uint64_t bytes[4] = { ++c->at.serial, 0x5a5a5a5a5a5a5a5a, 1, 2 };

	if (send(c->at.socket, bytes, sizeof(bytes), MSG_DONTWAIT) < 0)
		return errno == EAGAIN ? 0 : -errno;
	c->at.next++;
	return 0;
}

static int connect_to(struct check *c, uint16_t port)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	if (c->at.socket < 0)
		c->at.socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (c->at.socket < 0 ||
	    connect(c->at.socket, (const struct sockaddr *)&to, sizeof(to)))
		return -errno;
	return 0;
}

/* next: packets sent; end: to be sent; count: the card's before the first. */
static int prepare(struct check *c, uint64_t iova, uint64_t len)
{
	uint64_t port = 0, slots = len / NIC_SLOT_LEN;
	int r = setup(c);

	c->at.next = 0;
	c->at.end = slots;
	c->at.wanted = iova + len - CHECK_PAGE;
	if (!r)
		r = check_reg_read(c, NIC_REG_RX_PRODUCED, &c->at.count, 8);
	if (!r)
		r = check_reg_write(c, NIC_REG_RX_CONSUMED, c->at.count, 8);
	if (!r)
		r = check_reg_write(c, NIC_REG_RX_BASE, iova, 8);
	if (!r)
		r = check_reg_write(c, NIC_REG_RX_SLOTS, slots, 4);
	if (!r)
		r = check_reg_write(c, NIC_REG_TX_SLOTS, 0, 4);
	if (!r)
		r = check_reg_write(c, NIC_REG_ENABLE, 1, 4);
	if (!r)
		r = check_reg_read(c, NIC_REG_UDP_PORT, &port, 4);
	return r ? r : connect_to(c, (uint16_t)port);
}

static int done(struct check *c)
{
	uint64_t produced = 0;
	int r = check_reg_read(c, NIC_REG_RX_PRODUCED, &produced, 8);

	produced -= c->at.count;
	while (!r && c->at.next < c->at.end && c->at.next - produced < WINDOW)
		r = send_one(c);
	return r ? r : produced >= c->at.end;
}

static int start(struct check *c, uint64_t iova, uint64_t len)
{
	int r = prepare(c, iova, len);

	if (!r)
		r = done(c);
	return r < 0 ? r : 0;
}

static int flood(struct check *c, uint64_t iova, uint64_t len)
{
	int r;

	(void)len;
	c->at.wanted = iova;
	r = prepare(c, iova, BURST * (uint64_t)NIC_SLOT_LEN);
	while (!r && c->at.next < BURST)
		r = send_one(c);
	return r;
}

/* The ring is written in order, from wherever it stood. */
static bool undone(struct check *c)
{
	const struct nic_slot *ring = check_at(
		c, c->at.wanted + CHECK_PAGE - BURST * (uint64_t)NIC_SLOT_LEN);

	for (unsigned int i = 0; i < BURST; i++)
		if (le64toh(ring[i].count) <= c->at.count)
			return true;
	return false;
}

static int remember(struct check *c)
{
	int r = setup(c);

	return r ? r : check_reg_write(c, NIC_REG_RX_BASE, TOKEN, 8);
}

static int recalls(struct check *c)
{
	uint64_t token = 0;
	int r = check_reg_read(c, NIC_REG_RX_BASE, &token, 8);

	return r ? r : token == TOKEN;
}

const struct exerciser exercise_nic = {
	.name = "nic",
	.vendor = 0x1d55,
	.device = 0x5001,
	.setup = setup,
	.start = start,
	.done = done,
	.flood = flood,
	.undone = undone,
	.remember = remember,
	.recalls = recalls,
};
