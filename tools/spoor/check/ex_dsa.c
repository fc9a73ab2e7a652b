/* SPDX-License-Identifier: MIT */
/*
 * dsa: fills by descriptors.  Descriptors and completion records are in the
 * control memory, which is never tracked.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "check.h"
#include "models/dsa_regs.h"

#define COMPLETIONS  (CHECK_CONTROL + CHECK_PAGE)
#define FLOOD_BYTES  (128u << 20)
#define FLOOD_MIN    4u
#define TIMEOUT_NS   5000000000ull
/* Many descriptors, so that progress is seen however slow it is. */
#define REMEMBER_LEN (FLOOD_BYTES / DSA_QUEUE)
#define RECALL_NS    10000000000ull

static struct dsa_completion *completion(struct check *c, uint64_t id)
{
	return (struct dsa_completion *)check_at(c, COMPLETIONS) +
	       id % DSA_QUEUE;
}

static bool completed(struct check *c, uint64_t id)
{
	return le64toh(__atomic_load_n(&completion(c, id)->id,
				       __ATOMIC_ACQUIRE)) == id;
}

static int setup(struct check *c)
{
	uint64_t until = check_now() + TIMEOUT_NS, nr_free = 0;
	int r = check_reg_read(c, DSA_REG_FREE, &nr_free, 4);

	while (!r && nr_free != DSA_QUEUE) {
		if (check_now() > until)
			return -ETIMEDOUT;
		check_sleep_ms(1);
		r = check_reg_read(c, DSA_REG_FREE, &nr_free, 4);
	}
	return r;
}

static int submit(struct check *c, uint64_t iova, uint64_t len)
{
	uint64_t id = ++c->at.serial, slot = id % DSA_QUEUE;
	struct dsa_descriptor *d =
		(struct dsa_descriptor *)check_at(c, CHECK_CONTROL) + slot;

	*d = (struct dsa_descriptor){
		.op = htole32(DSA_OP_FILL),
		.dst = htole64(iova),
		.len = htole64(len),
		.completion = htole64(COMPLETIONS +
				      slot * sizeof(struct dsa_completion)),
		.pattern = htole64(id * 0x9e3779b97f4a7c15ull | 1),
		.id = htole64(id),
	};
	return check_reg_write(c, DSA_REG_DOORBELL,
			       CHECK_CONTROL + slot * sizeof(*d), 8);
}

static int start(struct check *c, uint64_t iova, uint64_t len)
{
	return submit(c, iova, len);
}

static int done(struct check *c)
{
	if (!completed(c, c->at.serial))
		return 0;
	return completion(c, c->at.serial)->status ? -EIO : 1;
}

static int flood(struct check *c, uint64_t iova, uint64_t len)
{
	uint64_t nr = FLOOD_BYTES / len;
	int r = 0;

	if (nr < FLOOD_MIN)
		nr = FLOOD_MIN;
	if (nr > DSA_QUEUE)
		nr = DSA_QUEUE;
	for (uint64_t i = 0; i < nr && !r; i++)
		r = submit(c, iova, len);
	return r;
}

static bool undone(struct check *c)
{
	return !completed(c, c->at.serial);
}

/* Its only state is its queue. */
static int remember(struct check *c)
{
	return flood(c, CHECK_DATA, REMEMBER_LEN);
}

/* Idle with its work undone, or stuck, it has lost it. */
static int recalls(struct check *c)
{
	uint64_t until = check_now() + RECALL_NS, before = 0, nr_free = 0;
	int r = 0;

	while (!r && undone(c) && nr_free != DSA_QUEUE && check_now() < until) {
		check_sleep_ms(2);
		r = check_reg_read(c, DSA_REG_FREE, &nr_free, 4);
		if (nr_free != before)
			until = check_now() + RECALL_NS;
		before = nr_free;
	}
	return r ? r : !undone(c);
}

const struct exerciser exercise_dsa = {
	.name = "dsa",
	.vendor = 0x1d55,
	.device = 0x5002,
	.peers = true,
	.setup = setup,
	.start = start,
	.done = done,
	.flood = flood,
	.undone = undone,
	.remember = remember,
	.work = true,
	.recalls = recalls,
};
