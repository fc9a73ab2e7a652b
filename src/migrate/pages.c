/* SPDX-License-Identifier: MIT */
/*
 * Sending memory.
 *
 * Guests and devices write while it is sent.  So a run is copied once, and
 * what is examined, checked and sent is the copy: a check computed over live
 * memory would not fit the bytes that follow it.  A page that changes after
 * its copy was made is dirty again and comes in a later round.
 *
 * Threads: the run's own; memory is read through the alias mapping.
 */
#include "migrate/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "memory/memory_priv.h"

#define PAGE	      SPOOR_STREAM_PAGE
#define TELL_EVERY_NS 200000000ull
/* What is told at once: the destination looks at it while more is looked for. */
#define ZERO_RUN_MAX  (16ull << 20)

bool spoor_page_is_zero(const void *page)
{
	static const uint64_t none;
	const uint8_t *p = page;

	/* Most pages that are not zero show it in their first word. */
	return !memcmp(p, &none, sizeof(none)) && !memcmp(p, p + 8, PAGE - 8);
}

void spoor_pages_clear(void *at, uint64_t len)
{
	uint8_t *p = at;

	/* Writing zeroes over zeroes would only make the host give pages. */
	for (uint64_t off = 0; off < len; off += PAGE) {
		if (!spoor_page_is_zero(p + off))
			memset(p + off, 0, PAGE);
	}
}

int spoor_sender_init(struct spoor_sender *s, struct spoor_run *run)
{
	*s = (struct spoor_sender){ .run = run, .copy = malloc(SPOOR_RUN_MAX) };
	return s->copy ? 0 : spoor_fail(ENOMEM, "send: out of memory");
}

void spoor_sender_clear(struct spoor_sender *s)
{
	free(s->copy);
	s->copy = NULL;
	spoor_heat_clear(&s->heat);
}

static int send_run(struct spoor_sender *s, enum spoor_frame_type type,
		    const struct spoor_range *run, const void *bytes)
{
	uint8_t head[SPOOR_RUN_HEADER];
	const struct iovec iov[2] = {
		{ .iov_base = head, .iov_len = sizeof(head) },
		{ .iov_base = (void *)(uintptr_t)bytes, .iov_len = run->len },
	};

	spoor_run_encode(run, head);
	if (type == SPOOR_FRAME_PAGES)
		s->data_pages += run->len / PAGE;
	else
		s->zero_pages += run->len / PAGE;
	return spoor_stream_send(&s->run->io, type, 0, iov, bytes ? 2 : 1);
}

static int flush_zero(struct spoor_sender *s)
{
	const struct spoor_range zero = s->zero;

	s->zero.len = 0;
	return zero.len ? send_run(s, SPOOR_FRAME_ZERO, &zero, NULL) : 0;
}

static int add_zero(struct spoor_sender *s, const struct spoor_range *run)
{
	int err = 0;

	if (s->zero.len && s->zero.len < ZERO_RUN_MAX &&
	    s->zero.iova + s->zero.len == run->iova) {
		s->zero.len += run->len;
		return 0;
	}
	err = flush_zero(s);
	s->zero = *run;
	return err;
}

static void tell(struct spoor_sender *s)
{
	const uint64_t now = spoor_now_ns();
	struct spoor_event event = { .type = SPOOR_EVENT_PROGRESS,
				     .time_ns = now,
				     .bytes = s->run->io.bytes_sent,
				     .bytes_left = s->left };

	if (now - s->told_ns < TELL_EVERY_NS)
		return;
	s->told_ns = now;
	spoor_run_event(s->run, &event);
}

/* At most SPOOR_RUN_MAX bytes of one region. */
static int send_piece(struct spoor_sender *s, const struct spoor_range *piece)
{
	const void *at = spoor_memory_at(s->run->machine->memory, piece);
	uint64_t off = 0;
	int err = 0;

	if (!at)
		return spoor_fail(EINVAL, "send: %#llx is no memory",
				  (unsigned long long)piece->iova);
	/* A single page is looked at sooner than its file is asked. */
	if (piece->len > PAGE &&
	    spoor_memory_is_hole(s->run->machine->memory, piece)) {
		err = add_zero(s, piece);
		off = piece->len;
	} else {
		memcpy(s->copy, at, piece->len);
	}
	while (!err && off < piece->len) {
		const bool zero = spoor_page_is_zero(s->copy + off);
		uint64_t end = off + PAGE;
		struct spoor_range run = { .iova = piece->iova + off };

		while (end < piece->len &&
		       spoor_page_is_zero(s->copy + end) == zero)
			end += PAGE;
		run.len = end - off;
		err = zero ? add_zero(s, &run)
			   : send_run(s, SPOOR_FRAME_PAGES, &run,
				      s->copy + off);
		off = end;
	}
	s->left -= piece->len;
	tell(s);
	return err ? err : spoor_stream_tick(&s->run->io);
}

int spoor_sender_send(struct spoor_sender *s,
		      const struct spoor_bitmap_set *set)
{
	struct spoor_range run;
	int err = 0;

	s->left = spoor_bitmap_set_count(set) * PAGE;
	for (size_t i = 0; !err && i < set->nr; i++) {
		uint64_t cursor = 0;

		while (!err &&
		       spoor_bitmap_next_run(&set->maps[i], &cursor, &run)) {
			spoor_heat_count(&s->heat, i, &run);
			for (uint64_t off = 0; !err && off < run.len;
			     off += SPOOR_RUN_MAX) {
				struct spoor_range piece = {
					.iova = run.iova + off,
					.len = run.len - off
				};

				if (piece.len > SPOOR_RUN_MAX)
					piece.len = SPOOR_RUN_MAX;
				err = send_piece(s, &piece);
			}
		}
		/* A run lies in one region: never carry zeroes over. */
		if (!err)
			err = flush_zero(s);
	}
	return err;
}
