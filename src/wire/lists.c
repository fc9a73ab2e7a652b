/* SPDX-License-Identifier: MIT */
/*
 * Payloads with a list: digests, wanted chunks, lost pages, failed devices.
 * Invariant: a count is held against both its limit and the bytes that are
 * there before anything is allocated for it.  Threads: pure functions.
 */
#include "wire/message.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/range.h"
#include "wire/hello.h"

void spoor_words_encode(uint64_t first, const uint64_t *words, uint32_t nr,
			struct spoor_wbuf *out)
{
	spoor_wbuf_u64(out, first);
	spoor_wbuf_u32(out, nr);
	spoor_wbuf_u32(out, 0);
	for (uint32_t i = 0; i < nr; i++)
		spoor_wbuf_u64(out, words[i]);
}

int spoor_words_decode(struct spoor_words *ret, const void *data, size_t len)
{
	struct spoor_rbuf in = { .data = data, .left = len };
	SPOOR_AUTO_HEAP uint64_t *words = NULL;
	uint64_t first;
	uint32_t nr, zero;

	first = spoor_rbuf_u64(&in);
	nr = spoor_rbuf_u32(&in);
	zero = spoor_rbuf_u32(&in);
	if (in.failed || zero || nr > SPOOR_WORDS_MAX ||
	    in.left != (size_t)nr * sizeof(uint64_t))
		return spoor_fail(EPROTO, "stream: malformed list of %u words",
				  nr);
	words = calloc(nr ? nr : 1, sizeof(*words));
	if (!words)
		return spoor_fail(ENOMEM, "stream: out of memory");
	for (uint32_t i = 0; i < nr; i++)
		words[i] = spoor_rbuf_u64(&in);
	ret->first = first;
	ret->nr = nr;
	ret->words = SPOOR_STEAL(words);
	return 0;
}

void spoor_lost_encode(uint64_t pages, const struct spoor_lost_entry *entries,
		       uint32_t nr, struct spoor_wbuf *out)
{
	spoor_wbuf_u64(out, pages);
	spoor_wbuf_u32(out, nr);
	spoor_wbuf_u32(out, 0);
	for (uint32_t i = 0; i < nr; i++) {
		spoor_wbuf_u64(out, entries[i].range.iova);
		spoor_wbuf_u64(out, entries[i].range.len);
		spoor_wbuf_str(out, entries[i].writer,
			       sizeof(entries[i].writer) - 1);
	}
}

int spoor_lost_decode(struct spoor_lost_list *ret, const void *data, size_t len)
{
	struct spoor_rbuf in = { .data = data, .left = len };
	SPOOR_AUTO_HEAP struct spoor_lost_entry *entries = NULL;
	uint64_t pages;
	uint32_t nr, zero;

	pages = spoor_rbuf_u64(&in);
	nr = spoor_rbuf_u32(&in);
	zero = spoor_rbuf_u32(&in);
	if (in.failed || zero || nr > SPOOR_LOST_PER_FRAME)
		return spoor_fail(EPROTO, "stream: malformed LOST frame");
	entries = calloc(nr ? nr : 1, sizeof(*entries));
	if (!entries)
		return spoor_fail(ENOMEM, "stream: out of memory");
	for (uint32_t i = 0; i < nr; i++) {
		struct spoor_lost_entry *e = &entries[i];

		e->range.iova = spoor_rbuf_u64(&in);
		e->range.len = spoor_rbuf_u64(&in);
		spoor_rbuf_str(&in, e->writer, sizeof(e->writer));
		if (in.failed || !spoor_range_valid(&e->range))
			return spoor_fail(EPROTO,
					  "stream: malformed LOST frame");
	}
	if (!spoor_rbuf_ended(&in))
		return spoor_fail(EPROTO, "stream: malformed LOST frame");
	ret->pages = pages;
	ret->nr = nr;
	ret->entries = SPOOR_STEAL(entries);
	return 0;
}

void spoor_done_encode(const struct spoor_done_failure *failures, uint32_t nr,
		       struct spoor_wbuf *out)
{
	spoor_wbuf_u32(out, nr);
	spoor_wbuf_u32(out, 0);
	for (uint32_t i = 0; i < nr; i++) {
		spoor_wbuf_u32(out, failures[i].device);
		spoor_wbuf_str(out, failures[i].text,
			       sizeof(failures[i].text) - 1);
	}
}

int spoor_done_decode(struct spoor_done *ret, const void *data, size_t len)
{
	struct spoor_rbuf in = { .data = data, .left = len };
	SPOOR_AUTO_HEAP struct spoor_done_failure *failures = NULL;
	uint32_t nr, zero;

	nr = spoor_rbuf_u32(&in);
	zero = spoor_rbuf_u32(&in);
	/* One a device, and one for the CPUs. */
	if (in.failed || zero || nr > SPOOR_HELLO_DEVICES_MAX + 1)
		return spoor_fail(EPROTO, "stream: malformed DONE frame");
	/* None is what a source can always be told. */
	if (nr)
		failures = calloc(nr, sizeof(*failures));
	if (nr && !failures)
		return spoor_fail(ENOMEM, "stream: out of memory");
	for (uint32_t i = 0; i < nr; i++) {
		failures[i].device = spoor_rbuf_u32(&in);
		spoor_rbuf_str(&in, failures[i].text, sizeof(failures[i].text));
	}
	if (!spoor_rbuf_ended(&in))
		return spoor_fail(EPROTO, "stream: malformed DONE frame");
	ret->nr = nr;
	ret->failures = SPOOR_STEAL(failures);
	return 0;
}
