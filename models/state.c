/* SPDX-License-Identifier: MIT */
/*
 * Device memory that migrates: bytes that every operation of the device
 * changes somewhere, so that a state lost or torn on its way shows.
 *
 * Invariant: what it holds follows from the operations done so far.
 * Threads: lock guards all of it; taken by the worker for each operation and
 * by a saving session for each block.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "models/model_priv.h"

/* splitmix64's finaliser: spreads counted numbers. */
static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

size_t state_block_len(const struct model *m, uint64_t block)
{
	uint64_t rest = m->config.state_size - block * MODEL_PAGE;

	return rest < MODEL_PAGE ? (size_t)rest : MODEL_PAGE;
}

void state_reset(struct model_state *s, const struct model_config *config)
{
	uint64_t word, size = config->state_size;

	SPOOR_LOCKED(&s->lock);
	s->ops = 0;
	for (uint64_t at = 0; at < size; at += sizeof(word)) {
		word = htole64(mix(config->index ^ at << 16));
		memcpy(s->bytes + at, &word,
		       size - at < sizeof(word) ? size - at : sizeof(word));
	}
	memset(s->flags, MODEL_BLOCK_DIRTY, s->nr_blocks);
}

int state_init(struct model_state *s, const struct model_config *config)
{
	uint64_t size = config->state_size;

	s->nr_blocks = size / MODEL_PAGE + (size % MODEL_PAGE != 0);
	s->bytes = malloc(size ? size : 1);
	s->flags = calloc(s->nr_blocks ? s->nr_blocks : 1, 1);
	if (!s->bytes || !s->flags)
		return model_fail(ENOMEM, "%s: no memory for state_size %llu",
				  config->name, (unsigned long long)size);
	state_reset(s, config);
	return 0;
}

void state_free(struct model_state *s)
{
	free(s->bytes);
	free(s->flags);
	s->bytes = NULL;
	s->flags = NULL;
}

void state_touch(struct model *m, uint64_t value)
{
	struct model_state *s = &m->state;
	uint64_t record[2], where, block;
	size_t len, room;

	SPOOR_LOCKED(&s->lock);
	where = mix(++s->ops);
	if (!s->nr_blocks)
		return;
	block = where % s->nr_blocks;
	room = state_block_len(m, block);
	len = room < sizeof(record) ? room : sizeof(record);
	record[0] = htole64(where ^ value);
	record[1] = htole64(s->ops);
	memcpy(s->bytes + block * MODEL_PAGE + (where >> 40) % (room - len + 1),
	       record, len);
	s->flags[block] |= MODEL_BLOCK_DIRTY;
}
