/* SPDX-License-Identifier: MIT */
/*
 * Payloads of fixed size, and reasons.  Invariant: what decode accepts, encode
 * gives back byte for byte.  Threads: pure functions.
 */
#include "wire/message.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/range.h"

static int ended(const struct spoor_rbuf *in, enum spoor_frame_type type)
{
	if (spoor_rbuf_ended(in))
		return 0;
	return spoor_fail(EPROTO, "stream: malformed %s frame",
			  spoor_frame_name(type));
}

void spoor_run_encode(const struct spoor_range *run,
		      uint8_t out[SPOOR_RUN_HEADER])
{
	const uint64_t iova = htole64(run->iova), len = htole64(run->len);

	memcpy(out, &iova, 8);
	memcpy(out + 8, &len, 8);
}

int spoor_run_decode(struct spoor_range *ret,
		     const uint8_t in[SPOOR_RUN_HEADER])
{
	struct spoor_range run;

	memcpy(&run.iova, in, 8);
	memcpy(&run.len, in + 8, 8);
	run.iova = le64toh(run.iova);
	run.len = le64toh(run.len);
	if (!spoor_range_valid(&run) ||
	    !spoor_range_aligned(&run, SPOOR_STREAM_PAGE))
		return spoor_fail(EPROTO,
				  "stream: a run of %#llx bytes at %#llx",
				  (unsigned long long)run.len,
				  (unsigned long long)run.iova);
	*ret = run;
	return 0;
}

void spoor_round_encode(const struct spoor_round *r, struct spoor_wbuf *out)
{
	spoor_wbuf_u32(out, r->round);
	spoor_wbuf_u32(out, r->stopped);
}

int spoor_round_decode(struct spoor_round *ret, const void *data, size_t len)
{
	struct spoor_rbuf in = { .data = data, .left = len };
	struct spoor_round r;

	r.round = spoor_rbuf_u32(&in);
	r.stopped = spoor_rbuf_u32(&in);
	if (!spoor_rbuf_ended(&in) || !r.round || r.stopped > 1)
		return spoor_fail(EPROTO, "stream: malformed ROUND frame");
	*ret = r;
	return 0;
}

void spoor_device_data_encode(uint32_t device,
			      uint8_t out[SPOOR_DEVICE_DATA_HEADER])
{
	device = htole32(device);
	memcpy(out, &device, sizeof(device));
}

uint32_t spoor_device_data_decode(const uint8_t in[SPOOR_DEVICE_DATA_HEADER])
{
	uint32_t device;

	memcpy(&device, in, sizeof(device));
	return le32toh(device);
}

void spoor_device_end_encode(const struct spoor_device_end *e,
			     struct spoor_wbuf *out)
{
	spoor_wbuf_u32(out, e->device);
	spoor_wbuf_u32(out, 0);
	spoor_wbuf_u64(out, e->bytes);
}

int spoor_device_end_decode(struct spoor_device_end *ret, const void *data,
			    size_t len)
{
	struct spoor_rbuf in = { .data = data, .left = len };
	struct spoor_device_end e;
	uint32_t zero;
	int err;

	e.device = spoor_rbuf_u32(&in);
	zero = spoor_rbuf_u32(&in);
	e.bytes = spoor_rbuf_u64(&in);
	if (zero)
		return spoor_fail(EPROTO, "stream: malformed DEVICE_END frame");
	err = ended(&in, SPOOR_FRAME_DEVICE_END);
	if (!err)
		*ret = e;
	return err;
}

void spoor_complete_encode(const struct spoor_complete *c,
			   struct spoor_wbuf *out)
{
	spoor_wbuf_u64(out, c->data_pages);
	spoor_wbuf_u64(out, c->zero_pages);
	spoor_wbuf_u64(out, c->section_bytes);
}

int spoor_complete_decode(struct spoor_complete *ret, const void *data,
			  size_t len)
{
	struct spoor_rbuf in = { .data = data, .left = len };
	struct spoor_complete c;
	int err;

	c.data_pages = spoor_rbuf_u64(&in);
	c.zero_pages = spoor_rbuf_u64(&in);
	c.section_bytes = spoor_rbuf_u64(&in);
	err = ended(&in, SPOOR_FRAME_COMPLETE);
	if (!err)
		*ret = c;
	return err;
}

void spoor_reason_encode(const struct spoor_reason *r, struct spoor_wbuf *out)
{
	spoor_wbuf_u32(out, r->code);
	spoor_wbuf_str(out, r->text, sizeof(r->text) - 1);
}

int spoor_reason_decode(struct spoor_reason *ret, const void *data, size_t len)
{
	struct spoor_rbuf in = { .data = data, .left = len };
	struct spoor_reason r;
	int err;

	r.code = spoor_rbuf_u32(&in);
	spoor_rbuf_str(&in, r.text, sizeof(r.text));
	err = ended(&in, SPOOR_FRAME_ABORT);
	if (!err)
		*ret = r;
	return err;
}
