/* SPDX-License-Identifier: MIT */
/*
 * The opening: a source says what it has, a destination whether it fits.
 * Nothing else is sent before.
 *
 * Threads: the run's own.
 */
#include "migrate/opening.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

#define NS_PER_MS 1000000u

static uint32_t silence_ms(const struct spoor_run *run)
{
	const uint64_t ms = run->opts.silence_ns / NS_PER_MS;

	return ms > UINT32_MAX ? UINT32_MAX : ms ? (uint32_t)ms : 1;
}

static int describe(const struct spoor_run *run, struct spoor_hello *ret)
{
	const struct spoor_machine *machine = run->machine;
	const struct spoor_region *regions;
	const size_t nr = spoor_memory_regions(machine->memory, &regions);
	struct spoor_hello h = {
		.version_min = SPOOR_STREAM_VERSION_MIN,
		.version_max = SPOOR_STREAM_VERSION_MAX,
		.page_size = SPOOR_STREAM_PAGE,
		.silence_ms = silence_ms(run),
		.flags = run->opts.verify ? SPOOR_HELLO_VERIFY : 0,
		.channels = 1,
	};

	if (nr > SPOOR_HELLO_RANGES_MAX ||
	    machine->nr_devices > SPOOR_HELLO_DEVICES_MAX)
		return spoor_fail(EPERM, "machine: too many regions or devices "
					 "for the stream");
	h.ranges = calloc(nr + 1, sizeof(*h.ranges));
	h.devices = calloc(machine->nr_devices + 1, sizeof(*h.devices));
	if (!h.ranges || !h.devices) {
		spoor_hello_clear(&h);
		return spoor_fail(ENOMEM, "HELLO: out of memory");
	}
	h.nr_ranges = (uint32_t)nr;
	h.nr_devices = (uint32_t)machine->nr_devices;
	for (size_t i = 0; i < nr; i++) {
		h.ranges[i].range = regions[i].range;
		h.ranges[i].flags = regions[i].flags;
	}
	for (size_t i = 0; i < machine->nr_devices; i++) {
		h.devices[i].migration = machine->devices[i].migration;
		snprintf(h.devices[i].name, sizeof(h.devices[i].name), "%s",
			 machine->devices[i].name);
	}
	*ret = h;
	return 0;
}

/* Each side pings for the less patient one. */
static void agree_silence(struct spoor_run *run, uint32_t theirs_ms)
{
	const uint64_t theirs = (uint64_t)theirs_ms * NS_PER_MS;

	if (theirs / 4 < run->io.ping_ns)
		run->io.ping_ns = theirs / 4;
}

int spoor_opening_offer(struct spoor_run *run, bool *ret_refused)
{
	SPOOR_AUTO_WBUF b = { 0 };
	struct spoor_reason reason;
	struct spoor_welcome welcome;
	struct spoor_hello h;
	struct spoor_frame f;
	const uint8_t *payload;
	int err;

	err = describe(run, &h);
	if (err)
		return err;
	spoor_hello_encode(&h, &b);
	spoor_hello_clear(&h);
	err = spoor_stream_send_buf(&run->io, SPOOR_FRAME_HELLO, 0, &b);
	if (!err)
		err = spoor_stream_recv(&run->io, &f, &payload, NULL, NULL);
	if (err)
		return err;
	if (f.type == SPOOR_FRAME_REFUSE || f.type == SPOOR_FRAME_ABORT) {
		err = spoor_reason_decode(&reason, payload, (size_t)f.len);
		if (err)
			return err;
		*ret_refused = f.type == SPOOR_FRAME_REFUSE;
		run->io.got_abort = true;
		return spoor_fail(*ret_refused ? EPERM : ECONNABORTED,
				  "the destination %s: %s",
				  *ret_refused ? "refuses" : "gave up",
				  reason.text);
	}
	if (f.type != SPOOR_FRAME_WELCOME)
		return spoor_fail(EPROTO, "stream: %s frame instead of WELCOME",
				  spoor_frame_name(f.type));
	err = spoor_welcome_decode(&welcome, payload, (size_t)f.len);
	if (!err && (welcome.version < SPOOR_STREAM_VERSION_MIN ||
		     welcome.version > SPOOR_STREAM_VERSION_MAX))
		err = spoor_fail(EPROTO, "stream: WELCOME to version %u",
				 welcome.version);
	if (err)
		return err;
	run->version = welcome.version;
	agree_silence(run, welcome.silence_ms);
	return 0;
}

int spoor_opening_receive(struct spoor_run *run, bool *ret_refused,
			  bool *ret_verify)
{
	struct spoor_hello theirs, ours;
	struct spoor_frame f;
	const uint8_t *payload;
	int err;

	err = spoor_stream_recv(&run->io, &f, &payload, NULL, NULL);
	if (err)
		return err;
	if (f.type == SPOOR_FRAME_ABORT) {
		err = spoor_reason_decode(&run->io.reason, payload,
					  (size_t)f.len);
		if (err)
			return err;
		run->io.got_abort = true;
		return spoor_fail(ECONNABORTED, "the source gave up: %s",
				  run->io.reason.text);
	}
	if (f.type != SPOOR_FRAME_HELLO)
		return spoor_fail(EPROTO, "stream: %s frame instead of HELLO",
				  spoor_frame_name(f.type));
	err = spoor_hello_decode(&theirs, payload, (size_t)f.len);
	if (err)
		return err;
	err = describe(run, &ours);
	if (!err) {
		err = spoor_hello_match(&theirs, &ours, &run->version);
		*ret_refused = err;
		spoor_hello_clear(&ours);
	}
	*ret_verify = theirs.flags & SPOOR_HELLO_VERIFY;
	agree_silence(run, theirs.silence_ms);
	spoor_hello_clear(&theirs);
	return err;
}

int spoor_opening_welcome(struct spoor_run *run)
{
	const struct spoor_welcome welcome = {
		.version = run->version,
		.silence_ms = silence_ms(run),
	};
	SPOOR_AUTO_WBUF b = { 0 };

	spoor_welcome_encode(&welcome, &b);
	return spoor_stream_send_buf(&run->io, SPOOR_FRAME_WELCOME, 0, &b);
}

void spoor_opening_refuse(struct spoor_run *run, int err)
{
	struct spoor_reason reason = { .code = (uint32_t)-err };
	SPOOR_AUTO_WBUF b = { 0 };

	snprintf(reason.text, sizeof(reason.text), "%s", run->result->error);
	spoor_reason_encode(&reason, &b);
	(void)spoor_stream_send_buf(&run->io, SPOOR_FRAME_REFUSE, 0, &b);
}
