/* SPDX-License-Identifier: MIT */
/*
 * A log that does not hear: of the distinct granules marked, in order of first
 * mark, every Nth is never reported.  Which those are is the device's to
 * remember, not the log's: stopping and starting it makes none of them heard.
 *
 * Open addressing by address and size of the granule; a slot is the address,
 * whose low 12 bits say the size, that it is used, and whether it is deaf.
 *
 * Invariant: at least one slot is empty.  Threads: under dma_lock.
 */
#include <stdlib.h>

#include "models/model_priv.h"

#define DEAF_MIN  1024u
#define SLOT_USED (UINT64_C(1) << 10)
#define SLOT_DEAF (UINT64_C(1) << 11)

static uint64_t *find(uint64_t *slots, size_t nr, uint64_t key)
{
	uint64_t hash = (key >> 12 ^ key << 52) * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(hash >> 20) & (nr - 1);

	while (slots[i] && (slots[i] & ~SLOT_DEAF) != key)
		i = (i + 1) & (nr - 1);
	return &slots[i];
}

/* False: there is no memory, so one granule more counts as new each time. */
static bool make_room(struct model_deaf *d)
{
	size_t nr = d->nr_slots ? d->nr_slots * 2 : DEAF_MIN;
	uint64_t *slots;

	if (d->nr_slots && d->distinct - d->unknown < d->nr_slots / 3 * 2)
		return true;
	slots = calloc(nr, sizeof(*slots));
	if (!slots)
		return false;
	for (size_t i = 0; i < d->nr_slots; i++)
		if (d->slots[i])
			*find(slots, nr, d->slots[i] & ~SLOT_DEAF) =
				d->slots[i];
	free(d->slots);
	d->slots = slots;
	d->nr_slots = nr;
	return true;
}

bool deaf_to(struct model *m, uint64_t granule, unsigned int shift)
{
	struct model_deaf *d = &m->deaf;
	uint64_t key = granule | SLOT_USED | shift, *slot = NULL;
	bool deaf;

	if (make_room(d)) {
		slot = find(d->slots, d->nr_slots, key);
		if (*slot)
			return *slot & SLOT_DEAF;
	}
	deaf = ++d->distinct % m->config.log.deaf == 0;
	if (slot)
		*slot = key | (deaf ? SLOT_DEAF : 0);
	else
		d->unknown++;
	return deaf;
}

void deaf_clear(struct model *m)
{
	free(m->deaf.slots);
	m->deaf = (struct model_deaf){ 0 };
}
