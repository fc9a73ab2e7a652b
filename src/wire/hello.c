/* SPDX-License-Identifier: MIT */
/*
 * HELLO and WELCOME.  Invariant: a decoded hello is within its limits and its
 * ranges neither are empty nor overflow.  Threads: pure functions.
 */
#include "wire/hello.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/range.h"
#include "wire/frame.h"

/* for "%llu" and "%llx" */
#define ull unsigned long long

void spoor_hello_encode(const struct spoor_hello *h, struct spoor_wbuf *out)
{
	spoor_wbuf_u32(out, h->version_min);
	spoor_wbuf_u32(out, h->version_max);
	spoor_wbuf_u32(out, h->page_size);
	spoor_wbuf_u32(out, h->silence_ms);
	spoor_wbuf_u32(out, h->flags);
	spoor_wbuf_u32(out, h->channels);
	spoor_wbuf_u32(out, h->nr_ranges);
	spoor_wbuf_u32(out, h->nr_devices);
	for (uint32_t i = 0; i < h->nr_ranges; i++) {
		spoor_wbuf_u64(out, h->ranges[i].range.iova);
		spoor_wbuf_u64(out, h->ranges[i].range.len);
		spoor_wbuf_u32(out, h->ranges[i].flags);
	}
	for (uint32_t i = 0; i < h->nr_devices; i++) {
		spoor_wbuf_u32(out, h->devices[i].migration);
		spoor_wbuf_str(out, h->devices[i].name,
			       sizeof(h->devices[i].name) - 1);
	}
}

static int decode_lists(struct spoor_hello *h, struct spoor_rbuf *in)
{
	h->ranges = calloc(h->nr_ranges ? h->nr_ranges : 1, sizeof(*h->ranges));
	h->devices =
		calloc(h->nr_devices ? h->nr_devices : 1, sizeof(*h->devices));
	if (!h->ranges || !h->devices)
		return spoor_fail(ENOMEM, "HELLO: out of memory");
	for (uint32_t i = 0; i < h->nr_ranges; i++) {
		struct spoor_hello_range *r = &h->ranges[i];

		r->range.iova = spoor_rbuf_u64(in);
		r->range.len = spoor_rbuf_u64(in);
		r->flags = spoor_rbuf_u32(in);
		if (in->failed || !spoor_range_valid(&r->range))
			return spoor_fail(EPROTO, "HELLO: bad range %u", i);
	}
	for (uint32_t i = 0; i < h->nr_devices; i++) {
		struct spoor_hello_device *d = &h->devices[i];

		d->migration = spoor_rbuf_u32(in);
		spoor_rbuf_str(in, d->name, sizeof(d->name));
		if (in->failed || !d->name[0])
			return spoor_fail(EPROTO, "HELLO: bad device %u", i);
	}
	return 0;
}

int spoor_hello_decode(struct spoor_hello *ret, const void *data, size_t len)
{
	struct spoor_rbuf in = { .data = data, .left = len };
	struct spoor_hello h = { 0 };
	int err;

	h.version_min = spoor_rbuf_u32(&in);
	h.version_max = spoor_rbuf_u32(&in);
	h.page_size = spoor_rbuf_u32(&in);
	h.silence_ms = spoor_rbuf_u32(&in);
	h.flags = spoor_rbuf_u32(&in);
	h.channels = spoor_rbuf_u32(&in);
	h.nr_ranges = spoor_rbuf_u32(&in);
	h.nr_devices = spoor_rbuf_u32(&in);
	if (in.failed || h.version_min > h.version_max)
		return spoor_fail(EPROTO, "HELLO: malformed");
	if (h.nr_ranges > SPOOR_HELLO_RANGES_MAX ||
	    h.nr_devices > SPOOR_HELLO_DEVICES_MAX)
		return spoor_fail(EPROTO,
				  "HELLO: %u memory regions and %u devices, "
				  "at most %u and %u are taken",
				  h.nr_ranges, h.nr_devices,
				  SPOOR_HELLO_RANGES_MAX,
				  SPOOR_HELLO_DEVICES_MAX);
	err = decode_lists(&h, &in);
	if (err) {
		spoor_hello_clear(&h);
		return err;
	}
	*ret = h;
	return 0;
}

static int match_memory(const struct spoor_hello *theirs,
			const struct spoor_hello *ours)
{
	if (theirs->page_size != ours->page_size)
		return spoor_fail(EPERM,
				  "page size: the source sends %u bytes, "
				  "%u are taken here",
				  theirs->page_size, ours->page_size);
	if (theirs->nr_ranges != ours->nr_ranges)
		return spoor_fail(EPERM,
				  "memory: the source has %u regions, "
				  "there are %u here",
				  theirs->nr_ranges, ours->nr_ranges);
	for (uint32_t i = 0; i < ours->nr_ranges; i++) {
		const struct spoor_hello_range *t = &theirs->ranges[i];
		const struct spoor_hello_range *o = &ours->ranges[i];

		if (t->range.iova != o->range.iova ||
		    t->range.len != o->range.len)
			return spoor_fail(EPERM,
					  "memory: the source's region %u is "
					  "%#llx bytes at %#llx, here it is "
					  "%#llx bytes at %#llx",
					  i, (ull)t->range.len,
					  (ull)t->range.iova, (ull)o->range.len,
					  (ull)o->range.iova);
		if (t->flags != o->flags)
			return spoor_fail(EPERM,
					  "memory: the source's region at "
					  "%#llx has flags %#x, here %#x",
					  (ull)t->range.iova, t->flags,
					  o->flags);
	}
	return 0;
}

/* "stop-copy, p2p", as machine files spell them; "nothing". */
static const char *migration_text(uint32_t flags, char buf[64])
{
	static const char *const names[] = { "stop-copy", "p2p", "pre-copy" };
	size_t used = 0;

	snprintf(buf, 64, "nothing");
	for (unsigned int i = 0; i < 3; i++) {
		if (flags & 1u << i)
			used += (size_t)snprintf(buf + used, 64 - used, "%s%s",
						 used ? ", " : "", names[i]);
	}
	return buf;
}

static int match_devices(const struct spoor_hello *theirs,
			 const struct spoor_hello *ours)
{
	char source[64], here[64];

	if (theirs->nr_devices != ours->nr_devices)
		return spoor_fail(EPERM,
				  "devices: the source has %u, there are "
				  "%u here",
				  theirs->nr_devices, ours->nr_devices);
	for (uint32_t i = 0; i < ours->nr_devices; i++) {
		const struct spoor_hello_device *t = &theirs->devices[i];
		const struct spoor_hello_device *o = &ours->devices[i];

		if (strcmp(t->name, o->name))
			return spoor_fail(EPERM,
					  "devices: the source's number %u is "
					  "%s, here it is %s",
					  i, t->name, o->name);
		if (t->migration & ~o->migration)
			return spoor_fail(EPERM,
					  "devices: %s migrates with %s at "
					  "the source, here with %s",
					  t->name,
					  migration_text(t->migration, source),
					  migration_text(o->migration, here));
	}
	return 0;
}

int spoor_hello_match(const struct spoor_hello *theirs,
		      const struct spoor_hello *ours, uint32_t *ret_version)
{
	int err;

	if (theirs->version_max < ours->version_min ||
	    theirs->version_min > ours->version_max)
		return spoor_fail(EPERM,
				  "version: the source speaks %u to %u, "
				  "%u to %u are spoken here",
				  theirs->version_min, theirs->version_max,
				  ours->version_min, ours->version_max);
	if (theirs->flags & ~SPOOR_HELLO_VERIFY)
		return spoor_fail(EPERM, "options: %#x are not known here",
				  theirs->flags & ~SPOOR_HELLO_VERIFY);
	if (theirs->channels != ours->channels)
		return spoor_fail(EPERM,
				  "channels: the source wants %u, %u are "
				  "taken here",
				  theirs->channels, ours->channels);
	err = match_memory(theirs, ours);
	if (!err)
		err = match_devices(theirs, ours);
	if (err)
		return err;
	*ret_version = theirs->version_max < ours->version_max
			       ? theirs->version_max
			       : ours->version_max;
	return 0;
}

void spoor_hello_clear(struct spoor_hello *h)
{
	free(h->ranges);
	free(h->devices);
	*h = (struct spoor_hello){ 0 };
}

void spoor_welcome_encode(const struct spoor_welcome *w, struct spoor_wbuf *out)
{
	spoor_wbuf_u32(out, w->version);
	spoor_wbuf_u32(out, w->silence_ms);
}

int spoor_welcome_decode(struct spoor_welcome *ret, const void *data,
			 size_t len)
{
	struct spoor_rbuf in = { .data = data, .left = len };
	struct spoor_welcome w;

	w.version = spoor_rbuf_u32(&in);
	w.silence_ms = spoor_rbuf_u32(&in);
	if (!spoor_rbuf_ended(&in))
		return spoor_fail(EPROTO, "WELCOME: malformed");
	*ret = w;
	return 0;
}
