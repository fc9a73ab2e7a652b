/* SPDX-License-Identifier: MIT */
/*
 * A machine: what the caller registered, cancelling, and maps that change
 * while a migration runs.
 *
 * Invariant: while `tracking` is set, every map and unmap of a space that goes
 * through here reaches the trackers of that space before the call returns.
 *
 * Threads: set up from one thread; map, unmap and cancel from any.
 */
#include "migrate/machine_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "device/device_priv.h"
#include "migrate/states.h"
#include "migrate/tracking.h"

int spoor_machine_new(struct spoor_machine **ret, struct spoor_memory *m,
		      const struct spoor_hooks *hooks, void *opaque)
{
	struct spoor_machine *machine = calloc(1, sizeof(*machine));
	int err;

	if (!machine)
		return spoor_fail(ENOMEM, "machine: out of memory");
	machine->memory = m;
	machine->side = "source";
	machine->opaque = opaque;
	if (hooks)
		memcpy(&machine->hooks, hooks,
		       hooks->size < sizeof(*hooks) ? hooks->size
						    : sizeof(*hooks));
	machine->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (machine->cancel_fd < 0) {
		err = spoor_fail_errno("machine: eventfd");
		goto free_machine;
	}
	err = pthread_mutex_init(&machine->lock, NULL);
	if (err) {
		err = spoor_fail(err, "machine: mutex");
		goto close_eventfd;
	}
	*ret = machine;
	return 0;
close_eventfd:
	close(machine->cancel_fd);
free_machine:
	free(machine);
	return err;
}

struct spoor_machine *spoor_machine_free(struct spoor_machine *machine)
{
	if (!machine)
		return NULL;
	pthread_mutex_destroy(&machine->lock);
	close(machine->cancel_fd);
	free(machine->devices);
	free(machine->spaces);
	free(machine);
	return NULL;
}

static ssize_t find_space(const struct spoor_machine *machine,
			  const struct spoor_space *space)
{
	for (size_t i = 0; i < machine->nr_spaces; i++) {
		if (machine->spaces[i] == space)
			return (ssize_t)i;
	}
	return -1;
}

int spoor_machine_add_space(struct spoor_machine *machine,
			    struct spoor_space *space)
{
	struct spoor_space **grown;
	struct spoor_space_info new, old;

	spoor_space_get_info(space, &new);
	for (size_t i = 0; i < machine->nr_spaces; i++) {
		spoor_space_get_info(machine->spaces[i], &old);
		if (!strcmp(new.name, old.name))
			return spoor_fail(EEXIST,
					  "machine: there is a space %s",
					  new.name);
	}
	grown = reallocarray(machine->spaces, machine->nr_spaces + 1,
			     sizeof(*grown));
	if (!grown)
		return spoor_fail(ENOMEM, "machine: out of memory");
	machine->spaces = grown;
	machine->spaces[machine->nr_spaces++] = space;
	return 0;
}

int spoor_machine_add_device(struct spoor_machine *machine,
			     struct spoor_device *dev,
			     struct spoor_space *space)
{
	const ssize_t index = find_space(machine, space);
	struct spoor_machine_device *grown;
	struct spoor_device_info info;

	spoor_device_get_info(dev, &info);
	if (index < 0)
		return spoor_fail(ENOENT,
				  "machine: the space of %s is not registered",
				  info.name);
	if (dev->space ? dev->space != space : !dev->adopted)
		return spoor_fail(
			EINVAL,
			"machine: %s is attached to %s: what it may "
			"write would be looked for in the wrong place",
			info.name, dev->space ? "another space" : "no space");
	for (size_t i = 0; i < machine->nr_devices; i++) {
		if (!strcmp(machine->devices[i].name, info.name))
			return spoor_fail(EEXIST,
					  "machine: there is a device %s",
					  info.name);
	}
	grown = reallocarray(machine->devices, machine->nr_devices + 1,
			     sizeof(*grown));
	if (!grown)
		return spoor_fail(ENOMEM, "machine: out of memory");
	machine->devices = grown;
	machine->devices[machine->nr_devices++] = (struct spoor_machine_device){
		.dev = dev,
		.space = space,
		.space_index = (size_t)index,
		.name = info.name,
		.migration = info.migration,
		.p2p_stops_all = info.p2p_stops_all,
		.elsewhere = !dev->space,
		.state = SPOOR_STATE_RUNNING,
	};
	return 0;
}

int spoor_machine_map(struct spoor_machine *machine, struct spoor_space *space,
		      const struct spoor_range *range)
{
	const struct spoor_region *regions;
	const size_t nr = spoor_memory_regions(machine->memory, &regions);
	int err;

	for (size_t i = 0; i < nr; i++) {
		const struct spoor_region *r = &regions[i];
		uint8_t *hva;

		if (!spoor_range_valid(range) ||
		    !spoor_range_inside(range, &r->range))
			continue;
		hva = (uint8_t *)r->hva + (range->iova - r->range.iova);
		SPOOR_LOCKED(&machine->lock);
		/*
		 * Trackers first: once the map is there the device may write.
		 * One that then was not mapped is dirty for nothing.
		 */
		err = spoor_tracking_mapped(machine->tracking, space, range);
		if (!err)
			err = spoor_space_map(space, range, hva, r->flags);
		return err;
	}
	return spoor_fail(EINVAL,
			  "machine: %#llx bytes at %#llx lie in no one region",
			  (unsigned long long)range->len,
			  (unsigned long long)range->iova);
}

int spoor_machine_unmap(struct spoor_machine *machine,
			struct spoor_space *space,
			const struct spoor_range *range)
{
	int err;

	SPOOR_LOCKED(&machine->lock);
	err = spoor_space_unmap(space, range);
	/* Also after a failure: part of it may be gone. */
	spoor_tracking_unmapped(machine->tracking, space, range);
	return err;
}

/* Only what a signal handler may do: a lock-free store and write(2). */
void spoor_machine_cancel(struct spoor_machine *machine)
{
	const uint64_t one = 1;
	const int saved = errno;
	ssize_t n;

	atomic_store(&machine->cancelled, true);
	n = write(machine->cancel_fd, &one, sizeof(one));
	(void)n; /* full: it is readable already */
	errno = saved;
}

int spoor_machine_resume(struct spoor_machine *machine,
			 const struct spoor_run_opts *opts)
{
	struct spoor_run run = { .machine = machine,
				 .side = machine->side,
				 /* Nobody is at the other end any more. */
				 .io = { .fd = -1, .broken = true } };
	int err;

	if (opts)
		memcpy(&run.opts, opts,
		       opts->size < sizeof(*opts) ? opts->size : sizeof(*opts));
	/* Home again, it gets the last resort of every way back. */
	err = spoor_states_run(&run, !strcmp(machine->side, "source"));
	spoor_run_mark(&run, SPOOR_EVENT_RUNNING);
	return err;
}
