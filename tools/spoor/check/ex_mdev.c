/* SPDX-License-Identifier: MIT */
/*
 * mdev: an operation writes the next page of an area that is pinned.
 */
#include <endian.h>
#include <errno.h>

#include "check.h"
#include "models/mdev_regs.h"

#define COMPLETION (CHECK_CONTROL + 2 * CHECK_PAGE)
#define TOKEN	   0x5eed0000beefull

static uint64_t last_done(struct check *c)
{
	const struct mdev_completion *record = check_at(c, COMPLETION);

	return le64toh(__atomic_load_n(&record->id, __ATOMIC_ACQUIRE));
}

static int setup(struct check *c)
{
	return check_reg_write(c, MDEV_REG_ENABLE, 0, 4);
}

static int ring(struct check *c)
{
	int r = 0;

	while (!r && c->at.next < c->at.end &&
	       c->at.next - last_done(c) < MDEV_QUEUE) {
		r = check_reg_write(c, MDEV_REG_DOORBELL, c->at.next + 1, 8);
		c->at.next++;
	}
	return r;
}

/* Ids go on from the last one; an area begins at its first page. */
static int start(struct check *c, uint64_t iova, uint64_t len)
{
	struct mdev_completion *record = check_at(c, COMPLETION);
	int r = setup(c);

	c->at.next = c->at.serial;
	c->at.end = c->at.serial + len / CHECK_PAGE;
	c->at.serial = c->at.end;
	__atomic_store_n(&record->id, htole64(c->at.next), __ATOMIC_RELEASE);
	if (!r)
		r = check_reg_write(c, MDEV_REG_READ_LEN, 0, 8);
	if (!r)
		r = check_reg_write(c, MDEV_REG_WRITE_BASE, iova, 8);
	if (!r)
		r = check_reg_write(c, MDEV_REG_WRITE_LEN, len, 8);
	if (!r)
		r = check_reg_write(c, MDEV_REG_COMPLETION, COMPLETION, 8);
	if (!r)
		r = check_reg_write(c, MDEV_REG_ENABLE, 1, 4);
	return r ? r : ring(c);
}

static int done(struct check *c)
{
	int r = ring(c);

	return r ? r : last_done(c) == c->at.end;
}

static int flood(struct check *c, uint64_t iova, uint64_t len)
{
	(void)len;
	return start(c, iova, MDEV_QUEUE * (uint64_t)CHECK_PAGE);
}

static bool undone(struct check *c)
{
	return last_done(c) != c->at.end;
}

static int remember(struct check *c)
{
	int r = setup(c);

	return r ? r : check_reg_write(c, MDEV_REG_READ_BASE, TOKEN, 8);
}

static int recalls(struct check *c)
{
	uint64_t token = 0;
	int r = check_reg_read(c, MDEV_REG_READ_BASE, &token, 8);

	return r ? r : token == TOKEN;
}

const struct exerciser exercise_mdev = {
	.name = "mdev",
	.vendor = 0x1d55,
	.device = 0x5003,
	.setup = setup,
	.start = start,
	.done = done,
	.flood = flood,
	.undone = undone,
	.remember = remember,
	.recalls = recalls,
};
