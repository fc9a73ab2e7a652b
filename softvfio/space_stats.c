/* SPDX-License-Identifier: MIT */
/*
 * A list that only grows at its end, so that reading it needs the lock just to
 * take each step; entries never go, so callbacks run without it.
 */
#include "softvfio/space_stats.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "softvfio/iommu.h"
#include "base/cleanup.h"

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sv_space_stat *registry_first;
static struct sv_space_stat **registry_end = &registry_first;

struct sv_space_stat *sv_space_stat_new(const char *name)
{
	struct sv_space_stat *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	snprintf(s->name, sizeof(s->name), "%s", name);
	SPOOR_LOCKED(&registry_lock);
	*registry_end = s;
	registry_end = &s->next;
	return s;
}

static struct sv_space_stat *step(struct sv_space_stat *from)
{
	SPOOR_LOCKED(&registry_lock);

	return from ? from->next : registry_first;
}

void sv_spaces_each(void (*fn)(void *ctx, const struct sv_space_counters *c),
		    void *ctx)
{
	struct sv_space_stat *s;

	for (s = step(NULL); s; s = step(s)) {
		struct sv_space_counters c = {
			.name = s->name,
			.marks = atomic_load(&s->marks),
			.dirty_reads = atomic_load(&s->dirty_reads),
			.pages_reported = atomic_load(&s->pages_reported),
			.discarded = atomic_load(&s->discarded),
			.write_faults = atomic_load(&s->write_faults),
			.read_ns = atomic_load(&s->read_ns),
		};

		fn(ctx, &c);
	}
}
