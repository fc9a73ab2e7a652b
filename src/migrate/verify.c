/* SPDX-License-Identifier: MIT */
/*
 * Digests of memory, sent and compared; see the header.
 *
 * The destination digests a frame's chunks as the frame arrives, while the
 * source digests the next: both work at once, and neither holds a table.
 *
 * Threads: the run's own.
 */
#include "migrate/verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "memory/memory_priv.h"

#define CHUNKS_PER_FRAME 64u /* 4 MiB of memory: well below a millisecond */
#define WANT_PER_FRAME	 32u

static uint64_t region_chunks(const struct spoor_region *r)
{
	return (r->range.len - 1) / SPOOR_CHUNK + 1;
}

uint64_t spoor_verify_chunks(const struct spoor_memory *m)
{
	const struct spoor_region *regions;
	const size_t nr = spoor_memory_regions(m, &regions);
	uint64_t chunks = 0;

	for (size_t i = 0; i < nr; i++)
		chunks += region_chunks(&regions[i]);
	return chunks;
}

bool spoor_verify_chunk(const struct spoor_memory *m, uint64_t chunk,
			struct spoor_range *ret)
{
	const struct spoor_region *regions;
	const size_t nr = spoor_memory_regions(m, &regions);

	for (size_t i = 0; i < nr; i++) {
		const struct spoor_range *r = &regions[i].range;
		const uint64_t here = region_chunks(&regions[i]);

		if (chunk < here) {
			const uint64_t off = chunk * SPOOR_CHUNK;

			ret->iova = r->iova + off;
			ret->len = r->len - off;
			if (ret->len > SPOOR_CHUNK)
				ret->len = SPOOR_CHUNK;
			return true;
		}
		chunk -= here;
	}
	return false;
}

/* What a chunk that nobody wrote reads as. */
static const uint8_t zeroes[SPOOR_CHUNK];

static int digest_chunk(const struct spoor_memory *m, uint64_t chunk,
			uint64_t *ret)
{
	struct spoor_range range;
	const void *at = NULL;

	if (spoor_verify_chunk(m, chunk, &range))
		at = spoor_memory_at(m, &range);
	if (!at)
		return spoor_fail(EPROTO, "verify: there is no chunk %llu",
				  (unsigned long long)chunk);
	if (spoor_memory_is_hole(m, &range))
		at = zeroes;
	*ret = spoor_digest(at, range.len);
	return 0;
}

static int digest_pages(const struct spoor_memory *m, uint64_t chunk,
			uint64_t digests[SPOOR_CHUNK_PAGES],
			struct spoor_range *ret)
{
	const uint8_t *at = NULL;

	if (spoor_verify_chunk(m, chunk, ret))
		at = spoor_memory_at(m, ret);
	if (!at)
		return spoor_fail(EPROTO, "verify: there is no chunk %llu",
				  (unsigned long long)chunk);
	for (uint64_t i = 0; i < ret->len / SPOOR_STREAM_PAGE; i++)
		digests[i] = spoor_digest(at + i * SPOOR_STREAM_PAGE,
					  SPOOR_STREAM_PAGE);
	return 0;
}

int spoor_verify_send(struct spoor_run *run)
{
	const struct spoor_memory *m = run->machine->memory;
	const uint64_t chunks = spoor_verify_chunks(m);
	uint64_t digests[CHUNKS_PER_FRAME], first = 0;

	do {
		const uint64_t left = chunks - first;
		const uint32_t nr = left < CHUNKS_PER_FRAME ? (uint32_t)left
							    : CHUNKS_PER_FRAME;
		SPOOR_AUTO_WBUF b = { 0 };
		int err = 0;

		for (uint32_t i = 0; !err && i < nr; i++)
			err = digest_chunk(m, first + i, &digests[i]);
		if (err)
			return err;
		spoor_words_encode(first, digests, nr, &b);
		first += nr;
		err = spoor_stream_send_buf(
			&run->io, SPOOR_FRAME_DIGESTS,
			first == chunks ? SPOOR_FRAME_LAST_PART : 0, &b);
		if (err)
			return err;
	} while (first < chunks);
	return 0;
}

/* Some, of digests that were sent, in order, none twice. */
static int check_want(const struct spoor_run *run, struct spoor_asked *asked,
		      const struct spoor_words *want)
{
	if (!run->opts.verify || !want->nr)
		return spoor_fail(EPROTO, "verify: a WANT frame of nothing");
	for (uint32_t i = 0; i < want->nr; i++) {
		if (want->words[i] < asked->next ||
		    want->words[i] == UINT64_MAX)
			return spoor_fail(EPROTO,
					  "verify: chunk %llu is asked for "
					  "again, or out of order",
					  (unsigned long long)want->words[i]);
		asked->next = want->words[i] + 1;
	}
	return 0;
}

int spoor_verify_answer(struct spoor_run *run, struct spoor_asked *asked,
			const void *payload, size_t len)
{
	const struct spoor_memory *m = run->machine->memory;
	uint64_t digests[SPOOR_CHUNK_PAGES];
	SPOOR_AUTO_HEAP uint64_t *chunks = NULL;
	struct spoor_words want;
	int err = spoor_words_decode(&want, payload, len);

	if (err)
		return err;
	chunks = want.words;
	err = check_want(run, asked, &want);
	for (uint32_t i = 0; !err && i < want.nr; i++) {
		struct spoor_range range;
		SPOOR_AUTO_WBUF b = { 0 };

		err = digest_pages(m, chunks[i], digests, &range);
		if (err)
			break;
		spoor_words_encode(chunks[i], digests,
				   (uint32_t)(range.len / SPOOR_STREAM_PAGE),
				   &b);
		err = spoor_stream_send_buf(
			&run->io, SPOOR_FRAME_PAGE_DIGESTS,
			i + 1 == want.nr ? SPOOR_FRAME_LAST_PART : 0, &b);
	}
	return err;
}

static int push(uint64_t **list, size_t *nr, size_t *room, uint64_t v)
{
	uint64_t *grown;

	if (*nr == *room) {
		const size_t more = *room ? *room * 2 : 64;

		grown = reallocarray(*list, more, sizeof(*grown));
		if (!grown)
			return spoor_fail(ENOMEM, "verify: out of memory");
		*list = grown;
		*room = more;
	}
	(*list)[(*nr)++] = v;
	return 0;
}

static int ask(struct spoor_run *run, struct spoor_verify *v)
{
	size_t nr = v->nr_differ - v->asked;
	SPOOR_AUTO_WBUF b = { 0 };

	if (!nr)
		return 0;
	if (nr > WANT_PER_FRAME)
		nr = WANT_PER_FRAME;
	spoor_words_encode(0, v->differ + v->asked, (uint32_t)nr, &b);
	v->asked += nr;
	return spoor_stream_send_buf(&run->io, SPOOR_FRAME_WANT, 0, &b);
}

int spoor_verify_compare(struct spoor_run *run, struct spoor_verify *v,
			 const void *payload, size_t len, bool last)
{
	const struct spoor_memory *m = run->machine->memory;
	SPOOR_AUTO_HEAP uint64_t *theirs = NULL;
	struct spoor_words words;
	int err = spoor_words_decode(&words, payload, len);

	if (err)
		return err;
	theirs = words.words;
	if (v->compared || words.first != v->next)
		return spoor_fail(EPROTO, "verify: digests out of order");
	for (uint32_t i = 0; !err && i < words.nr; i++) {
		uint64_t ours = 0;

		err = digest_chunk(m, v->next, &ours);
		if (!err && ours != theirs[i])
			err = push(&v->differ, &v->nr_differ, &v->room_differ,
				   v->next);
		v->next++;
	}
	if (!err)
		err = spoor_stream_tick(&run->io);
	if (err || !last)
		return err;
	if (v->next != spoor_verify_chunks(m))
		return spoor_fail(EPROTO, "verify: digests are missing");
	v->compared = true;
	return ask(run, v);
}

int spoor_verify_compare_pages(struct spoor_run *run, struct spoor_verify *v,
			       const void *payload, size_t len)
{
	const struct spoor_memory *m = run->machine->memory;
	uint64_t ours[SPOOR_CHUNK_PAGES];
	SPOOR_AUTO_HEAP uint64_t *theirs = NULL;
	struct spoor_words words;
	struct spoor_range range = { 0 };
	int err = spoor_words_decode(&words, payload, len);

	if (err)
		return err;
	theirs = words.words;
	if (v->answered == v->asked || words.first != v->differ[v->answered])
		return spoor_fail(EPROTO, "verify: an answer nobody asked for");
	err = digest_pages(m, words.first, ours, &range);
	if (!err && words.nr != range.len / SPOOR_STREAM_PAGE)
		err = spoor_fail(EPROTO, "verify: %u digests for a chunk",
				 words.nr);
	for (uint32_t i = 0; !err && i < words.nr; i++) {
		/* NOLINTNEXTLINE(clang-analyzer-core*): as many as range has */
		if (ours[i] != theirs[i])
			err = push(&v->lost, &v->nr_lost, &v->room_lost,
				   range.iova +
					   (uint64_t)i * SPOOR_STREAM_PAGE);
	}
	if (err)
		return err;
	v->answered++;
	return v->answered == v->asked ? ask(run, v) : 0;
}

bool spoor_verify_ended(const struct spoor_verify *v)
{
	return v->compared && v->answered == v->nr_differ;
}

void spoor_verify_clear(struct spoor_verify *v)
{
	free(v->differ);
	free(v->lost);
	*v = (struct spoor_verify){ 0 };
}
