/* SPDX-License-Identifier: MIT */
/*
 * Lists of what was lost: the digests' and the VMM's findings made one, told
 * to the source, and kept in both results.
 *
 * Threads: the run's own.
 */
#include "migrate/verify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

int spoor_verify_hook(struct spoor_run *run, struct spoor_lost **ret_lost,
		      size_t *ret_nr)
{
	struct spoor_machine *machine = run->machine;
	int err;

	*ret_lost = NULL;
	*ret_nr = 0;
	if (!machine->hooks.verify)
		return 0;
	err = machine->hooks.verify(machine->opaque, ret_lost, ret_nr);
	if (err)
		return spoor_fail(-err, "hook to verify: %s", strerror(-err));
	return 0;
}

static struct spoor_lost *add(struct spoor_run *run)
{
	struct spoor_result *r = run->result;
	struct spoor_lost *grown;

	if (r->nr_lost == SPOOR_LOST_MAX)
		return NULL;
	grown = reallocarray(r->lost, r->nr_lost + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	r->lost = grown;
	grown[r->nr_lost] = (struct spoor_lost){ 0 };
	return &grown[r->nr_lost++];
}

static int add_unknown(struct spoor_run *run, uint64_t iova)
{
	struct spoor_result *r = run->result;
	struct spoor_lost *l = r->nr_lost ? &r->lost[r->nr_lost - 1] : NULL;

	if (l && !strcmp(l->writer, "unknown") &&
	    l->range.iova + l->range.len == iova) {
		l->range.len += SPOOR_STREAM_PAGE;
		return 0;
	}
	l = add(run);
	if (!l)
		return 0; /* enough: the count says how many there are */
	l->range.iova = iova;
	l->range.len = SPOOR_STREAM_PAGE;
	snprintf(l->writer, sizeof(l->writer), "unknown");
	return 0;
}

int spoor_verify_merge(struct spoor_run *run, const struct spoor_verify *v,
		       const struct spoor_lost *hook, size_t nr_hook)
{
	struct spoor_range_list named = { 0 };
	uint64_t pages = 0;
	int err = 0;

	for (size_t i = 0; !err && i < nr_hook; i++) {
		struct spoor_lost *l;

		if (!spoor_range_valid(&hook[i].range))
			continue;
		pages += hook[i].range.len / SPOOR_STREAM_PAGE;
		err = spoor_range_list_add(&named, &hook[i].range);
		l = err ? NULL : add(run);
		if (l)
			*l = hook[i];
	}
	for (size_t i = 0; !err && i < v->nr_lost; i++) {
		const struct spoor_range page = { .iova = v->lost[i],
						  .len = SPOOR_STREAM_PAGE };

		if (spoor_range_list_covers(&named, &page))
			continue;
		pages++;
		err = add_unknown(run, page.iova);
	}
	spoor_range_list_clear(&named);
	run->lost_pages = pages;
	/* Out of memory the list is short; that pages were lost stays true. */
	if (!pages)
		return err ? spoor_fail(ENOMEM, "verify: out of memory") : 0;
	return spoor_fail(EILSEQ, "verification failed: %llu pages were lost",
			  (unsigned long long)pages);
}

int spoor_verify_tell(struct spoor_run *run)
{
	const struct spoor_result *r = run->result;
	SPOOR_AUTO_HEAP struct spoor_lost_entry *entries = NULL;
	size_t first = 0, end;
	int err;

	/* If there is no memory for names, the number still goes out. */
	entries = calloc(SPOOR_LOST_PER_FRAME, sizeof(*entries));
	end = entries ? r->nr_lost : 0;
	do {
		SPOOR_AUTO_WBUF b = { 0 };
		uint32_t nr = 0;

		while (nr < SPOOR_LOST_PER_FRAME && first < end) {
			entries[nr].range = r->lost[first].range;
			memcpy(entries[nr].writer, r->lost[first].writer,
			       sizeof(entries[nr].writer));
			entries[nr].writer[sizeof(entries[nr].writer) - 1] = 0;
			nr++;
			first++;
		}
		spoor_lost_encode(run->lost_pages, entries, nr, &b);
		err = spoor_stream_send_buf(
			&run->io, SPOOR_FRAME_LOST,
			first == end ? SPOOR_FRAME_LAST_PART : 0, &b);
	} while (!err && first < end);
	return err;
}

int spoor_verify_told(struct spoor_run *run, const void *payload, size_t len)
{
	SPOOR_AUTO_HEAP struct spoor_lost_entry *entries = NULL;
	struct spoor_lost_list list;
	int err = spoor_lost_decode(&list, payload, len);

	if (err)
		return err;
	entries = list.entries;
	if (list.nr > SPOOR_LOST_MAX - run->result->nr_lost)
		return spoor_fail(EPROTO, "stream: too many LOST pages");
	for (uint32_t i = 0; i < list.nr; i++) {
		struct spoor_lost *l = add(run);

		if (!l)
			break;
		l->range = entries[i].range;
		memcpy(l->writer, entries[i].writer, sizeof(l->writer));
	}
	spoor_fail(EILSEQ, "verification failed: %llu pages were lost",
		   (unsigned long long)list.pages);
	return 0;
}
