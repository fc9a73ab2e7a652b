/* SPDX-License-Identifier: MIT */
/*
 * Once it is time: stop, last reads, last pages, all state.
 *
 * Trackers are read after every device is quiet and before any tracker is
 * stopped: a log that is stopped cannot be read any more, and a device that is
 * not quiet could write behind the read.
 *
 * Threads: the run's own.
 */
#include "migrate/source_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "migrate/states.h"
#include "migrate/verify.h"

static int check_source(struct spoor_source *s)
{
	const struct spoor_verify none = { 0 };
	struct spoor_lost *lost;
	size_t nr;
	int err;

	if (!s->run->machine->hooks.verify)
		return 0;
	spoor_run_verify_begin(s->run);
	err = spoor_verify_hook(s->run, &lost, &nr);
	if (!err)
		err = spoor_verify_merge(s->run, &none, lost, nr);
	free(lost);
	spoor_run_verify_end(s->run);
	return err;
}

static int send_section(struct spoor_source *s)
{
	struct spoor_machine *machine = s->run->machine;
	SPOOR_AUTO_HEAP void *data = NULL;
	size_t len = 0, off = 0;
	int err;

	if (!machine->hooks.save)
		return 0;
	err = machine->hooks.save(machine->opaque, &data, &len);
	if (err)
		return spoor_fail(-err, "hook to save: %s", strerror(-err));
	do {
		const size_t left = len - off;
		const size_t n =
			left < SPOOR_PAYLOAD_MAX ? left : SPOOR_PAYLOAD_MAX;
		struct iovec iov = { .iov_base = (uint8_t *)data + off,
				     .iov_len = n };

		off += n;
		err = spoor_stream_send(&s->run->io, SPOOR_FRAME_SECTION,
					off == len ? SPOOR_FRAME_LAST_PART : 0,
					&iov, n ? 1 : 0);
		if (err)
			return err;
	} while (off < len);
	s->section_bytes = len;
	return 0;
}

static int send_device(struct spoor_source *s, size_t i)
{
	struct spoor_machine_device *d = &s->run->machine->devices[i];
	SPOOR_AUTO_WBUF b = { 0 };
	struct spoor_device_end e = { .device = (uint32_t)i };
	bool end;
	int err = spoor_source_device_data(s, i, &end);

	if (err)
		return err;
	d->ended = true;
	e.bytes = d->state_bytes;
	spoor_device_end_encode(&e, &b);
	return spoor_stream_send_buf(&s->run->io, SPOOR_FRAME_DEVICE_END, 0,
				     &b);
}

static int send_states(struct spoor_source *s)
{
	struct spoor_machine *machine = s->run->machine;
	int err = 0;

	/* All frozen before the first is read: they may know each other. */
	for (size_t i = 0; !err && i < machine->nr_devices; i++) {
		err = spoor_states_set(s->run, &machine->devices[i],
				       SPOOR_STATE_STOP_COPY);
		if (!err)
			err = spoor_stream_tick(&s->run->io);
	}
	if (!err)
		err = check_source(s);
	if (!err)
		err = send_section(s);
	for (size_t i = 0; !err && i < machine->nr_devices; i++)
		err = send_device(s, i);
	return err;
}

int spoor_stopcopy(struct spoor_source *s)
{
	struct spoor_run *run = s->run;
	struct spoor_complete c;
	SPOOR_AUTO_WBUF b = { 0 };
	int err;

	err = spoor_states_stop_all(run);
	if (!err)
		err = spoor_tracking_collect(s->tracking, true);
	if (!err)
		err = spoor_source_round(s, true);
	if (!err)
		err = send_states(s);
	if (err)
		return err;
	c = (struct spoor_complete){ .data_pages = s->sender.data_pages,
				     .zero_pages = s->sender.zero_pages,
				     .section_bytes = s->section_bytes };
	spoor_complete_encode(&c, &b);
	return spoor_stream_send_buf(&run->io, SPOOR_FRAME_COMPLETE, 0, &b);
}
