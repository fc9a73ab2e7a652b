/* SPDX-License-Identifier: MIT */
/*
 * Taking in memory and state.
 *
 * Nothing the peer says is believed: an address is looked up before a byte is
 * read to it, counts are compared with our own, and COMPLETE is accepted only
 * if every page of memory has come at least once and every device has ended.
 *
 * Threads: the run's own.
 */
#include "migrate/destination_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "memory/memory_priv.h"
#include "migrate/pages.h"
#include "migrate/states.h"

/* The VMM's own state, at most. */
#define SECTION_MAX (256u << 20)
/* Looked at, and kept a hole if it is one, by so much. */
#define CLEAR_STEP  (256u << 10)

int spoor_destination_init(struct spoor_destination *d)
{
	const struct spoor_region *regions;
	const size_t nr =
		spoor_memory_regions(d->run->machine->memory, &regions);
	SPOOR_AUTO_HEAP struct spoor_range *ranges = NULL;

	ranges = calloc(nr + 1, sizeof(*ranges));
	if (!ranges)
		return spoor_fail(ENOMEM, "destination: out of memory");
	for (size_t i = 0; i < nr; i++)
		ranges[i] = regions[i].range;
	return spoor_bitmap_set_alloc(&d->received, ranges, nr, 12);
}

void spoor_destination_clear(struct spoor_destination *d)
{
	spoor_bitmap_set_free(d->received);
	spoor_wbuf_clear(&d->section);
	d->received = NULL;
}

static void *place(void *opaque, const struct spoor_range *run)
{
	struct spoor_destination *d = opaque;
	void *at = spoor_memory_at(d->run->machine->memory, run);

	/* If its check fails the stream is dead, and so is this mark. */
	if (at) {
		(void)spoor_bitmap_set_mark(d->received, run);
		d->data_pages += run->len / SPOOR_STREAM_PAGE;
	}
	return at;
}

static int take_zero(struct spoor_destination *d, const uint8_t *payload)
{
	struct spoor_range run;
	uint8_t *at;
	int err = spoor_run_decode(&run, payload);

	if (err)
		return err;
	at = spoor_memory_at(d->run->machine->memory, &run);
	if (!at)
		return spoor_fail(EPROTO,
				  "stream: a run of %#llx zeroes at %#llx has "
				  "no place here",
				  (unsigned long long)run.len,
				  (unsigned long long)run.iova);
	for (uint64_t off = 0; !err && off < run.len; off += CLEAR_STEP) {
		const uint64_t left = run.len - off;
		const struct spoor_range step = {
			.iova = run.iova + off,
			.len = left < CLEAR_STEP ? left : CLEAR_STEP,
		};

		/* Even looking would make the host give pages to a hole. */
		if (!spoor_memory_is_hole(d->run->machine->memory, &step))
			spoor_pages_clear(at + off, step.len);
		err = spoor_stream_tick(&d->run->io);
	}
	(void)spoor_bitmap_set_mark(d->received, &run);
	d->zero_pages += run.len / SPOOR_STREAM_PAGE;
	return err;
}

static struct spoor_machine_device *find(struct spoor_destination *d,
					 uint32_t number)
{
	struct spoor_machine *machine = d->run->machine;

	if (number >= machine->nr_devices || machine->devices[number].ended) {
		spoor_fail(EPROTO, "stream: state of device %u, which %s",
			   number,
			   number < machine->nr_devices ? "has ended"
							: "does not exist");
		return NULL;
	}
	return &machine->devices[number];
}

static int take_device_data(struct spoor_destination *d, const uint8_t *payload,
			    size_t len)
{
	struct spoor_machine_device *dev =
		find(d, spoor_device_data_decode(payload));
	int err;

	if (!dev)
		return -EPROTO;
	len -= SPOOR_DEVICE_DATA_HEADER;
	err = spoor_device_write_state(dev->dev,
				       payload + SPOOR_DEVICE_DATA_HEADER, len);
	if (err)
		return spoor_fail_context(err, "%s: load its state", dev->name);
	dev->state_bytes += len;
	return spoor_stream_tick(&d->run->io);
}

static int take_device_end(struct spoor_destination *d, const uint8_t *payload,
			   size_t len)
{
	struct spoor_machine_device *dev;
	struct spoor_device_end e;
	int err = spoor_device_end_decode(&e, payload, len);

	if (err)
		return err;
	dev = find(d, e.device);
	if (!dev)
		return -EPROTO;
	if (e.bytes != dev->state_bytes)
		return spoor_fail(EPROTO,
				  "%s: %llu bytes of state were sent, %llu "
				  "arrived",
				  dev->name, (unsigned long long)e.bytes,
				  (unsigned long long)dev->state_bytes);
	dev->ended = true;
	return 0;
}

static int take_section(struct spoor_destination *d, const uint8_t *payload,
			const struct spoor_frame *f)
{
	if (d->section_ended || f->len > SECTION_MAX - d->section.len)
		return spoor_fail(EPROTO, "stream: too much SECTION");
	spoor_wbuf_bytes(&d->section, payload, (size_t)f->len);
	if (d->section.failed)
		return spoor_fail(ENOMEM, "stream: out of memory");
	d->section_ended = f->flags & SPOOR_FRAME_LAST_PART;
	return 0;
}

static int take_complete(struct spoor_destination *d, const uint8_t *payload,
			 size_t len)
{
	const struct spoor_machine *machine = d->run->machine;
	const uint64_t pages =
		spoor_memory_size(machine->memory) / SPOOR_STREAM_PAGE;
	const uint64_t came = spoor_bitmap_set_count(d->received);
	struct spoor_complete c;
	int err = spoor_complete_decode(&c, payload, len);

	if (err)
		return err;
	if (c.data_pages != d->data_pages || c.zero_pages != d->zero_pages ||
	    c.section_bytes != d->section.len)
		return spoor_fail(EPROTO,
				  "stream: %llu pages, %llu zero, were sent, "
				  "%llu, %llu arrived",
				  (unsigned long long)c.data_pages,
				  (unsigned long long)c.zero_pages,
				  (unsigned long long)d->data_pages,
				  (unsigned long long)d->zero_pages);
	if (d->section.len && !d->section_ended)
		return spoor_fail(EPROTO,
				  "stream: COMPLETE within the VMM's own "
				  "state");
	if (came != pages)
		return spoor_fail(EPROTO,
				  "stream: COMPLETE, but %llu pages never came",
				  (unsigned long long)(pages - came));
	for (size_t i = 0; i < machine->nr_devices; i++) {
		if (!machine->devices[i].ended)
			return spoor_fail(EPROTO,
					  "stream: COMPLETE without all state "
					  "of %s",
					  machine->devices[i].name);
	}
	return 0;
}

int spoor_destination_unexpected(struct spoor_destination *d,
				 const struct spoor_frame *f,
				 const uint8_t *payload)
{
	struct spoor_stream *io = &d->run->io;
	int err;

	if (f->type != SPOOR_FRAME_ABORT)
		return spoor_fail(EPROTO, "stream: %s frame out of turn",
				  spoor_frame_name(f->type));
	err = spoor_reason_decode(&io->reason, payload, (size_t)f->len);
	if (err)
		return err;
	io->got_abort = true;
	return spoor_fail(ECONNABORTED, "the other side gave up: %s",
			  io->reason.text);
}

static int take_round(struct spoor_destination *d, const uint8_t *payload,
		      size_t len)
{
	struct spoor_round r;
	int err = spoor_round_decode(&r, payload, len);

	if (err)
		return err;
	if (r.round != d->run->result->rounds + 1)
		return spoor_fail(EPROTO, "stream: round %u after %u", r.round,
				  d->run->result->rounds);
	d->run->result->rounds = r.round;
	return 0;
}

int spoor_destination_receive(struct spoor_destination *d)
{
	for (;;) {
		struct spoor_frame f;
		const uint8_t *payload;
		int err =
			spoor_stream_recv(&d->run->io, &f, &payload, place, d);

		if (err)
			return err;
		switch (f.type) {
		case SPOOR_FRAME_PAGES:
			break; /* it is where it belongs already */
		case SPOOR_FRAME_ZERO:
			err = take_zero(d, payload);
			break;
		case SPOOR_FRAME_ROUND:
			err = take_round(d, payload, (size_t)f.len);
			break;
		case SPOOR_FRAME_DEVICE_DATA:
			err = take_device_data(d, payload, (size_t)f.len);
			break;
		case SPOOR_FRAME_DEVICE_END:
			err = take_device_end(d, payload, (size_t)f.len);
			break;
		case SPOOR_FRAME_SECTION:
			err = take_section(d, payload, &f);
			break;
		case SPOOR_FRAME_COMPLETE:
			return take_complete(d, payload, (size_t)f.len);
		default:
			err = spoor_destination_unexpected(d, &f, payload);
		}
		if (err)
			return err;
	}
}

int spoor_destination_load(struct spoor_destination *d)
{
	struct spoor_machine *machine = d->run->machine;
	int err = 0;

	for (size_t i = 0; !err && i < machine->nr_devices; i++) {
		err = spoor_states_set(d->run, &machine->devices[i],
				       SPOOR_STATE_STOP);
		if (!err)
			err = spoor_stream_tick(&d->run->io);
	}
	if (err)
		return err;
	d->run->result->pages_sent = d->data_pages + d->zero_pages;
	/* What one side has of its own the other must know how to take. */
	if (d->section_ended != (machine->hooks.load != NULL))
		return spoor_fail(EPROTO,
				  d->section_ended
					  ? "the VMM's own state came, and "
					    "there is no hook to load it"
					  : "the VMM's own state, which there "
					    "is a hook to load, never came");
	if (!d->section_ended)
		return 0;
	err = machine->hooks.load(machine->opaque, d->section.data,
				  d->section.len);
	if (err)
		return spoor_fail(-err, "hook to load: %s", strerror(-err));
	return 0;
}
