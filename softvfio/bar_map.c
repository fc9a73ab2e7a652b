/* SPDX-License-Identifier: MIT */
/*
 * Where the program has mapped BARs, so that a container that maps such
 * memory for DMA maps the peer, not bytes.
 *
 * Invariant: entries are disjoint and describe the mappings as they are: the
 * lock is held over the real call and the change of the list, so no other
 * thread's BAR can land on an address in between and be cut with it.
 *
 * Threads: any; one lock.  Programs that map no BAR never take it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "softvfio/shim.h"

struct entry {
	uintptr_t va;
	size_t len;
	struct sv_bar_mapping bar;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *entries;
static size_t nr, room;
atomic_uint sv_bar_map_count;

void sv_bar_map_lock(void)
{
	pthread_mutex_lock(&lock);
}

void sv_bar_map_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

static void set_nr(size_t n)
{
	nr = n;
	atomic_store_explicit(&sv_bar_map_count, (unsigned int)n,
			      memory_order_relaxed);
}

/* Without memory the entry is missing: a later map for DMA finds plain
 * memory there, which is what the BAR's pages are. */
static void append(uintptr_t va, size_t len, const struct sv_bar_mapping *bar)
{
	struct entry *grown;

	if (nr == room) {
		size_t more = room ? room * 2 : 16;

		grown = reallocarray(entries, more, sizeof(*grown));
		if (!grown)
			return;
		entries = grown;
		room = more;
	}
	entries[nr] = (struct entry){ .va = va, .len = len, .bar = *bar };
	set_nr(nr + 1);
}

void sv_bar_map_cut(const void *p, size_t len)
{
	uintptr_t va = (uintptr_t)p;

	for (size_t i = 0; i < nr;) {
		struct entry e = entries[i];

		if (va >= e.va + e.len || e.va >= va + len) {
			i++;
			continue;
		}
		entries[i] = entries[nr - 1];
		set_nr(nr - 1);
		/* What is left of it does not meet the range: seen once. */
		if (e.va < va)
			append(e.va, va - e.va, &e.bar);
		if (e.va + e.len > va + len) {
			size_t gone = va + len - e.va;

			e.bar.offset += gone;
			append(va + len, e.len - gone, &e.bar);
		}
	}
}

void sv_bar_map_add(void *p, size_t len, const struct sv_bar_mapping *bar)
{
	sv_bar_map_cut(p, len);
	append((uintptr_t)p, len, bar);
}

static const struct entry *find(uintptr_t va, size_t len)
{
	for (size_t i = 0; i < nr; i++) {
		const struct entry *e = &entries[i];

		if (va >= e->va && va - e->va < e->len &&
		    len <= e->len - (va - e->va))
			return e;
	}
	return NULL;
}

void sv_bar_map_move(const void *from, size_t from_len, void *to, size_t to_len)
{
	const struct entry *e = find((uintptr_t)from, from_len ? from_len : 1);
	struct sv_bar_mapping bar;

	if (e) {
		bar = e->bar;
		bar.offset += (uintptr_t)from - e->va;
	}
	/* from_len 0 makes a second mapping and leaves the first. */
	sv_bar_map_cut(from, from_len);
	sv_bar_map_cut(to, to_len);
	if (e)
		append((uintptr_t)to, to_len, &bar);
}

int sv_find_bar_mapping(const void *va, size_t len, struct sv_bar_mapping *ret)
{
	const struct entry *e;

	if (!atomic_load_explicit(&sv_bar_map_count, memory_order_relaxed))
		return -ENOENT;
	SPOOR_LOCKED(&lock);
	e = find((uintptr_t)va, len);
	if (!e)
		return -ENOENT;
	*ret = e->bar;
	ret->offset += (uintptr_t)va - e->va;
	return 0;
}

void sv_note_bar_mapping(void *va, size_t len, const struct sv_bar_mapping *b)
{
	SPOOR_LOCKED(&lock);
	sv_bar_map_add(va, len, b);
}

/* The mappings are there, but what they are of stayed with the parent. */
void sv_bar_map_fork_child(void)
{
	set_nr(0);
}
