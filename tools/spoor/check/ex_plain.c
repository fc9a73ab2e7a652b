/* SPDX-License-Identifier: MIT */
/*
 * plain: a doorbell fills memory with its value.  It does not say when it is
 * done; memory does.
 */
#include <endian.h>

#include "check.h"
#include "models/plain_regs.h"

#define TOKEN 0x5eed0000beefull

/* The last word of all: stamps are the first of each page. */
static bool undone(struct check *c)
{
	const uint64_t *word = check_at(c, c->at.wanted);

	return le64toh(__atomic_load_n(word, __ATOMIC_ACQUIRE)) != c->at.serial;
}

static int setup(struct check *c)
{
	(void)c;
	return 0;
}

static int start(struct check *c, uint64_t iova, uint64_t len)
{
	int r = check_reg_write(c, PLAIN_REG_DST, iova, 8);

	c->at.wanted = iova + len - sizeof(uint64_t);
	c->at.serial++;
	if (!r)
		r = check_reg_write(c, PLAIN_REG_LEN, len, 8);
	return r ? r : check_reg_write(c, PLAIN_REG_DOORBELL, c->at.serial, 8);
}

static int done(struct check *c)
{
	return !undone(c);
}

static int remember(struct check *c)
{
	return check_reg_write(c, PLAIN_REG_DST, TOKEN, 8);
}

static int recalls(struct check *c)
{
	uint64_t token = 0;
	int r = check_reg_read(c, PLAIN_REG_DST, &token, 8);

	return r ? r : token == TOKEN;
}

const struct exerciser exercise_plain = {
	.name = "plain",
	.vendor = 0x1d55,
	.device = 0x5004,
	.setup = setup,
	.start = start,
	.done = done,
	.flood = start,
	.undone = undone,
	.remember = remember,
	.recalls = recalls,
};
