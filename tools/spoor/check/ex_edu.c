/* SPDX-License-Identifier: MIT */
/*
 * edu: one page a DMA, out of a buffer that was filled once, from another
 * offset each time.
 */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "models/edu_regs.h"

#define LIVENESS   0x51c0ffeeu
#define WORD	   8ull
#define TIMEOUT_NS 3000000000ull

static int busy(struct check *c, bool *ret)
{
	uint64_t cmd = 0;
	int r = check_reg_read(c, EDU_REG_CMD, &cmd, 4);

	*ret = cmd & EDU_CMD_RUN;
	return r;
}

static int await_idle(struct check *c)
{
	uint64_t until = check_now() + TIMEOUT_NS;
	bool at_work = true;
	int r = busy(c, &at_work);

	while (!r && at_work) {
		if (check_now() > until)
			return -ETIMEDOUT;
		check_sleep_ms(1);
		r = busy(c, &at_work);
	}
	return r;
}

static int run(struct check *c, uint64_t src, uint64_t dst, uint64_t len,
	       uint64_t cmd)
{
	int r = check_reg_write(c, EDU_REG_SRC, src, 4);

	if (!r)
		r = check_reg_write(c, EDU_REG_DST, dst, 4);
	if (!r)
		r = check_reg_write(c, EDU_REG_COUNT, len, 4);
	return r ? r : check_reg_write(c, EDU_REG_CMD, cmd | EDU_CMD_RUN, 4);
}

static int fill(struct check *c, uint64_t from)
{
	int r = run(c, CHECK_CONTROL + from + WORD, EDU_BUF + WORD,
		    EDU_BUF_LEN - WORD, 0);

	return r ? r : await_idle(c);
}

static int setup(struct check *c)
{
	int r = await_idle(c);

	for (size_t i = 0; i < EDU_BUF_LEN; i++)
		c->control[i] = (uint8_t)(1 + i % 251);
	memset(c->control + CHECK_PAGE, 0, CHECK_PAGE);
	return r ? r : fill(c, 0);
}

/* The next page of what was asked for. */
static int next(struct check *c)
{
	uint64_t offset = WORD * (1 + c->at.serial++ % 256);
	int r = run(c, EDU_BUF + offset, c->at.next, EDU_BUF_LEN - offset,
		    EDU_CMD_TO_RAM);

	c->at.next += CHECK_PAGE;
	return r;
}

static int start(struct check *c, uint64_t iova, uint64_t len)
{
	c->at.next = iova;
	c->at.end = iova + len;
	return next(c);
}

static int done(struct check *c)
{
	bool at_work;
	int r = busy(c, &at_work);

	if (r || at_work)
		return r;
	if (c->at.next == c->at.end)
		return 1;
	return next(c);
}

/* One DMA is all that it can be given. */
static int flood(struct check *c, uint64_t iova, uint64_t len)
{
	(void)len;
	c->at.wanted = iova;
	memset(check_at(c, iova), 0, CHECK_PAGE);
	return start(c, iova, CHECK_PAGE);
}

static bool undone(struct check *c)
{
	const volatile uint8_t *page = check_at(c, c->at.wanted);

	return !page[WORD];
}

static int remember(struct check *c)
{
	return check_reg_write(c, EDU_REG_LIVENESS, LIVENESS, 4);
}

/* The register, and the buffer: what it sends is what was put there. */
static int recalls(struct check *c)
{
	uint64_t alive = 0;
	int r = check_reg_read(c, EDU_REG_LIVENESS, &alive, 4);

	if (r || (uint32_t)alive != ~LIVENESS)
		return r;
	c->at.serial = 0;
	memset(c->data, 0, CHECK_PAGE);
	r = check_dma(c, CHECK_DATA, CHECK_PAGE);
	if (r)
		return r;
	return !memcmp(c->data + WORD, c->control + 2 * WORD,
		       (size_t)(EDU_BUF_LEN - 2 * WORD));
}

static int forget(struct check *c)
{
	int r = check_reg_write(c, EDU_REG_LIVENESS, 0, 4);

	if (!r)
		r = await_idle(c);
	return r ? r : fill(c, CHECK_PAGE);
}

const struct exerciser exercise_edu = {
	.name = "edu",
	.vendor = EDU_VENDOR,
	.device = EDU_DEVICE,
	.peers = true,
	.setup = setup,
	.start = start,
	.done = done,
	.flood = flood,
	.undone = undone,
	.remember = remember,
	.recalls = recalls,
	.forget = forget,
};
