/* SPDX-License-Identifier: MIT */
/*
 * The frame around a run: options with their defaults, and a result that is
 * always filled in, whatever happened.
 *
 * Threads: the run's own.
 */
#include "migrate/machine_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "plan/converge.h"

#define DEFAULT_SILENCE_NS 30000000000ull

static int take_opts(struct spoor_run_opts *ret,
		     const struct spoor_run_opts *opts)
{
	if (!opts || opts->size < sizeof(opts->size))
		return spoor_fail(EINVAL, "run: options without a size");
	/* Older callers know fewer members: the rest keep their defaults. */
	memcpy(ret, opts,
	       opts->size < sizeof(*ret) ? opts->size : sizeof(*ret));
	if (!ret->downtime_ns)
		ret->downtime_ns = SPOOR_DEFAULT_DOWNTIME_NS;
	if (!ret->silence_ns)
		ret->silence_ns = DEFAULT_SILENCE_NS;
	if (!ret->max_rounds)
		ret->max_rounds = SPOOR_DEFAULT_ROUNDS;
	return 0;
}

int spoor_run_begin(struct spoor_run *run, struct spoor_machine *machine,
		    const struct spoor_run_opts *opts, const char *side,
		    struct spoor_result *result)
{
	int err;

	machine->side = side;
	*result = (struct spoor_result){ .outcome = SPOOR_FAILED };
	*run = (struct spoor_run){ .machine = machine,
				   .side = side,
				   .result = result,
				   .begun_ns = spoor_now_ns() };
	err = take_opts(&run->opts, opts);
	if (err)
		return err;
	result->memory_bytes = spoor_memory_size(machine->memory);
	result->devices = calloc(machine->nr_devices ? machine->nr_devices : 1,
				 sizeof(*result->devices));
	if (!result->devices)
		return spoor_fail(ENOMEM, "run: out of memory");
	result->nr_devices = machine->nr_devices;
	for (size_t i = 0; i < machine->nr_devices; i++) {
		struct spoor_machine_device *d = &machine->devices[i];

		snprintf(result->devices[i].name,
			 sizeof(result->devices[i].name), "%s", d->name);
		d->failed = false;
		d->ended = false;
		d->suspended = false;
		d->state_bytes = 0;
		d->dirty_pages = 0;
		d->page_size = 0;
		d->all_dirty = false;
	}
	err = spoor_stream_init(&run->io, run->opts.fd, run->opts.silence_ns);
	if (err)
		return err;
	run->io.cancelled = &machine->cancelled;
	run->io.cancel_fd = machine->cancel_fd;
	return 0;
}

void spoor_run_error(struct spoor_run *run)
{
	struct spoor_result *r = run->result;

	/* A held machine that is resumed has no result. */
	if (r && !r->error[0])
		snprintf(r->error, sizeof(r->error), "%s", spoor_errmsg());
}

void spoor_run_finish(struct spoor_run *run, enum spoor_outcome outcome,
		      const char *running)
{
	struct spoor_result *r = run->result;
	uint64_t count;

	for (size_t i = 0; i < r->nr_devices; i++) {
		const struct spoor_machine_device *d =
			&run->machine->devices[i];

		r->devices[i].dirty_pages = d->dirty_pages;
		r->devices[i].page_size = d->page_size;
		r->devices[i].state_bytes = d->state_bytes;
		r->devices[i].failed = d->failed;
		r->devices[i].all_dirty = d->all_dirty;
	}
	r->outcome = outcome;
	r->running = running;
	r->total_ns = spoor_now_ns() - run->begun_ns;
	r->bytes_sent = run->io.bytes_sent;
	if (outcome != SPOOR_MOVED && !r->error[0])
		spoor_run_error(run);
	spoor_stream_clear(&run->io);
	/* A cancel was for this run. */
	if (read(run->machine->cancel_fd, &count, sizeof(count)) > 0 ||
	    errno == EAGAIN)
		atomic_store(&run->machine->cancelled, false);
}

void spoor_result_clear(struct spoor_result *result)
{
	if (!result)
		return;
	free(result->devices);
	free(result->lost);
	*result = (struct spoor_result){ 0 };
}
