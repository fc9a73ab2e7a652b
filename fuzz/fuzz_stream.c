/* SPDX-License-Identifier: MIT */
/*
 * The stream's codecs.  An input is a sequence of frames as they would arrive:
 * headers of 32 bytes, payloads behind them, checks ignored (else nothing
 * would get past them).  What a decoder takes, its encoder must give back byte
 * for byte; payloads are copied to the heap so that a read past their end is
 * seen.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/frame.h"
#include "wire/hello.h"
#include "wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* @prefix: a later version may append to what was decoded. */
static void same(struct spoor_wbuf *b, const uint8_t *p, size_t len, int prefix)
{
	if (b->failed || b->len > len || (b->len != len && !prefix) ||
	    (b->len && memcmp(b->data, p, b->len)))
		abort();
	spoor_wbuf_clear(b);
}

static void opening(unsigned int type, const uint8_t *p, size_t len)
{
	struct spoor_wbuf b = { 0 };
	struct spoor_welcome w;
	struct spoor_hello h;
	uint32_t version;

	if (type == SPOOR_FRAME_WELCOME) {
		if (spoor_welcome_decode(&w, p, len))
			return;
		spoor_welcome_encode(&w, &b);
		same(&b, p, len, 0);
		return;
	}
	if (spoor_hello_decode(&h, p, len))
		return;
	(void)!spoor_hello_match(&h, &h, &version);
	spoor_hello_encode(&h, &b);
	same(&b, p, len, 1);
	spoor_hello_clear(&h);
}

static void run(const uint8_t *p)
{
	uint8_t back[SPOOR_RUN_HEADER];
	struct spoor_range r;

	if (spoor_run_decode(&r, p))
		return;
	spoor_run_encode(&r, back);
	if (memcmp(back, p, sizeof(back)))
		abort();
}

static void fixed(unsigned int type, const uint8_t *p, size_t len)
{
	struct spoor_wbuf b = { 0 };
	struct spoor_complete c;
	struct spoor_device_end e;
	struct spoor_reason reason;
	struct spoor_round r;

	if (type == SPOOR_FRAME_ROUND && !spoor_round_decode(&r, p, len))
		spoor_round_encode(&r, &b);
	else if (type == SPOOR_FRAME_DEVICE_END &&
		 !spoor_device_end_decode(&e, p, len))
		spoor_device_end_encode(&e, &b);
	else if (type == SPOOR_FRAME_COMPLETE &&
		 !spoor_complete_decode(&c, p, len))
		spoor_complete_encode(&c, &b);
	else if ((type == SPOOR_FRAME_REFUSE || type == SPOOR_FRAME_ABORT) &&
		 !spoor_reason_decode(&reason, p, len))
		spoor_reason_encode(&reason, &b);
	else
		return;
	same(&b, p, len, 0);
}

static void lists(unsigned int type, const uint8_t *p, size_t len)
{
	struct spoor_wbuf b = { 0 };
	struct spoor_lost_list l;
	struct spoor_words w;
	struct spoor_done d;

	if (type == SPOOR_FRAME_LOST) {
		if (spoor_lost_decode(&l, p, len))
			return;
		spoor_lost_encode(l.pages, l.entries, l.nr, &b);
		free(l.entries);
	} else if (type == SPOOR_FRAME_DONE) {
		if (spoor_done_decode(&d, p, len))
			return;
		spoor_done_encode(d.failures, d.nr, &b);
		free(d.failures);
	} else {
		if (spoor_words_decode(&w, p, len))
			return;
		spoor_words_encode(w.first, w.words, w.nr, &b);
		free(w.words);
	}
	same(&b, p, len, 0);
}

static void payload(unsigned int type, const uint8_t *p, size_t len)
{
	switch (type) {
	case SPOOR_FRAME_HELLO:
	case SPOOR_FRAME_WELCOME:
		opening(type, p, len);
		break;
	case SPOOR_FRAME_PAGES:
	case SPOOR_FRAME_ZERO:
		run(p);
		break;
	case SPOOR_FRAME_DIGESTS:
	case SPOOR_FRAME_WANT:
	case SPOOR_FRAME_PAGE_DIGESTS:
	case SPOOR_FRAME_LOST:
	case SPOOR_FRAME_DONE:
		lists(type, p, len);
		break;
	default:
		fixed(type, p, len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	while (size >= SPOOR_FRAME_HEADER) {
		uint8_t back[SPOOR_FRAME_HEADER], *copy;
		struct spoor_frame f;
		size_t len;

		if (spoor_frame_decode(&f, data))
			return 0;
		spoor_frame_encode(&f, back);
		if (memcmp(back, data, sizeof(back)))
			abort();
		data += sizeof(back);
		size -= sizeof(back);
		/* PAGES: as much of it as is looked at before it is placed. */
		len = f.type == SPOOR_FRAME_PAGES ? SPOOR_RUN_HEADER
						  : (size_t)f.len;
		if (len > size)
			return 0;
		copy = malloc(len ? len : 1);
		memcpy(copy, data, len);
		payload(f.type, copy, len);
		free(copy);
		data += len;
		size -= len;
	}
	return 0;
}
